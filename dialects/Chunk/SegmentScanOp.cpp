// chunk.segment_scan: text and verifier. The constraints are numbered in the op's document (SegmentOps.td).
#include "dialects/Chunk/Chunk.h"
#include "dialects/Recur/ScanChecks.h"
#include "dialects/Recur/ScanSyntax.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::chunk;

static constexpr const char *kRegions[] = {"step", "chunk", "ends_step", "ends_chunk", "join"};

ParseResult SegmentScanOp::parse(OpAsmParser &parser, OperationState &result) {
  auto &properties = result.getOrAddProperties<Properties>();
  if (recur::parseScanOperands(parser, result, properties) || parser.parseKeyword("plan"))
    return failure();
  properties.plan = cast_or_null<PlanAttr>(PlanAttr::parse(parser, Type()));
  if (!properties.plan || parser.parseKeyword("parts") || parser.parseAttribute(properties.parts) ||
      parser.parseKeyword("begins") || parser.parseAttribute(properties.begins))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("ends"))) {
    properties.ends = cast_or_null<DenseI64ArrayAttr>(DenseI64ArrayAttr::parse(parser, Type()));
    if (!properties.ends)
      return failure();
  }
  for (const char *name : kRegions)
    if (parser.parseKeyword(name) || parser.parseRegion(*result.addRegion(), {}, /*enableNameShadowing=*/true))
      return failure();
  return succeeded(parser.parseOptionalColon()) ? parser.parseTypeList(result.types) : success();
}

void SegmentScanOp::print(OpAsmPrinter &printer) {
  recur::printScanOperands(printer, *this);
  printer.printNewline();
  printer << "  plan ";
  getPlan().print(printer);
  printer << " parts " << getParts() << " begins " << getBegins();
  if (getEnds()) {
    printer << " ends [";
    llvm::interleaveComma(*getEnds(), printer);
    printer << ']';
  }
  for (auto [name, region] : llvm::zip(kRegions, getRegions())) {
    printer << ' ' << name << ' ';
    printer.printRegion(*region);
  }
  if (getNumResults())
    printer << " : " << getResultTypes();
}

LogicalResult SegmentScanOp::verify() {
  if (failed(recur::verifyScanOperands(*this)))
    return failure();
  if (numAxes() != 1)
    return emitOpError() << "scans one axis, got " << numAxes() << " (C1)";
  for (ArrayAttr list : {getStates(), getParts()})
    for (Attribute attribute : list) {
      auto state = dyn_cast<recur::StateAttr>(attribute);
      if (!state || state.getReads().size() != 1 || state.getReads()[0].asArrayRef() != ArrayRef<int64_t>{1})
        return emitOpError() << "states and parts must be #recur.state, read one step back, and nowhere else (C1)";
    }
  for (Region *region : {&getChunk(), &getEndsChunk()})
    if (region->empty() != (size() == 1))
      return emitOpError() << "'" << kRegions[region->getRegionNumber()] << "' must be "
                           << (size() == 1 ? "empty" : "there") << " for chunks of " << size() << " (C2)";
  if (getBegins().size() != getParts().size())
    return emitOpError() << getParts().size() << " parts need as many begins, got " << getBegins().size() << " (C4)";
  for (Attribute begin : getBegins())
    if (auto elements = dyn_cast<DenseElementsAttr>(begin);
        !elements || !recur::isArray(elements.getType()) || !recur::dimsOf(elements.getType()).getAxes().empty())
      return emitOpError() << "a begin must be an array without implicit axes, got " << begin << " (C4)";
  return success();
}

/// The types of a region's arguments, and what it must yield.
static LogicalResult verifyRegion(SegmentScanOp op, Region &region, TypeRange arguments, TypeRange states,
                                  TypeRange outputs, StringRef constraint) {
  const char *name = kRegions[region.getRegionNumber()];
  Block &block = region.front();
  if (!llvm::equal(block.getArgumentTypes(), arguments)) {
    auto error = op.emitOpError() << "'" << name << "' must take (";
    llvm::interleaveComma(arguments, error);
    error << "), got (";
    llvm::interleaveComma(block.getArgumentTypes(), error);
    return error << ") (" << constraint << ")";
  }
  auto yield = dyn_cast_if_present<recur::YieldOp>(block.empty() ? nullptr : &block.back());
  if (yield && llvm::equal(yield.getStates().getTypes(), states) && llvm::equal(yield.getOutputs().getTypes(), outputs))
    return success();
  auto error = op.emitOpError() << "'" << name << "' must end in a 'recur.yield' of states (";
  llvm::interleaveComma(states, error);
  error << ") and outputs (";
  llvm::interleaveComma(outputs, error);
  return error << ") (" << constraint << ")";
}

LogicalResult SegmentScanOp::verifyRegions() {
  recur::Step one(*this, &getStep().front());
  if (failed(recur::verifyStepRegion(one)) ||
      failed(recur::verifyScanResults(*this, one.yield().getStates().getTypes(), one.yield().getOutputs().getTypes())))
    return failure();
  if (static_cast<bool>(getResets()) != getEnds().has_value() || (getEnds() && getEnds()->size() != numStates()))
    return emitOpError() << "needs a part in 'ends' for each state where there are resets, and nowhere else (C7)";
  for (auto [s, part] : llvm::enumerate(getEnds().value_or(ArrayRef<int64_t>())))
    if (part < 0 || part >= static_cast<int64_t>(getBegins().size()) ||
        cast<DenseElementsAttr>(getBegins()[part]).getType() != one.yield().getStates()[s].getType())
      return emitOpError() << "the part that 'ends' names must have the type of state '"
                           << state(s).getName().getValue() << "' (C7)";
  unsigned inputs = getInputs().size(), given = inputs + getParams().size();
  SmallVector<Type> taken(one.getBlock()->getArgumentTypes()), states(one.yield().getStates().getTypes());
  SmallVector<Type> outputs(one.yield().getOutputs().getTypes()), parts;
  for (Attribute begin : getBegins())
    parts.push_back(cast<DenseElementsAttr>(begin).getType());
  auto manySteps = [&](ArrayRef<Type> types, unsigned count) {
    SmallVector<Type> many(types);
    for (Type &type : MutableArrayRef(many).take_front(count))
      type = withAxis(type, "time", size());
    return many;
  };
  SmallVector<Type> ends(ArrayRef(taken).take_front(given)), join(parts);
  llvm::append_range(ends, parts);
  llvm::append_range(join, states);
  if (size() > 1 && (failed(verifyRegion(*this, getChunk(), manySteps(taken, inputs), states,
                                         manySteps(outputs, outputs.size()), "C3")) ||
                     failed(verifyRegion(*this, getEndsChunk(), manySteps(ends, inputs), parts, {}, "C5"))))
    return failure();
  if (failed(verifyRegion(*this, getEndsStep(), ends, parts, {}, "C5")))
    return failure();
  return verifyRegion(*this, getJoin(), join, states, {}, "C6");
}
