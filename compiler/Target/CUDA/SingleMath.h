// Functions of f32 on the special function unit, as accurate as those of the standard library but for a few units in the last place.
#pragma once
#include "mlir/IR/Builders.h"

namespace rondo::cuda {

/// e^x.
mlir::Value exp32(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);
mlir::Value tanh32(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);

/// Divisions of f32 as `div.full` (2 ulp, for all numbers): no branch, and a third of the instructions of one that is rounded to nearest.
void useFullDivision(mlir::Operation *kernel);

} // namespace rondo::cuda
