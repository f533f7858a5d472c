// Numbers per step, by one thread per step: the spec's own gates, and products of decays inside blocks of 16 steps by exchange
// between lanes. Decays are multiplied, as the chunk dialect says: exact at 0, signs included, no logarithm. Sums of rows come first: all
// threads share them out, several a step, while one alone would let the others wait (sharesSums).
#include "compiler/Target/CPU/ElementOps.h"
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

/// Where along time a step is; of the last one beyond the end.
Value ChunkKernelEmitter::stepOf(const ChunkAt &chunk, Value row) {
  return l.wide(l.least(l.add(chunk.first, row), l.sub(steps, l.i32(1))));
}

/// Threads that can share the work of a step: neighbouring lanes.
int64_t ChunkKernelEmitter::threadsPerStep() const {
  int64_t parts = std::min<int64_t>(32, plan.threads() / plan.chunk); // both are powers of two, or multiples of 32
  while (plan.threads() % (parts * plan.chunk) || (parts & (parts - 1)))
    --parts;
  return parts;
}

void ChunkKernelEmitter::prefetchGates(const ChunkAt &chunk) {
  if (program.slots.empty() && program.decays.empty())
    return;
  Value row = plan.chunk < plan.threads() ? l.rem(thread, plan.chunk) : thread;
  for (auto [argument, rows] : llvm::zip(program.chunk().getArguments(), inputs))
    if (isPerStep(argument) && !argument.use_empty())
      prefetched[argument] = l.load(rows.element, l.at(rows.base, l.mul(stepOf(chunk, row), rows.stride)));
}

/// Sums of rows, to shared memory.
void ChunkKernelEmitter::emitSums(const ChunkAt &chunk) {
  if (!sharesSums(program, plan))
    return;
  {
    OpBuilder::InsertionGuard guard(b);
    const int64_t parts = threadsPerStep();
    if (parts * plan.chunk < plan.threads()) { // whole warps
      auto some = scf::IfOp::create(b, l.loc, l.less(thread, l.i32(parts * plan.chunk)), /*withElseRegion=*/false);
      b.setInsertionPointToStart(some.thenBlock());
    }
    Value row = l.div(thread, parts);
    StepThread here{row, stepOf(chunk, row), chunk.stage, DenseMap<Value, Value>(), l.rem(thread, parts), parts};
    SmallVector<Value> sums;
    for (Value sum : program.sums)
      sums.push_back(perStep(sum, here));
    auto first = scf::IfOp::create(b, l.loc, l.equal(here.part, l.i32(0)), /*withElseRegion=*/false);
    b.setInsertionPointToStart(first.thenBlock());
    for (auto [i, sum] : llvm::enumerate(sums))
      l.storeShared(sum, l.shl(row, 2), map.sumsAt + 4 * plan.chunk * i);
  }
  l.barrier();
}

void ChunkKernelEmitter::emitGates(const ChunkAt &chunk) {
  if (program.slots.empty() && program.decays.empty())
    return;
  emitSums(chunk);
  OpBuilder::InsertionGuard guard(b);
  if (plan.chunk < plan.threads()) {
    auto some = scf::IfOp::create(b, l.loc, l.less(thread, l.i32(plan.chunk)), /*withElseRegion=*/false);
    b.setInsertionPointToStart(some.thenBlock());
  }
  Value thread = anew(this->thread), lane = l.bitAnd(thread, 31);
  Value valid = l.less(thread, chunk.left);
  StepThread here{thread, stepOf(chunk, thread), chunk.stage, DenseMap<Value, Value>(), Value(), 1};
  DenseMap<std::pair<Value, int>, Value> partial;
  for (auto [d, decay] : llvm::enumerate(program.decays)) {
    Value a = l.select(valid, perStep(decay, here), l.f32(1));
    Value inBlock = l.bitAnd(lane, kBlock - 1), through = a, after = a, one = l.f32(1);
    for (int64_t by = 1; by < kBlock; by *= 2) {
      Value above = l.mulf(through, l.shuffleUp(through, by, kBlock)),
            below = l.mulf(after, l.shuffleDown(after, by, kBlock));
      through = l.select(l.less(inBlock, l.i32(by)), through, above);
      after = l.select(l.less(inBlock, l.i32(kBlock - by)), below, after);
    }
    Value isFirst = l.less(inBlock, l.i32(1)), isLast = l.less(l.i32(kBlock - 2), inBlock);
    partial[{decay, static_cast<int>(Partial::Through)}] = through;
    partial[{decay, static_cast<int>(Partial::Before)}] = l.select(isFirst, one, l.shuffleUp(through, 1, kBlock));
    partial[{decay, static_cast<int>(Partial::After)}] = l.select(isLast, one, l.shuffleDown(after, 1, kBlock));
    auto ends = scf::IfOp::create(b, l.loc, isLast, /*withElseRegion=*/false);
    {
      OpBuilder::InsertionGuard inner(b);
      b.setInsertionPointToStart(ends.thenBlock());
      l.storeShared(through, l.add(chunk.tables, l.shl(l.shr(thread, 4), 2)), map.blocksAt(d));
    }
    emitDecay(d, a, chunk, thread);
  }
  for (auto [i, slot] : llvm::enumerate(program.slots)) {
    if (isLateSlot(slot))
      continue;
    Value number = coefficient(slot.factor, here);
    if (slot.partial != Partial::None) {
      Value product = partial[{slot.factor.decay, static_cast<int>(slot.partial)}];
      number = number ? l.mulf(number, product) : product;
    }
    l.storeShared(l.select(valid, number, l.f32(0)), l.add(chunk.tables, l.shl(thread, 2)), map.slotAt(i));
  }
}

/// The table of pairs: entry [t + 1][s] is the product of the decays of the steps s + 1 ... t of a block.
void ChunkKernelEmitter::emitDecay(int64_t decay, Value a, const ChunkAt &chunk, Value row) {
  if (llvm::none_of(program.scores, [&](const Score &score) { return score.decay == program.decays[decay]; }))
    return;
  Value inBlock = l.bitAnd(row, kBlock - 1);
  Value offset =
      l.add(chunk.tables, l.add(l.mul(l.shr(row, 4), SharedMap::kPairBytes), l.mul(inBlock, 4 * kBlock + 4)));
  int64_t rowBytes = 4 * kBlock;
  Value product = l.f32(1);
  l.storeShared(product, offset, map.pairsAt(decay) + rowBytes);
  for (int64_t by = 1; by < kBlock; ++by) {
    product = l.mulf(product, l.shuffleDown(a, by, kBlock));
    auto inside = scf::IfOp::create(b, l.loc, l.less(inBlock, l.i32(kBlock - by)), /*withElseRegion=*/false);
    OpBuilder::InsertionGuard inner(b);
    b.setInsertionPointToStart(inside.thenBlock());
    l.storeShared(product, offset, map.pairsAt(decay) + (by + 1) * rowBytes);
  }
}

/// The terms of a factor, without its decay; null where there are none.
Value ChunkKernelEmitter::coefficient(const StepFactor &factor, StepThread &thread) {
  Value number;
  for (const StepFactor::Term &term : factor.terms) {
    Value by = perStep(term.value, thread);
    if (term.divides)
      number = arith::DivFOp::create(b, l.loc, number ? number : l.f32(1), by);
    else
      number = number ? l.mulf(number, by) : by;
  }
  if (factor.negated)
    number = number ? Value(arith::NegFOp::create(b, l.loc, number)) : l.f32(-1);
  return number;
}

Value ChunkKernelEmitter::constantOf(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  auto splat = constant ? dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
  if (!splat || !splat.isSplat())
    return nullptr;
  if (splat.getElementType().isInteger(1))
    return arith::ConstantOp::create(b, l.loc, b.getBoolAttr(splat.getSplatValue<bool>()));
  return l.f32(splat.getSplatValue<APFloat>().convertToFloat());
}

static Value widened(OpBuilder &b, Location loc, Value number) {
  return number.getType().isF32() ? number : Value(arith::ExtFOp::create(b, loc, b.getF32Type(), number));
}

Value ChunkKernelEmitter::perStep(Value value, StepThread &thread) {
  if (Value known = thread.known.lookup(value))
    return known;
  Value result;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (Value scalar = scalars.lookup(value))
      return scalar;
    const GlobalRows &rows = inputs[argument.getArgNumber()];
    Value number = thread.part ? Value() : prefetched.lookup(value);
    if (!number)
      number = l.load(rows.element, l.at(rows.base, l.mul(thread.step, rows.stride)));
    result = widened(b, l.loc, number);
  } else if (Value constant = constantOf(value)) {
    result = constant;
  } else if (auto sum = llvm::find(program.sums, value);
             sum != program.sums.end() && !thread.part && sharesSums(program, plan)) {
    result =
        l.loadShared(b.getF32Type(), l.shl(thread.row, 2), map.sumsAt + 4 * plan.chunk * (sum - program.sums.begin()));
  } else if (auto reduce = value.getDefiningOp<recur::ReduceOp>()) {
    result = sumOfRow(reduce.getKind(), reduce->getOperands(), thread);
  } else if (auto contract = value.getDefiningOp<recur::ContractOp>()) {
    result = sumOfRow(recur::Reduction::Sum, contract.getOperands(), thread);
  } else if (auto map = value.getDefiningOp<recur::MapOp>()) {
    SmallVector<cpu::Element> operands;
    for (Value operand : map.getOperands())
      operands.push_back({perStep(operand, thread), {}});
    result = cpu::ElementOps(b, l.loc, b.getF32Type()).apply(map.getFn(), operands).re;
  } else {
    result = perStep(value.getDefiningOp()->getOperand(0), thread); // a broadcast or a cast
  }
  return thread.known[value] = result;
}

/// Collects the tiles that `value` is computed from.
static void tilesOf(const TileProgram &program, Value value, SmallVectorImpl<int64_t> &tiles) {
  if (isa<BlockArgument>(value)) {
    int64_t tile = program.tileOf(value, Role::Key);
    if (tile >= 0 && !llvm::is_contained(tiles, tile))
      tiles.push_back(tile);
    return;
  }
  if (!isPerStep(value))
    for (Value operand : value.getDefiningOp()->getOperands())
      tilesOf(program, operand, tiles);
}

/// Numbers per step that `value` is computed from: before a loop, whose own values are not known behind it.
void ChunkKernelEmitter::knowSteps(Value value, StepThread &thread) {
  if (isPerStep(value))
    perStep(value, thread);
  else if (Operation *op = value.getDefiningOp())
    for (Value operand : op->getOperands())
      knowSteps(operand, thread);
}

/// Eight elements of a row at a time, in each of the threads that share it, which follow each other along the row.
Value ChunkKernelEmitter::sumOfRow(recur::Reduction kind, ValueRange factors, StepThread &thread) {
  SmallVector<int64_t> tiles;
  for (Value factor : factors)
    tilesOf(program, factor, tiles);
  cpu::ElementOps ops(b, l.loc, b.getF32Type());
  Value start = ops.identity(kind, false).re;
  for (Value factor : factors)
    knowSteps(factor, thread);
  const int64_t units = map.tiles[tiles.front()].units();
  int64_t parts = thread.parts;
  while (units % parts)
    parts /= 2;
  auto loop = scf::ForOp::create(b, l.loc, l.i32(0), l.i32(units), l.i32(parts), ValueRange{start});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Loaded loaded;
  Value number = loop.getInductionVar(); // of the unit of eight elements; beyond the row's other threads have it, too
  if (thread.part)
    number = l.add(number, l.rem(thread.part, parts));
  for (int64_t tile : tiles) {
    const SharedTile &shared = map.tiles[tile];
    Value unit = l.bitXor(number, swizzle(shared, thread.row));
    Value offset = l.add(thread.stage, l.add(l.mul(thread.row, shared.rowBytes()), unitOffset(shared, unit)));
    Value words = l.loadShared(VectorType::get(4, b.getI32Type()), offset, shared.offset);
    for (int64_t i = 0; i < 4; ++i) {
      auto [low, high] = l.unpack(l.part(words, i));
      loaded[program.tiles[tile].value].append({low, high});
    }
  }
  cpu::Element sum{loop.getRegionIterArgs()[0], {}};
  auto leaf = [&](Value value, int64_t which) {
    if (auto param = dyn_cast<BlockArgument>(value); param && !scalars.contains(value) && !isPerStep(value))
      return keyParam(param, l.add(l.shl(number, 3), which));
    return perStep(value, thread);
  };
  SmallVector<cpu::Element> terms;
  for (int64_t i = 0; i < 8; ++i) {
    cpu::Element product;
    for (Value factor : factors) {
      Value element = rowElement(factor, i, loaded, leaf);
      product.re = product.re ? l.mulf(product.re, element) : element;
    }
    terms.push_back(product);
  }
  for (size_t step = 1; step < terms.size(); step *= 2) // as a tree: the next eight wait for one addition only
    for (size_t i = 0; i + step < terms.size(); i += 2 * step)
      terms[i] = ops.combine(kind, terms[i], terms[i + step]);
  sum = ops.combine(kind, sum, terms[0]);
  scf::YieldOp::create(b, l.loc, sum.re);
  b.setInsertionPointAfter(loop);
  sum.re = loop.getResult(0);
  for (int64_t by = 1; by < parts; by *= 2)
    sum = ops.combine(kind, sum, {l.exchange(sum.re, by), {}});
  return sum.re;
}

/// An element of a parameter along the keys.
Value ChunkKernelEmitter::keyParam(BlockArgument param, Value column) {
  chunk::ScanOp scan = program.scan;
  Value tensor = scan.getParams()[param.getArgNumber() - scan.getInputs().size()];
  GlobalRows at = place(tensor, param.getArgNumber(), false);
  return widened(b, l.loc, l.load(at.element, l.at(at.base, l.wide(l.mul(column, at.elementBytes)))));
}

Value ChunkKernelEmitter::rowElement(Value value, int64_t which, Loaded &loaded,
                                     llvm::function_ref<Value(Value, int64_t)> leaf) {
  if (auto found = loaded.find(value); found != loaded.end() && found->second[which])
    return found->second[which];
  if (Value constant = constantOf(value))
    return constant;
  if (isa<BlockArgument>(value) || isPerStep(value) || recur::isScalar(value.getType()))
    return leaf(value, which);
  Operation *op = value.getDefiningOp();
  auto map = dyn_cast<recur::MapOp>(op);
  Value result;
  if (!map && !isa<recur::ContractOp>(op)) {
    result = rowElement(op->getOperand(0), which, loaded, leaf);
  } else {
    SmallVector<cpu::Element> operands;
    for (Value operand : op->getOperands())
      operands.push_back({rowElement(operand, which, loaded, leaf), {}});
    result = cpu::ElementOps(b, l.loc, b.getF32Type()).apply(map ? map.getFn() : recur::Fn::Mul, operands).re;
  }
  auto &known = loaded[value];
  known.resize(std::max<size_t>(known.size(), 8));
  return known[which] = result;
}
