// form-chunks: an expansion of states becomes a chunk.scan. The mathematics of a chunk is in ExpansionChunk.cpp.
#include "compiler/Transforms/ExpansionChunk.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/Chunk/Chunk.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace rondo {
#define GEN_PASS_DEF_FORMCHUNKS
#include "compiler/Transforms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

struct FormChunks : rondo::impl::FormChunksBase<FormChunks> {
  using FormChunksBase::FormChunksBase;

  void runOnOperation() override {
    SmallVector<Operation *> raised;
    getOperation().walk([&](Operation *op) {
      if (isa<recur::ExpandScanOp, recur::DeltaScanOp>(op))
        raised.push_back(op);
    });
    for (Operation *op : raised) {
      auto expand = dyn_cast<recur::ExpandScanOp>(op);
      auto plan = op->getAttrOfType<chunk::PlanAttr>(kPlanAttr);
      if (!plan || plan.getForm() != chunk::Form::Chunk)
        continue;
      Expansion of = expand ? Expansion(expand) : Expansion(cast<recur::DeltaScanOp>(op));
      if (std::string why = noChunkForm(of); !why.empty())
        op->emitRemark("form-chunks declines: ") << why;
      else
        form(of, plan);
    }
  }

private:
  void form(const Expansion &of, chunk::PlanAttr plan) {
    recur::ScanInterface scan = of.scan;
    OpBuilder b(scan);
    auto chunks = chunk::ScanOp::create(b, scan.getLoc(), scan->getResultTypes(), scan.getInputs(), scan.getParams(),
                                        scan.getInits(), scan.getResets(), scan.getOffsets(), scan.getAxes(),
                                        scan.getStates(), plan);
    buildStep(scan, &chunks.getStep().emplaceBlock());
    buildChunk(of, plan.getChunk(), &chunks.getChunk().emplaceBlock());
    scan->replaceAllUsesWith(chunks);
    scan->erase();
  }
};

} // namespace
