// "cuda:1:sm_80" taken apart.
#pragma once
#include <optional>
#include <string>

namespace rondo::jit {

/// "cuda", "cuda:1", "cuda:sm_90a" or "cuda:1:sm_80": which GPU, and what it is compiled for.
struct CudaTarget {
  int ordinal = 0;
  std::string architecture; // empty: the GPU's own
};

/// Nothing for other targets.
std::optional<CudaTarget> cudaTarget(const std::string &text);

} // namespace rondo::jit
