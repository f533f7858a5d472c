// Tiles that are computed: the spec's own maps of rows, and rows times products of a decay along the keys. A thread has two columns of
// a group of successive steps, multiplies along them, and gets what lies in other groups from other lanes of its warp. Every product is
// a product of the decays themselves, forwards from the middle of a block or backwards up to it: exact at 0, never divided.
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

using Two = std::array<Value, 2>;

void ChunkKernelEmitter::emitRows(const ChunkAt &chunk) {
  int64_t columns = 0;
  for (const Tile &tile : program.tiles)
    if (tile.role == Role::Key)
      columns = std::max(columns, tile.columns);
  int64_t pairs = columns / 2, groups = std::clamp<int64_t>(plan.threads() / pairs, 1, 4);
  RowThread at;
  Value lane = l.same(this->lane);
  at.groups = groups;
  at.rows = plan.chunk / groups;
  at.lanes = 32 / groups;
  at.group = l.div(lane, at.lanes);
  at.first = l.mul(at.group, at.rows);
  int64_t perPass = plan.warps * at.lanes;
  for (int64_t first = 0; first < pairs; first += perPass) {
    OpBuilder::InsertionGuard guard(b);
    Value pair = l.add(l.add(l.mul(warp, at.lanes), l.rem(lane, at.lanes)), first);
    if (first + perPass > pairs) { // whole warps: their lanes need each other
      auto some =
          scf::IfOp::create(b, l.loc, l.less(l.mul(warp, at.lanes), l.i32(pairs - first)), /*withElseRegion=*/false);
      b.setInsertionPointToStart(some.thenBlock());
    }
    at.column = l.shl(pair, 1);
    at.bytes = l.shl(pair, 2);
    emitRowsOf(at, chunk);
  }
}

void ChunkKernelEmitter::emitRowsOf(const RowThread &at, const ChunkAt &chunk) {
  decayCache.clear();
  rowCache.clear();
  for (auto [tile, shared] : llvm::zip(program.tiles, map.tiles)) {
    if (tile.make == Make::Staged || !tile.kept)
      continue;
    Rows rows = makeRows(tile, at, chunk);
    if (shared.inPanels && shared.units() >= 8 && at.groups > 1 && at.rows % 8 == 0) {
      storeInTurns(shared, rows, at);
      continue;
    }
    for (auto [r, row] : llvm::enumerate(rows))
      if (row[0]) // the half of a level tile that nothing is in is left
        l.storeShared(l.pack(row[0], row[1]), rowOffset(shared, r, at), shared.offset + r * shared.rowBytes());
  }
  for (auto [decay, total] : llvm::zip(program.keyDecays, map.totals)) {
    DecayRows rows = decayRows(decay, at, chunk);
    Two others = across(rows, /*above=*/false, at.groups, at);
    Value two = l.pair(l.mulf(rows.total[0], others[0]), l.mulf(rows.total[1], others[1]));
    auto first = scf::IfOp::create(b, l.loc, l.less(at.group, l.i32(1)), /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(first.thenBlock());
    l.storeShared(two, l.shl(at.column, 2), total);
  }
}

/// Rows 8 apart have one swizzle in panels, so that groups that store the same of their rows would meet in the same banks: each begins
/// with another one of its eight rows.
void ChunkKernelEmitter::storeInTurns(const SharedTile &to, const Rows &rows, const RowThread &at) {
  const int64_t units = at.lanes / 4; // that a group stores of a row
  SmallVector<Value> packed;
  for (auto [low, high] : rows)
    packed.push_back(l.pack(low, high));
  for (int64_t by = units, bit = 0; by < 8; by *= 2, ++bit) {
    Value other = l.equal(l.bitAnd(l.shr(at.group, bit), 1), l.i32(1));
    SmallVector<Value> turned;
    for (int64_t r = 0; r < at.rows; ++r)
      turned.push_back(l.select(other, packed[r ^ by], packed[r]));
    packed = std::move(turned);
  }
  Value turn = l.mul(at.group, units);
  Value start = l.add(l.mul(at.first, to.rowBytes()), l.mul(l.shr(at.bytes, 7), to.panelBytes()));
  Value first = l.bitXor(l.bitAnd(at.bytes, 127), l.bitXor(l.shl(turn, 4), l.shl(turn, 7)));
  for (int64_t r = 0; r < at.rows; ++r)
    l.storeShared(packed[r], l.add(start, l.bitXor(first, r % 8 << 4 | r % 8 << 7)),
                  to.offset + r / 8 * 8 * to.rowBytes());
}

/// Without the constant part, which is `row` times the bytes of a row.
Value ChunkKernelEmitter::rowOffset(const SharedTile &tile, int64_t row, const RowThread &at) {
  const bool isWide = tile.inPanels && tile.units() > 8;
  Value bytes = l.bitXor(isWide ? l.bitAnd(at.bytes, 127) : at.bytes, l.shl(swizzle(tile, at.first), 4));
  Value start = l.mul(at.first, tile.rowBytes());
  if (isWide)
    start = l.add(start, l.mul(l.shr(at.bytes, 7), tile.panelBytes()));
  return l.add(start, l.bitXor(bytes, tile.swizzle(row) << 4));
}

/// The rows of a value; `beyond` stands for those behind the end.
ChunkKernelEmitter::Rows ChunkKernelEmitter::rowsOf(Value value, const RowThread &at, const ChunkAt &chunk,
                                                    double beyond) {
  Rows &rows = rowCache[value];
  if (!rows.empty())
    return rows;
  Rows made;
  for (int64_t r = 0; r < at.rows; ++r) {
    Loaded loaded;
    auto leaf = [&](Value leaf, int64_t which) -> Value {
      if (Value scalar = scalars.lookup(leaf))
        return scalar;
      if (isPerStep(leaf))
        return l.loadShared(b.getF32Type(),
                            l.add(slotOffset(StepFactor::of(leaf), {}, Partial::None, chunk), l.shl(at.first, 2)),
                            4 * r);
      int64_t tile = program.tileOf(leaf, Role::Key);
      if (tile < 0)
        return keyParam(cast<BlockArgument>(leaf), l.add(at.column, which));
      Value pair = l.loadShared(b.getI32Type(), l.add(tileBase(tile, chunk), rowOffset(map.tiles[tile], r, at)),
                                map.tiles[tile].offset + r * map.tiles[tile].rowBytes());
      Two two = l.unpack(pair);
      loaded[leaf] = {two[0], two[1], {}, {}, {}, {}, {}, {}};
      return two[which];
    };
    Value valid = l.less(l.add(at.first, r), chunk.left);
    Two row;
    for (int64_t which : {0, 1})
      row[which] = l.select(valid, rowElement(value, which, loaded, leaf), l.f32(beyond));
    made.push_back(row);
  }
  return rowCache[value] = made;
}

ChunkKernelEmitter::DecayRows ChunkKernelEmitter::decayRows(Value decay, const RowThread &at, const ChunkAt &chunk) {
  if (auto known = decayCache.find(decay); known != decayCache.end())
    return known->second;
  DecayRows rows;
  rows.values = rowsOf(decay, at, chunk, 1);
  Two one = {l.f32(1), l.f32(1)};
  auto times = [&](Two x, Two y) -> Two { return {l.mulf(x[0], y[0]), l.mulf(x[1], y[1])}; };
  rows.through.resize(at.rows);
  rows.after.resize(at.rows);
  for (int64_t r = 0; r < at.rows; ++r)
    rows.through[r] = r ? times(rows.through[r - 1], rows.values[r]) : rows.values[r];
  for (int64_t r = at.rows - 1; r >= 0; --r)
    rows.after[r] = r + 1 < at.rows ? times(rows.after[r + 1], rows.values[r + 1]) : one;
  rows.total = rows.through.back();
  for (int64_t by = 1; by < at.groups; ++by) {
    auto move = [&](bool up) -> Two {
      Two moved;
      for (int64_t i : {0, 1})
        moved[i] = up ? l.shuffleUp(rows.total[i], by * at.lanes, 32) : l.shuffleDown(rows.total[i], by * at.lanes, 32);
      return moved;
    };
    rows.above.push_back(move(true));
    rows.below.push_back(move(false));
  }
  decayCache[decay] = rows;
  return rows;
}

/// The product of the totals of the groups before (above) or behind the thread's own, among `groups` that belong together.
Two ChunkKernelEmitter::across(const DecayRows &decay, bool above, int64_t groups, const RowThread &at) {
  Two product = {l.f32(1), l.f32(1)};
  Value inside = l.rem(at.group, groups);
  for (int64_t by = 1; by < groups; ++by) {
    Value counts = above ? l.less(l.i32(by - 1), inside) : l.less(l.add(inside, by), l.i32(groups));
    const Two &total = (above ? decay.above : decay.below)[by - 1];
    for (int64_t i : {0, 1})
      product[i] = l.mulf(product[i], l.select(counts, total[i], l.f32(1)));
  }
  return product;
}

ChunkKernelEmitter::Rows ChunkKernelEmitter::makeRows(const Tile &tile, const RowThread &at, const ChunkAt &chunk) {
  if (tile.make == Make::Plain)
    return rowsOf(tile.value, at, chunk, 0);
  DecayRows decay = decayRows(tile.decay, at, chunk);
  if (tile.make == Make::Level)
    return makeLevel(tile, decay, at, chunk);
  Rows rows = rowsOf(tile.value, at, chunk, 0);
  Two others = across(decay, tile.make != Make::After, at.groups, at);
  for (int64_t r = 0; r < at.rows; ++r)
    for (int64_t i : {0, 1}) {
      Value product = others[i];
      if (tile.make == Make::Through)
        product = l.mulf(product, decay.through[r][i]);
      else if (tile.make == Make::After)
        product = l.mulf(product, decay.after[r][i]);
      else if (r)
        product = l.mulf(product, decay.through[r - 1][i]);
      rows[r][i] = l.mulf(rows[r][i], product);
    }
  return rows;
}

ChunkKernelEmitter::Rows ChunkKernelEmitter::makeLevel(const Tile &tile, const DecayRows &decay, const RowThread &at,
                                                       const ChunkAt &chunk) {
  Rows keys = rowsOf(tile.value ? tile.value : tile.queries, at, chunk, 0);
  Rows queries = rowsOf(tile.queries ? tile.queries : tile.value, at, chunk, 0), rows(at.rows);
  int64_t level = tile.level;
  if (level >= at.rows) { // a group of steps is in one half
    int64_t groups = level / at.rows;
    Value later = l.equal(l.rem(l.div(at.group, groups), 2), l.i32(1));
    Two above = across(decay, true, groups, at), below = across(decay, false, groups, at);
    for (int64_t r = 0; r < at.rows; ++r)
      for (int64_t i : {0, 1}) {
        Value forward = !tile.before ? l.mulf(above[i], decay.through[r][i])
                        : r          ? l.mulf(above[i], decay.through[r - 1][i])
                                     : above[i];
        Value backward = l.mulf(below[i], decay.after[r][i]);
        rows[r][i] = l.mulf(l.select(later, queries[r][i], keys[r][i]), l.select(later, forward, backward));
      }
    return rows;
  }
  for (int64_t start = 0; start < at.rows; start += level)
    for (int64_t i : {0, 1}) {
      Value product;
      auto grow = [&](Value by) { product = product ? l.mulf(product, by) : by; };
      bool later = (start / level) % 2;
      if (!(later ? tile.queries : tile.value))
        continue;
      if (later) { // from the middle on
        for (int64_t r = start; r < start + level; ++r) {
          if (!tile.before)
            grow(decay.values[r][i]);
          rows[r][i] = product ? l.mulf(queries[r][i], product) : queries[r][i];
          if (tile.before)
            grow(decay.values[r][i]);
        }
        continue;
      }
      for (int64_t r = start + level - 1; r >= start; --r) {
        rows[r][i] = product ? l.mulf(keys[r][i], product) : keys[r][i];
        grow(decay.values[r][i]);
      }
    }
  return rows;
}
