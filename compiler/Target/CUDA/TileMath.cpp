// tile-math: exp and division on the special function unit. See TilePasses.td.
#include "compiler/Target/CUDA/SingleMath.h"
#include "compiler/Target/CUDA/TilePasses.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace rondo::cuda {
#define GEN_PASS_DEF_TILEMATH
#include "compiler/Target/CUDA/TilePasses.h.inc"
} // namespace rondo::cuda

using namespace mlir;

void rondo::cuda::useFastMath(Operation *kernel) {
  kernel->walk([](Operation *op) {
    if (auto division = dyn_cast<arith::DivFOp>(op); division && division.getType().isF32())
      division.setFastmath(arith::FastMathFlags::afn);
    auto exp = dyn_cast<math::ExpOp>(op);
    if (!exp || !exp.getType().isF32())
      return;
    OpBuilder b(op);
    exp.getResult().replaceAllUsesWith(rondo::cuda::exp32(b, op->getLoc(), exp.getOperand()));
    op->erase();
  });
}

namespace {

struct TileMath : rondo::cuda::impl::TileMathBase<TileMath> {
  void runOnOperation() override { rondo::cuda::useFastMath(getOperation()); }
};

} // namespace
