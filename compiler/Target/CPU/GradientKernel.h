// A chunk.gradient_scan to one kernel. A task walks its sequence twice:
//
// A segment, from one reset to the next, begins from the initial states: it goes there and back on its own. Without resets a sequence is one.
//
//   there   over chunks and then single steps, for the states; those before every interval-th chunk are kept in a tensor, those before the single
//           steps in scratch
//   back    the single steps against time; then interval by interval from the last one on, the states before its chunks again, into scratch,
//           and its chunks against time
//
// Both ways are KernelEmitters over their regions, which share the kernel's function and its scratch area.
#pragma once
#include "compiler/Target/CPU/KernelEmitter.h"
#include "dialects/Chunk/Chunk.h"

namespace rondo::cpu {

/// The program's tensors that the op's operands and results are, and what the kernel needs beside them: the states at the end, and
/// those that are kept.
struct GradientTensors {
  llvm::SmallVector<int> inputs, cotangents, params, inits, finals, outputs, adjoints, states, kept, resets, offsets;
};

class GradientKernel {
public:
  GradientKernel(chunk::GradientScanOp op, const Program &program, const GradientTensors &tensors, int64_t vectorBits);
  ~GradientKernel();
  /// Emits the kernel at the end of `module`.
  Launch emit(mlir::ModuleOp module, llvm::StringRef symbol);

private:
  void emitTask(mlir::Value row, mlir::Value head);
  mlir::Value emitSegment(mlir::Value from, mlir::Value end, mlir::Value moves);
  mlir::Value emitSegments();
  mlir::Value beginOfSegment(mlir::Value end);
  void walkThere(mlir::Value chunks, mlir::Value rest);
  void walkBack(mlir::Value chunks, mlir::Value rest);
  void backChunks(mlir::Value interval, mlir::Value chunks, mlir::Value rest);
  void moveThere(size_t body, mlir::Value moves, mlir::Value step);
  void moveBack(size_t body, mlir::Value moves, mlir::Value step, mlir::Value slot);
  /// Copies the states before move `moves` to a slot in scratch, or to an entry of the tensors of kept ones.
  void save(mlir::Value moves, llvm::function_ref<Place(unsigned)> place);
  Place stateBefore(unsigned state, mlir::Value moves);
  Place slotPlace(unsigned state, mlir::Value slot);
  Place keptPlace(unsigned state, mlir::Value interval);
  Place adjointBefore(unsigned state, mlir::Value moves);
  Place totalPlace(unsigned state);
  void beginInterval(mlir::Value interval);
  void layOutSlots();
  mlir::Value where(mlir::Value step);
  void loop(mlir::Value count, llvm::function_ref<void(mlir::Value)> body);
  /// Lets the way back emit where the way there stands.
  void onTheWayBack(llvm::function_ref<void()> emit);

  chunk::GradientScanOp op;
  chunk::ScanOp thereScan, backScan; // the two ways as scans, while the kernel is made
  std::optional<KernelEmitter> there, back;
  GradientTensors tensors;
  mlir::Location loc;
  llvm::SmallVector<KernelEmitter::Operand> kept;
  llvm::SmallVector<int64_t> slotOffset, totalOffset; // per state, in reals from the start of scratch
  mlir::Value begin, length;                          // of the task: where it begins in time, and its steps
  mlir::Value first, movesBefore; // of the segment: its first step in the task, and how often adjoints moved before
};

} // namespace rondo::cpu
