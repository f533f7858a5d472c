// Kernels of chunk.scan: chunks and steps take turns as the number of steps, resets and packed sequences demand, and give what one
// step after another gives. The chunks here are written by hand, of three steps each.
#include "compiler/Driver/Compiler.h"
#include "rondo/Kernel.h"
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>

using namespace rondo;

namespace {

constexpr int64_t kChunk = 3;

/// A scan of two numbers per step, s[t] = [[0, 2], [1, 0]] s[t-1] + x[t], y[t] = s[t-1] + x[t]: exact in f32 over a dozen of steps. The
/// new state reads the other element of the old one, so that it cannot be updated in place; with `plain`, s[t] = s[t-1] + x[t]
/// and y[t] = s[t], it can.
struct Case {
  bool plain = false, reverse = false, resets = false, packed = false;
};

std::string signature(const Case &of) {
  std::string text = R"(
!x = tensor<?x?x2xf32, #recur.dims<batch, time | "2">>
!h = tensor<?x2xf32, #recur.dims<batch | "2">>
!r = tensor<?x?xi1, #recur.dims<batch, time>>
!v = tensor<2xf32, #recur.dims<| "2">>
!m = tensor<2x2xf32, #recur.dims<| "2", "2">>
!c = tensor<3x2xf32, #recur.dims<time | "2">>
!t = tensor<3xf32, #recur.dims<time>>
func.func @m(%x: !x {recur.kind = "input", recur.name = "x"}, %s0: !h {recur.kind = "init", recur.name = "s"})";
  text += of.resets ? R"(, %r: !r {recur.kind = "resets", recur.name = "resets"})" : "";
  text += of.packed ? R"(, %o: tensor<?xi64> {recur.kind = "offsets", recur.name = "offsets"})" : "";
  text += R"()
    -> (!x {recur.kind = "output", recur.name = "y"}, !h {recur.kind = "final", recur.name = "s"}) {
  %y, %final = chunk.scan over [#recur.axis<"t"REVERSE>] states [#recur.state<"s", [[1]]>] inputs(%x : !x) inits(%s0 : !h))";
  text += of.resets ? " resets(%r : !r)" : "";
  text += of.packed ? " offsets(%o : tensor<?xi64>)" : "";
  const size_t at = text.find("REVERSE");
  return text.replace(at, 7, of.reverse ? ", reverse" : "");
}

const char *const kPlainStep = R"(
  ^bb0(%xt: !v, %s: !v):
    %n = recur.map add(%s, %xt) : (!v, !v) -> !v
    recur.yield states(%n : !v) outputs(%n : !v)
)";
const char *const kPlainChunk = R"(
  ^bb0(%xs: !c, %s: !v):
    %mask = arith.constant dense<[[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]> : tensor<3x3xf32, #recur.dims<time, source>>
    %xx = chunk.as_source(%xs) : !c -> tensor<3x2xf32, #recur.dims<source | "2">>
    %sums = recur.contract "ts,sk->tk"(%mask, %xx)
      : (tensor<3x3xf32, #recur.dims<time, source>>, tensor<3x2xf32, #recur.dims<source | "2">>) -> !c
    %old = recur.broadcast [0] (%s) : (!v) -> !c
    %y = recur.map add(%sums, %old) : (!c, !c) -> !c
    %total = recur.reduce sum [0] (%xs) : (!c) -> !v
    %n = recur.map add(%s, %total) : (!v, !v) -> !v
    recur.yield states(%n : !v) outputs(%y : !c)
)";
const char *const kCrossStep = R"(
  ^bb0(%xt: !v, %s: !v):
    %m = arith.constant dense<[[0.0, 2.0], [1.0, 0.0]]> : !m
    %turned = recur.contract "ab,b->a"(%m, %s) : (!m, !v) -> !v
    %n = recur.map add(%turned, %xt) : (!v, !v) -> !v
    %y = recur.map add(%s, %xt) : (!v, !v) -> !v
    recur.yield states(%n : !v) outputs(%y : !v)
)";
/// s3 = M M M s + M M x0 + M x1 + x2; y = (s + x0, M s + x0 + x1, M M s + M x0 + x1 + x2).
const char *const kCrossChunk = R"(
  ^bb0(%xs: !c, %s: !v):
    %m = arith.constant dense<[[0.0, 2.0], [1.0, 0.0]]> : !m
    %e0 = arith.constant dense<[1.0, 0.0, 0.0]> : !t
    %x0 = recur.contract "t,tk->k"(%e0, %xs) : (!t, !c) -> !v
    %e1 = arith.constant dense<[0.0, 1.0, 0.0]> : !t
    %x1 = recur.contract "t,tk->k"(%e1, %xs) : (!t, !c) -> !v
    %e2 = arith.constant dense<[0.0, 0.0, 1.0]> : !t
    %x2 = recur.contract "t,tk->k"(%e2, %xs) : (!t, !c) -> !v
    %a = recur.contract "ab,b->a"(%m, %s) : (!m, !v) -> !v
    %s1 = recur.map add(%a, %x0) : (!v, !v) -> !v
    %b = recur.contract "ab,b->a"(%m, %s1) : (!m, !v) -> !v
    %s2 = recur.map add(%b, %x1) : (!v, !v) -> !v
    %c = recur.contract "ab,b->a"(%m, %s2) : (!m, !v) -> !v
    %s3 = recur.map add(%c, %x2) : (!v, !v) -> !v
    %y0 = recur.map add(%s, %x0) : (!v, !v) -> !v
    %y1 = recur.map add(%s1, %x1) : (!v, !v) -> !v
    %y2 = recur.map add(%s2, %x2) : (!v, !v) -> !v
    %r0 = recur.contract "t,k->tk"(%e0, %y0) : (!t, !v) -> !c
    %r1 = recur.contract "t,k->tk"(%e1, %y1) : (!t, !v) -> !c
    %r2 = recur.contract "t,k->tk"(%e2, %y2) : (!t, !v) -> !c
    %r01 = recur.map add(%r0, %r1) : (!c, !c) -> !c
    %y = recur.map add(%r01, %r2) : (!c, !c) -> !c
    recur.yield states(%s3 : !v) outputs(%y : !c)
)";

std::string textOf(const Case &of) {
  return signature(of) + " plan <form = chunk, schedule = carry, chunk = 3> step {" +
         (of.plain ? kPlainStep : kCrossStep) + "  } chunk {" + (of.plain ? kPlainChunk : kCrossChunk) +
         "  } : !x, !h\n  return %y, %final : !x, !h\n}\n";
}

Kernel compile(const Case &of) {
  static driver::Compiler compiler;
  driver::Options options;
  const auto phases = driver::phaseNames();
  for (size_t i = 1; i < phases.size(); ++i)
    if (phases[i].first == "lower-scan")
      options.from = phases[i - 1].first;
  auto program = compiler.compile({"m.mlir", textOf(of)}, options);
  INFO(textOf(of) << (program.diagnostics.empty() ? "" : program.diagnostics[0].message));
  REQUIRE(program);
  return Kernel(*program.value);
}

/// One step after another over the steps [begin, begin + count) of row `row`.
void runSteps(const Case &of, const float *x, const char *resets, int64_t count, const float *init, float *y,
              float *s) {
  std::copy_n(init, 2, s);
  for (int64_t step = 0; step < count; ++step) {
    const int64_t t = of.reverse ? count - 1 - step : step;
    if (of.resets && resets[t])
      std::copy_n(init, 2, s);
    const float *now = x + 2 * t, old[2] = {s[0], s[1]};
    for (int k = 0; k < 2; ++k) {
      s[k] = (of.plain ? old[k] : k == 0 ? 2 * old[1] : old[0]) + now[k];
      y[2 * t + k] = of.plain ? s[k] : old[k] + now[k];
    }
  }
}

/// `rows` rows of `time` steps, or one row with packed sequences of the lengths.
void check(const Kernel &kernel, const Case &of, int64_t rows, int64_t time, std::vector<int64_t> lengths,
           unsigned seed) {
  const int64_t batch = of.packed ? 1 : rows, states = of.packed ? int64_t(lengths.size()) : rows;
  const Buffer x(DType::F32, {batch, time, 2}), s0(DType::F32, {states, 2}), r(DType::Bool, {batch, time}),
      o(DType::I64, {states + 1});
  std::srand(seed);
  for (int64_t i = 0; i < batch * time * 2; ++i)
    x.as<float>()[i] = float(std::rand() % 9 - 4);
  for (int64_t i = 0; i < states * 2; ++i)
    s0.as<float>()[i] = float(std::rand() % 9 - 4);
  for (int64_t i = 0; i < batch * time; ++i)
    r.as<char>()[i] = std::rand() % 6 == 0;
  NamedTensors inputs{{"x", x.view()}, {"s", s0.view()}};
  if (of.resets)
    inputs.emplace_back("resets", r.view());
  if (of.packed) {
    for (size_t i = 0; i < lengths.size(); ++i)
      o.as<int64_t>()[i + 1] = o.as<int64_t>()[i] + lengths[i];
    inputs.emplace_back("offsets", o.view());
  }
  const Buffer y(DType::F32, {batch, time, 2}), s(DType::F32, {states, 2});
  const Result<void> ran = kernel.run(inputs, {{"y", y.view()}, {"s", s.view()}});
  INFO((ran ? "" : ran.error().message()));
  REQUIRE(ran);
  std::vector<float> expectedY(size_t(batch * time * 2)), expectedS(size_t(states * 2));
  for (int64_t i = 0; i < states; ++i) {
    const int64_t begin = of.packed ? o.as<int64_t>()[i] : i * time, count = of.packed ? lengths[size_t(i)] : time;
    runSteps(of, x.as<float>() + 2 * begin, r.as<char>() + begin, count, s0.as<float>() + 2 * i,
             expectedY.data() + 2 * begin, expectedS.data() + 2 * i);
  }
  CHECK(std::vector<float>(y.as<float>(), y.as<float>() + expectedY.size()) == expectedY);
  CHECK(std::vector<float>(s.as<float>(), s.as<float>() + expectedS.size()) == expectedS);
}

} // namespace

TEST_CASE("chunks and steps take turns", "[chunk-kernel]") {
  for (const bool plain : {true, false})
    for (const bool reverse : {false, true})
      for (const bool resets : {false, true}) {
        const Case of{plain, reverse, resets, false};
        INFO("plain " << plain << ", reverse " << reverse << ", resets " << resets);
        const Kernel kernel = compile(of);
        CHECK(kernel.program().launches[0].batchTile == 1);
        for (int64_t time = 0; time <= 4 * kChunk; ++time)
          check(kernel, of, 2, time, {}, unsigned(time));
      }
}

TEST_CASE("chunks inside packed sequences", "[chunk-kernel]") {
  for (const bool plain : {true, false})
    for (const bool reverse : {false, true})
      for (const bool resets : {false, true}) {
        const Case of{plain, reverse, resets, true};
        INFO("plain " << plain << ", reverse " << reverse << ", resets " << resets);
        const Kernel kernel = compile(of);
        check(kernel, of, 1, 17, {2, 0, 7, 3, 5}, 1);
        check(kernel, of, 1, 0, {0, 0}, 2);
      }
}
