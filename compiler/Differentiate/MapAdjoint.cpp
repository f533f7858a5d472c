// Derivatives of the elementwise functions. The convention for complex values and for corners is in StepAdjoint.h.
#include "compiler/Differentiate/StepAdjoint.h"
#include "mlir/IR/Matchers.h"
#include <numbers>

using namespace mlir;
using namespace rondo;
using rondo::recur::Fn;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }
static bool isComplex(Value value) { return isa<ComplexType>(typeOf(value).getElementType()); }

/// w where `op` is 1 / (1 + exp(w)) of real values, whatever the order of the sum; else null.
static Value logisticExponent(recur::MapOp op) {
  if (op.getFn() != Fn::Div || isComplex(op.getResult()) || !matchPattern(op.getOperands_()[0], m_OneFloat()))
    return {};
  auto sum = op.getOperands_()[1].getDefiningOp<recur::MapOp>();
  if (!sum || sum.getFn() != Fn::Add)
    return {};
  for (auto [one, term] : {std::pair(0, 1), std::pair(1, 0)})
    if (auto exp = sum.getOperands_()[term].getDefiningOp<recur::MapOp>();
        exp && exp.getFn() == Fn::Exp && matchPattern(sum.getOperands_()[one], m_OneFloat()))
      return exp.getOperands_()[0];
  return {};
}

void StepAdjoint::visitMap(recur::MapOp op, Value g) {
  auto operands = op.getOperands_();
  if (op.getFn() == Fn::Select) {
    Value zero = number(g, 0);
    // A condition without axes chooses for all elements, which the branches have then.
    if (isActive(operands[1]))
      addElementwise(operands[1], select(operands[0], g, zero));
    if (isActive(operands[2]))
      addElementwise(operands[2], select(operands[0], zero, g));
  } else if (operands.size() == 1) {
    visitUnary(op, g);
  } else {
    visitBinary(op, g);
  }
}

void StepAdjoint::visitUnary(recur::MapOp op, Value g) {
  Value x = op.getOperands_()[0], y = op.getResult();
  auto scaled = [&](Value derivative) { add(x, mul(g, conjugate(derivative))); };
  switch (op.getFn()) {
  case Fn::Neg:
    return add(x, map(Fn::Neg, {g}));
  case Fn::Exp:
    return scaled(y);
  case Fn::Expm1:
    return scaled(map(Fn::Exp, {x}));
  case Fn::Log:
    return add(x, map(Fn::Div, {g, conjugate(x)}));
  case Fn::Log1p:
    return add(x, map(Fn::Div, {g, map(Fn::Add, {x, number(x, 1)})}));
  case Fn::Sqrt:
    return add(x, map(Fn::Div, {mul(g, number(g, 0.5)), conjugate(y)}));
  case Fn::Tanh: // 1 - tanh^2, factored so that it does not cancel
    return scaled(mul(map(Fn::Add, {number(y, 1), y}), map(Fn::Sub, {number(y, 1), y})));
  case Fn::Sin:
    return scaled(map(Fn::Cos, {x}));
  case Fn::Cos:
    return scaled(map(Fn::Neg, {map(Fn::Sin, {x})}));
  case Fn::Erf:
    return scaled(mul(number(x, 2 * std::numbers::inv_sqrtpi), map(Fn::Exp, {map(Fn::Neg, {mul(x, x)})})));
  case Fn::Abs: {
    if (!isComplex(x))
      return scaled(map(Fn::Sign, {x}));
    Value zero = number(y, 0), size = select(map(Fn::Eq, {y, zero}), number(y, 1), y);
    return add(x, mul(asComplex(map(Fn::Div, {g, size})), x));
  }
  case Fn::Real:
    return add(x, isComplex(x) ? asComplex(g) : g);
  case Fn::Imag:
    if (isComplex(x))
      add(x, map(Fn::Complex, {number(g, 0), g}));
    return;
  case Fn::Conj:
    return add(x, conjugate(g));
  default: // sign and floor are constant wherever they have a derivative; truth values have none
    return;
  }
}

void StepAdjoint::visitBinary(recur::MapOp op, Value g) {
  Value x = op.getOperands_()[0], y = op.getOperands_()[1], z = op.getResult();
  auto toX = [&](auto make) {
    if (isActive(x))
      addElementwise(x, make());
  };
  auto toY = [&](auto make) {
    if (isActive(y))
      addElementwise(y, make());
  };
  switch (op.getFn()) {
  case Fn::Add:
    toX([&] { return g; });
    return toY([&] { return g; });
  case Fn::Sub:
    toX([&] { return g; });
    return toY([&] { return map(Fn::Neg, {g}); });
  case Fn::Mul:
    toX([&] { return mul(g, conjugate(y)); });
    return toY([&] { return mul(g, conjugate(x)); });
  case Fn::Div:
    if (Value w = logisticExponent(op)) {
      // z (1 - z), without the infinity of exp(w) on one side, and without the cancellation of 1 - z on the other.
      Value bounded = map(Fn::Exp, {map(Fn::Min, {w, number(w, 0)})});
      Value rest = select(map(Fn::Lt, {w, number(w, 0)}), mul(bounded, z), map(Fn::Sub, {number(z, 1), z}));
      return add(w, map(Fn::Neg, {mul(g, mul(z, rest))}));
    }
    toX([&] { return map(Fn::Div, {g, conjugate(y)}); });
    return toY([&] { return map(Fn::Neg, {map(Fn::Div, {mul(g, conjugate(z)), conjugate(y)})}); });
  case Fn::Pow: {
    Value zero = number(x, 0), one = number(x, 1);
    toX([&] { // x^0 is constant, also at 0
      Value slope = mul(y, map(Fn::Pow, {x, map(Fn::Sub, {y, one})}));
      return mul(g, conjugate(select(map(Fn::Eq, {y, zero}), zero, slope)));
    });
    return toY([&] { // so is 0^y for positive y
      Value isZero = map(Fn::Eq, {x, zero});
      return mul(g, conjugate(mul(z, select(isZero, zero, map(Fn::Log, {select(isZero, one, x)})))));
    });
  }
  case Fn::Max:
  case Fn::Min: {
    auto share = [&](Value own, Value other) {
      Value loses = op.getFn() == Fn::Max ? map(Fn::Lt, {own, other}) : map(Fn::Lt, {other, own});
      Value half = select(map(Fn::Eq, {own, other}), number(g, 0.5), number(g, 1));
      return mul(g, select(loses, number(g, 0), half));
    };
    toX([&] { return share(x, y); });
    return toY([&] { return share(y, x); });
  }
  case Fn::Complex:
    toX([&] { return map(Fn::Real, {g}); });
    return toY([&] { return map(Fn::Imag, {g}); });
  default: // comparisons, and functions of truth values
    return;
  }
}
