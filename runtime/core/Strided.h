// Walking and copying views with any strides.
#pragma once
#include "rondo/Tensor.h"
#include <cstdint>
#include <vector>

namespace rondo::core {

/// Whether axes [first, last) of the view are row-major and contiguous among themselves; axes of size 1 do not count.
bool rowMajor(const Tensor &tensor, size_t first, size_t last);

/// The next index tuple of a shape, row-major; false after the last one. The axes of a shape without elements must not
/// be walked.
bool nextIndex(std::vector<int64_t> &index, const std::vector<int64_t> &shape);

/// Offset of an index tuple in elements.
int64_t offsetOf(const Tensor &tensor, const std::vector<int64_t> &index);

/// Copies all elements. Both views have the same shape and type, and do not overlap.
void copyElements(const Tensor &from, const Tensor &to);

} // namespace rondo::core
