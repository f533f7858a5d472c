// Elements of values inside a nest's loops: each is computed once per iteration of the outermost loop that it depends on. See
// NestEmitter.h.
#include "compiler/Target/CPU/NestEmitter.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

SmallVector<int64_t> Place::strides() const {
  SmallVector<int64_t> result(shape.size());
  int64_t step = isComplex ? 2 : 1;
  for (size_t i = shape.size(); i-- > 0; step *= shape[i])
    result[i] = step;
  return result;
}

void NestEmitter::moveTo(int level) {
  Level &at = levels[level];
  if (level < innermost())
    b.setInsertionPoint(at.firstLoop);
  else if (at.end)
    b.setInsertionPoint(at.end);
  else
    b.setInsertionPointToEnd(at.block);
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
           return s.value == value && !s.isReduction &&
                  llvm::none_of(s.destinations, [](auto &d) { return d.axis >= 0; });
         });
}

Element NestEmitter::evaluate(Value value, ArrayRef<Index> at, bool isRoot) {
  Indices resolved = resolve(at, plan.isPerSequence(value));
  Key key{static_cast<int64_t>(reinterpret_cast<intptr_t>(value.getAsOpaquePointer()))};
  for (const Index &index : resolved)
    key.insert(key.end(), {index.dim, index.offset});
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
  Element element = fromMemory ? load(env.placeOf(value), at, level) : evaluateOp(op, at, level);
  memo[key] = {element, level, dimsOf(resolved)};
  return element;
}

Element NestEmitter::evaluateOp(Operation *op, ArrayRef<Index> at, int level) {
  SmallVector<Element> operands;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    operands.push_back(evaluate(op->getOperand(i), operandIndices(op, i, at, {})));
  moveTo(level);
  if (auto map = dyn_cast<recur::MapOp>(op))
    return ops.apply(map.getFn(), operands);
  if (isa<recur::ContractOp>(op)) {
    Element product = operands.front();
    for (const Element &factor : llvm::drop_begin(operands))
      product = ops.mul(product, factor);
    return product;
  }
  if (isa<recur::CastOp>(op)) {
    bool complex = isa<ComplexType>(cast<RankedTensorType>(op->getResult(0).getType()).getElementType());
    return complex ? ops.toComplex(operands.front()) : operands.front();
  }
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return constantElement(constant, at);
  if (isa<recur::IdentityOp>(op))
    return identityElement(at);
  return operands.front(); // broadcast, slice, a reduction over nothing
}

Element NestEmitter::constantElement(arith::ConstantOp constant, ArrayRef<Index> at) {
  auto value = cast<DenseElementsAttr>(constant.getValue());
  if (isa<ComplexType>(value.getElementType())) {
    auto number = value.getSplatValue<std::complex<APFloat>>();
    return ops.constant({number.real().convertToDouble(), number.imag().convertToDouble()}, true);
  }
  if (value.getElementType().isInteger(1))
    return {arith::ConstantOp::create(b, loc, b.getBoolAttr(value.getSplatValue<bool>())), {}};
  return ops.constant(value.getSplatValue<APFloat>().convertToDouble(), false);
}

/// The index along one axis as a value: loop variable plus offset, without lanes.
Value NestEmitter::position(Index index) {
  Index at = resolve(index, false).front();
  Value offset = arith::ConstantIndexOp::create(b, loc, at.offset);
  Value iv = at.dim >= 0 ? dims[at.dim].iv : Value();
  return iv ? arith::AddIOp::create(b, loc, iv, offset).getResult() : offset;
}

Element NestEmitter::identityElement(ArrayRef<Index> at) {
  Value row = position(at[0]), column = position(at[1]);
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

Element NestEmitter::addTerm(const Statement &statement, Element sum) {
  Operation *op = statement.value.getDefiningOp();
  Indices at, reduced;
  for (int axis : statement.axes)
    at.push_back({axis, 0});
  for (int dim : statement.reduced)
    reduced.push_back({dim, 0});
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

/// The flat index of an element: the place's base, then one term per loop, added at that loop's level so that inner loops only add
/// what moves with them. Leaves the builder at `level`, where the address is used.
Value NestEmitter::address(const Place &place, ArrayRef<Index> at, int level) {
  Indices resolved = resolve(at, static_cast<bool>(place.batchStride));
  SmallVector<int64_t> strides = place.strides();
  int64_t constant = 0;
  std::map<std::pair<int, int>, int64_t> steps; // (level, dimension) -> reals per iteration
  for (size_t i = 0; i < strides.size(); ++i) {
    constant += resolved[i].offset * strides[i];
    if (resolved[i].dim >= 0 && dims[resolved[i].dim].iv)
      steps[{dims[resolved[i].dim].level, resolved[i].dim}] += strides[i];
  }
  Value sum = place.base;
  Key key{static_cast<int64_t>(reinterpret_cast<intptr_t>(place.base.getAsOpaquePointer())),
          static_cast<int64_t>(reinterpret_cast<intptr_t>(place.batchStride.getAsOpaquePointer())), -1};
  auto advance = [&](int level, uint32_t dimSet, ArrayRef<int64_t> what, llvm::function_ref<Value()> compute) {
    key.insert(key.end(), what.begin(), what.end());
    if (auto known = memo.find(key); known != memo.end()) {
      sum = known->second.element.re;
      return;
    }
    moveTo(level);
    sum = compute();
    memo[key] = {{sum, {}}, level, dimSet};
  };
  constexpr auto noWrap = arith::IntegerOverflowFlags::nsw;
  int reached = 0;
  uint32_t soFar = 0;
  if (place.batchStride) {
    Index row = resolved.back();
    reached = levelOf(row);
    soFar = dimsOf(row);
    advance(reached, soFar, {batchDim(), row.offset}, [&] {
      Value number = arith::ConstantIndexOp::create(b, loc, row.offset);
      if (row.dim >= 0)
        number = arith::AddIOp::create(b, loc, dims[row.dim].iv, number, noWrap);
      return arith::AddIOp::create(b, loc, sum, arith::MulIOp::create(b, loc, number, place.batchStride, noWrap),
                                   noWrap)
          .getResult();
    });
  }
  for (auto [where, step] : steps) {
    reached = std::max(reached, where.first);
    soFar |= 1u << where.second;
    advance(reached, soFar, {where.second, step}, [&, where = where, step = step] {
      Value factor = arith::ConstantIndexOp::create(b, loc, step);
      Value term = arith::MulIOp::create(b, loc, dims[where.second].iv, factor, noWrap);
      return arith::AddIOp::create(b, loc, sum, term, noWrap).getResult();
    });
  }
  moveTo(level);
  if (constant == 0)
    return sum;
  return arith::AddIOp::create(b, loc, sum, arith::ConstantIndexOp::create(b, loc, constant), noWrap);
}

Element NestEmitter::load(const Place &place, ArrayRef<Index> at, int level) {
  Value from = address(place, at, level);
  if (place.isTruth) {
    auto type = VectorType::get({tiling.lanes}, place.element);
    bool lanes = movesWithLanes(at);
    Value number = lanes ? vector::LoadOp::create(b, loc, type, place.memref, from).getResult()
                         : memref::LoadOp::create(b, loc, place.memref, from).getResult();
    return {ops.toTruth(number), {}};
  }
  int64_t width = place.isComplex ? 2 : 1;
  if (movesWithLanes(at)) {
    auto type = VectorType::get({tiling.lanes * width}, place.element);
    Value loaded = ops.widen(vector::LoadOp::create(b, loc, type, place.memref, from));
    if (!place.isComplex)
      return {loaded, {}};
    auto split = vector::DeinterleaveOp::create(b, loc, loaded);
    return {split.getRes1(), split.getRes2()};
  }
  Element element{ops.widen(memref::LoadOp::create(b, loc, place.memref, from)), {}};
  if (place.isComplex) {
    Value next = arith::AddIOp::create(b, loc, from, arith::ConstantIndexOp::create(b, loc, 1));
    element.im = ops.widen(memref::LoadOp::create(b, loc, place.memref, next));
  }
  return element;
}

void NestEmitter::store(const Place &place, ArrayRef<Index> at, Element element) {
  Value to = address(place, at, innermost());
  if (place.isComplex)
    element = ops.toComplex(element);
  if (movesWithLanes(at)) {
    element = ops.splat(element, tiling.lanes);
    Value stored =
        place.isComplex ? vector::InterleaveOp::create(b, loc, element.re, element.im).getResult() : element.re;
    vector::StoreOp::create(b, loc, ops.narrow(stored, place.element), place.memref, to);
    return;
  }
  memref::StoreOp::create(b, loc, ops.narrow(element.re, place.element), place.memref, to);
  if (place.isComplex) {
    Value next = arith::AddIOp::create(b, loc, to, arith::ConstantIndexOp::create(b, loc, 1));
    memref::StoreOp::create(b, loc, ops.narrow(element.im, place.element), place.memref, next);
  }
}
