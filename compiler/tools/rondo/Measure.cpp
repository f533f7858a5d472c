// `rondo-measure`: measures the plans of an artifact on a machine without a compiler. `rondo tune SPEC --candidates FILE` makes the artifact where
// there is one; the record that this program writes is brought back by `rondo tune db import`. Links no LLVM.
#include "compiler/tools/rondo/BenchCall.h"
#include "compiler/tools/rondo/SpecArguments.h"
#include "compiler/tools/rondo/Stepping.h"
#include "compiler/tools/rondo/Terminal.h"
#include "compiler/tools/rondo/TextFile.h"
#include "rondo/Records.h"
#include "rondo/Search.h"
#include <chrono>
#include <ctime>
#include <fmt/format.h>

using namespace rondo;
using namespace rondo::tool;

namespace {

using Clock = std::chrono::steady_clock;

struct MeasureArguments {
  SpecArguments call; // --random and --threads
  std::string artifact, out;
  int gpu = 0;
  double seconds = 30;
};

bool isForGpu(const Artifact &artifact) { return artifact.variants.front().target.compare(0, 5, "cuda:") == 0; }

/// The kernel of one plan on this machine.
Result<Kernel> load(const Artifact &artifact, const std::string &plan, int gpu) {
  Artifact one;
  for (const Variant &variant : artifact.variants)
    if (variant.plan == plan)
      one.variants.push_back(variant);
  return isForGpu(artifact) ? one.loadOnGpu({}, gpu) : one.loadOnHost({});
}

/// A search over the plans of an artifact.
class Measuring {
public:
  Measuring(const MeasureArguments &arguments, Artifact artifact)
      : arguments(arguments), artifact(std::move(artifact)) {}

  Result<void> prepare();
  Result<void> search();
  void print() const;
  Result<void> write() const;

private:
  Result<tune::Runner> runner(const std::string &plan);

  const MeasureArguments &arguments;
  Artifact artifact;
  CallShape shape;
  RunOptions callWith;
  std::optional<BenchCall> call;
  std::optional<GpuCall> gpu;
  RecordKey key;
  std::string model;
  tune::SearchResult found;
};

Result<void> Measuring::prepare() {
  const Program &program = artifact.variants.front().program;
  model = program.model;
  const RandomRequest request = randomRequest(arguments.call);
  shape = fitted(program.tensors, request.over({1, 1024, 32, 8, 1}));
  call.emplace(program, shape, request.seed);
  callWith = callOptions(program, shape, arguments.call.threads);
  if (isForGpu(artifact)) {
    Result<cuda::DeviceInfo> device = cuda::deviceInfo(arguments.gpu);
    Result<GpuCall> made = device ? GpuCall::create(*call, arguments.gpu) : Result<GpuCall>(device.error());
    if (!made)
      return made.error();
    gpu = std::move(*made);
    callWith.stream = gpu->stream.handle();
    key.device = "cuda " + device->name;
    key.driver = std::to_string(device->driverVersion);
  }
  Result<std::vector<Record>> names = recordsFromJson(artifact.key);
  if (!names || names->empty())
    return Error("the artifact does not say what its plans are for; rondo tune --candidates makes one that does");
  const RecordKey &named = names->front().key;
  key.spec = named.spec;
  key.types = named.types;
  key.compiler = named.compiler;
  const bool packed = hasKind(program.tensors, TensorKind::Offsets);
  const int64_t sequences = packed ? std::max<int64_t>(1, shape.sequences) : 1;
  key.bucket = bucketOf({(packed ? sequences : shape.batch) * shape.heads, shape.time / sequences});
  return {};
}

Result<tune::Runner> Measuring::runner(const std::string &plan) {
  Result<Kernel> kernel = load(artifact, plan, arguments.gpu);
  if (!kernel)
    return kernel.error();
  if (gpu)
    return tune::Runner([this, kernel = *kernel, count = uint8_t(0)]() mutable {
      return gpu->time([&] { return kernel.run(gpu->inputs, gpu->outputs, callWith); }, ++count);
    });
  return tune::Runner([this, kernel = *kernel]() -> Result<double> {
    const auto begin = Clock::now();
    if (Result<void> ran = kernel.run(views(call->inputs), views(call->outputs), callWith); !ran)
      return ran.error();
    return std::chrono::duration<double>(Clock::now() - begin).count();
  });
}

Result<void> Measuring::search() {
  std::vector<tune::Candidate> candidates;
  for (const Variant &variant : artifact.variants) // in the order of their expected cost
    candidates.push_back({variant.plan, double(candidates.size() + 1)});
  Progress progress;
  tune::SearchHooks hooks;
  hooks.compile = [&](const std::string &plan, int) { return runner(plan); };
  hooks.progress = [&](const std::string &what, double) { progress.show(what); };
  tune::SearchOptions options;
  options.seconds = arguments.seconds;
  options.exhaustive = true; // they are compiled already
  options.defaultPlan = artifact.variants.front().plan;
  Result<tune::SearchResult> result = tune::search(std::move(candidates), hooks, options);
  if (!result)
    return result.error();
  found = std::move(*result);
  return {};
}

void Measuring::print() const {
  fmt::print("{}, {}\n", model, describe(artifact.variants.front().program.tensors, shape));
  for (const tune::Trial &trial : found.trials)
    if (trial.isMeasured())
      fmt::print("  {:>10.4g} ms ± {:<8.2g} {}\n", 1e3 * trial.median, 1e3 * trial.noise, trial.candidate.plan);
    else
      fmt::print("  not measured: {}: {}\n", trial.candidate.plan, trial.error);
}

Result<void> Measuring::write() const {
  if (arguments.out.empty())
    return {};
  if (!gpu) // what a processor is called in records is the compiler's to say
    return Error("records are written for GPUs; on a CPU rondo tune writes them");
  Record record;
  record.key = key;
  record.model = model;
  record.plan = found.trials[0].candidate.plan;
  record.seconds = found.trials[0].median;
  if (found.trials.size() > 1 && found.trials[1].isMeasured()) {
    record.runnerUp = found.trials[1].candidate.plan;
    record.runnerUpSeconds = found.trials[1].median;
  }
  for (const tune::Trial &trial : found.trials)
    if (trial.candidate.plan == artifact.variants.front().plan)
      record.defaultSeconds = trial.median;
  record.measured = std::time(nullptr);
  return writeText(arguments.out, recordsToJson({record}));
}

int measure(const MeasureArguments &arguments) {
  Result<Artifact> artifact = Artifact::read(arguments.artifact);
  if (!artifact)
    return fail(inFile(arguments.artifact, artifact.error()));
  if (artifact->variants.empty())
    return fail("the artifact has no code");
  Measuring measuring(arguments, std::move(*artifact));
  for (auto step : {&Measuring::prepare, &Measuring::search})
    if (Result<void> done = (measuring.*step)(); !done)
      return fail(done.error());
  measuring.print();
  const Result<void> written = measuring.write();
  return written ? 0 : fail(written.error());
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app("Measures the plans of an artifact that `rondo tune --candidates` made.", "rondo-measure");
  MeasureArguments arguments;
  app.add_option("artifact", arguments.artifact, "what was compiled")->type_name("FILE")->required();
  addRandom(app, arguments.call, "the seed and the sizes; default: 1,B=1,T=1024,H=8");
  addThreads(app, arguments.call);
  app.add_option("--gpu", arguments.gpu, "which GPU")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--seconds", arguments.seconds, "for at most so long")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("-o,--out", arguments.out, "write the record, for `rondo tune db import`")->type_name("FILE.json");
  CLI11_PARSE(app, argc, argv);
  return measure(arguments);
}
