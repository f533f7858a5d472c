// Segments of a state with a transition, as a delta rule has: what a segment makes of a state S is A S + B, with a matrix A over the keys. B is
// what it makes of zeros, as for states that decay; A is what it makes of the identity where the values that enter are zeros, by the
// same kernel: the columns of A stand behind those of the state. The kernel that links segments multiplies in f32.
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

/// Which columns the block has: of the state, or of the transition behind them.
void ChunkKernelEmitter::placeTransition() {
  if (part != Part::Ends || !hasTransition(program))
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
  auto [column, key] = firstElement();
  Value apart = l.sub(column, key);
  eachElement(state, [&](int64_t i, int64_t r, int64_t columns, int64_t keys) {
    Value one = l.both(transition, l.equal(apart, l.i32(keys - columns)));
    first[i][r] = l.select(one, l.f32(1), l.f32(0));
  });
  return first;
}

/// Elements, or columns of a state, that a block links.
int64_t ChunkKernelEmitter::linkUnit() const { return hasTransition(program, linked) ? kLinkColumns : kLinkThreads; }

constexpr int64_t kOwn = kLinkColumns / 2; // columns of a thread

/// `sums` and a thread's row of the transition times the state in shared memory, from the column at byte `part` on.
SmallVector<Value> ChunkKernelEmitter::addTransition(Value matrix, Value key, Value part, ArrayRef<Value> sums) {
  constexpr int64_t kAhead = 8; // numbers of the transition that are asked for at once
  int64_t keys = program.states[linked].keys;
  auto loop = scf::ForOp::create(b, l.loc, l.i32(0), l.i32(keys), l.i32(kAhead), sums);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> next(loop.getRegionIterArgs());
  Value first = loop.getInductionVar();
  Value from = l.at(matrix, l.wide(l.shl(l.add(l.mul(first, keys), key), 2)));
  SmallVector<Value> factors;
  for (int64_t i = 0; i < kAhead; ++i)
    factors.push_back(l.load(b.getF32Type(), l.at(from, l.wide(l.i32(4 * i * keys)))));
  Value row = l.add(l.mul(first, 4 * kLinkColumns), part);
  for (int64_t i = 0; i < kAhead; ++i)
    for (int64_t e = 0; e < kOwn; e += 4) {
      Value four = l.loadShared(VectorType::get(4, b.getF32Type()), row, 4 * (i * kLinkColumns + e));
      for (int64_t r = 0; r < 4; ++r)
        next[e + r] = l.fma(factors[i], l.part(four, r), next[e + r]);
    }
  scf::YieldOp::create(b, l.loc, next);
  return SmallVector<Value>(loop.getResults());
}

/// A block has kLinkColumns columns of the state in shared memory, [key][column]; a thread has half of them, of one key.
KernelLaunch ChunkKernelEmitter::emitTransitionLink(unsigned number, StringRef name) {
  linked = number;
  const TileState &state = program.states[number];
  Block *entry = makeFunction(name);
  b.setInsertionPointToStart(entry);
  placeThreads();
  placeStrided(entry);
  placeOperands();
  Value key = l.rem(thread, state.keys), group = l.div(thread, state.keys),
        column = l.add(valueStart, l.mul(group, kOwn));
  bool byKey = state.keyAxis == 0;
  Value element = byKey ? l.add(l.mul(key, state.values), column) : l.add(l.mul(column, state.keys), key);
  auto place = [&](Value base, int64_t e) {
    return l.at(base, l.wide(l.shl(l.add(element, byKey ? e : e * state.keys), 2)));
  };
  Value part = l.mul(group, 4 * kOwn), own = l.add(l.mul(key, 4 * kLinkColumns), part);
  auto share = [&](ValueRange numbers) {
    for (int64_t e = 0; e < kOwn; ++e)
      l.storeShared(numbers[e], own, 4 * e);
    l.barrier();
  };
  SmallVector<Value> start;
  for (int64_t e = 0; e < kOwn; ++e)
    start.push_back(l.load(b.getF32Type(), place(inits[state.number].base, e)));
  share(start);
  auto loop = scf::ForOp::create(b, l.loc, l.i32(0), segments, l.i32(1), start);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value index = segmentAt(loop.getInductionVar());
    GlobalRows ends = scratchOf(number, /*decay=*/false, index), matrix = scratchOf(number, /*decay=*/true, index);
    SmallVector<Value> sums;
    for (int64_t e = 0; e < kOwn; ++e) {
      sums.push_back(l.load(b.getF32Type(), place(ends.base, e)));
      l.store(loop.getRegionIterArgs()[e], place(ends.base, e));
    }
    sums = addTransition(matrix.base, key, part, sums);
    l.barrier();
    share(sums);
    scf::YieldOp::create(b, l.loc, sums);
  }
  size_t result = results.size() - inits.size() + state.number;
  for (int64_t e = 0; e < kOwn; ++e)
    l.store(loop.getResult(e), place(results[result].base, e));
  emitReturn();
  return {name.str(), parts(), 2 * state.keys, 4 * kLinkColumns * state.keys};
}
