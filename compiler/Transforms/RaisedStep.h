// One step of a raised scan, as the region of a recur.scan.
#pragma once
#include "dialects/Recur/Recur.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

namespace rondo {

/// What expand_scan and delta_scan have in common; the transitions of an expand_scan are none.
struct Expansion {
  recur::ScanInterface scan;
  mlir::Region *coefficients, *readout;
  llvm::ArrayRef<int64_t> keyAxes, outers, transitions;
  llvm::SmallVector<recur::DecayAttr> decays;
  llvm::SmallVector<recur::ReadoutAttr> readouts;
  llvm::SmallVector<int64_t> decayMoves, outerMoves, transitionMoves; // in which move of its state an entry takes part

  /// Moves that state `s` makes in one step.
  int64_t moves(unsigned s) const;

  explicit Expansion(recur::ExpandScanOp op);
  explicit Expansion(recur::DeltaScanOp op);
  recur::CoefficientsOp given() const;
  recur::YieldOp yield() const;
};

/// The contraction text that multiplies a matrix or vector state by a factor over its axes: "ab,a->ab".
std::string scalingSpec(int64_t rank, llvm::ArrayRef<int64_t> axes);

/// decay ⊗ state ⊕ value in the semiring, elementwise.
mlir::Value combined(mlir::OpBuilder &b, mlir::Location loc, recur::Semiring semiring, mlir::Value decay,
                     mlir::Value value, mlir::Value state);

/// Fills `step`, which has no arguments yet, with the step that `raised` stands for.
void buildStep(mlir::Operation *raised, mlir::Block *step);

/// A recur.scan of these steps, where `b` stands. `raised` and its uses stay.
recur::ScanOp createSteps(mlir::OpBuilder &b, mlir::Operation *raised);

} // namespace rondo
