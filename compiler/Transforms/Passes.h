// The target-neutral passes: recur to recur, and the expansion of elementary functions.
#pragma once
#include "mlir/Pass/Pass.h"
#include <memory>
#include <string>

namespace rondo {
/// On a raised scan: the #chunk.plan that choose-plans wrote.
inline constexpr const char *kPlanAttr = "chunk.plan";
/// On a raised scan whose plan is one of steps because chunks are not safe, or its target has no kernel for them: why, as a text.
inline constexpr const char *kStepsBecauseAttr = "chunk.steps_because";

/// On a raised scan: why its schedule is what it is, as a text; where a target has chosen it.
inline constexpr const char *kScheduleBecauseAttr = "chunk.schedule_because";

#define GEN_PASS_DECL
#include "compiler/Transforms/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "compiler/Transforms/Passes.h.inc"
} // namespace rondo
