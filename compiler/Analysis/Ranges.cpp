// See Ranges.h.
#include "compiler/Analysis/Ranges.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace rondo;
using namespace rondo::analysis;
using recur::Fn;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

Interval Interval::all() { return {-kInfinity, kInfinity}; }

double Interval::magnitude() const { return std::max(std::abs(lo), std::abs(hi)); }

/// Products of ends, where nothing times infinity is nothing: an end that is infinite stands for numbers that grow without bound.
static double product(double x, double y) { return x == 0 || y == 0 ? 0 : x * y; }

static Interval operator*(Interval x, Interval y) {
  double ends[] = {product(x.lo, y.lo), product(x.lo, y.hi), product(x.hi, y.lo), product(x.hi, y.hi)};
  return {*std::min_element(ends, ends + 4), *std::max_element(ends, ends + 4)};
}

static Interval operator+(Interval x, Interval y) { return {x.lo + y.lo, x.hi + y.hi}; }
static Interval operator-(Interval x) { return {-x.hi, -x.lo}; }

static Interval joined(Interval x, Interval y) { return {std::min(x.lo, y.lo), std::max(x.hi, y.hi)}; }

/// x / y, where y keeps its sign; everything, otherwise.
static Interval quotient(Interval x, Interval y) {
  if (y.lo < 0 && y.hi > 0)
    return Interval::all();
  bool negative = y.hi <= 0;
  if (negative)
    y = -y;
  Interval reciprocal{1 / y.hi, y.lo > 0 ? 1 / y.lo : kInfinity};
  Interval result = x * reciprocal;
  return negative ? -result : result;
}

Interval Ranges::of(Value value) {
  auto found = known.find(value);
  if (found != known.end())
    return found->second;
  known[value] = Interval::all(); // for a value that a loop leads back to
  bool real = recur::isArray(value.getType()) && recur::elementKind(value.getType()) == recur::ElementKind::Real;
  Interval range = real ? compute(value) : Interval::all();
  if (std::isnan(range.lo) || std::isnan(range.hi))
    range = Interval::all();
  return known[value] = range;
}

Interval Ranges::compute(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return ofArgument(argument);
  Operation *op = value.getDefiningOp();
  if (auto scan = dyn_cast<recur::ScanInterface>(op)) {
    unsigned number = cast<OpResult>(value).getResultNumber();
    auto yield = cast<recur::YieldOp>(op->getRegions().back().front().getTerminator());
    return number < scan.numOutputs() ? of(yield.getOutputs()[number]) : Interval::all();
  }
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    auto numbers = dyn_cast<DenseFPElementsAttr>(constant.getValue());
    if (!numbers)
      return Interval::all();
    Interval range{kInfinity, -kInfinity};
    for (const APFloat &x : numbers)
      range = joined(range, {x.convertToDouble(), x.convertToDouble()});
    return range;
  }
  return llvm::TypeSwitch<Operation *, Interval>(op)
      .Case([&](recur::MapOp map) { return ofMap(map); })
      .Case([&](recur::ConcatOp concat) {
        Interval range = of(concat.getOperands_().front());
        for (Value operand : concat.getOperands_())
          range = joined(range, of(operand));
        return range;
      })
      .Case([&](recur::ReduceOp reduce) {
        bool picks = reduce.getKind() == recur::Reduction::Max || reduce.getKind() == recur::Reduction::Min;
        return picks ? of(reduce.getOperand()) : Interval::all();
      })
      .Case([&](recur::ContractOp contract) {
        // Without a sum, a product.
        auto spec = *recur::parseContractSpec(contract.getSpec());
        for (const std::string &letters : spec.operands)
          for (char letter : letters)
            if (spec.result.find(letter) == std::string::npos)
              return Interval::all();
        Interval range{1, 1};
        for (Value operand : contract.getOperands_())
          range = range * of(operand);
        return range;
      })
      .Case<recur::BroadcastOp, recur::SliceOp, recur::ReshapeOp, recur::CastOp>(
          [&](auto op) { return of(op->getOperand(0)); })
      .Case([&](recur::IdentityOp) { return Interval{0, 1}; })
      .Default([](Operation *) { return Interval::all(); });
}

Interval Ranges::ofArgument(BlockArgument argument) {
  Operation *parent = argument.getOwner()->getParentOp();
  unsigned number = argument.getArgNumber();
  if (auto scan = dyn_cast<recur::ScanInterface>(parent)) {
    size_t shared = scan.getInputs().size() + scan.getParams().size();
    return number < shared ? of(scan->getOperand(number)) : Interval::all();
  }
  auto function = dyn_cast<FunctionOpInterface>(parent);
  auto declared =
      function ? function.getArgAttrOfType<recur::IntervalAttr>(number, recur::kRangeAttr) : recur::IntervalAttr();
  return declared ? Interval{declared.getLo(), declared.getHi()} : Interval::all();
}

/// x + (1 - x) y with x in [0, 1] lies between y and 1: more than the intervals of the two terms can tell.
std::optional<Interval> Ranges::convex(recur::MapOp sum) {
  auto isOneMinus = [](Value value, Value x) {
    auto sub = value.getDefiningOp<recur::MapOp>();
    if (!sub || sub.getFn() != Fn::Sub || sub.getOperands_()[1] != x)
      return false;
    auto constant = sub.getOperands_()[0].getDefiningOp<arith::ConstantOp>();
    auto number = constant ? dyn_cast<DenseFPElementsAttr>(constant.getValue()) : DenseFPElementsAttr();
    return number && number.isSplat() && number.getSplatValue<APFloat>().isExactlyValue(1.0);
  };
  for (unsigned i : {0u, 1u}) {
    Value x = sum.getOperands_()[i];
    auto product = sum.getOperands_()[1 - i].getDefiningOp<recur::MapOp>();
    if (!product || product.getFn() != Fn::Mul)
      continue;
    Interval weight = of(x);
    if (weight.lo < 0 || weight.hi > 1)
      continue;
    for (unsigned j : {0u, 1u})
      if (isOneMinus(product.getOperands_()[j], x))
        return joined(of(product.getOperands_()[1 - j]), {1, 1});
  }
  return std::nullopt;
}

/// What a step's argument stands for: an operand of its scan, and what another scan yields for that. All of it is of one step of the axis.
static Value origin(Value value) {
  while (true) {
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      auto scan = dyn_cast<recur::ScanInterface>(argument.getOwner()->getParentOp());
      if (!scan || argument.getArgNumber() >= scan.getInputs().size() + scan.getParams().size())
        return value;
      value = scan->getOperand(argument.getArgNumber());
      continue;
    }
    auto scan = dyn_cast<recur::ScanInterface>(value.getDefiningOp());
    unsigned number = cast<OpResult>(value).getResultNumber();
    if (!scan || number >= scan.numOutputs())
      return value;
    auto yield = dyn_cast<recur::YieldOp>(scan->getRegions().back().front().getTerminator());
    if (!yield || number >= yield.getOutputs().size())
      return value;
    Value yielded = yield.getOutputs()[number];
    if (getElementTypeOrSelf(yielded.getType()) != getElementTypeOrSelf(value.getType()))
      return value; // rounded
    value = yielded;
  }
}

/// True where both are computed alike: by the same operations from the same values, or from step arguments of the same number.
static bool isSame(Value x, Value y) {
  x = origin(x);
  y = origin(y);
  if (x == y)
    return true;
  auto left = dyn_cast<BlockArgument>(x), right = dyn_cast<BlockArgument>(y);
  if (left || right)
    return left && right && left.getArgNumber() == right.getArgNumber() &&
           left.getOwner()->getParentOp() == right.getOwner()->getParentOp();
  Operation *a = x.getDefiningOp(), *b = y.getDefiningOp();
  if (cast<OpResult>(x).getResultNumber() != cast<OpResult>(y).getResultNumber())
    return false;
  return OperationEquivalence::isEquivalentTo(
      a, b, [](Value p, Value q) { return success(isSame(p, q)); }, nullptr, OperationEquivalence::IgnoreLocations);
}

/// The two sides of a sum in either order.
static bool isSumOf(Value sum, Value x, llvm::function_ref<bool(Value)> isOther) {
  auto add = sum.getDefiningOp<recur::MapOp>();
  if (!add || add.getFn() != Fn::Add)
    return false;
  Value left = add.getOperands_()[0], right = add.getOperands_()[1];
  return (isSame(left, x) && isOther(right)) || (isSame(right, x) && isOther(left));
}

static bool isZero(Value value) {
  if (auto repeated = value.getDefiningOp<recur::BroadcastOp>())
    value = repeated.getOperand();
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  auto numbers = constant ? dyn_cast<DenseFPElementsAttr>(constant.getValue()) : DenseFPElementsAttr();
  return numbers && numbers.isSplat() && numbers.getSplatValue<APFloat>().isZero();
}

/// True where y is a maximum that x takes part in, so that x - y is not positive: in a step, over the elements of an array, or as the new
/// value of a state that is the maximum (or a log-sum) of its shifted old value and another one.
static bool isDominated(Value x, Value y) {
  x = origin(x);
  y = origin(y);
  auto isAtMost = [&](Value one, Value other) { return isSame(one, other) || isDominated(one, other); };
  if (auto max = y.getDefiningOp<recur::MapOp>(); max && max.getFn() == Fn::Max)
    return llvm::any_of(max.getOperands_(), [&](Value side) { return isAtMost(x, side); });
  if (auto largest = y.getDefiningOp<recur::ReduceOp>(); largest && largest.getKind() == recur::Reduction::Max)
    return cast<RankedTensorType>(y.getType()).getRank() == 0 && isAtMost(x, largest.getOperand());
  auto argument = dyn_cast<BlockArgument>(y);
  auto scan = argument ? dyn_cast<recur::LinearScanOp>(argument.getOwner()->getParentOp()) : recur::LinearScanOp();
  size_t first = scan ? scan.getInputs().size() + scan.getParams().size() : 0;
  if (!scan || scan.getSemiring() == recur::Semiring::PlusTimes || argument.getArgNumber() < first ||
      (argument.getArgNumber() - first) % 2 || argument.getOwner() != &scan.getReadout().front())
    return false;
  unsigned state = (argument.getArgNumber() - first) / 2;
  Value old = argument.getOwner()->getArgument(argument.getArgNumber() + 1);
  Value decay = scan.coefficients().getDecays()[state];
  return isAtMost(x, scan.coefficients().getValues()[state]) || (x == old && isZero(decay)) ||
         isSumOf(x, old, [&](Value other) { return isAtMost(other, decay); });
}

Interval Ranges::ofMap(recur::MapOp op) {
  Interval x = of(op.getOperands_()[0]), y = op.getOperands_().size() > 1 ? of(op.getOperands_()[1]) : x;
  auto increasing = [&](double (*f)(double)) { return Interval{f(x.lo), f(x.hi)}; };
  switch (op.getFn()) {
  case Fn::Neg:
    return -x;
  case Fn::Exp:
    return increasing(std::exp);
  case Fn::Expm1:
    return increasing(std::expm1);
  case Fn::Log:
    return x.lo >= 0 ? increasing(std::log) : Interval::all();
  case Fn::Log1p:
    return x.lo >= -1 ? increasing(std::log1p) : Interval::all();
  case Fn::Sqrt:
    return {std::sqrt(std::max(0.0, x.lo)), std::sqrt(std::max(0.0, x.hi))};
  case Fn::Tanh:
    return increasing(std::tanh);
  case Fn::Erf:
    return increasing(std::erf);
  case Fn::Floor:
    return increasing(std::floor);
  case Fn::Sin:
  case Fn::Cos:
  case Fn::Sign:
    return {-1, 1};
  case Fn::Abs:
    return {x.lo > 0 ? x.lo : x.hi < 0 ? -x.hi : 0, x.magnitude()};
  case Fn::Add: {
    Interval sum = x + y;
    if (std::optional<Interval> tighter = convex(op))
      return {std::max(sum.lo, tighter->lo), std::min(sum.hi, tighter->hi)};
    return sum;
  }
  case Fn::Sub: {
    Interval difference = x + -y;
    if (isDominated(op.getOperands_()[0], op.getOperands_()[1]))
      difference = {std::isnan(difference.lo) ? -kInfinity : difference.lo, std::min(0.0, difference.hi)};
    return difference;
  }
  case Fn::Mul:
    return op.getOperands_()[0] == op.getOperands_()[1] ? Interval{x.lo > 0   ? x.lo * x.lo
                                                                   : x.hi < 0 ? x.hi * x.hi
                                                                              : 0,
                                                                   product(x.magnitude(), x.magnitude())}
                                                        : x * y;
  case Fn::Div:
    return quotient(x, y);
  case Fn::Max:
    return {std::max(x.lo, y.lo), std::max(x.hi, y.hi)};
  case Fn::Min:
    return {std::min(x.lo, y.lo), std::min(x.hi, y.hi)};
  case Fn::Select:
    return joined(y, of(op.getOperands_()[2]));
  case Fn::Pow:
    // A base in [0, 1] with an exponent that is not negative.
    return x.lo >= 0 && x.hi <= 1 && y.lo >= 0 ? Interval{0, 1} : Interval::all();
  default:
    return Interval::all();
  }
}
