// See LogDecay.h.
#include "compiler/Differentiate/LogDecay.h"

using namespace mlir;
using namespace rondo;

/// Below this, a division makes the rounding errors of a logarithm's cotangent grow more than twofold.
static constexpr double kDivisible = 0.5;

/// What an argument of a scan's region stands for, and an output of a scan.
static Value sourceOf(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto scan = dyn_cast_or_null<recur::ScanInterface>(argument.getOwner()->getParentOp());
    const bool isShared = scan && argument.getArgNumber() < scan.getInputs().size() + scan.getParams().size();
    return isShared ? sourceOf(scan->getOperand(argument.getArgNumber())) : Value();
  }
  auto scan = dyn_cast<recur::ScanInterface>(value.getDefiningOp());
  if (!scan)
    return value;
  const unsigned number = cast<OpResult>(value).getResultNumber();
  auto yield = dyn_cast<recur::YieldOp>(scan->getRegions().back().front().getTerminator());
  return yield && number < scan.numOutputs() ? sourceOf(yield.getOutputs()[number]) : Value();
}

static bool isExponential(Value value);

/// x + (1 - x) y, where y is an exponential: near 0 both x and y are, and the factor of y is 1.
static bool isMixed(recur::MapOp sum) {
  for (unsigned i : {0u, 1u}) {
    auto product = sum.getOperand(1 - i).getDefiningOp<recur::MapOp>();
    for (unsigned j : {0u, 1u}) {
      auto rest = product && product.getFn() == recur::Fn::Mul ? product.getOperand(j).getDefiningOp<recur::MapOp>()
                                                               : recur::MapOp();
      if (rest && rest.getFn() == recur::Fn::Sub && rest.getOperand(1) == sum.getOperand(i) &&
          isExponential(product.getOperand(1 - j)))
        return true;
    }
  }
  return false;
}

/// Whether a value that is never negative comes near 0 only as an exponential does, where its derivative comes near 0, too. What is given
/// does not; nor a product with it.
static bool isExponential(Value value) {
  value = sourceOf(value);
  Operation *op = value ? value.getDefiningOp() : nullptr;
  if (!op || op->getOperands().empty())
    return false;
  auto map = dyn_cast<recur::MapOp>(op);
  if (map && map.getFn() == recur::Fn::Exp)
    return true;
  if (map && map.getFn() == recur::Fn::Mul)
    return llvm::all_of(op->getOperands(), isExponential);
  if (map && map.getFn() == recur::Fn::Div) {
    auto constant = map.getOperand(0).getDefiningOp<arith::ConstantOp>();
    return (constant || isExponential(map.getOperand(0))) && isExponential(map.getOperand(1));
  }
  if (map && map.getFn() == recur::Fn::Add && isMixed(map))
    return true;
  return llvm::any_of(op->getOperands(), isExponential);
}

bool rondo::findLogTerms(Value decay, double sign, function_ref<bool(Value)> isActive, analysis::Ranges &ranges,
                         SmallVectorImpl<LogTerm> &terms) {
  if (!isActive(decay))
    return true;
  auto next = [&](Value operand, double by) { return findLogTerms(operand, sign * by, isActive, ranges, terms); };
  if (auto map = decay.getDefiningOp<recur::MapOp>()) {
    if (map.getFn() == recur::Fn::Exp) {
      terms.push_back({map.getOperand(0), sign, LogPart::Whole});
      return true;
    }
    if (map.getFn() == recur::Fn::Mul || map.getFn() == recur::Fn::Div)
      return next(map.getOperand(0), 1) && next(map.getOperand(1), map.getFn() == recur::Fn::Mul ? 1 : -1);
  }
  if (auto spread = decay.getDefiningOp<recur::BroadcastOp>())
    return next(spread.getOperand(), 1);
  const double least = ranges.of(decay).lo;
  if (least < kDivisible && (least < 0 || !isExponential(decay)))
    return false;
  terms.push_back({decay, sign, least < kDivisible ? LogPart::Guarded : LogPart::Divided});
  return true;
}
