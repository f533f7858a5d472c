// Matrix states and the selective scan beside ggml's operators on the CPU, f32: a prompt at once, and one token. The library is opened at run
// time, with --peer=ggml=PATH. What an operator does not do itself (decays out of their logarithms, normalised keys) is given to it
// ready-made; Rondo computes it in what is timed. Both sides take states and give new ones: Rondo where the old ones lie, ggml's operators in
// their result, from which an application copies them for the next call; that copy is not timed.
#include "Case.h"
#include <algorithm>
#include <array>
#include <cmath>
#include <dlfcn.h>
#include <fmt/format.h>

namespace rondo::bench {
namespace {

// The few declarations of ggml's interface that are needed here. All types are opaque but this one, which ggml_init takes by value.
struct InitParams {
  size_t size;
  void *buffer;
  bool noAlloc;
};
struct Context;
struct Node;
struct Graph;
struct Backend;
constexpr int kF32 = 0, kI32 = 26; // of its enum ggml_type

/// libggml with the libraries that it needs. Stays open for as long as the process runs.
struct Library {
  Context *(*init)(InitParams);
  Node *(*newTensor)(Context *, int type, int rank, const int64_t *sizes);
  void *(*data)(const Node *);
  Graph *(*newGraph)(Context *);
  void (*expand)(Graph *, Node *);
  Backend *(*cpu)();
  void (*setThreads)(Backend *, int);
  int (*compute)(Backend *, Graph *);
  const char *(*version)();
  Node *(*gatedLinearAttention)(Context *, Node *k, Node *v, Node *q, Node *g, Node *state, float scale);
  Node *(*rwkv6)(Context *, Node *k, Node *v, Node *r, Node *bonus, Node *decay, Node *state);
  Node *(*rwkv7)(Context *, Node *r, Node *w, Node *k, Node *v, Node *a, Node *b, Node *state);
  Node *(*gatedDelta)(Context *, Node *q, Node *k, Node *v, Node *g, Node *beta, Node *state, int64_t snapshots);
  Node *(*selectiveScan)(Context *, Node *s, Node *x, Node *dt, Node *A, Node *B, Node *C, Node *ids,
                         int64_t snapshots);

  static Result<Library> open(const std::string &path) {
    void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle)
      return Error(fmt::format("ggml: {}", dlerror()));
    Library library;
    std::string missing;
    auto load = [&](auto &function, const char *name) {
      void *found = dlsym(handle, name);
      if (!found)
        missing += fmt::format(" {}", name);
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(found);
    };
    load(library.init, "ggml_init");
    load(library.newTensor, "ggml_new_tensor");
    load(library.data, "ggml_get_data");
    load(library.newGraph, "ggml_new_graph");
    load(library.expand, "ggml_build_forward_expand");
    load(library.cpu, "ggml_backend_cpu_init");
    load(library.setThreads, "ggml_backend_cpu_set_n_threads");
    load(library.compute, "ggml_backend_graph_compute");
    load(library.version, "ggml_version");
    load(library.gatedLinearAttention, "ggml_gated_linear_attn");
    load(library.rwkv6, "ggml_rwkv_wkv6");
    load(library.rwkv7, "ggml_rwkv_wkv7");
    load(library.gatedDelta, "ggml_gated_delta_net");
    load(library.selectiveScan, "ggml_ssm_scan");
    if (!missing.empty())
      return Error(fmt::format("ggml: {} has no{}", path, missing));
    return library;
  }
};

/// What one operator reads: a context, and tensors filled from Rondo's arrays.
class Operands {
public:
  Operands(const Library &library, RondoCall &call, const Shape &shape)
      : library(library), arrays(call.arrays()), shape(shape) {
    size_t bytes = size_t{16} << 20; // the graph and its nodes
    for (const auto &[name, buffer] : arrays)
      bytes += 2 * buffer.bytes();
    context = library.init({bytes, nullptr, false});
  }

  /// Of `sizes`, fastest first; element i is of(i).
  template <typename F> Node *filled(std::vector<int64_t> sizes, F of) {
    Node *node = library.newTensor(context, kF32, int(sizes.size()), sizes.data());
    auto *to = static_cast<float *>(library.data(node));
    int64_t count = 1;
    for (int64_t size : sizes)
      count *= size;
    for (int64_t i = 0; i < count; ++i)
      to[i] = float(of(i));
    return node;
  }
  /// A vector (or with `size` 1 a number) per step and head: [size, heads, time, batch] has the order of [B, T, H, size].
  Node *steps(const std::string &name, int64_t size, double (*as)(double) = nullptr) {
    const float *from = arrays.at(name).as<float>();
    return filled({size, shape.heads, shape.time, shape.batch},
                  [&](int64_t i) { return as ? as(double(from[i])) : double(from[i]); });
  }
  const float *array(const std::string &name) const { return arrays.at(name).as<float>(); }

  const Library &library;
  const Arrays &arrays;
  Shape shape;
  Context *context;
};

/// Keys of unit length, a step's and head's after another.
std::vector<float> normalised(const float *keys, const float *factors, int64_t heads, int64_t size, int64_t count) {
  std::vector<float> result(size_t(count * size));
  for (int64_t row = 0; row < count; ++row) {
    auto at = [&](int64_t i) {
      return double(keys[row * size + i]) * (factors ? double(factors[row % heads * size + i]) : 1);
    };
    double sum = 0;
    for (int64_t i = 0; i < size; ++i)
      sum += at(i) * at(i);
    for (int64_t i = 0; i < size; ++i)
      result[size_t(row * size + i)] = float(at(i) / std::sqrt(sum));
  }
  return result;
}

/// Rondo's initial state [B, H, K, V]; `transposed`: value by value.
Node *matrixState(Operands &in, int64_t size, bool transposed) {
  const float *from = in.array("S.init");
  return in.filled({size, size, in.shape.heads, in.shape.batch}, [&](int64_t i) {
    int64_t column = i % size, row = i / size % size;
    return double(transposed ? from[i / (size * size) * size * size + column * size + row] : from[i]);
  });
}

/// The state of operators that have a row for each sequence.
Node *flatState(Operands &in, int64_t size, bool transposed) {
  Node *square = matrixState(in, size, transposed);
  const auto *from = static_cast<const float *>(in.library.data(square));
  return in.filled({size * size * in.shape.heads, in.shape.batch}, [&](int64_t i) { return from[i]; });
}

double exponential(double x) { return std::exp(x); }
double doubleExponential(double x) { return std::exp(-std::exp(x)); }
/// What softplus makes x of.
double beforeSoftplus(double x) { return std::log(std::expm1(x)); }

Node *gla(Operands &in, int64_t size) {
  return in.library.gatedLinearAttention(in.context, in.steps("k", size), in.steps("v", size), in.steps("q", size),
                                         in.steps("g", size, exponential), flatState(in, size, false), 1);
}

Node *rwkv6(Operands &in, int64_t size) {
  Node *bonus = in.filled({size, in.shape.heads}, [&](int64_t i) { return in.array("u")[i]; });
  return in.library.rwkv6(in.context, in.steps("k", size), in.steps("v", size), in.steps("r", size), bonus,
                          in.steps("w", size, doubleExponential), flatState(in, size, false));
}

/// The transition is diag(w) + b aᵀ on what it keeps transposed: a = -kh, b = kh times the learning rate. It has no bonus: rho is zero.
Node *rwkv7(Operands &in, int64_t size) {
  const int64_t rows = in.shape.batch * in.shape.time * in.shape.heads;
  std::vector<float> kh = normalised(in.array("k"), in.array("xi"), in.shape.heads, size, rows);
  const float *rate = in.array("a"), *alpha = in.array("alpha"), *key = in.array("k");
  std::vector<int64_t> sizes{size, in.shape.heads, in.shape.time, in.shape.batch};
  auto decay = [](double d) { return std::exp(-std::exp(-0.5) / (1 + std::exp(-d))); };
  Node *k =
      in.filled(sizes, [&](int64_t i) { return key[i] * (1 + (rate[i] - 1) * alpha[i % (size * in.shape.heads)]); });
  Node *a = in.filled(sizes, [&](int64_t i) { return -kh[size_t(i)]; });
  Node *b = in.filled(sizes, [&](int64_t i) { return kh[size_t(i)] * rate[i]; });
  return in.library.rwkv7(in.context, in.steps("r", size), in.steps("d", size, decay), k, in.steps("v", size), a, b,
                          flatState(in, size, true));
}

/// gated_delta_net, and kda where the decay is a vector. It divides what it reads by the root of the size.
Node *gatedDelta(Operands &in, int64_t size, int64_t decay) {
  const int64_t rows = in.shape.batch * in.shape.time * in.shape.heads;
  std::vector<float> kh = normalised(in.array("k"), nullptr, in.shape.heads, size, rows);
  std::vector<int64_t> sizes{size, in.shape.heads, in.shape.time, in.shape.batch};
  Node *k = in.filled(sizes, [&](int64_t i) { return kh[size_t(i)]; });
  Node *q = in.filled(sizes, [&](int64_t i) { return in.array("q")[i] * std::sqrt(double(size)); });
  return in.library.gatedDelta(in.context, q, k, in.steps("v", size), in.steps("g", decay), in.steps("beta", 1),
                               matrixState(in, size, true), 1);
}
Node *gatedDeltaNet(Operands &in, int64_t size) { return gatedDelta(in, size, 1); }
Node *kda(Operands &in, int64_t size) { return gatedDelta(in, size, size); }

/// Mamba's: every channel is a head of one number. The operator takes a softplus of its step; it adds no skip, which is zero here.
Node *selectiveScan(Operands &in, int64_t channels) {
  const auto [batch, time, heads] = in.shape;
  const int64_t N = in.arrays.at("B").shape().back();
  auto plain = [&](const char *name) { return [from = in.array(name)](int64_t i) { return from[i]; }; };
  Node *state = in.filled({N, 1, channels, batch}, plain("h.init"));
  Node *x = in.filled({1, channels, time, batch}, plain("x"));
  Node *step = in.filled({channels, time, batch}, [&](int64_t i) { return beforeSoftplus(in.array("delta")[i]); });
  Node *A = in.filled({N, channels}, plain("A"));
  Node *B = in.filled({N, 1, time, batch}, plain("B")), *C = in.filled({N, 1, time, batch}, plain("C"));
  Node *ids = in.library.newTensor(in.context, kI32, 1, &batch);
  for (int64_t i = 0; i < batch; ++i)
    static_cast<int32_t *>(in.library.data(ids))[i] = int32_t(i);
  return in.library.selectiveScan(in.context, state, x, step, A, B, C, ids, 1);
}

struct Operator {
  const char *example;
  std::vector<const char *> zero; // parameters of terms that the operator does not have
  Node *(*make)(Operands &, int64_t size);
  double flopsPerElement; // of the state, per token
};

const std::array operators = {
    Operator{"gla", {}, gla, 5},          Operator{"rwkv6", {}, rwkv6, 7},
    Operator{"rwkv7", {"rho"}, rwkv7, 7}, Operator{"gated_delta_net", {}, gatedDeltaNet, 7},
    Operator{"kda", {}, kda, 7},
};
const Operator mamba = {"selective_scan", {"skip"}, selectiveScan, 7};

Result<std::unique_ptr<Comparison>> compare(const Operator &which, const std::map<std::string, int64_t> &dims,
                                            int64_t size, const Shape &shape, int threads, const Library &library) {
  CallOptions options{Order::BatchFirst, threads};
  options.states = true;
  auto call = RondoCall::make(which.example, dims, shape, options);
  if (!call)
    return call.error();
  for (const char *name : which.zero)
    (*call)->clear(name);
  auto comparison = std::make_unique<Comparison>();
  comparison->rondo = std::move(*call);
  double elements = double(shape.heads);
  for (const auto &[name, extent] : dims)
    elements *= double(extent);
  comparison->tokens = double(shape.batch) * double(shape.time);
  comparison->flops = comparison->tokens * elements * which.flopsPerElement;
  comparison->peerOutput.resize(size_t(comparison->rondo->output().view().elements()));
  Operands in(library, *comparison->rondo, shape);
  Node *result = which.make(in, size);
  Graph *graph = library.newGraph(in.context);
  library.expand(graph, result);
  Backend *backend = library.cpu();
  library.setThreads(backend, threads);
  comparison->peer = [library, backend, graph] { library.compute(backend, graph); };
  comparison->collect = [library, result, &to = comparison->peerOutput] {
    const auto *from = static_cast<const float *>(library.data(result));
    std::copy(from, from + to.size(), to.begin());
  };
  return comparison;
}

} // namespace

Result<Peer> ggmlPeer(const std::string &path) {
  Result<Library> library = Library::open(path);
  if (!library)
    return library.error();
  Peer peer{library->version(), {}};
  auto add = [&](const Operator &which, std::map<std::string, int64_t> dims, int64_t size, Shape shape) {
    std::string sizes;
    for (const auto &[name, extent] : dims)
      sizes += fmt::format("{}={},", name, extent);
    peer.cases.push_back({fmt::format("{}:{}/{}B={},T={},H={}", which.example, shape.time > 1 ? "prompt" : "token",
                                      sizes, shape.batch, shape.time, shape.heads),
                          "ggml", [=, &which, library = *library](int threads) {
                            return compare(which, dims, size, shape, threads, library);
                          }});
  };
  for (int64_t time : {1024, 1}) {
    for (const Operator &which : operators)
      for (int64_t size : {64, 128})
        add(which, {{"K", size}, {"V", size}}, size, {1, time, 2048 / size});
    add(mamba, {{"D", 2048}, {"N", 16}}, 2048, {1, time, 1});
  }
  return peer;
}

} // namespace rondo::bench
