// Objects mapped into this process: every kind of reference that compiled kernels have, and bytes that are no object.
#include "runtime/core/ObjectCode.h"
#include "test/runtime/TwiceArtifact.h"
#include <catch2/catch.hpp>
#include <random>

using namespace rondo;
using core::ObjectCode;

namespace {

template <typename F> F *function(const ObjectCode &code, const char *name) {
  void *address = code.find(name);
  REQUIRE(address);
  return reinterpret_cast<F *>(address);
}

std::shared_ptr<const ObjectCode> loadKernels() {
  auto code = ObjectCode::load(test::kernelsObject());
  if (!code)
    FAIL(code.error().message());
  return *code;
}

} // namespace

TEST_CASE("constants, own data and calls out of an object") {
  const auto code = loadKernels();
  CHECK(function<double(int)>(*code, "fromTable")(3) == 8);
  CHECK(function<double(double)>(*code, "throughLibrary")(27) == 4);
  CHECK(function<double(int, double)>(*code, "indirect")(0, 5) == 10);
  CHECK(function<double(int, double)>(*code, "indirect")(1, 5) == 25);
  char to[4] = {}, from[4] = {1, 2, 3, 4};
  function<void(void *, const void *, size_t)>(*code, "copyBytes")(to, from, 4);
  CHECK(std::memcmp(to, from, 4) == 0);
  CHECK(*function<int *()>(*code, "sharedPlace")() == 7);
  CHECK(code->find("shared") == function<int *()>(*code, "sharedPlace")());
}

TEST_CASE("tables of jumps") {
  const auto code = loadKernels();
  auto *jump = function<int(int)>(*code, "jump");
  CHECK(jump(0) == 7);
  CHECK(jump(1) == 3);
  CHECK(jump(2) == 8);
  CHECK(jump(3) == 11);
  CHECK(jump(4) == 5);
  CHECK(jump(5) == 6);
  CHECK(jump(6) == 1);
  CHECK(jump(7) == -1);
}

TEST_CASE("two copies of an object share no data") {
  const auto one = loadKernels(), other = loadKernels();
  auto *count = function<int()>(*one, "count");
  CHECK(count() == 1);
  CHECK(count() == 2);
  CHECK(function<int()>(*other, "count")() == 1);
}

TEST_CASE("what an object does not define, or keeps to itself, is not found") {
  const auto code = loadKernels();
  CHECK(code->find("nothing") == nullptr);
  CHECK(code->find("cbrt") == nullptr);
  CHECK(code->find("table") == nullptr);
}

TEST_CASE("a function that this process lacks is named") {
  std::string object = test::kernelsObject();
  const size_t at = object.find(std::string("\0cbrt\0", 6));
  REQUIRE(at != std::string::npos);
  object.replace(at + 1, 4, "cbrr");
  auto code = ObjectCode::load(object);
  REQUIRE_FALSE(code);
  CHECK(code.error().message().find("'cbrr'") != std::string::npos);
}

TEST_CASE("bytes that are no object are an error") {
  CHECK_FALSE(ObjectCode::load(""));
  CHECK_FALSE(ObjectCode::load("\x7f"
                               "ELF"));
  CHECK_FALSE(ObjectCode::load(std::string(4096, 'x')));
  const std::string object = test::kernelsObject();
  // The table of sections is at the end.
  for (size_t bytes = 0; bytes < object.size(); bytes += 7)
    CHECK_FALSE(ObjectCode::load(std::string_view(object).substr(0, bytes)));
}

TEST_CASE("damaged objects do no harm") {
  const std::string object = test::kernelsObject();
  std::mt19937 random(1);
  int loaded = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = object;
    for (int flips = 0; flips < 3; ++flips)
      damaged[random() % damaged.size()] = char(random());
    loaded += bool(ObjectCode::load(damaged)); // code that is damaged inside is not noticed here, and is not run
  }
  CHECK(loaded < 3000);
}
