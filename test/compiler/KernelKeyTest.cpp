// Which kernels are the same to the code that is made from them.
#include "compiler/Driver/KernelKey.h"
#include "compiler/Driver/Compiler.h"
#include "mlir/Parser/Parser.h"
#include "test/compiler/Context.h"
#include <catch2/catch.hpp>

using namespace mlir;
using namespace rondo;
using driver::kernelKey;

namespace {

const cpu::Machine machine{"znver3", "+avx2", 256, 2};

std::string keyOf(const std::string &body, const std::string &attributes = "", const std::string &suffix = "") {
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(
      "module attributes {" + attributes + "} { func.func @f(%x: f32, %n: index) -> f32 { " + body + " } }",
      &context());
  REQUIRE(module);
  return kernelKey(*module, machine, suffix);
}

const std::string sum = "%y = arith.addf %x, %x : f32 return %y : f32";

/// An average, in segments of time.
driver::Compiled compileInSegments(driver::Compiler &compiler, int segments, double &codegen) {
  driver::Options options;
  options.schedule = "segment";
  options.plan = "<segments = " + std::to_string(segments) + ">";
  auto compiled = compiler.translate(
      {"average.rondo",
       "model average {\n  input x: [4]\n  state h: [4] = 0\n  h[t] = 0.9 * h[t-1] + x[t]\n  output h\n}\n"},
      options);
  REQUIRE(compiled);
  codegen = compiled.times.codegen;
  return std::move(*compiled.value);
}

} // namespace

TEST_CASE("A kernel's key is of what its code is made from", "[driver][kernel-key]") {
  CHECK(keyOf(sum) == keyOf(sum));
  CHECK(keyOf(sum) == keyOf("%z = arith.addf %x, %x : f32\n\n return %z : f32"));
  CHECK(keyOf(sum) == keyOf(sum, "rondo.program = {segments = 3}"));
  CHECK(keyOf(sum) != keyOf(sum, "", "_v3"));
  CHECK(keyOf(sum) != keyOf("%y = arith.mulf %x, %x : f32 return %y : f32"));
  CHECK(keyOf(sum) != keyOf("%y = arith.addf %x, %x fastmath<reassoc> : f32 return %y : f32"));
}

TEST_CASE("A kernel's key tells operands, constants and branches apart", "[driver][kernel-key]") {
  const std::string constants = "%a = arith.constant 1.0 : f32 %b = arith.constant 2.0 : f32 ";
  CHECK(keyOf(constants + "%y = arith.subf %a, %b : f32 return %y : f32") !=
        keyOf(constants + "%y = arith.subf %b, %a : f32 return %y : f32"));
  CHECK(keyOf("%y = arith.constant 1.0 : f32 return %y : f32") !=
        keyOf("%y = arith.constant 1.5 : f32 return %y : f32"));
  const std::string loop =
      " %y = scf.for %i = %c to %n step %s iter_args(%h = %x) -> f32 { %g = arith.addf %h, %h : f32 "
      "scf.yield %g : f32 } return %y : f32";
  CHECK(keyOf("%c = arith.constant 0 : index %s = arith.constant 1 : index" + loop) !=
        keyOf("%c = arith.constant 0 : index %s = arith.constant 2 : index" + loop));
}

TEST_CASE("Plans that differ in numbers of the call alone are compiled once", "[driver][kernel-key]") {
  driver::Compiler compiler;
  double first = 0, second = 0;
  driver::Compiled two = compileInSegments(compiler, 2, first), three = compileInSegments(compiler, 3, second);
  CHECK(first > 0);
  CHECK(second == 0);
  CHECK(two.code == three.code);
  REQUIRE(two.splitCode);
  REQUIRE(three.splitCode);
  const Result<std::string> firstSplit = two.splitCode(), secondSplit = three.splitCode();
  REQUIRE(firstSplit);
  REQUIRE(secondSplit);
  CHECK(*firstSplit == *secondSplit);
  CHECK(*firstSplit != two.code);
  REQUIRE(two.program.launches.size() == 1);
  CHECK_FALSE(two.program.launches[0].segments.symbol.empty());
}
