// Analysis of a step, and the sharing out. See CellPlan.h.
#include "compiler/Target/CUDA/CellPlan.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

namespace {

/// 32-bit registers of a thread that weights may take, for blocks of up to 256 threads, and of 512.
constexpr int64_t kWeightRegisters = 128, kFewWeightRegisters = 64;
constexpr int64_t kWarps = 8, kMostWarps = 16;
constexpr int64_t kMostJobs = 4;
/// Units up to which a block, or a cluster, is tried.
constexpr int64_t kMostLocalUnits = 256, kMostClusterUnits = 512;
/// Steps of inputs in shared memory: a step takes less time than device memory.
constexpr int64_t kRing = 4;

struct Limits {
  int64_t multiprocessors, sharedBytes;
  bool clusters = false;
};

/// Of the largest GPU of an architecture; a smaller one is told at load that the grid does not fit.
Limits limitsOf(StringRef arch) {
  unsigned number = 0;
  arch.consume_front("sm_");
  arch.consumeInteger(10, number);
  int64_t kib = 1024;
  if (number >= 90)
    return {132, 220 * kib, number == 90};
  if (number == 80 || number == 87)
    return {108, 160 * kib};
  return {number == 89 ? 128 : 82, 96 * kib};
}

/// Reads a step: phases by how many products lie before a value.
class Reader {
public:
  Reader(recur::ScanInterface scan, CellPlan &plan) : scan(scan), plan(plan), step(scan, &scan->getRegion(0).front()) {}

  bool read() {
    if (scan.numAxes() != 1 || scan.numStates() == 0 || scan.getOffsets() || scan.getResets() || !readArguments())
      return false;
    for (Operation &op : step.getBlock()->without_terminator())
      if (!readOp(op))
        return false;
    for (Value value : step.yield()->getOperands())
      if (!isVector(value))
        return false;
    return !plan.phases.empty();
  }

private:
  bool isVector(Value value) const {
    auto type = cast<RankedTensorType>(value.getType());
    return type.getElementType().isF32() && type.getRank() == 1 && type.getDimSize(0) == plan.units;
  }
  static bool isScalar(Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    return type.getRank() == 0;
  }
  bool isElementwise(Value value) const {
    auto type = cast<RankedTensorType>(value.getType());
    bool element = type.getElementType().isF32() || type.getElementType().isInteger(1);
    return element && (type.getRank() == 0 || (type.getRank() == 1 && type.getDimSize(0) == plan.units));
  }

  bool readArguments() {
    auto first = cast<RankedTensorType>(step.yield().getStates().front().getType());
    if (first.getRank() != 1)
      return false;
    plan.units = first.getDimSize(0);
    for (unsigned s = 0; s < scan.numStates(); ++s)
      if (step.stateArgs(s).size() != 1 || scan.state(s).depth() != 1 || !isVector(step.yield().getStates()[s]))
        return false;
    plan.inputs = step.inputArgs().size();
    for (Value input : scan.getInputs()) // others go by registers
      if (unsigned bits = cast<RankedTensorType>(input.getType()).getElementTypeBitWidth(); bits != 16 && bits != 32)
        plan.inputs = 0;
    for (BlockArgument input : step.inputArgs())
      if (!isElementwise(input) || !cast<RankedTensorType>(input.getType()).getElementType().isF32())
        return false;
    return true;
  }

  int levelOf(Value value) const { return level.lookup(value); }

  bool readOp(Operation &op) {
    if (op.getNumResults() != 1)
      return false;
    int most = 0;
    for (Value operand : op.getOperands())
      most = std::max(most, levelOf(operand));
    level[op.getResult(0)] = most;
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      return cast<DenseElementsAttr>(constant.getValue()).isSplat() && isElementwise(op.getResult(0));
    if (auto contract = dyn_cast<recur::ContractOp>(op))
      return isPointwise(contract) || readProduct(contract);
    if (!isa<recur::MapOp, recur::CastOp, recur::BroadcastOp>(op))
      return false;
    return isElementwise(op.getResult(0)) && llvm::all_of(op.getOperands(), [&](Value v) { return isElementwise(v); });
  }

  bool isPointwise(recur::ContractOp contract) const {
    auto spec = recur::parseContractSpec(contract.getSpec());
    return spec && isElementwise(contract.getResult()) &&
           llvm::all_of(contract.getOperands(), [&](Value v) { return isElementwise(v); }) &&
           llvm::all_of(spec->operands, [&](const std::string &s) { return s.empty() || s == spec->result; });
  }

  /// A parameter with two axes times a vector of the step.
  bool readProduct(recur::ContractOp contract) {
    auto spec = recur::parseContractSpec(contract.getSpec());
    if (!spec || spec->operands.size() != 2 || !isVector(contract.getResult()))
      return false;
    unsigned matrix = spec->operands[0].size() == 2 ? 0 : 1;
    std::string letters = spec->operands[matrix], other = spec->operands[1 - matrix];
    Value vector = contract.getOperands()[1 - matrix];
    const auto *param = llvm::find(step.paramArgs(), contract.getOperands()[matrix]);
    if (letters.size() != 2 || letters[0] == letters[1] || other.size() != 1 || spec->result.size() != 1 ||
        spec->result == other || param == step.paramArgs().end() || !isVector(vector) ||
        llvm::is_contained(step.paramArgs(), vector))
      return false;
    unsigned number = param - step.paramArgs().begin();
    Type stored = cast<RankedTensorType>(scan.getParams()[number].getType()).getElementType();
    if ((!stored.isBF16() && !stored.isF16()) || (plan.element && plan.element != stored))
      return false;
    plan.element = stored;
    bool transposed = letters[0] == other[0];
    addProduct(levelOf(vector), vector, {contract.getResult(), number, transposed});
    level[contract.getResult()] = levelOf(vector) + 1;
    return true;
  }

  void addProduct(size_t phase, Value vector, CellProduct product) {
    if (plan.phases.size() <= phase)
      plan.phases.resize(phase + 1);
    for (CellJob &job : plan.phases[phase].jobs)
      if (job.vector == vector)
        return job.products.push_back(product);
    plan.phases[phase].jobs.push_back({vector, {product}, phase});
  }

  recur::ScanInterface scan;
  CellPlan &plan;
  recur::Step step;
  llvm::DenseMap<Value, int> level; // products before a value
};

/// The sum that a value is used for alone, and that one in turn.
Value totalOf(Value value) {
  while (value.hasOneUse()) {
    auto map = dyn_cast<recur::MapOp>(*value.user_begin());
    if (!map || map.getFn() != recur::Fn::Add)
      break;
    value = map.getResult();
  }
  return value;
}

/// Products of several vectors that the step does nothing with but add them up.
bool areSummed(const CellPhase &phase) {
  Value total = totalOf(phase.jobs.front().products.front().result);
  return phase.jobs.size() > 1 && llvm::all_of(phase.jobs, [&](const CellJob &job) {
           Value result = job.products.front().result;
           return job.products.size() == 1 && result != total && totalOf(result) == total;
         });
}

/// One block of so many units on so many warps; false where its weights do not fit.
bool shareOut(CellPlan &plan, const Limits &limits) {
  SmallVector<CellJob *> jobs;
  for (CellPhase &phase : plan.phases)
    for (CellJob &job : phase.jobs)
      jobs.push_back(&job);
  for (CellJob *job : jobs) {
    job->tiles = static_cast<int64_t>(job->products.size()) * plan.blockUnits / 16;
    // In a grid every warp reads its part of the vector from L2, so that no two should read the same.
    job->tileParts = 1;
    if (plan.local())
      while (2 * job->tileParts <= plan.warps && job->tiles % (2 * job->tileParts) == 0)
        job->tileParts *= 2;
    job->cuts = plan.warps / job->tileParts;
    job->warpTiles = job->tiles / job->tileParts;
    job->warpGroups = llvm::divideCeil(plan.groups(), job->cuts);
  }
  int64_t registers = plan.warps > kWarps ? kFewWeightRegisters : kWeightRegisters, kept = registers / 4, at = 0;
  auto take = [&](int64_t bytes) { return std::exchange(at, at + static_cast<int64_t>(llvm::alignTo(bytes, 128))); };
  plan.exchangeBytes = plan.keptFragments = 0;
  int64_t mostKept = 0;
  for (CellJob *job : jobs) {
    job->keptFragments = std::min(job->fragments(), kept);
    kept -= job->keptFragments;
    mostKept = std::max(mostKept, job->keptFragments);
    plan.keptFragments += job->keptFragments;
    job->weightOffset = take((job->fragments() - job->keptFragments) * plan.threads() * 16);
    const CellPhase &phase = plan.phases[job->phase];
    if (phase.summed && job != phase.jobs.begin())
      job->partialOffset = phase.jobs.front().partialOffset;
    else
      job->partialOffset = take(job->cuts * job->tiles * 16 * plan.rows * 4 * plan.sumBuffers());
    if (plan.local())
      job->exchangeOffset = take(plan.vectorBytes() * (plan.cluster ? 2 : 1));
    else
      job->exchangeOffset = std::exchange(plan.exchangeBytes, plan.exchangeBytes + plan.buffers * plan.vectorBytes());
  }
  plan.ring = 0;
  for (int64_t ring = kRing; ring > 1 && !plan.ring && plan.inputs; ring /= 2)
    if (at + ring * plan.stepBytes() + 1024 <= limits.sharedBytes)
      plan.ring = ring;
  plan.ringOffset = take(plan.ring * plan.stepBytes());
  plan.barrierOffset = take(plan.cluster ? 16 * static_cast<int64_t>(plan.phases.size()) : 0);
  // Registers' weights come this way; no more, since a second cluster on a multiprocessor may be what lets all tasks run at once.
  plan.sharedBytes = std::max(at, std::min(limits.sharedBytes, mostKept * plan.threads() * 16));
  return at <= limits.sharedBytes;
}

/// Blocks of a cluster, as many as leave each 16 units: what a step takes is mostly latency, and less of it the less a block has to do.
bool chooseCluster(CellPlan &plan, const Limits &limits) {
  plan.cluster = true;
  plan.warps = kWarps;
  for (plan.blocks = 8; plan.blocks > 1; plan.blocks /= 2) {
    plan.blockUnits = plan.paddedUnits / plan.blocks;
    if (plan.paddedUnits % (16 * plan.blocks) == 0 && plan.units <= kMostClusterUnits && shareOut(plan, limits))
      return true;
  }
  plan.cluster = false;
  return false;
}

bool choose(CellPlan &plan, const Limits &limits) {
  plan.paddedUnits = llvm::alignTo(plan.units, plan.groupWidth);
  if (limits.clusters && chooseCluster(plan, limits))
    return true;
  plan.blocks = 1;
  plan.blockUnits = plan.paddedUnits;
  plan.warps = std::clamp<int64_t>(llvm::bit_floor(uint64_t(plan.elements() / 32)), 4, kMostWarps);
  if (plan.units <= kMostLocalUnits && shareOut(plan, limits))
    return true;
  // Two tasks side by side where that leaves blocks enough units.
  int64_t most = plan.paddedUnits / 16 <= limits.multiprocessors ? limits.multiprocessors : limits.multiprocessors / 2;
  for (plan.blockUnits = 16; plan.blockUnits <= 64; plan.blockUnits *= 2) {
    plan.blocks = llvm::divideCeil(plan.paddedUnits, plan.blockUnits);
    if (plan.blocks > most || plan.paddedUnits % plan.blockUnits)
      continue;
    for (plan.warps = kWarps; plan.warps <= kMostWarps; plan.warps *= 2)
      if (shareOut(plan, limits))
        return true;
  }
  return false;
}

} // namespace

std::optional<CellPlan> rondo::cuda::planCell(recur::ScanInterface scan, StringRef arch) {
  CellPlan plan;
  if (!Reader(scan, plan).read())
    return std::nullopt;
  size_t jobs = 0;
  for (CellPhase &phase : plan.phases) {
    jobs += phase.jobs.size();
    phase.summed = areSummed(phase);
  }
  if (jobs > kMostJobs || !choose(plan, limitsOf(arch)))
    return std::nullopt;
  return plan;
}
