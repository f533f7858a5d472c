// `rondo tune`: the fastest plan for a model and a size of call, found by measuring and remembered.
#include "compiler/tools/rondo/BenchCall.h"
#include "compiler/tools/rondo/Commands.h"
#include "compiler/tools/rondo/Examples.h"
#include "compiler/tools/rondo/SpecArguments.h"
#include "compiler/tools/rondo/Stepping.h"
#include "compiler/tools/rondo/Terminal.h"
#include "compiler/tools/rondo/TextFile.h"
#include "compiler/tools/rondo/TuneReport.h"
#include "compiler/tools/rondo/TuneSpace.h"
#include "compiler/tools/rondo/TuneStages.h"
#include "compiler/tools/rondo/TunedPlan.h"
#include <chrono>
#include <ctime>
#include <fmt/format.h>
#include <memory>
#include <mutex>
#include <random>
#include <thread>

namespace rondo::tool {
namespace {

using Clock = std::chrono::steady_clock;

/// What of the time is for each recurrence alone; the rest is for the fastest of each together.
constexpr double kAlone = 0.8;

struct TuneArguments {
  SpecArguments spec;
  double seconds = 30;
  size_t sample = 0; // 0: all plans
  bool exhaustive = false, fresh = false, dryRun = false, json = false;
  std::string report, candidates;
};

/// So many of the plans, drawn at random, in their order; the default is one of them in any case.
std::vector<tune::Candidate> draw(const std::vector<tune::Candidate> &all, size_t count, const std::string &usual,
                                  uint64_t seed) {
  std::vector<size_t> order(all.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  std::shuffle(order.begin(), order.end(), std::mt19937_64(seed));
  std::partition(order.begin(), order.end(), [&](size_t i) { return all[i].plan == usual; });
  order.resize(count);
  std::sort(order.begin(), order.end());
  std::vector<tune::Candidate> drawn;
  for (const size_t i : order)
    drawn.push_back(all[i]);
  return drawn;
}

/// The fastest plan; but the compiler's own choice, where the two cannot be told apart for noise.
const tune::Trial &chosenOf(const TuneSummary &summary) {
  const tune::Trial &best = summary.trials.front(), *usual = trialOf(summary, summary.defaultPlan);
  const bool alike = usual && usual->isMeasured() && usual->median - best.median <= usual->noise + best.noise;
  return alike ? *usual : best;
}

/// One `rondo tune`.
class Tuner {
public:
  explicit Tuner(const TuneArguments &arguments)
      : arguments(arguments), path(resolveSpec(arguments.spec.spec)), options(compileOptions(arguments.spec)) {}

  Result<void> prepare();
  Result<void> search();
  void print() const;
  void printJson() const;
  Result<void> remember();
  Result<void> writeReport();
  /// Nothing is measured: the plans are printed, or compiled for another machine.
  bool isForLater() const { return arguments.dryRun || !arguments.candidates.empty(); }
  Result<void> doForLater();

private:
  void printSpace() const;
  Result<tune::Runner> compile(const std::string &plan, Engine &engine);
  tune::SearchHooks makeHooks(Progress &progress, std::vector<Engine> &engines);
  void readKnown(tune::SearchOptions &how);
  void take(tune::SearchResult found);

  const TuneArguments &arguments;
  std::string path, text;
  CompileOptions options;
  ModelInfo info;
  CallShape shape;
  RunOptions callWith;
  RecordKey key;
  TuneSpace space;
  std::vector<tune::Candidate> candidates; // of the space, or a sample
  std::optional<BenchCall> call;
  std::optional<GpuCall> gpu;
  std::optional<Records> records;
  std::mutex loading; // of kernels on a GPU
  TuneSummary summary;
};

Result<void> Tuner::prepare() {
  Result<std::string> read = readText(path);
  if (!read)
    return read.error();
  text = *read;
  Engine engine;
  Result<ModelInfo> inspected = engine.inspectFile(path, options);
  if (!inspected)
    return inspected.error();
  if (Result<void> complete = completeDims(*inspected, std::vector<int64_t>(8, 64), options.dims); !complete)
    return complete;
  inspected = engine.inspectFile(path, options); // with sizes there are plans
  if (!inspected)
    return inspected.error();
  info = std::move(*inspected);
  if (info.choices.empty())
    return Error(fmt::format("model '{}' has no recurrence with a choice of plans", info.name));
  const RandomRequest request = randomRequest(arguments.spec);
  shape = fitted(info.tensors, request.over({1, 1024, 32, 8, 1}));
  space = tuneSpace(info, sizesOf(options, shape).rows < threadsOf(arguments.spec.threads));
  candidates = space.candidates;
  summary.defaultPlan = fmt::format("{}", fmt::join(info.planTexts, "; "));
  summary.space = candidates.size();
  if (arguments.sample > 0 && arguments.sample < candidates.size())
    candidates = draw(candidates, arguments.sample, summary.defaultPlan, request.seed);
  if (isForLater())
    return {};
  Result<Kernel> kernel = engine.compileFile(path, options);
  if (!kernel)
    return kernel.error();
  const Program &program = kernel->program();
  shape = fitted(program.tensors, request.over({1, 1024, 32, 8, 1}));
  callWith = callOptions(program, shape, arguments.spec.threads);
  call.emplace(program, shape, request.seed);
  if (const std::optional<int> ordinal = gpuOf(options)) {
    Result<GpuCall> made = GpuCall::create(*call, *ordinal);
    if (!made)
      return made.error();
    gpu = std::move(*made);
    callWith.stream = gpu->stream.handle();
  }
  Result<RecordKey> named = Engine::recordKey(text, options, sizesOf(options, shape), arguments.spec.threads);
  if (!named)
    return named.error();
  key = *named;
  summary.title = fmt::format("{}{}, {}, {}", options.gradient ? "gradient of " : "", info.name,
                              describeDims(info, options.dims), typesText(options));
  summary.call = fmt::format("{} on {}", describe(program.tensors, shape), key.device);
  summary.bytes = call->bytes;
  return {};
}

/// Every plan, compiled, in one artifact: for rondo-measure on a machine that has the device and no compiler.
Result<void> Tuner::doForLater() {
  if (arguments.candidates.empty()) {
    printSpace();
    return {};
  }
  CompileOptions named = options;
  named.target = "cpu"; // of the key, what is computed counts: the device is the measuring machine's
  Result<RecordKey> of = Engine::recordKey(text, named, {});
  if (!of)
    return of.error();
  Record record;
  record.key = {of->spec, "", of->types, "", "", of->compiler};
  Artifact all;
  all.key = recordsToJson({record});
  // The default first: what is measured is held against it.
  const auto usual = std::find_if(candidates.begin(), candidates.end(),
                                  [&](const tune::Candidate &c) { return c.plan == summary.defaultPlan; });
  if (usual != candidates.end())
    std::rotate(candidates.begin(), usual, usual + 1);
  Engine engine;
  Progress progress;
  for (const tune::Candidate &candidate : candidates) {
    progress.show(fmt::format("compiling {} of {}", all.variants.size() + 1, candidates.size()));
    CompileOptions how = options;
    how.plan = candidate.plan;
    Result<std::vector<MadeFile>> made = engine.compileAhead(text, path, how, {options.target});
    Result<Artifact> one = made ? Artifact::fromBytes(made->back().bytes) : Result<Artifact>(made.error());
    if (!one) {
      progress.clear();
      fmt::print(stderr, "left out: {}: {}\n", candidate.plan, one.error().message());
      continue;
    }
    all.compiler = one->compiler;
    all.variants.push_back(std::move(one->variants.front()));
  }
  progress.clear();
  fmt::print("{} of {} plans in {}\n", all.variants.size(), candidates.size(), arguments.candidates);
  return all.variants.empty() ? Result<void>(Error("no plan could be compiled")) : all.write(arguments.candidates);
}

void Tuner::printSpace() const {
  for (const tune::Candidate &candidate : candidates)
    fmt::print("{:>10.4g}  {}{}\n", candidate.cost, candidate.plan,
               candidate.plan == summary.defaultPlan ? "  (default)" : "");
  fmt::print("{} plans\n", candidates.size());
}

Result<tune::Runner> Tuner::compile(const std::string &plan, Engine &engine) {
  CompileOptions how = options;
  how.plan = plan;
  how.form = "auto";
  how.chunk = 0;
  Result<Kernel> kernel = engine.compileFile(path, how);
  if (!kernel)
    return kernel.error();
  if (gpu) {
    auto count = std::make_shared<uint8_t>(0);
    return tune::Runner([this, kernel = *kernel, count] {
      return gpu->time([&] { return kernel.run(gpu->inputs, gpu->outputs, callWith); }, ++*count);
    });
  }
  return tune::Runner(
      [this, kernel = *kernel, inputs = views(call->inputs), outputs = views(call->outputs)]() -> Result<double> {
        const auto begin = Clock::now();
        if (Result<void> ran = kernel.run(inputs, outputs, callWith); !ran)
          return ran.error();
        return std::chrono::duration<double>(Clock::now() - begin).count();
      });
}

tune::SearchHooks Tuner::makeHooks(Progress &progress, std::vector<Engine> &engines) {
  tune::SearchHooks hooks;
  hooks.compile = [&](const std::string &plan, int thread) { return compile(plan, engines[size_t(thread)]); };
  hooks.progress = [&](const std::string &what, double share) {
    constexpr int width = 30;
    const int full = int(share * width);
    progress.show(fmt::format("[{:=<{}}{:<{}}] {}", "", full, "", width - full, what));
  };
  hooks.keep = [this](const tune::Trial &trial) {
    if (records) // a time that cannot be kept is measured again
      (void)records->putPartial(key, {trial.candidate.plan, trial.median, int(trial.times.size())});
  };
  return hooks;
}

/// What a search that was stopped has left behind.
void Tuner::readKnown(tune::SearchOptions &how) {
  const std::string file = Records::standardPath();
  if (file.empty())
    return;
  if (Result<Records> opened = Records::open(file, Records::Access::Write))
    records = std::move(*opened);
  else
    fmt::print(stderr, "{}", opened.error().message()); // the search goes on without
  if (!records || arguments.fresh)
    return;
  for (const PartialTime &time : records->partial(key)) {
    tune::Trial trial;
    trial.candidate.plan = time.plan;
    trial.median = time.seconds;
    how.known.push_back(std::move(trial));
  }
}

Result<void> Tuner::search() {
  tune::SearchOptions how;
  how.seconds = arguments.seconds;
  how.exhaustive = arguments.exhaustive;
  how.compileThreads = int(std::max(1u, std::thread::hardware_concurrency()));
  how.deviceIsHost = !gpu;
  how.defaultPlan = summary.defaultPlan;
  readKnown(how);
  Progress progress;
  std::vector<Engine> engines(size_t(how.compileThreads));
  const tune::SearchHooks hooks = makeHooks(progress, engines);
  if (!space.changes.empty())
    how.seconds *= kAlone;
  Result<tune::SearchResult> found = tune::search(candidates, hooks, how);
  if (!found)
    return found.error();
  take(std::move(*found));
  if (std::optional<tune::Candidate> all = fastestOfEach(space, summary.trials, summary.defaultPlan)) {
    how.seconds = arguments.seconds - how.seconds;
    how.exhaustive = true;
    std::vector<tune::Candidate> last = {trialOf(summary, summary.defaultPlan)->candidate, std::move(*all)};
    if (summary.trials.front().candidate.plan != summary.defaultPlan)
      last.push_back(summary.trials.front().candidate);
    found = tune::search(std::move(last), hooks, how);
    if (!found)
      return found.error();
    take(std::move(*found));
  }
  summary.chosen = chosenOf(summary).candidate.plan;
  return {};
}

/// Adds what a search has found; what was measured before and again has its new time.
void Tuner::take(tune::SearchResult found) {
  for (tune::Trial &trial : summary.trials)
    if (std::none_of(found.trials.begin(), found.trials.end(),
                     [&](const tune::Trial &again) { return again.candidate.plan == trial.candidate.plan; }))
      found.trials.push_back(std::move(trial));
  std::sort(found.trials.begin(), found.trials.end(), [](const tune::Trial &a, const tune::Trial &b) {
    return std::pair(!a.isMeasured(), a.median) < std::pair(!b.isMeasured(), b.median);
  });
  summary.trials = std::move(found.trials);
  summary.seconds += found.seconds;
  summary.compiled += found.compiled;
  summary.ended = found.ended;
}

void Tuner::print() const {
  fmt::print("{}, {}\n", paint(Colour::Bold, summary.title), summary.call);
  constexpr size_t most = 12;
  size_t shown = 0;
  for (const tune::Trial &trial : summary.trials)
    if (trial.isMeasured() && (arguments.exhaustive || shown++ < most))
      fmt::print("  {:>10.4g} ms ± {:<8.2g} {:>5.2f}x  {}{}\n", 1e3 * trial.median, 1e3 * trial.noise,
                 trial.median / summary.trials.front().median, trial.candidate.plan,
                 trial.candidate.plan == summary.defaultPlan ? "  (default)" : "");
  for (const tune::Trial &trial : summary.trials)
    if (!trial.error.empty() && trial.error.find("no time was left") == std::string::npos)
      fmt::print("  not measured: {}: {}\n", trial.candidate.plan, trial.error);
  fmt::print("{} of {} plans compiled in {:.1f} s{}\n", summary.compiled, summary.space, summary.seconds,
             summary.ended ? "" : "; the time was over");
  const tune::Trial *usual = trialOf(summary, summary.defaultPlan);
  fmt::print("--plan '{}'{}\n", paint(Colour::Green, summary.chosen),
             summary.chosen == summary.defaultPlan ? ", the default: no other is faster beyond the noise"
             : usual && usual->isMeasured()
                 ? fmt::format(", {:.2f} times the default's speed", usual->median / summary.trials.front().median)
                 : "");
}

void Tuner::printJson() const {
  std::vector<std::string> plans;
  for (const tune::Trial &trial : summary.trials)
    if (trial.isMeasured() && !trial.times.empty())
      plans.push_back(fmt::format(
          R"(    {{"plan": "{}", "ms": {:.6g}, "least_ms": {:.6g}, "noise_ms": {:.3g}, "runs": {}, "cost": {:.6g}, "terms": [{:.6g}]}})",
          trial.candidate.plan, 1e3 * trial.median, 1e3 * *std::min_element(trial.times.begin(), trial.times.end()),
          1e3 * trial.noise, trial.times.size(), trial.candidate.cost, fmt::join(trial.candidate.terms, ", ")));
  fmt::print("{{\n  \"title\": \"{}\",\n  \"call\": \"{}\",\n  \"chosen\": \"{}\",\n  \"default\": \"{}\",\n",
             summary.title, summary.call, summary.chosen, summary.defaultPlan);
  fmt::print("  \"space\": {},\n  \"compiled\": {},\n  \"seconds\": {:.3f},\n  \"ended\": {},\n", summary.space,
             summary.compiled, summary.seconds, summary.ended);
  fmt::print("  \"plans\": [\n{}\n  ]\n}}\n", fmt::join(plans, ",\n"));
}

Result<void> Tuner::remember() {
  if (!records)
    return {};
  const tune::Trial *usual = trialOf(summary, summary.defaultPlan);
  Record record;
  record.key = key;
  record.model = info.name;
  record.plan = summary.chosen;
  record.seconds = trialOf(summary, summary.chosen)->median;
  for (const tune::Trial &trial : summary.trials) // the fastest of the others
    if (trial.isMeasured() && trial.candidate.plan != summary.chosen) {
      record.runnerUp = trial.candidate.plan;
      record.runnerUpSeconds = trial.median;
      break;
    }
  record.defaultSeconds = usual ? usual->median : 0;
  record.measured = std::time(nullptr);
  return records->put(record);
}

/// With what the page shows beside the search: what the call does, where its time goes, and what the machine could do.
Result<void> Tuner::writeReport() {
  if (arguments.report.empty())
    return {};
  const double second = asksFor(info.tensors, Axis::Time1) ? double(shape.time1) : 1;
  const double tokens = double(shape.batch) * double(shape.time) * second;
  summary.operations = 2 * tokens * (info.productsOnce + info.productsPerHead * double(shape.heads));
  if (!gpu) {
    summary.ceilings = measureCeilings(threadsOf(arguments.spec.threads));
    Engine engine;
    CompileOptions how = options;
    how.plan = summary.chosen;
    how.form = "auto";
    how.chunk = 0;
    Result<Kernel> kernel = engine.compileFile(path, how);
    if (!kernel)
      return kernel.error();
    Result<std::vector<Stage>> stages = measureStages(*kernel, *call, shape, callWith);
    if (!stages)
      return stages.error();
    summary.stages = std::move(*stages);
  }
  return writeText(arguments.report, tuneReport(summary));
}

int tuneModel(const TuneArguments &arguments) {
  Tuner tuner(arguments);
  if (Result<void> prepared = tuner.prepare(); !prepared)
    return fail(prepared.error());
  if (tuner.isForLater()) {
    Result<void> done = tuner.doForLater();
    return done ? 0 : fail(done.error());
  }
  if (Result<void> found = tuner.search(); !found)
    return fail(found.error());
  if (arguments.json)
    tuner.printJson();
  else
    tuner.print();
  if (Result<void> kept = tuner.remember(); !kept) // the result stands, and is printed
    fmt::print(stderr, "{}", kept.error().message());
  Result<void> written = tuner.writeReport();
  return written ? 0 : fail(written.error());
}

} // namespace

void addTune(CLI::App &app, int &status) {
  CLI::App *command = app.add_subcommand("tune", "find the fastest plan by measuring, and remember it");
  auto arguments = std::make_shared<TuneArguments>();
  command->add_option("spec", arguments->spec.spec, "a spec's file, or the name of an example (see rondo list)")
      ->type_name("SPEC");
  addModel(*command, arguments->spec);
  addTarget(*command, arguments->spec);
  addDims(*command, arguments->spec);
  addTypes(*command, arguments->spec, "element types: for all tensors, for some by name; default: f32");
  addGradient(*command, arguments->spec);
  addBoundaries(*command, arguments->spec);
  addRandom(*command, arguments->spec, "the seed and the sizes; default: 1,B=1,T=1024,H=8");
  addThreads(*command, arguments->spec);
  command->add_option("--seconds", arguments->seconds, "search for at most so long")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--exhaustive", arguments->exhaustive, "measure every plan, whatever the cost model expects");
  command
      ->add_option("--sample", arguments->sample, "choose from so many plans, drawn at random by the seed of --random")
      ->type_name("N");
  command->add_flag("--fresh", arguments->fresh, "forget what a search that was stopped has measured");
  command->add_flag("--dry-run", arguments->dryRun, "print the plans and their expected cost, and measure nothing");
  command->add_flag("--json", arguments->json, "print what was found as JSON");
  command->add_option("--report", arguments->report, "write what was found as a page for a browser")
      ->type_name("FILE.html");
  command
      ->add_option(
          "--candidates", arguments->candidates,
          "measure nothing here: compile every plan into an artifact, which rondo-measure measures on a machine "
          "without a compiler")
      ->type_name("FILE.artifact");
  addTuneDatabase(*command, status);
  command->require_subcommand(0, 1);
  command->footer(
      "run and bench use the record of the nearest sizes, and say so; --no-records is without. A search that was\n"
      "stopped goes on when it is started again. Example:\n"
      "  rondo tune gla --dim K=64 V=64 --random 1,B=1,T=4096,H=16 --report gla.html");
  command->callback([arguments, command, &status] {
    if (!command->get_subcommands().empty())
      return;
    if (arguments->spec.spec.empty())
      throw CLI::RequiredError("spec");
    status = tuneModel(*arguments);
  });
}

} // namespace rondo::tool
