// expand-trig: sin, cos, erf, atan2 and pow as straight-line arithmetic. A GPU has no math library to call, and its own fast instructions lose
// most of the digits. Reductions and coefficients are FDLIBM's (Sun Microsystems, 1993) and, for f32, Cephes'.
#include "compiler/Target/CUDA/Passes.h"
#include "compiler/Target/CUDA/SingleMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <limits>

namespace rondo::cuda {
#define GEN_PASS_DEF_EXPANDTRIG
#include "compiler/Target/CUDA/Passes.h.inc"
} // namespace rondo::cuda

using namespace mlir;

namespace {

const double kSin64[] = {-1.66666666666666324348e-01, 8.33333333332248946124e-03,  -1.98412698298579493134e-04,
                         2.75573137070700676789e-06,  -2.50507602534068634195e-08, 1.58969099521155010221e-10};
const double kCos64[] = {4.16666666666666019037e-02,  -1.38888888888741095749e-03, 2.48015872894767294178e-05,
                         -2.75573143513906633035e-07, 2.08757232129817482790e-09,  -1.13596475577881948265e-11};
const double kSin32[] = {-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4};
const double kCos32[] = {4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5};
const double kHalfPi[] = {1.57079632679489655800e+00, 6.12323399573676603587e-17, -1.49738490485916983e-33};

/// erf as x + x p/q, erx + p/q and 1 - exp(-x^2 - 0.5625 + p/q)/x, numerators and denominators from the constant term on.
const double kErfSmall[] = {1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02,
                            -5.77027029648944159157e-03, -2.37630166566501626084e-05};
const double kErfSmallBelow[] = {1,
                                 3.97917223959155352819e-01,
                                 6.50222499887672944485e-02,
                                 5.08130628187576562776e-03,
                                 1.32494738004321644526e-04,
                                 -3.96022827877536812320e-06};
const double kErfMiddle[] = {-2.36211856075265944077e-03, 4.14856118683748331666e-01,  -3.72207876035701323847e-01,
                             3.18346619901161753674e-01,  -1.10894694282396677476e-01, 3.54783043256182359371e-02,
                             -2.16637559486879084300e-03};
const double kErfMiddleBelow[] = {1,
                                  1.06420880400844228286e-01,
                                  5.40397917702171048937e-01,
                                  7.18286544141962662868e-02,
                                  1.26171219808761642112e-01,
                                  1.36370839120290507362e-02,
                                  1.19844998467991074170e-02};
const double kErfLarge[] = {-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e+01,
                            -6.23753324503260060396e+01, -1.62396669462573470355e+02, -1.84605092906711035994e+02,
                            -8.12874355063065934246e+01, -9.81432934416914548592e+00};
const double kErfLargeBelow[] = {1,
                                 1.96512716674392571292e+01,
                                 1.37657754143519042600e+02,
                                 4.34565877475229228821e+02,
                                 6.45387271733267880336e+02,
                                 4.29008140027567833386e+02,
                                 1.08635005541779435134e+02,
                                 6.57024977031928170135e+00,
                                 -6.04244152148580987438e-02};
const double kErfFar[] = {-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e+01,
                          -1.60636384855821916062e+02, -6.37566443368389627722e+02, -1.02509513161107724954e+03,
                          -4.83519191608651397019e+02};
const double kErfFarBelow[] = {1,
                               3.03380607434824582924e+01,
                               3.25792512996573918826e+02,
                               1.53672958608443695994e+03,
                               3.19985821950859553908e+03,
                               2.55305040643316442583e+03,
                               4.74528541206955367215e+02,
                               -2.24409524465858183362e+01};

const double kAtan[] = {3.33333333333329318027e-01,  -1.99999999998764832476e-01, 1.42857142725034663711e-01,
                        -1.11111104054623557880e-01, 9.09088713343650656196e-02,  -7.69187620504482999495e-02,
                        6.66107313738753120669e-02,  -5.83357013379057348645e-02, 4.97687799461593236017e-02,
                        -3.65315727442169155270e-02, 1.62858201153657823623e-02};
constexpr double kPi = 3.14159265358979323846, kAtanHalf = 0.46364760900080611621;

/// Scalar arithmetic of one type.
struct Emitter {
  OpBuilder &b;
  Location loc;
  Type type;

  Value constant(double value) { return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value)); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, loc, x, y); }
  Value fma(Value x, Value y, Value z) { return math::FmaOp::create(b, loc, x, y, z); }
  Value below(Value x, double y) { return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x, constant(y)); }
  Value select(Value c, Value x, Value y) { return arith::SelectOp::create(b, loc, c, x, y); }
  Value polynomial(ArrayRef<double> series, Value z) {
    Value sum = constant(series.back());
    for (double c : llvm::reverse(series.drop_back()))
      sum = fma(sum, z, constant(c));
    return sum;
  }
};

/// sin(x + quarters pi/2): x = n pi/2 + r, then the polynomial of the quadrant. NaN and infinities make r NaN.
Value wave(OpBuilder &b, Location loc, Value x, double quarters) {
  bool single = x.getType().isF32();
  Emitter wide{b, loc, b.getF64Type()}, e{b, loc, x.getType()};
  Value argument = single ? arith::ExtFOp::create(b, loc, wide.type, x).getResult() : x;
  Value n = math::RoundEvenOp::create(b, loc, wide.mul(argument, wide.constant(0.63661977236758134308)));
  Value r = argument;
  for (double part : kHalfPi)
    r = wide.fma(n, wide.constant(-part), r);
  if (single)
    r = arith::TruncFOp::create(b, loc, x.getType(), r);
  Value turned = wide.add(n, wide.constant(quarters));
  Value whole = math::FloorOp::create(b, loc, wide.mul(turned, wide.constant(0.25)));
  Value quadrant = wide.fma(whole, wide.constant(-4), turned); // 0, 1, 2 or 3
  Value z = e.mul(r, r);
  Value sine = e.fma(e.mul(r, z), e.polynomial(single ? ArrayRef<double>(kSin32) : kSin64, z), r);
  Value tail = e.fma(e.mul(z, z), e.polynomial(single ? ArrayRef<double>(kCos32) : kCos64, z), e.constant(0));
  Value half = e.mul(z, e.constant(0.5)), most = e.sub(e.constant(1), half);
  Value cosine = e.add(most, e.add(e.sub(e.sub(e.constant(1), most), half), tail));
  auto is = [&](double which) {
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, quadrant, wide.constant(which)).getResult();
  };
  Value odd = arith::OrIOp::create(b, loc, is(1), is(3)), back = arith::OrIOp::create(b, loc, is(2), is(3));
  Value result = e.select(odd, cosine, sine);
  return e.select(back, arith::NegFOp::create(b, loc, result), result);
}

Value erf(OpBuilder &b, Location loc, Value given) {
  Emitter e{b, loc, b.getF64Type()};
  bool single = given.getType().isF32();
  Value x = single ? arith::ExtFOp::create(b, loc, e.type, given).getResult() : given;
  Value a = math::AbsFOp::create(b, loc, x), square = e.mul(x, x);
  auto ratio = [&](ArrayRef<double> above, ArrayRef<double> under, Value z) {
    return e.div(e.polynomial(above, z), e.polynomial(under, z));
  };
  Value small = e.fma(a, ratio(kErfSmall, kErfSmallBelow, square), a);
  Value middle =
      e.add(e.constant(8.45062911510467529297e-01), ratio(kErfMiddle, kErfMiddleBelow, e.sub(a, e.constant(1))));
  // Where it is not used, what would be a division by zero is one by a number.
  Value large = e.select(e.below(a, 1), e.constant(1), e.select(e.below(a, 6), a, e.constant(6)));
  Value s = e.div(e.constant(1), e.mul(large, large));
  Value quotient = e.select(e.below(a, 1 / 0.35), ratio(kErfLarge, kErfLargeBelow, s), ratio(kErfFar, kErfFarBelow, s));
  // exp(-a^2) with a in two parts: the square of the first is exact.
  Value scaled = math::FloorOp::create(b, loc, e.mul(large, e.constant(0x1p20)));
  Value high = e.mul(scaled, e.constant(0x1p-20));
  Value first = math::ExpOp::create(b, loc, e.sub(e.constant(-0.5625), e.mul(high, high)));
  Value second = math::ExpOp::create(b, loc, e.fma(e.sub(high, large), e.add(high, large), quotient));
  Value far = e.sub(e.constant(1), e.div(e.mul(first, second), large));
  far = e.select(e.below(a, 6), far, e.constant(1));
  Value result = e.select(e.below(a, 0.84375), small, e.select(e.below(a, 1.25), middle, far));
  result = math::CopySignOp::create(b, loc, result, x);
  result = e.select(arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, x, x), x, result);
  return single ? arith::TruncFOp::create(b, loc, given.getType(), result).getResult() : result;
}

/// The angle of x + iy: atan of the smaller part over the larger, with its argument brought near zero, then the octant.
Value atan2(OpBuilder &b, Location loc, Value y, Value x) {
  Emitter e{b, loc, b.getF64Type()};
  Value across = math::AbsFOp::create(b, loc, x), up = math::AbsFOp::create(b, loc, y);
  Value steep = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, up, across);
  Value big = e.select(steep, up, across), small = e.select(steep, across, up);
  Value isZero = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, big, e.constant(0));
  Value r = e.div(small, e.select(isZero, e.constant(1), big));
  Value two = e.constant(2), one = e.constant(1);
  Value middle = e.div(e.fma(two, r, e.constant(-1)), e.add(two, r)), upper = e.div(e.sub(r, one), e.add(r, one));
  Value low = e.below(r, 7.0 / 16), mid = e.below(r, 11.0 / 16);
  Value z = e.select(low, r, e.select(mid, middle, upper));
  Value base = e.select(low, e.constant(0), e.select(mid, e.constant(kAtanHalf), e.constant(kPi / 4)));
  Value square = e.mul(z, z);
  Value angle = e.add(base, e.sub(z, e.mul(z, e.mul(square, e.polynomial(kAtan, square)))));
  angle = e.select(steep, e.sub(e.constant(kPi / 2), angle), angle);
  Value left = e.below(math::CopySignOp::create(b, loc, one, x), 0); // also for -0
  angle = e.select(left, e.sub(e.constant(kPi), angle), angle);
  return math::CopySignOp::create(b, loc, angle, y);
}

/// x^y = exp(y log|x|), with x's sign where y is odd, and C's special values.
Value power(OpBuilder &b, Location loc, Value x, Value y) {
  Emitter e{b, loc, b.getF64Type()};
  Value zero = e.constant(0), one = e.constant(1);
  Value size = math::ExpOp::create(b, loc, e.mul(y, math::LogOp::create(b, loc, math::AbsFOp::create(b, loc, x))));
  auto equal = [&](Value p, Value q) {
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, p, q).getResult();
  };
  Value half = e.mul(y, e.constant(0.5));
  Value isWhole = equal(math::FloorOp::create(b, loc, y), y);
  Value isEven = equal(math::FloorOp::create(b, loc, half), half);
  Value nan = e.constant(std::numeric_limits<double>::quiet_NaN());
  Value ofNegative = e.select(isWhole, e.select(isEven, size, arith::NegFOp::create(b, loc, size)), nan);
  Value result = e.select(e.below(x, 0), ofNegative, size);
  Value trivial = arith::OrIOp::create(b, loc, equal(y, zero), equal(x, one));
  return e.select(trivial, one, result);
}

/// Computes in f64, also for f32.
Value inDouble(OpBuilder &b, Operation *op, function_ref<Value(OpBuilder &, Location, Value, Value)> function) {
  Location loc = op->getLoc();
  Type type = op->getResult(0).getType(), wide = b.getF64Type();
  auto widen = [&](Value x) { return type.isF32() ? arith::ExtFOp::create(b, loc, wide, x).getResult() : x; };
  Value result = function(b, loc, widen(op->getOperand(0)), widen(op->getOperand(1)));
  return type.isF32() ? arith::TruncFOp::create(b, loc, type, result).getResult() : result;
}

struct ExpandTrig : rondo::cuda::impl::ExpandTrigBase<ExpandTrig> {
  void runOnOperation() override {
    getOperation()->walk([&](Operation *op) {
      if (auto exp = dyn_cast<math::ExpOp>(op); exp && exp.getType().isF32()) {
        OpBuilder b(op);
        exp.getResult().replaceAllUsesWith(rondo::cuda::exp32(b, op->getLoc(), exp.getOperand()));
        op->erase();
        return;
      }
      if (auto tanh = dyn_cast<math::TanhOp>(op); tanh && tanh.getType().isF32()) {
        OpBuilder b(op);
        tanh.getResult().replaceAllUsesWith(rondo::cuda::tanh32(b, op->getLoc(), tanh.getOperand()));
        op->erase();
        return;
      }
      if (!isa<math::SinOp, math::CosOp, math::ErfOp, math::PowFOp, math::Atan2Op>(op))
        return;
      OpBuilder b(op);
      Value x = op->getOperand(0);
      Value result = isa<math::PowFOp>(op)    ? inDouble(b, op, power)
                     : isa<math::Atan2Op>(op) ? inDouble(b, op, atan2)
                     : isa<math::ErfOp>(op)   ? erf(b, op->getLoc(), x)
                                              : wave(b, op->getLoc(), x, isa<math::CosOp>(op) ? 1 : 0);
      op->getResult(0).replaceAllUsesWith(result);
      op->erase();
    });
  }
};

} // namespace
