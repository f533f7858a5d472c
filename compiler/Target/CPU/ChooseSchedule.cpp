// choose-schedule: scans are cut into segments of time where threads can share out nothing else. Which call takes segments, and how many, is
// the runtime's choice (runtime/core/Dispatch.cpp).
#include "compiler/Analysis/Ranges.h"
#include "compiler/Target/CPU/Passes.h"
#include "compiler/Target/CPU/ValueTiles.h"
#include "compiler/Transforms/AskedPlans.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/RaisedStep.h"
#include "compiler/Transforms/ScanForms.h"
#include "dialects/Chunk/Chunk.h"
#include "mlir/IR/BuiltinOps.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_CHOOSESCHEDULE
#include "compiler/Target/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;
using rondo::chunk::PlanAttr;

namespace {

/// Blocks that an axis of the values is cut into at most (buildLowerScan in compiler/Pipeline/Phases.cpp).
constexpr int64_t kMostBlocks = 4;
/// Finding out the map of a transition between keys costs about as much as the segment itself: with less threads nothing is gained.
constexpr int64_t kThreadsForTransitions = 4;

struct ChooseSchedule : rondo::cpu::impl::ChooseScheduleBase<ChooseSchedule> {
  using ChooseScheduleBase::ChooseScheduleBase;

  void runOnOperation() override {
    SmallVector<Operation *> raised;
    getOperation().walk([&](Operation *op) {
      if (hasForms(op) && op->hasAttr(kPlanAttr))
        raised.push_back(op);
    });
    FailureOr<AskedPlans> asked = AskedPlans::parse(plan, [&] { return getOperation().emitError(); });
    if (failed(asked))
      return signalPassFailure();
    for (Operation *op : raised)
      if (isFree(op, *asked))
        choose(op);
  }

private:
  /// Whether the scan's schedule is the compiler's choice. Who asks for steps asks for one after another.
  bool isFree(Operation *op, AskedPlans &asked) {
    auto scan = cast<recur::ScanInterface>(op);
    std::optional<AskedPlans::Value> ofPlan = asked.find(scan, "form");
    StringRef wanted = ofPlan ? StringRef(ofPlan->text) : StringRef(form);
    return wanted != "step" && !asked.find(scan, "schedule");
  }

  void choose(Operation *op) {
    auto plan = op->getAttrOfType<PlanAttr>(kPlanAttr);
    if (threads < 2 || plan.getSchedule() != chunk::Schedule::Carry || !missingForms(op).segments.empty())
      return;
    int64_t blocks = blocksOf(op);
    bool mixes = isa<recur::DeltaScanOp>(op);
    std::string why = blocks == 1 ? "no axis of the values can be shared out"
                                  : "an axis of the values makes " + std::to_string(blocks) + " blocks, for " +
                                        std::to_string(threads) + " threads";
    if (blocks >= threads || (mixes && threads < kThreadsForTransitions) || !decaysAreBounded(op))
      return;
    auto form = isa<recur::LinearScanOp>(op) ? chunk::Form::Scan : plan.getForm();
    op->setAttr(kPlanAttr,
                PlanAttr::get(&getContext(), form, chunk::Schedule::Segment, plan.getChunk(), plan.getInterval()));
    op->setAttr(kScheduleBecauseAttr, StringAttr::get(&getContext(), why));
  }

  /// Blocks that threads can share out, by the step of the scan: chunks are independent along the same axes.
  int64_t blocksOf(Operation *op) {
    auto scan = cast<recur::ScanInterface>(op);
    OpBuilder b(op);
    auto step =
        recur::ScanOp::create(b, op->getLoc(), op->getResultTypes(), scan.getInputs(), scan.getParams(),
                              scan.getInits(), scan.getResets(), scan.getOffsets(), scan.getAxes(), scan.getStates());
    buildStep(op, &step.getBody().emplaceBlock());
    std::optional<ValueTiles> tiles = findValueTiles(cast<recur::ScanInterface>(*step));
    step->erase();
    return tiles ? tiles->extent / valueBlock(tiles->extent, std::min<int64_t>(threads, kMostBlocks)) : 1;
  }

  /// Products of decays over a segment must not overflow where the steps do not.
  static bool decaysAreBounded(Operation *op) {
    auto linear = dyn_cast<recur::LinearScanOp>(op);
    if (linear && linear.getSemiring() != recur::Semiring::PlusTimes)
      return true; // sums
    auto given = cast<recur::CoefficientsOp>(op->getRegion(0).front().getTerminator());
    analysis::Ranges ranges;
    return llvm::all_of(given.getDecays(), [&](Value decay) { return ranges.of(decay).magnitude() <= 1; });
  }
};

} // namespace
