// Which operands a kernel's matrix instructions round, so that the reference can round the same ones.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "rondo/Tensor.h"

namespace rondo::driver {

/// The 16-bit type that operands of matrix products, and what one kernel hands to another in that type, are rounded to; f64 where there are
/// neither. Marks what steps multiply by matrix instructions of `architecture` ("sm_90a"; empty: none). `formed` is a module after phase `form`.
DType markRoundings(mlir::ModuleOp formed, llvm::StringRef architecture);

} // namespace rondo::driver
