// The function level: bind the sizes, run the ops in order, hand out what is returned.
#include "compiler/Reference/Interpreter.h"
#include "compiler/Reference/GradientInterpreter.h"
#include "compiler/Reference/OpCompiler.h"
#include "compiler/Reference/ScanInterpreter.h"
#include "dialects/Chunk/Chunk.h"

using namespace mlir;

namespace rondo::reference {

static llvm::Error runOp(Operation &op, OpCompiler &ops, const Sizes &sizes) {
  if (isa<recur::ScanOp, chunk::ScanOp, chunk::SegmentScanOp>(op))
    return interpretScan(cast<recur::ScanInterface>(op), ops, sizes);
  if (auto scan = dyn_cast<chunk::GradientScanOp>(op))
    return interpretGradientScan(scan, ops, sizes);
  auto run = ops.compile(op);
  if (!run)
    return run.takeError();
  (*run)();
  return llvm::Error::success();
}

/// What a kernel hands to another one in 16 bits is rounded when it is stored. Of the function's results that rounding is left to who compares.
static void storeRounded(Operation &op, OpCompiler &ops, const Rounding &rounding) {
  for (Value result : op.getResults()) {
    auto type = dyn_cast<RankedTensorType>(result.getType());
    if (!type || !(type.getElementType().isBF16() || type.getElementType().isF16()) ||
        llvm::any_of(result.getUsers(), llvm::IsaPred<func::ReturnOp>))
      continue;
    Array &array = ops.slot(result);
    llvm::transform(array.data, array.data.begin(), rounding);
  }
}

llvm::Expected<std::vector<Array>> interpret(func::FuncOp function, llvm::ArrayRef<Array> args,
                                             const std::map<std::string, int64_t> &dims, const Noise &noise,
                                             const Rounding &rounding) {
  if (!function.getBody().hasOneBlock())
    return failure("'" + function.getName() + "' is no model: its body is not one block");
  auto sizes = bindSizes(function, args, dims);
  if (!sizes)
    return sizes.takeError();
  sizes->noise = noise;
  sizes->rounding = rounding;
  OpCompiler ops(*sizes);
  for (auto [argument, array] : llvm::zip_equal(function.getArguments(), args))
    ops.define(argument, array);
  for (Operation &op : function.getBody().front().without_terminator()) {
    if (auto error = runOp(op, ops, *sizes))
      return error;
    if (rounding.bits)
      storeRounded(op, ops, rounding);
  }
  std::vector<Array> results;
  for (Value value : function.getBody().front().getTerminator()->getOperands())
    results.push_back(ops.slot(value));
  return results;
}

} // namespace rondo::reference
