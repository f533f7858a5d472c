// Plans on the command line. See AskedPlans.h.
#include "compiler/Transforms/AskedPlans.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;
using namespace rondo;
using chunk::Form;
using chunk::PlanAttr;

/// "form = chunk, chunk = 16" as pairs. False where something else stands there.
static bool parseParameters(StringRef text, std::vector<std::pair<std::string, std::string>> &parameters) {
  SmallVector<StringRef> assignments;
  text.split(assignments, ',');
  for (StringRef assignment : assignments) {
    auto [name, value] = assignment.split('=');
    name = name.trim();
    value = value.trim();
    if (name.empty() || value.empty())
      return false;
    parameters.emplace_back(name.str(), value.str());
  }
  return true;
}

FailureOr<AskedPlans> AskedPlans::parse(StringRef text, function_ref<InFlightDiagnostic()> emitError) {
  AskedPlans asked;
  SmallVector<StringRef> pieces;
  text.split(pieces, ';', -1, false);
  for (StringRef piece : pieces) {
    Part part;
    StringRef rest = piece.trim();
    if (size_t colon = rest.find(':'); colon != StringRef::npos) {
      part.state = rest.take_front(colon).trim().str();
      rest = rest.drop_front(colon + 1).trim();
    }
    if (!rest.consume_front("<") || !rest.consume_back(">") || !parseParameters(rest, part.parameters)) {
      emitError() << "'" << piece.trim()
                  << "' is no plan; expected one like '<form = chunk, chunk = 32>', or 'S: <...>' for one scan";
      return failure();
    }
    asked.parts.push_back(std::move(part));
  }
  return asked;
}

bool AskedPlans::isFor(const Part &part, recur::ScanInterface scan) const {
  if (part.state.empty())
    return true;
  for (unsigned s = 0; s < scan.numStates(); ++s)
    if (scan.state(s).getName().getValue() == part.state)
      return true;
  return planName(scan) == part.state;
}

std::optional<AskedPlans::Value> AskedPlans::find(recur::ScanInterface scan, StringRef parameter) {
  std::optional<Value> found;
  for (Part &part : parts) {
    if (!isFor(part, scan))
      continue;
    part.used = true;
    for (const auto &[name, value] : part.parameters)
      if (name == parameter && (!part.state.empty() || !found || !found->named))
        found = {value, !part.state.empty()};
  }
  return found;
}

std::string AskedPlans::unknown() const {
  for (const Part &part : parts)
    if (!part.state.empty() && !part.used)
      return part.state;
  return "";
}

std::string rondo::planText(PlanAttr plan) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << Attribute(plan);
  return text.substr(text.find('<'));
}

std::string rondo::planName(recur::ScanInterface scan) {
  const StringAttr name = scan.state(0).getName();
  size_t all = 0, number = 0;
  scan->getParentOfType<ModuleOp>().walk([&](Operation *op) {
    auto other = dyn_cast<recur::ScanInterface>(op);
    if (!other || !hasForms(op) || other.numStates() == 0 || other.state(0).getName() != name)
      return;
    ++all;
    if (other == scan)
      number = all;
  });
  return name.str() + (all > 1 ? "." + std::to_string(number) : "");
}

std::string rondo::stateNames(recur::ScanInterface scan) {
  std::string text;
  for (unsigned s = 0; s < scan.numStates(); ++s)
    text += (text.empty() ? "" : ", ") + scan.state(s).getName().str();
  return text;
}

/// The plan that a text says. Null, with an error at `place`, where it says none.
static PlanAttr parsePlan(const std::string &text, Operation *place) {
  std::string why;
  Attribute attribute;
  {
    ScopedDiagnosticHandler handler(place->getContext(), [&](Diagnostic &diagnostic) {
      if (why.empty() && diagnostic.getSeverity() == DiagnosticSeverity::Error)
        why = diagnostic.str();
      return success();
    });
    attribute = parseAttribute("#chunk.plan" + text, place->getContext());
  }
  if (auto plan = dyn_cast_or_null<PlanAttr>(attribute))
    return plan;
  place->emitError("'") << text << "' is no plan: " << why;
  return {};
}

/// Whether what is asked of every scan is asked of one that goes by `chosen`: a scan without the form `chunk` goes by steps, and has
/// no use for the parameters of chunks.
static bool concerns(ArrayRef<std::pair<std::string, std::string>> parameters, PlanAttr chosen) {
  if (chosen.getForm() != Form::Step || chosen.getSchedule() != chunk::Schedule::Carry)
    return true;
  return llvm::any_of(parameters, [](const auto &one) { return one.first == "form" && one.second != "chunk"; });
}

/// Whether a parameter is of chunks, and `chosen` goes by steps in segments, which is all that was asked of a scan without the form `chunk`.
static bool isOfOtherForm(StringRef parameter, PlanAttr chosen) {
  return parameter == "chunk" && (chosen.getForm() == Form::Step || chosen.getForm() == Form::Scan);
}

PlanAttr AskedPlans::apply(PlanAttr chosen, recur::ScanInterface scan) {
  std::string printed = planText(chosen);
  Parameters parameters;
  parseParameters(StringRef(printed).drop_front().drop_back(), parameters);
  auto put = [&](const Part &part) {
    const bool asksForm = llvm::any_of(part.parameters, [](const auto &one) { return one.first == "form"; });
    for (const auto &[name, value] : part.parameters) {
      if (part.state.empty() && !asksForm && isOfOtherForm(name, chosen))
        continue;
      auto known = llvm::find_if(parameters, [&](const auto &one) { return one.first == name; });
      if (known == parameters.end())
        parameters.emplace_back(name, value);
      else
        known->second = value;
    }
  };
  for (const Part &part : parts)
    if (part.state.empty() && concerns(part.parameters, chosen))
      put(part);
  for (const Part &part : parts)
    if (!part.state.empty() && isFor(part, scan))
      put(part);
  std::string text = "<";
  for (const auto &[name, value] : parameters)
    text += (text.size() > 1 ? ", " : "") + name + " = " + value;
  return parsePlan(text + ">", scan);
}

Refusal rondo::refuse(PlanAttr plan, const MissingForms &missing) {
  const Form form = plan.getForm();
  const bool chunked = form == Form::Chunk || form == Form::Attention;
  const int64_t steps = chunked ? std::clamp<int64_t>(plan.getChunk(), 2, kLongestChunk) : 1;
  const std::string &why = form == Form::Scan ? missing.scan : missing.chunk;
  const bool hasForm = form == Form::Step || why.empty();
  const bool cut = plan.getSchedule() == chunk::Schedule::Segment;
  const auto schedule = cut && missing.segments.empty() ? chunk::Schedule::Segment : chunk::Schedule::Carry;
  const PlanAttr nearest = hasForm ? PlanAttr::get(plan.getContext(), form, schedule, steps)
                                   : PlanAttr::get(plan.getContext(), Form::Step, schedule, 1);
  if (!hasForm)
    return {"it has no form '" + chunk::stringifyForm(form).str() + "': " + why, nearest};
  if (cut && !missing.segments.empty())
    return {"it has no schedule 'segment': " + missing.segments, nearest};
  if (form == Form::Scan && !cut)
    return {"the form 'scan' is by segments", PlanAttr::get(plan.getContext(), form, chunk::Schedule::Segment, 1)};
  if (chunked && plan.getChunk() != steps)
    return {"a chunk has from 2 to " + std::to_string(kLongestChunk) + " steps", nearest};
  return {};
}
