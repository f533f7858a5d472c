// See TileSpace.h.
#include "compiler/Target/CUDA/TileSpace.h"
#include "compiler/Target/CUDA/ChunkHook.h"
#include "compiler/Target/CUDA/ChunkKernel.h"
#include "compiler/Transforms/ExpansionChunk.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/ScanForms.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include <cmath>

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using rondo::chunk::Form;
using rondo::chunk::PlanAttr;
using rondo::chunk::Schedule;

namespace {

/// Plans that are expected to take so many times the best are not worth a look.
constexpr double kWorthALook = 4;

PlanAttr withChunk(PlanAttr plan, int64_t chunk) {
  return PlanAttr::get(plan.getContext(), plan.getForm(), plan.getSchedule(), chunk, plan.getInterval(), 0, 0, 0, false,
                       false, plan.getSegments());
}

PlanAttr attrOf(MLIRContext *context, const TilePlan &tiles, int64_t segments) {
  return PlanAttr::get(context, Form::Chunk, Schedule::Carry, tiles.chunk, 16, tiles.valueTile, tiles.warps,
                       tiles.stages, tiles.ahead, tiles.warpgroups, segments);
}

bool hasChunkForm(Operation *op) {
  if (auto expand = dyn_cast<recur::ExpandScanOp>(op))
    return noChunkForm(Expansion(expand)).empty();
  if (auto delta = dyn_cast<recur::DeltaScanOp>(op))
    return noChunkForm(Expansion(delta)).empty();
  return false;
}

/// Adds the plans of one scan formed in chunks of one size.
void addPlans(chunk::ScanOp scan, Architecture arch, std::vector<TileCandidate> &plans) {
  TileProgramOrReason planned = planTiles(scan);
  if (!planned.reason.empty())
    return;
  const bool cut = whyNoSegments(planned.program).empty();
  for (const TilePlan &tiles : tilePlans(planned.program, arch).fit) {
    const double cost = chunkNanoseconds(planned.program, tiles) / double(tiles.chunk);
    for (int64_t segments = 0; segments <= (cut ? 2 : 0); ++segments) // the call's choice, none, some
      plans.push_back({attrOf(scan.getContext(), tiles, segments), cost});
  }
}

/// The cheapest first, without what is far from it.
void prune(std::vector<TileCandidate> &plans) {
  auto order = [](const TileCandidate &each) {
    return std::tuple(each.cost, -each.plan.getChunk(), -each.plan.getValueTile(), -each.plan.getWarps(),
                      -each.plan.getStages(), each.plan.getAhead(), each.plan.getWarpgroups(), each.plan.getSegments());
  };
  llvm::sort(plans, [&](const TileCandidate &a, const TileCandidate &b) { return order(a) < order(b); });
  llvm::erase_if(plans, [&, best = plans.front().cost](const TileCandidate &each) {
    return each.cost > kWorthALook * best && each.plan.getForm() != Form::Step;
  });
}

} // namespace

SmallVector<Operation *> rondo::cuda::chunkedScans(ModuleOp module) {
  SmallVector<Operation *> scans;
  module.walk([&](Operation *op) {
    auto plan = op->getAttrOfType<PlanAttr>(kPlanAttr);
    if (isa<recur::ExpandScanOp, recur::DeltaScanOp>(op) && plan && plan.getForm() == Form::Chunk)
      scans.push_back(op);
  });
  return scans;
}

FailureOr<FormedChunks> rondo::cuda::formChunksOf(ModuleOp module, int64_t size) {
  FormedChunks formed;
  formed.copy = module.clone();
  SmallVector<Operation *> scans = chunkedScans(*formed.copy);
  for (Operation *scan : scans)
    scan->setAttr(kPlanAttr, withChunk(scan->getAttrOfType<PlanAttr>(kPlanAttr), size));
  PassManager passes(module.getContext());
  passes.addPass(createFormChunks());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  if (failed(passes.run(*formed.copy)))
    return failure();
  formed.copy->walk([&](chunk::ScanOp scan) { formed.scans.push_back(scan); });
  if (formed.scans.size() != scans.size())
    return module.emitError("choose-tiles: ")
           << scans.size() << " scans have plans of chunks, and " << formed.scans.size() << " have chunks of " << size;
  return formed;
}

TilePlans rondo::cuda::tilePlans(const TileProgram &program, Architecture arch, const TileAsk &ask) {
  TilePlans plans;
  auto values = [](int64_t asked, ArrayRef<int64_t> all) {
    return asked ? SmallVector<int64_t>{asked} : SmallVector<int64_t>(all);
  };
  auto choices = [](std::optional<bool> asked) {
    return asked ? SmallVector<bool>{*asked} : SmallVector<bool>{false, true};
  };
  auto visit = [&](const TilePlan &plan) {
    std::string why = whyNot(program, plan);
    if (why.empty() && chunkNanoseconds(program, plan) >= 1e30)
      why = "its threads want more registers than a multiprocessor has";
    if (why.empty())
      plans.fit.push_back(plan);
    else if (plans.whyNone.empty())
      plans.whyNone = why;
  };
  const int64_t steps = const_cast<chunk::ScanOp &>(program.scan).size();
  for (int64_t valueTile : values(ask.valueTile, {128, 64, 32, 16}))
    for (int64_t columns : {16, 32, 64}) {
      const int64_t warps = ask.warps ? ask.warps : valueTile / columns;
      if (!ask.warps && (valueTile % columns || warps < 1))
        continue;
      for (int64_t stages : values(ask.stages, {4, 3, 2}))
        for (bool isAhead : choices(ask.ahead))
          for (bool warpgroups : choices(ask.warpgroups))
            visit({steps, valueTile, warps, stages, isAhead, warpgroups, arch});
      if (ask.warps)
        break;
    }
  return plans;
}

double rondo::cuda::distance(const TilePlan &a, const TilePlan &b) {
  double sum = (a.ahead != b.ahead) + (a.warpgroups != b.warpgroups);
  for (auto [x, y] : {std::pair(a.chunk, b.chunk), std::pair(a.valueTile, b.valueTile), std::pair(a.warps, b.warps),
                      std::pair(a.stages, b.stages)})
    sum += std::abs(std::log2(double(std::max<int64_t>(x, 1)) / double(std::max<int64_t>(y, 1))));
  return sum;
}

FailureOr<std::vector<std::vector<TileCandidate>>> rondo::cuda::tileSpace(ModuleOp raised, StringRef arch) {
  MLIRContext *context = raised.getContext();
  const PlanAttr steps = PlanAttr::get(context, Form::Step, Schedule::Carry, 1);
  OwningOpRef<ModuleOp> asked = raised.clone();
  std::vector<std::vector<TileCandidate>> space;
  SmallVector<size_t> chunked; // numbers of the scans that have chunks
  asked->walk([&](Operation *op) {
    if (!hasForms(op))
      return;
    if (hasChunkForm(op))
      chunked.push_back(space.size());
    op->setAttr(kPlanAttr, hasChunkForm(op) ? PlanAttr::get(context, Form::Chunk, Schedule::Carry, 32) : steps);
    space.push_back({{steps, kStepNanoseconds}});
  });
  for (int64_t size : kTileChunks) {
    FailureOr<FormedChunks> formed = formChunksOf(*asked, size);
    if (failed(formed))
      return failure();
    for (auto [number, scan] : llvm::zip(chunked, formed->scans))
      addPlans(scan, capabilityOf(arch), space[number]);
  }
  for (std::vector<TileCandidate> &plans : space)
    prune(plans);
  return space;
}
