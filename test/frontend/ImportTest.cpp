// The importer: every program verifies and survives printing, and the function has the documented form.
#include "frontend/Import.h"
#include "Programs.h"
#include "Specs.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace mlir;
using namespace rondo;
using namespace rondo::frontend;
using namespace rondo::frontend::test;
namespace fs = std::filesystem;

namespace {

std::string printed(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream(text) << module;
  return text;
}

struct Imported {
  MLIRContext context{MLIRContext::Threading::DISABLED};
  OwningOpRef<ModuleOp> module;
  explicit Imported(const Checked &checked) : module(importModel(*checked.model, checked.sources, context)) {}
  func::FuncOp function() { return *module->getOps<func::FuncOp>().begin(); }
  SmallVector<recur::ScanOp> scans() { return SmallVector<recur::ScanOp>(function().getOps<recur::ScanOp>()); }
  std::string argument(unsigned index, const char *attribute) {
    return cast<StringAttr>(function().getArgAttr(index, attribute)).str();
  }
};

std::string read(const fs::path &path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void checkRoundTrip(const std::string &name, const Checked &checked) {
  INFO(name << "\n" << checked.errors);
  REQUIRE(checked.model);
  Imported imported(checked);
  REQUIRE(imported.module);
  std::string text = printed(*imported.module);
  OwningOpRef<ModuleOp> again = parseSourceString<ModuleOp>(text, &imported.context);
  INFO(text);
  REQUIRE(again);
  CHECK(succeeded(verify(*again)));
  CHECK(printed(*again) == text);
}

} // namespace

TEST_CASE("specs import, verify and survive printing", "[import]") {
  for (const auto &[name, text] : specs())
    checkRoundTrip(name, *check(text));
}

TEST_CASE("the programs of language.md and the examples import, verify and survive printing", "[import]") {
  size_t count = 0;
  for (const char *folder : {"test/frontend/programs", "examples"}) {
    std::map<std::string, std::string> files;
    for (const auto &entry : fs::directory_iterator(fs::path(RONDO_SOURCE_DIR) / folder))
      if (entry.path().extension() == ".rondo")
        files[entry.path().filename().string()] = read(entry.path());
    for (const auto &[name, text] : files) {
      // These two show syntax and stand for no model.
      if (folder[0] == 't' && (name == "forms.rondo" || name == "block.rondo"))
        continue;
      checkRoundTrip(name, *check(text, files));
      ++count;
    }
  }
  CHECK(count > 40);
}

TEST_CASE("gla: one scan, arguments and results in the documented order", "[import]") {
  auto checked = check(read(fs::path(RONDO_SOURCE_DIR) / "test/frontend/programs/gla.rondo"));
  REQUIRE(checked->model);
  Imported imported(*checked);
  REQUIRE(imported.module);
  auto scans = imported.scans();
  REQUIRE(scans.size() == 1);
  CHECK(scans[0].numOutputs() == 1);
  CHECK(scans[0].numStates() == 1);
  CHECK(imported.argument(3, recur::kNameAttr) == "g");
  CHECK(imported.argument(4, recur::kKindAttr) == "init");
  CHECK(imported.function().getArgAttr(3, recur::kRangeAttr));
  CHECK(imported.function()->hasAttr(recur::kHeadsAttr));
  std::string text = printed(*imported.module);
  CHECK(text.find("recur.contract \"a,ab->ab\"") != std::string::npos);
  CHECK(text.find("recur.identity") == std::string::npos);
}

TEST_CASE("values of equations carry the equation's name as their place", "[import]") {
  auto checked = check(specs().at("rwkv6"));
  Imported imported(*checked);
  auto yield = imported.scans()[0].yield();
  auto name = dyn_cast<NameLoc>(yield.getStates()[0].getLoc());
  REQUIRE(name);
  CHECK(name.getName() == "S");
  CHECK(cast<FileLineColLoc>(name.getChildLoc()).getLine() == 8);
}

TEST_CASE("a symbolic lag stands in recur.lags", "[import]") {
  auto checked = check(specs().at("skip"));
  Imported imported(*checked);
  auto lags = imported.function()->getAttrOfType<ArrayAttr>(recur::kLagsAttr);
  REQUIRE(lags);
  CHECK(cast<StringAttr>(lags[0]).getValue() == "p");
  recur::StateAttr state = imported.scans()[0].state(0);
  CHECK(state.getReads()[0][0] == 1);
  CHECK(state.getReads()[1][0] == -1);
}

TEST_CASE("two directions are two scans, the earlier feeds the later", "[import]") {
  auto checked = check(specs().at("bidirectional"));
  Imported imported(*checked);
  auto scans = imported.scans();
  REQUIRE(scans.size() == 2);
  CHECK(!scans[0].axis(0).getReverse());
  CHECK(scans[1].axis(0).getReverse());
  CHECK(llvm::is_contained(scans[1].getInputs(), scans[0].outputs()[0]));
}

TEST_CASE("heads: reshapes between the scans", "[import]") {
  auto checked = check(specs().at("block"));
  Imported imported(*checked);
  CHECK(imported.scans().size() == 3);
  CHECK(llvm::range_size(imported.function().getOps<recur::ReshapeOp>()) == 5);
  CHECK(imported.function()->getAttrOfType<StringAttr>(recur::kHeadCountAttr).getValue() == "H");
}

TEST_CASE("two axes: a final value per axis", "[import]") {
  auto checked = check(specs().at("two_axes"));
  Imported imported(*checked);
  auto function = imported.function();
  REQUIRE(function.getNumResults() == 3);
  CHECK(cast<StringAttr>(function.getResultAttr(1, recur::kNameAttr)).getValue() == "h.r");
  CHECK(cast<StringAttr>(function.getResultAttr(2, recur::kNameAttr)).getValue() == "h.c");
  CHECK(imported.scans()[0].axis(1).getReverse());
}
