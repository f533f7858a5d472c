// The header of a .npy array: a Python dictionary of three entries.
#pragma once
#include "rondo/Result.h"
#include "rondo/Tensor.h"
#include <string>
#include <string_view>

namespace rondo::core {

struct NpyHeader {
  DType type = DType::F32;
  bool fortranOrder = false; // the first axis is the fastest
  std::vector<int64_t> shape;
};

/// Magic, two bytes of version, and at most four bytes of header length.
constexpr size_t npyPreamble = 12;

/// Where the header text lies: reads the first npyPreamble bytes of an array. `start` is 10 or 12.
Result<void> parseNpyPreamble(std::string_view bytes, size_t &start, size_t &length);

/// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }. Errors say what is not understood.
Result<NpyHeader> parseNpyHeader(std::string_view text);

/// Preamble and header of a row-major array, padded so that the elements begin at a multiple of 64 bytes.
std::string formatNpyHeader(DType type, const std::vector<int64_t> &shape);

} // namespace rondo::core
