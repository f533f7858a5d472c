// The memory of one call that the caller did not give: default initial states and resets, outputs that nobody asked for,
// temporaries, aliases, and contiguous copies where a view's strides do not serve.
#pragma once
#include "runtime/core/Binding.h"
#include <utility>
#include <vector>

namespace rondo::core {

class CallMemory {
public:
  /// Gives every tensor of the binding memory. With Program::host set every tensor becomes contiguous, and no input
  /// shares memory with an output.
  Result<void> materialise(const Program &program, Binding &binding);
  /// After the launches: moves outputs that were computed in a copy to where the caller wants them.
  void copyBack() const;

private:
  Result<Tensor> allocate(const TensorSpec &spec, std::vector<int64_t> shape);
  Result<void> fillInit(const TensorSpec &spec, Tensor &tensor, std::vector<int64_t> shape);
  Result<void> stage(const TensorSpec &spec, Tensor &tensor);
  Result<void> widen(const TensorSpec &spec, Tensor &tensor);
  Result<void> stageWhereNeeded(const Program &program, Binding &binding);
  Result<void> resolveAliases(const Program &program, Binding &binding);

  std::vector<Buffer> buffers;
  std::vector<std::pair<Tensor, Tensor>> back; // from, to
};

} // namespace rondo::core
