// See Spellings.h.
#include "test/compiler/Spellings.h"
#include "compiler/Pipeline/Passes.h"
#include "mlir/Parser/Parser.h"
#include "test/compiler/Context.h"
#include <catch2/catch.hpp>
#include <fstream>
#include <random>
#include <sstream>

using namespace mlir;

namespace rondo::spellings {

llvm::ArrayRef<const char *> files() {
  static const char *const names[] = {
      "elementwise",         "complex_elementwise", "max_plus",      "log_plus",    "expand",
      "expand_scalar",       "expand_key",          "expand_value",  "expand_both", "delta",
      "gated_delta",         "vector_gated_delta",  "normaliser",    "mlstm",       "delta_product",
      "value_decayed_delta", "named_transition",    "sum_of_outers", "tied_keys"};
  return names;
}

std::string readSpec(const std::string &path) {
  std::ifstream file(std::string(RONDO_SOURCE_DIR) + "/test/compiler/" + path);
  std::ostringstream text;
  text << file.rdbuf();
  REQUIRE(!text.str().empty());
  return text.str();
}

std::string readSpelling(const std::string &name) { return readSpec("spellings/" + name + ".rondo"); }

std::string expectedStructure(const std::string &spec, const std::string &model) {
  std::istringstream lines(spec);
  for (std::string line; std::getline(lines, line);)
    if (size_t colon = line.find(": "); line.rfind("// ", 0) == 0 && colon != std::string::npos)
      if (model.rfind(line.substr(3, colon - 3) + "_", 0) == 0)
        return line.substr(colon + 2);
  return "";
}

static driver::Compiler &compiler() {
  static driver::Compiler it;
  return it;
}

template <typename T> static T valueOf(const driver::Outcome<T> &outcome) {
  for (const auto &diagnostic : outcome.diagnostics)
    UNSCOPED_INFO(diagnostic.message);
  REQUIRE(outcome);
  return *outcome.value;
}

driver::ModelFacts inspect(const Model &model) {
  driver::Options options;
  options.model = model.name;
  return valueOf(compiler().inspect({model.path, model.spec}, options));
}

std::string emit(const Model &model, const std::string &phase) {
  driver::Options options;
  options.model = model.name;
  options.type = DType::F64;
  options.resets = model.resets;
  options.packed = model.packed;
  options.gradient = model.gradient;
  options.chunk = model.chunk;
  options.schedule = "carry"; // on any number of threads
  if (model.chunk)
    options.form = "chunk";
  for (const std::string &dim : inspect(model).dims)
    options.dims[dim] = dim == "V" || dim == "H" ? 2 : 3;
  return valueOf(compiler().emit({model.path, model.spec}, options, phase));
}

OwningOpRef<ModuleOp> parse(const std::string &text) {
  auto module = parseSourceString<ModuleOp>(text, &context());
  INFO(text);
  REQUIRE(module);
  return module;
}

func::FuncOp functionOf(ModuleOp module) { return *module.getOps<func::FuncOp>().begin(); }

namespace {

class Drawing {
public:
  Drawing(func::FuncOp function, const Draw &draw) : function(function), draw(draw), bits(draw.seed) {
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      packed |= kindOf(i) == "offsets";
  }

  reference::Array argument(unsigned number) {
    if (kindOf(number) == "offsets")
      return offsets();
    Type type = function.getArgument(number).getType();
    reference::Array array =
        reference::Array::zeros(shapeOf(number), recur::elementKind(type) == recur::ElementKind::Complex);
    double low = -1, high = 1;
    if (auto range = function.getArgAttrOfType<recur::IntervalAttr>(number, recur::kRangeAttr)) {
      low = std::max(low, range.getLo());
      high = std::min(high, range.getHi());
    }
    std::uniform_real_distribution<double> numbers(low, high);
    for (reference::Complex &element : array.data) {
      double x = numbers(bits), y = numbers(bits);
      if (draw.endsOften && bits() % 2)
        x = bits() % 2 ? low : high;
      element = kindOf(number) == "resets" ? reference::Complex(bits() % 4 == 0)
                                           : reference::Complex(x, array.isComplex ? y : 0);
    }
    return array;
  }

private:
  StringRef kindOf(unsigned number) {
    auto kind = function.getArgAttrOfType<StringAttr>(number, recur::kKindAttr);
    return kind ? kind.getValue() : "";
  }

  std::vector<int64_t> shapeOf(unsigned number) {
    auto type = cast<RankedTensorType>(function.getArgument(number).getType());
    std::vector<int64_t> shape = type.getShape().vec();
    for (auto [axis, name] : llvm::enumerate(recur::dimsOf(type).getAxes())) {
      bool perSequence = kindOf(number) == "init" || kindOf(number) == "param";
      if (name.getValue().starts_with("time"))
        shape[axis] = draw.steps;
      else if (name == "batch")
        shape[axis] = packed && !perSequence ? 1 : draw.sequences;
      else if (ShapedType::isDynamic(shape[axis]))
        shape[axis] = name == "head" ? 2 : 1; // the lag of a state that is read one step back; one group
    }
    return shape;
  }

  /// Every sequence but the second, which has no steps where there are three, has about as many.
  reference::Array offsets() {
    std::vector<double> ends{0};
    for (int64_t i = 1; i < draw.sequences; ++i)
      ends.push_back(i == 2 ? ends[1] : draw.steps * i / draw.sequences);
    ends.push_back(draw.steps);
    return reference::Array::real({static_cast<int64_t>(ends.size())}, ends);
  }

  func::FuncOp function;
  const Draw &draw;
  std::mt19937 bits;
  bool packed = false;
};

} // namespace

std::vector<reference::Array> randomArguments(func::FuncOp function, const Draw &draw) {
  Drawing drawing(function, draw);
  std::vector<reference::Array> arguments;
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    arguments.push_back(drawing.argument(i));
  return arguments;
}

std::vector<reference::Array> evaluate(func::FuncOp function, llvm::ArrayRef<reference::Array> arguments) {
  auto results = reference::interpret(function, arguments);
  if (!results)
    FAIL(llvm::toString(results.takeError()));
  return *results;
}

void requireClose(llvm::ArrayRef<reference::Array> actual, llvm::ArrayRef<reference::Array> expected) {
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    REQUIRE(actual[i].shape == expected[i].shape);
    double largest = 1;
    for (reference::Complex element : expected[i].data)
      largest = std::isfinite(std::abs(element)) ? std::max(largest, std::abs(element)) : largest;
    for (size_t j = 0; j < actual[i].data.size(); ++j) {
      reference::Complex x = actual[i].data[j], y = expected[i].data[j];
      CAPTURE(i, j, x, y, largest);
      REQUIRE((x == y || std::abs(x - y) <= 1e-12 * largest));
    }
  }
}

} // namespace rondo::spellings
