// The cotangent of a decay's logarithm, handed on to what the decay is computed from, without a division by what may be 0.
#pragma once
#include "compiler/Analysis/Ranges.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace rondo {

/// How the logarithm's cotangent becomes that of a value: as it is, divided by it, or divided by it but where it is below kSmallest.
enum class LogPart { Whole, Divided, Guarded };

/// The least decay that a logarithm's cotangent is divided by. Its rounding errors, some 2^-13 of what the readouts of a step are, are all that it
/// holds where a decay is smaller; what a decay of that size hands back is smaller than they are.
constexpr double kSmallestDecay = 0x1p-13;

/// `sign` times the logarithm's cotangent goes to `value`.
struct LogTerm {
  mlir::Value value;
  double sign;
  LogPart part;
};

/// Appends the terms of log `decay`. `isActive` says which values have cotangents. False where a logarithm may be infinite: where a tensor
/// is a decay itself, and may be 0. A decay that is computed from exponentials, such as a gate with a lower bound, comes near 0 only where
/// its own derivative does.
bool findLogTerms(mlir::Value decay, double sign, llvm::function_ref<bool(mlir::Value)> isActive,
                  analysis::Ranges &ranges, llvm::SmallVectorImpl<LogTerm> &terms);

} // namespace rondo
