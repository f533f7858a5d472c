// The CUDA target's own passes.
#pragma once
#include "mlir/Pass/Pass.h"

namespace rondo::cuda {
#define GEN_PASS_DECL
#include "compiler/Target/CUDA/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "compiler/Target/CUDA/Passes.h.inc"
} // namespace rondo::cuda
