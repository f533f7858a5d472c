// See ReferenceProgram.h.
#include "compiler/Driver/ReferenceProgram.h"
#include "compiler/Reference/Interpreter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <mutex>

using namespace mlir;
using namespace rondo;

static bool isResult(TensorKind kind) { return kind == TensorKind::Output || kind == TensorKind::Final; }

static reference::Array toArray(const Tensor &tensor) {
  reference::Array array = reference::Array::zeros(tensor.shape, isComplex(tensor.type));
  for (size_t i = 0; i < array.data.size(); ++i)
    array.data[i] = {loadReal(tensor, i), array.isComplex ? loadImag(tensor, i) : 0.0};
  return array;
}

static Result<void> interpretTensors(func::FuncOp model, const Program &signature, const std::vector<Tensor> &tensors,
                                     const reference::Noise &noise, DType products) {
  reference::Rounding rounding;
  if (products == DType::BF16)
    rounding = {8, -133};
  else if (products == DType::F16)
    rounding = {11, -24};
  std::vector<reference::Array> arguments;
  for (auto [spec, tensor] : llvm::zip(signature.tensors, tensors))
    if (!isResult(spec.kind))
      arguments.push_back(toArray(tensor));
  auto results = reference::interpret(model, arguments, {}, noise, rounding);
  if (!results)
    return Error("the reference interpreter: " + llvm::toString(results.takeError()));
  size_t next = 0;
  for (auto [spec, tensor] : llvm::zip(signature.tensors, tensors)) {
    if (!isResult(spec.kind))
      continue;
    const reference::Array &array = (*results)[next++];
    for (size_t i = 0; i < array.data.size(); ++i)
      storeElement(tensor, i, array.data[i].real(), array.data[i].imag());
  }
  return {};
}

std::shared_ptr<const Program> driver::makeReferenceProgram(std::shared_ptr<MLIRContext> context,
                                                            OwningOpRef<ModuleOp> module, Program signature,
                                                            reference::Noise noise, DType products) {
  struct Held {
    std::shared_ptr<MLIRContext> context; // first, so that it goes last
    OwningOpRef<ModuleOp> module;
    Program signature;
    std::mutex mutex; // the interpreter reads attributes through the context
  };
  auto held = std::make_shared<Held>();
  held->context = std::move(context);
  held->module = std::move(module);
  held->signature = signature;
  signature.host = [held, noise, products](const std::vector<Tensor> &tensors) {
    std::lock_guard<std::mutex> lock(held->mutex);
    auto model = *held->module->getOps<func::FuncOp>().begin();
    return interpretTensors(model, held->signature, tensors, noise, products);
  };
  return std::make_shared<const Program>(std::move(signature));
}
