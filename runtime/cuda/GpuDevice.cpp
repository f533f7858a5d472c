// Context, memory and streams of a GPU. See GpuDevice.h.
#include "runtime/cuda/GpuDevice.h"
#include <bit>
#include <fmt/format.h>

namespace rondo::cuda {
namespace {

// Values of CUdevice_attribute.
constexpr int kProcessors = 16, kMajor = 75, kMinor = 76, kSharedOptin = 97;

/// Blocks up to 1 MiB are rounded to a power of two, larger ones to whole MiB, so that calls of like sizes share them.
size_t rounded(size_t bytes) {
  constexpr size_t mebibyte = size_t(1) << 20;
  return bytes <= mebibyte ? std::bit_ceil(std::max<size_t>(bytes, 512)) : (bytes + mebibyte - 1) / mebibyte * mebibyte;
}

Result<DeviceInfo> describe(const Driver &driver, int ordinal, DeviceHandle &handle) {
  int count = 0;
  if (const Status status = driver.cuDeviceGetCount(&count))
    return driver.failure(status, "cuDeviceGetCount");
  if (ordinal < 0 || ordinal >= count)
    return Error(fmt::format("there is no GPU {}: this machine has {}{}", ordinal, count,
                             count ? fmt::format(", numbered from 0 to {}", count - 1) : ""));
  DeviceInfo info;
  info.ordinal = ordinal;
  info.driverVersion = driver.version;
  char name[256] = "";
  int shared = 0;
  Status status = driver.cuDeviceGet(&handle, ordinal);
  status = status ? status : driver.cuDeviceGetName(name, sizeof name, handle);
  status = status ? status : driver.cuDeviceGetAttribute(&info.major, kMajor, handle);
  status = status ? status : driver.cuDeviceGetAttribute(&info.minor, kMinor, handle);
  status = status ? status : driver.cuDeviceGetAttribute(&info.processors, kProcessors, handle);
  status = status ? status : driver.cuDeviceGetAttribute(&shared, kSharedOptin, handle);
  status = status ? status : driver.cuDeviceTotalMem_v2(&info.memoryBytes, handle);
  if (status)
    return driver.failure(status, fmt::format("asking for the properties of GPU {}", ordinal));
  info.name = name;
  info.sharedBytes = size_t(shared);
  return info;
}

} // namespace

Result<GpuDevice *> GpuDevice::get(int ordinal) {
  static std::mutex mutex;
  static auto *known = new std::map<int, GpuDevice *>();
  const std::lock_guard lock(mutex);
  if (const auto found = known->find(ordinal); found != known->end())
    return found->second;
  const Result<const Driver *> driver = cuda::driver();
  if (!driver)
    return driver.error();
  DeviceHandle handle = 0;
  Result<DeviceInfo> info = describe(**driver, ordinal, handle);
  if (!info)
    return info.error();
  Context context = nullptr;
  if (const Status status = (*driver)->cuDevicePrimaryCtxRetain(&context, handle))
    return (*driver)->failure(status, fmt::format("cuDevicePrimaryCtxRetain of GPU {} ({})", ordinal, info->name));
  return (*known)[ordinal] = new GpuDevice(**driver, std::move(*info), context);
}

Result<void> GpuDevice::check(Status status, const std::string &what) const {
  if (!status)
    return {};
  return driver_.failure(status, fmt::format("{} on GPU {} ({})", what, info_.ordinal, info_.name));
}

Result<Address> GpuDevice::allocate(size_t bytes, const std::string &what) {
  const size_t size = rounded(bytes);
  const std::lock_guard lock(mutex);
  // What is up to a quarter larger serves, too.
  if (const auto found = unused.lower_bound(size); found != unused.end() && found->first <= size + size / 4) {
    const Address address = found->second;
    unused.erase(found);
    return address;
  }
  const Current current(*this);
  Address address = 0;
  Status status = driver_.cuMemAlloc_v2(&address, size);
  if (status && !unused.empty()) { // what is kept for later calls may be in the way
    for (const auto &[ignored, kept] : unused) {
      driver_.cuMemFree_v2(kept);
      sizes.erase(kept);
    }
    unused.clear();
    status = driver_.cuMemAlloc_v2(&address, size);
  }
  if (status)
    return check(status, fmt::format("cuMemAlloc of {} bytes for {}", size, what)).error();
  sizes[address] = size;
  return address;
}

void GpuDevice::release(Address address) {
  const std::lock_guard lock(mutex);
  if (const auto found = sizes.find(address); found != sizes.end())
    unused.emplace(found->second, address);
}

Result<StreamHandle> GpuDevice::borrowStream() {
  const std::lock_guard lock(mutex);
  if (!idle.empty()) {
    const StreamHandle stream = idle.back();
    idle.pop_back();
    return stream;
  }
  const Current current(*this);
  StreamHandle stream = nullptr;
  constexpr unsigned nonBlocking = 1;
  if (const Result<void> made = check(driver_.cuStreamCreate(&stream, nonBlocking), "cuStreamCreate"); !made)
    return made.error();
  return stream;
}

void GpuDevice::returnStream(StreamHandle stream) {
  const std::lock_guard lock(mutex);
  idle.push_back(stream);
}

} // namespace rondo::cuda
