// raise-scans does not depend on how a recurrence is spelled, and what it raises computes the same. The texts of the recurrences
// are in test/compiler/spellings.
#include "compiler/Transforms/Passes.h"
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

/// "STATE:[AXES]" of each decay, "STATE:AXIS" of each readout. The order of readouts, which follows the outputs, is not compared.
template <typename Op> std::string expansionText(Op op) {
  std::vector<std::string> decays, readouts;
  for (mlir::Attribute attribute : op.getDecays()) {
    auto decay = mlir::cast<recur::DecayAttr>(attribute);
    decays.push_back(std::to_string(decay.getState()) + ":" + listed(decay.getAxes()));
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
  REQUIRE(mlir::succeeded(module.verify()));
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

TEST_CASE("what is raised computes what was written", "[raise-scans]") {
  for (const char *file : files()) {
    std::string spec = readSpelling(file);
    INFO(file);
    for (const std::string &model : inspect({spec, ""}).models) {
      INFO(model);
      auto before = parse(emit({spec, model}, "hoist-parallel")), after = parse(emit({spec, model}, "raise"));
      lowerRaised(*after);
      auto arguments = randomArguments(functionOf(*before), {});
      requireClose(evaluate(functionOf(*after), arguments), evaluate(functionOf(*before), arguments));
    }
  }
}
