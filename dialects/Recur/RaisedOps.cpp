// The raised scans: text and verifiers. The constraints are numbered in the ops' documents (RaisedOps.td).
#include "dialects/Recur/Recur.h"
#include "dialects/Recur/ScanChecks.h"
#include "dialects/Recur/ScanSyntax.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::recur;

CoefficientsOp LinearScanOp::coefficients() { return cast<CoefficientsOp>(getCoefficients().front().getTerminator()); }
YieldOp LinearScanOp::yield() { return cast<YieldOp>(getReadout().front().getTerminator()); }
CoefficientsOp ExpandScanOp::coefficients() { return cast<CoefficientsOp>(getCoefficients().front().getTerminator()); }
YieldOp ExpandScanOp::yield() { return cast<YieldOp>(getReadout().front().getTerminator()); }
CoefficientsOp DeltaScanOp::coefficients() { return cast<CoefficientsOp>(getCoefficients().front().getTerminator()); }
YieldOp DeltaScanOp::yield() { return cast<YieldOp>(getReadout().front().getTerminator()); }

//===--- text -------------------------------------------------------------------------------------------------------===//

static ParseResult parseRegions(OpAsmParser &parser, OperationState &result) {
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes) || parser.parseKeyword("coefficients") ||
      parser.parseRegion(*result.addRegion(), {}, /*enableNameShadowing=*/true) || parser.parseKeyword("readout") ||
      parser.parseRegion(*result.addRegion(), {}, /*enableNameShadowing=*/true))
    return failure();
  return succeeded(parser.parseOptionalColon()) ? parser.parseTypeList(result.types) : success();
}

template <typename Op> static void printRegions(OpAsmPrinter &printer, Op op) {
  printer.printOptionalAttrDictWithKeyword(llvm::to_vector(op->getDiscardableAttrs()));
  printer << " coefficients ";
  printer.printRegion(op.getCoefficients());
  printer << " readout ";
  printer.printRegion(op.getReadout());
  if (op->getNumResults())
    printer << " : " << op->getResultTypes();
}

static ParseResult parseList(OpAsmParser &parser, StringRef keyword, DenseI64ArrayAttr &list) {
  if (parser.parseKeyword(keyword))
    return failure();
  list = cast_or_null<DenseI64ArrayAttr>(DenseI64ArrayAttr::parse(parser, Type()));
  return success(list != nullptr);
}

static void printList(OpAsmPrinter &printer, StringRef keyword, ArrayRef<int64_t> list) {
  printer << ' ' << keyword << " [";
  llvm::interleaveComma(list, printer);
  printer << ']';
}

ParseResult LinearScanOp::parse(OpAsmParser &parser, OperationState &result) {
  auto &properties = result.getOrAddProperties<Properties>();
  std::string name;
  SMLoc place;
  if (parseScanOperands(parser, result, properties) || parser.parseKeyword("semiring") ||
      (place = parser.getCurrentLocation(), parser.parseKeywordOrString(&name)))
    return failure();
  std::optional<Semiring> semiring = symbolizeSemiring(name);
  if (!semiring)
    return parser.emitError(place) << "'" << name << "' is no semiring";
  properties.semiring = SemiringAttr::get(parser.getContext(), *semiring);
  return parseRegions(parser, result);
}

void LinearScanOp::print(OpAsmPrinter &printer) {
  printScanOperands(printer, *this);
  printer << " semiring " << stringifySemiring(getSemiring());
  printRegions(printer, *this);
}

ParseResult ExpandScanOp::parse(OpAsmParser &parser, OperationState &result) {
  auto &properties = result.getOrAddProperties<Properties>();
  if (parseScanOperands(parser, result, properties) || parseList(parser, "key_axes", properties.key_axes) ||
      parser.parseKeyword("decays") || parser.parseAttribute(properties.decays) ||
      parseList(parser, "outers", properties.outers) || parser.parseKeyword("readouts") ||
      parser.parseAttribute(properties.readouts))
    return failure();
  return parseRegions(parser, result);
}

void ExpandScanOp::print(OpAsmPrinter &printer) {
  printScanOperands(printer, *this);
  printList(printer, "key_axes", getKeyAxes());
  printer << " decays " << getDecays();
  printList(printer, "outers", getOuters());
  printer << " readouts " << getReadouts();
  printRegions(printer, *this);
}

ParseResult DeltaScanOp::parse(OpAsmParser &parser, OperationState &result) {
  auto &properties = result.getOrAddProperties<Properties>();
  if (parseScanOperands(parser, result, properties) || parseList(parser, "key_axes", properties.key_axes) ||
      parser.parseKeyword("decays") || parser.parseAttribute(properties.decays) ||
      parseList(parser, "outers", properties.outers) || parseList(parser, "transitions", properties.transitions) ||
      parser.parseKeyword("readouts") || parser.parseAttribute(properties.readouts))
    return failure();
  return parseRegions(parser, result);
}

void DeltaScanOp::print(OpAsmPrinter &printer) {
  printScanOperands(printer, *this);
  printList(printer, "key_axes", getKeyAxes());
  printer << " decays " << getDecays();
  printList(printer, "outers", getOuters());
  printList(printer, "transitions", getTransitions());
  printer << " readouts " << getReadouts();
  printRegions(printer, *this);
}

//===--- verifiers --------------------------------------------------------------------------------------------------===//

static LogicalResult verifyOneAxis(ScanInterface scan) {
  if (failed(verifyScanOperands(scan)))
    return failure();
  if (scan.numAxes() != 1)
    return scan->emitOpError() << "scans one axis, got " << scan.numAxes() << " (C21)";
  for (unsigned s = 0; s < scan.numStates(); ++s)
    if (ArrayRef<DenseI64ArrayAttr> reads = scan.state(s).getReads();
        reads.size() != 1 || reads[0].asArrayRef() != ArrayRef<int64_t>{1})
      return scan->emitOpError() << "state '" << scan.state(s).getName().getValue()
                                 << "' must be read one step back, and nowhere else (C21)";
  return success();
}

/// The axes' names of a state that a value is expected to have.
static bool hasAxes(Value value, Value init, ArrayRef<int64_t> axes) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  auto state = cast<RankedTensorType>(init.getType());
  ArrayRef<StringAttr> names = dimsOf(state).getNames();
  if (!dimsOf(type).getAxes().empty() || elementKind(type) != elementKind(state) ||
      type.getRank() != static_cast<int64_t>(axes.size()))
    return false;
  ArrayRef<int64_t> sizes = state.getShape().take_back(names.size());
  for (auto [i, axis] : llvm::enumerate(axes)) {
    if (axis < 0 || axis >= static_cast<int64_t>(names.size()) || dimsOf(type).getNames()[i] != names[axis])
      return false;
    int64_t size = type.getDimSize(i);
    if (size != sizes[axis] && !ShapedType::isDynamic(size) && !ShapedType::isDynamic(sizes[axis]))
      return false;
  }
  return true;
}

static SmallVector<int64_t> axesBut(Value init, int64_t without) {
  SmallVector<int64_t> axes;
  for (int64_t i = 0, n = dimsOf(init.getType()).getNames().size(); i < n; ++i)
    if (i != without)
      axes.push_back(i);
  return axes;
}

/// C22: what both regions begin with.
static LogicalResult verifyShared(ScanInterface scan, Region &region) {
  size_t shared = scan.getInputs().size() + scan.getParams().size();
  for (size_t i = 0; i < shared; ++i)
    if (i >= region.getNumArguments() || !isArray(region.getArgument(i).getType()) ||
        !dimsOf(region.getArgument(i).getType()).getAxes().empty() ||
        !sameFeatures(scan->getOperand(i).getType(), region.getArgument(i).getType()))
      return scan->emitOpError() << "argument " << i << " of a region must be one element of operand " << i << " (C22)";
  return success();
}

static LogicalResult verifyTerminators(ScanInterface scan, Region &first, Region &second) {
  if (!isa_and_present<CoefficientsOp>(first.front().empty() ? nullptr : &first.front().back()))
    return scan->emitOpError() << "the first region must end in 'recur.coefficients' (C23, C27)";
  auto yield = dyn_cast_if_present<YieldOp>(second.front().empty() ? nullptr : &second.front().back());
  if (!yield || !yield.getStates().empty())
    return scan->emitOpError() << "the second region must end in 'recur.yield' without states (C24, C28)";
  if (first.getNumArguments() != scan.getInputs().size() + scan.getParams().size())
    return scan->emitOpError() << "the first region takes inputs and parameters alone (C22)";
  return success();
}

/// C16 to C18, with new states that are as the initial values.
static LogicalResult verifyResults(ScanInterface scan, YieldOp yield) {
  return verifyScanResults(scan, scan.getInits().getTypes(), yield.getOutputs().getTypes());
}

LogicalResult CoefficientsOp::verify() {
  if (isa_and_present<LinearScanOp, ExpandScanOp, DeltaScanOp>((*this)->getParentOp()))
    return success();
  return emitOpError() << "belongs in a raised scan";
}

LogicalResult LinearScanOp::verify() { return verifyOneAxis(*this); }

LogicalResult LinearScanOp::verifyRegions() {
  if (failed(verifyShared(*this, getCoefficients())) || failed(verifyShared(*this, getReadout())) ||
      failed(verifyTerminators(*this, getCoefficients(), getReadout())))
    return failure();
  CoefficientsOp given = coefficients();
  if (given.getDecays().size() != numStates() || given.getValues().size() != numStates() ||
      given.getNumOperands() != 2 * numStates())
    return emitOpError() << "needs one decay and one value per state, and nothing else (C23)";
  size_t first = getInputs().size() + getParams().size();
  if (getReadout().getNumArguments() != first + 2 * numStates())
    return emitOpError() << "the second region takes the new and the old value of each state (C24)";
  for (auto [s, init] : llvm::enumerate(getInits())) {
    SmallVector<int64_t> all = axesBut(init, -1);
    if (!hasAxes(given.getDecays()[s], init, all) || !hasAxes(given.getValues()[s], init, all))
      return emitOpError() << "decay and value of state " << s << " must have the state's axes (C23)";
    if (!hasAxes(getReadout().getArgument(first + 2 * s), init, all) ||
        !hasAxes(getReadout().getArgument(first + 2 * s + 1), init, all))
      return emitOpError() << "the second region takes the new and the old value of state " << s << " (C24)";
    if (getSemiring() != Semiring::PlusTimes && elementKind(init.getType()) != ElementKind::Real)
      return emitOpError() << "state " << s << " must be real in this semiring (C25)";
  }
  return verifyResults(*this, yield());
}

namespace {

/// Checks that expand_scan and delta_scan share.
template <typename Op> class ExpansionChecks {
public:
  explicit ExpansionChecks(Op op) : op(op), scan(op) {}

  LogicalResult states() {
    if (op.getKeyAxes().size() != op.numStates())
      return op.emitOpError() << "needs a key axis per state (C26)";
    for (auto [init, key] : llvm::zip(op.getInits(), op.getKeyAxes())) {
      int64_t rank = dimsOf(init.getType()).getNames().size();
      if (rank < 1 || rank > 2 || key < -1 || key >= rank || (key < 0 && rank != 1))
        return op.emitOpError() << "a state has one or two axes, and its key axis is one of them (C26)";
    }
    return success();
  }

  LogicalResult coefficients() {
    CoefficientsOp given = op.coefficients();
    if (given.getDecays().size() != op.getDecays().size() || given.getKeys().size() != op.getOuters().size() ||
        given.getValues().size() != op.getOuters().size() || given.getQueries().size() != op.getReadouts().size())
      return op.emitOpError() << "'recur.coefficients' must have one value per entry of the lists (C27)";
    for (auto [value, attribute] : llvm::zip(given.getDecays(), op.getDecays())) {
      auto decay = dyn_cast<DecayAttr>(attribute);
      bool rising = decay && llvm::all_of(llvm::seq<size_t>(1, std::max<size_t>(1, decay.getAxes().size())),
                                          [&](size_t i) { return decay.getAxes()[i - 1] < decay.getAxes()[i]; });
      if (!decay || !rising || !isState(decay.getState()) ||
          !hasAxes(value, op.getInits()[decay.getState()], decay.getAxes()))
        return op.emitOpError() << "a decay must have the axes that 'decays' says (C27)";
    }
    for (auto [key, value, state] : llvm::zip(given.getKeys(), given.getValues(), op.getOuters()))
      if (!isState(state) || !hasAxes(key, op.getInits()[state], keyAxes(state)) ||
          !hasAxes(value, op.getInits()[state], valueAxes(state)))
        return op.emitOpError() << "a key has the key axis and a value the value axis of their state (C27)";
    for (auto [query, attribute] : llvm::zip(given.getQueries(), op.getReadouts())) {
      auto readout = dyn_cast<ReadoutAttr>(attribute);
      if (!readout || !isState(readout.getState()) ||
          !hasAxes(query, op.getInits()[readout.getState()], {readout.getAxis()}))
        return op.emitOpError() << "a query must have the axis that 'readouts' says (C27)";
    }
    return success();
  }

  LogicalResult readouts() {
    size_t first = op.getInputs().size() + op.getParams().size();
    if (op.getReadout().getNumArguments() != first + op.getReadouts().size())
      return op.emitOpError() << "the second region takes one argument per readout (C28)";
    for (auto [i, attribute] : llvm::enumerate(op.getReadouts())) {
      auto readout = cast<ReadoutAttr>(attribute);
      Value init = op.getInits()[readout.getState()];
      if (!hasAxes(op.getReadout().getArgument(first + i), init, axesBut(init, readout.getAxis())))
        return op.emitOpError() << "readout " << i << " must be its state without the contracted axis (C28)";
    }
    return success();
  }

  LogicalResult all() {
    if (failed(verifyShared(scan, op.getCoefficients())) || failed(verifyShared(scan, op.getReadout())) ||
        failed(verifyTerminators(scan, op.getCoefficients(), op.getReadout())) || failed(states()) ||
        failed(coefficients()) || failed(readouts()))
      return failure();
    return verifyResults(scan, op.yield());
  }

  bool isState(int64_t state) { return state >= 0 && state < op.numStates(); }
  SmallVector<int64_t> keyAxes(int64_t state) {
    int64_t key = op.getKeyAxes()[state];
    return key < 0 ? SmallVector<int64_t>() : SmallVector<int64_t>{key};
  }
  SmallVector<int64_t> valueAxes(int64_t state) { return axesBut(op.getInits()[state], op.getKeyAxes()[state]); }

private:
  Op op;
  ScanInterface scan;
};

} // namespace

LogicalResult ExpandScanOp::verify() { return verifyOneAxis(*this); }

LogicalResult ExpandScanOp::verifyRegions() {
  if (failed(ExpansionChecks(*this).all()))
    return failure();
  CoefficientsOp given = coefficients();
  if (!given.getWrites().empty() || !given.getReads().empty())
    return emitOpError() << "has no transitions (C27)";
  if (llvm::any_of(getDecays(), [](Attribute decay) { return cast<DecayAttr>(decay).getBefore(); }))
    return emitOpError() << "has no transitions that a decay could come before (C27)";
  return success();
}

LogicalResult DeltaScanOp::verify() { return verifyOneAxis(*this); }

LogicalResult DeltaScanOp::verifyRegions() {
  ExpansionChecks checks(*this);
  if (failed(checks.all()))
    return failure();
  CoefficientsOp given = coefficients();
  size_t count = getTransitions().size();
  if (!count || given.getWrites().size() != count || given.getReads().size() != count)
    return emitOpError() << "needs transitions, and for each a value in 'writes' and in 'reads' (C29)";
  for (auto [write, read, state] : llvm::zip(given.getWrites(), given.getReads(), getTransitions()))
    if (!checks.isState(state) || getKeyAxes()[state] < 0 ||
        !hasAxes(write, getInits()[state], checks.keyAxes(state)) ||
        !hasAxes(read, getInits()[state], checks.keyAxes(state)))
      return emitOpError() << "both vectors of a transition have the state's key axis (C29)";
  for (Attribute attribute : getDecays()) {
    auto decay = cast<DecayAttr>(attribute);
    ArrayRef<int64_t> axes = decay.getAxes();
    if (decay.getBefore() && (axes.size() != 1 || axes[0] == getKeyAxes()[decay.getState()] ||
                              !llvm::is_contained(getTransitions(), decay.getState())))
      return emitOpError() << "a decay before transitions has the value axis of a state that has transitions (C36)";
  }
  auto moves = (*this)->getAttrOfType<DenseI64ArrayAttr>(kMovesAttr);
  if (!moves && (*this)->hasAttr(kMovesAttr))
    return emitOpError() << "'" << kMovesAttr << "' is a list of integers (C30)";
  if (moves && (moves.size() != static_cast<int64_t>(getDecays().size() + getOuters().size() + count) ||
                llvm::any_of(moves.asArrayRef(), [](int64_t move) { return move < 0; })))
    return emitOpError() << "'" << kMovesAttr
                         << "' has a number from 0 on for each decay, outer product and transition (C30)";
  return success();
}
