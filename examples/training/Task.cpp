#include "Task.h"

namespace {

int64_t below(std::mt19937_64 &random, int64_t end) {
  return std::uniform_int_distribution<int64_t>(0, end - 1)(random);
}

/// One of `classes` numbers at each step; asked for is the sum of all so far, modulo `classes`. Parity where there are two.
void runningSum(const Task &task, std::mt19937_64 &random, int64_t time, float *x, int32_t *targets) {
  int64_t sum = 0;
  for (int64_t t = 0; t < time; ++t) {
    const int64_t token = below(random, task.classes);
    x[t * task.inputs + token] = 1;
    sum = (sum + token) % task.classes;
    targets[t] = int32_t(sum);
  }
}

/// Each step either gives a key a value (a one among the keys, a one among the values), or asks for the value that a key was
/// given last (a one among the keys).
void recall(const Task &task, std::mt19937_64 &random, int64_t time, float *x, int32_t *targets) {
  std::vector<int32_t> values(recallKeys, -1);
  std::vector<int64_t> known;
  for (int64_t t = 0; t < time; ++t, x += task.inputs) {
    const bool writes = known.empty() || below(random, 2) == 0;
    const int64_t key = writes ? below(random, recallKeys) : known[below(random, int64_t(known.size()))];
    x[key] = 1;
    targets[t] = writes ? -1 : values[key];
    if (!writes)
      continue;
    if (values[key] < 0)
      known.push_back(key);
    values[key] = int32_t(below(random, task.classes));
    x[recallKeys + values[key]] = 1;
  }
}

} // namespace

Batch Task::draw(std::mt19937_64 &random, int64_t batch, int64_t time) const {
  Batch result{batch, time, std::vector<float>(batch * time * inputs), std::vector<int32_t>(batch * time)};
  for (int64_t b = 0; b < batch; ++b)
    sequence(*this, random, time, &result.x[b * time * inputs], &result.targets[b * time]);
  return result;
}

const std::vector<Task> &tasks() {
  static const std::vector<Task> all = {
      {"parity", "Parity", 2, 2, runningSum},
      {"mod3", "Sum mod 3", 3, 3, runningSum},
      {"recall", "Associative recall", recallKeys + 8, 8, recall},
  };
  return all;
}
