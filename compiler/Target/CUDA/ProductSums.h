// A scan without states whose outputs are sums of products of parameters with inputs, each with an input of its own, in either direction of the
// parameter (the gradient of what several gates take): a product of matrices, 128 steps times 128 units a block, whose summed axis is all of
// the products' axes, one behind another. ProductKernel has the products of one input.
#pragma once
#include "compiler/Target/CPU/ElementOps.h"
#include "compiler/Target/CUDA/BlockProduct.h"
#include "compiler/Target/CUDA/KernelArguments.h"
#include "compiler/Target/CUDA/KernelBuilder.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>

namespace rondo::cuda {

/// `result` = parameter `param`, or with `transposed` its transpose, times `vector` of the step.
struct SummedProduct {
  mlir::Value result, vector;
  unsigned param;
  bool transposed;
  int64_t sums; // length of the vector
};

struct ProductSum {
  llvm::SmallVector<SummedProduct> products;
  llvm::SmallVector<mlir::Value> rest; // elementwise, added to them
  int64_t units = 0;
};

struct ProductSumPlan {
  mlir::Type element;                    // bf16 or f16: what operands are, or are rounded to
  llvm::SmallVector<ProductSum> outputs; // each of the scan's
};

std::optional<ProductSumPlan> planProductSums(recur::ScanInterface scan);

class ProductSumKernel : ScanOperands, KernelBuilder {
public:
  ProductSumKernel(recur::ScanInterface scan, const Program &program, ScanTensors tensors, ProductSumPlan plan);
  Launch emit(mlir::ModuleOp module, llvm::StringRef symbol);

private:
  using Scope = llvm::DenseMap<mlir::Value, cpu::Element>;
  using Run = llvm::ArrayRef<SummedProduct>;

  bool isPlain(mlir::Value value) const;
  bool alike(const SummedProduct &x, const SummedProduct &y) const;
  void openBlock();
  void emitOutput(unsigned number, mlir::Value tile);
  llvm::SmallVector<mlir::Value> addRun(Run run, int64_t units, mlir::Value firstUnit, mlir::ValueRange sums);
  void stage(Run run, int64_t units, mlir::Value firstUnit, mlir::Value number, mlir::Value to);
  void finishPair(unsigned number, mlir::Value row, mlir::Value unit, mlir::Value low, mlir::Value high);
  mlir::Value evaluate(mlir::Value value, Scope &scope, mlir::Value row, mlir::Value unit);
  mlir::Value chosen(Run run, mlir::Value which, llvm::function_ref<mlir::Value(const SummedProduct &)> of);
  mlir::Value addressOf(const Operand &operand, size_t argument);

  recur::ScanInterface scan;
  const Program &program;
  ScanTensors tensors;
  ProductSumPlan plan;
  recur::Step step;
  Lanes l;
  cpu::ElementOps ops;
  Launch launch;
  mlir::Value thread, stepsLeft; // i32
};

} // namespace rondo::cuda
