// Calls without steps and calls without sequences, for every example and every odd spec: final states are the initial ones, and
// nothing is read or written that does not exist.
#include "compiler/Driver/Compiler.h"
#include "rondo/Kernel.h"
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace rondo;
namespace fs = std::filesystem;

namespace {

driver::Compiler &compiler() {
  static driver::Compiler one;
  return one;
}

int64_t sizeOf(const AxisSpec &axis, int64_t batch, int64_t time) {
  switch (axis.axis) {
  case Axis::Batch:
    return batch;
  case Axis::Time:
  case Axis::Time1:
    return time;
  default:
    return axis.size >= 0 ? axis.size : 2; // heads and groups that the call decides
  }
}

/// Arguments of a call, every number 0.25.
struct Arguments {
  std::vector<Buffer> memory;
  NamedTensors tensors;

  Arguments(const Program &program, int64_t batch, int64_t time) {
    for (const TensorSpec &spec : program.tensors) {
      if (spec.kind != TensorKind::Input && spec.kind != TensorKind::Param && spec.kind != TensorKind::Init)
        continue;
      std::vector<int64_t> shape;
      for (const AxisSpec &axis : spec.axes)
        shape.push_back(sizeOf(axis, batch, time));
      memory.emplace_back(spec.type, shape);
      Tensor tensor = memory.back().view();
      for (int64_t i = 0; i < tensor.elements(); ++i)
        storeElement(tensor, i, 0.25, 0.125);
      tensors.emplace_back(spec.name, tensor);
    }
  }
};

/// All numbers of a final state are those of the initial one. (Over two axes a final state has the other axis, and no elements.)
void checkFinals(const Program &program, const NamedBuffers &results) {
  size_t next = 0;
  for (const TensorSpec &spec : program.tensors) {
    if (spec.kind != TensorKind::Output && spec.kind != TensorKind::Final)
      continue;
    const Buffer &result = results[next++].second;
    if (spec.kind == TensorKind::Output)
      continue;
    INFO("final state " << spec.name);
    Tensor tensor = result.view();
    for (int64_t i = 0; i < tensor.elements(); ++i)
      REQUIRE(loadReal(tensor, i) == 0.25);
  }
}

void checkModel(const driver::Source &source, const std::string &model) {
  INFO(source.name << ", model " << model);
  driver::Options options;
  options.model = model;
  auto facts = compiler().inspect(source, options);
  REQUIRE(facts);
  for (const std::string &dim : facts.value->dims)
    options.dims[dim] = dim == "p" ? 2 : 3;
  auto program = compiler().compile(source, options);
  REQUIRE(program);
  Kernel kernel(*program.value);
  for (auto [batch, time] : {std::pair<int64_t, int64_t>{2, 0}, {0, 4}, {0, 0}}) {
    Arguments arguments(kernel.program(), batch, time);
    RunOptions run;
    run.batch = batch;
    run.time = time;
    auto results = kernel.run(arguments.tensors, run);
    INFO("B=" << batch << " T=" << time << (results ? "" : ": " + results.error().message()));
    REQUIRE(results);
    if (time == 0)
      checkFinals(kernel.program(), *results);
  }
}

} // namespace

TEST_CASE("calls without steps or without sequences", "[empty]") {
  for (const char *folder : {"examples", "test/compiler/specs"})
    for (const auto &entry : fs::directory_iterator(fs::path(RONDO_SOURCE_DIR) / folder)) {
      if (entry.path().extension() != ".rondo")
        continue;
      std::ifstream in(entry.path());
      std::stringstream text;
      text << in.rdbuf();
      driver::Source source{entry.path().string(), text.str()};
      auto facts = compiler().inspect(source, {});
      INFO(source.name);
      REQUIRE(facts);
      for (const std::string &model : facts.value->models)
        checkModel(source, model);
    }
}
