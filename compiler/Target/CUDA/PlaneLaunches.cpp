// Tensors of kernels of planes: which inputs they share, what lies between them. See PlaneLaunches.h.
#include "compiler/Target/CUDA/PlaneLaunches.h"
#include "compiler/Target/CUDA/PlaneKernel.h"
#include "compiler/Target/CUDA/StepKernel.h"
#include "compiler/Transforms/NewScan.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

/// Nanoseconds of an H100: of a step, alone and of one of many blocks of a multiprocessor, and of a launch. They only order ways.
static const LaunchCost kPlaneCost{1, 80, 40, 3000}, kSumCost{0, 0, 0, 3000}, kEndsCost{1, 70, 35, 3000},
    kLinkCost{1, 700, 100, 3000};

/// What these values are made of, themselves included.
static llvm::SetVector<Value> madeOf(ValueRange values) {
  llvm::SetVector<Value> reached(values.begin(), values.end());
  for (size_t i = 0; i < reached.size(); ++i)
    if (Operation *op = reached[i].getDefiningOp())
      reached.insert(op->operand_begin(), op->operand_end());
  return reached;
}

namespace {

class PlaneCaller {
public:
  PlaneCaller(ModelTensors &tensors, ModuleOp module, PlaneSizes sizes)
      : tensors(tensors), module(module), sizes(sizes) {}

  /// What a step reads for the values `of`, as operands of the kernel; nothing is there twice.
  void addReads(PlaneFacts &facts, const ScanTensors &of, ValueRange wanted,
                const llvm::DenseMap<int, unsigned> &histories = llvm::DenseMap<int, unsigned>()) {
    llvm::SetVector<Value> reached = madeOf(wanted);
    auto number = [](SmallVectorImpl<int> &list, int tensor) {
      size_t at = llvm::find(list, tensor) - list.begin();
      if (at == list.size())
        list.push_back(tensor);
      return static_cast<unsigned>(at);
    };
    for (auto [argument, tensor] : llvm::zip(facts.step.inputArgs(), of.inputs)) {
      if (!reached.contains(argument))
        continue;
      if (auto history = histories.find(tensor); history != histories.end()) {
        call.sources[argument] = {PlaneSource::History, history->second};
        continue;
      }
      unsigned input = number(call.tensors.inputs, tensor);
      call.sources[argument] = {PlaneSource::Input, input};
      call.inputAxes.resize(call.tensors.inputs.size());
      call.inputAxes[input] = facts.axes.lookup(argument);
    }
    for (auto [argument, tensor] : llvm::zip(facts.step.paramArgs(), of.params))
      if (reached.contains(argument))
        call.sources[argument] = {PlaneSource::Param, number(call.tensors.params, tensor)};
    for (unsigned s = 0; s < facts.scan.numStates(); ++s)
      call.sources[facts.step.stateArgs(s).front()] = {PlaneSource::State, s};
  }

  /// The outputs with numbers `which`; of sums over channels the kernel gives parts.
  void addOutputs(PlaneLeg &leg, ArrayRef<unsigned> which, const ScanTensors &of, int64_t firstSum = 0) {
    leg.firstSum = firstSum;
    for (unsigned o : which) {
      leg.outputs.push_back(o);
      leg.operands.push_back(call.tensors.outputs.size());
      int tensor = of.outputs[o];
      if (leg.facts->isChannelSum(o)) {
        Value output = leg.facts->scan.outputs()[o];
        int parts = tensors.addTemporary(partsType(output));
        sums.push_back({output, parts, tensor});
        tensor = parts;
      }
      call.tensors.outputs.push_back(tensor);
    }
  }

  /// States at the beginning of each stage.
  SmallVector<int> addKept(PlaneFacts &facts) {
    SmallVector<int> kept;
    for (unsigned s = 0; s < facts.scan.numStates(); ++s) {
      kept.push_back(tensors.addTemporary(keptType(facts.scan, s)));
      for (AxisSpec &axis : tensors.program.tensors[kept.back()].axes)
        if (axis.axis == Axis::Time)
          axis.steps = sizes.kept;
    }
    return kept;
  }

  Launch emit(StringRef symbol) {
    Launch launch = PlaneKernel(call, sizes, tensors.program).emit(module, symbol);
    launch.cost = kPlaneCost;
    return launch;
  }

  static SmallVector<Value> affineStates(PlaneFacts &facts) {
    SmallVector<Value> states;
    for (unsigned s = 0; s < facts.scan.numStates(); ++s)
      if (facts.mapOf(s) == PlaneFacts::Map::Affine)
        states.push_back(facts.step.yield().getStates()[s]);
    return states;
  }

  /// The same in segments of time. Before it, what segments make of states, and what they begin with; behind it, sums over segments.
  std::vector<Launch> emitSegments(const ScanTensors &of, StringRef symbol) {
    bool isBack = call.back.facts;
    PlaneFacts &facts = isBack ? *call.back.facts : *call.forth.facts;
    std::vector<Launch> launches;
    PlaneCaller ends(tensors, module, sizes);
    ends.call.part = PlanePart::Ends;
    ends.call.mirrored = isBack;
    ends.call.forth.facts = &facts;
    ends.addReads(facts, of, affineStates(facts));
    launches.push_back(ends.emit(symbol.str() + "_ends"));
    launches.back().cost = inStages(kEndsCost);
    auto link = [&](PlaneFacts::Map kind) {
      for (unsigned s = 0; s < facts.scan.numStates(); ++s)
        if (facts.mapOf(s) == kind) {
          std::string name = symbol.str() + "_link" + std::to_string(s);
          launches.push_back(emitPlaneLink(facts, s, isBack, of, tensors.program, module, name));
          launches.back().cost = kLinkCost;
        }
    };
    link(PlaneFacts::Map::Affine);
    PlaneCaller within(*this);
    within.call.part = PlanePart::Within;
    within.call.tensors.inits.clear();
    within.call.tensors.finals.clear();
    launches.push_back(within.emit(symbol.str() + "_within"));
    launches.back().cost = inStages(kPlaneCost);
    link(PlaneFacts::Map::Sum);
    return launches;
  }

  /// Adds up the parts of sums over channels.
  std::vector<Launch> emitSums(StringRef symbol);

  PlaneCall call;

private:
  LaunchCost inStages(LaunchCost cost) const {
    return {sizes.stage, cost.alone * double(cost.steps == 1 ? sizes.stage : 1), cost.shared * double(sizes.stage),
            cost.fixed};
  }

  struct Sum {
    Value output;
    int parts, whole;
  };

  /// Like the output, f32, with an axis of parts before its places.
  RankedTensorType partsType(Value output) {
    auto type = cast<RankedTensorType>(output.getType());
    MLIRContext *context = type.getContext();
    SmallVector<int64_t> shape(type.getShape());
    shape.insert(shape.end() - 1, sizes.parts());
    SmallVector<StringAttr> axes, names{StringAttr::get(context, "parts")};
    for (auto axis : recur::dimsOf(type).getAxes())
      axes.push_back(axis);
    llvm::append_range(names, recur::dimsOf(type).getNames());
    return RankedTensorType::get(shape, Float32Type::get(context), recur::DimsAttr::get(context, axes, names));
  }

  /// Like a final state, with a time axis.
  static RankedTensorType keptType(recur::ScanInterface scan, unsigned state) {
    auto step =
        cast<RankedTensorType>(recur::Step(scan, &scan->getRegion(0).front()).yield().getStates()[state].getType());
    auto final = cast<RankedTensorType>(scan.finals()[state].getType());
    MLIRContext *context = step.getContext();
    SmallVector<StringAttr> axes;
    SmallVector<int64_t> shape;
    for (auto [i, axis] : llvm::enumerate(recur::dimsOf(final).getAxes())) {
      axes.push_back(axis);
      shape.push_back(final.getDimSize(i));
      if (axis == "batch") {
        axes.push_back(StringAttr::get(context, "time"));
        shape.push_back(ShapedType::kDynamic);
      }
    }
    llvm::append_range(shape, step.getShape());
    auto dims = recur::DimsAttr::get(context, axes, recur::dimsOf(step).getNames());
    return RankedTensorType::get(shape, step.getElementType(), dims);
  }

  ModelTensors &tensors;
  ModuleOp module;
  PlaneSizes sizes;
  std::vector<Sum> sums;
};

std::vector<Launch> PlaneCaller::emitSums(StringRef symbol) {
  std::vector<Launch> launches;
  for (const Sum &sum : sums) {
    OpBuilder b(sum.output.getDefiningOp());
    Location loc = sum.output.getLoc();
    auto scan = cast<recur::ScanInterface>(sum.output.getDefiningOp());
    Value parts = UnrealizedConversionCastOp::create(b, loc, partsType(sum.output), ValueRange()).getResult(0);
    auto axis = recur::AxisAttr::get(b.getContext(), scan.axis(0).getName(), /*reverse=*/false);
    NewScan adds(loc, b.getArrayAttr({axis}), {}, {});
    Value all = adds.input(parts);
    auto type = cast<RankedTensorType>(stepTypeOf(sum.output.getType()));
    type = RankedTensorType::get(type.getShape(), b.getF32Type(), type.getEncoding());
    Value total =
        recur::ReduceOp::create(adds.body, loc, type, recur::Reduction::Sum, all, adds.body.getDenseI64ArrayAttr({0}));
    recur::ScanOp made = adds.finish(b, {}, {total});
    ScanTensors of;
    of.inputs = {sum.parts};
    of.outputs = {sum.whole};
    launches.push_back(
        StepKernel(made, tensors.program, of, 1).emit(module, symbol.str() + "_sum" + std::to_string(launches.size())));
    launches.back().cost = kSumCost;
    made.erase();
    parts.getDefiningOp()->erase();
  }
  return launches;
}

} // namespace

PlaneLaunches rondo::cuda::emitPlanes(recur::ScanInterface scan, ModelTensors &tensors, ModuleOp module,
                                      StringRef symbol) {
  PlaneFacts facts(scan);
  if (!facts.reason.empty())
    return {{}, facts.reason};
  std::optional<PlaneSizes> sizes = planeSizes(facts.channels, facts.places, !facts.channelSums.empty());
  if (!sizes)
    return {{}, "its channels or places do not divide among threads"};
  ScanTensors of = tensors.of(scan);
  PlaneCaller caller(tensors, module, *sizes);
  caller.call.forth.facts = &facts;
  caller.addReads(facts, of, facts.step.yield()->getOperands());
  caller.call.tensors.inits = of.inits;
  caller.call.tensors.finals = of.finals;
  caller.addOutputs(caller.call.forth, llvm::to_vector(llvm::seq<unsigned>(0, of.outputs.size())), of);
  PlaneLaunches made;
  made.ways.push_back({caller.emit(symbol.str() + "_planes")});
  if (facts.hasMaps(false))
    made.ways.push_back(caller.emitSegments(of, symbol.str() + "_planes"));
  for (auto [i, way] : llvm::enumerate(made.ways))
    llvm::append_range(way, caller.emitSums(symbol.str() + (i ? "_segments" : "_planes")));
  return made;
}

/// The outputs of the way forth that are its states, as the way back reads them, by the state's number; and the others.
struct Histories {
  llvm::DenseMap<Value, unsigned> stateOf;
  SmallVector<unsigned> others;
  std::string reason;
};

static Histories findHistories(PlaneFacts &forth, recur::ScanInterface back) {
  Histories found;
  auto isBack = [&](Operation *user) { return user == back.getOperation(); };
  for (auto [o, output] : llvm::enumerate(forth.step.yield().getOutputs())) {
    Value result = forth.scan.outputs()[o];
    auto states = llvm::seq<unsigned>(0, forth.scan.numStates());
    auto state = llvm::find_if(states, [&](unsigned s) { return forth.step.stateArgs(s).front() == output; });
    if (state != states.end() && llvm::all_of(result.getUsers(), isBack))
      found.stateOf[result] = *state;
    else if (llvm::any_of(result.getUsers(), isBack))
      found.reason = "the way back reads what is no state";
    else
      found.others.push_back(o);
  }
  if (found.stateOf.empty() || forth.scan.axis(0).getReverse() == back.axis(0).getReverse())
    found.reason = "it is no way back";
  return found;
}

std::string rondo::cuda::whyNoPlanesBack(recur::ScanInterface forth, recur::ScanInterface back) {
  PlaneFacts there(forth), again(back);
  for (const PlaneFacts *facts : {&there, &again})
    if (!facts->reason.empty())
      return facts->reason;
  if (there.channels != again.channels || there.places != again.places ||
      !planeSizes(there.channels, there.places, true) || !planeSizes(there.channels, there.places, false))
    return "its channels or places do not divide among threads";
  return findHistories(there, back).reason;
}

std::vector<std::vector<Launch>> rondo::cuda::emitPlanesBack(recur::ScanInterface forth, recur::ScanInterface back,
                                                             ModelTensors &tensors, ModuleOp module, StringRef symbol) {
  PlaneFacts there(forth), again(back);
  PlaneSizes sizes = *planeSizes(there.channels, there.places, true);
  Histories histories = findHistories(there, back);
  ScanTensors ofForth = tensors.of(forth), ofBack = tensors.of(back);
  llvm::DenseMap<int, unsigned> stateOf;
  for (auto [value, state] : histories.stateOf)
    stateOf[tensors.numberOf(value)] = state;
  PlaneCaller keeps(tensors, module, *planeSizes(there.channels, there.places, false)), caller(tensors, module, sizes);
  keeps.call.forth.facts = caller.call.forth.facts = &there;
  caller.call.back.facts = &again;
  keeps.call.keepsStates = true;
  keeps.addReads(there, ofForth, there.step.yield().getStates());
  keeps.call.tensors.inits = ofForth.inits;
  keeps.call.tensors.finals = ofForth.finals;
  SmallVector<int> kept = keeps.addKept(there);
  keeps.call.tensors.outputs.append(kept.begin(), kept.end());
  caller.addReads(there, ofForth, there.step.yield()->getOperands());
  caller.addReads(again, ofBack, again.step.yield()->getOperands(), stateOf);
  caller.call.tensors.inputs.append(kept.begin(), kept.end());
  caller.call.tensors.inits = ofBack.inits;
  caller.call.tensors.finals = ofBack.finals;
  caller.addOutputs(caller.call.forth, histories.others, ofForth);
  caller.addOutputs(caller.call.back, llvm::to_vector(llvm::seq<unsigned>(0, ofBack.outputs.size())), ofBack,
                    llvm::count_if(histories.others, [&](unsigned o) { return there.isChannelSum(o); }));
  std::vector<std::vector<Launch>> ways{{keeps.emit(symbol.str() + "_kept"), caller.emit(symbol.str() + "_back")}};
  // What the way back makes of its states must be known before the states of the way forth are.
  llvm::SetVector<Value> read = madeOf(PlaneCaller::affineStates(again));
  bool isBefore = llvm::none_of(llvm::zip(again.step.inputArgs(), ofBack.inputs), [&](auto input) {
    return read.contains(std::get<0>(input)) && stateOf.contains(std::get<1>(input));
  });
  if (isBefore && there.hasMaps(false) && again.hasMaps(true)) {
    ways.push_back(keeps.emitSegments(ofForth, symbol.str() + "_kept"));
    llvm::append_range(ways.back(), caller.emitSegments(ofBack, symbol.str() + "_back"));
  }
  for (auto [i, way] : llvm::enumerate(ways))
    llvm::append_range(way, caller.emitSums(symbol.str() + (i ? "_segments" : "_back")));
  return ways;
}
