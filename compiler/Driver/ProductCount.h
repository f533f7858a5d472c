// How many multiply-adds a model's products take: what a rate of products is a rate of.
#pragma once
#include "mlir/IR/BuiltinOps.h"

namespace rondo::driver {

/// Per step and sequence; of real numbers.
struct ProductCount {
  double once = 0, perHead = 0; // in scans without heads, and in those with them
};

/// Of a module between phase `form` and `lower-scan`: contractions of two factors and more, scores, applications, solves and gradients of decays, as
/// often as a sequence of whole chunks takes them. What a `chunk.gradient_scan` computes again counts again. Elementwise work does not.
ProductCount countProducts(mlir::ModuleOp module);

} // namespace rondo::driver
