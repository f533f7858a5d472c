// The memory of one call that the caller did not give: default initial states and resets, outputs that nobody asked for,
// temporaries, aliases, and contiguous copies where a view's strides do not serve.
#pragma once
#include "runtime/core/Binding.h"
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace rondo::core {

/// The tensor whose memory tensor i uses in the end.
int rootOf(const Program &program, size_t i);

/// `root` under another shape: the outer axes are the same ones, the inner axes (heads and features) are the same
/// elements in the same order. [B, T, H*K] ↔ [B, T, H, K]. Nothing where root's inner axes are not contiguous or the
/// shapes do not fit.
std::optional<Tensor> reshaped(const TensorSpec &rootSpec, const Tensor &root, const TensorSpec &spec,
                               std::vector<int64_t> shape);

/// `shape` with 1 for every axis but those of features: what an initial state's default says.
std::vector<int64_t> featureShapeOf(const TensorSpec &spec, std::vector<int64_t> shape);
/// Writes an initial state's default into contiguous host memory of that shape.
Result<void> fillDefault(const TensorSpec &spec, const Tensor &memory);

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

  struct Free {
    void operator()(void *block) const { std::free(block); }
  };
  std::vector<std::unique_ptr<void, Free>> blocks;
  std::vector<std::pair<Tensor, Tensor>> back; // from, to
};

} // namespace rondo::core
