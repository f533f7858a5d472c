// Which elements a thread touches, found by walking from what a step yields to what it reads. See ScanPlan.h.
#include "compiler/Target/CUDA/ScanPlan.h"
#include "compiler/Transforms/RaisedStep.h"
#include "compiler/Transforms/SegmentParts.h"
#include "mlir/IR/BuiltinTypes.h"
#include <set>

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Index;
using cpu::Indices;

namespace {

constexpr int64_t kWarp = 32, kThreads = 256;
/// Terms of a sum that a thread adds up by itself, and reals of the states of one channel.
constexpr int64_t kMostTerms = 32, kMostElements = 4;
/// 32-bit registers for the inputs of a thread's run, and steps of a run.
constexpr int64_t kInputWords = 32, kMostRun = 16, kFewestRun = 2;
/// Tiles that look at each other's parts: a warp for each but the last.
constexpr int64_t kGroup = 8;

ArrayRef<int64_t> shapeOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }

Type elementOf(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

/// All elements of an array with `shape`, but for those along `channelAxis`.
void eachInner(ArrayRef<int64_t> shape, int channelAxis, function_ref<void(SmallVector<int64_t>)> visit) {
  SmallVector<int64_t> at(shape.size(), 0);
  while (true) {
    visit(at);
    int64_t axis = static_cast<int64_t>(shape.size()) - 1;
    while (axis >= 0 && (axis == channelAxis || ++at[axis] == shape[axis]))
      at[axis--] = 0;
    if (axis < 0)
      return;
  }
}

constexpr const char *kBoundaries = "sequences begin inside the time axis";

class ScanPlanner {
public:
  explicit ScanPlanner(chunk::SegmentScanOp scan) : scan(scan), step(scan, &scan.getStep().front()) {}

  ScanPlanOrReason plan() {
    findStates();
    findOutputs();
    if (result.reason.empty())
      reachAll();
    if (result.reason.empty())
      chooseSizes();
    return std::move(result);
  }

private:
  void refuse(std::string why) {
    if (result.reason.empty())
      result.reason = std::move(why);
  }

  void findStates() {
    auto states = step.yield().getStates();
    if (scan.getParts().size() != 2 * states.size())
      return refuse("what a segment makes of a state is no factor and no addend");
    auto first = cast<RankedTensorType>(states.front().getType());
    axis = -1;
    for (int64_t a = 0; a < first.getRank(); ++a)
      if (axis < 0 || first.getDimSize(a) > first.getDimSize(axis))
        axis = static_cast<int>(a);
    if (axis >= 0)
      result.plan.channels = first.getDimSize(axis);
    for (auto [s, state] : llvm::enumerate(states)) {
      ArrayRef<int64_t> shape = shapeOf(state);
      if (!elementOf(state).isF32())
        return refuse("it computes in other numbers than f32");
      for (int64_t part : {2 * s, 2 * s + 1})
        if (cast<DenseElementsAttr>(scan.getBegins()[part]).getType() != state.getType())
          return refuse("what a segment makes of a state is no factor and no addend");
      if (shape.size() != static_cast<size_t>(first.getRank()) || (axis >= 0 && shape[axis] != result.plan.channels))
        return refuse("its states have several lengths");
      if (llvm::product_of(shape) > kMostElements * result.plan.channels)
        return refuse("its states have more than " + std::to_string(kMostElements) + " elements a channel");
      eachInner(shape, axis, [&](SmallVector<int64_t> inner) {
        result.plan.states.push_back({static_cast<unsigned>(s), axis, std::move(inner)});
      });
    }
    if (static_cast<int64_t>(result.plan.states.size()) > kMostElements)
      refuse("its states have more than " + std::to_string(kMostElements) + " elements a channel");
  }

  void findOutputs() {
    ArrayRef<int64_t> ofState = shapeOf(step.yield().getStates().front());
    for (auto [o, output] : llvm::enumerate(step.yield().getOutputs())) {
      ArrayRef<int64_t> shape = shapeOf(output);
      if (auto sum = neighbourSum(output); sum && axis >= 0 && shapeOf(sum->first) == ArrayRef{result.plan.channels}) {
        result.plan.outputs.push_back({{static_cast<unsigned>(o), 0, {0}}, sum->first, sum->second});
        continue;
      }
      bool isVector = axis >= 0 && shape == ArrayRef{result.plan.channels};
      if (!isVector && shape != ofState)
        return refuse("an output has not the axes of the states");
      int channelAxis = isVector ? 0 : axis;
      eachInner(shape, channelAxis, [&](SmallVector<int64_t> inner) {
        result.plan.outputs.push_back({{static_cast<unsigned>(o), channelAxis, std::move(inner)}, output});
      });
    }
  }

  void reachAll() {
    unsigned given = scan.getInputs().size() + scan.getParams().size();
    for (Region *region : {&scan.getStep(), &scan.getEndsStep(), &scan.getJoin()}) {
      seen.clear();
      inputs = region == &scan.getJoin() ? 0 : given;
      auto yield = cast<recur::YieldOp>(region->front().getTerminator());
      bool parts = region == &scan.getEndsStep();
      for (const ScanElement &state : result.plan.states)
        for (unsigned part = 0; part < (parts ? 2u : 1u); ++part)
          reach(yield.getStates()[parts ? 2 * state.number + part : state.number], state.at(0));
      if (region == &scan.getStep())
        for (const ScanOutput &output : result.plan.outputs)
          reach(output.value, output.at(0));
    }
    result.plan.arguments.assign(found.begin(), found.end());
  }

  void reach(Value value, ArrayRef<Index> at) {
    std::vector<int64_t> key{reinterpret_cast<intptr_t>(value.getAsOpaquePointer())};
    for (const Index &index : at)
      key.insert(key.end(), {index.dim, index.offset});
    if (!result.reason.empty() || !seen.insert(key).second)
      return;
    if (auto argument = dyn_cast<BlockArgument>(value))
      return reachArgument(argument, at);
    Operation *op = value.getDefiningOp();
    if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      if (!cast<DenseElementsAttr>(constant.getValue()).isSplat())
        refuse("a step reads an array that the spec writes out");
      return;
    }
    if (!isa<recur::MapOp, recur::ContractOp, recur::ReduceOp, recur::BroadcastOp, recur::SliceOp, recur::CastOp>(op))
      return refuse("a step has '" + op->getName().getStringRef().str() + "'");
    if (isa<ComplexType>(elementOf(value)))
      return refuse("its numbers are complex");
    SmallVector<int64_t> extents = cpu::reductionExtents(op);
    if (llvm::product_of(extents) > kMostTerms)
      return refuse("a step sums over " + std::to_string(llvm::product_of(extents)) + " elements");
    eachInner(extents, -1, [&](SmallVector<int64_t> terms) {
      Indices reduced;
      for (int64_t term : terms)
        reduced.push_back({-1, term});
      for (unsigned i = 0; i < op->getNumOperands(); ++i)
        reach(op->getOperand(i), cpu::operandIndices(op, i, at, reduced));
    });
  }

  void reachArgument(BlockArgument argument, ArrayRef<Index> at) {
    ScanElement element{argument.getArgNumber(), -1, {}};
    for (auto [i, index] : llvm::enumerate(at)) {
      element.inner.push_back(index.dim < 0 ? index.offset : 0);
      if (index.dim < 0)
        continue;
      if (element.channelAxis >= 0 || index.offset != 0 || shapeOf(argument)[i] != result.plan.channels)
        return refuse("a step reads other channels than its own");
      element.channelAxis = static_cast<int>(i);
    }
    bool isGiven = element.number < inputs;
    if (!isGiven && element.channelAxis != axis)
      return refuse("a step reads other channels than its own");
    if (isa<ComplexType>(elementOf(argument)))
      return refuse("its numbers are complex");
    if (isGiven)
      found.insert(element);
  }

  /// True where all that comes and goes at each step has neighbouring channels beside each other, and nothing has several elements of one.
  bool mayPair() {
    auto isRow = [&](const ScanElement &element) {
      return element.channelAxis < 0 || element.channelAxis + 1 == static_cast<int>(element.inner.size());
    };
    return llvm::all_of(result.plan.arguments, isRow) && llvm::all_of(result.plan.outputs, isRow);
  }

  void chooseSizes() {
    ScanPlan &plan = result.plan;
    for (int64_t vector : {2})
      if (plan.channels % vector == 0 && plan.channels >= kWarp * vector && mayPair())
        plan.vector = vector;
    while (2 * plan.lanes * plan.vector <= plan.channels && plan.lanes < kWarp)
      plan.lanes *= 2;
    plan.threads = kThreads;
    int64_t bytes = 0;
    for (const ScanElement &element : plan.arguments)
      if (element.number < scan.getInputs().size()) {
        Type stored = elementOf(scan.getInputs()[element.number]);
        bytes += stored.getIntOrFloatBitWidth() / 8 * (element.channelAxis >= 0 ? plan.vector : 1);
      }
    int64_t own = static_cast<int64_t>(plan.states.size()) * plan.vector;
    plan.run = kMostRun / (plan.lanes < kWarp ? 2 : std::max<int64_t>(1, own / 2));
    while (plan.run > kFewestRun && plan.run * bytes > kInputWords * 4)
      plan.run /= 2;
    plan.group = kGroup;
    for (const ScanOutput &output : plan.outputs)
      if (output.sum > 1 && (output.sum % plan.vector || output.sum > plan.channelsPerBlock()))
        refuse("an output sums over " + std::to_string(output.sum) + " channels");
  }

  chunk::SegmentScanOp scan;
  recur::Step step;
  ScanPlanOrReason result;
  int axis = -1;
  unsigned inputs = 0; // arguments of the region that are inputs or parameters
  std::set<std::vector<int64_t>> seen;
  std::set<ScanElement> found;
};

} // namespace

Indices ScanElement::at(int64_t which) const {
  Indices result;
  for (auto [axis, position] : llvm::enumerate(inner))
    result.push_back(static_cast<int>(axis) == channelAxis ? Index{0, which} : Index{-1, position});
  return result;
}

std::optional<std::pair<Value, int64_t>> rondo::cuda::neighbourSum(Value value) {
  auto reduce = value.getDefiningOp<recur::ReduceOp>();
  if (!reduce || reduce.getKind() != recur::Reduction::Sum || shapeOf(value).size() != 1)
    return std::nullopt;
  Value apart = reduce->getOperand(0);
  auto reshape = apart.getDefiningOp<recur::ReshapeOp>();
  if (!reshape || shapeOf(apart).size() != 2 || shapeOf(reshape.getOperand()).size() != 1 ||
      shapeOf(value)[0] != shapeOf(apart)[0] || !llvm::isPowerOf2_64(shapeOf(apart)[1]))
    return std::nullopt;
  return std::make_pair(reshape.getOperand(), shapeOf(apart)[1]);
}

ScanPlanOrReason rondo::cuda::planScan(chunk::SegmentScanOp scan) {
  if (scan.size() != 1)
    return {{}, "its segments go by chunks"};
  if (scan.getStates().empty())
    return {{}, "it has no states"};
  if (scan.getResets() || scan.getOffsets())
    return {{}, kBoundaries};
  return ScanPlanner(scan).plan();
}

ScanPlanOrReason rondo::cuda::planScan(recur::LinearScanOp scan) {
  if (scan.getResets() || scan.getOffsets())
    return {{}, kBoundaries};
  OpBuilder b(scan);
  auto plan = chunk::PlanAttr::get(b.getContext(), chunk::Form::Scan, chunk::Schedule::Segment, 1);
  auto segments =
      chunk::SegmentScanOp::create(b, scan.getLoc(), scan->getResultTypes(), scan.getInputs(), scan.getParams(),
                                   scan.getInits(), scan.getResets(), scan.getOffsets(), scan.getAxes(),
                                   scan.getStates(), plan, b.getArrayAttr({}), b.getArrayAttr({}), DenseI64ArrayAttr());
  SegmentParts parts = buildSegmentParts(scan, 1, segments.getEndsStep(), segments.getEndsChunk(), segments.getJoin());
  segments.setPartsAttr(b.getArrayAttr(parts.parts));
  segments.setBeginsAttr(b.getArrayAttr(parts.begins));
  buildStep(scan, &segments.getStep().emplaceBlock());
  ScanPlanOrReason result = planScan(segments);
  segments.erase();
  return result;
}
