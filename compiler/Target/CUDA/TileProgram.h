// A chunk's region with a place for every value: what is staged in shared memory, what one thread per step computes, what lives in
// accumulators. It is read off the IR, says nothing of threads or sizes of tiles, and makes no operation.
//
// The kinds of values, by their axes:
//   <>               one number per head: registers, loaded once
//   <time>           one number per step: computed by one thread per step, handed to the others as a *slot* in shared memory
//   <time | key>     rows that are summed over: operands of products, in shared memory, whole
//   <time | value>   columns that never meet: accumulator fragments of 16 steps by a warp's part of the value axis
//   <time, source>   scores, in shared memory as matrix operands
//   <| key, value>   states, in accumulators from the first chunk to the last
#pragma once
#include "dialects/Chunk/Chunk.h"
#include <string>

namespace rondo::cuda {

/// Steps that are worked on as one block: the k of a matrix instruction.
constexpr int64_t kBlock = 16;

/// A factor per step: numbers multiplied and divided, a sign, and the product of a decay over a span of the chunk.
struct StepFactor {
  struct Term {
    mlir::Value value; // <time> or <>
    bool divides;
    bool operator==(const Term &) const = default;
  };
  llvm::SmallVector<Term> terms;
  bool negated = false;
  mlir::Value decay; // <time>, or null
  chunk::Span span = chunk::Span::Through;

  static StepFactor of(mlir::Value number) {
    StepFactor factor;
    factor.terms.push_back({number, false});
    return factor;
  }
  bool isOne() const { return terms.empty() && !negated && !decay; }
  bool operator==(const StepFactor &) const = default;
};

/// What of a decay's products one step's thread knows of: those inside its block. The rest is a factor per block.
enum class Partial { None, Through, Before, After };

/// One f32 per step in shared memory.
struct Slot {
  StepFactor factor; // its span is not used
  Partial partial = Partial::None;
  bool operator==(const Slot &) const = default;
};

enum class Role { Key, Value };

/// A matrix in shared memory, one row per step.
struct Tile {
  mlir::Value value; // of the chunk's region
  Role role;
  int64_t columns; // along the whole axis
  int64_t input;   // the scan's input that is staged as it is; -1: computed from others
};

/// Rows of a tile, each times a factor.
struct ScaledRows {
  int64_t tile;
  StepFactor factor;
};

struct Score {
  chunk::ScoresOp op;
  ScaledRows query, key;
  mlir::Value decay; // <time>, or null
  bool before;
};

/// state · query over the key axis.
struct Read {
  recur::ContractOp op;
  int64_t state;
  ScaledRows query;
};

/// What a chunk adds to a state.
struct Update {
  ScaledRows key;
  mlir::Value value; // <time | value>
};

struct TileState {
  mlir::BlockArgument start;
  int64_t keyAxis; // of the state's two
  int64_t keys, values;
  mlir::Value decay; // <time>, multiplied over all steps; or null
  llvm::SmallVector<Update> updates;
};

struct TileProgram {
  chunk::ScanOp scan;
  llvm::SmallVector<Tile> tiles;
  llvm::SmallVector<TileState> states;
  llvm::SmallVector<Score> scores;
  llvm::SmallVector<Read> reads;
  llvm::SmallVector<chunk::SolveOp> solves;
  llvm::SmallVector<Slot> slots;
  llvm::SmallVector<mlir::Value> decays; // <time>: block products and pairs inside a block are needed of these
  bool readsTiles = false;               // a number per step is computed from a tile

  mlir::Block &chunk() const { return const_cast<chunk::ScanOp &>(scan).getChunk().front(); }
  recur::YieldOp yield() const { return mlir::cast<recur::YieldOp>(chunk().getTerminator()); }
  int64_t tileOf(mlir::Value value, Role role) const;
  int64_t slotOf(const Slot &slot) const;
  int64_t decayOf(mlir::Value decay) const;
  const Read *readOf(mlir::Value value) const;
  int64_t scoreOf(mlir::Value value) const;
};

/// Whether a value of a chunk's region has the axes <time>, or <time | one axis>.
bool isPerStep(mlir::Value value);
bool isRows(mlir::Value value);

/// The program of a scan, or why there is none on tiles yet.
struct TileProgramOrReason {
  TileProgram program;
  std::string reason; // empty where there is a program
};
TileProgramOrReason planTiles(chunk::ScanOp scan);

} // namespace rondo::cuda
