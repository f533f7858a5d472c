// The plans that a scan can follow, and what each is expected to cost: what tuning chooses from, and the compiler where nobody tunes.
#pragma once
#include "dialects/Chunk/Chunk.h"
#include "mlir/IR/Operation.h"
#include <array>
#include <vector>

namespace rondo {

/// What a plan's time is a sum of; each has its nanoseconds in PlanCosts.inc.
enum class CostTerm {
#define RONDO_COST(name, nanoseconds, meaning) name,
#include "compiler/Transforms/PlanCosts.inc"
#undef RONDO_COST
  Count
};
using CostTerms = std::array<double, size_t(CostTerm::Count)>;

/// `cost` is in nanoseconds per step and head on one thread of the machine that PlanCosts.inc was measured on; on another one the order
/// is what counts. `terms` are how often each term's nanoseconds are in it.
struct PlanCost {
  chunk::PlanAttr plan;
  double cost = 0;
  CostTerms terms{};
};

/// Every plan worth a look for a raised scan (recur.linear_scan, expand_scan, delta_scan), the cheapest first. `gradient`: the way back is
/// computed, too, so that how many states are kept is a part of the plan.
std::vector<PlanCost> planSpace(mlir::Operation *raised, bool gradient);

} // namespace rondo
