// Compiles a model from its text and runs it on this program's own memory: gated linear attention (arXiv:2312.06635), one sequence
// of two tokens, one head. The second call continues from the first one's final state, as decoding does.
#include <cmath>
#include <cstdio>
#include <rondo/Engine.h>
#include <vector>

static const char *gla = R"(
model gla<K, V> {
  input q, k: [K]
  input v: [V]
  input g: [K] <= 0
  state S: [K, V] = 0
  S[t] = diag(exp(g[t])) @ S[t-1] + outer(k[t], v[t])
  o[t] = q[t] @ S[t]
  output o
})";

int main() {
  const int64_t T = 2, K = 2, V = 3;
  rondo::CompileOptions options;
  options.dims = {{"K", K}, {"V", V}};
  rondo::Engine engine;
  auto kernel = engine.compileText(gla, "gla.rondo", options);
  if (!kernel) {
    std::fprintf(stderr, "%s\n", kernel.error().message().c_str());
    return 1;
  }

  std::vector<float> q = {1, 0, 1, 1}, k = {1, 2, 0, 1}, v = {1, 2, 3, 4, 5, 6};
  std::vector<float> g(T * K, std::log(0.5f)), S(K * V), o(T * V);
  auto overTime = [&](std::vector<float> &data, int64_t size) {
    return rondo::Tensor{data.data(), rondo::DType::F32, {1, T, 1, size}, {}};
  };
  rondo::Tensor state{S.data(), rondo::DType::F32, {1, 1, K, V}, {}};

  for (int call = 0; call < 2; ++call) {
    auto done = kernel->run(
        {{"q", overTime(q, K)}, {"k", overTime(k, K)}, {"v", overTime(v, V)}, {"g", overTime(g, K)}, {"S", state}},
        {{"o", overTime(o, V)}, {"S", state}});
    if (!done) {
      std::fprintf(stderr, "%s\n", done.error().message().c_str());
      return 1;
    }
    for (int64_t t = 0; t < T; ++t)
      std::printf("o[%ld] = %g %g %g\n", long(call * T + t), o[t * V], o[t * V + 1], o[t * V + 2]);
  }
}
