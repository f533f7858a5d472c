// Sizes, strides and index tables of dense arrays.
#include "compiler/Reference/Array.h"

namespace rondo::reference {

Array Array::zeros(std::vector<int64_t> shape, bool isComplex) {
  std::vector<Complex> data(elementCount(shape));
  return {std::move(shape), isComplex, std::move(data)};
}

Array Array::real(std::vector<int64_t> shape, const std::vector<double> &values) {
  return {std::move(shape), false, std::vector<Complex>(values.begin(), values.end())};
}

std::vector<double> Array::reals() const {
  std::vector<double> values;
  for (Complex value : data)
    values.push_back(value.real());
  return values;
}

int64_t elementCount(llvm::ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

std::vector<int64_t> stridesOf(llvm::ArrayRef<int64_t> shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;)
    strides[axis - 1] = strides[axis] * shape[axis];
  return strides;
}

std::vector<int64_t> offsetsOf(llvm::ArrayRef<int64_t> extents, llvm::ArrayRef<int64_t> strides) {
  std::vector<int64_t> offsets = {0};
  for (size_t axis = 0; axis < extents.size(); ++axis) {
    std::vector<int64_t> inner;
    inner.reserve(offsets.size() * extents[axis]);
    for (int64_t offset : offsets)
      for (int64_t index = 0; index < extents[axis]; ++index)
        inner.push_back(offset + index * strides[axis]);
    offsets = std::move(inner);
  }
  return offsets;
}

} // namespace rondo::reference
