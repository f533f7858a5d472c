// Reverse mode through the operations of one step, or of a chunk of steps (values over the axes `time` and `source`): from the
// cotangents of values to those of what they are made of.
//
// Convention. The cotangent of a real value x is dL/dx. Of a complex value z = x + iy it is dL/dx + i dL/dy, the direction in which
// a real L grows fastest (as in PyTorch; JAX's is its conjugate), so that a holomorphic w = f(z) gives dz = conj(f'(z)) dw.
// Where a function has a corner the subgradient is a fixed one: max and min share equally among equal operands (reductions
// likewise), |x|, sign and floor have 0 at 0 and at their jumps; a comparison has none.
#pragma once
#include "dialects/Chunk/Chunk.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

namespace rondo {

class StepAdjoint {
public:
  /// New operations go to the end of `block`, whose operations so far are the step. Values that depend on none of `active` have no
  /// cotangent.
  StepAdjoint(mlir::Block *block, llvm::ArrayRef<mlir::Value> active);

  /// Adds to the cotangent of a value of the step. Before `run`.
  void add(mlir::Value value, mlir::Value cotangent);
  /// Goes through the step backwards. Fails at an operation that has no derivative here.
  mlir::LogicalResult run();
  /// The sum of what was added to a value's cotangent; null where nothing was.
  mlir::Value of(mlir::Value value);

private:
  /// Part of a cotangent: the elements from `offset` on along an axis.
  struct Piece {
    mlir::Value value;
    int64_t axis, offset, size;
    bool drop; // `value` lacks the axis
  };
  struct Sum {
    llvm::SmallVector<mlir::Value> whole;
    llvm::SmallVector<Piece> pieces;
  };

  bool isActive(mlir::Value value) const { return active.contains(value); }
  mlir::LogicalResult visit(mlir::Operation &op, mlir::Value g);
  void visitMap(recur::MapOp op, mlir::Value g);
  void visitUnary(recur::MapOp op, mlir::Value g);
  void visitBinary(recur::MapOp op, mlir::Value g);
  mlir::LogicalResult visitContract(recur::ContractOp op, mlir::Value g);
  void visitReduce(recur::ReduceOp op, mlir::Value g);
  void visitSlice(recur::SliceOp op, mlir::Value g);
  void visitConcat(recur::ConcatOp op, mlir::Value g);
  void visitCast(recur::CastOp op, mlir::Value g);
  // ChunkAdjoint.cpp
  void visitChunk(chunk::ProductsOp op, mlir::Value g);
  void visitChunk(chunk::SumsOp op, mlir::Value g);
  void visitChunk(chunk::ScoresOp op, mlir::Value g);
  void visitChunk(chunk::ApplyOp op, mlir::Value g);
  void visitChunk(chunk::SolveOp op, mlir::Value g);
  void visitChunk(chunk::AsSourceOp op, mlir::Value g);
  void visitChunk(chunk::AsTimeOp op, mlir::Value g);
  mlir::Value products(mlir::Value decay, chunk::Span span);
  mlir::Value runningSums(mlir::Value operand, mlir::Value decay, bool before, bool transposed);
  mlir::Value apply(mlir::Value scores, mlir::Value values, mlir::Value decay, bool before, bool transposed);
  mlir::Value decayGradient(mlir::Value scores, mlir::Value queries, mlir::Value keys, mlir::Value decay, bool before);
  mlir::Value contract(llvm::StringRef spec, llvm::ArrayRef<mlir::Value> operands, mlir::Type type);

  mlir::Value assembled(mlir::Type type, llvm::SmallVectorImpl<Piece> &pieces);
  /// Adds g, of the shape of an elementwise operation's result, to an operand that may be a scalar for all elements.
  void addElementwise(mlir::Value operand, mlir::Value g);
  mlir::Value onDiagonals(mlir::Value value, llvm::StringRef letters, mlir::RankedTensorType type);

  mlir::Value map(recur::Fn fn, llvm::ArrayRef<mlir::Value> operands);
  mlir::Value mul(mlir::Value x, mlir::Value y) { return map(recur::Fn::Mul, {x, y}); }
  mlir::Value number(mlir::Value like, double value);
  mlir::Value conjugate(mlir::Value value);
  mlir::Value select(mlir::Value condition, mlir::Value yes, mlir::Value no);
  mlir::Value asComplex(mlir::Value real);
  mlir::Value broadcast(mlir::Value value, mlir::RankedTensorType type, llvm::ArrayRef<int64_t> dims);
  mlir::Value sum(mlir::Value value, llvm::ArrayRef<int64_t> dims);

  mlir::OpBuilder b;
  mlir::Location loc;
  llvm::SmallVector<mlir::Operation *> ops;
  llvm::DenseSet<mlir::Value> active;
  llvm::DenseMap<mlir::Value, Sum> sums;
  llvm::DenseMap<mlir::Value, mlir::Value> totals;
};

} // namespace rondo
