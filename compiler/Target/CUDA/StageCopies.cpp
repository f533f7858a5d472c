// Stages of inputs that are copied to shared memory as they lie in device memory, in the background, some stages ahead: for scans whose
// states are vectors, which read each input once and would have too few bytes on their way otherwise. See Stage.cpp for the others.
#include "compiler/Target/CUDA/StepKernel.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

/// Stages on their way or in use, and shared memory for them; a copy's bytes.
static constexpr int64_t kSlots = 4, kCopyBytes = 48 * 1024, kPiece = 16;

static int64_t bytesOf(Type element) { return element.getIntOrFloatBitWidth() / 8; }

/// Elements that lie beside each other in device memory.
static int64_t runOf(const Operand &operand) {
  if (operand.whole.empty())
    return llvm::product_of(operand.shape);
  int64_t run = 1;
  for (size_t i = operand.shape.size(); i-- > 0;) {
    run *= operand.shape[i];
    if (operand.shape[i] != operand.whole[i])
      break;
  }
  return run;
}

/// Where each input's stage lies within a slot; empty where this form is not for the scan.
void StepKernel::planCopies() {
  copyOffsets.clear();
  bool vectors = llvm::all_of(step.yield().getStates(),
                              [](Value state) { return cast<RankedTensorType>(state.getType()).getRank() <= 1; });
  if (!plan.stagedSteps || !vectors || independent || plan.rows > 1)
    return;
  int64_t bytes = 0;
  SmallVector<int64_t> offsets;
  for (auto [argument, operand] : llvm::zip(step.inputArgs(), inputs)) {
    int64_t size = llvm::product_of(operand.shape) * plan.stagedSteps * bytesOf(operand.element);
    bool truth = cast<RankedTensorType>(argument.getType()).getElementType().isInteger(1);
    if (operand.isComplex || truth || runOf(operand) * bytesOf(operand.element) % kPiece)
      return;
    offsets.push_back(std::exchange(bytes, bytes + size));
  }
  if (bytes * kSlots > kCopyBytes)
    return;
  copyOffsets = offsets;
  copyBytes = bytes;
  copyBase = llvm::alignTo(launch.sharedBytes, kPiece);
  launch.sharedBytes = copyBase + bytes * kSlots;
}

/// Queues the copies of the stage from step `from` on. Steps behind `end` are the last one again.
void StepKernel::copyStage(Value from, Value end) {
  Value last = sub(end, index(1)), slot = slotOf(from);
  Type i64 = b.getI64Type(), i32 = b.getI32Type();
  auto wide = [&](Value x) -> Value { return arith::IndexCastOp::create(b, loc, i64, x); };
  for (auto [number, operand, offset] : llvm::enumerate(inputs, copyOffsets)) {
    int64_t bytes = bytesOf(operand.element), perPiece = kPiece / bytes, run = runOf(operand);
    int64_t perStep = llvm::product_of(operand.shape) / perPiece, all = perStep * plan.stagedSteps;
    int64_t runStride = 0; // one run, or several that are a row of the whole apart
    if (run < llvm::product_of(operand.shape))
      runStride = llvm::product_of(operand.whole) / (llvm::product_of(operand.shape) / run);
    Value pointer = arguments->function().getArgument(number * 6);
    for (int64_t first = 0; first < all; first += plan.threads) {
      Value piece = add(thread, index(first));
      OpBuilder::InsertionGuard guard(b);
      if (first + plan.threads > all) {
        Value valid = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, piece, index(all));
        auto some = scf::IfOp::create(b, loc, valid, /*withElseRegion=*/false);
        b.setInsertionPointToStart(some.thenBlock());
      }
      Value inStage = arith::DivUIOp::create(b, loc, piece, index(perStep));
      Value inStep = mul(arith::RemUIOp::create(b, loc, piece, index(perStep)), index(perPiece));
      Value time = loopAt(arith::MinUIOp::create(b, loc, add(from, inStage), last), 0, steps).second;
      Value at = add(operand.base, mul(time, operand.strides[1]));
      if (runStride)
        at = add(at, add(mul(arith::DivUIOp::create(b, loc, inStep, index(run)), index(runStride)),
                         arith::RemUIOp::create(b, loc, inStep, index(run))));
      else
        at = add(at, inStep);
      Value source =
          LLVM::GEPOp::create(b, loc, pointer.getType(), operand.element, pointer, ArrayRef<LLVM::GEPArg>{wide(at)});
      Value to = add(add(mul(slot, index(copyBytes)), index(copyBase + offset)), mul(piece, index(kPiece)));
      Value target = LLVM::GEPOp::create(b, loc, sharedPointer.getType(), b.getI8Type(), sharedPointer,
                                         ArrayRef<LLVM::GEPArg>{wide(to)});
      copyPiece(source, target, operand.element, i32);
    }
  }
}

/// 16 bytes; one by one where the caller's memory does not lie on a multiple of that.
void StepKernel::copyPiece(Value source, Value target, Type element, Type i32) {
  auto global = LLVM::LLVMPointerType::get(b.getContext(), 1);
  Value address = arith::TruncIOp::create(b, loc, i32, LLVM::PtrToIntOp::create(b, loc, b.getI64Type(), source));
  Value low = arith::AndIOp::create(b, loc, address, arith::ConstantIntOp::create(b, loc, i32, kPiece - 1));
  Value aligned =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, low, arith::ConstantIntOp::create(b, loc, i32, 0));
  auto choice = scf::IfOp::create(b, loc, aligned, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  NVVM::CpAsyncOp::create(
      b, loc, target, LLVM::AddrSpaceCastOp::create(b, loc, global, source), b.getI32IntegerAttr(kPiece),
      NVVM::LoadCacheModifierKindAttr::get(b.getContext(), NVVM::LoadCacheModifierKind::CG), Value());
  b.setInsertionPointToStart(choice.elseBlock());
  for (int64_t i = 0; i < kPiece / bytesOf(element); ++i) {
    auto at = [&](Value pointer) {
      return LLVM::GEPOp::create(b, loc, pointer.getType(), element, pointer,
                                 ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(i)});
    };
    Value value = LLVM::LoadOp::create(b, loc, element, at(source), bytesOf(element));
    LLVM::StoreOp::create(b, loc, value, at(target), bytesOf(element));
  }
}

/// Which slot the stage from step `from` on lies in.
Value StepKernel::slotOf(Value from) {
  return arith::RemUIOp::create(b, loc, arith::DivUIOp::create(b, loc, from, index(plan.stagedSteps)), index(kSlots));
}

void StepKernel::emitCopiedSteps(Value end) {
  sharedPointer = arguments->sharedPointer();
  Value stage = index(plan.stagedSteps);
  auto copyIf = [&](Value from) {
    Value any = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, from, end);
    auto some = scf::IfOp::create(b, loc, any, /*withElseRegion=*/false);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(some.thenBlock());
      copyStage(from, end);
    }
    NVVM::CpAsyncCommitGroupOp::create(b, loc); // without copies, too, so that groups count stages
  };
  for (int64_t s = 0; s + 1 < kSlots; ++s)
    copyIf(index(s * plan.stagedSteps));
  inLoop(index(0), end, stage, [&](Value from) {
    Value count = arith::MinUIOp::create(b, loc, stage, sub(end, from));
    NVVM::CpAsyncWaitGroupOp::create(b, loc, b.getI32IntegerAttr(kSlots - 2));
    barrier(b, loc); // the copies are there, and the stage before is done with
    copyIf(add(from, index((kSlots - 1) * plan.stagedSteps)));
    copiedSlot = slotOf(from);
    emitAtStage(count);
    inLoop(index(0), count, index(1), [&](Value inStage) {
      Loop at = loopAt(add(from, inStage), 0, steps);
      if (!resets.empty())
        emitResets(at);
      emitStep(at, inStage);
    });
  });
  copiedSlot = {};
}

/// Inputs at step `inStage` of the stage, as they were copied.
void StepKernel::placeCopied(Value inStage) {
  for (auto [argument, operand, offset] : llvm::zip(step.inputArgs(), inputs, copyOffsets)) {
    auto type = cast<RankedTensorType>(argument.getType());
    int64_t bytes = bytesOf(operand.element), size = llvm::product_of(type.getShape());
    Value memory = arguments->shared(operand.element);
    Value base = add(mul(copiedSlot, index(copyBytes / bytes)), index((copyBase + offset) / bytes));
    places[argument] = {
        memory, add(base, mul(inStage, index(size))), {}, SmallVector<int64_t>(type.getShape()), operand.element,
        false};
  }
}
