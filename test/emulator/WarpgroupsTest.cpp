// wgmma: where operands lie in shared memory, and what a program must not do before it has waited.
#include "test/emulator/TestKernels.h"
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>

using namespace rondo::emulator;

namespace {

/// How operand B lies in shared memory: rows of 16 << (3 - mode) bytes (mode 0: of 16), which hold columns of B's sum, or, transposed, B's columns.
struct Case {
  int columns;
  uint64_t mode;
  bool isTransposed;
};

int unitsOf(const Case &of) { return of.mode ? 16 >> of.mode : 1; }
/// Without a pattern, units of eight rows follow each other, and so do these.
uint64_t leadingOf(const Case &of) {
  if (of.mode)
    return of.isTransposed ? uint64_t(16 * 16 * unitsOf(of)) : 16;
  return of.isTransposed ? 128 * uint64_t(of.columns) / 8 : 128;
}
uint64_t strideOf(const Case &of) {
  if (of.mode)
    return uint64_t(8 * 16 * unitsOf(of));
  return of.isTransposed ? 128 : 256;
}

/// The byte of B's element (k, n).
int placeOf(const Case &of, int k, int n) {
  const int row = of.isTransposed ? k : n, column = of.isTransposed ? n : k, units = unitsOf(of);
  const int unit = column / 8;
  if (!of.mode)
    return row / 8 * int(of.isTransposed ? leadingOf(of) : strideOf(of)) +
           unit * int(of.isTransposed ? strideOf(of) : leadingOf(of)) + row % 8 * 16 + column % 8 * 2;
  const int exchanged = unit % units ^ row * units / 8 % units;
  return unit / units * int(leadingOf(of)) + row * 16 * units + exchanged * 16 + column % 8 * 2;
}

uint16_t bits(float x) { return uint16_t(std::bit_cast<uint32_t>(x) >> 16); } // as a bf16
float a(int m, int k) { return float((3 * m + 5 * k) % 7 - 3); }
float b(int k, int n) { return float((k + 2 * n) % 5 - 2); }

std::string list(const std::string &prefix, int count) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += (i ? ", " : "") + prefix + std::to_string(i);
  return text;
}

std::string productOf(int columns, bool isTransposed, const std::string &type = "bf16") {
  return "\twgmma.mma_async.sync.aligned.m64n" + std::to_string(columns) + "k16.f32." + type + "." + type + " {" +
         list("%d", columns / 2) + "}, {%a0, %a1, %a2, %a3}, %rd9, %p3, 1, 1, " + (isTransposed ? "1" : "0") + ";\n";
}

const char *const kFence = "\twgmma.fence.sync.aligned;\n";
const char *const kFinish = "\twgmma.commit_group.sync.aligned;\n\twgmma.wait_group.sync.aligned 0;\n";
const char *const kProxy = "\tfence.proxy.async.shared::cta;\n";

/// A warp's words of A, then those of shared memory, which go there; then `body`.
std::string textOf(const Case &of, int bytes, const std::string &body) {
  std::string text =
      "\t.reg .b32 %d<64>;\n\t.reg .b32 %a<4>;\n\tmul.wide.u32 %rd4, %r1, 16;\n\tadd.s64 %rd5, %rd1, %rd4;\n"
      "\tld.global.v4.b32 {%a0, %a1, %a2, %a3}, [%rd5];\n\tmov.b64 %rd6, rondo_shared;\n"
      "\tadd.s64 %rd7, %rd6, %rd2;\n\tsetp.ne.b32 %p3, 0, 0;\n";
  for (int at = 0; at < bytes; at += 512)
    text += "\tld.global.b32 %r2, [%rd3+" + std::to_string(2048 + at) + "];\n\tst.shared.b32 [%rd7+" +
            std::to_string(at) + "], %r2;\n";
  const uint64_t descriptor = leadingOf(of) / 16 << 16 | strideOf(of) / 16 << 32 | of.mode << 62;
  text += "\tmov.b64 %rd9, " + std::to_string(int64_t(descriptor)) + ";\n" + body;
  for (int i = 0; i < of.columns / 2; ++i)
    text += "\tst.global.b32 [%rd3+" + std::to_string(512 * i) + "], %d" + std::to_string(i) + ";\n";
  return rondo::emulator::kernelOf(text, ".maxntid 128");
}

struct Ran {
  std::vector<uint32_t> words;
  Counts counts;
};

/// Runs `body` with A in registers and B in shared memory; what it has in %d goes to words 128 i of each thread.
Ran runCase(const Case &of, const std::string &body) {
  const int bytes = std::max(1024, (of.isTransposed ? 2 : unitsOf(of)) * 16 * of.columns);
  Ran ran{std::vector<uint32_t>(size_t(std::max(512 + bytes / 4, 64 * of.columns))), {}};
  for (int thread = 0; thread < 128; ++thread)
    for (int r = 0; r < 4; ++r) {
      const int m = thread / 32 * 16 + thread % 32 / 4 + 8 * (r % 2), k = 2 * (thread % 4) + 8 * (r / 2);
      ran.words[size_t(4 * thread + r)] = bits(a(m, k)) | uint32_t(bits(a(m, k + 1))) << 16;
    }
  for (int k = 0; k < 16; ++k)
    for (int n = 0; n < of.columns; ++n) {
      const int at = placeOf(of, k, n);
      REQUIRE(at < bytes);
      ran.words[size_t(512 + at / 4)] |= uint32_t(bits(b(k, n))) << (at % 4 * 8);
    }
  ran.counts = execute(textOf(of, bytes, body), ran.words, 128, 1, uint32_t(bytes));
  return ran;
}

std::string failureOfCase(const std::string &body) {
  try {
    runCase({8, 1, false}, body);
  } catch (const std::runtime_error &error) {
    return error.what();
  }
  return "";
}

std::string ready() { return std::string(kProxy) + "\tbar.sync 0;\n"; }

} // namespace

TEST_CASE("products of four warps read operands as they are described") {
  for (const Case &of :
       {Case{8, 1, false}, Case{64, 1, false}, Case{16, 2, false}, Case{32, 3, false}, Case{16, 0, false},
        Case{64, 1, true}, Case{128, 1, true}, Case{32, 2, true}, Case{16, 3, true}, Case{16, 0, true}}) {
    INFO(of.columns << " columns, mode " << of.mode << (of.isTransposed ? ", transposed" : ""));
    const Ran ran = runCase(of, ready() + kFence + productOf(of.columns, of.isTransposed) + kFinish);
    for (int thread = 0; thread < 128; ++thread)
      for (int i = 0; i < of.columns / 2; ++i) {
        const int m = thread / 32 * 16 + thread % 32 / 4 + i % 4 / 2 * 8, n = i / 4 * 8 + 2 * (thread % 4) + i % 2;
        float sum = 0;
        for (int k = 0; k < 16; ++k)
          sum += a(m, k) * b(k, n);
        CHECK(std::bit_cast<float>(ran.words[size_t(128 * i + thread)]) == sum);
      }
    CHECK(ran.counts.products == uint64_t(4 * of.columns / 8));
  }
}

TEST_CASE("products of four warps add up, one after another") {
  const Case of{8, 1, false};
  const std::string more = "\tsetp.eq.b32 %p3, 0, 0;\n";
  const std::string once = ready() + kFence + productOf(8, false), twice = once + more + productOf(8, false);
  const Ran one = runCase(of, once + kFinish), two = runCase(of, twice + kFinish);
  for (size_t i = 0; i < 4 * 128; ++i)
    CHECK(std::bit_cast<float>(two.words[i]) == 2 * std::bit_cast<float>(one.words[i]));
}

TEST_CASE("what a product of four warps has is left alone until it is waited for") {
  const std::string begin = ready() + kFence, product = productOf(8, false);
  CHECK(failureOfCase(begin + product + kFinish).empty());
  using Catch::Contains;
  CHECK_THAT(failureOfCase(begin + product), Contains("an accumulator of a product that has not been waited for"));
  CHECK_THAT(failureOfCase(begin + product + "\tmov.b32 %d0, 0;\n" + kFinish), Contains("has not been waited for"));
  CHECK_THAT(failureOfCase(begin + product + "\tmov.b32 %a1, 0;\n" + kFinish),
             Contains("changes before it is waited for"));
  CHECK_THAT(failureOfCase(begin + "\tmov.b32 %d0, 0;\n" + product + kFinish), Contains("since the last wgmma.fence"));
  CHECK_THAT(failureOfCase(begin + "\tmov.b32 %a0, 0;\n" + product + kFinish), Contains("since the last wgmma.fence"));
  CHECK_THAT(failureOfCase(begin + product + productOf(16, false) + kFinish), Contains("that have other columns"));
}

TEST_CASE("what products of four warps read is fenced, ordered and inside") {
  const std::string product = kFence + productOf(8, false) + kFinish;
  using Catch::Contains;
  CHECK_THAT(failureOfCase("\tbar.sync 0;\n" + product), Contains("without fence.proxy.async behind it"));
  CHECK_THAT(failureOfCase(ready() + "\tadd.s64 %rd9, %rd9, 64;\n" + product),
             Contains("of 1024 bytes of shared memory"));
  CHECK_THAT(failureOfCase(ready() + "\tadd.s64 %rd9, %rd9, 8;\n" + product), Contains("which is no multiple of 1024"));
  // Without a barrier the other warps' words are no numbers: column 2 is of another warp.
  const Ran racy = runCase({8, 1, false}, kProxy + product);
  CHECK(std::isnan(std::bit_cast<float>(racy.words[1])));
  CHECK_THAT(failureOfCase(ready() +
                           "\tshr.u32 %r3, %r1, 5;\n\tcvt.u64.u32 %rd10, %r3;\n\tadd.s64 %rd9, %rd9, %rd10;\n" +
                           product),
             Contains("another warp of the four has the product"));
  CHECK_THAT(failureOfCase(ready() + "\tcvt.u64.u32 %rd10, %r1;\n\tadd.s64 %rd9, %rd9, %rd10;\n" + product),
             Contains("lanes of a warp have different descriptors"));
}
