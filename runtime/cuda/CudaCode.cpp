// Loading and launching. See CudaCode.h; a call's memory is CudaCall.cpp's.
#include "runtime/cuda/CudaCode.h"
#include "runtime/core/Memory.h"
#include <bit>
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
  code->modules.resize(1 + program.image->more.size());
  code->functions.resize(program.launches.size());
  for (const Launch &launch : program.launches)
    if (launch.image >= code->modules.size())
      return Error(fmt::format("the code of model '{}' lacks kernel '{}'", program.model, launch.symbol));
  for (const Launch &launch : program.launches)
    if (launch.sharedBytes > device.info().sharedBytes)
      return Error(fmt::format("kernel '{}' of model '{}' needs {} bytes of shared memory, GPU {} ({}) has {}",
                               launch.symbol, program.model, launch.sharedBytes, device.info().ordinal,
                               device.info().name, device.info().sharedBytes));
  const GpuDevice::Current current(device);
  if (const Result<void> loaded = code->loadImage(program, 0); !loaded)
    return loaded.error();
  if (const Result<void> found = code->findRoom(program); !found)
    return found.error();
  return code;
}

Result<void> CudaCode::findRoom(const Program &program) {
  room_ = {device_.info().processors, std::vector<int64_t>(program.launches.size())};
  for (size_t i = 0; i < program.launches.size(); ++i) {
    const Launch &launch = program.launches[i];
    if (!launch.cooperative)
      continue;
    const Result<Function> function = functionOf(program, i);
    if (!function)
      return function.error();
    int each = 0;
    Result<void> found =
        device_.check(device_.driver().cuOccupancyMaxActiveBlocksPerMultiprocessor(
                          &each, *function, int(launch.threads), launch.sharedBytes),
                      fmt::format("cuOccupancyMaxActiveBlocksPerMultiprocessor of '{}'", launch.symbol));
    if (!found)
      return found;
    room_.resident[i] = int64_t(each) * room_.processors;
    if (room_.resident[i] < launch.splits)
      return Error(fmt::format("kernel '{}' of model '{}' has {} blocks that wait for each other, GPU {} ({}) holds {} "
                               "at once; the form 'step' has no such kernels",
                               launch.symbol, program.model, launch.splits, device_.info().ordinal, device_.info().name,
                               room_.resident[i]));
  }
  return {};
}

Result<void> CudaCode::loadImage(const Program &program, size_t image) {
  const std::string &text = image ? program.image->more[image - 1] : program.image->code;
  if (text.empty()) // all kernels are in the others
    return {};
  char log[4096] = "";
  int options[] = {kErrorLog, kErrorLogBytes};
  void *values[] = {log, std::bit_cast<void *>(sizeof log)};
  const Status status = device_.driver().cuModuleLoadDataEx(&modules[image], text.c_str(), 2, options, values);
  if (const Result<void> loaded =
          device_.check(status, fmt::format("loading the kernels of model '{}', compiled for {},", program.model,
                                            program.image->architecture));
      !loaded)
    return Error(loaded.error().diagnostics.front().message + (log[0] ? fmt::format("\n{}", log) : ""));
  return {};
}

Result<Function> CudaCode::functionOf(const Program &program, size_t number) {
  const std::lock_guard lock(mutex);
  if (functions[number])
    return functions[number];
  const Launch &launch = program.launches[number];
  const Driver &driver = device_.driver();
  Result<void> found = modules[launch.image] ? Result<void>() : loadImage(program, launch.image);
  Function function = nullptr;
  if (found)
    found = device_.check(driver.cuModuleGetFunction(&function, modules[launch.image], launch.symbol.c_str()),
                          fmt::format("cuModuleGetFunction of '{}'", launch.symbol));
  if (found && launch.sharedBytes > kPlainShared)
    found = device_.check(
        driver.cuFuncSetAttribute(function, kMaxDynamicShared, int(launch.sharedBytes)),
        fmt::format("cuFuncSetAttribute of '{}' for {} bytes of shared memory", launch.symbol, launch.sharedBytes));
  if (!found)
    return found.error();
  return functions[number] = function;
}

CudaCode::~CudaCode() {
  for (const Address address : owned)
    device_.release(address);
  const GpuDevice::Current current(device_);
  for (const Module module : modules)
    if (module)
      device_.driver().cuModuleUnload(module);
}

Result<Address> CudaCode::workspace(StreamHandle stream, Purpose purpose, size_t bytes) {
  const std::lock_guard lock(mutex);
  Workspace &known = workspaces[{stream, purpose}];
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

Result<void> CudaCode::launch(const Program &program, std::vector<QueuedLaunch> &launches, Address scratch,
                              StreamHandle stream) {
  for (QueuedLaunch &each : launches)
    if (const Result<void> queued = launchOne(program, each, scratch, stream); !queued)
      return queued;
  return {};
}

Result<void> CudaCode::launchOne(const Program &program, QueuedLaunch &queued, Address scratch, StreamHandle stream) {
  const Launch &launch = program.launches[queued.number];
  const Result<Function> function = functionOf(program, queued.number);
  if (!function)
    return function.error();
  std::vector<void *> arguments = argumentsOf(launch, queued, &scratch);
  const Driver &driver = device_.driver();
  Status status = 0;
  if (launch.cooperative) {
    status = driver.cuMemsetD8Async(scratch, 0xff, queued.scratchBytes, stream);
    status = status
                 ? status
                 : driver.cuLaunchCooperativeKernel(*function, unsigned(queued.blocks), 1, 1, unsigned(launch.threads),
                                                    1, 1, unsigned(launch.sharedBytes), stream, arguments.data());
  } else if (launch.early) {
    LaunchAttribute early;
    const LaunchConfig config{{unsigned(queued.blocks), 1, 1},
                              {unsigned(launch.threads), 1, 1},
                              unsigned(launch.sharedBytes),
                              stream,
                              &early,
                              1};
    status = driver.cuLaunchKernelEx(&config, *function, arguments.data(), nullptr);
  } else {
    status = driver.cuLaunchKernel(*function, unsigned(queued.blocks), 1, 1, unsigned(launch.threads), 1, 1,
                                   unsigned(launch.sharedBytes), stream, arguments.data(), nullptr);
  }
  return device_.check(
      status, fmt::format("launching '{}' with {} blocks of {} threads", launch.symbol, queued.blocks, launch.threads));
}

} // namespace rondo::cuda
