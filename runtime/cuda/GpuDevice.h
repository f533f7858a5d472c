// One GPU of this process: its primary context, memory that is kept for the next call, streams that are lent to calls.
#pragma once
#include "rondo/Cuda.h"
#include "runtime/cuda/Driver.h"
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace rondo::cuda {

class GpuDevice {
public:
  /// The same object for an ordinal every time. It lives as long as the process: the driver may be gone before static objects are.
  static Result<GpuDevice *> get(int ordinal);

  const DeviceInfo &info() const { return info_; }
  const Driver &driver() const { return driver_; }

  /// Makes the device's context current for a scope.
  class Current {
  public:
    explicit Current(const GpuDevice &device) : driver(device.driver_) { driver.cuCtxPushCurrent_v2(device.context); }
    ~Current() {
      Context ignored;
      driver.cuCtxPopCurrent_v2(&ignored);
    }
    Current(const Current &) = delete;
    Current &operator=(const Current &) = delete;

  private:
    const Driver &driver;
  };

  /// Memory of at least `bytes`, 256-byte aligned; `what` names it in errors. Freed memory is kept and handed out again, so that calls
  /// in turn allocate nothing. The caller gives it back when nothing on the device uses it any more.
  Result<Address> allocate(size_t bytes, const std::string &what);
  void release(Address address);

  /// A stream that no other call uses meanwhile.
  Result<StreamHandle> borrowStream();
  void returnStream(StreamHandle stream);

  /// `what` with the device's name, as an error; nothing where the status is success.
  Result<void> check(Status status, const std::string &what) const;

private:
  GpuDevice(const Driver &driver, DeviceInfo info, Context context)
      : driver_(driver), info_(std::move(info)), context(context) {}

  const Driver &driver_;
  DeviceInfo info_;
  Context context;
  std::mutex mutex;
  std::map<Address, size_t> sizes;       // of everything handed out
  std::multimap<size_t, Address> unused; // by size
  std::vector<StreamHandle> idle;
};

} // namespace rondo::cuda
