// Running one launch: its operands as pointers and strides, its tasks over threads.
#pragma once
#include "runtime/core/Binding.h"

namespace rondo::core {

/// Runs all tasks of a launch and returns when they are done. `threads` = 0: as many as OpenMP has.
Result<void> dispatch(const Program &program, const Launch &launch, const Binding &binding, int threads);

} // namespace rondo::core
