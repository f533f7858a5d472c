// Runs one recur.scan or chunk.scan.
#pragma once
#include "compiler/Reference/OpCompiler.h"

namespace rondo::reference {

/// Runs the scan on the operands' slots in `ops`, and makes the results' slots there.
llvm::Error interpretScan(recur::ScanInterface scan, OpCompiler &ops, const Sizes &sizes);

} // namespace rondo::reference
