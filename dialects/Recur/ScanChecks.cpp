// See ScanChecks.h. The constraints are numbered in the document of recur.scan (RecurOps.td).
#include "dialects/Recur/ScanChecks.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::recur;

static bool isOneOf(StringRef axis, ArrayRef<StringRef> allowed) { return llvm::is_contained(allowed, axis); }

static LogicalResult verifyAttributes(ScanInterface scan) {
  llvm::StringSet<> axes, states;
  for (Attribute attribute : scan.getAxes()) {
    auto axis = dyn_cast<AxisAttr>(attribute);
    if (!axis || !axes.insert(axis.getName()).second)
      return scan->emitOpError() << "axes must be #recur.axis with distinct names (C1)";
  }
  if (axes.empty())
    return scan->emitOpError() << "at least one axis is needed (C1)";
  for (Attribute attribute : scan.getStates()) {
    auto state = dyn_cast<StateAttr>(attribute);
    if (!state || !states.insert(state.getName()).second)
      return scan->emitOpError() << "states must be #recur.state with distinct names (C2)";
    for (DenseI64ArrayAttr read : state.getReads()) {
      if (read.size() != static_cast<int64_t>(axes.size()))
        return scan->emitOpError() << "state '" << state.getName().getValue() << "' is read at " << read.size()
                                   << " distances for " << axes.size() << " axes (C3)";
      if (llvm::all_of(read.asArrayRef(), [](int64_t distance) { return distance == 0; }))
        return scan->emitOpError() << "state '" << state.getName().getValue() << "' is read at its own step (C3)";
    }
  }
  return success();
}

static LogicalResult verifyInputs(ScanInterface scan) {
  if (scan.getInputs().empty() && !scan.getResets())
    return scan->emitOpError() << "without an input or resets the number of steps is unknown (C4)";
  for (auto [index, input] : llvm::enumerate(scan.getInputs())) {
    DimsAttr dims = dimsOf(input.getType());
    unsigned times = 0;
    for (StringAttr axis : dims.getAxes()) {
      times += axis.getValue().starts_with("time");
      if (axis == "lag")
        return scan->emitOpError() << "input " << index << " has a lag axis (C5)";
    }
    for (unsigned axis = 0; axis < scan.numAxes(); ++axis)
      if (times != scan.numAxes() || dims.axisPosition(timeAxisName(axis)) < 0)
        return scan->emitOpError() << "input " << index << " needs the scanned axes '" << timeAxisName(axis)
                                   << "' and no other, got " << dims << " (C5)";
  }
  for (auto [index, param] : llvm::enumerate(scan.getParams()))
    for (StringAttr axis : dimsOf(param.getType()).getAxes())
      if (!isOneOf(axis, {"batch", "head", "group"}))
        return scan->emitOpError() << "parameter " << index << " has the axis '" << axis.getValue() << "' (C6)";
  return success();
}

/// Whether a lag axis is right for a state that keeps `depth` slices (empty: not bound yet).
static bool lagFits(RankedTensorType type, bool required, std::optional<int64_t> depth) {
  int64_t position = dimsOf(type).axisPosition("lag");
  if (position < 0)
    return !required;
  int64_t size = type.getDimSize(position);
  return !depth || ShapedType::isDynamic(size) || size == *depth;
}

static LogicalResult verifyInits(ScanInterface scan) {
  if (scan.getInits().size() != scan.numStates())
    return scan->emitOpError() << scan.numStates() << " states need as many initial values, got "
                               << scan.getInits().size() << " (C7)";
  for (auto [index, init] : llvm::enumerate(scan.getInits())) {
    StateAttr state = scan.state(index);
    for (StringAttr axis : dimsOf(init.getType()).getAxes())
      if (!isOneOf(axis, {"batch", "lag", "head"}) || (axis == "lag" && scan.numAxes() > 1))
        return scan->emitOpError() << "the initial value of state '" << state.getName().getValue() << "' has the axis '"
                                   << axis.getValue() << "' (C8)";
    if (scan.numAxes() > 1)
      continue;
    std::optional<int64_t> depth;
    if (!state.isSymbolic())
      depth = state.depth();
    if (!lagFits(cast<RankedTensorType>(init.getType()), !depth || *depth > 1, depth))
      return scan->emitOpError() << "the initial value of state '" << state.getName().getValue()
                                 << "' needs a lag axis with one slice per step that is looked back (C9)";
  }
  return success();
}

static LogicalResult verifySequences(ScanInterface scan) {
  if (Value resets = scan.getResets()) {
    auto type = cast<RankedTensorType>(resets.getType());
    bool good = scan.numAxes() == 1 && isArray(type) && elementKind(type) == ElementKind::Truth;
    if (good) {
      DimsAttr dims = dimsOf(type);
      good = dims.getNames().empty() && dims.getAxes().size() == 2 && dims.axisPosition("batch") == 0 &&
             dims.axisPosition("time") == 1;
    }
    if (!good)
      return scan->emitOpError() << "resets must be truth values over <batch, time> of a scan over one axis, got "
                                 << type << " (C10)";
  }
  if (Value offsets = scan.getOffsets()) {
    auto type = cast<RankedTensorType>(offsets.getType());
    if (scan.numAxes() != 1 || type.getRank() != 1 || !type.getElementType().isInteger(64))
      return scan->emitOpError() << "offsets must be a list of i64 for a scan over one axis, got " << type << " (C11)";
  }
  return success();
}

LogicalResult rondo::recur::verifyScanOperands(ScanInterface scan) {
  if (failed(verifyAttributes(scan)) || failed(verifyInputs(scan)) || failed(verifyInits(scan)))
    return failure();
  return verifySequences(scan);
}

/// What `b` has where `a` had implicit axes: the same named axes, sizes that agree, elements of the same kind.
bool rondo::recur::sameFeatures(Type a, Type b) {
  auto left = cast<RankedTensorType>(a), right = cast<RankedTensorType>(b);
  ArrayRef<StringAttr> names = dimsOf(left).getNames();
  if (names != dimsOf(right).getNames() || elementKind(a) != elementKind(b))
    return false;
  return llvm::all_of(
      llvm::zip_equal(left.getShape().take_back(names.size()), right.getShape().take_back(names.size())),
      [](auto pair) {
        auto [x, y] = pair;
        return x == y || ShapedType::isDynamic(x) || ShapedType::isDynamic(y);
      });
}

/// The types of step arguments, with what each stands for.
static SmallVector<std::pair<Type, std::string>> expectedArguments(ScanInterface scan) {
  SmallVector<std::pair<Type, std::string>> expected;
  for (auto [index, input] : llvm::enumerate(scan.getInputs()))
    expected.push_back({input.getType(), "input " + std::to_string(index)});
  for (auto [index, param] : llvm::enumerate(scan.getParams()))
    expected.push_back({param.getType(), "parameter " + std::to_string(index)});
  for (auto [index, init] : llvm::enumerate(scan.getInits()))
    for (size_t read = 0; read < scan.state(index).getReads().size(); ++read)
      expected.push_back({init.getType(), "state '" + scan.state(index).getName().str() + "'"});
  return expected;
}

LogicalResult rondo::recur::verifyStepArguments(const Step &step, size_t more, StringRef constraint) {
  ScanInterface scan = step.getScan();
  SmallVector<std::pair<Type, std::string>> expected = expectedArguments(scan);
  if (step.getBlock()->getNumArguments() != expected.size() + more)
    return scan->emitOpError() << "the step needs " << expected.size() + more
                               << " arguments (inputs, parameters, reads of states" << (more ? ", products" : "")
                               << "), got " << step.getBlock()->getNumArguments() << " (" << constraint << ")";
  for (auto [argument, entry] : llvm::zip(step.getBlock()->getArguments(), expected)) {
    auto &[type, what] = entry;
    if (!isArray(argument.getType()) || !dimsOf(argument.getType()).getAxes().empty() ||
        !sameFeatures(type, argument.getType()))
      return scan->emitOpError() << "step argument " << argument.getArgNumber() << " must be one element of " << what
                                 << ", " << type << ", got " << argument.getType() << " (C13)";
  }
  return success();
}

LogicalResult rondo::recur::verifyStepRegion(const Step &step) {
  ScanInterface scan = step.getScan();
  if (failed(verifyStepArguments(step)))
    return failure();
  auto yield = dyn_cast_if_present<YieldOp>(step.getBlock()->empty() ? nullptr : &step.getBlock()->back());
  if (!yield || yield.getStates().size() != scan.numStates())
    return scan->emitOpError() << "the step must end in a 'recur.yield' of " << scan.numStates() << " states (C14)";
  for (auto [index, value] : llvm::enumerate(yield.getStates()))
    if (!dimsOf(value.getType()).getAxes().empty() || !sameFeatures(scan.getInits()[index].getType(), value.getType()))
      return yield.emitOpError() << "the new value of state '" << scan.state(index).getName().getValue()
                                 << "' must be one of " << scan.getInits()[index].getType() << ", got "
                                 << value.getType() << " (C15)";
  for (auto [index, value] : llvm::enumerate(yield.getOutputs()))
    if (!dimsOf(value.getType()).getAxes().empty())
      return yield.emitOpError() << "output " << index << " has implicit axes (C15)";
  return success();
}

/// True when some operand has one of the axes.
static bool hasAxis(ScanInterface scan, ArrayRef<StringRef> names) {
  return llvm::any_of(scan->getOperands(), [&](Value operand) {
    if (!isArray(operand.getType()))
      return false;
    return llvm::any_of(dimsOf(operand.getType()).getAxes(), [&](StringAttr axis) { return isOneOf(axis, names); });
  });
}

SmallVector<std::string> rondo::recur::resultAxes(ScanInterface scan, std::optional<unsigned> finalAxis, bool lag) {
  SmallVector<std::string> axes;
  if (hasAxis(scan, {"batch"}))
    axes.push_back("batch");
  if (lag)
    axes.push_back("lag");
  for (unsigned axis = 0; axis < scan.numAxes(); ++axis)
    if (finalAxis != axis)
      axes.push_back(timeAxisName(axis));
  if (hasAxis(scan, {"head", "group"}))
    axes.push_back("head");
  return axes;
}

static LogicalResult verifyResult(ScanInterface scan, Value result, Type step, ArrayRef<std::string> axes,
                                  const Twine &what, StringRef constraint) {
  DimsAttr dims = dimsOf(result.getType());
  bool same = llvm::equal(dims.getAxes(), axes, [](StringAttr a, const std::string &b) { return a == StringRef(b); });
  if (same && sameFeatures(step, result.getType()))
    return success();
  auto error = scan->emitOpError() << what << " must have the axes <";
  llvm::interleaveComma(axes, error);
  return error << "> and the features of " << step << ", got " << result.getType() << " (" << constraint << ")";
}

LogicalResult rondo::recur::verifyScanResults(ScanInterface scan, TypeRange states, TypeRange outputs) {
  unsigned results = outputs.size() + scan.numStates() * scan.numAxes();
  if (scan->getNumResults() != results)
    return scan->emitOpError() << "expected " << results << " results (outputs, then final states), got "
                               << scan->getNumResults() << " (C16)";
  for (auto [index, output] : llvm::enumerate(scan.outputs()))
    if (failed(verifyResult(scan, output, outputs[index], resultAxes(scan, std::nullopt, false),
                            "output " + Twine(index), "C17")))
      return failure();
  for (auto [index, result] : llvm::enumerate(scan.finals())) {
    unsigned axis = index % scan.numAxes();
    StateAttr state = scan.state(index / scan.numAxes());
    Value init = scan.getInits()[index / scan.numAxes()];
    bool lag = scan.numAxes() == 1 ? dimsOf(init.getType()).axisPosition("lag") >= 0
                                   : state.isSymbolic() || state.depth(axis) > 1;
    if (failed(verifyResult(scan, result, states[index / scan.numAxes()], resultAxes(scan, axis, lag),
                            "the final state '" + state.getName().getValue() + "'", "C18")))
      return failure();
  }
  return success();
}
