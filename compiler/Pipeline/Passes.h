// Registration of Rondo's passes and dialects for the tools.
#pragma once
#include "mlir/IR/DialectRegistry.h"

namespace rondo {
/// Every pass of the project, and the upstream passes that its tests use.
void registerPasses();
/// Every dialect that a phase may print, with what their lowering to LLVM IR needs.
void registerDialects(mlir::DialectRegistry &registry);
} // namespace rondo
