// See TileCost.h.
#include "compiler/Target/CUDA/TileCost.h"

using namespace rondo::cuda;

namespace {

/// Bytes that a block reads from shared memory as operands of single warps' products, per chunk: the resource that is used up first.
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
    bytes += below * block + (score.levels ? blocks * 4 * block : 0);
    bytes += plan.warps * below * 2 * kBlock * kBlock * (program.twoTerms ? 2 : 1);
  }
  return bytes;
}

constexpr double kCyclesPerNanosecond = 1.75;

/// Registers of a thread: all that it can have, and what it needs beside its columns of the state.
constexpr int64_t kMostRegisters = 255, kOtherRegisters = 110;

/// What a warp with several tiles of columns takes beside what the model counts: fewer warps read the same rows, but not with as much less
/// work. Where its state leaves too few registers for the rest, more. Measured on an H100: 1.4 to 2 and 2.8 to 3.5 on a full
/// multiprocessor, 1.1 to 1.9 for a block alone.
double wideWarps(const TileProgram &program, const TilePlan &plan) {
  if (plan.valueTiles() < 2)
    return 1;
  const bool crowded = kOtherRegisters + program.states.front().keys * plan.valueTiles() > kMostRegisters;
  return crowded ? 3 : plan.ahead ? 1.6 : 1.75;
}
constexpr double kWideAlone = 1.5;

/// What a plan with products of warpgroups takes of the same with those of single warps. Measured on an H100 (README-tiles.md): 0.86 to 0.90
/// with chunks of 64 steps, 0.90 to 0.99 with 32; more than 1 with four warps, and for some delta rules.
double ofSingleWarps(const TileProgram &program, const TilePlan &plan) {
  if (!plan.warpgroups)
    return 1;
  const bool gains = plan.warps >= 8 && plan.valueTiles() == 1 && program.solves.empty();
  return !gains ? 1.05 : plan.chunk > 32 ? 0.87 : 0.94;
}

/// Blocks that a multiprocessor can have at a time.
int64_t residentBlocks(const TileProgram &program, const TilePlan &plan) {
  int64_t keys = 0;
  for (const TileState &state : program.states)
    keys += state.keys;
  if (program.twoTerms) // a second operand A
    keys += keys / 4;
  const int64_t registers = std::min<int64_t>(kMostRegisters, kOtherRegisters + keys * plan.columnTiles());
  constexpr int64_t reserved = 1024; // bytes of shared memory that every block takes beside what it may use
  return std::min((sharedLimit(plan.arch) + reserved) / (SharedMap(program, plan).total + reserved),
                  65536 / (registers * plan.threads()));
}

/// Cycles of the matrix instructions that a transition's columns take beside the state's, which read the same operands: 2 for each, not
/// measured yet.
double transitionCycles(const TileProgram &program, const TilePlan &plan) {
  const int64_t blocks = plan.blocks(), keys = program.states.front().keys;
  int64_t squares = static_cast<int64_t>(program.scores.size()) * blocks * (blocks + 1) / 2; // blocks of 16 x 16
  squares += static_cast<int64_t>(program.reads.size()) * blocks * keys / kBlock;
  for (const TileState &state : program.states)
    squares += static_cast<int64_t>(state.updates.size()) * blocks * keys / kBlock;
  const int64_t products = 2 * plan.warps * plan.transitionTiles * squares * (program.twoTerms ? 2 : 1);
  return 2 * static_cast<double>(products);
}

/// Cycles of the blocks on the diagonal that solves invert, where nothing runs beside them.
double inverseCycles(const TileProgram &program, const TilePlan &plan) {
  return plan.ahead ? 0 : 2500 * static_cast<double>(program.solves.size());
}

/// Cycles of a chunk for each normaliser and each block of a head behind the first, which computes it again: linear_attention and mlstm at A on
/// an H100, in blocks of 64 and 128 columns.
constexpr double kVectorAgain = 1250;

/// Cycles of a chunk of `pieces` blocks of one head, `resident` blocks sharing a multiprocessor.
double cycles(const TileProgram &program, const TilePlan &plan, double pieces, int64_t resident) {
  double bytesPerCycle = 128, stalls = 2.1; // measured: see README-tiles.md
  double exposed = resident > 1 ? (plan.ahead ? 500 : 400)
                   : plan.ahead ? 700
                                : 1700; // barriers that no other block hides
  if (resident > 1)
    exposed += inverseCycles(program, plan) / 4; // what other blocks do not hide: gated_delta_net at B on an H100
  exposed += kVectorAgain * (pieces - 1) * static_cast<double>(program.vectors.size());
  double warps = std::min<double>(8, resident * plan.warps);
  // Long chunks on few threads hold more than registers can, and every computed row is work for each level: measured, not modelled.
  int64_t keys = program.states.front().keys;
  double crowded = plan.chunk > 32 && ((plan.warps < 8 && keys > 64) || !program.keyDecays.empty()) ? 1.5 : 1;
  crowded *= wideWarps(program, plan);
  const double reading = stalls * pieces * sharedTraffic(program, plan) / bytesPerCycle;
  return ofSingleWarps(program, plan) * crowded * (reading + pieces * transitionCycles(program, plan) + exposed) * 8 /
         warps;
}

/// All plans that are thought of, the best of equal ones first.
void eachPlan(const TileProgram &program, Architecture arch, llvm::function_ref<void(const TilePlan &, bool)> visit) {
  int64_t steps = const_cast<rondo::chunk::ScanOp &>(program.scan).size();
  for (int64_t valueTile : {128, 64, 32, 16})
    for (int64_t columns : {16, 32}) // of a warp
      for (bool ahead : {false, true})
        for (bool warpgroups : {false, true})
          for (int64_t stages : {4, 3, 2}) {
            TilePlan plan{steps, valueTile, valueTile / columns, stages, ahead, warpgroups, arch};
            int64_t least = ahead                ? program.readsTiles ? 4 : 3
                            : program.readsTiles ? 3
                                                 : 2; // sums of rows want a chunk early
            if (stages > least || !plan.warps)
              continue;
            bool fits = whyNot(program, plan).empty();
            visit(plan, fits);
            if (fits)
              break; // fewer stages only where these do not fit
          }
}

} // namespace

/// Cycles in which a full block of 8 warps computes rows: 6 operations for each element of each computed tile.
static double rowCycles(const TileProgram &program, const TilePlan &plan) {
  int64_t elements = 0;
  for (const Tile &tile : program.tiles)
    elements += tile.make == Make::Staged ? 0 : plan.chunk * tile.columns;
  return 6.0 / 128 * static_cast<double>(elements);
}

/// Cycles of a chunk of a block that has its multiprocessor for itself. Fewer warps wait less for each other at barriers, and do not make
/// anything slower than it is, as they would where a multiprocessor is to be filled with blocks of that size.
static double cyclesAlone(const TileProgram &program, const TilePlan &plan) {
  const double warps = static_cast<double>(std::min<int64_t>(8, plan.warps));
  const double waits = plan.ahead ? 700 : 300 + 175 * warps;
  const double exposed = std::max(waits, rowCycles(program, plan) * 8 / warps) + inverseCycles(program, plan);
  const bool few = plan.chunk > 32 && plan.warps < 8, rows = plan.chunk > 32 && !program.keyDecays.empty();
  const double wide = plan.valueTiles() > 1 ? kWideAlone : 1;
  const double reading = wide * 2.1 * static_cast<double>(sharedTraffic(program, plan)) / 128;
  return ofSingleWarps(program, plan) *
         ((few || rows ? 1.4 : 1) * (reading + transitionCycles(program, plan)) + exposed);
}

BlockCost rondo::cuda::blockCost(const TileProgram &program, const TilePlan &plan) {
  double alone = cyclesAlone(program, plan) / kCyclesPerNanosecond;
  if (residentBlocks(program, plan) <= 1)
    return {alone, alone};
  double pieces = static_cast<double>(program.states.front().values) / plan.valueTile;
  double shared = chunkNanoseconds(program, plan) / pieces +
                  (rowCycles(program, plan) + inverseCycles(program, plan)) / kCyclesPerNanosecond;
  return {alone, std::min(alone, shared)};
}

double rondo::cuda::chunkNanoseconds(const TileProgram &program, const TilePlan &plan) {
  int64_t resident = residentBlocks(program, plan);
  if (resident < 1)
    return 1e30;
  double pieces = static_cast<double>(program.states.front().values) / plan.valueTile;
  return cycles(program, plan, pieces, resident) / kCyclesPerNanosecond;
}

std::optional<TilePlan> rondo::cuda::chooseTilePlan(const TileProgram &program, Architecture arch) {
  std::optional<TilePlan> best;
  double lowest = 0;
  eachPlan(program, arch, [&](const TilePlan &plan, bool fits) {
    double cost = fits ? chunkNanoseconds(program, plan) : 1e30;
    if (cost < 1e30 && (!best || cost < lowest)) {
      best = plan;
      lowest = cost;
    }
  });
  return best;
}

std::string rondo::cuda::whyNoPlan(const TileProgram &program, Architecture arch) {
  int64_t values = program.states.front().values;
  if (values % 16)
    return "a value axis of " + std::to_string(values) + " is no multiple of 16";
  std::string why;
  eachPlan(program, arch, [&](const TilePlan &plan, bool) {
    if (why.empty() && !plan.warpgroups && values % plan.valueTile == 0)
      why = whyNot(program, plan);
  });
  return why.empty() ? "no plan has a block that a multiprocessor can hold" : why;
}
