// Resets and packed sequences from the text to the numbers, worked out by hand: the same from a kernel and from the reference.
#include "compiler/Driver/Compiler.h"
#include "rondo/Kernel.h"
#include <catch2/catch.hpp>
#include <initializer_list>

using namespace rondo;
using Catch::Matchers::Contains;
using Numbers = std::vector<double>;

namespace {

driver::Compiler &compiler() {
  static driver::Compiler one;
  return one;
}

/// s[t] = s[t-1]/2 + x[t].
const char *const kDecay = "model m {\n  input x: []\n  state s: [] = 0\n  s[t] = 0.5 * s[t-1] + x[t]\n  output s\n}\n";
/// The same from the end of time.
const char *const kBackward =
    "model m {\n  input x: []\n  state s: [] = 0\n  s[t] = 0.5 * s[t+1] + x[t]\n  output s\n}\n";
/// s[t] = s[t-1] + 10 s[t-3] + x[t].
const char *const kLag =
    "model m {\n  input x: []\n  state s: [] = 0\n  s[t] = s[t-1] + 10 * s[t-3] + x[t]\n  output s\n}\n";

Kernel compile(const char *text, const std::string &target, bool resets, bool packed) {
  driver::Options options;
  options.target = target;
  options.type = DType::F64;
  options.resets = resets;
  options.packed = packed;
  auto program = compiler().compile({"m.rondo", text}, options);
  INFO((program.diagnostics.empty() ? "" : program.diagnostics[0].message));
  REQUIRE(program);
  return Kernel(*program.value);
}

/// Tensors with their memory.
struct Call {
  std::vector<Buffer> memory;
  NamedTensors tensors;
  Call &with(const char *name, DType type, std::vector<int64_t> shape, const Numbers &numbers) {
    memory.emplace_back(type, std::move(shape));
    tensors.emplace_back(name, memory.back().view());
    for (size_t i = 0; i < numbers.size(); ++i)
      storeElement(tensors.back().second, int64_t(i), numbers[i]);
    return *this;
  }
};

Numbers numbersOf(const Buffer &buffer) {
  Numbers numbers;
  for (int64_t i = 0, count = buffer.view().elements(); i < count; ++i)
    numbers.push_back(loadReal(buffer.view(), i));
  return numbers;
}

/// Outputs, then final states, which both targets must give.
void expect(const char *text, const Call &call, const std::vector<Numbers> &expected) {
  const auto has = [&](const std::string &name) {
    return std::any_of(call.tensors.begin(), call.tensors.end(), [&](auto &each) { return each.first == name; });
  };
  for (const char *target : {"cpu", "reference"}) {
    INFO(target);
    Result<NamedBuffers> results = compile(text, target, has("resets"), has("offsets")).run(call.tensors);
    INFO((results ? "" : results.error().message()));
    REQUIRE(results);
    REQUIRE(results->size() == expected.size());
    for (size_t i = 0; i < expected.size(); ++i)
      CHECK(numbersOf((*results)[i].second) == expected[i]);
  }
}

} // namespace

TEST_CASE("a reset brings the initial value back before its step", "[boundaries]") {
  Call call;
  call.with("x", DType::F64, {2, 4}, {4, 4, 1, 1, 1, 1, 1, 1}).with("s", DType::F64, {2}, {2, 8});
  call.with("resets", DType::Bool, {2, 4}, {0, 0, 1, 0, 1, 0, 0, 1});
  expect(kDecay, call, {{5, 6.5, 2, 2, 5, 3.5, 2.75, 5}, {2, 5}});
}

TEST_CASE("a reset brings all slices of a lag back", "[boundaries]") {
  Call call;
  call.with("x", DType::F64, {1, 4}, {5, 5, 0, 0}).with("s", DType::F64, {1, 3}, {1, 2, 3});
  call.with("resets", DType::Bool, {1, 4}, {0, 0, 1, 0});
  expect(kLag, call, {{18, 43, 13, 33}, {3, 13, 33}});
}

TEST_CASE("a reset of a reverse scan forgets what lies later in time", "[boundaries]") {
  Call call;
  call.with("x", DType::F64, {1, 3}, {1, 2, 3}).with("s", DType::F64, {1}, {4});
  call.with("resets", DType::Bool, {1, 3}, {0, 1, 0});
  expect(kBackward, call, {{3, 4, 5}, {3}});
}

TEST_CASE("packed sequences have their own states, and may be empty", "[boundaries]") {
  Call call;
  call.with("x", DType::F64, {1, 5}, {1, 1, 1, 1, 1}).with("s", DType::F64, {3}, {0, 7, 2});
  SECTION("i64") { call.with("offsets", DType::I64, {4}, {0, 2, 2, 5}); }
  SECTION("i32") { call.with("offsets", DType::I32, {4}, {0, 2, 2, 5}); }
  expect(kDecay, call, {{1, 1.5, 2, 2, 2}, {1.5, 7, 2}});
}

TEST_CASE("packed sequences of a lag that are shorter than it", "[boundaries]") {
  Call call;
  call.with("x", DType::F64, {1, 5}, {0, 0, 0, 0, 0}).with("s", DType::F64, {2, 3}, {1, 2, 3, 1, 2, 3});
  call.with("offsets", DType::I64, {3}, {0, 1, 5});
  expect(kLag, call, {{13, 13, 33, 63, 193}, {2, 3, 13, 33, 63, 193}});
}

TEST_CASE("a packed sequence of a reverse scan is walked from its own end", "[boundaries]") {
  Call call;
  call.with("x", DType::F64, {1, 4}, {1, 2, 3, 4}).with("offsets", DType::I64, {3}, {0, 2, 4});
  expect(kBackward, call, {{2, 2, 5, 4}, {2, 5}});
}

TEST_CASE("resets inside packed sequences bring back each sequence's own initial value", "[boundaries]") {
  Call call;
  call.with("x", DType::F64, {1, 4}, {0, 0, 0, 0}).with("s", DType::F64, {2}, {2, 8});
  call.with("offsets", DType::I64, {3}, {0, 2, 4}).with("resets", DType::Bool, {1, 4}, {0, 1, 0, 1});
  expect(kDecay, call, {{1, 1, 4, 4}, {1, 4}});
}

TEST_CASE("packed sequences without steps, and no sequences", "[boundaries]") {
  Call none;
  none.with("x", DType::F64, {1, 0}, {}).with("s", DType::F64, {2}, {3, 4}).with("offsets", DType::I64, {3}, {0, 0, 0});
  expect(kDecay, none, {{}, {3, 4}});
  Call empty;
  empty.with("x", DType::F64, {1, 0}, {}).with("offsets", DType::I64, {1}, {0});
  expect(kDecay, empty, {{}, {}});
}

TEST_CASE("resets may be left out, and the final state may be the initial one's memory", "[boundaries]") {
  const Kernel kernel = compile(kDecay, "cpu", true, false);
  Call call;
  call.with("x", DType::F64, {1, 3}, {1, 1, 1}).with("s", DType::F64, {1}, {4});
  Result<NamedBuffers> plain = kernel.run(call.tensors);
  REQUIRE(plain);
  CHECK(numbersOf((*plain)[0].second) == Numbers{3, 2.5, 2.25});
  call.with("resets", DType::Bool, {1, 3}, {0, 1, 1});
  const Buffer y(DType::F64, {1, 3});
  REQUIRE(kernel.run(call.tensors, {{"s", y.view()}, {"s.final", call.memory[1].view()}}));
  CHECK(numbersOf(y) == Numbers{3, 3, 3});
  CHECK(numbersOf(call.memory[1]) == Numbers{3});
}

TEST_CASE("rows that share a parameter's loads begin anew one by one", "[boundaries]") {
  const char *text = "model m<D> {\n  input x: [D]\n  param W: [D, D]\n  state h: [D] = 0\n"
                     "  h[t] = W @ h[t-1] + x[t]\n  output h\n}\n";
  driver::Options options;
  options.dims["D"] = 3;
  options.resets = true;
  auto program = compiler().compile({"m.rondo", text}, options);
  REQUIRE(program);
  CHECK((*program.value)->launches[0].batchTile == 8);
  Call call;
  Numbers marks(11 * 4), identity{1, 0, 0, 0, 1, 0, 0, 0, 1};
  for (size_t b = 0; b < 11; ++b)
    marks[b * 4 + b % 4] = 1; // row b begins again at step b mod 4
  call.with("x", DType::F32, {11, 4, 3}, Numbers(11 * 4 * 3, 1)).with("W", DType::F32, {3, 3}, identity);
  call.with("resets", DType::Bool, {11, 4}, marks);
  Result<NamedBuffers> results = Kernel(*program.value).run(call.tensors);
  REQUIRE(results);
  for (size_t b = 0; b < 11; ++b)
    for (size_t k = 0; k < 3; ++k)
      CHECK(loadReal((*results)[1].second.view(), int64_t(b * 3 + k)) == 4 - double(b % 4));
}

TEST_CASE("what cannot have boundaries says why", "[boundaries]") {
  driver::Options options;
  options.resets = true;
  auto message = [&](const char *text) {
    auto program = compiler().compile({"m.rondo", text}, options);
    REQUIRE_FALSE(program);
    return program.diagnostics[0].message;
  };
  CHECK(message("model m over (r, c) {\n  input x: []\n  state s: [] = 0\n  s[r, c] = s[r-1, c] + s[r, c-1] + x[r, c]\n"
                "  output s\n}\n") == "resets and packed sequences are for models over one axis; this one has 2");
  CHECK(message("model m {\n  input x, resets: []\n  state s: [] = 0\n  s[t] = resets[t] * s[t-1] + x[t]\n"
                "  output s\n}\n") ==
        "the model has a tensor 'resets' of its own, so that it cannot be compiled to take resets");
}
