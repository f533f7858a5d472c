// A recur.scan in the making: operands are added as its step comes to need them, and the types of its results follow from them.
#pragma once
#include "dialects/Recur/Recur.h"
#include "mlir/IR/Builders.h"
#include <memory>

namespace rondo {

/// The type of one step's share of an operand or result: without implicit axes.
mlir::RankedTensorType stepTypeOf(mlir::Type type);

class NewScan {
public:
  NewScan(mlir::Location loc, mlir::ArrayAttr axes, mlir::Value resets, mlir::Value offsets);

  /// The step argument of an operand. Each call adds one.
  mlir::Value input(mlir::Value operand);
  mlir::Value param(mlir::Value operand);
  /// The arguments of a new state: one per read, in order.
  llvm::SmallVector<mlir::Value> state(recur::StateAttr state, mlir::Value init);
  bool hasInputs() const { return !inputs.empty(); }

  /// Where operations of the step go.
  mlir::OpBuilder body;

  /// Makes the op where `b` stands, with these values at the end of each step. States of more than one slice keep a lag axis.
  recur::ScanOp finish(mlir::OpBuilder &b, llvm::ArrayRef<mlir::Value> newStates, llvm::ArrayRef<mlir::Value> outputs);

private:
  mlir::Type resultType(recur::ScanInterface scan, mlir::Value step, std::optional<unsigned> finalAxis, int64_t depth);

  mlir::Location loc;
  mlir::ArrayAttr axes;
  mlir::Value resets, offsets;
  std::unique_ptr<mlir::Block> block;
  llvm::SmallVector<mlir::Value> inputs, params, inits;
  llvm::SmallVector<mlir::Attribute> states;
};

} // namespace rondo
