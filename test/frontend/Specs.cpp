#include "Specs.h"
#include <stdexcept>

namespace rondo::frontend::test {

const Value &Checked::value(const std::string &name) const {
  for (const TypedEquation &equation : model->equations)
    if (equation.name == name)
      return model->value(equation.value);
  throw std::runtime_error("no equation " + name);
}

const State &Checked::state(const std::string &name) const {
  for (const State &state : model->states)
    if (state.name == name)
      return state;
  throw std::runtime_error("no state " + name);
}

std::unique_ptr<Checked> check(const std::string &text, const std::map<std::string, std::string> &files,
                               const std::string &model) {
  auto result = std::make_unique<Checked>();
  uint32_t id = result->sources.add("test.rondo", text);
  File file = parse(result->sources, id, result->diagnostics);
  SemaOptions options;
  options.model = model;
  options.loadImport = [&](const std::string &path,
                           const std::string &) -> std::optional<std::pair<std::string, std::string>> {
    auto found = files.find(path);
    return found == files.end() ? std::nullopt : std::optional(std::pair(path, found->second));
  };
  if (!result->diagnostics.hasErrors())
    result->model = analyze(result->sources, id, file, options, result->diagnostics);
  for (const Diagnostic &error : result->diagnostics.all()) {
    LineColumn at = result->sources.position(error.span.file, error.span.begin);
    result->errors +=
        error.slug + " " + std::to_string(at.line) + ":" + std::to_string(at.column) + " " + error.message + "\n";
  }
  return result;
}

const std::map<std::string, std::string> &specs() {
  static const std::map<std::string, std::string> all = {
      {"rwkv6", R"(
// The current token has a bonus u and is read before it enters the state.
model rwkv6<K, V> {
  input r, k, w: [K]
  input v: [V]
  param u: [K] per head
  state S: [K, V] = 0
  S[t] = diag(exp(-exp(w[t]))) @ S[t-1] + outer(k[t], v[t])
  o[t] = r[t] @ (S[t-1] + diag(u) @ outer(k[t], v[t]))
  output o
})"},
      {"rwkv7", R"(
model rwkv7<K, V> {
  input r, k, kh, a: [K]
  input w: [K] in [0, 1]
  input v: [V]
  state S: [K, V] = 0
  n[t] = l2norm(kh[t])
  S[t] = (diag(w[t]) - outer(a[t] * n[t], n[t])) @ S[t-1] + outer(k[t], v[t])
  o[t] = r[t] @ S[t]
  output o
})"},
      {"mamba2", R"(
// B and C are shared by the heads of a group.
model mamba2<N, P> {
  input x: [P]
  input dt: [] >= 0
  input B, C: [N] per group
  param A: [] <= 0 per head
  param D: [] per head
  state S: [N, P] = 0
  S[t] = exp(dt[t] * A) * S[t-1] + dt[t] * outer(B[t], x[t])
  y[t] = C[t] @ S[t] + D * x[t]
  output y
})"},
      {"delta_product", R"(
// Two steps per token.
model delta_product<K, V> {
  input q, k1, k2: [K]
  input v1, v2: [V]
  input b1, b2: [] in [0, 2]
  state S: [K, V] = 0
  S[t] = (I - b2[t] * outer(k2[t], k2[t])) @ (I - b1[t] * outer(k1[t], k1[t])) @ S[t-1]
       + (I - b2[t] * outer(k2[t], k2[t])) @ (b1[t] * outer(k1[t], v1[t])) + b2[t] * outer(k2[t], v2[t])
  o[t] = q[t] @ S[t]
  output o
})"},
      {"complex_matrix", R"(
model gateloop<K, V> {
  input q, k: [K]
  input v: [V]
  input a, theta: [K]
  init S0: complex [K, V]
  state S: complex [K, V] = S0
  S[t] = diag(sigmoid(a[t]) * exp(complex(0, theta[t]))) @ S[t-1] + outer(k[t], v[t])
  o[t] = real(q[t] @ S[t])
  output o
})"},
      {"fn", R"(
fn halves(x: [2*N]) = x[0:N] * sigmoid(x[N:2*N])
fn norm(x: [N], eps = 1e-5) {
  c = x - sum(x) / N
  return c / sqrt(sum(c * c) / N + eps)
}
model fns<K> {
  input x: [2*K]
  y[t] = norm(halves(x[t]), eps = 1e-3)
  output y
})"},
      {"layer", R"(
model ema<N> {
  input x: [N]
  param decay: [N] in [0, 1]
  init h0: [N]
  state h: [N] = h0
  h[t] = decay * h[t-1] + (1 - decay) * x[t]
  d[t] = x[t] - x[t-1]
  output h
}
model stack<D> {
  input x: [D]
  layer a = ema<D>(x = x[t])
  layer b = ema<N = D>(x = tanh(a.h[t]), decay = a.decay)
  y[t] = x[t] + b.h[t] + b.d[t]
  output y
})"},
      {"block", R"(
// Projections, short convolution, gated linear attention per head, norm, output gate.
model block<D, H, K, V> {
  input x: [D]
  param Wq, Wk, Wa: [H*K, D]
  param Wv, Wg: [H*V, D]
  param Wo: [D, H*V]
  param c: [4, H*K]
  param scale: [V]
  xn[t] = rms_norm(x[t])
  kp[t] = Wk @ xn[t]
  state s: [H*K] = 0
  s[t] = kp[t]
  k[t] = silu(c[0] * kp[t] + c[1] * s[t-1] + c[2] * s[t-2] + c[3] * s[t-3])
  heads H {
    param bias: [K] per head
    q[t] = split(Wq @ xn[t], H)
    a[t] = sigmoid(split(Wa @ xn[t], H) + bias)
    state S: [K, V] = 0
    S[t] = diag(a[t]) @ S[t-1] + outer(split(k[t], H), split(Wv @ xn[t], H))
    o[t] = rms_norm(q[t] @ S[t], weight = scale)
  }
  y[t] = x[t] + Wo @ (merge(o[t]) * silu(Wg @ xn[t]))
  output y
})"},
      {"bidirectional", R"(
model bidirectional<D, N> {
  input x: [D]
  param W, R: [N, D]
  param U, Q: [N, N]
  state h: [N] = 0
  state g: [N] = 0
  h[t] = tanh(W @ x[t] + U @ h[t-1])
  g[t] = tanh(R @ x[t] + Q @ g[t+1])
  y[t] = concat(h[t], g[t])
  output y
})"},
      {"skip", R"(
model skip_rnn<D, N, p> {
  input x: [D]
  param W: [N, D]
  param U, V: [N, N]
  state h: [N] = 0
  h[t] = tanh(W @ x[t] + U @ h[t-1] + V @ h[t-p])
  output h
})"},
      {"token_shift", R"(
model token_shift<D> {
  input x: [D]
  param mu: [D] in [0, 1]
  y[t] = mu * x[t] + (1 - mu) * x[t-1] + x[t-3]
  z[t] = x[t+1] - x[t]
  output y, z
})"},
      {"two_axes", R"(
model grid<D, H> over (r, c) {
  input x: [D]
  param W: [H, D]
  param U, V: [H, H]
  state h: [H] = 0
  h[r, c] = tanh(W @ x[r, c] + U @ h[r-1, c] + V @ h[r, c+1])
  output h
})"},
  };
  return all;
}

} // namespace rondo::frontend::test
