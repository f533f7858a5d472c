// The way from a source to a program. See Compilation.h.
#include "compiler/Driver/Compilation.h"
#include "compiler/Driver/ModuleText.h"
#include "compiler/Driver/ReferenceProgram.h"
#include "compiler/Target/CPU/Codegen.h"
#include "compiler/Target/CUDA/Codegen.h"
#include "compiler/Target/Signature.h"
#include "dialects/Recur/Recur.h"
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

} // namespace

std::optional<std::string> driver::cudaArchitecture(StringRef target) {
  if (!target.consume_front("cuda"))
    return std::nullopt;
  if (target.empty())
    return "sm_80";
  return target.consume_front(":") && cuda::isArchitecture(target) ? std::optional(target.str()) : std::nullopt;
}

Compilation::Compilation(std::shared_ptr<SharedContext> shared, const Source &source, const Options &options)
    : shared(shared), turn(shared->turn), context(shared, &shared->context), source(source), options(options),
      sources(std::make_shared<frontend::SourceManager>()) {
  file = sources->add(source.name, source.text);
  handler.emplace(*context, *sources, diagnostics);
}

bool Compilation::checkTarget() {
  if (!checkHalf())
    return false;
  if (options.target == "reference" || isCuda() || machine())
    return true;
  fail("unknown-target", "there is no target '" + options.target + "'",
       "targets are 'cpu', 'cpu:x86-64-v3' and the other levels, 'cuda', 'cuda:sm_90a' and the like, and 'reference'");
  return false;
}

std::optional<cpu::Machine> Compilation::machine() const {
  StringRef target = options.target;
  if (target == "cpu")
    return cpu::hostMachine();
  return target.consume_front("cpu:") ? cpu::machineOfLevel(target.str()) : std::nullopt;
}

std::optional<frontend::File> Compilation::parse() {
  Stopwatch watch(times.frontend);
  frontend::Diagnostics found;
  frontend::File tree = frontend::parse(*sources, file, found);
  take(found);
  return hasError() ? std::nullopt : std::optional(std::move(tree));
}

bool Compilation::enter() {
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

bool Compilation::runThrough(StringRef last) {
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

std::shared_ptr<const Program> Compilation::makeReference() {
  if (!runThrough("differentiate"))
    return nullptr;
  OwningOpRef<ModuleOp> meaning = module->clone();
  if (!runThrough("set-precision"))
    return nullptr;
  Program signature = describeModel(*module->getOps<func::FuncOp>().begin());
  const reference::Noise noise{options.noise, options.noiseInSingle};
  return makeReferenceProgram(context, std::move(meaning), std::move(signature), noise);
}

std::optional<Compiled> Compilation::makeCudaCode() {
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

std::optional<Compiled> Compilation::makeCode() {
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

std::shared_ptr<const Program> Compilation::makeProgram() {
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

llvm::Expected<std::string> Compilation::printCode(StringRef what) {
  if (isCuda())
    return cuda::printCode(*module, *cudaArchitecture(options.target),
                           what == "llvm"        ? cuda::CodeText::LLVM
                           : what == "cubin"     ? cuda::CodeText::Cubin
                           : what == "resources" ? cuda::CodeText::Resources
                                                 : cuda::CodeText::PTX);
  return cpu::printCode(*module, what == "llvm" ? cpu::CodeText::LLVM : cpu::CodeText::Assembly, *machine());
}

void Compilation::fail(const char *slug, const std::string &message, const std::string &cure) {
  frontend::Diagnostic diagnostic;
  diagnostic.slug = slug;
  diagnostic.message = message;
  diagnostic.span = place;
  if (!cure.empty())
    diagnostic.note(cure);
  diagnostics.push_back(std::move(diagnostic));
}

std::nullopt_t Compilation::failCode(llvm::Error error) {
  fail("codegen", llvm::toString(std::move(error)));
  return std::nullopt;
}

bool Compilation::hasError() const {
  return llvm::any_of(diagnostics, [](const auto &d) { return d.severity == frontend::Severity::Error; });
}

void Compilation::take(const frontend::Diagnostics &found) {
  diagnostics.insert(diagnostics.end(), found.all().begin(), found.all().end());
}

bool Compilation::enterWithIR() {
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

PhaseOptions Compilation::makePhaseOptions() {
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
  result.half = options.half;
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

bool Compilation::checkHalf() {
  if (options.half.empty())
    return true;
  if (options.half != "there" && options.half != "back")
    fail("half", "there is no half '" + options.half + "'", "halves are 'there' and 'back'");
  else if (options.gradient != 1 || options.tangent)
    fail("half", "'" + options.half + "' is half of a model's gradient, and another derivative is asked for");
  else if (options.target == "reference")
    fail("half", "the reference interpreter has no halves", "it runs the model, and its gradient as a whole");
  return !hasError();
}

bool Compilation::checkSizes() {
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

bool Compilation::dump(const Phase &phase) {
  std::string name = std::to_string(&phase - phases().begin()) + "-" + phase.name + ".mlir";
  llvm::Error error = writeModule(*module, options.dumpPhases, name);
  if (!error)
    return true;
  fail("dump", llvm::toString(std::move(error)));
  return false;
}
