// Plans and their costs. See PlanSpace.h.
//
// A plan's time is taken for a sum of counts, each with its nanoseconds. The counts are of the form: elements of states that are touched by
// vector operations (steps), multiplications in products with the states (chunks), the pairs of a chunk's steps, whose number grows with
// the chunk, and reading and writing the states, which is shared by a chunk's steps. The nanoseconds are fitted to measurements of many models
// and sizes on one machine (test/bench/calibrate.py).
#include "compiler/Transforms/PlanSpace.h"
#include "compiler/Transforms/AskedPlans.h"
#include "compiler/Transforms/ExpansionChunk.h"
#include "compiler/Transforms/ExpansionRows.h"
#include <algorithm>

using namespace mlir;
using namespace rondo;
using chunk::Form;
using chunk::PlanAttr;

namespace {

constexpr int64_t kChunks[] = {4, 8, 12, 16, 24, 32, 48, 64, 96, 128};
constexpr int64_t kIntervals[] = {1, 4, 16, 64};

/// Lanes of a vector of f32 on most machines: scores of a chunk whose size is no multiple of it are computed with narrower ones.
constexpr int64_t kLanes = 8;
/// Elements of a state that a step finds as near as can be: half a first-level cache of 32 KiB, as f32. Beyond, a step's time per
/// element grew in the measurements that the nanoseconds are fitted to.
constexpr double kNear = 4096;

constexpr CostTerms kNanoseconds = {
#define RONDO_COST(name, nanoseconds, meaning) nanoseconds,
#include "compiler/Transforms/PlanCosts.inc"
#undef RONDO_COST
};

/// One state and what takes part in its update.
struct StateWork {
  double keys = 1, values = 1; // extents of the key axis and of all others
  double decays = 0, outers = 0, transitions = 0, readouts = 0, moves = 1;
  bool decayedKeys = false; // a decay of its own for every key
};

/// Elements of one step, or of one state.
double featureElements(Type of) {
  auto type = cast<RankedTensorType>(of);
  double size = 1;
  for (int64_t extent : type.getShape().take_back(recur::dimsOf(type).getNames().size()))
    size *= double(extent);
  return size;
}

/// What the cost model knows of a scan.
struct Work {
  double given = 0;  // elements of a step's inputs and outputs
  double states = 0; // elements
  std::vector<StateWork> expanded;
  bool rows = false; // short chunks are made of rows
};

void countExpansion(const Expansion &of, Work &work) {
  recur::ScanInterface scan = of.scan;
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    auto type = cast<RankedTensorType>(scan.getInits()[s].getType());
    ArrayRef<int64_t> shape = type.getShape().take_back(recur::dimsOf(type).getNames().size());
    StateWork state;
    if (!shape.empty())
      state.keys = double(shape[of.keyAxes[s]]);
    state.values = featureElements(type) / state.keys;
    for (recur::DecayAttr decay : of.decays)
      if (decay.getState() == s) {
        ++state.decays;
        state.decayedKeys |= llvm::is_contained(decay.getAxes(), of.keyAxes[s]);
      }
    state.outers = double(llvm::count(of.outers, s));
    state.transitions = double(llvm::count(of.transitions, s));
    state.readouts = double(llvm::count_if(of.readouts, [&](recur::ReadoutAttr each) { return each.getState() == s; }));
    state.moves = double(of.moves(s));
    work.expanded.push_back(state);
  }
}

Work workOf(Operation *op, bool gradient) {
  Work work;
  auto scan = cast<recur::ScanInterface>(op);
  for (Value init : scan.getInits())
    work.states += featureElements(init.getType());
  for (Type type : scan.getInputs().getTypes())
    work.given += featureElements(type);
  for (Value output : scan->getResults().take_front(scan.numOutputs()))
    work.given += featureElements(output.getType());
  if (auto expand = dyn_cast<recur::ExpandScanOp>(op))
    countExpansion(Expansion(expand), work);
  else if (auto delta = dyn_cast<recur::DeltaScanOp>(op))
    countExpansion(Expansion(delta), work);
  std::optional<Expansion> of = gradient ? std::nullopt : expansionOf(op);
  work.rows = of && hasRows(*of);
  return work;
}

/// Adds what so many steps take that are one sweep over a state. What a transition reads is known after a sweep of its own.
void addSweeps(const StateWork &state, double steps, double transitionSweeps, CostTerms &terms) {
  const double elements = state.keys * state.values;
  terms[size_t(CostTerm::StepFar)] += (1 + transitionSweeps) * std::max(0.0, elements - kNear) / steps;
  terms[size_t(CostTerm::Wait)] += transitionSweeps / steps;
  terms[size_t(CostTerm::Sweep)] += transitionSweeps * elements / steps;
}

/// Adds what a step of one state takes by steps.
void addSteps(const StateWork &state, CostTerms &terms) {
  const double operations = state.decays + state.readouts + state.outers + 2 * state.transitions;
  terms[size_t(CostTerm::StepElement)] += operations * state.keys * state.values;
  addSweeps(state, 1, state.transitions > 0 ? state.moves : 0, terms);
}

/// The same by chunks of so many steps.
void addChunks(const StateWork &state, int64_t steps, CostTerms &terms) {
  const double readers = state.readouts + state.transitions;
  const double writers = std::max(1.0, state.outers + state.transitions);
  const double elements = state.keys * state.values;
  // Steps before a step in its chunk, on average; a step with several moves is several.
  const double before = state.moves * double(steps) / 2;
  const double narrow = double(kLanes) / double(std::min(kLanes, steps & -steps));
  terms[size_t(CostTerm::ChunkElement)] += elements / double(steps);
  terms[size_t(CostTerm::Product)] += (readers + writers) * elements;
  terms[size_t(state.decayedKeys ? CostTerm::DecayedScore : CostTerm::Score)] += readers * before * narrow * state.keys;
  terms[size_t(CostTerm::Apply)] += state.readouts * before * state.values;
  terms[size_t(CostTerm::Solve)] += state.transitions * before * state.values;
}

/// The same by chunks of rows: one sweep over the state for all of them.
void addRows(const StateWork &state, int64_t rows, CostTerms &terms) {
  const double readers = state.readouts + state.transitions, before = double(rows) / 2;
  const double operations = state.decays / double(rows) + state.readouts + state.outers + 2 * state.transitions;
  terms[size_t(CostTerm::StepElement)] += operations * state.keys * state.values;
  addSweeps(state, double(rows), state.transitions > 0 ? 1 : 0, terms);
  terms[size_t(CostTerm::DecayedScore)] += readers * before * state.keys;
  terms[size_t(CostTerm::Apply)] += readers * before * state.values;
}

PlanCost costOf(PlanAttr plan, const Work &work) {
  PlanCost result{plan, 0, {}};
  CostTerms &terms = result.terms;
  terms[size_t(CostTerm::Given)] = work.given;
  const bool chunked = plan.getForm() == Form::Chunk;
  terms[size_t(chunked ? CostTerm::Chunk : CostTerm::Step)] = chunked ? 1 / double(plan.getChunk()) : 1;
  if (work.expanded.empty())
    terms[size_t(CostTerm::StepElement)] = work.states;
  for (const StateWork &state : work.expanded)
    if (chunked && work.rows && plan.getChunk() <= kMostRows)
      addRows(state, plan.getChunk(), terms);
    else if (chunked)
      addChunks(state, plan.getChunk(), terms);
    else
      addSteps(state, terms);
  for (size_t term = 0; term < terms.size(); ++term)
    result.cost += terms[term] * kNanoseconds[term];
  return result;
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
  const Work work = workOf(raised, gradient);
  const MissingForms missing = missingForms(raised);
  std::vector<PlanCost> space;
  auto add = [&](PlanAttr plan) {
    if (!refuse(plan, missing))
      space.push_back(costOf(plan, work));
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
