// What records are kept under: a spec, the sizes of a call, a device.
#include "compiler/Driver/Compiler.h"
#include "rondo/Cuda.h"
#include "rondo/Engine.h"
#include "runtime/jit/CudaTarget.h"
#include <thread>

namespace rondo {
namespace jit {

std::optional<CudaTarget> cudaTarget(const std::string &text) {
  CudaTarget target;
  if (text.substr(0, text.find(':')) != "cuda")
    return std::nullopt;
  for (size_t at = text.find(':'); at != std::string::npos;) {
    const size_t next = text.find(':', at + 1);
    const std::string part = text.substr(at + 1, next == std::string::npos ? next : next - at - 1);
    const bool number = !part.empty() && part.size() < 4 && part.find_first_not_of("0123456789") == std::string::npos;
    if (number)
      target.ordinal = std::stoi(part);
    else
      target.architecture = part;
    at = next;
  }
  return target;
}

} // namespace jit

/// All that changes what is computed, beside element types: plans for one say nothing about another.
static std::string specOf(const std::string &text, const CompileOptions &options) {
  std::string spec = "model " + options.model + "\ngradient " + std::to_string(options.gradient) + "\n";
  for (const auto &[name, size] : options.dims)
    spec += "dim " + name + " " + std::to_string(size) + "\n";
  for (const std::string &name : options.wrt)
    spec += "wrt " + name + "\n";
  spec += std::string(options.resets ? "resets\n" : "") + (options.packed ? "packed\n" : "");
  return contentHash(spec + text);
}

Result<RecordKey> Engine::recordKey(const std::string &text, const CompileOptions &options, CallSizes sizes,
                                    int threads) {
  RecordKey key;
  key.spec = specOf(text, options);
  key.bucket = bucketOf(sizes);
  key.types = std::string(nameOf(options.type));
  for (const auto &[name, type] : options.types)
    key.types += "," + name + "=" + std::string(nameOf(type));
  key.compiler = RONDO_VERSION;
  if (const std::optional<jit::CudaTarget> gpu = jit::cudaTarget(options.target)) {
    const Result<cuda::DeviceInfo> device = cuda::deviceInfo(gpu->ordinal);
    if (!device)
      return device.error();
    key.device = "cuda " + device->name;
    key.driver = std::to_string(device->driverVersion);
    return key;
  }
  const std::string host = driver::describeHost();
  const int all = int(std::max(1u, std::thread::hardware_concurrency()));
  key.device = options.target + " " + host.substr(0, host.find(' ')) + ", " +
               std::to_string(threads > 0 ? threads : all) + " threads";
  return key;
}

} // namespace rondo
