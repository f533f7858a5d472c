// Verifiers of the step's ops. The numbers in the messages are the constraints' numbers in the ops' documents (RecurOps.td);
// the scan is in ScanOp.cpp, the folds are in RecurFolds.cpp.
#include "dialects/Recur/DimExpr.h"
#include "dialects/Recur/Recur.h"
#include "dialects/Recur/ScanChecks.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/SmallSet.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::recur;

#define GET_OP_CLASSES
#include "dialects/Recur/RecurOps.cpp.inc"

static RankedTensorType arrayType(Value value) { return cast<RankedTensorType>(value.getType()); }
static Type elementOf(Value value) { return arrayType(value).getElementType(); }

/// One axis of an array: its name, whether it is implicit, and its size where it is known.
namespace {
struct Axis {
  StringAttr name;
  bool implicit;
  int64_t size;
};
} // namespace

static SmallVector<Axis> axesOf(Value value) {
  DimsAttr dims = dimsOf(value.getType());
  SmallVector<Axis> axes;
  for (StringAttr name : dims.getAxes())
    axes.push_back({name, true, 0});
  for (StringAttr name : dims.getNames())
    axes.push_back({name, false, 0});
  for (auto [axis, size] : llvm::zip_equal(axes, arrayType(value).getShape()))
    axis.size = size;
  return axes;
}

static bool sameAxis(const Axis &a, const Axis &b) {
  bool sizesAgree = a.size == b.size || ShapedType::isDynamic(a.size) || ShapedType::isDynamic(b.size);
  return a.name == b.name && a.implicit == b.implicit && sizesAgree;
}

static bool sameAxes(ArrayRef<Axis> a, ArrayRef<Axis> b) { return llvm::equal(a, b, sameAxis); }

/// The positions that `dims` names, checked: in order, none twice, each below `rank`.
static bool arePositions(ArrayRef<int64_t> dims, int64_t rank) {
  int64_t last = -1;
  for (int64_t dim : dims) {
    if (dim <= last || dim >= rank)
      return false;
    last = dim;
  }
  return true;
}

static SmallVector<Axis> without(SmallVector<Axis> axes, ArrayRef<int64_t> dims) {
  for (int64_t dim : llvm::reverse(dims))
    axes.erase(axes.begin() + dim);
  return axes;
}

static DimExpr sizeOf(StringAttr name) { return *DimExpr::parse(std::string_view(name.getValue())); }

//===--- map --------------------------------------------------------------------------------------------------------===//

unsigned rondo::recur::arity(Fn fn) {
  if (fn == Fn::Select)
    return 3;
  return static_cast<uint32_t>(fn) < static_cast<uint32_t>(Fn::Add) ? 1 : 2;
}

static bool takesRealOnly(Fn fn) {
  return llvm::is_contained(
      {Fn::Expm1, Fn::Log1p, Fn::Erf, Fn::Sign, Fn::Floor, Fn::Max, Fn::Min, Fn::Complex, Fn::Lt, Fn::Le}, fn);
}

static bool takesTruth(Fn fn) { return fn == Fn::Not || fn == Fn::And || fn == Fn::Or; }

/// The result's element type for operands of type `element`.
static Type resultElement(Fn fn, Type element) {
  auto complex = dyn_cast<ComplexType>(element);
  switch (fn) {
  case Fn::Abs:
  case Fn::Real:
  case Fn::Imag:
    return complex ? complex.getElementType() : element;
  case Fn::Complex:
    return ComplexType::get(element);
  case Fn::Lt:
  case Fn::Le:
  case Fn::Eq:
  case Fn::Ne:
    return IntegerType::get(element.getContext(), 1);
  default:
    return element;
  }
}

LogicalResult MapOp::verify() {
  OperandRange operands = getOperands_();
  if (operands.size() != arity(getFn()))
    return emitOpError() << "'" << stringifyFn(getFn()) << "' takes " << arity(getFn()) << " operands, got "
                         << operands.size() << " (C1)";
  SmallVector<Axis> axes = axesOf(getResult());
  bool any = false;
  for (Value operand : operands) {
    bool same = sameAxes(axesOf(operand), axes);
    any |= same;
    if (!same && !isScalar(operand.getType()))
      return emitOpError() << "operand " << operand.getType() << " is neither a scalar nor of the result's shape "
                           << getResult().getType() << " (C2)";
  }
  if (!any)
    return emitOpError() << "no operand has the result's shape " << getResult().getType() << " (C2)";
  OperandRange values = getFn() == Fn::Select ? operands.drop_front() : operands;
  Type element = elementOf(values.front());
  if (getFn() == Fn::Select && elementKind(operands.front().getType()) != ElementKind::Truth)
    return emitOpError() << "the condition of 'select' must be a truth value (C3)";
  if (!llvm::all_of(values, [&](Value value) { return elementOf(value) == element; }))
    return emitOpError() << "operands differ in element type (C3)";
  ElementKind kind = elementKind(element);
  bool fits = takesTruth(getFn())      ? kind == ElementKind::Truth
              : takesRealOnly(getFn()) ? kind == ElementKind::Real
              : getFn() != Fn::Select  ? kind != ElementKind::Truth
                                       : true;
  if (!fits)
    return emitOpError() << "'" << stringifyFn(getFn()) << "' takes no elements of type " << element << " (C3)";
  if (elementOf(getResult()) != resultElement(getFn(), element))
    return emitOpError() << "'" << stringifyFn(getFn()) << "' of " << element << " gives "
                         << resultElement(getFn(), element) << ", not " << elementOf(getResult()) << " (C4)";
  return success();
}

//===--- contract ---------------------------------------------------------------------------------------------------===//

std::optional<ContractSpec> rondo::recur::parseContractSpec(StringRef spec) {
  auto [left, right] = spec.split("->");
  if (!spec.contains("->"))
    return std::nullopt;
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  auto letters = [](StringRef term) { return llvm::all_of(term, [](char c) { return llvm::isAlpha(c); }); };
  if (!letters(right) || !llvm::all_of(terms, letters))
    return std::nullopt;
  ContractSpec result;
  for (StringRef term : terms)
    result.operands.push_back(term.str());
  result.result = right.str();
  return result;
}

LogicalResult rondo::recur::verifyContraction(Operation *op, StringRef text, ValueRange operands, Value result) {
  auto spec = parseContractSpec(text);
  if (!spec)
    return op->emitOpError() << "malformed specification '" << text << "' (C1)";
  if (spec->operands.size() != operands.size())
    return op->emitOpError() << "'" << text << "' has " << spec->operands.size() << " terms for " << operands.size()
                             << " operands (C2)";
  llvm::SmallDenseMap<char, Axis> letters;
  auto bind = [&](StringRef term, Value value, bool isResult) -> LogicalResult {
    SmallVector<Axis> axes = axesOf(value);
    if (term.size() != axes.size())
      return op->emitOpError() << "term '" << term << "' has " << term.size() << " letters for " << value.getType()
                               << " (C3)";
    for (auto [letter, axis] : llvm::zip_equal(term, axes)) {
      auto [place, isNew] = letters.try_emplace(letter, axis);
      if (isNew && isResult)
        return op->emitOpError() << "letter '" << Twine(letter) << "' of the result is in no operand (C5)";
      if (!sameAxis(place->second, axis))
        return op->emitOpError() << "letter '" << Twine(letter) << "' stands for '" << place->second.name.getValue()
                                 << "' and for '" << axis.name.getValue() << "' (C4)";
      if (ShapedType::isDynamic(place->second.size))
        place->second.size = axis.size;
    }
    return success();
  };
  for (auto [term, operand] : llvm::zip_equal(spec->operands, operands))
    if (failed(bind(term, operand, false)))
      return failure();
  if (failed(bind(spec->result, result, true)))
    return failure();
  if (llvm::SmallSet<char, 8>(spec->result.begin(), spec->result.end()).size() != spec->result.size())
    return op->emitOpError() << "'" << spec->result << "' repeats a letter in the result (C5)";
  if (!llvm::all_of(operands, [&](Value value) { return elementOf(value) == elementOf(result); }) ||
      elementKind(result.getType()) == ElementKind::Truth)
    return op->emitOpError() << "operands and result must have one real or complex element type (C6)";
  return success();
}

LogicalResult ContractOp::verify() { return verifyContraction(*this, getSpec(), getOperands_(), getResult()); }

//===--- reduce, broadcast, slice, concat, reshape, cast, identity --------------------------------------------------===//

LogicalResult ReduceOp::verify() {
  SmallVector<Axis> axes = axesOf(getOperand());
  if (!arePositions(getDims(), axes.size()))
    return emitOpError() << "positions must rise and lie below " << axes.size() << " (C1)";
  if (!sameAxes(without(axes, getDims()), axesOf(getResult())))
    return emitOpError() << "the result must have the operand's other axes, got " << getResult().getType() << " (C2)";
  bool ordered = getKind() == Reduction::Max || getKind() == Reduction::Min;
  ElementKind kind = elementKind(getResult().getType());
  if (elementOf(getOperand()) != elementOf(getResult()) || kind == ElementKind::Truth ||
      (ordered && kind != ElementKind::Real))
    return emitOpError() << "'" << stringifyReduction(getKind()) << "' of " << elementOf(getOperand()) << " to "
                         << elementOf(getResult()) << " (C3)";
  return success();
}

LogicalResult BroadcastOp::verify() {
  SmallVector<Axis> axes = axesOf(getResult());
  if (!arePositions(getDims(), axes.size()))
    return emitOpError() << "positions must rise and lie below " << axes.size() << " (C1)";
  if (!sameAxes(without(axes, getDims()), axesOf(getOperand())))
    return emitOpError() << "the result's other axes must be the operand's " << getOperand().getType() << " (C2)";
  if (elementOf(getOperand()) != elementOf(getResult()))
    return emitOpError() << "operand and result differ in element type (C3)";
  return success();
}

LogicalResult SliceOp::verify() {
  SmallVector<Axis> axes = axesOf(getOperand()), result = axesOf(getResult());
  int64_t dim = getDim();
  if (dim < 0 || dim >= static_cast<int64_t>(axes.size()) || axes[dim].implicit)
    return emitOpError() << "'" << dim << "' is no position of a named axis of " << getOperand().getType() << " (C1)";
  auto offset = DimExpr::parse(std::string_view(getOffset()));
  if (!offset)
    return emitOpError() << "offset '" << getOffset() << "' is no size (C2)";
  bool shapes = result.size() == axes.size() - getDrop();
  DimExpr size = DimExpr::constant(1);
  if (shapes && !getDrop()) {
    shapes = !result[dim].implicit;
    size = sizeOf(result[dim].name);
    result.erase(result.begin() + dim);
  }
  if (!shapes || !sameAxes(without(axes, dim), result))
    return emitOpError() << "the result must have the operand's other axes, got " << getResult().getType() << " (C3)";
  auto rest = (sizeOf(axes[dim].name) - *offset - size).asConstant();
  auto start = offset->asConstant();
  if ((rest && *rest < 0) || (start && *start < 0))
    return emitOpError() << size.str() << " elements at " << getOffset() << " are not inside '"
                         << axes[dim].name.getValue() << "' (C4)";
  if (elementOf(getOperand()) != elementOf(getResult()))
    return emitOpError() << "operand and result differ in element type (C5)";
  return success();
}

LogicalResult ConcatOp::verify() {
  SmallVector<Axis> result = axesOf(getResult());
  int64_t dim = getDim();
  if (dim < 0 || dim >= static_cast<int64_t>(result.size()) || result[dim].implicit)
    return emitOpError() << "'" << dim << "' is no position of a named axis of " << getResult().getType() << " (C1)";
  if (getOperands_().empty())
    return emitOpError() << "at least one operand is needed (C2)";
  DimExpr total;
  for (Value operand : getOperands_()) {
    SmallVector<Axis> axes = axesOf(operand);
    if (axes.size() != result.size() || !sameAxes(without(axes, dim), without(result, dim)))
      return emitOpError() << operand.getType() << " and " << getResult().getType() << " differ in more than axis "
                           << dim << " (C3)";
    total = total + sizeOf(axes[dim].name);
  }
  if (total != sizeOf(result[dim].name))
    return emitOpError() << "the operands have " << total.str() << " elements, the result '"
                         << result[dim].name.getValue() << "' (C4)";
  if (!llvm::all_of(getOperands_(), [&](Value value) { return elementOf(value) == elementOf(getResult()); }))
    return emitOpError() << "operands and result differ in element type (C5)";
  return success();
}

/// Number of elements, of the axes that have a size expression; the head axis counts when the model says its size.
static DimExpr elementCount(Value value, const std::optional<DimExpr> &heads) {
  DimExpr count = DimExpr::constant(1);
  for (const Axis &axis : axesOf(value))
    if (!axis.implicit)
      count = count * sizeOf(axis.name);
    else if (heads && axis.name == "head")
      count = count * *heads;
  return count;
}

static SmallVector<Axis> implicitAxesBesidesHead(Value value) {
  SmallVector<Axis> axes = axesOf(value);
  llvm::erase_if(axes, [](const Axis &axis) { return !axis.implicit || axis.name == "head"; });
  return axes;
}

LogicalResult ReshapeOp::verify() {
  auto from = cast<RankedTensorType>(getOperand().getType()), to = cast<RankedTensorType>(getType());
  SmallVector<Axis> axesBefore = implicitAxesBesidesHead(getOperand()),
                    axesAfter = implicitAxesBesidesHead(getResult());
  // In a chunk, where every size is a number, a named axis may become more steps, and steps a named axis.
  if (from.hasStaticShape() && to.hasStaticShape() && from.getNumElements() == to.getNumElements())
    for (SmallVector<Axis> *axes : {&axesBefore, &axesAfter})
      for (Axis &axis : *axes)
        axis.size = ShapedType::kDynamic;
  if (!sameAxes(axesBefore, axesAfter))
    return emitOpError() << "implicit axes besides the head axis must stay: " << getOperand().getType() << " to "
                         << getResult().getType() << " (C1)";
  bool headsBefore = dimsOf(getOperand().getType()).axisPosition("head") >= 0;
  bool headsAfter = dimsOf(getResult().getType()).axisPosition("head") >= 0;
  std::optional<DimExpr> heads;
  auto function = (*this)->getParentOfType<FunctionOpInterface>();
  if (auto count = function ? function->getAttrOfType<StringAttr>(kHeadCountAttr) : StringAttr())
    heads = sizeOf(count);
  DimExpr before = elementCount(getOperand(), heads), after = elementCount(getResult(), heads);
  bool staticAlike = from.hasStaticShape() && to.hasStaticShape() && from.getNumElements() == to.getNumElements();
  if ((heads || headsBefore == headsAfter) && before != after && !staticAlike)
    return emitOpError() << "from " << before.str() << " to " << after.str() << " elements (C2)";
  if (elementOf(getOperand()) != elementOf(getResult()))
    return emitOpError() << "operand and result differ in element type (C3)";
  return success();
}

LogicalResult CastOp::verify() {
  if (!sameAxes(axesOf(getOperand()), axesOf(getResult())))
    return emitOpError() << "a cast keeps the shape: " << getOperand().getType() << " to " << getResult().getType()
                         << " (C1)";
  ElementKind from = elementKind(getOperand().getType()), to = elementKind(getResult().getType());
  if (from == ElementKind::Truth || to == ElementKind::Truth ||
      (from == ElementKind::Complex && to == ElementKind::Real))
    return emitOpError() << "no cast from " << elementOf(getOperand()) << " to " << elementOf(getResult()) << " (C2)";
  return success();
}

LogicalResult IdentityOp::verify() {
  SmallVector<Axis> axes = axesOf(getResult());
  if (axes.size() != 2 || axes[0].implicit || axes[1].implicit || !sameAxis(axes[0], axes[1]))
    return emitOpError() << "an identity has twice the same named axis, got " << getResult().getType() << " (C1)";
  if (elementKind(getResult().getType()) == ElementKind::Truth)
    return emitOpError() << "an identity's elements are real or complex (C2)";
  return success();
}

//===--- sum_to -----------------------------------------------------------------------------------------------------===//

LogicalResult SumToOp::verify() {
  auto lagSize = [](Value value) {
    int64_t lag = dimsOf(value.getType()).axisPosition("lag");
    return lag < 0 ? int64_t(-1) : arrayType(value).getDimSize(lag);
  };
  auto named = [](Value value) {
    SmallVector<Axis> axes = axesOf(value);
    llvm::erase_if(axes, [](const Axis &axis) { return axis.implicit; });
    return axes;
  };
  ElementKind kind = elementKind(getResult().getType());
  for (Value operand : getOperands_()) {
    if (!sameAxes(named(operand), named(getResult())) || elementKind(operand.getType()) != kind)
      return emitOpError() << operand.getType() << " has not the named axes and kind of " << getResult().getType()
                           << " (C1)";
    if (!getFlipLag() && lagSize(operand) != lagSize(getResult()))
      return emitOpError() << "slices of " << operand.getType() << " do not fit " << getResult().getType() << " (C2)";
  }
  if (kind == ElementKind::Truth)
    return emitOpError() << "truth values have no sum (C1)";
  return success();
}
