// Products of rows that decay along the keys, level by level (Tile::level). Two blocks of 16 steps part at one level. Inside a block the pairs
// of a level are few: eight queries and eight keys. So these are gathered: the rows of the queries of two tiles are one operand, those of
// the keys of two tiles the other one, and a matrix instruction has nothing but queries that meet keys. Where pairs lie then is not where a
// block has them, so that they go through shared memory.
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

constexpr int64_t kLevels = 4; // inside a block of 16 steps

/// Products of blocks of rows, each row with those of the other tile; what several products read is loaded once. `offset` is added to
/// where tiles lie.
SmallVector<ChunkKernelEmitter::ScoreBlock>
ChunkKernelEmitter::multiplyTiles(ArrayRef<std::pair<int64_t, int64_t>> pairs, Value offset, Value i, Value j,
                                  const ChunkAt &chunk) {
  SmallVector<ScoreBlock> sums(pairs.size(), ScoreBlock{l.zeros(), l.zeros()});
  auto baseOf = [&](int64_t tile) {
    Value base = tileBase(tile, chunk);
    return offset ? l.add(base, offset) : base;
  };
  Value row = l.shl(i, 4), column = l.shl(j, 4);
  for (int64_t k = 0; k < map.tiles[pairs.front().first].columns; k += kBlock) {
    DenseMap<int64_t, SmallVector<Value>> as, bs;
    for (auto [sum, pair] : llvm::zip(sums, pairs)) {
      auto [queries, keys] = pair;
      auto &a = as[queries], &other = bs[keys];
      if (a.empty())
        a = loadBlock(map.tiles[queries], baseOf(queries), row, 0, k, /*rowsFirst=*/true, /*transposed=*/false);
      if (other.empty())
        other = loadBlock(map.tiles[keys], baseOf(keys), column, 0, k, /*rowsFirst=*/false, /*transposed=*/false);
      for (int64_t half : {0, 1})
        sum[half] = l.multiply(a, {other[2 * half], other[2 * half + 1]}, sum[half]);
    }
  }
  return sums;
}

/// The products of all scores with levels, for one block.
SmallVector<ChunkKernelEmitter::ScoreBlock> ChunkKernelEmitter::multiplyLevels(Value i, Value j, const ChunkAt &chunk) {
  const size_t count = program.levelProducts.size();
  auto diagonal = scf::IfOp::create(b, l.loc, SmallVector<Type>(8 * count, b.getF32Type()), l.equal(i, j),
                                    /*addThenBlock=*/true, /*addElseBlock=*/true);
  auto yield = [&](ArrayRef<ScoreBlock> blocks) {
    SmallVector<Value> values;
    for (const ScoreBlock &block : blocks)
      for (const Accumulator &half : block)
        values.append(half.begin(), half.end());
    scf::YieldOp::create(b, l.loc, values);
  };
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(diagonal.thenBlock());
    yield(multiplyDiagonal(i, chunk));
    b.setInsertionPointToStart(diagonal.elseBlock());
    yield(multiplyAcross(i, j, chunk));
  }
  SmallVector<ScoreBlock> sums(count);
  for (size_t p = 0; p < count; ++p)
    for (int64_t r = 0; r < 8; ++r)
      sums[p][r / 4][r % 4] = diagonal.getResult(8 * p + r);
  return sums;
}

/// The products of one decay are computed together.
SmallVector<SmallVector<size_t>> ChunkKernelEmitter::productsByDecay() const {
  llvm::MapVector<Value, SmallVector<size_t>> groups;
  for (auto [p, product] : llvm::enumerate(program.levelProducts))
    groups[program.tiles[product.queryLevels].decay].push_back(p);
  SmallVector<SmallVector<size_t>> all;
  for (auto &[decay, group] : groups)
    all.push_back(std::move(group));
  return all;
}

SmallVector<ChunkKernelEmitter::ScoreBlock> ChunkKernelEmitter::multiplyAcross(Value i, Value j, const ChunkAt &chunk) {
  SmallVector<ScoreBlock> sums(program.levelProducts.size());
  for (ArrayRef<size_t> group : productsByDecay()) {
    // The levels of a side lie behind each other: the level is an offset, the same for both sides.
    const LevelProduct &any = program.levelProducts[group.front()];
    Value offset = l.i32(0);
    for (int64_t level = kLevels + 1; level < any.levels; ++level) {
      int64_t shift =
          level - kLevels; // blocks part at this level where they are in one group of 2 << shift, and not in one half
      Value apart = l.less(l.shr(j, shift), l.shr(i, shift));
      offset = l.select(apart, l.i32(shift * map.tiles[any.queryLevels].bytes()), offset);
    }
    SmallVector<std::pair<int64_t, int64_t>> pairs;
    for (size_t p : group)
      pairs.push_back({program.levelProducts[p].queryLevels + kLevels, program.levelProducts[p].keyLevels + kLevels});
    SmallVector<ScoreBlock> made = multiplyTiles(pairs, offset, i, j, chunk);
    for (auto [p, block] : llvm::zip(group, made))
      sums[p] = block;
  }
  return sums;
}

/// The row of a lane's number 0 ... 7 among those of a level: of the first or of the second half of each 2 << bit rows.
static Value spread(Lanes &l, Value number, int64_t bit, bool later) {
  Value high = l.shl(l.shr(number, bit), bit + 1), low = l.bitAnd(number, (1 << bit) - 1);
  Value row = bit ? l.add(high, low) : high;
  return later ? l.add(row, 1 << bit) : row;
}

/// Whether the keys of one tile alone make an operand of 32 of their columns.
static bool isLong(const SharedTile &tile, std::array<int64_t, 2> keys) {
  return keys[0] == keys[1] && tile.columns % (2 * kBlock) == 0;
}

/// Where a lane's row of an operand begins, in tiles of level 1 << bit. Each eight lanes have a core: two tiles times two halves of 16 columns.
Value ChunkKernelEmitter::gatheredRow(std::array<int64_t, 2> tiles, int64_t bit, bool queries, Value i) {
  const SharedTile &tile = map.tiles[tiles[0]];
  Value lane = l.same(this->lane);
  Value odd = l.bitAnd(l.shr(lane, 3), 1), late = l.shr(lane, 4);
  Value second = queries ? odd : late, unit = queries ? late : odd;
  if (!queries && isLong(tile, tiles))
    unit = l.add(odd, l.shl(late, 1));
  Value row = l.add(spread(l, l.bitAnd(lane, 7), bit, queries), l.shl(i, 4));
  Value place = l.add(l.mul(row, tile.rowBytes()), l.shl(l.bitXor(unit, swizzle(tile, row)), 4));
  Value first = l.i32(map.tiles[tiles[0] + bit].offset);
  if (tiles[0] == tiles[1])
    return l.add(place, first);
  return l.add(place, l.select(l.equal(second, l.i32(0)), first, l.i32(map.tiles[tiles[1] + bit].offset)));
}

/// The pairs of all levels of up to two tiles of queries with up to two of keys: [bit][tile of keys].
SmallVector<std::array<Accumulator, 2>> ChunkKernelEmitter::multiplyGathered(std::array<int64_t, 2> queries,
                                                                             std::array<int64_t, 2> keys, Value i) {
  SmallVector<std::array<Accumulator, 2>> sums(kLevels, {l.zeros(), l.zeros()});
  SmallVector<Value> queryRows, keyRows;
  for (int64_t bit = 0; bit < kLevels; ++bit) {
    queryRows.push_back(gatheredRow(queries, bit, /*queries=*/true, i));
    keyRows.push_back(gatheredRow(keys, bit, /*queries=*/false, i));
  }
  auto load = [&](Value row, int64_t column) {
    return l.loadCores(l.bitXor(row, (2 * column) % 128), (2 * column) / 128 * 128, /*transposed=*/false);
  };
  const bool longKeys = isLong(map.tiles[keys[0]], keys);
  SmallVector<SmallVector<Value>> others(kLevels);
  for (int64_t k = 0; k < map.tiles[queries[0]].columns; k += kBlock)
    for (int64_t bit = 0; bit < kLevels; ++bit) {
      const int64_t from = longKeys ? k % (2 * kBlock) / 8 : 0;
      SmallVector<Value> a = load(queryRows[bit], k);
      if (from == 0)
        others[bit] = load(keyRows[bit], k);
      for (int64_t side = 0; side < (keys[0] == keys[1] ? 1 : 2); ++side)
        sums[bit][side] =
            l.multiply(a, {others[bit][from + 2 * side], others[bit][from + 2 * side + 1]}, sums[bit][side]);
    }
  return sums;
}

/// One product's pairs, of query number `query` in the operand, as a block has them. What is above the diagonal is left as it was.
ChunkKernelEmitter::ScoreBlock ChunkKernelEmitter::placePairs(ArrayRef<std::array<Accumulator, 2>> sums, int64_t query,
                                                              int64_t key, Value i) {
  Value lane = l.same(this->lane);
  Value scratch = l.mul(i, SharedMap::kScratchBytes), row = l.shr(lane, 2), pair = l.bitAnd(lane, 3);
  auto store = [&](Value meets, Value number, Value from, Value to) {
    auto some = scf::IfOp::create(b, l.loc, meets, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(some.thenBlock());
    l.storeShared(number, l.add(scratch, l.add(l.shl(to, 6), l.shl(from, 2))), map.scratchAt);
  };
  for (int64_t bit = 0; bit < kLevels; ++bit) {
    const Accumulator &sum = sums[bit][key];
    Value low = sum[2 * query], high = sum[2 * query + 1], to = spread(l, row, bit, true);
    if (bit == 0) { // a query meets the key before it
      Value isOdd = l.equal(l.bitAnd(row, 1), l.i32(1));
      store(l.equal(l.shr(row, 1), pair), l.select(isOdd, high, low), spread(l, row, bit, false), to);
    } else { // two neighbours
      Value meets = l.equal(l.shr(row, bit), l.shr(pair, bit - 1));
      store(meets, l.pair(low, high), spread(l, l.shl(pair, 1), bit, false), to);
    }
  }
  l.syncWarp();
  ScoreBlock block;
  for (int64_t core : {0, 1})
    for (int64_t half : {0, 1}) {
      Value two = l.loadShared(VectorType::get(2, b.getF32Type()), l.add(scratch, l.add(l.shl(row, 6), l.shl(pair, 3))),
                               map.scratchAt + 64 * instruction.c[core].row + 4 * instruction.n * half);
      for (int64_t e : {0, 1})
        block[half][2 * core + e] = l.part(two, e);
    }
  l.syncWarp();
  return block;
}

/// The products of a block with itself: pairs of two steps by levels, and a step with itself by the rows as they are.
SmallVector<ChunkKernelEmitter::ScoreBlock> ChunkKernelEmitter::multiplyDiagonal(Value i, const ChunkAt &chunk) {
  SmallVector<ScoreBlock> blocks(program.levelProducts.size());
  for (ArrayRef<size_t> group : productsByDecay()) {
    llvm::SetVector<int64_t> queries, keys;
    for (size_t p : group) {
      queries.insert(program.levelProducts[p].queryLevels);
      keys.insert(program.levelProducts[p].keyLevels);
    }
    auto two = [](const llvm::SetVector<int64_t> &all, size_t first) {
      return std::array<int64_t, 2>{all[first], all[std::min(first + 1, all.size() - 1)]};
    };
    for (size_t q = 0; q < queries.size(); q += 2)
      for (size_t k = 0; k < keys.size(); k += 2) {
        std::array<int64_t, 2> rows = two(queries, q), columns = two(keys, k);
        auto here = [](std::array<int64_t, 2> tiles, int64_t tile) {
          return tiles[0] == tile ? 0 : tiles[1] == tile ? 1 : -1;
        };
        SmallVector<std::array<Accumulator, 2>> sums;
        for (size_t p : group) {
          const LevelProduct &product = program.levelProducts[p];
          int64_t query = here(rows, product.queryLevels), key = here(columns, product.keyLevels);
          if (query < 0 || key < 0)
            continue;
          if (sums.empty())
            sums = multiplyGathered(rows, columns, i);
          blocks[p] = placePairs(sums, query, key, i);
        }
      }
  }
  addOwnSteps(blocks, i, chunk);
  return blocks;
}

/// The diagonal of the products in which a step meets itself.
void ChunkKernelEmitter::addOwnSteps(MutableArrayRef<ScoreBlock> blocks, Value i, const ChunkAt &chunk) {
  Value laneRow = l.shr(lane, 2), laneColumn = l.shl(l.bitAnd(lane, 3), 1);
  for (ArrayRef<size_t> group : productsByDecay()) {
    SmallVector<std::pair<int64_t, int64_t>> pairs;
    SmallVector<size_t> numbers;
    for (size_t p : group)
      if (const LevelProduct &product = program.levelProducts[p]; !product.before) {
        pairs.push_back({product.query, product.key});
        numbers.push_back(p);
      }
    if (pairs.empty())
      continue;
    SmallVector<ScoreBlock> own = multiplyTiles(pairs, {}, i, i, chunk);
    for (auto [p, block] : llvm::zip(numbers, own))
      for (int64_t half : {0, 1})
        for (int64_t r = 0; r < 4; ++r) {
          Value t = l.add(laneRow, instruction.c[r / 2].row), s = l.add(laneColumn, instruction.n * half + r % 2);
          blocks[p][half][r] = l.select(l.equal(t, s), block[half][r], blocks[p][half][r]);
        }
  }
}
