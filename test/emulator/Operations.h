// How handlers are made from functions on values, and the tables of them.
#pragma once
#include "test/emulator/Machine.h"
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace rondo::emulator {

using Table = std::unordered_map<std::string, Operation>;

void addIntegers(Table &table);
void addFloats(Table &table);
void addComparisons(Table &table);
void addConversions(Table &table);
void addCollectives(Table &table);
void addWarpgroups(Table &table);

/// Loads, stores, atomics and copies, whose opcodes are taken apart: "ld.global.nc.v4.b32".
Operation findMemoryOperation(std::string_view opcode);

/// A bfloat16: the upper half of a float.
struct BFloat {
  uint16_t bits = 0;
};
float toFloat(BFloat x);
BFloat toBFloat(float x); // to nearest, ties to even
inline float toFloat(_Float16 x) { return float(x); }

/// One of the two halves of a register of a fragment.
template <class T> float halfOf(uint32_t bits, int which) {
  const auto part = uint16_t(bits >> (16 * which));
  T value;
  __builtin_memcpy(&value, &part, sizeof value);
  return toFloat(value);
}

template <size_t bytes>
using Raw = std::conditional_t<bytes == 8, uint64_t, std::conditional_t<bytes == 4, uint32_t, uint16_t>>;

/// The 32 lanes of an operand as T. Compiled with -fno-strict-aliasing: banks hold bits.
template <class T> const T *read(const Warp &warp, uint32_t operand) {
  return reinterpret_cast<const T *>(warp.in<Raw<sizeof(T)>>(operand));
}
template <class T> T *write(Warp &warp, uint32_t operand) {
  return reinterpret_cast<T *>(warp.out<Raw<sizeof(T)>>(operand));
}

template <class F> void forLanes(uint32_t mask, F &&f) {
  if (mask == ~0u)
    for (int lane = 0; lane < 32; ++lane)
      f(lane);
  else
    for (int lane = 0; lane < 32; ++lane)
      if ((mask >> lane) & 1)
        f(lane);
}

template <class T> constexpr Bank bankOf = sizeof(T) == 8 ? Bank::B64 : sizeof(T) == 4 ? Bank::B32 : Bank::B16;

/// result = f(arguments...), lane by lane. `f` is a lambda without captures.
template <class F, class R, class... A> Step map(Warp &warp, const Instruction &i, uint32_t mask) {
  [&]<size_t... n>(std::index_sequence<n...>) {
    if (i.banks[0] != bankOf<R> || (... || (!(i.operands[n + 1] & kConstant) && i.banks[n + 1] != bankOf<A>)))
      warp.fail("an operand of another size than the instruction's");
    R *out = write<R>(warp, i.operands[0]);
    const std::tuple<const A *...> in = {read<A>(warp, i.operands[n + 1])...};
    forLanes(mask, [&](int lane) { out[lane] = R(F{}(std::get<n>(in)[lane]...)); });
  }(std::index_sequence_for<A...>());
  return Step::Next;
}

template <class R, class... A, class F> void add(Table &table, const char *opcode, F) {
  table[opcode] = {&map<F, R, A...>};
}

} // namespace rondo::emulator
