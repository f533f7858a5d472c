// See SecondCode.h.
#include "compiler/Driver/SecondCode.h"
#include "compiler/Pipeline/Passes.h"
#include "compiler/Target/CPU/Codegen.h"

using namespace mlir;
using namespace rondo;

static DialectRegistry allDialects() {
  DialectRegistry registry;
  registerDialects(registry);
  return registry;
}

driver::SharedContext::SharedContext() : context(allDialects(), MLIRContext::Threading::DISABLED) {
  context.loadAllAvailableDialects();
  context.printOpOnDiagnostic(false); // places are the spec's; its author has not written the op
}

namespace {

/// The functions on their way, which wait in the form of the last phase that the others have gone through with them.
struct Waiting {
  std::shared_ptr<driver::SharedContext> shared; // first, so that it goes last
  OwningOpRef<ModuleOp> module;
  ArrayRef<Phase> rest;
  PhaseOptions options;
  cpu::Machine machine;
  std::string suffix;

  Result<std::string> compile() {
    std::lock_guard<std::mutex> lock(shared->turn);
    const std::string key = driver::kernelKey(*module, machine, suffix);
    if (const std::string *known = shared->objects.find(key))
      return *known;
    std::string why;
    ScopedDiagnosticHandler handler(&shared->context,
                                    [&](mlir::Diagnostic &diagnostic) { why += diagnostic.str() + "\n"; });
    for (const Phase &phase : rest)
      if (failed(runPhase(phase, *module, options)))
        return Error("the second functions were not compiled: " + why);
    auto object = cpu::compile(*module, machine, suffix);
    if (!object)
      return Error(llvm::toString(object.takeError()));
    shared->objects.add(key, *object);
    return std::move(*object);
  }
};

} // namespace

std::function<Result<std::string>()> driver::takeSecondCode(std::shared_ptr<SharedContext> shared, ModuleOp module,
                                                            ArrayRef<Phase> rest, const PhaseOptions &options,
                                                            const cpu::Machine &machine, const std::string &suffix) {
  OwningOpRef<ModuleOp> second = cpu::takeSecond(module);
  if (!second)
    return nullptr;
  auto waiting = std::make_shared<Waiting>();
  waiting->shared = std::move(shared);
  waiting->module = std::move(second);
  waiting->rest = rest;
  waiting->options = options;
  waiting->machine = machine;
  waiting->suffix = suffix;
  return [waiting] { return waiting->compile(); };
}
