// libcuda.so.1 without a GPU: the calls of the driver that Rondo's runtime makes, on the emulator. A launch runs at once; memory is the
// machine's own, so an address of the GPU is one of the host. An error is printed to stderr with its cause and comes back from the launch.
#include "test/emulator/Machine.h"
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <utility>

using namespace rondo::emulator;

namespace {

using Status = int;
constexpr Status kOk = 0, kInvalidValue = 1, kOutOfMemory = 2, kNoBinary = 209, kInvalidPtx = 218, kNotFound = 500,
                 kLaunchFailed = 719;
constexpr uint32_t kProcessors = 132, kSharedBytes = 227 * 1024, kThreads = 2048;

struct Function {
  const Kernel *kernel = nullptr;
};
struct LoadedModule {
  Module code;
  std::map<std::string, Function> functions;
};
struct Event {
  std::chrono::steady_clock::time_point when;
};
struct Graph {
  std::vector<std::function<Status()>> work;
};
struct Stream {
  Graph *capturing = nullptr;
};

std::mutex mutex; // of the memory's list
Allocations memory;
Stream plainStream;

Stream &streamOf(Stream *stream) { return stream ? *stream : plainStream; }

/// Does the work now, or notes it where the stream is being captured.
template <class F> Status enqueue(Stream *stream, F &&work) {
  if (Graph *graph = streamOf(stream).capturing) {
    graph->work.emplace_back(std::forward<F>(work));
    return kOk;
  }
  return work();
}

Status launch(const Function *function, uint32_t blocks, uint32_t threads, uint32_t sharedBytes, Stream *stream,
              void **arguments, bool isCooperative, bool isEarly = false) {
  const Kernel &kernel = *function->kernel;
  Launch made{&kernel,
              blocks,
              threads,
              sharedBytes,
              isCooperative,
              isEarly,
              std::getenv("RONDO_EMULATED_COUNTS") != nullptr,
              std::vector<uint8_t>(kernel.parameterBytes)};
  if (!blocks || !threads || threads > 1024 || sharedBytes > kSharedBytes || blocks % kernel.clusterBlocks)
    return kInvalidValue;
  for (size_t i = 0; i < kernel.parameters.size(); ++i)
    std::memcpy(&made.parameters[kernel.parameters[i].offset], arguments[i], kernel.parameters[i].bytes);
  return enqueue(stream, [made = std::move(made)] {
    Allocations known;
    {
      const std::lock_guard lock(mutex);
      known = memory;
    }
    try {
      const Counts counts = run(made, known);
      if (made.isCounted)
        std::fprintf(stderr, "%s, %u blocks: %s\n%s", made.kernel->name.c_str(), made.blocks, counts.text().c_str(),
                     counts.worstConflicts(8).c_str());
      return kOk;
    } catch (const std::exception &error) {
      std::fprintf(stderr, "emulated GPU: %s\n", error.what());
      return kLaunchFailed;
    }
  });
}

} // namespace

extern "C" {

Status cuInit(unsigned) { return kOk; }
Status cuDriverGetVersion(int *version) {
  *version = 13000;
  return kOk;
}
Status cuDeviceGetCount(int *count) {
  *count = 1;
  return kOk;
}
Status cuDeviceGet(int *device, int) {
  *device = 0;
  return kOk;
}
Status cuDeviceGetName(char *name, int bytes, int) {
  std::snprintf(name, size_t(bytes), "emulated GPU");
  return kOk;
}

Status cuDeviceGetAttribute(int *value, int attribute, int) {
  constexpr int kMultiprocessors = 16, kMajor = 75, kMinor = 76, kSharedOptin = 97;
  const char *given = std::getenv("RONDO_EMULATED_ARCHITECTURE"); // "80", "90"
  const int architecture = given ? std::atoi(given) : 90;
  switch (attribute) {
  case kMultiprocessors:
    *value = int(kProcessors);
    return kOk;
  case kMajor:
    *value = architecture / 10;
    return kOk;
  case kMinor:
    *value = architecture % 10;
    return kOk;
  case kSharedOptin:
    *value = int(kSharedBytes);
    return kOk;
  default:
    return kInvalidValue;
  }
}

Status cuDeviceTotalMem_v2(size_t *bytes, int) {
  *bytes = size_t(8) << 30;
  return kOk;
}
Status cuDevicePrimaryCtxRetain(void **context, int) {
  *context = &memory;
  return kOk;
}
Status cuCtxPushCurrent_v2(void *) { return kOk; }
Status cuCtxPopCurrent_v2(void **context) {
  *context = &memory;
  return kOk;
}

Status cuModuleLoadDataEx(LoadedModule **module, const void *image, unsigned options, const int *names,
                          void *const *values) {
  const auto *text = static_cast<const char *>(image);
  if (std::memcmp(text, "\177ELF", 4) == 0)
    return kNoBinary; // machine code of a GPU
  try {
    auto made = std::make_unique<LoadedModule>();
    made->code = parseModule(text);
    for (const auto &[name, kernel] : made->code.kernels)
      made->functions[name] = {&kernel};
    const std::lock_guard lock(mutex);
    for (const auto &[name, bytes] : made->code.globals)
      memory.add(reinterpret_cast<uint64_t>(bytes.data()), bytes.size());
    *module = made.release();
    return kOk;
  } catch (const std::exception &error) {
    constexpr int kErrorLog = 5, kErrorLogBytes = 6;
    char *log = nullptr;
    size_t bytes = 0;
    for (unsigned i = 0; i < options; ++i) {
      log = names[i] == kErrorLog ? static_cast<char *>(values[i]) : log;
      bytes = names[i] == kErrorLogBytes ? reinterpret_cast<size_t>(values[i]) : bytes;
    }
    if (log)
      std::snprintf(log, bytes, "%s", error.what());
    return kInvalidPtx;
  }
}

Status cuModuleUnload(LoadedModule *module) {
  {
    const std::lock_guard lock(mutex);
    for (const auto &[name, bytes] : module->code.globals)
      memory.remove(reinterpret_cast<uint64_t>(bytes.data()));
  }
  delete module;
  return kOk;
}
Status cuModuleGetFunction(Function **function, LoadedModule *module, const char *name) {
  const auto found = module->functions.find(name);
  if (found == module->functions.end())
    return kNotFound;
  *function = &found->second;
  return kOk;
}
Status cuFuncSetAttribute(Function *, int, int) { return kOk; }

Status cuMemAlloc_v2(uint64_t *address, size_t bytes) {
  void *made = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!made)
    return kOutOfMemory;
  std::memset(made, 0xff, bytes); // NaN, until somebody writes it
  *address = reinterpret_cast<uint64_t>(made);
  const std::lock_guard lock(mutex);
  memory.add(*address, bytes);
  return kOk;
}
Status cuMemFree_v2(uint64_t address) {
  {
    const std::lock_guard lock(mutex);
    memory.remove(address);
  }
  std::free(reinterpret_cast<void *>(address));
  return kOk;
}

Status cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, Stream *stream) {
  return enqueue(stream, [=] {
    std::memcpy(reinterpret_cast<void *>(to), from, bytes);
    return kOk;
  });
}
Status cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, Stream *stream) {
  return enqueue(stream, [=] {
    std::memcpy(to, reinterpret_cast<const void *>(from), bytes);
    return kOk;
  });
}
Status cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, Stream *stream) {
  return enqueue(stream, [=] {
    std::memmove(reinterpret_cast<void *>(to), reinterpret_cast<const void *>(from), bytes);
    return kOk;
  });
}
Status cuMemsetD8Async(uint64_t address, unsigned char value, size_t bytes, Stream *stream) {
  return enqueue(stream, [=] {
    std::memset(reinterpret_cast<void *>(address), value, bytes);
    return kOk;
  });
}

Status cuStreamCreate(Stream **stream, unsigned) {
  *stream = new Stream;
  return kOk;
}
Status cuStreamDestroy_v2(Stream *stream) {
  delete stream;
  return kOk;
}
Status cuStreamSynchronize(Stream *) { return kOk; }
Status cuStreamBeginCapture_v2(Stream *stream, int) {
  streamOf(stream).capturing = new Graph;
  return kOk;
}
Status cuStreamEndCapture(Stream *stream, Graph **graph) {
  *graph = std::exchange(streamOf(stream).capturing, nullptr);
  return *graph ? kOk : kInvalidValue;
}
Status cuGraphInstantiateWithFlags(Graph **made, Graph *graph, unsigned long long) {
  *made = new Graph(*graph);
  return kOk;
}
Status cuGraphLaunch(Graph *graph, Stream *) {
  for (const auto &work : graph->work)
    if (const Status status = work())
      return status;
  return kOk;
}
Status cuGraphDestroy(Graph *graph) {
  delete graph;
  return kOk;
}
Status cuGraphExecDestroy(Graph *graph) {
  delete graph;
  return kOk;
}

Status cuEventCreate(Event **event, unsigned) {
  *event = new Event;
  return kOk;
}
Status cuEventDestroy_v2(Event *event) {
  delete event;
  return kOk;
}
Status cuEventRecord(Event *event, Stream *) {
  event->when = std::chrono::steady_clock::now();
  return kOk;
}
Status cuEventSynchronize(Event *) { return kOk; }
Status cuEventElapsedTime(float *milliseconds, Event *begin, Event *end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->when - begin->when).count();
  return kOk;
}

Status cuLaunchKernel(Function *function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned ty,
                      unsigned tz, unsigned sharedBytes, Stream *stream, void **arguments, void **) {
  if (y != 1 || z != 1 || ty != 1 || tz != 1)
    return kInvalidValue;
  return launch(function, x, threads, sharedBytes, stream, arguments, false);
}
/// CUlaunchConfig with no attribute, or the one that lets a launch begin before those before it have ended.
struct LaunchConfig {
  unsigned grid[3], block[3], sharedBytes;
  Stream *stream;
  const int *attributes;
  unsigned count;
};
Status cuLaunchKernelEx(const LaunchConfig *config, Function *function, void **arguments, void **) {
  constexpr int kProgrammaticStreamSerialization = 6;
  const bool isEarly = config->count == 1 && config->attributes[0] == kProgrammaticStreamSerialization;
  const bool isPlain = config->grid[1] * config->grid[2] * config->block[1] * config->block[2] == 1;
  if (!isPlain || config->count != unsigned(isEarly))
    return kInvalidValue;
  return launch(function, config->grid[0], config->block[0], config->sharedBytes, config->stream, arguments, false,
                isEarly && config->attributes[2]);
}
Status cuLaunchCooperativeKernel(Function *function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned ty,
                                 unsigned tz, unsigned sharedBytes, Stream *stream, void **arguments) {
  if (y != 1 || z != 1 || ty != 1 || tz != 1)
    return kInvalidValue;
  return launch(function, x, threads, sharedBytes, stream, arguments, true);
}

Status cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, Function *, int threads, size_t sharedBytes) {
  *blocks = int(std::min<size_t>(kThreads / unsigned(threads), kSharedBytes / (sharedBytes + 1024)));
  return kOk;
}

Status cuGetErrorName(Status status, const char **name) {
  static const std::map<Status, const char *> names = {{kOk, "CUDA_SUCCESS"},
                                                       {kInvalidValue, "CUDA_ERROR_INVALID_VALUE"},
                                                       {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"},
                                                       {kInvalidPtx, "CUDA_ERROR_INVALID_PTX"},
                                                       {kNotFound, "CUDA_ERROR_NOT_FOUND"},
                                                       {kNoBinary, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
                                                       {kLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED"}};
  const auto found = names.find(status);
  *name = found == names.end() ? nullptr : found->second;
  return found == names.end() ? kInvalidValue : kOk;
}
Status cuGetErrorString(Status status, const char **text) {
  *text = status == kLaunchFailed ? "the emulated GPU has printed why" : "an error of the emulated GPU";
  return kOk;
}

} // extern "C"
