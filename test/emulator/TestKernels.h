// Kernels of a few lines for tests of the emulator.
#pragma once
#include "test/emulator/Machine.h"
#include <cstring>

namespace rondo::emulator {

/// A kernel with one parameter, a pointer that it has in %rd1, and its thread in %r1 and, times four, in %rd2.
inline std::string kernelOf(const std::string &body, const std::string &directives = ".maxntid 64") {
  return R"(.version 8.1
.target sm_90a
.address_size 64
.extern .shared .align 128 .b8 rondo_shared[];
.visible .entry tested(
	.param .u64 .ptr .align 1 tested_param_0
)
)" + directives +
         R"(
{
	.reg .pred %p<8>;
	.reg .b16 %rs<16>;
	.reg .b32 %r<64>;
	.reg .b64 %rd<16>;
	ld.param.b64 %rd1, [tested_param_0];
	mov.u32 %r1, %tid.x;
	mul.wide.u32 %rd2, %r1, 4;
	add.s64 %rd3, %rd1, %rd2; // of the thread's word in memory
)" + body +
         "\tret;\n}\n";
}

/// Runs a kernel on words, which it may change.
inline Counts execute(const std::string &text, std::vector<uint32_t> &words, uint32_t threads, uint32_t blocks = 1,
                      uint32_t sharedBytes = 1024) {
  const Module module = parseModule(text);
  Launch launch{&module.kernels.at("tested"), blocks, threads, sharedBytes, false, false, true,
                std::vector<uint8_t>(8)};
  const auto address = reinterpret_cast<uint64_t>(words.data());
  std::memcpy(launch.parameters.data(), &address, 8);
  Allocations memory;
  memory.add(address, words.size() * 4);
  return run(launch, memory);
}

inline std::vector<uint32_t> resultOf(const std::string &body, uint32_t threads,
                                      const std::string &directives = ".maxntid 64", uint32_t blocks = 1) {
  std::vector<uint32_t> words(64);
  execute(kernelOf(body, directives), words, threads, blocks);
  return words;
}

inline std::string failureOf(const std::string &body, uint32_t threads) {
  try {
    resultOf(body, threads);
  } catch (const std::runtime_error &error) {
    return error.what();
  }
  return "";
}

} // namespace rondo::emulator
