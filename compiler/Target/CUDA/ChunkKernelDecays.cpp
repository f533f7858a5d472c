// Decays along the value axis, in the accumulators of columns. A lane has two columns of a tile of 16, and of a block of 16 steps the steps
// 2 q, 2 q + 1 and 8 behind these, where q = lane % 4; the four lanes of a quad have the same columns. Products go along a quad by exchange.
//
// Scores times values that decay on the way go by levels, as scores do along the keys: two steps of a block part at one level 8, 4, 2 or 1,
// where the value is decayed up to the middle of the smallest group of steps that has both, and the sum from there on. So both factors are
// products of the decays themselves: exact at 0, never divided. Earlier blocks meet the later one at its start.
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

const SmallVector<ChunkKernelEmitter::ColumnDecays> &ChunkKernelEmitter::columnDecays(Value decay, int64_t block,
                                                                                      const ChunkAt &chunk) {
  auto &found = columnDecayCache[{decay.getAsOpaquePointer(), block}];
  if (!found.empty())
    return found;
  const Columns columns = columnsOf(decay, block, chunk);
  Value one = l.f32(1), quad = l.bitAnd(lane, 3);
  Value odd = l.equal(l.bitAnd(quad, 1), l.i32(1)), late = l.less(l.i32(1), quad);
  auto exchange = [&](Value x, int64_t by) { return l.exchange(x, by); };
  SmallVector<ColumnDecays> made;
  for (int64_t tile = 0; tile < plan.columnTiles(); ++tile)
    for (int64_t row : {0, 1}) {
      ColumnDecays decays;
      for (int64_t half : {0, 1}) {
        for (int64_t e : {0, 1}) {
          // Steps behind the end of the sequence change nothing.
          Value step = l.add(l.shl(quad, 1), block * kBlock + 8 * half + e);
          decays.steps[half][e] = l.select(l.less(step, chunk.left), columns[2 * tile + half][2 * row + e], one);
        }
        Value own = l.mulf(decays.steps[half][0], decays.steps[half][1]), other = exchange(own, 1);
        Value four = l.mulf(own, other), others = exchange(four, 2);
        decays.pairBefore[half] = l.select(odd, other, one);
        decays.pairAfter[half] = l.select(odd, one, other);
        decays.before[half] = l.mulf(decays.pairBefore[half], l.select(late, others, one));
        decays.after[half] = l.mulf(decays.pairAfter[half], l.select(late, one, others));
        decays.half[half] = l.mulf(four, others);
      }
      decays.all = l.mulf(decays.half[0], decays.half[1]);
      made.push_back(decays);
    }
  return columnDecayCache[{decay.getAsOpaquePointer(), block}] = made;
}

Value ChunkKernelEmitter::decayOfBlocks(Value decay, int64_t column, int64_t from, int64_t to, const ChunkAt &chunk) {
  Value product;
  for (int64_t block = from; block < to; ++block) {
    Value all = columnDecays(decay, block, chunk)[column].all;
    product = product ? l.mulf(product, all) : all;
  }
  return product;
}

/// products(decay) over a span of the chunk, for the steps of one block.
ChunkKernelEmitter::Columns ChunkKernelEmitter::productColumns(chunk::ProductsOp op, int64_t block,
                                                               const ChunkAt &chunk) {
  Value decay = op.getOperand();
  Columns result(2 * plan.columnTiles());
  bool after = op.getSpan() == chunk::Span::After;
  for (int64_t tile = 0; tile < plan.columnTiles(); ++tile)
    for (int64_t row : {0, 1}) {
      int64_t column = 2 * tile + row;
      const ColumnDecays decays = columnDecays(decay, block, chunk)[column];
      Value others = after ? decayOfBlocks(decay, column, block + 1, plan.blocks(), chunk)
                           : decayOfBlocks(decay, column, 0, block, chunk);
      for (int64_t half : {0, 1}) {
        Value product = after ? decays.after[half] : decays.before[half];
        if (half == (after ? 0 : 1))
          product = l.mulf(product, decays.half[1 - half]);
        if (others)
          product = l.mulf(product, others);
        Value *to = &result[2 * tile + half][2 * row];
        if (after) {
          to[1] = product;
          to[0] = l.mulf(product, decays.steps[half][1]);
        } else if (op.getSpan() == chunk::Span::Before) {
          to[0] = product;
          to[1] = l.mulf(product, decays.steps[half][0]);
        } else {
          to[0] = l.mulf(product, decays.steps[half][0]);
          to[1] = l.mulf(to[0], decays.steps[half][1]);
        }
      }
    }
  return result;
}

/// The values of block `from`, decayed on the way to the start of a later block.
ChunkKernelEmitter::Columns ChunkKernelEmitter::decayedUpTo(Value decay, Value of, int64_t from, int64_t block,
                                                            const ChunkAt &chunk) {
  Columns values = columnsOf(of, from, chunk);
  for (int64_t column = 0; column < 2 * plan.columnTiles(); ++column) {
    const ColumnDecays decays = columnDecays(decay, from, chunk)[column];
    Value between = decayOfBlocks(decay, column, from + 1, block, chunk);
    for (int64_t half : {0, 1}) {
      Value later = half ? decays.after[1] : l.mulf(decays.after[0], decays.half[1]);
      if (between)
        later = l.mulf(later, between);
      Value *value = &values[column / 2 * 2 + half][2 * (column % 2)];
      value[0] = l.mulf(value[0], l.mulf(later, decays.steps[half][1]));
      value[1] = l.mulf(value[1], later);
    }
  }
  return values;
}

/// Sums that are as of the start of a block, decayed up to each of its steps.
void ChunkKernelEmitter::startAt(Value decay, bool before, int64_t block, const ChunkAt &chunk, Columns &sums) {
  for (int64_t column = 0; column < 2 * plan.columnTiles(); ++column) {
    const ColumnDecays decays = columnDecays(decay, block, chunk)[column];
    for (int64_t half : {0, 1}) {
      Value product = half ? l.mulf(decays.before[1], decays.half[0]) : decays.before[0];
      Value *sum = &sums[column / 2 * 2 + half][2 * (column % 2)];
      Value first = l.mulf(product, decays.steps[half][0]);
      sum[0] = l.mulf(sum[0], before ? product : first);
      sum[1] = l.mulf(sum[1], before ? first : l.mulf(first, decays.steps[half][1]));
    }
  }
}

/// Of two scores of one step t and two steps s behind each other, those that part at `level`; 0 is t = s. A lane has t = lane / 4 and
/// s = 2 (lane % 4) + {0, 1}, in one half of the block each.
Value ChunkKernelEmitter::maskScores(Value pair, int64_t level, bool sameHalf) {
  Value none = arith::ConstantOp::create(b, l.loc, b.getZeroAttr(pair.getType()));
  if (level == 8)
    return sameHalf ? none : pair;
  if (!sameHalf)
    return none;
  auto bit = [&](int64_t which) { return l.bitAnd(l.shr(lane, which), 1); };
  Value t2 = bit(4), t1 = bit(3), t0 = bit(2), s2 = bit(1), s1 = bit(0), one = l.i32(1);
  if (level == 4)
    return l.select(l.both(l.equal(t2, one), l.equal(s2, l.i32(0))), pair, none);
  Value together = l.equal(t2, s2);
  if (level == 2)
    return l.select(l.both(together, l.both(l.equal(t1, one), l.equal(s1, l.i32(0)))), pair, none);
  // Level 1 is s even, t behind it; level 0 the diagonal.
  together = l.both(together, l.equal(t1, s1));
  Value odd = l.both(together, l.equal(t0, one)), even = l.both(together, l.equal(t0, l.i32(0)));
  Type type = pair.getType();
  auto bits = [&](uint32_t mask) -> Value {
    Value whole = type.isInteger(32) ? pair : Value(LLVM::BitcastOp::create(b, l.loc, b.getI32Type(), pair));
    Value kept = l.bitAnd(whole, static_cast<int64_t>(static_cast<int32_t>(mask)));
    return type.isInteger(32) ? kept : Value(LLVM::BitcastOp::create(b, l.loc, type, kept));
  };
  if (level == 1)
    return l.select(odd, bits(0xFFFFu), none);
  return l.select(odd, bits(0xFFFF0000u), l.select(even, bits(0xFFFFu), none));
}

/// The block on the diagonal: of one tile of values, what all products with it add.
void ChunkKernelEmitter::applyLevels(Value decay, bool before, const Columns &values, ArrayRef<AppliedProduct> products,
                                     int64_t block, const ChunkAt &chunk) {
  const SmallVector<ColumnDecays> all = columnDecays(decay, block, chunk);
  for (int64_t level : {8, 4, 2, 1, 0}) {
    if (!level && before)
      continue;
    Columns decayed = values;
    for (int64_t column = 0; column < 2 * plan.columnTiles() && level >= 2; ++column)
      for (int64_t half : {0, 1}) {
        const ColumnDecays &decays = all[column];
        Value *value = &decayed[column / 2 * 2 + half][2 * (column % 2)];
        Value later = level == 8 ? decays.after[half] : level == 4 ? decays.pairAfter[half] : Value();
        Value earlier = later ? l.mulf(later, decays.steps[half][1]) : decays.steps[half][1];
        value[0] = l.mulf(value[0], earlier);
        if (later)
          value[1] = l.mulf(value[1], later);
      }
    SmallVector<SmallVector<Value>> a = pack(decayed);
    for (const AppliedProduct &product : products)
      addLevel(a, all, product, level, before);
  }
}

/// What one level adds to a sum.
void ChunkKernelEmitter::addLevel(ArrayRef<SmallVector<Value>> a, ArrayRef<ColumnDecays> all,
                                  const AppliedProduct &product, int64_t level, bool before) {
  const Terms &scores = product.scores;
  Columns &into = *product.into;
  for (size_t i = 0; i < into.size(); ++i) {
    int64_t half = i % 2;
    if (level == 8 && !half)
      continue;
    Terms bs;
    for (auto [from, to] : {std::make_pair(&scores.high, &bs.high), std::make_pair(&scores.rest, &bs.rest)})
      for (size_t core = 0; core < from->size(); ++core) // of the other half of the steps nothing is used
        to->push_back(int64_t(core / 2) == half ? maskScores((*from)[core], level, int64_t(core % 2) == half)
                                                : Value());
    Accumulator sums = multiplyTerms(a[i / 2], bs, half, level ? l.zeros() : into[i]);
    for (int64_t row : {0, 1}) {
      const ColumnDecays &decays = all[i / 2 * 2 + row];
      Value start = level == 8 ? decays.before[half] : level == 4 ? decays.pairBefore[half] : Value();
      Value first = decays.steps[half][0], second = decays.steps[half][1];
      if (start)
        first = l.mulf(start, first);
      // From the middle up to the step: with it, or without it.
      Value factors[2] = {before ? start : first, before ? first : l.mulf(first, second)};
      if (level == 1) { // the later of two steps, which is the lane's second
        factors[0] = Value();
        factors[1] = before ? Value() : second;
      }
      for (int64_t e : {0, 1}) {
        Value &to = into[i][2 * row + e], sum = sums[2 * row + e];
        to = !level ? sum : factors[e] ? l.fma(sum, factors[e], to) : l.addf(sum, to);
      }
    }
  }
}

/// The state, over all steps of a chunk.
void ChunkKernelEmitter::decayState(int64_t index, const ChunkAt &chunk) {
  const TileState &state = program.states[index];
  int64_t across = state.keys / instruction.n;
  for (int64_t column = 0; column < 2 * plan.columnTiles(); ++column) {
    Value decay = decayOfBlocks(state.valueDecay, column, 0, plan.blocks(), chunk);
    growTotal(index, column, decay);
    for (int64_t i = 0; i < across; ++i)
      for (int64_t e : {0, 1}) {
        Value &value = states[index][column / 2 * across + i][2 * (column % 2) + e];
        value = l.mulf(value, decay);
      }
  }
}
