// Which plan a kernel gets when nobody chooses. See README-tiles.md for the measurements that it is fitted to.
#include "compiler/Target/CUDA/ChunkKernel.h"

using namespace rondo::cuda;

namespace {

/// Bytes that a block reads from shared memory as matrix operands, per chunk: the resource that is used up first.
int64_t sharedTraffic(const TileProgram &program, const TilePlan &plan) {
  int64_t chunk = plan.chunk, blocks = plan.blocks(), below = blocks * (blocks + 1) / 2;
  int64_t bytes = 0;
  for (const Read &read : program.reads)
    bytes += plan.warps * 2 * chunk * program.tiles[read.query.tile].columns;
  for (const TileState &state : program.states)
    for (const Update &update : state.updates)
      bytes += plan.warps * 2 * chunk * program.tiles[update.key.tile].columns;
  for (const Score &score : program.scores) {
    int64_t block = 2 * 2 * kBlock * program.tiles[score.query.tile].columns;
    bytes += below * block + (score.levels.empty() ? 0 : blocks * 4 * block);
    bytes += plan.warps * below * 2 * kBlock * kBlock; // used once, by products with columns
  }
  return bytes;
}

/// Cycles of a multiprocessor for a chunk of all columns, when there are heads enough for all of them.
double cycles(const TileProgram &program, const TilePlan &plan) {
  int64_t keys = 0, values = program.states.front().values;
  for (const TileState &state : program.states)
    keys += state.keys;
  int64_t registers = std::min<int64_t>(255, 110 + keys * plan.columnTiles());
  int64_t resident =
      std::min((227 * 1024) / (SharedMap(program, plan).total + 1024), 65536 / (registers * plan.threads()));
  if (resident < 1)
    return 1e30;
  double bytesPerCycle = 128, stalls = 2.1; // measured: see README-tiles.md
  double exposed = resident > 1 ? (plan.ahead ? 500 : 400)
                   : plan.ahead ? 700
                                : 1700; // barriers that no other block hides
  double warps = std::min<double>(8, resident * plan.warps);
  double pieces = static_cast<double>(values) / plan.valueTile;
  return (stalls * pieces * sharedTraffic(program, plan) / bytesPerCycle + exposed) * 8 / warps;
}

} // namespace

std::optional<TilePlan> rondo::cuda::chooseTilePlan(const TileProgram &program, int64_t arch) {
  chunk::ScanOp scan = program.scan;
  std::optional<TilePlan> best;
  double lowest = 0;
  for (int64_t valueTile : {128, 64, 32, 16})
    for (bool ahead : {false, true})
      for (int64_t stages : {4, 3, 2}) {
        TilePlan plan{scan.size(), valueTile, valueTile / 16, stages, ahead, arch};
        int64_t least = ahead                ? program.readsTiles ? 4 : 3
                        : program.readsTiles ? 3
                                             : 2; // sums of rows want a chunk early
        if (stages > least || !whyNot(program, plan).empty())
          continue;
        double cost = cycles(program, plan);
        if (!best || cost < lowest) {
          best = plan;
          lowest = cost;
        }
        break; // fewer stages only where these do not fit
      }
  return best;
}
