// Scans whose states are sums over time of what waits for no state, as gradients of weights are, and of whose final states nobody wants
// more than their sums over the batch. Rows can then be taken one after another by one task, which has one final state for all.
#pragma once
#include "dialects/Chunk/Chunk.h"

namespace rondo::cpu {

bool sumsOverRows(chunk::ScanOp scan);

} // namespace rondo::cpu
