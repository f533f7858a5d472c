// The tensors of a call that is measured, on the host and on a GPU.
#pragma once
#include "compiler/tools/rondo/CallShape.h"
#include "compiler/tools/rondo/RandomInputs.h"
#include "rondo/Cuda.h"
#include "rondo/Engine.h"
#include <optional>
#include <string>
#include <vector>

namespace rondo::tool {

/// Everything that a run reads or writes.
struct BenchCall {
  NamedBuffers inputs, outputs;
  double bytes = 0;

  BenchCall(const Program &program, const CallShape &shape, uint64_t seed);
};

/// The GPU that a kernel is loaded on; empty for the host.
std::optional<int> gpuOf(const CompileOptions &options);

/// The tensors of a call on a GPU, and what is needed to time it there.
struct GpuCall {
  std::vector<cuda::DeviceBuffer> memory;
  NamedTensors inputs, outputs;
  cuda::Stream stream;
  cuda::DeviceBuffer cacheFiller;

  static Result<GpuCall> create(const BenchCall &call, int ordinal);
  /// Whether the outputs are bit for bit those of `call`.
  Result<void> compare(const BenchCall &call) const;
  /// Seconds of one run on the GPU's clock, with nothing of the run before in its cache.
  Result<double> time(const std::function<Result<void>()> &run, uint8_t filler);
};

/// What --threads and OMP_NUM_THREADS mean.
int threadsOf(int asked);

/// "f32,g=bf16".
std::string typesText(const CompileOptions &options);

} // namespace rondo::tool
