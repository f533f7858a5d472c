// See LogDecay.h.
#include "compiler/Differentiate/LogDecay.h"

using namespace mlir;
using namespace rondo;

/// Below this, a division makes the rounding errors of a logarithm's cotangent grow more than twofold.
static constexpr double kDivisible = 0.5;

static bool hasExponential(Value value) {
  Operation *op = value.getDefiningOp();
  auto map = dyn_cast_or_null<recur::MapOp>(op);
  return op && ((map && map.getFn() == recur::Fn::Exp) || llvm::any_of(op->getOperands(), hasExponential));
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
  if (least < kDivisible && (least < 0 || !hasExponential(decay)))
    return false;
  terms.push_back({decay, sign, least < kDivisible ? LogPart::Guarded : LogPart::Divided});
  return true;
}
