// The search for the fastest of many plans: compiles and measures as few of them as tell. It knows neither compiler nor device; what
// compiles and what measures is given to it.
#pragma once
#include "rondo/Result.h"
#include <functional>
#include <string>
#include <vector>

namespace rondo::tune {

/// A plan, and how long the cost model expects it to take; the unit is the model's own, the same for all.
struct Candidate {
  std::string plan;
  double cost = 0;
  std::vector<double> terms = {}; // of the cost model, where somebody wants to know
};

/// What is known of a candidate.
struct Trial {
  Candidate candidate;
  std::vector<double> times; // seconds, of every run
  double median = 0;         // of the times; of an earlier search where there are none
  double noise = 0;          // how far the median may be off: see noiseOf
  int rounds = 0;            // it was measured in
  double compileSeconds = 0;
  std::string error; // why it was not measured
  bool isMeasured() const { return error.empty() && median > 0; }
};

/// Runs a compiled candidate once and gives the seconds that it took.
using Runner = std::function<Result<double>()>;

struct SearchHooks {
  /// Called by several threads at once, each with its own number below compileThreads.
  std::function<Result<Runner>(const std::string &plan, int thread)> compile;
  /// Called now and then: what is going on, and what share of the search is done at least.
  std::function<void(const std::string &what, double share)> progress;
  /// Called after each round with what a stopped search can go on from.
  std::function<void(const Trial &trial)> keep;
};

struct SearchOptions {
  double seconds = 30;
  int compileThreads = 1;
  double leastGain = 0.02;  // a search ends where the rest is not expected to gain more
  bool exhaustive = false;  // compile and measure every candidate
  bool deviceIsHost = true; // compiling would disturb what is measured: one after the other
  std::vector<Trial> known; // of an earlier search that was stopped
  std::string defaultPlan;  // measured in any case, and again at the end beside the best
};

struct SearchResult {
  std::vector<Trial> trials; // every candidate: measured ones first, fastest first
  double seconds = 0;
  size_t compiled = 0;
  bool ended = false; // by itself, not by the clock
};

/// Fails where not one candidate could be compiled and measured.
Result<SearchResult> search(std::vector<Candidate> candidates, const SearchHooks &hooks, const SearchOptions &options);

/// The median of some times.
double medianOf(std::vector<double> times);
/// Twice the standard error of the median, by the median absolute deviation.
double noiseOf(const std::vector<double> &times);

} // namespace rondo::tune
