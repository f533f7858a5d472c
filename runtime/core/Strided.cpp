// Walking and copying views with any strides.
#include "runtime/core/Strided.h"
#include <cstring>

namespace rondo::core {

bool rowMajor(const Tensor &tensor, size_t first, size_t last) {
  int64_t step = 1;
  for (size_t i = last; i-- > first;)
    if (tensor.shape[i] == 0)
      return true;
  // The last of the axes fixes the unit: stride 1.
  for (size_t i = last; i-- > first;) {
    if (tensor.shape[i] != 1 && tensor.stride(i) != step)
      return false;
    step *= tensor.shape[i];
  }
  return true;
}

bool nextIndex(std::vector<int64_t> &index, const std::vector<int64_t> &shape) {
  for (size_t i = shape.size(); i-- > 0;) {
    if (++index[i] < shape[i])
      return true;
    index[i] = 0;
  }
  return false;
}

int64_t offsetOf(const Tensor &tensor, const std::vector<int64_t> &index) {
  int64_t offset = 0;
  for (size_t i = 0; i < index.size(); ++i)
    offset += index[i] * tensor.stride(i);
  return offset;
}

void copyElements(const Tensor &from, const Tensor &to) {
  if (from.elements() == 0)
    return;
  const int64_t size = int64_t(sizeOf(from.type));
  // The longest run of trailing axes that is contiguous in both is copied at once.
  size_t outer = from.shape.size();
  while (outer > 0 && rowMajor(from, outer - 1, from.shape.size()) && rowMajor(to, outer - 1, to.shape.size()))
    --outer;
  int64_t run = size;
  for (size_t i = outer; i < from.shape.size(); ++i)
    run *= from.shape[i];
  const std::vector<int64_t> outerShape(from.shape.begin(), from.shape.begin() + int64_t(outer));
  std::vector<int64_t> index(outer, 0);
  do {
    std::memcpy(static_cast<char *>(to.data) + offsetOf(to, index) * size,
                static_cast<const char *>(from.data) + offsetOf(from, index) * size, size_t(run));
  } while (nextIndex(index, outerShape));
}

} // namespace rondo::core
