// Plans and their costs. See PlanSpace.h.
//
// The cost model counts, per step: elements of states that are touched by vector operations (steps), multiplications in products (chunks),
// the pairs of a chunk's steps, which grow with its size, and reading and writing the states, which is shared by a chunk's steps. The
// constants are estimates, not fitted to measurements yet; only the order that they give matters, and the search trusts it within a factor.
#include "compiler/Transforms/PlanSpace.h"
#include "compiler/Transforms/AskedPlans.h"
#include "compiler/Transforms/ExpansionChunk.h"
#include <algorithm>

using namespace mlir;
using namespace rondo;
using chunk::Form;
using chunk::PlanAttr;

namespace {

constexpr int64_t kChunks[] = {4, 8, 12, 16, 24, 32, 48, 64, 96, 128};
constexpr int64_t kIntervals[] = {1, 4, 16, 64};

/// Nanoseconds.
constexpr double kPerStepElement = 0.10;  // of a state, for each operation of a step on it
constexpr double kPerProduct = 0.030;     // multiplication and addition in a product of matrices
constexpr double kPerPair = 0.060;        // the same among a chunk's steps, which are short
constexpr double kPerStateElement = 0.35; // read, scaled and written once a chunk
constexpr double kPerStep = 15, kPerChunk = 250;

/// What the cost model knows of a scan.
struct Work {
  double elements = 0;   // of all states
  double edge = 0;       // of the rows and columns of all states: what a step's vectors hold
  double operations = 1; // of a step on each element
  double products = 2;   // of a chunk with each element
};

Work workOf(Operation *op) {
  Work work;
  auto scan = cast<recur::ScanInterface>(op);
  for (Value init : scan.getInits()) {
    auto type = cast<RankedTensorType>(init.getType());
    double size = 1, edge = 0;
    for (int64_t extent : type.getShape().take_back(recur::dimsOf(type).getNames().size())) {
      size *= double(extent);
      edge += double(extent);
    }
    work.elements += size;
    work.edge += edge;
  }
  auto count = [&](const Expansion &of) {
    const double transitions = double(of.transitions.size()), outers = double(of.outers.size());
    work.operations = double(of.decays.size() + of.readouts.size()) + outers + 2 * transitions;
    work.products = double(of.readouts.size()) + outers + 2 * transitions;
  };
  if (auto expand = dyn_cast<recur::ExpandScanOp>(op))
    count(Expansion(expand));
  else if (auto delta = dyn_cast<recur::DeltaScanOp>(op))
    count(Expansion(delta));
  return work;
}

double costOf(PlanAttr plan, const Work &work) {
  if (plan.getForm() == Form::Step)
    return kPerStep + kPerStepElement * work.operations * work.elements;
  const double steps = double(plan.getChunk());
  return kPerProduct * work.products * work.elements + kPerPair * work.products * steps / 2 * work.edge +
         (kPerChunk + kPerStateElement * work.elements) / steps;
}

/// A chunk's plan with every interval between kept states; the plan alone where plans have no such parameter.
template <typename Plan> std::vector<PlanAttr> withIntervals(Plan plan, Operation *op) {
  std::vector<PlanAttr> plans;
  if constexpr (requires { plan.getInterval(); }) {
    for (int64_t interval : kIntervals) {
      auto asked = AskedPlans::parse("<interval = " + std::to_string(interval) + ">", [&] { return op->emitError(); });
      plans.push_back(asked->apply(plan, cast<recur::ScanInterface>(op)));
    }
    return plans;
  }
  return {plan};
}

} // namespace

std::vector<PlanCost> rondo::planSpace(Operation *raised, bool gradient) {
  const Work work = workOf(raised);
  const MissingForms missing = missingForms(raised);
  std::vector<PlanCost> space;
  auto add = [&](PlanAttr plan) {
    if (!refuse(plan, missing))
      space.push_back({plan, costOf(plan, work)});
  };
  MLIRContext *context = raised->getContext();
  add(PlanAttr::get(context, Form::Step, chunk::Schedule::Carry, 1));
  for (int64_t steps : kChunks) {
    PlanAttr plan = PlanAttr::get(context, Form::Chunk, chunk::Schedule::Carry, steps);
    if (gradient && missing.chunk.empty())
      for (PlanAttr each : withIntervals(plan, raised))
        add(each);
    else
      add(plan);
  }
  llvm::sort(space, [](const PlanCost &a, const PlanCost &b) {
    return std::pair(a.cost, a.plan.getChunk()) < std::pair(b.cost, b.plan.getChunk());
  });
  return space;
}
