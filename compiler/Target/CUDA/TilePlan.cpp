// See TilePlan.h.
#include "compiler/Target/CUDA/TilePlan.h"

using namespace rondo::cuda;

SharedMap::SharedMap(const TileProgram &program, const TilePlan &plan) : chunk(plan.chunk) {
  stages = plan.stages;
  for (const Tile &tile : program.tiles) {
    int64_t columns = tile.role == Role::Key ? tile.columns : plan.valueTile;
    tiles.push_back({stageBytes, plan.chunk, columns});
    stageBytes += tiles.back().bytes();
  }
  scoresAt = stages * stageBytes;
  for (size_t i = 0; i < program.scores.size(); ++i) {
    scores.push_back({scoreBytes, plan.chunk, plan.chunk});
    scoreBytes += scores.back().bytes();
  }
  scoreBuffers = plan.ahead ? 2 : 1;
  tablesAt = scoresAt + scoreBuffers * scoreBytes;
  decaysAt = program.slots.size() * 4 * chunk;
  tableBytes = decaysAt + program.decays.size() * decayBytes();
  tableBuffers = plan.ahead ? 3 : 2;
  stagingAt = tablesAt + tableBuffers * tableBytes;
  staging = {0, plan.chunk, 16 * plan.columnTiles()};
  total = stagingAt + plan.warps * staging.bytes();
}

std::string rondo::cuda::whyNot(const TileProgram &program, const TilePlan &plan) {
  if (plan.chunk % 32 || plan.chunk > plan.threads())
    return "a chunk has a multiple of 32 steps, at most one per thread";
  if (plan.valueTile % (16 * plan.warps) || !SharedTile::fits(plan.valueTile) || !SharedTile::fits(16 * plan.columnTiles()))
    return "a warp's part of the value axis is 16, 32 or a multiple of 64 columns";
  if (plan.stages < (plan.ahead ? 3 : 2) || plan.stages > 4)
    return "a chunk is loaded while another one is in use: two stages, three with scores ahead";
  for (const Tile &tile : program.tiles)
    if (tile.role == Role::Key && !SharedTile::fits(tile.columns))
      return "rows have 16, 32 or a multiple of 64 elements";
  for (const TileState &state : program.states) {
    if (state.values % plan.valueTile)
      return "the value axis is a multiple of its tile";
    if (state.keys % 16 || plan.columnTiles() * state.keys / 2 > 160)
      return "a state does not fit in registers";
  }
  if (SharedMap(program, plan).total > 227 * 1024)
    return "more shared memory than a block can have";
  return "";
}
