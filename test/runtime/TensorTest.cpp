// Tensors: shapes and strides, buffers, and the 16-bit types against an oracle that knows only what their formats say.
#include "rondo/Tensor.h"
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>

using namespace rondo;

namespace {

/// The value of a 16-bit float by its definition.
double decode(uint16_t bits, int mantissaBits) {
  const int exponentBits = 15 - mantissaBits, bias = (1 << (exponentBits - 1)) - 1;
  const int exponent = (bits & 0x7fff) >> mantissaBits, mantissa = bits & ((1 << mantissaBits) - 1);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponentBits) - 1)
    return mantissa ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  const double fraction = double(mantissa) / double(1 << mantissaBits);
  return exponent ? sign * (1 + fraction) * std::pow(2.0, exponent - bias) : sign * fraction * std::pow(2.0, 1 - bias);
}

uint16_t encode(DType type, double value) {
  uint16_t bits = 0;
  storeElement(Tensor{&bits, type, {}, {}}, 0, value);
  return bits;
}

double load(DType type, uint16_t bits) { return loadReal(Tensor{&bits, type, {}, {}}, 0); }

int mantissaBitsOf(DType type) { return type == DType::F16 ? 10 : 7; }

} // namespace

TEST_CASE("every 16-bit value loads as its format defines and stores back to itself", "[tensor]") {
  const DType type = GENERATE(DType::F16, DType::BF16);
  int wrongLoads = 0, wrongStores = 0;
  for (int i = 0; i < 65536; ++i) {
    const auto bits = uint16_t(i);
    const double expected = decode(bits, mantissaBitsOf(type)), value = load(type, bits);
    if (std::isnan(expected)) {
      wrongLoads += !std::isnan(value);
      wrongStores += !std::isnan(load(type, encode(type, value)));
    } else {
      wrongLoads += value != expected || std::signbit(value) != std::signbit(expected);
      wrongStores += encode(type, value) != bits;
    }
  }
  CHECK(wrongLoads == 0);
  CHECK(wrongStores == 0);
}

TEST_CASE("between neighbours, stores round to the nearest and ties to even", "[tensor]") {
  const DType type = GENERATE(DType::F16, DType::BF16);
  const int mantissaBits = mantissaBitsOf(type);
  const uint16_t infinity = encode(type, std::numeric_limits<double>::infinity());
  int wrong = 0;
  for (uint16_t low = 0; low < infinity; ++low) {
    const auto high = uint16_t(low + 1);
    const double a = decode(low, mantissaBits);
    // Above the largest finite value the next step of the same exponent stands for infinity.
    const double b = high == infinity ? a + (a - decode(uint16_t(low - 1), mantissaBits)) : decode(high, mantissaBits);
    const double middle = a + (b - a) / 2;
    for (double sign : {1.0, -1.0}) {
      const uint16_t s = sign < 0 ? 0x8000 : 0;
      wrong += encode(type, sign * middle) != (s | (low & 1 ? high : low));
      wrong += encode(type, sign * std::nextafter(middle, 0.0)) != (s | low);
      wrong += encode(type, sign * std::nextafter(middle, 1e300)) != (s | high);
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("stores at the ends of the range", "[tensor]") {
  CHECK(encode(DType::F16, 1e300) == 0x7c00);
  CHECK(encode(DType::BF16, -1e300) == 0xff80);
  CHECK(encode(DType::F16, std::numeric_limits<double>::denorm_min()) == 0);
  CHECK(encode(DType::F16, -0.0) == 0x8000);
  // A NaN whose payload lies below the bits that are kept must not become infinity.
  uint64_t bits = 0x7ff0000000000001;
  double signalling;
  std::memcpy(&signalling, &bits, 8);
  CHECK(std::isnan(load(DType::F16, encode(DType::F16, signalling))));
  CHECK(std::isnan(load(DType::BF16, encode(DType::BF16, signalling))));
  // Rounded twice, through f32, this would be the even neighbour 1.0.
  CHECK(encode(DType::BF16, 1 + 0x1p-8 + 0x1p-40) == 0x3f81);
}

TEST_CASE("integers saturate, NaN is 0, bool is not-zero", "[tensor]") {
  int32_t i32 = 0;
  int64_t i64 = 0;
  uint8_t b = 7;
  const auto as32 = [&](double v) {
    storeElement({&i32, DType::I32, {}, {}}, 0, v);
    return i32;
  };
  const auto as64 = [&](double v) {
    storeElement({&i64, DType::I64, {}, {}}, 0, v);
    return i64;
  };
  const auto asBool = [&](double v) {
    storeElement({&b, DType::Bool, {}, {}}, 0, v);
    return int(b);
  };
  CHECK(as32(2.5) == 2);
  CHECK(as32(-3.5) == -4);
  CHECK(as32(1e20) == INT32_MAX);
  CHECK(as32(-1e20) == INT32_MIN);
  CHECK(as32(std::nan("")) == 0);
  CHECK(as64(9.3e18) == INT64_MAX);
  CHECK(as64(-9.3e18) == INT64_MIN);
  CHECK(asBool(0.25) == 1);
  CHECK(asBool(0) == 0);
}

TEST_CASE("complex elements are pairs", "[tensor]") {
  const DType type = GENERATE(DType::C64, DType::C128);
  const Buffer buffer(type, {3});
  storeElement(buffer.view(), 2, 1.5, -2.5);
  CHECK(loadReal(buffer.view(), 2) == 1.5);
  CHECK(loadImag(buffer.view(), 2) == -2.5);
  CHECK(loadReal(buffer.view(), 1) == 0);
  CHECK(isComplex(type));
}

TEST_CASE("type names parse back", "[tensor]") {
  for (int i = 0; i <= int(DType::Bool); ++i) {
    DType type = DType::F64;
    REQUIRE(parseDType(nameOf(DType(i)), type));
    CHECK(type == DType(i));
  }
  DType type = DType::I32;
  CHECK_FALSE(parseDType("f8", type));
  CHECK(type == DType::I32);
  CHECK(sizeOf(DType::C128) == 16);
  CHECK(sizeOf(DType::BF16) == 2);
}

TEST_CASE("strides and contiguity", "[tensor]") {
  Tensor tensor{nullptr, DType::F32, {2, 3, 4}, {}};
  CHECK(tensor.elements() == 24);
  CHECK(tensor.stride(0) == 12);
  CHECK(tensor.stride(2) == 1);
  CHECK(tensor.contiguous());
  tensor.strides = {24, 4, 1};
  CHECK_FALSE(tensor.contiguous());
  tensor.shape[0] = 1; // the stride of an axis of size 1 does not matter
  CHECK(tensor.contiguous());
  CHECK(Tensor{nullptr, DType::F32, {}, {}}.elements() == 1);
  CHECK(Tensor{nullptr, DType::F32, {INT64_MAX, 3, 0}, {}}.elements() == 0);
  CHECK(Tensor{nullptr, DType::F32, {INT64_MAX, 3}, {}}.elements() == INT64_MAX);
}

TEST_CASE("buffers are aligned, zeroed, and null only when there is no memory", "[tensor]") {
  const Buffer buffer(DType::F16, {3, 5});
  CHECK(reinterpret_cast<uintptr_t>(buffer.data()) % 64 == 0);
  CHECK(buffer.bytes() == 30);
  CHECK(std::all_of(buffer.as<char>(), buffer.as<char>() + 30, [](char c) { return c == 0; }));
  CHECK(Buffer(DType::F32, {0, 3}).data() != nullptr);
  CHECK(Buffer(DType::F64, {INT64_MAX / 4, 2}).data() == nullptr);
  CHECK(Buffer(DType::F64, {-1}).data() == nullptr);
}
