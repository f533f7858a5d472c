// Tensors of measured calls. See BenchCall.h.
#include "compiler/tools/rondo/BenchCall.h"
#include "compiler/tools/rondo/RandomInputs.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <thread>

namespace rondo::tool {
namespace {

/// The entries of `from`, over and over, where the axes of batch and time are longer in `to`; they come first, and strides are row-major.
void repeat(const TensorSpec &spec, const Buffer &from, const Buffer &to) {
  size_t axes = 0;
  while (axes < spec.axes.size() && (spec.axes[axes].axis == Axis::Batch || spec.axes[axes].axis == Axis::Time))
    ++axes;
  int64_t entries = 1;
  for (size_t a = 0; a < axes; ++a)
    entries *= to.shape()[a];
  const size_t bytes = entries ? to.bytes() / size_t(entries) : 0;
  for (int64_t entry = 0; entry < entries; ++entry) {
    int64_t rest = entry, source = 0, stride = 1;
    for (size_t a = axes; a-- > 0; rest /= to.shape()[a], stride *= from.shape()[a])
      source += rest % to.shape()[a] % from.shape()[a] * stride;
    std::memcpy(static_cast<char *>(to.data()) + size_t(entry) * bytes,
                static_cast<const char *>(from.data()) + size_t(source) * bytes, bytes);
  }
}

/// Random inputs; of long and many sequences some steps of one are drawn, which is what takes time, and repeated.
NamedBuffers drawRepeated(const Program &program, const CallShape &shape, uint64_t seed) {
  constexpr int64_t enoughSteps = 2048;
  CallShape few = shape;
  few.batch = std::min<int64_t>(shape.batch, 1);
  few.time = std::min(shape.time, enoughSteps);
  const bool whole = hasKind(program.tensors, TensorKind::Offsets) || asksFor(program.tensors, Axis::Time1) ||
                     (few.batch == shape.batch && few.time == shape.time);
  NamedBuffers drawn = convert(drawInputs(program, whole ? shape : few, seed, Inits::Drawn), program);
  if (whole)
    return drawn;
  NamedBuffers all;
  for (const auto &[name, buffer] : drawn)
    for (const TensorSpec &spec : program.tensors)
      if (isGiven(spec.kind) && spec.name == name && (all.empty() || all.back().first != name)) {
        all.emplace_back(name, Buffer(spec.type, shapeOf(spec, shape)));
        repeat(spec, buffer, all.back().second);
      }
  return all;
}

} // namespace

BenchCall::BenchCall(const Program &program, const CallShape &shape, uint64_t seed) {
  inputs = drawRepeated(program, shape, seed);
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
