// The loops of a nest. See NestEmitter.h; how elements are read and computed is in NestElements.cpp.
#include "compiler/Target/CPU/NestEmitter.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

NestEmitter::NestEmitter(OpBuilder &b, Location loc, const StepNests &plan, const Nest &nest,
                         const NestEnvironment &environment)
    : b(b), loc(loc), plan(plan), nest(nest), env(environment), ops(b, loc, environment.real),
      rows(nest.perSequence ? environment.batchTile : 1), dims(nest.dims.size() + 1) {}

/// How little vectors along `dim` would serve: the number of accesses that do not move with it. Nothing when one would have to
/// gather elements that are no neighbours.
std::optional<int64_t> NestEmitter::accessPenalty(int dim, const SmallVectorImpl<Read> &reads) const {
  int64_t penalty = 0;
  bool gathers = false;
  auto add = [&](ArrayRef<int64_t> shape, ArrayRef<Index> at) {
    int64_t stride = 0, inner = 1;
    for (size_t i = shape.size(); i-- > 0; inner *= shape[i])
      if (at[i].dim == dim)
        stride += inner;
    gathers |= stride > 1;
    penalty += stride == 0;
  };
  for (const Read &read : reads)
    add(cast<RankedTensorType>(read.value.getType()).getShape(), read.at);
  for (const Statement &statement : nest.statements) {
    Indices at;
    for (int axis : statement.axes)
      at.push_back({axis, 0});
    ArrayRef<int64_t> shape = cast<RankedTensorType>(statement.value.getType()).getShape();
    if (!statement.destinations.empty())
      add(shape, at);
  }
  if (gathers)
    return std::nullopt;
  // Lanes of a reduction must be summed at the end.
  return penalty * 4 + (isReduction(dim) ? 2 : 0);
}

/// Sums kept in registers at once: enough to cover the latency of an addition, few enough to leave registers for operands.
static constexpr int64_t kSums = 8;

void NestEmitter::chooseTiling() {
  int64_t widest = env.vectorBits / env.real.getIntOrFloatBitWidth();
  SmallVector<Read> reads = plan.reads(nest);
  int64_t best = INT64_MAX;
  for (int d = 0; d < static_cast<int>(nest.dims.size()); ++d) {
    std::optional<int64_t> penalty = accessPenalty(d, reads);
    if (nest.dims[d].extent >= std::min<int64_t>(4, widest) && penalty && *penalty <= best) {
      best = *penalty;
      tiling.vectorDim = d;
    }
  }
  tiling.unroll.assign(dims.size(), 1);
  if (tiling.vectorDim >= 0)
    tiling.lanes = std::min<int64_t>(widest, llvm::bit_floor(static_cast<uint64_t>(extent(tiling.vectorDim))));

  int64_t reductions = llvm::count_if(nest.statements, [](const Statement &s) { return s.isReduction; });
  auto vectors = [&](int d) { return d == tiling.vectorDim ? extent(d) / tiling.lanes : extent(d); };
  if (!reductions) {
    if (tiling.vectorDim >= 0)
      tiling.unroll[tiling.vectorDim] = std::clamp<int64_t>(vectors(tiling.vectorDim), 1, 2);
    return;
  }
  int64_t room = std::max<int64_t>(1, kSums / reductions);
  auto take = [&](int d, int64_t most) {
    int64_t n = std::max<int64_t>(1, std::min({room, most, vectors(d)}));
    tiling.unroll[d] = llvm::bit_floor(static_cast<uint64_t>(n));
    room /= tiling.unroll[d];
  };
  bool vectorIsParallel = tiling.vectorDim >= 0 && !isReduction(tiling.vectorDim);
  if (vectorIsParallel)
    take(tiling.vectorDim, rows > 1 ? 2 : 4);
  take(batchDim(), 4);
  for (int d = nest.dims.size() - 1; d >= 0; --d)
    if (!isReduction(d) && d != tiling.vectorDim)
      take(d, 4);
  // A lone sum is split into several, against the latency of one chain of additions.
  if (tiling.vectorDim >= 0 && isReduction(tiling.vectorDim))
    take(tiling.vectorDim, 4);
}

SmallVector<NestEmitter::Segment> NestEmitter::segments(int dim) const {
  SmallVector<Segment> result;
  int64_t done = 0, all = extent(dim);
  auto cut = [&](int64_t count, bool vector) {
    int64_t step = count * (vector ? tiling.lanes : 1);
    int64_t end = done + (all - done) / step * step;
    if (end > done)
      result.push_back({done, end, step, vector, count});
    done = end;
  };
  bool isVector = dim == tiling.vectorDim && tiling.lanes > 1;
  cut(tiling.unroll[dim], isVector);
  cut(1, isVector);
  cut(1, false);
  return result;
}

void NestEmitter::emit() {
  if (llvm::all_of(nest.statements, [](const Statement &s) { return s.destinations.empty(); }))
    return;
  chooseTiling();
  bool sums = llvm::any_of(nest.statements, [](const Statement &s) { return s.isReduction; });
  auto push = [&](bool reduction) {
    if (!reduction && !sums)
      order.push_back(batchDim());
    for (int d = 0; d < static_cast<int>(nest.dims.size()); ++d)
      if (isReduction(d) == reduction && d != tiling.vectorDim)
        order.push_back(d);
    // Rows of the batch run inside the rows of a shared parameter, which stay in cache for them.
    if (!reduction && sums)
      order.push_back(batchDim());
    if (tiling.vectorDim >= 0 && isReduction(tiling.vectorDim) == reduction)
      order.push_back(tiling.vectorDim);
  };
  push(false);
  firstReduction = order.size();
  push(true);
  bool atEnd = b.getInsertionPoint() == b.getInsertionBlock()->end();
  levels.push_back({b.getInsertionBlock(), atEnd ? nullptr : &*b.getInsertionPoint()});
  emitParallel(0);
  moveTo(0);
}

/// Opens the loop of one segment, or none when it has a single iteration, and runs `body` inside.
void NestEmitter::inLoop(int dim, const Segment &segment, SmallVectorImpl<Value> *carried, function_ref<void()> body) {
  DimState saved = dims[dim];
  dims[dim].vector = segment.vector;
  dims[dim].count = segment.count;
  dims[dim].iv = nullptr;
  if (segment.end - segment.begin == segment.step) {
    dims[dim].start = segment.begin;
    dims[dim].level = 0;
    body();
    // Keys do not tell segments apart, so what was computed for this one is forgotten.
    std::erase_if(memo, [&](const auto &entry) { return entry.second.dims >> dim & 1; });
    dims[dim] = saved;
    return;
  }
  moveTo(innermost());
  auto bound = [&](int64_t value) { return arith::ConstantIndexOp::create(b, loc, value).getResult(); };
  auto loop = scf::ForOp::create(b, loc, bound(segment.begin), bound(segment.end), bound(segment.step),
                                 carried ? ValueRange(*carried) : ValueRange());
  if (!levels.back().firstLoop)
    levels.back().firstLoop = loop;
  int level = levels.size();
  Block *inside = loop.getBody();
  levels.push_back({inside, inside->mightHaveTerminator() ? inside->getTerminator() : nullptr});
  dims[dim].iv = loop.getInductionVar();
  dims[dim].start = 0;
  dims[dim].level = level;
  if (carried)
    carried->assign(loop.getRegionIterArgs().begin(), loop.getRegionIterArgs().end());
  body();
  if (carried && !carried->empty()) {
    b.setInsertionPointToEnd(loop.getBody());
    scf::YieldOp::create(b, loc, *carried);
    carried->assign(loop.getResults().begin(), loop.getResults().end());
  }
  levels.pop_back();
  std::erase_if(memo, [&](const auto &entry) { return entry.second.level >= level || entry.second.dims >> dim & 1; });
  dims[dim] = saved;
}

void NestEmitter::emitParallel(size_t position) {
  if (position < firstReduction) {
    for (const Segment &segment : segments(order[position]))
      inLoop(order[position], segment, nullptr, [&] { emitParallel(position + 1); });
    return;
  }
  bool anySum = llvm::any_of(nest.statements, [](const Statement &s) { return s.isReduction; });
  if (!anySum)
    return emitElementwise(points(true, true));
  startSums();
  emitReduction(position);
  finishSums();
}

void NestEmitter::emitReduction(size_t position) {
  if (position == order.size()) {
    emitElementwise(points(true, true));
    return accumulate(points(true, false));
  }
  for (const Segment &segment : segments(order[position]))
    inLoop(order[position], segment, &sums, [&] { emitReduction(position + 1); });
}

/// Offsets of the unrolled iterations of the current segments, for the parallel dimensions, the reduced ones, or both.
SmallVector<NestEmitter::Point> NestEmitter::points(bool parallel, bool reduced) const {
  SmallVector<Point> result{Point(dims.size(), 0)};
  for (int d = 0; d < static_cast<int>(dims.size()); ++d) {
    if (isReduction(d) ? !reduced : !parallel)
      continue;
    int64_t width = dims[d].vector ? tiling.lanes : 1;
    SmallVector<Point> more;
    for (const Point &p : result)
      for (int64_t u = 0; u < dims[d].count; ++u) {
        more.push_back(p);
        more.back()[d] = u * width;
      }
    result = std::move(more);
  }
  return result;
}

void NestEmitter::emitElementwise(ArrayRef<Point> where) {
  // Every element is computed before the first is stored: an update in place must not overtake the reads of its old value.
  SmallVector<std::tuple<const Statement *, const Point *, Element>> results;
  for (const Statement &statement : nest.statements) {
    if (statement.isReduction || statement.destinations.empty())
      continue;
    Indices at;
    for (int axis : statement.axes)
      at.push_back({axis, 0});
    for (const Point &p : where) {
      point = &p;
      results.emplace_back(&statement, &p, evaluate(statement.value, at, !plan.readsItself(statement)));
    }
  }
  for (auto &[statement, p, element] : results) {
    point = p;
    for (const Destination &destination : statement->destinations) {
      Indices at;
      for (auto [i, axis] : llvm::enumerate(statement->axes))
        at.push_back({axis, static_cast<int>(i) == destination.axis ? destination.offset : 0});
      moveTo(innermost());
      store(env.destination(destination), at, element);
    }
  }
}

/// Running sums lie in one list: statement by statement, point by point, then the unrolled vectors of the reduced dimension, then
/// one scalar for its tail. A complex sum takes two entries.
size_t NestEmitter::sumIndex(size_t statement, size_t pointNumber, size_t unrolled, bool scalar) const {
  size_t each = (sumVector ? sumUnroll : 0) + (sumScalar ? 1 : 0);
  size_t slot = scalar ? each - 1 : unrolled;
  return 2 * ((statement * sumPoints + pointNumber) * each + slot);
}

static recur::Reduction reductionOf(Value value) {
  auto reduce = value.getDefiningOp<recur::ReduceOp>();
  return reduce ? reduce.getKind() : recur::Reduction::Sum;
}

static bool isComplexValue(Value value) {
  return isa<ComplexType>(cast<RankedTensorType>(value.getType()).getElementType());
}

void NestEmitter::startSums() {
  moveTo(innermost());
  sumPoints = points(true, false).size();
  int v = tiling.vectorDim;
  bool vectorReduced = v >= 0 && isReduction(v);
  sumUnroll = vectorReduced ? tiling.unroll[v] : 1;
  sumVector = true;
  sumScalar = false;
  int64_t lanes = v >= 0 && (vectorReduced || dims[v].vector) ? tiling.lanes : 0;
  if (vectorReduced)
    for (const Segment &segment : segments(v))
      if (!segment.vector)
        sumScalar = true;
  if (lanes == 1)
    lanes = 0;
  sums.clear();
  for (const Statement &statement : nest.statements) {
    if (!statement.isReduction)
      continue;
    Element zero = ops.identity(reductionOf(statement.value), isComplexValue(statement.value));
    Element wide = ops.splat(zero, lanes);
    for (size_t p = 0; p < sumPoints; ++p) {
      for (size_t u = 0; u < sumUnroll; ++u)
        sums.append({wide.re, wide.isComplex() ? wide.im : wide.re});
      if (sumScalar)
        sums.append({zero.re, zero.isComplex() ? zero.im : zero.re});
    }
  }
}

void NestEmitter::accumulate(ArrayRef<Point> parallel) {
  SmallVector<Point> reduced = points(false, true);
  size_t number = 0;
  for (const Statement &statement : nest.statements) {
    if (!statement.isReduction)
      continue;
    bool isComplex = isComplexValue(statement.value);
    for (auto [pointNumber, where] : llvm::enumerate(parallel))
      for (auto [r, offset] : llvm::enumerate(reduced)) {
        Point both = where;
        for (size_t d = 0; d < both.size(); ++d)
          both[d] += offset[d];
        point = &both;
        bool scalarTail = sumScalar && !dims[tiling.vectorDim].vector;
        size_t slot = sumIndex(number, pointNumber, scalarTail ? 0 : r % sumUnroll, scalarTail);
        Element sum{sums[slot], isComplex ? sums[slot + 1] : Value()};
        Element next = ops.splat(addTerm(statement, sum), lanesOf(sum.re));
        sums[slot] = next.re;
        sums[slot + 1] = isComplex ? next.im : next.re;
      }
    ++number;
  }
}

void NestEmitter::finishSums() {
  SmallVector<Point> where = points(true, false);
  size_t number = 0;
  bool vectorReduced = tiling.vectorDim >= 0 && isReduction(tiling.vectorDim);
  for (const Statement &statement : nest.statements) {
    if (!statement.isReduction)
      continue;
    recur::Reduction kind = reductionOf(statement.value);
    bool isComplex = isComplexValue(statement.value);
    auto sum = [&](size_t slot) { return Element{sums[slot], isComplex ? sums[slot + 1] : Value()}; };
    Indices at;
    for (int axis : statement.axes)
      at.push_back({axis, 0});
    for (auto [pointNumber, p] : llvm::enumerate(where)) {
      moveTo(innermost());
      Element total = sum(sumIndex(number, pointNumber, 0, false));
      for (size_t u = 1; u < sumUnroll; ++u)
        total = ops.combine(kind, total, sum(sumIndex(number, pointNumber, u, false)));
      if (vectorReduced)
        total = ops.horizontal(kind, total);
      if (sumScalar)
        total = ops.combine(kind, total, sum(sumIndex(number, pointNumber, 0, true)));
      point = &p;
      for (const Destination &destination : statement.destinations) {
        moveTo(innermost());
        store(env.destination(destination), at, total);
      }
    }
    ++number;
  }
}
