// Tensors of measured calls. See BenchCall.h.
#include "compiler/tools/rondo/BenchCall.h"
#include "compiler/tools/rondo/RandomInputs.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <thread>

namespace rondo::tool {

BenchCall::BenchCall(const Program &program, const CallShape &shape, uint64_t seed) {
  inputs = convert(drawInputs(program, shape, seed, Inits::Drawn), program);
  for (const TensorSpec *spec : computedTensors(program))
    outputs.emplace_back(spec->name, Buffer(spec->type, shapeOf(*spec, shape)));
  for (const NamedBuffers *buffers : {&inputs, &outputs})
    for (const auto &[name, buffer] : *buffers)
      bytes += double(buffer.bytes());
}

std::optional<int> gpuOf(const CompileOptions &options) {
  if (options.target.rfind("cuda", 0) != 0)
    return std::nullopt;
  const size_t digit = options.target.find_first_of("0123456789");
  return digit != std::string::npos && options.target[digit - 1] == ':'
             ? int(std::strtol(&options.target[digit], nullptr, 10))
             : 0;
}

Result<GpuCall> GpuCall::create(const BenchCall &call, int ordinal) {
  GpuCall gpu;
  Result<cuda::Stream> stream = cuda::Stream::create(ordinal);
  if (!stream)
    return stream.error();
  gpu.stream = std::move(*stream);
  constexpr int64_t moreThanAnyCache = int64_t(256) << 20;
  for (const NamedBuffers *buffers : {&call.inputs, &call.outputs})
    for (const auto &[name, buffer] : *buffers) {
      Result<cuda::DeviceBuffer> copy = cuda::DeviceBuffer::create(ordinal, buffer.type(), buffer.shape());
      if (!copy)
        return copy.error();
      if (Result<void> copied = copy->copyFrom(buffer.view()); buffer.bytes() && !copied)
        return copied.error();
      (buffers == &call.inputs ? gpu.inputs : gpu.outputs).emplace_back(name, copy->view());
      gpu.memory.push_back(std::move(*copy));
    }
  Result<cuda::DeviceBuffer> filler = cuda::DeviceBuffer::create(ordinal, DType::Bool, {moreThanAnyCache});
  if (!filler)
    return filler.error();
  gpu.cacheFiller = std::move(*filler);
  return gpu;
}

Result<void> GpuCall::compare(const BenchCall &call) const {
  for (size_t i = 0; i < call.outputs.size(); ++i) {
    const auto &[name, expected] = call.outputs[i];
    Buffer got(expected.type(), expected.shape());
    if (!got.data())
      return Error("out of memory");
    if (Result<void> copied = memory[call.inputs.size() + i].copyTo(got.view()); expected.bytes() && !copied)
      return copied;
    if (std::memcmp(got.data(), expected.data(), expected.bytes()) != 0)
      return Error(fmt::format("'{}' differs between two runs on the same inputs", name));
  }
  return {};
}

Result<double> GpuCall::time(const std::function<Result<void>()> &run, uint8_t filler) {
  Result<void> step = cacheFiller.fill(filler, stream.handle());
  step = step ? stream.start() : step;
  step = step ? run() : step;
  step = step ? stream.stop() : step;
  if (!step)
    return step.error();
  return stream.elapsed();
}

int threadsOf(int asked) {
  if (asked > 0)
    return asked;
  const char *openMP = std::getenv("OMP_NUM_THREADS");
  const int wished = openMP ? int(std::strtol(openMP, nullptr, 10)) : 0;
  return wished > 0 ? wished : int(std::max(1u, std::thread::hardware_concurrency()));
}

std::string typesText(const CompileOptions &options) {
  std::string text(nameOf(options.type));
  for (const auto &[name, type] : options.types)
    text += fmt::format(",{}={}", name, nameOf(type));
  return text;
}

} // namespace rondo::tool
