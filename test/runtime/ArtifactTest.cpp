// Artifacts: written, read, chosen from, run without a compiler.
#include "test/runtime/TwiceArtifact.h"
#include <catch2/catch.hpp>
#include <limits>

using namespace rondo;
using namespace rondo::test;

TEST_CASE("an artifact is read as it was written") {
  Artifact artifact = twiceArtifact();
  artifact.files = {{"/some/gates.rondo", "1234"}};
  artifact.variants[0].splitCode = "split";
  artifact.variants[0].cubin = packCubins({std::string("a\0b", 3), "", "c"});
  artifact.choices = {{{16, 4096}, 0}};
  TensorSpec &tensor = artifact.variants[0].program.tensors[0];
  tensor.hasInterval = true;
  tensor.lo = -std::numeric_limits<double>::infinity();
  tensor.hi = 0.1;
  tensor.hiOpen = true;
  tensor.defaultValue = {-std::numeric_limits<double>::infinity(), 0.1};
  const Result<Artifact> read = Artifact::fromBytes(artifact.toBytes());
  REQUIRE(read);
  CHECK(read->toBytes() == artifact.toBytes());
  CHECK(read->key == "key");
  CHECK(read->files[0].path == "/some/gates.rondo");
  CHECK(read->variants[0].splitCode == "split");
  CHECK(unpackCubins(read->variants[0].cubin) == std::vector<std::string>{std::string("a\0b", 3), "", "c"});
  CHECK(read->choices[0].sizes.time == 4096);
  const TensorSpec &same = read->variants[0].program.tensors[0];
  CHECK(same.lo == tensor.lo);
  CHECK(same.hi == 0.1);
  CHECK(same.hiOpen);
  CHECK(same.defaultValue == tensor.defaultValue);
  CHECK(same.axes[1].name == "time");
}

TEST_CASE("an artifact that was read runs") {
  const Result<Artifact> read = Artifact::fromBytes(twiceArtifact().toBytes());
  REQUIRE(read);
  const Result<Kernel> kernel = read->loadOnHost({2, 3});
  REQUIRE(kernel);
  CHECK(doubles(*kernel));
}

TEST_CASE("every cut and every damage is noticed") {
  const std::string bytes = twiceArtifact().toBytes();
  for (size_t size = 0; size < bytes.size(); size += 13)
    CHECK_FALSE(Artifact::fromBytes(std::string_view(bytes).substr(0, size)));
  for (size_t at = 0; at < bytes.size(); at += 11) {
    if (at >= 12 && at < 16) // unused
      continue;
    std::string damaged = bytes;
    damaged[at] = char(damaged[at] ^ 0x10);
    CHECK_FALSE(Artifact::fromBytes(damaged));
  }
}

TEST_CASE("an artifact of another format says so") {
  std::string bytes = twiceArtifact().toBytes();
  bytes[8] = 99;
  const Result<Artifact> read = Artifact::fromBytes(bytes);
  REQUIRE_FALSE(read);
  CHECK(read.error().message().find("its format is 99") != std::string::npos);
}

TEST_CASE("descriptions that contradict themselves are refused") {
  const auto refused = [](const std::function<void(Program &)> &spoil) {
    Artifact artifact = twiceArtifact();
    spoil(artifact.variants[0].program);
    return !Artifact::fromBytes(artifact.toBytes());
  };
  CHECK(refused([](Program &p) { p.launches[0].operands = {0, 2}; }));
  CHECK(refused([](Program &p) { p.launches[0].operands = {-1, 1}; }));
  CHECK(refused([](Program &p) { p.launches[0].batchTile = 0; }));
  CHECK(refused([](Program &p) { p.alias = {-1}; }));
  CHECK(refused([](Program &p) { p.alias = {-1, 1}; }));
  CHECK(refused([](Program &p) { p.tensors[0].axes[0].size = -7; }));
  CHECK(refused([](Program &p) { p.tensors[0].defaultValue.clear(); }));
}

TEST_CASE("a function that the code lacks is named") {
  Artifact artifact = twiceArtifact();
  artifact.variants[0].program.launches[0].symbol = "thrice";
  const Result<Kernel> kernel = artifact.loadOnHost({1, 1});
  REQUIRE_FALSE(kernel);
  CHECK(kernel.error().message().find("'thrice'") != std::string::npos);
}

TEST_CASE("the variant is that of the nearest sizes on the best target") {
  Artifact artifact = twiceArtifact();
  const Variant variant = artifact.variants[0];
  artifact.variants.clear();
  for (const char *target : {"cpu:x86-64", "cpu:x86-64", "cuda:sm_80", "cuda:sm_90a", "cuda:sm_80"}) {
    artifact.variants.push_back(variant);
    artifact.variants.back().target = target;
    artifact.variants.back().plan = std::to_string(artifact.variants.size() - 1);
  }
  artifact.choices = {{{16, 64}, 0}, {{16, 4096}, 1}, {{16, 64}, 2}, {{16, 4096}, 4}, {{16, 64}, 3}};
  const auto planFor = [&](const char *device, CallSizes sizes) {
    const auto chosen = artifact.choose(device, sizes);
    return chosen ? (*chosen)->plan : "none";
  };
  CHECK(planFor("cpu", {16, 100}) == "0");
  CHECK(planFor("cpu", {1, 8192}) == "1");
  CHECK(planFor("cuda:sm_86", {16, 64}) == "2");
  CHECK(planFor("cuda:sm_86", {16, 4000}) == "4");
  CHECK(planFor("cuda:sm_90a", {16, 4000}) == "3"); // made for that GPU
  CHECK(planFor("cuda:sm_100a", {16, 4000}) == "4");
  CHECK(planFor("cuda:sm_75", {16, 64}) == "none");
}

TEST_CASE("an artifact without code for this processor names what it has") {
  Artifact artifact = twiceArtifact();
  artifact.variants[0].target = "cuda:sm_80";
  const Result<Kernel> kernel = artifact.loadOnHost({1, 1});
  REQUIRE_FALSE(kernel);
  CHECK(kernel.error().message() == "error: no code for cpu in this artifact; it has cuda:sm_80");
}

TEST_CASE("hashes tell contents apart") {
  CHECK(contentHash("").size() == 32);
  CHECK(contentHash("a") != contentHash("b"));
  CHECK(contentHash("a") == contentHash("a"));
}

TEST_CASE("machine code runs on GPUs of its generation that are not older") {
  CHECK(runsMachineCode("cuda:sm_80", "cuda:sm_80"));
  CHECK(runsMachineCode("cuda:sm_80", "cuda:sm_89"));
  CHECK_FALSE(runsMachineCode("cuda:sm_89", "cuda:sm_80"));
  CHECK_FALSE(runsMachineCode("cuda:sm_80", "cuda:sm_90")); // which runs the PTX
  CHECK(runsMachineCode("cuda:sm_90a", "cuda:sm_90"));
  CHECK_FALSE(runsMachineCode("cuda:sm_100a", "cuda:sm_103"));
  CHECK(runsMachineCode("cuda:sm_100", "cuda:sm_103"));
  CHECK_FALSE(runsMachineCode("cpu:x86-64-v3", "cpu"));
}

TEST_CASE("cubins that are cut off are left out") {
  const std::string packed = packCubins({"one", "two"});
  CHECK(unpackCubins(packed).size() == 2);
  for (size_t size = 0; size < packed.size(); ++size)
    CHECK(unpackCubins(std::string_view(packed).substr(0, size)).size() == (size >= 11 ? 1 : 0));
  CHECK(unpackCubins(std::string(8, '\xff')).empty());
}
