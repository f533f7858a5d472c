// See Roundings.h.
#include "compiler/Driver/Roundings.h"
#include "compiler/Reference/Sizes.h"
#include "compiler/Target/CUDA/CellPlan.h"
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

/// Marks what cells multiply by matrix instructions; the type of their operands, f64 where there are none.
DType markCells(ModuleOp formed, StringRef arch) {
  DType type = DType::F64;
  formed.walk([&](recur::ScanOp op) {
    std::optional<cuda::CellPlan> plan = cuda::planCell(cast<recur::ScanInterface>(op.getOperation()), arch);
    if (!plan)
      return;
    type = plan->element.isBF16() ? DType::BF16 : DType::F16;
    for (const cuda::CellPhase &phase : plan->phases)
      for (const cuda::CellJob &job : phase.jobs)
        for (const cuda::CellProduct &product : job.products)
          product.result.getDefiningOp()->setAttr(reference::kRoundedAttr, UnitAttr::get(op.getContext()));
  });
  return type;
}

} // namespace

DType driver::markRoundings(ModuleOp formed, StringRef architecture) {
  DType products = operandType(formed), cells = architecture.empty() ? DType::F64 : markCells(formed, architecture);
  return products == DType::F64 ? cells : products;
}
