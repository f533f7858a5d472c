// recur.cell_scan: text and verifier. The constraints are numbered in the op's document (CellOps.td).
#include "dialects/Recur/Recur.h"
#include "dialects/Recur/ScanChecks.h"
#include "dialects/Recur/ScanSyntax.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::recur;

CellOp CellScanOp::cell() { return cast<CellOp>(getBody().front().getTerminator()); }

MutableArrayRef<BlockArgument> CellScanOp::productArgs() {
  return getBody().getArguments().take_back(getProducts().size());
}

BlockArgument CellScanOp::paramArg(unsigned number) {
  return getBody().getArgument(getInputs().size() + product(number).getParam());
}

ParseResult CellScanOp::parse(OpAsmParser &parser, OperationState &result) {
  auto &properties = result.getOrAddProperties<Properties>();
  if (parseScanOperands(parser, result, properties) || parser.parseKeyword("products") ||
      parser.parseAttribute(properties.products) || parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseRegion(*result.addRegion(), {}, /*enableNameShadowing=*/true))
    return failure();
  return succeeded(parser.parseOptionalColon()) ? parser.parseTypeList(result.types) : success();
}

void CellScanOp::print(OpAsmPrinter &printer) {
  printScanOperands(printer, *this);
  printer << " products " << getProducts();
  printer.printOptionalAttrDictWithKeyword(llvm::to_vector((*this)->getDiscardableAttrs()));
  printer << ' ';
  printer.printRegion(getBody());
  if (getNumResults())
    printer << " : " << getResultTypes();
}

LogicalResult CellScanOp::verify() {
  if (failed(verifyScanOperands(*this)))
    return failure();
  for (Attribute attribute : getProducts())
    if (auto product = dyn_cast<ProductAttr>(attribute);
        !product || product.getParam() < 0 || product.getParam() >= int64_t(getParams().size()))
      return emitOpError() << "a product must be a #recur.product of one of " << getParams().size()
                           << " parameters, got " << attribute << " (C31)";
  return success();
}

/// Whether `value` is made of `argument`.
static bool isMadeOf(Value value, BlockArgument argument) {
  SmallVector<Value> open{value};
  llvm::SmallDenseSet<Value> seen;
  while (!open.empty()) {
    Value next = open.pop_back_val();
    if (next == argument)
      return true;
    if (Operation *op = next.getDefiningOp())
      for (Value operand : op->getOperands())
        if (seen.insert(operand).second)
          open.push_back(operand);
  }
  return false;
}

LogicalResult CellScanOp::verifyRegions() {
  Block &block = getBody().front();
  if (failed(verifyStepArguments(Step(*this, &block), getProducts().size(), "C32")))
    return failure();
  auto end = dyn_cast_if_present<CellOp>(block.empty() ? nullptr : &block.back());
  if (!end || end.getFactors().size() != getProducts().size())
    return emitOpError() << "the region must end in a 'recur.cell' with " << getProducts().size() << " factors (C33)";
  if (end.getStates().size() != numStates())
    return emitOpError() << "the region must end in a 'recur.cell' with " << numStates() << " states (C33)";
  for (auto [s, value] : llvm::enumerate(end.getStates()))
    if (!dimsOf(value.getType()).getAxes().empty() || !sameFeatures(getInits()[s].getType(), value.getType()))
      return end.emitOpError() << "the new value of state '" << state(s).getName().getValue() << "' must be one of "
                               << getInits()[s].getType() << ", got " << value.getType() << " (C33)";
  for (auto [p, factor] : llvm::enumerate(end.getFactors())) {
    if (failed(verifyContraction(*this, product(p).getSpec(), {paramArg(p), factor}, productArgs()[p])))
      return emitOpError() << "product " << p << " is no contraction (C34)";
    for (BlockArgument later : productArgs().drop_front(p))
      if (isMadeOf(factor, later))
        return emitOpError() << "the factor of product " << p << " waits for itself or for a later product (C35)";
  }
  return verifyScanResults(*this, end.getStates().getTypes(), end.getOutputs().getTypes());
}

LogicalResult CellOp::verify() {
  return isa_and_present<CellScanOp>((*this)->getParentOp()) ? success()
                                                             : emitOpError() << "belongs in a 'recur.cell_scan'";
}
