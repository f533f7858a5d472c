// See TilePlan.h.
#include "compiler/Target/CUDA/TilePlan.h"

using namespace rondo::cuda;

llvm::SmallVector<int64_t> rondo::cuda::groupedTiles(const TileProgram &program) {
  llvm::SmallVector<int64_t> tiles;
  for (const Read &read : program.reads)
    tiles.push_back(read.query.tile);
  for (const TileState &state : program.states)
    for (const Update &update : state.updates)
      tiles.push_back(update.key.tile);
  return tiles;
}

SharedMap::SharedMap(const TileProgram &program, const TilePlan &plan) : chunk(plan.chunk) {
  stages = plan.stages;
  llvm::SmallVector<bool> inPanels(program.tiles.size(), false);
  if (plan.warpgroups)
    for (int64_t tile : groupedTiles(program))
      inPanels[tile] = true;
  for (const Tile &tile : program.tiles) {
    int64_t columns = tile.role == Role::Key ? tile.columns : plan.valueTile;
    tiles.push_back({stageBytes, plan.chunk, columns, inPanels[tiles.size()]});
    if (tile.make == Make::Staged)
      stageBytes += tiles.back().bytes();
  }
  scoresAt = stages * stageBytes;
  for (auto [tile, shared] : llvm::zip(program.tiles, tiles))
    if (tile.make != Make::Staged && tile.kept) {
      shared.offset = scoresAt;
      scoresAt += shared.bytes();
    }
  for (mlir::Value decay : program.keyDecays) {
    totals.push_back(scoresAt);
    scoresAt += 4 * mlir::cast<mlir::RankedTensorType>(decay.getType()).getShape().back();
  }
  if (plan.warpgroups)
    scoresAt = llvm::alignTo(scoresAt, kPatternBytes);
  for (size_t i = 0; i < program.scores.size(); ++i) {
    scores.push_back({scoreBytes, plan.chunk, plan.chunk, plan.warpgroups});
    scoreBytes += scores.back().bytes();
  }
  for (size_t i = 0; program.twoTerms && i < program.scores.size(); ++i) {
    scoreRests.push_back({scoreBytes, plan.chunk, plan.chunk});
    scoreBytes += scoreRests.back().bytes();
  }
  for (size_t i = 0; i < program.solves.size(); ++i) {
    inverses.push_back({scoreBytes, plan.chunk, kBlock});
    scoreBytes += inverses.back().bytes();
  }
  scoreBuffers = plan.ahead ? 2 : 1;
  tablesAt = scoresAt + scoreBuffers * scoreBytes;
  decaysAt = program.slots.size() * 4 * chunk;
  tableBytes = decaysAt + program.decays.size() * decayBytes();
  tableBuffers = plan.ahead ? 3 : 2;
  staging = {0, plan.chunk, 16 * plan.valueTiles()};
  scratchAt = placeStaging(program, plan, tablesAt + tableBuffers * tableBytes);
  total = scratchAt + (program.solves.empty() && program.levelProducts.empty() ? 0 : plan.blocks() * kScratchBytes);
  for (const VectorState &vector : program.vectors) {
    vectors.push_back(total);
    total += 4 * vector.keys;
  }
  sumsAt = total;
  if (sharesSums(program, plan))
    total += program.sums.size() * 4 * chunk;
}

/// Outputs are staged where level tiles were, which nothing reads once the scores are there; else at `at`. Gives where what is next begins.
int64_t SharedMap::placeStaging(const TileProgram &program, const TilePlan &plan, int64_t at) {
  const int64_t bytes = plan.warps * staging.bytes();
  int64_t levels = 0;
  stagingAt = at;
  for (auto [tile, shared] : llvm::zip(program.tiles, tiles))
    if (tile.make == Make::Level) { // they follow each other
      stagingAt = levels ? stagingAt : shared.offset;
      levels += shared.bytes();
    }
  if (levels >= bytes)
    return at;
  stagingAt = at;
  return at + bytes;
}

int64_t rondo::cuda::sharedLimit(int64_t arch) {
  bool isData = arch == 80 || arch == 87; // as against 86 and 89, of the same generations
  int64_t kibibytes = isData ? 163 : arch >= 90 && arch < 120 ? 227 : 99;
  return kibibytes * 1024;
}

/// The same for products of four warps.
static std::string whyNoWarpgroups(const TileProgram &program, const TilePlan &plan) {
  if (plan.arch != 90 || !plan.arch.isSpecific)
    return "products of warpgroups are sm_90a's alone";
  if (plan.warps % 4)
    return "a warpgroup is four warps";
  if (program.twoTerms)
    return "operands of two terms are multiplied by single warps";
  for (int64_t tile : groupedTiles(program))
    if (std::max(program.tiles[tile].columns, plan.chunk) > 256)
      return "a product of a warpgroup has at most 256 columns";
  return "";
}

std::string rondo::cuda::whyNot(const TileProgram &program, const TilePlan &plan) {
  if (plan.chunk % 32 || plan.chunk > plan.threads())
    return "a chunk has a multiple of 32 steps, at most one per thread";
  if (plan.valueTile % (16 * plan.warps) || !SharedTile::fits(plan.valueTile) ||
      !SharedTile::fits(16 * plan.valueTiles()))
    return "a warp's part of the value axis is 16, 32 or a multiple of 64 columns";
  if (plan.stages < (plan.ahead ? program.readsTiles ? 4 : 3 : 2) || plan.stages > 4)
    return "a chunk is loaded while another one is in use: two stages, three with scores ahead, four where these need "
           "sums of rows";
  if (plan.ahead && !program.vectors.empty())
    return "a normaliser is read between scores and columns, so that scores cannot run ahead";
  if (plan.warpgroups)
    if (std::string why = whyNoWarpgroups(program, plan); !why.empty())
      return why;
  chunk::ScanOp scan = program.scan;
  auto elementOf = [](mlir::Value tensor) {
    return mlir::cast<mlir::RankedTensorType>(tensor.getType()).getElementType();
  };
  mlir::Type element;
  for (const Tile &tile : program.tiles) {
    if (tile.make == Make::Staged) {
      mlir::Type here = elementOf(scan.getInputs()[tile.input]);
      if (!(here.isBF16() || here.isF16()) || (element && here != element))
        return "rows of one 16-bit type are operands of matrix instructions";
      element = here;
    }
    if (tile.role == Role::Key && !SharedTile::fits(tile.columns))
      return "rows have 16, 32 or a multiple of 64 elements";
    if (tile.make == Make::Staged)
      continue;
    if (plan.ahead)
      return "tiles are computed for one chunk at a time, so that scores cannot run ahead";
    if (tile.role == Role::Value)
      return "computed rows along the value axis";
    if ((tile.columns & (tile.columns - 1)) || (plan.chunk & (plan.chunk - 1)))
      return "decays along the keys want powers of two";
  }
  for (const TileState &state : program.states) {
    if (state.values % plan.valueTile)
      return "the value axis is a multiple of its tile";
    if (state.keys % 16)
      return "a key axis of " + std::to_string(state.keys) + " is no multiple of 16";
    if (const int64_t registers = plan.columnTiles() * state.keys / 2; registers > 160)
      return "a thread's part of a state takes " + std::to_string(registers) + " registers, and may have 160";
  }
  for (auto [value, output] : llvm::zip(program.outputs, scan->getResults())) {
    if (groupedColumns(value) && !elementOf(output).isF32())
      return "sums of columns are stored as f32";
    if (elementOf(output) != element && !elementOf(output).isF32())
      return "an output has another type than the rows, and is not f32";
  }
  if (const int64_t bytes = SharedMap(program, plan).total; bytes > sharedLimit(plan.arch))
    return "a block takes " + std::to_string((bytes + 1023) / 1024) + " KiB of shared memory, and can have " +
           std::to_string(sharedLimit(plan.arch) / 1024);
  return "";
}
