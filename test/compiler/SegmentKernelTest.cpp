// Recurrences cut into segments of time: any number of segments and threads gives what one pass gives, at decays that are exactly 0 and 1,
// with infinite inputs, and where there are fewer steps than segments.
#include "compiler/Driver/Compiler.h"
#include "test/compiler/RunProgram.h"
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace rondo;

namespace {

/// The decays of a: 0, 1, and between; each state in another way.
const char *const kSpecs[] = {
    // a decay along both axes, a query before the update
    "model m<K, V> { input k, a: [K] input v, b: [V] state S: [K, V] = 0\n"
    "  S[t] = diag(a[t]) @ S[t-1] @ diag(b[t]) + outer(k[t], v[t])\n  y[t] = k[t] @ S[t-1]\n  output y }",
    // a delta rule with a decay
    "model m<K, V> { input k, a: [K] input v: [V] state S: [K, V] = 0\n"
    "  S[t] = diag(a[t]) @ S[t-1] + outer(k[t], v[t] - k[t] @ S[t-1])\n  y[t] = k[t] @ S[t]\n  output y }",
    // elementwise, real
    "model m<K> { input x, a: [K] state h: [K] = 0.5\n  h[t] = a[t] * h[t-1] + x[t]\n  y[t] = h[t] * h[t-1]\n  output "
    "y }",
    // max-plus
    "model m<K> { input x, a: [K] state h: [K] = 0\n  h[t] = max(a[t] + h[t-1], x[t])\n  y[t] = h[t]\n  output y }",
    // a sum that nothing decays, and its mean
    "model m<K> { input x, a: [K] state h: [K] = 0 state n: [K] = 0\n  h[t] = h[t-1] + x[t]\n  n[t] = n[t-1] + a[t]\n"
    "  y[t] = h[t] + n[t]\n  output y }",
    // a delta rule from the right, whose keys decay
    "model m<K, V> { input k, a: [K] input v: [V] state S: [V, K] = 0\n"
    "  S[t] = S[t-1] @ diag(a[t]) + outer(v[t] - S[t-1] @ k[t], k[t])\n  y[t] = S[t] @ k[t]\n  output y }",
};

std::shared_ptr<const Program> compile(const std::string &text, driver::Options options, bool isReference) {
  static driver::Compiler compiler;
  options.type = DType::F64;
  options.dims = {{"K", 6}};
  if (text.find("V>") != std::string::npos)
    options.dims["V"] = 5;
  if (isReference)
    options.target = "reference";
  auto program = compiler.compile({"m.rondo", text}, options);
  std::string why;
  for (const auto &diagnostic : program.diagnostics)
    why += diagnostic.message + "\n";
  INFO(why);
  REQUIRE(program);
  return *program.value;
}

/// No kernel but the one over segments.
std::shared_ptr<const Program> segmentsAlone(const Program &whole) {
  auto program = std::make_shared<Program>(whole);
  for (Launch &launch : program->launches) {
    REQUIRE_FALSE(launch.segments.symbol.empty());
    launch.function = [](const KernelCall *, int64_t, int64_t, void *) { FAIL("not by segments"); };
  }
  return program;
}

/// Resets at the steps whose numbers, times a few, fall on 0 of every so many.
struct Resets {
  int64_t times = 0, every = 1;
};

NamedBuffers run(const std::shared_ptr<const Program> &program, int64_t steps, int threads, double first,
                 Resets resets = {}) {
  const auto sizeOf = [&](const TensorSpec &, const AxisSpec &axis) {
    return axis.axis == Axis::Time ? steps : axis.axis == Axis::Batch ? 2 : axis.size;
  };
  const auto valueOf = [&](const TensorSpec &spec, int64_t i) {
    if (spec.kind == TensorKind::Resets)
      return (i * resets.times + 1) % resets.every == 0 ? 1.0 : 0.0;
    if (spec.name == "x" && i == 0)
      return first;
    const bool isDecay = spec.name == "a" || spec.name == "b";
    const double wave = std::sin(double(i * 37 + 11));
    const double decay = i % 5 == 0 ? 0.0 : i % 5 == 1 ? 1.0 : 0.5 + 0.5 * wave;
    return isDecay ? decay : 0.4 * wave;
  };
  return runOn(program, sizeOf, valueOf, threads);
}

void compare(const NamedBuffers &got, const NamedBuffers &expected) {
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const Tensor a = got[i].second.view(), b = expected[i].second.view();
    INFO(got[i].first);
    for (int64_t e = 0; e < a.elements(); ++e) {
      const double x = loadReal(a, e), y = loadReal(b, e);
      INFO(e << ": " << x << ", expected " << y);
      // Sums of at most 40 numbers below 1, and of products with them.
      REQUIRE((x == y || std::abs(x - y) < 1e-13 * std::max(1.0, std::abs(y)) || (std::isnan(x) && std::isnan(y))));
    }
  }
}

} // namespace

TEST_CASE("segments give what one pass gives", "[segment-kernel]") {
  for (const char *text : kSpecs) {
    INFO(text);
    auto reference = compile(text, {}, true);
    for (int64_t count : {1, 2, 3, 7}) {
      driver::Options options;
      options.schedule = "segment";
      options.plan = "<segments = " + std::to_string(count) + ">";
      auto program = segmentsAlone(*compile(text, options, false));
      for (int64_t steps : {2, 5, 40})
        for (int threads : {1, 2, 5}) {
          CAPTURE(count, steps, threads);
          compare(run(program, steps, threads, 0.3), run(reference, steps, 1, 0.3));
        }
    }
  }
}

TEST_CASE("segments by chunks", "[segment-kernel]") {
  for (const char *text : {kSpecs[0], kSpecs[1]}) {
    INFO(text);
    auto reference = compile(text, {}, true);
    for (const char *form : {"chunk", "attention"}) {
      driver::Options options;
      options.form = form;
      options.chunk = 4;
      options.schedule = "segment";
      options.plan = "<segments = 3>";
      auto program = segmentsAlone(*compile(text, options, false));
      for (int64_t steps : {3, 4, 13, 16, 40}) {
        CAPTURE(form, steps);
        compare(run(program, steps, 3, 0.3), run(reference, steps, 1, 0.3));
      }
    }
  }
}

TEST_CASE("what is infinite stays so where one pass keeps it", "[segment-kernel]") {
  driver::Options options;
  options.schedule = "segment";
  options.plan = "<segments = 3>";
  const double infinity = std::numeric_limits<double>::infinity();
  for (const char *text : {kSpecs[3], kSpecs[4]})
    for (double first : {infinity, -infinity}) {
      INFO(text << " " << first);
      auto reference = compile(text, {}, true);
      compare(run(compile(text, options, false), 20, 2, first), run(reference, 20, 1, first));
    }
}

TEST_CASE("nothing passes a reset", "[segment-kernel]") {
  const Resets several[] = {{1, 100}, {1, 1}, {1, 7}, {3, 5}, {5, 31}, {17, 40}};
  const double infinity = std::numeric_limits<double>::infinity();
  for (const char *text : kSpecs) {
    INFO(text);
    driver::Options options;
    options.resets = true;
    auto reference = compile(text, options, true);
    for (int64_t count : {1, 2, 7}) {
      options.schedule = "segment";
      options.plan = "<segments = " + std::to_string(count) + ">";
      auto program = segmentsAlone(*compile(text, options, false));
      for (int64_t steps : {2, 5, 40})
        for (int threads : {1, 3})
          for (Resets resets : several)
            for (double first : {0.3, infinity}) {
              CAPTURE(count, steps, threads, resets.times, resets.every, first);
              compare(run(program, steps, threads, first, resets), run(reference, steps, 1, first, resets));
            }
    }
  }
}

TEST_CASE("nothing passes a reset in segments by chunks", "[segment-kernel]") {
  for (const char *text : {kSpecs[0], kSpecs[1], kSpecs[5]}) {
    INFO(text);
    driver::Options options;
    options.resets = true;
    auto reference = compile(text, options, true);
    options.form = "chunk";
    options.chunk = 4;
    options.schedule = "segment";
    options.plan = "<segments = 3>";
    auto program = segmentsAlone(*compile(text, options, false));
    for (int64_t steps : {4, 13, 40})
      for (Resets resets : {Resets{1, 100}, Resets{1, 1}, Resets{3, 5}, Resets{5, 31}, Resets{17, 40}}) {
        CAPTURE(steps, resets.times, resets.every);
        compare(run(program, steps, 3, 0.3, resets), run(reference, steps, 1, 0.3, resets));
      }
  }
}

TEST_CASE("a call with tasks enough takes no segments", "[segment-kernel]") {
  driver::Options options;
  options.schedule = "segment";
  options.plan = "<segments = 0>";
  auto whole = compile(kSpecs[2], options, false);
  auto program = std::make_shared<Program>(*whole);
  bool wanted = false;
  for (Launch &launch : program->launches)
    launch.segments.function = [&wanted, launch]() -> KernelFunction {
      wanted = true;
      return nullptr;
    };
  auto expected = run(whole, 2000, 1, 0.3);
  compare(run(program, 2000, 2, 0.3), expected); // two rows, two threads
  CHECK_FALSE(wanted);
  compare(run(program, 3, 8, 0.3), expected.empty() ? NamedBuffers() : run(whole, 3, 1, 0.3)); // too short
  CHECK_FALSE(wanted);
  run(program, 200000, 8, 0.3);
  CHECK(wanted);
}

TEST_CASE("what cannot be cut says why", "[segment-kernel]") {
  driver::Compiler compiler;
  driver::Options options;
  options.schedule = "segment";
  options.dims = {{"K", 6}};
  auto errorOf = [&](const std::string &text) {
    auto program = compiler.compile({"m.rondo", text}, options);
    REQUIRE_FALSE(program);
    return program.diagnostics.front().message;
  };
  const std::string cell = "model m<K> { input x: [K] state h: [K] = 0\n  h[t] = tanh(h[t-1] + x[t])\n  output h }";
  CHECK(errorOf(cell) == "the model has no schedule 'segment': it has no recurrence that analysis could raise");
  // Random spec delta-44: what a segment does to a column depends on the column.
  const std::string columns =
      "model m<K> { input k, v, a, b: [K] state S: [K, K] = 0\n"
      "  S[t] = diag(a[t]) @ S[t-1] @ diag(b[t]) + outer(v[t] - S[t-1] @ k[t], k[t])\n  y[t] = S[t] @ k[t]\n  output y "
      "}";
  CHECK(errorOf(columns) ==
        "the model has no schedule 'segment': a transition mixes the keys of state 'S' beside a decay "
        "along its values: each column has a matrix of its own");
  options.gradient = 1;
  CHECK(errorOf(kSpecs[2]) == "the model has no schedule 'segment': the gradient goes back over the whole of time");
}
