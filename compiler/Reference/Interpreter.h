// The reference interpreter: what a model computes, step by step in double precision, read straight off its recur IR. It is the
// oracle of every other path, so it shares nothing with them: no pass, no lowering, no runtime. Written to be read; quick enough
// for test sizes, because each op is looked up once and not once per step.
#pragma once
#include "compiler/Reference/Array.h"
#include "compiler/Reference/Sizes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/Error.h"
#include <map>
#include <string>

namespace rondo::reference {

/// Runs a model's function. `args` are in the function's order (inputs, parameters, initial values), each with the axes of its
/// type; element types are ignored, everything is double or complex double. Sizes that the types leave open come from the
/// arguments' shapes; `dims` adds dimensions that no argument shows. Results are in the function's order (outputs, final states).
/// `noise`: results of operations are off by 2^-24, which shows what rounding in f32 could do.
/// `rounding` says what operands of matrix products are rounded to inside chunks; see Sizes.h.
/// Errors: arguments whose shapes contradict the types or each other, a dimension without a size, an op that is not recur's.
llvm::Expected<std::vector<Array>> interpret(mlir::func::FuncOp function, llvm::ArrayRef<Array> args,
                                             const std::map<std::string, int64_t> &dims = {}, const Noise &noise = {},
                                             const Rounding &rounding = {});

} // namespace rondo::reference
