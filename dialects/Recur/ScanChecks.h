// The checks that all scans share. Each names the constraint of recur.scan that is broken.
#pragma once
#include "dialects/Recur/Recur.h"

namespace rondo::recur {

/// C1 to C11: axes, states and operands.
mlir::LogicalResult verifyScanOperands(ScanInterface scan);
/// C12 and C13: arguments of a region that is one step, and `more` behind them.
mlir::LogicalResult verifyStepArguments(const Step &step, size_t more = 0, llvm::StringRef constraint = "C12");
/// C1 to C6 of `recur.contract`: that `result` can be the contraction of the operands. Errors are at `op`.
mlir::LogicalResult verifyContraction(mlir::Operation *op, llvm::StringRef spec, mlir::ValueRange operands,
                                      mlir::Value result);
/// C12 to C15: arguments and yielded values of a region that is one step.
mlir::LogicalResult verifyStepRegion(const Step &step);
/// C16 to C18: results, given the types of one step's new states and outputs.
mlir::LogicalResult verifyScanResults(ScanInterface scan, mlir::TypeRange states, mlir::TypeRange outputs);
/// What `b` has where `a` had implicit axes: the same named axes, sizes that agree, elements of the same kind.
bool sameFeatures(mlir::Type a, mlir::Type b);

} // namespace rondo::recur
