// Products of four warps at once (wgmma), where a plan has them: what states are read by, what enters them, and scores times columns. The
// 64 rows are columns of the value axis, 16 of each warp, as a single warp's product has them, so that accumulators and operands A are
// the same registers as there. Operand B, which all columns share, is read from shared memory once for four warps, and a product has all
// steps of a chunk, or all keys, at once.
//
// Scores above the diagonal are in such products, as zeros.
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

/// Descriptors of a tile as operand B, 16 steps of the sum each. The sum goes along the tile's columns, or, transposed, along its rows.
SmallVector<Value> ChunkKernelEmitter::describeTile(const SharedTile &tile, Value base, bool transposed) {
  // PTX ISA, "matrix descriptor": what eight rows take, from one to the next; of wide rows, columns in panels.
  const int64_t swizzle = tile.units() >= 8 ? 1 : tile.units() == 4 ? 2 : 3;
  const int64_t eightRows = 8 * tile.rowBytes(), leading = transposed ? tile.panelBytes() : 16;
  const int64_t layout = swizzle << 62 | eightRows / 16 << 32 | leading / 16 << 16;
  SmallVector<Value> described;
  for (int64_t k = 0; k < (transposed ? tile.rows : tile.columns); k += kBlock)
    described.push_back(l.describe(
        base, tile.offset + (transposed ? k * tile.rowBytes() : tile.panelsBefore(k) + 2 * k % 128), layout));
  return described;
}

/// What a state is read by, for all blocks of steps, and what such products are made of: with scores that columns are multiplied by, and
/// with those columns, too.
ChunkKernelEmitter::GroupOperands ChunkKernelEmitter::operandsOf(const Read &read, const ChunkAt &chunk) {
  const SharedTile &queries = map.tiles[read.query.tile];
  GroupOperands operands{SmallVector<SmallVector<SmallVector<Value>>>(plan.columnTiles()),
                         describeTile(queries, tileBase(read.query.tile, chunk), /*transposed=*/false)};
  const int64_t across = queries.columns / kBlock;
  for (int64_t tile = 0; tile < plan.columnTiles(); ++tile)
    if (packsLate())
      operands.as[tile] = pack(ArrayRef<Accumulator>(startStates[read.state]).slice(2 * tile * across, 2 * across));
    else
      operands.as[tile].assign(packedStates[read.state].begin() + tile * across,
                               packedStates[read.state].begin() + (tile + 1) * across);
  return operands;
}

void ChunkKernelEmitter::addOperands(recur::ContractOp apply, const ChunkAt &chunk, GroupOperands &operands) {
  for (int64_t from = 0; from < plan.blocks(); ++from)
    for (auto [tile, packed] : llvm::enumerate(packedColumns(apply.getOperand(1), from, chunk)))
      operands.as[tile].push_back(packed);
  const SharedTile &scores = map.scores[program.scoreOf(apply.getOperand(0))];
  operands.bs.append(describeTile(scores, chunk.scores, /*transposed=*/false));
}

/// Their products, added to `sums`, which may begin as zeros.
void ChunkKernelEmitter::multiplyGrouped(const GroupOperands &operands, MutableArrayRef<Columns> sums, bool fromZeros) {
  for (int64_t tile = 0; tile < plan.columnTiles(); ++tile) {
    SmallVector<Accumulator> into;
    for (const Columns &sum : sums)
      if (!fromZeros)
        into.append({sum[2 * tile], sum[2 * tile + 1]});
    into = l.startGroup(operands.as[tile], operands.bs, /*transposed=*/false, 2 * plan.blocks(), into);
    l.finishGroups(into);
    for (auto [i, sum] : llvm::enumerate(into))
      sums[i / 2][2 * tile + i % 2] = sum;
  }
}

/// A state is read beside the scores where registers hold that: where only one is read, of one tile of columns.
void ChunkKernelEmitter::startRead(const ChunkAt &chunk) {
  startedRead.clear();
  if (!plan.warpgroups || program.reads.size() != 1 || plan.columnTiles() > 1 || packsLate())
    return;
  packStates();
  const GroupOperands operands = operandsOf(program.reads.front(), chunk);
  startedRead = l.startGroup(operands.as.front(), operands.bs, /*transposed=*/false, 2 * plan.blocks(), {});
}

void ChunkKernelEmitter::readGrouped(const Read &read, const ChunkAt &chunk) {
  SmallVector<Columns> sums(plan.blocks(), Columns(2 * plan.columnTiles()));
  if (startedRead.empty())
    multiplyGrouped(operandsOf(read, chunk), sums, /*fromZeros=*/true);
  else
    l.finishGroups(startedRead);
  for (auto [i, sum] : llvm::enumerate(startedRead))
    sums[i / 2][i % 2] = sum;
  for (int64_t block = 0; block < plan.blocks(); ++block) {
    scale(sums[block], factorOf(read.query.factor, block, chunk));
    columnCache[{recur::ContractOp(read.op).getResult(), block}] = sums[block];
  }
}

/// A sum with scores times columns in it, or those alone where `other` is null. What is read of a state and not scaled is in one product
/// with them.
void ChunkKernelEmitter::sumGrouped(Value value, Value other, recur::ContractOp apply, const ChunkAt &chunk) {
  const Read *read = other && !columnCache.contains({other, 0}) ? program.readOf(other) : nullptr;
  const bool inOne = read && read->query.factor.isOne() && startedRead.empty();
  SmallVector<Columns> sums(plan.blocks(), Columns(2 * plan.columnTiles()));
  for (int64_t block = 0; other && !inOne && block < plan.blocks(); ++block)
    sums[block] = columnsOf(other, block, chunk);
  GroupOperands operands{SmallVector<SmallVector<SmallVector<Value>>>(plan.columnTiles()), {}};
  if (inOne)
    operands = operandsOf(*read, chunk);
  addOperands(apply, chunk, operands);
  multiplyGrouped(operands, sums, /*fromZeros=*/inOne || !other);
  for (int64_t block = 0; block < plan.blocks(); ++block)
    columnCache[{value, block}] = sums[block];
}

/// States go on while outputs, which are computed before, are stored.
void ChunkKernelEmitter::startUpdates(const ChunkAt &chunk) {
  for (Value output : program.outputs)
    if (!groupedColumns(output))
      for (int64_t block = 0; block < plan.blocks(); ++block)
        columnsOf(output, block, chunk);
  for (size_t state = 0; state < states.size(); ++state)
    updateState(state, chunk);
}

void ChunkKernelEmitter::finishUpdates() {
  for (size_t state = 0; plan.warpgroups && state < states.size(); ++state)
    l.finishGroups(states[state]);
}

/// What enters a state by one tile of keys.
void ChunkKernelEmitter::updateGrouped(State &accumulators, ArrayRef<Update> same, const ChunkAt &chunk) {
  const int64_t tile = same.front().key.tile, across = map.tiles[tile].columns / instruction.n;
  SmallVector<SmallVector<SmallVector<Value>>> as;
  for (int64_t block = 0; block < plan.blocks(); ++block)
    as.push_back(enteringColumns(same, block, chunk));
  SmallVector<Value> bs = describeTile(map.tiles[tile], tileBase(tile, chunk), /*transposed=*/true);
  for (int64_t i = 0; i < plan.columnTiles(); ++i) {
    SmallVector<SmallVector<Value>> ofTile;
    for (const auto &block : as)
      ofTile.push_back(block[i]);
    MutableArrayRef<Accumulator> sums = MutableArrayRef<Accumulator>(accumulators).slice(i * across, across);
    llvm::copy(l.startGroup(ofTile, bs, /*transposed=*/true, across, sums), sums.begin());
  }
}

/// What threads have written is seen by products of four warps behind the next barrier.
void ChunkKernelEmitter::barrierForGroups() {
  if (plan.warpgroups)
    l.fenceForGroups();
  l.barrier();
}
