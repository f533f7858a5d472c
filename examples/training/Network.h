// A compiled spec with inputs `x` and outputs `y`, the logits: a kernel that computes them, and the two halves of a step of training, one that
// also gives what the gradients of the parameters need, and one that computes these. All of both is Rondo's; what is not, the loss and the optimiser, is in Training.cpp.
#pragma once
#include "Task.h"
#include <map>
#include <random>
#include <rondo/Engine.h>
#include <string>
#include <vector>

/// Parameters, or their gradients, in the order of Network::names.
using Weights = std::vector<std::vector<float>>;

class Network {
public:
  static rondo::Result<Network> compile(rondo::Engine &engine, const std::string &path,
                                        const std::map<std::string, int64_t> &dims);

  /// Matrices: normal with variance 1 / columns. Vectors, which are biases: zero.
  Weights initial(std::mt19937_64 &random) const;

  /// Sizes of a token and of the logits.
  int64_t inputs() const { return inputSize; }
  int64_t classes() const { return logitSize; }

  /// The logits, [batch, time, classes].
  rondo::Result<std::vector<float>> logits(const Weights &weights, const Batch &batch) const;
  /// The same, and what the way back needs.
  struct WayThere {
    std::vector<float> logits;
    rondo::NamedBuffers kept;
  };
  rondo::Result<WayThere> goThere(const Weights &weights, const Batch &batch) const;
  /// The gradients by the parameters of what has the gradient `dLogits` by the logits.
  rondo::Result<Weights> goBack(const Weights &weights, const Batch &batch, const std::vector<float> &dLogits,
                                const rondo::NamedBuffers &kept) const;

private:
  rondo::Kernel forward, there, back;
  std::vector<std::string> names;
  std::vector<std::vector<int64_t>> shapes;
  int64_t inputSize = 0, logitSize = 0;

  rondo::NamedTensors tensors(const std::string &prefix, const Weights &weights) const;
};
