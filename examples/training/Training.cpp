#include "Training.h"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>

namespace {

/// Adam with decoupled weight decay. Kingma & Ba, 2014, arXiv:1412.6980, algorithm 1; Loshchilov & Hutter, 2017, arXiv:1711.05101.
class Adam {
public:
  explicit Adam(const Weights &weights) {
    for (const std::vector<float> &weight : weights) {
      first.emplace_back(weight.size());
      second.emplace_back(weight.size());
    }
  }

  /// `scale` multiplies the gradients beforehand.
  void step(Weights &weights, const Weights &gradients, float scale, float rate, float decay) {
    constexpr float beta1 = 0.9f, beta2 = 0.99f, epsilon = 1e-8f;
    ++steps;
    const float unbias1 = 1 - std::pow(beta1, float(steps)), unbias2 = 1 - std::pow(beta2, float(steps));
    for (size_t i = 0; i < weights.size(); ++i)
      for (size_t j = 0; j < weights[i].size(); ++j) {
        const float gradient = scale * gradients[i][j];
        float &m = first[i][j], &v = second[i][j];
        m = beta1 * m + (1 - beta1) * gradient;
        v = beta2 * v + (1 - beta2) * gradient * gradient;
        weights[i][j] -= rate * ((m / unbias1) / (std::sqrt(v / unbias2) + epsilon) + decay * weights[i][j]);
      }
  }

private:
  Weights first, second;
  int64_t steps = 0;
};

/// Mean cross-entropy of softmax(logits) over the steps that ask for a class. The gradient by the logits takes their place.
double crossEntropy(std::vector<float> &logits, const std::vector<int32_t> &targets, int64_t classes) {
  const int64_t asked = std::count_if(targets.begin(), targets.end(), [](int32_t target) { return target >= 0; });
  double loss = 0;
  for (size_t i = 0; i < targets.size(); ++i) {
    float *row = &logits[i * classes];
    if (targets[i] < 0) {
      std::fill(row, row + classes, 0.f);
      continue;
    }
    const float most = *std::max_element(row, row + classes);
    const float target = row[targets[i]];
    float sum = 0;
    for (int64_t c = 0; c < classes; ++c)
      sum += row[c] = std::exp(row[c] - most);
    loss += std::log(sum) - (target - most);
    for (int64_t c = 0; c < classes; ++c)
      row[c] = (row[c] / sum - float(c == targets[i])) / float(asked);
  }
  return asked ? loss / double(asked) : 0;
}

float norm(const Weights &gradients) {
  double sum = 0;
  for (const std::vector<float> &gradient : gradients)
    for (const float value : gradient)
      sum += double(value) * value;
  return float(std::sqrt(sum));
}

/// Lengths are drawn evenly from the shortest to a bound, which rises to the longest over the first half of training.
int64_t drawLength(const Schedule &schedule, int64_t step, std::mt19937_64 &random) {
  const double progress = std::min(1.0, 2.0 * double(step) / double(schedule.steps));
  const int64_t bound =
      schedule.shortest + int64_t(std::lround(progress * double(schedule.longest - schedule.shortest)));
  return std::uniform_int_distribution<int64_t>(schedule.shortest, bound)(random);
}

/// Constant in the first half, then half a period of a cosine, down to a hundredth.
float rateAt(const Schedule &schedule, int64_t step) {
  const double progress = std::max(0.0, 2.0 * double(step) / double(schedule.steps) - 1);
  return schedule.rate * float(0.01 + 0.99 * (1 + std::cos(std::numbers::pi * progress)) / 2);
}

/// One step of training; its loss.
rondo::Result<double> improve(const Network &network, const Batch &batch, const Schedule &schedule, float rate,
                              Adam &adam, Weights &weights) {
  rondo::Result<Network::WayThere> way = network.goThere(weights, batch);
  if (!way)
    return way.error();
  const double loss = crossEntropy(way->logits, batch.targets, network.classes());
  rondo::Result<Weights> gradients = network.goBack(weights, batch, way->logits, way->kept);
  if (!gradients)
    return gradients.error();
  const float scale = std::min(1.f, schedule.clip / (norm(*gradients) + 1e-12f));
  adam.step(weights, *gradients, scale, rate, schedule.decay);
  return loss;
}

/// The shares of right answers up to step `longest` and behind it, in sequences that training has not seen.
rondo::Result<void> judge(const Network &network, const Task &task, const Schedule &schedule, const Weights &weights,
                          std::mt19937_64 &random, Outcome &outcome) {
  const Batch batch = task.draw(random, schedule.judgedSequences, schedule.judged);
  rondo::Result<std::vector<float>> logits = network.logits(weights, batch);
  if (!logits)
    return logits.error();
  int64_t asked[2] = {}, right[2] = {};
  for (int64_t i = 0; i < batch.batch * batch.time; ++i) {
    if (batch.targets[i] < 0)
      continue;
    const int64_t behind = i % batch.time >= schedule.longest;
    const float *row = &(*logits)[i * network.classes()];
    ++asked[behind];
    right[behind] += std::max_element(row, row + network.classes()) - row == batch.targets[i];
  }
  outcome.within = double(right[0]) / double(asked[0]);
  outcome.beyond = double(right[1]) / double(asked[1]);
  return {};
}

} // namespace

rondo::Result<Outcome> train(const Network &network, const Task &task, const Schedule &schedule, uint64_t seed) {
  const auto start = std::chrono::steady_clock::now();
  std::mt19937_64 random(seed);
  Weights weights = network.initial(random);
  Adam adam(weights);
  Outcome outcome;
  const int64_t window = std::min<int64_t>(50, schedule.steps);
  for (int64_t step = 0; step < schedule.steps; ++step) {
    const Batch batch = task.draw(random, schedule.batch, drawLength(schedule, step, random));
    rondo::Result<double> loss = improve(network, batch, schedule, rateAt(schedule, step), adam, weights);
    if (!loss)
      return loss.error();
    outcome.firstLoss += step < window ? *loss / double(window) : 0;
    outcome.lastLoss += step >= schedule.steps - window ? *loss / double(window) : 0;
  }
  rondo::Result<void> judged = judge(network, task, schedule, weights, random, outcome);
  if (!judged)
    return judged.error();
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outcome;
}
