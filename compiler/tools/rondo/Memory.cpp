// Sums over the tensors of a program.
#include "compiler/tools/rondo/Memory.h"
#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <malloc.h>

namespace rondo::tool {

/// A field of /proc/self/status, in bytes; negative where there is none.
static double statusField(const std::string &name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.rfind(name + ":", 0) == 0)
      return 1024 * std::strtod(line.c_str() + name.size() + 1, nullptr);
  return -1;
}

double peakGrowth(const std::function<void()> &run) {
#ifdef __GLIBC__
  malloc_trim(0); // what earlier runs have freed is not there to be used again
#endif
  std::ofstream("/proc/self/clear_refs") << "5" << std::flush; // the peak begins anew
  const double before = statusField("VmRSS"), old = statusField("VmHWM");
  run();
  const double peak = statusField("VmHWM");
  // Where the peak could not be reset it says nothing, unless it grew.
  return before < 0 || (old > before * 1.01 && peak <= old) ? -1 : std::max(peak - before, 0.0);
}

Memory memoryOf(const Program &program, const CallShape &shape) {
  Memory memory;
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const TensorSpec &spec = program.tensors[i];
    if (i < program.alias.size() && program.alias[i] >= 0)
      continue;
    double bytes = double(sizeOf(spec.type));
    for (int64_t size : shapeOf(spec, shape))
      bytes *= double(size);
    int64_t steps = 1;
    bool alongTime = false;
    for (const AxisSpec &axis : spec.axes)
      if (axis.axis == Axis::Time) {
        alongTime = true;
        steps = std::max(steps, axis.steps);
      }
    if (isKept(spec)) {
      memory.handed += bytes;
    } else if (spec.kind != TensorKind::Temporary) {
      memory.tensors += bytes;
      memory.alongTime += alongTime ? bytes : 0;
    } else if (steps == 1) {
      memory.between += bytes;
    } else {
      memory.kept += bytes;
      const int64_t kept = (shape.time + steps - 1) / steps;
      memory.ofEveryStep += bytes * double(shape.time) / double(kept);
      memory.keptSteps = std::max(memory.keptSteps, double(steps));
    }
  }
  for (const Launch &launch : program.launches)
    memory.scratch = std::max(memory.scratch, double(launch.scratchBytes));
  return memory;
}

std::string describeBytes(double bytes) {
  constexpr const char *units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(units); ++unit)
    bytes /= 1024;
  return fmt::format("{:.4g} {}", bytes, units[unit]);
}

} // namespace rondo::tool
