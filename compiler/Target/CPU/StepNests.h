// From the step region of a scan to loop nests, as data. A step is a graph of array operations; this file decides which of its
// values are stored, which are recomputed where they are used, and which stored values are computed in one sweep over a common
// iteration space. It creates no IR: NestEmitter.h turns a nest into loops.
//
// A *statement* computes one stored value: elementwise, or as a reduction. A *nest* is a set of statements over one iteration
// space. `S' = a * S + k v^T` and the readout `q @ S'` form one nest over [K, V]: the state is read and written once.
#pragma once
#include "dialects/Recur/Recur.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallVector.h"
#include <vector>

namespace rondo::cpu {

/// A position along one axis of a value: an iteration dimension of the nest (or of the statement, before it is placed) plus an
/// offset, or the offset alone when `dim` is -1.
struct Index {
  int dim = -1;
  int64_t offset = 0;
  bool operator==(const Index &) const = default;
};
using Indices = llvm::SmallVector<Index, 4>;

/// The element at offset 0 of each dimension.
Indices indices(llvm::ArrayRef<int> dims);

/// The indices at which an operation reads operand `number` when its own result is asked for at `at`. `reduced` are the dimensions
/// that a reduction runs over, in the order of reductionExtents. Only for operations that are evaluated in place.
Indices operandIndices(mlir::Operation *op, unsigned number, llvm::ArrayRef<Index> at, llvm::ArrayRef<Index> reduced);

/// Sizes of the dimensions that `op` reduces over; empty for an elementwise operation, null included.
llvm::SmallVector<int64_t> reductionExtents(mlir::Operation *op);

/// Operations along a chunk: a row needs the rows before it, so that no loop over elements computes them.
bool isChunkOp(mlir::Operation *op);

/// The value whose memory a reshaped value shares.
mlir::Value withoutReshapes(mlir::Value value);

/// Where a statement's value goes.
struct Destination {
  enum Kind { Scratch, State, Output } kind = Scratch;
  int number = 0;     // scratch: buffer number; state, output: position in the yield
  int axis = -1;      // concatenation: the axis along which ...
  int64_t offset = 0; // ... the value begins at this element
  int64_t row =
      -1; // the value is this step's in an output of a chunk, which has an axis of steps before the value's own
};

/// One reduction of a statement: the operation's result, and the nest dimension of each dimension that it reduces over.
struct Term {
  mlir::Value value;
  llvm::SmallVector<int> reduced;
};

/// Computes one stored value. A reduction has a term, or several that add up to the value and run one after another into the same
/// running sums. Anything else is elementwise: over all of the nest's dimensions, or, `afterSums`, over those that no sum runs
/// over, on the finished sums.
struct Statement {
  mlir::Value value;
  llvm::SmallVector<Term, 1> terms;
  bool afterSums = false;
  llvm::SmallVector<int> axes; // nest dimension of each axis of the value
  llvm::SmallVector<Destination> destinations;

  bool isReduction() const { return !terms.empty(); }
  /// The value's element in the current iteration.
  Indices at() const;
  /// The same where it is stored.
  Indices at(const Destination &to) const;
};

struct NestDim {
  int64_t extent = 1;
  bool reduction = false;
};

struct Nest {
  llvm::SmallVector<NestDim> dims; // the batch tile is implicit
  llvm::SmallVector<Statement> statements;
  bool perSequence = true; // false: depends on parameters alone
  /// An operation along a chunk, which has code of its own (ChunkElements.h) instead of loops over `dims`; else null.
  mlir::Operation *chunkOp = nullptr;

  bool hasSums() const;
  /// The terms' reduction dimensions, in the order in which their loops run; all reductions of a nest have the same.
  llvm::SmallVector<llvm::SmallVector<int>> sumLoops() const;
};

/// A value with memory of its own in the scratch area.
struct ScratchBuffer {
  llvm::SmallVector<int64_t> shape;
  mlir::Type element;      // the type of computation, or complex of it
  bool perSequence = true; // one copy for each row of the batch tile
  bool needed = true;      // false: every use is in the sweep that computes the value
};

/// How a state keeps its slices.
enum class StateStorage {
  InPlace, // in the caller's final-state tensor; the update overwrites what it has just read
  Ring,    // depth + 1 slices in scratch
  History, // several axes: every step's value in a temporary tensor
};

/// One read of a stored value or of a step argument by a nest, for cost and legality.
struct Read {
  mlir::Value value;
  Indices at;
  int statement; // index within the nest
};

/// The plan of a step.
class StepNests {
public:
  /// `step` is the step region of a scan, or a chunk. Where it `packs`, matrices that are parameters may be laid out for their nests. Where it
  /// `repeats`, a sweep computes again what is elementwise and another one has as well: waiting for each other costs its threads more.
  explicit StepNests(recur::Step step, bool packs = false, bool repeats = false);

  std::vector<Nest> prologue; // what does not change over time, once per task
  std::vector<Nest> nests;    // every step, in order
  llvm::SmallVector<ScratchBuffer> buffers;
  llvm::SmallVector<StateStorage> states;
  /// The scratch buffer that holds a stored value, in the order of their making: kernels are the same every time.
  llvm::MapVector<mlir::Value, int> bufferOf;
  /// True when a parameter multiplies per-sequence values in a reduction: rows of the batch then share its loads.
  bool sharesParams = false;

  /// True for a value that has memory to be read from: a step argument or a stored value.
  bool isStored(mlir::Value value) const;
  /// False for what depends on parameters and constants alone.
  bool isTimeVarying(mlir::Value value) const { return timeVarying.lookup(value); }
  bool isPerSequence(mlir::Value value) const { return perSequence.lookup(value); }
  /// Rough cost of an element that is computed where it is used, in additions. Zero for what is read from memory.
  int costOf(mlir::Value value) const { return isStored(value) ? 0 : computeCost.lookup(value); }
  /// The same of the value's own computation, stored or not.
  int ownCost(mlir::Value value) const { return computeCost.lookup(value); }
  /// True for a statement that copies what lies in memory; others compute their value.
  bool readsItself(const Statement &statement) const;
  /// True where `nest` reads, at `at`, a matrix whose rows or columns it sums up and that is laid out for its tiles (NestPanels.cpp).
  bool readsPanel(const Nest &nest, mlir::Value value, llvm::ArrayRef<Index> at) const;
  /// Stored values and arguments that `nest` reads, with the indices.
  llvm::SmallVector<Read> reads(const Nest &nest) const;

private:
  void classify();
  void chooseStored();
  void reckonCosts();
  void storeWhatIsDear();
  void joinSums();
  bool mayJoin(mlir::Value sum, llvm::ArrayRef<mlir::Value> terms) const;
  void addStatement(mlir::Value value, Destination destination, bool isPiece);
  void place(Statement statement, llvm::ArrayRef<int64_t> extents);
  void chooseStateStorage();
  bool makes(const Statement &statement, mlir::Value memory) const;
  size_t updateOf(unsigned state, const Statement *&writer) const;
  void sinkUpdate(unsigned state);
  void dropUnreadMemory();
  int newBuffer(mlir::Value value);
  Statement newStatement(mlir::Value value, bool isPiece, llvm::SmallVectorImpl<int64_t> &extents) const;
  void collectReads(mlir::Value value, llvm::ArrayRef<Index> at, llvm::ArrayRef<Index> reduced, bool isRoot,
                    int statement, llvm::SmallVectorImpl<Read> &reads) const;
  bool mayUpdateInPlace(unsigned state) const;

  recur::Step step;
  mutable recur::ScanInterface scan; // an op handle, whose accessors are not const
  bool packs, repeats;
  llvm::DenseSet<mlir::Value> packable; // parameters that all tasks share
  llvm::DenseMap<mlir::Value, bool> timeVarying, perSequence;
  llvm::DenseMap<mlir::Value, int> computeCost;
  llvm::DenseSet<mlir::Value> stored;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Value, 1>> termsOf; // of every reduction
};

} // namespace rondo::cpu
