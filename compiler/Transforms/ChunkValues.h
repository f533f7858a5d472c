// Values of a step for all steps of a chunk at once: every operation of a region without states, with the axis `time` in front.
#pragma once
#include "dialects/Chunk/Chunk.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

namespace rondo {

class ChunkValues {
public:
  ChunkValues(mlir::OpBuilder &b, mlir::Location loc, int64_t size) : b(b), loc(loc), size(size) {}

  /// Says what stands for a value of the step: one element per step where it has the axis `time`, else one for all.
  void set(mlir::Value ofStep, mlir::Value here) { known.map(ofStep, here); }
  /// What stands for a value, with the axis `time`: repeated where the value is the same at every step.
  mlir::Value get(mlir::Value ofStep);
  /// Makes what the operations of `block` compute, except its terminator.
  void copy(mlir::Block &block);

  /// True for a value that has the axis `time`.
  static bool varies(mlir::Value value);
  mlir::Value map(recur::Fn fn, llvm::ArrayRef<mlir::Value> operands);
  /// A contraction whose result has the implicit axes `axes` and the named axes of `like` at `named`.
  mlir::Value contract(llvm::StringRef spec, llvm::ArrayRef<mlir::Value> operands, mlir::RankedTensorType type);
  /// x * factor, where the factor may be one number per step.
  mlir::Value scaled(mlir::Value x, mlir::Value factor);
  /// `value` repeated along the axes of `type` that it lacks: the axis `time` in front, or named ones behind it.
  mlir::Value repeated(mlir::Value value, mlir::RankedTensorType type);

  mlir::OpBuilder &b;
  mlir::Location loc;
  int64_t size;

private:
  void copy(mlir::Operation &op);

  mlir::IRMapping known;
};

} // namespace rondo
