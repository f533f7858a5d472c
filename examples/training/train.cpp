// Trains one-layer networks, each of them one spec, and prints how well they do at a length that training did not reach.
//   rondo-train [--quick] [--task NAME] [--network NAME] [--seeds N] [--steps N] [--jobs N] [--specs FOLDER]
#include "Training.h"
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace {

/// A row of the table: a task, a spec and its sizes.
struct Experiment {
  std::string task, spec, title;
  bool learnable;                      // what theory says; see README.md
  std::map<std::string, int64_t> dims; // without E and O, which the task gives
  Schedule schedule;
};

std::vector<Experiment> experiments() {
  const std::map<std::string, int64_t> cell = {{"H", 16}, {"M", 16}}, smallCell = {{"H", recallKeys / 4}, {"M", 64}};
  const std::map<std::string, int64_t> matrix = {{"H", 2}, {"K", 8}, {"V", 8}, {"M", 16}};
  const std::map<std::string, int64_t> largeMatrix = {{"H", 2}, {"K", recallKeys}, {"V", 16}, {"M", 64}};
  return {
      {"parity", "lstm", "LSTM", true, cell, {}},
      {"parity", "deltanet_negative", "DeltaNet, β in [0, 2]", true, matrix, {}},
      {"parity", "deltanet", "DeltaNet, β in [0, 1]", false, matrix, {}},
      {"parity", "gla", "GLA", false, matrix, {}},
      {"mod3", "lstm", "LSTM", true, cell, {}},
      {"mod3", "delta_product", "DeltaProduct, two steps", true, matrix, {}},
      {"mod3", "deltanet_negative", "DeltaNet, β in [0, 2]", false, matrix, {}},
      {"mod3", "gla", "GLA", false, matrix, {}},
      {"recall", "deltanet", "DeltaNet, β in [0, 1]", true, largeMatrix, {}},
      {"recall", "lstm", "LSTM, a state of 16 numbers", false, smallCell, {}},
  };
}

struct Options {
  bool quick = false;
  std::string task, network, specs = RONDO_TRAINING_SPECS;
  int64_t seeds = 5, steps = 0, jobs = 1;
};

[[noreturn]] void fail(const std::string &message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::_Exit(1); // other threads may be at work
}

int64_t positive(const char *text) {
  int64_t value = 0;
  const char *end = text + std::char_traits<char>::length(text);
  if (const auto [stop, error] = std::from_chars(text, end, value); error != std::errc() || stop != end || value < 1)
    fail(std::string("expected a number above 0, got '") + text + "'");
  return value;
}

Options parse(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--quick") {
      options.quick = true;
      continue;
    }
    const char *value = i + 1 < argc ? argv[++i] : nullptr;
    if (value && name == "--task")
      options.task = value;
    else if (value && name == "--network")
      options.network = value;
    else if (value && name == "--specs")
      options.specs = value;
    else if (value && name == "--seeds")
      options.seeds = positive(value);
    else if (value && name == "--steps")
      options.steps = positive(value);
    else if (value && name == "--jobs")
      options.jobs = positive(value);
    else
      fail("usage: rondo-train [--quick] [--task NAME] [--network NAME] [--seeds N] [--steps N] [--jobs N] [--specs "
           "FOLDER]");
  }
  return options;
}

const Task &taskNamed(const std::string &name) {
  for (const Task &task : tasks())
    if (task.name == name)
      return task;
  fail("no task '" + name + "'");
}

Network compile(rondo::Engine &engine, const Options &options, const Experiment &experiment) {
  std::map<std::string, int64_t> dims = experiment.dims;
  dims["E"] = taskNamed(experiment.task).inputs;
  dims["O"] = taskNamed(experiment.task).classes;
  rondo::Result<Network> network = Network::compile(engine, options.specs + "/" + experiment.spec + ".rondo", dims);
  if (!network)
    fail(network.error().message());
  return *network;
}

/// All seeds of all experiments, in `jobs` threads: outcomes by experiment and seed.
std::vector<std::vector<Outcome>> trainAll(const std::vector<Experiment> &chosen, const Options &options) {
  rondo::Engine engine;
  std::vector<Network> networks;
  for (const Experiment &experiment : chosen)
    networks.push_back(compile(engine, options, experiment));

  std::vector<std::vector<Outcome>> outcomes(chosen.size(), std::vector<Outcome>(options.seeds));
  std::atomic<int64_t> next = 0;
  auto work = [&] {
    for (int64_t i; (i = next++) < int64_t(chosen.size()) * options.seeds;) {
      const Experiment &experiment = chosen[i / options.seeds];
      const int64_t seed = i % options.seeds;
      rondo::Result<Outcome> outcome =
          train(networks[i / options.seeds], taskNamed(experiment.task), experiment.schedule, uint64_t(seed + 1));
      if (!outcome)
        fail(outcome.error().message());
      outcomes[i / options.seeds][seed] = *outcome;
      std::fprintf(stderr, "%-8s %-18s seed %ld: loss %.4f -> %.4f, accuracy %5.1f %% and %5.1f %%, %.1f s\n",
                   experiment.task.c_str(), experiment.spec.c_str(), long(seed + 1), outcome->firstLoss,
                   outcome->lastLoss, 100 * outcome->within, 100 * outcome->beyond, outcome->seconds);
    }
  };
  std::vector<std::thread> threads;
  for (int64_t job = 0; job < options.jobs; ++job)
    threads.emplace_back(work);
  for (std::thread &thread : threads)
    thread.join();
  return outcomes;
}

void printTable(const std::vector<Experiment> &chosen, const std::vector<std::vector<Outcome>> &outcomes) {
  const Schedule schedule;
  std::printf(
      "| task | network | theory | chance | steps 1-%ld | steps %ld-%ld | each seed |\n|---|---|---|---|---|---|---|\n",
      long(schedule.longest), long(schedule.longest + 1), long(schedule.judged));
  for (size_t i = 0; i < chosen.size(); ++i) {
    const Task &task = taskNamed(chosen[i].task);
    double within = 0, beyond = 0;
    std::string each;
    for (const Outcome &outcome : outcomes[i]) {
      within += 100 * outcome.within / double(outcomes[i].size());
      beyond += 100 * outcome.beyond / double(outcomes[i].size());
      char text[16];
      std::snprintf(text, sizeof(text), "%s%.1f", each.empty() ? "" : ", ", 100 * outcome.beyond);
      each += text;
    }
    std::printf("| %s | %s | %s | %.1f | %.1f | %.1f | %s |\n", task.title.c_str(), chosen[i].title.c_str(),
                chosen[i].learnable ? "learns" : "cannot", 100.0 / double(task.classes), within, beyond, each.c_str());
  }
}

/// What the options name. The quick mode is one seed of one row.
std::vector<Experiment> choose(Options &options) {
  if (options.quick) {
    options.task = "parity";
    options.network = "deltanet_negative";
    options.seeds = 1;
    options.steps = 1500;
  }
  std::vector<Experiment> chosen;
  for (const Experiment &experiment : experiments())
    if ((options.task.empty() || experiment.task == options.task) &&
        (options.network.empty() || experiment.spec == options.network)) {
      chosen.push_back(experiment);
      if (options.steps)
        chosen.back().schedule.steps = options.steps;
    }
  if (chosen.empty())
    fail("no such experiment");
  return chosen;
}

/// What a quick run must show: training has lowered the loss, and what it learned holds at the length that it did not see.
bool hasLearned(const Outcome &outcome) {
  const bool learned = outcome.lastLoss < 0.05 * outcome.firstLoss && outcome.beyond > 0.9;
  std::printf("loss %.4f -> %.4f, accuracy %.1f %%: %s\n", outcome.firstLoss, outcome.lastLoss, 100 * outcome.beyond,
              learned ? "learned" : "NOT learned");
  return learned;
}

} // namespace

int main(int argc, char **argv) {
  const auto start = std::chrono::steady_clock::now();
  Options options = parse(argc, argv);
  const std::vector<Experiment> chosen = choose(options);
  const std::vector<std::vector<Outcome>> outcomes = trainAll(chosen, options);
  printTable(chosen, outcomes);
  std::printf("%.0f s\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return options.quick && !hasLearned(outcomes[0][0]) ? 1 : 0;
}
