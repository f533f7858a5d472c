// The way from a source to a program, phase by phase. See Compiler.h.
#include "compiler/Driver/Compiler.h"
#include "compiler/Driver/ModelReport.h"
#include "compiler/Driver/ModuleDiagnostics.h"
#include "compiler/Driver/ModuleText.h"
#include "compiler/Driver/ProductCount.h"
#include "compiler/Driver/ReferenceProgram.h"
#include "compiler/Driver/Roundings.h"
#include "compiler/Driver/SecondCode.h"
#include "compiler/Pipeline/Phases.h"
#include "compiler/Target/CPU/Codegen.h"
#include "compiler/Target/CPU/Machine.h"
#include "compiler/Target/CUDA/Codegen.h"
#include "compiler/Target/Signature.h"
#include "dialects/Recur/Recur.h"
#include "frontend/AstPrinter.h"
#include "frontend/Import.h"
#include "frontend/Parser.h"
#include "frontend/Sema.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <chrono>

using namespace mlir;
using namespace rondo;
using namespace rondo::driver;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Adds the seconds of its scope to a counter.
class Stopwatch {
public:
  explicit Stopwatch(double &seconds) : seconds(seconds), start(now()) {}
  ~Stopwatch() { seconds += now() - start; }

private:
  double &seconds, start;
};

/// An imported file lies beside the one that names it.
std::optional<std::pair<std::string, std::string>> readBeside(const std::string &path, const std::string &from) {
  llvm::SmallString<128> where(llvm::sys::path::parent_path(from));
  llvm::sys::path::append(where, path);
  auto buffer = llvm::MemoryBuffer::getFile(where);
  if (!buffer)
    return std::nullopt;
  return std::make_pair(where.str().str(), (*buffer)->getBuffer().str());
}

bool isComputable(DType type) {
  return type == DType::F64 || type == DType::F32 || type == DType::BF16 || type == DType::F16;
}

/// The architecture of a target "cuda:sm_90a", or of "cuda": the oldest that is supported. Nothing for other targets.
std::optional<std::string> cudaArchitecture(StringRef target) {
  if (!target.consume_front("cuda"))
    return std::nullopt;
  if (target.empty())
    return "sm_80";
  return target.consume_front(":") && cuda::isArchitecture(target) ? std::optional(target.str()) : std::nullopt;
}

/// One compilation: a source on its way, and what was reported on it.
class Compilation {
public:
  Compilation(std::shared_ptr<SharedContext> shared, const Source &source, const Options &options)
      : shared(shared), turn(shared->turn), context(shared, &shared->context), source(source), options(options),
        sources(std::make_shared<frontend::SourceManager>()) {
    file = sources->add(source.name, source.text);
    handler.emplace(*context, *sources, diagnostics);
  }

  template <typename T> Outcome<T> finish(std::optional<T> value) {
    if (!value && !hasError())
      fail("internal", "the compiler stopped without saying why; this is a bug in rondo");
    if (hasError())
      value.reset();
    return {std::move(value), std::move(diagnostics), sources, times};
  }

  bool checkTarget() {
    if (options.target == "reference" || isCuda() || machine())
      return true;
    fail(
        "unknown-target", "there is no target '" + options.target + "'",
        "targets are 'cpu', 'cpu:x86-64-v3' and the other levels, 'cuda', 'cuda:sm_90a' and the like, and 'reference'");
    return false;
  }
  /// The processor that code is made for; nothing for other targets than CPUs.
  std::optional<cpu::Machine> machine() const {
    StringRef target = options.target;
    if (target == "cpu")
      return cpu::hostMachine();
    return target.consume_front("cpu:") ? cpu::machineOfLevel(target.str()) : std::nullopt;
  }
  bool isCuda() const { return cudaArchitecture(options.target).has_value(); }
  bool plansBack() { return makePhaseOptions().plansBack(); }
  ArrayRef<Phase> phases() const { return isCuda() ? cudaPhases() : cpuPhases(); }

  std::optional<frontend::File> parse() {
    Stopwatch watch(times.frontend);
    frontend::Diagnostics found;
    frontend::File tree = frontend::parse(*sources, file, found);
    take(found);
    return hasError() ? std::nullopt : std::optional(std::move(tree));
  }

  /// The module that the phases start from, and the number of the first phase to run.
  bool enter() {
    if (llvm::StringRef(source.name).ends_with(".mlir"))
      return enterWithIR();
    std::optional<frontend::File> tree = parse();
    if (!tree)
      return false;
    for (const frontend::Model &model : tree->models)
      models.push_back(model.name);
    Stopwatch watch(times.frontend);
    frontend::Diagnostics found;
    frontend::SemaOptions sema;
    sema.model = options.model;
    sema.loadImport = [this](const std::string &path, const std::string &from) {
      auto read = readBeside(path, from);
      if (read)
        imported.push_back({read->first, contentHash(read->second)});
      return read;
    };
    std::unique_ptr<frontend::TypedModel> model = frontend::analyze(*sources, file, *tree, sema, found);
    take(found);
    if (!model || hasError())
      return false;
    place = model->span;
    module = frontend::importModel(*model, *sources, *context);
    return static_cast<bool>(module);
  }

  /// Runs phases until `last` (inclusive). False when one failed.
  bool runThrough(StringRef last) {
    Stopwatch watch(times.passes);
    PhaseOptions phaseOptions = makePhaseOptions();
    for (size_t done = 0; done < next; ++done)
      if (phases()[done].name == last)
        return true;
    for (; next < phases().size(); ++next) {
      const Phase &phase = phases()[next];
      if (phase.name == StringRef("bind-sizes") && !checkSizes())
        return false;
      if (failed(runPhase(phase, *module, phaseOptions)) || hasError())
        return false;
      if (!options.dumpPhases.empty() && !dump(phase))
        return false;
      if (phase.name == last) {
        ++next;
        return true;
      }
    }
    return true;
  }

  std::shared_ptr<const Program> makeReference() {
    if (!runThrough("differentiate"))
      return nullptr;
    OwningOpRef<ModuleOp> meaning = module->clone();
    if (!runThrough("set-precision"))
      return nullptr;
    Program signature = describeModel(*module->getOps<func::FuncOp>().begin());
    return makeReferenceProgram(context, std::move(meaning), std::move(signature),
                                {options.noise, options.noiseInSingle});
  }

  /// The program and its code for a GPU.
  std::optional<Compiled> makeCudaCode() {
    if (!runThrough(phases().back().name))
      return std::nullopt;
    Stopwatch watch(times.codegen);
    auto program = cuda::describe(*module, *cudaArchitecture(options.target));
    if (!program)
      return failCode(program.takeError());
    Compiled made{**program, "cuda:" + (*program)->image->architecture, joinImage(*(*program)->image), {}, imported};
    made.program.image = nullptr;
    return made;
  }

  /// The program and its code for a CPU or a GPU.
  std::optional<Compiled> makeCode() {
    if (isCuda())
      return makeCudaCode();
    // The files of phases hold all functions.
    if (!runThrough(options.dumpPhases.empty() ? "lower-scan" : phases().back().name))
      return std::nullopt;
    std::optional<Program> program = cpu::describe(*module, options.suffix);
    if (!program)
      return failCode(llvm::createStringError("the module describes no program"));
    Compiled made{std::move(*program), options.target, {}, {}, imported};
    made.splitCode =
        takeSecondCode(shared, *module, phases().drop_front(next), makePhaseOptions(), *machine(), options.suffix);
    const std::string key = kernelKey(*module, *machine(), options.suffix);
    if (const std::string *known = shared->objects.find(key)) {
      made.code = *known;
      return made;
    }
    if (!runThrough(phases().back().name))
      return std::nullopt;
    Stopwatch watch(times.codegen);
    auto object = cpu::compile(*module, *machine(), options.suffix);
    if (!object)
      return failCode(object.takeError());
    shared->objects.add(key, *object);
    made.code = std::move(*object);
    return made;
  }

  /// A program that runs, or for a GPU one that is ready to be loaded there.
  std::shared_ptr<const Program> makeProgram() {
    std::optional<Compiled> made = makeCode();
    if (!made)
      return nullptr;
    if (isCuda()) {
      made->program.image = splitImage(made->target, made->code);
      return std::make_shared<const Program>(std::move(made->program));
    }
    Stopwatch watch(times.codegen);
    auto loaded = loadHostCode(std::move(made->program), made->code, std::move(made->splitCode));
    if (loaded)
      return *loaded;
    fail("codegen", loaded.error().message());
    return nullptr;
  }

  /// The text of the module's code for the target.
  llvm::Expected<std::string> printCode(StringRef what) {
    if (isCuda())
      return cuda::printCode(*module, *cudaArchitecture(options.target),
                             what == "llvm"        ? cuda::CodeText::LLVM
                             : what == "cubin"     ? cuda::CodeText::Cubin
                             : what == "resources" ? cuda::CodeText::Resources
                                                   : cuda::CodeText::PTX);
    return cpu::printCode(*module, what == "llvm" ? cpu::CodeText::LLVM : cpu::CodeText::Assembly, *machine());
  }

  void fail(const char *slug, const std::string &message, const std::string &cure = "") {
    frontend::Diagnostic diagnostic;
    diagnostic.slug = slug;
    diagnostic.message = message;
    diagnostic.span = place;
    if (!cure.empty())
      diagnostic.note(cure);
    diagnostics.push_back(std::move(diagnostic));
  }

  std::nullopt_t failCode(llvm::Error error) {
    fail("codegen", llvm::toString(std::move(error)));
    return std::nullopt;
  }

  bool hasError() const {
    return llvm::any_of(diagnostics, [](const auto &d) { return d.severity == frontend::Severity::Error; });
  }

  std::shared_ptr<SharedContext> shared;
  std::unique_lock<std::mutex> turn;
  std::shared_ptr<MLIRContext> context; // of `shared`
  const Source &source;
  const Options &options;
  std::shared_ptr<frontend::SourceManager> sources;
  std::vector<frontend::Diagnostic> diagnostics;
  std::optional<ModuleDiagnostics> handler;
  uint32_t file = 0;
  OwningOpRef<ModuleOp> module;
  size_t next = 0;
  Times times;
  std::vector<std::string> models;
  std::vector<FileSeen> imported;
  frontend::Span place;

private:
  void take(const frontend::Diagnostics &found) {
    diagnostics.insert(diagnostics.end(), found.all().begin(), found.all().end());
  }

  bool enterWithIR() {
    if (!options.from.empty()) {
      auto phase = llvm::find_if(phases(), [&](const Phase &p) { return p.name == options.from; });
      if (phase == phases().end()) {
        fail("unknown-phase", "there is no phase '" + options.from + "'");
        return false;
      }
      next = phase - phases().begin() + 1;
    }
    Stopwatch watch(times.frontend);
    module = parseSourceString<ModuleOp>(source.text, ParserConfig(context.get()), source.name);
    return static_cast<bool>(module);
  }

  PhaseOptions makePhaseOptions() {
    PhaseOptions result;
    result.dims = options.dims;
    result.type = nameOf(options.type);
    for (const auto &[name, type] : options.types)
      result.types[name] = nameOf(type);
    // The reference's gradients are those of the steps, whatever is planned.
    bool early = options.target == "reference" || options.tangent;
    result.gradients = early ? options.gradient : std::max<int64_t>(0, options.gradient - 1);
    result.gradient = !early && options.gradient > 0;
    result.tangent = options.tangent;
    result.wrt = options.wrt;
    result.form = options.form;
    result.schedule = options.schedule;
    result.chunk = options.chunk;
    result.plan = options.plan;
    result.interval = options.interval;
    result.resets = options.resets;
    result.packed = options.packed;
    const cpu::Machine processor = machine().value_or(cpu::hostMachine());
    result.vectorBits = processor.vectorBits;
    result.threads = processor.threads;
    if (isCuda()) {
      result.arch = *cudaArchitecture(options.target);
      result.backBySteps = true;
    }
    return result;
  }

  /// Every dimension has a size, every size a dimension, and the element types are ones to compute with.
  bool checkSizes() {
    if (!isComputable(options.type))
      fail("element-type",
           "'" + std::string(nameOf(options.type)) + "' is no element type of a model; expected f64, f32, bf16 or f16");
    llvm::StringSet<> known;
    for (func::FuncOp model : module->getOps<func::FuncOp>())
      if (auto names = model->getAttrOfType<ArrayAttr>(recur::kDimsAttr))
        for (StringAttr name : names.getAsRange<StringAttr>())
          known.insert(name.getValue());
    for (const auto &name : known)
      if (!options.dims.count(name.getKey().str()))
        fail("missing-size", "dimension '" + name.getKey().str() + "' has no size",
             "give it one: --dim " + name.getKey().str() + "=64, or CompileOptions::dims");
    for (const auto &[name, size] : options.dims) {
      if (!known.contains(name))
        fail("unknown-dimension", "the model has no dimension '" + name + "'");
      else if (size <= 0)
        fail("bad-size", "dimension '" + name + "' has size " + std::to_string(size), "sizes are positive");
    }
    return !hasError();
  }

  /// Writes the module after a phase to its file, whole or not at all.
  bool dump(const Phase &phase) {
    std::string name = std::to_string(&phase - phases().begin()) + "-" + phase.name + ".mlir";
    llvm::Error error = writeModule(*module, options.dumpPhases, name);
    if (!error)
      return true;
    fail("dump", llvm::toString(std::move(error)));
    return false;
  }
};

} // namespace

struct driver::Compiler::Impl {
  std::shared_ptr<SharedContext> shared = std::make_shared<SharedContext>();
};

driver::Compiler::Compiler() : impl(std::make_unique<Impl>()) {}
driver::Compiler::~Compiler() = default;

/// The reference with a kernel's roundings: the kernel's own chunks, read by the interpreter, between tensors in f64.
static Outcome<std::shared_ptr<const Program>> compileRounded(std::shared_ptr<SharedContext> shared,
                                                              const Source &source, const Options &options) {
  using Made = std::shared_ptr<const Program>;
  Options kernelOptions = options, signatureOptions = options;
  kernelOptions.target = options.roundings;
  signatureOptions.type = DType::F64;
  signatureOptions.types.clear();
  OwningOpRef<ModuleOp> formed;
  {
    Compilation kernel(shared, source, kernelOptions);
    if (!kernel.checkTarget() || !kernel.enter() || !kernel.runThrough("gradient")) // the last one before kernels
      return kernel.finish(std::optional<Made>());
    formed = std::move(kernel.module);
  }
  Compilation signature(shared, source, signatureOptions);
  if (!signature.enter() || !signature.runThrough("set-precision"))
    return signature.finish(std::optional<Made>());
  Program described = describeModel(*signature.module->getOps<func::FuncOp>().begin());
  std::string architecture = options.form == "step" ? "" : cudaArchitecture(options.roundings).value_or("");
  DType products = markRoundings(*formed, architecture);
  return signature.finish(std::optional(
      makeReferenceProgram(signature.context, std::move(formed), std::move(described), /*noise=*/{}, products)));
}

Outcome<std::shared_ptr<const Program>> driver::Compiler::compile(const Source &source, const Options &options) {
  if (options.target == "reference" && !options.roundings.empty())
    return compileRounded(impl->shared, source, options);
  Compilation compilation(impl->shared, source, options);
  std::shared_ptr<const Program> program;
  if (compilation.checkTarget() && compilation.enter())
    program = options.target == "reference" ? compilation.makeReference() : compilation.makeProgram();
  return compilation.finish(program ? std::optional(program) : std::nullopt);
}

Outcome<Compiled> driver::Compiler::translate(const Source &source, const Options &options) {
  Compilation compilation(impl->shared, source, options);
  std::optional<Compiled> made;
  if (compilation.checkTarget() && compilation.enter())
    made = compilation.makeCode();
  return compilation.finish(std::move(made));
}

Outcome<std::string> driver::Compiler::emit(const Source &source, const Options &options, const std::string &what) {
  Compilation compilation(impl->shared, source, options);
  auto none = [&] { return compilation.finish(std::optional<std::string>()); };
  if (what == "ast") {
    std::optional<frontend::File> tree = compilation.parse();
    return tree ? compilation.finish(std::optional(frontend::print(*tree))) : none();
  }
  if (!compilation.checkTarget())
    return none();
  ArrayRef<Phase> phases = compilation.phases();
  bool isCode = what == "llvm" || what == (compilation.isCuda() ? "ptx" : "asm") ||
                (compilation.isCuda() && (what == "cubin" || what == "resources"));
  StringRef last = isCode ? StringRef(phases.back().name) : StringRef(what);
  if (!isCode && llvm::none_of(phases, [&](const Phase &phase) { return phase.name == last; })) {
    compilation.fail("unknown-phase", "there is no phase '" + what + "'",
                     "phases are listed by 'rondo compile --help'; 'ast', 'llvm' and " +
                         std::string(compilation.isCuda() ? "'ptx', 'cubin'" : "'asm'") +
                         " stand before and after them");
    return none();
  }
  if (!compilation.enter() || !compilation.runThrough(last))
    return none();
  if (!isCode)
    return compilation.finish(std::optional(printModule(*compilation.module)));
  auto text = compilation.printCode(what);
  if (text)
    return compilation.finish(std::optional(std::move(*text)));
  compilation.fail("codegen", llvm::toString(text.takeError()));
  return none();
}

Outcome<ModelFacts> driver::Compiler::inspect(const Source &source, const Options &options) {
  Compilation compilation(impl->shared, source, options);
  if (!compilation.enter() || !compilation.runThrough("simplify"))
    return compilation.finish(std::optional<ModelFacts>());
  func::FuncOp model = *compilation.module->getOps<func::FuncOp>().begin();
  ModelFacts facts;
  facts.name = model.getName().str();
  facts.models = compilation.models;
  if (auto names = model->getAttrOfType<ArrayAttr>(recur::kDimsAttr))
    for (StringAttr name : names.getAsRange<StringAttr>())
      facts.dims.push_back(name.str());
  facts.tensors = describeModel(model).tensors;
  facts.hasHeads = model->hasAttr(recur::kHeadsAttr);
  Findings findings = reportModel(*compilation.module);
  facts.report = std::move(findings.text);
  facts.families = std::move(findings.families);
  Forms forms = std::move(findings.forms);
  bool sized = llvm::all_of(facts.dims, [&](const std::string &name) { return options.dims.count(name); });
  if (sized && (options.gradient > 0 ||
                options.tangent)) { // the findings are those of the model, the forms those of what is compiled
    if (!compilation.runThrough("raise"))
      return compilation.finish(std::optional<ModelFacts>());
    forms = formsOf(*compilation.module);
  }
  facts.forms = std::move(forms.forms);
  facts.schedules = std::move(forms.schedules);
  const bool isBack = compilation.plansBack();
  if (sized && !facts.dims.empty() && compilation.runThrough(isBack ? "way-back" : "raise"))
    facts.choices = compilation.isCuda() ? cudaChoicesOf(*compilation.module, *cudaArchitecture(options.target))
                                         : choicesOf(*compilation.module, options.gradient > 0);
  if (sized && !facts.dims.empty() && compilation.runThrough(isBack ? "plan-back" : "plan")) {
    facts.plans = plansOf(*compilation.module, options.gradient > 0 && !options.tangent && !isBack);
    facts.planTexts = planTextsOf(*compilation.module);
    for (const std::string &plan : facts.plans)
      facts.report += "    " + plan + "\n";
    for (const std::string &plan : facts.planTexts)
      facts.report += "    --plan '" + plan + "'\n";
    if (!compilation.runThrough("gradient"))
      return compilation.finish(std::optional<ModelFacts>());
    ProductCount products = countProducts(*compilation.module);
    facts.productsOnce = products.once;
    facts.productsPerHead = products.perHead;
  }
  return compilation.finish(std::optional(std::move(facts)));
}

std::string driver::describeHost() {
  const cpu::Machine &host = cpu::hostMachine();
  return host.name + " " + host.features + " " + std::to_string(host.vectorBits) + " bits, " +
         std::to_string(host.threads) + " threads";
}

std::vector<std::pair<std::string, std::string>> driver::phaseNames() {
  std::vector<std::pair<std::string, std::string>> names;
  for (const Phase &phase : cpuPhases())
    names.emplace_back(phase.name, phase.description);
  return names;
}
