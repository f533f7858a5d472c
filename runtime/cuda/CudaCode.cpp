// Loading and launching. See CudaCode.h; a call's memory is CudaCall.cpp's.
#include "runtime/cuda/CudaCode.h"
#include "runtime/core/Dispatch.h"
#include "runtime/core/Memory.h"
#include <bit>
#include <climits>
#include <fmt/format.h>

namespace rondo::cuda {
namespace {

// Values of CUjit_option and CUfunction_attribute.
constexpr int kErrorLog = 5, kErrorLogBytes = 6, kMaxDynamicShared = 8;
/// Dynamic shared memory that a function may use without being asked.
constexpr size_t kPlainShared = 48 * 1024;

} // namespace

Result<std::shared_ptr<CudaCode>> CudaCode::load(const Program &program, GpuDevice &device) {
  std::shared_ptr<CudaCode> code(new CudaCode(device));
  const GpuDevice::Current current(device);
  char log[4096] = "";
  int options[] = {kErrorLog, kErrorLogBytes};
  void *values[] = {log, std::bit_cast<void *>(sizeof log)};
  const Status status =
      device.driver().cuModuleLoadDataEx(&code->module, program.image->code.c_str(), 2, options, values);
  if (const Result<void> loaded =
          device.check(status, fmt::format("loading the kernels of model '{}', compiled for {},", program.model,
                                           program.image->architecture));
      !loaded)
    return Error(loaded.error().diagnostics.front().message + (log[0] ? fmt::format("\n{}", log) : ""));
  if (const Result<void> found = code->findFunctions(program); !found)
    return found.error();
  return code;
}

Result<void> CudaCode::findFunctions(const Program &program) {
  for (const Launch &launch : program.launches) {
    Result<void> found = findFunction(program, launch);
    for (const Launch &other : launch.oneStep)
      found = found ? findFunction(program, other) : found;
    if (!found)
      return found;
  }
  return {};
}

Result<void> CudaCode::findFunction(const Program &program, const Launch &launch) {
  const Driver &driver = device_.driver();
  if (launch.sharedBytes > device_.info().sharedBytes)
    return Error(fmt::format("kernel '{}' of model '{}' needs {} bytes of shared memory, GPU {} ({}) has {}",
                             launch.symbol, program.model, launch.sharedBytes, device_.info().ordinal,
                             device_.info().name, device_.info().sharedBytes));
  Function function = nullptr;
  Result<void> found = device_.check(driver.cuModuleGetFunction(&function, module, launch.symbol.c_str()),
                                     fmt::format("cuModuleGetFunction of '{}'", launch.symbol));
  if (found && launch.sharedBytes > kPlainShared)
    found = device_.check(
        driver.cuFuncSetAttribute(function, kMaxDynamicShared, int(launch.sharedBytes)),
        fmt::format("cuFuncSetAttribute of '{}' for {} bytes of shared memory", launch.symbol, launch.sharedBytes));
  if (!found)
    return found;
  int each = 0;
  if (launch.cooperative)
    found = device_.check(
        driver.cuOccupancyMaxActiveBlocksPerMultiprocessor(&each, function, int(launch.threads), launch.sharedBytes),
        fmt::format("cuOccupancyMaxActiveBlocksPerMultiprocessor of '{}'", launch.symbol));
  if (!found)
    return found;
  const int64_t resident = int64_t(each) * device_.info().processors;
  functions[launch.symbol] = {function, resident};
  if (launch.cooperative && resident < launch.splits)
    return Error(fmt::format("kernel '{}' of model '{}' has {} blocks that wait for each other, GPU {} ({}) holds {} "
                             "at once; the form 'step' has no such kernels",
                             launch.symbol, program.model, launch.splits, device_.info().ordinal, device_.info().name,
                             resident));
  return {};
}

CudaCode::~CudaCode() {
  for (const Address address : owned)
    device_.release(address);
  const GpuDevice::Current current(device_);
  if (module)
    device_.driver().cuModuleUnload(module);
}

Result<Address> CudaCode::workspace(StreamHandle stream, size_t bytes) {
  const std::lock_guard lock(mutex);
  Workspace &known = workspaces[stream];
  if (bytes <= known.bytes)
    return known.address;
  const Result<Address> address = device_.allocate(bytes, "the workspace");
  if (!address)
    return address.error();
  owned.push_back(*address);
  known = {*address, bytes};
  return known.address;
}

Result<Address> CudaCode::defaultOf(const Program &program, size_t i, const std::vector<int64_t> &shape) {
  const std::lock_guard lock(mutex);
  if (const auto found = defaults.find(i); found != defaults.end())
    return found->second;
  const TensorSpec &spec = program.tensors[i];
  Buffer values(spec.type, core::featureShapeOf(spec, shape));
  if (!values.data())
    return Error("out of memory");
  if (spec.kind == TensorKind::Init)
    if (const Result<void> filled = core::fillDefault(spec, values.view()); !filled)
      return filled.error();
  const Result<Address> address = device_.allocate(values.bytes(), fmt::format("the default of '{}'", spec.name));
  if (!address)
    return address.error();
  owned.push_back(*address);
  const Result<StreamHandle> stream = device_.borrowStream();
  if (!stream)
    return stream.error();
  const GpuDevice::Current current(device_);
  const Driver &driver = device_.driver();
  Status status = driver.cuMemcpyHtoDAsync_v2(*address, values.data(), values.bytes(), *stream);
  status = status ? status : driver.cuStreamSynchronize(*stream);
  device_.returnStream(*stream);
  if (const Result<void> copied = device_.check(status, fmt::format("copying the default of '{}'", spec.name)); !copied)
    return copied.error();
  return defaults[i] = *address;
}

/// A launch, or what stands in for it where the call has one step.
static const Launch &launchFor(const Launch &launch, const core::Sizes &sizes) {
  return sizes.of(Axis::Time) == 1 && !launch.oneStep.empty() ? launch.oneStep.front() : launch;
}

/// Blocks of a launch, where `resident` of them fit on the device.
static Result<int64_t> blocksOf(const Launch &launch, const KernelCall &call, int64_t resident) {
  Result<int64_t> tasks = core::countTasks(launch, call);
  if (!tasks)
    return tasks;
  int64_t blocks = 0;
  if (launch.cooperative)
    tasks = std::min(*tasks, resident / launch.splits);
  if (__builtin_mul_overflow(*tasks, std::max<int64_t>(1, launch.splits), &blocks) || blocks > INT_MAX)
    return Error(fmt::format("kernel '{}' has too many blocks: batch {}, time {}, {} heads, {} parts", launch.symbol,
                             call.batch, call.time, call.heads, launch.splits));
  return blocks;
}

Result<size_t> CudaCode::scratchBytes(const Program &program, const std::vector<Tensor> &tensors,
                                      const core::Sizes &sizes) const {
  size_t most = 0;
  for (size_t i = 0; i < program.launches.size(); ++i) {
    const Launch &launch = launchFor(program.launches[i], sizes);
    if (!launch.scratchBytes)
      continue;
    const core::Operands operands = core::collect(program, launch, tensors);
    const KernelCall call = core::sizesOf(program, launch, operands, sizes);
    const Result<int64_t> blocks = blocksOf(launch, call, functions.at(launch.symbol).resident);
    if (!blocks)
      return blocks.error();
    most = std::max(most, size_t(*blocks) * launch.scratchBytes);
  }
  return most;
}

Result<void> CudaCode::launch(const Program &program, const std::vector<Tensor> &tensors, const core::Sizes &sizes,
                              Address scratch, StreamHandle stream) const {
  for (size_t i = 0; i < program.launches.size(); ++i)
    if (const Result<void> queued = launchOne(program, i, tensors, sizes, scratch, stream); !queued)
      return queued;
  return {};
}

Result<void> CudaCode::launchOne(const Program &program, size_t number, const std::vector<Tensor> &tensors,
                                 const core::Sizes &sizes, Address scratch, StreamHandle stream) const {
  const Launch &launch = launchFor(program.launches[number], sizes);
  const KernelOnDevice &kernel = functions.at(launch.symbol);
  core::Operands operands = core::collect(program, launch, tensors);
  const KernelCall call = core::sizesOf(program, launch, operands, sizes);
  const Result<int64_t> blocks = blocksOf(launch, call, kernel.resident);
  if (!blocks)
    return blocks.error();
  if (*blocks == 0)
    return {};
  // As DeviceImage says: pointers with their strides, sizes, workspace.
  std::vector<void *> arguments;
  for (size_t i = 0; i < operands.pointers.size(); ++i) {
    arguments.push_back(static_cast<void *>(&operands.pointers[i]));
    for (size_t a = 0; a < 5; ++a)
      arguments.push_back(&operands.strides[i * 5 + a]);
  }
  int64_t each[] = {call.batch, call.time, call.time1, call.heads, call.headsPerGroup};
  for (int64_t &size : each)
    arguments.push_back(&size);
  arguments.push_back(&scratch);
  const Driver &driver = device_.driver();
  Status status = 0;
  if (launch.cooperative) {
    status = driver.cuMemsetD8Async(scratch, 0xff, size_t(*blocks) * launch.scratchBytes, stream);
    status = status
                 ? status
                 : driver.cuLaunchCooperativeKernel(kernel.function, unsigned(*blocks), 1, 1, unsigned(launch.threads),
                                                    1, 1, unsigned(launch.sharedBytes), stream, arguments.data());
  } else {
    status = driver.cuLaunchKernel(kernel.function, unsigned(*blocks), 1, 1, unsigned(launch.threads), 1, 1,
                                   unsigned(launch.sharedBytes), stream, arguments.data(), nullptr);
  }
  return device_.check(
      status, fmt::format("launching '{}' with {} blocks of {} threads", launch.symbol, *blocks, launch.threads));
}

} // namespace rondo::cuda
