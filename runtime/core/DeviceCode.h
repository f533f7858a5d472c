// A program's kernels, loaded on a device other than the host.
#pragma once
#include "runtime/core/Binding.h"

namespace rondo::core {

class DeviceCode {
public:
  virtual ~DeviceCode() = default;
  /// Runs the program's launches in order on a bound call. Tensors that lie on the host are copied.
  virtual Result<void> run(const Program &program, Binding &binding, const RunOptions &options) = 0;
};

} // namespace rondo::core
