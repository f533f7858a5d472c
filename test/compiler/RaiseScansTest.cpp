// raise-scans does not depend on how a recurrence is spelled, and what it raises computes the same. The texts of the recurrences
// are in test/compiler/spellings.
#include "compiler/Transforms/Passes.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "test/compiler/Spellings.h"
#include <catch2/catch.hpp>

using namespace rondo;
using namespace rondo::spellings;

namespace {

std::string listed(llvm::ArrayRef<int64_t> numbers) {
  std::string text;
  for (int64_t number : numbers)
    text += (text.empty() ? "" : ", ") + std::to_string(number);
  return "[" + text + "]";
}

std::string joined(const std::vector<std::string> &entries) {
  std::string text;
  for (const std::string &entry : entries)
    text += (text.empty() ? "" : ", ") + entry;
  return "[" + text + "]";
}

/// "STATE:[AXES]", and whether it comes before the transitions, of each decay, "STATE:AXIS" of each readout. The order of readouts, which follows the outputs, is not compared.
template <typename Op> std::string expansionText(Op op) {
  std::vector<std::string> decays, readouts;
  for (mlir::Attribute attribute : op.getDecays()) {
    auto decay = mlir::cast<recur::DecayAttr>(attribute);
    decays.push_back(std::to_string(decay.getState()) + ":" + listed(decay.getAxes()) +
                     (decay.getBefore() ? " before" : ""));
  }
  for (mlir::Attribute attribute : op.getReadouts()) {
    auto readout = mlir::cast<recur::ReadoutAttr>(attribute);
    readouts.push_back(std::to_string(readout.getState()) + ":" + std::to_string(readout.getAxis()) +
                       (readout.getBefore() ? " before" : ""));
  }
  llvm::sort(readouts);
  std::string text =
      " key_axes " + listed(op.getKeyAxes()) + " decays " + joined(decays) + " outers " + listed(op.getOuters());
  if constexpr (std::is_same_v<Op, recur::DeltaScanOp>)
    text += " transitions " + listed(op.getTransitions());
  if (auto moves = op->template getAttrOfType<mlir::DenseI64ArrayAttr>(recur::kMovesAttr))
    text += " moves " + listed(moves.asArrayRef());
  return text + " readouts " + joined(readouts);
}

/// The recurrences of a module in order, with what raise-scans found of their structure and without any name.
std::string structureOf(mlir::ModuleOp module) {
  std::string text;
  module.walk([&](mlir::Operation *op) {
    auto scan = mlir::dyn_cast<recur::ScanInterface>(op);
    if (!scan || scan.numStates() == 0)
      return;
    text += (text.empty() ? "" : "; ") + op->getName().stripDialect().str();
    if (auto linear = mlir::dyn_cast<recur::LinearScanOp>(op))
      text += " " + recur::stringifySemiring(linear.getSemiring()).str();
    if (auto expand = mlir::dyn_cast<recur::ExpandScanOp>(op))
      text += expansionText(expand);
    if (auto delta = mlir::dyn_cast<recur::DeltaScanOp>(op))
      text += expansionText(delta);
  });
  return text;
}

void lowerRaised(mlir::ModuleOp module) {
  mlir::PassManager passes(module.getContext());
  passes.addPass(createLowerRaised());
  REQUIRE(mlir::succeeded(passes.run(module)));
  REQUIRE(mlir::succeeded(mlir::verify(module)));
}

} // namespace

TEST_CASE("ten spellings of one recurrence are raised to one structure", "[raise-scans]") {
  for (const char *file : files()) {
    std::string spec = readSpelling(file);
    std::vector<std::string> models = inspect({spec, ""}).models;
    INFO(file);
    CHECK(models.size() == 10);
    for (const std::string &model : models) {
      INFO(model);
      auto module = parse(emit({spec, model}, "raise"));
      CHECK(structureOf(*module) == expectedStructure(spec, model));
    }
  }
}

/// Holds a model after raise-scans, and lowered again, to the model before.
static void requireSame(const Model &model) {
  INFO(model.name);
  auto before = parse(emit(model, "hoist-parallel")), after = parse(emit(model, "raise"));
  lowerRaised(*after);
  auto arguments = randomArguments(functionOf(*before), {});
  requireClose(evaluate(functionOf(*after), arguments), evaluate(functionOf(*before), arguments));
}

TEST_CASE("what is raised computes what was written", "[raise-scans]") {
  for (const char *file : files()) {
    std::string spec = readSpelling(file);
    INFO(file);
    for (const std::string &model : inspect({spec, ""}).models)
      requireSame({spec, model});
  }
}

TEST_CASE("odd recurrences compute what was written", "[raise-scans]") {
  std::string spec = readSpec("specs/raised.rondo");
  for (const std::string &model : inspect({spec, ""}).models)
    requireSame({spec, model});
}

TEST_CASE("a state that keeps nothing of its old value forgets infinities", "[raise-scans]") {
  const char *specs[] = {
      "model m<D> {\n  input x: [D]\n  state p: [D] = -inf\n  p[t] = x[t]\n  o[t] = max(p[t-1], x[t])\n  output o\n}\n",
      "model m<K, V> {\n  input k: [K]\n  input v: [V]\n  state P: [K, V] = inf\n  P[t] = outer(k[t], v[t])\n"
      "  o[t] = k[t] @ P[t]\n  output o\n}\n",
      "model m<K, V> {\n  input k: [K]\n  input v: [V]\n  state S: [K, V] = 0\n  S[t] = S[t-1] + outer(max(k[t], "
      "k[t-1]), v[t])\n"
      "  o[t] = k[t] @ S[t]\n  output o\n}\n"};
  for (const char *spec : specs) {
    INFO(spec);
    auto before = parse(emit({spec, "m"}, "hoist-parallel")), after = parse(emit({spec, "m"}, "raise"));
    lowerRaised(*after);
    auto arguments = randomArguments(functionOf(*before), {});
    for (auto [number, array] : llvm::enumerate(arguments))
      if (functionOf(*before).getArgAttrOfType<mlir::StringAttr>(number, recur::kNameAttr) != "S" &&
          functionOf(*before).getArgAttrOfType<mlir::StringAttr>(number, recur::kKindAttr) == "init")
        llvm::fill(array.data, -INFINITY);
    auto expected = evaluate(functionOf(*before), arguments);
    for (const reference::Array &result : expected)
      REQUIRE(llvm::all_of(result.data, [](reference::Complex x) { return std::isfinite(x.real()); }));
    requireClose(evaluate(functionOf(*after), arguments), expected);
  }
}

TEST_CASE("log-plus is exact where a side is nothing at all", "[raise-scans]") {
  auto module = parse(R"(
!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>
func.func @f(%a: !bt, %x: !bt, %h0: !b) -> (!bt, !b) {
  %y, %hT = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%a, %x : !bt, !bt)
      inits(%h0 : !b) semiring log_plus coefficients {
  ^bb0(%at: !s, %xt: !s):
    recur.coefficients decays(%at : !s) values(%xt : !s)
  } readout {
  ^bb0(%at: !s, %xt: !s, %new: !s, %old: !s):
    recur.yield outputs(%new : !s)
  } : !bt, !b
  return %y, %hT : !bt, !b
})");
  lowerRaised(*module);
  using reference::Array;
  const double none = -INFINITY, three = 3, two = 2;
  auto results =
      evaluate(functionOf(*module), {Array::real({1, 5}, {0, 1, 0, none, 1}),
                                     Array::real({1, 5}, {none, three, none, two, two}), Array::real({1}, {none})});
  std::vector<double> y = results[0].reals();
  CHECK(y[0] == none);
  CHECK(y[1] == 3);
  CHECK(y[2] == 3);
  CHECK(y[3] == 2);
  CHECK(y[4] == Approx(std::log(std::exp(3.0) + std::exp(2.0))).epsilon(1e-15));
  CHECK(results[1].reals() == std::vector<double>{y[4]});
}
