// What this machine can do at most: the rate of OpenBLAS' sgemm on products of the sizes that chunks have, and the bandwidth of a
// copy. Prints JSON. Each number is the best of many runs on one thread per core that is asked for, all at once.
#include <algorithm>
#include <cblas.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <omp.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

/// GFLOP/s of m x k times k x n, on `threads` threads that each have matrices of their own.
double sgemmRate(int m, int n, int k, int threads) {
  double best = 0;
  for (int round = 0; round < 20; ++round) {
    const int repeats = 400;
    double seconds = 0;
#pragma omp parallel num_threads(threads) reduction(max : seconds)
    {
      std::vector<float> a(size_t(m) * k, 1.f), b(size_t(k) * n, 1.f), c(size_t(m) * n);
#pragma omp barrier
      const auto begin = Clock::now();
      for (int i = 0; i < repeats; ++i)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a.data(), k, b.data(), n, 0, c.data(), n);
      seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    }
    best = std::max(best, 2.0 * m * n * k * repeats * threads / seconds * 1e-9);
  }
  return best;
}

/// GB/s read and written by memcpy of arrays that no cache holds.
double copyBandwidth(int threads) {
  const size_t bytes = size_t(64) << 20;
  std::vector<std::vector<char>> from(threads), to(threads);
  double best = 0;
  for (int round = 0; round < 8; ++round) {
    double seconds = 0;
#pragma omp parallel num_threads(threads) reduction(max : seconds)
    {
      const int me = omp_get_thread_num();
      from[me].resize(bytes, 1);
      to[me].resize(bytes, 2);
#pragma omp barrier
      const auto begin = Clock::now();
      std::memcpy(to[me].data(), from[me].data(), bytes);
      seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    }
    best = std::max(best, 2.0 * double(bytes) * threads / seconds * 1e-9);
  }
  return best;
}

} // namespace

int main(int argc, char **argv) {
  const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : 1;
  openblas_set_num_threads(1); // the threads are ours
  std::printf("{\"blas\": \"%s\", \"sgemm64\": %.1f, \"sgemm128\": %.1f, \"copy\": %.1f}\n", openblas_get_config(),
              sgemmRate(64, 64, 64, threads), sgemmRate(64, 128, 128, threads), copyBandwidth(threads));
}
