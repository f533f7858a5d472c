// What is measured: one computation by Rondo and by a peer, on the same memory, checked against each other before
// either is timed.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <rondo/Engine.h>
#include <string>
#include <vector>

namespace rondo::bench {

/// Tensors by the spec's names, all f32. Owns inputs, parameters and Rondo's outputs.
using Arrays = std::map<std::string, Buffer>;

/// Where the time axis lies: Rondo's own order is [B, T, ...]; oneDNN's recurrent layers want [T, B, ...], which Rondo
/// takes by strides.
enum class Order { BatchFirst, TimeFirst };

struct Shape {
  int64_t batch = 1, time = 1, heads = 1;
};

/// A kernel of an example, ready to be called again and again: nothing is allocated here between calls.
class RondoCall {
public:
  /// Compiles `example` (its name in examples/) and draws its inputs: intervals uniformly, one-sided ones within 1 of
  /// the end, matrices N(0, 1/fan-in), the rest N(0, 1). Initial states are left at their defaults. The first output is
  /// computed, no final state.
  static Result<std::unique_ptr<RondoCall>> make(const std::string &example, const std::map<std::string, int64_t> &dims,
                                                 const Shape &shape, Order order, int threads,
                                                 const std::string &form = "auto");
  Result<void> run() const { return kernel.run(inputs, outputs, options); }
  const Arrays &arrays() const { return arrays_; }
  const Buffer &output() const { return arrays_.at(outputs.front().first); }
  /// Of all tensors that a call reads or writes.
  double bytes() const;

private:
  Kernel kernel;
  Arrays arrays_;
  NamedTensors inputs, outputs;
  RunOptions options;
};

/// One comparison. `peer` computes into `peerOutput`, which has the elements of rondo->output() in the same order.
struct Comparison {
  std::unique_ptr<RondoCall> rondo;
  std::function<void()> peer;
  std::vector<float> peerOutput;
  double tokens = 0; // time steps times batch, per call
  double flops = 0;  // of the recurrence as its spec says it, per call; an exp counts as one
};

/// ‖a−b‖₂/‖b‖₂ of Rondo's output and the peer's, after a run of both; infinite where Rondo's run fails.
double distance(Comparison &comparison);

/// A comparison by name, made when it is first asked for.
struct Case {
  std::string name; // "gla/K=64,V=64"
  std::string peer; // "oneDNN"; "plain C++"
  std::function<Result<std::unique_ptr<Comparison>>(int threads)> make;
};

/// The specs beside loops in plain C++.
std::vector<Case> plainCases();
/// Those of them that are computed by chunks, beside their own step form.
std::vector<Case> stepCases();
/// LSTM and GRU beside oneDNN's; empty where this program was built without it.
std::vector<Case> dnnlCases();
/// "2.6.3", or "" where this program was built without oneDNN.
std::string dnnlVersion();

} // namespace rondo::bench
