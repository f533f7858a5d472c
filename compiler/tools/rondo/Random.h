// Random numbers that are the same on every machine and standard library, so that a printed seed reproduces a failure.
#pragma once
#include <cmath>
#include <cstdint>
#include <string_view>

namespace rondo::tool {

/// splitmix64 (Steele, Lea, Flood, 2014).
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}

  /// An independent stream for a named thing, so that one tensor's draw does not depend on the others.
  Random(uint64_t seed, std::string_view name) : state(seed) {
    for (char c : name)
      state = (state ^ uint8_t(c)) * 0x100000001b3ULL;
    next();
  }

  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  /// In [0, 1), 53 bits.
  double uniform() { return double(next() >> 11) * 0x1p-53; }

  /// N(0, 1), by Box and Muller.
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }

  /// -1 or +1.
  double sign() { return next() >> 63 ? 1 : -1; }

private:
  uint64_t state;
};

} // namespace rondo::tool
