// A module as text.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include <string>

namespace rondo::driver {

std::string printModule(mlir::ModuleOp module);

/// Writes it to `folder`/`name`, whole or not at all; makes the folder where it is missing. The error names what could not be made.
llvm::Error writeModule(mlir::ModuleOp module, const std::string &folder, const std::string &name);

} // namespace rondo::driver
