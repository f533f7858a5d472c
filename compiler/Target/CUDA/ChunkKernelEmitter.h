// The emitter of one kernel, in parts: ChunkKernel.cpp has the whole and the loop, the other ChunkKernel*.cpp one phase each.
//
//   loads    of a chunk: copies of its rows to a stage, in the background
//   gates    of a chunk: numbers per step, by one thread per step, into tables
//   rows     of a chunk: tiles that are computed from staged ones, a thread having some columns of some steps
//   scores   of a chunk: blocks of 16 x 16 scores, shared out to the warps
//   vectors  of a chunk: numbers per step that wait for scores, and states that are vectors
//   columns  of a chunk: everything with a value axis, each warp its own columns: readouts, solves, outputs, the states
#pragma once
#include "compiler/Target/CUDA/ChunkKernel.h"
#include "compiler/Target/CUDA/Fragment.h"
#include "compiler/Target/CUDA/TileLanes.h"
#include "llvm/ADT/DenseMap.h"
#include <map>

namespace rondo::cuda {

/// A tensor as one block sees it.
struct GlobalRows {
  mlir::Value base;   // of this batch entry and head, at the first step that is taken
  mlir::Value stride; // bytes from a step to the next one that is taken, i64
  mlir::Type element;
  int64_t elementBytes = 0;
};

/// Which buffers a chunk uses.
struct ChunkAt {
  mlir::Value number;                // i32
  mlir::Value first;                 // its first step
  mlir::Value left;                  // steps from there to the end, i32; <= 0 behind the end
  mlir::Value stage, scores, tables; // byte offsets
};

class ChunkKernelEmitter {
public:
  ChunkKernelEmitter(const TileProgram &program, const TilePlan &plan, mlir::Operation *module, Part part,
                     Calling calling);
  KernelLaunch emit(llvm::StringRef name);
  /// The kernel of `Part::Link` for one state; strided.
  KernelLaunch emitLink(unsigned state, llvm::StringRef name);
  KernelLaunch emitTransitionLink(unsigned state, llvm::StringRef name);

private:
  using State = llvm::SmallVector<Accumulator>;   // column tile by column tile, along the keys
  using Columns = llvm::SmallVector<Accumulator>; // of one block of 16 steps: column tile by column tile, two each

  // The whole (ChunkKernel.cpp).
  mlir::Block *makeFunction(llvm::StringRef name);
  void placeThreads();
  void placeContiguous(mlir::Block *entry);
  void placeStrided(mlir::Block *entry);
  int64_t parts() const;
  void emitReturn();
  void placeOperands();
  GlobalRows place(mlir::Value tensor, size_t operand, bool overTime);
  void placeOffsets(recur::DimsAttr dims, size_t operand, bool overTime, GlobalRows &rows, int64_t features);
  void placeSegment();
  mlir::Value segmentAt(mlir::Value number);
  GlobalRows scratchOf(size_t state, bool decay, mlir::Value index);
  void growTotal(int64_t state, int64_t entry, mlir::Value by);
  void storeTotals();
  void storeColumnTotals();
  void storeVectorTotals();
  void placeTransition();
  int64_t linkUnit() const;
  int64_t totalsOf(size_t item) const;
  /// A thread of the kernel that links by transitions: which half of the rows it multiplies, its first key, its first column.
  struct LinkThread {
    mlir::Value group, key, column;
  };
  void askSlab(mlir::Value number);
  llvm::SmallVector<mlir::Value> addSlab(const LinkThread &at, mlir::Value number, mlir::Value start,
                                         mlir::ValueRange sums);
  void eachFour(const LinkThread &at, llvm::function_ref<void(mlir::Value, std::array<int64_t, 4>)> visit);
  llvm::SmallVector<mlir::Value> shareState(const LinkThread &at, mlir::Value to, mlir::ValueRange numbers);
  llvm::SmallVector<mlir::Value> ofFirstHalf(const LinkThread &at,
                                             llvm::function_ref<llvm::SmallVector<mlir::Value>()> make);
  llvm::SmallVector<mlir::Value> linkSegment(const LinkThread &at, mlir::Value number, mlir::ValueRange now);
  void loadParams();
  void loadColumnParams();
  ChunkAt chunkAt(mlir::Value number);
  void clearTables();
  void clearWords(int64_t at, int64_t bytes);
  void emitLoop();
  void emitChunk(mlir::Value number);
  llvm::SmallVector<mlir::Value> flatten() const;
  void unflatten(mlir::ValueRange values);
  void moveStates(bool store);
  void eachElement(const TileState &state, bool ofTransition,
                   llvm::function_ref<void(int64_t, int64_t, int64_t, int64_t)> visit) const;
  std::pair<mlir::Value, mlir::Value> firstElement(bool ofTransition);
  State firstState(size_t number);
  State loadState(const TileState &state, const GlobalRows &rows, int64_t keyStride, int64_t columnStride);
  void storeState(size_t state, bool ofTransition, const GlobalRows &rows, int64_t keyStride, int64_t columnStride);

  // Loads.
  void emitLoads(const ChunkAt &chunk);
  void emitTileLoad(const Tile &tile, const SharedTile &shared, const ChunkAt &chunk);
  /// A lane's byte offset for loadCores, where core i of the four lies (8 * rows[i], 8 * columns[i]) from a tile's block.
  mlir::Value laneOffset(const SharedTile &tile, bool rowsFirst);
  /// Four cores of the 16 x 16 block at (row, column) of a tile; `row` may be a value.
  llvm::SmallVector<mlir::Value> loadBlock(const SharedTile &tile, mlir::Value base, mlir::Value row,
                                           int64_t rowConstant, int64_t column, bool rowsFirst, bool transposed);

  /// SharedTile::swizzle of a row that is a value.
  mlir::Value swizzle(const SharedTile &tile, mlir::Value row);
  mlir::Value unitOffset(const SharedTile &tile, mlir::Value unit);

  // Gates.
  struct StepThread {
    mlir::Value row, step; // in the chunk, i32; along time, i64, inside the sequence
    mlir::Value stage;
    llvm::DenseMap<mlir::Value, mlir::Value> known;
    mlir::Value part;  // of `parts` neighbouring threads that share a step; null where one thread has a step
    int64_t parts = 1; // then its numbers are known to all of them, and inputs were not read ahead
  };
  /// Reads the inputs with a number per step, long before emitGates wants them.
  void prefetchGates(const ChunkAt &chunk);
  void emitGates(const ChunkAt &chunk);
  void emitSums(const ChunkAt &chunk);
  int64_t threadsPerStep() const;
  mlir::Value stepOf(const ChunkAt &chunk, mlir::Value row);
  void emitDecay(int64_t decay, mlir::Value a, const ChunkAt &chunk, mlir::Value row);
  mlir::Value perStep(mlir::Value value, StepThread &thread);
  void knowSteps(mlir::Value value, StepThread &thread);
  /// Elements of rows, combined; of several, their products.
  mlir::Value sumOfRow(recur::Reduction kind, mlir::ValueRange factors, StepThread &thread);
  using Loaded = llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Value>>;
  /// Element `which` of a value with rows, from elements of tiles; `leaf` gives what has no rows, and parameters along the keys.
  mlir::Value rowElement(mlir::Value value, int64_t which, Loaded &loaded,
                         llvm::function_ref<mlir::Value(mlir::Value, int64_t)> leaf);
  mlir::Value keyParam(mlir::BlockArgument param, mlir::Value column);
  mlir::Value constantOf(mlir::Value value);
  mlir::Value coefficient(const StepFactor &factor, StepThread &thread);

  // Rows.
  struct RowThread {
    mlir::Value group, first; // of `groups` that share a chunk's rows; its first row
    mlir::Value bytes;        // of its two columns inside a row
    mlir::Value column;       // its first column
    int64_t groups, rows;     // rows of each group
    int64_t lanes;            // of a warp, per group
  };
  using Rows = llvm::SmallVector<std::array<mlir::Value, 2>>; // of one thread: two columns
  struct DecayRows {
    Rows values, through, after; // inside the thread's group; `through` with the own step, `after` without
    std::array<mlir::Value, 2> total;
    llvm::SmallVector<std::array<mlir::Value, 2>> above, below; // totals of the group 1, 2, ... further up, down
  };
  void emitRows(const ChunkAt &chunk);
  void emitRowsOf(const RowThread &at, const ChunkAt &chunk);
  Rows rowsOf(mlir::Value value, const RowThread &at, const ChunkAt &chunk, double beyond);
  DecayRows decayRows(mlir::Value decay, const RowThread &at, const ChunkAt &chunk);
  Rows makeRows(const Tile &tile, const RowThread &at, const ChunkAt &chunk);
  Rows makeLevel(const Tile &tile, const DecayRows &decay, const RowThread &at, const ChunkAt &chunk);
  std::array<mlir::Value, 2> across(const DecayRows &decay, bool above, int64_t groups, const RowThread &at);
  mlir::Value rowOffset(const SharedTile &tile, int64_t row, const RowThread &at);
  void storeInTurns(const SharedTile &to, const Rows &rows, const RowThread &at);
  mlir::Value tileBase(int64_t tile, const ChunkAt &chunk);

  // Scores.
  void emitScores(const ChunkAt &chunk);
  void emitScoreShare(mlir::Value index, const ChunkAt &chunk);
  using ScoreBlock = std::array<Accumulator, 2>; // 16 x 16: two accumulators beside each other
  struct BlockFactors {
    mlir::Value rows[2], columns[4];
  };
  void emitScoreBlock(int64_t score, const ScoreBlock &sums, mlir::Value i, mlir::Value j, const ChunkAt &chunk);
  BlockFactors loadFactors(mlir::Value rowSlot, mlir::Value columnSlot, mlir::Value i, mlir::Value j);
  ScoreBlock scaleBlock(const Score &score, const ScoreBlock &sums, mlir::Value i, mlir::Value j, const ChunkAt &chunk);
  void storeBlock(const SharedTile &to, const ScoreBlock &block, mlir::Value i, mlir::Value j, const ChunkAt &chunk,
                  bool rest = false);
  void invertBlock(const SharedTile &to, const ScoreBlock &block, mlir::Value i, mlir::Value j, const ChunkAt &chunk);
  mlir::Value between(const Score &score, mlir::Value i, mlir::Value j, const ChunkAt &chunk);
  mlir::Value slotOffset(const StepFactor &factor, mlir::Value decay, Partial partial, const ChunkAt &chunk);

  // Products of rows, also of those that decay along the keys (ChunkKernelLevels.cpp).
  llvm::SmallVector<ScoreBlock> multiplyTiles(llvm::ArrayRef<std::pair<int64_t, int64_t>> pairs, mlir::Value offset,
                                              mlir::Value i, mlir::Value j, const ChunkAt &chunk);
  llvm::SmallVector<ScoreBlock> multiplyLevels(mlir::Value i, mlir::Value j, const ChunkAt &chunk);
  llvm::SmallVector<llvm::SmallVector<size_t>> productsByDecay() const;
  llvm::SmallVector<ScoreBlock> multiplyAcross(mlir::Value i, mlir::Value j, const ChunkAt &chunk);
  llvm::SmallVector<ScoreBlock> multiplyDiagonal(mlir::Value i, const ChunkAt &chunk);
  mlir::Value gatheredRow(std::array<int64_t, 2> tiles, int64_t bit, bool queries, mlir::Value i);
  llvm::SmallVector<std::array<Accumulator, 2>> multiplyGathered(std::array<int64_t, 2> queries,
                                                                 std::array<int64_t, 2> keys, mlir::Value i);
  ScoreBlock placePairs(llvm::ArrayRef<std::array<Accumulator, 2>> sums, int64_t query, int64_t key, mlir::Value i);
  void addOwnSteps(llvm::MutableArrayRef<ScoreBlock> blocks, mlir::Value i, const ChunkAt &chunk);

  // Vectors.
  void moveVectors(bool store);
  void emitLate(const ChunkAt &chunk);
  /// A thread's share of the numbers of a step that wait for scores; sums are whole in every thread of the step.
  struct LateThread {
    mlir::Value row, part; // of the chunk; of `parts` threads that share a step
    int64_t parts;
    llvm::DenseMap<mlir::Value, mlir::Value> known;
  };
  mlir::Value lateNumber(mlir::Value value, LateThread &thread, const ChunkAt &chunk);
  mlir::Value readVector(const Read &read, LateThread &thread, const ChunkAt &chunk);
  mlir::Value sumScores(int64_t score, LateThread &thread, const ChunkAt &chunk);
  mlir::Value sumOfParts(mlir::Value sum, int64_t parts);
  void updateVectors(const ChunkAt &chunk);
  void updateVector(size_t index, mlir::Value key, mlir::Value old, mlir::Value decay, const ChunkAt &chunk);
  bool isLateSlot(const Slot &slot) const {
    return slot.factor.terms.size() == 1 && isLate(slot.factor.terms[0].value);
  }

  // Columns.
  void emitColumns(const ChunkAt &chunk);
  const Columns &columnsOf(mlir::Value value, int64_t block, const ChunkAt &chunk);
  Columns computeColumns(mlir::Value value, int64_t block, const ChunkAt &chunk);
  Columns mapColumns(mlir::Operation *op, int64_t block, const ChunkAt &chunk);
  Columns stepColumns(mlir::Value value, int64_t block, const ChunkAt &chunk);
  Columns paramColumns(mlir::Value param) const;

  // Decays along the value axis (ChunkKernelDecays.cpp).
  /// What one lane knows of a decay in a block of 16 steps, for each of its columns: two for each tile of columns.
  struct ColumnDecays {
    mlir::Value steps[2][2];         // of its own steps: [half of the block][first or second]
    mlir::Value before[2], after[2]; // over the lanes before and behind, in the half
    mlir::Value pairBefore[2],
        pairAfter[2];         // of the other lane in a group of four steps, where it is earlier, or later
    mlir::Value half[2], all; // over the half, over the block
  };
  const llvm::SmallVector<ColumnDecays> &columnDecays(mlir::Value decay, int64_t block, const ChunkAt &chunk);
  /// The product of a decay over blocks from ... to - 1 of the chunk, for a column; null for none.
  mlir::Value decayOfBlocks(mlir::Value decay, int64_t column, int64_t from, int64_t to, const ChunkAt &chunk);
  Columns productColumns(chunk::ProductsOp products, int64_t block, const ChunkAt &chunk);
  /// A sum with products of scores and values that decay on the way, all alike; such sums are computed together (ChunkKernelApplies.cpp).
  struct AppliedSum {
    mlir::Value root;
    llvm::SmallVector<mlir::Value> others;
    llvm::SmallVector<chunk::ApplyOp> applies;
    bool isLike(AppliedSum &other) {
      return applies.front().getDecay() == other.applies.front().getDecay() &&
             applies.front().getBefore() == other.applies.front().getBefore();
    }
  };
  void findAppliedSums();
  void addAppliedSum(mlir::Value root);
  void applyTogether(AppliedSum &first, int64_t block, const ChunkAt &chunk);
  /// An operand B, and what rounding left of it; `rest` is empty where the operand is exact.
  struct Terms {
    llvm::SmallVector<mlir::Value> high, rest;
  };
  /// A product of a sum: where it goes, and its scores.
  struct AppliedProduct {
    Columns *into;
    Terms scores;
  };
  Columns decayedUpTo(mlir::Value decay, mlir::Value values, int64_t from, int64_t block, const ChunkAt &chunk);
  void startAt(mlir::Value decay, bool before, int64_t block, const ChunkAt &chunk, Columns &sums);
  void applyLevels(mlir::Value decay, bool before, const Columns &values, llvm::ArrayRef<AppliedProduct> products,
                   int64_t block, const ChunkAt &chunk);
  void addLevel(llvm::ArrayRef<llvm::SmallVector<mlir::Value>> a, llvm::ArrayRef<ColumnDecays> all,
                const AppliedProduct &product, int64_t level, bool before);
  mlir::Value maskScores(mlir::Value pair, int64_t level, bool sameHalf);
  void decayState(int64_t state, const ChunkAt &chunk);
  bool packsLate() const;
  void readLate(int64_t state, const ChunkAt &chunk);
  Columns readColumns(const Read &read, int64_t block, const ChunkAt &chunk);
  void accumulateApply(recur::ContractOp apply, int64_t block, const ChunkAt &chunk, Columns &into);
  Columns solveColumns(chunk::SolveOp solve, mlir::Value solution, Columns right, int64_t block, const ChunkAt &chunk);
  std::optional<Columns> solveSum(recur::MapOp sum, int64_t block, const ChunkAt &chunk);
  /// Operand A of each column tile: the columns of a block, transposed, as matrix elements.
  llvm::SmallVector<llvm::SmallVector<mlir::Value>> packedColumns(mlir::Value value, int64_t block,
                                                                  const ChunkAt &chunk);
  llvm::SmallVector<llvm::SmallVector<mlir::Value>> pack(llvm::ArrayRef<Accumulator> columns);
  Columns unpack(llvm::ArrayRef<llvm::SmallVector<mlir::Value>> packed);
  static llvm::ArrayRef<mlir::Value> highTerm(llvm::ArrayRef<mlir::Value> a) { return a.take_front(4); }
  Terms loadScores(mlir::Value scores, int64_t block, int64_t from, const ChunkAt &chunk);
  Accumulator multiplyTerms(llvm::ArrayRef<mlir::Value> a, const Terms &bs, int64_t half, Accumulator c);
  void scale(Columns &columns, llvm::ArrayRef<mlir::Value> perStep);
  /// For one block, the four numbers per step that a lane's accumulators meet: steps 2 (lane % 4) + {0, 1}, and 8 later.
  llvm::SmallVector<mlir::Value> factorOf(const StepFactor &factor, int64_t block, const ChunkAt &chunk);
  mlir::Value productOfBlocks(mlir::Value decay, int64_t from, int64_t to, const ChunkAt &chunk);
  void packStates();
  void updateState(int64_t state, const ChunkAt &chunk);
  llvm::SmallVector<llvm::SmallVector<mlir::Value>> enteringColumns(llvm::ArrayRef<Update> updates, int64_t block,
                                                                    const ChunkAt &chunk);
  // Products of four warps (ChunkKernelWarpgroups.cpp).
  llvm::SmallVector<mlir::Value> describeTile(const SharedTile &tile, mlir::Value base, bool transposed);
  struct GroupOperands {
    llvm::SmallVector<llvm::SmallVector<llvm::SmallVector<mlir::Value>>> as; // by tile of columns, then by step
    llvm::SmallVector<mlir::Value> bs;                                       // by step
  };
  GroupOperands operandsOf(const Read &read, const ChunkAt &chunk);
  void addOperands(recur::ContractOp apply, const ChunkAt &chunk, GroupOperands &operands);
  void multiplyGrouped(const GroupOperands &operands, llvm::MutableArrayRef<Columns> sums, bool fromZeros);
  void startRead(const ChunkAt &chunk);
  void readGrouped(const Read &read, const ChunkAt &chunk);
  void sumGrouped(mlir::Value value, mlir::Value other, recur::ContractOp apply, const ChunkAt &chunk);
  void updateGrouped(State &accumulators, llvm::ArrayRef<Update> same, const ChunkAt &chunk);
  void startUpdates(const ChunkAt &chunk);
  void finishUpdates();
  void barrierForGroups();

  mlir::Value anew(mlir::Value number);
  mlir::Value laneOfStores();
  void stageOutput(unsigned output, int64_t block, const ChunkAt &chunk);
  void storeOutput(unsigned output, int64_t first, int64_t last, const ChunkAt &chunk);
  void writeOutput(unsigned output, int64_t from, int64_t to, const ChunkAt &chunk);
  void storeWide(unsigned output, int64_t block, const ChunkAt &chunk);
  void storeGroups(mlir::Value value, unsigned output, int64_t block, const ChunkAt &chunk);

  mlir::Type matrixElement() const;

  const TileProgram &program;
  TilePlan plan;
  SharedMap map;
  mlir::Operation *module;
  Part part;
  Calling calling;
  mlir::OpBuilder b;
  Lanes l;
  const MatrixInstruction &instruction = mmaM16N8K16();

  mlir::Value thread, lane, warp, valueStart; // valueStart: this block's first column
  mlir::Value head, batch, steps, heads, groups;
  llvm::SmallVector<GlobalRows> inputs, inits, results;
  llvm::SmallVector<mlir::Value> pointers;               // one per operand; with segments, scratch behind
  llvm::SmallVector<std::array<mlir::Value, 3>> strides; // strided: bytes per batch entry, step, head; i64
  mlir::Value group;                                     // the head's
  llvm::DenseMap<mlir::Value, mlir::Value> scalars;      // arguments of the region without axes
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Value>> columnParams; // a lane's columns: two of each tile
  llvm::DenseMap<std::pair<int64_t, int>, mlir::Value> laneOffsets;
  llvm::SmallVector<State> states, startStates;                  // now, and at the chunk's start
  llvm::SmallVector<GlobalRows> segmentStates, segmentDecays;    // scratch, of this segment
  llvm::SmallVector<llvm::SmallVector<mlir::Value>> decayTotals; // of `Ends`, per state: 1, or a lane's keys or columns
  mlir::Value segmentSteps, segments, segment, workspace;
  mlir::Value transition; // of `Ends`: whether this block has columns of the transition alone; null where none has
  unsigned linked = 0;    // of `Link`: the state
  llvm::SmallVector<llvm::SmallVector<llvm::SmallVector<mlir::Value>>> packedStates; // [state][tile * K/16 + k]
  llvm::DenseMap<std::pair<mlir::Value, int64_t>, Columns> columnCache;
  llvm::SmallVector<Accumulator> startedRead; // of the only read, on its way
  llvm::DenseMap<std::pair<mlir::Value, int64_t>, llvm::SmallVector<llvm::SmallVector<mlir::Value>>> packedCache;
  llvm::SmallVector<AppliedSum> appliedSums;
  mlir::Value storingLane; // made anew for the outputs of a block
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Value>> blockProducts;
  llvm::DenseMap<mlir::Value, DecayRows> decayCache;
  std::map<std::pair<void *, int64_t>, llvm::SmallVector<ColumnDecays>> columnDecayCache;
  llvm::DenseMap<mlir::Value, Rows> rowCache;
  llvm::DenseMap<mlir::Value, mlir::Value> prefetched; // inputs with a number per step
};

} // namespace rondo::cuda
