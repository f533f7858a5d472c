// Arithmetic on real and complex elements. See ElementOps.h.
#include "compiler/Target/CPU/ElementOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/ErrorHandling.h"
#include <limits>

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;
using recur::Fn;

int64_t rondo::cpu::lanesOf(Value x) {
  auto vector = dyn_cast<VectorType>(x.getType());
  return vector ? vector.getNumElements() : 0;
}

Value ElementOps::splat(Value x, int64_t lanes) {
  if (lanes == 0 || lanesOf(x))
    return x;
  return vector::BroadcastOp::create(b, loc, VectorType::get({lanes}, x.getType()), x);
}

Element ElementOps::splat(Element x, int64_t lanes) {
  return {splat(x.re, lanes), x.isComplex() ? splat(x.im, lanes) : Value()};
}

void ElementOps::align(Value &x, Value &y) {
  int64_t lanes = std::max(lanesOf(x), lanesOf(y));
  x = splat(x, lanes);
  y = splat(y, lanes);
}

Value ElementOps::number(double value) { return arith::ConstantOp::create(b, loc, b.getFloatAttr(real, value)); }

Element ElementOps::constant(std::complex<double> value, bool isComplex) {
  return {number(value.real()), isComplex ? number(value.imag()) : Value()};
}

Element ElementOps::constant(DenseElementsAttr splat) {
  if (isa<ComplexType>(splat.getElementType())) {
    auto value = splat.getSplatValue<std::complex<APFloat>>();
    return constant({value.real().convertToDouble(), value.imag().convertToDouble()}, true);
  }
  if (splat.getElementType().isInteger(1))
    return {arith::ConstantOp::create(b, loc, b.getBoolAttr(splat.getSplatValue<bool>())), {}};
  return constant(splat.getSplatValue<APFloat>().convertToDouble(), false);
}

// Contraction to fused multiply-add is the only licence taken: sums keep their order, NaN and infinities their meaning.
static constexpr arith::FastMathFlags kContract = arith::FastMathFlags::contract;

Value ElementOps::addf(Value x, Value y) {
  align(x, y);
  return arith::AddFOp::create(b, loc, x, y, kContract);
}
Value ElementOps::subf(Value x, Value y) {
  align(x, y);
  return arith::SubFOp::create(b, loc, x, y, kContract);
}
Value ElementOps::mulf(Value x, Value y) {
  align(x, y);
  return arith::MulFOp::create(b, loc, x, y, kContract);
}
Value ElementOps::divf(Value x, Value y) {
  align(x, y);
  return arith::DivFOp::create(b, loc, x, y, arith::FastMathFlags::none);
}
Value ElementOps::compare(arith::CmpFPredicate predicate, Value x, Value y) {
  align(x, y);
  return arith::CmpFOp::create(b, loc, predicate, x, y);
}
Value ElementOps::choose(Value condition, Value x, Value y) {
  align(x, y);
  int64_t lanes = std::max(lanesOf(x), lanesOf(condition));
  return arith::SelectOp::create(b, loc, splat(condition, lanes), splat(x, lanes), splat(y, lanes));
}

Element ElementOps::toComplex(Element x) { return x.isComplex() ? x : Element{x.re, number(0)}; }

Element ElementOps::add(Element x, Element y) {
  if (!x.isComplex() && !y.isComplex())
    return {addf(x.re, y.re), {}};
  x = toComplex(x), y = toComplex(y);
  return {addf(x.re, y.re), addf(x.im, y.im)};
}

Element ElementOps::mul(Element x, Element y) {
  if (!x.isComplex() && !y.isComplex())
    return {mulf(x.re, y.re), {}};
  if (!x.isComplex())
    std::swap(x, y);
  if (!y.isComplex())
    return {mulf(x.re, y.re), mulf(x.im, y.re)};
  return {subf(mulf(x.re, y.re), mulf(x.im, y.im)), addf(mulf(x.re, y.im), mulf(x.im, y.re))};
}

Element ElementOps::multiplyAdd(Element x, Element y, Element z) {
  if (x.isComplex() || y.isComplex() || z.isComplex())
    return add(z, mul(x, y));
  align(x.re, y.re);
  align(x.re, z.re);
  align(x.re, y.re);
  return {math::FmaOp::create(b, loc, x.re, y.re, z.re), {}};
}

/// (a + ib) / (c + id) by Smith's scaling: the larger of c, d divides the other, so that nothing overflows early.
Element ElementOps::divide(Element x, Element y) {
  if (!y.isComplex())
    return {divf(x.re, y.re), x.isComplex() ? divf(x.im, y.re) : Value()};
  x = toComplex(x);
  Value wide = compare(arith::CmpFPredicate::OGE, realUnary(Fn::Abs, y.re), realUnary(Fn::Abs, y.im));
  Value big = choose(wide, y.re, y.im), small = choose(wide, y.im, y.re);
  Value ratio = divf(small, big);
  Value norm = addf(big, mulf(small, ratio));
  Value re = choose(wide, addf(x.re, mulf(x.im, ratio)), addf(mulf(x.re, ratio), x.im));
  Value im = choose(wide, subf(x.im, mulf(x.re, ratio)), subf(mulf(x.im, ratio), x.re));
  return {divf(re, norm), divf(im, norm)};
}

Value ElementOps::realUnary(Fn fn, Value x) {
  switch (fn) {
  case Fn::Neg:
    return arith::NegFOp::create(b, loc, x);
  case Fn::Exp:
    return math::ExpOp::create(b, loc, x);
  case Fn::Expm1:
    return math::ExpM1Op::create(b, loc, x);
  case Fn::Log:
    return math::LogOp::create(b, loc, x);
  case Fn::Log1p:
    return math::Log1pOp::create(b, loc, x);
  case Fn::Sqrt:
    return math::SqrtOp::create(b, loc, x);
  case Fn::Tanh:
    return math::TanhOp::create(b, loc, x);
  case Fn::Sin:
    return math::SinOp::create(b, loc, x);
  case Fn::Cos:
    return math::CosOp::create(b, loc, x);
  case Fn::Erf:
    return math::ErfOp::create(b, loc, x);
  case Fn::Abs:
    return math::AbsFOp::create(b, loc, x);
  case Fn::Floor:
    return math::FloorOp::create(b, loc, x);
  case Fn::Real:
  case Fn::Conj:
    return x;
  case Fn::Imag:
    return number(0);
  case Fn::Sign: {
    Value zero = number(0);
    Value negative = choose(compare(arith::CmpFPredicate::OLT, x, zero), number(-1), x);
    return choose(compare(arith::CmpFPredicate::OGT, x, zero), number(1), negative);
  }
  default:
    llvm_unreachable("no real unary function");
  }
}

Value ElementOps::realBinary(Fn fn, Value x, Value y) {
  align(x, y);
  switch (fn) {
  case Fn::Sub:
    return subf(x, y);
  case Fn::Max:
    return arith::MaximumFOp::create(b, loc, x, y);
  case Fn::Min:
    return arith::MinimumFOp::create(b, loc, x, y);
  case Fn::Pow:
    return math::PowFOp::create(b, loc, x, y);
  case Fn::Lt:
    return compare(arith::CmpFPredicate::OLT, x, y);
  case Fn::Le:
    return compare(arith::CmpFPredicate::OLE, x, y);
  case Fn::Eq:
    return compare(arith::CmpFPredicate::OEQ, x, y);
  case Fn::Ne:
    return compare(arith::CmpFPredicate::UNE, x, y);
  case Fn::And:
    return arith::AndIOp::create(b, loc, x, y);
  case Fn::Or:
    return arith::OrIOp::create(b, loc, x, y);
  default:
    llvm_unreachable("no real binary function");
  }
}

Value ElementOps::angle(Element x) {
  align(x.im, x.re);
  return math::Atan2Op::create(b, loc, x.im, x.re);
}

Element ElementOps::complexUnary(Fn fn, Element x) {
  switch (fn) {
  case Fn::Real:
    return {x.re, {}};
  case Fn::Imag:
    return {x.im, {}};
  case Fn::Conj:
    return {x.re, realUnary(Fn::Neg, x.im)};
  case Fn::Neg:
    return {realUnary(Fn::Neg, x.re), realUnary(Fn::Neg, x.im)};
  case Fn::Abs: {
    // The larger part is taken out so that squares neither overflow nor vanish.
    Value a = realUnary(Fn::Abs, x.re), c = realUnary(Fn::Abs, x.im);
    Value big = realBinary(Fn::Max, a, c), small = realBinary(Fn::Min, a, c);
    Value zero = compare(arith::CmpFPredicate::OEQ, big, number(0));
    Value ratio = divf(small, choose(zero, number(1), big));
    return {mulf(big, realUnary(Fn::Sqrt, addf(mulf(ratio, ratio), number(1)))), {}};
  }
  case Fn::Exp: {
    Value magnitude = realUnary(Fn::Exp, x.re);
    return {mulf(magnitude, realUnary(Fn::Cos, x.im)), mulf(magnitude, realUnary(Fn::Sin, x.im))};
  }
  case Fn::Log: {
    return {realUnary(Fn::Log, complexUnary(Fn::Abs, x).re), angle(x)};
  }
  case Fn::Sin: { // sin(a + ib) = sin a cosh b + i cos a sinh b
    Value e = realUnary(Fn::Exp, x.im), inverse = divf(number(1), e), half = number(0.5);
    return {mulf(realUnary(Fn::Sin, x.re), mulf(half, addf(e, inverse))),
            mulf(realUnary(Fn::Cos, x.re), mulf(half, subf(e, inverse)))};
  }
  case Fn::Cos: { // cos(a + ib) = cos a cosh b - i sin a sinh b
    Value e = realUnary(Fn::Exp, x.im), inverse = divf(number(1), e), half = number(0.5);
    return {mulf(realUnary(Fn::Cos, x.re), mulf(half, addf(e, inverse))),
            mulf(realUnary(Fn::Sin, x.re), mulf(half, subf(inverse, e)))};
  }
  case Fn::Sqrt: { // r e^{ia} -> sqrt(r) e^{ia/2}
    Value root = realUnary(Fn::Sqrt, complexUnary(Fn::Abs, x).re);
    Value half = mulf(angle(x), number(0.5));
    return {mulf(root, realUnary(Fn::Cos, half)), mulf(root, realUnary(Fn::Sin, half))};
  }
  case Fn::Tanh: { // 1 - 2 / (exp(2x) + 1)
    Element e = complexUnary(Fn::Exp, add(x, x));
    Element quotient = divide({number(2), {}}, add(e, {number(1), {}}));
    return {subf(number(1), quotient.re), realUnary(Fn::Neg, quotient.im)};
  }
  default:
    llvm_unreachable("no complex unary function");
  }
}

Element ElementOps::complexBinary(Fn fn, Element x, Element y) {
  x = toComplex(x), y = toComplex(y);
  switch (fn) {
  case Fn::Sub:
    return {subf(x.re, y.re), subf(x.im, y.im)};
  case Fn::Pow:
    return complexUnary(Fn::Exp, mul(y, complexUnary(Fn::Log, x)));
  case Fn::Eq:
    return {arith::AndIOp::create(b, loc, realBinary(Fn::Eq, x.re, y.re), realBinary(Fn::Eq, x.im, y.im)), {}};
  case Fn::Ne:
    return {arith::OrIOp::create(b, loc, realBinary(Fn::Ne, x.re, y.re), realBinary(Fn::Ne, x.im, y.im)), {}};
  default:
    llvm_unreachable("no complex binary function");
  }
}

Element ElementOps::apply(Fn fn, ArrayRef<Element> x) {
  switch (fn) {
  case Fn::Add:
    return add(x[0], x[1]);
  case Fn::Mul:
    return mul(x[0], x[1]);
  case Fn::Div:
    return divide(x[0], x[1]);
  case Fn::Complex: {
    Value re = x[0].re, im = x[1].re;
    align(re, im);
    return {re, im};
  }
  case Fn::Not: {
    Value one = arith::ConstantOp::create(b, loc, b.getBoolAttr(true));
    Value value = x[0].re;
    align(value, one);
    return {arith::XOrIOp::create(b, loc, value, one), {}};
  }
  case Fn::Select: {
    bool complex = x[1].isComplex() || x[2].isComplex();
    Element yes = complex ? toComplex(x[1]) : x[1], no = complex ? toComplex(x[2]) : x[2];
    return {choose(x[0].re, yes.re, no.re), complex ? choose(x[0].re, yes.im, no.im) : Value()};
  }
  default:
    break;
  }
  bool complex = llvm::any_of(x, [](const Element &e) { return e.isComplex(); });
  if (x.size() == 1)
    return complex ? complexUnary(fn, x[0]) : Element{realUnary(fn, x[0].re), {}};
  return complex ? complexBinary(fn, x[0], x[1]) : Element{realBinary(fn, x[0].re, x[1].re), {}};
}

Element ElementOps::compute(Operation *op, ArrayRef<Element> operands) {
  if (auto map = dyn_cast<recur::MapOp>(op))
    return apply(map.getFn(), operands);
  if (isa<recur::ContractOp>(op)) {
    Element product = operands.front();
    for (const Element &factor : llvm::drop_begin(operands))
      product = mul(product, factor);
    return product;
  }
  if (isa<recur::CastOp>(op)) {
    bool complex = isa<ComplexType>(cast<RankedTensorType>(op->getResult(0).getType()).getElementType());
    return complex ? toComplex(operands.front()) : operands.front();
  }
  if (auto value = dyn_cast<arith::ConstantOp>(op))
    return constant(cast<DenseElementsAttr>(value.getValue()));
  return operands.front(); // broadcast, slice, a reduction over nothing, another name for an axis
}

Element ElementOps::identity(recur::Reduction kind, bool isComplex) {
  switch (kind) {
  case recur::Reduction::Sum:
    return constant(0, isComplex);
  case recur::Reduction::Prod:
    return constant(1, isComplex);
  case recur::Reduction::Max:
    return constant(-std::numeric_limits<double>::infinity(), false);
  case recur::Reduction::Min:
    return constant(std::numeric_limits<double>::infinity(), false);
  }
  llvm_unreachable("no such reduction");
}

Element ElementOps::combine(recur::Reduction kind, Element x, Element y) {
  switch (kind) {
  case recur::Reduction::Sum:
    return add(x, y);
  case recur::Reduction::Prod:
    return mul(x, y);
  case recur::Reduction::Max:
    return {realBinary(Fn::Max, x.re, y.re), {}};
  case recur::Reduction::Min:
    return {realBinary(Fn::Min, x.re, y.re), {}};
  }
  llvm_unreachable("no such reduction");
}

Element ElementOps::horizontal(recur::Reduction kind, Element x) {
  int64_t lanes = lanesOf(x.re);
  if (!lanes)
    return x;
  if (kind == recur::Reduction::Sum) {
    auto sum = [&](Value v) -> Value {
      return vector::ReductionOp::create(b, loc, vector::CombiningKind::ADD, v, arith::FastMathFlags::reassoc);
    };
    return {sum(x.re), x.isComplex() ? sum(x.im) : Value()};
  }
  Element total;
  for (int64_t lane = 0; lane < lanes; ++lane) {
    Element one{vector::ExtractOp::create(b, loc, x.re, lane), {}};
    if (x.isComplex())
      one.im = vector::ExtractOp::create(b, loc, x.im, lane);
    total = lane ? combine(kind, total, one) : one;
  }
  return total;
}

/// Bits that shuffles do not carry elements across where they are to be cheap.
static constexpr int64_t kShuffleBits = 128;

/// Sums of neighbours, in each part of kShuffleBits those of x and then those of y.
Value ElementOps::addPairs(Value x, Value y) {
  int64_t lanes = lanesOf(x), part = kShuffleBits / real.getIntOrFloatBitWidth();
  SmallVector<int64_t> even, odd;
  for (int64_t lane = 0; lane < lanes; ++lane) {
    int64_t inPart = lane % part, pair = lane - inPart + 2 * (inPart % (part / 2)) + (inPart < part / 2 ? 0 : lanes);
    even.push_back(pair);
    odd.push_back(pair + 1);
  }
  return addf(vector::ShuffleOp::create(b, loc, x, y, even), vector::ShuffleOp::create(b, loc, x, y, odd));
}

int64_t ElementOps::sumsAtOnce() const { return kShuffleBits / real.getIntOrFloatBitWidth(); }

/// The vectors become one, a part of which has a summand of each.
Value ElementOps::sumsTogether(ArrayRef<Value> vectors) {
  SmallVector<Value> level(vectors);
  for (; level.size() > 1; level.truncate(level.size() / 2))
    for (size_t i = 0; i < level.size() / 2; ++i)
      level[i] = addPairs(level[2 * i], level[2 * i + 1]);
  Value total;
  for (int64_t begin = 0; begin < lanesOf(level.front()); begin += vectors.size()) {
    Value summands = vector::ExtractStridedSliceOp::create(b, loc, level.front(), begin, int64_t(vectors.size()), 1);
    total = total ? addf(total, summands) : summands;
  }
  return total;
}

SmallVector<Value> ElementOps::horizontalSums(ArrayRef<Value> vectors) {
  SmallVector<Value> sums;
  size_t part = sumsAtOnce();
  bool together = !vectors.empty() && lanesOf(vectors.front()) >= static_cast<int64_t>(part);
  for (; together && vectors.size() >= part; vectors = vectors.drop_front(part)) {
    Value total = sumsTogether(vectors.take_front(part));
    for (size_t lane = 0; lane < part; ++lane)
      sums.push_back(vector::ExtractOp::create(b, loc, total, lane));
  }
  for (Value vector : vectors)
    sums.push_back(horizontal(recur::Reduction::Sum, {vector, {}}).re);
  return sums;
}

static Type withElement(Type shape, Type element) {
  auto vector = dyn_cast<VectorType>(shape);
  return vector ? Type(vector.clone(element)) : element;
}

/// bf16 is the upper half of an f32. Spelled in integer arithmetic, because targets without bf16 instructions would call a library
/// function per element.
Value ElementOps::widen(Value x) {
  Type element = getElementTypeOrSelf(x.getType());
  if (element == real)
    return x;
  if (!element.isBF16() || nativeBF16)
    return arith::ExtFOp::create(b, loc, withElement(x.getType(), real), x);
  Type i16 = withElement(x.getType(), b.getI16Type()), i32 = withElement(x.getType(), b.getI32Type());
  Value bits = arith::ExtUIOp::create(b, loc, i32, arith::BitcastOp::create(b, loc, i16, x));
  Value sixteen = splat(arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(16)), lanesOf(x));
  bits = arith::ShLIOp::create(b, loc, bits, sixteen);
  Value wide = arith::BitcastOp::create(b, loc, withElement(x.getType(), b.getF32Type()), bits);
  return real.isF32() ? wide : arith::ExtFOp::create(b, loc, withElement(x.getType(), real), wide);
}

Value ElementOps::toTruth(Value x) {
  Type element = getElementTypeOrSelf(x.getType());
  if (isa<FloatType>(element))
    return compare(arith::CmpFPredicate::UNE, x, arith::ConstantOp::create(b, loc, b.getFloatAttr(element, 0)));
  Value zero = splat(arith::ConstantOp::create(b, loc, b.getIntegerAttr(element, 0)), lanesOf(x));
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, x, zero);
}

Value ElementOps::narrow(Value x, Type element) {
  if (getElementTypeOrSelf(x.getType()).isInteger(1)) {
    if (isa<FloatType>(element))
      return arith::UIToFPOp::create(b, loc, withElement(x.getType(), element), x);
    return arith::ExtUIOp::create(b, loc, withElement(x.getType(), element), x);
  }
  if (element == real)
    return x;
  if (getElementTypeOrSelf(x.getType()).isF64() && !element.isF32())
    x = arith::TruncFOp::create(b, loc, withElement(x.getType(), b.getF32Type()), x);
  if (!element.isBF16() || nativeBF16)
    return getElementTypeOrSelf(x.getType()) == element
               ? x
               : arith::TruncFOp::create(b, loc, withElement(x.getType(), element), x);
  Type i16 = withElement(x.getType(), b.getI16Type()), i32 = withElement(x.getType(), b.getI32Type());
  auto integer = [&](int32_t value) {
    return splat(arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(value)), lanesOf(x));
  };
  Value bits = arith::BitcastOp::create(b, loc, i32, x);
  Value odd = arith::AndIOp::create(b, loc, arith::ShRUIOp::create(b, loc, bits, integer(16)), integer(1));
  Value rounded = arith::AddIOp::create(b, loc, bits, arith::AddIOp::create(b, loc, odd, integer(0x7fff)));
  Value quiet = arith::OrIOp::create(b, loc, bits, integer(0x400000));
  Value isNan = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, x, x);
  Value chosen = arith::SelectOp::create(b, loc, isNan, quiet, rounded);
  Value half = arith::TruncIOp::create(b, loc, i16, arith::ShRUIOp::create(b, loc, chosen, integer(16)));
  return arith::BitcastOp::create(b, loc, withElement(x.getType(), element), half);
}
