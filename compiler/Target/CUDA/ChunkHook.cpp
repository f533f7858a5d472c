// See ChunkHook.h.
#include "compiler/Target/CUDA/ChunkHook.h"
#include "compiler/Target/CUDA/ChunkKernel.h"
#include "compiler/Target/CUDA/TileCost.h"
#include "compiler/Target/CUDA/TilePasses.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

Architecture rondo::cuda::capabilityOf(StringRef arch) {
  int64_t number = 0;
  arch.consume_front("sm_");
  arch.consumeInteger(10, number);
  return {number, arch == "a"};
}

TileChoice rondo::cuda::chooseTiles(chunk::ScanOp scan, Architecture arch) {
  TileProgramOrReason planned = planTiles(scan);
  TileChoice choice{std::move(planned.program), {}, std::move(planned.reason), 0};
  if (!choice.reason.empty())
    return choice;
  chunk::PlanAttr asked = scan.getPlan();
  if (asked.getValueTile()) {
    choice.plan = {
        scan.size(), asked.getValueTile(), asked.getWarps(), asked.getStages(), asked.getAhead(), asked.getWarpgroups(),
        arch};
    choice.reason = whyNot(choice.program, choice.plan);
  } else if (std::optional<TilePlan> plan = chooseTilePlan(choice.program, arch)) {
    choice.plan = *plan;
  } else {
    choice.reason = whyNoPlan(choice.program, arch);
  }
  if (choice.reason.empty())
    choice.nanosecondsPerStep = chunkNanoseconds(choice.program, choice.plan) / scan.size();
  return choice;
}

namespace {

/// Nanoseconds of a step of a step kernel, of a block alone; measured on an H100 (README.md).
constexpr double kStepAlone = 400;
/// What a launch takes before its first chunk or step, and after the last one.
constexpr double kTileFixed = 6000, kStepFixed = 3000, kLinkFixed = 3000;
/// A segment of the linking kernel, whose blocks have 1024 numbers: a load that waits for memory, of several at once, or its bytes; not
/// fitted yet.
constexpr double kLinkAlone = 300, kLinkShared = 300;
/// The same where it multiplies by a transition, for each key: 32 passes through shared memory; not fitted yet.
constexpr double kLinkProduct = 20;

/// `plan` with columns of the transition beside the state's: what does not depend on columns (levels, scores, inverses) is computed once for
/// both, and what is read of shared memory serves both. The same plan where the warps do not come out even.
TilePlan withTransition(const TileProgram &ends, TilePlan plan) {
  const TileState &state = ends.states.front();
  const int64_t warps = state.values / plan.valueTile * plan.warps;
  if (state.keys % (16 * warps) == 0)
    plan.transitionTiles = state.keys / (16 * warps);
  return plan;
}

class TileLaunches {
public:
  TileLaunches(const TileChoice &tiles, const ScanTensors &tensors, ModuleOp module, StringRef symbol, int64_t choice)
      : tiles(tiles), module(module), symbol(symbol.str()), choice(choice) {
    for (auto *list : {&tensors.inputs, &tensors.params, &tensors.inits, &tensors.outputs, &tensors.finals})
      operands.insert(operands.end(), list->begin(), list->end());
  }

  void addWhole() {
    add(tiles.program, tiles.plan,
        emitChunkKernel(tiles.program, tiles.plan, module, symbol + "_chunks", Part::Whole, Calling::Strided));
  }

  /// What each segment adds to the states; the states that segments begin with; each segment's outputs.
  void addSegments() {
    chunk::ScanOp scan = tiles.program.scan;
    TileProgram ends = planTiles(scan, /*withOutputs=*/false).program;
    TilePlan plan = tiles.plan;
    plan.ahead &= !ends.scores.empty(); // without scores nothing can run ahead
    const bool mixes = hasTransition(ends);
    const int64_t keys = transitionKeys(ends);
    if (mixes && segmentItems(ends) == 1)
      if (TilePlan both = withTransition(ends, plan); whyNot(ends, both).empty())
        plan = both;
    // Else blocks of their own, for columns of the transition, which are keys.
    for (; mixes && !plan.transitionTiles && keys % plan.valueTile && plan.warps > 1; plan.warps /= 2)
      plan.valueTile /= 2;
    plan.warpgroups &= plan.warps % 4 == 0;
    std::string why = whyNoSegments(tiles.program);
    if (why.empty() && mixes && !plan.transitionTiles && keys % plan.valueTile)
      why = "the keys are no multiple of the value axis's tile";
    if (why.empty())
      why = whyNot(ends, plan);
    if (!why.empty()) {
      scan.emitRemark("lower-scan-cuda has no segments: ") << why;
      return;
    }
    size_t bytes = (segmentBytes(ends) + 15) / 16 * 16;
    add(ends, plan, emitChunkKernel(ends, plan, module, symbol + "_ends", Part::Ends, Calling::Strided), bytes, true);
    for (unsigned state = 0; state < segmentItems(ends); ++state) {
      add(ends, plan, emitStridedLink(ends, plan, state, module, symbol + "_link" + std::to_string(state)), bytes);
      launches.back().aligned.clear();
      launches.back().cost = {scan.size(), kLinkAlone, kLinkShared, kLinkFixed};
      if (hasTransition(
              ends,
              state)) { // a thread multiplies by all keys; another block of the same multiprocessor hides half of what it waits for
        launches.back().cost.alone = kLinkProduct * double(keys);
        launches.back().cost.shared = kLinkProduct * double(keys) / 2;
      }
    }
    add(tiles.program, tiles.plan,
        emitChunkKernel(tiles.program, tiles.plan, module, symbol + "_within", Part::Within, Calling::Strided), bytes,
        true);
  }

  void addSteps(Launch steps, bool demanded) {
    steps.choice = choice;
    steps.way = way;
    steps.cost = {1, kStepAlone, kStepNanoseconds, kStepFixed};
    if (demanded) // for calls that leave no other way
      steps.cost.alone = steps.cost.shared = 1e12;
    launches.push_back(std::move(steps));
  }

  void nextWay() { ++way; }

  std::vector<Launch> launches;

private:
  void add(const TileProgram &program, const TilePlan &plan, const KernelLaunch &kernel, size_t bytes = 0,
           bool perSegment = false) {
    useFastMath(module.lookupSymbol(kernel.name));
    Launch launch;
    launch.symbol = kernel.name;
    launch.operands = operands;
    launch.perHead = hasHeads(program);
    launch.splits = kernel.valueBlocks;
    launch.threads = kernel.threads;
    launch.sharedBytes = kernel.sharedBytes;
    launch.choice = choice;
    launch.way = way;
    SmallVector<int> aligned = alignedOperands(program);
    launch.aligned.assign(aligned.begin(), aligned.end());
    BlockCost cost = blockCost(program, plan);
    launch.cost = {plan.chunk, cost.alone, cost.shared, kTileFixed};
    launch.segmentBytes = bytes;
    launch.perSegment = perSegment;
    launches.push_back(std::move(launch));
  }

  const TileChoice &tiles;
  ModuleOp module;
  std::string symbol;
  int64_t choice, way = 0;
  std::vector<int> operands;
};

} // namespace

std::vector<Launch> rondo::cuda::emitTileLaunches(const TileChoice &tiles, const ScanTensors &tensors, ModuleOp module,
                                                  StringRef symbol, int64_t choice, Launch steps, bool demanded) {
  TileLaunches ways(tiles, tensors, module, symbol, choice);
  int64_t segments = cast<chunk::PlanAttr>(const_cast<chunk::ScanOp &>(tiles.program.scan).getPlan()).getSegments();
  if (segments < 2) {
    ways.addWhole();
    ways.nextWay();
  }
  if (segments != 1) {
    ways.addSegments();
    ways.nextWay();
  }
  ways.addSteps(std::move(steps), demanded);
  return std::move(ways.launches);
}
