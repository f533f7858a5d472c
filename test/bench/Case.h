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

struct CallOptions {
  Order order = Order::BatchFirst;
  int threads = 1;
  std::string form = "auto";
  bool states = false; // initial states are drawn from N(0, 1), and every run moves them on where they lie
};

/// A kernel of an example, ready to be called again and again: nothing is allocated here between calls.
class RondoCall {
public:
  /// Compiles `example` (its name in specs/ beside this file, or in examples/) and draws its inputs: intervals uniformly, one-sided ones within 1 of
  /// the end, matrices N(0, 1/fan-in), the rest N(0, 1). The first output is computed. Unless states are asked for, initial ones are
  /// left at their defaults, and no final one is computed.
  static Result<std::unique_ptr<RondoCall>> make(const std::string &example, const std::map<std::string, int64_t> &dims,
                                                 const Shape &shape, const CallOptions &options);
  Result<void> run() const { return kernel.run(inputs, outputs, options); }
  /// By the spec's names; a state's is "S.init".
  const Arrays &arrays() const { return arrays_; }
  /// Makes an input or parameter zero.
  void clear(const std::string &name);
  const Buffer &output() const { return arrays_.at(outputs.front().first); }
  /// Of all tensors that a call reads or writes.
  double bytes() const;

private:
  Kernel kernel;
  Arrays arrays_;
  NamedTensors inputs, outputs;
  RunOptions options;
};

/// One comparison. `peer` computes into `peerOutput`, which has the elements of rondo->output() in the same order, or into memory of its
/// own, which `collect` copies there when it is not timed.
struct Comparison {
  std::unique_ptr<RondoCall> rondo;
  std::function<void()> peer, collect;
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

/// A library that is opened when the program runs, and what it is measured at.
struct Peer {
  std::string version;
  std::vector<Case> cases;
};
/// ggml's operators for recurrences on the CPU; `path`: its libggml.so.
Result<Peer> ggmlPeer(const std::string &path);

} // namespace rondo::bench
