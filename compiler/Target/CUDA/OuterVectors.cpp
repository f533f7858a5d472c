// States of one axis that sum up what is elementwise: 32 elements a block, a warp on every eighth step. See OuterKernel.h.
#include "compiler/Target/CUDA/OuterKernel.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

static constexpr int64_t kColumns = 32, kLines = BlockProduct::threads / kColumns;
/// Steps of a stage: a thread has so many loads in flight.
static constexpr int64_t kSteps = 16 * kLines;

Value OuterKernel::evaluate(Value value, Scope &scope, const Place &place, Value row, Value column) {
  if (auto known = scope.find(value); known != scope.end())
    return known->second.re;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    bool isInput = llvm::is_contained(step.inputArgs(), argument);
    const Operand &operand = isInput ? inputs[llvm::find(step.inputArgs(), argument) - step.inputArgs().begin()]
                                     : params[llvm::find(step.paramArgs(), argument) - step.paramArgs().begin()];
    Value at = index(0);
    auto move = [&](bool has, Value count, int axis) {
      if (has)
        at = add(at, mul(count, operand.strides[axis]));
    };
    Value head =
        operand.perGroup ? arith::DivUIOp::create(b, loc, place.head, arguments->size(4)).getResult() : place.head;
    move(operand.perBatch, place.row, 0);
    move(operand.perHead || operand.perGroup, head, 3);
    move(operand.perTime, add(place.first, toIndex(row)), 1);
    if (!operand.shape.empty())
      at = add(at, toIndex(column));
    Value loaded = ops.widen(memref::LoadOp::create(b, loc, operand.memref, at));
    scope[value] = {loaded, {}};
    return loaded;
  }
  SmallVector<cpu::Element> operands;
  for (Value operand : value.getDefiningOp()->getOperands()) {
    evaluate(operand, scope, place, row, column);
    operands.push_back(scope[operand]);
  }
  scope[value] = ops.compute(value.getDefiningOp(), operands);
  return scope[value].re;
}

Value OuterKernel::addend(unsigned state, const Place &place, Value row, Value column) {
  Scope scope;
  scope[step.stateArgs(state).front()] = {l.f32(0), {}};
  return evaluate(step.yield().getStates()[state], scope, place, row, column);
}

/// This thread's part of an element's sum.
Value OuterKernel::sumVector(unsigned state, Value column, Value line) {
  Share share = shareOf(kSteps);
  auto loop = scf::ForOp::create(b, loc, share.begin, share.end, l.i32(1), ValueRange{l.f32(0)});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Place place = placeOf(share, loop.getInductionVar(), kSteps);
  SmallVector<Value> addends;
  for (int64_t i = 0; i < kSteps; i += kLines) {
    Value row = l.add(line, i), last = l.sub(place.left, l.i32(1));
    Value value = addend(state, place, l.least(row, last), column);
    addends.push_back(l.select(l.less(row, place.left), value, l.f32(0)));
  }
  Value sum = loop.getRegionIterArg(0);
  for (Value each : addends)
    sum = l.addf(sum, each);
  scf::YieldOp::create(b, loc, sum);
  return loop.getResult(0);
}

void OuterKernel::emitVector(unsigned state, Value number) {
  auto type = cast<RankedTensorType>(step.yield().getStates()[state].getType());
  int64_t columns = type.getRank() ? type.getDimSize(0) : 1;
  Value inBlock = l.bitAnd(thread, kColumns - 1), column = l.add(l.mul(number, kColumns), inBlock);
  Value exists = l.less(column, l.i32(columns));
  Value sum = sumVector(state, l.least(column, l.i32(columns - 1)), l.div(thread, kColumns));
  l.storeShared(sum, l.shl(thread, 2));
  l.barrier();
  auto total = [&](function_ref<Value(int64_t)> part, int64_t count) {
    Value all = part(0);
    for (int64_t i = 1; i < count; ++i)
      all = l.addf(all, part(i));
    return all;
  };
  Value first = l.less(thread, l.i32(kColumns));
  int64_t offset = BlockProduct::threads * 4;
  ifTrue(first, [&] {
    Value all =
        total([&](int64_t i) { return l.loadShared(b.getF32Type(), l.shl(thread, 2), i * kColumns * 4); }, kLines);
    l.storeShared(all, l.shl(thread, 2), offset);
  });
  if (parts > 1)
    clusterBarrier();
  Value stores = l.both(l.both(first, exists), l.equal(part, l.i32(0)));
  ifTrue(stores, [&] {
    Value place = l.add(l.shl(thread, 2), offset), all;
    if (parts == 1)
      all = l.loadShared(b.getF32Type(), place);
    else
      all = total([&](int64_t rank) { return clusterLoad(b.getF32Type(), place, rank); }, parts);
    const Operand &to = finals[state];
    Value at = to.perHead ? mul(ownHead, to.strides[3]) : index(0);
    if (!to.shape.empty())
      at = add(at, toIndex(column));
    memref::StoreOp::create(b, loc, ops.narrow(all, to.element), to.memref, at);
  });
  if (parts > 1)
    clusterBarrier();
}
