// Turns each op into a closure over array slots: shapes, strides and functions are looked up once, then the closure runs as
// often as there are steps. One slot per value; running an op overwrites its result's slot.
#pragma once
#include "compiler/Reference/Array.h"
#include "compiler/Reference/Sizes.h"
#include "dialects/Chunk/Chunk.h"
#include "llvm/ADT/DenseMap.h"
#include <deque>
#include <functional>

namespace rondo::reference {

class OpCompiler {
public:
  explicit OpCompiler(const Sizes &sizes) : sizes(sizes) {}

  /// The slot of a value that has one.
  Array &slot(mlir::Value value) { return *slots.find(value)->second; }
  /// Makes the slot of a value that comes from outside.
  Array &define(mlir::Value value, Array array);
  /// The shape that a value without implicit axes has.
  llvm::Expected<std::vector<int64_t>> shapeOf(mlir::Type type) const;
  /// The size of one of a type's axes.
  llvm::Expected<int64_t> axisSize(mlir::Type type, int64_t position) const;
  /// A closure that computes the op's result from its operands, whose slots exist; makes the result's slot.
  llvm::Expected<std::function<void()>> compile(mlir::Operation &op);

private:
  using Closure = llvm::Expected<std::function<void()>>;
  Closure compileExact(mlir::Operation &op);
  Closure compileRounded(mlir::Operation &op);
  /// What operands of products next to `op` are rounded to: those of two terms have twice the bits.
  Rounding roundingOf(mlir::Operation &op) const;
  Closure compileMap(recur::MapOp op);
  Closure compileContract(recur::ContractOp op);
  Closure compileReduce(recur::ReduceOp op);
  Closure compileBroadcast(recur::BroadcastOp op);
  Closure compileSlice(recur::SliceOp op);
  Closure compileConcat(recur::ConcatOp op);
  Closure compileReshape(recur::ReshapeOp op);
  Closure compileCast(recur::CastOp op);
  Closure compileIdentity(recur::IdentityOp op);
  Closure compileConstant(mlir::arith::ConstantOp op);
  Closure compileProducts(chunk::ProductsOp op);
  Closure compileScores(chunk::ScoresOp op);
  Closure compileApply(chunk::ApplyOp op);
  Closure compileSolve(chunk::SolveOp op);
  Closure compileSums(chunk::SumsOp op);
  Closure compileDecayGradient(chunk::DecayGradientOp op);
  /// The same array under another name.
  Closure compileRenamed(mlir::Value operand, mlir::Value renamed);
  Closure compileRow(chunk::RowOp op);
  Closure compileRows(chunk::RowsOp op);
  Closure compileSumTo(recur::SumToOp op);
  /// The result's slot, filled with zeros.
  Array &result(mlir::Value value, std::vector<int64_t> shape);

  const Sizes &sizes;
  std::deque<Array> storage; // a deque, so that slots stay where they are
  llvm::DenseMap<mlir::Value, Array *> slots;
};

} // namespace rondo::reference
