// The passes that make a model its gradient, its derivative along a direction, or a half of a training step.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include <memory>

namespace rondo {
#define GEN_PASS_DECL
#include "compiler/Differentiate/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "compiler/Differentiate/Passes.h.inc"
} // namespace rondo
