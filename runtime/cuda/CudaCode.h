// A program's kernels on one GPU: the module, its functions, and the memory that calls need beside the caller's.
#pragma once
#include "runtime/core/DeviceCode.h"
#include "runtime/cuda/GpuDevice.h"

namespace rondo::cuda {

class CudaCode : public core::DeviceCode {
public:
  static Result<std::shared_ptr<CudaCode>> load(const Program &program, GpuDevice &device);
  ~CudaCode() override;
  Result<void> run(const Program &program, core::Binding &binding, const RunOptions &options) override;

  GpuDevice &device() const { return device_; }
  /// Queues all launches. `tensors` lie on the device; `scratch` holds scratchBytes(...) bytes.
  Result<void> launch(const Program &program, const std::vector<Tensor> &tensors, const core::Sizes &sizes,
                      Address scratch, StreamHandle stream) const;
  /// Bytes of workspace that the largest launch needs for its blocks.
  Result<size_t> scratchBytes(const Program &program, const std::vector<Tensor> &tensors,
                              const core::Sizes &sizes) const;

  /// Memory that stays a stream's: of calls on one stream, one uses it after the other. What has been handed out once is not freed
  /// before the code is, since a graph that was captured on the stream may come back to it.
  Result<Address> workspace(StreamHandle stream, size_t bytes);
  /// The default of tensor `i` on the device, `shape` of its features; made at the first call.
  Result<Address> defaultOf(const Program &program, size_t i, const std::vector<int64_t> &shape);

private:
  explicit CudaCode(GpuDevice &device) : device_(device) {}
  Result<void> findFunctions(const Program &program);
  Result<void> findFunction(const Program &program, const Launch &launch);
  Result<void> launchOne(const Program &program, size_t number, const std::vector<Tensor> &tensors,
                         const core::Sizes &sizes, Address scratch, StreamHandle stream) const;

  GpuDevice &device_;
  Module module = nullptr;
  struct KernelOnDevice {
    Function function = nullptr;
    int64_t resident = 0; // blocks that the device holds at once, where they wait for each other
  };
  std::map<std::string, KernelOnDevice> functions; // by symbol
  std::mutex mutex;
  struct Workspace {
    Address address = 0;
    size_t bytes = 0;
  };
  std::map<StreamHandle, Workspace> workspaces;
  std::map<size_t, Address> defaults;
  std::vector<Address> owned;
};

} // namespace rondo::cuda
