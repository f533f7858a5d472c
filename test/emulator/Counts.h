// What a launch did, in the units that a GPU's time goes by: instructions of warps, products, passes through shared memory, sectors of memory.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace rondo::emulator {

struct Warp;
struct Instruction;

/// What an instruction moves data through.
enum class Traffic : uint8_t { None, Product, GroupProduct, Barrier, Matrices, Shared, Global, Copy };

/// `bytes` is what one lane moves at once.
struct TrafficKind {
  Traffic traffic = Traffic::None;
  uint32_t bytes = 0;
};
TrafficKind trafficOf(std::string_view opcode);

struct Counts {
  uint64_t instructions = 0; // of warps
  uint64_t longest = 0;      // of those between two barriers, of the warp that has most: what the others wait for
  uint64_t products = 0;     // mma.sync; of wgmma, what a warp has of it in units of mma.sync's 16 x 8 x 16
  uint64_t barriers = 0;     // of a block, once a warp
  /// A pass moves at most one 4-byte word of each of the 32 banks; `bestPasses` are those without conflicts.
  uint64_t sharedAccesses = 0, passes = 0, bestPasses = 0;
  /// Sectors are 32 bytes; `bestSectors` are those that hold as many bytes as the lanes move.
  uint64_t globalAccesses = 0, sectors = 0, bestSectors = 0;

  std::map<uint32_t, uint64_t> conflicts; // passes beyond the best, by line of the PTX

  void add(const Warp &warp, const Instruction &instruction, uint32_t mask);
  void add(const Counts &other);
  /// "12 instructions, ..."
  std::string text() const;
  /// "PTX line 7: 12 passes too many", the worst first; empty where there are none.
  std::string worstConflicts(size_t most) const;
};

} // namespace rondo::emulator
