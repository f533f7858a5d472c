// What an instruction is executed by.
#pragma once
#include <cstdint>
#include <string_view>

namespace rondo::emulator {

struct Warp;
struct Instruction;

enum class Step : uint8_t {
  Next,    // go on with the next instruction
  Jumped,  // to the instruction's target
  Chosen,  // each lane to one of a list's places, by its first operand
  Ended,   // the lanes have come to their end
  Blocked, // nothing was done; others' turn, then again
  Yield,   // done, but what it waits for may need the others' turn
};

/// Executes an instruction for the lanes of a mask.
using Handler = Step (*)(Warp &, const Instruction &, uint32_t mask);

struct Operation {
  Handler run = nullptr;
  bool isCollective = false;
};

/// The handler of an opcode with all its modifiers; none where the emulator does not know it.
Operation findOperation(std::string_view opcode);

} // namespace rondo::emulator
