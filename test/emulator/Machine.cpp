// Turns of warps, memory and its checks. See Machine.h.
#include "test/emulator/Machine.h"
#include <atomic>
#include <cstring>
#include <exception>
#include <fmt/format.h>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

namespace rondo::emulator {
namespace {

constexpr int kTurn = 4096; // instructions before others have their turn, where nothing ends it earlier

std::unique_ptr<Block> makeBlock(Cluster &cluster) {
  const Launch &launch = *cluster.launch;
  const Kernel &kernel = *launch.kernel;
  auto block = std::make_unique<Block>();
  block->cluster = &cluster;
  if (kernel.isWatched)
    block->accesses.resize((launch.sharedBytes + 1) / 2);
  block->warps.resize((launch.threads + 31) / 32);
  block->products.resize((launch.threads + 127) / 128);
  for (Warp &warp : block->warps) {
    warp.block = block.get();
    warp.first = uint32_t(&warp - block->warps.data()) * 32;
    warp.predicates.resize(kernel.registers[size_t(Bank::Predicate)]);
    warp.b16.resize(size_t(kernel.registers[size_t(Bank::B16)]) * 32);
    warp.b32.resize(size_t(kernel.registers[size_t(Bank::B32)]) * 32);
    warp.b64.resize(size_t(kernel.registers[size_t(Bank::B64)]) * 32);
    if (kernel.hasWarpgroups)
      warp.uses.resize(kernel.registers[size_t(Bank::B32)]);
  }
  return block;
}

/// Begins a block anew: one that has run to its end becomes another one of the grid.
void start(Block &block, uint32_t number) {
  const Launch &launch = *block.cluster->launch;
  block.number = number;
  block.shared.assign(launch.sharedBytes, 0xff);
  block.firstEpoch = ++block.epoch;
  for (auto &products : block.products)
    products.clear();
  block.live = uint32_t(block.warps.size());
  block.cluster->live += block.live;
  for (Warp &warp : block.warps) {
    const uint32_t lanes = std::min<uint32_t>(32, launch.threads - warp.first);
    warp.alive = lanes == 32 ? ~0u : (1u << lanes) - 1;
    warp.waiting = warp.at = 0;
    warp.isUniform = true;
    warp.groups.assign(1, {});
    warp.products.assign(1, {});
    warp.issued = 0;
    for (uint32_t lane = 0; lane < 32; ++lane) {
      warp.out<uint32_t>(kTid)[lane] = warp.first + lane;
      warp.out<uint32_t>(kCtaid)[lane] = number;
      warp.out<uint32_t>(kNctaid)[lane] = launch.blocks;
      warp.out<uint32_t>(kNtid)[lane] = launch.threads;
      warp.out<uint32_t>(kLane)[lane] = lane;
    }
  }
}

/// The lanes that go on next, with `at` set to where they are; 0 where all wait for each other at different places.
uint32_t chooseLanes(Warp &warp) {
  if (warp.isUniform)
    return warp.alive;
  const uint32_t free = warp.alive & ~warp.waiting, candidates = free ? free : warp.alive;
  uint32_t lowest = UINT32_MAX, mask = 0;
  for (uint32_t lane = 0; lane < 32; ++lane)
    if ((candidates >> lane) & 1)
      lowest = std::min(lowest, warp.pc[lane]);
  for (uint32_t lane = 0; lane < 32; ++lane)
    mask |= uint32_t(warp.pc[lane] == lowest) << lane;
  mask &= warp.alive;
  warp.at = lowest;
  if (mask == warp.alive) {
    warp.isUniform = true;
    warp.waiting = 0;
  }
  return free || warp.isUniform ? mask : 0;
}

/// Sends `taken` of the lanes at this place to `target`, the others to the next one.
void jump(Warp &warp, uint32_t mask, uint32_t taken, uint32_t target) {
  const uint32_t next = warp.at + 1;
  if (warp.isUniform && (!taken || taken == mask)) {
    warp.at = taken ? target : next;
    return;
  }
  warp.isUniform = false;
  for (uint32_t lane = 0; lane < 32; ++lane)
    if ((mask >> lane) & 1)
      warp.pc[lane] = (taken >> lane) & 1 ? target : next;
}

/// brx.idx: each lane goes where its index says.
void choose(Warp &warp, const Instruction &now, uint32_t mask, uint32_t active) {
  if (warp.isUniform)
    warp.pc.fill(warp.at);
  warp.isUniform = false;
  const uint32_t *index = warp.in<uint32_t>(now.operands[0]);
  for (uint32_t lane = 0; lane < 32; ++lane)
    if ((mask >> lane) & 1)
      warp.pc[lane] = (active >> lane) & 1 ? warp.kernel().targets.at(now.target + index[lane]) : warp.at + 1;
}

void end(Warp &warp, uint32_t lanes) {
  warp.alive &= ~lanes;
  if (warp.alive)
    return;
  if (warp.products.size() > 1 || !warp.products.front().empty())
    warp.fail("the warp ends with products on their way: wgmma.wait_group is missing");
  --warp.block->live;
  --warp.block->cluster->live;
  warp.block->release();
}

/// Runs a warp until it waits, ends, or has had its turn. Returns whether it did anything.
bool takeTurn(Warp &warp) {
  const std::vector<Instruction> &code = warp.kernel().code;
  for (int count = 0; count < kTurn; ++count) {
    const uint32_t mask = chooseLanes(warp);
    if (!mask)
      warp.fail("lanes of a warp wait for each other at different places");
    const Instruction &now = code[warp.at];
    warp.now = &now;
    if (now.isCollective && mask != warp.alive) {
      warp.waiting |= mask;
      continue;
    }
    uint32_t active = mask;
    if (now.guard != UINT32_MAX)
      active &= now.isNegated ? ~warp.predicates[now.guard] : warp.predicates[now.guard];
    if (now.isCollective && active != mask && active)
      warp.fail("a part of a warp's lanes at what all lanes must do");
    warp.epoch += now.isCollective; // what all lanes take part in puts them in order
    if (warp.block->cluster->launch->isCounted)
      warp.block->cluster->counts.add(warp, now, active), ++warp.since;
    if (!warp.uses.empty() && active)
      warp.noteRegisters(now);
    const Step step = active ? now.run(warp, now, active) : Step::Next;
    if (step == Step::Blocked)
      return count > 0;
    if (step == Step::Ended)
      end(warp, active);
    if (!warp.alive)
      return true;
    if (step == Step::Chosen)
      choose(warp, now, mask, active);
    else
      jump(warp, mask & warp.alive, step == Step::Jumped ? active : 0, now.target);
    if (step == Step::Yield || warp.isAtBarrier)
      return true;
  }
  return true;
}

/// Runs blocks that may wait for each other.
void runCluster(Cluster &cluster) {
  while (cluster.live) {
    bool moved = false;
    for (const std::unique_ptr<Block> &block : cluster.blocks)
      for (size_t w = 0; w < block->warps.size(); ++w) {
        Warp &warp = block->warps[block->number % 2 ? block->warps.size() - 1 - w : w];
        if (warp.alive && !warp.isAtBarrier)
          moved |= takeTurn(warp);
      }
    if (!moved)
      cluster.blocks.front()->warps.front().fail("all warps wait for each other");
  }
}

} // namespace

std::pair<uint64_t, uint64_t> Allocations::find(uint64_t address, uint64_t bytes) const {
  auto next = ranges.upper_bound(address);
  if (next == ranges.begin())
    return {0, 0};
  --next;
  return address + bytes <= next->second ? std::pair(next->first, next->second) : std::pair<uint64_t, uint64_t>(0, 0);
}

const Kernel &Warp::kernel() const { return *block->cluster->launch->kernel; }

void Warp::fail(const std::string &what) const {
  throw std::runtime_error(fmt::format("kernel '{}', block {}, warp {}, line {} of the PTX: {}", kernel().name,
                                       block->number, first / 32, now ? now->line : 0, what));
}

uint64_t Warp::address(const AddressOperand &operand, int lane) const {
  const uint64_t base =
      operand.bank == Bank::B64 ? in<uint64_t>(operand.base)[lane] : uint64_t(in<uint32_t>(operand.base)[lane]);
  return base + uint64_t(operand.offset);
}

uint8_t *Warp::global(uint64_t address, uint32_t bytes, bool isWrite) {
  if (address % bytes)
    fail(fmt::format("{} bytes of memory at an address that is no multiple of them", bytes));
  if (block->cluster->launch->isEarly && !hasWaited)
    fail("memory is touched before the launches before this one have ended");
  if (address < range.first || address + bytes > range.second) {
    range = block->cluster->memory->find(address, bytes);
    if (!range.second)
      fail(fmt::format("{} of {} bytes outside of what was allocated", isWrite ? "write" : "read", bytes));
  }
  return reinterpret_cast<uint8_t *>(address);
}

/// Notes an access by a thread; false where another one wrote the same since the last barrier.
static bool note(Access &access, const Block &block, const Warp &warp, uint16_t thread, bool isWrite) {
  const bool isMet = access.writer / 32 == thread / 32 && access.epochOfWarp != warp.epoch;
  if (access.epoch == block.epoch && access.writer != thread && !isMet)
    return false;
  if (isWrite)
    access = {block.epoch, warp.epoch, thread, warp.proxyFences[thread % 32]};
  return true;
}

bool Warp::isOrdered(Access &access, uint16_t thread, bool isWrite, uint32_t byte) const {
  if (note(access, *block, *this, thread, isWrite))
    return true;
  if (isWrite)
    fail(fmt::format("race: threads {} and {} write byte {} of shared memory with no barrier between", access.writer,
                     thread, byte));
  return false;
}

uint8_t *Warp::shared(uint64_t address, uint32_t bytes, bool isWrite, int lane, const void *value) {
  const uint32_t rank = uint32_t(address >> kRankShift), within = uint32_t(address) & ((1u << kRankShift) - 1);
  Cluster &cluster = *block->cluster;
  if (within % bytes)
    fail(fmt::format("{} bytes of shared memory at {}, which is no multiple of them", bytes, within));
  if (rank > kernel().clusterBlocks || address >> 32)
    fail(fmt::format("no shared memory at address {:#x}", address));
  Block &owner = rank ? *cluster.blocks[block->number / kernel().clusterBlocks * kernel().clusterBlocks + rank - 1 -
                                        cluster.blocks.front()->number]
                      : *block;
  if (within + bytes > owner.shared.size())
    fail(fmt::format("{} of {} bytes at {} of {} bytes of shared memory", isWrite ? "write" : "read", bytes, within,
                     owner.shared.size()));
  uint8_t *place = owner.shared.data() + within;
  bool isOrderly = true;
  if (!owner.accesses.empty() && !(isWrite && value && std::memcmp(place, value, bytes) == 0))
    for (uint32_t i = within / 2; i < (within + bytes + 1) / 2; ++i)
      isOrderly &= isOrdered(owner.accesses[i], uint16_t(first + uint32_t(lane)), isWrite, i * 2);
  static std::array<uint8_t, 16> garbage = [] {
    std::array<uint8_t, 16> made;
    made.fill(0xff);
    return made;
  }();
  return isOrderly ? place : garbage.data();
}

void Warp::finishCopies(size_t left) {
  while (groups.size() > left + 1) {
    for (const Copy &copy : groups.front()) {
      uint8_t *to = shared(copy.to, copy.size, true, int(copy.thread - first));
      if (copy.bytes)
        std::memcpy(to, reinterpret_cast<const uint8_t *>(copy.from), copy.bytes);
      std::memset(to + copy.bytes, 0, copy.size - copy.bytes);
    }
    groups.erase(groups.begin());
  }
}

void Block::countLongest() {
  uint64_t most = 0;
  for (Warp &warp : warps)
    most = std::max(most, std::exchange(warp.since, 0));
  cluster->counts.longest += most;
}

void Block::release() {
  if (!live)
    countLongest();
  if (!live || arrived < live)
    return;
  arrived = 0;
  ++epoch;
  for (Warp &warp : warps)
    warp.isAtBarrier = false;
  countLongest();
}

Counts run(const Launch &launch, const Allocations &memory) {
  const uint32_t together = launch.isCooperative ? launch.blocks : launch.kernel->clusterBlocks;
  std::atomic<uint32_t> next = 0;
  std::exception_ptr failure;
  Counts counts;
  std::mutex mutex;
  const auto work = [&] {
    try {
      Cluster cluster;
      cluster.launch = &launch;
      cluster.memory = &memory;
      for (uint32_t i = 0; i < together; ++i)
        cluster.blocks.push_back(makeBlock(cluster));
      for (uint32_t begin; (begin = next.fetch_add(together)) < launch.blocks;) {
        for (uint32_t i = 0; i < together; ++i)
          start(*cluster.blocks[i], begin + i);
        runCluster(cluster);
      }
      const std::lock_guard lock(mutex);
      counts.add(cluster.counts);
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
      next = launch.blocks;
    }
  };
  std::vector<std::jthread> threads(
      std::min(launch.blocks / together, std::max(1u, std::thread::hardware_concurrency())) - 1);
  for (std::jthread &thread : threads)
    thread = std::jthread(work);
  work();
  threads.clear();
  if (failure)
    std::rethrow_exception(failure);
  return counts;
}

} // namespace rondo::emulator
