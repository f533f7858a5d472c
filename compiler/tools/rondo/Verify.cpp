// `rondo verify`: every form of every model of a spec against the reference interpreter, on random inputs.
#include "compiler/tools/rondo/Cases.h"
#include "compiler/tools/rondo/Commands.h"
#include "compiler/tools/rondo/Examples.h"
#include "compiler/tools/rondo/GradientCheck.h"
#include "compiler/tools/rondo/SpecArguments.h"
#include "compiler/tools/rondo/Stepping.h"
#include "compiler/tools/rondo/Terminal.h"
#include "compiler/tools/rondo/Trial.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <optional>

namespace rondo::tool {
namespace {

struct VerifyArguments {
  SpecArguments spec;
  std::vector<std::string> specs;
  bool defaultInits = false, longRuns = false;
};

struct Totals {
  int models = 0, checks = 0, failures = 0, redrawn = 0;
};

/// One model of one file.
class ModelVerifier {
public:
  ModelVerifier(Engine &engine, Progress &progress, const VerifyArguments &arguments, std::string path, ModelInfo info,
                Totals &totals)
      : engine(engine), progress(progress), arguments(arguments), path(std::move(path)), info(std::move(info)),
        totals(totals) {}

  void verify();

private:
  bool hasChunkForm(bool resets, bool packed);
  bool hasTiles(const Case &which, const std::string &type);
  bool isCuda() const { return arguments.spec.target.starts_with("cuda"); }
  Result<std::vector<Kernel>> compileRounded(const Case &which, const TypeChoice &choice);
  std::vector<Case> cases();
  std::vector<std::string> typesOf(const Case &which) const;
  Result<void> compileReference(const Case &which);
  Result<Kernel> compileKernel(const Case &which, const std::string &type, const TypeChoice &choice);
  void verifyType(const Case &which, const std::string &type);
  void verifyDifferences(const Case &which);
  void verifyTangents(const Case &which);
  void check(const Kernel &kernel, const Trial &trial, const std::string &type, const std::string &form, int64_t piece);
  void report(const Verdict &verdict, const Trial &trial, const std::string &type, const std::string &form);
  void fault(const std::string &type, const Error &error);

  Engine &engine;
  Progress &progress;
  const VerifyArguments &arguments;
  std::string path;
  ModelInfo info;
  Totals &totals;
  std::map<std::string, int64_t> dims;
  // For `dims`, and kept while they stay: most of the time of a verification is LLVM's.
  std::map<std::string, Kernel> references; // by what begins sequences
  std::map<std::string, Kernel> kernels;    // by form and element type
  const Kernel *reference = nullptr;        // of the current case
  std::vector<Kernel> noisy;                // a gradient's reference, with noise in its operations
  std::optional<Kernel> differentiated;     // what the current reference is the derivative of
  std::optional<Kernel> transposed;         // of a tangent, the gradient of the same
};

/// Of the model, or of its gradient, which is known where its dimensions have sizes.
bool ModelVerifier::hasChunkForm(bool resets, bool packed) {
  CompileOptions options = compileOptions(arguments.spec);
  options.model = info.name;
  options.resets = resets;
  options.packed = packed;
  std::vector<std::string> forms = info.forms;
  if (arguments.spec.derives() && completeDims(info, smallDims(), options.dims))
    if (Result<ModelInfo> sized = engine.inspectFile(path, options))
      forms = sized->forms;
  return std::ranges::find(forms, "chunk") != forms.end();
}

/// Whether the target's plan for these sizes has chunks.
bool ModelVerifier::hasTiles(const Case &which, const std::string &type) {
  CompileOptions options = compileOptions(arguments.spec);
  TypeChoice choice;
  parseTypes(type, choice);
  options.model = info.name;
  options.type = choice.type.value_or(DType::F32);
  options.types = choice.types;
  if (!completeDims(info, which.dims, options.dims))
    return false;
  Result<ModelInfo> sized = engine.inspectFile(path, options);
  return sized && std::ranges::any_of(
                      sized->plans, [](const std::string &plan) { return plan.find(": chunk") != std::string::npos; });
}

/// The cases, and behind them the same by chunks. The first ones are held to differences, where that is asked for.
static std::vector<Case> inBothForms(std::vector<Case> all, bool chunks, const char *chunkForm, bool differences) {
  const size_t count = all.size();
  for (size_t i = 0; i < count; ++i) {
    if (chunks)
      all.emplace_back(all[i]).form = chunkForm;
    all[i].differences = differences && all[i].form == "step";
  }
  return all;
}

std::vector<Case> ModelVerifier::cases() {
  const RandomRequest request = randomRequest(arguments.spec);
  const bool resets = arguments.spec.resets, packed = arguments.spec.packed;
  const bool compilerChooses = arguments.spec.form == "auto";
  const bool chunks = compilerChooses && hasChunkForm(resets, packed);
  const bool cells = compilerChooses && isCuda() && arguments.spec.gradient == 0 &&
                     std::ranges::any_of(info.tensors, [](const TensorSpec &spec) { return spec.recurrent; });
  if (request.given) {
    const Case one{smallDims(),
                   request.over({3, 17, 5, 3, 1}),
                   arguments.defaultInits ? Inits::Default : Inits::Drawn,
                   resets,
                   packed,
                   compilerChooses ? "step" : arguments.spec.form,
                   arguments.spec.chunk};
    return inBothForms({one}, chunks || cells, isCuda() ? "auto" : "chunk", true);
  }
  if (arguments.longRuns)
    return inBothForms(longCases(), chunks, isCuda() ? "auto" : "chunk", false);
  std::vector<Case> all = arguments.spec.derives() ? derivativeCases() : standardCases();
  if (asksFor(info.tensors, Axis::Group)) // three groups of three heads
    all.back().shape.heads = 9;
  if (chunks)
    for (const Case &each : isCuda() ? tileCases() : chunkCases())
      all.push_back(each);
  if (chunks && !isCuda() && !arguments.spec.derives())
    all.push_back(attentionCase());
  const bool cuts = std::ranges::find(info.schedules, "segment") != info.schedules.end();
  if (compilerChooses && cuts && !isCuda() && !arguments.spec.derives() && arguments.spec.schedule == "auto" &&
      !resets && !packed)
    for (const Case &each : segmentCases(chunks))
      all.push_back(each);
  if (cells)
    for (const Case &each : cellCases())
      all.push_back(each);
  for (Case &each : all) {
    if (!compilerChooses) {
      each.form = arguments.spec.form;
      each.chunk = arguments.spec.chunk;
    }
    each.resets |= resets;
    each.packed |= packed;
  }
  if (!resets && !packed && !asksFor(info.tensors, Axis::Time1) && arguments.spec.schedule != "segment")
    for (const Case &each : boundaryCases())
      all.push_back(each);
  return all;
}

/// Where sequences begin has nothing to do with element types, so that one stands for all.
std::vector<std::string> ModelVerifier::typesOf(const Case &which) const {
  if (!arguments.spec.dtypes.empty())
    return arguments.spec.dtypes;
  if (which.tiles || which.cells)
    return {"bf16", "f16"};
  const bool asked = arguments.spec.resets || arguments.spec.packed;
  if ((which.resets || which.packed) && !asked)
    return {"f32"};
  if (arguments.longRuns)
    return {"f64", "f32", "bf16"};
  if (arguments.spec.derives())
    return which.form == "step" ? std::vector<std::string>{"f64", "f32"}
                                : std::vector<std::string>{"f64", "f32", "bf16"};
  if (which.form != "step" || which.segments > 0) // what is loaded and stored is the same in every form
    return {"f64", "f32"};
  return {"f64", "f32", "bf16", "f16"};
}

void ModelVerifier::fault(const std::string &type, const Error &error) {
  progress.clear();
  fmt::print("  {} {}\n", type, paint(Colour::Red, "FAILED"));
  fail(error);
  ++totals.checks;
  ++totals.failures;
}

Result<void> ModelVerifier::compileReference(const Case &which) {
  CompileOptions options = compileOptions(arguments.spec);
  if (Result<void> complete = completeDims(info, which.dims, options.dims); !complete)
    return complete;
  if (options.dims != dims) {
    dims = options.dims;
    references.clear();
    kernels.clear();
  }
  const std::string boundaries = which.packed ? "packed" : which.resets ? "resets" : "";
  auto known = references.find(boundaries);
  if (known == references.end()) {
    options.model = info.name;
    options.target = "reference";
    options.type = DType::F64;
    options.types.clear();
    options.resets = which.resets;
    options.packed = which.packed;
    Result<Kernel> kernel = engine.compileFile(path, options);
    if (!kernel)
      return kernel.error();
    known = references.emplace(boundaries, std::move(*kernel)).first;
  }
  if (arguments.spec.derives()) {
    noisy.clear();
    options.model = info.name;
    options.target = "reference";
    options.type = DType::F64;
    options.types.clear();
    options.resets = which.resets;
    options.packed = which.packed;
    constexpr uint64_t noises = 3;
    for (options.noise = 1; options.noise <= noises; ++options.noise) {
      Result<Kernel> kernel = engine.compileFile(path, options);
      if (!kernel)
        return kernel.error();
      noisy.push_back(std::move(*kernel));
    }
    options.noise = 0;
    if (options.tangent) {
      options.tangent = false;
      ++options.gradient;
      options.wrt.clear();
      Result<Kernel> kernel = engine.compileFile(path, options);
      if (!kernel)
        return kernel.error();
      transposed = std::move(*kernel);
    }
    --options.gradient;
    Result<Kernel> kernel = engine.compileFile(path, options);
    if (!kernel)
      return kernel.error();
    differentiated = std::move(*kernel);
  }
  reference = &known->second;
  return {};
}

/// The reference with the roundings of the kernel's matrix instructions; none for types that have none.
Result<std::vector<Kernel>> ModelVerifier::compileRounded(const Case &which, const TypeChoice &choice) {
  const DType stored = choice.type.value_or(DType::F32);
  if (!isCuda() || which.form == "step" || (stored != DType::BF16 && stored != DType::F16))
    return std::vector<Kernel>();
  CompileOptions options = compileOptions(arguments.spec);
  options.model = info.name;
  options.dims = dims;
  options.type = stored;
  options.types = choice.types;
  options.form = which.form;
  options.chunk = which.chunk;
  options.resets = which.resets;
  options.packed = which.packed;
  options.target = "reference";
  options.roundings = arguments.spec.target;
  Result<Kernel> kernel = engine.compileFile(path, options);
  if (!kernel)
    return kernel.error();
  return std::vector<Kernel>{*kernel};
}

Result<Kernel> ModelVerifier::compileKernel(const Case &which, const std::string &type, const TypeChoice &choice) {
  const std::string key = which.name() + (" " + type);
  if (const auto known = kernels.find(key); known != kernels.end())
    return known->second;
  CompileOptions options = compileOptions(arguments.spec);
  options.model = info.name;
  options.dims = dims;
  options.type = choice.type.value_or(DType::F32);
  options.types = choice.types;
  options.form = which.form;
  options.chunk = which.chunk;
  options.resets = which.resets;
  options.packed = which.packed;
  if (which.segments > 0) {
    options.schedule = "segment";
    options.plan = fmt::format("<segments = {}>", which.segments);
  }
  Result<Kernel> kernel = engine.compileFile(path, options);
  if (kernel)
    kernels.emplace(key, *kernel);
  return kernel;
}

void ModelVerifier::report(const Verdict &verdict, const Trial &trial, const std::string &type,
                           const std::string &form) {
  ++totals.checks;
  progress.clear();
  const std::string sizes =
      fmt::format("{} {}", describeDims(info, dims), describe(reference->program().tensors, trial.shape));
  fmt::print("  {:<5} {:<6} error {:.1e}  tolerance {:.1e}  max {:.1e}  tolerance {:.1e} rms  {}  {}{}{}\n", type, form,
             verdict.error, verdict.tolerance, verdict.largest, verdict.most,
             verdict.passed() ? paint(Colour::Green, "ok") : paint(Colour::Red, "FAILED"), sizes,
             trial.redraws.total() ? fmt::format("  ({})", trial.redraws.describe()) : "",
             trial.weak ? fmt::format("  ({} blocks have a weak bound)", trial.weak) : "");
  if (verdict.passed())
    return;
  ++totals.failures;
  fmt::print("        worst in '{}', batch {}, head {}\n", verdict.tensor, verdict.batch, verdict.head);
}

void ModelVerifier::check(const Kernel &kernel, const Trial &trial, const std::string &type, const std::string &form,
                          int64_t piece) {
  Result<NamedBuffers> results = runTrial(kernel, trial, arguments.spec.threads, piece);
  if (!results)
    return fault(type, results.error());
  report(judge(kernel.program(), *results, trial.results, trial.tolerances, trial.largest), trial, type, form);
}

void ModelVerifier::verifyType(const Case &which, const std::string &type) {
  progress.show(fmt::format("{}: {} T={} ...", info.name, type, which.shape.time));
  TypeChoice choice;
  parseTypes(type, choice);
  Result<Kernel> kernel = compileKernel(which, type, choice);
  if (!kernel)
    return fault(type, kernel.error());
  Result<std::vector<Kernel>> rounded = compileRounded(which, choice);
  if (!rounded)
    return fault(type, rounded.error());
  Result<Trial> trial = drawTrial(*reference, *kernel,
                                  {which.shape, randomRequest(arguments.spec).seed, which.inits, arguments.spec.threads,
                                   arguments.spec.derives(), noisy, *rounded});
  if (!trial)
    return fault(type, trial.error());
  totals.redrawn += trial->redraws.total();
  check(*kernel, *trial, type, which.name(), 0);
  // Fed back through f16 or bf16 the states would be rounded at every step, which the bound does not cover.
  const DType stored = choice.type.value_or(DType::F32);
  const bool keepsStates = choice.types.empty() && (stored == DType::F32 || stored == DType::F64);
  if (trial->byStep && keepsStates && trial->shape.time > 1)
    check(*kernel, *trial, type, "decode", 1);
}

/// The gradient's reference against differences of the model's.
void ModelVerifier::verifyDifferences(const Case &which) {
  const uint64_t seed = randomRequest(arguments.spec).seed;
  const std::string prefix = arguments.spec.gradient == 1 ? "d_" : fmt::format("d{}_", arguments.spec.gradient);
  std::vector<GradientDifference> differences;
  // Where next to nothing depends on a tensor, its differences drown in the rounding of the others: another draw decides.
  constexpr int mostDraws = 8;
  CallShape shape;
  const auto unsettled = [](const GradientDifference &each) { return std::isinf(each.error); };
  for (int draw = 0; draw < mostDraws && (draw == 0 || std::ranges::any_of(differences, unsettled)); ++draw) {
    Result<Trial> trial = drawTrial(*reference, *reference,
                                    {which.shape, seed + uint64_t(draw), which.inits, arguments.spec.threads, true});
    if (!trial)
      return fault("f64", trial.error());
    shape = trial->shape;
    // Elements at the very end of an interval tie with each other, and max, abs and the like have a corner where they do.
    moveInside(trial->inputs, reference->program(), seed);
    Result<NamedBuffers> gradients =
        reference->run(views(trial->inputs), callOptions(reference->program(), shape, arguments.spec.threads));
    if (!gradients)
      return fault("f64", gradients.error());
    Result<std::vector<GradientDifference>> found =
        checkDifferences(*differentiated, trial->inputs, *gradients, prefix, shape, seed, arguments.spec.threads);
    if (!found)
      return fault("f64", found.error());
    if (differences.empty())
      differences = *found;
    for (GradientDifference &each : differences)
      for (const GradientDifference &other : *found)
        if (unsettled(each) && other.tensor == each.tensor)
          each = other;
  }
  progress.clear();
  for (const GradientDifference &each : differences) {
    const bool passed = each.error <= toleranceOfDifferences;
    ++totals.checks;
    totals.failures += !passed;
    if (!passed)
      fmt::print("  f64   differences of '{}'  error {:.1e}  tolerance {:.1e}  h {:.0e}  {}  {} {}\n", each.tensor,
                 each.error, toleranceOfDifferences, each.step, paint(Colour::Red, "FAILED"), describeDims(info, dims),
                 describe(reference->program().tensors, shape));
  }
  double worst = 0;
  for (const GradientDifference &each : differences)
    worst = std::max(worst, each.error);
  fmt::print("  f64   differences of {} tensors: worst {:.1e}, tolerance {:.1e}\n", differences.size(), worst,
             toleranceOfDifferences);
}

/// The tangents' reference against differences of the model's results, and against the gradient's reference.
/// An initial state that keeps its default does not move.
static void holdDefaults(NamedBuffers &inputs) {
  for (auto &[name, buffer] : inputs) {
    const auto isBase = [base = name.substr(std::min<size_t>(2, name.size()))](const auto &each) {
      return each.first == base;
    };
    if (name.starts_with("t_") && std::ranges::none_of(inputs, isBase))
      std::memset(buffer.data(), 0, buffer.bytes());
  }
}

void ModelVerifier::verifyTangents(const Case &which) {
  const uint64_t seed = randomRequest(arguments.spec).seed;
  std::vector<TangentDifference> differences;
  CallShape shape;
  const auto unsettled = [](const TangentDifference &each) { return std::isinf(each.error); };
  constexpr int mostDraws = 8;
  for (int draw = 0; draw < mostDraws && (draw == 0 || std::ranges::any_of(differences, unsettled)); ++draw) {
    Result<Trial> trial = drawTrial(*reference, *reference,
                                    {which.shape, seed + uint64_t(draw), which.inits, arguments.spec.threads, true});
    if (!trial)
      return fault("f64", trial.error());
    shape = trial->shape;
    moveInside(trial->inputs, reference->program(), seed);
    holdDefaults(trial->inputs);
    Result<NamedBuffers> results =
        reference->run(views(trial->inputs), callOptions(reference->program(), shape, arguments.spec.threads));
    if (!results)
      return fault("f64", results.error());
    Result<std::vector<TangentDifference>> found =
        checkTangents(*differentiated, *transposed, trial->inputs, *results, shape, seed, arguments.spec.threads);
    if (!found)
      return fault("f64", found.error());
    if (differences.empty())
      differences = *found;
    for (size_t i = 0; i < differences.size(); ++i)
      if (unsettled(differences[i]))
        differences[i] = (*found)[i];
  }
  progress.clear();
  double worst = 0, pairing = 0;
  for (const TangentDifference &each : differences) {
    totals.checks += 2;
    totals.failures += !(each.error <= toleranceOfDifferences) + !(each.pairing <= toleranceOfPairing);
    worst = std::max(worst, each.error);
    pairing = std::max(pairing, each.pairing);
    if (!(each.error <= toleranceOfDifferences))
      fmt::print("  f64   differences of '{}'  error {:.1e}  tolerance {:.1e}  h {:.0e}  {}  {} {}\n", each.tensor,
                 each.error, toleranceOfDifferences, each.step, paint(Colour::Red, "FAILED"), describeDims(info, dims),
                 describe(reference->program().tensors, shape));
    if (!(each.pairing <= toleranceOfPairing))
      fmt::print("  f64   pairing of '{}'  error {:.1e}  tolerance {:.1e}  {}\n", each.tensor, each.pairing,
                 toleranceOfPairing, paint(Colour::Red, "FAILED"));
  }
  fmt::print("  f64   differences of {} tensors: worst {:.1e}, tolerance {:.1e}; <Jv, w> - <v, Jᵀw>: {:.1e}, tolerance "
             "{:.1e}\n",
             differences.size(), worst, toleranceOfDifferences, pairing, toleranceOfPairing);
}

void ModelVerifier::verify() {
  ++totals.models;
  fmt::print("{} ({})\n", paint(Colour::Bold, info.name), path);
  for (const Case &which : cases()) {
    if (arguments.spec.derives() && which.form == "chunk" && (which.resets || which.packed) &&
        !hasChunkForm(which.resets, which.packed))
      continue;
    if (Result<void> compiled = compileReference(which); !compiled) {
      fault("reference", compiled.error());
      continue;
    }
    if (arguments.spec.derives() && which.differences && which.form == "step")
      arguments.spec.tangent ? verifyTangents(which) : verifyDifferences(which);
    for (const std::string &type : typesOf(which))
      if (!which.tiles || hasTiles(which, type))
        verifyType(which, type);
  }
}

void verifyFile(Engine &engine, Progress &progress, const VerifyArguments &arguments, const std::string &spec,
                Totals &totals) {
  const std::string path = resolveSpec(spec);
  CompileOptions options = compileOptions(arguments.spec);
  Result<ModelInfo> chosen = engine.inspectFile(path, options);
  std::vector<std::string> models;
  if (chosen)
    models = arguments.spec.model.empty() ? chosen->models : std::vector<std::string>{chosen->name};
  for (const std::string &model : models) {
    options.model = model;
    Result<ModelInfo> info = engine.inspectFile(path, options);
    if (info)
      ModelVerifier(engine, progress, arguments, path, std::move(*info), totals).verify();
    else
      chosen = std::move(info);
  }
  if (!chosen) {
    progress.clear();
    fail(chosen.error());
    ++totals.checks;
    ++totals.failures;
  }
}

int verify(const VerifyArguments &asked) {
  if (asked.spec.gradient > 0 && asked.spec.tangent)
    return fail("verify takes --grad or --jvp, not both");
  VerifyArguments arguments = asked;
  arguments.spec.noCache = true; // what is verified is the compiler
  Engine engine;
  Progress progress;
  Totals totals;
  for (const std::string &spec : arguments.specs)
    verifyFile(engine, progress, arguments, spec, totals);
  progress.clear();
  fmt::print("{} models, {} checks, {} draws redrawn: {}\n", totals.models, totals.checks, totals.redrawn,
             totals.failures ? paint(Colour::Red, fmt::format("{} FAILED", totals.failures))
                             : paint(Colour::Green, "all within tolerance"));
  return totals.failures ? 1 : 0;
}

constexpr const char *explanation =
    R"(Every model of every spec is run on inputs drawn by its declarations, at T=1, T=17 and T=67, in f64, f32, bf16 and f16, and where
its states can be fed back also one step at a time ("decode"); in f64 and f32 also by chunks of several sizes, where a scan has that
form ("chunk16"); models over one axis also in f32 with resets, more rows than share a
tile, and with packed sequences that have resets inside ("resets", "packed"). For every batch entry and head of every result

  ||x - ref||_2 / ||ref||_2  <=  tolerance      max |x - ref|  <=  10 tolerance rms(ref)

The tolerance is 1e-12 in f64. In f32 it is 4 sqrt(n + 64) g 2^-24: g is how much the reference, run in f64, amplifies perturbations of
+-2^-24 of its inputs, params and (where it can run by steps) of its states at every step; sqrt(n + 64) is the growth of independent
roundings over the longest contraction n and the elementwise rest of a step, 4 the multiple of it that they exceed with probability
below 1e-3. With f16 and bf16, inputs are rounded before both see them, the step is f32, and the one rounding of stored results is
taken off before the same bound applies. A draw whose results leave 1e+-30, or whose tolerance would exceed 1e-2, is redrawn and
counted.

With --target cuda, models with kernels on matrix instructions are also run on those, in bf16 and f16 ("chunk", and "auto" on a sequence
that is cut into segments): T=1, a chunk that is not full, chunks and a rest. What rounding their operands to 16 bits does is computed by
running the reference with these very roundings; twice its distance is added to the tolerance (ErrorBound.h).

With --grad the gradient is verified: the reference's own against fourth-order differences of the model's results, along random
directions, one tensor after another, to 1e-6 of the gradient's norm; kernels against the reference, to 1e-11 in f64, in f32 as above, where g is
also what noise of 2^-24 in every operation of the reference does. Blocks for which that exceeds 1e-2 are counted. Chunks are verified in
bf16, too. With --jvp it is derivatives along a direction: against differences, and <J v, w> against <v, Jᵀ w> with the gradient.

With --long there are 4096 steps and five batch entries: inputs of declared intervals keep to one end in one of them, to the other in
another, near an end, inside, and mixed; and bf16 in all forms.

Examples:
  rondo verify gla deltanet
  rondo verify gla --grad
  rondo verify gla --grad --long
  rondo verify gla --jvp
  rondo verify $(rondo list --paths)
  rondo verify gla --dtype bf16,g=f32 --dim K=64 V=48 --random 7,B=2,T=129,H=3)";

} // namespace

void addVerify(CLI::App &app, int &status) {
  CLI::App *command = app.add_subcommand("verify", "check kernels against the reference interpreter on random inputs");
  auto arguments = std::make_shared<VerifyArguments>();
  command->add_option("specs", arguments->specs, "specs' files, or names of examples")->type_name("SPEC")->required();
  addModel(*command, arguments->spec);
  addTarget(*command, arguments->spec);
  addDims(*command, arguments->spec);
  addTypes(*command, arguments->spec, "verify these element types instead of all four; may be given several times");
  addPlan(*command, arguments->spec);
  addRandom(*command, arguments->spec, "verify one draw of this seed and size instead of the standard ones");
  addGradient(*command, arguments->spec);
  addBoundaries(*command, arguments->spec);
  command->add_flag("--long", arguments->longRuns, "4096 steps instead of the standard sizes");
  command->add_flag("--default-inits", arguments->defaultInits, "with --random: leave the initial states out");
  addThreads(*command, arguments->spec);
  command->footer(explanation);
  command->callback([arguments, &status] { status = verify(*arguments); });
}

} // namespace rondo::tool
