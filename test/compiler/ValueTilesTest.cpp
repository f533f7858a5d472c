// Axes that tasks share out: which ones are found, and that a call with fewer tasks than threads gives what one task gives.
#include "compiler/Target/CPU/ValueTiles.h"
#include "compiler/Driver/Compiler.h"
#include "compiler/Pipeline/Passes.h"
#include "compiler/Pipeline/Phases.h"
#include "compiler/Target/CPU/Codegen.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "rondo/Artifact.h"
#include "rondo/Kernel.h"
#include "test/compiler/Context.h"
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <sstream>

using namespace mlir;
using namespace rondo;

namespace {

struct Compiled {
  OwningOpRef<ModuleOp> module; // before lower-scan
  size_t next = 0;              // the phase that lowers
};

Compiled compile(const std::string &name, const std::string &text, driver::Options options) {
  static driver::Compiler compiler;
  options.schedule = "carry"; // segments are for what value tiles cannot share out
  auto facts = compiler.inspect({name, text}, options);
  REQUIRE(facts);
  for (const std::string &dim : facts.value->dims)
    options.dims.try_emplace(dim, dim == "p" ? 2 : 32);
  Compiled result;
  while (cpuPhases()[result.next].name != std::string("lower-scan"))
    ++result.next;
  auto ir = compiler.emit({name, text}, options, cpuPhases()[result.next - 1].name);
  REQUIRE(ir);
  result.module = parseSourceString<ModuleOp>(*ir.value, &context());
  REQUIRE(result.module);
  return result;
}

Kernel lower(Compiled compiled) {
  PhaseOptions options;
  options.threads = 4;
  for (size_t i = compiled.next; i < cpuPhases().size(); ++i)
    REQUIRE(succeeded(runPhase(cpuPhases()[i], *compiled.module, options)));
  std::optional<Program> described = cpu::describe(*compiled.module);
  REQUIRE(described);
  OwningOpRef<ModuleOp> second = cpu::takeSecond(*compiled.module);
  auto code = cpu::compile(*compiled.module, cpu::hostMachine());
  REQUIRE(static_cast<bool>(code));
  std::function<Result<std::string>()> split;
  if (second) {
    auto other = cpu::compile(*second, cpu::hostMachine());
    REQUIRE(static_cast<bool>(other));
    split = [object = std::move(*other)] { return Result<std::string>(object); };
  }
  auto program = loadHostCode(std::move(*described), *code, std::move(split));
  REQUIRE(program);
  return Kernel(*program);
}

std::string example(const std::string &name) {
  std::ifstream in(std::string(RONDO_SOURCE_DIR) + "/examples/" + name + ".rondo");
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

int64_t sizeOf(const TensorSpec &spec, const AxisSpec &axis) {
  switch (axis.axis) {
  case Axis::Time:
    return 37;
  case Axis::Sequence:
    return 3;
  case Axis::Batch:
  case Axis::Head:
  case Axis::Group:
    return axis.size >= 0 ? axis.size : 1;
  default:
    return spec.kind == TensorKind::Offsets ? 4 : axis.size;
  }
}

/// Inputs of a call with one row and one head, inside of the declared intervals.
std::vector<std::pair<std::string, Buffer>> inputsOf(const Program &program) {
  std::vector<std::pair<std::string, Buffer>> inputs;
  for (const TensorSpec &spec : program.tensors) {
    if (spec.kind > TensorKind::Offsets)
      continue;
    std::vector<int64_t> shape;
    for (const AxisSpec &axis : spec.axes)
      shape.push_back(sizeOf(spec, axis));
    inputs.emplace_back(spec.name, Buffer(spec.type, shape));
    Tensor view = inputs.back().second.view();
    const double lo = std::isfinite(spec.lo)   ? spec.lo
                      : std::isfinite(spec.hi) ? spec.hi - 1
                                               : -0.5,
                 hi = std::isfinite(spec.hi) ? spec.hi : lo + 1;
    const int64_t offsets[] = {0, 4, 4, 37};
    for (int64_t i = 0; i < view.elements(); ++i)
      storeElement(view, i,
                   spec.kind == TensorKind::Offsets ? double(offsets[i])
                   : spec.kind == TensorKind::Resets
                       ? i == 2 || i == 30
                       : lo + (hi - lo) * (0.05 + 0.9 * double((i * 37 + 11) % 101) / 101));
  }
  return inputs;
}

/// Runs with one thread and with many; how many of the launches share an axis out.
int compareThreads(const Kernel &kernel) {
  const auto inputs = inputsOf(kernel.program());
  NamedTensors views;
  for (const auto &[name, buffer] : inputs)
    views.emplace_back(name, buffer.view());
  RunOptions one, many;
  one.threads = 1;
  many.threads = 16;
  Result<NamedBuffers> expected = kernel.run(views, one), got = kernel.run(views, many);
  INFO((expected ? "" : expected.error().message()));
  REQUIRE(expected);
  REQUIRE(got);
  for (size_t i = 0; i < expected->size(); ++i) {
    const Tensor a = (*expected)[i].second.view(), b = (*got)[i].second.view();
    double largest = 1e-30, error = 0;
    for (int64_t e = 0; e < a.elements(); ++e) {
      largest = std::max(largest, std::abs(loadReal(a, e)));
      error = std::max(error, std::abs(loadReal(a, e) - loadReal(b, e)));
    }
    INFO((*expected)[i].first << " " << largest);
    CHECK(error <= 1e-5 * largest); // another order of the same f32 sums over 32 elements
  }
  int split = 0;
  for (const Launch &launch : kernel.program().launches)
    split += launch.splits > 1;
  return split;
}

} // namespace

TEST_CASE("blocks are whole vectors, and as many as asked for at most", "[value-tiles]") {
  CHECK(cpu::valueBlock(64, 4) == 16);
  CHECK(cpu::valueBlock(64, 2) == 32);
  CHECK(cpu::valueBlock(48, 4) == 16);
  CHECK(cpu::valueBlock(31, 4) == 31);
  CHECK(cpu::valueBlock(16, 4) == 16);
  CHECK(cpu::valueBlock(64, 1) == 64);
}

TEST_CASE("the axis to share out is one that nothing sums over or mixes", "[value-tiles]") {
  auto axisOf = [&](const std::string &body) -> std::string {
    Compiled compiled = compile("m.rondo", "model m<K, V, P> {\n" + body + "}\n", {});
    auto model = *compiled.module->getOps<func::FuncOp>().begin();
    recur::ScanInterface scan;
    for (auto each : model.getOps<recur::ScanInterface>())
      scan = each;
    auto tiles = cpu::findValueTiles(scan);
    if (!tiles)
      return "none";
    Value state = recur::Step(scan, &scan->getRegion(0).front()).yield().getStates()[0];
    return recur::dimsOf(state.getType()).getNames()[tiles->axisOf.lookup(state)].str();
  };
  const std::string expand = "input q, k: [K]\ninput v: [V]\ninput g: [K] <= 0\nstate S: [K, V] = 0\n"
                             "S[t] = diag(exp(g[t])) @ S[t-1] + outer(k[t], v[t])\n";
  CHECK(axisOf(expand + "o[t] = q[t] @ S[t]\noutput o\n") == "V");
  CHECK(axisOf(expand + "o[t] = tanh(q[t] @ S[t])\noutput o\n") == "V");
  CHECK(axisOf(expand + "o[t] = S[t] @ v[t]\noutput o\n") == "K");
  // A second reader sums over the other axis; a normaliser has no value axis; a scalar output has neither.
  CHECK(axisOf(expand + "o[t] = q[t] @ S[t]\np[t] = S[t] @ v[t]\noutput o, p\n") == "none");
  CHECK(axisOf(expand + "state n: [K] = 0\nn[t] = n[t-1] + k[t]\no[t] = q[t] @ S[t]\noutput o\n") == "none");
  CHECK(axisOf("input x: [K]\nstate h: [K] = 0\nh[t] = 0.5 * h[t-1] + x[t]\noutput h\n") == "K");
  CHECK(axisOf("input x: [K]\nparam U: [K, K]\nstate h: [K] = 0\nh[t] = U @ h[t-1] + x[t]\noutput h\n") == "none");
  CHECK(axisOf("input x: [K]\nstate h: [K] = 0\nh[t] = softmax(h[t-1] + x[t])\noutput h\n") == "none");
}

TEST_CASE("a call with fewer tasks than threads gives what one task gives", "[value-tiles]") {
  int split = 0;
  for (const char *name : {"gla", "deltanet", "gated_delta_net", "retnet", "mamba2", "lru", "mlstm", "gru"}) {
    INFO(name);
    split += compareThreads(lower(compile(std::string(name) + ".rondo", example(name), {})));
    driver::Options boundaries;
    boundaries.resets = boundaries.packed = true;
    split += compareThreads(lower(compile(std::string(name) + ".rondo", example(name), boundaries)));
  }
  CHECK(split >= 10);
}
