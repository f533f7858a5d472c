// See HostCeilings.h. Written with the compiler's vector types, once for the processors that most have and once for what every x86-64 and every
// other machine has, since this program itself is compiled for the latter.
#include "compiler/tools/rondo/HostCeilings.h"
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

namespace rondo::tool {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLanes = 8, kSums = 12, kRepeats = 100000, kRounds = 6;
constexpr size_t kCopied = size_t(16) << 20;
using Vector = float __attribute__((vector_size(kLanes * sizeof(float))));

/// kSums sums that do not wait for each other: enough for two units of four cycles each.
inline __attribute__((always_inline)) float multiplyAdds() {
  Vector sums[kSums], factor{}, addend{};
  factor += 0.999f;
  addend += 1e-3f;
  for (int i = 0; i < kSums; ++i)
    sums[i] = addend * float(i);
  for (int repeat = 0; repeat < kRepeats; ++repeat)
    for (int i = 0; i < kSums; ++i)
      sums[i] = sums[i] * factor + addend;
  Vector all{};
  for (int i = 0; i < kSums; ++i)
    all += sums[i];
  return all[0];
}

float everywhere() { return multiplyAdds(); }
#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) float onAvx2() { return multiplyAdds(); }
#endif

float runMultiplyAdds() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return onAvx2();
#endif
  return everywhere();
}

/// The least seconds that `work(thread)` took on all threads at once, counted from the first to the last.
double least(int threads, const std::function<void(int)> &work) {
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = Clock::now();
    std::vector<std::thread> others;
    for (int thread = 1; thread < threads; ++thread)
      others.emplace_back(work, thread);
    work(0);
    for (std::thread &other : others)
      other.join();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    best = round == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

} // namespace

Ceilings measureCeilings(int threads) {
  Ceilings ceilings;
  std::vector<float> kept(size_t(threads) * 16); // each thread's on a cache line of its own
  const double multiplying = least(threads, [&](int thread) { kept[size_t(thread) * 16] += runMultiplyAdds(); });
  ceilings.operations = 2.0 * kLanes * kSums * kRepeats * threads / multiplying;
  std::vector<std::vector<char>> from(static_cast<size_t>(threads)), to(static_cast<size_t>(threads));
  for (int thread = 0; thread < threads; ++thread) {
    from[size_t(thread)].assign(kCopied, 1);
    to[size_t(thread)].assign(kCopied, char(kept[size_t(thread) * 16] > 0));
  }
  const double copying =
      least(threads, [&](int thread) { std::memcpy(to[size_t(thread)].data(), from[size_t(thread)].data(), kCopied); });
  ceilings.bytes = 2.0 * double(kCopied) * threads / copying;
  return ceilings;
}

} // namespace rondo::tool
