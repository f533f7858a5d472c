// Walks from what a step yields to what it reads. See PlanePlan.h.
#include "compiler/Target/CUDA/PlanePlan.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Index;
using cpu::Indices;

namespace {

constexpr int64_t kWarp = 32, kFour = 4;
/// Places of a channel, and threads of a block.
constexpr int64_t kMostPlaces = 64, kMostThreads = 128;
/// Steps of a stage: more hide more of what memory takes, and those of a way back keep their states in registers.
constexpr int64_t kStage = 16, kStageBack = 8;

ArrayRef<int64_t> shapeOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }

bool isF32(Value value) { return cast<RankedTensorType>(value.getType()).getElementType().isF32(); }

Indices asIndices(ArrayRef<int> axes) {
  Indices result;
  for (int axis : axes)
    result.push_back({axis, 0});
  return result;
}

} // namespace

PlaneFacts::PlaneFacts(recur::ScanInterface scan) : scan(scan), step(scan, &scan->getRegion(0).front()) {
  findSizes();
  if (!reason.empty())
    return;
  for (auto [s, state] : llvm::enumerate(step.yield().getStates())) {
    SmallVector<int> at;
    for (int64_t extent : shapeOf(state))
      at.push_back(axisOf(extent));
    reach(state, at);
    reach(step.stateArgs(s).front(), at);
  }
  findOutputs();
}

void PlaneFacts::findSizes() {
  if (scan.numAxes() != 1 || !scan.numStates() || scan.getResets() || scan.getOffsets())
    return refuse("it has several axes, no states, or sequences that begin in between");
  for (auto [s, state] : llvm::enumerate(step.yield().getStates())) {
    ArrayRef<int64_t> shape = shapeOf(state);
    if (scan.state(s).depth() != 1 || step.stateArgs(s).size() != 1)
      return refuse("a state is read from further back than one step");
    if (shape.size() != 2 || channels > 0)
      continue;
    channels = shape[0];
    places = shape[1];
  }
  if (channels < 0)
    return refuse("no state has two axes");
  if (channels <= places || places % kFour || places > kMostPlaces)
    return refuse("its states are no planes of many channels and a few places");
  for (Value state : step.yield().getStates()) {
    ArrayRef<int64_t> shape = shapeOf(state);
    if (shape != ArrayRef{channels, places} && shape != ArrayRef{channels})
      return refuse("its states have several shapes");
  }
}

void PlaneFacts::findOutputs() {
  for (auto [o, output] : llvm::enumerate(step.yield().getOutputs())) {
    SmallVector<int> at;
    for (int64_t extent : shapeOf(output))
      at.push_back(axisOf(extent));
    if (at == SmallVector<int>{kPlace}) {
      Operation *op = output.getDefiningOp();
      SmallVector<int64_t> extents = op ? cpu::reductionExtents(op) : SmallVector<int64_t>();
      auto reduce = dyn_cast_or_null<recur::ReduceOp>(op);
      if (extents != SmallVector<int64_t>{channels} || (reduce && reduce.getKind() != recur::Reduction::Sum) ||
          axes.contains(output))
        return refuse("an output has neither channels nor sums over them");
      channelSums.push_back(o);
      reachOperands(op, at, {kChannel});
      continue;
    }
    if (at != SmallVector<int>{kChannel} && at != SmallVector<int>{kChannel, kPlace})
      return refuse("an output has other axes than the states");
    reach(output, at);
  }
  for (unsigned o : channelSums)
    if (axes.contains(step.yield().getOutputs()[o]))
      refuse("a step reads a sum over channels");
}

void PlaneFacts::reach(Value value, ArrayRef<int> at) {
  if (!reason.empty())
    return;
  auto [known, isNew] = axes.try_emplace(value, at.begin(), at.end());
  if (!isNew) {
    if (ArrayRef<int>(known->second) != at)
      refuse("a step reads other elements than its own");
    return;
  }
  if (!isF32(value))
    return refuse("it computes in other numbers than f32");
  if (llvm::count(at, int(kChannel)) > 1 || llvm::count(at, int(kPlace)) > 1)
    return refuse("a step reads a diagonal");
  for (auto [axis, extent] : llvm::zip(at, shapeOf(value)))
    if (axis == kNoAxis ? extent != 1 : extent != (axis == kChannel ? channels : places))
      return refuse("a step reads other elements than its own");
  if (isa<BlockArgument>(value))
    return;
  Operation *op = value.getDefiningOp();
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    if (!cast<DenseElementsAttr>(constant.getValue()).isSplat())
      refuse("a step reads an array that the spec writes out");
    return;
  }
  if (!isa<recur::MapOp, recur::ContractOp, recur::ReduceOp, recur::BroadcastOp>(op))
    return refuse("a step has '" + op->getName().getStringRef().str() + "'");
  SmallVector<int> reduced;
  for (int64_t extent : cpu::reductionExtents(op)) {
    if (extent != places || llvm::is_contained(at, int(kPlace)))
      return refuse("a step sums over other axes than places");
    reduced.push_back(kPlace);
  }
  if (reduced.size() > 1)
    return refuse("a step sums over other axes than places");
  reachOperands(op, at, reduced);
}

void PlaneFacts::reachOperands(Operation *op, ArrayRef<int> at, ArrayRef<int> reduced) {
  Indices here = asIndices(at), over = asIndices(reduced);
  for (unsigned i = 0; i < op->getNumOperands(); ++i) {
    SmallVector<int> inner;
    for (const Index &index : cpu::operandIndices(op, i, here, over)) {
      if (index.offset)
        return refuse("a step reads other elements than its own");
      inner.push_back(index.dim);
    }
    reach(op->getOperand(i), inner);
  }
}

bool PlaneFacts::isInvariant(Value value) {
  if (auto known = invariant.find(value); known != invariant.end())
    return known->second;
  bool result;
  if (auto argument = dyn_cast<BlockArgument>(value))
    result = llvm::is_contained(step.paramArgs(), argument);
  else
    result = llvm::all_of(value.getDefiningOp()->getOperands(), [&](Value operand) { return isInvariant(operand); });
  return invariant[value] = result;
}

bool PlaneFacts::readsState(Value value) {
  if (auto known = reading.find(value); known != reading.end())
    return known->second;
  bool result;
  if (auto argument = dyn_cast<BlockArgument>(value))
    result = !llvm::is_contained(step.paramArgs(), argument) && !llvm::is_contained(step.inputArgs(), argument);
  else
    result = llvm::any_of(value.getDefiningOp()->getOperands(), [&](Value operand) { return readsState(operand); });
  return reading[value] = result;
}

bool PlaneFacts::reads(Value value, Value state) {
  Operation *op = value.getDefiningOp();
  return value == state || (op && readsState(value) &&
                            llvm::any_of(op->getOperands(), [&](Value operand) { return reads(operand, state); }));
}

PlaneFacts::Map PlaneFacts::mapOf(unsigned state) {
  Value made = step.yield().getStates()[state], old = step.stateArgs(state).front();
  if (isAffineIn(made, old))
    return Map::Affine;
  auto add = made.getDefiningOp<recur::MapOp>();
  if (add && add.getFn() == recur::Fn::Add)
    for (unsigned i : {0, 1})
      if (add->getOperand(i) == old && !reads(add->getOperand(1 - i), old))
        return Map::Sum;
  return Map::Other;
}

/// Whether every state is affine; or, with `sums`, a sum.
bool PlaneFacts::hasMaps(bool sums) {
  return llvm::all_of(llvm::seq<unsigned>(0, scan.numStates()), [&](unsigned s) {
    Map map = mapOf(s);
    return map == Map::Affine || (sums && map == Map::Sum);
  });
}

bool PlaneFacts::isAffineIn(Value value, Value state) {
  if (!readsState(value) || value == state)
    return true;
  Operation *op = value.getDefiningOp();
  if (!op || !cpu::reductionExtents(op).empty() || axes.lookup(value) != axes.lookup(state))
    return false;
  int64_t reading = llvm::count_if(op->getOperands(), [&](Value operand) { return readsState(operand); });
  auto map = dyn_cast<recur::MapOp>(op);
  using recur::Fn;
  bool sums = map && llvm::is_contained({Fn::Add, Fn::Sub}, map.getFn());
  bool scales = isa<recur::ContractOp>(op) || (map && llvm::is_contained({Fn::Mul, Fn::Neg}, map.getFn()));
  return (sums || (scales && reading == 1)) &&
         llvm::all_of(op->getOperands(), [&](Value operand) { return isAffineIn(operand, state); });
}

std::optional<PlaneSizes> rondo::cuda::planeSizes(int64_t channels, int64_t places, bool back) {
  PlaneSizes sizes;
  sizes.channels = channels;
  sizes.places = places;
  sizes.stage = back ? kStageBack : kStage;
  sizes.kept = kStageBack;
  // Forth, sums over places are all that threads share, and a thread has many of them; back, there are sums over channels as well.
  sizes.placesEach = back || places % 8 ? kFour : 8;
  sizes.channelsEach = back ? 2 : 1;
  if (!llvm::isPowerOf2_64(sizes.lanes()) || sizes.lanes() > kWarp)
    return std::nullopt;
  for (sizes.threads = kMostThreads; sizes.threads >= kWarp; sizes.threads /= 2)
    if (channels % sizes.channelsPerBlock() == 0)
      return sizes;
  return std::nullopt;
}
