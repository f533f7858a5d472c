// Registers the dialect: its ops and attributes, the short names that printed IR gives to dims, the constants that folds make,
// and the checks of the attributes that it hangs on functions, arguments and results.
#include "dialects/Recur/DimExpr.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::recur;

#include "dialects/Recur/RecurDialect.cpp.inc"
#include "dialects/Recur/RecurInterfaces.cpp.inc"

namespace {
/// Prints `#batch_time_head_K` for `#recur.dims<batch, time, head | K>`: the alias says what the attribute says.
struct RecurAsmInterface : OpAsmDialectInterface {
  using OpAsmDialectInterface::OpAsmDialectInterface;

  AliasResult getAlias(Attribute attribute, raw_ostream &os) const final {
    auto dims = dyn_cast<DimsAttr>(attribute);
    if (!dims)
      return AliasResult::NoAlias;
    std::string text = dims.rank() ? "" : "scalar";
    for (StringAttr part : llvm::concat<const StringAttr>(dims.getAxes(), dims.getNames()))
      text += (text.empty() ? "" : "_") + part.str();
    for (char &c : text)
      c = c == '*' ? 'x' : c == '+' ? 'p' : c == '-' ? 'm' : c;
    if (!llvm::isAlpha(text.front()))
      text = "n" + text;
    os << text << (llvm::isDigit(text.back()) ? "_" : "");
    return AliasResult::OverridableAlias;
  }
};
} // namespace

void RecurDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "dialects/Recur/RecurOps.cpp.inc"
      >();
  addInterfaces<RecurAsmInterface>();
}

Operation *RecurDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type, Location loc) {
  auto typed = dyn_cast<TypedAttr>(value);
  if (!typed || typed.getType() != type)
    return nullptr;
  return arith::ConstantOp::create(builder, loc, typed);
}

/// An array of strings; of sizes where `sizes`.
static bool isNameList(Attribute attribute, bool sizes) {
  auto list = dyn_cast<ArrayAttr>(attribute);
  return list && llvm::all_of(list, [&](Attribute entry) {
           auto text = dyn_cast<StringAttr>(entry);
           return text && (!sizes || DimExpr::parse(std::string_view(text.getValue())));
         });
}

LogicalResult RecurDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  StringRef name = attribute.getName();
  Attribute value = attribute.getValue();
  if (name == kMovesAttr && isa<DeltaScanOp>(op))
    return success(); // which looks at it itself (C30)
  if (!isa<FunctionOpInterface>(op))
    return op->emitError() << "'" << name << "' belongs on a function";
  bool good = name == kDimsAttr    ? isNameList(value, true)
              : name == kAxesAttr  ? isNameList(value, false)
              : name == kLagsAttr  ? isNameList(value, true)
              : name == kHeadsAttr ? isa<UnitAttr>(value)
              : name == kHeadCountAttr
                  ? isa<StringAttr>(value) && DimExpr::parse(std::string_view(cast<StringAttr>(value).getValue()))
                  : true;
  return good ? success() : op->emitError() << "malformed '" << name << "'";
}

LogicalResult RecurDialect::verifyRegionArgAttribute(Operation *op, unsigned, unsigned argument,
                                                     NamedAttribute attribute) {
  StringRef name = attribute.getName();
  Attribute value = attribute.getValue();
  auto text = dyn_cast<StringAttr>(value);
  bool good = name == kNameAttr || name == kCotangentAttr ? bool(text)
              : name == kKindAttr
                  ? text && llvm::is_contained({"input", "param", "init", "resets", "offsets"}, text.getValue())
              : name == kRangeAttr                          ? isa<IntervalAttr>(value)
              : name == kDefaultAttr                        ? isa<DenseElementsAttr>(value)
              : name == kRecurrentAttr || name == kKeptAttr ? isa<UnitAttr>(value)
                                                            : true;
  return good ? success() : op->emitError() << "malformed '" << name << "' on argument " << argument;
}

LogicalResult RecurDialect::verifyRegionResultAttribute(Operation *op, unsigned, unsigned result,
                                                        NamedAttribute attribute) {
  StringRef name = attribute.getName();
  auto text = dyn_cast<StringAttr>(attribute.getValue());
  bool good = name == kNameAttr ? bool(text) : name == kKindAttr ? text && (text == "output" || text == "final") : true;
  return good ? success() : op->emitError() << "malformed '" << name << "' on result " << result;
}
