// See SplitStrata.h.
#include "compiler/Transforms/SplitStrata.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace rondo;

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

class Splitter {
public:
  Splitter(recur::ScanOp scan, const analysis::StateDependence &dependence, const StateGroups &groups)
      : scan(scan), dependence(dependence), groups(groups), parts(groups.size()) {}

  std::optional<SplitScans> split() {
    for (auto [number, output] : llvm::enumerate(scan.yield().getOutputs()))
      parts[std::max(0, lastGroup(output))].outputs.push_back(number);
    // From the last group to the first, since the last decides what the others hand on.
    for (int g = groups.size() - 1; g >= 0 && good; --g) {
      for (unsigned s : groups[g])
        need(g, scan.yield().getStates()[s]);
      for (unsigned number : parts[g].outputs)
        need(g, scan.yield().getOutputs()[number]);
      for (size_t i = 0; i < parts[g].handedOn.size(); ++i)
        need(g, parts[g].handedOn[i]);
    }
    if (!good)
      return std::nullopt;
    result.results.resize(scan.getNumResults());
    for (size_t g = 0; g < groups.size(); ++g)
      make(g);
    return std::move(result);
  }

private:
  struct Part {
    SmallVector<unsigned> outputs;           // numbers of the scan's outputs
    llvm::SetVector<Value> handedOn;         // values that later groups take
    SmallVector<size_t> handedAs;            // their places among the outputs of the scan that is made
    llvm::SetVector<Value> taken;            // values of earlier groups
    llvm::SetVector<Operation *> operations; // of the step
    llvm::SetVector<Value> arguments;        // inputs and parameters of the step
  };

  /// The last group whose states `value` depends on, or -1.
  int lastGroup(Value value) {
    for (int g = groups.size() - 1; g >= 0; --g)
      if (dependence.dependsOnAny(value, groups[g]))
        return g;
    return -1;
  }

  /// Whether a vector is better computed again, from numbers that are handed on and from what every group has, than stored for every step:
  /// an elementwise function of them, as a rule of one that no other group takes.
  bool isCheaper(Value value) {
    Operation *op = value.getDefiningOp();
    if (!op || typeOf(value).getRank() != 1 || !isa<recur::MapOp, recur::BroadcastOp>(op))
      return false;
    return llvm::all_of(op->getOperands(), [&](Value operand) {
      bool isArgument = isa<BlockArgument>(operand) && lastGroup(operand) < 0;
      return isArgument || typeOf(operand).getRank() == 0 || isCheaper(operand);
    });
  }

  void need(int g, Value value) {
    if (auto argument = dyn_cast<BlockArgument>(value); argument && lastGroup(value) < 0) {
      parts[g].arguments.insert(value);
      return;
    }
    int last = lastGroup(value);
    if (last > g) {
      good = false;
      return;
    }
    bool truth = typeOf(value).getElementType().isInteger(1);
    if (last >= 0 && last < g && typeOf(value).getRank() <= 1 && !truth && !isCheaper(value)) {
      parts[g].taken.insert(value);
      parts[last].handedOn.insert(value);
      return;
    }
    Operation *op = value.getDefiningOp();
    if (!op) {
      good &= last == g; // the whole of an earlier group's matrix would have to be handed on
      return;
    }
    if (!parts[g].operations.insert(op))
      return;
    for (Value operand : op->getOperands())
      need(g, operand);
  }

  /// The type of a step value once it is stored for every step of the scan with these operands.
  RankedTensorType storedType(Value step, ValueRange operands, bool perTime) {
    SmallVector<StringAttr> axes;
    SmallVector<int64_t> shape;
    auto sizeOf = [&](StringRef name) -> std::optional<int64_t> {
      for (Value operand : operands)
        if (int64_t at = recur::dimsOf(operand.getType()).axisPosition(name); at >= 0)
          return typeOf(operand).getDimSize(at);
      return std::nullopt;
    };
    auto add = [&](StringRef axis, std::optional<int64_t> size) {
      if (!size)
        return;
      axes.push_back(StringAttr::get(scan.getContext(), axis));
      shape.push_back(*size);
    };
    add("batch", sizeOf("batch"));
    if (perTime)
      add("time", ShapedType::kDynamic);
    std::optional<int64_t> head = sizeOf("head");
    add("head", head ? head : sizeOf("group") ? std::optional<int64_t>(ShapedType::kDynamic) : std::nullopt);
    llvm::append_range(shape, typeOf(step).getShape());
    return RankedTensorType::get(
        shape, typeOf(step).getElementType(),
        recur::DimsAttr::get(scan.getContext(), axes, recur::dimsOf(step.getType()).getNames()));
  }

  /// The place of an output that is `value` stored as `type`, or else `next`, a new one.
  size_t placeOf(const Part &part, Value value, Type type, size_t next) {
    auto isThis = [&](unsigned number) {
      return scan.yield().getOutputs()[number] == value && scan.outputs()[number].getType() == type;
    };
    const auto *found = llvm::find_if(part.outputs, isThis);
    return found == part.outputs.end() ? next : size_t(found - part.outputs.begin());
  }

  void make(size_t g) {
    Part &part = parts[g];
    SmallVector<Value> inputs, inputArguments, params, paramArguments, inits;
    for (auto [argument, operand] : llvm::zip(scan.inputArgs(), scan.getInputs()))
      if (part.arguments.contains(argument)) {
        inputs.push_back(operand);
        inputArguments.push_back(argument);
      }
    for (Value taken : part.taken) {
      inputs.push_back(handed.lookup(taken));
      inputArguments.push_back(taken);
    }
    // Something must say how many steps there are.
    if (inputs.empty() && !scan.getInputs().empty()) {
      inputs.push_back(scan.getInputs().front());
      inputArguments.push_back(scan.inputArgs().front());
    }
    for (auto [argument, operand] : llvm::zip(scan.paramArgs(), scan.getParams()))
      if (part.arguments.contains(argument)) {
        params.push_back(operand);
        paramArguments.push_back(argument);
      }
    SmallVector<Attribute> states;
    for (unsigned s : groups[g]) {
      inits.push_back(scan.getInits()[s]);
      states.push_back(scan.state(s));
    }
    SmallVector<Value> all(inputs);
    llvm::append_range(all, params);
    llvm::append_range(all, inits);
    SmallVector<Type> types;
    for (unsigned number : part.outputs)
      types.push_back(scan.outputs()[number].getType());
    for (Value value : part.handedOn) {
      RankedTensorType type = storedType(value, all, /*perTime=*/true);
      part.handedAs.push_back(placeOf(part, value, type, types.size()));
      if (part.handedAs.back() == types.size())
        types.push_back(type);
    }
    for (unsigned s : groups[g])
      types.push_back(scan.finals()[s].getType());
    OpBuilder b(scan);
    auto made = recur::ScanOp::create(b, scan.getLoc(), types, inputs, params, inits, scan.getResets(),
                                      scan.getOffsets(), scan.getAxes(), b.getArrayAttr(states));
    fill(g, made, inputArguments, paramArguments);
    result.scans.push_back(made);
  }

  void fill(size_t g, recur::ScanOp made, ArrayRef<Value> inputArguments, ArrayRef<Value> paramArguments) {
    Part &part = parts[g];
    Block *step = &made.getBody().emplaceBlock();
    OpBuilder b = OpBuilder::atBlockEnd(step);
    IRMapping map;
    auto take = [&](Value value) { map.map(value, step->addArgument(value.getType(), value.getLoc())); };
    llvm::for_each(inputArguments, take);
    llvm::for_each(paramArguments, take);
    for (unsigned s : groups[g])
      for (BlockArgument argument : scan.stateArgs(s))
        take(argument);
    for (Operation &op : scan.step()->without_terminator())
      if (part.operations.contains(&op) && !map.contains(op.getResult(0)))
        b.clone(op, map);
    SmallVector<Value> newStates, outputs;
    for (unsigned s : groups[g])
      newStates.push_back(map.lookup(scan.yield().getStates()[s]));
    for (unsigned number : part.outputs)
      outputs.push_back(map.lookup(scan.yield().getOutputs()[number]));
    for (auto [value, place] : llvm::zip(part.handedOn, part.handedAs))
      if (place == outputs.size())
        outputs.push_back(map.lookup(value));
    recur::YieldOp::create(b, scan.getLoc(), newStates, outputs);

    for (auto [i, number] : llvm::enumerate(part.outputs))
      result.results[number] = made.outputs()[i];
    for (auto [value, place] : llvm::zip(part.handedOn, part.handedAs))
      handed.map(value, made.outputs()[place]);
    for (auto [i, s] : llvm::enumerate(groups[g]))
      result.results[scan.numOutputs() + s] = made.finals()[i];
  }

  recur::ScanOp scan;
  const analysis::StateDependence &dependence;
  const StateGroups &groups;
  std::vector<Part> parts;
  IRMapping handed; // values of the step, as results of the scans
  SplitScans result;
  bool good = true;
};

} // namespace

std::optional<SplitScans> rondo::splitScan(recur::ScanOp scan, const analysis::StateDependence &dependence,
                                           const StateGroups &groups) {
  return Splitter(scan, dependence, groups).split();
}
