// See KeptStates.h.
#include "compiler/Transforms/KeptStates.h"

using namespace mlir;
using namespace rondo;

/// Of what a scan reads and writes, there and back, at most one in so many bytes is for states that are kept.
static constexpr int64_t kTensorsPerKept = 16;
static constexpr int64_t kLongestInterval = 256;

/// Bytes of one step, or of one state.
static int64_t featureBytes(Type of) {
  auto type = cast<RankedTensorType>(of);
  Type element = type.getElementType();
  int64_t parts = 1;
  if (auto complex = dyn_cast<ComplexType>(element)) {
    parts = 2;
    element = complex.getElementType();
  }
  int64_t bytes = parts * ((element.getIntOrFloatBitWidth() + 7) / 8);
  for (int64_t extent : type.getShape().take_back(recur::dimsOf(type).getNames().size()))
    bytes *= extent;
  return bytes;
}

int64_t rondo::cheapInterval(recur::ScanInterface scan, int64_t size) {
  int64_t states = 0, tensors = 0;
  for (Value init : scan.getInits())
    states += featureBytes(init.getType());
  for (Type type : scan.getInputs().getTypes())
    tensors += 2 * featureBytes(type); // and its cotangent
  for (Value output : scan->getResults().take_front(scan.numOutputs()))
    tensors += 2 * featureBytes(output.getType());
  int64_t interval = 1;
  while (interval < kLongestInterval && states * kTensorsPerKept > tensors * size * interval)
    interval *= 2;
  return interval;
}
