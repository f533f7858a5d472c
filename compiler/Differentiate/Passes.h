// The pass that makes a model its gradient.
#pragma once
#include "mlir/Pass/Pass.h"
#include <memory>

namespace rondo {
#define GEN_PASS_DECL
#include "compiler/Differentiate/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "compiler/Differentiate/Passes.h.inc"
} // namespace rondo
