// A program's kernels on one GPU: the module, its functions, and the memory that calls need beside the caller's.
#pragma once
#include "runtime/core/DeviceCode.h"
#include "runtime/cuda/GpuDevice.h"
#include "runtime/cuda/Ways.h"

namespace rondo::cuda {

class CudaCode : public core::DeviceCode {
public:
  static Result<std::shared_ptr<CudaCode>> load(const Program &program, GpuDevice &device);
  ~CudaCode() override;
  Result<void> run(const Program &program, core::Binding &binding, const RunOptions &options) override;

  GpuDevice &device() const { return device_; }
  const Room &room() const { return room_; }
  /// Queues launches; `scratch` holds the largest scratchBytes of them.
  Result<void> launch(const Program &program, std::vector<QueuedLaunch> &launches, Address scratch,
                      StreamHandle stream);

  enum class Purpose { Tensors, Scratch };
  /// Memory that stays a stream's: of calls on one stream, one uses it after the other. What has been handed out once is not freed
  /// before the code is, since a graph that was captured on the stream may come back to it.
  Result<Address> workspace(StreamHandle stream, Purpose purpose, size_t bytes);
  /// The default of tensor `i` on the device, `shape` of its features; made at the first call.
  Result<Address> defaultOf(const Program &program, size_t i, const std::vector<int64_t> &shape);

private:
  explicit CudaCode(GpuDevice &device) : device_(device) {}
  Result<void> findRoom(const Program &program);
  Result<void> loadImage(const Program &program, size_t image);
  Result<Function> functionOf(const Program &program, size_t launch);
  Result<void> launchOne(const Program &program, QueuedLaunch &queued, Address scratch, StreamHandle stream);

  GpuDevice &device_;
  std::vector<Module> modules;     // by Launch::image; null until one of its kernels is launched
  std::vector<Function> functions; // of the launches; the same
  Room room_;
  std::mutex mutex;
  struct Workspace {
    Address address = 0;
    size_t bytes = 0;
  };
  std::map<std::pair<StreamHandle, Purpose>, Workspace> workspaces;
  std::map<size_t, Address> defaults;
  std::vector<Address> owned;
};

} // namespace rondo::cuda
