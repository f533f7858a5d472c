// choose-plans: every raised scan gets a plan: what the user asked for, else what the cost model expects to be fastest.
#include "compiler/Analysis/Ranges.h"
#include "compiler/Transforms/AskedPlans.h"
#include "compiler/Transforms/ExpansionChunk.h"
#include "compiler/Transforms/KeptStates.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/PlanSpace.h"
#include "compiler/Transforms/ScanForms.h"
#include "dialects/Chunk/Chunk.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace rondo {
#define GEN_PASS_DEF_CHOOSEPLANS
#include "compiler/Transforms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;
using rondo::chunk::Form;

namespace {

/// Below this many elements a state lives in registers and first-level cache, and products of small matrices gain nothing.
constexpr int64_t kSmallState = 256;
/// Steps per chunk: long enough that reading and writing the state once per chunk costs little beside the products, short enough
/// that the products of a chunk's steps with each other, which grow with its square, do too.
constexpr int64_t kChunk = 16;
/// Where states are sums that nothing decays and nothing reads, as the gradients of weights are, the steps of a chunk have no products
/// with each other. But what does not fill a chunk is taken step by step.
constexpr int64_t kSumChunk = 32;
/// Steps of the one chunk that a whole sequence is, in the form `attention`.
constexpr int64_t kAttention = 128;
/// Segments behind the first one, where they are asked for.
constexpr int64_t kLeastSegments = 2;
/// Steps are chosen where they are expected to be faster by so much: small chunks that were chosen wrongly lost up to 20 % in the measurements
/// that PlanCosts.inc is fitted to, steps up to 42 %.
constexpr double kStepsBetterBy = 1.15;
/// Of plans whose scans are not differentiated, where it means nothing.
constexpr int64_t kInterval = 16;

/// Elements of one step, or of one state.
int64_t featureElements(Type of) {
  auto type = cast<RankedTensorType>(of);
  int64_t size = 1;
  for (int64_t extent : type.getShape().take_back(recur::dimsOf(type).getNames().size()))
    size *= extent;
  return size;
}

/// One scan's forms, and why it lacks the others.
class ScanForms {
public:
  ScanForms(Operation *op, bool gradient, bool isForCpu) : missing(missingForms(op)), expansion(expansionOf(op)) {
    auto scan = cast<recur::ScanInterface>(op);
    if (gradient && missing.segments.empty())
      missing.segments = "the gradient goes back over the whole of time";
    if (!isForCpu && missing.segments.empty() && (scan.getResets() || scan.getOffsets()))
      missing.segments = "sequences begin inside the time axis, where a GPU cuts none";
    if (missing.scan.empty())
      missing.scan = missing.segments;
  }

  bool has(Form form) const { return form == Form::Step || whyNot(form).empty(); }
  const std::string &whyNot(Form form) const { return form == Form::Scan ? missing.scan : missing.chunk; }

  /// Elements of the largest state.
  int64_t stateSize() const {
    int64_t largest = 0;
    recur::ScanInterface scan = expansion->scan;
    for (Value init : scan.getInits())
      largest = std::max(largest, featureElements(init.getType()));
    return largest;
  }

  int64_t cheapInterval(int64_t size) const { return ::rondo::cheapInterval(expansion->scan, size); }

  /// True where the states are sums of outer products, and nothing else.
  bool onlySums() const {
    if (!expansion)
      return false;
    recur::ScanInterface scan = expansion->scan;
    auto expand = dyn_cast<recur::ExpandScanOp>(scan.getOperation());
    return expand && expand.getDecays().empty() && expand.getReadouts().empty();
  }

  /// True where every decay is known to lie in [-1, 1], so that no product of them can overflow.
  bool decaysAreBounded() const {
    analysis::Ranges ranges;
    return llvm::all_of(expansion->given().getDecays(), [&](Value decay) { return ranges.of(decay).magnitude() <= 1; });
  }

  MissingForms missing;

private:
  std::optional<Expansion> expansion;
};

struct ChoosePlans : rondo::impl::ChoosePlansBase<ChoosePlans> {
  using ChoosePlansBase::ChoosePlansBase;

  void runOnOperation() override {
    std::optional<Form> asked;
    if (form != "auto")
      asked = ::rondo::chunk::symbolizeForm(form);
    if (form != "auto" && !asked) {
      getOperation().emitError("'") << form << "' is no form: auto, step, scan, chunk or attention";
      return signalPassFailure();
    }
    if (schedule != "auto" && !::rondo::chunk::symbolizeSchedule(schedule)) {
      getOperation().emitError("'") << schedule << "' is no schedule: auto, carry or segment";
      return signalPassFailure();
    }
    if (chunk < 0 || chunk == 1) {
      getOperation().emitError("a chunk has at least 2 steps, got ") << chunk.getValue();
      return signalPassFailure();
    }
    FailureOr<AskedPlans> parts = AskedPlans::parse(plan, [&] { return getOperation().emitError(); });
    if (failed(parts))
      return signalPassFailure();
    if (interval < 0) {
      getOperation().emitError("an interval has at least 1 chunk, got ") << interval.getValue();
      return signalPassFailure();
    }
    bool any = false;
    std::string why = "it has no recurrence that analysis could raise", whole = why, states;
    bool anySegments = false;
    WalkResult walk = getOperation().walk([&](Operation *op) {
      if (!hasForms(op))
        return WalkResult::advance();
      ScanForms forms(op, gradient, /*isForCpu=*/measured);
      auto scan = cast<recur::ScanInterface>(op);
      std::optional<AskedPlans::Value> value = parts->find(scan, "form");
      std::optional<Form> wanted = value ? ::rondo::chunk::symbolizeForm(value->text) : asked;
      if (!wanted && parts->find(scan, "chunk") && forms.has(Form::Chunk) && forms.decaysAreBounded())
        wanted = Form::Chunk; // who asks for a size wants chunks
      std::optional<AskedPlans::Value> way = parts->find(scan, "schedule");
      ::rondo::chunk::PlanAttr chosen =
          follow(choose(op, forms, wanted, way && way->text == "segment"), scan, forms, *parts);
      if (!chosen)
        return WalkResult::interrupt();
      if (value && !value->named)
        asked = wanted;
      any |= !asked || chosen.getForm() == *asked;
      anySegments |= chosen.getSchedule() == ::rondo::chunk::Schedule::Segment;
      if (asked && !forms.has(*asked))
        why = forms.whyNot(*asked);
      if (!forms.missing.segments.empty())
        whole = forms.missing.segments;
      states += (states.empty() ? "'" : ", '") + stateNames(scan) + "'";
      op->setAttr(kPlanAttr, chosen);
      return WalkResult::advance();
    });
    std::string name = parts->unknown();
    if (walk.wasInterrupted())
      return signalPassFailure();
    if (!name.empty())
      getOperation().emitError("a plan is asked for state '")
          << name << "', which no scan has; there is " << (states.empty() ? "no raised scan" : states);
    bool missed = asked && *asked != Form::Step && !any;
    if (missed)
      getOperation().emitError("the model has no form '") << stringifyForm(*asked) << "': " << why;
    bool notCut = schedule == "segment" && !anySegments;
    if (notCut)
      getOperation().emitError("the model has no schedule 'segment': ") << whole;
    if (missed || notCut || !name.empty())
      signalPassFailure();
  }

private:
  /// `chosen` with what is asked of the scan. Null, with an error, where it cannot follow that.
  ::rondo::chunk::PlanAttr follow(::rondo::chunk::PlanAttr chosen, recur::ScanInterface scan, const ScanForms &forms,
                                  AskedPlans &parts) {
    if (plan.empty())
      return chosen;
    ::rondo::chunk::PlanAttr asked = parts.apply(chosen, scan);
    if (!asked)
      return {};
    Refusal refusal = refuse(asked, forms.missing);
    if (!refusal && measured &&
        (asked.getValueTile() || asked.getWarps() || asked.getStages() || asked.getAhead() || asked.getWarpgroups()))
      refusal = {"value_tile, warps, stages, ahead and warpgroups are of kernels for a GPU",
                 ::rondo::chunk::PlanAttr::get(&getContext(), asked.getForm(), asked.getSchedule(), asked.getChunk(),
                                               asked.getInterval(), 0, 0, 0, false, false, asked.getSegments())};
    if (!refusal)
      return asked;
    InFlightDiagnostic error = scan->emitError("the scan of '") << stateNames(scan) << "' cannot follow the plan '"
                                                                << planText(asked) << "': " << refusal.constraint;
    error.attachNote() << "the nearest that it can follow is '" << planText(refusal.nearest) << "'";
    return {};
  }

  /// `mayCut`: calls may be cut into segments, as many as the runtime thinks best; asked for by `schedule` they always are.
  ::rondo::chunk::PlanAttr choose(Operation *op, const ScanForms &forms, std::optional<Form> asked, bool mayCut) {
    using ::rondo::chunk::PlanAttr, ::rondo::chunk::Schedule;
    int64_t size = chunk ? chunk : asked == Form::Attention ? kAttention : forms.onlySums() ? kSumChunk : kChunk;
    Form form = Form::Step;
    if (measured && !gradient && !chunk && forms.has(Form::Chunk) && !forms.onlySums() &&
        (!asked || asked == Form::Step || asked == Form::Chunk)) {
      PlanAttr best = cheapest(op, forms, asked);
      form = best.getForm();
      size = best.getChunk();
    } else if (asked ? forms.has(*asked) : forms.has(Form::Chunk) && isFaster(op, forms)) {
      form = asked.value_or(Form::Chunk);
    }
    bool always = schedule == "segment" || form == Form::Scan;
    bool cut = forms.missing.segments.empty() && (always || mayCut);
    if (cut && form == Form::Step && forms.missing.scan.empty())
      form = Form::Scan; // which is this
    bool chunked = form == Form::Chunk || form == Form::Attention;
    int64_t kept = kInterval;
    if (chunked && gradient)
      kept = interval ? interval : forms.cheapInterval(size);
    return PlanAttr::get(&getContext(), form, cut ? Schedule::Segment : Schedule::Carry, chunked ? size : 1, kept, 0, 0,
                         0, false, false, cut && always ? std::max<int64_t>(segments, kLeastSegments) : 0);
  }

  static double handicapped(const PlanCost &plan) {
    return plan.cost * (plan.plan.getForm() == Form::Step ? kStepsBetterBy : 1);
  }

  /// By the measured cost model: a chunk has the size that it likes best, and is taken where it is safe and cheaper than steps.
  ::rondo::chunk::PlanAttr cheapest(Operation *op, const ScanForms &forms, std::optional<Form> asked) {
    const std::vector<PlanCost> space = planSpace(op, false);
    const auto isBetter = [](const PlanCost &a, const PlanCost &b) { return handicapped(a) < handicapped(b); };
    Form form = asked ? *asked : std::min_element(space.begin(), space.end(), isBetter)->plan.getForm();
    if (!asked && form == Form::Chunk && !hasSafeDecays(op, forms))
      form = Form::Step;
    auto found = llvm::find_if(space, [&](const PlanCost &each) { return each.plan.getForm() == form; });
    return found == space.end() ? space.front().plan : found->plan; // `follow` refuses a form that no pass makes
  }

  bool isFaster(Operation *op, const ScanForms &forms) {
    if (forms.stateSize() >= kSmallState)
      return hasSafeDecays(op, forms);
    keepToSteps(op, "its states have less than " + Twine(kSmallState) + " elements");
    return false;
  }

  void keepToSteps(Operation *op, const Twine &why) {
    op->setAttr(kStepsBecauseAttr, StringAttr::get(&getContext(), "not by chunks, since " + why));
  }

  bool hasSafeDecays(Operation *op, const ScanForms &forms) {
    if (forms.decaysAreBounded())
      return true;
    keepToSteps(op, "a decay is not known to lie in [-1, 1]");
    op->emitRemark(
        "choose-plans keeps to steps: a decay is not known to lie in [-1, 1]; declare its inputs' intervals");
    return false;
  }
};

} // namespace
