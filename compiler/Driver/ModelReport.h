// What the compiler found in a model, as text for `rondo explain`.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include <string>

namespace rondo::driver {
/// `module` holds a model in the recur dialect; its sizes may be symbolic.
std::string reportModel(mlir::ModuleOp module);
} // namespace rondo::driver
