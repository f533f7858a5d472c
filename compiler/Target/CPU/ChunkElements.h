// Values that are computed along a chunk: running products and sums, scores, their application, substitution, and the gradients of decays.
// Each is a nest of its own
// (Nest::chunkOp), since one row of it needs the rows before. No element is divided, and no logarithm taken: what decays is multiplied
// step by step, so that a decay of 0 is exact.
#pragma once
#include "compiler/Target/CPU/NestEmitter.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace rondo::cpu {

class ChunkEmitter {
public:
  ChunkEmitter(mlir::OpBuilder &b, mlir::Location loc, const StepNests &plan, const Nest &nest,
               const NestEnvironment &environment);
  /// Emits the nest's operation for every row of the batch tile.
  void emit();

private:
  /// An operand or the result as a matrix: one row per step, and `columns` neighbours in it.
  struct Matrix {
    Place place;           // of the row of the batch that is worked on
    mlir::Value rowStride; // null: a single row
    int64_t columns = 1;
    llvm::SmallVector<std::pair<int64_t, int64_t>> planes; // extents and strides of the axes in between
    Element constant;                                      // not null: every element, and there is no memory
  };
  /// Sources that give to columns of a result: `sources` rows from `first` on, `vectors` vectors from `column` on.
  struct ApplyBlock {
    mlir::Value column;
    int64_t vectors, lanes;
    mlir::Value first;
    int64_t sources;
  };
  /// Scores of `vectors` vectors of sources from `first` on, and what `keys` key positions from `key` on give to them.
  struct ScoreBlock {
    mlir::Value first;
    int64_t vectors;
    mlir::Value key;
    int64_t keys;
  };
  using Elements = llvm::SmallVector<Element>;
  using Body = llvm::function_ref<Elements(mlir::Value, Elements)>;

  void emitRow();
  void emitProducts();
  void multiply(const Matrix &factors, const Matrix &products, mlir::Value column, int64_t vectors, int64_t lanes);
  void emitSums();
  void accumulate(const Matrix &terms, const Matrix &factors, const Matrix &sums, mlir::Value column, int64_t vectors,
                  int64_t lanes);
  void emitSolve();
  void solveRows(mlir::Value first, int64_t rows, mlir::Value column, int64_t vectors, int64_t lanes);
  void emitApply();
  void applyBlocks(mlir::Value column, int64_t vectors, int64_t lanes);
  void applyRow(const ApplyBlock &block, mlir::Value step, int64_t inserted, Elements &values);
  void emitScores();
  void scoreKeys(mlir::Value first, int64_t vectors, mlir::Value key, int64_t keys);
  void scoreRow(const ScoreBlock &block, mlir::Value row, int64_t inserted, Elements &kept);
  void finishScores(mlir::Value first, int64_t vectors);
  void finishRow(mlir::Value row, mlir::Value first, int64_t inserted, Elements &decays);
  void emitDecayGradient();
  void decayColumn(mlir::Value column, int64_t lanes);
  void decayRow(mlir::Value row, mlir::Value column, int64_t lanes);
  void copyResult();

  Matrix matrixOf(mlir::Value value);
  Matrix matrixAt(Place place, bool hasRows);
  void planes(llvm::ArrayRef<Matrix> matrices, size_t axis, llvm::function_ref<void(llvm::ArrayRef<Matrix>)> body);
  mlir::Value position(const Matrix &matrix, mlir::Value row, mlir::Value column);
  Element load(const Matrix &matrix, mlir::Value row, mlir::Value column, int64_t lanes = 0);
  void store(const Matrix &matrix, mlir::Value row, mlir::Value column, Element element, int64_t lanes);
  // A transposed operation is the operation itself with the steps counted from the end: the entry for two steps lies where those two,
  // exchanged, are counted from the end; decays between two steps are the same ones, that of the step which is the later now excluded
  // and that of the other included.
  mlir::Value row(mlir::Value step) { return transposed ? backward(size - 1, step) : step; }
  mlir::Value decayStep(mlir::Value step) { return transposed ? backward(before ? size - 1 : size, step) : step; }
  mlir::Value backward(int64_t from, mlir::Value step);
  Element entry(mlir::Value step, mlir::Value source) {
    return transposed ? load(left, row(source), row(step)) : load(left, step, source);
  }
  /// Zeros in all rows of some columns of the result.
  void clear(mlir::Value column, int64_t vectors, int64_t lanes);
  Element zero(int64_t lanes) { return ops.splat(ops.constant(0, result.place.isComplex), lanes); }
  Element one(int64_t lanes) { return ops.splat(ops.constant(1, result.place.isComplex), lanes); }
  /// `inserted` in the lane `lane` of `element`, the rest as it is.
  Element insertLane(Element element, Element inserted, int64_t lane, int64_t lanes);

  mlir::Value index(int64_t value) { return mlir::arith::ConstantIndexOp::create(b, loc, value); }
  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value add(mlir::Value x, int64_t y) { return y ? add(x, index(y)) : x; }
  mlir::Value mul(mlir::Value x, mlir::Value y);
  /// for (i = from; i < to; i += step) carried = body(i, carried)
  Elements loop(mlir::Value from, mlir::Value to, int64_t step, Elements carried, Body body);
  void loop(int64_t from, int64_t to, int64_t step, llvm::function_ref<void(mlir::Value)> body);
  /// Runs over `extent` in blocks of `size`, and over what is left in one smaller block.
  void blocks(int64_t extent, int64_t size, llvm::function_ref<void(mlir::Value, int64_t)> body);
  /// Runs over columns in blocks of at most `vectors` vectors, then smaller ones, then single elements (lanes 0).
  void columnBlocks(int64_t columns, int64_t vectors,
                    llvm::function_ref<void(mlir::Value, int64_t vectors, int64_t lanes)> body);

  mlir::OpBuilder &b;
  mlir::Location loc;
  const StepNests &plan;
  const Nest &nest;
  const NestEnvironment &env;
  ElementOps ops;
  mlir::Operation *op;
  int64_t widest;            // lanes
  int64_t size = 1;          // steps of the chunk
  mlir::Value batchRow;      // of the tile; null where the nest runs once for all rows
  Matrix result;             // in scratch, where partial results lie too
  Matrix left, right, decay; // operands, by their use in each operation
  Matrix queries;            // of decay gradients, whose keys are `right`
  enum class Decay { None, PerStep, PerKey };
  Decay decays = Decay::None; // of scores
  bool before = false, transposed = false;
  int64_t sourceLanes = 0; // lanes along the axis `source`; 0: single elements
};

} // namespace rondo::cpu
