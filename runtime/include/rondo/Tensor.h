// Tensors: a view of caller-owned memory, and an owning buffer for callers that want one.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rondo {

/// Element types. Complex elements are pairs (real, imaginary) of the named width.
enum class DType : uint8_t { F64, F32, BF16, F16, C128, C64, I64, I32, Bool };

/// Bytes of one element.
size_t sizeOf(DType type);
/// "f64", "f32", "bf16", "f16", "c128", "c64", "i64", "i32", "bool".
std::string_view nameOf(DType type);
/// The type of a name that nameOf writes; false when there is none.
bool parseDType(std::string_view name, DType &type);
bool isComplex(DType type);

/// Where memory lies. Numbers as in DLPack (kDLCPU, kDLCUDA).
struct Device {
  enum class Kind : uint8_t { Host = 1, Cuda = 2 } kind = Kind::Host;
  int ordinal = 0;
  bool operator==(const Device &) const = default;
};

/// A view of memory that somebody else owns. Strides count elements; empty strides mean row-major and contiguous. The
/// view does not keep the memory alive.
struct Tensor {
  void *data = nullptr;
  DType type = DType::F32;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
  Device device = {}; // of `data`

  /// Number of elements; INT64_MAX where the product of the shape does not fit.
  int64_t elements() const;
  /// Stride of axis `axis` in elements, also where `strides` is empty.
  int64_t stride(size_t axis) const;
  bool contiguous() const;
};

/// A contiguous tensor that owns its memory, 64-byte aligned and zeroed. Moves, does not copy. data() is null where the
/// memory could not be had, and only then: a tensor without elements has an address too.
class Buffer {
public:
  Buffer() = default;
  Buffer(DType type, std::vector<int64_t> shape);
  Tensor view() const;
  DType type() const { return type_; }
  const std::vector<int64_t> &shape() const { return shape_; }
  void *data() const { return memory.get(); }
  size_t bytes() const;
  template <typename T> T *as() const { return static_cast<T *>(data()); }

private:
  struct Free {
    void operator()(void *p) const;
  };
  std::unique_ptr<void, Free> memory;
  DType type_ = DType::F32;
  std::vector<int64_t> shape_;
};

/// Element `index` (row-major) of a contiguous tensor as a double (real part), and its imaginary part.
double loadReal(const Tensor &tensor, int64_t index);
double loadImag(const Tensor &tensor, int64_t index);
/// Rounds to the tensor's type, to nearest even (once, from f64); integers saturate and turn NaN into 0; bool is "not
/// zero".
void storeElement(const Tensor &tensor, int64_t index, double real, double imag = 0);

} // namespace rondo
