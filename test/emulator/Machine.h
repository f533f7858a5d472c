// Warps, blocks and clusters, and how they take turns. A warp's 32 lanes go in lockstep as far as they agree where they are; lanes that
// parted go on at the lowest place first, and meet again at the latest where an instruction wants all of them.
//
// What a GPU does at some time of its own choosing is done here at the latest moment that the program allows: a cp.async moves its bytes when it is
// waited for. What is read too early is garbage then: shared memory begins as NaN in every float type.
//
// Shared memory is watched: two writes of different values to one place by two threads with no barrier in between are an error, and a
// read of what another thread has just written gives NaN. So does a read that comes before such a write in some other block: odd blocks take
// their warps in reverse. (It is no error by itself, since threads beyond the end of a row read what others write, and throw it away.) What
// all lanes of a warp take part in orders them among each other.
// Kernels with mbarriers or clusters are not watched: those order single accesses.
#pragma once
#include "test/emulator/Ptx.h"
#include <functional>
#include <memory>
#include <stdexcept>

namespace rondo::emulator {

struct Block;
struct Cluster;
struct Access;

/// Ranges of memory that a kernel may touch.
class Allocations {
public:
  void add(uint64_t begin, uint64_t bytes) { ranges[begin] = begin + bytes; }
  void remove(uint64_t begin) { ranges.erase(begin); }
  /// The range that holds these bytes; {0, 0} where none does.
  std::pair<uint64_t, uint64_t> find(uint64_t address, uint64_t bytes) const;

private:
  std::map<uint64_t, uint64_t> ranges; // begin to end
};

struct Launch {
  const Kernel *kernel = nullptr;
  uint32_t blocks = 0, threads = 0, sharedBytes = 0;
  bool isCooperative = false;
  bool isEarly = false; // memory is not to be touched before griddepcontrol.wait
  bool isCounted = false;
  std::vector<uint8_t> parameters; // laid out as the kernel's parameters are
};

/// Runs a launch to its end on as many threads as the machine has cores; what it did, where it is counted. Throws std::runtime_error with kernel, line of the PTX and
/// cause: an access outside of memory, a race, lanes or warps that wait for each other for ever.
Counts run(const Launch &launch, const Allocations &memory);

/// A cp.async that was issued and has not been waited for.
struct Copy {
  uint32_t to = 0, bytes = 0, size = 0; // `size` bytes are written: `bytes` from memory, zeros behind them
  uint64_t from = 0;
  uint32_t thread = 0;
};

/// A wgmma that was issued: what it adds up is in its registers when it is waited for, and what it reads is read then.
struct GroupProduct {
  const Instruction *instruction = nullptr;
  uint64_t a = 0, b = 0;           // descriptors of what lies in shared memory; `a` where A does
  bool adds = true;                // to what the accumulators were
  std::vector<uint32_t> fragments; // of A where it lies in registers, as they were: 4 of 32 lanes
};

/// Who uses a register when, counted in instructions of a warp, and by what products it is taken.
struct RegisterUse {
  uint64_t touched = 0, written = 0;
  uint16_t columns = 0; // of the products on their way whose accumulator it is; 0 where it is none
};

struct Warp {
  Block *block = nullptr;
  const Instruction *now = nullptr;
  uint32_t first = 0; // its first thread in the block
  uint32_t alive = 0, waiting = 0;
  bool isUniform = true, isAtBarrier = false, hasWaited = false; // for the launches before this one
  uint32_t at = 0;                                               // where all lanes are, while they agree
  std::array<uint32_t, 32> pc = {};                              // where each is, otherwise
  uint32_t epoch = 0;                                            // how often all lanes met so far
  uint64_t arrivals = 0;                                         // at the cluster's barrier
  uint64_t since = 0; // instructions since the block's last barrier, where they are counted
  std::vector<uint32_t> predicates;
  std::vector<uint16_t> b16;
  std::vector<uint32_t> b32;
  std::vector<uint64_t> b64;
  std::vector<std::vector<Copy>> groups = {{}};           // of asynchronous copies; the last one is open
  std::pair<uint64_t, uint64_t> range = {0, 0};           // of memory that was touched last
  std::vector<std::vector<GroupProduct>> products = {{}}; // wgmma, in groups as copies are
  std::vector<RegisterUse> uses;                          // of b32 registers, in kernels that have wgmma
  uint64_t clock = 0, fenced = 0;                         // instructions so far, and at the last wgmma.fence
  size_t issued = 0;                                      // wgmma so far
  std::array<uint16_t, 32> proxyFences = {};              // fence.proxy.async so far, by lane

  template <class T> const T *in(uint32_t operand) const;
  template <class T> T *out(uint32_t operand);
  uint64_t address(const AddressOperand &operand, int lane) const;
  /// Host addresses of `bytes` bytes of global memory, or of shared memory; an error where there are none.
  uint8_t *global(uint64_t address, uint32_t bytes, bool isWrite);
  /// Two writes of the same `value` do not race.
  uint8_t *shared(uint64_t address, uint32_t bytes, bool isWrite, int lane, const void *value = nullptr);
  /// False where a thread's read of two bytes races with a write. Fails where a write races.
  bool isOrdered(Access &access, uint16_t thread, bool isWrite, uint32_t byte) const;
  /// Moves what the oldest groups of copies still owe, all but `left` closed ones.
  void finishCopies(size_t left);
  /// Does what the oldest groups of products still owe, all but `left` closed ones.
  void finishProducts(size_t left);
  /// Notes that an instruction uses its registers; fails where products have them.
  void noteRegisters(const Instruction &instruction);
  [[noreturn]] void fail(const std::string &what) const;
  const Kernel &kernel() const;
};

/// Who wrote two bytes of shared memory last, for the search for races.
struct Access {
  uint64_t epoch = 0; // of the block
  uint32_t epochOfWarp = 0;
  uint16_t writer = 0;      // thread
  uint16_t proxyFences = 0; // the writer's so far
};

struct Block {
  Cluster *cluster = nullptr;
  uint32_t number = 0;
  std::vector<uint8_t> shared;
  std::vector<Access> accesses; // empty: not watched
  uint64_t epoch = 1;           // barriers so far, and one
  uint64_t firstEpoch = 1;      // of this block of the grid
  /// By warpgroup: line and descriptor of each wgmma, which its four warps issue alike.
  std::vector<std::vector<std::pair<uint32_t, uint64_t>>> products;
  std::vector<Warp> warps;
  uint32_t live = 0, arrived = 0; // warps that have not ended, and those at the barrier
  void release();
  void countLongest();
};

struct Cluster {
  const Launch *launch = nullptr;
  const Allocations *memory = nullptr;
  std::vector<std::unique_ptr<Block>> blocks;
  uint32_t live = 0; // warps that have not ended
  Counts counts;
};

/// Shared memory of a cluster's other blocks: a block's number in the cluster and one, above the bits of an address of its own.
constexpr uint32_t kRankShift = 24;

template <> inline const uint16_t *Warp::in(uint32_t o) const {
  return o & kConstant ? kernel().constants[o ^ kConstant].b16.data() : &b16[size_t(o) * 32];
}
template <> inline const uint32_t *Warp::in(uint32_t o) const {
  return o & kConstant ? kernel().constants[o ^ kConstant].b32.data() : &b32[size_t(o) * 32];
}
template <> inline const uint64_t *Warp::in(uint32_t o) const {
  return o & kConstant ? kernel().constants[o ^ kConstant].b64.data() : &b64[size_t(o) * 32];
}
template <> inline uint16_t *Warp::out(uint32_t o) { return &b16[size_t(o) * 32]; }
template <> inline uint32_t *Warp::out(uint32_t o) { return &b32[size_t(o) * 32]; }
template <> inline uint64_t *Warp::out(uint32_t o) { return &b64[size_t(o) * 32]; }

} // namespace rondo::emulator
