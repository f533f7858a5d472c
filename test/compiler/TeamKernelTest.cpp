// Kernels whose threads do each task together: which scans get them, and that they give what the interpreter gives, for any number of
// threads and rows.
#include "compiler/Driver/Compiler.h"
#include "test/compiler/RunProgram.h"
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <sstream>

using namespace rondo;

namespace {

std::string example(const std::string &name) {
  std::ifstream in(std::string(RONDO_SOURCE_DIR) + "/examples/" + name + ".rondo");
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::shared_ptr<const Program> compile(const std::string &name, const std::string &target, bool boundaries) {
  static driver::Compiler compiler;
  driver::Options options;
  options.type = DType::F64;
  options.target = target;
  options.resets = options.packed = boundaries;
  auto facts = compiler.inspect({name + ".rondo", example(name)}, options);
  REQUIRE(facts);
  for (const std::string &dim : facts.value->dims)
    options.dims[dim] = dim == "D" ? 33 : 37; // sizes with remainders of every tile
  auto program = compiler.compile({name + ".rondo", example(name)}, options);
  REQUIRE(program);
  return *program.value;
}

/// Without its ordinary kernels, so that nothing but teams can have computed a result.
std::shared_ptr<const Program> teamsAlone(const Program &whole, bool byRows) {
  auto program = std::make_shared<Program>(whole);
  for (Launch &launch : program->launches) {
    bool sharesSteps = launch.timeBlock > 0;
    REQUIRE_FALSE((byRows && !sharesSteps ? launch.rowTeam : launch.team).symbol.empty());
    launch.function = [](const KernelCall *, int64_t, int64_t, void *) { FAIL("not by a team"); };
  }
  return program;
}

NamedBuffers run(const std::shared_ptr<const Program> &program, int64_t rows, int threads, bool boundaries) {
  constexpr int64_t steps = 70;
  const int64_t offsets[] = {0, 4, 4, steps};
  const auto sizeOf = [&](const TensorSpec &spec, const AxisSpec &axis) {
    return axis.axis == Axis::Time            ? steps
           : axis.axis == Axis::Batch         ? rows
           : axis.axis == Axis::Sequence      ? 3
           : spec.kind == TensorKind::Offsets ? 4
                                              : axis.size;
  };
  const auto valueOf = [&](const TensorSpec &spec, int64_t i) {
    return spec.kind == TensorKind::Offsets  ? double(offsets[i])
           : spec.kind == TensorKind::Resets ? double(i % 23 == 9)
                                             : 0.3 * std::sin(double(i * 37 + 11));
  };
  return runOn(program, sizeOf, valueOf, threads);
}

void compare(const NamedBuffers &got, const NamedBuffers &expected) {
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const Tensor a = got[i].second.view(), b = expected[i].second.view();
    double error = 0;
    for (int64_t e = 0; e < a.elements(); ++e)
      error = std::max(error, std::abs(loadReal(a, e) - loadReal(b, e)));
    INFO(got[i].first);
    CHECK(error < 1e-12); // values of about 1, of sums over 37 elements, 70 steps
  }
}

} // namespace

TEST_CASE("threads share out the elements of a step", "[team-kernel]") {
  for (const char *name : {"lstm_no_peepholes", "gru", "lstm", "lstm_cifg"}) {
    INFO(name);
    auto program = compile(name, "cpu", false), reference = compile(name, "reference", false);
    for (int64_t rows : {1, 2, 5, 16, 21})
      for (int threads : {2, 3, 7}) {
        if (rows >= 16 && threads == 7)
          continue;
        CAPTURE(rows, threads);
        compare(run(teamsAlone(*program, rows < 4), rows, threads, false), run(reference, rows, 1, false));
      }
    CAPTURE(1);
    compare(run(teamsAlone(*program, false), 16, 1, false), run(reference, 16, 1, false));
  }
}

TEST_CASE("resets and packed sequences, row by row", "[team-kernel]") {
  auto program = compile("gru", "cpu", true), reference = compile("gru", "reference", true);
  auto expected = run(reference, 1, 1, true);
  for (int threads : {1, 2, 4, 5})
    compare(run(program, 1, threads, true), expected);
  for (const Launch &launch : program->launches)
    CHECK(launch.team.symbol.empty() == (launch.timeBlock == 0)); // sequences of different lengths keep no step
}

TEST_CASE("what multiplies by no parameter of some size has no team", "[team-kernel]") {
  // A selective scan's parameter is no factor of a product, though it is read in the sweep of a sum.
  for (const char *name : {"gla", "retnet", "deltanet", "selective_scan", "tanh_rnn"}) {
    auto program = compile(name, "cpu", false);
    for (const Launch &launch : program->launches) {
      INFO(name << " " << launch.symbol);
      bool multiplies = std::string(name) == "tanh_rnn";
      CHECK(launch.team.symbol.empty() != multiplies);
    }
  }
}
