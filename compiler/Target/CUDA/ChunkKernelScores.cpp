// Blocks of 16 x 16 scores, shared out to the warps; those above the diagonal are never computed nor read. A block of one query and
// key product is scaled by what decays between the two blocks, a number per row, one per column and one for both; inside a block by the
// table of pairs.
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

void ChunkKernelEmitter::emitScores(const ChunkAt &chunk) {
  int64_t blocks = plan.blocks(), all = blocks * (blocks + 1) / 2;
  int64_t first = 0;
  for (; first + plan.warps <= all; first += plan.warps)
    emitScoreShare(l.add(warp, first), chunk);
  if (first == all)
    return;
  // What is left goes to the last warps: the first ones have the gates.
  int64_t idle = plan.warps - (all - first);
  auto some = scf::IfOp::create(b, l.loc, l.less(l.i32(idle - 1), warp), /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(some.thenBlock());
  emitScoreShare(l.add(warp, first - idle), chunk);
}

/// One block of each score, counted row by row below the diagonal.
void ChunkKernelEmitter::emitScoreShare(Value index, const ChunkAt &chunk) {
  Value i = l.i32(0);
  for (int64_t r = 1; r < plan.blocks(); ++r)
    i = l.add(i, l.select(l.less(index, l.i32(r * (r + 1) / 2)), l.i32(0), l.i32(1)));
  Value j = l.sub(index, l.shr(l.mul(i, l.add(i, 1)), 1));
  SmallVector<ScoreBlock> products;
  if (!program.levelProducts.empty())
    products = multiplyLevels(i, j, chunk);
  for (auto [number, score] : llvm::enumerate(program.scores)) {
    const ScoreBlock sums = score.levels ? products[program.productOf(score)]
                                         : multiplyTiles({{score.query.tile, score.key.tile}}, {}, i, j, chunk).front();
    emitScoreBlock(number, sums, i, j, chunk);
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

void ChunkKernelEmitter::emitScoreBlock(int64_t index, const ScoreBlock &sums, Value i, Value j, const ChunkAt &chunk) {
  const Score &score = program.scores[index];
  ScoreBlock scaled = scaleBlock(score, sums, i, j, chunk);
  storeBlock(map.scores[index], scaled, i, j, chunk);
  if (program.twoTerms)
    storeBlock(map.scoreRests[index], scaled, i, j, chunk, /*rest=*/true);
  for (auto [solve, inverse] : llvm::zip(program.solves, map.inverses))
    if (program.scoreOf(chunk::SolveOp(solve).getMatrix()) == index)
      invertBlock(inverse, scaled, i, j, chunk);
}

/// Where a tile lies: staged ones in the chunk's stage, computed ones in one place.
Value ChunkKernelEmitter::tileBase(int64_t tile, const ChunkAt &chunk) {
  return program.tiles[tile].make == Make::Staged ? chunk.stage : l.i32(0);
}

/// The factors of a lane's rows (one per core) and columns (two per half) out of slots; null for 1.
ChunkKernelEmitter::BlockFactors ChunkKernelEmitter::loadFactors(Value rowSlot, Value columnSlot, Value i, Value j) {
  BlockFactors factors;
  if (rowSlot)
    for (int64_t core : {0, 1})
      factors.rows[core] = l.loadShared(b.getF32Type(), l.add(rowSlot, l.shl(l.add(l.shl(i, 4), l.shr(lane, 2)), 2)),
                                        4 * instruction.c[core].row);
  if (columnSlot)
    for (int64_t half : {0, 1}) {
      Value first = l.add(l.shl(j, 4), l.shl(l.bitAnd(lane, 3), 1));
      Value two = l.loadShared(VectorType::get(2, b.getF32Type()), l.add(columnSlot, l.shl(first, 2)),
                               4 * instruction.n * half);
      for (int64_t e : {0, 1})
        factors.columns[2 * half + e] = l.part(two, e);
    }
  return factors;
}

ChunkKernelEmitter::ScoreBlock ChunkKernelEmitter::scaleBlock(const Score &score, const ScoreBlock &sums, Value i,
                                                              Value j, const ChunkAt &chunk) {
  auto times = [&](Value x, Value y) { return !x ? y : !y ? x : l.mulf(x, y); };
  const StepFactor &query = score.query.factor, &key = score.key.factor;
  BlockFactors inside =
      loadFactors(slotOffset(query, {}, Partial::None, chunk), slotOffset(key, {}, Partial::None, chunk), i, j);
  BlockFactors across = inside;
  Value gap, pairs, laneRow = l.shr(lane, 2), laneColumn = l.shl(l.bitAnd(lane, 3), 1), diagonal = l.equal(i, j);
  int64_t table = 0;
  if (score.decay) {
    across = loadFactors(slotOffset(query, score.decay, score.before ? Partial::Before : Partial::Through, chunk),
                         slotOffset(key, score.decay, Partial::After, chunk), i, j);
    gap = between(score, i, j, chunk);
    pairs = l.add(chunk.tables, l.add(l.mul(i, SharedMap::kPairBytes), l.add(l.shl(laneRow, 6), l.shl(laneColumn, 2))));
    table = map.pairsAt(program.decayOf(score.decay)) + (score.before ? 0 : 4 * kBlock);
  }
  ScoreBlock scaled;
  for (int64_t core : {0, 1})
    for (int64_t half : {0, 1}) {
      const Core &at = instruction.c[core];
      Value both;
      if (score.decay)
        both = l.loadShared(VectorType::get(2, b.getF32Type()), pairs,
                            table + 4 * (kBlock * at.row + instruction.n * half));
      for (int64_t e : {0, 1}) {
        Value here = times(inside.rows[core], inside.columns[2 * half + e]);
        Value there = times(times(across.rows[core], gap), across.columns[2 * half + e]);
        if (both)
          here = times(here, l.part(both, e));
        // Above the diagonal there are zeros, whatever the product is there.
        Value t = l.add(laneRow, at.row), s = l.add(laneColumn, instruction.n * half + e),
              sum = sums[half][2 * core + e];
        Value counts = l.less(s, score.before ? t : l.add(t, 1));
        scaled[half][2 * core + e] =
            l.select(diagonal, l.select(counts, times(sum, here), l.f32(0)), times(sum, there));
      }
    }
  return scaled;
}

void ChunkKernelEmitter::storeBlock(const SharedTile &to, const ScoreBlock &block, Value i, Value j,
                                    const ChunkAt &chunk, bool rest) {
  for (int64_t core : {0, 1})
    for (int64_t half : {0, 1}) {
      Value t = l.add(l.shl(i, 4), l.add(l.shr(lane, 2), instruction.c[core].row));
      Value unit = l.add(l.shl(j, 1), half);
      unit = l.bitXor(unit, swizzle(to, t));
      Value offset =
          l.add(l.add(chunk.scores, l.mul(t, to.rowBytes())), l.add(unitOffset(to, unit), l.shl(l.bitAnd(lane, 3), 2)));
      Value low = block[half][2 * core], high = block[half][2 * core + 1], two = l.pack(low, high);
      l.storeShared(rest ? l.packRest(low, high, two) : two, offset, to.offset);
    }
}

/// (I - M)⁻¹ - I of a block on the diagonal, by substitution in f32: one lane per column. (By products of powers of M it would be
/// faster and wrong: keys that repeat make powers whose entries are thousands and cancel.)
void ChunkKernelEmitter::invertBlock(const SharedTile &to, const ScoreBlock &block, Value i, Value j,
                                     const ChunkAt &chunk) {
  auto some = scf::IfOp::create(b, l.loc, l.equal(i, j), /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(some.thenBlock());
  Value scratch = l.mul(i, SharedMap::kScratchBytes);
  for (int64_t core : {0, 1})
    for (int64_t half : {0, 1}) {
      Value two = l.pair(block[half][2 * core], block[half][2 * core + 1]);
      Value offset = l.add(scratch, l.add(l.shl(l.shr(lane, 2), 6), l.shl(l.bitAnd(lane, 3), 3)));
      l.storeShared(two, offset, map.scratchAt + 64 * instruction.c[core].row + 4 * instruction.n * half);
    }
  l.syncWarp();
  Value column = l.bitAnd(lane, kBlock - 1), row = l.shl(i, 4);
  SmallVector<Value> x;
  for (int64_t t = 0; t < kBlock; ++t) {
    Value sum = l.f32(0);
    for (int64_t s = 0; s < t; s += 4) {
      Value four = l.loadShared(VectorType::get(4, b.getF32Type()), scratch, map.scratchAt + 64 * t + 4 * s);
      for (int64_t e = 0; e < 4 && s + e < t; ++e)
        sum = l.fma(l.part(four, e), x[s + e], sum);
    }
    Value unit = l.bitXor(l.shr(column, 3), to.swizzle(t));
    Value offset =
        l.add(l.add(chunk.scores, l.mul(row, to.rowBytes())), l.add(l.shl(unit, 4), l.shl(l.bitAnd(column, 7), 1)));
    l.storeShared(arith::TruncFOp::create(b, l.loc, l.element, sum), offset, to.offset + t * to.rowBytes());
    x.push_back(l.select(l.equal(column, l.i32(t)), l.f32(1), sum));
  }
  l.syncWarp();
}
