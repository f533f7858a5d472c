// Sums over time and batch: which scans add up rows of the batch, and that gradients of weights are what the interpreter makes of them, for any
// number of rows and threads, wherever rows lie.
#include "compiler/Driver/Compiler.h"
#include "rondo/Kernel.h"
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

using namespace rondo;

namespace {

constexpr int64_t kSteps = 45; // a chunk of 32 and some: of one row, and another number of joined ones

std::shared_ptr<const Program> compile(const std::string &name, const std::string &target, int64_t gradient) {
  static driver::Compiler compiler;
  driver::Options options;
  options.type = DType::F64;
  options.target = target;
  options.gradient = gradient;
  std::ifstream in(std::string(RONDO_SOURCE_DIR) + "/examples/" + name + ".rondo");
  std::stringstream text;
  text << in.rdbuf();
  auto facts = compiler.inspect({name + ".rondo", text.str()}, options);
  REQUIRE(facts);
  for (const std::string &dim : facts.value->dims)
    options.dims[dim] = dim == "D" ? 33 : 37;
  auto program = compiler.compile({name + ".rondo", text.str()}, options);
  REQUIRE(program);
  return *program.value;
}

/// Temporaries with one entry for several rows.
int64_t countShared(const Program &program) {
  int64_t shared = 0;
  for (const TensorSpec &spec : program.tensors)
    for (const AxisSpec &axis : spec.axes)
      shared += axis.axis == Axis::Batch && axis.steps > 1;
  return shared;
}

/// With `gap` elements that belong to no row between the rows of time-mapped inputs.
NamedBuffers run(const std::shared_ptr<const Program> &program, int64_t rows, int threads, int64_t gap) {
  std::vector<Buffer> buffers;
  NamedTensors views;
  for (const TensorSpec &spec : program->tensors) {
    if (spec.kind > TensorKind::Init)
      continue;
    std::vector<int64_t> shape;
    int64_t inRow = 1;
    for (const AxisSpec &axis : spec.axes) {
      shape.push_back(axis.axis == Axis::Time    ? kSteps
                      : axis.axis == Axis::Batch ? rows
                      : axis.axis == Axis::Head  ? 1
                                                 : axis.size);
      inRow *= axis.axis == Axis::Batch ? 1 : shape.back();
    }
    const bool hasGap = gap && spec.kind == TensorKind::Input;
    buffers.emplace_back(
        spec.type, std::vector<int64_t>{hasGap ? rows * (inRow + gap) : Buffer(spec.type, shape).view().elements()});
    Tensor view = buffers.back().view();
    for (int64_t i = 0; i < view.elements(); ++i) { // a row's numbers, whatever lies between rows
      const int64_t at = hasGap ? i / (inRow + gap) * inRow + i % (inRow + gap) : i;
      storeElement(view, i, 0.3 * std::sin(double(at * 37 + 11)));
    }
    view.strides.clear();
    for (size_t axis = 0; axis < shape.size(); ++axis)
      view.strides.push_back(Tensor{nullptr, spec.type, shape, {}}.stride(axis));
    view.shape = shape;
    if (hasGap)
      view.strides[0] = inRow + gap;
    views.emplace_back(spec.name, view);
  }
  RunOptions options;
  options.threads = threads;
  Result<NamedBuffers> results = Kernel(program).run(views, options);
  INFO((results ? "" : results.error().message()));
  REQUIRE(results);
  return std::move(*results);
}

} // namespace

TEST_CASE("gradients of weights are summed over four rows at a time", "[row-sums]") {
  for (const char *name : {"gru", "lstm"}) {
    auto program = compile(name, "cpu", 1), reference = compile(name, "reference", 1);
    CHECK(countShared(*program) > 0);
    for (int64_t rows : {1, 3, 4, 9}) {
      NamedBuffers expected = run(reference, rows, 1, 0), first = run(program, rows, 1, 0);
      for (int threads : {1, 2, 3})
        for (int64_t gap : {0, 5}) {
          CAPTURE(name, rows, threads, gap);
          NamedBuffers got = run(program, rows, threads, gap);
          REQUIRE(got.size() == expected.size());
          for (size_t i = 0; i < got.size(); ++i) {
            const Tensor a = got[i].second.view(), b = expected[i].second.view();
            double error = 0, largest = 0;
            for (int64_t e = 0; e < a.elements(); ++e) {
              error = std::max(error, std::abs(loadReal(a, e) - loadReal(b, e)));
              largest = std::max(largest, std::abs(loadReal(b, e)));
            }
            INFO(got[i].first);
            CHECK(error <= 1e-13 * (1 + largest)); // sums of at most 9 * 45 products
            if (!gap)                              // whatever the threads
              CHECK(std::memcmp(a.data, first[i].second.view().data, got[i].second.bytes()) == 0);
          }
        }
    }
  }
}

TEST_CASE("states that somebody wants for each row stay apart", "[row-sums]") {
  CHECK(countShared(*compile("linear_attention", "cpu", 0)) == 0); // its sums are final states
  CHECK(countShared(*compile("linear_attention", "cpu", 1)) == 0);
}
