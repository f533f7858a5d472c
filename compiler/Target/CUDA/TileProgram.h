// A chunk's region with a place for every value: what is staged in shared memory, what one thread per step computes, what lives in
// accumulators. It is read off the IR, says nothing of threads or sizes of tiles, and makes no operation.
//
// The kinds of values, by their axes:
//   <>               one number per head: registers, loaded once
//   <time>           one number per step: computed by one thread per step, handed to the others as a *slot* in shared memory
//   <time | key>     rows that are summed over: operands of products, in shared memory, whole
//   <time | value>   columns that never meet: accumulator fragments of 16 steps by a warp's part of the value axis
//   <time, source>   scores, in shared memory as matrix operands
//                    also decays along the value axis, and their products: see ChunkKernelDecays.cpp
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
  llvm::SmallVector<Term, 2> terms;
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

/// How a tile comes to be.
enum class Make {
  Staged,  // an input as it is
  Plain,   // computed from other tiles, element by element
  Through, // times a decay along the keys, over the chunk's steps up to the row's
  Before,  // ... before the row's
  After,   // ... behind the row's
  Level    // see Tile::level
};

/// A matrix in shared memory, one row per step.
///
/// A level tile serves the scores of a decay along the keys. Steps fall into blocks of 2 * level; the later half of each block has the
/// queries, decayed from the middle of the block, the earlier half the keys, decayed up to the middle. So a product of a later row with an
/// earlier one, of this tile or of another one of its level, is a score, exactly, and both factors only ever shrink. Each pair of steps has one
/// level at which they part.
struct Tile {
  mlir::Value value; // of the chunk's region; of a level tile the keys, or null
  Role role;
  int64_t columns; // along the whole axis
  Make make = Make::Staged;
  int64_t input = -1; // of a staged tile: the scan's input
  mlir::Value decay;  // <time | key>
  int64_t level = 0;
  mlir::Value queries; // of a level tile, or null
  bool before = false; // of a level tile: the decay of the query's own step does not count
  bool kept = true;    // a computed tile that only level tiles are made from has no place in shared memory
  bool operator==(const Tile &) const = default;
};

/// Rows of a tile, each times a factor.
struct ScaledRows {
  int64_t tile;
  StepFactor factor;
  bool operator==(const ScaledRows &) const = default;
};

struct Score {
  chunk::ScoresOp op;
  ScaledRows query, key;
  mlir::Value decay; // <time>, or null
  bool before;
  mlir::Value keyDecay; // <time | key>, or null
  int64_t levels = 0, queryLevels = 0,
          keyLevels = 0; // of a decay along the keys: how many, and the first tile of each side, of level 1
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
  unsigned number; // among the scan's states
  int64_t keyAxis; // of the state's two
  int64_t keys, values;
  mlir::Value decay;      // <time>, multiplied over all steps; or null
  mlir::Value keyDecay;   // <time | key>, the same
  mlir::Value valueDecay; // <time | value>, the same
  llvm::SmallVector<Update, 1> updates;
};

/// A state that is a vector along the keys, such as a normaliser: f32 in shared memory.
struct VectorState {
  mlir::BlockArgument start;
  unsigned number; // among the scan's states
  int64_t keys;
  mlir::Value decay;    // <time>, or null
  mlir::Value keyDecay; // <time | key>, or null
  llvm::SmallVector<ScaledRows, 1> updates;
};

/// The products of the rows of one level tile's queries with those of another one's keys: of all scores that differ in factors per step.
struct LevelProduct {
  int64_t queryLevels, keyLevels, levels; // as in Score
  int64_t query, key;                     // tiles of the rows themselves
  bool before;
};

struct TileProgram {
  chunk::ScanOp scan;
  llvm::SmallVector<mlir::Value> outputs; // of the chunk's region
  llvm::SmallVector<Tile, 8> tiles;
  llvm::SmallVector<TileState, 1> states;
  llvm::SmallVector<VectorState, 1> vectors;
  llvm::SmallVector<Score, 2> scores;
  llvm::SmallVector<std::pair<mlir::Operation *, int64_t>, 1>
      sameScores;                                   // that are computed alike: the number of the first
  llvm::SmallVector<LevelProduct, 2> levelProducts; // of scores whose decay lies along the keys
  llvm::SmallVector<Read, 2> reads;
  llvm::SmallVector<Read, 1> vectorReads; // of `vectors`
  llvm::SmallVector<chunk::SolveOp> solves;
  llvm::SmallVector<Slot, 8> slots;
  llvm::SmallVector<mlir::Value> decays;       // <time>: block products and pairs inside a block are needed of these
  llvm::SmallVector<mlir::Value> keyDecays;    // <time | key>: products over the whole chunk are needed of these
  llvm::SmallVector<mlir::Value> columnParams; // parameters along the value axis
  bool readsTiles = false;                     // a number per step is computed from a tile
  llvm::SmallVector<mlir::Value> sums;         // the numbers per step that are sums of rows
  bool twoTerms = false;                       // operands that are rounded have a second term: chunk::hasTwoTerms

  mlir::Block &chunk() const { return const_cast<chunk::ScanOp &>(scan).getChunk().front(); }
  recur::YieldOp yield() const { return mlir::cast<recur::YieldOp>(chunk().getTerminator()); }
  int64_t tileOf(mlir::Value value, Role role) const;
  int64_t slotOf(const Slot &slot) const;
  int64_t decayOf(mlir::Value decay) const;
  int64_t keyDecayOf(mlir::Value decay) const;
  /// Whether some tile is computed.
  bool makesTiles() const;
  const Read *readOf(mlir::Value value) const;
  int64_t scoreOf(mlir::Value value) const;
  /// Of a score with levels, its product among `levelProducts`.
  int64_t productOf(const Score &score) const;
};

/// Whether a value of a chunk's region has the axes <time>, or <time | one axis>.
bool isPerStep(mlir::Value value);
bool isRows(mlir::Value value);
/// Whether a product multiplies rows element by element, or rows by a number per step.
bool isElementwise(recur::ContractOp contract);
/// Whether a number per step waits for scores or for a state: it is made of sums of scores, or of rows times a vector state.
bool isLate(mlir::Value value);
/// Whether a value with a value axis is zero where a program's tiles along that axis and its states are zeros.
bool vanishes(const TileProgram &program, mlir::Value value);
/// Of sums of 16 columns each, the columns; null for what is none.
mlir::Value groupedColumns(mlir::Value value);
/// Whether a value is a constant, 1 everywhere.
bool isOnes(mlir::Value value);
/// Whether a product is a number per step: the inner product of rows with rows.
bool isInner(recur::ContractOp contract);

/// Adds the level tiles of a program whose scores are known, and their products.
void addLevelTiles(TileProgram &program);
/// Leaves the tiles without a place that no kernel reads.
void dropTiles(TileProgram &program);
/// Adds the slots of a program that is complete otherwise; `perStepInColumns` are numbers per step that values with a value axis take.
void addSlots(TileProgram &program, llvm::ArrayRef<mlir::Value> perStepInColumns);

/// The program of a scan, or why there is none on tiles yet.
struct TileProgramOrReason {
  TileProgram program;
  std::string reason; // empty where there is a program
};
/// Without outputs it has what the states need alone.
TileProgramOrReason planTiles(chunk::ScanOp scan, bool withOutputs = true);

} // namespace rondo::cuda
