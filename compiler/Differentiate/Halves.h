// The two halves of a gradient with its model's results: the way there, which no cotangent has a part in, and the way back.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseSet.h"

namespace rondo {

/// The operations of a differentiated function that depend on cotangents.
llvm::DenseSet<mlir::Operation *> opsOfWayBack(mlir::func::FuncOp function);

} // namespace rondo
