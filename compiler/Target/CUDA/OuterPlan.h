// Which scans do nothing but sum up outer products (and vectors) over all time, the batch and, perhaps, the heads, as the gradients of weights
// do. Data; creates no IR.
#pragma once
#include "dialects/Recur/Recur.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>

namespace rondo::cuda {

/// `result` = `rows` times the transpose of `columns`, vectors of the step.
struct OuterTerm {
  mlir::Value result, rows, columns;
};

/// A state that takes in outer products.
struct OuterState {
  unsigned state;
  llvm::SmallVector<OuterTerm> terms;
  int64_t rows = 0, columns = 0;
};

struct OuterPlan {
  mlir::Type element;                       // bf16 or f16: what the products' operands are, or are rounded to
  llvm::SmallVector<OuterState> matrices;   // states of two axes
  llvm::SmallVector<unsigned> vectors;      // states of one axis, or none, that sum up what is elementwise
  llvm::SmallVector<recur::SumToOp> totals; // of each state: what its final value is summed up to
};

/// The plan of a scan whose final states are summed over the batch, and used for nothing else.
std::optional<OuterPlan> planOuter(recur::ScanInterface scan);

/// The 16-bit type of the function's inputs and parameters; null where there is none, or two.
mlir::Type operandTypeOf(mlir::Operation *op);
/// Whether `value`, an input of a step, may be an operand of matrix instructions: of 16 bits, or rounded to them, which no tensor of the
/// caller's is.
bool mayBeOperand(recur::ScanInterface scan, mlir::BlockArgument argument, mlir::Type element);
/// Elementwise on vectors of one length, without products: inputs (and parameters) that `value` is made of, or nothing.
std::optional<llvm::SmallVector<mlir::BlockArgument>> leavesOf(mlir::Value value);

} // namespace rondo::cuda
