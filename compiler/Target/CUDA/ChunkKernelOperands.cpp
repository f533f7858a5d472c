// Operands of products: accumulators rounded to 16 bits, and scores out of shared memory. In a program with `twoTerms` each is the sum of
// what is rounded and of what that leaves, rounded too: 16 significant bits of bf16, 22 of f16. Of the products of such sums the smallest
// is left out. Rows have one term, since they are as exact as their tensor.
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

/// Accumulators as operands A, in pairs that lie beside each other: four registers, and four more where there is a second term.
SmallVector<SmallVector<Value>> ChunkKernelEmitter::pack(ArrayRef<Accumulator> columns) {
  SmallVector<SmallVector<Value>> packed;
  SmallVector<Chained> chained = *accumulatorsAsA(instruction);
  for (size_t i = 0; i < columns.size(); i += 2) {
    auto &a = packed.emplace_back();
    for (Chained from : chained) {
      const Accumulator &accumulator = columns[i + from.accumulator];
      a.push_back(l.pack(accumulator[2 * from.core], accumulator[2 * from.core + 1]));
    }
    for (int64_t core = 0; program.twoTerms && core < 4; ++core) {
      const Accumulator &accumulator = columns[i + chained[core].accumulator];
      a.push_back(l.packRest(accumulator[2 * chained[core].core], accumulator[2 * chained[core].core + 1], a[core]));
    }
  }
  return packed;
}

ChunkKernelEmitter::Columns ChunkKernelEmitter::unpack(ArrayRef<SmallVector<Value>> packed) {
  Columns columns;
  SmallVector<Chained> chained = *accumulatorsAsA(instruction);
  for (const SmallVector<Value> &a : packed) {
    Accumulator pair[2];
    for (auto [core, from] : llvm::zip(a, chained)) {
      auto [low, high] = l.unpack(core);
      pair[from.accumulator][2 * from.core] = low;
      pair[from.accumulator][2 * from.core + 1] = high;
    }
    columns.append({pair[0], pair[1]});
  }
  return columns;
}

/// Whether operands of a state are made as they are used. Of two terms, or of a transition beside the state, all would take as many
/// registers as the state.
bool ChunkKernelEmitter::packsLate() const { return program.twoTerms || plan.transitionTiles; }

/// The accumulators of the states, rounded to matrix elements.
void ChunkKernelEmitter::packStates() {
  startStates = states;
  packedStates.clear();
  for (const State &state : states)
    packedStates.push_back(packsLate() ? SmallVector<SmallVector<Value>>() : pack(state));
}

/// readColumns of all blocks and of all reads of a state at once, so that 16 keys of the state are an operand at a time.
void ChunkKernelEmitter::readLate(int64_t number, const ChunkAt &chunk) {
  ArrayRef<Accumulator> state(startStates[number]);
  SmallVector<const Read *> reads;
  for (const Read &read : program.reads)
    if (read.state == number)
      reads.push_back(&read);
  const Columns zeros(2 * plan.columnTiles(), l.zeros());
  SmallVector<SmallVector<Columns>> sums(reads.size(), SmallVector<Columns>(plan.blocks(), zeros));
  const int64_t across = program.states[number].keys / kBlock;
  for (int64_t k = 0; k < across; ++k) {
    SmallVector<SmallVector<Value>> a;
    for (int64_t tile = 0; tile < plan.columnTiles(); ++tile)
      llvm::append_range(a, pack(state.slice(2 * (tile * across + k), 2)));
    for (auto [read, ofRead] : llvm::zip(reads, sums))
      for (int64_t block = 0; block < plan.blocks(); ++block) {
        const int64_t tile = read->query.tile;
        Terms bs = {loadBlock(map.tiles[tile], tileBase(tile, chunk), {}, block * kBlock, k * kBlock,
                              /*rowsFirst=*/false, /*transposed=*/false),
                    {}};
        for (size_t i = 0; i < zeros.size(); ++i)
          ofRead[block][i] = multiplyTerms(a[i / 2], bs, i % 2, ofRead[block][i]);
      }
  }
  for (auto [read, ofRead] : llvm::zip(reads, sums))
    for (int64_t block = 0; block < plan.blocks(); ++block) {
      scale(ofRead[block], factorOf(read->query.factor, block, chunk));
      columnCache[{recur::ContractOp(read->op).getResult(), block}] = ofRead[block];
    }
}

SmallVector<SmallVector<Value>> ChunkKernelEmitter::packedColumns(Value value, int64_t block, const ChunkAt &chunk) {
  if (auto source = value.getDefiningOp<chunk::AsSourceOp>())
    return packedColumns(source.getOperand(), block, chunk);
  if (auto known = packedCache.find({value, block}); known != packedCache.end())
    return known->second;
  SmallVector<SmallVector<Value>> packed;
  if (int64_t tile = program.tileOf(value, Role::Value); tile >= 0) {
    // The exchange of units needs it as a value.
    Value columnsOfWarp = l.mul(program.makesTiles() ? anew(warp) : warp, 16 * plan.valueTiles());
    const SharedTile &shared = map.tiles[tile];
    for (int64_t i = 0; i < plan.valueTiles(); ++i) {
      Value near = l.rem(l.shl(l.add(columnsOfWarp, 16 * i), 1), 128);
      Value offset =
          l.bitXor(laneOffset(shared, /*rowsFirst=*/false), l.bitXor(near, shared.swizzle(block * kBlock) << 4));
      Value far = l.sub(l.shl(l.add(columnsOfWarp, 16 * i), 1), near);
      packed.push_back(l.loadCores(l.add(chunk.stage, l.add(offset, far)),
                                   shared.offset + block * kBlock * shared.rowBytes(), /*transposed=*/true));
    }
    packed.append(plan.transitionTiles, SmallVector<Value>(4, l.i32(0))); // what enters a transition is zeros
  } else {
    packed = pack(columnsOf(value, block, chunk));
  }
  packedCache[{value, block}] = packed;
  return packed;
}

/// A block of scores as an operand B.
ChunkKernelEmitter::Terms ChunkKernelEmitter::loadScores(Value scores, int64_t block, int64_t from,
                                                         const ChunkAt &chunk) {
  int64_t index = program.scoreOf(scores);
  auto load = [&](const SharedTile &tile) {
    return loadBlock(tile, chunk.scores, {}, block * kBlock, from * kBlock, /*rowsFirst=*/false, /*transposed=*/false);
  };
  Terms terms = {load(map.scores[index]), {}};
  if (program.twoTerms)
    terms.rest = load(map.scoreRests[index]);
  return terms;
}

/// c + a b, where b is half `half` of a block of 16 x 16.
Accumulator ChunkKernelEmitter::multiplyTerms(ArrayRef<Value> a, const Terms &bs, int64_t half, Accumulator c) {
  auto halfOf = [&](ArrayRef<Value> block) { return block.slice(2 * half, 2); };
  if (!bs.rest.empty())
    c = l.multiply(highTerm(a), halfOf(bs.high), l.multiply(highTerm(a), halfOf(bs.rest), c));
  else
    c = l.multiply(highTerm(a), halfOf(bs.high), c);
  return a.size() > 4 ? l.multiply(a.drop_front(4), halfOf(bs.high), c) : c;
}
