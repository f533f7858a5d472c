// recur.scan and recur.yield: text, accessors, and the order of the checks (ScanChecks.h).
#include "dialects/Recur/Recur.h"
#include "dialects/Recur/ScanChecks.h"
#include "dialects/Recur/ScanSyntax.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::recur;

//===--- accessors --------------------------------------------------------------------------------------------------===//

ArrayRef<BlockArgument> Step::inputArgs() const {
  return ArrayRef<BlockArgument>(block->getArguments()).take_front(scan.getInputs().size());
}

ArrayRef<BlockArgument> Step::paramArgs() const {
  return ArrayRef<BlockArgument>(block->getArguments()).slice(scan.getInputs().size(), scan.getParams().size());
}

ArrayRef<BlockArgument> Step::stateArgs(unsigned index) const {
  size_t first = scan.getInputs().size() + scan.getParams().size();
  for (unsigned i = 0; i < index; ++i)
    first += scan.state(i).getReads().size();
  return ArrayRef<BlockArgument>(block->getArguments()).slice(first, scan.state(index).getReads().size());
}

YieldOp Step::yield() const { return cast<YieldOp>(block->getTerminator()); }

Step::Step(ScanOp scan) : Step(scan, scan.step()) {}

ArrayRef<BlockArgument> ScanOp::inputArgs() { return Step(*this).inputArgs(); }
ArrayRef<BlockArgument> ScanOp::paramArgs() { return Step(*this).paramArgs(); }
ArrayRef<BlockArgument> ScanOp::stateArgs(unsigned index) { return Step(*this).stateArgs(index); }
YieldOp ScanOp::yield() { return cast<YieldOp>(step()->getTerminator()); }

std::string rondo::recur::timeAxisName(unsigned axis) { return axis ? "time" + std::to_string(axis) : "time"; }

//===--- text -------------------------------------------------------------------------------------------------------===//

void rondo::recur::nameStateArguments(ScanInterface scan, Region &region, OpAsmSetValueNameFn setName) {
  size_t next = scan.getInputs().size() + scan.getParams().size();
  for (Attribute attribute : scan.getStates()) {
    auto state = dyn_cast<StateAttr>(attribute);
    for (DenseI64ArrayAttr read : state ? state.getReads() : ArrayRef<DenseI64ArrayAttr>()) {
      std::string name = state.getName().str();
      if (read.asArrayRef() != ArrayRef<int64_t>{1})
        for (int64_t distance : read.asArrayRef())
          name += distance < 0 ? "_lag" + std::to_string(-1 - distance) : "_" + std::to_string(distance);
      if (next < region.getNumArguments())
        setName(region.getArgument(next++), name);
    }
  }
}

void ScanOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn setName) {
  nameStateArguments(*this, region, setName);
}

ParseResult rondo::recur::parseClause(OpAsmParser &parser, OperationState &result, StringRef name, int32_t &count) {
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  SmallVector<Type> types;
  count = 0;
  if (failed(parser.parseOptionalKeyword(name)))
    return success();
  SMLoc place = parser.getCurrentLocation();
  if (parser.parseLParen() || parser.parseOperandList(operands) || parser.parseColonTypeList(types) ||
      parser.parseRParen() || parser.resolveOperands(operands, types, place, result.operands))
    return failure();
  count = operands.size();
  return success();
}

void rondo::recur::printClause(OpAsmPrinter &printer, StringRef name, ValueRange operands) {
  if (operands.empty())
    return;
  printer.printNewline();
  printer << "  " << name << '(' << operands << " : " << operands.getTypes() << ')';
}

void rondo::recur::printScanOperands(OpAsmPrinter &printer, ScanInterface scan) {
  printer << " over " << scan.getAxes();
  if (!scan.getStates().empty())
    printer << " states " << scan.getStates();
  printClause(printer, "inputs", scan.getInputs());
  printClause(printer, "params", scan.getParams());
  printClause(printer, "inits", scan.getInits());
  printClause(printer, "resets", scan.getResets() ? ValueRange(scan.getResets()) : ValueRange());
  printClause(printer, "offsets", scan.getOffsets() ? ValueRange(scan.getOffsets()) : ValueRange());
}

ParseResult ScanOp::parse(OpAsmParser &parser, OperationState &result) {
  if (parseScanOperands(parser, result, result.getOrAddProperties<ScanOp::Properties>()) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseRegion(*result.addRegion(), {}, /*enableNameShadowing=*/true))
    return failure();
  return succeeded(parser.parseOptionalColon()) ? parser.parseTypeList(result.types) : success();
}

void ScanOp::print(OpAsmPrinter &printer) {
  printScanOperands(printer, *this);
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs(), {"axes", "states", "operandSegmentSizes"});
  printer << ' ';
  printer.printRegion(getBody());
  if (getNumResults())
    printer << " : " << getResultTypes();
}

//===--- verifier ---------------------------------------------------------------------------------------------------===//

LogicalResult ScanOp::verify() { return verifyScanOperands(*this); }

LogicalResult ScanOp::verifyRegions() {
  Step step(*this);
  if (failed(verifyStepRegion(step)))
    return failure();
  return verifyScanResults(*this, step.yield().getStates().getTypes(), step.yield().getOutputs().getTypes());
}

LogicalResult YieldOp::verify() {
  Operation *parent = (*this)->getParentOp();
  if (isa_and_present<ScanInterface>(parent) || (parent && parent->hasTrait<HoldsSteps>()))
    return success();
  return emitOpError() << "belongs in a region of a scan";
}
