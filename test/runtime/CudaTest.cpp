// Kernels for GPUs on a machine without one: every way in says what is missing, and what belongs elsewhere is refused.
#include "rondo/Cuda.h"
#include "DecayProgram.h"
#include "rondo/Kernel.h"
#include "runtime/cuda/Driver.h"
#include <catch2/catch.hpp>

using namespace rondo;
using namespace rondo::test;

TEST_CASE("a machine without a driver is told so once, with what to do instead") {
  const auto driver = cuda::loadDriver("librondo-no-such-driver.so.1");
  REQUIRE(!driver);
  REQUIRE(driver.error().diagnostics.size() == 1);
  const Diagnostic &diagnostic = driver.error().diagnostics.front();
  CHECK(diagnostic.slug == "no-gpu");
  CHECK(diagnostic.message ==
        "no NVIDIA GPU can be used here: the driver's library 'librondo-no-such-driver.so.1' is not installed");
  REQUIRE(diagnostic.notes.size() == 1);
  CHECK(diagnostic.notes.front().message.find("'cpu'") != std::string::npos);
}

TEST_CASE("a library that is no driver is not taken for one") {
  const auto driver = cuda::loadDriver("libm.so.6");
  REQUIRE(!driver);
  CHECK(driver.error().message().find("the driver is too old") != std::string::npos);
}

TEST_CASE("a program that was compiled for a GPU does not run before it is loaded there") {
  const auto program = decayProgram();
  program->image = std::make_shared<const DeviceImage>(DeviceImage{"cuda", "sm_90a", ".version 8.0"});
  Data data = decayData(1, 2, 1, 1);
  CHECK(
      messageOf(Kernel(program).run(data.views)).find("compiled for cuda (sm_90a) and has to be loaded there first") !=
      std::string::npos);
}

TEST_CASE("a program without kernels for a GPU cannot be loaded on one") {
  const Result<Kernel> loaded = cuda::load(decayProgram());
  REQUIRE(!loaded);
  CHECK(loaded.error().message().find("no kernels for CUDA") != std::string::npos);
}

TEST_CASE("kernels of the host take neither tensors on a GPU nor a stream") {
  Data data = decayData(1, 2, 1, 1);
  RunOptions options;
  options.stream = &data;
  CHECK(decayError(data, options).find("RunOptions::stream") != std::string::npos);
  data["x"].device = {Device::Kind::Cuda, 1};
  CHECK(decayError(data).find("'x': its memory lies on a GPU, but the kernel runs on the host") != std::string::npos);
}
