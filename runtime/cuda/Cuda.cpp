// rondo/Cuda.h over GpuDevice and CudaCode.
#include "rondo/Cuda.h"
#include "runtime/cuda/CudaCode.h"
#include <bit>
#include <fmt/format.h>
#include <functional>

namespace rondo::cuda {

std::string DeviceInfo::architecture() const {
  // Instructions of one generation only; later GPUs take what was compiled for the plain architecture.
  return fmt::format("sm_{}{}{}", major, minor, major == 9 && minor == 0 ? "a" : "");
}

Result<int> deviceCount() {
  const Result<const Driver *> found = driver();
  if (!found)
    return found.error();
  int count = 0;
  if (const Status status = (*found)->cuDeviceGetCount(&count))
    return (*found)->failure(status, "cuDeviceGetCount");
  return count;
}

Result<DeviceInfo> deviceInfo(int ordinal) {
  const Result<GpuDevice *> device = GpuDevice::get(ordinal);
  if (!device)
    return device.error();
  return (*device)->info();
}

Result<Kernel> load(const std::shared_ptr<const Program> &program, int ordinal) {
  if (!program || !program->image || program->image->device != "cuda")
    return Error("the program has no kernels for CUDA");
  const Result<GpuDevice *> device = GpuDevice::get(ordinal);
  if (!device)
    return device.error();
  const Result<std::shared_ptr<CudaCode>> code = CudaCode::load(*program, **device);
  if (!code)
    return code.error();
  auto loaded = std::make_shared<Program>(*program);
  loaded->device = *code;
  return Kernel(std::move(loaded));
}

struct DeviceBuffer::Memory {
  GpuDevice &device;
  Address address;
  Memory(GpuDevice &device, Address address) : device(device), address(address) {}
  ~Memory() { device.release(address); }
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
};

Result<DeviceBuffer> DeviceBuffer::create(int ordinal, DType type, std::vector<int64_t> shape) {
  const Result<GpuDevice *> device = GpuDevice::get(ordinal);
  if (!device)
    return device.error();
  DeviceBuffer buffer;
  buffer.type_ = type;
  buffer.shape_ = std::move(shape);
  const Result<Address> address = (*device)->allocate(buffer.bytes(), "a buffer");
  if (!address)
    return address.error();
  buffer.memory = std::make_shared<Memory>(**device, *address);
  return buffer;
}

Tensor DeviceBuffer::view() const {
  return {memory ? std::bit_cast<void *>(memory->address) : nullptr,
          type_,
          shape_,
          {},
          {Device::Kind::Cuda, memory ? memory->device.info().ordinal : 0}};
}

size_t DeviceBuffer::bytes() const { return size_t(Tensor{nullptr, type_, shape_, {}}.elements()) * sizeOf(type_); }

static Result<void> transfer(GpuDevice &device, const Tensor &host, size_t bytes,
                             const std::function<Status(StreamHandle)> &copy) {
  if (!host.contiguous() || host.device.kind != Device::Kind::Host ||
      size_t(host.elements()) * sizeOf(host.type) != bytes)
    return Error("a device buffer is copied from and to contiguous host memory of its size");
  const Result<StreamHandle> stream = device.borrowStream();
  if (!stream)
    return stream.error();
  const GpuDevice::Current current(device);
  Status status = copy(*stream);
  status = status ? status : device.driver().cuStreamSynchronize(*stream);
  device.returnStream(*stream);
  return device.check(status, fmt::format("copying {} bytes", bytes));
}

Result<void> DeviceBuffer::copyFrom(const Tensor &host) {
  return transfer(memory->device, host, bytes(), [&](StreamHandle stream) {
    return memory->device.driver().cuMemcpyHtoDAsync_v2(memory->address, host.data, bytes(), stream);
  });
}

Result<void> DeviceBuffer::copyTo(const Tensor &host) const {
  return transfer(memory->device, host, bytes(), [&](StreamHandle stream) {
    return memory->device.driver().cuMemcpyDtoHAsync_v2(host.data, memory->address, bytes(), stream);
  });
}

Result<void> DeviceBuffer::fill(uint8_t byte, void *stream) {
  const GpuDevice::Current current(memory->device);
  return memory->device.check(
      memory->device.driver().cuMemsetD8Async(memory->address, byte, bytes(), static_cast<StreamHandle>(stream)),
      "cuMemsetD8Async");
}

struct Stream::Handles {
  GpuDevice &device;
  StreamHandle stream;
  Event begin = nullptr, end = nullptr;
  Handles(GpuDevice &device, StreamHandle stream) : device(device), stream(stream) {}
  ~Handles() {
    const GpuDevice::Current current(device);
    for (Event event : {begin, end})
      if (event)
        device.driver().cuEventDestroy_v2(event);
    device.returnStream(stream);
  }
  Handles(const Handles &) = delete;
  Handles &operator=(const Handles &) = delete;
};

Result<Stream> Stream::create(int ordinal) {
  const Result<GpuDevice *> device = GpuDevice::get(ordinal);
  if (!device)
    return device.error();
  const Result<StreamHandle> lent = (*device)->borrowStream();
  if (!lent)
    return lent.error();
  Stream stream;
  stream.handles = std::make_shared<Handles>(**device, *lent);
  const GpuDevice::Current current(**device);
  const Driver &driver = (*device)->driver();
  Status status = driver.cuEventCreate(&stream.handles->begin, 0);
  status = status ? status : driver.cuEventCreate(&stream.handles->end, 0);
  if (const Result<void> made = (*device)->check(status, "cuEventCreate"); !made)
    return made.error();
  return stream;
}

void *Stream::handle() const { return handles->stream; }

Result<void> Stream::synchronize() const {
  const GpuDevice::Current current(handles->device);
  return handles->device.check(handles->device.driver().cuStreamSynchronize(handles->stream), "cuStreamSynchronize");
}

Result<void> Stream::start() {
  const GpuDevice::Current current(handles->device);
  return handles->device.check(handles->device.driver().cuEventRecord(handles->begin, handles->stream),
                               "cuEventRecord");
}

Result<void> Stream::stop() {
  const GpuDevice::Current current(handles->device);
  return handles->device.check(handles->device.driver().cuEventRecord(handles->end, handles->stream), "cuEventRecord");
}

Result<double> Stream::elapsed() const {
  const GpuDevice::Current current(handles->device);
  const Driver &driver = handles->device.driver();
  float milliseconds = 0;
  Status status = driver.cuEventSynchronize(handles->end);
  status = status ? status : driver.cuEventElapsedTime(&milliseconds, handles->begin, handles->end);
  if (const Result<void> timed = handles->device.check(status, "cuEventElapsedTime"); !timed)
    return timed.error();
  return milliseconds * 1e-3;
}

struct Graph::Recorded {
  Stream stream; // keeps it alive
  GpuDevice &device;
  GraphHandle graph = nullptr;
  GraphExec executable = nullptr;
  Recorded(Stream stream, GpuDevice &device) : stream(std::move(stream)), device(device) {}
  ~Recorded() {
    const GpuDevice::Current current(device);
    if (executable)
      device.driver().cuGraphExecDestroy(executable);
    if (graph)
      device.driver().cuGraphDestroy(graph);
  }
  Recorded(const Recorded &) = delete;
  Recorded &operator=(const Recorded &) = delete;
};

Result<Graph> Graph::capture(const Stream &stream, const std::function<Result<void>()> &calls) {
  GpuDevice &device = stream.handles->device;
  const Driver &driver = device.driver();
  const GpuDevice::Current current(device);
  Graph graph;
  graph.recorded = std::make_shared<Recorded>(stream, device);
  constexpr int threadLocal = 1; // what other threads do meanwhile is not recorded, and not forbidden
  if (const Result<void> begun =
          device.check(driver.cuStreamBeginCapture_v2(stream.handles->stream, threadLocal), "cuStreamBeginCapture");
      !begun)
    return begun.error();
  const Result<void> called = calls();
  const Status ended = driver.cuStreamEndCapture(stream.handles->stream, &graph.recorded->graph);
  if (!called)
    return called.error();
  Result<void> done = device.check(ended, "cuStreamEndCapture");
  if (done)
    done = device.check(driver.cuGraphInstantiateWithFlags(&graph.recorded->executable, graph.recorded->graph, 0),
                        "cuGraphInstantiate");
  return done ? Result<Graph>(graph) : Result<Graph>(done.error());
}

Result<void> Graph::launch() const {
  const GpuDevice::Current current(recorded->device);
  return recorded->device.check(
      recorded->device.driver().cuGraphLaunch(recorded->executable, recorded->stream.handles->stream), "cuGraphLaunch");
}

} // namespace rondo::cuda
