#include "Network.h"
#include <cmath>

namespace {

rondo::Tensor view(const std::vector<float> &data, std::vector<int64_t> shape) {
  return {const_cast<float *>(data.data()), rondo::DType::F32, std::move(shape), {}};
}

int64_t elements(const std::vector<int64_t> &shape) {
  int64_t count = 1;
  for (const int64_t size : shape)
    count *= size;
  return count;
}

/// Networks are trained side by side, each of them in one thread.
rondo::RunOptions oneThread() {
  rondo::RunOptions options;
  options.threads = 1;
  return options;
}

} // namespace

rondo::Result<Network> Network::compile(rondo::Engine &engine, const std::string &path,
                                        const std::map<std::string, int64_t> &dims) {
  Network network;
  rondo::CompileOptions options;
  options.dims = dims;
  rondo::Result<rondo::Kernel> forward = engine.compileFile(path, options);
  if (!forward)
    return forward.error();
  network.forward = *forward;
  for (const rondo::TensorSpec &tensor : forward->program().tensors)
    if (tensor.kind == rondo::TensorKind::Input) {
      network.inputSize = tensor.axes.back().size;
    } else if (tensor.kind == rondo::TensorKind::Output) {
      network.logitSize = tensor.axes.back().size;
    } else if (tensor.kind == rondo::TensorKind::Param) {
      network.names.push_back(tensor.name);
      network.shapes.emplace_back();
      for (const rondo::AxisSpec &axis : tensor.axes)
        network.shapes.back().push_back(axis.size);
    }

  options.gradient = 1;
  options.wrt = network.names;
  for (auto [name, half] : {std::pair{"there", &network.there}, std::pair{"back", &network.back}}) {
    options.half = name;
    rondo::Result<rondo::Kernel> kernel = engine.compileFile(path, options);
    if (!kernel)
      return kernel.error();
    *half = *kernel;
  }
  return network;
}

Weights Network::initial(std::mt19937_64 &random) const {
  std::normal_distribution<float> normal;
  Weights weights;
  for (const std::vector<int64_t> &shape : shapes) {
    weights.emplace_back(elements(shape));
    if (shape.size() > 1)
      for (float &weight : weights.back())
        weight = normal(random) / std::sqrt(float(shape.back()));
  }
  return weights;
}

rondo::NamedTensors Network::tensors(const std::string &prefix, const Weights &weights) const {
  rondo::NamedTensors named;
  for (size_t i = 0; i < names.size(); ++i)
    named.emplace_back(prefix + names[i], view(weights[i], shapes[i]));
  return named;
}

rondo::Result<std::vector<float>> Network::logits(const Weights &weights, const Batch &batch) const {
  std::vector<float> y(batch.batch * batch.time * logitSize);
  rondo::NamedTensors inputs = tensors("", weights);
  inputs.emplace_back("x", view(batch.x, {batch.batch, batch.time, inputSize}));
  rondo::Result<void> done = forward.run(inputs, {{"y", view(y, {batch.batch, batch.time, logitSize})}}, oneThread());
  if (!done)
    return done.error();
  return y;
}

rondo::Result<Network::WayThere> Network::goThere(const Weights &weights, const Batch &batch) const {
  rondo::NamedTensors inputs = tensors("", weights);
  inputs.emplace_back("x", view(batch.x, {batch.batch, batch.time, inputSize}));
  rondo::Result<rondo::NamedBuffers> results = there.run(inputs, oneThread());
  if (!results)
    return results.error();
  WayThere way;
  for (size_t i = 0; i < results->size(); ++i) {
    auto &[name, buffer] = (*results)[i];
    if (name == "y")
      way.logits.assign(static_cast<const float *>(buffer.data()),
                        static_cast<const float *>(buffer.data()) + elements(buffer.shape()));
    else if (name.rfind("kept.", 0) == 0)
      way.kept.emplace_back(name, std::move(buffer));
  }
  return way;
}

rondo::Result<Weights> Network::goBack(const Weights &weights, const Batch &batch, const std::vector<float> &dLogits,
                                       const rondo::NamedBuffers &kept) const {
  Weights result;
  for (const std::vector<int64_t> &shape : shapes)
    result.emplace_back(elements(shape));
  rondo::NamedTensors inputs = tensors("", weights);
  inputs.emplace_back("x", view(batch.x, {batch.batch, batch.time, inputSize}));
  inputs.emplace_back("d_y", view(dLogits, {batch.batch, batch.time, logitSize}));
  for (const auto &[name, buffer] : kept)
    inputs.emplace_back(name, buffer.view());
  rondo::Result<void> done = back.run(inputs, tensors("d_", result), oneThread());
  if (!done)
    return done.error();
  return result;
}
