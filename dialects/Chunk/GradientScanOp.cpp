// chunk.gradient_scan: text and verifier. The constraints are numbered in the op's document (GradientOps.td).
#include "dialects/Chunk/Chunk.h"
#include "dialects/Recur/ScanChecks.h"
#include "dialects/Recur/ScanSyntax.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::chunk;

static constexpr const char *kClauses[] = {"inputs", "cotangents", "params", "inits", "finals", "resets", "offsets"};
static constexpr const char *kRegions[] = {"step", "chunk", "back_step", "back_chunk"};

ParseResult GradientScanOp::parse(OpAsmParser &parser, OperationState &result) {
  auto &properties = result.getOrAddProperties<Properties>();
  properties.states = properties.adjoints = parser.getBuilder().getArrayAttr({});
  if (parser.parseKeyword("over") || parser.parseAttribute(properties.axes))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("states")) && parser.parseAttribute(properties.states))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("adjoints")) && parser.parseAttribute(properties.adjoints))
    return failure();
  for (auto [index, clause] : llvm::enumerate(kClauses))
    if (recur::parseClause(parser, result, clause, properties.operandSegmentSizes[index]))
      return failure();
  if (properties.operandSegmentSizes[5] > 1 || properties.operandSegmentSizes[6] > 1)
    return parser.emitError(parser.getNameLoc(), "at most one operand in 'resets' and in 'offsets'");
  if (parser.parseKeyword("plan"))
    return failure();
  properties.plan = cast_or_null<PlanAttr>(PlanAttr::parse(parser, Type()));
  if (!properties.plan)
    return failure();
  for (const char *name : kRegions)
    if (parser.parseKeyword(name) || parser.parseRegion(*result.addRegion(), {}, /*enableNameShadowing=*/true))
      return failure();
  return succeeded(parser.parseOptionalColon()) ? parser.parseTypeList(result.types) : success();
}

void GradientScanOp::print(OpAsmPrinter &printer) {
  printer << " over " << getAxes();
  if (!getStates().empty())
    printer << " states " << getStates();
  if (!getAdjoints().empty())
    printer << " adjoints " << getAdjoints();
  for (auto [index, clause] : llvm::enumerate(kClauses))
    recur::printClause(printer, clause, getODSOperands(index));
  printer.printNewline();
  printer << "  plan ";
  getPlan().print(printer);
  for (auto [name, region] : llvm::zip(kRegions, getRegions())) {
    printer << ' ' << name << ' ';
    printer.printRegion(*region);
  }
  if (getNumResults())
    printer << " : " << getResultTypes();
}

/// An array whose only implicit axis is the time of `steps` steps; without one where `steps` is 0.
static bool isArrayOver(Type type, int64_t steps) {
  if (!recur::isArray(type))
    return false;
  ArrayRef<StringAttr> axes = recur::dimsOf(type).getAxes();
  if (!steps)
    return axes.empty();
  return axes.size() == 1 && axes[0] == "time" && cast<RankedTensorType>(type).getDimSize(0) == steps;
}

/// True where `value` has no implicit axes but these.
static bool hasOnly(Value value, ArrayRef<StringRef> allowed) {
  return llvm::all_of(recur::dimsOf(value.getType()).getAxes(),
                      [&](StringAttr axis) { return llvm::is_contained(allowed, axis.getValue()); });
}

static LogicalResult verifyStates(GradientScanOp op) {
  if (op.getAxes().size() != 1 || !isa<recur::AxisAttr>(op.getAxes()[0]))
    return op.emitOpError() << "scans one #recur.axis (C1)";
  llvm::StringSet<> names;
  for (ArrayAttr list : {op.getStates(), op.getAdjoints()})
    for (Attribute attribute : list) {
      auto state = dyn_cast<recur::StateAttr>(attribute);
      if (!state || !names.insert(state.getName()).second)
        return op.emitOpError() << "states and adjoints must be #recur.state with distinct names (C1)";
      if (state.getReads().size() != 1 || state.getReads()[0].asArrayRef() != ArrayRef<int64_t>{1})
        return op.emitOpError() << "state '" << state.getName().getValue()
                                << "' must be read one step back, and nowhere else (C1)";
    }
  return success();
}

static LogicalResult verifyBoundaries(GradientScanOp op) {
  if (Value resets = op.getResets()) {
    auto type = cast<RankedTensorType>(resets.getType());
    auto names = {"batch", "time"};
    bool good = recur::isArray(type) && type.getElementType().isInteger(1) && recur::dimsOf(type).getNames().empty() &&
                llvm::equal(recur::dimsOf(type).getAxes(), names,
                            [](StringAttr axis, const char *name) { return axis.getValue() == name; });
    if (!good)
      return op.emitOpError() << "resets must be truth values over <batch, time>, got " << type << " (C9)";
    for (auto [s, init] : llvm::enumerate(op.getInits()))
      if (s >= op.getFinals().size() || !recur::sameFeatures(init.getType(), op.getFinals()[s].getType()))
        return op.emitOpError()
               << "with resets every state needs an adjoint of its shape, at its place in the list (C9)";
  }
  if (Value offsets = op.getOffsets()) {
    auto type = cast<RankedTensorType>(offsets.getType());
    if (type.getRank() != 1 || !type.getElementType().isInteger(64))
      return op.emitOpError() << "offsets must be a list of i64, got " << type << " (C9)";
  }
  return success();
}

LogicalResult GradientScanOp::verify() {
  if (failed(verifyStates(*this)) || failed(verifyBoundaries(*this)))
    return failure();
  if (getInputs().empty() && getCotangents().empty())
    return emitOpError() << "without an input or a cotangent the number of steps is unknown (C3)";
  for (Value value : llvm::concat<Value>(SmallVector<Value>(getInputs()), SmallVector<Value>(getCotangents())))
    if (recur::dimsOf(value.getType()).axisPosition("time") < 0 || !hasOnly(value, {"batch", "time", "head", "group"}))
      return emitOpError() << "an input or cotangent needs the axis 'time' and no other but batch, head and group, got "
                           << value.getType() << " (C3)";
  for (Value value : getParams())
    if (!hasOnly(value, {"batch", "head", "group"}))
      return emitOpError() << "a parameter has no axes but batch, head and group, got " << value.getType() << " (C4)";
  if (getInits().size() != getStates().size() || getFinals().size() != getAdjoints().size())
    return emitOpError() << getStates().size() << " states and " << getAdjoints().size()
                         << " adjoints need as many initial values, got " << getInits().size() << " and "
                         << getFinals().size() << " (C4)";
  for (Value value : llvm::concat<Value>(SmallVector<Value>(getInits()), SmallVector<Value>(getFinals())))
    if (!hasOnly(value, {"batch", "head"}))
      return emitOpError() << "an initial value has no axes but batch and head, got " << value.getType() << " (C4)";
  return success();
}

SmallVector<Value> GradientScanOp::operandsOf(Region &region) {
  bool back = region.getRegionNumber() >= 2;
  SmallVector<Value> operands(getInputs());
  if (back)
    llvm::append_range(operands, getCotangents());
  llvm::append_range(operands, getParams());
  llvm::append_range(operands, getInits());
  if (back)
    llvm::append_range(operands, getFinals());
  return operands;
}

/// The arguments of a region of single steps, or of a region of many.
static LogicalResult verifyArguments(GradientScanOp op, Region &region, const char *name, bool many) {
  SmallVector<Value> operands = op.operandsOf(region);
  if (region.getNumArguments() != operands.size())
    return op.emitOpError() << "'" << name << "' needs " << operands.size() << " arguments, got "
                            << region.getNumArguments() << " (C5)";
  for (auto [argument, operand] : llvm::zip(region.getArguments(), operands)) {
    bool perStep = many && recur::dimsOf(operand.getType()).axisPosition("time") >= 0;
    Type type = argument.getType();
    bool good = isArrayOver(type, perStep ? op.size() : 0) && recur::sameFeatures(operand.getType(), type);
    if (!good)
      return op.emitOpError() << "argument " << argument.getArgNumber() << " of '" << name << "' must be "
                              << (perStep ? "a chunk" : "one element") << " of " << operand.getType() << ", got "
                              << type << " (C5)";
  }
  return success();
}

static LogicalResult verifyYield(GradientScanOp op, Region &region, const char *name, bool many) {
  bool back = region.getRegionNumber() >= 2;
  Block &block = region.front();
  auto yield = dyn_cast_if_present<recur::YieldOp>(block.empty() ? nullptr : &block.back());
  ValueRange inits = back ? op.getFinals() : op.getInits();
  const char *constraint = back ? "C7" : "C6";
  if (!yield || yield.getStates().size() != inits.size() || (!back && !yield.getOutputs().empty()))
    return op.emitOpError() << "'" << name << "' must end in a 'recur.yield' of " << inits.size()
                            << (back ? " adjoints" : " states and no outputs") << " (" << constraint << ")";
  for (auto [value, init] : llvm::zip(yield.getStates(), inits))
    if (!isArrayOver(value.getType(), 0) || !recur::sameFeatures(init.getType(), value.getType()))
      return yield.emitOpError() << "expected one of " << init.getType() << ", got " << value.getType() << " ("
                                 << constraint << ")";
  for (Value output : yield.getOutputs())
    if (!isArrayOver(output.getType(), many ? op.size() : 0))
      return yield.emitOpError() << "expected an output of " << (many ? op.size() : 1) << " steps, got "
                                 << output.getType() << " (C7)";
  return success();
}

static LogicalResult verifyResult(GradientScanOp op, Value result, Type inside, bool perStep) {
  SmallVector<StringRef> axes = GradientScanOp::resultAxes(op->getOperands(), perStep);
  recur::DimsAttr dims = recur::dimsOf(result.getType());
  bool same = llvm::equal(dims.getAxes(), axes, [](StringAttr a, StringRef b) { return a.getValue() == b; });
  if (same && recur::sameFeatures(inside, result.getType()))
    return success();
  auto error = op.emitOpError() << "a result must have the axes <";
  llvm::interleaveComma(axes, error);
  return error << "> and the features of " << inside << ", got " << result.getType() << " (C8)";
}

LogicalResult GradientScanOp::verifyRegions() {
  for (Region *region : {&getChunk(), &getBackChunk()})
    for (Type type : region->getArgumentTypes())
      if (size() == 1 && recur::isArray(type) && recur::dimsOf(type).axisPosition("time") >= 0)
        return emitOpError() << "of chunks of one step nothing has the axis 'time', got " << type << " (C2)";
  for (auto [number, region] : llvm::enumerate(getRegions()))
    if (bool many = number % 2 && size() > 1; failed(verifyArguments(*this, *region, kRegions[number], many)) ||
                                              failed(verifyYield(*this, *region, kRegions[number], many)))
      return failure();
  auto one = cast<recur::YieldOp>(getBackStep().front().back());
  auto many = cast<recur::YieldOp>(getBackChunk().front().back());
  if (one.getOutputs().size() != many.getOutputs().size())
    return emitOpError() << "'back_step' and 'back_chunk' must yield the same outputs (C7)";
  for (auto [output, ofStep] : llvm::zip(many.getOutputs(), one.getOutputs()))
    if (Type expected = size() == 1 ? ofStep.getType() : withAxis(ofStep.getType(), "time", size());
        output.getType() != expected)
      return many.emitOpError() << "expected the output " << expected << ", got " << output.getType() << " (C7)";
  if (getNumResults() != one->getNumOperands())
    return emitOpError() << "expected " << one->getNumOperands() << " results (outputs, then adjoints), got "
                         << getNumResults() << " (C8)";
  for (auto [result, output] : llvm::zip(outputs(), one.getOutputs()))
    if (failed(verifyResult(*this, result, output.getType(), /*perStep=*/true)))
      return failure();
  for (auto [result, adjoint] : llvm::zip(adjointResults(), one.getStates()))
    if (failed(verifyResult(*this, result, adjoint.getType(), /*perStep=*/false)))
      return failure();
  return success();
}

SmallVector<StringRef> GradientScanOp::resultAxes(ValueRange operands, bool perStep) {
  auto anyHas = [&](StringRef axis) {
    return llvm::any_of(operands, [&](Value value) {
      return recur::isArray(value.getType()) && recur::dimsOf(value.getType()).axisPosition(axis) >= 0;
    });
  };
  SmallVector<StringRef> axes;
  if (anyHas("batch"))
    axes.push_back("batch");
  if (perStep)
    axes.push_back("time");
  if (anyHas("head") || anyHas("group"))
    axes.push_back("head");
  return axes;
}
