// Finding the driver. See Driver.h.
#include "runtime/cuda/Driver.h"
#include <dlfcn.h>
#include <fmt/format.h>
#include <memory>
#include <type_traits>

namespace rondo::cuda {
namespace {

Error missing(const std::string &why) {
  Diagnostic diagnostic;
  diagnostic.slug = "no-gpu";
  diagnostic.message = "no NVIDIA GPU can be used here: " + why;
  diagnostic.notes.push_back({"the target 'cpu' runs every model; 'rondo compile --target cuda' needs no GPU", {}});
  return Error(std::vector<Diagnostic>{diagnostic});
}

} // namespace

Error Driver::failure(Status status, const std::string &what) const {
  const char *name = nullptr, *text = nullptr;
  cuGetErrorName(status, &name);
  cuGetErrorString(status, &text);
  return Error(
      fmt::format("{} failed: {} ({})", what, name ? name : fmt::format("error {}", status), text ? text : "?"));
}

Result<const Driver *> loadDriver(const char *library) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL); // for the life of the process
  if (!handle)
    return missing(fmt::format("the driver's library '{}' is not installed", library));
  auto found = std::make_unique<Driver>();
  const char *absent = nullptr;
  const auto bind = [&](auto &function, const char *name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
    if (!function)
      absent = name;
  };
#define RONDO_CUDA_BIND(name, ...) bind(found->name, #name);
  RONDO_CUDA_CALLS(RONDO_CUDA_BIND)
#undef RONDO_CUDA_BIND
  if (absent)
    return missing(fmt::format("'{}' has no '{}': the driver is too old", library, absent));
  if (const Status status = found->cuInit(0))
    return missing(found->failure(status, "cuInit").diagnostics.front().message);
  found->cuDriverGetVersion(&found->version);
  return found.release();
}

Result<const Driver *> driver() {
  static const Result<const Driver *> once = loadDriver("libcuda.so.1");
  return once;
}

} // namespace rondo::cuda
