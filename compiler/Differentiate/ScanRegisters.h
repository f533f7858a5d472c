// Scans whose states are read in ways that ScanAdjoint.h has no rule for, as scans that compute the same with more states:
//
//   resets, and S read d > 1 steps back    d registers, S1[t] = S[t], S2[t] = S1[t-1], ..., each read one step back: at a reset every
//                                          register begins anew, and what it was read for goes to its slice of the initial value
//   S read along two axes, S[t-a, u-b]     R[t, u] = S[t, u-b], and S[t-a, u-b] = R[t-a, u]; beyond the edges R is S's initial value
#pragma once
#include "compiler/Differentiate/ScanAdjoint.h"

namespace rondo {

/// Whether `scan` has such reads.
bool needsRegisters(recur::ScanOp scan);

/// As differentiateScan, for scans that need registers.
mlir::FailureOr<ScanCotangents> differentiateWithRegisters(mlir::OpBuilder &b, recur::ScanOp scan,
                                                           llvm::ArrayRef<mlir::Value> ofOutputs,
                                                           llvm::ArrayRef<mlir::Value> ofFinals,
                                                           const WantedCotangents &wanted);

} // namespace rondo
