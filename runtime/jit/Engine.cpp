// rondo::Engine: the public face of driver::Compiler. It turns the compiler's diagnostics, which point into a source manager,
// into plain data that outlives the compile, and stops every exception at the boundary.
#include "rondo/Engine.h"
#include "compiler/Driver/Compiler.h"
#include "rondo/Cuda.h"
#include "runtime/jit/Ahead.h"
#include "runtime/jit/CodeCaching.h"
#include "runtime/jit/CudaTarget.h"
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace rondo {

struct Engine::Impl {
  std::optional<driver::Compiler> made; // a kernel from the cache needs none
  std::vector<Diagnostic> remarks;
  CompileTimes times;
  bool cached = false;

  driver::Compiler &compiler() {
    if (!made)
      made.emplace();
    return *made;
  }
  Result<std::shared_ptr<const Program>> compile(driver::Source source, const driver::Options &how, bool caching,
                                                 bool colour);
};

namespace {

using jit::CudaTarget;
using jit::cudaTarget;

SourcePlace placeOf(frontend::Span span, const frontend::SourceManager *sources) {
  if (!sources || span.file >= sources->size())
    return {};
  frontend::LineColumn at = sources->position(span.file, span.begin);
  return {sources->name(span.file), at.line, at.column};
}

Diagnostic toPublic(const frontend::Diagnostic &from, const frontend::SourceManager *sources, bool colour) {
  Diagnostic to;
  to.severity =
      from.severity == frontend::Severity::Error ? Diagnostic::Severity::Error : Diagnostic::Severity::Warning;
  to.slug = from.slug;
  to.message = from.message;
  to.place = placeOf(from.span, sources);
  for (const frontend::Note &note : from.notes)
    to.notes.push_back({note.message, note.hasSpan ? placeOf(note.span, sources) : SourcePlace{}});
  if (sources && sources->size() > 0)
    to.rendered = frontend::render(from, *sources, colour);
  return to;
}

driver::Options toDriver(const CompileOptions &from) {
  driver::Options to;
  to.model = from.model;
  to.target = from.target;
  to.dims = from.dims;
  to.type = from.type;
  to.types = from.types;
  to.form = from.form;
  to.chunk = from.chunk;
  to.plan = from.plan;
  to.schedule = from.schedule;
  to.interval = from.interval;
  to.gradient = from.gradient;
  to.half = from.half;
  to.tangent = from.tangent;
  to.wrt = from.wrt;
  to.noise = from.noise;
  to.noiseInSingle = from.noiseInSingle;
  to.roundings = from.roundings;
  to.resets = from.resets;
  to.packed = from.packed;
  to.from = from.from;
  to.dumpPhases = from.dumpPhases;
  return to;
}

/// The driver's options for code that will run on a GPU, or be read only.
driver::Options toDriver(const CompileOptions &from, const CudaTarget &target, const std::string &otherwise) {
  driver::Options to = toDriver(from);
  const std::string &architecture = target.architecture.empty() ? otherwise : target.architecture;
  to.target = architecture.empty() ? "cuda" : "cuda:" + architecture;
  return to;
}

Result<std::string> readText(const std::string &path) {
  std::error_code code;
  if (std::filesystem::is_directory(path, code))
    return Error("cannot read '" + path + "': it is a directory");
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in)
    text << in.rdbuf();
  if (!in)
    return Error("cannot read '" + path + "': " + (errno ? std::strerror(errno) : "unknown error"));
  return text.str();
}

/// Takes an outcome apart: warnings and times into the engine, errors or the value into the result.
template <typename T>
Result<T> unpack(driver::Outcome<T> outcome, bool colour, std::vector<Diagnostic> &remarks, CompileTimes &times) {
  std::vector<Diagnostic> errors;
  for (const frontend::Diagnostic &diagnostic : outcome.diagnostics) {
    Diagnostic converted = toPublic(diagnostic, outcome.sources.get(), colour);
    (converted.severity == Diagnostic::Severity::Error ? errors : remarks).push_back(std::move(converted));
  }
  times = {outcome.times.frontend, outcome.times.passes, outcome.times.codegen};
  if (outcome.value && errors.empty())
    return std::move(*outcome.value);
  if (errors.empty())
    return Error("the compiler gave neither a result nor an error: this is a bug of rondo's");
  return Error(std::move(errors));
}

/// Calls into the compiler; what it throws becomes an error.
template <typename T, typename Call> Result<T> guarded(Call &&call) {
  try {
    return call();
  } catch (const std::exception &exception) {
    return Error(std::string("internal error: ") + exception.what());
  } catch (...) {
    return Error("internal error: unknown exception");
  }
}

ModelInfo toPublic(driver::ModelFacts facts) {
  ModelInfo info;
  info.name = std::move(facts.name);
  info.models = std::move(facts.models);
  if (info.models.empty())
    info.models.push_back(info.name);
  info.dims = std::move(facts.dims);
  info.tensors = std::move(facts.tensors);
  info.hasHeads = facts.hasHeads;
  info.families = std::move(facts.families);
  info.forms = std::move(facts.forms);
  info.schedules = std::move(facts.schedules);
  info.plans = std::move(facts.plans);
  info.planTexts = std::move(facts.planTexts);
  for (const driver::PlanChoices &from : facts.choices) {
    PlanChoices to{from.state, {}};
    for (const auto &choice : from.choices)
      to.choices.push_back({choice.plan, choice.cost, choice.terms});
    info.choices.push_back(std::move(to));
  }
  info.productsOnce = facts.productsOnce;
  info.productsPerHead = facts.productsPerHead;
  info.report = std::move(facts.report);
  return info;
}

} // namespace

Result<std::shared_ptr<const Program>> Engine::Impl::compile(driver::Source source, const driver::Options &how,
                                                             bool caching, bool colour) {
  times = {};
  cached = false;
  if (how.target == "reference")
    return unpack(compiler().compile(source, how), colour, remarks, times);
  const jit::CachedCode code(caching ? Cache::standard() : Cache("", 0), source, how);
  if (auto program = code.find()) {
    cached = true;
    return program;
  }
  auto compiled = unpack(compiler().translate(source, how), colour, remarks, times);
  if (!compiled)
    return compiled.error();
  if (remarks.empty()) // a warning is to be seen each time
    code.store(*compiled);
  const auto begin = std::chrono::steady_clock::now();
  auto program = code.load(std::move(*compiled));
  times.codegen += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return program;
}

Engine::Engine() : impl(std::make_unique<Impl>()) {}
Engine::~Engine() = default;
Engine::Engine(Engine &&) noexcept = default;
Engine &Engine::operator=(Engine &&) noexcept = default;

Result<Kernel> Engine::compileText(const std::string &text, const std::string &name, const CompileOptions &options) {
  return guarded<Kernel>([&]() -> Result<Kernel> {
    impl->remarks.clear();
    driver::Options how = toDriver(options);
    const std::optional<CudaTarget> gpu = cudaTarget(options.target);
    if (const std::optional<CudaTarget> like = cudaTarget(options.roundings)) {
      Result<cuda::DeviceInfo> device =
          cuda::deviceInfo(like->ordinal); // none is needed where the architecture is said
      how.roundings = toDriver(options, *like, device ? device->architecture() : "").target;
    }
    if (gpu) { // before the compiler's work, which nothing could run where there is no GPU
      Result<cuda::DeviceInfo> device = cuda::deviceInfo(gpu->ordinal);
      if (!device)
        return device.error();
      how = toDriver(options, *gpu, device->architecture());
    }
    auto program = impl->compile({name, text}, how, options.cache, options.colour);
    if (!program)
      return program.error();
    if (gpu) {
      Result<Kernel> loaded = cuda::load(*program, gpu->ordinal);
      if (!loaded)
        return loaded;
      program = std::make_shared<const Program>(loaded->program());
    }
    if (!options.checkIntervals)
      return Kernel(std::move(*program));
    auto checking = std::make_shared<Program>(**program);
    checking->checkIntervals = true;
    return Kernel(std::move(checking));
  });
}

Result<Kernel> Engine::compileFile(const std::string &path, const CompileOptions &options) {
  auto text = guarded<std::string>([&] { return readText(path); });
  if (!text)
    return text.error();
  return compileText(*text, path, options);
}

Result<std::vector<MadeFile>> Engine::compileAhead(const std::string &text, const std::string &name,
                                                   const CompileOptions &options,
                                                   const std::vector<std::string> &targets,
                                                   const std::vector<PlanFor> &plans) {
  return guarded<std::vector<MadeFile>>([&] {
    impl->remarks.clear();
    const std::string source = std::filesystem::path(name).filename().string();
    return jit::compileAhead(toDriver(options), targets, plans, source, [&](const driver::Options &how) {
      return unpack(impl->compiler().translate({name, text}, how), options.colour, impl->remarks, impl->times);
    });
  });
}

Result<std::string> Engine::emitText(const std::string &text, const std::string &name, const CompileOptions &options,
                                     const std::string &what) {
  return guarded<std::string>([&] {
    impl->remarks.clear();
    const std::optional<CudaTarget> gpu = cudaTarget(options.target);
    const driver::Options how = gpu ? toDriver(options, *gpu, "") : toDriver(options);
    return unpack(impl->compiler().emit({name, text}, how, what), options.colour, impl->remarks, impl->times);
  });
}

Result<std::string> Engine::emitFile(const std::string &path, const CompileOptions &options, const std::string &what) {
  auto text = guarded<std::string>([&] { return readText(path); });
  if (!text)
    return text.error();
  return emitText(*text, path, options, what);
}

Result<ModelInfo> Engine::inspectText(const std::string &text, const std::string &name, const CompileOptions &options) {
  return guarded<ModelInfo>([&]() -> Result<ModelInfo> {
    impl->remarks.clear();
    driver::Options how = toDriver(options);
    if (const std::optional<CudaTarget> gpu = cudaTarget(options.target)) {
      Result<cuda::DeviceInfo> device =
          cuda::deviceInfo(gpu->ordinal); // plans are for the GPU that there is, if there is one
      how = toDriver(options, *gpu, device ? device->architecture() : "");
    }
    auto facts = unpack(impl->compiler().inspect({name, text}, how), options.colour, impl->remarks, impl->times);
    if (!facts)
      return facts.error();
    return toPublic(std::move(*facts));
  });
}

Result<ModelInfo> Engine::inspectFile(const std::string &path, const CompileOptions &options) {
  auto text = guarded<std::string>([&] { return readText(path); });
  if (!text)
    return text.error();
  return inspectText(*text, path, options);
}

std::vector<std::pair<std::string, std::string>> Engine::phases() { return driver::phaseNames(); }
const std::vector<Diagnostic> &Engine::remarks() const { return impl->remarks; }
CompileTimes Engine::times() const { return impl->times; }
bool Engine::fromCache() const { return impl->cached; }

} // namespace rondo
