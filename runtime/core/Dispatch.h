// Running one launch: its operands as pointers and strides, its tasks over threads.
#pragma once
#include "runtime/core/Binding.h"
#include <vector>

namespace rondo::core {

/// What a KernelCall points to.
struct Operands {
  std::vector<void *> pointers;
  std::vector<int64_t> strides; // 5 per operand; 0 for an axis that it has not, so that it is broadcast
  int64_t heads = 1;            // of the head axis of any operand; without one, as many as groups
  int64_t groups = 1;
};
Operands collect(const Program &program, const Launch &launch, const std::vector<Tensor> &tensors);

/// The launch's call; it points into `operands`.
KernelCall sizesOf(const Program &program, const Launch &launch, const Operands &operands, const Sizes &sizes);

/// Number of independent tasks (Launch), before any splitting.
Result<int64_t> countTasks(const Launch &launch, const KernelCall &call);

/// Runs all tasks of a launch and returns when they are done. `threads` = 0: as many as OpenMP has.
Result<void> dispatch(const Program &program, const Launch &launch, const Binding &binding, int threads);

} // namespace rondo::core
