// The search on plans whose times are made up: what it finds, how little it runs for that, and what it does with failures and clocks.
#include "rondo/Search.h"
#include <catch2/catch.hpp>
#include <map>
#include <mutex>
#include <random>
#include <thread>

using namespace rondo;
using namespace rondo::tune;

namespace {

/// Plans with true times; runs deviate by some share of them.
struct Machine {
  std::map<std::string, double> times;
  double noise = 0;
  std::mt19937 random{1};
  std::mutex mutex;
  std::map<std::string, int> runs, compiles;
  std::string broken; // does not compile

  SearchHooks hooks() {
    SearchHooks hooks;
    hooks.compile = [this](const std::string &plan, int) -> Result<Runner> {
      const std::lock_guard lock(mutex);
      ++compiles[plan];
      if (plan == broken)
        return Error("too large");
      return Runner([this, plan]() -> Result<double> {
        const std::lock_guard lock(mutex);
        ++runs[plan];
        const double deviation = std::abs(std::normal_distribution<double>(0, 1)(random));
        return times.at(plan) * (1 + noise * deviation);
      });
    };
    return hooks;
  }
  int allRuns() const {
    int sum = 0;
    for (const auto &[plan, count] : runs)
      sum += count;
    return sum;
  }
};

std::vector<Candidate> candidates(const Machine &machine, double (*cost)(double)) {
  std::vector<Candidate> all;
  for (const auto &[plan, time] : machine.times)
    all.push_back({plan, cost(time)});
  return all;
}

double right(double time) { return time * 1e6; }
double nothing(double) { return 1; }

} // namespace

TEST_CASE("the fastest plan is found whatever the cost model says") {
  Machine machine;
  for (int i = 0; i < 40; ++i)
    machine.times["p" + std::to_string(i)] = 1e-3 * (1 + (i * 17) % 40);
  SearchOptions options;
  options.exhaustive = true;
  const auto found = search(candidates(machine, nothing), machine.hooks(), options);
  REQUIRE(found);
  CHECK(found->trials[0].candidate.plan == "p0");
  CHECK(found->ended);
  CHECK(found->compiled == 40);
}

TEST_CASE("with a cost model that is right most plans are never compiled") {
  Machine machine;
  for (int i = 0; i < 200; ++i)
    machine.times["p" + std::to_string(i)] = 1e-3 * (1 + (i * 17) % 200);
  const auto found = search(candidates(machine, right), machine.hooks(), {});
  REQUIRE(found);
  CHECK(found->trials[0].candidate.plan == "p0");
  CHECK(found->compiled == 16);
  CHECK(machine.allRuns() < 16 * 6 + 60);
}

TEST_CASE("slow plans are run less than fast ones") {
  Machine machine;
  for (int i = 0; i < 16; ++i)
    machine.times["p" + std::to_string(i)] = 1e-3 * (1 + 0.1 * i);
  machine.noise = 0.02;
  const auto found = search(candidates(machine, nothing), machine.hooks(), {});
  REQUIRE(found);
  CHECK(found->trials[0].candidate.plan == "p0");
  CHECK(machine.runs["p15"] <= 4);
  CHECK(machine.runs["p0"] > 3 * machine.runs["p15"]);
}

TEST_CASE("a plan three times as slow is dropped") {
  Machine machine;
  machine.times = {{"a", 1e-3}, {"b", 1.2e-3}, {"slow", 1e-2}};
  const auto found = search({{"a", 1}, {"b", 2}, {"slow", 3}}, machine.hooks(), {});
  REQUIRE(found);
  CHECK(machine.runs["slow"] == 4);
  CHECK(found->trials.back().candidate.plan == "slow");
}

TEST_CASE("a disturbed run drops no plan") {
  Machine machine;
  machine.times = {{"a", 1.5e-3}, {"b", 1e-3}, {"c", 1.6e-3}};
  SearchHooks hooks = machine.hooks();
  const auto compile = hooks.compile;
  int runsOfB = 0;
  hooks.compile = [&](const std::string &plan, int thread) -> Result<Runner> {
    Result<Runner> runner = compile(plan, thread);
    if (plan != "b")
      return runner;
    return Runner(
        [&runsOfB, run = *runner]() -> Result<double> { return ++runsOfB <= 2 ? Result<double>(0.05) : run(); });
  };
  const auto found = search({{"a", 1}, {"b", 2}, {"c", 3}}, hooks, {});
  REQUIRE(found);
  CHECK(found->trials[0].candidate.plan == "b");
}

TEST_CASE("what noise hides is within a little of the best") {
  for (unsigned seed = 0; seed < 20; ++seed) {
    Machine machine;
    machine.random.seed(seed);
    machine.noise = 0.1;
    for (int i = 0; i < 30; ++i)
      machine.times["p" + std::to_string(i)] = 1e-3 * (1 + 0.03 * i);
    const auto found = search(candidates(machine, nothing), machine.hooks(), {});
    REQUIRE(found);
    CHECK(machine.times[found->trials[0].candidate.plan] < 1.1e-3);
  }
}

TEST_CASE("what does not compile is told, and the rest is searched") {
  Machine machine;
  machine.times = {{"a", 2e-3}, {"b", 1e-3}, {"c", 3e-3}};
  machine.broken = "b";
  const auto found = search(candidates(machine, nothing), machine.hooks(), {});
  REQUIRE(found);
  CHECK(found->trials[0].candidate.plan == "a");
  CHECK(found->trials.back().candidate.plan == "b");
  CHECK(found->trials.back().error.find("too large") != std::string::npos);
}

TEST_CASE("where nothing compiles the search fails with the reason") {
  Machine machine;
  machine.times = {{"b", 1e-3}};
  machine.broken = "b";
  const auto found = search(candidates(machine, nothing), machine.hooks(), {});
  REQUIRE_FALSE(found);
  CHECK(found.error().message().find("too large") != std::string::npos);
  CHECK_FALSE(search({}, machine.hooks(), {}));
}

TEST_CASE("the default is measured even where the cost model would not") {
  Machine machine;
  for (int i = 0; i < 60; ++i)
    machine.times["p" + std::to_string(i)] = 1e-3 * (1 + i);
  SearchOptions options;
  options.defaultPlan = "p2";
  const auto found = search(candidates(machine, right), machine.hooks(), options);
  REQUIRE(found);
  CHECK(found->trials[0].candidate.plan == "p0");
  CHECK(machine.runs["p2"] >= 6);
}

TEST_CASE("a search ends with its time, and has a result") {
  Machine machine;
  for (int i = 0; i < 500; ++i)
    machine.times["p" + std::to_string(i)] = 1e-3;
  SearchHooks hooks = machine.hooks();
  const auto compile = hooks.compile;
  hooks.compile = [&](const std::string &plan, int thread) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return compile(plan, thread);
  };
  SearchOptions options;
  options.seconds = 0.3;
  options.exhaustive = true;
  const auto found = search(candidates(machine, nothing), hooks, options);
  REQUIRE(found);
  CHECK_FALSE(found->ended);
  CHECK(found->trials[0].isMeasured());
  CHECK(found->seconds < 5);
}

TEST_CASE("a search that was stopped goes on from what it knew") {
  Machine machine;
  for (int i = 0; i < 32; ++i)
    machine.times["p" + std::to_string(i)] = 1e-3 * (1 + i);
  SearchOptions options;
  options.exhaustive = true;
  SearchHooks hooks = machine.hooks();
  std::vector<Trial> kept;
  hooks.keep = [&](const Trial &trial) { kept.push_back(trial); };
  REQUIRE(search(candidates(machine, nothing), hooks, options));
  const size_t first = machine.compiles.size();
  machine.compiles.clear();
  options.known = kept;
  const auto again = search(candidates(machine, nothing), hooks, options);
  REQUIRE(again);
  CHECK(again->trials[0].candidate.plan == "p0");
  CHECK(first == 32);
  CHECK(machine.compiles.size() == 1); // the others are known to be slower by half
}

TEST_CASE("several threads compile") {
  Machine machine;
  for (int i = 0; i < 64; ++i)
    machine.times["p" + std::to_string(i)] = 1e-3 * (1 + i);
  SearchOptions options;
  options.exhaustive = true;
  options.compileThreads = 4;
  const auto found = search(candidates(machine, nothing), machine.hooks(), options);
  REQUIRE(found);
  CHECK(found->compiled == 64);
  for (const auto &[plan, count] : machine.compiles)
    CHECK(count == 1);
}

TEST_CASE("medians and their noise") {
  CHECK(medianOf({3, 1, 2}) == 2);
  CHECK(medianOf({4, 1, 2, 3}) == 2.5);
  CHECK(noiseOf({1, 1, 1}) == 0);
  CHECK(noiseOf({0.9, 1, 1.1}) == Approx(2 * 1.4826 * 1.2533 * 0.1 / std::sqrt(3.0)));
}
