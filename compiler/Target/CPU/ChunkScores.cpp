// Scores between the steps of a chunk, and values that decay on their way from one step to another. What has entered so far stays
// in registers and decays from row to row; the diagonal blocks are unrolled, the rows below them run in a loop. See
// ChunkElements.h.
#include "compiler/Target/CPU/ChunkElements.h"
#include "dialects/Chunk/Chunk.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Sources, or key positions, whose decayed values are in registers at once, each as two vectors.
static constexpr int64_t kKept = 4;

static Element select(OpBuilder &b, Location loc, Value mask, Element yes, Element no) {
  auto part = [&](Value x, Value y) -> Value { return arith::SelectOp::create(b, loc, mask, x, y); };
  return {part(yes.re, no.re), yes.isComplex() ? part(yes.im, no.im) : Value()};
}

/// True for the lanes in [begin, end).
static Value laneMask(OpBuilder &b, Location loc, int64_t begin, int64_t end, int64_t lanes) {
  SmallVector<bool> mask;
  for (int64_t lane = 0; lane < lanes; ++lane)
    mask.push_back(lane >= begin && lane < end);
  auto type = VectorType::get({lanes}, b.getI1Type());
  return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, mask));
}

Element ChunkEmitter::insertLane(Element element, Element inserted, int64_t lane, int64_t lanes) {
  if (result.place.isComplex)
    inserted = ops.toComplex(inserted);
  if (!lanes)
    return inserted;
  return select(b, loc, laneMask(b, loc, lane, lane + 1, lanes), ops.splat(inserted, lanes), element);
}

void ChunkEmitter::clear(Value column, int64_t vectors, int64_t lanes) {
  loop(0, size, 1, [&](Value row) {
    for (int64_t v = 0; v < vectors; ++v)
      store(result, row, add(column, v * lanes), zero(lanes), lanes);
  });
}

void ChunkEmitter::emitApply() {
  auto apply = cast<chunk::ApplyOp>(op);
  left = matrixOf(apply.getScores());
  right = matrixOf(apply.getValues());
  decay = matrixOf(apply.getDecay());
  before = apply.getBefore();
  transposed = apply.getTransposed();
  columnBlocks(result.columns, 2, [&](Value column, int64_t vectors, int64_t lanes) {
    clear(column, vectors, lanes);
    applyBlocks(column, vectors, lanes);
  });
}

void ChunkEmitter::applyBlocks(Value column, int64_t vectors, int64_t lanes) {
  blocks(size, kKept, [&](Value first, int64_t sources) {
    ApplyBlock block{column, vectors, lanes, first, sources};
    Elements values(sources * vectors, zero(lanes));
    for (int64_t i = 0; i < sources; ++i)
      applyRow(block, add(first, i), i, values);
    if (sources < size)
      loop(add(first, sources), index(size), 1, values, [&](Value row, Elements values) {
        applyRow(block, row, sources, values);
        return values;
      });
  });
}

/// What the sources of a block give to one row; `inserted` of them come before it. Where the row is a source itself, its own value
/// enters: after the step's decay, and with `before` after everything. A row of a solution, which is what enters, is not known earlier, either.
void ChunkEmitter::applyRow(const ApplyBlock &block, Value step, int64_t inserted, Elements &values) {
  bool isSource = inserted < block.sources, solves = isa<chunk::SolveOp>(op);
  bool entersLast = before || solves;
  int64_t entering = entersLast || !isSource ? inserted : inserted + 1;
  auto at = [&](int64_t v) { return add(block.column, v * block.lanes); };
  auto value = [&](int64_t source, int64_t v) -> Element & { return values[source * block.vectors + v]; };
  auto advance = [&] {
    for (int64_t v = 0; inserted && v < block.vectors; ++v) {
      Element factor = load(decay, decayStep(step), at(v), block.lanes);
      for (int64_t source = 0; source < inserted; ++source)
        value(source, v) = ops.mul(value(source, v), factor);
    }
  };
  Elements sums;
  auto enter = [&] {
    for (int64_t v = 0; isSource && v < block.vectors; ++v)
      value(inserted, v) = solves ? sums[v] : load(right, row(step), at(v), block.lanes);
  };
  if (!before)
    advance();
  if (!entersLast)
    enter();
  for (int64_t v = 0; (entering || (solves && isSource)) && v < block.vectors; ++v)
    sums.push_back(load(result, row(step), at(v), block.lanes));
  for (int64_t source = 0; source < entering; ++source) {
    Element score = entry(step, add(block.first, source));
    for (int64_t v = 0; v < block.vectors; ++v)
      sums[v] = ops.multiplyAdd(score, value(source, v), sums[v]);
  }
  for (int64_t v = 0; entering && v < block.vectors; ++v)
    store(result, row(step), at(v), sums[v], block.lanes);
  if (before)
    advance();
  if (entersLast)
    enter();
}

void ChunkEmitter::emitScores() {
  auto scores = cast<chunk::ScoresOp>(op);
  left = matrixOf(scores.getQueries());
  right = matrixOf(scores.getKeys());
  before = scores.getBefore();
  decays = Decay::None;
  if (Value factors = scores.getDecay()) {
    decay = matrixOf(factors);
    decays = factors.getType() == scores.getKeys().getType() ? Decay::PerKey : Decay::PerStep;
  }
  int64_t keys = cast<RankedTensorType>(scores.getKeys().getType()).getDimSize(1);
  // Vectors that fill a row of scores exactly.
  int64_t lanes = std::min<int64_t>(widest, size & -size), vectors = size / lanes;
  sourceLanes = lanes == 1 ? 0 : lanes;
  loop(0, vectors, 1, [&](Value vector) { clear(mul(vector, index(lanes)), 1, sourceLanes); });
  // The sources in vectors, two at once.
  blocks(size, std::min<int64_t>(2, vectors) * lanes, [&](Value first, int64_t sources) {
    blocks(keys, kKept, [&](Value key, int64_t count) { scoreKeys(first, sources / lanes, key, count); });
    finishScores(first, sources / lanes);
  });
}

/// Adds what some key positions give to the scores of a block of sources. The keys that have entered are kept with the decay since.
void ChunkEmitter::scoreKeys(Value first, int64_t vectors, Value key, int64_t keys) {
  ScoreBlock block{first, vectors, key, keys};
  int64_t sources = vectors * std::max<int64_t>(1, sourceLanes);
  Elements kept(keys * vectors, zero(sourceLanes));
  for (int64_t i = 0; i < sources; ++i)
    scoreRow(block, add(first, i), i, kept);
  if (sources < size)
    loop(add(first, sources), index(size), 1, kept, [&](Value row, Elements kept) {
      scoreRow(block, row, sources, kept);
      return kept;
    });
}

/// One row of scores; `inserted` sources of the block come before it. Vectors without an entered source are left alone.
void ChunkEmitter::scoreRow(const ScoreBlock &block, Value row, int64_t inserted, Elements &kept) {
  int64_t lanes = std::max<int64_t>(1, sourceLanes);
  bool isSource = inserted < block.vectors * lanes;
  int64_t vectors = llvm::divideCeil(inserted, lanes), entering = before || !isSource ? vectors : inserted / lanes + 1;
  auto advance = [&] {
    for (int64_t k = 0; k < block.keys; ++k) {
      Value key = add(block.key, k);
      Element *of = &kept[k * block.vectors];
      if (decays == Decay::PerKey && vectors) {
        Element factor = load(decay, row, key);
        for (int64_t v = 0; v < vectors; ++v)
          of[v] = ops.mul(of[v], factor);
      }
      if (isSource)
        of[inserted / lanes] = insertLane(of[inserted / lanes], load(right, row, key), inserted % lanes, sourceLanes);
    }
  };
  if (!before)
    advance();
  Elements sums;
  for (int64_t v = 0; v < entering; ++v)
    sums.push_back(load(result, row, add(block.first, v * lanes), sourceLanes));
  for (int64_t k = 0; k < block.keys && entering; ++k) {
    Element query = load(left, row, add(block.key, k));
    for (int64_t v = 0; v < entering; ++v)
      sums[v] = ops.multiplyAdd(query, kept[k * block.vectors + v], sums[v]);
  }
  for (int64_t v = 0; v < entering; ++v)
    store(result, row, add(block.first, v * lanes), sums[v], sourceLanes);
  if (before)
    advance();
}

/// A decay that all keys share multiplies the finished products. What lies above the diagonal is nothing, also where a product with
/// it would not be a number.
void ChunkEmitter::finishScores(Value first, int64_t vectors) {
  int64_t sources = vectors * std::max<int64_t>(1, sourceLanes);
  Elements factors(vectors, one(sourceLanes));
  for (int64_t i = 0; i < sources; ++i)
    finishRow(add(first, i), first, i, factors);
  if (decays == Decay::PerStep && sources < size)
    loop(add(first, sources), index(size), 1, factors, [&](Value row, Elements factors) {
      finishRow(row, first, sources, factors);
      return factors;
    });
}

/// `factors` are the products of the decays since each source.
void ChunkEmitter::finishRow(Value row, Value first, int64_t inserted, Elements &factors) {
  int64_t lanes = std::max<int64_t>(1, sourceLanes), vectors = llvm::divideCeil(inserted, lanes);
  bool isSource = inserted < static_cast<int64_t>(factors.size()) * lanes, scales = decays == Decay::PerStep;
  int64_t valid = before || !isSource ? inserted : inserted + 1; // sources that give to the row
  auto advance = [&] {
    if (!scales)
      return;
    Element factor = load(decay, row, index(0));
    for (int64_t v = 0; v < vectors; ++v)
      factors[v] = ops.mul(factors[v], factor);
    if (isSource)
      factors[inserted / lanes] = insertLane(factors[inserted / lanes], one(0), inserted % lanes, sourceLanes);
  };
  if (!before)
    advance();
  for (int64_t v = 0; v * lanes < valid; ++v) {
    int64_t count = std::min(lanes, valid - v * lanes);
    if (!scales && count == lanes)
      continue;
    Value column = add(first, v * lanes);
    Element score = load(result, row, column, sourceLanes);
    if (scales)
      score = ops.mul(score, factors[v]);
    if (count < lanes)
      score = select(b, loc, laneMask(b, loc, 0, count, lanes), score, zero(sourceLanes));
    store(result, row, column, score, sourceLanes);
  }
  if (before)
    advance();
}
