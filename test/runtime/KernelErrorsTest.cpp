// What Kernel::run says of calls that are wrong: every kind of mistake, and the words.
#include "test/runtime/DecayProgram.h"
#include <catch2/catch.hpp>
#include <cmath>

using namespace rondo;
using namespace rondo::test;
using Catch::Matchers::Contains;
using Catch::Matchers::Equals;

TEST_CASE("names: missing, unknown, twice, an output among the inputs", "[kernel]") {
  Data data = decayData(2, 3, 2, 1);
  NamedTensors inputs = data.views;
  inputs.erase(inputs.begin());
  inputs.emplace_back("y", data["x"]);
  inputs.push_back(inputs[1]);
  const Result<NamedBuffers> out = Kernel(decayProgram()).run(inputs);
  REQUIRE_FALSE(out);
  CHECK(out.error().diagnostics.size() == 3);
  CHECK_THAT(messageOf(out),
             Contains("model 'decay' has no input, parameter or initial state named 'y'; it has 'x', 'g', 'a', 'S0'"));
  CHECK_THAT(messageOf(out), Contains("parameter 'a' is given twice"));
  CHECK_THAT(messageOf(out), Contains("input 'x' is missing; expected f32 [B, T, H, K=3]"));
  CHECK(out.error().diagnostics[0].slug == "unknown-tensor");
  CHECK_THAT(messageOf(Kernel(decayProgram()).run(data.views, {{"x", data["x"]}})),
             Equals("error: model 'decay' has no output or final state named 'x'; it has 'o', 'S'"));
}

TEST_CASE("shapes: rank, fixed sizes, disagreeing sizes", "[kernel]") {
  Data data = decayData(2, 3, 2, 1);
  SECTION("rank") {
    data["x"].shape = {36};
    CHECK(decayError(data) == "error: input 'x': expected [B, T, H, K=3] or, for one head, [B, T, K=3], got [36]");
  }
  SECTION("a dimension fixed when compiling") {
    data["x"].shape = {2, 3, 3, 2};
    CHECK_THAT(decayError(data), Contains("error: input 'x': expected [B=2, T=3, H=3, K=3], got [2, 3, 3, 2]"));
  }
  SECTION("tensors disagree") {
    data["g"].shape = {3, 2, 1};
    CHECK(decayError(data) ==
          "error: input 'g': expected [B=2, T=3, G=1], got [3, 2, 1]\nnote: B is 2 in 'x'\nnote: T is 3 in 'x'");
  }
  SECTION("an output disagrees") {
    const Buffer o(DType::F32, {2, 4, 2, K});
    CHECK(messageOf(Kernel(decayProgram()).run(data.views, {{"o", o.view()}})) ==
          "error: output 'o': expected [B=2, T=3, H=2, K=3], got [2, 4, 2, 3]\nnote: T is 3 in 'x'");
  }
  SECTION("options disagree") {
    RunOptions options;
    options.time = 7;
    CHECK_THAT(decayError(data, options), Contains("note: T is 7 in RunOptions"));
  }
  SECTION("negative and absurd sizes") {
    data["x"].shape = {-2, -3, 2, 3};
    data["g"].shape = {INT64_MAX, 3, 2};
    CHECK_THAT(decayError(data), Contains("input 'x': negative size in [-2, -3, 2, 3]"));
    CHECK_THAT(decayError(data), Contains("input 'g': [9223372036854775807, 3, 2] is more than memory can hold"));
  }
}

TEST_CASE("the head axis is in all tensors or in none", "[kernel]") {
  Data data = decayData(2, 3, 1, 1);
  data["S0"].shape = {2, K};
  CHECK(decayError(data) == "error: initial state 'S0' lacks a head axis, input 'x' has one\nnote: give all tensors "
                            "the head axis, or none of them");
  Data flat = decayData(2, 3, 1, 1);
  flat["x"].shape = {2, 3, K};
  CHECK_THAT(decayError(flat), Contains("parameter 'a' has a head axis, input 'x' has none"));
  flat["g"].shape = {2, 3};
  flat["a"].shape = {};
  flat["S0"].shape = {2, K};
  RunOptions options;
  options.heads = 4;
  CHECK(decayError(flat, options) == "error: input 'x' lacks the head axis, but RunOptions asks for 4 heads");
}

TEST_CASE("heads are a multiple of groups", "[kernel]") {
  Data data = decayData(2, 3, 4, 3);
  CHECK(decayError(data) == "error: 4 heads cannot be shared among the 3 groups of 'g'; the number of heads must be a "
                            "multiple of the number of groups");
}

TEST_CASE("types and memory", "[kernel]") {
  Data data = decayData(2, 3, 2, 1);
  SECTION("type") {
    data["g"].type = DType::BF16;
    CHECK(decayError(data) == "error: input 'g': expected f32, got bf16");
  }
  SECTION("null") {
    data["a"].data = nullptr;
    CHECK(decayError(data) == "error: parameter 'a': data is null");
  }
  SECTION("misaligned") {
    data["a"].data = static_cast<char *>(data["a"].data) + 2;
    CHECK(decayError(data) == "error: parameter 'a': data is not aligned to 4 bytes");
  }
  SECTION("features with a stride") {
    data["x"].strides = {18, 6, 3, 2};
    CHECK(decayError(data) == "error: input 'x': the feature axes of [B, T, H, K=3] must be row-major and contiguous, "
                              "got strides [18, 6, 3, 2]");
  }
  SECTION("strides of another rank") {
    data["x"].strides = {1};
    CHECK(decayError(data) == "error: input 'x': 1 strides for 4 axes");
  }
  SECTION("an output that writes over itself") {
    const Buffer o(DType::F32, {2, 3, 2, K});
    const Tensor flat{o.data(), DType::F32, {2, 3, 2, K}, {18, 0, 3, 1}};
    CHECK(messageOf(Kernel(decayProgram()).run(data.views, {{"o", flat}})) ==
          "error: output 'o': stride 0 in an output of shape [2, 3, 2, 3]");
  }
}

TEST_CASE("overlapping outputs", "[kernel]") {
  Data data = decayData(2, 3, 2, 1);
  CHECK(messageOf(Kernel(decayProgram()).run(data.views, {{"o", data["x"]}})) ==
        "error: the memory of 'o' overlaps that of 'x'");
  // The initial state, but shifted by one row.
  const Buffer both(DType::F32, {3, 2, K});
  data["S0"].data = both.data();
  const Tensor shifted{both.as<float>() + 2 * K, DType::F32, {2, 2, K}, {}};
  CHECK_THAT(messageOf(Kernel(decayProgram()).run(data.views, {{"S", shifted}})),
             Contains("overlaps that of 'S0'\nnote: only a final state"));
}

TEST_CASE("declared intervals are checked when asked", "[kernel]") {
  auto program = decayProgram();
  TensorSpec &g = program->tensors[1];
  g.hasInterval = true;
  g.lo = 0;
  g.hi = 1;
  g.loOpen = true;
  Data data = decayData(2, 3, 2, 1);
  for (int64_t i = 0; i < data["g"].elements(); ++i)
    storeElement(data["g"], i, 1);
  RunOptions options;
  options.checkIntervals = true;
  CHECK(messageOf(Kernel(program).run(data.views, options)) == "no error");
  storeElement(data["g"], 4, 0);
  CHECK(messageOf(Kernel(program).run(data.views, options)) ==
        "error: 'g'[1, 1, 0] is 0, outside of its declared interval (0, 1]");
  CHECK(messageOf(Kernel(program).run(data.views)) == "no error");
  storeElement(data["g"], 4, std::nan(""));
  program->checkIntervals = true;
  CHECK(messageOf(Kernel(program).run(data.views)) ==
        "error: 'g'[1, 1, 0] is nan, outside of its declared interval (0, 1]");
}

TEST_CASE("an empty kernel says so", "[kernel]") {
  CHECK(messageOf(Kernel().run({})) == "error: the kernel is empty: nothing was compiled into it");
}

/// The decay program as one for packed sequences with resets; its kernel is not run.
static std::shared_ptr<Program> packedProgram() {
  auto program = decayProgram();
  for (TensorSpec &each : program->tensors)
    if (each.kind == TensorKind::Init || each.kind == TensorKind::Final)
      each.axes.front().axis = Axis::Sequence;
  program->tensors.insert(program->tensors.begin() + 4,
                          {spec("resets", TensorKind::Resets, {batch, timeAxis}, DType::Bool),
                           spec("offsets", TensorKind::Offsets, {AxisSpec{Axis::Named, -1, "N+1"}}, DType::I64)});
  program->launches.clear();
  return program;
}

TEST_CASE("packed sequences: offsets rise from 0 to T in one batch entry, one initial state each", "[kernel]") {
  Data data = decayData(1, 5, 2, 1);
  data.add("offsets", {3}, DType::I64);
  auto *offsets = static_cast<int64_t *>(data["offsets"].data);
  const auto error = [&](int64_t first, int64_t second, int64_t third) {
    offsets[0] = first;
    offsets[1] = second;
    offsets[2] = third;
    data["S0"].shape = {2, 2, K};
    return messageOf(Kernel(packedProgram()).run(data.views));
  };
  const Buffer states(DType::F32, {2, 2, K});
  data["S0"].data = states.data();
  CHECK(error(0, 0, 5) == "no error");
  CHECK(error(1, 2, 5) == "error: 'offsets' must begin at 0, got 1");
  CHECK(error(0, 6, 5) == "error: 'offsets' must rise, but [2] is 5 after 6");
  CHECK(error(0, 2, 4) == "error: 'offsets' must end at the number of steps, T=5 in 'x', got 4");
  SECTION("another number of initial states") {
    data["S0"].shape = {1, 2, K};
    CHECK(messageOf(Kernel(packedProgram()).run(data.views)) ==
          "error: initial state 'S0': expected [N=2, H=2, K=3], got [1, 2, 3]\nnote: N is 2 in 'offsets'");
  }
  SECTION("no offsets, or none in them") {
    data["offsets"].shape = {0};
    data["S0"].shape = {0, 2, K};
    CHECK(messageOf(Kernel(packedProgram()).run(data.views)) ==
          "error: 'offsets' must have N+1 elements for N sequences, got none");
    data.views.pop_back();
    CHECK_THAT(messageOf(Kernel(packedProgram()).run(data.views)),
               Contains("error: input 'offsets' is missing; expected i64 [N+1]"));
  }
  SECTION("several batch entries") {
    data["x"].shape = {5, 1, 2, K};
    data["g"].shape = {5, 1, 1};
    offsets[1] = offsets[2] = 1;
    CHECK(messageOf(Kernel(packedProgram()).run(data.views)) ==
          "error: 'offsets' cut the time axis of one batch entry, but B=5 in 'x'");
  }
}

TEST_CASE("resets have the shape of batch and time", "[kernel]") {
  Data data = decayData(1, 5, 2, 1);
  data.add("offsets", {2}, DType::I64);
  static_cast<int64_t *>(data["offsets"].data)[0] = 0;
  static_cast<int64_t *>(data["offsets"].data)[1] = 5;
  data.add("resets", {1, 4}, DType::Bool);
  CHECK(messageOf(Kernel(packedProgram()).run(data.views)) ==
        "error: input 'resets': expected [B=1, T=5], got [1, 4]\nnote: T is 5 in 'x'");
  data["resets"].type = DType::I32;
  CHECK_THAT(messageOf(Kernel(packedProgram()).run(data.views)), Contains("input 'resets': expected bool, got i32"));
  Data plain = decayData(1, 5, 2, 1);
  plain.add("resets", {1, 5}, DType::Bool);
  CHECK_THAT(decayError(plain), Contains("model 'decay' has no input, parameter or initial state named 'resets'") &&
                                    Contains("note: a kernel that is compiled with CompileOptions::resets takes it"));
}
