// rondo-bench: Rondo's kernels and their peers under Google Benchmark, both sides of a comparison as benchmarks
// CASE/rondo and CASE/peer. run.py calls it once per case and number of threads, with the repetitions of both sides
// interleaved at random.
//   rondo-bench --threads=2 --benchmark_filter=^gla/ --benchmark_repetitions=7
//     --benchmark_enable_random_interleaving=true
//   rondo-bench --peer=ggml=/usr/local/lib/libggml.so --benchmark_filter=:token/
#include "Case.h"
#include <benchmark/benchmark.h>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>

namespace rondo::bench {
namespace {

/// Both sides compute in f32 and sum in another order. Where both are right, every case here stays below 7e-7
/// (measured); a wrong gate or a transposed weight gives 1e-1.
constexpr double farthest = 5e-6;

/// A case with what is made of it at its first repetition: the compiled kernel, the peer, and their distance.
struct Prepared {
  Case which;
  int threads;
  std::unique_ptr<Comparison> comparison;
  double apart = 0;
  std::string problem;

  void prepare() {
    if (comparison || !problem.empty())
      return;
    auto made = which.make(threads);
    if (!made) {
      problem = made.error().message();
      return;
    }
    comparison = std::move(*made);
    apart = distance(*comparison);
    if (!(apart <= farthest))
      problem = fmt::format("the results differ: relative distance {:.2g}", apart);
  }
};

void measure(benchmark::State &state, Prepared &prepared, bool peer) {
  prepared.prepare();
  if (!prepared.problem.empty()) {
    state.SkipWithError(prepared.problem.c_str());
    return;
  }
  Comparison &comparison = *prepared.comparison;
  for (auto iteration : state) {
    if (peer)
      comparison.peer();
    else if (!comparison.rondo->run())
      state.SkipWithError("the run failed");
  }
  const auto rate = benchmark::Counter::kIsIterationInvariantRate;
  state.counters["tokens"] = {comparison.tokens, rate};
  state.counters["flops"] = {comparison.flops, rate};
  state.counters["bytes"] = {comparison.rondo->bytes(), rate};
  state.counters["distance"] = prepared.apart;
}

void registerCases(std::vector<std::unique_ptr<Prepared>> &all) {
  for (auto &one : all)
    for (bool peer : {false, true}) {
      const std::string name = one->which.name + (peer ? "/" + one->which.peer : "/rondo");
      benchmark::RegisterBenchmark(name.c_str(), [&one, peer](benchmark::State &state) { measure(state, *one, peer); })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
}

} // namespace
} // namespace rondo::bench

int main(int argc, char **argv) {
  using namespace rondo::bench;
  int threads = 1, kept = 1;
  std::string ggml;
  for (int i = 1; i < argc; ++i)
    if (std::strncmp(argv[i], "--threads=", 10) == 0)
      threads = std::atoi(argv[i] + 10);
    else if (std::strncmp(argv[i], "--peer=ggml=", 12) == 0)
      ggml = argv[i] + 12;
    else
      argv[kept++] = argv[i];
  argc = kept;
  const std::string version = dnnlVersion();
  if (version.empty())
    fmt::print(stderr, "oneDNN: peer not found\n");
  benchmark::AddCustomContext("oneDNN", version.empty() ? "peer not found" : version);
  benchmark::AddCustomContext("compiler", __VERSION__);
  Peer opened{"peer not found", {}};
  if (!ggml.empty()) {
    rondo::Result<Peer> found = ggmlPeer(ggml);
    if (!found) {
      fmt::print(stderr, "error: {}\n", found.error().message());
      return 1;
    }
    opened = *found;
  }
  benchmark::AddCustomContext("ggml", opened.version);
  std::vector<std::unique_ptr<Prepared>> all;
  for (const std::vector<Case> &cases : {dnnlCases(), plainCases(), stepCases(), opened.cases})
    for (const Case &which : cases)
      all.push_back(std::make_unique<Prepared>(Prepared{which, threads, nullptr, 0, ""}));
  registerCases(all);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv))
    return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
