// Reading the published numbers, their layouts, and running specs; see Numbers.h.
#include "test/oracle/Numbers.h"
#include "rondo/Engine.h"
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

namespace rondo::oracle {
namespace {

using nlohmann::json;

int64_t product(const std::vector<int64_t> &shape, size_t from = 0) {
  return std::accumulate(shape.begin() + from, shape.end(), int64_t(1), std::multiplies<>());
}

json readJson(const std::string &file) {
  std::ifstream in(std::string(RONDO_SOURCE_DIR "/test/oracle/") + file);
  INFO("test/oracle/" << file);
  REQUIRE(in.good());
  return json::parse(in);
}

Tensors readTensors(const json &object, bool single) {
  Tensors tensors;
  for (const auto &[name, value] : object.items()) {
    Array array{value["shape"], value["data"]};
    REQUIRE(int64_t(array.data.size()) == product(array.shape));
    if (single)
      std::transform(array.data.begin(), array.data.end(), array.data.begin(),
                     [](double x) { return double(float(x)); });
    tensors[name] = std::move(array);
  }
  return tensors;
}

/// A LSRL tensor: one sequence, scalars.
Tensors readSequences(const json &object) {
  Tensors tensors;
  for (const auto &[name, value] : object.items())
    tensors[name] = {{1, int64_t(value.size())}, value};
  return tensors;
}

Buffer toBuffer(const Array &array, DType type) {
  Buffer buffer(type, array.shape);
  for (size_t i = 0; i < array.data.size(); ++i)
    storeElement(buffer.view(), i, array.data[i]);
  return buffer;
}

Array toArray(const Buffer &buffer) {
  Array array{buffer.shape(), std::vector<double>(product(buffer.shape()))};
  for (size_t i = 0; i < array.data.size(); ++i)
    array.data[i] = loadReal(buffer.view(), i);
  return array;
}

template <typename T> T &require(Result<T> &result, const std::string &what) {
  if (!result)
    FAIL(what << ": " << result.error().message());
  return *result;
}

} // namespace

Array slice(const Array &array, int64_t index) {
  Array part = rows(array, index, 1);
  part.shape.erase(part.shape.begin());
  return part;
}

Array rows(const Array &array, int64_t begin, int64_t count) {
  int64_t size = product(array.shape, 1);
  Array part{array.shape, {array.data.begin() + begin * size, array.data.begin() + (begin + count) * size}};
  part.shape[0] = count;
  return part;
}

Array lastAxis(const Array &array, int64_t begin, int64_t count) {
  Array part{array.shape, {}};
  part.shape.back() = count;
  for (size_t at = 0; at < array.data.size(); at += array.shape.back())
    part.data.insert(part.data.end(), array.data.begin() + at + begin, array.data.begin() + at + begin + count);
  return part;
}

Array add(const Array &a, const Array &b) {
  Array sum = a;
  std::transform(a.data.begin(), a.data.end(), b.data.begin(), sum.data.begin(), std::plus<>());
  return sum;
}

Array swapFirst(const Array &array) {
  Array swapped = array;
  std::swap(swapped.shape[0], swapped.shape[1]);
  int64_t n = array.shape[0], m = array.shape[1], size = product(array.shape, 2);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < m; ++j)
      std::copy_n(array.data.begin() + (i * m + j) * size, size, swapped.data.begin() + (j * n + i) * size);
  return swapped;
}

Array flipTime(const Array &array) {
  Array flipped = array;
  int64_t batch = array.shape[0], time = array.shape[1], size = product(array.shape, 2);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t t = 0; t < time; ++t)
      std::copy_n(array.data.begin() + (b * time + t) * size, size,
                  flipped.data.begin() + (b * time + time - 1 - t) * size);
  return flipped;
}

Array Case::input() const { return layout ? inputs.at("X") : swapFirst(inputs.at("X")); }

Array Case::weightOrZero(const std::string &name, int64_t direction, std::vector<int64_t> shape) const {
  if (inputs.count(name))
    return weight(name, direction);
  int64_t size = product(shape);
  return {std::move(shape), std::vector<double>(size, 0.0)};
}

Array Case::initial(const std::string &name, int64_t direction) const {
  if (inputs.count(name))
    return slice(layout ? swapFirst(inputs.at(name)) : inputs.at(name), direction);
  int64_t batch = input().shape[0];
  return {{batch, hidden}, std::vector<double>(batch * hidden, 0.0)};
}

Array Case::expectedSequence(int64_t direction) const {
  const Array &y = outputs.at("Y");
  if (!layout) // [T, dirs, B, H]
    return swapFirst(slice(swapFirst(y), direction));
  Array joined{{y.shape[0] * y.shape[1], y.shape[2], y.shape[3]}, y.data}; // [B * T, dirs, H]
  Array part = slice(swapFirst(joined), direction);
  return {{y.shape[0], y.shape[1], y.shape[3]}, part.data};
}

Array Case::expectedFinal(const std::string &name, int64_t direction) const {
  const Array &y = outputs.at(name);
  return slice(layout ? swapFirst(y) : y, direction);
}

std::vector<Case> loadOnnx(const std::string &file) {
  std::vector<Case> cases;
  const json text = readJson(file);
  for (const json &from : text["cases"]) {
    Case c;
    c.name = from["name"], c.origin = from["origin"], c.direction = from["direction"];
    c.layout = from["layout"], c.hidden = from["hidden_size"];
    c.resetAfter = from["linear_before_reset"] == 1;
    c.inputs = readTensors(from["inputs"], true);
    c.outputs = readTensors(from["outputs"], c.origin == "published");
    cases.push_back(std::move(c));
  }
  REQUIRE_FALSE(cases.empty());
  return cases;
}

std::vector<LsrlCase> loadLsrl(const std::string &file) {
  std::vector<LsrlCase> cases;
  const json text = readJson(file);
  for (const json &from : text["cases"])
    cases.push_back({from["file"], from["why"], from.value("irrational", false), readSequences(from["inputs"]),
                     readSequences(from["outputs"])});
  REQUIRE_FALSE(cases.empty());
  return cases;
}

Tensors run(const std::string &spec, const std::map<std::string, int64_t> &dims, const Tensors &tensors,
            const std::vector<std::string> &finals, const std::vector<std::string> &outputs, const std::string &target,
            DType type) {
  CompileOptions options;
  options.target = target;
  options.dims = dims;
  options.type = type;
  Engine engine;
  Result<Kernel> kernel = engine.compileFile(RONDO_SOURCE_DIR "/examples/" + spec + ".rondo", options);
  require(kernel, "compile " + spec);

  std::vector<Buffer> buffers;
  NamedTensors inputs;
  for (const auto &[name, array] : tensors) {
    buffers.push_back(toBuffer(array, type));
    inputs.emplace_back(name, buffers.back().view());
  }
  Result<NamedBuffers> ran = kernel->run(inputs);
  NamedBuffers &results = require(ran, "run " + spec);

  std::set<std::string> wanted(finals.begin(), finals.end());
  for (const std::string &name : outputs)
    wanted.insert("output " + name);
  Tensors got;
  size_t next = 0;
  for (const TensorSpec &tensor : kernel->program().tensors) {
    if (tensor.kind != TensorKind::Output && tensor.kind != TensorKind::Final)
      continue;
    // The final value of a state that is an output too is called "h.final".
    std::string name =
        tensor.kind == TensorKind::Output ? "output " + tensor.name : tensor.name.substr(0, tensor.name.find(".final"));
    if (wanted.erase(name))
      got[name] = toArray(results.at(next).second);
    ++next;
  }
  INFO("missing from " << spec << ": " << (wanted.empty() ? "" : *wanted.begin()));
  REQUIRE(wanted.empty());
  return got;
}

} // namespace rondo::oracle
