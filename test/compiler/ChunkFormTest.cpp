// The mathematics of chunks, without a target: what form-chunks makes of a recurrence, run by the reference interpreter, is what one
// step after another gives. And the interpreter's own chunk ops, on numbers that can be checked by hand.
#include "compiler/Transforms/Passes.h"
#include "dialects/Chunk/Chunk.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "test/compiler/Spellings.h"
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace rondo;
using namespace rondo::spellings;

namespace {

using Numbers = std::vector<double>;

/// The results of chunk ops on three steps, with a = 2, 3, 5 and b = 1, 2, 3, ... in rows of two.
std::vector<Numbers> run(const std::string &body, const std::string &results, const std::string &types) {
  auto module = parse(R"(
!t = tensor<3xf64, #recur.dims<time>>
!tk = tensor<3x2xf64, #recur.dims<time | "2">>
!sk = tensor<3x2xf64, #recur.dims<source | "2">>
!k = tensor<2xf64, #recur.dims<| "2">>
!s = tensor<f64, #recur.dims<>>
!ts = tensor<3x3xf64, #recur.dims<time, source>>
func.func @f(%a: !t, %b: !tk, %m: !ts) -> ()" +
                      types + ") {\n" + body + "  return " + results + " : " + types + "\n}\n");
  using reference::Array;
  std::vector<Numbers> all;
  for (const Array &result :
       evaluate(functionOf(*module), {Array::real({3}, {2, 3, 5}), Array::real({3, 2}, {1, 2, 3, 4, 5, 6}),
                                      Array::real({3, 3}, {7, 8, 9, 2, 8, 9, 1, 3, 9})}))
    all.push_back(result.reals());
  return all;
}

/// Gives every raised scan that has one the chunk form, with chunks of `size` steps, of rows where they have so few; how many there are.
unsigned formChunks(mlir::ModuleOp module, int64_t size, int64_t rows = 0) {
  mlir::PassManager passes(module.getContext());
  ChoosePlansOptions plans;
  plans.form = "chunk";
  plans.chunk = size;
  passes.addPass(createChoosePlans(plans));
  FormChunksOptions forms;
  forms.rows = rows;
  passes.addPass(createFormChunks(forms));
  passes.addPass(createLowerRaised());
  REQUIRE(mlir::succeeded(passes.run(module)));
  REQUIRE(mlir::succeeded(mlir::verify(module)));
  unsigned count = 0;
  module.walk([&](chunk::ScanOp) { ++count; });
  return count;
}

/// Holds a model's chunks of `size` steps to the scan as it was written.
void compare(const Model &model, int64_t size, const Draw &draw) {
  CAPTURE(model.name, size, draw.steps, model.resets, model.packed, draw.endsOften);
  auto steps = parse(emit(model, "hoist-parallel"));
  auto arguments = randomArguments(functionOf(*steps), draw);
  auto expected = evaluate(functionOf(*steps), arguments);
  for (int64_t rows : {0, 4}) {
    CAPTURE(rows);
    auto chunks = parse(emit(model, "raise"));
    REQUIRE(formChunks(*chunks, size, rows) > 0);
    requireClose(evaluate(functionOf(*chunks), arguments), expected);
    if (size > rows)
      return;
  }
}

bool hasChunks(const Model &model) { return llvm::is_contained(inspect(model).forms, "chunk"); }

} // namespace

TEST_CASE("the reference: running products along a chunk", "[chunk-form]") {
  auto results = run("  %0 = chunk.products through(%a) : !t -> !t\n  %1 = chunk.products before(%a) : !t -> !t\n"
                     "  %2 = chunk.products after(%a) : !t -> !t\n  %3 = chunk.products all(%a) : !t -> !s\n"
                     "  %4 = chunk.products through(%b) : !tk -> !tk\n  %5 = chunk.products all(%b) : !tk -> !k\n",
                     "%0, %1, %2, %3, %4, %5", "!t, !t, !t, !s, !tk, !k");
  CHECK(results[0] == Numbers{2, 6, 30});
  CHECK(results[1] == Numbers{1, 2, 6});
  CHECK(results[2] == Numbers{15, 5, 1});
  CHECK(results[3] == Numbers{30});
  CHECK(results[4] == Numbers{1, 2, 3, 8, 15, 48});
  CHECK(results[5] == Numbers{15, 48});
}

TEST_CASE("the reference: rows of a chunk", "[chunk-form]") {
  auto results = run("  %0 = chunk.row 1 of %b : !tk -> !k\n  %1 = chunk.row 2 of %a : !t -> !s\n"
                     "  %2 = chunk.rows(%0, %0, %0) : !k -> !tk\n  %3 = chunk.rows(%1, %1, %1) : !s -> !t\n",
                     "%0, %1, %2, %3", "!k, !s, !tk, !t");
  CHECK(results[0] == Numbers{3, 4});
  CHECK(results[1] == Numbers{5});
  CHECK(results[2] == Numbers{3, 4, 3, 4, 3, 4});
  CHECK(results[3] == Numbers{5, 5, 5});
}

TEST_CASE("the reference: scores of a chunk", "[chunk-form]") {
  auto results = run("  %0 = chunk.scores(%b, %b) : !tk -> !ts\n  %1 = chunk.scores(%b, %b) before : !tk -> !ts\n"
                     "  %2 = chunk.scores(%b, %b) decay(%a : !t) : !tk -> !ts\n"
                     "  %3 = chunk.scores(%b, %b) decay(%a : !t) before : !tk -> !ts\n"
                     "  %4 = chunk.scores(%b, %b) decay(%b : !tk) : !tk -> !ts\n",
                     "%0, %1, %2, %3, %4", "!ts, !ts, !ts, !ts, !ts");
  CHECK(results[0] == Numbers{5, 0, 0, 11, 25, 0, 17, 39, 61});
  CHECK(results[1] == Numbers{0, 0, 0, 11, 0, 0, 17, 39, 0});
  CHECK(results[2] == Numbers{5, 0, 0, 3 * 11, 25, 0, 15 * 17, 5 * 39, 61});
  CHECK(results[3] == Numbers{0, 0, 0, 11, 0, 0, 3 * 17, 39, 0});
  CHECK(results[4] == Numbers{5, 0, 0, 3 * 3 + 8 * 4, 25, 0, 5 * 15 + 12 * 24, 15 * 5 + 24 * 6, 61});
}

TEST_CASE("the reference: scores times values, forward substitution, and steps under another name", "[chunk-form]") {
  auto results = run("  %0 = chunk.apply(%m, %b, %b) : !ts, !tk\n  %1 = chunk.apply(%m, %b, %b) before : !ts, !tk\n"
                     "  %2 = chunk.solve(%m, %b) : !ts, !tk\n  %3 = chunk.solve(%m, %a) : !ts, !t\n"
                     "  %4 = chunk.as_source(%b) : !tk -> !sk\n",
                     "%0, %1, %2, %3, %4", "!tk, !tk, !tk, !t, !sk");
  CHECK(results[0] ==
        Numbers{7, 14, 2 * 1 * 3 + 8 * 3, 2 * 2 * 4 + 8 * 4, 15 + 3 * 3 * 5 + 9 * 5, 2 * 24 + 3 * 4 * 6 + 9 * 6});
  CHECK(results[1] == Numbers{0, 0, 2, 4, 1 * 1 * 3 + 3 * 3, 1 * 2 * 4 + 3 * 4});
  CHECK(results[2] == Numbers{1, 2, 3 + 2, 4 + 4, 5 + 1 + 3 * 5, 6 + 2 + 3 * 8});
  CHECK(results[3] == Numbers{2, 3 + 4, 5 + 2 + 3 * 7});
  CHECK(results[4] == Numbers{1, 2, 3, 4, 5, 6});
}

TEST_CASE("the reference: chunks against time", "[chunk-form]") {
  auto results = run("  %0 = chunk.apply(%m, %b, %b) transposed : !ts, !tk\n"
                     "  %1 = chunk.apply(%m, %b, %b) before transposed : !ts, !tk\n"
                     "  %2 = chunk.solve(%m, %a) transposed : !ts, !t\n  %3 = chunk.as_source(%b) : !tk -> !sk\n"
                     "  %4 = chunk.as_time(%3) : !sk -> !tk\n",
                     "%0, %1, %2, %4", "!tk, !tk, !t, !tk");
  CHECK(results[0] == Numbers{7 * 1 + 2 * 3 * 3 + 1 * 15 * 5, 7 * 2 + 2 * 4 * 4 + 1 * 24 * 6, 8 * 3 + 3 * 5 * 5,
                              8 * 4 + 3 * 6 * 6, 9 * 5, 9 * 6});
  CHECK(results[1] == Numbers{2 * 3 + 1 * 3 * 5, 2 * 4 + 1 * 4 * 6, 3 * 5, 3 * 6, 0, 0});
  CHECK(results[2] == Numbers{2 + 2 * (3 + 3 * 5) + 5, 3 + 3 * 5, 5});
  CHECK(results[3] == Numbers{1, 2, 3, 4, 5, 6});
}

TEST_CASE("the reference: running sums that decay", "[chunk-form]") {
  auto results = run("  %0 = chunk.sums(%b, %b) : !tk\n  %1 = chunk.sums(%b, %b) before : !tk\n"
                     "  %2 = chunk.sums(%b, %b) transposed : !tk\n  %3 = chunk.sums(%a, %a) before transposed : !t\n",
                     "%0, %1, %2, %3", "!tk, !tk, !tk, !t");
  CHECK(results[0] == Numbers{1, 2, 3 + 3 * 1, 4 + 4 * 2, 5 + 5 * 6, 6 + 6 * 12});
  CHECK(results[1] == Numbers{0, 0, 1, 2, 3 + 3 * 1, 4 + 4 * 2});
  CHECK(results[2] == Numbers{1 + 3 * 28, 2 + 4 * 40, 3 + 5 * 5, 4 + 6 * 6, 5, 6});
  CHECK(results[3] == Numbers{3 + 3 * 5, 5, 0});
}

TEST_CASE("the reference: gradients of decays", "[chunk-form]") {
  // q = k = b, G = m, of which the lower triangle is 7; 2, 8; 1, 3, 9.
  auto results = run("  %0 = chunk.decay_gradient(%m, %b, %b, %a) : !ts, !tk, !t\n"
                     "  %1 = chunk.decay_gradient(%m, %b, %b, %a) before : !ts, !tk, !t\n"
                     "  %2 = chunk.decay_gradient(%m, %b, %b, %b) : !ts, !tk, !tk\n",
                     "%0, %1, %2", "!t, !t, !tk");
  CHECK(results[0] == Numbers{0, 2 * 11 + 5 * 17, 3 * 17 + 3 * 39});
  CHECK(results[1] == Numbers{0, 17, 0});
  CHECK(results[2] ==
        Numbers{0, 0, 2 * 3 * 1 + 5 * 5 * 1, 2 * 4 * 2 + 6 * 6 * 2, 3 * 5 * 1 + 3 * 5 * 3, 4 * 6 * 2 + 3 * 6 * 4});
}

TEST_CASE("every spelling by chunks is what its steps give", "[chunk-form]") {
  unsigned models = 0;
  for (const char *file : files()) {
    INFO(file);
    std::string spec = readSpelling(file);
    for (const std::string &name : inspect({spec, ""}).models) {
      if (!hasChunks({spec, name}))
        continue;
      ++models;
      compare({spec, name}, 4, {.steps = 11});
    }
  }
  CHECK(models == 150);
}

TEST_CASE("sizes of chunks, numbers of steps, and decays of 0 and 1", "[chunk-form]") {
  for (const char *file : files()) {
    INFO(file);
    std::string spec = readSpelling(file);
    std::string first = inspect({spec, ""}).models.front();
    if (!hasChunks({spec, first}))
      continue;
    for (int64_t size : {2, 3, 5, 16})
      for (int64_t steps : {0, 1, 5, 17})
        for (bool endsOften : {false, true})
          compare({spec, first}, size, {.steps = steps, .endsOften = endsOften});
  }
}

TEST_CASE("decays whose products underflow", "[chunk-form]") {
  for (const char *file :
       {"expand_scalar", "expand_key", "expand_value", "expand_both", "gated_delta", "vector_gated_delta"}) {
    Model model{readSpelling(file), "plain_0"};
    INFO(file);
    auto steps = parse(emit(model, "hoist-parallel")), chunks = parse(emit(model, "raise"));
    REQUIRE(formChunks(*chunks, 8) > 0);
    auto arguments = randomArguments(functionOf(*steps), {.steps = 16});
    for (auto [number, array] : llvm::enumerate(arguments))
      if (functionOf(*steps).getArgAttr(number, recur::kRangeAttr))
        for (size_t i = 0; i < array.data.size(); i += 2)
          array.data[i] *= 1e-200;
    auto expected = evaluate(functionOf(*steps), arguments);
    for (const reference::Array &result : expected)
      REQUIRE(llvm::all_of(result.data, [](reference::Complex x) { return std::isfinite(x.real()); }));
    requireClose(evaluate(functionOf(*chunks), arguments), expected);
  }
}

TEST_CASE("chunks around resets and packed sequences", "[chunk-form]") {
  for (const char *file : files()) {
    INFO(file);
    std::string spec = readSpelling(file);
    std::string first = inspect({spec, ""}).models.front();
    if (!hasChunks({spec, first}))
      continue;
    Model resets{spec, first}, packed{spec, first}, both{spec, first};
    resets.resets = packed.packed = both.resets = both.packed = true;
    for (unsigned seed = 1; seed < 4; ++seed) {
      compare(resets, 3, {.steps = 19, .seed = seed});
      compare(packed, 3, {.steps = 19, .sequences = 4, .seed = seed});
      compare(both, 2, {.steps = 13, .sequences = 3, .seed = seed});
    }
  }
}

TEST_CASE("which chunks are made of rows", "[chunk-form]") {
  auto hasRows = [](const char *file, int64_t size) {
    auto module = parse(emit({readSpelling(file), inspect({readSpelling(file), ""}).models.front()}, "raise"));
    REQUIRE(formChunks(*module, size, 4) > 0);
    bool found = false;
    module->walk([&](chunk::RowsOp) { found = true; });
    return found;
  };
  CHECK(hasRows("expand_key", 4));
  CHECK(hasRows("expand_both", 3));
  CHECK(hasRows("vector_gated_delta", 4));
  CHECK_FALSE(hasRows("expand_key", 5));
  CHECK_FALSE(hasRows("expand_scalar", 4));
  CHECK_FALSE(hasRows("gated_delta", 4));
}

TEST_CASE("odd recurrences by chunks", "[chunk-form]") {
  unsigned models = 0;
  std::string spec = readSpec("specs/raised.rondo");
  for (const std::string &name : inspect({spec, ""}).models) {
    if (!hasChunks({spec, name}))
      continue;
    ++models;
    compare({spec, name}, 4, {.steps = 11});
  }
  CHECK(models > 15);
}

TEST_CASE("every example with a chunk form, by chunks", "[chunk-form]") {
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
      compare(model, 3, {.steps = 8});
    }
  }
  CHECK(models > 15);
}
