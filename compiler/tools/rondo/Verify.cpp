// `rondo verify`: every form of every model of a spec against the reference interpreter, on random inputs.
#include "compiler/tools/rondo/Cases.h"
#include "compiler/tools/rondo/Commands.h"
#include "compiler/tools/rondo/DerivativeCheck.h"
#include "compiler/tools/rondo/Examples.h"
#include "compiler/tools/rondo/Halves.h"
#include "compiler/tools/rondo/SpecArguments.h"
#include "compiler/tools/rondo/Stepping.h"
#include "compiler/tools/rondo/Terminal.h"
#include "compiler/tools/rondo/VerifyHelp.h"
#include <algorithm>
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
  bool hasChunkForm(const Case &which);
  bool isPlanned(const Case &which, const std::string &type);
  /// Whether kernels are made of a derivative, be it that half of it which is the model.
  bool isOfGradient() const { return arguments.spec.derives() || !arguments.spec.half.empty(); }
  bool isCuda() const { return arguments.spec.target.starts_with("cuda"); }
  Result<std::vector<Kernel>> compileRounded(const Case &which, const TypeChoice &choice);
  std::vector<Case> cases();
  std::vector<std::string> typesOf(const Case &which) const;
  CompileOptions optionsOf(const Case &which) const;
  CompileOptions referenceOptions(const Case &which) const;
  CompileOptions kernelOptions(const Case &which, const TypeChoice &choice) const;
  Result<void> compileReference(const Case &which);
  Result<std::vector<Kernel>> compileNoisy(const Case &which, bool inSingle);
  Result<void> compileRelated(const Case &which, CompileOptions options);
  Result<Kernel> compileKernel(const Case &which, const std::string &type, const TypeChoice &choice);
  void verifyType(const Case &which, const std::string &type);
  void verifyDerivative(const Case &which);
  void verifyDifferences(const DerivativePrograms &programs, const TrialOptions &options);
  void verifyTangents(const DerivativePrograms &programs, const TrialOptions &options);
  void report(const Verdict &verdict, const Trial &trial, const std::string &type, const std::string &form);
  void report(const GradientDifference &difference, const CallShape &shape);
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
bool ModelVerifier::hasChunkForm(const Case &which) {
  CompileOptions options = optionsOf(which);
  std::vector<std::string> forms = info.forms;
  if (arguments.spec.derives() && completeDims(info, smallDims(), options.dims))
    if (Result<ModelInfo> sized = engine.inspectFile(path, options))
      forms = sized->forms;
  return std::ranges::find(forms, "chunk") != forms.end();
}

/// Whether the target's plan for these sizes has the case's form.
bool ModelVerifier::isPlanned(const Case &which, const std::string &type) {
  TypeChoice choice;
  parseTypes(type, choice);
  CompileOptions options = kernelOptions(which, choice);
  options.dims = compileOptions(arguments.spec).dims;
  if (!completeDims(info, which.dims, options.dims))
    return false;
  Result<ModelInfo> sized = engine.inspectFile(path, options);
  const std::string form = which.form == "scan" ? ": scan" : ": chunk";
  return sized && std::ranges::any_of(sized->plans,
                                      [&](const std::string &plan) { return plan.find(form) != std::string::npos; });
}

std::vector<Case> ModelVerifier::cases() {
  const RandomRequest request = randomRequest(arguments.spec);
  const bool resets = arguments.spec.resets, packed = arguments.spec.packed;
  const bool compilerChooses = arguments.spec.form == "auto";
  const Case boundaries{{}, {}, Inits::Drawn, resets, packed};
  const bool chunks = compilerChooses && hasChunkForm(boundaries);
  const bool cells = compilerChooses && isCuda() && arguments.spec.gradient <= 1 && !arguments.spec.tangent &&
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
  std::vector<Case> all = isOfGradient() ? derivativeCases() : standardCases();
  if (asksFor(info.tensors, Axis::Group)) // three groups of three heads
    all.back().shape.heads = 9;
  if (chunks)
    for (const Case &each : isCuda() ? tileCases() : chunkCases())
      all.push_back(each);
  if (chunks && !isCuda() && !isOfGradient())
    all.push_back(attentionCase());
  if (compilerChooses && isCuda() && !isOfGradient() && !resets && !packed)
    for (const Case &each : scanCases())
      all.push_back(each);
  const bool cuts = std::ranges::find(info.schedules, "segment") != info.schedules.end();
  if (compilerChooses && cuts && !isCuda() && !isOfGradient() && arguments.spec.schedule == "auto")
    for (const Case &each : segmentCases(chunks))
      all.push_back(each);
  if (cells)
    for (const Case &each : cellCases(isOfGradient()))
      all.push_back(each);
  for (Case &each : all) {
    if (!compilerChooses) {
      each.form = arguments.spec.form;
      each.chunk = arguments.spec.chunk;
    }
    each.resets |= resets;
    each.packed |= packed;
  }
  const bool cutsSequences =
      arguments.spec.schedule != "segment" || !isCuda(); // a GPU cuts none that begin inside the time axis
  if (!resets && !packed && !asksFor(info.tensors, Axis::Time1) && cutsSequences)
    for (const Case &each : boundaryCases())
      all.push_back(each);
  return all;
}

/// Where sequences begin has nothing to do with element types, so that one stands for all.
std::vector<std::string> ModelVerifier::typesOf(const Case &which) const {
  if (!arguments.spec.dtypes.empty())
    return arguments.spec.dtypes;
  if (isCuda() && which.form == "scan")
    return {"f32", "bf16", "f16"};
  if (which.tiles || which.cells)
    return {"bf16", "f16"};
  const bool asked = arguments.spec.resets || arguments.spec.packed;
  if ((which.resets || which.packed) && !asked)
    return {"f32"};
  if (arguments.longRuns)
    return {"f64", "f32", "bf16"};
  if (isOfGradient())
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

/// As the command line says, for this model under these boundaries; kernels alone have halves.
CompileOptions ModelVerifier::optionsOf(const Case &which) const {
  CompileOptions options = compileOptions(arguments.spec);
  options.half.clear();
  options.model = info.name;
  options.resets = which.resets;
  options.packed = which.packed;
  return options;
}

/// Of the reference, for `dims`.
CompileOptions ModelVerifier::referenceOptions(const Case &which) const {
  CompileOptions options = optionsOf(which);
  options.dims = dims;
  options.target = "reference";
  options.type = DType::F64;
  options.types.clear();
  return options;
}

Result<void> ModelVerifier::compileReference(const Case &which) {
  CompileOptions options = optionsOf(which);
  if (Result<void> complete = completeDims(info, which.dims, options.dims); !complete)
    return complete;
  if (options.dims != dims) {
    dims = options.dims;
    references.clear();
    kernels.clear();
  }
  options = referenceOptions(which);
  const std::string boundaries = which.packed ? "packed" : which.resets ? "resets" : "";
  auto known = references.find(boundaries);
  if (known == references.end()) {
    Result<Kernel> kernel = engine.compileFile(path, options);
    if (!kernel)
      return kernel.error();
    known = references.emplace(boundaries, std::move(*kernel)).first;
  }
  reference = &known->second;
  return arguments.spec.derives() ? compileRelated(which, options) : Result<void>();
}

/// The reference with noise in its operations; `inSingle`: and no more than f32's range.
Result<std::vector<Kernel>> ModelVerifier::compileNoisy(const Case &which, bool inSingle) {
  CompileOptions options = referenceOptions(which);
  options.noiseInSingle = inSingle;
  std::vector<Kernel> made;
  constexpr uint64_t noises = 3;
  for (options.noise = 1; options.noise <= noises; ++options.noise) {
    Result<Kernel> kernel = engine.compileFile(path, options);
    if (!kernel)
      return kernel.error();
    made.push_back(std::move(*kernel));
  }
  return made;
}

/// What a derivative's reference is judged by; `options` are its own.
Result<void> ModelVerifier::compileRelated(const Case &which, CompileOptions options) {
  Result<std::vector<Kernel>> made = compileNoisy(which, /*inSingle=*/false);
  if (!made)
    return made.error();
  noisy = std::move(*made);
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
  return {};
}

CompileOptions ModelVerifier::kernelOptions(const Case &which, const TypeChoice &choice) const {
  CompileOptions options = optionsOf(which);
  options.dims = dims;
  options.type = choice.type.value_or(DType::F32);
  options.types = choice.types;
  options.form = which.form;
  options.chunk = which.chunk;
  if (which.segments > 0) {
    options.schedule = "segment";
    options.plan = fmt::format("<segments = {}>", which.segments);
  }
  return options;
}

/// The reference with the roundings of the kernel's matrix instructions; none for types that have none.
Result<std::vector<Kernel>> ModelVerifier::compileRounded(const Case &which, const TypeChoice &choice) {
  const DType stored = choice.type.value_or(DType::F32);
  if (!isCuda() || which.form == "step" || (stored != DType::BF16 && stored != DType::F16))
    return std::vector<Kernel>();
  CompileOptions options = kernelOptions(which, choice);
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
  CompileOptions options = kernelOptions(which, choice);
  options.half = arguments.spec.half;
  if (options.half == "there") // of the gradient, while everything else is of the model
    options.gradient = 1;
  Result<Kernel> kernel =
      options.half.empty() ? engine.compileFile(path, options) : compileHalves(engine, path, options);
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
  // Fed back through f16 or bf16 the states would be rounded at every step, which the bound does not cover.
  const DType stored = choice.type.value_or(DType::F32);
  const bool keepsStates = choice.types.empty() && (stored == DType::F32 || stored == DType::F64);
  const Result<Judgement> judgement =
      judgeKernel(*kernel, *reference,
                  {which.shape, randomRequest(arguments.spec).seed, which.inits, arguments.spec.threads,
                   arguments.spec.derives(), noisy, *rounded},
                  keepsStates, [&] { return compileNoisy(which, stored != DType::F64); });
  if (!judgement)
    return fault(type, judgement.error());
  totals.redrawn += judgement->trial.redraws.total();
  report(judgement->whole, judgement->trial, type, which.name());
  if (judgement->stepped)
    report(*judgement->stepped, judgement->trial, type, "decode");
}

void ModelVerifier::report(const GradientDifference &difference, const CallShape &shape) {
  ++totals.checks;
  if (difference.passed())
    return;
  ++totals.failures;
  fmt::print("  f64   differences of '{}'  error {:.1e}  tolerance {:.1e}  h {:.0e}  {}  {} {}\n", difference.tensor,
             difference.error, toleranceOfDifferences, difference.step, paint(Colour::Red, "FAILED"),
             describeDims(info, dims), describe(reference->program().tensors, shape));
}

/// The gradient's reference against differences of the model's.
void ModelVerifier::verifyDifferences(const DerivativePrograms &programs, const TrialOptions &options) {
  Result<SettledDifferences<GradientDifference>> settled = settleGradient(programs, options);
  if (!settled)
    return fault("f64", settled.error());
  progress.clear();
  for (const GradientDifference &each : settled->differences)
    report(each, settled->shape);
  fmt::print("  f64   {}\n", settled->summary());
}

/// The tangents' reference against differences of the model's results, and against the gradient's reference.
void ModelVerifier::verifyTangents(const DerivativePrograms &programs, const TrialOptions &options) {
  Result<SettledDifferences<TangentDifference>> settled = settleTangent(programs, options);
  if (!settled)
    return fault("f64", settled.error());
  progress.clear();
  double pairing = 0;
  for (const TangentDifference &each : settled->differences) {
    report(each, settled->shape);
    ++totals.checks;
    pairing = std::max(pairing, each.pairing);
    if (each.isAdjoint())
      continue;
    ++totals.failures;
    fmt::print("  f64   pairing of '{}'  error {:.1e}  tolerance {:.1e}  {}\n", each.tensor, each.pairing,
               toleranceOfPairing, paint(Colour::Red, "FAILED"));
  }
  fmt::print("  f64   {}; <Jv, w> - <v, Jᵀw>: {:.1e}, tolerance {:.1e}\n", settled->summary(), pairing,
             toleranceOfPairing);
}

void ModelVerifier::verifyDerivative(const Case &which) {
  const uint64_t seed = randomRequest(arguments.spec).seed;
  const TrialOptions options{which.shape, seed, which.inits, arguments.spec.threads, true};
  DerivativePrograms programs{*reference, *differentiated, transposed ? &*transposed : nullptr};
  if (arguments.spec.gradient > 1)
    programs.prefix = fmt::format("d{}_", arguments.spec.gradient);
  arguments.spec.tangent ? verifyTangents(programs, options) : verifyDifferences(programs, options);
}

void ModelVerifier::verify() {
  ++totals.models;
  fmt::print("{} ({})\n", paint(Colour::Bold, info.name), path);
  for (const Case &which : cases()) {
    if (isOfGradient() && which.form == "chunk" && (which.resets || which.packed) && !hasChunkForm(which))
      continue;
    if (Result<void> compiled = compileReference(which); !compiled) {
      fault("reference", compiled.error());
      continue;
    }
    if (arguments.spec.derives() && which.differences && which.form == "step")
      verifyDerivative(which);
    for (const std::string &type : typesOf(which))
      if (!which.tiles || isPlanned(which, type))
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
  if (!asked.spec.half.empty() && asked.spec.gradient != 1)
    return fail("--half goes with --grad, once");
  VerifyArguments arguments = asked;
  if (asked.spec.half == "there") // which is the model
    arguments.spec.gradient = 0;
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
  command->footer(verifyHelp);
  command->callback([arguments, &status] { status = verify(*arguments); });
}

} // namespace rondo::tool
