// The phases of a compilation as one table. It feeds --emit, --from, --dump-phases, the documentation and the tests; nothing else
// knows the order.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/ArrayRef.h"
#include <cstdint>
#include <map>
#include <string>

namespace rondo {

/// What the passes of the phases are told.
struct PhaseOptions {
  std::map<std::string, int64_t> dims;
  std::string type = "f32";                 // default element type
  std::map<std::string, std::string> types; // element types by tensor name
  bool resets = false, packed = false;      // what add-boundaries adds
  int64_t gradients = 0;                    // how often the model is differentiated before it has forms
  bool gradient = false;                    // whether it is once more, afterwards
  bool tangent = false;                     // whether the result is linearised, before it has forms
  bool backBySteps = false;                 // the target has no kernels that go back by chunks
  std::string half;             // of the gradient with the model's results: "there" or "back"; empty: the gradient
  std::vector<std::string> wrt; // the tensors that the last gradient is by; none: all
  std::string form = "step";    // what choose-plans is asked for
  std::string schedule = "auto";
  int64_t chunk = 0;
  int64_t interval = 0;
  std::string plan;
  int64_t vectorBits = 256;
  int64_t threads = 1;        // of the machine
  std::string arch = "sm_80"; // of a GPU

  /// Whether it is the scans of a gradient that have plans, found anew on the way back, rather than the model's.
  bool plansBack() const { return gradient && backBySteps; }
};

struct Phase {
  const char *name;
  const char *description;
  /// Adds the phase's passes.
  void (*build)(mlir::OpPassManager &passes, const PhaseOptions &options);
  /// Checks what the phase promises to those after it.
  mlir::LogicalResult (*verify)(mlir::ModuleOp module);
};

/// All phases of the CPU target, in order. The first is the importer's result and has no passes.
llvm::ArrayRef<Phase> cpuPhases();
/// The same for NVIDIA GPUs, with the same names. Targets part in `plan`, where sizes of chunks are a kernel's, and after `form`.
llvm::ArrayRef<Phase> cudaPhases();

/// Runs phase `phase` on `module` and checks its promise.
mlir::LogicalResult runPhase(const Phase &phase, mlir::ModuleOp module, const PhaseOptions &options);

} // namespace rondo
