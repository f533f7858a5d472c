// Which ways calls of models on tensor cores take, by the costs that the compiler gives to their launches, on 132 multiprocessors as an H100
// has. No GPU is needed.
#include "compiler/Driver/Compiler.h"
#include "runtime/cuda/Ways.h"
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

using namespace rondo;

namespace {

std::shared_ptr<const Program> compiled(const std::string &example, int64_t keys, int64_t values,
                                        bool gradient = false) {
  static driver::Compiler compiler;
  std::ifstream file(RONDO_SOURCE_DIR "/examples/" + example + ".rondo");
  std::stringstream text;
  text << file.rdbuf();
  driver::Options options;
  options.target = "cuda:sm_90a";
  options.dims = {{"K", keys}, {"V", values}};
  options.type = DType::BF16;
  options.gradient = gradient;
  auto outcome = compiler.compile({example + ".rondo", text.str()}, options);
  REQUIRE(outcome);
  return *outcome.value;
}

/// What a call launches on an H100.
std::vector<cuda::QueuedLaunch> launchesOf(const Program &program, int64_t batch, int64_t time, int64_t heads) {
  core::Sizes sizes;
  sizes.size[size_t(Axis::Batch)] = batch;
  sizes.size[size_t(Axis::Time)] = time;
  sizes.size[size_t(Axis::Head)] = heads;
  std::vector<Tensor> tensors;
  for (const TensorSpec &spec : program.tensors) {
    Tensor tensor{reinterpret_cast<void *>(4096), spec.type, {}, {}};
    for (const AxisSpec &axis : spec.axes)
      tensor.shape.push_back(axis.axis == Axis::Named ? axis.size : sizes.size[size_t(axis.axis)]);
    tensors.push_back(tensor);
  }
  const cuda::Room room{132, std::vector<int64_t>(program.launches.size())};
  auto launches = cuda::chooseLaunches(program, tensors, sizes, room);
  REQUIRE(launches);
  return std::move(*launches);
}

/// The symbols of the launches of a call, in order.
std::vector<std::string> symbolsOf(const Program &program, int64_t batch, int64_t time, int64_t heads) {
  std::vector<std::string> symbols;
  for (const cuda::QueuedLaunch &each : launchesOf(program, batch, time, heads))
    symbols.push_back(program.launches[each.number].symbol);
  return symbols;
}

/// The same without the number of the scan in their names: "chunks", "ends link0 within". What has no chunks is left out.
std::string taken(const Program &program, int64_t batch, int64_t time, int64_t heads) {
  std::string names;
  for (const std::string &symbol : symbolsOf(program, batch, time, heads)) {
    const std::string name = symbol.substr(symbol.rfind('_') + 1);
    if (name == "chunks" || name == "ends" || name == "link0" || name == "within")
      names += (names.empty() ? "" : " ") + name;
  }
  return names;
}

const std::string segments = "ends link0 within";

} // namespace

TEST_CASE("heads that nearly fill a GPU go whole, few heads with a long sequence by segments", "[tile-ways]") {
  for (const char *model : {"gla", "hgrn2", "rwkv6"}) {
    INFO(model);
    CHECK(taken(*compiled(model, 64, 128), 4, 4096, 16) == segments); // 64 blocks of 128 columns
    CHECK(taken(*compiled(model, 64, 64), 8, 2048, 32) == "chunks");
    const auto square = compiled(model, 128, 128);
    CHECK(taken(*square, 8, 2048, 16) == "chunks");
    CHECK(taken(*square, 1, 32768, 16) == segments);
  }
}

TEST_CASE("a delta rule without scores ahead is not cut for a few heads more", "[tile-ways]") {
  const auto program = compiled("kda", 64, 128);
  CHECK(taken(*program, 4, 4096, 16) == "chunks");
  CHECK(taken(*program, 1, 32768, 16) == segments);
}

TEST_CASE("a transition is cut beside a normaliser that decays along its keys", "[tile-ways]") {
  const auto program = compiled("stabilised_vector_delta", 128, 128);
  CHECK(taken(*program, 8, 2048, 16) == "chunks");
  CHECK(taken(*program, 1, 32768, 16) == segments);
}

TEST_CASE("no scan of a stabilised delta rule's gradient has single steps as its only way", "[tile-ways]") {
  const auto program = compiled("stabilised_vector_delta", 128, 128, true);
  // What has one way: a scan that forgets, of which one step is taken, and three sums of tensors, two of them of none.
  CHECK(std::ranges::count(program->launches, 0, &Launch::choice) == 4);
  // The stabiliser forwards twice and backwards, the normaliser that is read, and decays that are read behind a step.
  const auto symbols = symbolsOf(*program, 8, 2048, 16);
  CHECK(std::ranges::count_if(symbols, [](const std::string &symbol) { return symbol.ends_with("_segments"); }) == 5);
}

/// Blocks of a head and a segment in the kernel of a program's first scan that gives what segments make of zeros.
int64_t partsOfEnds(const Program &program) {
  for (const Launch &launch : program.launches)
    if (launch.symbol.ends_with("_ends"))
      return launch.splits;
  return 0;
}

TEST_CASE("a block of a delta rule's segments has columns of the state and of its transition", "[tile-ways]") {
  for (const char *model : {"kda", "gated_delta_net", "deltanet"}) {
    INFO(model);
    const auto square = compiled(model, 128, 128);
    CHECK(partsOfEnds(*square) == 1);
    for (const cuda::QueuedLaunch &each : launchesOf(*square, 1, 32768, 16)) {
      INFO(square->launches[each.number].symbol);
      CHECK(each.blocks <= 132); // none waits for another one
    }
    CHECK(partsOfEnds(*compiled(model, 64, 32)) == 1);  // two tiles of the transition beside one of the state
    CHECK(partsOfEnds(*compiled(model, 128, 64)) == 3); // more than registers hold
  }
}

TEST_CASE("a transition's columns have blocks of their own where they would be half a tile a warp", "[tile-ways]") {
  CHECK(partsOfEnds(*compiled("kda", 64, 128)) == 3);             // 8 warps of 16 columns, 64 of the transition
  CHECK(partsOfEnds(*compiled("gated_delta_net", 64, 128)) == 1); // 4 warps of 32
}

TEST_CASE("on the way back every scan with chunks is cut for few heads", "[tile-ways]") {
  const auto program = compiled("gla", 64, 64, true);
  const std::string all = segments + " " + segments + " " + segments; // of q, of k, of v
  CHECK(taken(*program, 1, 32768, 16) == all);
  CHECK(taken(*program, 1, 4100, 1) == all);
  CHECK(taken(*compiled("gla", 128, 128, true), 8, 2048, 16) == "chunks chunks chunks");
}
