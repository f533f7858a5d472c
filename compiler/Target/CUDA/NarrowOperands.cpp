// narrow-operands: see Passes.td.
#include "compiler/Target/CUDA/OuterPlan.h"
#include "compiler/Target/CUDA/Passes.h"
#include "compiler/Target/CUDA/ProductSums.h"
#include "llvm/ADT/DenseSet.h"

namespace rondo::cuda {
#define GEN_PASS_DEF_NARROWOPERANDS
#include "compiler/Target/CUDA/Passes.h.inc"
} // namespace rondo::cuda

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

namespace {

struct NarrowOperands : rondo::cuda::impl::NarrowOperandsBase<NarrowOperands> {
  void runOnOperation() override {
    for (auto scan : getOperation().getOps<recur::ScanInterface>())
      collect(scan);
    for (auto scan : getOperation().getOps<recur::ScanOp>())
      for (Value output : cast<recur::ScanInterface>(scan.getOperation()).outputs())
        if (isOperand(output)) {
          auto type = cast<RankedTensorType>(output.getType());
          output.setType(RankedTensorType::get(type.getShape(), operandTypeOf(scan), type.getEncoding()));
        }
  }

private:
  /// The products of `scan` that matrix instructions compute.
  void collect(recur::ScanInterface scan) {
    if (auto outer = planOuter(scan)) {
      sums.insert(scan.getOperation());
      for (const OuterState &state : outer->matrices)
        for (const OuterTerm &term : state.terms)
          products.insert(term.result.getDefiningOp());
    }
    if (auto plan = planProductSums(scan))
      for (const ProductSum &sum : plan->outputs)
        for (const SummedProduct &product : sum.products)
          products.insert(product.result.getDefiningOp());
  }

  /// Multiplied by matrix instructions somewhere, and otherwise summed up.
  bool isOperand(Value output) const {
    if (!cast<RankedTensorType>(output.getType()).getElementType().isF32())
      return false;
    bool multiplied = false;
    for (OpOperand &use : output.getUses()) {
      auto scan = dyn_cast<recur::ScanInterface>(use.getOwner());
      if (!scan)
        return false;
      auto given = scan.getInputs();
      recur::Step step(scan, &scan->getRegion(0).front());
      bool isInput = false;
      for (auto [value, argument] : llvm::zip(given, step.inputArgs())) {
        if (value != output)
          continue;
        isInput = true;
        for (Operation *user : argument.getUsers()) {
          auto map = dyn_cast<recur::MapOp>(user);
          bool product = products.contains(user);
          bool sum = sums.contains(scan.getOperation()) && map && map.getFn() == recur::Fn::Add;
          if (!product && !sum)
            return false;
          multiplied |= product;
        }
      }
      if (!isInput)
        return false;
    }
    return multiplied;
  }

  llvm::DenseSet<Operation *> products, sums;
};

} // namespace
