// Steps in stages: the inputs of some steps come to shared memory together, what waits for no state is computed for all of them, and
// the next stage's inputs are on their way to registers meanwhile. See StepKernel.h.
#include "compiler/Target/CUDA/StepKernel.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Element;
using cpu::Place;

/// Visits a thread's elements of the staged inputs: the input's number, the step within the stage, the element within the step, and whether
/// it exists (null: always).
void StepKernel::eachStaged(function_ref<void(unsigned, Value, Value, Value)> visit) {
  int64_t threads = plan.threads;
  for (auto [i, argument] : llvm::enumerate(step.inputArgs())) {
    int64_t size = llvm::product_of(cast<RankedTensorType>(argument.getType()).getShape());
    int64_t all = size * plan.stagedSteps;
    for (int64_t first = 0; first < all; first += threads) {
      Value valid;
      if (size % threads == 0) {
        visit(i, index(first / size), add(thread, index(first % size)), valid);
        continue;
      }
      Value at = add(thread, index(first));
      if (first + threads > all) {
        valid = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, at, index(all));
        at = arith::MinUIOp::create(b, loc, at, index(all - 1));
      }
      visit(i, arith::DivUIOp::create(b, loc, at, index(size)), arith::RemUIOp::create(b, loc, at, index(size)), valid);
    }
  }
}

/// The stage from step `from` on, as it lies in memory. Steps behind `end` are the last one again; there is one at least.
SmallVector<Value> StepKernel::loadStage(Value from, Value end) {
  SmallVector<Value> loaded;
  Value last = sub(end, index(1));
  eachStaged([&](unsigned i, Value inStage, Value element, Value) {
    const Operand &operand = inputs[i];
    Place source = place(operand, operand.base);
    Value number = arith::MinUIOp::create(b, loc, add(from, inStage), last);
    Value read = add(source.base, mul(loopAt(number, 0, steps).second, operand.strides[1]));
    SmallVector<int64_t> strides = source.strides();
    Value rest = element;
    for (size_t axis = source.shape.size(); axis-- > 0;) {
      Value position = rest;
      if (axis) {
        position = arith::RemUIOp::create(b, loc, rest, index(source.shape[axis]));
        rest = arith::DivUIOp::create(b, loc, rest, index(source.shape[axis]));
      }
      read = add(read, mul(position, index(strides[axis])));
    }
    loaded.push_back(memref::LoadOp::create(b, loc, source.memref, read));
    if (source.isComplex)
      loaded.push_back(memref::LoadOp::create(b, loc, source.memref, add(read, index(1))));
  });
  return loaded;
}

void StepKernel::storeStage(ValueRange loaded) {
  cpu::ElementOps ops(b, loc, real, /*nativeBF16=*/true);
  size_t next = 0;
  eachStaged([&](unsigned i, Value inStage, Value element, Value valid) {
    auto type = cast<RankedTensorType>(step.inputArgs()[i].getType());
    bool isComplex = inputs[i].isComplex;
    int64_t width = isComplex ? 2 : 1, size = llvm::product_of(type.getShape()) * width;
    Element value;
    value.re = type.getElementType().isInteger(1) ? ops.toTruth(loaded[next++]) : ops.widen(loaded[next++]);
    if (isComplex)
      value.im = ops.widen(loaded[next++]);
    Value write = add(index(plan.staged[i]), add(mul(inStage, index(size)), mul(element, index(width))));
    Place target{shared, {}, {}, {}, real, isComplex};
    OpBuilder::InsertionGuard guard(b);
    if (valid) {
      auto guarded = scf::IfOp::create(b, loc, valid, /*withElseRegion=*/false);
      b.setInsertionPointToStart(guarded.thenBlock());
    }
    cpu::storeElement(b, loc, ops, target, write, value, 0);
  });
}

/// What waits for no state, for `count` steps.
void StepKernel::emitAtStage(Value count) {
  for (auto [nest, mapping] : llvm::zip(plan.nests.nests, plan.body)) {
    if (!mapping.atStage)
      continue;
    auto loop = scf::ForOp::create(b, loc, index(0), count, index(1));
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      placeStaged(loop.getInductionVar());
      emitNests(nest, mapping, {});
    }
    barrier(b, loc);
  }
}

/// Inputs, and what was made of them at the stage, at step `inStage` of it.
void StepKernel::placeStaged(Value inStage) {
  stageStep = inStage;
  if (!copyOffsets.empty())
    return placeCopied(inStage);
  for (auto [argument, operand, offset] : llvm::zip(step.inputArgs(), inputs, plan.staged)) {
    auto type = cast<RankedTensorType>(argument.getType());
    int64_t reals = llvm::product_of(type.getShape()) * (operand.isComplex ? 2 : 1);
    Place &place = places[argument];
    place = {shared, add(index(offset), mul(inStage, index(reals))),
             {},     SmallVector<int64_t>(type.getShape()),
             real,   operand.isComplex};
    if (plan.rows > 1)
      place.batchStride = index(reals);
  }
}

/// The first stage's inputs, where there is one.
SmallVector<Value> StepKernel::loadFirstStage(Value begin, Value end) {
  Value any = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, begin, end);
  OpBuilder::InsertionGuard guard(b);
  Block *here = b.getInsertionBlock();
  Block::iterator where = b.getInsertionPoint();
  // The types are known once the loads are: they are made first, and then moved.
  Block scratchBlock;
  b.setInsertionPointToEnd(&scratchBlock);
  SmallVector<Value> loaded = loadStage(begin, end);
  SmallVector<Type> types;
  for (Value value : loaded)
    types.push_back(value.getType());
  b.setInsertionPoint(here, where);
  auto first = scf::IfOp::create(b, loc, types, any, /*withElseRegion=*/true);
  first.thenBlock()->getOperations().splice(first.thenBlock()->begin(), scratchBlock.getOperations());
  b.setInsertionPointToEnd(first.thenBlock());
  scf::YieldOp::create(b, loc, loaded);
  b.setInsertionPointToEnd(first.elseBlock());
  SmallVector<Value> zeros;
  for (Type type : types)
    zeros.push_back(arith::ConstantOp::create(b, loc, b.getZeroAttr(type)));
  scf::YieldOp::create(b, loc, zeros);
  return SmallVector<Value>(first.getResults());
}

void StepKernel::emitStagedSteps(Value begin, Value end) {
  inFlight = loadFirstStage(begin, end);
  Value stage = index(plan.stagedSteps);
  inLoop(begin, end, stage, [&](Value from) {
    Value count = arith::MinUIOp::create(b, loc, stage, sub(end, from));
    barrier(b, loc); // the stage before is done with
    storeStage(inFlight);
    barrier(b, loc);
    inFlight = loadStage(add(from, stage), end);
    emitAtStage(count);
    SmallVector<Value> onTheirWay = std::exchange(inFlight, {});
    inLoop(index(0), count, index(plan.rows), [&](Value inStage) {
      Loop at = loopAt(add(from, inStage), 0, steps);
      if (plan.rows > 1)
        rowsLeft = sub(count, inStage);
      if (!resets.empty())
        emitResets(at);
      emitStep(at, inStage);
    });
    inFlight = std::move(onTheirWay);
  });
  inFlight.clear();
}
