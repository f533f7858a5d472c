// A parsed PTX module: what the emulator runs. The grammar is that of the PTX ISA manual, as far as LLVM's NVPTX back end and Rondo's
// own inline assembly write it; anything else is an error that names the line.
#pragma once
#include "test/emulator/Counts.h"
#include "test/emulator/Handler.h"
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace rondo::emulator {

/// What registers of one size are kept in. Floats and integers share a bank.
enum class Bank : uint8_t { Predicate, B16, B32, B64 };

/// Operands with this bit are constants of the kernel, the others registers of the warp.
constexpr uint32_t kConstant = 1u << 31;

/// A constant in each size, once a lane, so that it is read as a register is.
struct Constant {
  std::array<uint16_t, 32> b16;
  std::array<uint32_t, 32> b32;
  std::array<uint64_t, 32> b64;
};

struct AddressOperand {
  uint32_t base = kConstant; // constant 0 is zero
  Bank bank = Bank::B64;
  int64_t offset = 0;
};

struct Instruction {
  Handler run = nullptr;
  bool isCollective = false; // all lanes of the warp take part at once
  bool isNegated = false;
  uint32_t guard = UINT32_MAX; // the predicate before the instruction
  uint32_t target = 0;         // of a branch; of brx.idx: where its list begins
  uint32_t line = 0;
  std::array<uint32_t, 16> operands =
      {};                          // vectors are laid out one element after another; addresses are not among them
  std::array<Bank, 16> banks = {}; // of registers
  std::vector<uint32_t> more;      // operands behind those: wgmma has up to 137
  std::array<AddressOperand, 2> addresses = {}; // in the order of the text
  int count = 0;
  int results = 0; // operands that are written, the first ones
  TrafficKind traffic;

  uint32_t operand(size_t i) const { return i < operands.size() ? operands[i] : more[i - operands.size()]; }
};

struct Parameter {
  std::string name;
  uint32_t offset = 0, bytes = 0;
};

/// Special registers, which every warp sets when it starts. The order is that of their 32-bit registers.
enum Special : uint32_t { kTid, kCtaid, kNctaid, kNtid, kLane, kSpecials };

struct Kernel {
  std::string name;
  std::vector<Parameter> parameters;
  uint32_t parameterBytes = 0;
  uint32_t clusterBlocks = 1;
  bool isWatched = true;      // for races: neither mbarriers nor clusters order its accesses
  bool hasWarpgroups = false; // wgmma: who uses which register when is watched
  std::array<uint32_t, 4> registers = {0, 0, kSpecials, 0}; // how many, by bank
  std::vector<Instruction> code;
  std::vector<uint32_t> targets; // the lists of all brx.idx
  std::vector<Constant> constants;
};

struct Module {
  std::map<std::string, Kernel> kernels;
  std::map<std::string, std::vector<uint8_t>> globals; // whose addresses kernels have as constants
};

/// Parses a module. Throws std::runtime_error with the line and what is wrong there.
Module parseModule(std::string_view text);

} // namespace rondo::emulator
