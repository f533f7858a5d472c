// What the compiler found in a model, as text for `rondo explain`.
#pragma once
#include "compiler/Driver/Compiler.h"
#include "mlir/IR/BuiltinOps.h"
#include <string>
#include <vector>

namespace rondo::driver {
/// How the recurrences of a model can be computed, and in which order.
struct Forms {
  std::vector<std::string> forms;     // "step"; "scan", "chunk" and "attention" where a scan has that form
  std::vector<std::string> schedules; // "carry", and "segment" where a scan can be cut
};

/// What is known about a model's recurrences.
struct Findings {
  std::string text;
  std::vector<std::string> families; // of each group of states
  Forms forms;
};

/// `module` holds a model in the recur dialect; its sizes may be symbolic.
Findings reportModel(mlir::ModuleOp module);

/// Those of a module after phase raise.
Forms formsOf(mlir::ModuleOp raised);

/// What was chosen for each raised scan of a module after phase plan or plan-back: "S: chunk of 16", "h: step"; for a `gradient` also how often a
/// state is kept.
std::vector<std::string> plansOf(mlir::ModuleOp module, bool gradient);
/// What could be chosen for each raised scan of a module after phase raise or way-back.
std::vector<PlanChoices> choicesOf(mlir::ModuleOp raised, bool gradient);
/// The same for a GPU.
std::vector<PlanChoices> cudaChoicesOf(mlir::ModuleOp raised, llvm::StringRef arch);
/// The plans of a module after phase plan or plan-back in full, as Options::plan takes it: "S: <form = chunk, schedule = carry, chunk = 16>".
std::vector<std::string> planTextsOf(mlir::ModuleOp module);
} // namespace rondo::driver
