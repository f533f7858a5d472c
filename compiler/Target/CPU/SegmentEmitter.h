// The second kernel of a chunk.segment_scan: threads that take segments of time (rondo::SegmentKernel). It goes three times over the
// segments that a thread has; threads meet in between:
//
//   ends     what each segment but the first and the last makes of any state; and the first segment itself, whose state is known
//   join     from these the states before all other segments, one after another
//   inside   the segments, each from its own state
//
// Each of the three is a KernelEmitter over its own regions, with one function and one scratch area. What they hand on lies in the
// workspace: for each row, head and segment behind the first a record with the states before it, and the parts of its map.
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
  void openWindow(KernelEmitter &emitter, mlir::Value segment);
  void runScan(KernelEmitter &emitter);
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
};

} // namespace rondo::cpu
