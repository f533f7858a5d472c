// Integers and bits.
#include "test/emulator/Operations.h"
#include <algorithm>

namespace rondo::emulator {
namespace {

Step move64(Warp &warp, const Instruction &i, uint32_t mask) {
  if (i.count == 3 && i.banks[2] != Bank::B64) { // {low, high} to 64 bits
    uint64_t *out = write<uint64_t>(warp, i.operands[0]);
    const uint32_t *low = read<uint32_t>(warp, i.operands[1]), *high = read<uint32_t>(warp, i.operands[2]);
    forLanes(mask, [&](int lane) { out[lane] = low[lane] | uint64_t(high[lane]) << 32; });
  } else if (i.count == 3) {
    uint32_t *low = write<uint32_t>(warp, i.operands[0]), *high = write<uint32_t>(warp, i.operands[1]);
    const uint64_t *in = read<uint64_t>(warp, i.operands[2]);
    forLanes(mask, [&](int lane) {
      low[lane] = uint32_t(in[lane]);
      high[lane] = uint32_t(in[lane] >> 32);
    });
  } else {
    const uint64_t *in = read<uint64_t>(warp, i.operands[1]);
    uint64_t *out = write<uint64_t>(warp, i.operands[0]);
    forLanes(mask, [&](int lane) { out[lane] = in[lane]; });
  }
  return Step::Next;
}

Step move32(Warp &warp, const Instruction &i, uint32_t mask) {
  if (i.count == 3 && i.banks[2] != Bank::B32) { // {low, high} to 32 bits
    uint32_t *out = write<uint32_t>(warp, i.operands[0]);
    const uint16_t *low = read<uint16_t>(warp, i.operands[1]), *high = read<uint16_t>(warp, i.operands[2]);
    forLanes(mask, [&](int lane) { out[lane] = low[lane] | uint32_t(high[lane]) << 16; });
  } else if (i.count == 3) {
    uint16_t *low = write<uint16_t>(warp, i.operands[0]), *high = write<uint16_t>(warp, i.operands[1]);
    const uint32_t *in = read<uint32_t>(warp, i.operands[2]);
    forLanes(mask, [&](int lane) {
      low[lane] = uint16_t(in[lane]);
      high[lane] = uint16_t(in[lane] >> 16);
    });
  } else {
    const uint32_t *in = read<uint32_t>(warp, i.operands[1]);
    uint32_t *out = write<uint32_t>(warp, i.operands[0]);
    forLanes(mask, [&](int lane) { out[lane] = in[lane]; });
  }
  return Step::Next;
}

template <class T> constexpr T shiftLeft(T x, uint32_t by) { return by < sizeof(T) * 8 ? T(x << by) : T(0); }
template <class T> constexpr T shiftRight(T x, uint32_t by) {
  return by < sizeof(T) * 8 ? T(x >> by) : T(std::is_signed_v<T> && x < 0 ? -1 : 0);
}

template <class U, class S> void addSized(Table &table, const std::string &bits) {
  const auto put = [&]<class R, class... A>(const std::string &name, auto f, std::type_identity<R (*)(A...)>) {
    add<R, A...>(table, name.c_str(), f);
  };
  constexpr auto unary = std::type_identity<U (*)(U)>();
  constexpr auto binary = std::type_identity<U (*)(U, U)>();
  constexpr auto signedBinary = std::type_identity<S (*)(S, S)>();
  constexpr auto ternary = std::type_identity<U (*)(U, U, U)>();
  for (const char *sign : {".s", ".u"}) {
    const std::string type = sign + bits;
    put("add" + type, [](U a, U b) { return U(a + b); }, binary);
    put("sub" + type, [](U a, U b) { return U(a - b); }, binary);
    put("mul.lo" + type, [](U a, U b) { return U(uint64_t(a) * b); }, binary);
    put("mad.lo" + type, [](U a, U b, U c) { return U(uint64_t(a) * b + c); }, ternary);
  }
  put("neg.s" + bits, [](U a) { return U(U(0) - a); }, unary);
  put("abs.s" + bits, [](U a) { return S(a) < 0 ? U(U(0) - a) : a; }, unary);
  put("not.b" + bits, [](U a) { return U(~a); }, unary);
  put("and.b" + bits, [](U a, U b) { return U(a & b); }, binary);
  put("or.b" + bits, [](U a, U b) { return U(a | b); }, binary);
  put("xor.b" + bits, [](U a, U b) { return U(a ^ b); }, binary);
  put("min.u" + bits, [](U a, U b) { return std::min(a, b); }, binary);
  put("max.u" + bits, [](U a, U b) { return std::max(a, b); }, binary);
  put("min.s" + bits, [](S a, S b) { return std::min(a, b); }, signedBinary);
  put("max.s" + bits, [](S a, S b) { return std::max(a, b); }, signedBinary);
  // Division by zero has no defined value; this one is what GPUs give.
  put("div.u" + bits, [](U a, U b) { return b ? U(a / b) : U(~U(0)); }, binary);
  put("rem.u" + bits, [](U a, U b) { return b ? U(a % b) : a; }, binary);
  put("div.s" + bits, [](S a, S b) { return b == -1 ? S(U(0) - U(a)) : b ? S(a / b) : S(-1); }, signedBinary);
  put("rem.s" + bits, [](S a, S b) { return b == -1 ? S(0) : b ? S(a % b) : a; }, signedBinary);
  constexpr auto shift = std::type_identity<U (*)(U, uint32_t)>();
  put("shl.b" + bits, [](U a, uint32_t by) { return shiftLeft(a, by); }, shift);
  put("shr.u" + bits, [](U a, uint32_t by) { return shiftRight(a, by); }, shift);
  put("shr.b" + bits, [](U a, uint32_t by) { return shiftRight(a, by); }, shift);
  put("shr.s" + bits, [](S a, uint32_t by) { return shiftRight(a, by); }, std::type_identity<S (*)(S, uint32_t)>());
}

} // namespace

void addIntegers(Table &table) {
  addSized<uint16_t, int16_t>(table, "16");
  addSized<uint32_t, int32_t>(table, "32");
  addSized<uint64_t, int64_t>(table, "64");
  for (const char *type : {"mov.b64", "mov.u64", "mov.s64", "mov.f64"})
    table[type] = {&move64};
  for (const char *type : {"mov.b32", "mov.u32", "mov.s32", "mov.f32"})
    table[type] = {&move32};
  for (const char *type : {"mov.b16", "mov.u16", "mov.s16"})
    add<uint16_t, uint16_t>(table, type, [](uint16_t a) { return a; });
  for (const char *type : {"cvta.global.u64", "cvta.to.global.u64", "cvta.shared.u64", "cvta.to.shared.u64"})
    add<uint64_t, uint64_t>(table, type, [](uint64_t a) { return a; });
  add<uint32_t, uint32_t, uint32_t>(table, "mul.hi.u32", [](uint32_t a, uint32_t b) { return uint64_t(a) * b >> 32; });
  add<int32_t, int32_t, int32_t>(table, "mul.hi.s32", [](int32_t a, int32_t b) { return int64_t(a) * b >> 32; });
  add<uint64_t, uint64_t, uint64_t>(table, "mul.hi.u64", [](uint64_t a, uint64_t b) {
    return uint64_t(static_cast<unsigned __int128>(a) * b >> 64);
  });
  add<uint32_t, uint16_t, uint16_t>(table, "mul.wide.u16", [](uint32_t a, uint32_t b) { return a * b; });
  add<int32_t, int16_t, int16_t>(table, "mul.wide.s16", [](int32_t a, int32_t b) { return a * b; });
  add<uint64_t, uint32_t, uint32_t>(table, "mul.wide.u32", [](uint64_t a, uint64_t b) { return a * b; });
  add<int64_t, int32_t, int32_t>(table, "mul.wide.s32", [](int64_t a, int64_t b) { return a * b; });
  add<uint64_t, uint32_t, uint32_t, uint64_t>(table, "mad.wide.u32",
                                              [](uint64_t a, uint64_t b, uint64_t c) { return a * b + c; });
  add<int64_t, int32_t, int32_t, int64_t>(table, "mad.wide.s32",
                                          [](int64_t a, int64_t b, int64_t c) { return a * b + c; });
  add<uint32_t, uint32_t, uint32_t, uint32_t>(table, "bfe.u32", [](uint32_t a, uint32_t at, uint32_t bits) {
    return (at > 31 ? 0 : a >> at) & (bits > 31 ? ~0u : (1u << bits) - 1);
  });
  add<uint64_t, uint64_t, uint32_t, uint32_t>(table, "bfe.u64", [](uint64_t a, uint32_t at, uint32_t bits) {
    return (at > 63 ? 0 : a >> at) & (bits > 63 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1);
  });
  add<uint32_t, uint32_t, uint32_t, uint32_t>(table, "shf.l.wrap.b32", [](uint32_t a, uint32_t b, uint32_t by) {
    return uint32_t((uint64_t(b) << 32 | a) << (by & 31) >> 32);
  });
  add<uint32_t, uint32_t, uint32_t, uint32_t>(table, "shf.r.wrap.b32", [](uint32_t a, uint32_t b, uint32_t by) {
    return uint32_t((uint64_t(b) << 32 | a) >> (by & 31));
  });
  add<uint32_t, uint32_t, uint32_t, uint32_t>(table, "prmt.b32", [](uint32_t a, uint32_t b, uint32_t choice) {
    const uint64_t bytes = uint64_t(b) << 32 | a;
    uint32_t result = 0;
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t nibble = choice >> (4 * i), byte = uint32_t(bytes >> (8 * (nibble & 7))) & 0xff;
      result |= (nibble & 8 ? (byte & 0x80 ? 0xffu : 0u) : byte) << (8 * i);
    }
    return result;
  });
  add<uint32_t, uint32_t>(table, "popc.b32", [](uint32_t a) { return uint32_t(__builtin_popcount(a)); });
  add<uint32_t, uint32_t>(table, "clz.b32", [](uint32_t a) { return uint32_t(a ? __builtin_clz(a) : 32); });
}

} // namespace rondo::emulator
