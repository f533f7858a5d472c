// Gradients of small models: every function of the language against differences, corners and conventions by hand, on both targets.
#include "compiler/tools/rondo/Comparison.h"
#include "compiler/tools/rondo/GradientCheck.h"
#include "compiler/tools/rondo/RandomInputs.h"
#include "compiler/tools/rondo/Stepping.h"
#include "rondo/Engine.h"
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

using namespace rondo;
using namespace rondo::tool;
using Catch::Matchers::Contains;
using Numbers = std::vector<double>;

namespace {

Result<Kernel> tryCompile(const std::string &text, const std::string &target, int64_t order,
                          std::vector<std::string> wrt = {}, bool resets = false, bool tangent = false) {
  static Engine engine;
  CompileOptions options;
  options.target = target;
  options.type = DType::F64;
  options.gradient = order;
  options.wrt = std::move(wrt);
  options.resets = resets;
  options.tangent = tangent;
  if (text.find("<K>") != std::string::npos)
    options.dims["K"] = 5;
  return engine.compileText(text, "m.rondo", options);
}

Kernel compile(const std::string &text, const std::string &target, int64_t order, std::vector<std::string> wrt = {},
               bool resets = false) {
  Result<Kernel> kernel = tryCompile(text, target, order, std::move(wrt), resets);
  INFO(text << (kernel ? "" : kernel.error().message()));
  REQUIRE(kernel);
  return *kernel;
}

/// The gradient of order `order` on both targets: against differences of the one before, and against each other.
void check(const std::string &text, int64_t order = 1, bool resets = false) {
  const Kernel model = compile(text, "reference", order - 1, {}, resets),
               reference = compile(text, "reference", order, {}, resets),
               kernel = compile(text, "cpu", order, {}, resets);
  const CallShape shape = fitted(reference.program().tensors, {2, 4, 3, 2, 1, 3});
  const NamedBuffers inputs = drawInputs(reference.program(), shape, 11, Inits::Drawn);
  const RunOptions call = callOptions(reference.program(), shape, 1);
  Result<NamedBuffers> expected = reference.run(views(inputs), call), got = kernel.run(views(inputs), call);
  REQUIRE(expected);
  REQUIRE(got);
  INFO(text);
  for (const TensorDifference &each : compare(kernel.program(), *got, *expected))
    for (size_t b = 0; b < each.parts.size(); ++b) {
      INFO(each.name);
      CHECK(each.relative(b) <= 1e-11);
    }
  const std::string prefix = order == 1 ? "d_" : "d" + std::to_string(order) + "_";
  auto differences = checkDifferences(model, inputs, *expected, prefix, shape, 5, 1);
  REQUIRE(differences);
  REQUIRE(differences->size() == expected->size());
  for (const GradientDifference &each : *differences) {
    INFO(each.tensor);
    CHECK(each.error <= toleranceOfDifferences);
  }
}

/// A model without a state: y = f(x, ...).
std::string pointwise(const std::string &inputs, const std::string &equation) {
  return "model m<K> {\n" + inputs + "  y[t] = " + equation + "\n  output y\n}\n";
}

/// Tensors by name, f64, all of one batch entry and no heads.
NamedBuffers tensors(std::initializer_list<std::pair<const char *, std::pair<std::vector<int64_t>, Numbers>>> list,
                     DType type = DType::F64) {
  NamedBuffers made;
  for (const auto &[name, content] : list) {
    Buffer buffer(type, content.first);
    for (size_t i = 0; i < content.second.size(); ++i)
      storeElement(buffer.view(), int64_t(i), content.second[i]);
    made.emplace_back(name, std::move(buffer));
  }
  return made;
}

Numbers resultOf(const Kernel &kernel, const NamedBuffers &inputs, const std::string &name) {
  Result<NamedBuffers> results = kernel.run(views(inputs), RunOptions());
  INFO((results ? "" : results.error().message()));
  REQUIRE(results);
  Numbers numbers;
  for (const auto &[which, buffer] : *results)
    for (int64_t i = 0; which == name && i < buffer.view().elements(); ++i)
      numbers.push_back(loadReal(buffer.view(), i));
  return numbers;
}

} // namespace

TEST_CASE("functions of one real value have their derivatives") {
  for (const char *equation :
       {"-x[t]", "exp(x[t])", "expm1(x[t])", "log(1.5 + x[t] * x[t])", "log1p(x[t] * x[t])", "sqrt(1 + x[t] * x[t])",
        "tanh(x[t])", "sin(x[t])", "cos(x[t])", "erf(x[t])", "abs(x[t])", "sign(x[t]) * x[t]", "floor(x[t]) * x[t]",
        "sigmoid(x[t])", "softplus(x[t])", "relu(x[t])", "silu(x[t])", "gelu(x[t])"})
    check(pointwise("  input x: [K]\n", equation));
}

TEST_CASE("functions of two real values have their derivatives, scalars included") {
  for (const char *equation : {"x[t] + s[t] * z[t]", "x[t] - s[t]", "s[t] - x[t]", "s[t] * x[t]",
                               "x[t] / (1.5 + z[t] * z[t])", "s[t] / (2 + x[t] * x[t])", "max(x[t], z[t])",
                               "min(x[t], s[t])", "(1.5 + x[t] * x[t]) ^ z[t]", "x[t] ^ 3", "(2 + s[t] * s[t]) ^ x[t]"})
    check(pointwise("  input x, z: [K]\n  input s: []\n", equation));
}

TEST_CASE("reductions, products and pieces have their derivatives") {
  for (const char *equation :
       {"sum(x[t]) * x[t]", "max(x[t]) * z[t]", "min(x[t]) * z[t]", "prod(x[t]) * z[t]", "softmax(x[t])",
        "l2norm(x[t])", "dot(x[t], z[t]) * x[t]", "W @ x[t]", "x[t] @ W", "outer(x[t], z[t]) @ x[t]", "W @ W @ x[t]",
        "transpose(W) @ x[t]", "concat(x[t][0:2], z[t][1:4])", "concat(x[t][1:3], x[t][0:3])", "x[t][0] * z[t]"})
    check(pointwise("  input x, z: [K]\n  param W: [K, K]\n", equation));
}

TEST_CASE("complex functions follow the convention, and recurrences carry it through time") {
  for (const char *equation :
       {"real(x[t] * z[t])", "imag(exp(x[t]) / z[t])", "abs(x[t] * x[t])", "real(conj(x[t]) * z[t])",
        "real(complex(r[t], r[t]) * x[t])", "real(sqrt(x[t])) + imag(log(z[t]))"})
    check(pointwise("  input x, z: complex [K]\n  input r: [K]\n", equation));
  check("model m<K> {\n  input x, a: complex [K]\n  state h: complex [K] = 0\n"
        "  h[t] = 0.5 * a[t] * h[t-1] + x[t]\n  output h\n}\n");
}

TEST_CASE("recurrences: lags, both directions, two axes, cells, matrix states") {
  check("model m<K> {\n  input x: [K]\n  init s0: [K]\n  state s: [K] = s0\n"
        "  s[t] = tanh(s[t-1] + 0.3 * s[t-3]) * x[t]\n  output s\n}\n");
  check("model m<K> {\n  input x: [K]\n  state s: [K] = 0\n  s[t] = sin(s[t+1]) + x[t]\n  output s\n}\n");
  check("model m<K> {\n  input x: [K]\n  y[t] = x[t] * x[t-2]\n  output y\n}\n");
  check("model m<K> {\n  input x: [K]\n  param W: [K, K]\n  state h: [K] = 0\n  h[t] = tanh(W @ h[t-1] + x[t])\n  "
        "output h\n}\n");
  check("model m<K> {\n  input q, k, v, a: [K]\n  state S: [K, K] = 0\n"
        "  S[t] = diag(a[t]) @ S[t-1] + outer(k[t], v[t])\n  o[t] = q[t] @ S[t]\n  output o\n}\n");
}

TEST_CASE("the gradient of a gradient is right too") {
  check(pointwise("  input x, z: [K]\n", "x[t] * sin(z[t]) + exp(x[t])"), 2);
  check("model m<K> {\n  input x: [K]\n  param a: [K]\n  state s: [K] = 0\n  s[t] = a * s[t-1] + x[t]\n  output s\n}\n",
        2);
  check("model m<K> {\n  input q, k, v: [K]\n  input a: []\n  state S: [K, K] = 0\n"
        "  S[t] = a[t] * S[t-1] + outer(k[t], v[t])\n  o[t] = q[t] @ S[t]\n  output o\n}\n",
        2);
}

TEST_CASE("corners: equal operands share, |0| and the like have 0, a product with zeros is exact") {
  for (const char *target : {"reference", "cpu"}) {
    const auto inputs = tensors({{"x", {{1, 1, 3}, {1, 0, -2}}}, {"d_y", {{1, 1, 3}, {1, 10, 100}}}});
    CHECK(resultOf(compile("model m {\n  input x: [3]\n  y[t] = abs(x[t])\n  output y\n}\n", target, 1), inputs,
                   "d_x") == Numbers{1, 0, -100});
    CHECK(resultOf(compile("model m {\n  input x: [3]\n  y[t] = max(x[t], 0)\n  output y\n}\n", target, 1), inputs,
                   "d_x") == Numbers{1, 5, 0});
    const auto one = tensors({{"x", {{1, 1, 3}, {2, 2, 1}}}, {"d_y", {{1, 1}, {6}}}});
    CHECK(resultOf(compile("model m {\n  input x: [3]\n  y[t] = max(x[t])\n  output y\n}\n", target, 1), one, "d_x") ==
          Numbers{3, 3, 0});
    const auto zeros = tensors({{"x", {{1, 2, 3}, {2, 0, 3, 0, 0, 5}}}, {"d_y", {{1, 2}, {1, 1}}}});
    CHECK(resultOf(compile("model m {\n  input x: [3]\n  y[t] = prod(x[t])\n  output y\n}\n", target, 1), zeros,
                   "d_x") == Numbers{0, 6, 0, 0, 0, 0});
  }
}

TEST_CASE("a complex gradient is dL/dRe + i dL/dIm") {
  // L = |z|^2: the direction of steepest growth is z itself, twice.
  NamedBuffers inputs = tensors({{"d_y", {{1, 1, 1}, {1}}}});
  Buffer z(DType::C128, {1, 1, 1});
  storeElement(z.view(), 0, 3, 4);
  inputs.emplace_back("z", std::move(z));
  const Kernel gradient =
      compile("model m {\n  input z: complex [1]\n  y[t] = real(z[t] * conj(z[t]))\n  output y\n}\n", "cpu", 1);
  Result<NamedBuffers> results = gradient.run(views(inputs), RunOptions());
  REQUIRE(results);
  CHECK(loadReal(results->front().second.view(), 0) == 6);
  CHECK(loadImag(results->front().second.view(), 0) == 8);
}

TEST_CASE("gates of exactly 0 and 1 have exact gradients") {
  const char *text = "model m {\n  input a, x: []\n  state s: [] = 0\n  s[t] = a[t] * s[t-1] + x[t]\n  output s\n}\n";
  const auto inputs =
      tensors({{"a", {{1, 4}, {1, 0, 1, 0x1p-100}}}, {"x", {{1, 4}, {2, 3, 5, 7}}}, {"d_s", {{1, 4}, {0, 0, 0, 1}}}});
  for (const char *target : {"reference", "cpu"}) {
    const Kernel gradient = compile(text, target, 1);
    // s = 2, 3, 8, ~7; da_t = dS_t s_{t-1}, dS = (0, 2^-100, 2^-100, 1).
    CHECK(resultOf(gradient, inputs, "d_a") == Numbers{0, 0x1p-99, 0x3p-100, 8});
    CHECK(resultOf(gradient, inputs, "d_x") == Numbers{0, 0x1p-100, 0x1p-100, 1});
  }
}

TEST_CASE("gradients by some tensors only") {
  const char *text =
      "model m<K> {\n  input x: [K]\n  param a: [K]\n  state s: [K] = 0\n  s[t] = a * s[t-1] + x[t]\n  output s\n}\n";
  const Kernel all = compile(text, "cpu", 1), some = compile(text, "cpu", 1, {"a"});
  std::vector<std::string> names;
  for (const TensorSpec *spec : computedTensors(some.program()))
    names.push_back(spec->name);
  CHECK(names == std::vector<std::string>{"d_a"});
  const CallShape shape{2, 5};
  const NamedBuffers inputs = drawInputs(all.program(), shape, 3, Inits::Drawn);
  CHECK(resultOf(all, inputs, "d_a") == resultOf(some, inputs, "d_a"));
  Result<Kernel> wrong = tryCompile(text, "cpu", 1, {"b"});
  REQUIRE_FALSE(wrong);
  CHECK_THAT(wrong.error().message(), Contains("'b'"));
}

TEST_CASE("nothing depends on it: the gradient is zero, also of an empty batch") {
  const char *text = "model m<K> {\n  input x, unused: [K]\n  param w: [K]\n  y[t] = w * x[t]\n  output y\n}\n";
  const Kernel gradient = compile(text, "cpu", 1);
  const Numbers xs(10, 2.0), ones(10, 1.0);
  const auto inputs = tensors(
      {{"x", {{1, 2, 5}, xs}}, {"unused", {{1, 2, 5}, xs}}, {"w", {{5}, {1, 2, 3, 4, 5}}}, {"d_y", {{1, 2, 5}, ones}}});
  CHECK(resultOf(gradient, inputs, "d_unused") == Numbers(10, 0.0));
  CHECK(resultOf(gradient, inputs, "d_w") == Numbers(5, 4.0));
  const auto none = tensors(
      {{"x", {{0, 2, 5}, {}}}, {"unused", {{0, 2, 5}, {}}}, {"w", {{5}, {1, 2, 3, 4, 5}}}, {"d_y", {{0, 2, 5}, {}}}});
  CHECK(resultOf(gradient, none, "d_w") == Numbers(5, 0.0));
}

TEST_CASE("states that are read far back have gradients under resets, and their initial slices too") {
  check("model m<K> {\n  input x: [K]\n  init s0: [K]\n  state s: [K] = s0\n"
        "  s[t] = tanh(s[t-1] + 0.3 * s[t-3]) * x[t]\n  output s\n}\n",
        1, /*resets=*/true);
  check("model m {\n  input x: []\n  state s: [] = 0\n  s[t] = s[t-2] + x[t] * x[t-3]\n  output s\n}\n", 1, true);
  // The final slices are what a reset has left there: s[t] = s[t-2] + x[t], reset at t = 2 of 3.
  const char *text =
      "model m {\n  input x: []\n  state s: [] = 0\n  s[t] = s[t-2] + x[t]\n  output y\n  y[t] = x[t]\n}\n";
  NamedBuffers inputs = tensors({{"x", {{1, 3}, {1, 2, 3}}},
                                 {"s", {{1, 2}, {10, 20}}},
                                 {"d_y", {{1, 3}, {0, 0, 0}}},
                                 {"d_s", {{1, 2}, {100, 1000}}}});
  Buffer resets(DType::Bool, {1, 3});
  storeElement(resets.view(), 2, 1);
  inputs.emplace_back("resets", std::move(resets));
  for (const char *target : {"reference", "cpu"}) {
    Result<Kernel> gradient = tryCompile(text, target, 1, {}, /*resets=*/true);
    REQUIRE(gradient);
    // After the reset s[1], the older final slice, is the newer initial one, and s[2] = the older initial one + x[2].
    CHECK(resultOf(*gradient, inputs, "d_x") == Numbers{0, 0, 1000});
    CHECK(resultOf(*gradient, inputs, "d_s") == Numbers{1000, 100});
  }
}

TEST_CASE("states that are read along two axes at once have gradients") {
  check("model m<K> over (r, c) {\n  input x: [K]\n  init h0: [K]\n  state h: [K] = h0\n"
        "  h[r, c] = tanh(x[r, c] + 0.5 * h[r-1, c-1] + 0.2 * h[r, c-1])\n  output h\n}\n");
  check("model m<K> over (r, c) {\n  input x: [K]\n  state h: [K] = 0\n"
        "  h[r, c] = x[r, c] + 0.5 * h[r-1, c-1] * h[r-1, c]\n  output h\n}\n");
}

TEST_CASE("logaddexp has the derivatives exp(x - lse), at equal arguments one half each") {
  const char *text = "model m {\n  input a, b: [3]\n  y[t] = logaddexp(a[t], b[t])\n  output y\n}\n";
  const auto inputs =
      tensors({{"a", {{1, 1, 3}, {1, 0, -40}}}, {"b", {{1, 1, 3}, {1, 2, 40}}}, {"d_y", {{1, 1, 3}, {6, 1, 1}}}});
  for (const char *target : {"reference", "cpu"}) {
    const Kernel gradient = compile(text, target, 1);
    const Numbers a = resultOf(gradient, inputs, "d_a"), b = resultOf(gradient, inputs, "d_b");
    CHECK(a[0] == 3);
    CHECK(b[0] == 3);
    CHECK(a[1] == Approx(1 / (1 + std::exp(2.0))).epsilon(1e-14));
    CHECK(b[1] == Approx(1 / (1 + std::exp(-2.0))).epsilon(1e-14));
    CHECK(a[2] == Approx(std::exp(-80.0)).epsilon(1e-13));
    CHECK(b[2] == 1);
  }
}

TEST_CASE("a gradient is the same bit for bit, for every run and any number of threads") {
  for (const char *text : {"model m<K> {\n  input q, k, v: [K]\n  input a: [K] in [0, 1]\n  state S: [K, K] = 0\n"
                           "  S[t] = diag(a[t]) @ S[t-1] + outer(k[t], v[t])\n  o[t] = q[t] @ S[t]\n  output o\n}\n",
                           "model m<K> {\n  input x: [K]\n  param W, U: [K, K]\n  state h: [K] = 0\n  h[t] = tanh(W @ "
                           "x[t] + U @ h[t-1])\n  "
                           "output h\n}\n"}) {
    const Kernel one = compile(text, "cpu", 1), two = compile(text, "cpu", 1);
    const CallShape shape = fitted(one.program().tensors, {9, 67, 3, 2, 1, 3});
    const NamedBuffers inputs = drawInputs(one.program(), shape, 11, Inits::Drawn);
    Result<NamedBuffers> first = one.run(views(inputs), callOptions(one.program(), shape, 1));
    REQUIRE(first);
    for (int threads : {1, 2, 3, 8})
      for (const Kernel &kernel : {one, two}) {
        Result<NamedBuffers> again = kernel.run(views(inputs), callOptions(kernel.program(), shape, threads));
        REQUIRE(again);
        for (size_t i = 0; i < first->size(); ++i)
          CHECK(std::memcmp((*first)[i].second.data(), (*again)[i].second.data(), (*first)[i].second.bytes()) == 0);
      }
  }
}

TEST_CASE("a derivative that a norm takes out again, but for its epsilon, is compared as far as rounding shows it",
          "[gradient]") {
  const char *text = "model m<K> {\n  input x: [K]\n  param s: []\n  y[t] = l2norm(x[t] * s)\n  output y\n}\n";
  const Kernel model = compile(text, "reference", 0), gradient = compile(text, "reference", 1);
  const CallShape shape = fitted(gradient.program().tensors, {1, 9, 1, 1, 1, 1});
  const NamedBuffers inputs = drawInputs(gradient.program(), shape, 11, Inits::Drawn);
  Result<NamedBuffers> gradients = gradient.run(views(inputs), callOptions(gradient.program(), shape, 1));
  REQUIRE(gradients);
  const auto differenceOf = [&](const std::string &name) {
    auto differences = checkDifferences(model, inputs, *gradients, "d_", shape, 5, 1);
    REQUIRE(differences);
    for (const GradientDifference &each : *differences)
      if (each.tensor == name)
        return each;
    FAIL("no difference of " << name);
    return GradientDifference();
  };
  CHECK(differenceOf("x").settled());
  CHECK_FALSE(differenceOf("s").settled());
  CHECK(differenceOf("s").passed());
  for (auto &[name, gradient] : *gradients)
    if (name == "d_s") // wrong by a tenth
      storeElement(gradient.view(), 0, 1.1 * loadReal(gradient.view(), 0));
  CHECK_FALSE(differenceOf("s").passed());
}

TEST_CASE("a corner of the derivative near the differences' steps does not deceive them", "[gradient]") {
  // D(h) converges in h there, not in h^4, and D(h) = D(h/2), both wrong, where the corner is at sqrt(2/7) h.
  const char *text = "model m<K> {\n  input x: [K]\n  y[t] = relu(x[t])^2 + x[t]\n  output y\n}\n";
  const Kernel model = compile(text, "reference", 0), gradient = compile(text, "reference", 1);
  const CallShape shape = fitted(gradient.program().tensors, {1, 9, 1, 1, 1, 1});
  NamedBuffers inputs = drawInputs(gradient.program(), shape, 11, Inits::Drawn);
  for (double ratio : {0.0, 0.1, 0.25, 0.3, 0.5, std::sqrt(2.0 / 7), 0.6, 0.9, 1.0, 1.1, 1.5, 2.0}) {
    CAPTURE(ratio);
    for (auto &[name, x] : inputs)
      for (int64_t i = 0; name == "x" && i < x.view().elements(); ++i)
        storeElement(x.view(), i, 1e-3 * ratio);
    Result<NamedBuffers> gradients = gradient.run(views(inputs), callOptions(gradient.program(), shape, 1));
    REQUIRE(gradients);
    auto differences = checkDifferences(model, inputs, *gradients, "d_", shape, 5, 1);
    REQUIRE(differences);
    REQUIRE(differences->size() == 1);
    CHECK(differences->front().passed());
    CHECK(differences->front().settled());
  }
}

TEST_CASE("forward mode: tangents against differences, the gradient, and by hand") {
  for (const char *text :
       {"model m<K> {\n  input x, z: [K]\n  param W: [K, K]\n  y[t] = softmax(W @ x[t]) * tanh(z[t]) / (2 + x[t] * "
        "x[t])\n  "
        "output y\n}\n",
        "model m<K> {\n  input x, a: complex [K]\n  state h: complex [K] = 0\n  h[t] = 0.5 * a[t] * h[t-1] + x[t]\n  "
        "output h\n}\n",
        "model m<K> {\n  input x: [K]\n  init s0: [K]\n  state s: [K] = s0\n  s[t] = tanh(s[t-1] + 0.3 * s[t-3]) * "
        "x[t]\n  "
        "output s\n}\n",
        "model m<K> {\n  input q, k, v, a: [K]\n  state S: [K, K] = 0\n  S[t] = diag(a[t]) @ S[t-1] + outer(k[t], "
        "v[t])\n  "
        "o[t] = q[t] @ S[t]\n  output o\n}\n",
        "model m<K> over (r, c) {\n  input x: [K]\n  state h: [K] = 0\n  h[r, c] = sin(x[r, c] + 0.5 * h[r-1, c-1])\n  "
        "output h\n}\n"}) {
    INFO(text);
    const Kernel model = compile(text, "reference", 0), gradient = compile(text, "reference", 1);
    Result<Kernel> reference = tryCompile(text, "reference", 0, {}, false, true),
                   kernel = tryCompile(text, "cpu", 0, {}, false, true);
    REQUIRE(reference);
    REQUIRE(kernel);
    const CallShape shape = fitted(reference->program().tensors, {2, 4, 3, 2, 1, 3});
    const NamedBuffers inputs = drawInputs(reference->program(), shape, 11, Inits::Drawn);
    const RunOptions call = callOptions(reference->program(), shape, 1);
    Result<NamedBuffers> expected = reference->run(views(inputs), call), got = kernel->run(views(inputs), call);
    REQUIRE(expected);
    REQUIRE(got);
    for (const TensorDifference &each : compare(kernel->program(), *got, *expected))
      for (size_t b = 0; b < each.parts.size(); ++b)
        CHECK(each.relative(b) <= 1e-11);
    auto differences = checkTangents(model, gradient, inputs, *expected, shape, 5, 1);
    REQUIRE(differences);
    REQUIRE(2 * differences->size() == expected->size());
    for (const TangentDifference &each : *differences) {
      INFO(each.tensor);
      CHECK(each.error <= toleranceOfDifferences);
      CHECK(each.pairing <= toleranceOfPairing);
    }
  }
  // y = x^2 along t: 2 x t; only what is asked for moves.
  const char *square = "model m {\n  input x, z: []\n  y[t] = x[t] * x[t] + z[t]\n  output y\n}\n";
  Result<Kernel> tangent = tryCompile(square, "cpu", 0, {"x"}, false, true);
  REQUIRE(tangent);
  const auto inputs = tensors({{"x", {{1, 2}, {3, -2}}}, {"z", {{1, 2}, {1, 1}}}, {"t_x", {{1, 2}, {1, 10}}}});
  CHECK(resultOf(*tangent, inputs, "t_y") == Numbers{6, -40});
  CHECK(resultOf(*tangent, inputs, "y") == Numbers{10, 5});
}
