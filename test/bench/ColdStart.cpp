// rondo-bench-cold: from a spec's text to the end of its first launch, once, in a process that has compiled nothing
// yet. Prints milliseconds as JSON. run.py spawns it once per sample.
//   rondo-bench-cold FILE [NAME=SIZE ...] [--cached]
// With --cached the code may come from the cache: an application's second start. "launch" is the time of one more run.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <rondo/Engine.h>
#include <string>

namespace {

using Clock = std::chrono::steady_clock;

double msSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// Zeros for every input and parameter: one sequence of one time step, one head.
rondo::NamedBuffers zeros(const rondo::Program &program) {
  rondo::NamedBuffers buffers;
  for (const rondo::TensorSpec &spec : program.tensors) {
    if (spec.kind != rondo::TensorKind::Input && spec.kind != rondo::TensorKind::Param)
      continue;
    std::vector<int64_t> shape;
    for (const rondo::AxisSpec &axis : spec.axes)
      shape.push_back(axis.size < 0 ? 1 : axis.size);
    buffers.emplace_back(spec.name, rondo::Buffer(spec.type, shape));
  }
  return buffers;
}

int fail(const rondo::Error &error) {
  std::fprintf(stderr, "%s\n", error.message().c_str());
  return 1;
}

} // namespace

int main(int argc, char **argv) {
  const auto begin = Clock::now();
  rondo::CompileOptions options;
  options.cache = false;
  for (int i = 2; i < argc; ++i) {
    const std::string dim = argv[i];
    options.cache = options.cache || dim == "--cached";
    const size_t equals = dim.find('=');
    if (equals != std::string::npos)
      options.dims[dim.substr(0, equals)] = std::strtoll(dim.c_str() + equals + 1, nullptr, 10);
  }
  std::ifstream file(argc > 1 ? argv[1] : "");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  rondo::Engine engine;
  auto kernel = engine.compileText(text, argc > 1 ? argv[1] : "", options);
  if (!kernel)
    return fail(kernel.error());
  const double compiled = msSince(begin);
  const rondo::NamedBuffers buffers = zeros(kernel->program());
  rondo::NamedTensors inputs;
  for (const auto &[name, buffer] : buffers)
    inputs.emplace_back(name, buffer.view());
  if (auto ran = kernel->run(inputs); !ran)
    return fail(ran.error());
  const double total = msSince(begin);
  const auto again = Clock::now();
  if (auto ran = kernel->run(inputs); !ran)
    return fail(ran.error());
  const double launch = msSince(again);
  const rondo::CompileTimes times = engine.times();
  std::printf("{\"frontend\": %.3f, \"passes\": %.3f, \"codegen\": %.3f, \"compiled\": %.3f, \"first_result\": %.3f, "
              "\"launch\": %.4f, \"cached\": %s}\n",
              1e3 * times.frontend, 1e3 * times.passes, 1e3 * times.codegen, compiled, total, launch,
              engine.fromCache() ? "true" : "false");
}
