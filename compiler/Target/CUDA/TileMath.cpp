// tile-math: exp and division on the special function unit. See TilePasses.td.
#include "compiler/Target/CUDA/TilePasses.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace rondo::cuda {
#define GEN_PASS_DEF_TILEMATH
#include "compiler/Target/CUDA/TilePasses.h.inc"
} // namespace rondo::cuda

using namespace mlir;

/// exp x = 2^t (1 + r ln 2), with t = x log2 e rounded and r what that lost. Beyond [-110, 89] exp is 0 or infinite, and r would be none.
static Value fastExp(OpBuilder &b, Location loc, Value x) {
  auto number = [&](float value) -> Value { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value)); };
  constexpr float log2e = 1.44269502f, log2eLow = 1.92596303e-8f, ln2 = 0.693147182f;
  Value in = arith::MinimumFOp::create(b, loc, arith::MaximumFOp::create(b, loc, x, number(-110)), number(89));
  Value t = arith::MulFOp::create(b, loc, in, number(log2e));
  Value r = math::FmaOp::create(b, loc, in, number(log2e), arith::NegFOp::create(b, loc, t));
  r = math::FmaOp::create(b, loc, in, number(log2eLow), r);
  Value power =
      LLVM::CallIntrinsicOp::create(b, loc, x.getType(), b.getStringAttr("llvm.nvvm.ex2.approx.f32"), ValueRange{t})
          .getResult(0);
  Value correction = math::FmaOp::create(b, loc, r, number(ln2), number(1));
  return arith::MulFOp::create(b, loc, power, correction); // infinite stays infinite
}

void rondo::cuda::useFastMath(Operation *kernel) {
  kernel->walk([](Operation *op) {
    if (auto division = dyn_cast<arith::DivFOp>(op); division && division.getType().isF32())
      division.setFastmath(arith::FastMathFlags::afn);
    auto exp = dyn_cast<math::ExpOp>(op);
    if (!exp || !exp.getType().isF32())
      return;
    OpBuilder b(op);
    exp.getResult().replaceAllUsesWith(fastExp(b, op->getLoc(), exp.getOperand()));
    op->erase();
  });
}

namespace {

struct TileMath : rondo::cuda::impl::TileMathBase<TileMath> {
  void runOnOperation() override { rondo::cuda::useFastMath(getOperation()); }
};

} // namespace
