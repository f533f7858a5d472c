// Trains a network on a task and judges it at a length that it has not seen. Here are the loss and the optimiser.
#pragma once
#include "Network.h"
#include "Task.h"

struct Schedule {
  int64_t steps = 3000;
  int64_t batch = 32;
  float rate = 1e-2f;
  float decay = 0.1f;                 // of the weights, times the rate
  float clip = 1;                     // the largest norm of the gradients of all parameters together
  int64_t shortest = 3, longest = 40; // lengths in training
  int64_t judged = 256;               // length of the sequences that accuracy is taken from
  int64_t judgedSequences = 64;
};

struct Outcome {
  double firstLoss = 0, lastLoss = 0; // nats per answer, means over the first and the last 50 steps
  double within = 0, beyond = 0;      // shares of right answers, up to step `longest` and behind it
  double seconds = 0;
};

rondo::Result<Outcome> train(const Network &network, const Task &task, const Schedule &schedule, uint64_t seed);
