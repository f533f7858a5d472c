// Derivatives of the operations along a chunk. Complex values as in StepAdjoint.h: what multiplies a cotangent is conjugated.
//
// Between two steps s < t of a chunk lie products of decays, with which a score goes up (from s to t) and its cotangents come back (from
// t to s): the adjoint of what decays along the axis of keys decays along it, too. A decay that all keys share is a matrix over
// <time, source> of its own, so that what is left are products of matrices.
#include "compiler/Differentiate/StepAdjoint.h"
#include "compiler/Transforms/StepValues.h"

using namespace mlir;
using namespace rondo;
using chunk::Span;
using rondo::recur::Fn;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// `type` with a named axis of one element behind its others.
static RankedTensorType withUnitAxis(RankedTensorType type) {
  SmallVector<int64_t> shape(type.getShape());
  recur::DimsAttr dims = recur::dimsOf(type);
  SmallVector<StringAttr> names(dims.getNames());
  shape.push_back(1);
  names.push_back(StringAttr::get(type.getContext(), "1"));
  return RankedTensorType::get(shape, type.getElementType(),
                               recur::DimsAttr::get(type.getContext(), dims.getAxes(), names));
}

Value StepAdjoint::products(Value decay, Span span) {
  return chunk::ProductsOp::create(b, loc, decay.getType(), span, decay);
}

Value StepAdjoint::runningSums(Value operand, Value decay, bool before, bool transposed) {
  return chunk::SumsOp::create(b, loc, operand.getType(), operand, decay, before, transposed);
}

Value StepAdjoint::apply(Value scores, Value values, Value decay, bool before, bool transposed) {
  return chunk::ApplyOp::create(b, loc, values.getType(), scores, values, decay, before, transposed);
}

Value StepAdjoint::decayGradient(Value scores, Value queries, Value keys, Value decay, bool before) {
  return chunk::DecayGradientOp::create(b, loc, decay.getType(), scores, queries, keys, decay, before);
}

Value StepAdjoint::contract(StringRef spec, ArrayRef<Value> operands, Type type) {
  return recur::ContractOp::create(b, loc, type, spec, operands);
}

/// A product of decays loses one of them: what is left lies before it, and behind it.
void StepAdjoint::visitChunk(chunk::ProductsOp op, Value g) {
  Value decay = conjugate(op.getOperand());
  switch (op.getSpan()) {
  case Span::Through:
  case Span::Before:
    return add(op.getOperand(), mul(products(decay, Span::Before),
                                    runningSums(g, decay, op.getSpan() == Span::Before, /*transposed=*/true)));
  case Span::After:
    return add(op.getOperand(),
               mul(products(decay, Span::After), runningSums(g, decay, /*before=*/true, /*transposed=*/false)));
  case Span::All:
    Value others = mul(products(decay, Span::Before), products(decay, Span::After));
    return add(op.getOperand(), mul(broadcast(g, typeOf(decay), {0}), others));
  }
}

void StepAdjoint::visitChunk(chunk::SumsOp op, Value g) {
  Value x = conjugate(op.getOperand()), decay = conjugate(op.getDecay());
  bool before = op.getBefore(), transposed = op.getTransposed();
  add(op.getOperand(), runningSums(g, decay, before, !transposed));
  if (isActive(op.getDecay()))
    add(op.getDecay(), mul(runningSums(transposed ? g : x, decay, /*before=*/true, /*transposed=*/false),
                           runningSums(transposed ? x : g, decay, before, /*transposed=*/true)));
}

void StepAdjoint::visitChunk(chunk::ScoresOp op, Value g) {
  Value q = conjugate(op.getQueries()), k = conjugate(op.getKeys()), decay = op.getDecay();
  bool before = op.getBefore(), isActiveDecay = decay && isActive(decay);
  if (decay)
    decay = conjugate(decay);
  if (decay && decay.getType() == k.getType()) {
    add(op.getQueries(), apply(g, k, decay, before, /*transposed=*/false));
    add(op.getKeys(), apply(g, q, decay, before, /*transposed=*/true));
    if (isActiveDecay)
      add(op.getDecay(), decayGradient(g, q, k, decay, before));
    return;
  }
  RankedTensorType column = withUnitAxis(axesOf(typeOf(k), {0}));
  auto one = constantOf(b, loc, axesOf(column, {}), 1).getDefiningOp<arith::ConstantOp>();
  auto ones = arith::ConstantOp::create(
      b, loc, cast<TypedAttr>(Attribute(cast<DenseElementsAttr>(one.getValue()).resizeSplat(column))));
  Value source = chunk::AsSourceOp::create(b, loc, k);
  Value decayed = mul(g, chunk::ScoresOp::create(b, loc, ones, ones, decay, before));
  add(op.getQueries(), contract("ts,sk->tk", {decayed, source}, k.getType()));
  if (isActive(op.getKeys()))
    add(op.getKeys(),
        chunk::AsTimeOp::create(b, loc, contract("ts,tk->sk", {decayed, q}, source.getType())).getResult());
  if (isActiveDecay)
    add(op.getDecay(),
        decayGradient(mul(g, contract("tk,sk->ts", {q, source}, g.getType())), ones, ones, decay, before));
}

void StepAdjoint::visitChunk(chunk::ApplyOp op, Value g) {
  Value scores = conjugate(op.getScores()), v = conjugate(op.getValues()), decay = conjugate(op.getDecay());
  bool before = op.getBefore(), transposed = op.getTransposed();
  // What stands at the later step, and at the earlier one.
  Value later = transposed ? v : g, earlier = transposed ? g : v;
  if (isActive(op.getScores()))
    add(op.getScores(), chunk::ScoresOp::create(b, loc, later, earlier, decay, before));
  if (isActive(op.getValues()))
    add(op.getValues(), apply(scores, g, decay, before, !transposed));
  if (isActive(op.getDecay()))
    add(op.getDecay(), decayGradient(scores, later, earlier, decay, before));
}

void StepAdjoint::visitChunk(chunk::SolveOp op, Value g) {
  bool before = op.getBefore(), transposed = op.getTransposed();
  Value decay = op.getDecay(), matrix = conjugate(op.getMatrix());
  bool isActiveDecay = decay && isActive(decay);
  if (decay)
    decay = conjugate(decay);
  Value back = chunk::SolveOp::create(b, loc, matrix, g, decay, before, !transposed);
  add(op.getRight(), back);
  if (!isActive(op.getMatrix()) && !isActiveDecay)
    return;
  Value solved = conjugate(op.getResult());
  auto columns = [&](Value value) {
    RankedTensorType type = typeOf(value);
    return type.getRank() == 2 ? value : broadcast(value, withUnitAxis(type), {1});
  };
  Value later = columns(transposed ? solved : back), earlier = columns(transposed ? back : solved);
  if (isActiveDecay)
    add(op.getDecay(), decayGradient(matrix, later, earlier, decay, before));
  // A step's own decay, the last one on the way, goes with the later step: so nothing is left where the two are one.
  if (decay && !before)
    later = mul(later, decay);
  if (isActive(op.getMatrix()))
    add(op.getMatrix(), chunk::ScoresOp::create(b, loc, later, earlier, decay, /*before=*/true));
}

void StepAdjoint::visitChunk(chunk::AsSourceOp op, Value g) {
  add(op.getOperand(), chunk::AsTimeOp::create(b, loc, g));
}

void StepAdjoint::visitChunk(chunk::AsTimeOp op, Value g) {
  add(op.getOperand(), chunk::AsSourceOp::create(b, loc, g));
}
