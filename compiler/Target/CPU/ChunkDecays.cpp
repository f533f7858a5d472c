// The gradients of decays. For a step r, and every later step u, the pairs that have entered before r and that u reads are kept:
//
//   B[u] = sum over s < r of G[u, s] k[s] product of a over (s, r)            x[r] = sum over u >= r of q[u] B[u] product of a over (r, u]
//
// B decays and grows from one r to the next; x[r] is a running sum against time. See ChunkElements.h. B lies in scratch, in as many rows
// behind the result's (StepNests.cpp).
#include "compiler/Target/CPU/ChunkElements.h"
#include "dialects/Chunk/Chunk.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

void ChunkEmitter::emitDecayGradient() {
  auto gradient = cast<chunk::DecayGradientOp>(op);
  left = matrixOf(gradient.getScores());
  queries = matrixOf(gradient.getQueries());
  right = matrixOf(gradient.getKeys());
  decay = matrixOf(gradient.getDecay());
  before = gradient.getBefore();
  decays = gradient.getDecay().getType() == gradient.getKeys().getType() ? Decay::PerKey : Decay::PerStep;
  int64_t columns = cast<RankedTensorType>(gradient.getKeys().getType()).getDimSize(1);
  if (decays == Decay::PerKey)
    return columnBlocks(columns, 1, [&](Value column, int64_t, int64_t lanes) {
      clear(column, 1, lanes);
      decayColumn(column, lanes);
    });
  clear(index(0), 1, 0);
  loop(0, columns, 1, [&](Value column) { decayColumn(column, 0); });
}

/// What some columns of queries and keys give.
void ChunkEmitter::decayColumn(Value column, int64_t lanes) {
  Value own = decays == Decay::PerKey ? column : index(0); // of what is as wide as the decay
  loop(1, size, 1, [&](Value later) {
    Element entering = ops.mul(load(left, later, index(0)), load(right, index(0), column, lanes));
    store(result, add(later, size), own, entering, lanes);
  });
  loop(1, before ? size - 1 : size, 1, [&](Value row) { decayRow(row, column, lanes); });
}

/// x of one step, which is `row`, and B for the next one.
void ChunkEmitter::decayRow(Value row, Value column, int64_t lanes) {
  Value own = decays == Decay::PerKey ? column : index(0);
  Element factor = load(decay, row, own, lanes), key = load(right, row, column, lanes);
  // What a later step reads of the pairs before `row`; and its pairs before the step behind that.
  auto read = [&](Value later) {
    Element pairs = load(result, add(later, size), own, lanes);
    Element next = ops.multiplyAdd(load(left, later, row), key, ops.mul(pairs, factor));
    store(result, add(later, size), own, next, lanes);
    return ops.mul(load(queries, later, column, lanes), pairs);
  };
  auto backTo = [&](int64_t from, Element sum, function_ref<Element(Value, Element)> body) {
    // for later = from ... row + 1
    Elements sums = loop(row, index(from), 1, {sum}, [&](Value at, Elements sums) {
      Value later = arith::SubIOp::create(b, loc, add(row, index(from)), at);
      return Elements{body(later, sums[0])};
    });
    return sums[0];
  };
  Element sum;
  if (before) {
    sum = backTo(size - 2, read(index(size - 1)), [&](Value later, Element sum) {
      return ops.multiplyAdd(sum, load(decay, later, own, lanes), read(later));
    });
  } else {
    sum = backTo(size - 1, zero(lanes), [&](Value later, Element sum) {
      return ops.mul(ops.add(sum, read(later)), load(decay, later, own, lanes));
    });
    sum = ops.multiplyAdd(load(queries, row, column, lanes), load(result, add(row, size), own, lanes), sum);
  }
  if (decays == Decay::PerStep)
    sum = ops.add(sum, load(result, row, own, lanes));
  store(result, row, own, sum, lanes);
}
