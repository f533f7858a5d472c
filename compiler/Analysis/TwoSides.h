// A sum of terms as a product: of a sum along one axis with all the rest. (I - u wᵀ) S diag(1 - f), multiplied out, is four terms.
#pragma once
#include "compiler/Analysis/Expansion.h"

namespace rondo::analysis {

struct TwoSides {
  llvm::SmallVector<Term, 0> rest; // without the axis, but for the state's
  FactorSum along;                 // the axis; one product of no factors and scale 1 where nothing varies along it
};

/// `terms`, of which each reads one and the same state, whole or with other letters, as (sum of `along`) * (sum of `rest`). Nothing where
/// they are no such product. Factors are taken as they stand if that will do, else sums and products of vectors and numbers are multiplied out.
std::optional<TwoSides> factorAlong(llvm::ArrayRef<const Term *> terms, int axis);
/// What all of `terms` have as factors along the axis, and the terms without it.
TwoSides commonAlong(llvm::ArrayRef<const Term *> terms, int axis);

} // namespace rondo::analysis
