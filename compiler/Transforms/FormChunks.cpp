// form-chunks: an expansion of states becomes a chunk.scan. The mathematics of a chunk is in ExpansionChunk.cpp.
#include "compiler/Transforms/ExpansionChunk.h"
#include "compiler/Transforms/ExpansionRows.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/ScanForms.h"
#include "compiler/Transforms/SegmentParts.h"
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
      if (hasForms(op))
        raised.push_back(op);
    });
    for (Operation *op : raised) {
      auto plan = op->getAttrOfType<chunk::PlanAttr>(kPlanAttr);
      bool steps = !plan || plan.getForm() == chunk::Form::Step || plan.getForm() == chunk::Form::Scan;
      bool isCut = plan && plan.getSchedule() == chunk::Schedule::Segment;
      if (!isCut && (steps || !expansionOf(op)))
        continue;
      MissingForms missing = missingForms(op);
      std::string why = steps ? "" : missing.chunk;
      if (why.empty() && isCut)
        why = missing.segments;
      if (!why.empty())
        op->emitRemark("form-chunks declines: ") << why;
      else
        form(op, plan);
    }
  }

private:
  void form(Operation *raised, chunk::PlanAttr plan) {
    auto scan = cast<recur::ScanInterface>(raised);
    OpBuilder b(scan);
    Operation *formed =
        plan.getSchedule() == chunk::Schedule::Segment ? formSegments(b, scan, plan) : formChunks(b, scan, plan);
    scan->replaceAllUsesWith(formed);
    scan->erase();
  }

  void fillChunk(recur::ScanInterface scan, int64_t size, Block *chunk) {
    Expansion of = *expansionOf(scan);
    if (size <= rows && hasRows(of))
      buildRows(of, size, chunk);
    else
      buildChunk(of, size, chunk);
  }

  Operation *formChunks(OpBuilder &b, recur::ScanInterface scan, chunk::PlanAttr plan) {
    auto chunks = chunk::ScanOp::create(b, scan.getLoc(), scan->getResultTypes(), scan.getInputs(), scan.getParams(),
                                        scan.getInits(), scan.getResets(), scan.getOffsets(), scan.getAxes(),
                                        scan.getStates(), plan);
    buildStep(scan, &chunks.getStep().emplaceBlock());
    fillChunk(scan, plan.getChunk(), &chunks.getChunk().emplaceBlock());
    return chunks;
  }

  Operation *formSegments(OpBuilder &b, recur::ScanInterface scan, chunk::PlanAttr plan) {
    auto segments = chunk::SegmentScanOp::create(b, scan.getLoc(), scan->getResultTypes(), scan.getInputs(),
                                                 scan.getParams(), scan.getInits(), scan.getResets(), scan.getOffsets(),
                                                 scan.getAxes(), scan.getStates(), plan, b.getArrayAttr({}),
                                                 b.getArrayAttr({}), DenseI64ArrayAttr());
    SegmentParts parts =
        buildSegmentParts(scan, plan.getChunk(), segments.getEndsStep(), segments.getEndsChunk(), segments.getJoin());
    segments.setPartsAttr(b.getArrayAttr(parts.parts));
    segments.setBeginsAttr(b.getArrayAttr(parts.begins));
    if (scan.getResets())
      segments.setEnds(parts.ends);
    buildStep(scan, &segments.getStep().emplaceBlock());
    if (plan.getChunk() > 1)
      fillChunk(scan, plan.getChunk(), &segments.getChunk().emplaceBlock());
    return segments;
  }
};

} // namespace
