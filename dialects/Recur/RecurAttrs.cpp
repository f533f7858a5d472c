// The dialect's attributes: their text, and what makes one well formed. What an attribute means is told in RecurAttrs.td.
#include "dialects/Recur/DimExpr.h"
#include "dialects/Recur/Recur.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace rondo;
using namespace rondo::recur;

#include "dialects/Recur/RecurEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Recur/RecurAttrs.cpp.inc"

void RecurDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Recur/RecurAttrs.cpp.inc"
      >();
}

//===--- dims -------------------------------------------------------------------------------------------------------===//

/// Where an implicit axis stands among the others, or -1 when there is no such axis. Head and group exclude each other.
static int axisOrder(StringRef axis) {
  if (axis == "batch")
    return 0;
  if (axis == "lag")
    return 1;
  if (axis == "source")
    return 999;
  if (axis == "head" || axis == "group")
    return 1000;
  if (!axis.consume_front("time"))
    return -1;
  if (axis.empty())
    return 2;
  int number = 0;
  if (axis.starts_with("0") || axis.getAsInteger(10, number) || number < 1 || number > 900)
    return -1;
  return 2 + number;
}

LogicalResult DimsAttr::verify(function_ref<InFlightDiagnostic()> emitError, ArrayRef<StringAttr> axes,
                               ArrayRef<StringAttr> names) {
  int last = -1;
  for (StringAttr axis : axes) {
    int order = axisOrder(axis);
    if (order < 0)
      return emitError() << "unknown implicit axis '" << axis.getValue() << "'";
    if (order <= last)
      return emitError() << "implicit axis '" << axis.getValue()
                         << "' is out of order: batch, lag, time, time1, ..., source, then head or group";
    last = order;
  }
  for (StringAttr name : names) {
    auto size = DimExpr::parse(std::string_view(name.getValue()));
    if (!size)
      return emitError() << "'" << name.getValue() << "' is no size";
    if (size->str() != name.getValue())
      return emitError() << "size '" << name.getValue() << "' is not in canonical form '" << size->str() << "'";
  }
  return success();
}

LogicalResult DimsAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                       function_ref<InFlightDiagnostic()> emitError) const {
  if (static_cast<int64_t>(shape.size()) != rank())
    return emitError() << "expected " << rank() << " sizes, one per name of " << *this << ", got " << shape.size();
  for (auto [size, name] : llvm::zip_equal(shape.drop_front(getAxes().size()), getNames())) {
    auto constant = DimExpr::parse(std::string_view(name.getValue()))->asConstant();
    if (constant && *constant != size)
      return emitError() << "expected size " << *constant << " for the axis named '" << name.getValue() << "'";
  }
  return success();
}

int64_t DimsAttr::axisPosition(StringRef axis) const {
  for (auto [position, name] : llvm::enumerate(getAxes()))
    if (name.getValue() == axis)
      return position;
  return -1;
}

Attribute DimsAttr::parse(AsmParser &parser, Type) {
  SmallVector<StringAttr> axes, names;
  auto into = [&](SmallVector<StringAttr> &list) -> ParseResult {
    std::string text;
    if (parser.parseKeywordOrString(&text))
      return failure();
    list.push_back(StringAttr::get(parser.getContext(), text));
    return success();
  };
  SMLoc place = parser.getCurrentLocation();
  if (parser.parseLess())
    return {};
  if (succeeded(parser.parseOptionalGreater()))
    return get(parser.getContext(), axes, names);
  bool bar = succeeded(parser.parseOptionalVerticalBar());
  if (!bar) {
    if (parser.parseCommaSeparatedList([&] { return into(axes); }))
      return {};
    bar = succeeded(parser.parseOptionalVerticalBar());
  }
  if ((bar && parser.parseCommaSeparatedList([&] { return into(names); })) || parser.parseGreater())
    return {};
  return getChecked([&] { return parser.emitError(place); }, parser.getContext(), axes, names);
}

void DimsAttr::print(AsmPrinter &printer) const {
  auto item = [&](StringAttr name) { printer.printKeywordOrString(name); };
  auto separator = [&] { printer << ", "; };
  printer << '<';
  llvm::interleave(getAxes(), item, separator);
  if (!getNames().empty()) {
    printer << (getAxes().empty() ? "| " : " | ");
    llvm::interleave(getNames(), item, separator);
  }
  printer << '>';
}

//===--- interval ---------------------------------------------------------------------------------------------------===//

LogicalResult IntervalAttr::verify(function_ref<InFlightDiagnostic()> emitError, APFloat low, APFloat high, bool,
                                   bool) {
  if (low.isNaN() || high.isNaN() || low > high)
    return emitError() << "an interval's lower end must not exceed its upper end";
  return success();
}

/// An end and whether it is left out: `0.0`, `open 0.0`, `open -inf`.
static ParseResult parseEnd(AsmParser &parser, double &value, bool &open) {
  open = succeeded(parser.parseOptionalKeyword("open"));
  double sign = succeeded(parser.parseOptionalMinus()) ? -1 : 1;
  if (succeeded(parser.parseOptionalKeyword("inf")))
    value = INFINITY;
  else if (parser.parseFloat(value))
    return failure();
  value *= sign;
  return success();
}

static void printEnd(AsmPrinter &printer, const APFloat &value, bool open) {
  printer << (open ? "open " : "");
  if (value.isInfinity())
    printer << (value.isNegative() ? "-inf" : "inf");
  else
    printer.printFloat(value);
}

Attribute IntervalAttr::parse(AsmParser &parser, Type) {
  double lo = 0, hi = 0;
  bool loOpen = false, hiOpen = false;
  SMLoc place = parser.getCurrentLocation();
  if (parser.parseLess() || parseEnd(parser, lo, loOpen) || parser.parseComma() || parseEnd(parser, hi, hiOpen) ||
      parser.parseGreater())
    return {};
  return getChecked([&] { return parser.emitError(place); }, parser.getContext(), APFloat(lo), APFloat(hi), loOpen,
                    hiOpen);
}

void IntervalAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printEnd(printer, getLow(), getLoOpen());
  printer << ", ";
  printEnd(printer, getHigh(), getHiOpen());
  printer << '>';
}

//===--- axis and state ---------------------------------------------------------------------------------------------===//

static ParseResult parseName(AsmParser &parser, StringAttr &name) {
  std::string text;
  if (parser.parseString(&text))
    return failure();
  name = StringAttr::get(parser.getContext(), text);
  return success();
}

Attribute AxisAttr::parse(AsmParser &parser, Type) {
  StringAttr name;
  if (parser.parseLess() || parseName(parser, name))
    return {};
  bool reverse = succeeded(parser.parseOptionalComma());
  if ((reverse && parser.parseKeyword("reverse")) || parser.parseGreater())
    return {};
  return get(parser.getContext(), name, reverse);
}

void AxisAttr::print(AsmPrinter &printer) const { printer << '<' << getName() << (getReverse() ? ", reverse>" : ">"); }

Attribute StateAttr::parse(AsmParser &parser, Type) {
  StringAttr name;
  SmallVector<DenseI64ArrayAttr> reads;
  auto distances = [&]() -> ParseResult {
    SmallVector<int64_t> read;
    auto distance = [&] { return parser.parseInteger(read.emplace_back()); };
    if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, distance))
      return failure();
    reads.push_back(DenseI64ArrayAttr::get(parser.getContext(), read));
    return success();
  };
  if (parser.parseLess() || parseName(parser, name) || parser.parseComma() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, distances) || parser.parseGreater())
    return {};
  return get(parser.getContext(), name, reads);
}

void StateAttr::print(AsmPrinter &printer) const {
  printer << '<' << getName() << ", [";
  llvm::interleaveComma(getReads(), printer, [&](DenseI64ArrayAttr read) {
    printer << '[';
    llvm::interleaveComma(read.asArrayRef(), printer);
    printer << ']';
  });
  printer << "]>";
}

bool StateAttr::isSymbolic() const {
  return llvm::any_of(getReads(), [](DenseI64ArrayAttr read) {
    return llvm::any_of(read.asArrayRef(), [](int64_t distance) { return distance < 0; });
  });
}

int64_t StateAttr::depth(int64_t axis) const {
  if (isSymbolic())
    llvm::report_fatal_error("the depth of a state whose lag is not bound yet");
  int64_t largest = 1;
  for (DenseI64ArrayAttr read : getReads())
    largest = std::max(largest, read[axis]);
  return largest;
}

//===--- decays and readouts of raised scans ------------------------------------------------------------------------===//

Attribute DecayAttr::parse(AsmParser &parser, Type) {
  int64_t state = 0;
  SmallVector<int64_t> axes;
  auto axis = [&] { return parser.parseInteger(axes.emplace_back()); };
  if (parser.parseLess() || parser.parseInteger(state) || parser.parseComma() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, axis))
    return {};
  bool before = succeeded(parser.parseOptionalComma());
  if ((before && parser.parseKeyword("before")) || parser.parseGreater())
    return {};
  return get(parser.getContext(), state, axes, before);
}

void DecayAttr::print(AsmPrinter &printer) const {
  printer << '<' << getState() << ", [";
  llvm::interleaveComma(getAxes(), printer);
  printer << (getBefore() ? "], before>" : "]>");
}

Attribute ReadoutAttr::parse(AsmParser &parser, Type) {
  int64_t state = 0, axis = 0;
  if (parser.parseLess() || parser.parseInteger(state) || parser.parseComma() || parser.parseInteger(axis))
    return {};
  bool before = succeeded(parser.parseOptionalComma());
  if ((before && parser.parseKeyword("before")) || parser.parseGreater())
    return {};
  return get(parser.getContext(), state, axis, before);
}

void ReadoutAttr::print(AsmPrinter &printer) const {
  printer << '<' << getState() << ", " << getAxis() << (getBefore() ? ", before>" : ">");
}

//===--- array types ------------------------------------------------------------------------------------------------===//

ElementKind rondo::recur::elementKind(Type type) {
  Type element = getElementTypeOrSelf(type);
  if (element.isInteger(1))
    return ElementKind::Truth;
  if (auto complex = dyn_cast<ComplexType>(element))
    return isa<FloatType>(complex.getElementType()) ? ElementKind::Complex : ElementKind::None;
  return isa<FloatType>(element) ? ElementKind::Real : ElementKind::None;
}

bool rondo::recur::isArray(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa_and_present<DimsAttr>(tensor.getEncoding()) && elementKind(tensor) != ElementKind::None;
}

DimsAttr rondo::recur::dimsOf(Type type) { return cast<DimsAttr>(cast<RankedTensorType>(type).getEncoding()); }

bool rondo::recur::isScalar(Type type) { return dimsOf(type).rank() == 0; }
