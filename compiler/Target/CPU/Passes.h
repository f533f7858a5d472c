// The CPU target's own pass.
#pragma once
#include "mlir/Pass/Pass.h"

namespace rondo::cpu {
#define GEN_PASS_DECL
#include "compiler/Target/CPU/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "compiler/Target/CPU/Passes.h.inc"
} // namespace rondo::cpu
