// Reverse mode through a recurrence. The adjoint of a scan over t is a scan against t, whose states are the cotangents of what each
// step read of the states:
//
//   step t:  new[t], y[t] = f(x[t], p, S[t-d], ...)          cot of S[t] = sum over reads d of C_d[t+d]  (+ that of a final state)
//   against: dx[t], dp, C_d[t] = (Jacobian of f at t)ᵀ (dy[t], cot of S[t])
//
// A recurrence that is linear in its state has an adjoint that is linear in C: an expand_scan becomes an expand_scan with queries
// and keys exchanged, a linear_scan a linear_scan, and so on, so that raising finds the same forms for it.
//
// What the Jacobian needs of the states is recomputed by a second forward scan. Values without or with one axis that depend on states of two
// axes, but on no cotangent of a state (a query's gradient S dy), are computed there and handed over; so are products of a parameter's matrix
// that the states need anyway; a state itself is handed over, for every step, only where it meets a cotangent.
#pragma once
#include "dialects/Recur/Recur.h"
#include "mlir/IR/Builders.h"

namespace rondo {

/// Contributions to the cotangents of a scan's operands; each may have more implicit axes than the operand, to be summed over. Slices of
/// those of initial values stand in the opposite order (`flip_lag` of recur.sum_to).
struct ScanCotangents {
  llvm::SmallVector<mlir::Value> inputs, params;           // null where there is none
  llvm::SmallVector<llvm::SmallVector<mlir::Value>> inits; // per state
};

/// Which operands' cotangents somebody needs: one entry per input, parameter and initial value.
struct WantedCotangents {
  llvm::SmallVector<bool> inputs, params, inits;
};

/// Makes the scans where `b` stands; the scan needs no registers (ScanRegisters.h). Cotangents of results are null where they are zero.
/// Fails, with an error at its place, where an operation has no derivative.
mlir::FailureOr<ScanCotangents> differentiateScan(mlir::OpBuilder &b, recur::ScanOp scan,
                                                  llvm::ArrayRef<mlir::Value> ofOutputs,
                                                  llvm::ArrayRef<mlir::Value> ofFinals, const WantedCotangents &wanted);

/// Whether these scans would hand over a state of two axes or more for every step, and have no products of parameters' matrices, which gain from
/// scans of their own. Fails as they do.
mlir::FailureOr<bool> handsOverMatrices(mlir::OpBuilder &b, recur::ScanOp scan, llvm::ArrayRef<mlir::Value> ofOutputs,
                                        llvm::ArrayRef<mlir::Value> ofFinals, const WantedCotangents &wanted);

} // namespace rondo
