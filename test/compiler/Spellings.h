// The spellings in test/compiler/spellings: each file has one recurrence, written ten times, and in its first lines the structure that
// raise-scans finds in every model whose name begins with a word of the list.
#pragma once
#include "compiler/Driver/Compiler.h"
#include "compiler/Pipeline/Passes.h"
#include "compiler/Reference/Interpreter.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include <catch2/catch.hpp>
#include <fstream>
#include <random>
#include <sstream>

namespace rondo::spellings {

inline const char *const kFiles[] = {"elementwise",   "complex_elementwise", "max_plus",           "expand",
                                     "expand_scalar", "expand_key",          "expand_value",       "expand_both",
                                     "delta",         "gated_delta",         "vector_gated_delta", "normaliser",
                                     "mlstm"};

inline std::string readSpec(const std::string &name) {
  std::ifstream file(std::string(RONDO_SOURCE_DIR) + "/test/compiler/spellings/" + name + ".rondo");
  std::ostringstream text;
  text << file.rdbuf();
  REQUIRE(!text.str().empty());
  return text.str();
}

/// What stands behind "// WORD: " in a spec, for the word that `model` begins with.
inline std::string expectedStructure(const std::string &spec, const std::string &model) {
  std::istringstream lines(spec);
  for (std::string line; std::getline(lines, line);)
    if (size_t colon = line.find(": "); line.rfind("// ", 0) == 0 && colon != std::string::npos)
      if (model.rfind(line.substr(3, colon - 3) + "_", 0) == 0)
        return line.substr(colon + 2);
  return "";
}

inline driver::Compiler &compiler() {
  static driver::Compiler it;
  return it;
}

inline std::vector<std::string> modelsOf(const std::string &spec) {
  auto outcome = compiler().inspect({"spec.rondo", spec}, {});
  for (const auto &diagnostic : outcome.diagnostics)
    UNSCOPED_INFO(diagnostic.message);
  REQUIRE(outcome);
  return outcome.value->models;
}

/// The IR of a model after a phase, in f64 and with sizes that tell the axes apart.
inline std::string emit(const std::string &spec, const std::string &model, const std::string &phase) {
  driver::Options options;
  options.model = model;
  options.type = DType::F64;
  auto facts = compiler().inspect({"spec.rondo", spec}, options);
  REQUIRE(facts);
  for (const std::string &dim : facts.value->dims)
    options.dims[dim] = dim == "V" ? 2 : 3;
  auto outcome = compiler().emit({"spec.rondo", spec}, options, phase);
  for (const auto &diagnostic : outcome.diagnostics)
    UNSCOPED_INFO(diagnostic.message);
  REQUIRE(outcome);
  return *outcome.value;
}

inline mlir::OwningOpRef<mlir::ModuleOp> parse(const std::string &text) {
  static mlir::MLIRContext *context = [] {
    mlir::DialectRegistry registry;
    registerDialects(registry);
    auto *made = new mlir::MLIRContext(registry, mlir::MLIRContext::Threading::DISABLED);
    made->loadAllAvailableDialects();
    return made;
  }();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, context);
  INFO(text);
  REQUIRE(module);
  return module;
}

inline mlir::func::FuncOp functionOf(mlir::ModuleOp module) { return *module.getOps<mlir::func::FuncOp>().begin(); }

/// How many entries the implicit axes get.
using Extents = std::map<std::string, int64_t>;

/// Numbers for every argument of a model: in its declared interval, else between -1 and 1.
inline std::vector<reference::Array> randomArguments(mlir::func::FuncOp function, const Extents &extents,
                                                     unsigned seed) {
  std::mt19937 bits(seed);
  std::vector<reference::Array> arguments;
  for (auto [number, type] : llvm::enumerate(function.getArgumentTypes())) {
    double low = -1, high = 1;
    if (auto range = function.getArgAttrOfType<recur::IntervalAttr>(number, recur::kRangeAttr)) {
      low = std::max(low, range.getLo());
      high = std::min(high, range.getHi());
    }
    std::uniform_real_distribution<double> numbers(low, high);
    auto tensor = mlir::cast<mlir::RankedTensorType>(type);
    std::vector<int64_t> shape = tensor.getShape().vec();
    for (auto [axis, name] : llvm::enumerate(recur::dimsOf(type).getAxes()))
      shape[axis] = extents.at(name.str());
    bool complex = recur::elementKind(type) == recur::ElementKind::Complex;
    auto &array = arguments.emplace_back(reference::Array::zeros(shape, complex));
    for (reference::Complex &element : array.data)
      element = {numbers(bits), complex ? numbers(bits) : 0};
  }
  return arguments;
}

inline std::vector<reference::Array> evaluate(mlir::func::FuncOp function, llvm::ArrayRef<reference::Array> arguments) {
  auto results = reference::interpret(function, arguments);
  if (!results)
    FAIL(llvm::toString(results.takeError()));
  return *results;
}

/// Both sides are sums of a few dozen products of numbers below 100, in double precision and another order: their distance is a few
/// hundred units of 1e-14 at most.
inline void requireClose(llvm::ArrayRef<reference::Array> actual, llvm::ArrayRef<reference::Array> expected) {
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    REQUIRE(actual[i].shape == expected[i].shape);
    for (size_t j = 0; j < actual[i].data.size(); ++j) {
      CAPTURE(i, j, actual[i].data[j], expected[i].data[j]);
      REQUIRE(std::abs(actual[i].data[j] - expected[i].data[j]) <= 1e-12 * (1 + std::abs(expected[i].data[j])));
    }
  }
}

} // namespace rondo::spellings
