// Loads, stores, atomics, asynchronous copies, and the barriers in shared memory that count bytes.
#include "test/emulator/Operations.h"
#include <atomic>
#include <cstring>

namespace rondo::emulator {
namespace {

/// An opcode in parts: "ld", "global", "v4", "b32".
std::vector<std::string_view> split(std::string_view opcode) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= opcode.size();) {
    const size_t end = std::min(opcode.find('.', begin), opcode.size());
    parts.push_back(opcode.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

enum class Space { Global, Shared, Parameter };

template <class T> const T *lanesOf(const Warp &warp, const Instruction &i, size_t operand) {
  return read<T>(warp, i.operands[operand]);
}

/// A loaded value goes to the low bits of its register, which may be larger; the others become zero.
void put(Warp &warp, const Instruction &i, size_t operand, int lane, uint64_t value) {
  switch (i.banks[operand]) {
  case Bank::B64:
    write<uint64_t>(warp, i.operands[operand])[lane] = value;
    return;
  case Bank::B32:
    write<uint32_t>(warp, i.operands[operand])[lane] = uint32_t(value);
    return;
  default:
    write<uint16_t>(warp, i.operands[operand])[lane] = uint16_t(value);
  }
}

/// What is stored of a register: the low bits.
uint64_t take(const Warp &warp, const Instruction &i, size_t operand, int lane) {
  if (i.banks[operand] == Bank::B64 || i.operands[operand] & kConstant)
    return lanesOf<uint64_t>(warp, i, operand)[lane];
  return i.banks[operand] == Bank::B32 ? lanesOf<uint32_t>(warp, i, operand)[lane]
                                       : lanesOf<uint16_t>(warp, i, operand)[lane];
}

template <class T, Space space> Step load(Warp &warp, const Instruction &i, uint32_t mask) {
  const auto bytes = uint32_t(sizeof(T)) * uint32_t(i.count);
  forLanes(mask, [&](int lane) {
    const uint64_t address = warp.address(i.addresses[0], lane);
    const uint8_t *from = space == Space::Global   ? warp.global(address, bytes, false)
                          : space == Space::Shared ? warp.shared(address, bytes, false, lane)
                                                   : warp.block->cluster->launch->parameters.data() + address;
    for (int n = 0; n < i.count; ++n) {
      T value;
      std::memcpy(&value, from + sizeof(T) * size_t(n), sizeof(T));
      put(warp, i, size_t(n), lane, value);
    }
  });
  return Step::Next;
}

/// What others may be writing at the same time: they have their turn before it is read again.
template <class T> Step poll(Warp &warp, const Instruction &i, uint32_t mask) {
  load<T, Space::Global>(warp, i, mask);
  return Step::Yield;
}

template <class T, Space space> Step store(Warp &warp, const Instruction &i, uint32_t mask) {
  const auto bytes = uint32_t(sizeof(T)) * uint32_t(i.count);
  forLanes(mask, [&](int lane) {
    const uint64_t address = warp.address(i.addresses[0], lane);
    std::array<T, 4> values;
    for (size_t n = 0; n < size_t(i.count); ++n)
      values[n] = T(take(warp, i, n, lane));
    uint8_t *to = space == Space::Global ? warp.global(address, bytes, true)
                                         : warp.shared(address, bytes, true, lane, values.data());
    std::memcpy(to, values.data(), bytes);
  });
  return Step::Next;
}

/// atom and red on floats and integers in global memory: one lane after another.
template <class T, bool hasResult> Step addAtomically(Warp &warp, const Instruction &i, uint32_t mask) {
  forLanes(mask, [&](int lane) {
    auto *place = reinterpret_cast<T *>(warp.global(warp.address(i.addresses[0], lane), sizeof(T), true));
    const T old = std::atomic_ref(*place).fetch_add(lanesOf<T>(warp, i, hasResult)[lane]);
    if (hasResult)
      write<T>(warp, i.operands[0])[lane] = old;
  });
  return Step::Yield;
}

/// cp.async.<cache>.shared.global [to], [from], size[, bytes]
Step copy(Warp &warp, const Instruction &i, uint32_t mask) {
  forLanes(mask, [&](int lane) {
    Copy made;
    made.to = uint32_t(warp.address(i.addresses[0], lane));
    made.size = lanesOf<uint32_t>(warp, i, 0)[lane];
    made.bytes = i.count > 1 ? lanesOf<uint32_t>(warp, i, 1)[lane] : made.size;
    made.from = warp.address(i.addresses[1], lane);
    made.thread = warp.first + uint32_t(lane);
    if (made.bytes)
      warp.global(made.from, made.bytes == made.size ? made.size : 1, false); // whole ones at multiples of their size
    if (made.bytes != made.size && made.bytes)
      warp.global(made.from + made.bytes - 1, 1, false);
    warp.shared(made.to, made.size, true, lane); // the place is taken from now on
    warp.groups.back().push_back(made);
  });
  return Step::Next;
}

/// A barrier of ours, in the 8 bytes that the hardware's takes: arrivals that are left in this phase, those of a phase, bytes that are
/// still to come, and the number of the phase.
struct Mbarrier {
  uint16_t left, count;
  int32_t bytes : 31;
  uint32_t phase : 1;
  void settle() {
    if (left == 0 && bytes == 0) {
      left = count;
      phase ^= 1u;
    }
  }
};
static_assert(sizeof(Mbarrier) == 8);

Mbarrier &barrierAt(Warp &warp, const AddressOperand &operand, int lane) {
  return *reinterpret_cast<Mbarrier *>(warp.shared(warp.address(operand, lane), 8, true, lane));
}

Step initialiseBarrier(Warp &warp, const Instruction &i, uint32_t mask) {
  forLanes(mask, [&](int lane) {
    const auto count = uint16_t(lanesOf<uint32_t>(warp, i, 0)[lane]);
    barrierAt(warp, i.addresses[0], lane) = {count, count, 0, 0};
  });
  return Step::Next;
}

/// mbarrier.arrive.expect_tx _, [barrier], bytes
Step arriveExpecting(Warp &warp, const Instruction &i, uint32_t mask) {
  forLanes(mask, [&](int lane) {
    Mbarrier &barrier = barrierAt(warp, i.addresses[0], lane);
    barrier.bytes += int32_t(lanesOf<uint32_t>(warp, i, 1)[lane]);
    --barrier.left;
    barrier.settle();
  });
  return Step::Next;
}

/// mbarrier.try_wait.parity done, [barrier], parity: whether the phase of that parity is over.
Step tryWait(Warp &warp, const Instruction &i, uint32_t mask) {
  uint32_t &done = warp.predicates[i.operands[0]];
  forLanes(mask, [&](int lane) {
    const bool isOver = barrierAt(warp, i.addresses[0], lane).phase != (lanesOf<uint32_t>(warp, i, 1)[lane] & 1);
    done = (done & ~(1u << lane)) | uint32_t(isOver) << lane;
  });
  return (done & mask) == mask ? Step::Next : Step::Yield;
}

/// st.async [to], {values}, [barrier]: the bytes arrive at once here, and are counted.
Step storeAsynchronously(Warp &warp, const Instruction &i, uint32_t mask) {
  store<uint32_t, Space::Shared>(warp, i, mask);
  forLanes(mask, [&](int lane) {
    Mbarrier &barrier = barrierAt(warp, i.addresses[1], lane);
    barrier.bytes -= 4 * i.count;
    barrier.settle();
  });
  return Step::Next;
}

/// mapa: the address of the same place in another block of the cluster.
Step mapToBlock(Warp &warp, const Instruction &i, uint32_t mask) {
  uint32_t *out = write<uint32_t>(warp, i.operands[0]);
  const uint32_t *address = read<uint32_t>(warp, i.operands[1]), *rank = read<uint32_t>(warp, i.operands[2]);
  forLanes(mask,
           [&](int lane) { out[lane] = (address[lane] & ((1u << kRankShift) - 1)) | (rank[lane] + 1) << kRankShift; });
  return Step::Next;
}

Step nothing(Warp &, const Instruction &, uint32_t) { return Step::Next; }

/// What lanes have written to shared memory may be read by wgmma from now on, behind a barrier.
Step fenceProxy(Warp &warp, const Instruction &, uint32_t mask) {
  forLanes(mask, [&](int lane) { ++warp.proxyFences[size_t(lane)]; });
  return Step::Next;
}

template <template <class> class Move> Handler bySize(std::string_view type) {
  if (type.ends_with("64"))
    return Move<uint64_t>::run;
  if (type.ends_with("32"))
    return Move<uint32_t>::run;
  if (type.ends_with("16"))
    return Move<uint16_t>::run;
  return type.ends_with("8") ? Move<uint8_t>::run : nullptr;
}

template <class T> struct LoadGlobal {
  static constexpr Handler run = &load<T, Space::Global>;
};
template <class T> struct LoadShared {
  static constexpr Handler run = &load<T, Space::Shared>;
};
template <class T> struct LoadParameter {
  static constexpr Handler run = &load<T, Space::Parameter>;
};
template <class T> struct Poll {
  static constexpr Handler run = &poll<T>;
};
template <class T> struct StoreGlobal {
  static constexpr Handler run = &store<T, Space::Global>;
};
template <class T> struct StoreShared {
  static constexpr Handler run = &store<T, Space::Shared>;
};

Handler findAtomic(bool hasResult, std::string_view type) {
  if (type == "f32")
    return hasResult ? &addAtomically<float, true> : &addAtomically<float, false>;
  if (type == "u32" || type == "s32")
    return hasResult ? &addAtomically<uint32_t, true> : &addAtomically<uint32_t, false>;
  return nullptr;
}

} // namespace

Operation findMemoryOperation(std::string_view opcode) {
  const std::vector<std::string_view> parts = split(opcode);
  const auto has = [&](std::string_view part) { return std::find(parts.begin(), parts.end(), part) != parts.end(); };
  const std::string_view kind = parts.front(), type = parts.back();
  const bool isShared = has("shared") || has("shared::cta") || has("shared::cluster");
  if (opcode == "fence.proxy.async" || opcode == "fence.proxy.async.shared::cta")
    return {&fenceProxy};
  if (kind == "fence" || opcode == "cp.async.wait_all")
    return {kind == "fence" ? &nothing : nullptr};
  if (kind == "mapa" && isShared && type == "u32")
    return {&mapToBlock};
  if (opcode == "mbarrier.init.shared::cta.b64")
    return {&initialiseBarrier};
  if (opcode == "mbarrier.arrive.expect_tx.shared::cta.b64")
    return {&arriveExpecting};
  if (opcode == "mbarrier.try_wait.parity.shared::cta.b64")
    return {&tryWait};
  if (kind == "st" && has("async") && type.ends_with("32"))
    return {&storeAsynchronously};
  if (opcode == "cp.async.ca.shared.global" || opcode == "cp.async.cg.shared.global")
    return {&copy};
  if ((kind == "atom" || kind == "red") && has("global") && has("add"))
    return {findAtomic(kind == "atom", type)};
  if (kind == "ld" && (has("relaxed") || has("acquire") || has("volatile")) && has("global"))
    return {bySize<Poll>(type)};
  if (kind == "ld")
    return {isShared        ? bySize<LoadShared>(type)
            : has("param")  ? bySize<LoadParameter>(type)
            : has("global") ? bySize<LoadGlobal>(type)
                            : nullptr};
  if (kind == "st")
    return {isShared ? bySize<StoreShared>(type) : has("global") ? bySize<StoreGlobal>(type) : nullptr};
  return {};
}

Operation findOperation(std::string_view opcode) {
  static const Table table = [] {
    Table made;
    addIntegers(made);
    addFloats(made);
    addComparisons(made);
    addConversions(made);
    addCollectives(made);
    addWarpgroups(made);
    const Handler jump = [](Warp &, const Instruction &, uint32_t) { return Step::Jumped; };
    made["bra"] = made["bra.uni"] = {jump};
    made["brx.idx"] = {[](Warp &, const Instruction &, uint32_t) { return Step::Chosen; }};
    made["ret"] = made["exit"] = {[](Warp &, const Instruction &, uint32_t) { return Step::Ended; }};
    return made;
  }();
  const auto found = table.find(std::string(opcode));
  return found != table.end() ? found->second : findMemoryOperation(opcode);
}

} // namespace rondo::emulator
