// See Roundings.h.
#include "compiler/Driver/Roundings.h"
#include "compiler/Reference/Sizes.h"
#include "compiler/Target/CUDA/CellPlan.h"
#include "compiler/Target/CUDA/OuterPlan.h"
#include "compiler/Target/CUDA/ProductSums.h"
#include "dialects/Chunk/Chunk.h"
#include "dialects/Recur/Recur.h"

using namespace mlir;
using namespace rondo;

namespace {

/// The 16-bit type of a chunk's rows: what operands of matrix products are rounded to. f64 where nothing goes by chunks.
DType operandType(ModuleOp formed) {
  DType type = DType::F64;
  formed.walk([&](chunk::ScanOp scan) {
    for (Value input : scan.getInputs()) {
      Type element = cast<RankedTensorType>(input.getType()).getElementType();
      if (type == DType::F64 && (element.isBF16() || element.isF16()))
        type = element.isBF16() ? DType::BF16 : DType::F16;
    }
  });
  return type;
}

/// The 16-bit type of what one op of the function hands to another; f64 where there is none.
DType handedType(ModuleOp formed) {
  DType type = DType::F64;
  auto function = *formed.getOps<func::FuncOp>().begin();
  for (Operation &op : function.getBody().front().without_terminator())
    for (Value result : op.getResults()) {
      auto tensor = dyn_cast<RankedTensorType>(result.getType());
      const bool isHanded = llvm::any_of(result.getUsers(), [](Operation *user) { return !isa<func::ReturnOp>(user); });
      if (tensor && isHanded && (tensor.getElementType().isBF16() || tensor.getElementType().isF16()))
        type = tensor.getElementType().isBF16() ? DType::BF16 : DType::F16;
    }
  return type;
}

/// The products of a scan that matrix instructions compute, and the type of their operands.
struct Products {
  SmallVector<Value> results;
  Type element;
};

Products productsOf(recur::ScanInterface scan, StringRef arch) {
  Products products;
  if (std::optional<cuda::CellPlan> plan = cuda::planCell(scan, arch)) {
    products.element = plan->element;
    for (const cuda::CellPhase &phase : plan->phases)
      for (const cuda::CellJob &job : phase.jobs)
        for (const cuda::CellProduct &product : job.products)
          products.results.push_back(product.result);
  } else if (std::optional<cuda::OuterPlan> plan = cuda::planOuter(scan)) {
    products.element = plan->element;
    for (const cuda::OuterState &state : plan->matrices)
      for (const cuda::OuterTerm &term : state.terms)
        products.results.push_back(term.result);
  } else if (std::optional<cuda::ProductSumPlan> plan = cuda::planProductSums(scan)) {
    products.element = plan->element;
    for (const cuda::ProductSum &sum : plan->outputs)
      for (const cuda::SummedProduct &product : sum.products)
        products.results.push_back(product.result);
  }
  return products;
}

/// Marks what scans that keep their steps multiply by matrix instructions; the type of the operands, f64 where there are none.
DType markProducts(ModuleOp formed, StringRef arch) {
  DType type = DType::F64;
  formed.walk([&](recur::ScanOp op) {
    Products products = productsOf(cast<recur::ScanInterface>(op.getOperation()), arch);
    for (Value result : products.results) {
      type = products.element.isBF16() ? DType::BF16 : DType::F16;
      result.getDefiningOp()->setAttr(reference::kRoundedAttr, UnitAttr::get(op.getContext()));
    }
  });
  return type;
}

} // namespace

DType driver::markRoundings(ModuleOp formed, StringRef architecture) {
  DType products = operandType(formed), cells = architecture.empty() ? DType::F64 : markProducts(formed, architecture);
  for (DType type : {products, cells})
    if (type != DType::F64)
      return type;
  return handedType(formed);
}
