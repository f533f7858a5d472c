// expand-math: exp, expm1, log, log1p and tanh as straight-line arithmetic, one code for scalars and vectors, f32 and f64.
// Inlined polynomials rather than a vector library, because a call in an inner loop spills every vector register and because an
// artifact must run where no such library is. The reductions are the classical ones (Cody & Waite 1980; FDLIBM's log).
#include "compiler/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/PatternMatch.h"
#include <limits>

namespace rondo {
#define GEN_PASS_DEF_EXPANDMATH
#include "compiler/Transforms/Passes.h.inc"
} // namespace rondo

using namespace mlir;

namespace {

/// What differs between f32 and f64.
struct Format {
  int mantissaBits;
  int64_t exponentBias;
  double ln2Hi, ln2Lo;        // ln 2 in two parts; k * ln2Hi is exact for every exponent k
  double roundMagic;          // adding it rounds to an integer in the low bits
  double expLow, expHigh;     // below: exp is zero; above: infinite
  ArrayRef<double> expSeries; // (exp r - 1 - r) / r^2 for |r| <= ln2/2
  ArrayRef<double> logSeries; // FDLIBM's Lg1 ...
  double negligible;          // expm1 of less is -1; above it the -1 is lost; tanh of half of it is 1
};

// Interpolates at Chebyshev's points.
const double kExp32[] = {0.5000000013538728,   0.16666666681704137,   0.041666464197408826,
                         0.008333310844669513, 0.0013933730715540655, 0.00019891080452526686};
const double kExp64[] = {1.0 / 2,     1.0 / 6,      1.0 / 24,      1.0 / 120,      1.0 / 720,       1.0 / 5040,
                         1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};
const double kLog32[] = {0.66666662693, 0.40000972152, 0.28498786688, 0.24279078841};
const double kLog64[] = {6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
                         2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
                         1.479819860511658591e-01};
const Format kF32 = {23,     127, 0.693145751953125, 1.42860682030941723212e-6, 12582912.0, -104.0, 89.0, kExp32,
                     kLog32, 20.0};
const Format kF64 = {
    52,     1023, 6.93147180369123816490e-01, 1.90821492927058770002e-10, 6755399441055744.0, -746.0, 710.0, kExp64,
    kLog64, 40.0};

/// Arithmetic on values of one type, scalar or vector, with constants spelled as numbers.
class Emitter {
public:
  Emitter(OpBuilder &b, Location loc, Type type)
      : b(b), loc(loc), type(type), f(getElementTypeOrSelf(type).isF64() ? kF64 : kF32) {
    Type bits = b.getIntegerType(wide() ? 64 : 32);
    auto vector = dyn_cast<VectorType>(type);
    integer = vector ? Type(vector.clone(bits)) : bits;
  }

  bool wide() const { return f.mantissaBits == 52; }
  Value constant(double value) {
    Type element = getElementTypeOrSelf(type);
    return make(b.getFloatAttr(element, value), type);
  }
  Value constantInt(int64_t value) { return make(b.getIntegerAttr(getElementTypeOrSelf(integer), value), integer); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, loc, x, y); }
  Value fma(Value x, Value y, Value z) { return math::FmaOp::create(b, loc, x, y, z); }
  Value select(Value c, Value x, Value y) { return arith::SelectOp::create(b, loc, c, x, y); }
  Value compare(arith::CmpFPredicate p, Value x, Value y) { return arith::CmpFOp::create(b, loc, p, x, y); }
  Value toBits(Value x) { return arith::BitcastOp::create(b, loc, integer, x); }
  Value fromBits(Value x) { return arith::BitcastOp::create(b, loc, type, x); }
  Value absolute(Value x) { return math::AbsFOp::create(b, loc, x); }

  /// series[0] + series[1] z + ... by Horner's rule.
  Value polynomial(ArrayRef<double> series, Value z) {
    Value sum = constant(series.back());
    for (double c : llvm::reverse(series.drop_back()))
      sum = fma(sum, z, constant(c));
    return sum;
  }

  /// The same in pairs of terms, which wait less for each other; `square` is z squared.
  Value paired(ArrayRef<double> series, Value z, Value square) {
    Value sum;
    for (size_t i = (series.size() - 1) / 2 * 2;; i -= 2) {
      Value pair = i + 1 < series.size() ? fma(constant(series[i + 1]), z, constant(series[i])) : constant(series[i]);
      sum = sum ? fma(sum, square, pair) : pair;
      if (i == 0)
        return sum;
    }
  }

  /// x * 2^k, in two steps so that neither factor overflows. `k2` has k + 2 bias in its low bits: shifted to where exponents are less one bit, it is
  /// half of that, rounded down; with one half more, rounded up.
  Value scale(Value x, Value k2) {
    Value exponents = constantInt(wide() ? int64_t(0x7ff0000000000000) : int64_t(0x7f800000));
    Value twice = arith::ShLIOp::create(b, loc, k2, constantInt(f.mantissaBits - 1));
    Value more = arith::AddIOp::create(b, loc, twice, constantInt(int64_t(1) << (f.mantissaBits - 1)));
    auto power = [&](Value bits) { return fromBits(arith::AndIOp::create(b, loc, bits, exponents)); };
    return mul(mul(x, power(twice)), power(more));
  }
  Value powerOfTwo(Value k) {
    Value biased = arith::AddIOp::create(b, loc, k, constantInt(f.exponentBias));
    return fromBits(arith::ShLIOp::create(b, loc, biased, constantInt(f.mantissaBits)));
  }

  /// x = k ln2 + r + low, |r| <= ln2/2, and exp(r) = 1 + r + square series. `k2` is k + 2 bias in its low bits.
  struct Reduced {
    Value k2, r, low, square, series;
  };

  /// For x in [lowest, expHigh], to which others are brought. NaN passes through the comparisons and makes r NaN.
  Reduced reduce(Value x, double lowest) {
    Value low = constant(lowest), high = constant(f.expHigh);
    Value clamped = select(compare(arith::CmpFPredicate::OLT, x, low), low, x);
    clamped = select(compare(arith::CmpFPredicate::OGT, clamped, high), high, clamped);
    Value magic = constant(f.roundMagic + double(2 * f.exponentBias));
    Value shifted = fma(clamped, constant(1.4426950408889634074), magic);
    Value kFloat = sub(shifted, magic);
    Value high1 = fma(kFloat, constant(-f.ln2Hi), clamped); // exact
    Reduced result;
    result.k2 = toBits(shifted);
    result.r = fma(kFloat, constant(-f.ln2Lo), high1);
    result.low = fma(kFloat, constant(-f.ln2Lo), sub(high1, result.r));
    result.square = mul(result.r, result.r);
    result.series = wide() ? polynomial(f.expSeries, result.r) : paired(f.expSeries, result.r, result.square);
    return result;
  }

  /// In f64 neither pairs nor a fused sum: they cost a twentieth of a unit in the last place.
  Value scaled(const Reduced &e) {
    Value rest = wide() ? add(e.r, mul(e.square, e.series)) : fma(e.square, e.series, e.r);
    return scale(add(constant(1), rest), e.k2);
  }

  /// exp x = 2^k exp(r).
  Value exp(Value x) { return scaled(reduce(x, f.expLow)); }

  /// expm1 x = (2^k - 1) + 2^k r + 2^k (low + tail), where the first sum's rounding error joins the last, small, term.
  Value expm1(const Reduced &e) {
    Value bias = constantInt(2 * f.exponentBias), magic = toBits(constant(f.roundMagic));
    Value k = arith::SubIOp::create(b, loc, arith::SubIOp::create(b, loc, e.k2, magic), bias);
    Value power = powerOfTwo(k), tail = mul(e.square, e.series);
    Value whole = sub(power, constant(1)), part = mul(power, e.r);
    Value high = add(whole, part);
    Value lost = sub(part, sub(high, whole));
    return add(high, fma(power, add(tail, e.low), lost));
  }

  Value expm1(Value x) {
    Reduced e = reduce(x, -f.negligible);
    // 2^k overflows before the result does.
    Value far = compare(arith::CmpFPredicate::OGT, x, constant(f.negligible));
    Value y = select(far, scaled(e), expm1(e));
    return math::CopySignOp::create(b, loc, y, x); // for -0
  }

  /// tanh x = e / (e + 2) with e = expm1(2|x|), and x's sign.
  Value tanh(Value x) {
    Value a = absolute(x), most = constant(f.negligible / 2);
    a = select(compare(arith::CmpFPredicate::OGT, a, most), most, a);
    Value e = expm1(reduce(add(a, a), 0));
    return math::CopySignOp::create(b, loc, div(e, add(e, constant(2))), x);
  }

  /// log x by FDLIBM: x = 2^k (1 + m), m in [sqrt(1/2) - 1, sqrt(2) - 1]. Subnormal numbers are lifted first.
  Value log(Value x) {
    Value tiny = constant(wide() ? std::numeric_limits<double>::min() : std::numeric_limits<float>::min());
    Value isTiny = compare(arith::CmpFPredicate::OLT, x, tiny);
    Value lifted = select(isTiny, mul(x, constant(wide() ? 0x1p54 : 0x1p25)), x);
    Value k = select(isTiny, constant(wide() ? -54 : -25), constant(0));
    return logSpecial(x, logNormal(lifted, k, constant(0)));
  }

  /// log1p x = log(u) + (x - (u - 1)) / u with u = 1 + x rounded (Higham 2002, problem 1.5).
  Value log1p(Value x) {
    Value u = add(constant(1), x);
    Value correction = div(sub(x, sub(u, constant(1))), u);
    Value y = logSpecial(u, logNormal(u, constant(0), correction));
    return math::CopySignOp::create(b, loc, y, x); // for -0
  }

private:
  Value make(TypedAttr element, Type t) {
    if (auto vector = dyn_cast<VectorType>(t))
      return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(vector, Attribute(element)));
    return arith::ConstantOp::create(b, loc, element);
  }

  /// log x + more + k0 ln2 for a normal x and |more| far below one.
  Value logNormal(Value x, Value k0, Value more) {
    // Bits of sqrt(1/2): subtracting them puts the boundary between exponents there.
    int64_t root = wide() ? int64_t(0x3fe6a09e667f3bcd) : int64_t(0x3f3504f3);
    Value width = constantInt(f.mantissaBits);
    Value offset = arith::SubIOp::create(b, loc, toBits(x), constantInt(root));
    Value k = arith::ShRSIOp::create(b, loc, offset, width);
    Value mantissa = arith::SubIOp::create(b, loc, toBits(x), arith::ShLIOp::create(b, loc, k, width));
    Value kFloat = add(arith::SIToFPOp::create(b, loc, type, k), k0);
    Value m = sub(fromBits(mantissa), constant(1));
    Value s = div(m, add(constant(2), m));
    Value z = mul(s, s);
    Value r = mul(z, polynomial(f.logSeries, z));
    Value halfSquare = mul(constant(0.5), mul(m, m));
    Value low = fma(s, add(halfSquare, r), fma(kFloat, constant(f.ln2Lo), more));
    Value high = mul(kFloat, constant(f.ln2Hi));
    return sub(high, sub(sub(halfSquare, low), m));
  }

  /// Zero, negative, infinite and NaN arguments.
  Value logSpecial(Value x, Value y) {
    double inf = std::numeric_limits<double>::infinity();
    y = select(compare(arith::CmpFPredicate::OEQ, x, constant(inf)), x, y);
    y = select(compare(arith::CmpFPredicate::OEQ, x, constant(0)), constant(-inf), y);
    return select(compare(arith::CmpFPredicate::ULT, x, constant(0)),
                  constant(std::numeric_limits<double>::quiet_NaN()), y);
  }

  OpBuilder &b;
  Location loc;
  Type type, integer;
  const Format &f;
};

Value expand(Operation *op, OpBuilder &b) {
  Value x = op->getOperand(0);
  Emitter e(b, op->getLoc(), x.getType());
  if (isa<math::ExpOp>(op))
    return e.exp(x);
  if (isa<math::ExpM1Op>(op))
    return e.expm1(x);
  if (isa<math::LogOp>(op))
    return e.log(x);
  if (isa<math::Log1pOp>(op))
    return e.log1p(x);
  if (isa<math::TanhOp>(op))
    return e.tanh(x);
  return nullptr;
}

struct ExpandMath : rondo::impl::ExpandMathBase<ExpandMath> {
  void runOnOperation() override {
    getOperation()->walk([](Operation *op) {
      if (!isa<math::ExpOp, math::ExpM1Op, math::LogOp, math::Log1pOp, math::TanhOp>(op))
        return;
      Type element = getElementTypeOrSelf(op->getOperand(0).getType());
      if (!element.isF32() && !element.isF64())
        return;
      OpBuilder b(op);
      op->getResult(0).replaceAllUsesWith(expand(op, b));
      op->erase();
    });
  }
};

} // namespace
