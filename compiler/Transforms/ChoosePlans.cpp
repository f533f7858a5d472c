// choose-plans: every raised scan gets a plan: what the user asked for, else what the cost model expects to be fastest.
#include "compiler/Analysis/Ranges.h"
#include "compiler/Transforms/AskedPlans.h"
#include "compiler/Transforms/ExpansionChunk.h"
#include "compiler/Transforms/Passes.h"
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

/// One scan's forms, and why it lacks the others.
class ScanForms {
public:
  explicit ScanForms(Operation *op) {
    if (auto expand = dyn_cast<recur::ExpandScanOp>(op))
      expansion.emplace(expand);
    else if (auto delta = dyn_cast<recur::DeltaScanOp>(op))
      expansion.emplace(delta);
    noChunk = expansion ? noChunkForm(*expansion) : "its states take in no outer products";
  }

  bool hasChunk() const { return noChunk.empty(); }

  /// Elements of the largest state.
  int64_t stateSize() const {
    int64_t largest = 0;
    recur::ScanInterface scan = expansion->scan;
    for (Value init : scan.getInits()) {
      auto type = cast<RankedTensorType>(init.getType());
      int64_t size = 1;
      for (int64_t extent : type.getShape().take_back(recur::dimsOf(type).getNames().size()))
        size *= extent;
      largest = std::max(largest, size);
    }
    return largest;
  }

  /// True where every decay is known to lie in [-1, 1], so that no product of them can overflow.
  bool decaysAreBounded() const {
    analysis::Ranges ranges;
    return llvm::all_of(expansion->given().getDecays(), [&](Value decay) { return ranges.of(decay).magnitude() <= 1; });
  }

  std::string noChunk;

private:
  std::optional<Expansion> expansion;
};

struct ChoosePlans : rondo::impl::ChoosePlansBase<ChoosePlans> {
  using ChoosePlansBase::ChoosePlansBase;

  void runOnOperation() override {
    std::optional<Form> asked;
    if (form != "auto")
      asked = ::rondo::chunk::symbolizeForm(form);
    if (form != "auto" && asked != Form::Step && asked != Form::Chunk) {
      getOperation().emitError("'") << form << "' is no form: auto, step or chunk";
      return signalPassFailure();
    }
    if (chunk < 0 || chunk == 1) {
      getOperation().emitError("a chunk has at least 2 steps, got ") << chunk.getValue();
      return signalPassFailure();
    }
    FailureOr<AskedPlans> parts = AskedPlans::parse(plan, [&] { return getOperation().emitError(); });
    if (failed(parts))
      return signalPassFailure();
    bool any = false;
    std::string why = "it has no recurrence that analysis could raise", states;
    WalkResult walk = getOperation().walk([&](Operation *op) {
      if (!isa<recur::LinearScanOp, recur::ExpandScanOp, recur::DeltaScanOp>(op))
        return WalkResult::advance();
      ScanForms forms(op);
      auto scan = cast<recur::ScanInterface>(op);
      std::optional<AskedPlans::Value> value = parts->find(scan, "form");
      std::optional<Form> wanted = value ? ::rondo::chunk::symbolizeForm(value->text) : asked;
      ::rondo::chunk::PlanAttr chosen = follow(choose(op, forms, wanted), scan, forms, *parts);
      if (!chosen)
        return WalkResult::interrupt();
      if (value && !value->named)
        asked = wanted;
      any |= !asked || chosen.getForm() == *asked;
      if (!forms.hasChunk())
        why = forms.noChunk;
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
    if (missed || !name.empty())
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
    Refusal refusal = refuse(asked, forms.noChunk);
    if (!refusal)
      return asked;
    InFlightDiagnostic error = scan->emitError("the scan of '") << stateNames(scan) << "' cannot follow the plan '"
                                                                << planText(asked) << "': " << refusal.constraint;
    error.attachNote() << "the nearest that it can follow is '" << planText(refusal.nearest) << "'";
    return {};
  }

  ::rondo::chunk::PlanAttr choose(Operation *op, const ScanForms &forms, std::optional<Form> asked) {
    int64_t size = chunk ? chunk : kChunk;
    bool chunked = forms.hasChunk() && (asked ? *asked == Form::Chunk : isFaster(op, forms));
    return ::rondo::chunk::PlanAttr::get(&getContext(), chunked ? Form::Chunk : Form::Step,
                                         ::rondo::chunk::Schedule::Carry, chunked ? size : 1);
  }

  bool isFaster(Operation *op, const ScanForms &forms) {
    if (forms.stateSize() < kSmallState)
      return false;
    if (forms.decaysAreBounded())
      return true;
    op->emitRemark(
        "choose-plans keeps to steps: a decay is not known to lie in [-1, 1]; declare its inputs' intervals");
    return false;
  }
};

} // namespace
