// choose-tiles: plans of chunks become plans of kernels on matrix instructions, or of steps. What a kernel of one size takes is read off
// the very region that it would have, so scans are formed on a copy, once for each size.
#include "compiler/Target/CUDA/ChunkHook.h"
#include "compiler/Target/CUDA/Passes.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

namespace rondo::cuda {
#define GEN_PASS_DEF_CHOOSETILES
#include "compiler/Target/CUDA/Passes.h.inc"
} // namespace rondo::cuda

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using rondo::chunk::Form;
using rondo::chunk::PlanAttr;
using rondo::chunk::Schedule;

namespace {

/// Sizes that are thought of; a later one must be better by more than the cost model knows.
constexpr int64_t kSizes[] = {64, 32};
constexpr double kBetterBy = 0.9;

SmallVector<Operation *> chunkedScans(ModuleOp module) {
  SmallVector<Operation *> scans;
  module.walk([&](Operation *op) {
    auto plan = op->getAttrOfType<PlanAttr>(kPlanAttr);
    if (isa<recur::ExpandScanOp, recur::DeltaScanOp>(op) && plan && plan.getForm() == Form::Chunk)
      scans.push_back(op);
  });
  return scans;
}

PlanAttr withChunk(PlanAttr plan, int64_t chunk) {
  return PlanAttr::get(plan.getContext(), plan.getForm(), plan.getSchedule(), chunk, plan.getInterval(),
                       plan.getValueTile(), plan.getWarps(), plan.getStages(), plan.getAhead(), plan.getSegments());
}

PlanAttr withTiles(PlanAttr plan, const TilePlan &tiles) {
  return PlanAttr::get(plan.getContext(), plan.getForm(), plan.getSchedule(), tiles.chunk, plan.getInterval(),
                       tiles.valueTile, tiles.warps, tiles.stages, tiles.ahead, plan.getSegments());
}

struct ChooseTiles : rondo::cuda::impl::ChooseTilesBase<ChooseTiles> {
  using ChooseTilesBase::ChooseTilesBase;

  /// Tiles come in chunks, and their kernels cut sequences by themselves.
  LogicalResult checkPlans() {
    WalkResult walk = getOperation().walk([](Operation *op) {
      auto plan = op->getAttrOfType<PlanAttr>(kPlanAttr);
      bool isOurs = !plan || (plan.getSchedule() == Schedule::Carry &&
                              (plan.getForm() == Form::Step || plan.getForm() == Form::Chunk));
      if (isOurs)
        return WalkResult::advance();
      op->emitError("a GPU has the forms step and chunk, and the schedule carry; got '")
          << stringifyForm(plan.getForm()) << "' by '" << stringifySchedule(plan.getSchedule()) << "'";
      return WalkResult::interrupt();
    });
    return failure(walk.wasInterrupted());
  }

  void runOnOperation() override {
    if (failed(checkPlans()))
      return signalPassFailure();
    SmallVector<Operation *> scans = chunkedScans(getOperation());
    SmallVector<Best> best(scans.size());
    SmallVector<int64_t> sizes(std::begin(kSizes), std::end(kSizes));
    if (chunk)
      sizes = {chunk};
    for (int64_t size : sizes)
      if (!scans.empty() && failed(tryChunks(size, best)))
        return signalPassFailure();
    bool any = false;
    for (auto [scan, found] : llvm::zip(scans, best)) {
      any |= found.plan != nullptr;
      if (found.plan) {
        scan->setAttr(kPlanAttr, found.plan);
        continue;
      }
      scan->setAttr(kPlanAttr, PlanAttr::get(&getContext(), Form::Step, Schedule::Carry, 1));
      scan->setAttr(kStepsBecauseAttr, StringAttr::get(&getContext(), found.reason));
      if (form != "chunk")
        scan->emitRemark("choose-tiles keeps to steps: ") << found.reason;
    }
    if (form == "chunk" && !any && !scans.empty()) {
      scans.back()->emitError("the model has no form 'chunk' on tensor cores: ") << best.back().reason;
      signalPassFailure();
    }
  }

private:
  struct Best {
    PlanAttr plan;
    double nanosecondsPerStep = 0;
    std::string reason;
  };

  /// Forms every scan in chunks of `size`, on a copy, and keeps what is better than before.
  LogicalResult tryChunks(int64_t size, MutableArrayRef<Best> best) {
    OwningOpRef<ModuleOp> copy = getOperation().clone();
    SmallVector<PlanAttr> plans;
    for (Operation *scan : chunkedScans(*copy)) {
      plans.push_back(withChunk(scan->getAttrOfType<PlanAttr>(kPlanAttr), size));
      scan->setAttr(kPlanAttr, plans.back());
    }
    PassManager passes(&getContext());
    passes.addPass(createFormChunks());
    passes.addPass(createCanonicalizerPass());
    passes.addPass(createCSEPass());
    if (failed(passes.run(*copy)))
      return failure();
    SmallVector<chunk::ScanOp> formed;
    copy->walk([&](chunk::ScanOp scan) { formed.push_back(scan); });
    if (formed.size() != best.size())
      return getOperation().emitError("choose-tiles: ")
             << best.size() << " scans have plans of chunks, and " << formed.size() << " have chunks of " << size;
    for (auto [scan, plan, found] : llvm::zip(formed, plans, best)) {
      TileChoice tiles = chooseTiles(scan, capabilityOf(arch));
      if (!tiles.reason.empty()) {
        if (found.reason.empty())
          found.reason = tiles.reason;
      } else if (!found.plan || tiles.nanosecondsPerStep < kBetterBy * found.nanosecondsPerStep) {
        found.plan = withTiles(plan, tiles.plan);
        found.nanosecondsPerStep = tiles.nanosecondsPerStep;
      }
    }
    return success();
  }
};

} // namespace
