// Elements of values in a thread: from registers, from memory, or computed. See ThreadNest.h.
#include "compiler/Target/CUDA/ThreadNest.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Element;
using cpu::Index;
using cpu::Indices;
using cpu::Place;
using cpu::Statement;
using cpu::Term;

std::pair<Value, Value> rondo::cuda::positionAndLane(OpBuilder &b, Location loc, const KernelPlan &plan, Value thread,
                                                     int64_t lanes) {
  auto index = [&](int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); };
  auto divide = [&](Value x, int64_t by) { return arith::DivUIOp::create(b, loc, x, index(by)).getResult(); };
  auto remainder = [&](Value x, int64_t by) { return arith::RemUIOp::create(b, loc, x, index(by)).getResult(); };
  if (lanes == 1)
    return {thread, {}};
  int64_t together = plan.together(lanes);
  if (together == 1)
    return {divide(thread, lanes), remainder(thread, lanes)};
  Value group = arith::MulIOp::create(b, loc, divide(thread, together * lanes), index(together));
  return {arith::AddIOp::create(b, loc, group, remainder(thread, together)),
          remainder(divide(thread, together), lanes)};
}

/// The value of the lane whose number differs by the bit `distance`; all threads of the warp take part.
Value rondo::cuda::shuffleXor(OpBuilder &b, Location loc, Value x, int64_t distance) {
  Type i32 = b.getI32Type(), i64 = b.getI64Type();
  auto constant = [&](Type type, int64_t value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, value));
  };
  auto shuffle = [&](Value word) -> Value {
    return NVVM::ShflOp::create(b, loc, word.getType(), constant(i32, -1), word, constant(i32, distance),
                                constant(i32, 31), NVVM::ShflKind::bfly, UnitAttr());
  };
  if (x.getType().isF32())
    return shuffle(x);
  Value bits = arith::BitcastOp::create(b, loc, i64, x), half = constant(i64, 32);
  Value low = shuffle(arith::TruncIOp::create(b, loc, i32, bits));
  Value high = shuffle(arith::TruncIOp::create(b, loc, i32, arith::ShRUIOp::create(b, loc, bits, half)));
  Value upper = arith::ShLIOp::create(b, loc, arith::ExtUIOp::create(b, loc, i64, high), half);
  return arith::BitcastOp::create(b, loc, x.getType(),
                                  arith::OrIOp::create(b, loc, upper, arith::ExtUIOp::create(b, loc, i64, low)));
}

void ThreadNest::moveTo(int level) {
  Level &at = levels[level];
  if (level < innermost())
    b.setInsertionPoint(at.firstLoop);
  else if (at.end)
    b.setInsertionPoint(at.end);
  else
    b.setInsertionPointToEnd(at.block);
}

Indices ThreadNest::resolve(ArrayRef<Index> at, bool perSequence) const {
  Indices result(at);
  if (perSequence)
    result.push_back({static_cast<int>(nest.dims.size()), 0});
  for (Index &index : result) {
    if (index.dim < 0)
      continue;
    const DimState &dim = dims[index.dim];
    index.offset += dim.offset;
    if (!dim.iv)
      index.dim = -1;
  }
  return result;
}

int ThreadNest::levelOf(ArrayRef<Index> at) const {
  int level = 0;
  for (const Index &index : at)
    if (index.dim >= 0)
      level = std::max(level, dims[index.dim].level);
  return level;
}

uint32_t ThreadNest::dimsOf(ArrayRef<Index> at) const {
  uint32_t set = 0;
  for (const Index &index : at)
    if (index.dim >= 0)
      set |= 1u << index.dim;
  return set;
}

ThreadNest::Key ThreadNest::keyOf(Value value, ArrayRef<Index> resolved) const {
  Key key{static_cast<int64_t>(reinterpret_cast<intptr_t>(value.getAsOpaquePointer()))};
  for (const Index &index : resolved)
    key.insert(key.end(), {index.dim, index.offset});
  return key;
}

/// Where an element lies among the thread's registers.
ThreadNest::Key ThreadNest::registerKey(ArrayRef<Index> at) const {
  Key key;
  bool byThread = false;
  for (const Index &index : at) {
    bool thread = index.dim >= 0 && isThreadDim(index.dim);
    byThread |= thread && nest.dims[index.dim].extent > 1;
    key.push_back(thread ? 0 : index.dim >= 0 ? dims[index.dim].unit : index.offset);
  }
  key.push_back(byThread ? slot : 0);
  return key;
}

bool ThreadNest::isComputedHere(Value value) const {
  return value.getDefiningOp() && !isa<recur::ConcatOp, recur::ReshapeOp, arith::ConstantOp>(value.getDefiningOp()) &&
         llvm::any_of(nest.statements, [&](const Statement &s) {
           return s.value == value && !s.isReduction() &&
                  llvm::none_of(s.destinations, [](auto &d) { return d.axis >= 0; });
         });
}

Element ThreadNest::evaluate(Value value, ArrayRef<Index> at, bool isRoot) {
  Indices resolved = resolve(at, nests.isPerSequence(value));
  Key key = keyOf(value, resolved);
  if (auto known = memo.find(key); known != memo.end())
    return known->second.element;

  int level = levelOf(at);
  Operation *op = value.getDefiningOp();
  bool splat = false;
  if (auto constant = dyn_cast_or_null<arith::ConstantOp>(op))
    splat = cast<DenseElementsAttr>(constant.getValue()).isSplat();
  bool stored = !op || (!splat && nests.isStored(value) && !isComputedHere(value));
  if (isRoot)
    stored = false;
  Element element;
  if (!stored) {
    element = evaluateOp(op, at, level);
  } else if (RegisterArray *registers = env.registersOf(value)) {
    element = registers->at(registerKey(at));
  } else {
    element = load(value, at, level);
  }
  memo[key] = {element, level, dimsOf(at)};
  return element;
}

/// An element in memory.
Element ThreadNest::load(Value value, ArrayRef<Index> at, int level) {
  moveTo(level);
  Place place = env.placeOf(value);
  Value from = address(place, at);
  if (!inRange || level < slotLevel || !plan.isOverwritten(value, nest))
    return cpu::loadElement(b, loc, ops, place, from, 0);
  OpBuilder::InsertionGuard keep(b);
  bool isComplex = isa<ComplexType>(cast<RankedTensorType>(value.getType()).getElementType());
  SmallVector<Type> types(isComplex ? 2 : 1, env.real);
  auto guarded = scf::IfOp::create(b, loc, types, inRange, /*withElseRegion=*/true);
  auto yield = [&](const Element &element) {
    SmallVector<Value> parts{element.re};
    if (element.isComplex())
      parts.push_back(element.im);
    scf::YieldOp::create(b, loc, parts);
  };
  b.setInsertionPointToStart(guarded.thenBlock());
  yield(cpu::loadElement(b, loc, ops, place, from, 0));
  b.setInsertionPointToStart(guarded.elseBlock());
  yield(ops.constant(0, isComplex));
  return {guarded.getResult(0), types.size() > 1 ? guarded.getResult(1) : Value()};
}

/// What is read of parameters behind sums is read before them: a load leaves the loop over steps where it comes before all shuffles.
void ThreadNest::loadParameters(Value value, ArrayRef<Index> at) {
  if (isa<BlockArgument>(value)) {
    if (!nests.isTimeVarying(value))
      evaluate(value, at);
    return;
  }
  Operation *op = value.getDefiningOp();
  if (isa<arith::ConstantOp, recur::IdentityOp>(op) || nests.isStored(value) != isComputedHere(value) ||
      !cpu::reductionExtents(op).empty())
    return;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    loadParameters(op->getOperand(i), cpu::operandIndices(op, i, at, {}));
}

Element ThreadNest::evaluateOp(Operation *op, ArrayRef<Index> at, int level) {
  SmallVector<Element> operands;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    operands.push_back(evaluate(op->getOperand(i), cpu::operandIndices(op, i, at, {})));
  moveTo(level);
  if (isa<recur::IdentityOp>(op))
    return identityElement(at);
  return ops.compute(op, operands);
}

/// The index along one axis as a value.
Value ThreadNest::position(const Index &resolved) {
  Value iv = resolved.dim >= 0 ? dims[resolved.dim].iv : Value();
  if (!iv)
    return index(resolved.offset);
  return resolved.offset ? arith::AddIOp::create(b, loc, iv, index(resolved.offset)).getResult() : iv;
}

Element ThreadNest::identityElement(ArrayRef<Index> at) {
  Indices resolved = resolve(at, false);
  Value same = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, position(resolved[0]), position(resolved[1]));
  return {arith::SelectOp::create(b, loc, same, ops.constant(1, false).re, ops.constant(0, false).re), {}};
}

Element ThreadNest::addTerm(const Statement &statement, const Term &term, Element sum) {
  Operation *op = term.value.getDefiningOp();
  Indices at = statement.at(), reduced = cpu::indices(term.reduced);
  SmallVector<Element> factors;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    factors.push_back(evaluate(op->getOperand(i), cpu::operandIndices(op, i, at, reduced)));
  moveTo(innermost());
  if (auto reduce = dyn_cast<recur::ReduceOp>(op))
    return ops.combine(reduce.getKind(), sum, factors.front());
  if (factors.size() == 1)
    return ops.add(sum, factors.front());
  Element product = factors.front();
  for (const Element &factor : ArrayRef(factors).drop_front().drop_back())
    product = ops.mul(product, factor);
  return ops.multiplyAdd(product, factors.back(), sum);
}

/// The flat index of an element, where the builder stands.
Value ThreadNest::address(const Place &place, ArrayRef<Index> at) {
  Indices resolved = resolve(at, static_cast<bool>(place.batchStride));
  constexpr auto noWrap = arith::IntegerOverflowFlags::nsw;
  Value sum = place.base;
  int64_t constant = 0;
  auto add = [&](Value x) { sum = arith::AddIOp::create(b, loc, sum, x, noWrap); };
  for (auto [index, stride] : llvm::zip(resolved, place.strides())) {
    constant += index.offset * stride;
    if (Value iv = index.dim >= 0 ? dims[index.dim].iv : Value())
      add(arith::MulIOp::create(b, loc, iv, this->index(stride), noWrap));
  }
  if (place.batchStride && resolved.back().offset)
    add(arith::MulIOp::create(b, loc, index(resolved.back().offset), place.batchStride, noWrap));
  if (constant)
    add(index(constant));
  return sum;
}
