// See SingleMath.h.
#include "compiler/Target/CUDA/SingleMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace rondo;

/// 2^t (1 + r ln 2), with t = x log2 e rounded and r what that lost, the power by the special function unit (2 ulp). Beyond
/// [-110, 89] exp is 0 or infinite, and r would be none.
Value cuda::exp32(OpBuilder &b, Location loc, Value x) {
  auto number = [&](float value) -> Value { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value)); };
  constexpr float log2e = 1.44269502f, log2eLow = 1.92596303e-8f, ln2 = 0.693147182f;
  // One instruction each; arith's would be expanded to two.
  Value in = LLVM::MinimumOp::create(b, loc, LLVM::MaximumOp::create(b, loc, x, number(-110)), number(89));
  Value t = arith::MulFOp::create(b, loc, in, number(log2e));
  Value r = math::FmaOp::create(b, loc, in, number(log2e), arith::NegFOp::create(b, loc, t));
  r = math::FmaOp::create(b, loc, in, number(log2eLow), r);
  Value power =
      LLVM::CallIntrinsicOp::create(b, loc, x.getType(), b.getStringAttr("llvm.nvvm.ex2.approx.f32"), ValueRange{t})
          .getResult(0);
  Value correction = math::FmaOp::create(b, loc, r, number(ln2), number(1));
  return arith::MulFOp::create(b, loc, power, correction); // infinite stays infinite
}

/// Its series below 0.6 (Chebyshev interpolation of (tanh x / x - 1) / x^2 over x^2, 4e-10), and 1 - 2 / (exp(2|x|) + 1) above.
Value cuda::tanh32(OpBuilder &b, Location loc, Value x) {
  auto number = [&](double value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(float(value)));
  };
  constexpr double series[] = {2.3707656405e-03,  -8.4100708015e-03, 2.1788321997e-02,
                               -5.3961551781e-02, 1.3333312867e-01,  -3.3333333231e-01};
  Value a = math::AbsFOp::create(b, loc, x), square = arith::MulFOp::create(b, loc, a, a), sum = number(series[0]);
  for (double coefficient : ArrayRef(series).drop_front())
    sum = math::FmaOp::create(b, loc, sum, square, number(coefficient));
  Value small = math::FmaOp::create(b, loc, arith::MulFOp::create(b, loc, a, square), sum, a);
  Value e = arith::AddFOp::create(b, loc, exp32(b, loc, arith::AddFOp::create(b, loc, a, a)), number(1));
  Value inverse =
      LLVM::CallIntrinsicOp::create(b, loc, x.getType(), b.getStringAttr("llvm.nvvm.rcp.approx.ftz.f"), ValueRange{e})
          .getResult(0);
  Value large = math::FmaOp::create(b, loc, inverse, number(-2), number(1));
  Value isSmall = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, a, number(0.6));
  return math::CopySignOp::create(b, loc, arith::SelectOp::create(b, loc, isSmall, small, large), x);
}

void cuda::useFullDivision(Operation *kernel) {
  kernel->walk([](arith::DivFOp op) {
    if (!op.getType().isF32())
      return;
    OpBuilder b(op);
    Value quotient = LLVM::CallIntrinsicOp::create(b, op.getLoc(), op.getType(), b.getStringAttr("llvm.nvvm.div.full"),
                                                   ValueRange{op.getLhs(), op.getRhs()})
                         .getResult(0);
    op.getResult().replaceAllUsesWith(quotient);
    op.erase();
  });
}
