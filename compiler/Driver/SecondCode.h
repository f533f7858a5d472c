// The functions of a CPU's code that most calls never need: lowered and compiled when one of them is first wanted.
#pragma once
#include "compiler/Driver/KernelKey.h"
#include "compiler/Pipeline/Phases.h"
#include "compiler/Target/CPU/Machine.h"
#include "mlir/IR/MLIRContext.h"
#include "rondo/Result.h"
#include <functional>
#include <memory>
#include <mutex>

namespace rondo::driver {

/// MLIR's context with its dialects, for one user at a time: a compilation, or code that is made late, on whatever thread wants it.
struct SharedContext {
  mlir::MLIRContext context;
  std::mutex turn;
  KnownObjects objects;

  SharedContext();
};

/// Takes the second functions out of a module that has kernels, and gives what makes their object, to be called once: it runs the phases
/// `rest`. Empty where there are no such functions.
std::function<Result<std::string>()> takeSecondCode(std::shared_ptr<SharedContext> shared, mlir::ModuleOp module,
                                                    llvm::ArrayRef<Phase> rest, const PhaseOptions &options,
                                                    const cpu::Machine &machine, const std::string &suffix);

} // namespace rondo::driver
