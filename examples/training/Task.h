// The tasks: random sequences, and at some of their steps the class that is asked for.
#pragma once
#include <cstdint>
#include <random>
#include <string>
#include <vector>

struct Batch {
  int64_t batch = 0, time = 0;
  std::vector<float> x;         // [batch, time, inputs], zeros and ones
  std::vector<int32_t> targets; // [batch, time]: the class, or -1 where none is asked for
};

struct Task {
  std::string name, title;
  int64_t inputs = 0, classes = 0;
  /// Writes one sequence: `x` is [time, inputs], zero on entry, `targets` is [time].
  void (*sequence)(const Task &task, std::mt19937_64 &random, int64_t time, float *x, int32_t *targets) = nullptr;

  Batch draw(std::mt19937_64 &random, int64_t batch, int64_t time) const;
};

/// The keys of associative recall.
constexpr int64_t recallKeys = 32;

const std::vector<Task> &tasks();
