// See RowSums.h.
#include "compiler/Target/CPU/RowSums.h"

using namespace mlir;
using namespace rondo;

static bool hasAxis(Value value, StringRef axis) { return recur::dimsOf(value.getType()).axisPosition(axis) >= 0; }

/// A state's argument has one use, the sum that is the state's new value.
static bool onlyAdds(recur::Step step, unsigned state) {
  BlockArgument argument = step.stateArgs(state).front();
  Value updated = step.yield().getStates()[state];
  auto sum = updated.getDefiningOp<recur::MapOp>();
  return sum && sum.getFn() == recur::Fn::Add && argument.hasOneUse() && *argument.getUsers().begin() == sum &&
         sum.getType() == argument.getType();
}

/// Zero, without rows.
static bool isZero(Value init) {
  auto sum = init.getDefiningOp<recur::SumToOp>();
  return sum && sum.getOperands_().empty() && !hasAxis(init, "batch");
}

/// Nothing reads it but sums over the batch.
static bool isAddedUp(Value final) {
  return hasAxis(final, "batch") && llvm::all_of(final.getUsers(), [](Operation *user) {
           auto sum = dyn_cast<recur::SumToOp>(user);
           return sum && !hasAxis(sum.getResult(), "batch");
         });
}

bool cpu::sumsOverRows(chunk::ScanOp scan) {
  if (scan.numOutputs() > 0 || scan.getResets() || scan.getOffsets() || scan.getInputs().empty())
    return false;
  for (Region *region : {&scan.getStep(), &scan.getChunk()}) {
    recur::Step step(scan, &region->front());
    for (unsigned s = 0; s < scan.numStates(); ++s)
      if (!onlyAdds(step, s))
        return false;
  }
  return llvm::all_of(scan.getInputs(), [](Value v) { return hasAxis(v, "batch") && hasAxis(v, "time"); }) &&
         llvm::none_of(scan.getParams(), [](Value v) { return hasAxis(v, "batch"); }) &&
         llvm::all_of(scan.getInits(), isZero) && llvm::all_of(scan.finals(), isAddedUp);
}
