// `rondo run`: a model on tensors from a file, or on random ones.
#include "compiler/tools/rondo/Commands.h"
#include "compiler/tools/rondo/Examples.h"
#include "compiler/tools/rondo/Inference.h"
#include "compiler/tools/rondo/SpecArguments.h"
#include "compiler/tools/rondo/Stepping.h"
#include "compiler/tools/rondo/Terminal.h"
#include "compiler/tools/rondo/Trial.h"
#include "compiler/tools/rondo/TunedPlan.h"
#include "rondo/TensorFile.h"
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <memory>

namespace rondo::tool {
namespace {

struct RunArguments {
  SpecArguments spec;
  std::string inputs, out, compare;
  bool checkIntervals = false;
};

double milliseconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count();
}

std::string elementText(const Tensor &tensor, int64_t i) {
  const bool complex = tensor.type == DType::C64 || tensor.type == DType::C128;
  return complex ? fmt::format("{:.4g}{:+.4g}i", loadReal(tensor, i), loadImag(tensor, i))
                 : fmt::format("{:.4g}", loadReal(tensor, i));
}

/// The start of one row of a contiguous tensor, a line: "[0, 511, 1, :]  0.25 -1.5 ...". The row is the last axis, and `last` chooses
/// between the first row and the last.
std::string rowText(const Tensor &tensor, bool last) {
  constexpr int64_t most = 6;
  const int64_t length = tensor.shape.back(), row = last ? tensor.elements() - length : 0;
  std::string text = "[";
  for (size_t axis = 0; axis + 1 < tensor.shape.size(); ++axis)
    text += fmt::format("{}, ", last ? tensor.shape[axis] - 1 : 0);
  text += ":] ";
  for (int64_t i = 0; i < std::min(length, most); ++i)
    text += " " + elementText(tensor, row + i);
  return length > most ? text + " ..." : text;
}

/// One `rondo run`, step by step.
class Runner {
public:
  explicit Runner(const RunArguments &arguments)
      : arguments(arguments), path(resolveSpec(arguments.spec.spec)), options(compileOptions(arguments.spec)) {
    options.checkIntervals = arguments.checkIntervals;
  }

  Result<void> prepare();
  Result<void> compute();
  Result<void> write();
  void print() const;
  /// Whether the results are within the tolerance.
  Result<bool> compareWithReference();

private:
  Result<void> readInputs();
  CallShape expectedShape() const;
  Result<Kernel> compileReference();

  const RunArguments &arguments;
  std::string path;
  CompileOptions options;
  Engine engine;
  ModelInfo info;
  Kernel kernel;
  NamedBuffers inputs, results;
  CallShape shape;
  std::optional<Record> record; // of tuning, for this call
  bool shapeComplete = true, cached = false;
  double compileTime = 0, runTime = 0;
};

Result<void> Runner::readInputs() {
  Result<NamedBuffers> read = readTensors(arguments.inputs);
  if (!read)
    return inFile(arguments.inputs, read.error());
  inputs = std::move(*read);
  inferDims(info, inputs, options);
  inferBoundaries(info, inputs, options);
  if (arguments.spec.dtypes.empty())
    inferTypes(info, inputs, options);
  return {};
}

/// The shape of the call as far as it is known before anything is compiled.
CallShape Runner::expectedShape() const {
  if (arguments.inputs.empty())
    return fitted(info.tensors, randomRequest(arguments.spec).over({2, 128, 16, 4, 1}));
  Program signature;
  signature.model = info.name;
  signature.tensors = info.tensors;
  signature.hasHeads = info.hasHeads;
  return inferShape(signature, inputs).shape;
}

Result<void> Runner::prepare() {
  Result<ModelInfo> inspected = engine.inspectFile(path, options);
  warn(engine.remarks());
  if (!inspected)
    return inspected.error();
  info = std::move(*inspected);
  const bool random = arguments.inputs.empty();
  if (!random)
    if (Result<void> read = readInputs(); !read)
      return read;
  if (Result<void> complete =
          completeDims(info, random ? std::vector<int64_t>(8, 64) : std::vector<int64_t>{}, options.dims);
      !complete)
    return complete;
  record = recordFor(arguments.spec, path, options, expectedShape());
  const auto begin = std::chrono::steady_clock::now();
  Result<Kernel> compiled = compileWith(record, engine, path, options);
  compileTime = milliseconds(begin);
  cached = engine.fromCache();
  if (!compiled)
    return compiled.error();
  kernel = std::move(*compiled);
  if (random) {
    const RandomRequest request = randomRequest(arguments.spec);
    shape = fitted(kernel.program().tensors, request.over({2, 128, 16, 4, 1}));
    inputs = convert(drawInputs(kernel.program(), shape, request.seed, Inits::Drawn), kernel.program());
    return {};
  }
  inputs = convert(inputs, kernel.program());
  const InferredShape inferred = inferShape(kernel.program(), inputs);
  shape = inferred.shape;
  shapeComplete = inferred.complete;
  return {};
}

Result<void> Runner::compute() {
  RunOptions call;
  if (arguments.inputs.empty())
    call = callOptions(kernel.program(), shape, arguments.spec.threads);
  call.threads = arguments.spec.threads;
  const auto begin = std::chrono::steady_clock::now();
  Result<NamedBuffers> computed = kernel.run(views(inputs), call);
  runTime = milliseconds(begin);
  if (!computed)
    return arguments.inputs.empty() ? computed.error() : inFile(arguments.inputs, computed.error());
  results = std::move(*computed);
  return {};
}

Result<void> Runner::write() {
  if (arguments.out.empty())
    return {};
  NamedTensors named;
  const auto specs = computedTensors(kernel.program());
  for (size_t i = 0; i < results.size(); ++i)
    named.emplace_back(specs[i]->name, results[i].second.view());
  Result<void> written = writeTensors(arguments.out, named);
  return written ? Result<void>() : inFile(arguments.out, written.error());
}

void Runner::print() const {
  const auto specs = computedTensors(kernel.program());
  for (size_t i = 0; i < results.size(); ++i) {
    const Tensor view = results[i].second.view();
    double sum = 0, largest = 0;
    for (int64_t e = 0; e < view.elements(); ++e) {
      const double size = std::hypot(loadReal(view, e), loadImag(view, e));
      sum += size * size;
      largest = std::max(largest, size);
    }
    fmt::print("{:<8} {:<4} [{}]  rms {:.6g}  max {:.6g}\n", paint(Colour::Bold, specs[i]->name), nameOf(view.type),
               fmt::join(view.shape, ", "), view.elements() ? std::sqrt(sum / double(view.elements())) : 0, largest);
    if (view.shape.empty() || view.elements() == 0)
      continue;
    fmt::print("         {}\n", rowText(view, false));
    if (view.elements() > view.shape.back())
      fmt::print("         {}\n", rowText(view, true));
  }
  if (record)
    fmt::print("plan {}, as rondo tune found it\n", record->plan);
  const std::string dims = describeDims(info, options.dims);
  fmt::print("{}: {} on {}{}{}; {} in {:.0f} ms, ran in {:.3g} ms\n", arguments.spec.spec, info.name, options.target,
             dims.empty() ? "" : ", ", dims, cached ? "loaded from the cache" : "compiled", compileTime, runTime);
}

Result<Kernel> Runner::compileReference() {
  CompileOptions exact = options;
  exact.target = "reference";
  exact.type = DType::F64;
  exact.types.clear();
  return engine.compileFile(path, exact);
}

Result<bool> Runner::compareWithReference() {
  Progress progress;
  progress.show("running the reference interpreter ...");
  Result<Kernel> reference = compileReference();
  if (!reference)
    return reference.error();
  const NamedBuffers exact = convert(inputs, reference->program());
  const int threads = arguments.spec.threads;
  const RunOptions call = callOptions(reference->program(), shape, threads);
  Result<NamedBuffers> expected = reference->run(views(exact), call);
  if (!expected)
    return expected.error();
  // Step by step the reference is slower; on a very long input sqrt(T) has to do.
  const bool steps = shapeComplete && shape.time <= 4096 && arguments.spec.gradient == 0;
  Result<Growth> growth = measureGrowth(*reference, exact, *expected, {shape, 1, 1, steps, threads});
  if (!growth)
    return growth.error();
  Trial trial;
  trial.shape = shape;
  trial.results = std::move(*expected);
  trial.tolerances = tolerancesOf(kernel.program(), *growth);
  const bool halves = options.type == DType::BF16 || options.type == DType::F16;
  if (options.target.starts_with("cuda") && halves) { // may go by matrix instructions
    CompileOptions rounding = options;
    rounding.target = "reference";
    rounding.roundings = options.target;
    const Result<Kernel> rounded = engine.compileFile(path, rounding);
    if (!rounded)
      return rounded.error();
    trial.inputs = copy(inputs);
    if (Result<void> added = addRoundings(trial, *rounded, *reference, threads); !added)
      return added.error();
  }
  const Result<Verdict> judged = judge(kernel.program(), results, trial, *reference, threads);
  if (!judged)
    return judged.error();
  const Verdict verdict = *judged;
  progress.clear();
  fmt::print("reference: error {:.2e}, tolerance {:.2e}; max error {:.2e} rms, tolerance {:.2e} "
             "(worst: '{}', batch {}, head {}) {}\n",
             verdict.error, verdict.tolerance, verdict.largest, verdict.most, verdict.tensor, verdict.batch,
             verdict.head, verdict.passed() ? paint(Colour::Green, "ok") : paint(Colour::Red, "FAILED"));
  return verdict.passed();
}

int run(const RunArguments &arguments) {
  Runner runner(arguments);
  for (auto step : {&Runner::prepare, &Runner::compute, &Runner::write})
    if (Result<void> done = (runner.*step)(); !done)
      return fail(done.error());
  runner.print();
  if (arguments.compare.empty())
    return 0;
  Result<bool> within = runner.compareWithReference();
  return within ? (*within ? 0 : 1) : fail(within.error());
}

} // namespace

void addRun(CLI::App &app, int &status) {
  CLI::App *command = app.add_subcommand("run", "run a model on tensors from a file, or on random ones");
  auto arguments = std::make_shared<RunArguments>();
  addSpec(*command, arguments->spec);
  command
      ->add_option("--inputs", arguments->inputs,
                   "a .safetensors or .npz file with the tensors by the spec's names, laid out [B, T, H, ...]")
      ->type_name("FILE");
  command->add_option("--out", arguments->out, "the .safetensors or .npz file to write, whole or not at all")
      ->type_name("FILE");
  command->add_option("--compare", arguments->compare, "also run the reference interpreter and check the distance")
      ->type_name("reference")
      ->check(CLI::IsMember({"reference"}));
  command->add_flag("--check-intervals", arguments->checkIntervals, "fail where an input leaves its declared interval");
  addModel(*command, arguments->spec);
  addTarget(*command, arguments->spec);
  addDims(*command, arguments->spec);
  addTypes(*command, arguments->spec, "element types: for all tensors, for some by name; default: the file's");
  addPlan(*command, arguments->spec);
  addGradient(*command, arguments->spec);
  addBoundaries(*command, arguments->spec);
  addRandom(*command, arguments->spec, "draw the inputs by declaration, instead of --inputs");
  addThreads(*command, arguments->spec);
  addCaching(*command, arguments->spec);
  addRecords(*command, arguments->spec);
  command->footer(
      "Sizes and element types that the file tells need not be given, nor --resets and --packed where it has tensors\n"
      "of these names. Examples:\n"
      "  rondo run gla --inputs in.safetensors --out out.npz --compare reference\n"
      "  rondo run gla --dim K=64 V=64 --dtype bf16,g=f32 --random 1,B=2,T=128,H=4\n"
      "  rondo run gla --packed --random 1,N=8,T=512,H=4");
  command->callback([arguments, &status] {
    if (arguments->inputs.empty() == arguments->spec.random.empty())
      throw CLI::ValidationError("run", "exactly one of --inputs and --random is needed");
    status = run(*arguments);
  });
}

} // namespace rondo::tool
