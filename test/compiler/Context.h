// A context with all dialects, for tests that read IR as text.
#pragma once
#include "compiler/Pipeline/Passes.h"
#include "mlir/IR/MLIRContext.h"

namespace rondo {

inline mlir::MLIRContext &context() {
  static mlir::MLIRContext one = [] {
    mlir::DialectRegistry registry;
    registerDialects(registry);
    return mlir::MLIRContext(registry, mlir::MLIRContext::Threading::DISABLED);
  }();
  one.loadAllAvailableDialects();
  return one;
}

} // namespace rondo
