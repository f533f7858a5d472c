// What an object is made from, as a key: kernels that are made twice, as those of two plans that differ in numbers of the call alone, are
// compiled once.
#pragma once
#include "compiler/Target/CPU/Machine.h"
#include "mlir/IR/BuiltinOps.h"
#include <deque>
#include <string>

namespace rondo::driver {

/// A hash of all that a module's code depends on: its operations, the machine, and the suffix of its functions' names. Places in the spec
/// and the description of the program do not count. Holds in one MLIR context and while that lives.
std::string kernelKey(mlir::ModuleOp module, const cpu::Machine &machine, const std::string &suffix);

/// The latest objects, by their keys.
class KnownObjects {
public:
  /// Null where it is not known.
  const std::string *find(const std::string &key) const;
  void add(std::string key, std::string object);

private:
  std::deque<std::pair<std::string, std::string>> latest;
};

} // namespace rondo::driver
