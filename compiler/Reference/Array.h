// The interpreter's values: dense row-major arrays in double precision, whatever the IR's element types say.
#pragma once
#include "llvm/ADT/ArrayRef.h"
#include <complex>
#include <cstdint>
#include <vector>

namespace rondo::reference {

using Complex = std::complex<double>;

/// Real values have imaginary parts of 0, truth values are 0 and 1; isComplex tells which arithmetic applies.
struct Array {
  std::vector<int64_t> shape;
  bool isComplex = false;
  std::vector<Complex> data; // row-major, product of `shape` elements

  static Array zeros(std::vector<int64_t> shape, bool isComplex = false);
  static Array real(std::vector<int64_t> shape, const std::vector<double> &values);
  std::vector<double> reals() const;
};

/// Product of the sizes; 1 for a scalar.
int64_t elementCount(llvm::ArrayRef<int64_t> shape);
/// Row-major strides in elements.
std::vector<int64_t> stridesOf(llvm::ArrayRef<int64_t> shape);
/// Where the elements of a nest of loops lie: for all indices below `extents`, last one fastest, the sum of index * stride.
std::vector<int64_t> offsetsOf(llvm::ArrayRef<int64_t> extents, llvm::ArrayRef<int64_t> strides);

} // namespace rondo::reference
