// States that are vectors along the keys, and the numbers per step that are read of them and of scores (normalisers). A vector is f32 in
// shared memory, the same in every block of the value axis. Several threads share a step, in neighbouring lanes; sums go by shuffles.
#include "compiler/Target/CPU/ElementOps.h"
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

/// Between memory and shared memory; of the blocks along the value axis the first one stores, and none of those that have columns of a transition.
void ChunkKernelEmitter::moveVectors(bool store) {
  chunk::ScanOp scan = program.scan;
  size_t outputs = scan->getNumResults() - scan.getStates().size();
  for (auto [v, vector] : llvm::enumerate(program.vectors)) {
    const GlobalRows &rows = part != Part::Whole ? segmentStates[program.states.size() + v]
                             : store             ? results[outputs + vector.number]
                                                 : inits[vector.number];
    Value last = store ? l.select(l.equal(valueStart, l.i32(0)), l.i32(vector.keys), l.i32(0)) : l.i32(vector.keys);
    if (store && transition)
      last = l.select(transition, l.i32(0), last);
    auto loop = scf::ForOp::create(b, l.loc, thread, last, l.i32(plan.threads()));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value bytes = l.shl(loop.getInductionVar(), 2), at = l.at(rows.base, l.wide(bytes));
    if (store)
      l.store(l.loadShared(b.getF32Type(), bytes, map.vectors[v]), at);
    else
      l.storeShared(part == Part::Ends ? l.f32(0) : l.load(b.getF32Type(), at), bytes, map.vectors[v]);
  }
}

void ChunkKernelEmitter::emitLate(const ChunkAt &chunk) {
  const int64_t parts = threadsPerStep();
  LateThread here{l.div(thread, parts), l.rem(thread, parts), parts, DenseMap<Value, Value>()};
  OpBuilder::InsertionGuard guard(b);
  if (parts * plan.chunk < plan.threads()) { // whole warps
    auto some = scf::IfOp::create(b, l.loc, l.less(thread, l.i32(parts * plan.chunk)), /*withElseRegion=*/false);
    b.setInsertionPointToStart(some.thenBlock());
  }
  SmallVector<std::pair<Value, int64_t>> numbers;
  for (auto [i, slot] : llvm::enumerate(program.slots))
    if (isLateSlot(slot))
      numbers.push_back({lateNumber(slot.factor.terms[0].value, here, chunk), i});
  auto first = scf::IfOp::create(b, l.loc, l.equal(here.part, l.i32(0)), /*withElseRegion=*/false);
  b.setInsertionPointToStart(first.thenBlock());
  Value valid = l.less(here.row, chunk.left);
  for (auto [number, slot] : numbers)
    l.storeShared(l.select(valid, number, l.f32(0)), l.add(chunk.tables, l.shl(here.row, 2)), map.slotAt(slot));
}

Value ChunkKernelEmitter::lateNumber(Value value, LateThread &thread, const ChunkAt &chunk) {
  if (Value known = thread.known.lookup(value))
    return known;
  Value result;
  if (Value constant = constantOf(value)) {
    result = constant;
  } else if (Value scalar = scalars.lookup(value)) {
    result = scalar;
  } else if (!isLate(value) && isPerStep(value)) {
    Value offset = l.add(chunk.tables, l.shl(thread.row, 2));
    result = l.loadShared(b.getF32Type(), offset, map.slotAt(program.slotOf({StepFactor::of(value)})));
  } else if (auto contract = value.getDefiningOp<recur::ContractOp>()) {
    auto read = llvm::find_if(program.vectorReads, [&](const Read &read) { return read.op == contract; });
    result = read != program.vectorReads.end() ? readVector(*read, thread, chunk)
                                               : sumScores(program.scoreOf(contract.getOperand(0)), thread, chunk);
  } else if (auto op = value.getDefiningOp<recur::MapOp>()) {
    SmallVector<cpu::Element> operands;
    for (Value operand : op.getOperands())
      operands.push_back({lateNumber(operand, thread, chunk), {}});
    result = cpu::ElementOps(b, l.loc, b.getF32Type()).apply(op.getFn(), operands).re;
  } else {
    result = lateNumber(value.getDefiningOp()->getOperand(0), thread, chunk); // a broadcast or a cast
  }
  return thread.known[value] = result;
}

Value ChunkKernelEmitter::sumOfParts(Value sum, int64_t parts) {
  for (int64_t by = parts / 2; by > 0; by /= 2)
    sum = l.addf(sum, l.shuffleDown(sum, by, parts));
  return parts > 1 ? l.shuffleFrom(sum, 0, parts) : sum;
}

/// The row's elements times the vector's, eight at a time, then what the row is scaled by.
Value ChunkKernelEmitter::readVector(const Read &read, LateThread &thread, const ChunkAt &chunk) {
  const SharedTile &tile = map.tiles[read.query.tile];
  Value row = l.add(tileBase(read.query.tile, chunk), l.mul(thread.row, tile.rowBytes()));
  Value swizzled = swizzle(tile, thread.row), sum;
  auto loop = scf::ForOp::create(b, l.loc, thread.part, l.i32(tile.units()), l.i32(thread.parts), ValueRange{l.f32(0)});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value unit = loop.getInductionVar();
    sum = loop.getRegionIterArgs()[0];
    Value words = l.loadShared(VectorType::get(4, b.getI32Type()),
                               l.add(row, unitOffset(tile, l.bitXor(unit, swizzled))), tile.offset);
    for (int64_t half : {0, 1}) {
      Value numbers =
          l.loadShared(VectorType::get(4, b.getF32Type()), l.shl(unit, 5), map.vectors[read.state] + 16 * half);
      for (int64_t i : {0, 1}) {
        auto [low, high] = l.unpack(l.part(words, 2 * half + i));
        sum = l.fma(low, l.part(numbers, 2 * i), sum);
        sum = l.fma(high, l.part(numbers, 2 * i + 1), sum);
      }
    }
    scf::YieldOp::create(b, l.loc, sum);
  }
  sum = sumOfParts(loop.getResult(0), thread.parts);
  const StepFactor &factor = read.query.factor;
  if (factor.isOne())
    return sum;
  Partial partial = !factor.decay                         ? Partial::None
                    : factor.span == chunk::Span::Through ? Partial::Through
                                                          : Partial::Before;
  Value slot = l.add(slotOffset(factor, factor.decay, partial, chunk), l.shl(thread.row, 2));
  sum = l.mulf(sum, l.loadShared(b.getF32Type(), slot));
  if (!factor.decay)
    return sum;
  Value block = l.div(thread.row, kBlock);
  for (int64_t before = 0; before + 1 < plan.blocks(); ++before) {
    Value product =
        l.loadShared(b.getF32Type(), chunk.tables, map.blocksAt(program.decayOf(factor.decay)) + 4 * before);
    sum = l.mulf(sum, l.select(l.less(l.i32(before), block), product, l.f32(1)));
  }
  return sum;
}

/// A row of scores, up to the block of its own step; behind the step itself the block has zeros.
Value ChunkKernelEmitter::sumScores(int64_t score, LateThread &thread, const ChunkAt &chunk) {
  const SharedTile &tile = map.scores[score];
  Value row = l.add(chunk.scores, l.mul(thread.row, tile.rowBytes())), swizzled = swizzle(tile, thread.row);
  Value last = l.shl(l.add(l.div(thread.row, kBlock), 1), 1); // units
  auto loop = scf::ForOp::create(b, l.loc, thread.part, last, l.i32(thread.parts), ValueRange{l.f32(0)});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value sum = loop.getRegionIterArgs()[0];
    Value unit = unitOffset(tile, l.bitXor(loop.getInductionVar(), swizzled));
    Value words = l.loadShared(VectorType::get(4, b.getI32Type()), l.add(row, unit), tile.offset);
    for (int64_t i = 0; i < 4; ++i) {
      auto [low, high] = l.unpack(l.part(words, i));
      sum = l.addf(l.addf(low, high), sum);
    }
    scf::YieldOp::create(b, l.loc, sum);
  }
  return sumOfParts(loop.getResult(0), thread.parts);
}

/// Behind the columns, since `emitLate` reads the old ones: one thread a key.
void ChunkKernelEmitter::updateVectors(const ChunkAt &chunk) {
  for (auto [v, vector] : llvm::enumerate(program.vectors)) {
    Value decay = vector.decay ? productOfBlocks(vector.decay, 0, plan.blocks(), chunk) : Value();
    if (decay)
      growTotal(program.states.size() + v, 0, decay);
    for (int64_t i = 0; part == Part::Ends && vector.keyDecay && i < totalsOf(program.states.size() + v); ++i) {
      Value key = l.least(l.add(thread, i * plan.threads()), l.i32(vector.keys - 1)); // beyond: not stored
      int64_t totals = map.totals[program.keyDecayOf(vector.keyDecay)];
      growTotal(program.states.size() + v, i, l.loadShared(b.getF32Type(), l.shl(key, 2), totals));
    }
    for (const ScaledRows &rows : vector.updates)
      if (rows.factor.decay) // loaded here, where all vectors' updates find them
        productOfBlocks(rows.factor.decay, 0, 1, chunk);
    auto loop = scf::ForOp::create(b, l.loc, l.same(thread), l.i32(vector.keys), l.i32(plan.threads()));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value key = loop.getInductionVar();
    if (vector.keyDecay)
      decay = l.loadShared(b.getF32Type(), l.shl(key, 2), map.totals[program.keyDecayOf(vector.keyDecay)]);
    updateVector(v, key, l.loadShared(b.getF32Type(), l.shl(key, 2), map.vectors[v]), decay, chunk);
  }
}

void ChunkKernelEmitter::updateVector(size_t index, Value key, Value old, Value decay, const ChunkAt &chunk) {
  const VectorState &vector = program.vectors[index];
  Value sum = decay ? l.mulf(old, decay) : old;
  for (const ScaledRows &rows : vector.updates) {
    const SharedTile &tile = map.tiles[rows.tile];
    Value base = tileBase(rows.tile, chunk), unit = l.shr(key, 3), inside = l.shl(l.bitAnd(key, 7), 1);
    Partial partial = rows.factor.decay ? Partial::After : Partial::None;
    for (int64_t block = 0; block < plan.blocks(); ++block) {
      Value others = rows.factor.decay ? productOfBlocks(rows.factor.decay, block + 1, plan.blocks(), chunk) : Value();
      Value part;
      for (int64_t step = block * kBlock; step < (block + 1) * kBlock; ++step) {
        Value offset = l.add(base, l.add(unitOffset(tile, l.bitXor(unit, tile.swizzle(step))), inside));
        Value element = l.loadShared(l.element, offset, tile.offset + step * tile.rowBytes());
        element = arith::ExtFOp::create(b, l.loc, b.getF32Type(), element);
        if (!rows.factor.isOne()) {
          Value slot = slotOffset(rows.factor, rows.factor.decay, partial, chunk);
          element = l.mulf(element, l.loadShared(b.getF32Type(), slot, 4 * step));
        }
        part = part ? l.addf(part, element) : element;
      }
      sum = l.addf(sum, others ? l.mulf(part, others) : part);
    }
  }
  l.storeShared(sum, l.shl(key, 2), map.vectors[index]);
}
