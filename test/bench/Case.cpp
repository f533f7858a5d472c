#include "Case.h"
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <random>

namespace rondo::bench {
namespace {

std::vector<int64_t> shapeOf(const TensorSpec &spec, const Shape &shape) {
  std::vector<int64_t> sizes;
  for (const AxisSpec &axis : spec.axes)
    switch (axis.axis) {
    case Axis::Batch:
      sizes.push_back(shape.batch);
      break;
    case Axis::Time:
      sizes.push_back(shape.time);
      break;
    case Axis::Head:
      sizes.push_back(shape.heads);
      break;
    case Axis::Group:
    case Axis::Sequence:
    case Axis::Time1:
      sizes.push_back(1);
      break;
    case Axis::Lag:
    case Axis::Named:
      sizes.push_back(axis.size);
      break;
    }
  return sizes;
}

/// A [B, T, ...] view of memory that lies as [T, B, ...].
Tensor timeFirst(Tensor tensor) {
  if (tensor.shape.size() < 2)
    return tensor;
  std::vector<int64_t> strides(tensor.shape.size());
  for (size_t axis = 0; axis < strides.size(); ++axis)
    strides[axis] = tensor.stride(axis);
  const int64_t row = strides[1];
  strides[0] = row;
  strides[1] = row * tensor.shape[0];
  tensor.strides = strides;
  return tensor;
}

void draw(const TensorSpec &spec, Buffer &buffer, std::mt19937 &random) {
  std::uniform_real_distribution<float> uniform(0, 1);
  std::normal_distribution<float> normal;
  const bool matrix = spec.kind == TensorKind::Param && buffer.shape().size() >= 2;
  const float scale = matrix ? 1 / std::sqrt(float(buffer.shape().back())) : 1;
  const bool below = spec.hasInterval && std::isfinite(spec.hi), above = spec.hasInterval && std::isfinite(spec.lo);
  const int64_t count = buffer.view().elements();
  for (int64_t i = 0; i < count; ++i) {
    float value = 0;
    if (below && above)
      value = float(spec.lo) + uniform(random) * float(spec.hi - spec.lo);
    else if (below)
      value = float(spec.hi) - uniform(random);
    else if (above)
      value = float(spec.lo) + uniform(random);
    else
      value = scale * normal(random);
    buffer.as<float>()[i] = value;
  }
}

} // namespace

Result<std::unique_ptr<RondoCall>> RondoCall::make(const std::string &example,
                                                   const std::map<std::string, int64_t> &dims, const Shape &shape,
                                                   const CallOptions &options) {
  CompileOptions compile;
  compile.form = options.form;
  compile.dims = dims;
  Engine engine;
  const std::filesystem::path own = RONDO_BENCH_SPECS "/" + example + ".rondo";
  const std::string path = std::filesystem::exists(own) ? own.string() : RONDO_EXAMPLES "/" + example + ".rondo";
  Result<Kernel> kernel = engine.compileFile(path, compile);
  if (!kernel)
    return kernel.error();
  auto call = std::make_unique<RondoCall>();
  call->kernel = *kernel;
  call->options.threads = options.threads;
  std::mt19937 random(1);
  for (const TensorSpec &spec : call->kernel.program().tensors) {
    const bool init = options.states && spec.kind == TensorKind::Init;
    const bool final = options.states && spec.kind == TensorKind::Final;
    const bool input = spec.kind == TensorKind::Input || spec.kind == TensorKind::Param || init;
    const bool output = spec.kind == TensorKind::Output && call->outputs.empty();
    if (!input && !output && !final)
      continue;
    if (final) { // in place
      call->outputs.emplace_back(spec.name, call->arrays_.at(spec.name + ".init").view());
      continue;
    }
    Buffer buffer(DType::F32, shapeOf(spec, shape));
    if (input)
      draw(spec, buffer, random);
    const bool swap = options.order == Order::TimeFirst && spec.kind != TensorKind::Param;
    (input ? call->inputs : call->outputs).emplace_back(spec.name, swap ? timeFirst(buffer.view()) : buffer.view());
    call->arrays_.emplace(spec.name + (init ? ".init" : ""), std::move(buffer));
  }
  return call;
}

void RondoCall::clear(const std::string &name) {
  Buffer &buffer = arrays_.at(name);
  std::fill_n(buffer.as<float>(), buffer.view().elements(), 0.0f);
}

double RondoCall::bytes() const {
  double sum = 0;
  for (const auto &[name, buffer] : arrays_)
    sum += double(buffer.bytes());
  return sum;
}

double distance(Comparison &comparison) {
  if (!comparison.rondo->run())
    return std::numeric_limits<double>::infinity();
  comparison.peer();
  if (comparison.collect)
    comparison.collect();
  const float *ours = comparison.rondo->output().as<float>();
  double difference = 0, norm = 0;
  for (size_t i = 0; i < comparison.peerOutput.size(); ++i) {
    const double theirs = comparison.peerOutput[i];
    difference += (ours[i] - theirs) * (ours[i] - theirs);
    norm += theirs * theirs;
  }
  return std::sqrt(difference / norm);
}

} // namespace rondo::bench
