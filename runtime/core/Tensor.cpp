// Tensors: shapes, owned memory, and single elements as doubles. The kernels convert on their own; this is the slow,
// exact way for tests, the reference interpreter and defaults.
#include "rondo/Tensor.h"
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace rondo {
namespace {

constexpr size_t alignment = 64;

struct TypeRow {
  std::string_view name;
  size_t size;
};
// In the order of DType.
constexpr TypeRow typeRows[] = {{"f64", 8}, {"f32", 4}, {"bf16", 2}, {"f16", 2}, {"c128", 16},
                                {"c64", 8}, {"i64", 8}, {"i32", 4},  {"bool", 1}};

/// A 16-bit float with `mantissaBits` of stored mantissa, from a double, to nearest even in one rounding (going through
/// float would round twice).
template <int mantissaBits> uint16_t toSmallFloat(double value) {
  constexpr int exponentBits = 15 - mantissaBits, bias = (1 << (exponentBits - 1)) - 1, smallestNormal = 1 - bias;
  constexpr uint64_t infinity = ((uint64_t(1) << exponentBits) - 1) << mantissaBits;
  const uint64_t bits = std::bit_cast<uint64_t>(value), mantissa = bits & ((uint64_t(1) << 52) - 1);
  const uint16_t sign = uint16_t(bits >> 48) & 0x8000;
  const int rawExponent = int(bits >> 52) & 0x7ff;
  if (rawExponent == 0x7ff) // a NaN stays one: the quiet bit is set, as much of its payload as fits is kept
    return sign |
           uint16_t(infinity | (mantissa ? (uint64_t(1) << (mantissaBits - 1)) | mantissa >> (52 - mantissaBits) : 0));
  const int exponent = rawExponent - 1023;
  const int shift = 52 - mantissaBits + (exponent < smallestNormal ? smallestNormal - exponent : 0);
  if (rawExponent == 0 || shift > 53) // below half of the smallest subnormal
    return sign;
  const uint64_t significand = (uint64_t(1) << 52) | mantissa;
  const uint64_t rest = significand & ((uint64_t(1) << shift) - 1), half = uint64_t(1) << (shift - 1);
  uint64_t magnitude = significand >> shift;
  magnitude += rest > half || (rest == half && (magnitude & 1));
  if (exponent >=
      smallestNormal) // the hidden bit counts one step of the exponent; a carry of the rounding counts the next
    magnitude += uint64_t(exponent - smallestNormal) << mantissaBits;
  return sign | uint16_t(magnitude < infinity ? magnitude : infinity);
}

double fromF16(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  double magnitude;
  if (exponent == 31)
    magnitude = mantissa ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity();
  else
    magnitude = exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
  return bits & 0x8000 ? -magnitude : magnitude;
}

double fromBF16(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

template <typename T> T at(const Tensor &tensor, int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const char *>(tensor.data) + index * int64_t(sizeof(T)), sizeof(T));
  return value;
}

template <typename T> void put(const Tensor &tensor, int64_t index, T value) {
  std::memcpy(static_cast<char *>(tensor.data) + index * int64_t(sizeof(T)), &value, sizeof(T));
}

template <typename T> T toInteger(double value) {
  if (std::isnan(value))
    return 0;
  // The largest T is not a double for int64_t; its successor, a power of two, is.
  const double limit = std::ldexp(1.0, sizeof(T) * 8 - 1), rounded = std::nearbyint(value);
  if (rounded >= limit)
    return std::numeric_limits<T>::max();
  return rounded < -limit ? std::numeric_limits<T>::min() : T(rounded);
}

} // namespace

size_t sizeOf(DType type) { return typeRows[size_t(type)].size; }
std::string_view nameOf(DType type) { return typeRows[size_t(type)].name; }
bool isComplex(DType type) { return type == DType::C128 || type == DType::C64; }

bool parseDType(std::string_view name, DType &type) {
  for (size_t i = 0; i < std::size(typeRows); ++i)
    if (typeRows[i].name == name) {
      type = DType(i);
      return true;
    }
  return false;
}

int64_t Tensor::elements() const {
  int64_t count = 1;
  bool tooMany = false;
  for (int64_t size : shape) {
    if (size == 0)
      return 0;
    tooMany |= __builtin_mul_overflow(count, size, &count);
  }
  return tooMany ? std::numeric_limits<int64_t>::max() : count;
}

int64_t Tensor::stride(size_t axis) const {
  if (!strides.empty())
    return strides[axis];
  int64_t step = 1;
  for (size_t i = axis + 1; i < shape.size(); ++i)
    step *= shape[i];
  return step;
}

bool Tensor::contiguous() const {
  if (strides.empty() || elements() <= 1)
    return true;
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] != 1 && strides[i] != step)
      return false;
    step *= shape[i];
  }
  return true;
}

void Buffer::Free::operator()(void *p) const { std::free(p); }

Buffer::Buffer(DType type, std::vector<int64_t> shape) : type_(type), shape_(std::move(shape)) {
  const int64_t count = view().elements();
  size_t size = 0;
  if (count < 0 || __builtin_mul_overflow(size_t(count), sizeOf(type), &size) || size > size_t(PTRDIFF_MAX) - alignment)
    return;
  size = size ? (size + alignment - 1) / alignment * alignment : alignment;
  memory.reset(std::aligned_alloc(alignment, size));
  if (memory)
    std::memset(memory.get(), 0, size);
}

Tensor Buffer::view() const { return Tensor{memory.get(), type_, shape_, {}}; }
size_t Buffer::bytes() const { return size_t(view().elements()) * sizeOf(type_); }

double loadReal(const Tensor &tensor, int64_t index) {
  switch (tensor.type) {
  case DType::F64:
    return at<double>(tensor, index);
  case DType::F32:
    return at<float>(tensor, index);
  case DType::BF16:
    return fromBF16(at<uint16_t>(tensor, index));
  case DType::F16:
    return fromF16(at<uint16_t>(tensor, index));
  case DType::C128:
    return at<double>(tensor, 2 * index);
  case DType::C64:
    return at<float>(tensor, 2 * index);
  case DType::I64:
    return double(at<int64_t>(tensor, index));
  case DType::I32:
    return at<int32_t>(tensor, index);
  case DType::Bool:
    return at<uint8_t>(tensor, index) != 0;
  }
  return 0;
}

double loadImag(const Tensor &tensor, int64_t index) {
  if (tensor.type == DType::C128)
    return at<double>(tensor, 2 * index + 1);
  return tensor.type == DType::C64 ? double(at<float>(tensor, 2 * index + 1)) : 0.0;
}

void storeElement(const Tensor &tensor, int64_t index, double real, double imag) {
  switch (tensor.type) {
  case DType::F64:
    return put(tensor, index, real);
  case DType::F32:
    return put(tensor, index, float(real));
  case DType::BF16:
    return put(tensor, index, toSmallFloat<7>(real));
  case DType::F16:
    return put(tensor, index, toSmallFloat<10>(real));
  case DType::C128:
    put(tensor, 2 * index, real);
    return put(tensor, 2 * index + 1, imag);
  case DType::C64:
    put(tensor, 2 * index, float(real));
    return put(tensor, 2 * index + 1, float(imag));
  case DType::I64:
    return put(tensor, index, toInteger<int64_t>(real));
  case DType::I32:
    return put(tensor, index, toInteger<int32_t>(real));
  case DType::Bool:
    return put(tensor, index, uint8_t(real != 0));
  }
}

} // namespace rondo
