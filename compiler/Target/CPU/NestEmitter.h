// One nest to loops over vectors: chooses the vector dimension and the register tile, then emits scf loops in which everything
// is computed at the outermost loop that it depends on.
#pragma once
#include "compiler/Target/CPU/ElementOps.h"
#include "compiler/Target/CPU/NestTiling.h"
#include "compiler/Target/CPU/Place.h"
#include "compiler/Target/CPU/StepNests.h"
#include "mlir/IR/Builders.h"
#include <functional>
#include <map>
#include <vector>

namespace rondo::cpu {

/// What the emitter asks of the kernel that it is part of.
struct NestEnvironment {
  std::function<Place(mlir::Value)> placeOf; // stored values and step arguments
  std::function<Place(const Destination &)> destination;
  mlir::Type real;       // type of computation
  int64_t batchTile = 1; // rows
  int64_t vectorBits = 256;
  mlir::Value rowCount = {};             // rows, where they are known at run time only; `batchTile` of them at most
  mlir::Value member = {}, members = {}; // of the threads that share out the nest; null where one does it all
  /// Where a parameter lies that is laid out for the nest's tiles (StepNests::readsPanel).
  std::function<Place(mlir::Value, llvm::ArrayRef<Index>)> panelOf = {};
};

class NestEmitter {
public:
  NestEmitter(mlir::OpBuilder &b, mlir::Location loc, const StepNests &plan, const Nest &nest,
              const NestEnvironment &environment);
  void emit();
  /// Lays out a parameter for the nest's tiles: `panel`'s memory is filled from what the nest reads at `at`.
  void emitPanel(const Place &panel, mlir::Value param, llvm::ArrayRef<Index> at);

private:
  /// Iterations [begin, end) of one dimension in steps of `step`; `vector` when they are vectors.
  struct Segment {
    int64_t begin, end, step;
    bool vector;
    int64_t count;            // elements, or vectors, per step
    mlir::Value from{}, to{}; // in place of `begin` and `end` where they are known at run time only
  };
  /// A loop's variable, or a number, times a stride, as a part of an address.
  struct Summand {
    int level;
    Index index;
    int64_t stride;
    mlir::Value dynamicStride;
  };
  /// One open loop body, or what surrounds the nest. New operations go before `end` (null: to the block's end), or, when inner
  /// loops ask for them, before the first inner loop.
  struct Level {
    mlir::Block *block;
    mlir::Operation *end;
    mlir::Operation *firstLoop = nullptr;
  };
  struct DimState {
    mlir::Value iv; // null when the dimension stands at `start`
    int64_t start = 0;
    int level = 0;
    bool vector = false;
    int64_t count = 1; // unrolled elements (or vectors) in the current segment
  };
  /// A computed element, the loop level it lies at, and the set of dimensions that it depends on.
  struct Known {
    Element element;
    int level;
    uint32_t dims;
    bool late; // stands behind an inner loop, where code of its level that inner loops ask for does not see it
  };
  using Key = std::vector<int64_t>;
  /// Offsets of one unrolled iteration, per dimension (batch last).
  using Point = llvm::SmallVector<int64_t>;

  void tile();
  llvm::SmallVector<Segment> segments(int dim) const;
  llvm::SmallVector<Segment> rowSegments();
  void shareOut();
  Segment shareOf(Segment segment);
  int batchDim() const { return nest.dims.size(); }
  int64_t extent(int dim) const { return dim == batchDim() ? rows : nest.dims[dim].extent; }
  bool isReduction(int dim) const { return dim != batchDim() && nest.dims[dim].reduction; }

  void emitParallel(size_t position);
  void emitReduction(size_t term, size_t position);
  void inLoop(int dim, const Segment &segment, llvm::SmallVectorImpl<mlir::Value> *carried,
              llvm::function_ref<void()> body);
  /// Computes and stores the elementwise statements of an iteration, or those that follow its finished sums.
  void emitElementwise(llvm::ArrayRef<Point> points, bool afterSums);
  /// Adds an iteration of the loops of term `term` to the running sums.
  void accumulate(size_t term);
  void startSums();
  /// A running sum at the end of its loops: lanes, and what filled no vector.
  struct Total {
    const Statement *statement;
    Point point;
    Element element, tail; // of no tail: null
  };
  llvm::SmallVector<Total, 0> totals();
  /// Adds up lanes, stores the sums, and computes what follows them.
  void finishSums();
  void finishGroups();
  void finish(const Statement &statement, Element total);
  bool isGrouped() const;
  llvm::SmallVector<Point> points(bool parallel, bool reduced) const;
  size_t sumIndex(size_t statement, size_t point, size_t unrolled, bool scalar) const;

  /// The element(s) of `value` at `at` in the current iteration; `isRoot` computes it even where it is stored.
  Element evaluate(mlir::Value value, llvm::ArrayRef<Index> at, bool isRoot = false);
  Element evaluateOp(mlir::Operation *op, llvm::ArrayRef<Index> at, int level);
  Element identityElement(llvm::ArrayRef<Index> at);
  /// `sum` combined with the term of a statement in the current iteration.
  Element addTerm(const Statement &statement, const Term &term, Element sum);
  Element load(const Place &place, llvm::ArrayRef<Index> at, int level);
  /// True when lanes run along a first axis whose elements are no neighbours.
  bool isScattered(const Place &place, llvm::ArrayRef<Index> at) const;
  void store(const Place &place, llvm::ArrayRef<Index> at, Element element);
  Key keyOf(mlir::Value value, llvm::ArrayRef<Index> resolved) const;
  mlir::Value address(const Place &place, llvm::ArrayRef<Index> at, int level);
  mlir::Value sumUp(const Place &place, llvm::SmallVectorImpl<Summand> &summands, int64_t constant, int level);
  Element loadPanel(const Place &panel, llvm::ArrayRef<Index> at, int level);
  mlir::Value position(Index resolved);
  bool isComputedHere(mlir::Value value) const;
  bool movesWithLanes(llvm::ArrayRef<Index> at) const;
  /// `at` in the current iteration: offsets include the unrolled point, dimensions that stand still become offsets. The
  /// batch row is appended where `perSequence`.
  Indices resolve(llvm::ArrayRef<Index> at, bool perSequence) const;
  int levelOf(llvm::ArrayRef<Index> resolved) const;
  uint32_t dimsOf(llvm::ArrayRef<Index> resolved) const;
  void remember(const Key &key, Element element, int level, uint32_t dims);
  /// Puts the builder where code of a level goes.
  void moveTo(int level);
  int innermost() const { return static_cast<int>(levels.size()) - 1; }

  mlir::OpBuilder &b;
  mlir::Location loc;
  const StepNests &plan;
  const Nest &nest;
  const NestEnvironment &env;
  ElementOps ops;
  int64_t rows;
  NestTiling tiling;
  std::vector<llvm::SmallVector<Segment>> cuts;       // of each dimension, batch last
  llvm::SmallVector<llvm::SmallVector<int>> sumLoops; // per term, dimensions from the outermost loop to the innermost
  llvm::SmallVector<DimState> dims;                   // batch last
  llvm::SmallVector<Level> levels;
  std::map<Key, Known> memo;
  const Point *point = nullptr;
  llvm::SmallVector<mlir::Value> sums; // running sums, see sumIndex
  size_t sumPoints = 0, sumUnroll = 1;
  bool sumVector = false, sumScalar = false;
};

} // namespace rondo::cpu
