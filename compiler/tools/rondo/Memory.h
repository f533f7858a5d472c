// Where the bytes of a call are: what a caller gives and gets, and what a program needs beside that.
#pragma once
#include "compiler/tools/rondo/CallShape.h"
#include <functional>

namespace rondo::tool {

/// Bytes of one call.
struct Memory {
  double tensors = 0;     // inputs and results
  double alongTime = 0;   // those of them that have a value for every step
  double kept = 0;        // states that a gradient keeps for the way back, one for many steps
  double handed = 0;      // what the one half of a training step hands to the other
  double ofEveryStep = 0; // the same states, if every step's were kept
  double keptSteps = 0;   // steps from one to the next; of the states that are kept most seldom
  double between = 0;     // what one kernel hands to the next
  double scratch = 0;     // of one thread
};

/// By how much the process' resident memory exceeds at most, while `run` runs, what it is before; negative where the system does not say.
double peakGrowth(const std::function<void()> &run);

Memory memoryOf(const Program &program, const CallShape &shape);

/// "1.5 MiB".
std::string describeBytes(double bytes);

} // namespace rondo::tool
