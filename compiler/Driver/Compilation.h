// One compilation, phase by phase: what Compiler's functions have in common.
#pragma once
#include "compiler/Driver/Compiler.h"
#include "compiler/Driver/ModuleDiagnostics.h"
#include "compiler/Driver/SecondCode.h"
#include "compiler/Pipeline/Phases.h"
#include "compiler/Target/CPU/Machine.h"
#include "frontend/Ast.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <mutex>

namespace rondo::driver {

/// The architecture of a target "cuda:sm_90a", or of "cuda": the oldest that is supported. Nothing for other targets.
std::optional<std::string> cudaArchitecture(llvm::StringRef target);

/// One compilation: a source on its way, and what was reported on it.
class Compilation {
public:
  Compilation(std::shared_ptr<SharedContext> shared, const Source &source, const Options &options);

  /// What came of it; without a value there is an error.
  template <typename T> Outcome<T> finish(std::optional<T> value) {
    if (!value && !hasError())
      fail("internal", "the compiler stopped without saying why; this is a bug in rondo");
    if (hasError())
      value.reset();
    return {std::move(value), std::move(diagnostics), sources, times};
  }

  bool checkTarget();
  /// The processor that code is made for; nothing for other targets than CPUs.
  std::optional<cpu::Machine> machine() const;
  bool isCuda() const { return cudaArchitecture(options.target).has_value(); }
  bool plansBack() { return makePhaseOptions().plansBack(); }
  llvm::ArrayRef<Phase> phases() const { return isCuda() ? cudaPhases() : cpuPhases(); }
  std::optional<frontend::File> parse();
  /// The module that the phases start from, and the number of the first phase to run.
  bool enter();
  /// Runs phases until `last` (inclusive). False when one failed.
  bool runThrough(llvm::StringRef last);
  /// For the target "reference".
  std::shared_ptr<const Program> makeReference();
  /// The program and its code for a GPU.
  std::optional<Compiled> makeCudaCode();
  /// The program and its code for a CPU or a GPU.
  std::optional<Compiled> makeCode();
  /// A program that runs, or for a GPU one that is ready to be loaded there.
  std::shared_ptr<const Program> makeProgram();
  /// The text of the module's code for the target.
  llvm::Expected<std::string> printCode(llvm::StringRef what);
  void fail(const char *slug, const std::string &message, const std::string &cure = "");
  std::nullopt_t failCode(llvm::Error error);
  bool hasError() const;

  std::shared_ptr<SharedContext> shared;
  std::unique_lock<std::mutex> turn;
  std::shared_ptr<mlir::MLIRContext> context; // of `shared`
  const Source &source;
  const Options &options;
  std::shared_ptr<frontend::SourceManager> sources;
  std::vector<frontend::Diagnostic> diagnostics;
  std::optional<ModuleDiagnostics> handler;
  uint32_t file = 0;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  size_t next = 0;
  Times times;
  std::vector<std::string> models;
  std::vector<FileSeen> imported;
  frontend::Span place;

private:
  void take(const frontend::Diagnostics &found);
  bool enterWithIR();
  PhaseOptions makePhaseOptions();
  /// What is asked for has halves.
  bool checkHalf();
  /// Every dimension has a size, every size a dimension, and the element types are ones to compute with.
  bool checkSizes();
  /// Writes the module after a phase to its file, whole or not at all.
  bool dump(const Phase &phase);
};

} // namespace rondo::driver
