// Sums of products of scores and values that decay along the value axis, for several queries of one state. What they share is made once, and is
// in registers no longer than they need it: a block's values, decayed up to a level and rounded, meet the scores of every query before the next
// level is made.
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

static recur::MapOp sumOf(Value value) {
  auto map = value.getDefiningOp<recur::MapOp>();
  return map && map.getFn() == recur::Fn::Add ? map : recur::MapOp();
}

/// Whether a value is such a product, or a sum with one.
static bool hasApply(Value value) {
  if (recur::MapOp sum = sumOf(value))
    return llvm::any_of(sum.getOperands(), hasApply);
  return static_cast<bool>(value.getDefiningOp<chunk::ApplyOp>());
}

/// The sum as a whole: one product in it says how all decay, and what decays otherwise stays apart.
void ChunkKernelEmitter::addAppliedSum(Value root) {
  AppliedSum sum{root, {}, {}};
  SmallVector<Value> rest{root};
  while (!rest.empty()) {
    Value value = rest.pop_back_val();
    if (recur::MapOp add = sumOf(value); add && hasApply(value)) {
      rest.append({add.getOperand(1), add.getOperand(0)});
      continue;
    }
    auto apply = value.getDefiningOp<chunk::ApplyOp>();
    const bool alike = apply && (sum.applies.empty() || (apply.getDecay() == sum.applies.front().getDecay() &&
                                                         apply.getBefore() == sum.applies.front().getBefore()));
    if (alike)
      sum.applies.push_back(apply);
    else
      sum.others.push_back(value);
  }
  appliedSums.push_back(sum);
}

/// The sums that outputs are computed from.
void ChunkKernelEmitter::findAppliedSums() {
  DenseSet<Value> seen;
  SmallVector<Value> rest;
  for (Value output : program.outputs)
    rest.push_back(groupedColumns(output) ? groupedColumns(output) : output);
  while (!rest.empty()) {
    Value value = rest.pop_back_val();
    Operation *op = value.getDefiningOp();
    if (!op || !isRows(value) || !seen.insert(value).second)
      continue;
    if (!hasApply(value)) {
      llvm::append_range(rest, op->getOperands());
      continue;
    }
    addAppliedSum(value);
    llvm::append_range(rest, appliedSums.back().others);
    for (chunk::ApplyOp apply : appliedSums.back().applies)
      llvm::append_range(rest, apply->getOperands());
  }
}

/// All sums like the first one, for the steps of one block:
///   y[t] = sum over s of scores[t, s] (decays between s and t) ∘ values[s]
void ChunkKernelEmitter::applyTogether(AppliedSum &first, int64_t block, const ChunkAt &chunk) {
  chunk::ApplyOp any = first.applies.front();
  Value decay = any.getDecay();
  const bool before = any.getBefore();
  SmallVector<AppliedSum *> group;
  for (AppliedSum &sum : appliedSums)
    if (sum.isLike(first))
      group.push_back(&sum);
  SmallVector<Columns> sums(group.size(), Columns(2 * plan.columnTiles(), l.zeros()));
  SmallVector<Value> values; // each once
  for (AppliedSum *sum : group)
    for (chunk::ApplyOp apply : sum->applies)
      if (!llvm::is_contained(values, apply.getValues()))
        values.push_back(apply.getValues());
  auto productsWith = [&](Value value, int64_t from) {
    SmallVector<AppliedProduct> products;
    for (auto [sum, into] : llvm::zip(group, sums))
      for (chunk::ApplyOp apply : sum->applies)
        if (apply.getValues() == value)
          products.push_back({&into, loadScores(apply.getScores(), block, from, chunk)});
    return products;
  };
  for (int64_t from = 0; from < block; ++from)
    for (Value value : values) {
      SmallVector<SmallVector<Value>> a = pack(decayedUpTo(decay, value, from, block, chunk));
      for (const AppliedProduct &product : productsWith(value, from))
        for (size_t i = 0; i < product.into->size(); ++i)
          (*product.into)[i] = multiplyTerms(a[i / 2], product.scores, i % 2, (*product.into)[i]);
    }
  for (Columns &sum : sums)
    if (block)
      startAt(decay, before, block, chunk, sum);
  for (Value value : values)
    applyLevels(decay, before, columnsOf(value, block, chunk), productsWith(value, block), block, chunk);
  for (auto [sum, into] : llvm::zip(group, sums)) {
    for (Value other : sum->others) {
      const Columns part = columnsOf(other, block, chunk);
      for (size_t i = 0; i < into.size(); ++i)
        for (int64_t r = 0; r < 4; ++r)
          into[i][r] = l.addf(into[i][r], part[i][r]);
    }
    columnCache[{sum->root, block}] = into;
  }
}
