// The kernel of a recur.sum_to: for every element of the result, loops over the operands' axes that it lacks.
#pragma once
#include "dialects/Recur/Recur.h"
#include "mlir/IR/BuiltinOps.h"
#include "rondo/Program.h"

namespace rondo::cpu {

/// Emits the kernel at the end of `module`. `operands` and `result` are tensors of `program`.
Launch emitSum(mlir::ModuleOp module, llvm::StringRef symbol, recur::SumToOp sum, const Program &program,
               llvm::ArrayRef<int> operands, int result, int64_t vectorBits);

} // namespace rondo::cpu
