// What the tools, the embedded JIT and the tests ask for. See Compiler.h.
#include "compiler/Driver/Compilation.h"
#include "compiler/Driver/ModelReport.h"
#include "compiler/Driver/ModuleText.h"
#include "compiler/Driver/ProductCount.h"
#include "compiler/Driver/ReferenceProgram.h"
#include "compiler/Driver/Roundings.h"
#include "compiler/Target/Signature.h"
#include "dialects/Recur/Recur.h"
#include "frontend/AstPrinter.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::driver;

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
  DType type = markRoundings(*formed, architecture);
  const reference::Noise noise{type == DType::F64 ? 0U : 1U};
  return signature.finish(
      std::optional(makeReferenceProgram(signature.context, std::move(formed), std::move(described), noise, type)));
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
