// Which examples are measured beside plain loops, and at which sizes.
#include "PlainLoops.h"
#include <cstring>
#include <fmt/format.h>

namespace rondo::bench {
namespace {

struct Entry {
  const char *example;
  std::map<std::string, int64_t> dims;
  Shape shape;
  double flopsPerToken; // of one head
  PlainLoop loop;
};

constexpr Shape heads = {1, 4096, 4};     // four heads of one sequence
constexpr Shape sequences = {4, 1024, 1}; // the same number of features, D = 1024, without heads

/// Per element of a matrix state: decay 1, update 2, readout 2.
constexpr double matrixState(double k, double v) { return 5 * k * v; }
/// The product with the old state is 2, the update 2, the readout 2.
constexpr double deltaState(double k, double v) { return 6 * k * v; }

std::vector<Entry> entries() {
  return {
      {"gla", {{"K", 64}, {"V", 64}}, heads, matrixState(64, 64), plainGla<64, 64>},
      {"gla", {{"K", 128}, {"V", 128}}, heads, matrixState(128, 128), plainGla<128, 128>},
      {"retnet", {{"K", 64}, {"V", 64}}, heads, matrixState(64, 64), plainRetnet<64, 64>},
      {"retnet", {{"K", 128}, {"V", 128}}, heads, matrixState(128, 128), plainRetnet<128, 128>},
      {"mamba2", {{"N", 64}, {"P", 64}}, heads, matrixState(64, 64), plainMamba2<64, 64>},
      {"mamba2", {{"N", 128}, {"P", 128}}, heads, matrixState(128, 128), plainMamba2<128, 128>},
      {"hgrn2", {{"K", 64}, {"V", 64}}, heads, matrixState(64, 64), plainHgrn2<64, 64>},
      {"hgrn2", {{"K", 128}, {"V", 128}}, heads, matrixState(128, 128), plainHgrn2<128, 128>},
      {"deltanet", {{"K", 64}, {"V", 64}}, heads, deltaState(64, 64), plainDeltanet<64, 64>},
      {"deltanet", {{"K", 128}, {"V", 128}}, heads, deltaState(128, 128), plainDeltanet<128, 128>},
      // The decay is one more.
      {"gated_delta_net", {{"K", 64}, {"V", 64}}, heads, 7.0 * 64 * 64, plainGatedDeltaNet<64, 64>},
      {"gated_delta_net", {{"K", 128}, {"V", 128}}, heads, 7.0 * 128 * 128, plainGatedDeltaNet<128, 128>},
      // Times A, exp, the state's decay, update 2, readout 2.
      {"selective_scan", {{"D", 1024}, {"N", 16}}, sequences, 7.0 * 1024 * 16, plainSelectiveScan},
      {"scan", {{"D", 1024}}, {8, 2048, 1}, 2.0 * 1024, plainScan}, // 192 MiB: no cache holds it
      {"min_gru", {{"D", 1024}, {"H", 1024}}, sequences, 4.0 * 1024 * 1024, plainMinGru},
  };
}

std::string nameOf(const Entry &entry, const char *suffix = "") {
  std::string dims;
  for (const auto &[name, size] : entry.dims)
    dims += fmt::format("{}{}={}", dims.empty() ? "" : ",", name, size);
  return fmt::format("{}{}/{},B={},T={},H={}", entry.example, suffix, dims, entry.shape.batch, entry.shape.time,
                     entry.shape.heads);
}

Result<std::unique_ptr<Comparison>> compare(const Entry &entry, int threads) {
  auto call = RondoCall::make(entry.example, entry.dims, entry.shape, {Order::BatchFirst, threads});
  if (!call)
    return call.error();
  auto comparison = std::make_unique<Comparison>();
  comparison->rondo = std::move(*call);
  comparison->peerOutput.resize(size_t(comparison->rondo->output().view().elements()));
  comparison->tokens = double(entry.shape.batch) * double(entry.shape.time);
  comparison->flops = comparison->tokens * double(entry.shape.heads) * entry.flopsPerToken;
  const PlainCall plain{&comparison->rondo->arrays(), comparison->peerOutput.data(), entry.shape, threads};
  comparison->peer = [loop = entry.loop, plain] { loop(plain); };
  return comparison;
}

Result<std::unique_ptr<Comparison>> compareForms(const Entry &entry, int threads) {
  auto call = RondoCall::make(entry.example, entry.dims, entry.shape, {Order::BatchFirst, threads});
  auto steps = RondoCall::make(entry.example, entry.dims, entry.shape, {Order::BatchFirst, threads, "step"});
  if (!call || !steps)
    return call ? steps.error() : call.error();
  auto comparison = std::make_unique<Comparison>();
  comparison->rondo = std::move(*call);
  const int64_t elements = comparison->rondo->output().view().elements();
  comparison->peerOutput.resize(size_t(elements));
  comparison->tokens = double(entry.shape.batch) * double(entry.shape.time);
  comparison->flops = comparison->tokens * double(entry.shape.heads) * entry.flopsPerToken;
  // Both draw the same inputs.
  std::shared_ptr<RondoCall> peer = std::move(*steps);
  comparison->peer = [peer] { (void)peer->run(); };
  comparison->collect = [peer, elements, to = comparison->peerOutput.data()] {
    std::memcpy(to, peer->output().as<float>(), size_t(elements) * sizeof(float));
  };
  return comparison;
}

} // namespace

std::vector<Case> stepCases() {
  std::vector<Case> cases;
  for (const Entry &entry : entries())
    if (entry.shape.heads > 1)
      cases.push_back(
          {nameOf(entry, ":forms"), "step form", [entry](int threads) { return compareForms(entry, threads); }});
  return cases;
}

std::vector<Case> plainCases() {
  std::vector<Case> cases;
  for (const Entry &entry : entries())
    cases.push_back({nameOf(entry), "plain C++", [entry](int threads) { return compare(entry, threads); }});
  return cases;
}

} // namespace rondo::bench
