// LSTM and GRU beside oneDNN's primitives: f32, inference, one layer, left to right. Both sides read the same [T, B, D]
// input. What oneDNN lets one do ahead of time (choice of weight formats, reordering, packing) is done outside of what
// is timed.
#include "Case.h"
#include <algorithm>
#include <dnnl.hpp>
#include <fmt/format.h>
#include <omp.h>
#include <unordered_map>

namespace rondo::bench {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

/// A recurrent layer of oneDNN and the spec it is measured beside. Gates are named by the suffixes of the spec's
/// parameters, in oneDNN's order.
struct Layer {
  const char *example;
  std::vector<std::string> gates;
  std::vector<std::string> biases;
};

const Layer lstm = {"lstm_no_peepholes", {"i", "f", "z", "o"}, {"bi", "bf", "bz", "bo"}};
// The reset gate after the recurrent product: oneDNN calls it linear before reset.
const Layer gru = {"gru", {"z", "r", "n"}, {"bz", "br", "bn", "cn"}};

/// The primitive with its memories, which execute() reads and writes.
struct Peer {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;

  void execute() {
    primitive.execute(stream, arguments);
    stream.wait();
  }
};

memory::desc describe(const memory::dims &dims, Tag tag) { return {dims, memory::data_type::f32, tag}; }

/// Weights [H, I] per gate, as the spec has them, into oneDNN's [layer, direction, I, gate, H], then into the format
/// that it asks for.
memory weights(Peer &peer, const Arrays &arrays, const Layer &layer, const std::string &letter, int64_t I, int64_t H,
               const memory::desc &wanted) {
  const int64_t G = int64_t(layer.gates.size());
  memory plain(describe({1, 1, I, G, H}, Tag::ldigo), peer.engine);
  float *to = static_cast<float *>(plain.get_data_handle());
  for (int64_t g = 0; g < G; ++g) {
    const float *from = arrays.at(letter + layer.gates[size_t(g)]).as<float>();
    for (int64_t h = 0; h < H; ++h)
      for (int64_t i = 0; i < I; ++i)
        to[(i * G + g) * H + h] = from[h * I + i];
  }
  memory packed(wanted, peer.engine);
  dnnl::reorder(plain, packed).execute(peer.stream, plain, packed);
  peer.stream.wait();
  return packed;
}

memory biases(Peer &peer, const Arrays &arrays, const Layer &layer, int64_t H) {
  memory bias(describe({1, 1, int64_t(layer.biases.size()), H}, Tag::ldgo), peer.engine);
  float *to = static_cast<float *>(bias.get_data_handle());
  for (const std::string &name : layer.biases) {
    const float *from = arrays.at(name).as<float>();
    to = std::copy(from, from + H, to);
  }
  return bias;
}

template <typename Primitive>
void bind(Peer &peer, const typename Primitive::primitive_desc &chosen, const Layer &layer, RondoCall &rondo,
          int64_t units, float *output) {
  const Arrays &arrays = rondo.arrays();
  peer.primitive = Primitive(chosen);
  peer.arguments = {
      {DNNL_ARG_SRC_LAYER, memory(chosen.src_layer_desc(), peer.engine, arrays.at("x").data())},
      {DNNL_ARG_WEIGHTS_LAYER, weights(peer, arrays, layer, "W", units, units, chosen.weights_layer_desc())},
      {DNNL_ARG_WEIGHTS_ITER, weights(peer, arrays, layer, "U", units, units, chosen.weights_iter_desc())},
      {DNNL_ARG_BIAS, biases(peer, arrays, layer, units)},
      {DNNL_ARG_DST_LAYER, memory(chosen.dst_layer_desc(), peer.engine, output)},
      {DNNL_ARG_WORKSPACE, memory(chosen.workspace_desc(), peer.engine)},
  };
}

std::shared_ptr<Peer> makePeer(const Layer &layer, RondoCall &rondo, const Shape &shape, int64_t units, float *output) {
  auto peer = std::make_shared<Peer>();
  const int64_t G = int64_t(layer.gates.size()), biasCount = int64_t(layer.biases.size());
  const memory::desc sequence = describe({shape.time, shape.batch, units}, Tag::tnc), none;
  const memory::desc anyWeights = describe({1, 1, units, G, units}, Tag::any);
  const memory::desc bias = describe({1, 1, biasCount, units}, Tag::ldgo);
  const auto kind = dnnl::prop_kind::forward_inference;
  const auto direction = dnnl::rnn_direction::unidirectional_left2right;
  if (&layer == &lstm) {
    const dnnl::lstm_forward::desc wanted(kind, direction, sequence, none, none, anyWeights, anyWeights, bias, sequence,
                                          none, none);
    bind<dnnl::lstm_forward>(*peer, {wanted, peer->engine}, layer, rondo, units, output);
  } else {
    const dnnl::lbr_gru_forward::desc wanted(kind, direction, sequence, none, anyWeights, anyWeights, bias, sequence,
                                             none);
    bind<dnnl::lbr_gru_forward>(*peer, {wanted, peer->engine}, layer, rondo, units, output);
  }
  return peer;
}

Result<std::unique_ptr<Comparison>> compare(const Layer &layer, int64_t units, const Shape &shape, int threads) {
  omp_set_num_threads(threads); // oneDNN has no other way to be told
  auto call = RondoCall::make(layer.example, {{"D", units}, {"H", units}}, shape, {Order::TimeFirst, threads});
  if (!call)
    return call.error();
  auto comparison = std::make_unique<Comparison>();
  comparison->rondo = std::move(*call);
  comparison->peerOutput.resize(size_t(shape.batch * shape.time * units));
  comparison->tokens = double(shape.batch) * double(shape.time);
  comparison->flops = comparison->tokens * 4 * double(layer.gates.size()) * double(units) * double(units);
  try {
    auto peer = makePeer(layer, *comparison->rondo, shape, units, comparison->peerOutput.data());
    comparison->peer = [peer] { peer->execute(); };
  } catch (const dnnl::error &error) {
    return Error(fmt::format("oneDNN: {}", error.what()));
  }
  return comparison;
}

} // namespace

std::vector<Case> dnnlCases() {
  std::vector<Case> cases;
  for (const Layer *layer : {&lstm, &gru})
    for (int64_t units : {256, 512, 1024})
      for (int64_t batch : {16, 1}) {
        const Shape shape{batch, 100, 1};
        cases.push_back({fmt::format("{}/D=H={},B={},T={}", layer->example, units, batch, shape.time), "oneDNN",
                         [=](int threads) { return compare(*layer, units, shape, threads); }});
      }
  return cases;
}

std::string dnnlVersion() {
  const dnnl_version_t *version = dnnl::version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

} // namespace rondo::bench
