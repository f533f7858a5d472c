// Reverse mode through an expansion of states as a whole: the gradients of expand_scan are readouts of its states and of their cotangents,
// so they come from scans that keep one matrix state each and read it along one axis. No state is handed from one scan to another:
//
//   S[t] = a[t] ∘ S[t-1] + k[t] v[t]ᵀ        y[t] = q[t] S[t]
//   M[t] = q[t] dy[t]ᵀ + a[t+1] ∘ M[t+1]     dq[t] = S[t] dy[t],  dk[t] = M[t] v[t],  dv[t] = k[t] M[t]
//   a ∘ da = Σ over s >= t of (q ∘ dq - k ∘ dk)[s], and the final states' part: the cotangent of log a
//
// Delta rules are made expansions first: see ExpansionScans.h.
//
// The last line of these needs no state for a step either. It is the gradient of a logarithm: of decays that are computed from exponentials, or
// bounded away from 0. Its terms are products of their own, *shares*, which the target computes more exactly than the others.
#pragma once
#include "compiler/Differentiate/ScanAdjoint.h"
#include "compiler/Transforms/RaisedStep.h"
#include "llvm/ADT/DenseSet.h"

namespace rondo {

/// Why an expansion does not go back so; empty where it does.
std::string noExpansionAdjoint(const Expansion &of, const WantedCotangents &wanted);

/// Values of an expansion's two regions that depend on operands whose cotangents are wanted.
llvm::DenseSet<mlir::Value> activeValues(const Expansion &of, const WantedCotangents &wanted);
/// Whether a tensor's elements have 16 bits.
bool isStoredNarrow(mlir::Value tensor);

/// As differentiateScan, for a scan of which `noExpansionAdjoint` says nothing.
mlir::FailureOr<ScanCotangents> buildExpansionAdjoint(mlir::OpBuilder &b, const Expansion &of,
                                                      llvm::ArrayRef<mlir::Value> ofOutputs,
                                                      llvm::ArrayRef<mlir::Value> ofFinals,
                                                      const WantedCotangents &wanted);

} // namespace rondo
