// Counting. See Counts.h.
#include "test/emulator/Counts.h"
#include "test/emulator/Machine.h"
#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace rondo::emulator {
namespace {

constexpr uint32_t kBanks = 32, kWord = 4, kSector = 32;

/// Passes that lanes need who access `bytes` bytes each: as many lanes at once as move 128 bytes, and the words of a bank one after another.
uint64_t passesOf(const Warp &warp, const AddressOperand &address, uint32_t bytes, uint32_t mask) {
  const uint32_t together = std::min(32u, kBanks * kWord / std::max(bytes, kWord));
  uint64_t passes = 0;
  for (uint32_t first = 0; first < 32; first += together) {
    std::vector<uint64_t> words;
    for (uint32_t lane = first; lane < first + together; ++lane)
      for (uint32_t at = 0; (mask >> lane & 1) && at < bytes; at += kWord)
        words.push_back((warp.address(address, int(lane)) + at) / kWord);
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    std::array<uint64_t, kBanks> ofBank = {};
    for (const uint64_t word : words)
      ++ofBank[word % kBanks];
    passes += *std::max_element(ofBank.begin(), ofBank.end());
  }
  return passes;
}

uint64_t bestPassesOf(uint32_t bytes, uint32_t mask) {
  const uint32_t together = std::min(32u, kBanks * kWord / std::max(bytes, kWord));
  uint64_t passes = 0;
  for (uint32_t first = 0; first < 32; first += together)
    passes += (mask >> first & (together == 32 ? ~0u : (1u << together) - 1)) != 0;
  return passes;
}

uint64_t sectorsOf(const Warp &warp, const AddressOperand &address, uint32_t bytes, uint32_t mask) {
  std::vector<uint64_t> sectors;
  for (uint32_t lane = 0; lane < 32; ++lane)
    for (uint32_t at = 0; (mask >> lane & 1) && at < bytes; at += std::min(bytes, kSector))
      sectors.push_back((warp.address(address, int(lane)) + at) / kSector);
  std::sort(sectors.begin(), sectors.end());
  return uint64_t(std::unique(sectors.begin(), sectors.end()) - sectors.begin());
}

} // namespace

TrafficKind trafficOf(std::string_view opcode) {
  if (opcode.starts_with("mma."))
    return {Traffic::Product, 0};
  if (opcode.starts_with("wgmma.mma_async"))
    return {Traffic::GroupProduct, opcode.ends_with(".f16") ? 1u : 0u};
  if (opcode == "bar.sync" || opcode == "barrier.sync")
    return {Traffic::Barrier, 0};
  if (opcode.starts_with("ldmatrix") || opcode.starts_with("stmatrix"))
    return {Traffic::Matrices, 16};
  if (opcode.starts_with("cp.async.c") && opcode.ends_with("global"))
    return {Traffic::Copy, 16};
  const bool isMove = opcode.starts_with("ld.") || opcode.starts_with("st.");
  if (!isMove || opcode.find(".param") != std::string_view::npos)
    return {};
  uint32_t bits = 0;
  const std::string_view type = opcode.substr(opcode.rfind('.') + 2);
  std::from_chars(type.data(), type.data() + type.size(), bits);
  const uint32_t count = opcode.find(".v4.") != std::string_view::npos   ? 4
                         : opcode.find(".v2.") != std::string_view::npos ? 2
                                                                         : 1;
  return {opcode.find("shared") != std::string_view::npos ? Traffic::Shared : Traffic::Global, count * bits / 8};
}

void Counts::add(const Warp &warp, const Instruction &now, uint32_t mask) {
  ++instructions;
  products += now.traffic.traffic == Traffic::Product;
  barriers += now.traffic.traffic == Traffic::Barrier;
  const uint32_t bytes = now.traffic.bytes;
  switch (now.traffic.traffic) {
  case Traffic::Matrices: // eight lanes give the rows of each
    mask = now.count == 4 ? ~0u : (1u << (8 * now.count)) - 1;
    [[fallthrough]];
  case Traffic::Shared: {
    const uint64_t needed = passesOf(warp, now.addresses[0], bytes, mask), best = bestPassesOf(bytes, mask);
    ++sharedAccesses;
    passes += needed;
    bestPasses += best;
    if (needed > best)
      conflicts[now.line] += needed - best;
    break;
  }
  case Traffic::
      GroupProduct: { // m64nNk16: a warp has 16 rows; B, and A where it lies in memory, are read once for four warps
    const bool isAInMemory = now.count % 4 == 3;
    const uint64_t columns = 2 * uint64_t(now.count - (isAInMemory ? 7 : 9));
    products += columns / 8;
    if (warp.first / 32 % 4 == 0) {
      ++sharedAccesses;
      passes += columns / 4 + (isAInMemory ? 16 : 0);
      bestPasses += columns / 4 + (isAInMemory ? 16 : 0);
    }
    break;
  }
  case Traffic::Copy:
  case Traffic::Global:
    ++globalAccesses;
    sectors += sectorsOf(warp, now.addresses[now.traffic.traffic == Traffic::Copy], bytes, mask);
    bestSectors += (uint64_t(__builtin_popcount(mask)) * bytes + kSector - 1) / kSector;
    break;
  default:
    break;
  }
}

void Counts::add(const Counts &other) {
  instructions += other.instructions;
  longest += other.longest;
  products += other.products;
  barriers += other.barriers;
  sharedAccesses += other.sharedAccesses;
  passes += other.passes;
  bestPasses += other.bestPasses;
  globalAccesses += other.globalAccesses;
  sectors += other.sectors;
  bestSectors += other.bestSectors;
  for (const auto &[line, many] : other.conflicts)
    conflicts[line] += many;
}

std::string Counts::worstConflicts(size_t most) const {
  std::vector<std::pair<uint64_t, uint32_t>> sorted;
  for (const auto &[line, many] : conflicts)
    sorted.emplace_back(many, line);
  std::sort(sorted.rbegin(), sorted.rend());
  std::string text;
  for (size_t i = 0; i < std::min(most, sorted.size()); ++i)
    text += fmt::format("    PTX line {}: {} passes too many\n", sorted[i].second, sorted[i].first);
  return text;
}

std::string Counts::text() const {
  return fmt::format("{} instructions ({} of the longest warps), {} products, {} barriers, shared memory {} accesses "
                     "in {} passes ({} at best), memory {} "
                     "accesses of {} sectors ({} at best)",
                     instructions, longest, products, barriers, sharedAccesses, passes, bestPasses, globalAccesses,
                     sectors, bestSectors);
}

} // namespace rondo::emulator
