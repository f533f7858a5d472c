// Runs one chunk.gradient_scan.
#pragma once
#include "compiler/Reference/OpCompiler.h"

namespace rondo::reference {

/// Runs the scan on the operands' slots in `ops`, and makes the results' slots there.
llvm::Error interpretGradientScan(chunk::GradientScanOp scan, OpCompiler &ops, const Sizes &sizes);

} // namespace rondo::reference
