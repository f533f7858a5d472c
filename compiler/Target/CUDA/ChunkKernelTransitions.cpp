// Segments of a state with a transition, as a delta rule has: what a segment makes of a state S is A S + B, with a matrix A over the keys. B is
// what it makes of zeros, as for states that decay; A is what it makes of the identity where the values that enter are zeros, by the
// same kernel: the columns of A stand beside those of the state, in the same warps, or in blocks behind those. The kernel that links segments
// multiplies in f32.
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

llvm::SmallBitVector rondo::cuda::itemsReadBy(const TileProgram &program, Value value) {
  llvm::SmallBitVector items(segmentItems(program));
  llvm::SetVector<Value> all;
  all.insert(value);
  for (size_t i = 0; i < all.size(); ++i) {
    Operation *op = all[i].getDefiningOp();
    if (const Read *read = program.readOf(all[i])) {
      items.set(read->state);
      continue;
    }
    auto ofVector = llvm::find_if(program.vectorReads, [&](const Read &read) { return op && read.op == op; });
    if (ofVector != program.vectorReads.end())
      items.set(program.states.size() + ofVector->state);
    else if (op)
      all.insert(op->operand_begin(), op->operand_end());
  }
  return items;
}

bool rondo::cuda::hasTransition(const TileProgram &program, size_t item) {
  return item < program.states.size() &&
         llvm::any_of(
             program.states[item].updates,
             [&](const Update &update) { return itemsReadBy(program, update.value).test(item); });
}

static std::optional<size_t> firstTransition(const TileProgram &program) {
  for (size_t s = 0; s < program.states.size(); ++s)
    if (hasTransition(program, s))
      return s;
  return std::nullopt;
}

bool rondo::cuda::hasTransition(const TileProgram &program) { return firstTransition(program).has_value(); }

int64_t rondo::cuda::transitionKeys(const TileProgram &program) {
  std::optional<size_t> first = firstTransition(program);
  return first ? program.states[*first].keys : 0;
}

bool rondo::cuda::vanishes(const TileProgram &program, Value value) {
  auto zero = [&](Value operand) { return vanishes(program, operand); };
  if (program.tileOf(value, Role::Value) >= 0)
    return isa<BlockArgument>(value);
  Operation *op = value.getDefiningOp();
  if (!op || isPerStep(value))
    return false;
  if (program.readOf(value))
    return true; // of a state that begins as zeros
  if (auto solve = dyn_cast<chunk::SolveOp>(op))
    return zero(solve.getRight());
  if (auto contract = dyn_cast<recur::ContractOp>(op))
    return isElementwise(contract) ? llvm::any_of(op->getOperands(), zero) : zero(contract.getOperand(1));
  if (isa<chunk::AsSourceOp, recur::BroadcastOp, recur::CastOp>(op))
    return zero(op->getOperand(0));
  auto map = dyn_cast<recur::MapOp>(op);
  if (!map)
    return false;
  switch (map.getFn()) {
  case recur::Fn::Add:
  case recur::Fn::Sub:
    return llvm::all_of(map.getOperands(), zero);
  case recur::Fn::Mul:
    return llvm::any_of(map.getOperands(), zero);
  case recur::Fn::Div:
  case recur::Fn::Neg:
  case recur::Fn::Tanh:
    return zero(map.getOperand(0));
  default:
    return false;
  }
}

/// Which columns the block has where none has both: of the state, or of the transition behind them.
void ChunkKernelEmitter::placeTransition() {
  if (part != Part::Ends || !hasTransition(program) || plan.transitionTiles)
    return;
  Value last = l.i32(program.states[0].values - 1);
  transition = l.less(last, valueStart);
  valueStart = l.select(transition, l.sub(valueStart, l.add(last, 1)), valueStart);
}

/// What a segment begins with where it does not know: zeros, or the identity.
ChunkKernelEmitter::State ChunkKernelEmitter::firstState(size_t number) {
  const TileState &state = program.states[number];
  State first(plan.columnTiles() * state.keys / instruction.n, l.zeros());
  if (!hasTransition(program, number))
    return first;
  const bool both = plan.transitionTiles > 0;
  if (!transition && !both)
    return first;
  auto [column, key] = firstElement(/*ofTransition=*/both);
  Value apart = l.sub(column, key);
  eachElement(state, /*ofTransition=*/both, [&](int64_t i, int64_t r, int64_t columns, int64_t keys) {
    Value one = l.equal(apart, l.i32(keys - columns));
    if (!both)
      one = l.both(transition, one);
    first[i][r] = l.select(one, l.f32(1), l.f32(0));
  });
  return first;
}

/// Elements, or columns of a state, that a block links.
int64_t ChunkKernelEmitter::linkUnit() const {
  return hasTransition(program, linked) ? kLinkColumns : kLinkThreads * kLinkElements;
}

// The kernel that links. A block has kLinkColumns columns of the state in shared memory, [key][column], twice: as a segment begins, and as it
// ends. The transitions pass by in slabs of their rows, those of later segments behind those of earlier ones, several on their way at a
// time. A thread has kOwn keys by kOwn columns of the product; each half of the threads multiplies half of the rows of a slab.

constexpr int64_t kOwn = 4;
constexpr int64_t kSlabs = 4; // in shared memory

static int64_t slabRows(int64_t keys) { return keys % 32 || keys > 128 ? 16 : 32; }
static int64_t slabBytes(int64_t keys) { return 4 * keys * slabRows(keys); }
static int64_t slabsAt(int64_t keys) { return 2 * 4 * kLinkColumns * keys; }

/// Asks for a slab, counted from the first segment on; behind the last one there are none.
void ChunkKernelEmitter::askSlab(Value number) {
  const int64_t keys = program.states[linked].keys, each = keys / slabRows(keys), bytes = slabBytes(keys);
  Value inside = l.less(number, l.mul(segments, each));
  Value of = l.least(l.div(number, each), l.sub(segments, l.i32(1)));
  Value own = l.shl(thread, 4);
  Value from = l.at(scratchOf(linked, /*decay=*/true, segmentAt(of)).base,
                    l.wide(l.add(l.mul(l.rem(number, each), bytes), own)));
  Value to = l.add(l.add(l.mul(l.rem(number, kSlabs), bytes), own), slabsAt(keys));
  Value sixteen = l.select(inside, l.i32(16), l.i32(0));
  for (int64_t at = 0; at < bytes; at += 16 * 2 * keys) // 2 * keys threads
    l.copyAsync(l.add(to, at), l.at(from, l.wide(l.i32(at))), sixteen);
  l.commitCopies();
}

/// `sums` and what a slab of the transition gives with the state at byte `start` of shared memory.
SmallVector<Value> ChunkKernelEmitter::addSlab(const LinkThread &at, Value number, Value start, ValueRange sums) {
  const int64_t keys = program.states[linked].keys, rows = slabRows(keys), half = rows / 2;
  Type four = VectorType::get(4, b.getF32Type());
  Value matrix =
      l.add(l.mul(l.rem(number, kSlabs), slabBytes(keys)), l.add(l.mul(at.group, 4 * keys * half), l.shl(at.key, 2)));
  Value first = l.add(l.mul(l.rem(number, keys / rows), rows), l.mul(at.group, half));
  Value state = l.add(start, l.add(l.mul(first, 4 * kLinkColumns), l.shl(at.column, 2)));
  SmallVector<Value> next(sums);
  for (int64_t i = 0; i < half; ++i) {
    Value factors = l.loadShared(four, matrix, slabsAt(keys) + 4 * keys * i);
    Value numbers = l.loadShared(four, state, 4 * kLinkColumns * i);
    for (int64_t r = 0; r < kOwn; ++r)
      for (int64_t e = 0; e < kOwn; ++e)
        next[kOwn * r + e] = l.fma(l.part(factors, r), l.part(numbers, e), next[kOwn * r + e]);
  }
  return next;
}

/// Visits a thread's numbers four by four, as they lie beside each other in memory: where they begin in a state there, and which they are.
void ChunkKernelEmitter::eachFour(const LinkThread &at, llvm::function_ref<void(Value, std::array<int64_t, 4>)> visit) {
  const TileState &state = program.states[linked];
  const bool byKey = state.keyAxis == 0;
  Value column = l.add(valueStart, at.column);
  Value element = byKey ? l.add(l.mul(at.key, state.values), column) : l.add(l.mul(column, state.keys), at.key);
  for (int64_t i = 0; i < kOwn; ++i) {
    std::array<int64_t, 4> which;
    for (int64_t e = 0; e < kOwn; ++e)
      which[e] = byKey ? kOwn * i + e : kOwn * e + i;
    visit(l.wide(l.shl(l.add(element, i * (byKey ? state.values : state.keys)), 2)), which);
  }
}

/// Numbers of a thread to the state at byte `to` of shared memory, or, without them, from there.
SmallVector<Value> ChunkKernelEmitter::shareState(const LinkThread &at, Value to, ValueRange numbers) {
  Value own = l.add(to, l.add(l.mul(at.key, 4 * kLinkColumns), l.shl(at.column, 2)));
  SmallVector<Value> loaded;
  for (int64_t r = 0; r < kOwn; ++r)
    if (!numbers.empty()) {
      l.storeShared(l.four(numbers.slice(kOwn * r, 4)), own, 4 * kLinkColumns * r);
    } else {
      Value four = l.loadShared(VectorType::get(4, b.getF32Type()), own, 4 * kLinkColumns * r);
      for (int64_t e = 0; e < kOwn; ++e)
        loaded.push_back(l.part(four, e));
    }
  return loaded;
}

/// Numbers that the first half of the threads has; the second half has zeros.
SmallVector<Value> ChunkKernelEmitter::ofFirstHalf(const LinkThread &at,
                                                   llvm::function_ref<SmallVector<Value>()> make) {
  SmallVector<Type> types(kOwn * kOwn, b.getF32Type());
  auto some = scf::IfOp::create(b, l.loc, types, l.less(at.group, l.i32(1)), /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(some.thenBlock());
  scf::YieldOp::create(b, l.loc, make());
  b.setInsertionPointToStart(some.elseBlock());
  scf::YieldOp::create(b, l.loc, SmallVector<Value>(kOwn * kOwn, l.f32(0)));
  return SmallVector<Value>(some.getResults());
}

/// A segment, from what the state is where it begins to what it is at its end.
SmallVector<Value> ChunkKernelEmitter::linkSegment(const LinkThread &at, Value number, ValueRange now) {
  const int64_t keys = program.states[linked].keys, each = keys / slabRows(keys), bytes = 4 * kLinkColumns * keys;
  Value ends = scratchOf(linked, /*decay=*/false, segmentAt(number)).base;
  SmallVector<Value> added = ofFirstHalf(at, [&] { // asked for long before it is added
    SmallVector<Value> numbers(kOwn * kOwn);
    eachFour(at, [&](Value place, std::array<int64_t, 4> which) {
      Value four = l.load(VectorType::get(4, b.getF32Type()), l.at(ends, place));
      SmallVector<Value> begins;
      for (int64_t e = 0; e < 4; ++e) {
        numbers[which[e]] = l.part(four, e);
        begins.push_back(now[which[e]]);
      }
      l.store(l.four(begins), l.at(ends, place));
    });
    return numbers;
  });
  Value start = l.mul(l.bitAnd(number, 1), bytes), end = l.sub(l.i32(bytes), start);
  auto slabs = scf::ForOp::create(b, l.loc, l.i32(0), l.i32(each), l.i32(1), SmallVector<Value>(kOwn * kOwn, l.f32(0)));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(slabs.getBody());
    Value slab = l.add(l.mul(number, each), slabs.getInductionVar());
    l.waitCopies(kSlabs - 2);
    l.barrier();
    askSlab(l.add(slab, kSlabs - 1));
    scf::YieldOp::create(b, l.loc, addSlab(at, slab, start, slabs.getRegionIterArgs()));
  }
  SmallVector<Value> sums(slabs.getResults());
  auto second = scf::IfOp::create(b, l.loc, l.less(l.i32(0), at.group), /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(second.thenBlock());
    shareState(at, end, sums);
  }
  l.barrier();
  return ofFirstHalf(at, [&] {
    SmallVector<Value> others = shareState(at, end, {});
    for (auto [sum, other, more] : llvm::zip(sums, others, added))
      sum = l.addf(l.addf(sum, other), more);
    shareState(at, end, sums);
    return sums;
  });
}

KernelLaunch ChunkKernelEmitter::emitTransitionLink(unsigned number, StringRef name) {
  linked = number;
  const TileState &state = program.states[linked];
  Block *entry = makeFunction(name);
  b.setInsertionPointToStart(entry);
  placeThreads();
  placeStrided(entry);
  placeOperands();
  LinkThread at;
  at.group = l.div(thread, state.keys);
  Value own = l.rem(thread, state.keys);
  at.key = l.shl(l.shr(own, 2), 2);
  at.column = l.shl(l.bitAnd(own, 3), 2);
  for (int64_t i = 0; i + 1 < kSlabs; ++i)
    askSlab(l.i32(i));
  // Where a caller's states lie is known to be a multiple of 4 bytes alone.
  auto placeOf = [&](Value base, Value place, int64_t e) { return l.at(base, l.add(place, l.wide(l.i32(4 * e)))); };
  SmallVector<Value> first = ofFirstHalf(at, [&] {
    SmallVector<Value> numbers(kOwn * kOwn);
    eachFour(at, [&](Value place, std::array<int64_t, 4> which) {
      for (int64_t e = 0; e < 4; ++e)
        numbers[which[e]] = l.load(b.getF32Type(), placeOf(inits[state.number].base, place, e));
    });
    shareState(at, l.i32(0), numbers);
    return numbers;
  });
  auto loop = scf::ForOp::create(b, l.loc, l.i32(0), segments, l.i32(1), first);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(b, l.loc, linkSegment(at, loop.getInductionVar(), loop.getRegionIterArgs()));
  }
  const size_t result = results.size() - inits.size() + state.number;
  ofFirstHalf(at, [&] {
    eachFour(at, [&](Value place, std::array<int64_t, 4> which) {
      for (int64_t e = 0; e < 4; ++e)
        l.store(loop.getResult(which[e]), placeOf(results[result].base, place, e));
    });
    return SmallVector<Value>(loop.getResults());
  });
  emitReturn();
  return {name.str(), parts(), 2 * state.keys, slabsAt(state.keys) + kSlabs * slabBytes(state.keys)};
}
