// An artifact of a program with real code, for the tests of artifacts and of the cache: y = 2 x over batch and time.
#pragma once
#include "rondo/Artifact.h"
#include "test/runtime/DecayProgram.h"
#include <fstream>
#include <iterator>

namespace rondo::test {

/// The object of fixtures/kernels.c.
inline std::string kernelsObject() {
  std::ifstream file(RONDO_KERNELS_OBJECT, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline Artifact twiceArtifact(const std::string &key = "key") {
  Variant variant{"cpu", "<form = step>", Program(), kernelsObject(), ""};
  variant.program.model = "twice";
  variant.program.tensors = {spec("x", TensorKind::Input, {batch, timeAxis}),
                             spec("y", TensorKind::Output, {batch, timeAxis})};
  variant.program.alias = {-1, -1};
  Launch launch;
  launch.symbol = "twice_rows";
  launch.operands = {0, 1};
  variant.program.launches = {launch};
  Artifact artifact;
  artifact.compiler = "test";
  artifact.key = key;
  artifact.variants = {variant};
  return artifact;
}

/// Whether a kernel doubles.
inline bool doubles(const Kernel &kernel) {
  float x[2][3] = {{1, 2, 3}, {4, 5, 6}}, y[2][3] = {};
  const auto done = kernel.run({{"x", {x, DType::F32, {2, 3}, {}}}}, {{"y", {y, DType::F32, {2, 3}, {}}}});
  for (int i = 0; done && i < 6; ++i)
    if ((&y[0][0])[i] != 2 * (&x[0][0])[i])
      return false;
  return bool(done);
}

} // namespace rondo::test
