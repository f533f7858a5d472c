// The regions of chunk.gradient_scan that go against time, on the CPU: each is what the reference interpreter makes of it. No kernel runs
// the whole op yet; here the regions are those of a chunk.scan that carries the adjoints on and leaves the states as they are, which is
// the gradient of nothing, and computes with every operation that a gradient has.
#include "compiler/Differentiate/Passes.h"
#include "dialects/Chunk/Chunk.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "rondo/Kernel.h"
#include "test/compiler/Spellings.h"
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace rondo;
using namespace rondo::spellings;
using mlir::StringAttr;
using mlir::Type;
using mlir::Value;

namespace {

/// The model's first chunk.gradient_scan.
chunk::GradientScanOp gradientOf(mlir::ModuleOp module) {
  mlir::PassManager passes(module.getContext());
  passes.addPass(createDifferentiate());
  passes.addPass(mlir::createCanonicalizerPass());
  passes.addPass(mlir::createCSEPass());
  REQUIRE(mlir::succeeded(passes.run(module)));
  chunk::GradientScanOp found;
  module.walk([&](chunk::GradientScanOp op) { found = found ? found : op; });
  REQUIRE(found);
  return found;
}

class WayBack {
public:
  explicit WayBack(chunk::GradientScanOp from)
      : from(from), module(mlir::ModuleOp::create(from.getLoc())), b(module->getBodyRegion()) {}

  mlir::OwningOpRef<mlir::ModuleOp> build() {
    llvm::SmallVector<Value> old(from->getOperands());
    llvm::SmallVector<Type> results(from->getResultTypes().begin(), from->getResultTypes().end());
    for (Value init : from.getInits())
      results.insert(results.begin() + from.numOutputs() + states.size(), finalType(init)), states.push_back(init);
    auto fn =
        mlir::func::FuncOp::create(b, from.getLoc(), "m", b.getFunctionType(mlir::ValueRange(old).getTypes(), results));
    auto &block = *fn.addEntryBlock();
    for (auto [i, value] : llvm::enumerate(old)) {
      bool perStep = recur::dimsOf(value.getType()).axisPosition("time") >= 0;
      bool isParam = llvm::is_contained(from.getParams(), value);
      fn.setArgAttrs(i, name("x" + std::to_string(i), perStep ? "input" : isParam ? "param" : "init"));
    }
    for (unsigned i = 0; i < results.size(); ++i)
      fn.setResultAttrs(i, name("y" + std::to_string(i), i < from.numOutputs() ? "output" : "final"));
    b.setInsertionPointToStart(&block);
    size_t data = from.getInputs().size() + from.getCotangents().size(), params = from.getParams().size();
    mlir::ValueRange arguments(block.getArguments());
    llvm::SmallVector<mlir::Attribute> names(from.getStates().begin(), from.getStates().end());
    llvm::append_range(names, from.getAdjoints());
    auto scan = chunk::ScanOp::create(b, from.getLoc(), results, arguments.take_front(data),
                                      arguments.slice(data, params), arguments.drop_front(data + params), Value(),
                                      Value(), from.getAxes(), b.getArrayAttr(names), from.getPlan());
    copy(from.getBackStep(), scan.getStep());
    copy(from.getBackChunk(), scan.getChunk());
    mlir::func::ReturnOp::create(b, from.getLoc(), scan.getResults());
    return std::move(module);
  }

private:
  mlir::DictionaryAttr name(const std::string &name, llvm::StringRef kind) {
    return b.getDictionaryAttr({b.getNamedAttr(recur::kNameAttr, b.getStringAttr(name)),
                                b.getNamedAttr(recur::kKindAttr, b.getStringAttr(kind))});
  }

  Type finalType(Value init) {
    auto type = mlir::cast<mlir::RankedTensorType>(init.getType());
    llvm::ArrayRef<StringAttr> names = recur::dimsOf(type).getNames();
    llvm::SmallVector<StringAttr> axes;
    llvm::SmallVector<int64_t> shape;
    for (llvm::StringRef axis : chunk::GradientScanOp::resultAxes(from->getOperands(), false)) {
      axes.push_back(b.getStringAttr(axis));
      shape.push_back(mlir::ShapedType::kDynamic);
    }
    llvm::append_range(shape, type.getShape().take_back(names.size()));
    return mlir::RankedTensorType::get(shape, type.getElementType(), recur::DimsAttr::get(b.getContext(), axes, names));
  }

  /// The region, which gives back the states that it is given.
  void copy(mlir::Region &region, mlir::Region &into) {
    mlir::IRMapping map;
    region.cloneInto(&into, map);
    auto yield = mlir::cast<recur::YieldOp>(into.front().getTerminator());
    size_t first = from.getInputs().size() + from.getCotangents().size() + from.getParams().size();
    llvm::SmallVector<Value> all(into.getArguments().slice(first, from.getInits().size()));
    llvm::append_range(all, yield.getStates());
    yield.getStatesMutable().assign(all);
  }

  chunk::GradientScanOp from;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::OpBuilder b;
  llvm::SmallVector<Value> states;
};

Kernel compile(mlir::ModuleOp module) {
  static driver::Compiler compiler;
  driver::Options options;
  const auto phases = driver::phaseNames();
  for (size_t i = 1; i < phases.size(); ++i)
    if (phases[i].first == "lower-scan")
      options.from = phases[i - 1].first;
  std::string text;
  llvm::raw_string_ostream(text) << module;
  auto program = compiler.compile({"m.mlir", text}, options);
  INFO(text << (program.diagnostics.empty() ? "" : program.diagnostics[0].message));
  REQUIRE(program);
  return Kernel(*program.value);
}

/// Rounded to f64 in other places, and with elementary functions of its own, which are good to some last digits.
void requireSame(const Buffer &found, const reference::Array &expected) {
  REQUIRE(found.shape() == expected.shape);
  double largest = 1e-3;
  for (reference::Complex x : expected.data)
    largest = std::max(largest, std::abs(x));
  for (size_t i = 0; i < expected.data.size(); ++i) {
    reference::Complex x(loadReal(found.view(), int64_t(i)),
                         expected.isComplex ? loadImag(found.view(), int64_t(i)) : 0);
    CAPTURE(i, x, expected.data[i], largest);
    REQUIRE(std::abs(x - expected.data[i]) <= 1e-12 * largest);
  }
}

/// Compiles the way back of a model's gradient, and holds it to the interpreter.
void check(Model model, int64_t size) {
  CAPTURE(model.name);
  model.chunk = size;
  model.gradient = 1; // to come: of what is differentiated, no chunk is made of rows
  auto gradient = parse(emit(model, "form"));
  auto module = WayBack(gradientOf(*gradient)).build();
  REQUIRE(mlir::succeeded(mlir::verify(*module)));
  Kernel kernel = compile(*module);
  auto arguments = randomArguments(functionOf(*module), {.steps = 2 * size + 3});
  auto expected = evaluate(functionOf(*module), arguments);
  std::vector<Buffer> memory;
  NamedTensors inputs, outputs;
  for (auto [i, array] : llvm::enumerate(arguments)) {
    memory.emplace_back(array.isComplex ? DType::C128 : DType::F64, array.shape);
    for (size_t at = 0; at < array.data.size(); ++at)
      storeElement(memory.back().view(), int64_t(at), array.data[at].real(), array.data[at].imag());
    inputs.emplace_back("x" + std::to_string(i), memory.back().view());
  }
  for (auto [i, array] : llvm::enumerate(expected)) {
    memory.emplace_back(array.isComplex ? DType::C128 : DType::F64, array.shape);
    outputs.emplace_back("y" + std::to_string(i), memory.back().view());
  }
  const Result<void> ran = kernel.run(inputs, outputs);
  INFO((ran ? "" : ran.error().message()));
  REQUIRE(ran);
  for (auto [i, array] : llvm::enumerate(expected)) {
    CAPTURE(i);
    requireSame(memory[arguments.size() + i], array);
  }
}

bool hasChunks(const Model &model) { return llvm::is_contained(inspect(model).forms, "chunk"); }

} // namespace

TEST_CASE("the way back of every kind of expansion, on the CPU", "[way-back-kernel]") {
  for (const char *file : files()) {
    INFO(file);
    std::string spec = readSpelling(file);
    Model first{spec, inspect({spec, ""}).models.front()};
    if (hasChunks(first))
      for (int64_t size : {3, 16})
        check(first, size);
  }
}

TEST_CASE("the way back of every example with chunks, on the CPU", "[way-back-kernel]") {
  unsigned models = 0;
  for (const auto &entry : std::filesystem::directory_iterator(RONDO_SOURCE_DIR "/examples")) {
    if (entry.path().extension() != ".rondo")
      continue;
    std::ifstream file(entry.path());
    std::ostringstream text;
    text << file.rdbuf();
    INFO(entry.path().filename().string());
    Model model{text.str(), ""};
    model.path = entry.path().string();
    for (const std::string &name : inspect(model).models) {
      model.name = name;
      if (!hasChunks(model))
        continue;
      ++models;
      check(model, 4);
    }
  }
  CHECK(models > 15);
}
