// Host detection through LLVM. See Machine.h.
#include "compiler/Target/CPU/Machine.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"
#include <algorithm>
#include <thread>

using namespace rondo::cpu;

static Machine detect() {
  Machine machine;
  machine.name = llvm::sys::getHostCPUName().str();
  llvm::SubtargetFeatures features;
  llvm::StringMap<bool> flags = llvm::sys::getHostCPUFeatures();
  for (const auto &flag : flags)
    features.AddFeature(flag.first(), flag.second);
  machine.features = features.getString();
  if (flags.lookup("avx512f") && flags.lookup("avx512vl"))
    machine.vectorBits = 512;
  else if (flags.lookup("avx2"))
    machine.vectorBits = 256;
  machine.threads = std::max(1u, std::thread::hardware_concurrency());
  return machine;
}

const Machine &rondo::cpu::hostMachine() {
  static const Machine machine = detect();
  return machine;
}

std::optional<Machine> rondo::cpu::machineOfLevel(const std::string &level) {
  constexpr int64_t manyThreads = 64; // so that kernels are made that use them where they are there
  if (level == "x86-64" || level == "x86-64-v2")
    return Machine{level, "", 128, manyThreads};
  if (level == "x86-64-v3")
    return Machine{level, "", 256, manyThreads};
  if (level == "x86-64-v4")
    return Machine{level, "", 512, manyThreads};
  return std::nullopt;
}
