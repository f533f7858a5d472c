// The reference with a kernel's roundings (CompileOptions::roundings), which bounds what 16-bit operands of matrix instructions may do: it
// must differ from the exact one where those round, by as much as those round, and nowhere else.
#include "compiler/tools/rondo/ErrorBound.h"
#include "compiler/tools/rondo/RandomInputs.h"
#include "compiler/tools/rondo/Stepping.h"
#include "compiler/tools/rondo/Trial.h"
#include "rondo/Engine.h"
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

using namespace rondo;
using namespace rondo::tool;

namespace {

const std::map<std::string, std::string> specs = {
    {"plain", "S[t] = S[t-1] + outer(k[t], v[t])"},
    {"scalar", "input g: [] <= 0\n S[t] = exp(g[t]) * S[t-1] + outer(k[t], v[t])"},
    {"bounded", "input g: [] in [-1, 0]\n S[t] = exp(g[t]) * S[t-1] + outer(k[t], v[t])"},
    {"keys", "input d: [K] <= 0\n S[t] = diag(exp(d[t])) @ S[t-1] + outer(k[t], v[t])"},
    {"delta", "S[t] = S[t-1] + outer(k[t], v[t] - 0.02 * (k[t] @ S[t-1]))"},
};

std::string specOf(const std::string &name) {
  if (name == "cell")
    return R"(model cell<K, V> {
      input x: [V]
      param W: [K, V]
      param U: [K, K]
      state h: [K] = 0
      h[t] = tanh(W @ x[t] + U @ h[t-1])
      output h
    })";
  return "model " + name + R"(<K, V> {
    input q, k: [K]
    input v: [V]
    state S: [K, V] = 0
    )" + specs.at(name) +
         R"(
    o[t] = q[t] @ S[t]
    output o
  })";
}

Kernel compiled(const std::string &name, DType type, const std::string &roundings, bool gradient = false) {
  Engine engine;
  CompileOptions options;
  options.target = "reference";
  options.roundings = roundings;
  options.type = roundings.empty() ? DType::F64 : type;
  options.dims = {{"K", 32}, {"V", 16}};
  options.gradient = gradient;
  Result<Kernel> kernel = engine.compileText(specOf(name), name + ".rondo", options);
  INFO((kernel ? "" : kernel.error().message()));
  REQUIRE(kernel);
  return *kernel;
}

/// Largest relative distance of a block, where inputs are drawn, or whole numbers that no rounding changes.
double distance(const std::string &name, DType type, int64_t time, bool whole, bool gradient = false) {
  const Kernel reference = compiled(name, type, "", gradient), rounded = compiled(name, type, "cuda:sm_90a", gradient);
  const CallShape shape{2, time, 1, 2, 1};
  NamedBuffers inputs = drawInputs(reference.program(), shape, 7, Inits::Drawn);
  for (auto &[tensor, buffer] : inputs) {
    const bool gate = tensor == "g" || tensor == "d";
    const int64_t count = buffer.view().elements();
    for (int64_t i = 0; i < count; ++i) {
      const double x = loadReal(buffer.view(), i);
      // Gates of 0 decay nothing, and -inf everything; the other tensors are as bf16 has them, or -1, 0 and 1.
      const double sign = std::abs(x) < 0.7 ? 0 : x < 0 ? -1 : 1;
      storeElement(
          buffer.view(), i,
          whole ? (gate ? (i % 97 == 0 ? -INFINITY : 0) : sign) : std::ldexp(std::nearbyint(std::ldexp(x, 5)), -5), 0);
    }
  }
  const Result<NamedBuffers> exact = reference.run(views(inputs), callOptions(reference.program(), shape, 1));
  REQUIRE(exact);
  const auto twice = roundingsOf(rounded, reference, inputs, *exact, shape, 1);
  REQUIRE(twice);
  double largest = 0;
  for (const auto &blocks : *twice)
    for (const RoundingBound &block : blocks)
      largest = std::max(largest, block.norm / 2);
  return largest;
}

} // namespace

TEST_CASE("what 16 bits hold exactly is off by f32's rounding alone: chunks, rests and lone steps are the recurrence") {
  for (const char *name : {"plain", "scalar", "keys"})
    for (int64_t time : {1, 17, 64, 71}) {
      INFO(name << " T=" << time);
      CHECK(distance(name, DType::BF16, time, /*whole=*/true) < 0x1p-20);
    }
}

TEST_CASE("operands are rounded once: the distance is of the type's size") {
  for (const char *name : {"plain", "scalar", "keys", "delta"})
    for (int64_t time : {17, 71}) {
      const double bf16 = distance(name, DType::BF16, time, false), f16 = distance(name, DType::F16, time, false);
      INFO(name << " T=" << time << " bf16 " << bf16 << " f16 " << f16);
      CHECK(bf16 > 0x1p-11);
      CHECK(bf16 < 0x1p-7);
      CHECK(bf16 > 4 * f16);
      CHECK(bf16 < 16 * f16);
    }
}

TEST_CASE("f32 goes by steps, and is not rounded") { CHECK(distance("scalar", DType::F32, 71, false) < 1e-14); }

TEST_CASE("a gradient is rounded where its own chunks round") {
  for (const char *name : {"plain", "bounded"})
    for (int64_t time : {17, 71}) {
      const double bf16 = distance(name, DType::BF16, time, false, /*gradient=*/true);
      INFO(name << " T=" << time << " bf16 " << bf16);
      CHECK(bf16 > 0x1p-11);
      CHECK(bf16 < 0x1p-6);
    }
}

TEST_CASE("a cell and its gradient round what their products take") {
  for (bool gradient : {false, true}) {
    INFO((gradient ? "gradient" : "model"));
    const double bf16 = distance("cell", DType::BF16, 17, false, gradient),
                 f16 = distance("cell", DType::F16, 17, false, gradient);
    CHECK(bf16 > 5e-4);
    CHECK(bf16 < 2e-2);
    CHECK(f16 > bf16 / 16); // three bits more
    CHECK(f16 < bf16 / 4);
    CHECK(distance("cell", DType::F32, 17, false, gradient) < 1e-13);
  }
}

TEST_CASE("more roundings are drawn where one draw does not suffice, and do not hide an error") {
  const Kernel reference = compiled("scalar", DType::BF16, ""),
               rounded = compiled("scalar", DType::BF16, "cuda:sm_90a");
  Trial trial;
  trial.shape = {2, 71, 1, 2, 1};
  trial.inputs = drawInputs(reference.program(), trial.shape, 7, Inits::Drawn);
  Result<NamedBuffers> exact = reference.run(views(trial.inputs), callOptions(reference.program(), trial.shape, 1));
  REQUIRE(exact);
  trial.results = copy(*exact);
  trial.tolerances = {};
  for (const TensorDifference &each : compare(reference.program(), *exact, *exact))
    trial.tolerances.emplace_back(each.parts.size(), 0.0);
  REQUIRE(addRoundings(trial, rounded, reference, 1));
  const double one = trial.roundings[0][0].norm;
  CHECK(judge(reference.program(), *exact, trial, reference, 1)->passed());
  CHECK(trial.roundings[0][0].norm == one); // nothing more was drawn

  // A result that is off by eight times the bound.
  NamedBuffers wrong = copy(*exact);
  const Tensor view = wrong[0].second.view();
  for (int64_t i = 0; i < view.elements(); ++i)
    storeElement(view, i, loadReal(view, i) * (1 + 8 * one), 0);
  CHECK_FALSE(judge(reference.program(), wrong, trial, reference, 1)->passed());
  CHECK(trial.roundings[0][0].norm >= one);
  CHECK(trial.roundings[0][0].norm < 2 * one);
}
