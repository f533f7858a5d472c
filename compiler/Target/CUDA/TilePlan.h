// How a tile program is laid over a block of threads: its sizes, and where everything lies in shared memory.
#pragma once
#include "compiler/Target/CUDA/TileProgram.h"
#include <algorithm>

namespace rondo::cuda {

/// What kernels are made for.
struct Architecture {
  int64_t capability = 90; // compute capability times ten
  bool isSpecific = false; // with what this one has alone, "sm_90a"
  operator int64_t() const { return capability; }
};

/// What can be chosen. The value axis is cut over blocks and, inside a block, over warps.
struct TilePlan {
  int64_t chunk = 64;     // steps
  int64_t valueTile = 64; // columns of the value axis per block
  int64_t warps = 4;      // each has valueTile / warps columns, a multiple of 16
  int64_t stages = 2;     // chunks in shared memory
  bool ahead =
      false; // scores of the next chunk are computed beside this chunk's columns: one barrier a chunk, 3 stages
  bool warpgroups = false; // products with whole tiles of rows and with scores are of four warps at once (wgmma)
  Architecture arch;
  int64_t transitionTiles = 0; // tiles of 16 columns of a transition that a warp has behind its columns (Part::Ends)

  int64_t threads() const { return 32 * warps; }
  int64_t blocks() const { return chunk / kBlock; }
  /// Tiles of 16 columns per warp: of the value axis, and all.
  int64_t valueTiles() const { return valueTile / (16 * warps); }
  int64_t columnTiles() const { return valueTiles() + transitionTiles; }
};

/// A matrix of 16-bit elements in shared memory. Units of 16 bytes are exchanged inside a row, depending on the row, so that eight rows
/// of one column of units lie in different banks, and so do two units of rows that are 8, 16 or 24 apart. The eight rows may also be those
/// of a block of 16 whose numbers agree in any one bit, as the operands of levels gather them (where a row is 128 bytes or more).
///
/// In panels it lies as wgmma reads it: 128 bytes of each row behind each other, units exchanged by the row's number in its eight, which is
/// the hardware's swizzle of 128 bytes; of rows of 64 and 32 bytes it is the same as without panels. Then it begins at a multiple of 1024 bytes.
struct SharedTile {
  int64_t offset = 0; // in bytes, from the start of its buffer
  int64_t rows = 0, columns = 0;
  bool inPanels = false;

  /// From a row to the next one.
  int64_t rowBytes() const { return inPanels ? std::min<int64_t>(128, 2 * columns) : 2 * columns; }
  int64_t units() const { return columns / 8; }
  int64_t bytes() const { return rows * 2 * columns; }
  /// From 64 columns to the next 64.
  int64_t panelBytes() const { return inPanels ? 128 * rows : 128; }
  /// Of a row's bytes from those of column `column` on, whole panels.
  int64_t panelsBefore(int64_t column) const { return column / 64 * panelBytes(); }
  /// Unit `unit` of a row lies where unit `unit ^ swizzle(row)` would. It is linear: swizzle(x ^ y) = swizzle(x) ^ swizzle(y).
  int64_t swizzle(int64_t row) const {
    if (inPanels && units() >= 8)
      return row & 7;
    return units() >= 8 ? (row ^ kFarRows >> ((row >> 1) & 12)) & 7 : units() == 4 ? (row >> 1) & 3 : (row >> 2) & 1;
  }
  /// What rows 0, 8, 16 and 24 exchange by, four bits each: 0, 7, 4 and 3. Of the rows of a block only 0 and 15 exchange alike.
  static constexpr int64_t kFarRows = 0x3470;
  /// The byte of an element, counted from the tile's start.
  int64_t at(int64_t row, int64_t column) const {
    const int64_t unit = (column / 8) ^ swizzle(row);
    return row * rowBytes() + unit / 8 * panelBytes() + unit % 8 * 16 + 2 * (column % 8);
  }
  /// Whether rows of so many elements can be laid out like this.
  static bool fits(int64_t columns) { return columns == 16 || columns == 32 || columns % 64 == 0; }
};

/// What eight rows of a tile in panels take, and where the first one begins.
constexpr int64_t kPatternBytes = 1024;
/// The tiles of rows that are multiplied whole, by states or to states.
llvm::SmallVector<int64_t> groupedTiles(const TileProgram &program);

/// Where everything lies. Buffers of one kind follow each other; a chunk's buffer is its number modulo their count.
/// Whether sums of rows are shared out over all threads. Where scores run ahead, so do gates, and a warp that adds up rows alone lets no other
/// one wait; on an H100 sharing them out took 6 to 15 % longer there.
inline bool sharesSums(const TileProgram &program, const TilePlan &plan) {
  return !program.sums.empty() && !plan.ahead;
}

struct SharedMap {
  SharedMap(const TileProgram &program, const TilePlan &plan);

  llvm::SmallVector<SharedTile> tiles; // inside a stage, or, computed ones, from the start of memory
  int64_t stageBytes = 0, stages = 0;
  llvm::SmallVector<int64_t> totals;        // per decay along the keys: its products over the chunk, f32 by key
  llvm::SmallVector<SharedTile> scores;     // inside a score buffer
  llvm::SmallVector<SharedTile> scoreRests; // the same: what rounding leaves of scores, where operands have two terms
  llvm::SmallVector<SharedTile>
      inverses; // inside a score buffer, per solve: blocks on the diagonal of (I - M)^-1 - I, below each other
  int64_t scoresAt = 0, scoreBytes = 0, scoreBuffers = 0;
  int64_t tablesAt = 0, tableBytes = 0, tableBuffers = 0;
  int64_t slotAt(int64_t slot) const { return slot * 4 * chunk; } // inside a table buffer
  int64_t blocksAt(int64_t decay) const { return decaysAt + decay * decayBytes(); }
  int64_t pairsAt(int64_t decay) const { return blocksAt(decay) + 4 * pad4(chunk / kBlock); }
  SharedTile staging; // of a warp's part of an output
  int64_t stagingAt = 0;
  int64_t scratchAt = 0;              // of each block of 16 steps, one of f32; where there are solves or levels
  int64_t sumsAt = 0;                 // of rows: one f32 per step of a chunk for each
  llvm::SmallVector<int64_t> vectors; // states that are vectors, f32
  int64_t total = 0;

  /// Rows of the table of pairs of one block: a row of zeros, then one per step.
  static constexpr int64_t kPairRows = kBlock + 1;
  static constexpr int64_t kPairBytes = 4 * kPairRows * kBlock;
  static constexpr int64_t kScratchBytes = 4 * kBlock * kBlock;

private:
  int64_t placeStaging(const TileProgram &program, const TilePlan &plan, int64_t at);
  static int64_t pad4(int64_t x) { return (x + 3) / 4 * 4; }
  int64_t decayBytes() const { return 4 * pad4(chunk / kBlock) + chunk / kBlock * kPairBytes; }
  int64_t chunk, decaysAt = 0;
};

/// Bytes of shared memory that a block can have, by the compute capability times ten.
int64_t sharedLimit(int64_t arch);

/// Why a program cannot be laid out so; empty where it can.
std::string whyNot(const TileProgram &program, const TilePlan &plan);

} // namespace rondo::cuda
