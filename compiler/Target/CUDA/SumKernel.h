// The kernel of a recur.sum_to: a thread for each element of the result, or eight where axes are summed over. The order of every sum is
// fixed by the sizes, so that results are the same bit for bit from run to run.
#pragma once
#include "dialects/Recur/Recur.h"
#include "mlir/IR/BuiltinOps.h"
#include "rondo/Program.h"

namespace rondo::cuda {

/// Emits the kernel at the end of `module`. `operands` and `result` are tensors of `program`.
Launch emitSum(mlir::ModuleOp module, llvm::StringRef symbol, recur::SumToOp sum, const Program &program,
               llvm::ArrayRef<int> operands, int result);

} // namespace rondo::cuda
