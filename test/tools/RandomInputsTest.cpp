// The draws that verification rests on: promises kept, ends reached, weights bounded, seeds reproducible.
#include "compiler/tools/rondo/RandomInputs.h"
#include "compiler/tools/rondo/SpectralRadius.h"
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace rondo;
using namespace rondo::tool;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

AxisSpec named(int64_t size) { return {Axis::Named, size, "K"}; }

TensorSpec tensor(const char *name, TensorKind kind, std::vector<AxisSpec> axes) {
  TensorSpec spec;
  spec.name = name;
  spec.kind = kind;
  spec.type = DType::F64;
  spec.axes = std::move(axes);
  spec.lo = -infinity;
  spec.hi = infinity;
  return spec;
}

TensorSpec gate(double lo, double hi, bool open = false) {
  TensorSpec spec =
      tensor("g", TensorKind::Input, {{Axis::Batch, -1, ""}, {Axis::Time, -1, ""}, {Axis::Head, -1, ""}, named(9)});
  spec.hasInterval = true;
  spec.lo = lo;
  spec.hi = hi;
  spec.loOpen = spec.hiOpen = open;
  return spec;
}

Program programOf(std::vector<TensorSpec> tensors) {
  Program program;
  program.model = "test";
  program.tensors = std::move(tensors);
  return program;
}

const CallShape shape{5, 40, 1, 3, 1};

std::vector<double> draw(const TensorSpec &spec, uint64_t seed = 1) {
  const NamedBuffers drawn = drawInputs(programOf({spec}), shape, seed, Inits::Drawn);
  REQUIRE(drawn.size() == 1);
  const double *data = drawn[0].second.as<double>();
  return {data, data + drawn[0].second.view().elements()};
}

double share(const std::vector<double> &values, double of) {
  return double(std::count(values.begin(), values.end(), of)) / double(values.size());
}

Matrix matrixOf(const std::vector<double> &values) { return {values.begin(), values.end()}; }

} // namespace

TEST_CASE("a closed interval's ends are reached exactly, and nothing leaves it") {
  const std::vector<double> values = draw(gate(0, 2));
  for (double x : values)
    REQUIRE((x >= 0 && x <= 2));
  CHECK(share(values, 0) > 0.05);
  CHECK(share(values, 2) > 0.05);
}

TEST_CASE("an open interval's ends are approached but not reached") {
  double least = 1;
  for (double x : draw(gate(0, 1, true))) {
    REQUIRE((x > 0 && x < 1));
    least = std::min(least, x);
  }
  CHECK(least < 1e-3);
}

TEST_CASE("a half-infinite interval has its end, values near it, ordinary and strong ones") {
  const std::vector<double> values = draw(gate(-infinity, 0));
  int strong = 0, near = 0;
  for (double x : values) {
    REQUIRE(x <= 0);
    strong += x < -25;
    near += x < 0 && x > -5e-3;
  }
  CHECK(share(values, 0) > 0.05);
  CHECK(strong > 50);
  CHECK(near > 50);
}

TEST_CASE("some batch entry and head stands at the end of the interval, undiluted") {
  const NamedBuffers drawn = drawInputs(programOf({gate(-infinity, 0)}), shape, 3, Inits::Drawn);
  const Blocks blocks = blocksOf(gate(-infinity, 0), drawn[0].second.shape());
  std::vector<double> largest(size_t(blocks.count()), 0);
  for (int64_t i = 0; i < drawn[0].second.view().elements(); ++i) {
    double &most = largest[size_t(blocks.of(i))];
    most = std::max(most, std::abs(drawn[0].second.as<double>()[i]));
  }
  CHECK(*std::min_element(largest.begin(), largest.end()) < 1e-2);
}

TEST_CASE("intervals hold after rounding to 16 bits") {
  TensorSpec spec = gate(0.1, 0.3);
  const NamedBuffers drawn = drawInputs(programOf({spec}), shape, 1, Inits::Drawn);
  for (DType type : {DType::BF16, DType::F16, DType::F32}) {
    spec.type = type;
    const NamedBuffers rounded = convert(drawn, programOf({spec}));
    const Tensor view = rounded[0].second.view();
    for (int64_t i = 0; i < view.elements(); ++i)
      REQUIRE((loadReal(view, i) >= 0.1 && loadReal(view, i) <= 0.3));
  }
}

TEST_CASE("matrices have variance 1/fan-in, recurrent ones a spectral radius of at most 0.9") {
  TensorSpec spec = tensor("W", TensorKind::Param, {named(40), named(60)});
  double sum = 0;
  for (double x : draw(spec))
    sum += x * x;
  CHECK(sum / 40 == Approx(1).margin(0.15));
  spec = tensor("U", TensorKind::Param, {named(20), named(20)});
  spec.recurrent = true;
  CHECK(spectralRadiusBound(matrixOf(draw(spec)), 20) <= 0.9 * (1 + 1e-12));
  spec = tensor("u", TensorKind::Param, {named(50)});
  spec.recurrent = true;
  for (double x : draw(spec))
    REQUIRE(std::abs(x) <= 0.9);
}

TEST_CASE("Gelfand's bound is above the spectral radius, and close") {
  const double c = std::cos(1.0), s = std::sin(1.0);
  CHECK(spectralRadiusBound({0.7 * c, -0.7 * s, 0.7 * s, 0.7 * c}, 2) == Approx(0.7).epsilon(2e-3));
  CHECK(spectralRadiusBound({0.5, 100, 0, 0.5}, 2) == Approx(0.5).epsilon(0.06)); // far from normal: its 2-norm is 100
  CHECK(spectralRadiusBound({0, 1, 0, 0}, 2) == 0);
  CHECK(normEstimate({3, 0, 0, 0, 4, 0}, 2, 3) == Approx(4).epsilon(0.03));
}

TEST_CASE("a seed draws the same numbers, another seed others, and names are independent") {
  const TensorSpec spec = gate(0, 1);
  CHECK(draw(spec, 7) == draw(spec, 7));
  CHECK(draw(spec, 7) != draw(spec, 8));
  const TensorSpec other = tensor("x", TensorKind::Input, {named(9)});
  const NamedBuffers both = drawInputs(programOf({other, spec}), shape, 7, Inits::Drawn);
  const double *data = both[1].second.as<double>();
  CHECK(std::vector<double>(data, data + both[1].second.view().elements()) == draw(spec, 7));
}

TEST_CASE("initial states that mean something by their default are left out") {
  TensorSpec zero = tensor("h", TensorKind::Init, {named(3)}), bottom = tensor("m", TensorKind::Init, {named(3)});
  bottom.defaultValue = {-infinity};
  const Program program = programOf({zero, bottom});
  const NamedBuffers drawn = drawInputs(program, shape, 1, Inits::Drawn);
  REQUIRE(drawn.size() == 1);
  CHECK(drawn[0].first == "h");
  CHECK(drawInputs(program, shape, 1, Inits::Default).empty());
}

TEST_CASE("perturbations are of the size asked for and keep ends, zeros and intervals") {
  const TensorSpec spec = gate(-infinity, 0), plain = tensor("x", TensorKind::Input, {named(9)});
  const Program program = programOf({spec, plain});
  const NamedBuffers before = drawInputs(program, shape, 1, Inits::Drawn);
  NamedBuffers after = copy(before);
  const double u = 0x1p-24;
  perturb(after, program, u, 5);
  for (int64_t i = 0; i < before[0].second.view().elements(); ++i) {
    const double x = before[0].second.as<double>()[i], moved = after[0].second.as<double>()[i];
    REQUIRE(moved <= 0);
    if (x == 0)
      REQUIRE(moved == 0);
    else
      REQUIRE(std::abs(moved - x) == Approx(u * std::max(1.0, std::abs(x))));
  }
  for (int64_t i = 0; i < 9; ++i) {
    const double x = before[1].second.as<double>()[i];
    REQUIRE(std::abs(after[1].second.as<double>()[i] - x) == Approx(u * std::abs(x)));
  }
}

TEST_CASE("offsets rise from 0 to the number of steps, with an empty sequence among four; some steps reset") {
  TensorSpec resets = tensor("resets", TensorKind::Resets, {{Axis::Batch, -1, ""}, {Axis::Time, -1, ""}});
  TensorSpec offsets = tensor("offsets", TensorKind::Offsets, {{Axis::Named, -1, "N+1"}});
  resets.type = DType::Bool;
  offsets.type = DType::I64;
  const Program program = programOf({resets, offsets});
  const CallShape sizes = fitted(program.tensors, {7, 500, 1, 1, 1, 4});
  CHECK(sizes.batch == 1); // packed sequences are one batch entry
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const NamedBuffers drawn = drawInputs(program, sizes, seed, Inits::Drawn);
    const auto *marks = drawn[0].second.as<uint8_t>();
    const int64_t count = std::count(marks, marks + 500, 1);
    CHECK(std::count(marks, marks + 500, 0) == 500 - count);
    CHECK((count > 30 && count < 95)); // 62 expected, standard deviation 7.4
    REQUIRE(drawn[1].second.shape() == std::vector<int64_t>{5});
    const auto *at = drawn[1].second.as<int64_t>();
    CHECK((at[0] == 0 && at[4] == 500 && std::is_sorted(at, at + 5) && at[1] == at[2]));
  }
}
