// Symbolic differentiation of a step with respect to states: a value of the step as a sum of terms, each a product of factors that
// are free of the states and at most one state. The derivative of the value is read off the terms; it is never materialised, so
// `(I - b k k^T) S` stays two terms, S itself and a product of k, k and S.
#pragma once
#include "compiler/Analysis/Strata.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>

namespace rondo::analysis {

/// A state-free value with the index letter of each of its axes. Letters below the rank of the term's value are its axes; higher
/// ones are summed over.
struct Factor {
  mlir::Value value;
  llvm::SmallVector<int, 2> letters;
  bool reciprocal = false;
};

/// scale * product of factors * (the state, when there is one).
struct Term {
  static constexpr unsigned kNewValue = ~0u; // the state is read after its update
  static constexpr unsigned kBetween = ~1u;  // a value between the state and its update is read (Linearity::between)
  double scale = 1;
  llvm::SmallVector<Factor> factors;
  std::optional<unsigned> state;
  unsigned read = 0;                      // which of the state's reads, or kNewValue
  llvm::SmallVector<int, 2> stateLetters; // of each axis of the state

  /// True when the term's state is read at the very element that is computed: a diagonal of the transition.
  bool isDiagonal() const;
  /// Letters that some factor has.
  llvm::SmallVector<int, 4> factorLetters() const;
};

/// A value as a sum of terms, or the operation that is not linear in the states.
struct LinearForm {
  llvm::SmallVector<Term, 0> terms;
  mlir::Operation *obstacle = nullptr;
  explicit operator bool() const { return !obstacle; }
};

/// Whether a form is made of products of numbers, vectors and identities alone.
bool isOfVectors(const LinearForm &form);

/// Linear forms of the values of a step with respect to the states of one stratum.
class Linearity {
public:
  /// With `readsNew`, the updated states are leaves too, so that a readout of them is one term.
  Linearity(recur::ScanOp scan, const StateDependence &dependence, llvm::ArrayRef<unsigned> states,
            bool readsNew = false);
  const LinearForm &of(mlir::Value value);
  /// The same with `value`, which is like state `state`, as a leaf: what is linear in it need not be taken apart further.
  Linearity between(mlir::Value value, unsigned state) const;

private:
  LinearForm compute(mlir::Value value);
  LinearForm free(mlir::Value value);
  LinearForm repeated(recur::BroadcastOp op);
  LinearForm map(recur::MapOp op);
  LinearForm contract(recur::ContractOp op);
  LinearForm scaled(mlir::Value linear, mlir::Value factor, bool reciprocal, mlir::Operation *op);
  bool isFree(mlir::Value value) const { return !dependence.dependsOnAny(value, states); }

  recur::ScanOp scan;
  const StateDependence &dependence;
  llvm::SmallVector<unsigned> states;
  bool readsNew;
  llvm::DenseMap<mlir::Value, LinearForm> known;
};

} // namespace rondo::analysis
