#include "PlainLoops.h"
#include <cmath>
#include <cstring>

namespace rondo::bench {
namespace {

/// Calls body(b, h) for every sequence and head, over threads.
template <typename Body> void forEachHead(const PlainCall &call, const Body &body) {
#pragma omp parallel for collapse(2) num_threads(call.threads)
  for (int64_t b = 0; b < call.shape.batch; ++b)
    for (int64_t h = 0; h < call.shape.heads; ++h)
      body(b, h);
}

/// Where time step t of sequence b and head h begins, in rows.
int64_t rowOf(const PlainCall &call, int64_t b, int64_t t, int64_t h) {
  return (b * call.shape.time + t) * call.shape.heads + h;
}

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

/// S[k] = decay * S[k] + key * v and out += query * S[k], of one row of the state.
template <int V> void updateRow(float *S, float decay, float key, const float *v, float query, float *out) {
  for (int j = 0; j < V; ++j) {
    S[j] = decay * S[j] + key * v[j];
    out[j] += query * S[j];
  }
}

} // namespace

template <int K, int V> void plainGla(const PlainCall &call) {
  const float *q = call["q"], *k = call["k"], *v = call["v"], *g = call["g"];
  forEachHead(call, [&](int64_t b, int64_t h) {
    float S[K][V] = {};
    for (int64_t t = 0; t < call.shape.time; ++t) {
      const int64_t row = rowOf(call, b, t, h);
      float out[V] = {};
      for (int i = 0; i < K; ++i)
        updateRow<V>(S[i], std::exp(g[row * K + i]), k[row * K + i], v + row * V, q[row * K + i], out);
      std::memcpy(call.output + row * V, out, sizeof out);
    }
  });
}

template <int K, int V> void plainRetnet(const PlainCall &call) {
  const float *q = call["q"], *k = call["k"], *v = call["v"], *gamma = call["gamma"];
  forEachHead(call, [&](int64_t b, int64_t h) {
    float S[K][V] = {};
    for (int64_t t = 0; t < call.shape.time; ++t) {
      const int64_t row = rowOf(call, b, t, h);
      float out[V] = {};
      for (int i = 0; i < K; ++i)
        updateRow<V>(S[i], gamma[h], k[row * K + i], v + row * V, q[row * K + i], out);
      std::memcpy(call.output + row * V, out, sizeof out);
    }
  });
}

template <int K, int V> void plainHgrn2(const PlainCall &call) {
  const float *q = call["q"], *f = call["f"], *v = call["v"], *lower = call["lower"];
  forEachHead(call, [&](int64_t b, int64_t h) {
    float S[K][V] = {};
    for (int64_t t = 0; t < call.shape.time; ++t) {
      const int64_t row = rowOf(call, b, t, h);
      float out[V] = {};
      for (int i = 0; i < K; ++i) {
        const float low = lower[h * K + i], a = low + (1 - low) * sigmoid(f[row * K + i]);
        updateRow<V>(S[i], a, 1 - a, v + row * V, q[row * K + i], out);
      }
      std::memcpy(call.output + row * V, out, sizeof out);
    }
  });
}

/// The delta rule; `Gated`: of a state that decays first.
template <int K, int V, bool Gated> static void deltaRule(const PlainCall &call) {
  const float *gates = Gated ? call["g"] : nullptr, *q = call["q"], *k = call["k"], *v = call["v"],
              *beta = call["beta"];
  forEachHead(call, [&](int64_t b, int64_t h) {
    float S[K][V] = {};
    for (int64_t t = 0; t < call.shape.time; ++t) {
      const int64_t row = rowOf(call, b, t, h);
      float norm = 1e-6f;
      for (int i = 0; i < K; ++i)
        norm += k[row * K + i] * k[row * K + i];
      const float scale = 1 / std::sqrt(norm), decay = Gated ? std::exp(gates[row]) : 1;
      float kept[V] = {}; // kh @ S, decayed
      for (int i = 0; i < K; ++i)
        for (int j = 0; j < V; ++j)
          kept[j] += decay * scale * k[row * K + i] * S[i][j];
      float change[V], out[V] = {};
      for (int j = 0; j < V; ++j)
        change[j] = beta[row] * (v[row * V + j] - kept[j]);
      for (int i = 0; i < K; ++i)
        updateRow<V>(S[i], decay, scale * k[row * K + i], change, q[row * K + i], out);
      std::memcpy(call.output + row * V, out, sizeof out);
    }
  });
}

template <int K, int V> void plainDeltanet(const PlainCall &call) { deltaRule<K, V, false>(call); }
template <int K, int V> void plainGatedDeltaNet(const PlainCall &call) { deltaRule<K, V, true>(call); }

template <int N, int P> void plainMamba2(const PlainCall &call) {
  const float *x = call["x"], *dt = call["dt"], *B = call["B"], *C = call["C"], *A = call["A"], *skip = call["skip"];
  forEachHead(call, [&](int64_t b, int64_t h) {
    float S[N][P] = {};
    for (int64_t t = 0; t < call.shape.time; ++t) {
      const int64_t row = rowOf(call, b, t, h), shared = b * call.shape.time + t;
      const float decay = std::exp(dt[row] * A[h]);
      float out[P];
      for (int j = 0; j < P; ++j)
        out[j] = skip[h] * x[row * P + j];
      for (int i = 0; i < N; ++i)
        updateRow<P>(S[i], decay, dt[row] * B[shared * N + i], x + row * P, C[shared * N + i], out);
      std::memcpy(call.output + row * P, out, sizeof out);
    }
  });
}

void plainSelectiveScan(const PlainCall &call) {
  constexpr int D = 1024, N = 16;
  const float *x = call["x"], *delta = call["delta"], *B = call["B"], *C = call["C"], *A = call["A"];
  const float *skip = call["skip"];
  forEachHead(call, [&](int64_t b, int64_t) {
    std::vector<float> state(size_t(D) * N);
    for (int64_t row = b * call.shape.time; row < (b + 1) * call.shape.time; ++row)
      for (int d = 0; d < D; ++d) {
        const float step = delta[row * D + d], in = step * x[row * D + d];
        float *h = state.data() + d * N, y = skip[d] * x[row * D + d];
        for (int n = 0; n < N; ++n) {
          h[n] = std::exp(step * A[d * N + n]) * h[n] + in * B[row * N + n];
          y += h[n] * C[row * N + n];
        }
        call.output[row * D + d] = y;
      }
  });
}

void plainScan(const PlainCall &call) {
  constexpr int D = 1024;
  const float *a = call["a"], *x = call["b"];
  forEachHead(call, [&](int64_t b, int64_t) {
    std::vector<float> h(D);
    for (int64_t row = b * call.shape.time; row < (b + 1) * call.shape.time; ++row)
      for (int d = 0; d < D; ++d) {
        h[size_t(d)] = a[row * D + d] * h[size_t(d)] + x[row * D + d];
        call.output[row * D + d] = h[size_t(d)];
      }
  });
}

void plainMinGru(const PlainCall &call) {
  constexpr int D = 1024, H = 1024;
  const float *x = call["x"], *Wz = call["Wz"], *Wh = call["Wh"], *bz = call["bz"], *bh = call["bh"];
  forEachHead(call, [&](int64_t b, int64_t) {
    std::vector<float> h(H);
    for (int64_t row = b * call.shape.time; row < (b + 1) * call.shape.time; ++row)
      for (int i = 0; i < H; ++i) {
        float gate = 0, candidate = 0;
#pragma omp simd reduction(+ : gate, candidate)
        for (int d = 0; d < D; ++d) {
          gate += Wz[i * D + d] * x[row * D + d];
          candidate += Wh[i * D + d] * x[row * D + d];
        }
        const float z = sigmoid(gate + bz[i]);
        h[size_t(i)] = (1 - z) * h[size_t(i)] + z * (candidate + bh[i]);
        call.output[row * H + i] = h[size_t(i)];
      }
  });
}

template void plainGla<64, 64>(const PlainCall &);
template void plainGla<128, 128>(const PlainCall &);
template void plainRetnet<64, 64>(const PlainCall &);
template void plainRetnet<128, 128>(const PlainCall &);
template void plainHgrn2<64, 64>(const PlainCall &);
template void plainHgrn2<128, 128>(const PlainCall &);
template void plainDeltanet<64, 64>(const PlainCall &);
template void plainDeltanet<128, 128>(const PlainCall &);
template void plainGatedDeltaNet<64, 64>(const PlainCall &);
template void plainGatedDeltaNet<128, 128>(const PlainCall &);
template void plainMamba2<64, 64>(const PlainCall &);
template void plainMamba2<128, 128>(const PlainCall &);

} // namespace rondo::bench
