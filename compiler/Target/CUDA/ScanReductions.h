// What an elementwise recurrence sums over many elements without waiting for a state (the largest of a row's gates, a norm) as a scan of its
// own without states, so that what is left has the axes of its states alone and can go in tiles of time.
#pragma once
#include "dialects/Recur/Recur.h"

namespace rondo::cuda {

/// A scan like `scan` before it, whose sums over rows come from another new scan without states. Null where it has none.
/// The caller replaces `scan`, or erases both again: the second one is the first one's last input's.
recur::LinearScanOp withoutReductions(recur::LinearScanOp scan);

} // namespace rondo::cuda
