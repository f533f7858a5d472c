// Typed model to recur IR: one function whose arguments are the model's inputs, params and initial values, whose body is one
// recur.scan per scan of the model, and whose results are the outputs and the final states.
#pragma once
#include "frontend/Source.h"
#include "frontend/Typed.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace rondo::frontend {

/// Imports a model that Sema accepted; the module verifies. Named sizes are `?`, elements f64, complex<f64> or i1. Loads the dialects
/// that it needs into `context`.
mlir::OwningOpRef<mlir::ModuleOp> importModel(const TypedModel &model, const SourceManager &sources,
                                              mlir::MLIRContext &context);

} // namespace rondo::frontend
