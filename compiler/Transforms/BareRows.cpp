// See BareRows.h.
#include "compiler/Transforms/BareRows.h"
#include "compiler/Transforms/StepValues.h"

using namespace mlir;
using namespace rondo;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The number that is the same along the rows' axis; null where there is none.
static Value numberIn(Value value) {
  if (auto spread = value.getDefiningOp<recur::BroadcastOp>())
    value = spread.getOperand();
  return recur::dimsOf(value.getType()).getNames().empty() ? value : Value();
}

BareRows::BareRows(Value value) : rows(value) {
  while (auto map = rows.getDefiningOp<recur::MapOp>()) {
    bool divides = map.getFn() == recur::Fn::Div;
    if (map.getFn() == recur::Fn::Neg) {
      negated = !negated;
      rows = map.getOperand(0);
      continue;
    }
    if (map.getFn() != recur::Fn::Mul && !divides)
      return;
    Value left = numberIn(map.getOperand(0)), right = numberIn(map.getOperand(1));
    if (static_cast<bool>(left) == static_cast<bool>(right) || (left && divides))
      return;
    terms.push_back({left ? left : right, divides});
    rows = map.getOperand(left ? 1 : 0);
  }
}

Value BareRows::factor(OpBuilder &b, Location loc, function_ref<Value(Value)> valueOf) const {
  Value factor;
  for (const Term &term : terms) {
    Value here = valueOf(term.number);
    if (term.divides && !factor)
      factor = constantOf(b, loc, axesOf(typeOf(term.number), {}), 1);
    Type type = factor && typeOf(factor).getRank() > typeOf(here).getRank() ? factor.getType() : here.getType();
    factor = !factor ? here
                     : recur::MapOp::create(b, loc, type, term.divides ? recur::Fn::Div : recur::Fn::Mul,
                                            ValueRange{factor, here})
                           .getResult();
  }
  if (negated && factor)
    factor = recur::MapOp::create(b, loc, factor.getType(), recur::Fn::Neg, factor);
  return factor;
}

Value BareRows::inverse(OpBuilder &b, Location loc, function_ref<Value(Value)> valueOf) const {
  Value inverse;
  for (const Term &term : terms) {
    Value here = valueOf(term.number);
    Type type = inverse && typeOf(inverse).getRank() > typeOf(here).getRank() ? inverse.getType() : here.getType();
    inverse =
        !inverse ? here : recur::MapOp::create(b, loc, type, recur::Fn::Mul, ValueRange{inverse, here}).getResult();
  }
  if (negated && inverse)
    inverse = recur::MapOp::create(b, loc, inverse.getType(), recur::Fn::Neg, inverse);
  return inverse;
}
