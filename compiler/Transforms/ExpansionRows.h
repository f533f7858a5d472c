// A short chunk of an expansion whose steps are worked on each by itself, with the state read and written once for all of them.
#pragma once
#include "compiler/Transforms/RaisedStep.h"

namespace rondo {

/// The longest chunk that is made of rows: with more, what they read of a state would be more sums than there are registers for.
constexpr int64_t kMostRows = 4;

/// Whether rows are worth it: matrix states decay key by key, so that scores along a chunk are no products of matrices, and make one move a step.
bool hasRows(const Expansion &of);

/// Fills `chunk`, which has no arguments yet, with `size` steps of the expansion. The expansion has a chunk form, and rows.
void buildRows(const Expansion &of, int64_t size, mlir::Block *chunk);

} // namespace rondo
