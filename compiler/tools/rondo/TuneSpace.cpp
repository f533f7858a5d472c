// See TuneSpace.h.
#include "compiler/tools/rondo/TuneSpace.h"
#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace rondo::tool {
namespace {

/// More combinations than this are not looked through.
constexpr size_t kMostCombinations = 4096;
/// Of one recurrence alone, plans that are expected to take so many times the compiler's choice are not worth a look.
constexpr double kWorthALook = 2;

std::vector<double> sum(std::vector<double> a, const std::vector<double> &b) {
  a.resize(std::max(a.size(), b.size()));
  for (size_t i = 0; i < b.size(); ++i)
    a[i] += b[i];
  return a;
}

/// Plans for all recurrences at once, by what they are expected to cost together.
std::vector<tune::Candidate> combine(const std::vector<PlanChoices> &recurrences) {
  std::vector<tune::Candidate> all = {{"", 0, {}}};
  for (const PlanChoices &recurrence : recurrences) {
    std::vector<tune::Candidate> longer;
    for (const tune::Candidate &before : all)
      for (const PlanChoices::Choice &choice : recurrence.choices)
        longer.push_back(
            {fmt::format("{}{}{}: {}", before.plan, before.plan.empty() ? "" : "; ", recurrence.state, choice.plan),
             before.cost + choice.cost, sum(before.terms, choice.terms)});
    all = std::move(longer);
  }
  return all;
}

size_t countCombinations(const std::vector<PlanChoices> &recurrences) {
  size_t count = 1;
  for (const PlanChoices &recurrence : recurrences)
    count = std::min(count * recurrence.choices.size(), kMostCombinations + 1);
  return count;
}

std::string joined(const std::vector<std::string> &plans) { return fmt::format("{}", fmt::join(plans, "; ")); }

/// The compiler's own choice, and every plan that differs from it in one recurrence.
void addChanges(const std::vector<PlanChoices> &recurrences, TuneSpace &space) {
  const auto costOf = [&](const PlanChoices &recurrence, const std::string &usual) {
    for (const PlanChoices::Choice &choice : recurrence.choices)
      if (fmt::format("{}: {}", recurrence.state, choice.plan) == usual)
        return choice.cost;
    return recurrence.choices.front().cost;
  };
  double whole = 0;
  for (size_t i = 0; i < recurrences.size(); ++i)
    whole += costOf(recurrences[i], space.usual[i]);
  space.candidates.push_back({joined(space.usual), whole, {}});
  for (size_t i = 0; i < recurrences.size(); ++i) {
    const double own = costOf(recurrences[i], space.usual[i]);
    for (const PlanChoices::Choice &choice : recurrences[i].choices) {
      std::vector<std::string> plans = space.usual;
      plans[i] = fmt::format("{}: {}", recurrences[i].state, choice.plan);
      if (plans[i] == space.usual[i] || choice.cost > kWorthALook * own)
        continue;
      const std::string all = joined(plans);
      space.candidates.push_back({all, whole - own + choice.cost, {}});
      space.changes.emplace(all, TuneSpace::Change{recurrences[i].state, plans[i]});
    }
  }
}

/// Where the compiler cuts a recurrence's sequences into segments, its own plan is one to choose from; and for calls with fewer tasks than
/// threads, which alone take segments, so is every size of a chunk.
void addSegments(std::vector<PlanChoices> &choices, const std::vector<std::string> &usualPlans, bool hasFewTasks) {
  const std::string carry = "schedule = carry", segment = "schedule = segment";
  for (PlanChoices &recurrence : choices)
    for (const std::string &text : usualPlans) {
      const std::string named = recurrence.state + ": ";
      if (text.compare(0, named.size(), named) != 0 || text.find(segment) == std::string::npos)
        continue;
      const std::string usual = text.substr(named.size());
      std::vector<PlanChoices::Choice> more;
      for (PlanChoices::Choice choice : recurrence.choices)
        if (const size_t at = choice.plan.find(carry);
            hasFewTasks && at != std::string::npos && choice.plan.find("chunk") == 8) {
          choice.plan.replace(at, carry.size(), segment);
          more.push_back(std::move(choice));
        }
      if (std::none_of(more.begin(), more.end(), [&](const auto &each) { return each.plan == usual; }))
        more.push_back({usual, recurrence.choices.front().cost, recurrence.choices.front().terms});
      recurrence.choices.insert(recurrence.choices.end(), more.begin(), more.end());
    }
}

} // namespace

TuneSpace tuneSpace(const ModelInfo &info, bool hasFewTasks) {
  TuneSpace space;
  space.usual = info.planTexts;
  std::vector<PlanChoices> choices = info.choices;
  addSegments(choices, info.planTexts, hasFewTasks);
  if (countCombinations(choices) > kMostCombinations && choices.size() == space.usual.size())
    addChanges(choices, space);
  else
    space.candidates = combine(choices);
  std::sort(space.candidates.begin(), space.candidates.end(),
            [](const auto &a, const auto &b) { return std::pair(a.cost, a.plan) < std::pair(b.cost, b.plan); });
  return space;
}

std::optional<tune::Candidate> fastestOfEach(const TuneSpace &space, const std::vector<tune::Trial> &trials,
                                             const std::string &defaultPlan) {
  const auto usual = std::find_if(trials.begin(), trials.end(),
                                  [&](const tune::Trial &trial) { return trial.candidate.plan == defaultPlan; });
  if (usual == trials.end() || !usual->isMeasured())
    return std::nullopt;
  std::map<std::string, const tune::Trial *> fastest; // by recurrence
  for (const tune::Trial &trial : trials) {
    const auto change = space.changes.find(trial.candidate.plan);
    if (change == space.changes.end() || trial.times.empty() || !trial.isMeasured() ||
        usual->median - trial.median <= usual->noise + trial.noise)
      continue;
    const tune::Trial *&best = fastest[change->second.recurrence];
    if (!best || trial.median < best->median)
      best = &trial;
  }
  if (fastest.size() < 2)
    return std::nullopt;
  tune::Candidate all = usual->candidate;
  std::vector<std::string> plans;
  for (const std::string &own : space.usual) {
    const auto found = fastest.find(own.substr(0, own.find(':')));
    plans.push_back(found == fastest.end() ? own : space.changes.at(found->second->candidate.plan).plan);
    if (found != fastest.end())
      all.cost += found->second->candidate.cost - usual->candidate.cost;
  }
  all.plan = joined(plans);
  return all;
}

} // namespace rondo::tool
