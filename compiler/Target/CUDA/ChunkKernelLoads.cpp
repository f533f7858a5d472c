// Copies of a chunk's rows to shared memory, and the reading of matrix operands from there.
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

void ChunkKernelEmitter::emitLoads(const ChunkAt &chunk) {
  for (auto [tile, shared] : llvm::zip(program.tiles, map.tiles))
    if (tile.make == Make::Staged)
      emitTileLoad(tile, shared, chunk);
  l.commitCopies();
}

void ChunkKernelEmitter::emitTileLoad(const Tile &tile, const SharedTile &shared, const ChunkAt &chunk) {
  const GlobalRows &rows = inputs[tile.input];
  int64_t units = shared.units(), all = shared.rows * units, threads = plan.threads();
  Value zero = l.i32(0), sixteen = l.i32(16);
  Value start = l.mul(l.wide(chunk.first), rows.stride), left = chunk.left;
  if (tile.role == Role::Value && transition)
    left = l.select(transition, zero, left);
  if (tile.role == Role::Value)
    start = l.add(start, l.wide(l.mul(valueStart, 2)));
  Value pointer = l.at(rows.base, start);
  auto copy = [&](Value index) {
    Value row = l.div(index, units), unit = l.rem(index, units);
    Value swizzled = l.bitXor(unit, swizzle(shared, row));
    Value to =
        l.add(l.add(chunk.stage, shared.offset), l.add(l.mul(row, shared.rowBytes()), unitOffset(shared, swizzled)));
    Value bytes = l.select(l.less(row, left), sixteen, zero);
    Value from = l.at(pointer, l.add(l.mul(l.wide(row), rows.stride), l.wide(l.shl(unit, 4))));
    l.copyAsync(to, from, bytes);
  };
  for (int64_t i = 0; i + threads <= all; i += threads)
    copy(l.add(thread, i));
  if (int64_t rest = all % threads) {
    auto some = scf::IfOp::create(b, l.loc, l.less(thread, l.i32(rest)), /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(some.thenBlock());
    copy(l.add(thread, all - rest));
  }
}

Value ChunkKernelEmitter::swizzle(const SharedTile &tile, Value row) {
  if (tile.inPanels && tile.units() >= 8)
    return l.bitAnd(row, 7);
  if (tile.units() >= 8)
    return l.bitAnd(l.bitXor(row, l.shr(l.i32(SharedTile::kFarRows), l.bitAnd(l.shr(row, 1), 12))), 7);
  return tile.units() == 4 ? l.bitAnd(l.shr(row, 1), 3) : l.bitAnd(l.shr(row, 2), 1);
}

/// How far a unit is from its row's first byte.
Value ChunkKernelEmitter::unitOffset(const SharedTile &tile, Value unit) {
  if (!tile.inPanels || tile.units() <= 8)
    return l.shl(unit, 4);
  return l.add(l.mul(l.shr(unit, 3), tile.panelBytes()), l.shl(l.bitAnd(unit, 7), 4));
}

/// A lane gives the address of row lane % 8 of core lane / 8. Cores go first along the rows of the tile, or along its columns.
Value ChunkKernelEmitter::laneOffset(const SharedTile &tile, bool rowsFirst) {
  Value &offset = laneOffsets[{tile.columns, 2 * tile.inPanels + rowsFirst}];
  if (offset)
    return offset;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointAfter(lane.getDefiningOp());
  Value odd = l.bitAnd(l.shr(lane, 3), 1), late = l.shr(lane, 4);
  Value row = l.add(l.bitAnd(lane, 7), l.shl(rowsFirst ? odd : late, 3));
  Value unit = l.bitXor(rowsFirst ? late : odd, swizzle(tile, row));
  return offset = l.add(l.mul(row, tile.rowBytes()), l.shl(unit, 4));
}

SmallVector<Value> ChunkKernelEmitter::loadBlock(const SharedTile &tile, Value base, Value row, int64_t rowConstant,
                                                 int64_t column, bool rowsFirst, bool transposed) {
  // Units are exchanged inside 128 bytes, by what the low bits of the row say: whole blocks further on only add.
  Value offset = l.bitXor(laneOffset(tile, rowsFirst), (2 * column) % 128 ^ tile.swizzle(rowConstant) << 4);
  if (row)
    offset = l.bitXor(offset, l.shl(swizzle(tile, row), 4));
  offset = l.add(base, offset);
  if (row)
    offset = l.add(offset, l.mul(row, tile.rowBytes()));
  return l.loadCores(offset, tile.offset + rowConstant * tile.rowBytes() + tile.panelsBefore(column), transposed);
}
