// A cell's inputs, through shared memory: each owner copies its own elements some steps ahead. Nobody else reads them, so that there is no
// barrier; registers would do, but what waits for one load waits for those behind it, too.
#include "compiler/Target/CUDA/CellKernel.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

/// i64: where the element of a step's input lies; beyond the last step the last one's.
Value CellKernel::inputAddress(size_t input, int64_t slot, Value number) {
  Value last = arith::SubIOp::create(b, loc, steps, index(1)), time = arith::MinUIOp::create(b, loc, number, last);
  if (scan.axis(0).getReverse())
    time = arith::SubIOp::create(b, loc, last, time);
  Value place = arith::IndexCastOp::create(b, loc, b.getI64Type(), addressOf(inputs[input], slot, time));
  int64_t bytes = inputs[input].element.getIntOrFloatBitWidth() / 8;
  Value pointer = LLVM::PtrToIntOp::create(b, loc, b.getI64Type(), arguments->function().getArgument(input * 6));
  return l.add(pointer, l.mul(place, arith::ConstantIntOp::create(b, loc, b.getI64Type(), bytes)));
}

/// i32, bytes: the four that an element of step `number` has.
Value CellKernel::ringOffset(size_t input, int64_t slot, Value number) {
  Value turn = l.bitAnd(arith::IndexCastOp::create(b, loc, b.getI32Type(), number), plan.ring - 1);
  Value mine = plan.owners() < plan.threads() ? l.rem(thread, plan.owners()) : thread;
  int64_t before = (static_cast<int64_t>(input) * plan.slots() + slot) * plan.owners() * 4;
  return l.add(l.add(l.mul(turn, plan.stepBytes()), l.mul(mine, 4)), plan.ringOffset + before);
}

/// An element of 16 bits comes with the one before it where that begins at a multiple of four bytes, and alone where it does so itself.
void CellKernel::copyInputs(Value number) {
  Value shared = LLVM::PtrToIntOp::create(b, loc, b.getI32Type(), arguments->sharedPointer());
  owners({}, [&] {
    for (size_t i = 0; i < inputs.size(); ++i)
      for (int64_t s = 0; s < plan.slots(); ++s) {
        Value from = inputAddress(i, s, number), to = l.add(shared, ringOffset(i, s, number)), size = l.i32(4);
        if (inputs[i].element.getIntOrFloatBitWidth() == 16) {
          size = l.add(l.bitAnd(arith::TruncIOp::create(b, loc, b.getI32Type(), from), 2), 2);
          from = arith::AndIOp::create(b, loc, from, arith::ConstantIntOp::create(b, loc, b.getI64Type(), -4));
        }
        LLVM::InlineAsmOp::create(b, loc, TypeRange(), ValueRange{to, from, size},
                                  "cp.async.ca.shared.global [$0], [$1], 4, $2;", "r,l,r,~{memory}",
                                  /*has_side_effects=*/true, /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                  LLVM::AsmDialectAttr(), ArrayAttr());
      }
    return Values();
  });
  l.commitCopies();
}

/// As they lie in memory. Only an owner reads: what others copy is not waited for.
CellKernel::Values CellKernel::readInputs(Value number) {
  SmallVector<Type> types;
  for (const Operand &input : inputs)
    types.append(plan.slots(), input.element);
  return owners(types, [&] {
    Values raw;
    for (size_t i = 0; i < inputs.size(); ++i)
      for (int64_t s = 0; s < plan.slots(); ++s) {
        Value at = ringOffset(i, s, number);
        if (inputs[i].element.getIntOrFloatBitWidth() == 16)
          at = l.add(at, l.bitAnd(arith::TruncIOp::create(b, loc, b.getI32Type(), inputAddress(i, s, number)), 2));
        raw.push_back(l.loadShared(inputs[i].element, at));
      }
    return raw;
  });
}
