// The cotangent of a decay's logarithm, handed on to what the decay is computed from, without a division by what may be 0.
#pragma once
#include "compiler/Analysis/Ranges.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace rondo {

/// `sign` times the logarithm's cotangent goes to `value`; divided by `value` where `divide`.
struct LogTerm {
  mlir::Value value;
  double sign;
  bool divide;
};

/// Appends the terms of log `decay`. `isActive` says which values have cotangents. False where a logarithm may be infinite.
bool findLogTerms(mlir::Value decay, double sign, llvm::function_ref<bool(mlir::Value)> isActive,
                  analysis::Ranges &ranges, llvm::SmallVectorImpl<LogTerm> &terms);

} // namespace rondo
