// `rondo bench`: how fast a model runs and compiles.
#include "compiler/tools/rondo/BenchCall.h"
#include "compiler/tools/rondo/Commands.h"
#include "compiler/tools/rondo/Examples.h"
#include "compiler/tools/rondo/Memory.h"
#include "compiler/tools/rondo/SpecArguments.h"
#include "compiler/tools/rondo/Stepping.h"
#include "compiler/tools/rondo/Terminal.h"
#include "compiler/tools/rondo/TunedPlan.h"
#include "rondo/Cuda.h"
#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace rondo::tool {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchArguments {
  SpecArguments spec;
  double seconds = 1;
  int repeats = 0;
  bool json = false;
  int graph = 0; // calls in a graph; 0: none
};

double secondsSince(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// All times in seconds.
struct Measurement {
  double compile = 0;     // from nothing (no engine yet) to a kernel
  std::string plan;       // of a tuning record, if there was one
  bool cached = false;    // the kernel came from the cache
  double firstLaunch = 0; // from nothing to the end of the first run
  CompileTimes parts;
  double median = 0, least = 0;
  size_t repeats = 0;
  double tokens = 0, bytes = 0; // per run
  double products = 0;          // multiply-adds of a run
  Memory memory;
  double measuredMemory =
      -1; // what a run needs beside the tensors, as the system sees it; negative where it does not say
};

void summarise(std::vector<double> &times, Measurement &measurement) {
  std::sort(times.begin(), times.end());
  measurement.least = times.front();
  measurement.median =
      times.size() % 2 ? times[times.size() / 2] : (times[times.size() / 2 - 1] + times[times.size() / 2]) / 2;
  measurement.repeats = times.size();
}

Result<void> measureRuns(const Kernel &kernel, const BenchCall &call, const RunOptions &options,
                         const BenchArguments &arguments, Measurement &measurement) {
  const NamedTensors inputs = views(call.inputs), outputs = views(call.outputs);
  Progress progress;
  progress.show("measuring ...");
  std::vector<double> times;
  const auto begin = Clock::now();
  const auto enough = [&] {
    return arguments.repeats > 0 ? times.size() >= size_t(arguments.repeats)
                                 : times.size() >= 5 && secondsSince(begin) >= arguments.seconds;
  };
  while (!enough()) {
    const auto start = Clock::now();
    if (Result<void> ran = kernel.run(inputs, outputs, options); !ran)
      return ran;
    times.push_back(secondsSince(start));
  }
  summarise(times, measurement);
  return {};
}

/// Tensors on the GPU, its own clock, and nothing of a run in the cache before the next.
Result<void> measureOnGpu(const Kernel &kernel, const BenchCall &call, int ordinal, RunOptions options,
                          const BenchArguments &arguments, Measurement &measurement) {
  Result<GpuCall> made = GpuCall::create(call, ordinal);
  if (!made)
    return made.error();
  GpuCall &gpu = *made;
  options.stream = gpu.stream.handle();
  std::optional<cuda::Graph> graph;
  const auto runOnce = [&] { return graph ? graph->launch() : kernel.run(gpu.inputs, gpu.outputs, options); };
  if (Result<void> first = runOnce(); !first) // makes the workspace
    return first;
  if (arguments.graph) {
    Result<cuda::Graph> captured = cuda::Graph::capture(gpu.stream, [&] {
      Result<void> run;
      for (int i = 0; run && i < arguments.graph; ++i)
        run = kernel.run(gpu.inputs, gpu.outputs, options);
      return run;
    });
    if (!captured)
      return captured.error();
    graph = std::move(*captured);
  }
  for (size_t i = call.inputs.size(); i < gpu.memory.size(); ++i) // what is left unwritten shows
    if (Result<void> poisoned = gpu.memory[i].fill(0xff, options.stream); !poisoned)
      return poisoned;
  Result<void> checked = runOnce();
  checked = checked ? gpu.stream.synchronize() : checked;
  checked = checked ? gpu.compare(call) : checked;
  if (!checked)
    return checked;
  std::vector<double> times;
  const auto begin = Clock::now();
  const size_t warmUp = 3, least = arguments.repeats > 0 ? size_t(arguments.repeats) : 10;
  for (size_t i = 0; i < warmUp + least || (arguments.repeats == 0 && secondsSince(begin) < arguments.seconds); ++i) {
    Result<double> seconds = gpu.time(runOnce, uint8_t(i));
    if (!seconds)
      return seconds.error();
    if (i >= warmUp)
      times.push_back(*seconds / std::max(1, arguments.graph));
  }
  summarise(times, measurement);
  return {};
}

std::string quoted(const std::string &text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      out += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", unsigned(c));
    else
      out += c;
  }
  return out + "\"";
}

/// `forward` is the model's own measurement, where `m` is of its gradient.
void printJson(const BenchArguments &arguments, const ModelInfo &info, const CompileOptions &options,
               const CallShape &shape, const Measurement &m, const std::optional<Measurement> &forward) {
  std::vector<std::string> dims;
  for (const std::string &name : info.dims)
    dims.push_back(fmt::format("{}: {}", quoted(name), options.dims.at(name)));
  fmt::print("{{\n  \"spec\": {},\n  \"model\": {},\n  \"version\": {},\n  \"target\": {},\n",
             quoted(arguments.spec.spec), quoted(info.name), quoted(RONDO_VERSION), quoted(options.target));
  fmt::print("  \"gradient\": {},\n  \"half\": {},\n", options.gradient,
             options.half.empty() ? "null" : quoted(options.half));
  fmt::print("  \"dtype\": {},\n  \"dims\": {{{}}},\n", quoted(typesText(options)), fmt::join(dims, ", "));
  const bool twoAxes = asksFor(info.tensors, Axis::Time1);
  fmt::print("  \"shape\": {{\"B\": {}, \"T\": {}, {}\"H\": {}}},\n  \"threads\": {},\n", shape.batch, shape.time,
             twoAxes ? fmt::format("\"T1\": {}, ", shape.time1) : "", shape.heads, threadsOf(arguments.spec.threads));
  fmt::print("  \"compile_ms\": {{\"frontend\": {:.3f}, \"passes\": {:.3f}, \"codegen\": {:.3f}, \"total\": {:.3f}, "
             "\"to_first_result\": {:.3f}}},\n",
             1e3 * m.parts.frontend, 1e3 * m.parts.passes, 1e3 * m.parts.codegen, 1e3 * m.compile, 1e3 * m.firstLaunch);
  fmt::print("  \"cached\": {},\n  \"record\": {},\n", m.cached, m.plan.empty() ? "null" : quoted(m.plan));
  fmt::print("  \"repeats\": {},\n  \"median_ms\": {:.6f},\n  \"min_ms\": {:.6f},\n", m.repeats, 1e3 * m.median,
             1e3 * m.least);
  fmt::print("  \"memory\": {{\"tensors\": {:.0f}, \"along_time\": {:.0f}, \"handed\": {:.0f}, \"kept\": {:.0f}, "
             "\"between\": {:.0f}, \"scratch\": {:.0f}, \"measured\": {:.0f}}},\n",
             m.memory.tensors, m.memory.alongTime, m.memory.handed, m.memory.kept, m.memory.between, m.memory.scratch,
             m.measuredMemory);
  fmt::print("  \"products\": {:.0f},\n", m.products);
  if (forward)
    fmt::print("  \"forward\": {{\"median_ms\": {:.6f}, \"min_ms\": {:.6f}, \"products\": {:.0f}}},\n",
               1e3 * forward->median, 1e3 * forward->least, forward->products);
  fmt::print("  \"tokens_per_s\": {:.6g},\n  \"gb_per_s\": {:.6g}\n}}\n", m.tokens / m.median,
             m.bytes / m.median / 1e9);
}

void printText(const BenchArguments &arguments, const ModelInfo &info, const CompileOptions &options,
               const CallShape &shape, const Measurement &m, const std::optional<Measurement> &forward) {
  fmt::print("{} on {}, {}, {} {}, {} threads\n",
             paint(Colour::Bold, (options.half == "there" ? ""
                                  : options.gradient      ? "gradient of "
                                                          : "") +
                                     info.name) +
                 (options.half.empty() ? "" : ", the way " + options.half),
             options.target, typesText(options), describeDims(info, options.dims), describe(info.tensors, shape),
             threadsOf(arguments.spec.threads));
  fmt::print("  run      {:.4g} ms median of {} (least {:.4g} ms)\n", 1e3 * m.median, m.repeats, 1e3 * m.least);
  fmt::print("  speed    {:.4g} tokens/s, {:.4g} GB/s of tensors read and written\n", m.tokens / m.median,
             m.bytes / m.median / 1e9);
  if (m.products > 0)
    fmt::print("  products {:.4g} G multiply-adds, {:.4g} G/s\n", m.products / 1e9, m.products / m.median / 1e9);
  if (forward) {
    fmt::print("  forward  {:.4g} ms median of {}, the gradient takes {:.3g} times as long\n", 1e3 * forward->median,
               forward->repeats, m.median / forward->median);
    if (forward->products > 0 && m.products > 0)
      fmt::print("           {:.4g} G multiply-adds, {:.4g} G/s: the gradient reaches {:.2f} of that rate\n",
                 forward->products / 1e9, forward->products / forward->median / 1e9,
                 m.products / m.median / (forward->products / forward->median));
  }
  if (!m.plan.empty())
    fmt::print("  plan     {}, as rondo tune found it\n", m.plan);
  if (m.cached)
    fmt::print("  load     {:.2g} ms from the cache; {:.3g} ms to the first result\n", 1e3 * m.compile,
               1e3 * m.firstLaunch);
  else
    fmt::print(
        "  compile  {:.0f} ms cold (frontend {:.1f}, passes {:.1f}, code {:.1f}); {:.0f} ms to the first result\n",
        1e3 * m.compile, 1e3 * m.parts.frontend, 1e3 * m.parts.passes, 1e3 * m.parts.codegen, 1e3 * m.firstLaunch);
}

/// Runs a kernel once, and then as often as is asked for. `measurement.compile` is known already.
Result<void> measure(const Kernel &kernel, const CallShape &shape, const BenchArguments &arguments,
                     std::optional<int> gpu, Measurement &measurement) {
  const Program &program = kernel.program();
  const BenchCall call(program, shape, randomRequest(arguments.spec).seed);
  const RunOptions callWith = callOptions(program, shape, arguments.spec.threads);
  const auto run = [&] { return kernel.run(views(call.inputs), views(call.outputs), callWith); };
  const auto launch = Clock::now();
  if (Result<void> ran = run(); !ran)
    return ran;
  measurement.firstLaunch = measurement.compile + secondsSince(launch);
  measurement.bytes = call.bytes;
  measurement.tokens =
      double(shape.batch) * double(shape.time) * (asksFor(program.tensors, Axis::Time1) ? double(shape.time1) : 1);
  measurement.memory = memoryOf(program, shape);
  if (gpu)
    return measureOnGpu(kernel, call, *gpu, callWith, arguments, measurement);
  measurement.measuredMemory = peakGrowth([&] { (void)run(); });
  return measureRuns(kernel, call, callWith, arguments, measurement);
}

/// Multiply-adds of a run; 0 where they are not known.
double productsOf(Engine &engine, const std::string &path, const CompileOptions &options, const CallShape &shape) {
  Result<ModelInfo> info = engine.inspectFile(path, options);
  if (!info)
    return 0;
  const double steps =
      double(shape.batch) * double(shape.time) * (asksFor(info->tensors, Axis::Time1) ? double(shape.time1) : 1);
  return steps * (info->productsOnce + info->productsPerHead * double(shape.heads));
}

int bench(const BenchArguments &arguments) {
  CompileOptions options = compileOptions(arguments.spec);
  const std::string path = resolveSpec(arguments.spec.spec);
  Result<ModelInfo> info = Engine().inspectFile(path, options);
  if (!info)
    return fail(info.error());
  if (Result<void> complete = completeDims(*info, std::vector<int64_t>(8, 64), options.dims); !complete)
    return fail(complete.error());
  const RandomRequest request = randomRequest(arguments.spec);
  const CallShape wanted = request.over({1, 1024, 32, 8, 1});
  const std::optional<Record> record = recordFor(arguments.spec, path, options, fitted(info->tensors, wanted));
  Measurement measurement;
  measurement.plan = record ? record->plan : "";
  const auto begin = Clock::now();
  Engine engine; // a new one: the latency that an application sees
  Result<Kernel> kernel = compileWith(record, engine, path, options);
  measurement.compile = secondsSince(begin);
  measurement.parts = engine.times();
  measurement.cached = engine.fromCache();
  warn(engine.remarks());
  if (!kernel)
    return fail(kernel.error());
  const Program &program = kernel->program();
  const CallShape shape = fitted(program.tensors, wanted);
  if (Result<void> ran = measure(*kernel, shape, arguments, gpuOf(options), measurement); !ran)
    return fail(ran.error());
  measurement.products = productsOf(engine, path, options, shape);
  std::optional<Measurement> forward;
  if (options.gradient > 0 && options.half.empty() && !gpuOf(options)) {
    CompileOptions own = options;
    own.gradient = 0;
    own.wrt.clear();
    Result<Kernel> model = engine.compileFile(path, own);
    if (!model)
      return fail(model.error());
    forward.emplace();
    if (Result<void> ran = measure(*model, shape, arguments, std::nullopt, *forward); !ran)
      return fail(ran.error());
    forward->products = productsOf(engine, path, own, shape);
  }
  if (arguments.json)
    printJson(arguments, *info, options, shape, measurement, forward);
  else
    printText(arguments, *info, options, shape, measurement, forward);
  return 0;
}

} // namespace

void addBench(CLI::App &app, int &status) {
  CLI::App *command = app.add_subcommand("bench", "measure a model's speed and its compile latency");
  auto arguments = std::make_shared<BenchArguments>();
  addSpec(*command, arguments->spec);
  addModel(*command, arguments->spec);
  addTarget(*command, arguments->spec);
  addDims(*command, arguments->spec);
  addTypes(*command, arguments->spec, "element types: for all tensors, for some by name; default: f32");
  addPlan(*command, arguments->spec);
  addGradient(*command, arguments->spec);
  addBoundaries(*command, arguments->spec);
  addRandom(*command, arguments->spec, "the seed and the sizes; default: 1,B=1,T=1024,H=8");
  addThreads(*command, arguments->spec);
  addCaching(*command, arguments->spec);
  addRecords(*command, arguments->spec);
  command->add_option("--seconds", arguments->seconds, "measure for so long")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--repeats", arguments->repeats, "measure so many runs instead")->check(CLI::PositiveNumber);
  command->add_flag(
      "--graph{1}", arguments->graph,
      "on a GPU: replay a CUDA graph of the call; --graph=32: of so many calls in a row, and the time is of one");
  command->add_flag("--json", arguments->json, "print the numbers as JSON");
  command->footer("Dimensions without a size are 64. With --grad the model is measured, too, but for --half, and the "
                  "rates of products "
                  "(multiply-adds,\n"
                  "computed again or not) are compared. On a GPU the tensors lie there, times are the device's own, "
                  "and its cache is\n"
                  "emptied before each run. Example:\n"
                  "  rondo bench gla --dim K=64 V=64 --random 1,B=1,T=2048,H=16 --threads 2 --json");
  command->callback([arguments, &status] { status = bench(*arguments); });
}

} // namespace rondo::tool
