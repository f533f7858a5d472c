// See TuneStages.h.
#include "compiler/tools/rondo/TuneStages.h"
#include <algorithm>
#include <chrono>
#include <set>

namespace rondo::tool {
namespace {

constexpr int kRuns = 15;

/// The median seconds of a program on a call's tensors.
Result<double> timeOf(const Program &program, const BenchCall &call, const RunOptions &how) {
  const Kernel kernel(std::make_shared<const Program>(program));
  const NamedTensors inputs = views(call.inputs), outputs = views(call.outputs);
  std::vector<double> times;
  for (int run = 0; run <= kRuns; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    if (Result<void> ran = kernel.run(inputs, outputs, how); !ran)
      return ran.error();
    if (run > 0) // the first may compile a second function
      times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return tune::medianOf(times);
}

double bytesOf(const Program &program, const Launch &launch, const CallShape &shape) {
  double bytes = 0;
  for (const int operand : std::set<int>(launch.operands.begin(), launch.operands.end())) {
    const TensorSpec &spec = program.tensors[size_t(operand)];
    double size = double(sizeOf(spec.type));
    for (const int64_t extent : shapeOf(spec, shape))
      size *= double(extent);
    bytes += size;
  }
  return bytes;
}

} // namespace

Result<std::vector<Stage>> measureStages(const Kernel &kernel, const BenchCall &call, const CallShape &shape,
                                         const RunOptions &how) {
  Program first = kernel.program();
  const std::vector<Launch> launches = std::move(first.launches);
  first.launches.clear();
  Result<double> before = timeOf(first, call, how); // what binding and checks take
  if (!before)
    return before.error();
  std::vector<Stage> stages;
  for (const Launch &launch : launches) {
    first.launches.push_back(launch);
    Result<double> now = timeOf(first, call, how);
    if (!now)
      return now.error();
    stages.push_back({launch.symbol, bytesOf(first, launch, shape), std::max(0.0, *now - *before)});
    before = now;
  }
  return stages;
}

} // namespace rondo::tool
