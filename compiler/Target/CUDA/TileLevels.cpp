// The tiles of scores whose decay lies along the keys. See Tile::level in TileProgram.h.
#include "compiler/Target/CUDA/TileProgram.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

namespace {

/// What the halves of level tiles hold. One half of a tile knows nothing of the other one, so that any query shares tiles with any key, and
/// every query and every key is decayed once, whatever scores they meet in.
struct Halves {
  Value decay;
  SmallVector<std::pair<Value, bool>, 2> queries; // and whether the decay of its own step does not count
  SmallVector<Value, 2> keys;
};

template <typename Range, typename Entry> size_t placeIn(Range &range, const Entry &entry) {
  auto found = llvm::find(range, entry);
  size_t place = found - range.begin();
  if (found == range.end())
    range.push_back(entry);
  return place;
}

} // namespace

void rondo::cuda::addLevelTiles(TileProgram &program) {
  SmallVector<Halves, 1> all;
  auto halvesOf = [&](Value decay) -> Halves & {
    auto found = llvm::find_if(all, [&](const Halves &halves) { return halves.decay == decay; });
    return found == all.end() ? all.emplace_back(Halves{decay, {}, {}}) : *found;
  };
  auto queryOf = [&](const Score &score) { return std::pair(program.tiles[score.query.tile].value, score.before); };
  auto keyOf = [&](const Score &score) { return program.tiles[score.key.tile].value; };
  for (const Score &score : program.scores)
    if (score.keyDecay) {
      Halves &halves = halvesOf(score.keyDecay);
      placeIn(halves.queries, queryOf(score));
      placeIn(halves.keys, keyOf(score));
    }
  for (Halves &halves : all) {
    int64_t columns = cast<RankedTensorType>(halves.decay.getType()).getShape().back();
    int64_t first = program.tiles.size(), levels = 0;
    for (size_t i = 0; i < std::max(halves.queries.size(), halves.keys.size()); ++i) {
      auto [queries, before] = i < halves.queries.size() ? halves.queries[i] : std::pair<Value, bool>();
      Value keys = i < halves.keys.size() ? halves.keys[i] : Value();
      levels = 0;
      for (int64_t level = 1; level < program.scan.size(); level *= 2, ++levels)
        program.tiles.push_back({keys, Role::Key, columns, Make::Level, -1, halves.decay, level, queries, before});
    }
    for (Score &score : program.scores)
      if (score.keyDecay == halves.decay) {
        score.levels = levels;
        score.queryLevels = first + levels * placeIn(halves.queries, queryOf(score));
        score.keyLevels = first + levels * placeIn(halves.keys, keyOf(score));
      }
  }
  for (const Score &score : program.scores)
    if (score.levels && program.productOf(score) == static_cast<int64_t>(program.levelProducts.size()))
      program.levelProducts.push_back(
          {score.queryLevels, score.keyLevels, score.levels, score.query.tile, score.key.tile, score.before});
}

void rondo::cuda::dropTiles(TileProgram &program) {
  SmallVector<bool> read(program.tiles.size(), false);
  for (const Read &each : program.reads)
    read[each.query.tile] = true;
  for (const Read &each : program.vectorReads)
    read[each.query.tile] = true;
  for (const TileState &state : program.states)
    for (const Update &update : state.updates)
      read[update.key.tile] = true;
  for (const VectorState &vector : program.vectors)
    for (const ScaledRows &rows : vector.updates)
      read[rows.tile] = true;
  for (const Score &score : program.scores)
    if (!score.levels || !score.before) // levels have all pairs of two steps
      read[score.query.tile] = read[score.key.tile] = true;
  for (auto [tile, isRead] : llvm::zip(program.tiles, read))
    tile.kept = isRead || tile.make == Make::Level || tile.role == Role::Value;
}
