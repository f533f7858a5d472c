// Elements of values inside a nest's loops: each is computed once per iteration of the outermost loop that it depends on. See
// NestEmitter.h.
#include "compiler/Target/CPU/NestEmitter.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

void NestEmitter::moveTo(int level) {
  Level &at = levels[level];
  if (level < innermost())
    b.setInsertionPoint(at.firstLoop);
  else if (at.end)
    b.setInsertionPoint(at.end);
  else
    b.setInsertionPointToEnd(at.block);
}

void NestEmitter::remember(const Key &key, Element element, int level, uint32_t dims) {
  memo[key] = {element, level, dims, level == innermost() && levels[level].firstLoop};
}

Indices NestEmitter::resolve(ArrayRef<Index> at, bool perSequence) const {
  Indices result(at);
  if (perSequence)
    result.push_back({batchDim(), 0});
  for (Index &index : result) {
    if (index.dim < 0)
      continue;
    const DimState &dim = dims[index.dim];
    index.offset += (*point)[index.dim] + dim.start;
    if (!dim.iv && !dim.vector)
      index.dim = -1;
  }
  return result;
}

int NestEmitter::levelOf(ArrayRef<Index> resolved) const {
  int level = 0;
  for (const Index &index : resolved)
    if (index.dim >= 0)
      level = std::max(level, dims[index.dim].level);
  return level;
}

uint32_t NestEmitter::dimsOf(ArrayRef<Index> resolved) const {
  uint32_t set = 0;
  for (const Index &index : resolved)
    if (index.dim >= 0)
      set |= 1u << index.dim;
  return set;
}

bool NestEmitter::movesWithLanes(ArrayRef<Index> at) const {
  int v = tiling.vectorDim;
  return v >= 0 && dims[v].vector && llvm::any_of(at, [&](const Index &index) { return index.dim == v; });
}

bool NestEmitter::isComputedHere(Value value) const {
  return value.getDefiningOp() && !isa<recur::ConcatOp, recur::ReshapeOp, arith::ConstantOp>(value.getDefiningOp()) &&
         llvm::any_of(nest.statements, [&](const Statement &s) {
           return s.value == value && !s.isReduction() &&
                  llvm::none_of(s.destinations, [](auto &d) { return d.axis >= 0; });
         });
}

NestEmitter::Key NestEmitter::keyOf(Value value, ArrayRef<Index> resolved) const {
  Key key{static_cast<int64_t>(reinterpret_cast<intptr_t>(value.getAsOpaquePointer()))};
  for (const Index &index : resolved)
    key.insert(key.end(), {index.dim, index.offset});
  return key;
}

Element NestEmitter::evaluate(Value value, ArrayRef<Index> at, bool isRoot) {
  Indices resolved = resolve(at, plan.isPerSequence(value));
  Key key = keyOf(value, resolved);
  if (auto known = memo.find(key); known != memo.end())
    return known->second.element;

  int level = levelOf(resolved);
  Operation *op = value.getDefiningOp();
  bool splat = false;
  if (auto constant = dyn_cast_or_null<arith::ConstantOp>(op))
    splat = cast<DenseElementsAttr>(constant.getValue()).isSplat();
  bool fromMemory = !op || (!splat && plan.isStored(value) && !isComputedHere(value));
  if (isRoot)
    fromMemory = false;
  auto fetch = [&] {
    return plan.readsPanel(nest, value, at) ? loadPanel(env.panelOf(value, at), at, level)
                                            : load(env.placeOf(value), at, level);
  };
  Element element = fromMemory ? fetch() : evaluateOp(op, at, level);
  remember(key, element, level, dimsOf(resolved));
  return element;
}

Element NestEmitter::evaluateOp(Operation *op, ArrayRef<Index> at, int level) {
  SmallVector<Element> operands;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    operands.push_back(evaluate(op->getOperand(i), operandIndices(op, i, at, {})));
  moveTo(level);
  return isa<recur::IdentityOp>(op) ? identityElement(at) : ops.compute(op, operands);
}

/// The index along one axis as a value: loop variable plus offset, without lanes.
Value NestEmitter::position(Index resolved) {
  Value offset = arith::ConstantIndexOp::create(b, loc, resolved.offset);
  Value iv = resolved.dim >= 0 ? dims[resolved.dim].iv : Value();
  return iv ? arith::AddIOp::create(b, loc, iv, offset).getResult() : offset;
}

Element NestEmitter::identityElement(ArrayRef<Index> at) {
  Value row = position(resolve(at[0], false).front()), column = position(resolve(at[1], false).front());
  Element one = ops.constant(1, false), zero = ops.constant(0, false);
  bool rowLanes = movesWithLanes(at[0]), columnLanes = movesWithLanes(at[1]);
  if (rowLanes || columnLanes) {
    Value lanes = vector::StepOp::create(b, loc, VectorType::get({tiling.lanes}, b.getIndexType()));
    auto spread = [&](Value &x, bool moves) {
      x = ops.splat(x, tiling.lanes);
      if (moves)
        x = arith::AddIOp::create(b, loc, x, lanes);
    };
    spread(row, rowLanes);
    spread(column, columnLanes);
    one = ops.splat(one, tiling.lanes);
    zero = ops.splat(zero, tiling.lanes);
  }
  Value same = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, row, column);
  return {arith::SelectOp::create(b, loc, same, one.re, zero.re), {}};
}

Element NestEmitter::addTerm(const Statement &statement, const Term &term, Element sum) {
  Operation *op = term.value.getDefiningOp();
  Indices at = statement.at(), reduced = indices(term.reduced);
  SmallVector<Element> factors;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    factors.push_back(evaluate(op->getOperand(i), operandIndices(op, i, at, reduced)));
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

/// The flat index of an element: the place's base, then one summand per loop, added at that loop's level so that inner loops only
/// add what moves with them. Leaves the builder at `level`, where the address is used.
Value NestEmitter::address(const Place &place, ArrayRef<Index> at, int level) {
  Indices resolved = resolve(at, static_cast<bool>(place.batchStride));
  SmallVector<int64_t> strides = place.strides();
  int64_t constant = 0;
  // An offset times a stride that is known goes to `constant`.
  SmallVector<Summand> summands;
  auto isLoop = [&](Index index) { return index.dim >= 0 && dims[index.dim].iv; };
  if (place.batchStride)
    summands.push_back({levelOf(resolved.back()), resolved.back(), 0, place.batchStride});
  for (size_t i = 0; i < strides.size(); ++i) {
    if (i == 0 && place.rowStride) {
      summands.push_back({levelOf(resolved[i]), resolved[i], 0, place.rowStride});
      continue;
    }
    constant += resolved[i].offset * strides[i];
    if (!isLoop(resolved[i]))
      continue;
    int dim = resolved[i].dim;
    auto *same = llvm::find_if(summands, [&](const Summand &s) { return s.index.dim == dim && !s.dynamicStride; });
    if (same != summands.end())
      same->stride += strides[i];
    else
      summands.push_back({dims[dim].level, Index{dim, 0}, strides[i], {}});
  }
  return sumUp(place, summands, constant, level);
}

/// Each summand is added at its loop's level. Leaves the builder at `level`.
Value NestEmitter::sumUp(const Place &place, SmallVectorImpl<Summand> &summands, int64_t constant, int level) {
  auto rank = [](const Summand &s) { return std::make_tuple(s.level, !s.dynamicStride, s.index.dim, s.stride); };
  llvm::sort(summands, [&](const Summand &x, const Summand &y) { return rank(x) < rank(y); });

  auto number = [](Value value) {
    return static_cast<int64_t>(reinterpret_cast<intptr_t>(value.getAsOpaquePointer()));
  };
  constexpr auto noWrap = arith::IntegerOverflowFlags::nsw;
  Value sum = place.base;
  Key key{number(place.base), number(place.batchStride), number(place.rowStride), -1};
  uint32_t soFar = 0;
  for (const Summand &summand : summands) {
    soFar |= dimsOf(summand.index);
    key.insert(key.end(), {summand.index.dim, summand.index.offset, summand.stride, number(summand.dynamicStride)});
    if (auto known = memo.find(key); known != memo.end()) {
      sum = known->second.element.re;
      continue;
    }
    moveTo(summand.level);
    Value factor = position(summand.index);
    Value stride = summand.dynamicStride ? summand.dynamicStride
                                         : arith::ConstantIndexOp::create(b, loc, summand.stride).getResult();
    sum = arith::AddIOp::create(b, loc, sum, arith::MulIOp::create(b, loc, factor, stride, noWrap), noWrap);
    remember(key, {sum, {}}, summand.level, soFar);
  }
  moveTo(level);
  if (constant == 0)
    return sum;
  return arith::AddIOp::create(b, loc, sum, arith::ConstantIndexOp::create(b, loc, constant), noWrap);
}

bool NestEmitter::isScattered(const Place &place, ArrayRef<Index> at) const {
  return place.rowStride && movesWithLanes(at.take_front());
}

Element NestEmitter::load(const Place &place, ArrayRef<Index> at, int level) {
  Value from = address(place, at, level);
  if (!isScattered(place, at))
    return loadElement(b, loc, ops, place, from, movesWithLanes(at) ? tiling.lanes : 0);
  SmallVector<Value> re, im;
  for (int64_t lane = 0; lane < tiling.lanes; ++lane) {
    Element one = loadElement(b, loc, ops, place, from, 0);
    re.push_back(one.re);
    im.push_back(one.im);
    from = arith::AddIOp::create(b, loc, from, place.rowStride);
  }
  auto gathered = [&](ArrayRef<Value> parts) -> Value {
    auto type = VectorType::get({tiling.lanes}, parts.front().getType());
    return vector::FromElementsOp::create(b, loc, type, parts);
  };
  return {gathered(re), im.front() ? gathered(im) : Value()};
}

void NestEmitter::store(const Place &place, ArrayRef<Index> at, Element element) {
  Value to = address(place, at, innermost());
  if (!isScattered(place, at))
    return storeElement(b, loc, ops, place, to, element, movesWithLanes(at) ? tiling.lanes : 0);
  element = ops.splat(element, tiling.lanes);
  for (int64_t lane = 0; lane < tiling.lanes; ++lane) {
    Element one{vector::ExtractOp::create(b, loc, element.re, lane), {}};
    if (element.isComplex())
      one.im = vector::ExtractOp::create(b, loc, element.im, lane);
    storeElement(b, loc, ops, place, to, one, 0);
    to = arith::AddIOp::create(b, loc, to, place.rowStride);
  }
}
