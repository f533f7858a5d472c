// The processor that code is generated for.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace rondo::cpu {

struct Machine {
  std::string name;         // LLVM's name of the processor, e.g. "znver3"
  std::string features;     // LLVM's feature string
  int64_t vectorBits = 128; // widest vector registers worth using
  int64_t threads = 1;      // that run at once
};

/// The machine that this process runs on.
const Machine &hostMachine();

/// Any machine of a level: "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4". Nothing for other names.
std::optional<Machine> machineOfLevel(const std::string &level);

} // namespace rondo::cpu
