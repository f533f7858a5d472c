// The plans that a scan can follow, and what each is expected to cost: what tuning chooses from.
#pragma once
#include "dialects/Chunk/Chunk.h"
#include "mlir/IR/Operation.h"
#include <vector>

namespace rondo {

/// `cost` is in nanoseconds per step and head on one thread of a common processor; only ratios mean something.
struct PlanCost {
  chunk::PlanAttr plan;
  double cost = 0;
};

/// Every plan worth a look for a raised scan (recur.linear_scan, expand_scan, delta_scan), the cheapest first. `gradient`: the way back is
/// computed, too, so that how many states are kept is a part of the plan.
std::vector<PlanCost> planSpace(mlir::Operation *raised, bool gradient);

} // namespace rondo
