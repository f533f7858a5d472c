// chunk.scan: text and verifier. The constraints are numbered in the op's document (ChunkOps.td).
#include "dialects/Chunk/TwoTerms.h"
#include "dialects/Recur/ScanChecks.h"
#include "dialects/Recur/ScanSyntax.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::chunk;

ParseResult ScanOp::parse(OpAsmParser &parser, OperationState &result) {
  auto &properties = result.getOrAddProperties<Properties>();
  if (recur::parseScanOperands(parser, result, properties) || parser.parseKeyword("plan"))
    return failure();
  properties.plan = cast_or_null<PlanAttr>(PlanAttr::parse(parser, Type()));
  if (!properties.plan || parser.parseKeyword("step") ||
      parser.parseRegion(*result.addRegion(), {}, /*enableNameShadowing=*/true) || parser.parseKeyword("chunk") ||
      parser.parseRegion(*result.addRegion(), {}, /*enableNameShadowing=*/true))
    return failure();
  return succeeded(parser.parseOptionalColon()) ? parser.parseTypeList(result.types) : success();
}

void ScanOp::print(OpAsmPrinter &printer) {
  recur::printScanOperands(printer, *this);
  printer.printNewline();
  printer << "  plan ";
  getPlan().print(printer);
  printer << " step ";
  printer.printRegion(getStep());
  printer << " chunk ";
  printer.printRegion(getChunk());
  if (getNumResults())
    printer << " : " << getResultTypes();
}

LogicalResult ScanOp::verify() {
  if (failed(recur::verifyScanOperands(*this)))
    return failure();
  if (numAxes() != 1)
    return emitOpError() << "scans one axis, got " << numAxes() << " (C1)";
  for (unsigned s = 0; s < numStates(); ++s)
    if (ArrayRef<DenseI64ArrayAttr> reads = state(s).getReads();
        reads.size() != 1 || reads[0].asArrayRef() != ArrayRef<int64_t>{1})
      return emitOpError() << "state '" << state(s).getName().getValue()
                           << "' must be read one step back, and nowhere else (C1)";
  if (size() < 2)
    return emitOpError() << "a chunk must have at least 2 steps, got " << size() << " (C2)";
  return success();
}

LogicalResult ScanOp::verifyRegions() {
  recur::Step one(*this, &getStep().front());
  if (failed(recur::verifyStepRegion(one)) ||
      failed(recur::verifyScanResults(*this, one.yield().getStates().getTypes(), one.yield().getOutputs().getTypes())))
    return failure();
  Block &chunk = getChunk().front();
  if (chunk.getNumArguments() != one.getBlock()->getNumArguments())
    return emitOpError() << "the chunk must have the arguments of the step (C3)";
  for (auto [argument, ofStep] : llvm::zip(chunk.getArguments(), one.getBlock()->getArguments())) {
    bool isInput = argument.getArgNumber() < getInputs().size();
    Type expected = isInput ? withAxis(ofStep.getType(), "time", size()) : ofStep.getType();
    if (argument.getType() != expected)
      return emitOpError() << "chunk argument " << argument.getArgNumber() << " must be " << expected << ", got "
                           << argument.getType() << " (C3)";
  }
  auto yield = dyn_cast_if_present<recur::YieldOp>(chunk.empty() ? nullptr : &chunk.back());
  if (!yield || yield.getStates().getTypes() != one.yield().getStates().getTypes() ||
      yield.getOutputs().size() != one.yield().getOutputs().size())
    return emitOpError() << "the chunk must end in a 'recur.yield' of the step's states and outputs (C4)";
  for (auto [output, ofStep] : llvm::zip(yield.getOutputs(), one.yield().getOutputs()))
    if (Type expected = withAxis(ofStep.getType(), "time", size()); output.getType() != expected)
      return yield.emitOpError() << "expected the output " << expected << ", got " << output.getType() << " (C4)";
  return success();
}

bool rondo::chunk::hasTwoTerms(ScanOp scan) {
  auto elementOf = [](Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); };
  auto isNarrow = [&](Value input) { return elementOf(input).isBF16() || elementOf(input).isF16(); };
  auto isWide = [&](Value output) {
    return elementOf(output).isF32() && !recur::dimsOf(output.getType()).getNames().empty();
  };
  return llvm::any_of(scan.getInputs(), isNarrow) && llvm::any_of(scan.outputs(), isWide) &&
         scan.getChunk().getOps<SolveOp>().empty();
}
