// Successive halving. See Search.h.
//
// Candidates are taken in the order of their expected cost, a batch at a time. A batch is compiled and measured, a few runs of each in
// turn, so that what disturbs the machine disturbs all alike. Then the slower half goes and the rest is measured twice as long, and so on;
// what is within noise of the best stays. The best of a batch meets the next one. The search ends when the cost model, scaled by what was
// measured, promises too little of the rest.
#include "rondo/Search.h"
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <thread>
#include <tuple>

namespace rondo::tune {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBatch = 16;
constexpr int kFirstRuns = 3, kMostRuns = 24;
/// A candidate whose first runs all take so many times the best median is not run again.
constexpr double kHopeless = 3;
constexpr int kHopelessRuns = 4;
/// How much faster than its expected cost says, beside the others, a candidate may turn out.
constexpr double kTrust = 1.3;
/// What of the time is for the search; the rest is for the comparison with the default at its end.
constexpr double kSearching = 0.95;

double secondsSince(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

class Search {
public:
  Search(std::vector<Candidate> candidates, const SearchHooks &hooks, const SearchOptions &options)
      : hooks(hooks), options(options) {
    // The default is in the first batch, so that whatever comes out is held against it.
    const auto order = [&](const Candidate &c) { return std::tuple(c.plan != options.defaultPlan, c.cost, c.plan); };
    std::sort(candidates.begin(), candidates.end(),
              [&](const Candidate &a, const Candidate &b) { return order(a) < order(b); });
    for (Candidate &candidate : candidates)
      trials.push_back({std::move(candidate), {}, 0, 0, 0, 0, ""});
    runners.resize(trials.size());
    for (const Trial &known : options.known)
      for (Trial &trial : trials)
        if (trial.candidate.plan == known.candidate.plan)
          trial.median = known.median;
  }

  Result<SearchResult> run();

private:
  bool isLate() const { return secondsSince(begin) > kSearching * options.seconds; }
  /// Whether a candidate's time of an earlier search shows that it cannot win.
  bool isBeaten(const Trial &trial) const;
  std::vector<size_t> nextBatch();
  /// `whole`: at least one, even where the time is over.
  void compile(const std::vector<size_t> &batch, bool whole);
  bool measure(std::vector<size_t> &field, int runs);
  void warmUp(size_t which);
  void runOnce(size_t which);
  void halve(std::vector<size_t> field);
  bool isSettled(size_t first, size_t second) const;
  /// The measured ones of a field, the fastest first.
  void sortField(std::vector<size_t> &field) const;
  bool promises() const;
  void compareWithDefault();
  void report(const std::string &what);

  const SearchHooks &hooks;
  const SearchOptions &options;
  std::vector<Trial> trials;
  std::vector<Runner> runners;
  Clock::time_point begin = Clock::now();
  size_t next = 0, compiled = 0, tried = 0;
  int best = -1; // index of the fastest that was measured here
};

void Search::report(const std::string &what) {
  if (hooks.progress)
    hooks.progress(what, std::min(1.0, std::max(double(tried) / double(trials.size()) * 0.9,
                                                secondsSince(begin) / options.seconds * 0.9)));
}

bool Search::isBeaten(const Trial &trial) const {
  double least = 0;
  for (const Trial &known : trials)
    if (known.median > 0 && (least == 0 || known.median < least))
      least = known.median;
  return trial.times.empty() && trial.median > 1.5 * least;
}

/// The next candidates in order, without those that an earlier search has shown to be slow.
std::vector<size_t> Search::nextBatch() {
  std::vector<size_t> batch;
  for (; next < trials.size() && batch.size() < kBatch; ++next)
    if (!isBeaten(trials[next]) || trials[next].candidate.plan == options.defaultPlan)
      batch.push_back(next);
  return batch;
}

void Search::compile(const std::vector<size_t> &batch, bool whole) {
  std::atomic<size_t> next = 0, done = 0;
  const auto work = [&](int thread) {
    for (size_t i; (i = next.fetch_add(1)) < batch.size();) {
      Trial &trial = trials[batch[i]];
      if (isLate() && (!whole || done > 0))
        trial.error = "not compiled: no time was left";
      if (!trial.error.empty() || runners[batch[i]])
        continue;
      const auto start = Clock::now();
      Result<Runner> runner = hooks.compile(trial.candidate.plan, thread);
      trial.compileSeconds = secondsSince(start);
      ++done;
      if (runner)
        runners[batch[i]] = std::move(*runner);
      else
        trial.error = runner.error().message();
    }
  };
  std::vector<std::thread> threads;
  for (int thread = 1; thread < options.compileThreads; ++thread)
    threads.emplace_back(work, thread);
  work(0);
  for (std::thread &thread : threads)
    thread.join();
  compiled += done;
}

void Search::runOnce(size_t which) {
  Trial &trial = trials[which];
  Result<double> seconds = runners[which]();
  if (seconds)
    trial.times.push_back(*seconds);
  else
    trial.error = seconds.error().message();
}

/// The first run, which is not counted. What is hopeless is dropped, but not on the word of one run: another program may have had the
/// processor meanwhile.
void Search::warmUp(size_t which) {
  Trial &trial = trials[which];
  double least = 0;
  for (int run = 0; run < kHopelessRuns; ++run) {
    const Result<double> seconds = runners[which]();
    if (!seconds) {
      trial.error = seconds.error().message();
      return;
    }
    least = run == 0 ? *seconds : std::min(least, *seconds);
    if (best < 0) {
      best = int(which);
      trial.median = least;
    }
    if (least <= kHopeless * trials[size_t(best)].median)
      return;
  }
  trial.times = {least};
  trial.median = least;
  runners[which] = nullptr;
}

/// One round: `runs` runs of each in turn. False when the time is over.
bool Search::measure(std::vector<size_t> &field, int runs) {
  for (const size_t which : field)
    if (trials[which].times.empty() && runners[which])
      warmUp(which);
  for (int run = 0; run < runs && !(isLate() && run >= kFirstRuns); ++run)
    for (const size_t which : field)
      if (runners[which] && trials[which].error.empty())
        runOnce(which);
  for (const size_t which : field) {
    Trial &trial = trials[which];
    if (!trial.error.empty() || trial.times.empty())
      continue;
    trial.median = medianOf(trial.times);
    trial.noise = noiseOf(trial.times);
    ++trial.rounds;
    if (hooks.keep)
      hooks.keep(trial);
  }
  sortField(field);
  if (!field.empty())
    best = int(field.front());
  return !isLate();
}

void Search::sortField(std::vector<size_t> &field) const {
  std::erase_if(field, [&](size_t which) { return !trials[which].isMeasured() || !runners[which]; });
  std::sort(field.begin(), field.end(),
            [&](size_t a, size_t b) { return std::pair(trials[a].median, a) < std::pair(trials[b].median, b); });
}

bool Search::isSettled(size_t first, size_t second) const {
  const Trial &a = trials[first], &b = trials[second];
  const double apart = b.median - a.median;
  return apart > a.noise + b.noise || (int(a.times.size()) >= kMostRuns && int(b.times.size()) >= kMostRuns);
}

void Search::halve(std::vector<size_t> field) {
  for (int runs = kFirstRuns; measure(field, runs) && field.size() > 1; runs = std::min(2 * runs, kMostRuns)) {
    report(fmt::format("{} plans left", field.size()));
    if (field.size() == 2 && isSettled(field[0], field[1]))
      return;
    size_t left = (field.size() + 1) / 2;
    while (left < field.size() && !isSettled(field.front(), field[left]))
      ++left;
    if (left == field.size() && int(trials[field.front()].times.size()) >= kMostRuns)
      return; // no more to be told apart
    field.resize(std::max<size_t>(2, left));
  }
}

/// Whether one of the candidates that have not been tried may gain enough.
bool Search::promises() const {
  if (next >= trials.size())
    return false;
  if (options.exhaustive || best < 0)
    return true;
  double unit = 0; // the least seconds per unit of cost that were measured
  for (const Trial &trial : trials)
    if (!trial.times.empty() && trial.candidate.cost > 0)
      unit = unit == 0 ? trial.median / trial.candidate.cost : std::min(unit, trial.median / trial.candidate.cost);
  return trials[next].candidate.cost * unit / kTrust < trials[size_t(best)].median * (1 - options.leastGain);
}

/// The best and the default once more, side by side: what tuning gains is told from these.
void Search::compareWithDefault() {
  for (size_t i = 0; i < trials.size(); ++i)
    if (trials[i].candidate.plan == options.defaultPlan && int(i) != best && runners[i] && best >= 0) {
      std::vector<size_t> pair = {size_t(best), i};
      measure(pair, 2 * kFirstRuns);
    }
}

Result<SearchResult> Search::run() {
  std::vector<size_t> batch = nextBatch();
  report(fmt::format("compiling {} plans", batch.size()));
  compile(batch, true);
  while (!batch.empty() && (best < 0 || !isLate())) {
    if (best >= 0 && runners[size_t(best)])
      batch.push_back(size_t(best));
    tried = next;
    // A device of its own measures one batch while the next one is compiled; the host's time would not be the plan's alone then.
    std::vector<size_t> following;
    std::thread ahead;
    if (!options.deviceIsHost && promises()) {
      following = nextBatch();
      ahead = std::thread([&] { compile(following, true); });
    }
    halve(std::move(batch));
    if (ahead.joinable())
      ahead.join();
    else if ((best < 0 || !isLate()) && promises()) {
      following = nextBatch();
      report(fmt::format("compiling {} plans", following.size()));
      compile(following, best < 0);
    }
    batch = std::move(following);
  }
  compareWithDefault();
  if (best < 0) {
    const std::string why = trials.empty() ? "there is no plan" : trials.front().error;
    return Error(fmt::format("no plan could be measured: {}", why));
  }
  SearchResult result;
  result.ended = !isLate();
  result.seconds = secondsSince(begin);
  result.compiled = compiled;
  const auto order = [](const Trial &trial) {
    return std::tuple(!trial.isMeasured(), trial.isMeasured() ? trial.median : trial.candidate.cost,
                      trial.candidate.plan);
  };
  std::sort(trials.begin(), trials.end(), [&](const Trial &a, const Trial &b) { return order(a) < order(b); });
  result.trials = std::move(trials);
  return result;
}

} // namespace

double medianOf(std::vector<double> times) {
  if (times.empty())
    return 0;
  std::sort(times.begin(), times.end());
  const size_t middle = times.size() / 2;
  return times.size() % 2 ? times[middle] : (times[middle - 1] + times[middle]) / 2;
}

double noiseOf(const std::vector<double> &times) {
  const double median = medianOf(times);
  std::vector<double> deviations;
  for (const double time : times)
    deviations.push_back(std::abs(time - median));
  // 1.4826 makes the deviation that of a normal distribution, 1.2533 is the median's standard error beside the mean's.
  return times.empty() ? 0 : 2 * 1.4826 * 1.2533 * medianOf(deviations) / std::sqrt(double(times.size()));
}

Result<SearchResult> search(std::vector<Candidate> candidates, const SearchHooks &hooks, const SearchOptions &options) {
  return Search(std::move(candidates), hooks, options).run();
}

} // namespace rondo::tune
