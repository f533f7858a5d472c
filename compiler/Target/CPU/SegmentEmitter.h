// The second kernel of a chunk.segment_scan: threads that take segments of time (rondo::SegmentKernel). It goes three times over the
// segments that a thread has; threads meet in between:
//
//   ends     what each segment but the first and the last makes of any state; and the first segment itself, whose state is known
//   join     from these the states before all other segments, one after another
//   inside   the segments, each from its own state
//
// Each of the three is a KernelEmitter over its own regions, with one function and one scratch area. What they hand on lies in the
// workspace: for each row (or packed sequence), head and segment behind the first a record with the states before it, and the parts of its map.
// A segment that has a reset lets nothing through: its parts are made from the last reset on, and what its steps from there leave behind is
// the state before the next segment, without a join.
#pragma once
#include "compiler/Target/CPU/KernelEmitter.h"
#include "dialects/Chunk/Chunk.h"

namespace rondo::cpu {

/// The recurrence alone, as a scan that stands before `op`; to be erased.
recur::ScanInterface withoutSegments(chunk::SegmentScanOp op);

class SegmentEmitter {
public:
  /// `whole` is the recurrence without segments, `tensors` are of the program.
  SegmentEmitter(chunk::SegmentScanOp op, recur::ScanInterface whole, const Program &program,
                 const ScanTensors &tensors, int64_t vectorBits);
  ~SegmentEmitter();
  /// False where the caller's states are stored in another type than they are computed in.
  bool canEmit() const;
  /// Emits the kernel at the end of `module`.
  SegmentKernel emit(mlir::ModuleOp module, llvm::StringRef symbol);

private:
  void openAll(mlir::func::FuncOp kernel);
  void openParts();
  KernelEmitter::Operand recordOperand(mlir::RankedTensorType type);
  /// Makes `operand` the entry at `offset` of a record.
  void placeInRecord(KernelEmitter::Operand &operand, mlir::Value record, int64_t offset);
  mlir::Value recordOf(mlir::Value sequence, mlir::Value number);
  /// The numbers begin .. end-1 of a thread's share of `count`.
  void forShare(mlir::Value count, llvm::function_ref<void(mlir::Value)> body);
  void emitUnit(mlir::Value round, mlir::Value unit);
  void emitEnds(mlir::Value row, mlir::Value head, mlir::Value sequence, mlir::Value segment);
  void emitInside(mlir::Value row, mlir::Value head, mlir::Value sequence, mlir::Value segment);
  void emitJoins(mlir::Value sequence);
  void emitJoin(mlir::Value from, mlir::Value to);
  void openWindow(KernelEmitter &emitter, mlir::Value sequence, mlir::Value segment);
  mlir::Value cutWindow(KernelEmitter &emitter, mlir::Value row, mlir::Value head);
  void beginAnew(mlir::Value isCut, mlir::Value row, mlir::Value head);
  void runScan(KernelEmitter &emitter, llvm::function_ref<void()> afterBegin = nullptr);
  /// Lets `emitter` emit where the kernel stands.
  void with(KernelEmitter &emitter, llvm::function_ref<void()> emit);
  mlir::Value is(mlir::Value x, mlir::Value y);
  mlir::Value isOneOf(mlir::Value which, mlir::Value yes, mlir::Value no);
  void setCosts(SegmentKernel &kernel) const;

  chunk::SegmentScanOp op;
  recur::ScanInterface endsScan, joinScan; // while the kernel is made
  std::optional<KernelEmitter> inside, ends, join;
  const Program &program;
  const ScanTensors &tensors;
  mlir::Location loc;
  mlir::Value member, members, segments, firstSteps, segmentSteps, workspacePointer, workspace, zero;
  llvm::SmallVector<KernelEmitter::Operand> givenInits, givenFinals, begins;
  llvm::SmallVector<int64_t> stateOffset, partOffset; // in reals, from the beginning of a record
  int64_t recordReals = 0;
  int64_t cutOffset = 0; // in a record: not 0 where its segment has a reset; there where the scan has resets
};

} // namespace rondo::cpu
