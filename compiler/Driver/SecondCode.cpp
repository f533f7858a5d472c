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
    std::string why;
    ScopedDiagnosticHandler handler(&shared->context,
                                    [&](mlir::Diagnostic &diagnostic) { why += diagnostic.str() + "\n"; });
    for (const Phase &phase : rest)
      if (failed(runPhase(phase, *module, options)))
        return Error("the second functions were not compiled: " + why);
    auto code = cpu::compile(*module, machine, suffix);
    return code ? Result<std::string>(std::move(code->object)) : Error(llvm::toString(code.takeError()));
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
