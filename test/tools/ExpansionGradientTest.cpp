// What the CUDA target makes of the gradient of an expansion of states: scans of one matrix state each, chosen because tensors are stored in
// 16 bits. The same scans with every number as f64, run by the CPU target, are held to the reference interpreter.
#include "compiler/tools/rondo/Comparison.h"
#include "compiler/tools/rondo/RandomInputs.h"
#include "compiler/tools/rondo/Stepping.h"
#include "rondo/Engine.h"
#include <catch2/catch.hpp>
#include <cmath>
#include <regex>

using namespace rondo;
using namespace rondo::tool;

namespace {

std::string require(Result<std::string> text) {
  INFO((text ? "" : text.error().message()));
  REQUIRE(text);
  return *text;
}
Kernel require(Result<Kernel> kernel) {
  INFO((kernel ? "" : kernel.error().message()));
  REQUIRE(kernel);
  return *kernel;
}

CompileOptions gradientOf(const std::string &target, DType type) {
  CompileOptions options;
  options.target = target;
  options.type = type;
  options.gradient = 1;
  options.dims = {{"K", 32}, {"V", 16}};
  return options;
}

size_t count(const std::string &text, const std::string &what) {
  size_t found = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
    ++found;
  return found;
}

/// Checks the gradient, and gives its IR as the CUDA target forms it.
std::string check(const std::string &text) {
  const std::string spec = std::regex_replace(text, std::regex("  +"), "\n"); // a statement a line
  Engine engine;
  INFO(spec);
  const std::string formed =
      require(engine.emitText(spec, "m.rondo", gradientOf("cuda:sm_90a", DType::BF16), "gradient"));
  CompileOptions wide = gradientOf("cpu", DType::F64);
  wide.gradient = 0;
  wide.dims.clear();
  wide.from = "gradient";
  const Kernel kernel =
      require(engine.compileText(std::regex_replace(formed, std::regex("bf16|f32"), "f64"), "m.mlir", wide));
  const Kernel reference = require(engine.compileText(spec, "m.rondo", gradientOf("reference", DType::F64)));
  const CallShape shape = fitted(reference.program().tensors, {2, 83, 1, 2, 1, 1});
  const NamedBuffers inputs = drawInputs(reference.program(), shape, 7, Inits::Drawn);
  const RunOptions call = callOptions(reference.program(), shape, 1);
  Result<NamedBuffers> expected = reference.run(views(inputs), call), got = kernel.run(views(inputs), call);
  REQUIRE(expected);
  REQUIRE(got);
  REQUIRE(got->size() == expected->size());
  for (const TensorDifference &each : compare(kernel.program(), *got, *expected))
    for (size_t b = 0; b < each.parts.size(); ++b) {
      INFO(each.name);
      CHECK(each.relative(b) <= 1e-10);
    }
  return formed;
}

std::string modelOf(const std::string &body) {
  return "model m<K, V> { input q, k: [K]  input v: [V]  input a: [] in [-0.5, 0]  input g: [K] in [-1, 0]  state S: "
         "[K, V] = "
         "0\n" +
         body + "  output o }";
}

} // namespace

TEST_CASE("an expansion goes back by scans of one matrix state each") {
  const std::string scalar = check(modelOf("S[t] = exp(a[t]) * S[t-1] + outer(k[t], v[t])\no[t] = q[t] @ S[t]\n"));
  CHECK(count(scalar, "chunk.scan over") == 3);
  CHECK(count(scalar, "gradient_scan") == 0);
  // No matrix per step.
  CHECK(count(scalar, "#batch_time_head_K_V") == 0);
  const std::string keys = check(modelOf("S[t] = diag(exp(g[t])) @ S[t-1] + outer(k[t], v[t])\no[t] = q[t] @ S[t]\n"));
  CHECK(count(keys, "chunk.scan over") == 3);
}

TEST_CASE("decays, keys and readouts of an expansion may be computed") {
  check(modelOf("S[t] = S[t-1] + outer(k[t], v[t])\no[t] = q[t] @ S[t]\n"));
  check(modelOf("S[t] = exp(a[t] * 2) * S[t-1] + outer(a[t] * k[t], v[t])\no[t] = tanh(q[t] @ S[t]) + v[t]\n"));
  check(modelOf("S[t] = diag(exp(-exp(g[t]))) @ S[t-1] + outer(k[t], v[t])\no[t] = q[t] @ (S[t-1] + outer(g[t] * k[t], "
                "v[t]))\n"));
  check(modelOf(
      "S[t] = exp(a[t]) * diag(exp(g[t])) @ S[t-1] + outer(k[t], v[t]) + outer(q[t], v[t])\no[t] = q[t] @ S[t]\n"));
}

TEST_CASE("a delta rule goes back by delta rules and by scans of one matrix state each") {
  const std::string unit = check(
      modelOf("u[t] = l2norm(k[t])\nS[t] = (I - outer(exp(a[t]) * u[t], u[t])) @ S[t-1] + outer(exp(a[t]) * u[t], "
              "v[t])\no[t] = q[t] @ S[t]\n"));
  // What the transition reads, its cotangent, the gradients of the query and of the read, and that of the write.
  CHECK(count(unit, "chunk.scan over") == 4);
  CHECK(count(unit, "chunk.solve") == 2);
  CHECK(count(unit, "#batch_time_head_K_V") == 0);
}

TEST_CASE("decays, transitions and readouts of a delta rule may be computed") {
  // Decays of all states, and along the keys; a transition behind a decay.
  check(modelOf("S[t] = exp(a[t]) * (I - outer(0.1 * k[t], k[t])) @ S[t-1] + outer(0.1 * k[t], v[t])\n"
                "o[t] = q[t] @ S[t]\n"));
  check(modelOf("S[t] = (I - outer(0.1 * k[t], k[t])) @ diag(exp(g[t])) @ S[t-1] + outer(0.1 * k[t], v[t])\n"
                "o[t] = q[t] @ S[t]\n"));
  // A transition that writes along no key, beside several outer products.
  check(modelOf("S[t] = (diag(exp(g[t])) - outer(0.1 * g[t], k[t])) @ S[t-1] + outer(k[t], v[t]) + outer(q[t], v[t])\n"
                "o[t] = q[t] @ S[t]\n"));
  // Readouts before the update, several of them, and behind a function.
  check(modelOf("S[t] = (I - outer(0.1 * k[t], k[t])) @ S[t-1] + outer(0.1 * k[t], v[t])\n"
                "o[t] = tanh(q[t] @ S[t]) + k[t] @ S[t-1]\n"));
}

TEST_CASE("a normaliser goes back beside its matrix") {
  const std::string plain =
      check(modelOf("state z: [K] = 0\nf[t] = exp(k[t])\nu[t] = exp(q[t])\nS[t] = S[t-1] + outer(f[t], v[t])\n"
                    "z[t] = z[t-1] + f[t]\no[t] = u[t] @ S[t] / dot(u[t], z[t])\n"));
  // What is read of the matrix, and the gradients of the query, of the key and of the value. The vector's scans take steps.
  CHECK(count(plain, "chunk.scan over") == 4);
  CHECK(count(plain, "#batch_time_head_K_V") == 0);
  check(modelOf("state z: [K] = 0\nf[t] = exp(k[t])\nu[t] = exp(q[t])\nS[t] = exp(a[t]) * S[t-1] + outer(f[t], v[t])\n"
                "z[t] = exp(a[t]) * z[t-1] + f[t]\no[t] = u[t] @ S[t] / (1 + dot(u[t], z[t]))\n"));
  check(modelOf("state z: [K] = 0\nS[t] = diag(exp(g[t])) @ S[t-1] + outer(k[t], v[t])\n"
                "z[t] = exp(g[t]) * z[t-1] + k[t]\no[t] = tanh(dot(k[t], z[t-1])) * (q[t] @ S[t])\n"));
}

TEST_CASE("decays go back so whatever they are computed from") {
  auto gated = [](const std::string &inputs, const std::string &decay) {
    const std::string formed =
        check("model m<K, V> {  input q, k: [K]  input v: [V]  " + inputs + "  state S: [K, V] = 0  S[t] = " + decay +
              " S[t-1] + outer(k[t], v[t])\no[t] = q[t] @ S[t]\noutput o }");
    CHECK(count(formed, "#batch_time_head_K_V") == 0);
  };
  gated("input a: [] <= 0", "exp(a[t] * 30) *");
  gated("input g: [K] <= 0", "diag(exp(g[t] * 30)) @");
  gated("input g: [K]", "diag(sigmoid(g[t])) @");
  gated("input g: [K]\nparam lower: [K] in [0, 1]", "diag(lower + (1 - lower) * sigmoid(g[t])) @");
  gated("input g: [K]", "diag(exp(-exp(g[t]))) @");
  gated("input g: [K]\ninput a: []", "diag(sigmoid(a[t]) * sigmoid(g[t]) / (1 + exp(g[t]))) @");
}

TEST_CASE("a delta rule's decay goes back beside it") {
  // With beta = 1 and keys that repeat nothing is left of the state, and of the derivative nothing but rounding errors.
  const std::string gates = check("model m<K, V> {  input q, k: [K]  input v: [V]  input g: [] <= 0  input beta: [] in "
                                  "[0, 2]  state S: [K, V] = 0  "
                                  "u[t] = l2norm(k[t])\nS[t] = exp(g[t]) * (I - beta[t] * outer(u[t], u[t])) @ S[t-1] "
                                  "+ beta[t] * outer(u[t], v[t])\n"
                                  "o[t] = q[t] @ S[t]\noutput o }");
  CHECK(count(gates, "#batch_time_head_K_V") == 0);
  check(
      "model m<K, V> {  input q, k: [K]  input v: [V]  input g: [K]  input beta: [] in [0, 0.9]  state S: [K, V] = 0  "
      "u[t] = l2norm(k[t])\nS[t] = (diag(sigmoid(g[t])) - outer(beta[t] * u[t], u[t])) @ S[t-1] + outer(k[t], v[t])\n"
      "o[t] = q[t] @ S[t]\noutput o }");
}

TEST_CASE("a delta rule goes back by four scans whatever it has of keys, values and gates") {
  const std::string both = check(
      "model m<K, V> {  input q, k, p: [K]  input v, u: [V]  input g: [K]  input b: [K] in [0, 0.9]  state S: [K, V] = "
      "0  "
      "h[t] = l2norm(k[t])\nS[t] = (diag(sigmoid(g[t])) - outer(b[t] * h[t], h[t])) @ S[t-1] + outer(k[t], v[t]) + "
      "outer(p[t], u[t])\no[t] = tanh(q[t] @ S[t]) + p[t] @ S[t-1]\noutput o }");
  CHECK(count(both, "chunk.scan over") == 4);
  // A number per step that may be 0 is not divided by: what is read without it has a query of its own, in the same scan.
  const std::string zeros = check(
      "model m<K, V> {  input q, k: [K]  input v: [V]  input g: [K]  input b: [] in [0, 0.9]  state S: [K, V] = 0  "
      "h[t] = l2norm(k[t])\nf[t] = max(b[t] - 0.4, 0)\nS[t] = (diag(sigmoid(g[t])) - outer(f[t] * h[t], h[t])) @ "
      "S[t-1] + outer(f[t] * h[t], v[t])\no[t] = q[t] @ S[t]\noutput o }");
  CHECK(count(zeros, "chunk.scan over") == 4);
}

TEST_CASE("decays that may be 0 go back by single steps") {
  const std::string steps =
      check("model m<K, V> {  input q, k: [K]  input v: [V]  input a: [] in [0, 1]  state S: [K, V] = 0  "
            "S[t] = a[t] * S[t-1] + outer(k[t], v[t])\no[t] = q[t] @ S[t]\noutput o }");
  CHECK(count(steps, "#batch_time_head_K_V") > 0);
}

TEST_CASE("what matrix instructions round does not add up in the gradients of gates") {
  auto errorOfGate = [](const std::string &body) {
    const std::string spec = std::regex_replace("model m<K, V> {  input q, k: [K]  input v: [V]  " + body +
                                                    "  o[t] = q[t] @ S[t]  output o }",
                                                std::regex("  +"), "\n");
    INFO(spec);
    Engine engine;
    CompileOptions options = gradientOf("reference", DType::F64);
    options.dims = {{"K", 64}, {"V", 64}};
    const Kernel exact = require(engine.compileText(spec, "m.rondo", options));
    options.type = DType::BF16;
    options.roundings = "cuda:sm_90a";
    const Kernel rounded = require(engine.compileText(spec, "m.rondo", options));
    const CallShape shape = fitted(exact.program().tensors, {1, 700, 1, 1, 1, 1});
    const NamedBuffers inputs = drawInputs(exact.program(), shape, 3, Inits::Drawn);
    for (auto &[name, buffer] : inputs)
      for (double *x = buffer.as<double>(), *last = x + buffer.bytes() / sizeof(double); x != last; ++x)
        *x = std::ldexp(std::nearbyint(std::ldexp(*x, 7 - std::ilogb(*x))), std::ilogb(*x) - 7); // to bf16
    const RunOptions call = callOptions(exact.program(), shape, 1);
    Result<NamedBuffers> expected = exact.run(views(inputs), call), got = rounded.run(views(inputs), call);
    REQUIRE(expected);
    REQUIRE(got);
    double error = -1;
    for (const TensorDifference &each : compare(exact.program(), *got, *expected))
      if (each.name == "d_g")
        error = each.relative(0);
    REQUIRE(error > 0); // something was rounded
    return error;
  };
  // Over 700 steps operands of one term would make 1e-2 to 8e-2 of these.
  CHECK(errorOfGate("input g: []  state S: [K, V] = 0  S[t] = sigmoid(g[t]) * S[t-1] + outer(k[t], v[t])") < 1e-3);
  CHECK(errorOfGate("input g: [K]  state S: [K, V] = 0  S[t] = diag(sigmoid(g[t])) @ S[t-1] + outer(k[t], v[t])") <
        1e-3);
  // What the transition reads, and its cotangent, are handed over in 16 bits.
  CHECK(errorOfGate("input g: []  input beta: [] in [0, 1]  state S: [K, V] = 0  u[t] = l2norm(k[t])  "
                    "S[t] = sigmoid(g[t]) * (I - beta[t] * outer(u[t], u[t])) @ S[t-1] + beta[t] * outer(u[t], v[t])") <
        3e-3);
}
