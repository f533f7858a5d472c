// How many of a scan's states are kept in memory for the way back of its gradient; those between are computed again.
#pragma once
#include "dialects/Recur/Recur.h"

namespace rondo {

/// Chunks of `size` steps from one kept state to the next: the least power of two for which the states are few beside the tensors.
int64_t cheapInterval(recur::ScanInterface scan, int64_t size);

} // namespace rondo
