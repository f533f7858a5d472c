// The emulator on kernels of a few lines: what it computes, and that it finds what it is there to find.
#include "test/emulator/TestKernels.h"
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>

using namespace rondo::emulator;

TEST_CASE("lanes that part meet again") {
  const auto words = resultOf(R"(
	mov.u32 %r2, 0;
	and.b32 %r3, %r1, 3;
again:
	setp.ge.u32 %p1, %r2, %r3;
	@%p1 bra done;
	add.s32 %r2, %r2, 1;
	bra.uni again;
done:
	shfl.sync.bfly.b32 %r4, %r2, 1, 31, -1;
	st.global.b32 [%rd3], %r4;
)",
                              32);
  for (uint32_t lane = 0; lane < 32; ++lane)
    CHECK(words[lane] == ((lane ^ 1) & 3));
}

TEST_CASE("what is shared behind a barrier is seen by other warps") {
  const std::string exchange = R"(
	mov.b64 %rd4, rondo_shared;
	add.s64 %rd5, %rd4, %rd2;
	st.shared.b32 [%rd5], %r1;
	BARRIER
	xor.b32 %r2, %r1, 32;
	mul.wide.u32 %rd6, %r2, 4;
	add.s64 %rd7, %rd4, %rd6;
	ld.shared.b32 %r3, [%rd7];
	st.global.b32 [%rd3], %r3;
)";
  const auto with = [&](const std::string &barrier) {
    std::string body = exchange;
    return body.replace(body.find("BARRIER"), 7, barrier);
  };
  const auto words = resultOf(with("bar.sync 0;"), 64);
  for (uint32_t thread = 0; thread < 64; ++thread)
    CHECK(words[thread] == (thread ^ 32));
  // Without it one of the two reads what the other one has just written: the second one in even blocks, the first one in odd ones.
  const auto racy = resultOf(with("bar.warp.sync -1;"), 64);
  CHECK(racy[32] == 0xffffffff);
  CHECK(resultOf(with("bar.warp.sync -1;"), 64, ".maxntid 64", 2)[0] == 0xffffffff);
}

TEST_CASE("what is read while it is written is no number") {
  const std::string body = R"(
	setp.gt.u32 %p1, %r1, 31;
	mov.b32 %r2, 0;
	@%p1 bra other;
	st.shared.b32 [rondo_shared], 7;
	BARRIER
	bra.uni out;
other:
	BARRIER
	ld.shared.b32 %r2, [rondo_shared];
out:
	st.global.b32 [%rd3], %r2;
)";
  const auto with = [&](const std::string &barrier) {
    std::string text = body;
    for (size_t at; (at = text.find("BARRIER")) != std::string::npos;)
      text.replace(at, 7, barrier);
    return resultOf(text, 64)[32];
  };
  CHECK(with("bar.sync 0;") == 7);
  CHECK(with("bar.warp.sync -1;") == 0xffffffff);
}

TEST_CASE("writes that race are errors, and name the line") {
  const std::string write = "\tst.shared.b32 [rondo_shared+4], %r1;\n";
  CHECK(failureOf(write, 64).find("line 18 of the PTX: race: threads 0 and 1 write byte 4") != std::string::npos);
  CHECK(failureOf("\tst.shared.b32 [rondo_shared+4], 7;\n", 64).empty()); // the same value twice is none
}

TEST_CASE("copies arrive when they are waited for") {
  const std::string copy = R"(
	st.global.b32 [%rd3], %r1;
	mul.wide.u32 %rd4, %r1, 16;
	add.s64 %rd5, %rd1, %rd4;
	mov.b64 %rd6, rondo_shared;
	add.s64 %rd7, %rd6, %rd4;
	setp.gt.u32 %p1, %r1, 3;
	bar.warp.sync -1;
	@%p1 bra out;
	cp.async.cg.shared.global [%rd7], [%rd5], 16;
out:
	cp.async.commit_group;
	WAIT
	bar.sync 0;
	add.s64 %rd8, %rd6, %rd2;
	ld.shared.b32 %r2, [%rd8];
	st.global.b32 [%rd3+128], %r2;
)";
  const auto with = [&](const std::string &wait) {
    std::string body = copy;
    return resultOf(body.replace(body.find("WAIT"), 4, wait), 32);
  };
  CHECK(with("cp.async.wait_group 0;")[32 + 15] == 15);
  CHECK(with("cp.async.wait_group 1;")[32 + 15] == 0xffffffff);
}

TEST_CASE("addresses are checked") {
  CHECK(failureOf("\tld.global.b32 %r2, [%rd1+256];\n", 32).find("outside of what was allocated") != std::string::npos);
  CHECK(failureOf("\tld.global.b32 %r2, [%rd1+2];\n", 32).find("no multiple") != std::string::npos);
  CHECK(failureOf("\tld.shared.b32 %r2, [rondo_shared+1024];\n", 32).find("of 1024 bytes of shared memory") !=
        std::string::npos);
}

TEST_CASE("lanes that wait for ever are errors") {
  CHECK(failureOf("\tsetp.gt.u32 %p1, %r1, 7;\n\t@%p1 bra out;\n\tbar.sync 0;\nout:\n\tbar.warp.sync -1;\n", 32)
            .find("wait for each other at different places") != std::string::npos);
}

TEST_CASE("products of fragments") {
  // A is 2 everywhere, B is the column's number: lane 4 g + t holds column g, D's columns 2 t and 2 t + 1.
  const auto words = resultOf(R"(
	shr.u32 %r2, %r1, 2;
	cvt.rn.f32.u32 %r3, %r2;
	cvt.rn.bf16x2.f32 %r4, %r3, %r3;
	mov.b32 %r5, 0x40004000;
	mov.b32 %r6, 0f3F000000;
	mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%r7, %r8, %r9, %r10}, {%r5, %r5, %r5, %r5}, {%r4, %r4}, {%r6, %r6, %r6, %r6};
	st.global.b32 [%rd3], %r8;
)",
                              32);
  for (uint32_t lane = 0; lane < 32; ++lane)
    CHECK(std::bit_cast<float>(words[lane]) == float(2 * 16 * (2 * (lane % 4) + 1)) + 0.5f);
}

TEST_CASE("matrices are loaded as fragments and transposed") {
  // Row r of the first matrix holds 8 r to 8 r + 7 in 16 bits; all four matrices are the same one.
  const auto load = [](const std::string &transposed) {
    return resultOf(R"(
	mov.b64 %rd4, rondo_shared;
	shl.b32 %r2, %r1, 1;
	shl.b32 %r3, %r2, 16;
	add.s32 %r3, %r3, 65536;
	or.b32 %r3, %r3, %r2;
	add.s64 %rd5, %rd4, %rd2;
	st.shared.b32 [%rd5], %r3;
	and.b32 %r4, %r1, 7;
	mul.wide.u32 %rd6, %r4, 16;
	add.s64 %rd7, %rd4, %rd6;
	bar.warp.sync -1;
	ldmatrix.sync.aligned.m8n8.x4)" +
                        transposed + R"(.shared.b16 {%r5, %r6, %r7, %r8}, [%rd7];
	st.global.b32 [%rd3], %r8;
)",
                    32);
  };
  const auto plain = load(""), transposed = load(".trans");
  for (uint32_t lane = 0; lane < 32; ++lane) {
    CHECK(plain[lane] == (2 * lane | (2 * lane + 1) << 16));
    const uint32_t row = 2 * (lane % 4), column = lane / 4;
    CHECK(transposed[lane] == (8 * row + column | (8 * (row + 1) + column) << 16));
  }
}

TEST_CASE("blocks of a cluster write each other's memory, and count its bytes") {
  const auto words = resultOf(R"(
	mov.u32 %r2, %ctaid.x;
	xor.b32 %r3, %r2, 1;
	and.b32 %r3, %r3, 1;
	setp.ne.s32 %p1, %r1, 0;
	@%p1 bra ready;
	mov.b32 %r4, 64;
	mbarrier.init.shared::cta.b64 [%r4], 1;
	mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r4], 8;
ready:
	barrier.cluster.arrive.release;
	barrier.cluster.wait.acquire;
	@%p1 bra sent;
	mov.b32 %r5, 0;
	mapa.shared::cluster.u32 %r6, %r5, %r3;
	add.s32 %r7, %r6, 64;
	add.s32 %r8, %r2, 40;
	st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%r6], {%r8, %r8}, [%r7];
sent:
	mov.b32 %r4, 64;
	mov.b32 %r9, 0;
again:
	mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r4], %r9;
	@!%p2 bra again;
	ld.shared.b32 %r10, [rondo_shared+4];
	mul.wide.u32 %rd4, %r2, 4;
	add.s64 %rd5, %rd1, %rd4;
	@%p1 bra out;
	st.global.b32 [%rd5], %r10;
out:
)",
                              64, ".reqnctapercluster 2\n.maxntid 64", 4);
  CHECK(std::vector(words.begin(), words.begin() + 4) == std::vector<uint32_t>{41, 40, 43, 42});
}

TEST_CASE("what is not known is refused where it stands") {
  CHECK_THROWS_WITH(parseModule(kernelOf("\tfrobnicate.b32 %r1;\n")),
                    "PTX line 18: instruction 'frobnicate.b32' is not supported");
  CHECK_THROWS_WITH(parseModule(kernelOf("\tmov.b32 %q1, 0;\n")), "PTX line 18: register '%q1' is not declared");
  CHECK_THROWS_WITH(parseModule(kernelOf("\tbra nowhere;\n")), Catch::Contains("label 'nowhere'"));
}

TEST_CASE("rounding to 16 bits") {
  const auto words = resultOf(R"(
	mov.b32 %r2, 0f3F808000; // 1 + 2^-8: a tie, to even
	mov.b32 %r3, 0f3F818000; // 1 + 3 2^-8: a tie, up
	cvt.rn.bf16x2.f32 %r4, %r2, %r3;
	mov.b32 %r5, 0f477FF000; // 65520 rounds to infinity in f16
	cvt.rn.f16x2.f32 %r6, %r5, %r2;
	st.global.b32 [%rd1], %r4;
	st.global.b32 [%rd1+4], %r6;
)",
                              1);
  CHECK(words[0] == 0x3f803f82);
  CHECK(words[1] == 0x7c003c04);
}

TEST_CASE("conflicts of banks and sectors are counted") {
  const auto of = [](const std::string &body) {
    std::vector<uint32_t> words(64 * 32);
    return execute(kernelOf(body), words, 32);
  };
  // A row of words; then words that are two, and 32 words apart: two and 32 in a bank.
  const std::string store =
      "\tmul.wide.u32 %rd4, %r1, STRIDE;\n\tmov.b64 %rd5, rondo_shared;\n\tadd.s64 %rd6, %rd5, %rd4;\n";
  const auto strided = [&](const std::string &stride, const std::string &access) {
    std::string body = store;
    return of(body.replace(body.find("STRIDE"), 6, stride) + access);
  };
  CHECK(strided("4", "\tst.shared.b32 [%rd6], 0;\n").passes == 1);
  CHECK(strided("8", "\tst.shared.b32 [%rd6], 0;\n").passes == 2);
  CHECK(strided("0", "\tst.shared.b32 [%rd6], 0;\n").passes == 1); // one word for all
  const Counts wide = strided("16", "\tst.shared.v4.b32 [%rd6], {0, 0, 0, 0};\n");
  CHECK(wide.passes == 4);
  CHECK(wide.bestPasses == 4);
  const std::string load =
      "\tmul.wide.u32 %rd4, %r1, STRIDE;\n\tadd.s64 %rd6, %rd1, %rd4;\n\tld.global.b32 %r2, [%rd6];\n";
  const auto sectors = [&](const std::string &stride) {
    std::string body = load;
    return of(body.replace(body.find("STRIDE"), 6, stride));
  };
  CHECK(sectors("4").bestSectors == 4);
  CHECK(sectors("4").sectors <= 5); // memory of a test begins anywhere
  CHECK(sectors("32").sectors == 32);
}

TEST_CASE("instructions of the warp that the others wait for are counted") {
  const auto of = [](const std::string &body) {
    std::vector<uint32_t> words(64);
    return execute(kernelOf(body), words, 64);
  };
  const std::string some = "\tadd.s32 %r4, %r4, 1;\n\tadd.s32 %r4, %r4, 1;\n\tadd.s32 %r4, %r4, 1;\n";
  const std::string start = "\tmov.u32 %r4, 0;\n\tsetp.lt.u32 %p1, %r1, 32;\n";
  const Counts alike = of(start + some + "\tbar.sync 0;\n" + some);
  CHECK(2 * alike.longest == alike.instructions);
  // One warp has work before the barrier, and the other one behind it: each waits for the other.
  const Counts apart =
      of(start + "\t@%p1 bra first;\n" + some + "first:\n\tbar.sync 0;\n\t@!%p1 bra second;\n" + some + "second:\n");
  CHECK(apart.instructions == alike.instructions - 6 + 4);
  CHECK(apart.longest == alike.longest + 2);
}
