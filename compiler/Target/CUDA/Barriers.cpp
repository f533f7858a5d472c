// Where the threads of a block must wait for each other: before a nest that reads what other threads have written since the last
// barrier, or writes what others have read or written; and inside of a nest, between the reads of a state's elements and their update in
// place, where several lanes read what one of them stores. See KernelPlan.h.
#include "compiler/Target/CUDA/KernelPlan.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Destination;
using cpu::Nest;
using cpu::Read;
using cpu::Statement;

namespace {

/// What was done to an array since the last barrier.
struct Touched {
  SmallVector<Owner, 2> reads, writes;
};

/// Two accesses by the same thread need no barrier. A store is the first lane's alone where lanes do not share out the array.
bool sameThread(const Owner &x, const Owner &y) {
  return x == y && x.beside == y.beside && !x.everywhere() && (x.lanes == 1 || x.splitAxis >= 0);
}

bool meets(ArrayRef<Owner> earlier, const Owner &now) {
  return llvm::any_of(earlier, [&](const Owner &owner) { return !sameThread(owner, now); });
}

} // namespace

void KernelPlan::placeBarriers() {
  // Arrays are numbered: states first, then buffers.
  std::map<int64_t, Touched> touched;
  int64_t count = states.size();
  auto arrayOf = [&](Value value) -> int64_t {
    Value memory = cpu::withoutReshapes(value);
    for (unsigned s = 0; s < states.size(); ++s)
      if (llvm::is_contained(step.stateArgs(s), memory))
        return states[s].kind == Storage::Register ? -1 : s;
    auto buffer = nests.bufferOf.find(memory);
    bool inMemory = buffer != nests.bufferOf.end() && buffers[buffer->second].kind != Storage::Register &&
                    !buffers[buffer->second].perStep; // barriers of the stage stand between
    return inMemory ? count + buffer->second : -1;
  };
  auto visit = [&](const Nest &nest, NestMapping &mapping) {
    std::vector<std::tuple<int64_t, Owner, bool>> now;
    for (const Read &read : nests.reads(nest))
      if (int64_t array = arrayOf(read.value); array >= 0) {
        bool own = llvm::any_of(nest.statements,
                                [&](const Statement &s) { return s.value == read.value && !nests.readsItself(s); });
        if (!own)
          now.emplace_back(array, ownerOf(nest, mapping, read.value, read.at), false);
      }
    for (const Statement &statement : nest.statements)
      for (const Destination &to : statement.destinations) {
        int64_t array = to.kind == Destination::State ? to.number : count + to.number;
        if (to.kind == Destination::Output)
          continue;
        const Storage &storage = to.kind == Destination::State ? states[to.number] : buffers[to.number];
        Owner owner = ownerOf(nest, mapping, statement.value, statement.at());
        owner.valid &= to.axis < 0;
        if (storage.kind != Storage::Register)
          now.emplace_back(array, owner, true);
      }
    bool wait = llvm::any_of(now, [&](const auto &access) {
      const auto &[array, owner, write] = access;
      const Touched &before = touched[array];
      return meets(before.writes, owner) || (write && meets(before.reads, owner));
    });
    mapping.barrierBefore |= wait;
    // Threads without a position do not read what is updated (ThreadNest); the lanes of one position do.
    mapping.barrierBetween |= mapping.lanes > 1 && llvm::any_of(now, [&](const auto &access) {
                                const auto &[array, owner, write] = access;
                                if (!write || array >= count || nests.states[array] != cpu::StateStorage::InPlace)
                                  return false;
                                return llvm::any_of(now, [&, array = array, owner = owner](const auto &other) {
                                  const auto &[read, reader, alsoWrites] = other;
                                  return read == array && !alsoWrites && !sameThread(reader, owner);
                                });
                              });
    if (mapping.barrierBefore)
      touched.clear();
    for (const auto &[array, owner, write] : now)
      (write ? touched[array].writes : touched[array].reads).push_back(owner);
  };
  for (auto [nest, mapping] : llvm::zip(nests.prologue, prologue))
    visit(nest, mapping);
  // Twice: a step follows the prologue, or another step.
  for (int pass = 0; pass < 2; ++pass)
    for (auto [nest, mapping] : llvm::zip(nests.nests, body))
      if (!mapping.atStage)
        visit(nest, mapping);
}
