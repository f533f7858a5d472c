// The iterations of a nest that are one thread's. See ThreadNest.h; elements are in ThreadElements.cpp.
#include "compiler/Target/CUDA/ThreadNest.h"
#include "compiler/Target/CUDA/KernelArguments.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Destination;
using cpu::Element;
using cpu::Indices;
using cpu::Nest;
using cpu::Statement;

ThreadNest::ThreadNest(OpBuilder &b, Location loc, const KernelPlan &plan, const Nest &nest, const NestMapping &mapping,
                       const ThreadEnvironment &environment)
    : b(b), loc(loc), plan(plan), nests(plan.nests), nest(nest), mapping(mapping), env(environment),
      ops(b, loc, environment.real, /*nativeBF16=*/true), rows(nest.perSequence ? plan.rows : 1),
      dims(nest.dims.size() + 1) {}

Value ThreadNest::index(int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }

void ThreadNest::emit() {
  if (llvm::all_of(nest.statements, [](const Statement &s) { return s.destinations.empty(); }))
    return;
  sumLoops = nest.sumLoops();
  bool atEnd = b.getInsertionPoint() == b.getInsertionBlock()->end();
  levels.push_back({b.getInsertionBlock(), atEnd ? nullptr : &*b.getInsertionPoint()});
  emitSlots();
  moveTo(0);
}

/// Positions beyond the block's threads: written out for registers, else in a loop.
void ThreadNest::emitSlots() {
  int64_t count = plan.slots(mapping.positions, mapping.lanes);
  std::tie(position0, lane) = positionAndLane(b, loc, plan, env.thread, mapping.lanes);
  int64_t run = mapping.splitDim < 0 ? 0 : plan.runOf(nest.dims[mapping.splitDim].extent, mapping.lanes);
  if (lane && run)
    runBegin = arith::MulIOp::create(b, loc, lane, index(run));
  if (mapping.unrolled || count == 1) {
    for (int64_t i = 0; i < count; ++i) {
      emitSlot({}, i);
      forget([&](const Known &known) {
        return llvm::any_of(mapping.threadDims, [&](int d) { return known.dims >> d & 1; });
      });
    }
    return;
  }
  auto loop = scf::ForOp::create(b, loc, index(0), index(count), index(1));
  levels.back().firstLoop = loop;
  levels.push_back({loop.getBody(), loop.getBody()->getTerminator()});
  moveTo(innermost());
  emitSlot(loop.getInductionVar(), 0);
  levels.pop_back();
  memo.clear();
}

/// The element that the thread has in one slot. Threads beyond the end compute the last element again, and store nothing; what the nest
/// updates in place they do not read.
void ThreadNest::emitSlot(Value number, int64_t constant) {
  moveTo(innermost());
  slot = constant;
  slotLevel = innermost();
  int64_t width = plan.threads / mapping.lanes;
  Value at = position0;
  if (int64_t count = plan.neighbours(mapping.positions, mapping.lanes); mapping.unrolled && count > 1) {
    at = arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, at, index(count)), index(constant));
  } else {
    Value first = number ? arith::MulIOp::create(b, loc, number, index(width)).getResult() : index(constant * width);
    at = arith::AddIOp::create(b, loc, at, first);
  }
  inRange = {};
  if (plan.slots(mapping.positions, mapping.lanes) * width > mapping.positions) {
    inRange = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, at, index(mapping.positions));
    at = arith::MinUIOp::create(b, loc, at, index(mapping.positions - 1));
  }
  Value rest = at;
  for (int d : llvm::reverse(mapping.threadDims)) {
    int64_t extent = nest.dims[d].extent;
    dims[d] = {};
    dims[d].level = innermost();
    bool last = d == mapping.threadDims.front();
    if (extent > 1)
      dims[d].iv = last ? rest : arith::RemUIOp::create(b, loc, rest, index(extent)).getResult();
    if (!last)
      rest = arith::DivUIOp::create(b, loc, rest, index(extent));
  }
  emitSerial(0);
}

void ThreadNest::emitSerial(size_t position) {
  if (position < mapping.serialDims.size())
    return walk(mapping.serialDims[position], nullptr, [&] { emitSerial(position + 1); });
  if (!nest.hasSums())
    return emitElementwise(false);
  for (const Statement &statement : nest.statements)
    if (statement.afterSums)
      loadParameters(statement.value, statement.at());
  startSums();
  for (size_t term = 0; term < sumLoops.size(); ++term)
    emitSums(term, 0);
  finishSums();
  emitElementwise(true);
}

void ThreadNest::emitSums(size_t term, size_t position) {
  if (position == sumLoops[term].size()) {
    emitElementwise(false);
    return accumulate(term);
  }
  walk(sumLoops[term][position], &sums, [&] { emitSums(term, position + 1); });
}

void ThreadNest::forget(function_ref<bool(const Known &)> which) {
  std::erase_if(memo, [&](const auto &entry) { return which(entry.second); });
}

/// Iterations s * lanes + lane of a split dimension, or all of one that is not. The last ones may be beyond the end: they are
/// computed from the last element and not used.
void ThreadNest::walkUnrolled(int dim, function_ref<void()> body) {
  int64_t extent = nest.dims[dim].extent;
  if (dim != mapping.splitDim) {
    for (int64_t i = 0; i < extent; ++i) {
      dims[dim] = {{}, i, i, 0};
      body();
    }
    return;
  }
  for (int64_t s = 0; s * mapping.lanes < extent; ++s) {
    dims[dim] = {runBegin ? runBegin : lane, runBegin ? s : s * mapping.lanes, s, 0};
    if ((s + 1) * mapping.lanes > extent) {
      moveTo(innermost());
      Value at = arith::AddIOp::create(b, loc, lane, index(s * mapping.lanes));
      splitValid = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, at, index(extent));
      dims[dim] = {arith::MinUIOp::create(b, loc, at, index(extent - 1)), 0, s, innermost()};
    }
    body();
    splitValid = {};
    forget([&](const Known &known) { return known.dims >> dim & 1; });
  }
}

void ThreadNest::walk(int dim, SmallVectorImpl<Value> *carried, function_ref<void()> body) {
  DimState saved = dims[dim];
  if (mapping.unrolled || nest.dims[dim].extent == 1) {
    walkUnrolled(dim, body);
    dims[dim] = saved;
    return;
  }
  moveTo(innermost());
  bool split = dim == mapping.splitDim;
  Value from = !split ? index(0) : runBegin ? runBegin : lane, to = index(nest.dims[dim].extent);
  if (split && runBegin)
    to = arith::AddIOp::create(b, loc, from, index(nest.dims[dim].extent / mapping.lanes));
  auto loop = scf::ForOp::create(b, loc, from, to, index(split && !runBegin ? mapping.lanes : 1),
                                 carried ? ValueRange(*carried) : ValueRange());
  if (!levels.back().firstLoop)
    levels.back().firstLoop = loop;
  int level = levels.size();
  Block *inside = loop.getBody();
  levels.push_back({inside, inside->mightHaveTerminator() ? inside->getTerminator() : nullptr});
  dims[dim] = {loop.getInductionVar(), 0, 0, level};
  if (carried)
    carried->assign(loop.getRegionIterArgs().begin(), loop.getRegionIterArgs().end());
  body();
  if (carried && !carried->empty()) {
    b.setInsertionPointToEnd(loop.getBody());
    scf::YieldOp::create(b, loc, *carried);
    carried->assign(loop.getResults().begin(), loop.getResults().end());
  }
  levels.pop_back();
  forget([&](const Known &known) { return known.level >= level || known.dims >> dim & 1; });
  dims[dim] = saved;
}

static recur::Reduction reductionOf(Value value) {
  auto reduce = value.getDefiningOp<recur::ReduceOp>();
  return reduce ? reduce.getKind() : recur::Reduction::Sum;
}

static bool isComplexValue(Value value) {
  return isa<ComplexType>(cast<RankedTensorType>(value.getType()).getElementType());
}

void ThreadNest::emitElementwise(bool afterSums) {
  // Every element is computed before the first is stored: an update in place must not overtake the reads of its old value.
  SmallVector<std::tuple<const Statement *, int64_t, Element>> results;
  for (const Statement &statement : nest.statements) {
    if (statement.isReduction() || statement.destinations.empty() || statement.afterSums != afterSums)
      continue;
    for (int64_t row = 0; row < rows; ++row) {
      dims.back().offset = row;
      results.emplace_back(&statement, row, evaluate(statement.value, statement.at(), !nests.readsItself(statement)));
    }
  }
  // Not where lanes walk their own iterations: what they update there is theirs alone, and their numbers of iterations differ.
  if (mapping.barrierBetween && !results.empty() && afterSums) {
    moveTo(innermost());
    barrier(b, loc);
  }
  for (auto &[statement, row, element] : results) {
    dims.back().offset = row;
    for (const Destination &to : statement->destinations)
      storeTo(*statement, to, element);
  }
}

/// Whether this thread, at this iteration, is the one that stores.
Value ThreadNest::guardFor(const Statement &statement) {
  Value guard = inRange;
  auto also = [&](Value condition) {
    guard = guard ? arith::AndIOp::create(b, loc, guard, condition).getResult() : condition;
  };
  bool split = llvm::is_contained(statement.axes, mapping.splitDim);
  if (mapping.lanes > 1 && !split)
    also(arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, lane, index(0)));
  if (split && splitValid)
    also(splitValid);
  if (rows > 1)
    also(arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, index(dims.back().offset), env.rowsLeft));
  return guard;
}

void ThreadNest::storeTo(const Statement &statement, const Destination &to, Element element) {
  Indices at;
  for (auto [i, axis] : llvm::enumerate(statement.axes))
    at.push_back({axis, static_cast<int>(i) == to.axis ? to.offset : 0});
  if (RegisterArray *registers = env.registersFor(to)) {
    bool complex = isComplexValue(statement.value);
    (*registers)[registerKey(at)] = complex ? ops.toComplex(element) : element;
    return;
  }
  moveTo(innermost());
  OpBuilder::InsertionGuard keep(b);
  cpu::Place place = env.destination(to);
  Value where = address(place, at); // by every thread; only the store waits for the guard
  if (Value guard = guardFor(statement)) {
    auto guarded = scf::IfOp::create(b, loc, guard, /*withElseRegion=*/false);
    b.setInsertionPointToStart(guarded.thenBlock());
  }
  cpu::storeElement(b, loc, ops, place, where, element, 0);
}

void ThreadNest::startSums() {
  moveTo(innermost());
  sums.clear();
  for (const Statement &statement : nest.statements) {
    if (!statement.isReduction())
      continue;
    Element zero = ops.identity(reductionOf(statement.value), isComplexValue(statement.value));
    for (int64_t row = 0; row < rows; ++row)
      sums.append({zero.re, zero.isComplex() ? zero.im : zero.re});
  }
}

void ThreadNest::accumulate(size_t term) {
  size_t at = 0;
  for (const Statement &statement : nest.statements) {
    if (!statement.isReduction())
      continue;
    bool complex = isComplexValue(statement.value);
    for (int64_t row = 0; row < rows; ++row, at += 2) {
      dims.back().offset = row;
      Element sum{sums[at], complex ? sums[at + 1] : Value()};
      Element next = addTerm(statement, statement.terms[term], sum);
      auto choose = [&](Value yes, Value no) {
        return splitValid ? arith::SelectOp::create(b, loc, splitValid, yes, no).getResult() : yes;
      };
      next.re = choose(next.re, sum.re);
      if (complex)
        next.im = choose(next.im, sum.im);
      sums[at] = next.re;
      sums[at + 1] = complex ? next.im : next.re;
    }
  }
}

/// Sums of lanes are added up so that every lane has the whole; each is stored, and kept for the statements that follow.
void ThreadNest::finishSums() {
  size_t at = 0;
  for (const Statement &statement : nest.statements) {
    if (!statement.isReduction())
      continue;
    bool complex = isComplexValue(statement.value);
    for (int64_t row = 0; row < rows; ++row, at += 2) {
      moveTo(innermost());
      Element total{sums[at], complex ? sums[at + 1] : Value()};
      for (int64_t distance = mapping.lanes / 2; distance >= 1; distance /= 2) {
        int64_t apart = distance * plan.together(mapping.lanes);
        Element other{shuffleXor(b, loc, total.re, apart), complex ? shuffleXor(b, loc, total.im, apart) : Value()};
        total = ops.combine(reductionOf(statement.value), total, other);
      }
      dims.back().offset = row;
      Indices where = statement.at();
      Indices resolved = resolve(where, nests.isPerSequence(statement.value));
      memo[keyOf(statement.value, resolved)] = {total, innermost(), dimsOf(where)};
      for (const Destination &to : statement.destinations)
        storeTo(statement, to, total);
    }
  }
}
