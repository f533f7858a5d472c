// Blocks of 16 x 16 scores, shared out to the warps; those above the diagonal are never computed nor read. A block of one query and
// key product is scaled by what decays between the two blocks, a number per row, one per column and one for both; inside a block by the
// table of pairs.
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

void ChunkKernelEmitter::emitScores(const ChunkAt &chunk) {
  int64_t blocks = plan.blocks(), all = blocks * (blocks + 1) / 2;
  for (int64_t first = 0; first < all; first += plan.warps) {
    // Warps without a block of their own repeat the last one: a branch would cost the others more.
    Value index = l.least(l.add(warp, first), l.i32(all - 1)), i = l.i32(0);
    for (int64_t r = 1; r < blocks; ++r)
      i = l.add(i, l.select(l.less(index, l.i32(r * (r + 1) / 2)), l.i32(0), l.i32(1)));
    Value j = l.sub(index, l.shr(l.mul(i, l.add(i, 1)), 1));
    for (size_t score = 0; score < program.scores.size(); ++score)
      emitScoreBlock(score, i, j, chunk);
  }
}

/// Where a slot begins; null where the factor is 1.
Value ChunkKernelEmitter::slotOffset(const StepFactor &factor, Value decay, Partial partial, const ChunkAt &chunk) {
  StepFactor whole = factor;
  whole.decay = decay;
  whole.span = chunk::Span::Through;
  if (whole.isOne())
    return nullptr;
  return l.add(chunk.tables, map.slotAt(program.slotOf({whole, decay ? partial : Partial::None})));
}

/// The product of the decays of the blocks between j and i.
Value ChunkKernelEmitter::between(const Score &score, Value i, Value j, const ChunkAt &chunk) {
  Value product;
  int64_t at = map.blocksAt(program.decayOf(score.decay));
  for (int64_t block = 1; block + 1 < plan.blocks(); ++block) {
    Value inside = l.both(l.less(j, l.i32(block)), l.less(l.i32(block), i));
    Value decay = l.select(inside, l.loadShared(b.getF32Type(), chunk.tables, at + 4 * block), l.f32(1));
    product = product ? l.mulf(product, decay) : decay;
  }
  return product;
}

void ChunkKernelEmitter::emitScoreBlock(int64_t index, Value i, Value j, const ChunkAt &chunk) {
  const Score &score = program.scores[index];
  const SharedTile &queries = map.tiles[score.query.tile], &keys = map.tiles[score.key.tile];
  Value row = l.shl(i, 4), column = l.shl(j, 4);
  Accumulator sums[2] = {l.zeros(), l.zeros()};
  for (int64_t k = 0; k < queries.columns; k += kBlock) {
    SmallVector<Value> a = loadBlock(queries, chunk.stage, row, 0, k, /*rowsFirst=*/true, /*transposed=*/false);
    SmallVector<Value> bs = loadBlock(keys, chunk.stage, column, 0, k, /*rowsFirst=*/false, /*transposed=*/false);
    for (int64_t half : {0, 1})
      sums[half] = l.multiply(a, {bs[2 * half], bs[2 * half + 1]}, sums[half]);
  }
  Value laneRow = l.shr(lane, 2), laneColumn = l.shl(l.bitAnd(lane, 3), 1);
  Type pair = VectorType::get(2, b.getF32Type());
  auto part = [&](Value vector, int64_t which) -> Value { return vector::ExtractOp::create(b, l.loc, vector, which); };
  auto rowFactor = [&](Value slot, int64_t core) {
    return slot ? l.loadShared(b.getF32Type(), l.add(slot, l.shl(l.add(row, laneRow), 2)), 4 * instruction.c[core].row) : Value();
  };
  auto columnFactors = [&](Value slot, int64_t half) {
    return slot ? l.loadShared(pair, l.add(slot, l.shl(l.add(column, laneColumn), 2)), 4 * instruction.n * half) : Value();
  };
  auto times = [&](Value x, Value y) { return !x ? y : !y ? x : l.mulf(x, y); };
  Partial rows = score.before ? Partial::Before : Partial::Through;
  Value inRow = slotOffset(score.query.factor, {}, Partial::None, chunk);
  Value inColumn = slotOffset(score.key.factor, {}, Partial::None, chunk);
  Value acrossRow, acrossColumn, gap;
  if (score.decay) {
    acrossRow = slotOffset(score.query.factor, score.decay, rows, chunk);
    acrossColumn = slotOffset(score.key.factor, score.decay, Partial::After, chunk);
    gap = between(score, i, j, chunk);
  }
  Value diagonal = l.equal(i, j);
  Value pairs;
  if (score.decay)
    pairs = l.add(chunk.tables, l.add(l.mul(i, SharedMap::kPairBytes),
                                      l.add(l.shl(laneRow, 6), l.shl(laneColumn, 2))));
  const SharedTile &to = map.scores[index];
  for (int64_t core : {0, 1}) {
    Value inRowFactor = rowFactor(inRow, core), acrossRowFactor = times(rowFactor(acrossRow, core), gap);
    for (int64_t half : {0, 1}) {
      Value inColumns = columnFactors(inColumn, half), acrossColumns = columnFactors(acrossColumn, half);
      Value table;
      if (score.decay)
        table = l.loadShared(pair, pairs, map.pairsAt(program.decayOf(score.decay)) +
                                              4 * kBlock * (instruction.c[core].row + (score.before ? 0 : 1)) +
                                              4 * instruction.n * half);
      Value scaled[2];
      for (int64_t e : {0, 1}) {
        Value inside = times(inRowFactor, inColumns ? part(inColumns, e) : Value());
        Value across = times(acrossRowFactor, acrossColumns ? part(acrossColumns, e) : Value());
        if (table)
          inside = times(inside, part(table, e));
        else
          across = inside;
        // Above the diagonal there are zeros, whatever the product is there.
        Value t = l.add(laneRow, instruction.c[core].row), s = l.add(laneColumn, instruction.n * half + e);
        Value counts = l.less(s, score.before ? t : l.add(t, 1));
        Value sum = sums[half][2 * core + e];
        Value there = across ? l.mulf(sum, across) : sum;
        Value here = l.select(counts, inside ? l.mulf(sum, inside) : sum, l.f32(0));
        scaled[e] = l.select(diagonal, here, there);
      }
      Value t = l.add(row, l.add(laneRow, instruction.c[core].row));
      Value unit = l.add(l.shl(j, 1), half);
      unit = l.bitXor(unit, l.bitAnd(l.shr(t, to.shift()), to.mask()));
      Value offset = l.add(l.add(chunk.scores, l.mul(t, to.rowBytes())), l.add(l.shl(unit, 4), l.shl(laneColumn, 1)));
      l.storeShared(l.pack(scaled[0], scaled[1]), offset, to.offset);
    }
  }
}
