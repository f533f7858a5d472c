// choose-tiles: plans of chunks become plans of kernels on matrix instructions, or of steps. What a kernel of one size takes is read off
// the very region that it would have, so scans are formed on a copy, once for each size.
#include "compiler/Target/CUDA/ChunkHook.h"
#include "compiler/Target/CUDA/Passes.h"
#include "compiler/Target/CUDA/ScanPlan.h"
#include "compiler/Target/CUDA/ScanReductions.h"
#include "compiler/Target/CUDA/TileSpace.h"
#include "compiler/Transforms/AskedPlans.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/SegmentParts.h"
#include "dialects/Recur/Recur.h"

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
constexpr int64_t kSizes[] = {32, 64};
constexpr double kBetterBy = 0.95;

PlanAttr withTiles(PlanAttr plan, const TilePlan &tiles) {
  return PlanAttr::get(plan.getContext(), plan.getForm(), plan.getSchedule(), tiles.chunk, plan.getInterval(),
                       tiles.valueTile, tiles.warps, tiles.stages, tiles.ahead, tiles.warpgroups, plan.getSegments());
}

/// One scan: what is asked of its plan, and the best that was found.
struct Scan {
  Operation *op;
  PlanAttr given; // by choose-plans
  TileAsk ask;
  bool asked = false;    // something is asked of it, which is refused where it has tiles, but not these
  bool demanded = false; // by name, or as a form: it is refused in any case
  bool hasTiles = false;
  PlanAttr plan;
  double nanosecondsPerStep = 0;
  std::string reason; // why there is none
};

struct ChooseTiles : rondo::cuda::impl::ChooseTilesBase<ChooseTiles> {
  using ChooseTilesBase::ChooseTilesBase;

  /// Tiles come in chunks, and their kernels cut sequences by themselves.
  LogicalResult checkPlans() {
    WalkResult walk = getOperation().walk([](Operation *op) {
      auto plan = op->getAttrOfType<PlanAttr>(kPlanAttr);
      bool isOurs = !plan || (plan.getSchedule() == Schedule::Carry &&
                              (plan.getForm() == Form::Step || plan.getForm() == Form::Chunk));
      if (isOurs || (isa<recur::LinearScanOp>(op) && plan.getForm() == Form::Scan))
        return WalkResult::advance();
      op->emitError("a GPU has the forms step and chunk by 'carry', and scan by 'segment'; got '")
          << stringifyForm(plan.getForm()) << "' by '" << stringifySchedule(plan.getSchedule()) << "'";
      return WalkResult::interrupt();
    });
    return failure(walk.wasInterrupted());
  }

  void runOnOperation() override {
    if (failed(checkPlans()))
      return signalPassFailure();
    FailureOr<AskedPlans> asked = AskedPlans::parse(plan, [&] { return getOperation().emitError(); });
    if (failed(asked))
      return signalPassFailure();
    SmallVector<Scan> scans;
    for (Operation *op : chunkedScans(getOperation()))
      scans.push_back(makeScan(op, *asked));
    for (int64_t size : sizesOf(scans))
      if (!scans.empty() && failed(tryChunks(size, scans)))
        return signalPassFailure();
    for (auto [number, scan] : llvm::enumerate(scans))
      if (!scan.plan && (scan.demanded || (scan.asked && scan.hasTiles))) {
        refuse(scan, number);
        return signalPassFailure();
      }
    if (failed(chooseSegments(*asked)))
      return signalPassFailure();
    bool any = false;
    for (Scan &scan : scans) {
      any |= scan.plan != nullptr;
      if (scan.plan)
        scan.op->setAttr(kPlanAttr, scan.plan);
      else
        keepToSteps(scan);
    }
    if (form == "chunk" && !any && !scans.empty()) {
      scans.back().op->emitError("the model has no form 'chunk' on tensor cores: ") << scans.back().reason;
      signalPassFailure();
    }
  }

private:
  /// Elementwise recurrences are cut into segments of time, by calls for which that pays.
  LogicalResult chooseSegments(AskedPlans &asked) {
    bool any = false;
    recur::LinearScanOp refused;
    std::string reason;
    SmallVector<recur::LinearScanOp> scans;
    getOperation().walk([&](recur::LinearScanOp scan) { scans.push_back(scan); });
    for (recur::LinearScanOp scan : scans) {
      auto plan = scan->getAttrOfType<PlanAttr>(kPlanAttr);
      bool byName = static_cast<bool>(asked.find(scan, "form")), isAsked = plan && plan.getForm() == Form::Scan;
      if (!plan || gradient || (!isAsked && (form != "auto" || byName)))
        continue;
      std::string why = noSegments(scan);
      ScanPlanOrReason tiles;
      if (why.empty())
        tiles = planScan(scan);
      if (why.empty() && !tiles.reason.empty() && (isAsked || form == "auto"))
        tiles = planRest(scan, std::move(tiles));
      if (why.empty())
        why = tiles.reason;
      any |= why.empty();
      if (why.empty()) {
        scan->setAttr(kPlanAttr, PlanAttr::get(&getContext(), Form::Scan, Schedule::Segment, 1));
        scan->setAttr(kScanTilesAttr, Builder(&getContext()).getI64IntegerAttr(tiles.plan.steps()));
      } else if (byName && isAsked)
        return scan.emitError("the scan of '") << stateNames(scan) << "' has no form 'scan' on a GPU: " << why;
      if (!why.empty()) {
        scan->setAttr(kPlanAttr, PlanAttr::get(&getContext(), Form::Step, Schedule::Carry, 1));
        scan->setAttr(kScheduleBecauseAttr, StringAttr::get(&getContext(), "not in segments, since " + why));
        refused = scan;
        reason = why;
      }
    }
    if (form == "scan" && refused && !any)
      return refused.emitError("the model has no form 'scan' on a GPU: ") << reason;
    return success();
  }

  /// The plan of what is left of a scan without its sums over rows, which takes its place; `refused` where that has none either.
  static ScanPlanOrReason planRest(recur::LinearScanOp &scan, ScanPlanOrReason refused) {
    recur::LinearScanOp rest = withoutReductions(scan);
    if (!rest)
      return refused;
    ScanPlanOrReason tiles = planScan(rest);
    Operation *old = rest, *sums = rest.getInputs().back().getDefiningOp();
    if (tiles.reason.empty()) {
      old = scan;
      scan->replaceAllUsesWith(rest->getResults());
      scan = rest;
    }
    old->erase();
    if (!tiles.reason.empty()) {
      sums->erase();
      return refused;
    }
    return tiles;
  }

  Scan makeScan(Operation *op, AskedPlans &asked) {
    Scan scan{op, op->getAttrOfType<PlanAttr>(kPlanAttr), {}, false, false, false, {}, 0, ""};
    auto recurrence = cast<recur::ScanInterface>(op);
    scan.ask = {chunk, scan.given.getValueTile(), scan.given.getWarps(), scan.given.getStages(), std::nullopt,
                false}; // who asks for a part of a plan asks for warpgroups, too
    for (StringRef name : {"form", "chunk", "value_tile", "warps", "stages", "ahead", "warpgroups"})
      if (std::optional<AskedPlans::Value> value = asked.find(recurrence, name)) {
        scan.asked = true;
        scan.demanded |= value->named || name == "form";
        if (name == "chunk")
          scan.ask.chunk = scan.given.getChunk();
        if (name == "ahead")
          scan.ask.ahead = scan.given.getAhead();
        if (name == "warpgroups")
          scan.ask.warpgroups = scan.given.getWarpgroups();
      }
    // A plan in full says so where scores do not run ahead, too: the attribute leaves that out.
    if (scan.ask.valueTile && scan.ask.warps && scan.ask.stages)
      scan.ask.ahead = scan.given.getAhead();
    return scan;
  }

  SmallVector<int64_t> sizesOf(ArrayRef<Scan> scans) const {
    SmallVector<int64_t> sizes;
    auto add = [&](int64_t size) {
      if (!llvm::is_contained(sizes, size))
        sizes.push_back(size);
    };
    for (const Scan &scan : scans)
      if (scan.ask.chunk)
        add(scan.ask.chunk);
      else
        llvm::for_each(kSizes, add);
    return sizes;
  }

  /// Forms every scan in chunks of `size`, on a copy, and keeps what is better than before.
  LogicalResult tryChunks(int64_t size, MutableArrayRef<Scan> scans) {
    FailureOr<FormedChunks> formed = formChunksOf(getOperation(), size);
    if (failed(formed))
      return failure();
    for (auto [scan, chunks] : llvm::zip(scans, formed->scans))
      if (!scan.ask.chunk || scan.ask.chunk == size)
        tryScan(scan, chunks);
    return success();
  }

  void tryScan(Scan &scan, chunk::ScanOp formed) {
    scan.hasTiles |= planTiles(formed).reason.empty();
    Architecture chosenFor = capabilityOf(arch);
    chosenFor.isSpecific &= warpgroups;
    TileChoice tiles = scan.ask.kernel() ? follow(scan, formed) : chooseTiles(formed, chosenFor);
    if (!tiles.reason.empty()) {
      if (scan.reason.empty())
        scan.reason = tiles.reason;
    } else if (!scan.plan || tiles.nanosecondsPerStep < kBetterBy * scan.nanosecondsPerStep) {
      scan.plan = withTiles(scan.given, tiles.plan);
      scan.nanosecondsPerStep = tiles.nanosecondsPerStep;
    }
  }

  /// The best plan that has what is asked for.
  TileChoice follow(Scan &scan, chunk::ScanOp formed) {
    TileProgramOrReason planned = planTiles(formed);
    TileChoice tiles{std::move(planned.program), {}, std::move(planned.reason), 0};
    if (!tiles.reason.empty())
      return tiles;
    const TilePlans plans = tilePlans(tiles.program, capabilityOf(arch), scan.ask);
    for (const TilePlan &plan : plans.fit) {
      const double cost = chunkNanoseconds(tiles.program, plan) / double(plan.chunk);
      if (tiles.nanosecondsPerStep == 0 || cost < tiles.nanosecondsPerStep) {
        tiles.plan = plan;
        tiles.nanosecondsPerStep = cost;
      }
    }
    if (plans.fit.empty())
      tiles.reason = plans.whyNone;
    return tiles;
  }

  /// Says which constraint what is asked for breaks, and what comes nearest.
  void refuse(const Scan &scan, size_t number) {
    const TileAsk &ask = scan.ask;
    const TilePlan wanted{ask.chunk ? ask.chunk : 64, ask.valueTile ? ask.valueTile : 64,
                          ask.warps ? ask.warps : 4,  ask.stages ? ask.stages : 3,
                          ask.ahead.value_or(false),  ask.warpgroups.value_or(false),
                          capabilityOf(arch)};
    std::optional<TilePlan> nearest;
    for (int64_t size : kTileChunks) {
      FailureOr<FormedChunks> formed = formChunksOf(getOperation(), size);
      if (failed(formed))
        return;
      TileProgramOrReason planned = planTiles(formed->scans[number]);
      if (!planned.reason.empty())
        break;
      for (const TilePlan &plan : tilePlans(planned.program, capabilityOf(arch)).fit)
        if (!nearest || distance(plan, wanted) < distance(*nearest, wanted))
          nearest = plan;
    }
    auto recurrence = cast<recur::ScanInterface>(scan.op);
    InFlightDiagnostic error = scan.op->emitError("the scan of '")
                               << stateNames(recurrence) << "' cannot follow the plan '" << planText(scan.given)
                               << "': " << scan.reason;
    PlanAttr plan =
        nearest ? withTiles(scan.given, *nearest) : PlanAttr::get(&getContext(), Form::Step, Schedule::Carry, 1);
    error.attachNote() << "the nearest that it can follow is '" << planText(plan) << "'";
  }

  void keepToSteps(const Scan &scan) {
    scan.op->setAttr(kPlanAttr, PlanAttr::get(&getContext(), Form::Step, Schedule::Carry, 1));
    scan.op->setAttr(kStepsBecauseAttr, StringAttr::get(&getContext(), "not on matrix instructions: " + scan.reason));
    if (form != "chunk")
      scan.op->emitRemark("choose-tiles keeps to steps: ") << scan.reason;
  }
};

} // namespace
