// Conversions between types.
#include "test/emulator/Operations.h"
#include <cmath>
#include <limits>

namespace rondo::emulator {
namespace {

/// How a conversion to an integer rounds: "rzi", "rni", "rmi", "rpi".
template <class F> F towardZero(F x) { return std::trunc(x); }
template <class F> F toNearest(F x) { return std::nearbyint(x); }
template <class F> F down(F x) { return std::floor(x); }
template <class F> F up(F x) { return std::ceil(x); }

/// Rounded, and held to the type's range; NaN to zero.
template <class I, class F, F (*round)(F)> I toInteger(F x) {
  if (std::isnan(x))
    return 0;
  const F rounded = round(x);
  if (rounded >= std::ldexp(F(1), std::numeric_limits<I>::digits))
    return std::numeric_limits<I>::max();
  if (rounded <= F(std::numeric_limits<I>::min()))
    return std::numeric_limits<I>::min();
  return I(rounded);
}

template <class F, class I> void addIntegerPair(Table &table, const std::string &integer) {
  for (const char *rounding : {"", ".rn"})
    add<F, I>(table, ("cvt" + std::string(rounding) + (sizeof(F) == 8 ? ".f64." : ".f32.") + integer).c_str(),
              [](I a) { return F(a); });
}

template <class I, class F> void addToInteger(Table &table, const std::string &integer, const std::string &real) {
  add<I, F>(table, ("cvt.rzi." + integer + real).c_str(), [](F a) { return toInteger<I, F, towardZero<F>>(a); });
  add<I, F>(table, ("cvt.rni." + integer + real).c_str(), [](F a) { return toInteger<I, F, toNearest<F>>(a); });
  add<I, F>(table, ("cvt.rmi." + integer + real).c_str(), [](F a) { return toInteger<I, F, down<F>>(a); });
  add<I, F>(table, ("cvt.rpi." + integer + real).c_str(), [](F a) { return toInteger<I, F, up<F>>(a); });
}

template <class I> void addInteger(Table &table, const std::string &integer) {
  addToInteger<I, float>(table, integer, ".f32");
  addToInteger<I, double>(table, integer, ".f64");
  addIntegerPair<float, I>(table, integer);
  addIntegerPair<double, I>(table, integer);
}

template <class F> void addRoundings(Table &table, const std::string &real) {
  const std::string types = "." + real + "." + real;
  add<F, F>(table, ("cvt.rmi" + types).c_str(), [](F a) { return std::floor(a); });
  add<F, F>(table, ("cvt.rpi" + types).c_str(), [](F a) { return std::ceil(a); });
  add<F, F>(table, ("cvt.rni" + types).c_str(), [](F a) { return std::nearbyint(a); });
  add<F, F>(table, ("cvt.rzi" + types).c_str(), [](F a) { return std::trunc(a); });
}

template <class To, class From> void addWidth(Table &table, const std::string &to, const std::string &from) {
  add<To, From>(table, ("cvt." + to + "." + from).c_str(), [](From a) { return To(a); });
}

template <class From> void addWidths(Table &table, const std::string &from) {
  addWidth<uint16_t, From>(table, "u16", from);
  addWidth<int16_t, From>(table, "s16", from);
  addWidth<uint32_t, From>(table, "u32", from);
  addWidth<int32_t, From>(table, "s32", from);
  addWidth<uint64_t, From>(table, "u64", from);
  addWidth<int64_t, From>(table, "s64", from);
}

uint16_t halfBits(float x) {
  const auto half = _Float16(x);
  uint16_t bits;
  __builtin_memcpy(&bits, &half, sizeof bits);
  return bits;
}

} // namespace

void addConversions(Table &table) {
  addWidths<uint16_t>(table, "u16");
  addWidths<int16_t>(table, "s16");
  addWidths<uint32_t>(table, "u32");
  addWidths<int32_t>(table, "s32");
  addWidths<uint64_t>(table, "u64");
  addWidths<int64_t>(table, "s64");
  // Bytes lie in 16-bit registers.
  add<int16_t, int16_t>(table, "cvt.s16.s8", [](int16_t a) { return int8_t(a); });
  add<uint32_t, uint16_t>(table, "cvt.u32.u8", [](uint16_t a) { return uint8_t(a); });
  addInteger<uint32_t>(table, "u32");
  addInteger<int32_t>(table, "s32");
  addInteger<uint64_t>(table, "u64");
  addInteger<int64_t>(table, "s64");
  addIntegerPair<float, uint16_t>(table, "u16");
  addIntegerPair<float, int16_t>(table, "s16");
  addRoundings<float>(table, "f32");
  addRoundings<double>(table, "f64");
  add<double, float>(table, "cvt.f64.f32", [](float a) { return double(a); });
  add<float, double>(table, "cvt.rn.f32.f64", [](double a) { return float(a); });
  add<float, _Float16>(table, "cvt.f32.f16", [](_Float16 a) { return float(a); });
  add<float, BFloat>(table, "cvt.f32.bf16", [](BFloat a) { return toFloat(a); });
  add<double, _Float16>(table, "cvt.f64.f16", [](_Float16 a) { return double(a); });
  add<double, BFloat>(table, "cvt.f64.bf16", [](BFloat a) { return double(toFloat(a)); });
  add<_Float16, double>(table, "cvt.rn.f16.f64", [](double a) { return _Float16(a); });
  add<uint16_t, float>(table, "cvt.rn.f16.f32", [](float a) { return halfBits(a); });
  add<uint16_t, float>(table, "cvt.rn.bf16.f32", [](float a) { return toBFloat(a).bits; });
  add<uint32_t, float, float>(table, "cvt.rn.f16x2.f32",
                              [](float high, float low) { return uint32_t(halfBits(high)) << 16 | halfBits(low); });
  add<uint32_t, float, float>(table, "cvt.rn.bf16x2.f32", [](float high, float low) {
    return uint32_t(toBFloat(high).bits) << 16 | toBFloat(low).bits;
  });
}

} // namespace rondo::emulator
