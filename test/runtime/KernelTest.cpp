// Kernel::run on hand-made programs whose kernels are plain C++: what it binds, and what strides the kernels see.
#include "test/runtime/DecayProgram.h"
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <numeric>
#include <thread>

using namespace rondo;
using namespace rondo::test;
using Catch::Matchers::Contains;

TEST_CASE("run computes with heads and groups, on any number of threads", "[kernel]") {
  const int threads = GENERATE(0, 1, 2, 5, 64);
  const int64_t B = GENERATE(1, 3, 40);
  Data data = decayData(B, 5, 4, 2);
  RunOptions options;
  options.threads = threads;
  const Result<NamedBuffers> out = Kernel(decayProgram()).run(data.views, options);
  REQUIRE(messageOf(out) == "no error");
  REQUIRE(out->size() == 2);
  CHECK((*out)[0].first == "o");
  CHECK((*out)[1].first == "S");
  expectDecay(data, (*out)[0].second.view(), (*out)[1].second.view());
}

TEST_CASE("an initial state that is left out is its default", "[kernel]") {
  Data data = decayData(2, 3, 2, 1);
  auto program = decayProgram();
  const double value = GENERATE(0.0, 2.0);
  program->tensors[3].defaultValue = {value};
  for (int64_t i = 0; i < 2 * 2 * K; ++i)
    storeElement(data["S0"], i, value);
  Tensor o, S;
  NamedTensors inputs(data.views.begin(), data.views.end() - 1);
  const Result<NamedBuffers> out = Kernel(program).run(inputs);
  REQUIRE(messageOf(out) == "no error");
  expectDecay(data, find(*out, "o", o), find(*out, "S", S));
}

TEST_CASE("a default with one value per feature is repeated over batch and heads", "[kernel]") {
  auto program = decayProgram();
  program->tensors[3].defaultValue = {1, 2, 3};
  Data data = decayData(2, 0, 2, 1); // no steps: the final state is the initial one
  NamedTensors inputs(data.views.begin(), data.views.end() - 1);
  const Result<NamedBuffers> out = Kernel(program).run(inputs);
  REQUIRE(messageOf(out) == "no error");
  Tensor S;
  find(*out, "S", S);
  for (int64_t i = 0; i < S.elements(); ++i)
    CHECK(loadReal(S, i) == double(i % K + 1));
}

TEST_CASE("the implicit head axis may be absent everywhere", "[kernel]") {
  Data data = decayData(2, 3, 1, 1);
  Data flat = decayData(2, 3, 1, 1);
  flat["x"].shape = {2, 3, K};
  flat["g"].shape = {2, 3};
  flat["a"].shape = {};
  flat["S0"].shape = {2, K};
  const Result<NamedBuffers> out = Kernel(decayProgram()).run(flat.views);
  REQUIRE(messageOf(out) == "no error");
  CHECK((*out)[0].second.shape() == std::vector<int64_t>{2, 3, K});
  CHECK((*out)[1].second.shape() == std::vector<int64_t>{2, K});
  expectDecay(data, (*out)[0].second.view(), (*out)[1].second.view());
}

TEST_CASE("batch, time and head axes may have any strides", "[kernel]") {
  Data data = decayData(2, 3, 2, 1);
  // x as the middle of rows twice as long, laid out head before time; o with its time axis reversed.
  const Buffer wide(DType::F32, {2, 2, 3, 2 * K});
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t t = 0; t < 3; ++t)
      for (int64_t h = 0; h < 2; ++h)
        for (int64_t k = 0; k < K; ++k)
          wide.as<float>()[((b * 2 + h) * 3 + t) * 2 * K + k + 2] =
              float(loadReal(data["x"], ((b * 3 + t) * 2 + h) * K + k));
  NamedTensors inputs = data.views;
  inputs[0].second = {wide.as<float>() + 2, DType::F32, {2, 3, 2, K}, {2 * 3 * 2 * K, 2 * K, 3 * 2 * K, 1}};
  const Buffer o(DType::F32, {2, 3, 2, K}), S(DType::F32, {2, 2, K});
  const Tensor reversed{o.as<float>() + 2 * 2 * K, DType::F32, {2, 3, 2, K}, {3 * 2 * K, -2 * K, K, 1}};
  REQUIRE(messageOf(Kernel(decayProgram()).run(inputs, {{"o", reversed}, {"S", S.view()}})) == "no error");
  Buffer forward(DType::F32, {2, 3, 2, K});
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t t = 0; t < 3; ++t)
      std::memcpy(forward.as<float>() + (b * 3 + t) * 2 * K, o.as<float>() + (b * 3 + 2 - t) * 2 * K,
                  2 * K * sizeof(float));
  expectDecay(data, forward.view(), S.view());
}

TEST_CASE("a final state may be the memory of its initial state, and outputs may be left out", "[kernel]") {
  Data data = decayData(2, 5, 2, 2);
  Data before = decayData(2, 5, 2, 2);
  const Result<NamedBuffers> out = Kernel(decayProgram()).run(before.views);
  REQUIRE(messageOf(Kernel(decayProgram()).run(data.views, {{"S", data["S0"]}})) == "no error");
  Tensor o;
  expectDecay(before, find(*out, "o", o), data["S0"]);
}

TEST_CASE("no steps and no batch entries are fine", "[kernel]") {
  Data noSteps = decayData(2, 0, 2, 1);
  const Result<NamedBuffers> out = Kernel(decayProgram()).run(noSteps.views);
  REQUIRE(messageOf(out) == "no error");
  Tensor S;
  CHECK(std::memcmp(find(*out, "S", S).data, noSteps["S0"].data, 2 * 2 * K * 4) == 0);
  Data noBatch = decayData(0, 5, 2, 1);
  REQUIRE(decayError(noBatch) == "no error");
  Data nothing = decayData(0, 0, 0, 0);
  REQUIRE(decayError(nothing) == "no error");
  for (auto &[name, tensor] : noBatch.views)
    if (tensor.elements() == 0)
      tensor.data = nullptr; // nobody looks at the address of nothing
  REQUIRE(decayError(noBatch) == "no error");
}

TEST_CASE("tasks are cut by batch tile and heads, each run once", "[kernel]") {
  static std::atomic<int64_t> seen[1000];
  for (auto &s : seen)
    s = 0;
  auto program = decayProgram();
  Launch &launch = program->launches[0];
  launch.function = [](const KernelCall *, int64_t begin, int64_t end, void *scratch) {
    if (reinterpret_cast<uintptr_t>(scratch) % 64)
      return;
    for (int64_t i = begin; i < end; ++i)
      ++seen[i];
  };
  launch.batchTile = 4;
  launch.perHead = GENERATE(true, false);
  const int64_t tasks = 3 * (launch.perHead ? 2 : 1);
  Data data = decayData(9, 1, 2, 1);
  RunOptions options;
  options.threads = GENERATE(1, 2, 7);
  REQUIRE(decayError(data, options) == "no error");
  REQUIRE(messageOf(Kernel(program).run(data.views, options)) == "no error");
  int64_t wrong = 0;
  for (int64_t i = 0; i < 1000; ++i)
    wrong += seen[i] != (i < tasks);
  CHECK(wrong == 0);
}

TEST_CASE("of many tasks a thread takes its own first, and then those of a thread that is held up", "[kernel]") {
  static constexpr int64_t kTasks = 64;
  static std::atomic<int64_t> seen[kTasks], done;
  static std::atomic<bool> othersDone;
  for (auto &s : seen)
    s = 0;
  done = 0;
  othersDone = false;
  auto program = decayProgram();
  Launch &launch = program->launches[0];
  launch.batchTile = 1;
  launch.function = [](const KernelCall *, int64_t begin, int64_t end, void *) {
    if (begin == 0) { // until all tasks but those of this call are done; without help that would never be
      const auto giveUp = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (done < kTasks - end && std::chrono::steady_clock::now() < giveUp)
        std::this_thread::yield();
      othersDone = done == kTasks - end;
    }
    for (int64_t i = begin; i < end; ++i)
      ++seen[i];
    done += end - begin;
  };
  Data data = decayData(kTasks / 2, 1, 2, 1);
  RunOptions options;
  options.threads = 3;
  REQUIRE(messageOf(Kernel(program).run(data.views, options)) == "no error");
  CHECK(othersDone.load());
  CHECK(std::all_of(std::begin(seen), std::end(seen), [](const auto &count) { return count == 1; }));
}

TEST_CASE("temporaries can be views of other tensors", "[kernel]") {
  // y [B,T,2*K] computed per head through a view "y.heads" [B,T,2,K] of its memory, from x [B,T,2*K] through "x.heads".
  auto program = std::make_shared<Program>();
  program->model = "split";
  const AxisSpec two{Axis::Head, 2, "H"};
  program->tensors = {spec("x", TensorKind::Input, {batch, timeAxis, named("2*K", 2 * K)}),
                      spec("y", TensorKind::Output, {batch, timeAxis, named("2*K", 2 * K)}),
                      spec("x.heads", TensorKind::Temporary, {batch, timeAxis, two, named("K", K)}),
                      spec("y.heads", TensorKind::Temporary, {batch, timeAxis, two, named("K", K)})};
  program->alias = {-1, -1, 0, 1};
  Launch launch;
  launch.function = [](const KernelCall *call, int64_t begin, int64_t end, void *) {
    for (int64_t task = begin; task < end; ++task)
      for (int64_t t = 0; t < call->time; ++t)
        for (int64_t k = 0; k < K; ++k)
          operand(*call, 1, task / 2, t, task % 2)[k] =
              operand(*call, 0, task / 2, t, task % 2)[k] * float(1 + task % 2);
  };
  launch.operands = {2, 3};
  launch.perHead = true;
  program->launches = {launch};
  const Buffer x(DType::F32, {2, 3, 4 * K});
  std::iota(x.as<float>(), x.as<float>() + 2 * 3 * 4 * K, 0.f);
  const Tensor half{x.data(), DType::F32, {2, 3, 2 * K}, {3 * 4 * K, 4 * K, 1}};
  const Result<NamedBuffers> out = Kernel(program).run({{"x", half}});
  REQUIRE(messageOf(out) == "no error");
  int wrong = 0;
  for (int64_t r = 0; r < 6; ++r)
    for (int64_t c = 0; c < 2 * K; ++c)
      wrong += (*out)[0].second.as<float>()[r * 2 * K + c] != x.as<float>()[r * 4 * K + c] * float(1 + c / K);
  CHECK(wrong == 0);
}

TEST_CASE("a view across a gap goes through a contiguous copy", "[kernel]") {
  // y [B,T,H=2,K] is the caller's, with a gap between heads; the kernel writes it as one row of 2*K.
  auto program = std::make_shared<Program>();
  program->model = "merge";
  program->tensors = {spec("y", TensorKind::Output, {batch, timeAxis, AxisSpec{Axis::Head, 2, "H"}, named("K", K)}),
                      spec("y.row", TensorKind::Temporary, {batch, timeAxis, named("2*K", 2 * K)})};
  program->alias = {-1, 0};
  Launch launch;
  launch.function = [](const KernelCall *call, int64_t begin, int64_t end, void *) {
    for (int64_t b = begin; b < end; ++b)
      for (int64_t i = 0; i < 2 * K; ++i)
        operand(*call, 0, b, 0, 0)[i] = float(i + 1);
  };
  launch.operands = {1};
  program->launches = {launch};
  const Buffer y(DType::F32, {2, 2 * K});
  RunOptions options;
  options.time = 1;
  REQUIRE(
      messageOf(Kernel(program).run({}, {{"y", Tensor{y.data(), DType::F32, {1, 1, 2, K}, {4 * K, 4 * K, 2 * K, 1}}}},
                                    options)) == "no error");
  for (int64_t i = 0; i < K; ++i) {
    CHECK(y.as<float>()[i] == float(i + 1));
    CHECK(y.as<float>()[K + i] == 0);
    CHECK(y.as<float>()[2 * K + i] == float(K + i + 1));
  }
}

TEST_CASE("a host program gets every tensor, contiguous, with every axis", "[kernel]") {
  auto program = decayProgram();
  program->launches.clear();
  program->host = [](const std::vector<Tensor> &tensors) -> Result<void> {
    if (tensors.size() != 6 || tensors[4].data == nullptr || tensors[3].data == tensors[5].data)
      return Error("not materialised");
    for (const Tensor &tensor : tensors)
      if (!tensor.contiguous())
        return Error("not contiguous");
    if (tensors[0].shape.size() != 4 || tensors[3].shape != std::vector<int64_t>{2, 1, K})
      return Error("an axis is missing");
    std::memcpy(tensors[5].data, tensors[3].data, 2 * K * sizeof(float));
    static_cast<float *>(tensors[5].data)[0] += 1;
    return {};
  };
  Data data = decayData(2, 3, 1, 1);
  data["x"].shape = {2, 3, K};
  data["x"].strides = {K, 0, 1}; // overlapping rows: an input may
  data["g"].shape = {2, 3};
  data["a"].shape = {};
  data["S0"].shape = {2, K};
  const float before = float(loadReal(data["S0"], 0));
  REQUIRE(messageOf(Kernel(program).run(data.views, {{"S", data["S0"]}})) == "no error");
  CHECK(loadReal(data["S0"], 0) == double(before + 1));
  data.views.pop_back();
  REQUIRE(messageOf(Kernel(program).run(data.views)) == "no error");
  program->host = [](const std::vector<Tensor> &) -> Result<void> { return Error("from the host"); };
  CHECK(messageOf(Kernel(program).run(data.views)) == "error: from the host");
}

TEST_CASE("sizes that no tensor has come from the options", "[kernel]") {
  auto program = std::make_shared<Program>();
  program->model = "counter";
  program->hasHeads = true;
  program->tensors = {spec("n", TensorKind::Init, {batch, head}),
                      spec("o", TensorKind::Output, {batch, timeAxis, head})};
  Launch launch;
  launch.function = [](const KernelCall *call, int64_t, int64_t, void *) {
    *operand(*call, 1, 0, call->time - 1, 0) = 7;
  };
  launch.operands = {0, 1};
  program->launches = {launch};
  CHECK_THAT(messageOf(Kernel(program).run({})), Contains("the number of time steps is unknown"));
  RunOptions options;
  options.time = 4;
  const Result<NamedBuffers> one = Kernel(program).run({}, options);
  REQUIRE(messageOf(one) == "no error");
  CHECK((*one)[0].second.shape() == std::vector<int64_t>{1, 4});
  CHECK((*one)[0].second.as<float>()[3] == 7);
  options.heads = 2;
  options.batch = 3;
  const Result<NamedBuffers> many = Kernel(program).run({}, options);
  REQUIRE(messageOf(many) == "no error");
  CHECK((*many)[0].second.shape() == std::vector<int64_t>{3, 4, 2});
}

/// A task is one of two halves of decaySum's: the first does the work.
static std::atomic<int64_t> halves;
static void decayHalves(const KernelCall *call, int64_t begin, int64_t end, void *scratch) {
  for (int64_t task = begin; task < end; ++task) {
    ++halves;
    if (task % 2 == 0)
      decaySum(call, task / 2, task / 2 + 1, scratch);
  }
}

TEST_CASE("with fewer tasks than threads the second function splits them", "[kernel]") {
  auto program = decayProgram();
  program->launches[0].splits = 2;
  bool found = true;
  program->launches[0].splitFunction = [&]() -> KernelFunction { return found ? decayHalves : nullptr; };
  Data data = decayData(3, 4, 2, 1); // six tasks
  const auto tasksWith = [&](int threads) {
    halves = 0;
    RunOptions options;
    options.threads = threads;
    const Result<NamedBuffers> out = Kernel(program).run(data.views, options);
    REQUIRE(messageOf(out) == "no error");
    Tensor o, S;
    expectDecay(data, find(*out, "o", o), find(*out, "S", S));
    return halves.load();
  };
  CHECK(tasksWith(1) == 0);
  CHECK(tasksWith(6) == 0);
  CHECK(tasksWith(7) == 12);
  found = false; // it could not be compiled: the first one serves
  CHECK(tasksWith(7) == 0);
}

/// Every thread of a team writes its number before a meeting, and counts the others behind it.
static std::atomic<int> seenByAll, teamSize;
static int numbers[64];
static void meetTwice(const KernelCall *call, int64_t thread, int64_t threads, void *scratch) {
  for (int round = 1; round <= 2; ++round) {
    numbers[thread] = round;
    call->meet(call->meeting);
    for (int64_t other = 0; other < threads; ++other)
      seenByAll += numbers[other] == round;
    call->meet(call->meeting);
  }
  teamSize = int(threads);
  if (thread == 0)
    decaySum(call, 0, call->batch * call->heads, scratch);
}

TEST_CASE("a team meets, and its calls have steps or rows enough", "[kernel]") {
  auto program = decayProgram();
  program->launches[0].rowTeam = {"rows", [] { return meetTwice; }, 0};
  const auto sizeWith = [&](int64_t batch, int64_t steps, int threads) {
    seenByAll = teamSize = 0;
    Data data = decayData(batch, steps, 2, 1);
    RunOptions options;
    options.threads = threads;
    const Result<NamedBuffers> out = Kernel(program).run(data.views, options);
    REQUIRE(messageOf(out) == "no error");
    Tensor o, S;
    expectDecay(data, find(*out, "o", o), find(*out, "S", S));
    CHECK(seenByAll == 2 * teamSize * teamSize);
    return teamSize.load();
  };
  CHECK(sizeWith(1, 4, 3) == 3);
  CHECK(sizeWith(1, 1, 3) == 0); // one step
  CHECK(sizeWith(3, 4, 6) == 0); // tasks enough
  program->launches[0].team = {"team", [] { return meetTwice; }, 0};
  CHECK(sizeWith(4, 16, 1) == 1);
  CHECK(sizeWith(4, 15, 1) == 0); // not often enough to lay parameters out
  CHECK(sizeWith(3, 64, 1) == 0);
}
