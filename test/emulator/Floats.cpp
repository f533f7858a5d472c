// Floats: f32, f16 and bf16. What a GPU only approximates is computed in double here and rounded, so that errors are smaller than there.
#include "test/emulator/Operations.h"
#include <bit>
#include <cmath>
#include <limits>

namespace rondo::emulator {

float toFloat(BFloat x) { return std::bit_cast<float>(uint32_t(x.bits) << 16); }

BFloat toBFloat(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return {std::isnan(x) ? uint16_t(0x7fff) : uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

namespace {

float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.f, x) : x; }

/// PTX's min and max give the other operand where one is NaN, and know that -0 is less than +0.
template <class T> T lesser(T a, T b) {
  return std::isnan(a) ? b : std::isnan(b) ? a : a == b ? (std::signbit(a) ? a : b) : a < b ? a : b;
}
template <class T> T greater(T a, T b) {
  return std::isnan(a) ? b : std::isnan(b) ? a : a == b ? (std::signbit(a) ? b : a) : a > b ? a : b;
}

/// x / y of "approx": zero where the divisor is above 2^126, as the manual says.
float approximateQuotient(float x, float y) {
  return std::fabs(y) > 0x1p126f && std::isfinite(x) ? std::copysign(0.f, x) * std::copysign(1.f, y) : x / y;
}

template <class T> void addReals(Table &table, const std::string &type) {
  for (const std::string &opcode : {"add." + type, "add.rn." + type})
    add<T, T, T>(table, opcode.c_str(), [](T a, T b) { return T(a + b); });
  for (const std::string &opcode : {"sub." + type, "sub.rn." + type})
    add<T, T, T>(table, opcode.c_str(), [](T a, T b) { return T(a - b); });
  for (const std::string &opcode : {"mul." + type, "mul.rn." + type})
    add<T, T, T>(table, opcode.c_str(), [](T a, T b) { return T(a * b); });
  add<T, T, T, T>(table, ("fma.rn." + type).c_str(), [](T a, T b, T c) { return std::fma(a, b, c); });
  add<T, T, T>(table, ("div.rn." + type).c_str(), [](T a, T b) { return T(a / b); });
  add<T, T>(table, ("neg." + type).c_str(), [](T a) { return -a; });
  add<T, T>(table, ("abs." + type).c_str(), [](T a) { return std::fabs(a); });
  add<T, T, T>(table, ("min." + type).c_str(), [](T a, T b) { return lesser(a, b); });
  add<T, T, T>(table, ("max." + type).c_str(), [](T a, T b) { return greater(a, b); });
  add<T, T, T>(table, ("min.NaN." + type).c_str(), [](T a, T b) {
    return std::isnan(a) ? a : std::isnan(b) ? b : lesser(a, b);
  });
  add<T, T, T>(table, ("max.NaN." + type).c_str(), [](T a, T b) {
    return std::isnan(a) ? a : std::isnan(b) ? b : greater(a, b);
  });
  // copysign d, a, b: the sign of a, the value of b.
  add<T, T, T>(table, ("copysign." + type).c_str(), [](T a, T b) { return std::copysign(b, a); });
  add<T, T>(table, ("sqrt.rn." + type).c_str(), [](T a) { return std::sqrt(a); });
  add<T, T>(table, ("rcp.rn." + type).c_str(), [](T a) { return T(1) / a; });
}

/// f16 and bf16: one operation in f32, rounded.
template <class T, float (*open)(T), T (*close)(float)> void addHalves(Table &table, const std::string &type) {
  for (const std::string &rounding : {std::string(), std::string("rn.")}) {
    add<T, T, T>(table, ("add." + rounding + type).c_str(), [](T a, T b) { return close(open(a) + open(b)); });
    add<T, T, T>(table, ("sub." + rounding + type).c_str(), [](T a, T b) { return close(open(a) - open(b)); });
    add<T, T, T>(table, ("mul." + rounding + type).c_str(), [](T a, T b) { return close(open(a) * open(b)); });
  }
  add<T, T>(table, ("neg." + type).c_str(), [](T a) { return close(-open(a)); });
  add<T, T>(table, ("abs." + type).c_str(), [](T a) { return close(std::fabs(open(a))); });
  add<T, T, T>(table, ("min." + type).c_str(), [](T a, T b) { return close(lesser(open(a), open(b))); });
  add<T, T, T>(table, ("max." + type).c_str(), [](T a, T b) { return close(greater(open(a), open(b))); });
}

float openHalf(_Float16 x) { return float(x); }
_Float16 closeHalf(float x) { return _Float16(x); }

} // namespace

void addFloats(Table &table) {
  addReals<float>(table, "f32");
  addReals<double>(table, "f64");
  addHalves<_Float16, openHalf, closeHalf>(table, "f16");
  addHalves<BFloat, toFloat, toBFloat>(table, "bf16");
  add<float, float, float>(table, "div.approx.f32", [](float a, float b) { return approximateQuotient(a, b); });
  add<float, float, float>(table, "div.full.f32", [](float a, float b) { return a / b; });
  add<float, float>(table, "rcp.approx.f32", [](float a) { return 1 / a; });
  add<float, float>(table, "rcp.approx.ftz.f32", [](float a) { return flushed(1 / flushed(a)); });
  add<float, float>(table, "sqrt.approx.f32", [](float a) { return std::sqrt(a); });
  add<float, float>(table, "rsqrt.approx.f32", [](float a) { return float(1 / std::sqrt(double(a))); });
  add<float, float>(table, "ex2.approx.f32", [](float a) { return float(std::exp2(double(a))); });
  add<float, float>(table, "ex2.approx.ftz.f32", [](float a) { return flushed(float(std::exp2(double(flushed(a))))); });
  add<float, float>(table, "lg2.approx.f32", [](float a) { return float(std::log2(double(a))); });
  add<float, float>(table, "lg2.approx.ftz.f32", [](float a) { return flushed(float(std::log2(double(flushed(a))))); });
  add<float, float>(table, "sin.approx.f32", [](float a) { return float(std::sin(double(a))); });
  add<float, float>(table, "cos.approx.f32", [](float a) { return float(std::cos(double(a))); });
  add<float, float>(table, "tanh.approx.f32", [](float a) { return float(std::tanh(double(a))); });
}

} // namespace rondo::emulator
