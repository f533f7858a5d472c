// The chunk of an expansion of states: what C steps of expand_scan or delta_scan compute, as products of small matrices.
#pragma once
#include "compiler/Transforms/RaisedStep.h"

namespace rondo {

/// Why an expansion has no chunk form; empty where it has one.
std::string noChunkForm(const Expansion &of);

/// Fills `chunk`, which has no arguments yet, with `size` steps of the expansion at once.
void buildChunk(const Expansion &of, int64_t size, mlir::Block *chunk);

} // namespace rondo
