// Reverse mode over chunks, without a target: the adjoint of each operation along a chunk against differences, and what differentiate
// makes of a chunk.scan, run by the reference interpreter, against the gradient that it makes of the scan over single steps.
#include "compiler/Differentiate/Passes.h"
#include "dialects/Chunk/Chunk.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "test/compiler/Spellings.h"
#include <catch2/catch.hpp>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <sstream>

using namespace rondo;
using namespace rondo::spellings;
using reference::Array;
using reference::Complex;

namespace {

//===--- one operation ----------------------------------------------------------------------------------------------===//

/// A model of one chunk of 4 steps: inputs a <time>, x, y, z <time | 3>, w <time | 2> and a parameter p <3>; %o <time | 3> is what
/// `operations` compute of them. The single step is never taken.
std::string modelOf(const std::string &operations, bool isComplex) {
  return fmt::format(R"(
!f = {0}tensor<?x?x3x{1}, #recur.dims<batch, time | "3">>
!f2 = tensor<?x?x2x{1}, #recur.dims<batch, time | "2">>
!f0 = tensor<?x?x{1}, #recur.dims<batch, time>>
!k = tensor<3x{1}, #recur.dims<| "3">>
!v = tensor<2x{1}, #recur.dims<| "2">>
!s = tensor<{1}, #recur.dims<>>
!t = tensor<4x{1}, #recur.dims<time>>
!tk = tensor<4x3x{1}, #recur.dims<time | "3">>
!tv = tensor<4x2x{1}, #recur.dims<time | "2">>
!sk = tensor<4x3x{1}, #recur.dims<source | "3">>
!sv = tensor<4x2x{1}, #recur.dims<source | "2">>
!ss = tensor<4x{1}, #recur.dims<source>>
!ts = tensor<4x4x{1}, #recur.dims<time, source>>
func.func @m(%a: !f0 {{recur.kind = "input", recur.name = "a"}}, %x: !f {{recur.kind = "input", recur.name = "x"}},
             %y: !f {{recur.kind = "input", recur.name = "y"}}, %z: !f {{recur.kind = "input", recur.name = "z"}},
             %w: !f2 {{recur.kind = "input", recur.name = "w"}}, %p: !k {{recur.kind = "param", recur.name = "p"}})
    -> (!f {{recur.kind = "output", recur.name = "o"}}) {{
  %o = chunk.scan over [#recur.axis<"t">] states [] inputs(%a, %x, %y, %z, %w : !f0, !f, !f, !f, !f2) params(%p : !k)
      plan <form = chunk, schedule = carry, chunk = 4> step {{
  ^bb0(%a1: !s, %x1: !k, %y1: !k, %z1: !k, %w1: !v, %p1: !k):
    recur.yield outputs(%x1 : !k)
  }} chunk {{
  ^bb0(%a: !t, %x: !tk, %y: !tk, %z: !tk, %w: !tv, %p: !k):
    %ys = chunk.as_source(%y) : !tk -> !sk
    %M = recur.contract "tk,sk->ts"(%x, %ys) : (!tk, !sk) -> !ts
    {2}
    recur.yield outputs(%o : !tk)
  }} : !f
  return %o : !f
}}
)",
                     "", isComplex ? "complex<f64>" : "f64", operations);
}

mlir::OwningOpRef<mlir::ModuleOp> differentiated(const std::string &text) {
  auto module = parse(text);
  mlir::PassManager passes(module->getContext());
  passes.addPass(createDifferentiate());
  REQUIRE(mlir::succeeded(passes.run(*module)));
  REQUIRE(mlir::succeeded(mlir::verify(*module)));
  return module;
}

/// The real inner product, whose gradient by its first argument is the second.
double inner(const Array &x, const Array &y) {
  double sum = 0;
  for (size_t i = 0; i < x.data.size(); ++i)
    sum += x.data[i].real() * y.data[i].real() + x.data[i].imag() * y.data[i].imag();
  return sum;
}

/// Every operation along a chunk is linear in each number that it is made of, so that differences over any distance are derivatives, but
/// for the roundings of sums of some hundred products.
void compareWithDifferences(const std::string &operations, bool isComplex) {
  CAPTURE(operations, isComplex);
  auto model = parse(modelOf(operations, isComplex)), gradient = differentiated(modelOf(operations, isComplex));
  auto arguments = randomArguments(functionOf(*gradient), {.steps = 4});
  Array cotangent = arguments.back();
  auto gradients = evaluate(functionOf(*gradient), arguments);
  arguments.pop_back();
  REQUIRE(gradients.size() == arguments.size());
  arguments[0].data[1] = 0; // a decay of 0, and one of 1
  arguments[1].data[4] = 0;
  arguments[1].data[8] = 1;
  auto whole = arguments;
  whole.push_back(cotangent);
  gradients = evaluate(functionOf(*gradient), whole);
  for (size_t number = 0; number < arguments.size(); ++number)
    for (size_t i = 0; i < arguments[number].data.size(); ++i)
      for (Complex direction : {Complex(1, 0), Complex(0, 1)}) {
        if (!isComplex && direction.imag() != 0)
          continue;
        auto at = [&](double distance) {
          auto there = arguments;
          there[number].data[i] += distance * direction;
          return inner(evaluate(functionOf(*model), there)[0], cotangent);
        };
        double expected = (at(0.5) - at(-0.5));
        Complex found = gradients[number].data[i];
        CAPTURE(number, i, direction);
        REQUIRE((direction.imag() == 0 ? found.real() : found.imag()) == Approx(expected).epsilon(1e-12).margin(1e-12));
      }
}

//===--- models -----------------------------------------------------------------------------------------------------===//

unsigned count(mlir::ModuleOp module, llvm::StringRef name) {
  unsigned found = 0;
  module.walk([&](mlir::Operation *op) { found += op->getName().getStringRef() == name; });
  return found;
}

/// Numbers of a gradient, of which each is a sum of up to some thousand products in another order.
void requireCloseTo(llvm::ArrayRef<Array> actual, llvm::ArrayRef<Array> expected) {
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    REQUIRE(actual[i].shape == expected[i].shape);
    double largest = 0;
    for (Complex element : expected[i].data)
      largest = std::max(largest, std::abs(element));
    for (size_t j = 0; j < actual[i].data.size(); ++j) {
      Complex x = actual[i].data[j], y = expected[i].data[j];
      CAPTURE(i, j, x, y, largest);
      REQUIRE((x == y || std::abs(x - y) <= 1e-11 * std::max(largest, 1e-2)));
    }
  }
}

/// Holds the gradient by chunks of `size` steps to the gradient by steps.
void compare(Model model, int64_t size, llvm::ArrayRef<Draw> draws) {
  CAPTURE(model.name, size);
  auto steps = parse(emit(model, "bind-sizes"));
  mlir::PassManager byStep(steps->getContext());
  byStep.addPass(createDifferentiate());
  REQUIRE(mlir::succeeded(byStep.run(*steps)));
  model.chunk = size;
  model.gradient = 1; // to come: of what is differentiated, no chunk is made of rows
  auto chunks = parse(emit(model, "form"));
  mlir::PassManager passes(chunks->getContext());
  unsigned scans = count(*chunks, "chunk.scan");
  passes.addPass(createDifferentiate());
  passes.addPass(mlir::createCanonicalizerPass());
  passes.addPass(mlir::createCSEPass());
  REQUIRE(mlir::succeeded(passes.run(*chunks)));
  REQUIRE(mlir::succeeded(mlir::verify(*chunks)));
  CHECK(scans > 0);
  CHECK(count(*chunks, "chunk.gradient_scan") == scans);
  CHECK(count(*chunks, "chunk.scan") <= scans); // what the outputs of a scan are needed for
  for (const Draw &draw : draws) {
    CAPTURE(draw.steps, draw.endsOften);
    auto arguments = randomArguments(functionOf(*steps), draw);
    requireCloseTo(evaluate(functionOf(*chunks), arguments), evaluate(functionOf(*steps), arguments));
  }
}

bool hasChunks(const Model &model) { return llvm::is_contained(inspect(model).forms, "chunk"); }

} // namespace

TEST_CASE("adjoints of running products and sums", "[gradient-scan]") {
  for (bool isComplex : {false, true}) {
    for (const char *span : {"through", "before", "after"}) {
      compareWithDifferences(fmt::format("%o = chunk.products {}(%x) : !tk -> !tk", span), isComplex);
      compareWithDifferences(fmt::format("%d = chunk.products {}(%a) : !t -> !t\n"
                                         "%o = recur.contract \"tk,t->tk\"(%x, %d) : (!tk, !t) -> !tk",
                                         span),
                             isComplex);
    }
    compareWithDifferences("%d = chunk.products all(%x) : !tk -> !k\n"
                           "%o = recur.contract \"tk,k->tk\"(%y, %d) : (!tk, !k) -> !tk",
                           isComplex);
    for (const char *how : {"", "before", "transposed", "before transposed"})
      compareWithDifferences(fmt::format("%o = chunk.sums(%y, %x) {} : !tk", how), isComplex);
  }
}

TEST_CASE("adjoints of scores", "[gradient-scan]") {
  for (bool isComplex : {false, true})
    for (const char *decay : {"", "decay(%a : !t)", "decay(%x : !tk)"})
      for (const char *before : {"", "before"})
        compareWithDifferences(fmt::format("%A = chunk.scores(%y, %z) {} {} : !tk -> !ts\n"
                                           "%zs = chunk.as_source(%z) : !tk -> !sk\n"
                                           "%o = recur.contract \"ts,sk,k->tk\"(%A, %zs, %p) : (!ts, !sk, !k) -> !tk",
                                           decay, before),
                               isComplex);
}

TEST_CASE("adjoints of applied scores and of substitution", "[gradient-scan]") {
  for (bool isComplex : {false, true}) {
    for (const char *how : {"", "before", "transposed", "before transposed"})
      compareWithDifferences(fmt::format("%o = chunk.apply(%M, %z, %x) {} : !ts, !tk", how), isComplex);
    for (const char *how : {"", "transposed"}) {
      compareWithDifferences(fmt::format("%o = chunk.solve(%M, %z) {} : !ts, !tk", how), isComplex);
      compareWithDifferences(fmt::format("%q = chunk.solve(%M, %a) {} : !ts, !t\n"
                                         "%o = recur.contract \"tk,t->tk\"(%z, %q) : (!tk, !t) -> !tk",
                                         how),
                             isComplex);
    }
  }
}

TEST_CASE("adjoints of plain operations over the axes of a chunk", "[gradient-scan]") {
  for (const char *operations :
       {"%0 = recur.reduce sum [0] (%x) : (!tk) -> !k\n%o = recur.contract \"tk,k,k->tk\"(%y, %0, %p) : (!tk, !k, !k) "
        "-> !tk",
        "%0 = recur.broadcast [0] (%p) : (!k) -> !tk\n%o = recur.map mul(%0, %x) : (!tk, !tk) -> !tk",
        "%0 = recur.slice 1 at \"1\" (%x) : (!tk) -> !tv\n%1 = recur.map mul(%0, %w) : (!tv, !tv) -> !tv\n"
        "%2 = recur.slice 1 at \"0\" drop (%y) : (!tk) -> !t\n%3 = recur.broadcast [1] (%2) : (!t) -> tensor<4x1xf64, "
        "#recur.dims<time | \"1\">>\n%o = recur.concat 1 (%1, %3) : (!tv, tensor<4x1xf64, #recur.dims<time | \"1\">>) "
        "-> !tk",
        "%s = chunk.as_source(%a) : !t -> !ss\n%0 = recur.contract \"ts,s,tk->tk\"(%M, %s, %z) : (!ts, !ss, !tk) -> "
        "!tk\n"
        "%o = recur.map add(%0, %y) : (!tk, !tk) -> !tk",
        "%s = chunk.as_source(%x) : !tk -> !sk\n%b = chunk.as_time(%s) : !sk -> !tk\n"
        "%o = recur.map mul(%b, %y) : (!tk, !tk) -> !tk",
        "%0 = recur.reduce sum [0] (%a) : (!t) -> !s\n%o = recur.map mul(%x, %0) : (!tk, !s) -> !tk"})
    compareWithDifferences(operations, false);
}

TEST_CASE("the gradient of every spelling by chunks is the gradient by steps", "[gradient-scan]") {
  unsigned models = 0;
  for (const char *file : files()) {
    INFO(file);
    std::string spec = readSpelling(file);
    for (const std::string &name : inspect({spec, ""}).models) {
      if (!hasChunks({spec, name}))
        continue;
      ++models;
      compare({spec, name}, 4, {{.steps = 11}});
    }
  }
  CHECK(models == 150);
}

TEST_CASE("gradients by chunks: sizes, numbers of steps, and decays of 0 and 1", "[gradient-scan]") {
  for (const char *file : files()) {
    INFO(file);
    std::string spec = readSpelling(file);
    std::string first = inspect({spec, ""}).models.front();
    if (!hasChunks({spec, first}))
      continue;
    for (int64_t size : {2, 3, 5, 16})
      compare({spec, first}, size,
              {{.steps = 0},
               {.steps = 1},
               {.steps = 5},
               {.steps = 17},
               {.steps = 5, .endsOften = true},
               {.steps = 17, .endsOften = true}});
  }
}

TEST_CASE("gradients by chunks across resets and of packed sequences", "[gradient-scan]") {
  for (const char *file : files()) {
    INFO(file);
    Model model{readSpelling(file), ""};
    model.name = inspect(model).models.front();
    if (!hasChunks(model))
      continue;
    for (bool packed : {false, true}) {
      model.packed = packed;
      model.resets = true;
      compare(model, 3, {{.steps = 0}, {.steps = 1}, {.steps = 23, .sequences = 3}, {.steps = 23, .seed = 2}});
    }
    model.resets = false;
    compare(model, 2, {{.steps = 17, .sequences = 4}});
  }
}

TEST_CASE("the gradient of every example with a chunk form, by chunks", "[gradient-scan]") {
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
      compare(model, 4, {{.steps = 10}, {.steps = 3}, {.steps = 9, .endsOften = true}});
    }
  }
  CHECK(models > 15);
}
