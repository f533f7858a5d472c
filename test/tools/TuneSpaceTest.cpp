// The plans that tuning chooses from, where a model has several recurrences.
#include "compiler/tools/rondo/TuneSpace.h"
#include <algorithm>
#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace rondo;
using namespace rondo::tool;

namespace {

/// So many recurrences S.1, S.2, ... with as many plans each, "<0>" at cost 10, "<1>" at 11 and so on; the first is the usual one.
ModelInfo recurrences(int count, int plans) {
  ModelInfo info;
  for (int i = 1; i <= count; ++i) {
    PlanChoices choices{fmt::format("S.{}", i), {}};
    for (int plan = 0; plan < plans; ++plan)
      choices.choices.push_back({fmt::format("<{}>", plan), 10.0 + plan, {}});
    info.choices.push_back(choices);
    info.planTexts.push_back(fmt::format("S.{}: <0>", i));
  }
  return info;
}

tune::Trial trial(const std::string &plan, double seconds, double noise = 0.1) {
  tune::Trial made;
  made.candidate.plan = plan;
  made.times = {seconds};
  made.median = seconds;
  made.noise = noise;
  return made;
}

const std::string kDefault = "S.1: <0>; S.2: <0>; S.3: <0>";

} // namespace

TEST_CASE("few combinations of plans are all there") {
  const TuneSpace space = tuneSpace(recurrences(3, 4), false);
  CHECK(space.candidates.size() == 64);
  CHECK(space.changes.empty());
  CHECK(space.candidates.front().plan == kDefault);
  CHECK(space.candidates.front().cost == 30);
}

TEST_CASE("of many, those that differ from the default in one recurrence and are not far from it") {
  const TuneSpace space = tuneSpace(recurrences(3, 20), false);
  CHECK(space.candidates.size() == 1 + 3 * 10); // costs up to 20 beside 10
  CHECK(space.changes.size() == 30);
  CHECK(space.candidates.front().plan == kDefault);
  CHECK(space.candidates.back().cost == 40);
  const auto found = space.changes.find("S.1: <0>; S.2: <3>; S.3: <0>");
  REQUIRE(found != space.changes.end());
  CHECK(found->second.recurrence == "S.2");
  CHECK(found->second.plan == "S.2: <3>");
}

TEST_CASE("what was faster for one recurrence alone is tried together") {
  const TuneSpace space = tuneSpace(recurrences(3, 20), false);
  const std::vector<tune::Trial> trials = {trial("S.1: <2>; S.2: <0>; S.3: <0>", 8),
                                           trial("S.1: <1>; S.2: <0>; S.3: <0>", 8.5),
                                           trial("S.1: <0>; S.2: <0>; S.3: <5>", 9),
                                           trial("S.1: <0>; S.2: <4>; S.3: <0>", 9.9), // within noise
                                           trial(kDefault, 10),
                                           trial("S.1: <0>; S.2: <1>; S.3: <0>", 12)};
  const auto all = fastestOfEach(space, trials, kDefault);
  REQUIRE(all);
  CHECK(all->plan == "S.1: <2>; S.2: <0>; S.3: <5>");

  std::vector<tune::Trial> one = {trials[0], trials[1], trials[4]};
  CHECK(!fastestOfEach(space, one, kDefault));                    // was measured
  CHECK(!fastestOfEach(space, {trials[0], trials[2]}, kDefault)); // beside what?
  tune::Trial known = trials[2];                                  // by an earlier search only
  known.times.clear();
  one.push_back(known);
  CHECK(!fastestOfEach(space, one, kDefault));
}
