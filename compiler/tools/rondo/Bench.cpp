// `rondo bench`: how fast a model runs and compiles.
#include "compiler/tools/rondo/Commands.h"
#include "compiler/tools/rondo/Examples.h"
#include "compiler/tools/rondo/RandomInputs.h"
#include "compiler/tools/rondo/SpecArguments.h"
#include "compiler/tools/rondo/Stepping.h"
#include "compiler/tools/rondo/Terminal.h"
#include "rondo/Cuda.h"
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <thread>

namespace rondo::tool {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchArguments {
  SpecArguments spec;
  double seconds = 1;
  int repeats = 0;
  bool json = false, graph = false;
};

double secondsSince(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// All times in seconds.
struct Measurement {
  double compile = 0;     // from nothing (no engine yet) to a kernel
  double firstLaunch = 0; // from nothing to the end of the first run
  CompileTimes parts;
  double median = 0, least = 0;
  size_t repeats = 0;
  double tokens = 0, bytes = 0; // per run
};

/// The entries of `from`, over and over, where the axes of batch and time are longer in `to`; they come first, and strides are row-major.
void repeat(const TensorSpec &spec, const Buffer &from, const Buffer &to) {
  size_t axes = 0;
  while (axes < spec.axes.size() && (spec.axes[axes].axis == Axis::Batch || spec.axes[axes].axis == Axis::Time))
    ++axes;
  int64_t entries = 1;
  for (size_t a = 0; a < axes; ++a)
    entries *= to.shape()[a];
  const size_t bytes = entries ? to.bytes() / size_t(entries) : 0;
  for (int64_t entry = 0; entry < entries; ++entry) {
    int64_t rest = entry, source = 0, stride = 1;
    for (size_t a = axes; a-- > 0; rest /= to.shape()[a], stride *= from.shape()[a])
      source += rest % to.shape()[a] % from.shape()[a] * stride;
    std::memcpy(static_cast<char *>(to.data()) + size_t(entry) * bytes,
                static_cast<const char *>(from.data()) + size_t(source) * bytes, bytes);
  }
}

/// Random inputs; of long and many sequences some steps of one are drawn, which is what takes time, and repeated.
NamedBuffers drawRepeated(const Program &program, const CallShape &shape, uint64_t seed) {
  constexpr int64_t enoughSteps = 2048;
  CallShape few = shape;
  few.batch = std::min<int64_t>(shape.batch, 1);
  few.time = std::min(shape.time, enoughSteps);
  const bool whole = hasKind(program.tensors, TensorKind::Offsets) || asksFor(program.tensors, Axis::Time1) ||
                     (few.batch == shape.batch && few.time == shape.time);
  NamedBuffers drawn = convert(drawInputs(program, whole ? shape : few, seed, Inits::Drawn), program);
  if (whole)
    return drawn;
  NamedBuffers all;
  for (const auto &[name, buffer] : drawn)
    for (const TensorSpec &spec : program.tensors)
      if (isGiven(spec.kind) && spec.name == name && (all.empty() || all.back().first != name)) {
        all.emplace_back(name, Buffer(spec.type, shapeOf(spec, shape)));
        repeat(spec, buffer, all.back().second);
      }
  return all;
}

/// Everything that a run reads or writes.
struct BenchCall {
  NamedBuffers inputs, outputs;
  double bytes = 0;

  BenchCall(const Program &program, const CallShape &shape, uint64_t seed) {
    inputs = drawRepeated(program, shape, seed);
    for (const TensorSpec *spec : computedTensors(program))
      outputs.emplace_back(spec->name, Buffer(spec->type, shapeOf(*spec, shape)));
    for (const NamedBuffers *buffers : {&inputs, &outputs})
      for (const auto &[name, buffer] : *buffers)
        bytes += double(buffer.bytes());
  }
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

/// The GPU that a kernel is loaded on; empty for the host.
std::optional<int> gpuOf(const CompileOptions &options) {
  if (options.target.rfind("cuda", 0) != 0)
    return std::nullopt;
  const size_t digit = options.target.find_first_of("0123456789");
  return digit != std::string::npos && options.target[digit - 1] == ':'
             ? int(std::strtol(&options.target[digit], nullptr, 10))
             : 0;
}

/// The tensors of a call on a GPU, and what is needed to time it there.
struct GpuCall {
  std::vector<cuda::DeviceBuffer> memory;
  NamedTensors inputs, outputs;
  cuda::Stream stream;
  cuda::DeviceBuffer cacheFiller;

  static Result<GpuCall> create(const BenchCall &call, int ordinal);
  /// Whether the outputs are bit for bit those of `call`.
  Result<void> compare(const BenchCall &call) const;
};

Result<GpuCall> GpuCall::create(const BenchCall &call, int ordinal) {
  GpuCall gpu;
  Result<cuda::Stream> stream = cuda::Stream::create(ordinal);
  if (!stream)
    return stream.error();
  gpu.stream = std::move(*stream);
  constexpr int64_t moreThanAnyCache = int64_t(256) << 20;
  for (const NamedBuffers *buffers : {&call.inputs, &call.outputs})
    for (const auto &[name, buffer] : *buffers) {
      Result<cuda::DeviceBuffer> copy = cuda::DeviceBuffer::create(ordinal, buffer.type(), buffer.shape());
      if (!copy)
        return copy.error();
      if (Result<void> copied = copy->copyFrom(buffer.view()); buffer.bytes() && !copied)
        return copied.error();
      (buffers == &call.inputs ? gpu.inputs : gpu.outputs).emplace_back(name, copy->view());
      gpu.memory.push_back(std::move(*copy));
    }
  Result<cuda::DeviceBuffer> filler = cuda::DeviceBuffer::create(ordinal, DType::Bool, {moreThanAnyCache});
  if (!filler)
    return filler.error();
  gpu.cacheFiller = std::move(*filler);
  return gpu;
}

Result<void> GpuCall::compare(const BenchCall &call) const {
  for (size_t i = 0; i < call.outputs.size(); ++i) {
    const auto &[name, expected] = call.outputs[i];
    Buffer got(expected.type(), expected.shape());
    if (!got.data())
      return Error("out of memory");
    if (Result<void> copied = memory[call.inputs.size() + i].copyTo(got.view()); expected.bytes() && !copied)
      return copied;
    if (std::memcmp(got.data(), expected.data(), expected.bytes()) != 0)
      return Error(fmt::format("'{}' differs between two runs on the same inputs", name));
  }
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
    Result<cuda::Graph> captured =
        cuda::Graph::capture(gpu.stream, [&] { return kernel.run(gpu.inputs, gpu.outputs, options); });
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
    Result<void> step = gpu.cacheFiller.fill(uint8_t(i), options.stream);
    step = step ? gpu.stream.start() : step;
    step = step ? runOnce() : step;
    step = step ? gpu.stream.stop() : step;
    if (!step)
      return step;
    Result<double> seconds = gpu.stream.elapsed();
    if (!seconds)
      return seconds.error();
    if (i >= warmUp)
      times.push_back(*seconds);
  }
  summarise(times, measurement);
  return {};
}

int threadsOf(int asked) {
  if (asked > 0)
    return asked;
  const char *openMP = std::getenv("OMP_NUM_THREADS");
  const int wished = openMP ? int(std::strtol(openMP, nullptr, 10)) : 0;
  return wished > 0 ? wished : int(std::max(1u, std::thread::hardware_concurrency()));
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

std::string typesText(const CompileOptions &options) {
  std::string text(nameOf(options.type));
  for (const auto &[name, type] : options.types)
    text += fmt::format(",{}={}", name, nameOf(type));
  return text;
}

void printJson(const BenchArguments &arguments, const ModelInfo &info, const CompileOptions &options,
               const CallShape &shape, const Measurement &m) {
  std::vector<std::string> dims;
  for (const std::string &name : info.dims)
    dims.push_back(fmt::format("{}: {}", quoted(name), options.dims.at(name)));
  fmt::print("{{\n  \"spec\": {},\n  \"model\": {},\n  \"version\": {},\n  \"target\": {},\n",
             quoted(arguments.spec.spec), quoted(info.name), quoted(RONDO_VERSION), quoted(options.target));
  fmt::print("  \"gradient\": {},\n", options.gradient);
  fmt::print("  \"dtype\": {},\n  \"dims\": {{{}}},\n", quoted(typesText(options)), fmt::join(dims, ", "));
  const bool twoAxes = asksFor(info.tensors, Axis::Time1);
  fmt::print("  \"shape\": {{\"B\": {}, \"T\": {}, {}\"H\": {}}},\n  \"threads\": {},\n", shape.batch, shape.time,
             twoAxes ? fmt::format("\"T1\": {}, ", shape.time1) : "", shape.heads, threadsOf(arguments.spec.threads));
  fmt::print("  \"compile_ms\": {{\"frontend\": {:.3f}, \"passes\": {:.3f}, \"codegen\": {:.3f}, \"total\": {:.3f}, "
             "\"to_first_result\": {:.3f}}},\n",
             1e3 * m.parts.frontend, 1e3 * m.parts.passes, 1e3 * m.parts.codegen, 1e3 * m.compile, 1e3 * m.firstLaunch);
  fmt::print("  \"repeats\": {},\n  \"median_ms\": {:.6f},\n  \"min_ms\": {:.6f},\n", m.repeats, 1e3 * m.median,
             1e3 * m.least);
  fmt::print("  \"tokens_per_s\": {:.6g},\n  \"gb_per_s\": {:.6g}\n}}\n", m.tokens / m.median,
             m.bytes / m.median / 1e9);
}

void printText(const BenchArguments &arguments, const ModelInfo &info, const CompileOptions &options,
               const CallShape &shape, const Measurement &m) {
  fmt::print("{} on {}, {}, {} {}, {} threads\n",
             paint(Colour::Bold, (options.gradient ? "gradient of " : "") + info.name), options.target,
             typesText(options), describeDims(info, options.dims), describe(info.tensors, shape),
             threadsOf(arguments.spec.threads));
  fmt::print("  run      {:.4g} ms median of {} (least {:.4g} ms)\n", 1e3 * m.median, m.repeats, 1e3 * m.least);
  fmt::print("  speed    {:.4g} tokens/s, {:.4g} GB/s of tensors read and written\n", m.tokens / m.median,
             m.bytes / m.median / 1e9);
  fmt::print("  compile  {:.0f} ms cold (frontend {:.1f}, passes {:.1f}, code {:.1f}); {:.0f} ms to the first result\n",
             1e3 * m.compile, 1e3 * m.parts.frontend, 1e3 * m.parts.passes, 1e3 * m.parts.codegen, 1e3 * m.firstLaunch);
}

int bench(const BenchArguments &arguments) {
  CompileOptions options = compileOptions(arguments.spec);
  const std::string path = resolveSpec(arguments.spec.spec);
  Result<ModelInfo> info = Engine().inspectFile(path, options);
  if (!info)
    return fail(info.error());
  if (Result<void> complete = completeDims(*info, std::vector<int64_t>(8, 64), options.dims); !complete)
    return fail(complete.error());
  Measurement measurement;
  const auto begin = Clock::now();
  Engine engine; // a new one: the latency that an application sees
  Result<Kernel> kernel = engine.compileFile(path, options);
  measurement.compile = secondsSince(begin);
  measurement.parts = engine.times();
  warn(engine.remarks());
  if (!kernel)
    return fail(kernel.error());
  const Program &program = kernel->program();
  const RandomRequest request = randomRequest(arguments.spec);
  const CallShape shape = fitted(program.tensors, request.over({1, 1024, 32, 8, 1}));
  const BenchCall call(program, shape, request.seed);
  const RunOptions callWith = callOptions(program, shape, arguments.spec.threads);
  const auto launch = Clock::now();
  if (Result<void> ran = kernel->run(views(call.inputs), views(call.outputs), callWith); !ran)
    return fail(ran.error());
  measurement.firstLaunch = measurement.compile + secondsSince(launch);
  measurement.bytes = call.bytes;
  measurement.tokens =
      double(shape.batch) * double(shape.time) * (asksFor(program.tensors, Axis::Time1) ? double(shape.time1) : 1);
  const std::optional<int> gpu = gpuOf(options);
  if (Result<void> ran = gpu ? measureOnGpu(*kernel, call, *gpu, callWith, arguments, measurement)
                             : measureRuns(*kernel, call, callWith, arguments, measurement);
      !ran)
    return fail(ran.error());
  if (arguments.json)
    printJson(arguments, *info, options, shape, measurement);
  else
    printText(arguments, *info, options, shape, measurement);
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
  command->add_option("--seconds", arguments->seconds, "measure for so long")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--repeats", arguments->repeats, "measure so many runs instead")->check(CLI::PositiveNumber);
  command->add_flag("--graph", arguments->graph, "on a GPU: replay a CUDA graph of the call");
  command->add_flag("--json", arguments->json, "print the numbers as JSON");
  command->footer(
      "Dimensions without a size are 64. On a GPU the tensors lie there, times are the device's own, and its cache is\n"
      "emptied before each run. Example:\n"
      "  rondo bench gla --dim K=64 V=64 --random 1,B=1,T=2048,H=16 --threads 2 --json");
  command->callback([arguments, &status] { status = bench(*arguments); });
}

} // namespace rondo::tool
