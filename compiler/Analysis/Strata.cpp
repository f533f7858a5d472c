// See Strata.h.
#include "compiler/Analysis/Strata.h"
#include <functional>

using namespace mlir;
using namespace rondo;
using namespace rondo::analysis;

StateDependence::StateDependence(recur::ScanOp scan) {
  for (BlockArgument argument : scan.step()->getArguments())
    sets[argument].assign(scan.numStates(), false);
  for (unsigned s = 0; s < scan.numStates(); ++s)
    for (BlockArgument argument : scan.stateArgs(s))
      sets[argument][s] = true;
  for (Operation &op : scan.step()->without_terminator())
    for (Value result : op.getResults()) {
      SmallVector<bool> set(scan.numStates(), false);
      for (Value operand : op.getOperands())
        for (unsigned s = 0; s < scan.numStates(); ++s)
          set[s] = set[s] || sets[operand][s];
      sets[result] = set;
    }
}

bool StateDependence::dependsOn(Value value, unsigned state) const {
  auto found = sets.find(value);
  return found != sets.end() && found->second[state];
}

bool StateDependence::dependsOnAny(Value value, ArrayRef<unsigned> states) const {
  return llvm::any_of(states, [&](unsigned state) { return dependsOn(value, state); });
}

/// Tarjan's algorithm; components come out after everything that they read.
SmallVector<Stratum> rondo::analysis::stratify(recur::ScanOp scan, const StateDependence &dependence) {
  unsigned count = scan.numStates();
  auto reads = [&](unsigned from, unsigned to) { return dependence.dependsOn(scan.yield().getStates()[from], to); };
  SmallVector<int> number(count, -1), low(count, 0);
  SmallVector<bool> open(count, false);
  SmallVector<unsigned> stack;
  SmallVector<Stratum> strata;
  int next = 0;
  std::function<void(unsigned)> visit = [&](unsigned s) {
    number[s] = low[s] = next++;
    stack.push_back(s);
    open[s] = true;
    for (unsigned other = 0; other < count; ++other) {
      if (!reads(s, other))
        continue;
      if (number[other] < 0) {
        visit(other);
        low[s] = std::min(low[s], low[other]);
      } else if (open[other]) {
        low[s] = std::min(low[s], number[other]);
      }
    }
    if (low[s] != number[s])
      return;
    Stratum stratum;
    for (unsigned member = count; member != s;) {
      member = stack.pop_back_val();
      open[member] = false;
      stratum.states.push_back(member);
    }
    llvm::sort(stratum.states);
    stratum.isRecurrent = stratum.states.size() > 1 || reads(s, s);
    strata.push_back(stratum);
  };
  for (unsigned s = 0; s < count; ++s)
    if (number[s] < 0)
      visit(s);
  return strata;
}
