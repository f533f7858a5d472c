// What the compiler gives to the runtime for a GPU: the launches and their shapes, and the image. No GPU is needed.
#include "compiler/Driver/Compiler.h"
#include "runtime/cuda/Ways.h"
#include <algorithm>
#include <catch2/catch.hpp>

using namespace rondo;

namespace {

std::shared_ptr<const Program> compiled(const std::string &spec, std::map<std::string, int64_t> dims,
                                        DType type = DType::F32, bool packed = false,
                                        const std::string &form = "auto") {
  driver::Compiler compiler;
  driver::Options options;
  options.target = "cuda:sm_80";
  options.dims = std::move(dims);
  options.type = type;
  options.packed = packed;
  options.form = form;
  auto outcome = compiler.compile({"model.rondo", spec}, options);
  for (const auto &diagnostic : outcome.diagnostics)
    INFO(diagnostic.message);
  REQUIRE(outcome);
  return *outcome.value;
}

const char *const kGated = R"(model gated<D> {
  input x: [D]
  input a: [D] in [0, 1]
  state h: [D] = 0
  h[t] = a[t] * h[t-1] + x[t]
  output h
})";

const char *const kMatrix = R"(model matrix<K, V> {
  input q, k: [K]
  input v: [V]
  state S: [K, V] = 0
  S[t] = S[t-1] + outer(k[t], v[t])
  o[t] = q[t] @ S[t]
  output o
})";

const char *const kProjected = R"(model projected<E, D> {
  input x: [E]
  param W: [D, E]
  state h: [D] = 0
  h[t] = tanh(W @ x[t]) + 0.5 * h[t-1]
  output h
})";

/// Parameters of a kernel, as its PTX declares them.
size_t parametersOf(const DeviceImage &image, const Launch &launch) {
  const std::string &text = launch.image ? image.more.at(launch.image - 1) : image.code;
  const size_t begin = text.find(".entry " + launch.symbol + "(");
  REQUIRE(begin != std::string::npos);
  const std::string declared = text.substr(begin, text.find(')', begin) - begin);
  size_t count = 0;
  for (size_t at = declared.find(".param"); at != std::string::npos; at = declared.find(".param", at + 1))
    ++count;
  return count;
}

/// What the runtime hands to a kernel of a launch.
size_t argumentsFor(const Launch &launch) {
  cuda::QueuedLaunch queued;
  queued.operands.pointers.resize(launch.operands.size());
  queued.operands.strides.resize(launch.operands.size() * 5);
  uint64_t workspace = 0;
  return cuda::argumentsOf(launch, queued, &workspace).size();
}

} // namespace

TEST_CASE("a program for a GPU carries an image, and no code of the host") {
  const auto program = compiled(kGated, {{"D", 64}}, DType::F32, false, "step");
  REQUIRE(program->image);
  CHECK(program->image->device == "cuda");
  CHECK(program->image->architecture == "sm_80");
  CHECK(program->image->code.find(".target sm_80") != std::string::npos);
  CHECK(program->image->code.find(".visible .entry gated_0") != std::string::npos);
  REQUIRE(program->launches.size() == 1);
  CHECK(!program->launches[0].function);
}

TEST_CASE("channels that do not meet are shared out to blocks") {
  const auto program = compiled(kGated, {{"D", 1024}}, DType::F32, false, "step");
  const Launch &launch = program->launches.at(0);
  CHECK(launch.splits == 16); // parts of 64
  CHECK(launch.threads == 64);
  CHECK(launch.scratchBytes == 0);
  // A prime cannot be cut: one block walks it.
  CHECK(compiled(kGated, {{"D", 257}}, DType::F32, false, "step")->launches.at(0).splits == 1);
}

TEST_CASE("a matrix state that registers hold needs no memory of its own") {
  const auto program = compiled(kMatrix, {{"K", 64}, {"V", 128}});
  const Launch &launch = program->launches.at(0);
  CHECK(launch.splits == 2); // parts of 64 values
  CHECK(launch.threads == 128);
  CHECK(launch.sharedBytes > 0);
  CHECK(launch.sharedBytes % ((64 + 64 + 64) * 4) == 0); // some steps of q, k and a part of v
  CHECK(launch.scratchBytes == 0);
}

TEST_CASE("bf16 computes in f32, and f64 stages fewer steps") {
  const auto stages = [](DType type, int64_t bytes) {
    return int64_t(compiled(kMatrix, {{"K", 32}, {"V", 32}}, type, false, "step")->launches.at(0).sharedBytes) /
           (96 * bytes);
  };
  CHECK(stages(DType::BF16, 4) == stages(DType::F32, 4));
  CHECK(stages(DType::F64, 8) < stages(DType::F32, 4));
}

TEST_CASE("what waits for no state is a launch over time, and hands on a temporary") {
  const auto program = compiled(kProjected, {{"E", 32}, {"D", 64}}, DType::F32, false, "step");
  REQUIRE(program->launches.size() == 2);
  CHECK(program->launches[0].timeBlock > 0);
  CHECK(program->launches[1].timeBlock == 0);
  CHECK(program->tensors.back().kind == TensorKind::Temporary);
}

TEST_CASE("an array too large for shared memory goes to the workspace of its block") {
  const char *const mixing = R"(model mixing<D> {
    input x: [D]
    param W: [D, D]
    state h: [D] = 0
    h[t] = tanh(W @ h[t-1] + x[t])
    output h
  })";
  CHECK(compiled(mixing, {{"D", 64}})->launches.at(0).scratchBytes == 0);
  CHECK(compiled(mixing, {{"D", 30000}})->launches.at(0).scratchBytes > 0);
}

TEST_CASE("packed sequences are tasks") {
  const auto program = compiled(kGated, {{"D", 64}}, DType::F32, true);
  CHECK(program->launches.at(0).packed);
}

TEST_CASE("an elementwise recurrence goes in tiles of time where few blocks have many steps") {
  const auto program = compiled(kGated, {{"D", 2048}}, DType::BF16);
  const auto taken = [&](int64_t batch, int64_t time, uintptr_t at = 4096) {
    core::Sizes sizes;
    sizes.size[size_t(Axis::Batch)] = batch;
    sizes.size[size_t(Axis::Time)] = time;
    sizes.size[size_t(Axis::Head)] = 1;
    std::vector<Tensor> tensors;
    for (const TensorSpec &spec : program->tensors) {
      Tensor tensor{reinterpret_cast<void *>(at), spec.type, {}, {}};
      for (const AxisSpec &axis : spec.axes)
        tensor.shape.push_back(axis.axis == Axis::Named ? axis.size : sizes.size[size_t(axis.axis)]);
      tensors.push_back(tensor);
    }
    const auto launches = cuda::chooseLaunches(*program, tensors, sizes, {132, std::vector<int64_t>(3)});
    REQUIRE(launches);
    std::string symbols;
    for (const cuda::QueuedLaunch &each : *launches)
      symbols += program->launches[each.number].symbol + " ";
    return symbols;
  };
  CHECK(taken(1, 65536) == "gated_0_clear gated_0_segments ");
  CHECK(taken(1, 65536, 4098) == "gated_0 "); // rows that begin elsewhere
  CHECK(taken(8, 4096) == "gated_0 ");        // blocks for every multiprocessor
  CHECK(taken(1, 1) == "gated_0 ");
  CHECK(taken(1, 0) == "gated_0 ");
}

TEST_CASE("a kernel declares the arguments that the runtime hands to it") {
  const char *const gated = R"(model gated<K, V> {
    input q, k: [K]
    input v: [V]
    input g: [] < 0
    state S: [K, V] = 0
    S[t] = exp(g[t]) * S[t-1] + outer(k[t], v[t])
    o[t] = q[t] @ S[t]
    output o
  })";
  const auto program = compiled(gated, {{"K", 64}, {"V", 64}}, DType::BF16);
  const auto isSegmented = [](const Launch &launch) { return launch.segmentBytes > 0; };
  CHECK(std::ranges::count_if(program->launches, isSegmented) == 3); // ends, link, within
  for (const Launch &launch : program->launches) {
    INFO(launch.symbol);
    CHECK(parametersOf(*program->image, launch) == argumentsFor(launch));
  }
}
