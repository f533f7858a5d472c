// The loops of a nest. See NestEmitter.h; how elements are read and computed is in NestElements.cpp.
#include "compiler/Target/CPU/NestEmitter.h"
#include "compiler/Target/CPU/ChunkElements.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

NestEmitter::NestEmitter(OpBuilder &b, Location loc, const StepNests &plan, const Nest &nest,
                         const NestEnvironment &environment)
    : b(b), loc(loc), plan(plan), nest(nest), env(environment), ops(b, loc, environment.real),
      rows(nest.perSequence ? environment.batchTile : 1), dims(nest.dims.size() + 1) {}

SmallVector<NestEmitter::Segment> NestEmitter::segments(int dim) const {
  SmallVector<Segment> result;
  int64_t done = 0, lanes = dim == tiling.vectorDim ? tiling.lanes : 1;
  auto cut = [&](int64_t tiles, int64_t count, bool vector) {
    int64_t step = count * (vector ? lanes : 1);
    result.push_back({done, done + tiles * step, step, vector, count});
    done += tiles * step;
  };
  for (auto [tiles, count] : evenTiles(extent(dim) / lanes, tiling.unroll[dim]))
    cut(tiles, count, lanes > 1);
  if (done < extent(dim)) // not even a vector is left
    cut(extent(dim) - done, 1, false);
  return result;
}

/// Chooses the tiles, which are the same whenever the nest is emitted.
void NestEmitter::tile() {
  int64_t lanes = env.vectorBits / env.real.getIntOrFloatBitWidth();
  tiling =
      chooseTiling(plan, nest, {lanes, env.vectorBits >= 512 ? 32 : 16, rows, env.panelOf ? 4 : 8, ops.sumsAtOnce()});
  cuts.clear();
  for (int d = 0; d <= batchDim(); ++d)
    cuts.push_back(d == batchDim() && rows > 1 && env.rowCount ? rowSegments() : segments(d));
}

void NestEmitter::emit() {
  if (llvm::all_of(nest.statements, [](const Statement &s) { return s.destinations.empty(); }))
    return;
  if (nest.chunkOp)
    return ChunkEmitter(b, loc, plan, nest, env).emit();
  tile();
  OpBuilder::InsertionGuard guard(b);
  if (env.members)
    shareOut();
  sumLoops = nest.sumLoops();
  for (SmallVector<int> &loops : sumLoops)
    if (auto *vectors = llvm::find(loops, tiling.vectorDim); vectors != loops.end())
      std::rotate(vectors, vectors + 1, loops.end());
  bool atEnd = b.getInsertionPoint() == b.getInsertionBlock()->end();
  levels.push_back({b.getInsertionBlock(), atEnd ? nullptr : &*b.getInsertionPoint()});
  emitParallel(0);
}

/// Opens the loop of one segment, or none when it has a single iteration, and runs `body` inside.
void NestEmitter::inLoop(int dim, const Segment &segment, SmallVectorImpl<Value> *carried, function_ref<void()> body) {
  DimState saved = dims[dim];
  dims[dim].vector = segment.vector;
  dims[dim].count = segment.count;
  dims[dim].iv = nullptr;
  if (!segment.from && segment.end - segment.begin == segment.step) {
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
  Value from = segment.from ? segment.from : bound(segment.begin), to = segment.to ? segment.to : bound(segment.end);
  auto loop = scf::ForOp::create(b, loc, from, to, bound(segment.step), carried ? ValueRange(*carried) : ValueRange());
  if (!levels.back().firstLoop)
    levels.back().firstLoop = loop;
  std::erase_if(memo, [](const auto &entry) { return entry.second.late; });
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
  if (position < tiling.parallel.size()) {
    int dim = tiling.parallel[position];
    for (const Segment &segment : cuts[dim])
      inLoop(dim, segment, nullptr, [&] { emitParallel(position + 1); });
    return;
  }
  if (!nest.hasSums())
    return emitElementwise(points(true, true), false);
  startSums();
  for (size_t term = 0; term < sumLoops.size(); ++term)
    emitReduction(term, 0);
  finishSums();
}

void NestEmitter::emitReduction(size_t term, size_t position) {
  if (position == sumLoops[term].size()) {
    emitElementwise(points(true, true), false);
    return accumulate(term);
  }
  int dim = sumLoops[term][position];
  for (const Segment &segment : cuts[dim])
    inLoop(dim, segment, &sums, [&] { emitReduction(term, position + 1); });
}

/// Offsets of the unrolled iterations of the current segments, for the parallel dimensions, the reduced ones, or both.
SmallVector<NestEmitter::Point> NestEmitter::points(bool parallel, bool reduced) const {
  SmallVector<int> order = llvm::to_vector(llvm::seq<int>(dims.size()));
  if (tiling.vectorDim >=
      0) // innermost: then the vectors of a tile are at hand, and one row after another is worked on
    std::rotate(order.begin() + tiling.vectorDim, order.begin() + tiling.vectorDim + 1, order.end());
  if (auto *group = llvm::find(order, tiling.groupDim);
      group != order.end()) // its vectors are read once, the others' stay at hand
    std::rotate(order.begin(), group, group + 1);
  SmallVector<Point> result{Point(dims.size(), 0)};
  for (int d : order) {
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

void NestEmitter::emitElementwise(ArrayRef<Point> where, bool afterSums) {
  // Every element is computed before the first is stored: an update in place must not overtake the reads of its old value.
  SmallVector<std::tuple<const Statement *, const Point *, Element>> results;
  for (const Statement &statement : nest.statements) {
    if (statement.isReduction() || statement.destinations.empty() || statement.afterSums != afterSums)
      continue;
    for (const Point &p : where) {
      point = &p;
      results.emplace_back(&statement, &p, evaluate(statement.value, statement.at(), !plan.readsItself(statement)));
    }
  }
  for (auto &[statement, p, element] : results) {
    point = p;
    for (const Destination &destination : statement->destinations) {
      moveTo(innermost());
      store(env.destination(destination), statement->at(destination), element);
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
    for (const Segment &segment : cuts[v])
      if (!segment.vector)
        sumScalar = true;
  if (lanes == 1)
    lanes = 0;
  sums.clear();
  for (const Statement &statement : nest.statements) {
    if (!statement.isReduction())
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

void NestEmitter::accumulate(size_t term) {
  SmallVector<Point> parallel = points(true, false), reduced = points(false, true);
  size_t number = 0;
  for (const Statement &statement : nest.statements) {
    if (!statement.isReduction())
      continue;
    bool isComplex = isComplexValue(statement.value);
    for (auto [r, offset] : llvm::enumerate(reduced))
      for (auto [pointNumber, where] : llvm::enumerate(parallel)) {
        Point both = where;
        for (size_t d = 0; d < both.size(); ++d)
          both[d] += offset[d];
        point = &both;
        bool scalarTail = sumScalar && !dims[tiling.vectorDim].vector;
        size_t slot = sumIndex(number, pointNumber, scalarTail ? 0 : r % sumUnroll, scalarTail);
        Element sum{sums[slot], isComplex ? sums[slot + 1] : Value()};
        Element next = ops.splat(addTerm(statement, statement.terms[term], sum), lanesOf(sum.re));
        sums[slot] = next.re;
        sums[slot + 1] = isComplex ? next.im : next.re;
      }
    ++number;
  }
}

SmallVector<NestEmitter::Total, 0> NestEmitter::totals() {
  SmallVector<Total, 0> result;
  SmallVector<Point> where = points(true, false);
  size_t number = 0;
  for (const Statement &statement : nest.statements) {
    if (!statement.isReduction())
      continue;
    bool isComplex = isComplexValue(statement.value);
    auto sum = [&](size_t slot) { return Element{sums[slot], isComplex ? sums[slot + 1] : Value()}; };
    for (auto [pointNumber, p] : llvm::enumerate(where)) {
      Element total = sum(sumIndex(number, pointNumber, 0, false));
      for (size_t u = 1; u < sumUnroll; ++u)
        total = ops.combine(reductionOf(statement.value), total, sum(sumIndex(number, pointNumber, u, false)));
      Element tail = sumScalar ? sum(sumIndex(number, pointNumber, 0, true)) : Element();
      result.push_back({&statement, p, total, tail});
    }
    ++number;
  }
  return result;
}

bool NestEmitter::isGrouped() const {
  return tiling.groupDim >= 0 && dims[tiling.groupDim].count % tiling.groupLanes == 0;
}

void NestEmitter::finishSums() {
  moveTo(innermost());
  if (isGrouped())
    return finishGroups();
  SmallVector<Total, 0> all = totals();
  if (tiling.vectorDim >= 0 && isReduction(tiling.vectorDim)) {
    SmallVector<Total *> plain;
    SmallVector<Value> vectors;
    for (Total &total : all) {
      recur::Reduction kind = reductionOf(total.statement->value);
      if (kind != recur::Reduction::Sum || total.element.isComplex() || !lanesOf(total.element.re)) {
        total.element = ops.horizontal(kind, total.element);
        continue;
      }
      plain.push_back(&total);
      vectors.push_back(total.element.re);
    }
    for (auto [total, sum] : llvm::zip(plain, ops.horizontalSums(vectors)))
      total->element = {sum, {}};
  }
  for (const Total &total : all) {
    moveTo(innermost());
    point = &total.point;
    Element sum = total.element;
    finish(*total.statement, sumScalar ? ops.combine(reductionOf(total.statement->value), sum, total.tail) : sum);
  }
  emitElementwise(points(true, false), true);
}

/// Neighbouring sums become the lanes of one vector, and what follows them has lanes along the group.
void NestEmitter::finishGroups() {
  int group = tiling.groupDim;
  int64_t lanes = tiling.groupLanes;
  SmallVector<Total, 0> all = totals();
  NestTiling wide = tiling;
  DimState saved = dims[group];
  auto forget = [&] { // keys do not tell a vector from its first element
    std::erase_if(memo, [&](const auto &entry) { return entry.second.dims >> group & 1; });
  };
  forget();
  tiling.vectorDim = group;
  tiling.lanes = lanes;
  dims[group].vector = true;
  dims[group].count = saved.count / lanes;
  for (const Total &first : all) {
    if (first.point[group] % lanes)
      continue;
    SmallVector<Value> vectors(lanes), tails(lanes);
    for (const Total &other : all) {
      Point from = other.point;
      int64_t lane = std::exchange(from[group], first.point[group]);
      lane -= first.point[group];
      if (other.statement != first.statement || from != first.point || lane < 0 || lane >= lanes)
        continue;
      vectors[lane] = other.element.re;
      tails[lane] = other.tail.re;
    }
    moveTo(innermost());
    Value sum = ops.sumsTogether(vectors);
    if (sumScalar)
      sum = ops.add({sum, {}}, {vector::FromElementsOp::create(b, loc, sum.getType(), tails), {}}).re;
    point = &first.point;
    finish(*first.statement, {sum, {}});
  }
  emitElementwise(points(true, false), true);
  forget();
  tiling = wide;
  dims[group] = saved;
}

/// Stores a finished sum, and keeps it for the statements that follow.
void NestEmitter::finish(const Statement &statement, Element total) {
  Indices at = statement.at(), resolved = resolve(at, plan.isPerSequence(statement.value));
  remember(keyOf(statement.value, resolved), total, innermost(), dimsOf(resolved));
  for (const Destination &destination : statement.destinations) {
    moveTo(innermost());
    store(env.destination(destination), statement.at(destination), total);
  }
}
