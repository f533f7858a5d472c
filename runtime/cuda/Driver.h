// The CUDA driver, found at run time: declarations of our own for the few calls that are needed, so that neither a toolkit nor a GPU is
// needed to build or to start. Signatures are those of cuda.h; the ABI of the driver is stable.
#pragma once
#include "rondo/Result.h"
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace rondo::cuda {

using Status = int; // 0: success
using DeviceHandle = int;
using Address = unsigned long long;
using Context = struct ContextTag *;
using Module = struct ModuleTag *;
using Function = struct FunctionTag *;
using StreamHandle = struct StreamTag *;
using Event = struct EventTag *;
using GraphHandle = struct GraphTag *;
using GraphExec = struct GraphExecTag *;

/// CUlaunchAttribute and CUlaunchConfig. The attribute that is set here: a launch may begin before those before it in the stream have ended.
struct LaunchAttribute {
  static constexpr int kProgrammaticStreamSerialization = 6;
  int id = kProgrammaticStreamSerialization, padding = 0;
  int value[16] = {1};
};
struct LaunchConfig {
  unsigned grid[3] = {1, 1, 1}, block[3] = {1, 1, 1}, sharedBytes = 0;
  StreamHandle stream = nullptr;
  LaunchAttribute *attributes = nullptr;
  unsigned count = 0;
};

// Each driver function: our name for it, and its type. The names with a suffix are what cuda.h maps the plain ones to.
#define RONDO_CUDA_CALLS(X)                                                                                            \
  X(cuInit, Status (*)(unsigned))                                                                                      \
  X(cuDriverGetVersion, Status (*)(int *))                                                                             \
  X(cuDeviceGetCount, Status (*)(int *))                                                                               \
  X(cuDeviceGet, Status (*)(DeviceHandle *, int))                                                                      \
  X(cuDeviceGetName, Status (*)(char *, int, DeviceHandle))                                                            \
  X(cuDeviceGetAttribute, Status (*)(int *, int, DeviceHandle))                                                        \
  X(cuDeviceTotalMem_v2, Status (*)(size_t *, DeviceHandle))                                                           \
  X(cuDevicePrimaryCtxRetain, Status (*)(Context *, DeviceHandle))                                                     \
  X(cuCtxPushCurrent_v2, Status (*)(Context))                                                                          \
  X(cuCtxPopCurrent_v2, Status (*)(Context *))                                                                         \
  X(cuModuleLoadDataEx, Status (*)(Module *, const void *, unsigned, int *, void **))                                  \
  X(cuModuleUnload, Status (*)(Module))                                                                                \
  X(cuModuleGetFunction, Status (*)(Function *, Module, const char *))                                                 \
  X(cuFuncSetAttribute, Status (*)(Function, int, int))                                                                \
  X(cuMemAlloc_v2, Status (*)(Address *, size_t))                                                                      \
  X(cuMemFree_v2, Status (*)(Address))                                                                                 \
  X(cuMemcpyHtoDAsync_v2, Status (*)(Address, const void *, size_t, StreamHandle))                                     \
  X(cuMemcpyDtoHAsync_v2, Status (*)(void *, Address, size_t, StreamHandle))                                           \
  X(cuMemcpyDtoDAsync_v2, Status (*)(Address, Address, size_t, StreamHandle))                                          \
  X(cuMemsetD8Async, Status (*)(Address, unsigned char, size_t, StreamHandle))                                         \
  X(cuStreamCreate, Status (*)(StreamHandle *, unsigned))                                                              \
  X(cuStreamDestroy_v2, Status (*)(StreamHandle))                                                                      \
  X(cuStreamSynchronize, Status (*)(StreamHandle))                                                                     \
  X(cuStreamBeginCapture_v2, Status (*)(StreamHandle, int))                                                            \
  X(cuStreamEndCapture, Status (*)(StreamHandle, GraphHandle *))                                                       \
  X(cuGraphInstantiateWithFlags, Status (*)(GraphExec *, GraphHandle, unsigned long long))                             \
  X(cuGraphLaunch, Status (*)(GraphExec, StreamHandle))                                                                \
  X(cuGraphDestroy, Status (*)(GraphHandle))                                                                           \
  X(cuGraphExecDestroy, Status (*)(GraphExec))                                                                         \
  X(cuEventCreate, Status (*)(Event *, unsigned))                                                                      \
  X(cuEventDestroy_v2, Status (*)(Event))                                                                              \
  X(cuEventRecord, Status (*)(Event, StreamHandle))                                                                    \
  X(cuEventSynchronize, Status (*)(Event))                                                                             \
  X(cuEventElapsedTime, Status (*)(float *, Event, Event))                                                             \
  X(cuLaunchKernel, Status (*)(Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,         \
                               StreamHandle, void **, void **))                                                        \
  X(cuLaunchCooperativeKernel,                                                                                         \
    Status (*)(Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, StreamHandle, void **)) \
  X(cuLaunchKernelEx, Status (*)(const LaunchConfig *, Function, void **, void **))                                    \
  X(cuOccupancyMaxActiveBlocksPerMultiprocessor, Status (*)(int *, Function, int, size_t))                             \
  X(cuGetErrorName, Status (*)(Status, const char **))                                                                 \
  X(cuGetErrorString, Status (*)(Status, const char **))

struct Driver {
  int version = 0;
#define RONDO_CUDA_MEMBER(name, ...) std::type_identity_t<__VA_ARGS__> name = nullptr;
  RONDO_CUDA_CALLS(RONDO_CUDA_MEMBER)
#undef RONDO_CUDA_MEMBER

  /// "cuMemAlloc of 4096 bytes failed: CUDA_ERROR_OUT_OF_MEMORY (out of memory)"; `what` is the call and what it was about.
  Error failure(Status status, const std::string &what) const;
};

/// The driver, loaded and started; the same answer every time. The error says what is missing.
Result<const Driver *> driver();

/// As `driver`, of another library; for tests of what happens without one.
Result<const Driver *> loadDriver(const char *library);

} // namespace rondo::cuda
