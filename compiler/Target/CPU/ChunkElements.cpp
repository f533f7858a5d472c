// Running products and substitution, and what all chunk operations share. See ChunkElements.h.
#include "compiler/Target/CPU/ChunkElements.h"
#include "dialects/Chunk/Chunk.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

static RankedTensorType arrayOf(Value value) { return cast<RankedTensorType>(value.getType()); }

ChunkEmitter::ChunkEmitter(OpBuilder &b, Location loc, const StepNests &plan, const Nest &nest,
                           const NestEnvironment &environment)
    : b(b), loc(loc), plan(plan), nest(nest), env(environment), ops(b, loc, environment.real), op(nest.chunkOp),
      widest(environment.vectorBits / environment.real.getIntOrFloatBitWidth()) {}

void ChunkEmitter::emit() {
  int64_t rows = nest.perSequence ? env.batchTile : 1;
  loop(0, rows, 1, [&](Value row) {
    batchRow = row;
    emitRow();
  });
}

void ChunkEmitter::emitRow() {
  size = arrayOf(op->getOperand(0)).getDimSize(0);
  result = matrixOf(op->getResult(0));
  if (isa<chunk::ProductsOp>(op))
    emitProducts();
  else if (isa<chunk::SolveOp>(op))
    emitSolve();
  else if (isa<chunk::ApplyOp>(op))
    emitApply();
  else if (isa<chunk::SumsOp>(op))
    emitSums();
  else if (isa<chunk::DecayGradientOp>(op))
    emitDecayGradient();
  else
    emitScores();
  copyResult();
}

Value ChunkEmitter::add(Value x, Value y) {
  return arith::AddIOp::create(b, loc, x, y, arith::IntegerOverflowFlags::nsw);
}
Value ChunkEmitter::mul(Value x, Value y) {
  return arith::MulIOp::create(b, loc, x, y, arith::IntegerOverflowFlags::nsw);
}

Value ChunkEmitter::backward(int64_t from, Value step) {
  return arith::SubIOp::create(b, loc, index(from), step, arith::IntegerOverflowFlags::nsw);
}

ChunkEmitter::Matrix ChunkEmitter::matrixOf(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  auto numbers = constant ? dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
  if (!numbers || !numbers.isSplat())
    return matrixAt(env.placeOf(value), !recur::dimsOf(value.getType()).getAxes().empty());
  Matrix matrix;
  matrix.constant = ops.constant(numbers);
  return matrix;
}

ChunkEmitter::Matrix ChunkEmitter::matrixAt(Place place, bool hasRows) {
  SmallVector<int64_t> strides = place.strides();
  Matrix matrix;
  if (hasRows)
    matrix.rowStride = place.rowStride ? place.rowStride : index(strides.front());
  if (place.shape.size() > (hasRows ? 1 : 0))
    matrix.columns = place.shape.back();
  // Axes between the rows and the columns.
  for (auto [extent, stride] : llvm::drop_begin(llvm::zip(place.shape, strides), hasRows))
    matrix.planes.push_back({extent, stride});
  if (!matrix.planes.empty())
    matrix.planes.pop_back();
  if (place.batchStride)
    place.base = add(place.base, mul(batchRow, place.batchStride));
  matrix.place = std::move(place);
  return matrix;
}

Value ChunkEmitter::position(const Matrix &matrix, Value row, Value column) {
  Value at = matrix.place.isComplex ? mul(column, index(2)) : column;
  if (matrix.rowStride)
    at = add(mul(row, matrix.rowStride), at);
  return add(matrix.place.base, at);
}

/// Runs over the axes between rows and columns, with matrices that lie there.
void ChunkEmitter::planes(ArrayRef<Matrix> matrices, size_t axis, function_ref<void(ArrayRef<Matrix>)> body) {
  size_t axes = 0;
  int64_t extent = 1;
  for (const Matrix &matrix : matrices)
    if (matrix.planes.size() > axis) {
      axes = matrix.planes.size();
      extent = matrix.planes[axis].first;
    }
  if (axis == axes)
    return body(matrices);
  loop(0, extent, 1, [&](Value at) {
    SmallVector<Matrix, 0> there(matrices);
    for (Matrix &matrix : there)
      if (!matrix.planes.empty())
        matrix.place.base = add(matrix.place.base, mul(at, index(matrix.planes[axis].second)));
    planes(there, axis + 1, body);
  });
}

Element ChunkEmitter::load(const Matrix &matrix, Value row, Value column, int64_t lanes) {
  if (matrix.constant.re)
    return ops.splat(matrix.constant, lanes);
  return loadElement(b, loc, ops, matrix.place, position(matrix, row, column), lanes);
}

void ChunkEmitter::store(const Matrix &matrix, Value row, Value column, Element element, int64_t lanes) {
  storeElement(b, loc, ops, matrix.place, position(matrix, row, column), element, lanes);
}

ChunkEmitter::Elements ChunkEmitter::loop(Value from, Value to, int64_t step, Elements carried, Body body) {
  auto flat = [](const Elements &elements) {
    SmallVector<Value> values;
    for (const Element &element : elements) {
      values.push_back(element.re);
      if (element.isComplex())
        values.push_back(element.im);
    }
    return values;
  };
  auto whole = [&](ValueRange values) {
    Elements elements;
    size_t next = 0;
    for (const Element &like : carried) {
      Value re = values[next++];
      elements.push_back({re, like.isComplex() ? values[next++] : Value()});
    }
    return elements;
  };
  auto loop = scf::ForOp::create(b, loc, from, to, index(step), flat(carried));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Elements next = body(loop.getInductionVar(), whole(loop.getRegionIterArgs()));
  if (!carried.empty())
    scf::YieldOp::create(b, loc, flat(next));
  return whole(loop.getResults());
}

/// Without a loop where there is a single iteration.
void ChunkEmitter::loop(int64_t from, int64_t to, int64_t step, function_ref<void(Value)> body) {
  if (from < to && to - from <= step)
    return body(index(from));
  if (from < to)
    loop(index(from), index(to), step, {}, [&](Value at, const Elements &) {
      body(at);
      return Elements();
    });
}

void ChunkEmitter::blocks(int64_t extent, int64_t size, function_ref<void(Value, int64_t)> body) {
  int64_t whole = extent / size * size;
  loop(0, whole, size, [&](Value at) { body(at, size); });
  if (whole < extent)
    body(index(whole), extent - whole);
}

void ChunkEmitter::columnBlocks(int64_t columns, int64_t vectors,
                                function_ref<void(Value, int64_t vectors, int64_t lanes)> body) {
  int64_t lanes = std::min<int64_t>(widest, llvm::bit_floor(static_cast<uint64_t>(columns))), done = 0;
  auto cut = [&](int64_t count, int64_t lanes) {
    int64_t step = count * std::max<int64_t>(lanes, 1), end = done + (columns - done) / step * step;
    loop(done, end, step, [&](Value at) { body(at, count, lanes); });
    done = end;
  };
  if (lanes > 1) {
    cut(vectors, lanes);
    if (int64_t rest = (columns - done) / lanes)
      cut(rest, lanes);
  }
  cut(1, 0);
}

/// The result has other destinations than scratch where it is a state or an output.
void ChunkEmitter::copyResult() {
  for (const Destination &destination : nest.statements.front().destinations) {
    if (destination.kind == Destination::Scratch)
      continue;
    Matrix to = matrixAt(env.destination(destination), static_cast<bool>(result.rowStride));
    planes({result, to}, 0, [&](ArrayRef<Matrix> at) {
      loop(0, result.rowStride ? size : 1, 1, [&](Value row) {
        columnBlocks(result.columns, 1, [&](Value column, int64_t, int64_t lanes) {
          store(at[1], row, column, load(at[0], row, column, lanes), lanes);
        });
      });
    });
  }
}

void ChunkEmitter::emitProducts() {
  planes({matrixOf(op->getOperand(0)), result}, 0, [&](ArrayRef<Matrix> at) {
    columnBlocks(result.columns, 4,
                 [&](Value column, int64_t vectors, int64_t lanes) { multiply(at[0], at[1], column, vectors, lanes); });
  });
}

void ChunkEmitter::multiply(const Matrix &factors, const Matrix &products, Value column, int64_t vectors,
                            int64_t lanes) {
  chunk::Span span = cast<chunk::ProductsOp>(op).getSpan();
  auto at = [&](int64_t vector) { return add(column, vector * lanes); };
  Elements last = loop(index(0), index(size), 1, Elements(vectors, one(lanes)), [&](Value step, Elements product) {
    Value row = step;
    if (span == chunk::Span::After)
      row = arith::SubIOp::create(b, loc, index(size - 1), step);
    for (int64_t v = 0; v < vectors; ++v) {
      Element next = ops.mul(product[v], load(factors, row, at(v), lanes));
      if (span != chunk::Span::All)
        store(products, row, at(v), span == chunk::Span::Through ? next : product[v], lanes);
      product[v] = next;
    }
    return product;
  });
  for (int64_t v = 0; span == chunk::Span::All && v < vectors; ++v)
    store(products, {}, at(v), last[v], lanes);
}

void ChunkEmitter::emitSums() {
  auto sums = cast<chunk::SumsOp>(op);
  before = sums.getBefore();
  transposed = sums.getTransposed();
  planes({matrixOf(sums.getOperand()), matrixOf(sums.getDecay()), result}, 0, [&](ArrayRef<Matrix> at) {
    columnBlocks(result.columns, 4, [&](Value column, int64_t vectors, int64_t lanes) {
      accumulate(at[0], at[1], at[2], column, vectors, lanes);
    });
  });
}

/// The first step's decay lies between no two steps, and is not looked at.
void ChunkEmitter::accumulate(const Matrix &terms, const Matrix &factors, const Matrix &sums, Value column,
                              int64_t vectors, int64_t lanes) {
  auto at = [&](int64_t vector) { return add(column, vector * lanes); };
  Elements first;
  for (int64_t v = 0; v < vectors; ++v) {
    first.push_back(load(terms, row(index(0)), at(v), lanes));
    store(sums, row(index(0)), at(v), before ? zero(lanes) : first[v], lanes);
  }
  loop(index(1), index(size), 1, first, [&](Value step, Elements sum) {
    for (int64_t v = 0; v < vectors; ++v) {
      Element next =
          ops.multiplyAdd(load(factors, decayStep(step), at(v), lanes), sum[v], load(terms, row(step), at(v), lanes));
      store(sums, row(step), at(v), before ? sum[v] : next, lanes);
      sum[v] = next;
    }
    return sum;
  });
}

/// Rows of a chunk whose sums are in registers at once.
static constexpr int64_t kSolvedRows = 4;

void ChunkEmitter::emitSolve() {
  auto solve = cast<chunk::SolveOp>(op);
  left = matrixOf(solve.getMatrix());
  right = matrixOf(solve.getRight());
  transposed = solve.getTransposed();
  if (Value factors = solve.getDecay()) {
    decay = matrixOf(factors);
    before = solve.getBefore();
    columnBlocks(result.columns, 2, [&](Value column, int64_t vectors, int64_t lanes) {
      loop(0, size, 1, [&](Value step) {
        for (int64_t v = 0; v < vectors; ++v)
          store(result, step, add(column, v * lanes), load(right, step, add(column, v * lanes), lanes), lanes);
      });
      applyBlocks(column, vectors, lanes);
    });
    return;
  }
  columnBlocks(result.columns, 2, [&](Value column, int64_t vectors, int64_t lanes) {
    blocks(size, kSolvedRows, [&](Value first, int64_t rows) { solveRows(first, rows, column, vectors, lanes); });
  });
}

/// A tile as in a matrix product takes in what is solved already; then the rows of the block take from each other.
void ChunkEmitter::solveRows(Value first, int64_t rows, Value column, int64_t vectors, int64_t lanes) {
  auto at = [&](int64_t vector) { return add(column, vector * lanes); };
  Elements sums;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t v = 0; v < vectors; ++v)
      sums.push_back(load(right, row(add(first, i)), at(v), lanes));
  sums = loop(index(0), first, 1, sums, [&](Value source, Elements sums) {
    Elements solved;
    for (int64_t v = 0; v < vectors; ++v)
      solved.push_back(load(result, row(source), at(v), lanes));
    for (int64_t i = 0; i < rows; ++i) {
      Element factor = entry(add(first, i), source);
      for (int64_t v = 0; v < vectors; ++v)
        sums[i * vectors + v] = ops.multiplyAdd(factor, solved[v], sums[i * vectors + v]);
    }
    return sums;
  });
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t v = 0; v < vectors; ++v) {
      Element &sum = sums[i * vectors + v];
      for (int64_t j = 0; j < i; ++j)
        sum = ops.multiplyAdd(entry(add(first, i), add(first, j)), sums[j * vectors + v], sum);
      store(result, row(add(first, i)), at(v), sum, lanes);
    }
}
