// Which launches a call makes: of several ways to compute one thing (Launch::choice) the cheapest that is possible for the call's sizes and
// memory, and into how many segments it cuts the time axis. It depends on nothing but these and the number of multiprocessors, so that equal
// calls take equal ways.
#pragma once
#include "runtime/core/Dispatch.h"

namespace rondo::cuda {

/// What a program's launches find on a GPU.
struct Room {
  int processors = 0;
  std::vector<int64_t>
      resident; // blocks of each launch that are resident at once; of those alone whose blocks wait for each other
};

struct QueuedLaunch {
  size_t number = 0; // in Program::launches
  core::Operands operands;
  KernelCall call{}; // points into `operands`
  int64_t blocks = 0;
  int64_t segments = 0, segmentSteps = 0; // 0 where the launch knows of none
  size_t scratchBytes = 0;
};

/// The launches of a call, in order. `tensors` lie on the device, or have null data where their place
/// is not known yet: that counts as aligned.
Result<std::vector<QueuedLaunch>> chooseLaunches(const Program &program, const std::vector<Tensor> &tensors,
                                                 const core::Sizes &sizes, const Room &room);

/// Addresses of what a launch's kernel takes, in the order that DeviceImage says: pointers with their strides, sizes, the workspace, and
/// segments where the launch has such. They point into `queued`; `workspace` points to the workspace's address.
std::vector<void *> argumentsOf(const Launch &launch, QueuedLaunch &queued, void *workspace);

/// Number of things that a program's launches compute one after the other, ways of one thing counted once.
size_t countParts(const Program &program);

} // namespace rondo::cuda
