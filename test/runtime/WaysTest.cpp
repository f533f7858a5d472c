// Which launches a call on a GPU makes, of several ways: by sizes, by where rows begin, by how many multiprocessors there are.
#include "runtime/cuda/Ways.h"
#include <catch2/catch.hpp>

using namespace rondo;
using namespace rondo::cuda;

namespace {

constexpr int64_t features = 64;

/// x: [B, T, H, 64] and a result like it, of a scan that goes whole, by segments, or by steps.
Program threeWays() {
  Program program;
  program.model = "ways";
  const std::vector<AxisSpec> axes = {
      {Axis::Batch, -1, ""}, {Axis::Time, -1, ""}, {Axis::Head, -1, ""}, {Axis::Named, features, "K"}};
  TensorSpec x{"x", TensorKind::Input, DType::BF16, axes, 0, 0}, y = x;
  y.name = "y";
  y.kind = TensorKind::Output;
  program.tensors = {x, y};
  const auto add = [&](const char *symbol, int64_t way, LaunchCost cost) -> Launch & {
    Launch launch;
    launch.symbol = symbol;
    launch.operands = {0, 1};
    launch.perHead = true;
    launch.choice = 1;
    launch.way = way;
    launch.cost = cost;
    program.launches.push_back(launch);
    return program.launches.back();
  };
  add("whole", 0, {64, 4000, 4000, 6000}).aligned = {0, 1};
  for (const char *symbol : {"ends", "link", "within"}) {
    Launch &launch = add(symbol, 1, {64, 2000, 2000, 6000});
    launch.segmentBytes = 16384;
    launch.perSegment = symbol != std::string("link");
    if (launch.perSegment)
      launch.aligned = {0, 1};
  }
  add("steps", 2, {1, 400, 300, 3000}).scratchBytes = 100;
  return program;
}

struct Call {
  core::Sizes sizes;
  std::vector<Tensor> tensors;
};

Call callOf(int64_t batch, int64_t time, int64_t heads, uintptr_t at = 4096, int64_t extraPerStep = 0) {
  Call call;
  call.sizes.size[size_t(Axis::Batch)] = batch;
  call.sizes.size[size_t(Axis::Time)] = time;
  call.sizes.size[size_t(Axis::Head)] = heads;
  const int64_t step = heads * features + extraPerStep;
  call.tensors.assign(2, Tensor{reinterpret_cast<void *>(at),
                                DType::BF16,
                                {batch, time, heads, features},
                                {time * step, step, features, 1}});
  return call;
}

std::vector<std::string> taken(const Program &program, const Call &call, int processors = 132) {
  const auto launches = chooseLaunches(program, call.tensors, call.sizes, {processors, {}});
  REQUIRE(launches);
  std::vector<std::string> symbols;
  for (const QueuedLaunch &each : *launches)
    symbols.push_back(program.launches[each.number].symbol);
  return symbols;
}

const std::vector<std::string> whole = {"whole"}, steps = {"steps"}, segments = {"ends", "link", "within"};

} // namespace

TEST_CASE("many heads go whole, few heads with a long sequence by segments, few steps by steps") {
  const Program program = threeWays();
  CHECK(taken(program, callOf(8, 2048, 16)) == whole);
  CHECK(taken(program, callOf(1, 32768, 16)) == segments);
  CHECK(taken(program, callOf(1, 1, 16)) == steps);
  CHECK(taken(program, callOf(64, 4, 16)) == steps);
  CHECK(taken(program, callOf(1, 32768, 16), 16) == whole); // as many heads as multiprocessors
  CHECK(taken(program, callOf(1, 0, 16)) == steps);
}

TEST_CASE("where whole sequences give most multiprocessors work, segments must be clearly faster") {
  Program program = threeWays();
  const auto cost = [&](double nanoseconds) {
    for (Launch &launch : program.launches)
      if (launch.way == 1)
        launch.cost.shared = launch.cost.alone = nanoseconds;
  };
  // 12 of 16 multiprocessors have a block, or all of them, for this share of the time.
  const Call call = callOf(1, 32768, 12);
  cost(2000); // 0.76
  CHECK(taken(program, call, 16) == segments);
  cost(2450); // 0.94
  CHECK(taken(program, call, 16) == whole);
  CHECK(taken(program, call, 32) == segments); // 12 of 32 are not most
}

TEST_CASE("segments are multiples of a chunk and cover the sequence; their workspace is one") {
  const Program program = threeWays();
  for (int64_t time : {4096, 10001, 32768, 1000000}) {
    const Call call = callOf(2, time, 4);
    const auto launches = chooseLaunches(program, call.tensors, call.sizes, {132, {}});
    REQUIRE(launches);
    REQUIRE(launches->size() == 3);
    const int64_t count = launches->front().segments, each = launches->front().segmentSteps;
    CHECK(each % 64 == 0);
    CHECK(count * each >= time);
    CHECK((count - 1) * each < time);
    for (const QueuedLaunch &launch : *launches) {
      CHECK(launch.segments == count);
      CHECK(launch.scratchBytes == size_t(2 * count * 4 * 16384));
      CHECK(launch.blocks == 2 * 4 * (program.launches[launch.number].perSegment ? count : 1));
    }
  }
}

TEST_CASE("rows that do not begin at multiples of 16 bytes go by steps") {
  const Program program = threeWays();
  CHECK(taken(program, callOf(8, 2048, 16, 4096 + 8)) == steps);
  CHECK(taken(program, callOf(8, 2048, 16, 4096, 4)) == steps);
  CHECK(taken(program, callOf(8, 2048, 16, 4096, 8)) == whole);
  // The stride of an axis with one entry says nothing.
  Call call = callOf(1, 2048, 1);
  for (Tensor &tensor : call.tensors)
    tensor.strides[0] = tensor.strides[2] = 3;
  CHECK(taken(program, call) == segments);
}

TEST_CASE("where no way is possible, the error says what rows must be") {
  Program program = threeWays();
  program.launches.resize(1);
  const Call call = callOf(8, 2048, 16, 4096 + 2);
  const auto launches = chooseLaunches(program, call.tensors, call.sizes, {132, {}});
  REQUIRE(!launches);
  CHECK(launches.error().message().find("rows that begin at multiples of 16 bytes") != std::string::npos);
}

TEST_CASE("launches that are no ways are all taken, in order, with a workspace per block") {
  Program program = threeWays();
  program.launches = {program.launches.back(), program.launches.back()};
  for (Launch &launch : program.launches)
    launch.choice = launch.way = 0;
  CHECK(countParts(program) == 2);
  CHECK(countParts(threeWays()) == 1);
  const Call call = callOf(3, 7, 5);
  const auto launches = chooseLaunches(program, call.tensors, call.sizes, {132, {}});
  REQUIRE(launches);
  REQUIRE(launches->size() == 2);
  CHECK(launches->front().blocks == 15);
  CHECK(launches->front().scratchBytes == 1500);
  CHECK(launches->front().segments == 0);
}
