// NVIDIA GPUs: what there is, kernels on them, and memory, streams and timing for callers without a CUDA toolkit. The driver is loaded
// when it is first needed; where there is none, every call here is an error that says so. No CUDA type shows: streams are CUstream as
// void *.
#pragma once
#include "rondo/Kernel.h"
#include "rondo/Result.h"
#include "rondo/Tensor.h"
#include <functional>
#include <memory>
#include <string>

namespace rondo::cuda {

struct DeviceInfo {
  int ordinal = 0;
  std::string name;
  int major = 0, minor = 0; // compute capability
  int processors = 0;
  size_t memoryBytes = 0;
  size_t sharedBytes = 0; // a block's, at most
  int driverVersion = 0;  // 13000
  /// What to compile for: "sm_80", "sm_90a".
  std::string architecture() const;
};

/// The number of GPUs; an error where there is no driver.
Result<int> deviceCount();
Result<DeviceInfo> deviceInfo(int ordinal);

/// The kernels of a program that was compiled for CUDA, on a GPU. The program's image may be older than the GPU.
Result<Kernel> load(const std::shared_ptr<const Program> &program, int ordinal = 0);

/// Contiguous memory on a GPU.
class DeviceBuffer {
public:
  static Result<DeviceBuffer> create(int ordinal, DType type, std::vector<int64_t> shape);
  Tensor view() const;
  size_t bytes() const;
  /// From and to contiguous host memory of the same size; return when done.
  Result<void> copyFrom(const Tensor &host);
  Result<void> copyTo(const Tensor &host) const;
  /// Sets every byte, in the order of the stream.
  Result<void> fill(uint8_t byte, void *stream);

private:
  struct Memory;
  std::shared_ptr<Memory> memory;
  DType type_ = DType::F32;
  std::vector<int64_t> shape_;
};

/// A stream of one GPU, and what was recorded on it.
class Stream {
public:
  static Result<Stream> create(int ordinal);
  void *handle() const;
  Result<void> synchronize() const;
  /// Marks the beginning and the end of what is measured.
  Result<void> start();
  Result<void> stop();
  /// Seconds between the two on the device; waits for the second.
  Result<double> elapsed() const;

private:
  friend class Graph;
  struct Handles;
  std::shared_ptr<Handles> handles;
};

/// What calls queue on a stream, recorded once and replayed with one launch. The calls must have been made on the stream before, with the
/// same sizes, so that they need no more memory.
class Graph {
public:
  static Result<Graph> capture(const Stream &stream, const std::function<Result<void>()> &calls);
  Result<void> launch() const;

private:
  struct Recorded;
  std::shared_ptr<Recorded> recorded;
};

} // namespace rondo::cuda
