// What a user asks of plans, and what a plan may not ask of a scan. Knows the syntax of #chunk.plan only through its parser and
// printer, so that a parameter that is added there can be asked for without a word here.
#pragma once
#include "compiler/Transforms/ScanForms.h"
#include "dialects/Chunk/Chunk.h"
#include "dialects/Recur/Recur.h"
#include <string>
#include <utility>
#include <vector>

namespace rondo {

/// Parts of plans, by semicolon: "<chunk = 32>" for every scan that can follow it, "S: <form = step>" for the scan with state S, whose
/// own part wins. Where several have a state of that name, as gradients do, it is for all of them, and "S.2: <...>" for the second
/// (planName). Parameters that are left out keep what the compiler chooses.
class AskedPlans {
public:
  /// Fails, with an error, where the text has another form.
  static mlir::FailureOr<AskedPlans> parse(llvm::StringRef text,
                                           llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

  /// The value of one parameter ("form") for a scan, if it is asked for; and whether it is by the scan's name.
  struct Value {
    std::string text;
    bool named = false;
  };
  std::optional<Value> find(recur::ScanInterface scan, llvm::StringRef parameter);

  /// `chosen` with what is asked for this scan in place of its own. Null, with an error, where that is no plan.
  chunk::PlanAttr apply(chunk::PlanAttr chosen, recur::ScanInterface scan);

  /// A name that no scan had, after every scan has been looked up; empty where there is none.
  std::string unknown() const;

private:
  using Parameters = std::vector<std::pair<std::string, std::string>>;
  struct Part {
    std::string state; // empty: every scan
    Parameters parameters;
    bool used = false;
  };
  bool isFor(const Part &part, recur::ScanInterface scan) const;
  std::vector<Part> parts;
};

/// The plan as `--plan` takes it: "<form = chunk, schedule = carry, chunk = 16>".
std::string planText(chunk::PlanAttr plan);
/// What names a raised scan in a plan: its first state, and which of several that begin with such a one: "S", "d_S.2".
std::string planName(recur::ScanInterface scan);
/// "S, n": the states of a scan.
std::string stateNames(recur::ScanInterface scan);

/// The longest chunk: what its steps compute with each other grows with its square.
inline constexpr int64_t kLongestChunk = 1024;

/// Why a scan cannot follow a plan, and the nearest plan that it can; no constraint where it can.
struct Refusal {
  std::string constraint;
  chunk::PlanAttr nearest;
  explicit operator bool() const { return !constraint.empty(); }
};
Refusal refuse(chunk::PlanAttr plan, const MissingForms &missing);

} // namespace rondo
