// Threads, registers, shared memory. See KernelPlan.h; barriers are in Barriers.cpp.
#include "compiler/Target/CUDA/KernelPlan.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Destination;
using cpu::Index;
using cpu::Indices;
using cpu::Nest;
using cpu::Read;
using cpu::Statement;

namespace {

constexpr int64_t kWarp = 32;
/// Threads of a block that lanes may fill; blocks larger than that are for nests with as many elements.
constexpr int64_t kLaneThreads = 128;
/// Elements of a matrix's columns that a thread works on at once: what they share is loaded once for all of them.
constexpr int64_t kTile = 4;
/// Sums along a matrix's axis of so many elements stay with a thread, or with lanes that have kShortPart each.
constexpr int64_t kShortSum = 32, kShortPart = 8;
constexpr int64_t kMostThreads = 512;
/// 32-bit registers of a thread for one array, and for all of them: half of what a thread can have.
constexpr int64_t kArrayWords = 64, kAllWords = 128;
/// Iterations of a nest that are written out.
constexpr int64_t kUnrolled = 128;
/// Shared memory of a block, under what every GPU since sm_80 gives it (99 KiB), and the part of it for staged inputs.
constexpr int64_t kSharedBytes = 96 * 1024, kStagedBytes = 24 * 1024;
/// Staged steps at most, and registers that hold the next ones' inputs on their way: more where the states leave room.
constexpr int64_t kMostStagedSteps = 32, kStagedWords = 64, kFewStagedWords = 32;

ArrayRef<int64_t> shapeOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }

int64_t realsOf(ArrayRef<int64_t> shape, Type element) {
  return llvm::product_of(shape) * (isa<ComplexType>(element) ? 2 : 1);
}

} // namespace

KernelPlan::KernelPlan(recur::Step step, int64_t realBytes, int64_t rows, bool stages, int64_t tokenThreads)
    : nests(step, /*packs=*/false, /*repeats=*/tokenThreads > 0), rows(rows), step(step), scan(step.getScan()),
      realBytes(realBytes), tokenThreads(tokenThreads) {
  prologue.resize(nests.prologue.size());
  body.resize(nests.nests.size());
  for (auto [nest, mapping] : llvm::zip(nests.prologue, prologue))
    map(nest, mapping);
  for (auto [nest, mapping] : llvm::zip(nests.nests, body))
    map(nest, mapping);
  chooseThreads();
  staged.assign(step.inputArgs().size(), -1);
  if (stages)
    stageInputs();
  chooseRegisters();
  if (tokenThreads)
    chooseCopies();
  chooseAtStage();
  layOut();
  placeBarriers();
}

/// All of the parallel dimensions to threads; where few threads are left, several lanes for each sum.
void KernelPlan::map(const Nest &nest, NestMapping &mapping) const {
  for (auto [d, dim] : llvm::enumerate(nest.dims))
    if (!dim.reduction) {
      mapping.threadDims.push_back(d);
      mapping.positions *= dim.extent;
    }
  auto loops = nest.sumLoops();
  if (loops.size() != 1 || loops.front().empty())
    return;
  int split = loops.front().back();
  mapping.lanes = chooseLanes(nest, mapping.positions, nest.dims[split].extent, split);
  if (mapping.lanes > 1)
    mapping.splitDim = split;
}

/// Whether a sum walks a matrix that registers could hold.
bool KernelPlan::walksMatrix(const Nest &nest) const {
  auto isMatrix = [](Value value) { return shapeOf(value).size() >= 2; };
  bool matrix = llvm::any_of(nest.statements,
                             [&](const Statement &s) { return !s.isReduction() && !s.afterSums && isMatrix(s.value); });
  for (const Read &read : nests.reads(nest))
    for (unsigned s = 0; s < scan.numStates(); ++s)
      matrix |= llvm::is_contained(step.stateArgs(s), read.value) && isMatrix(read.value);
  return matrix && nest.hasSums();
}

/// Columns of one thread: several where a sum walks a matrix, and is long. Every nest of one matrix must answer alike.
int64_t KernelPlan::tileOf(const Nest &nest, int64_t positions) const {
  bool isShort = llvm::any_of(nest.sumLoops(), [&](ArrayRef<int> loops) {
    return llvm::any_of(loops, [&](int d) { return nest.dims[d].extent <= kShortSum; });
  });
  return walksMatrix(nest) && !isShort && positions % kTile == 0 && positions >= 4 * kTile ? kTile : 1;
}

int64_t KernelPlan::chooseLanes(const Nest &nest, int64_t positions, int64_t extent, int splitDim) const {
  int64_t most = std::min<int64_t>(kWarp, llvm::bit_floor(static_cast<uint64_t>(extent)));
  // A short sum stays with its thread, which leaves more to compute between shuffles.
  bool isShort = extent <= kShortSum && walksMatrix(nest);
  if (isShort)
    most = std::max<int64_t>(1, most / kShortPart);
  // Neighbouring threads should read neighbouring elements of a matrix in device memory.
  for (const Read &read : nests.reads(nest)) {
    bool param = llvm::is_contained(step.paramArgs(), cpu::withoutReshapes(read.value));
    if (param && !isShort && read.at.size() >= 2 && read.at.back().dim == splitDim)
      return most;
  }
  int64_t tile = tileOf(nest, positions), lanes = 1, all = tokenThreads ? tokenThreads : kLaneThreads;
  while (2 * lanes <= most && 2 * lanes * positions <= all * tile)
    lanes *= 2;
  return lanes;
}

void KernelPlan::chooseThreads() {
  int64_t most = kWarp;
  auto look = [&](ArrayRef<Nest> nests, ArrayRef<NestMapping> mappings) {
    for (auto [nest, mapping] : llvm::zip(nests, mappings)) {
      int64_t wanted = mapping.positions * mapping.lanes;
      int64_t all = tokenThreads ? tokenThreads : kLaneThreads;
      if (mapping.lanes > 1 && mapping.lanes * mapping.positions > all)
        wanted = std::max(all, wanted / tileOf(nest, mapping.positions));
      most = std::max(most, wanted);
    }
  };
  look(nests.prologue, prologue);
  look(nests.nests, body);
  threads = std::min(kMostThreads, static_cast<int64_t>(llvm::alignTo(most, kWarp)));
}

int64_t KernelPlan::slots(int64_t positions, int64_t lanes) const {
  return llvm::divideCeil(positions, threads / lanes);
}

int64_t KernelPlan::neighbours(int64_t positions, int64_t lanes) const {
  int64_t count = slots(positions, lanes);
  return count * (threads / lanes) == positions ? count : 1;
}

int64_t KernelPlan::together(int64_t lanes) const {
  int64_t width = threads / lanes, count = 1;
  while (tokenThreads && lanes > 1 && threads % lanes == 0 && 2 * count * lanes <= kWarp && width % (2 * count) == 0)
    count *= 2;
  return count;
}

int64_t KernelPlan::runOf(int64_t extent, int64_t lanes) const {
  return tokenThreads && extent % lanes == 0 ? extent / lanes : 0;
}

Owner KernelPlan::ownerOf(const Nest &nest, const NestMapping &mapping, Value value, ArrayRef<Index> at) const {
  Owner owner;
  owner.lanes = mapping.lanes;
  owner.beside = mapping.unrolled ? neighbours(mapping.positions, mapping.lanes) : 1;
  llvm::SmallDenseMap<int, int> axisOf;
  for (auto [axis, index] : llvm::enumerate(at)) {
    if (index.dim < 0 || index.offset != 0 || nest.dims[index.dim].extent != shapeOf(value)[axis] ||
        !axisOf.try_emplace(index.dim, axis).second)
      return owner;
  }
  bool anyThread = llvm::any_of(mapping.threadDims, [&](int d) { return axisOf.count(d) && nest.dims[d].extent > 1; });
  bool split = mapping.splitDim >= 0 && axisOf.count(mapping.splitDim);
  if (split)
    owner.splitAxis = axisOf[mapping.splitDim];
  if (!anyThread && !split) {
    owner.valid = true; // every thread may have all of it
    return owner;
  }
  for (int d : mapping.threadDims) {
    if (nest.dims[d].extent == 1)
      continue;
    if (!axisOf.count(d))
      return owner;
    owner.threadAxes.push_back(axisOf[d]);
  }
  owner.valid = true;
  return owner;
}

int64_t KernelPlan::elementsPerThread(ArrayRef<int64_t> shape, const Owner &owner) const {
  int64_t positions = 1, count = 1;
  for (auto [axis, extent] : llvm::enumerate(shape))
    if (llvm::is_contained(owner.threadAxes, static_cast<int>(axis)))
      positions *= extent;
    else
      count *= static_cast<int>(axis) == owner.splitAxis ? llvm::divideCeil(extent, owner.lanes) : extent;
  return count * (owner.threadAxes.empty() ? 1 : slots(positions, owner.lanes));
}

std::vector<KernelPlan::Access> KernelPlan::accesses(function_ref<bool(Value)> reads,
                                                     function_ref<bool(const Destination &)> writes) {
  std::vector<Access> all;
  auto visit = [&](const Nest &nest, NestMapping &mapping) {
    for (const Read &read : nests.reads(nest))
      if (reads(cpu::withoutReshapes(read.value))) {
        // What the nest itself computes at this element is at hand.
        bool own = llvm::any_of(nest.statements,
                                [&](const Statement &s) { return s.value == read.value && !nests.readsItself(s); });
        if (!own)
          all.push_back({&nest, &mapping, read.value, read.at, false, cpu::withoutReshapes(read.value) == read.value});
      }
    for (const Statement &statement : nest.statements)
      for (const Destination &to : statement.destinations)
        if (writes(to))
          all.push_back({&nest, &mapping, statement.value, statement.at(), true, to.axis < 0});
  };
  for (auto [nest, mapping] : llvm::zip(nests.prologue, prologue))
    visit(nest, mapping);
  for (auto [nest, mapping] : llvm::zip(nests.nests, body))
    visit(nest, mapping);
  return all;
}

/// Nests without sums that touch the same array take over who holds what of it from a nest with sums.
void KernelPlan::alignWith(const Access &model, std::vector<Access> &all) const {
  Owner owner = ownerOf(*model.nest, *model.mapping, model.value, model.at);
  if (!owner.valid)
    return;
  for (Access &access : all) {
    const Nest &nest = *access.nest;
    if (nest.hasSums() || access.mapping->unrolled || access.at.size() != nest.dims.size())
      continue;
    NestMapping mapping;
    bool plain = true;
    for (const Index &index : access.at)
      plain &= index.dim >= 0 && index.offset == 0;
    if (!plain)
      continue;
    for (int axis : owner.threadAxes) {
      mapping.threadDims.push_back(access.at[axis].dim);
      mapping.positions *= nest.dims[access.at[axis].dim].extent;
    }
    mapping.lanes = owner.lanes;
    mapping.splitDim = owner.splitAxis >= 0 ? access.at[owner.splitAxis].dim : -1;
    for (int d = 0; d < static_cast<int>(nest.dims.size()); ++d)
      if (!llvm::is_contained(mapping.threadDims, d))
        mapping.serialDims.push_back(d);
    *access.mapping = mapping;
  }
}

/// Whether the nests of these accesses are small enough to be written out.
bool KernelPlan::mayUnroll(const std::vector<Access> &all) const {
  for (const Access &access : all) {
    int64_t points = slots(access.mapping->positions, access.mapping->lanes) * rows;
    for (auto [d, dim] : llvm::enumerate(access.nest->dims))
      if (!llvm::is_contained(access.mapping->threadDims, static_cast<int>(d)))
        points *= static_cast<int>(d) == access.mapping->splitDim ? llvm::divideCeil(dim.extent, access.mapping->lanes)
                                                                  : dim.extent;
    if (points > kUnrolled)
      return false;
  }
  return true;
}

bool KernelPlan::tryRegisters(Storage &storage, std::vector<Access> all, RankedTensorType type, int64_t most) {
  if (all.empty() || llvm::any_of(all, [](const Access &a) { return !a.whole || a.nest->chunkOp; }))
    return false;
  auto sums = llvm::find_if(all, [](const Access &a) { return a.nest->hasSums(); });
  std::vector<NestMapping> before;
  for (const Access &access : all)
    before.push_back(*access.mapping);
  if (sums != all.end())
    alignWith(*sums, all);
  Owner owner = ownerOf(*all.front().nest, *all.front().mapping, all.front().value, all.front().at);
  bool same = owner.valid &&
              llvm::all_of(all, [&](const Access &a) { return ownerOf(*a.nest, *a.mapping, a.value, a.at) == owner; });
  int64_t words = elementsPerThread(type.getShape(), owner) * realsOf({}, type.getElementType()) * realBytes / 4;
  if (!same || words > most || registerWords + words > kAllWords || !mayUnroll(all)) {
    for (auto [access, mapping] : llvm::zip(all, before))
      *access.mapping = mapping;
    return false;
  }
  storage.kind = Storage::Register;
  storage.owner = owner;
  registerWords += words;
  for (Access &access : all)
    access.mapping->unrolled = true;
  return true;
}

void KernelPlan::chooseRegisters() {
  states.resize(nests.states.size());
  buffers.resize(nests.buffers.size());
  for (auto [s, storage] : llvm::enumerate(nests.states)) {
    if (storage != cpu::StateStorage::InPlace)
      continue;
    auto all = accesses([&](Value v) { return llvm::is_contained(step.stateArgs(s), v); },
                        [&](const Destination &d) { return d.kind == Destination::State && d.number == int(s); });
    auto type = cast<RankedTensorType>(step.yield().getStates()[s].getType());
    tryRegisters(states[s], std::move(all), type, kArrayWords);
  }
  for (auto [value, number] : nests.bufferOf) {
    if (!nests.buffers[number].needed || rows > 1)
      continue;
    auto all = accesses(
        [&, value = value](Value v) { return v == value; },
        [&, number = number](const Destination &d) { return d.kind == Destination::Scratch && d.number == number; });
    auto type = cast<RankedTensorType>(value.getType());
    if (llvm::any_of(all, [](const Access &a) { return a.write; }))
      tryRegisters(buffers[number], std::move(all), type, kArrayWords / 4);
  }
  keepCopiesInMemory();
}

/// The elements of an input that a thread reads in a nest that is written out, where all of its reads are of the same; other threads may
/// have them, too.
Owner KernelPlan::readerOf(const Nest &nest, const NestMapping &mapping, unsigned input) const {
  Owner reader;
  Value value = step.inputArgs()[input];
  for (const Read &read : nests.reads(nest)) {
    if (cpu::withoutReshapes(read.value) != value)
      continue;
    Owner owner;
    owner.lanes = mapping.lanes;
    int64_t threadDims = 0;
    for (auto [axis, index] : llvm::enumerate(read.at)) {
      bool plain = index.dim >= 0 && index.offset == 0 && nest.dims[index.dim].extent == shapeOf(value)[axis];
      if (!plain || read.value != value || !mapping.unrolled)
        return {};
      if (index.dim == mapping.splitDim)
        owner.splitAxis = axis;
    }
    for (int d : mapping.threadDims) {
      threadDims += nest.dims[d].extent > 1;
      for (auto [axis, index] : llvm::enumerate(read.at))
        if (index.dim == d && nest.dims[d].extent > 1)
          owner.threadAxes.push_back(axis);
    }
    bool all = owner.threadAxes.empty() || int64_t(owner.threadAxes.size()) == threadDims;
    owner.valid = all && !owner.everywhere() && (owner.threadAxes.empty() != (owner.splitAxis < 0));
    if (!owner.valid || (reader.valid && !(reader == owner)))
      return {};
    reader = owner;
  }
  return reader;
}

int KernelPlan::copyFor(const Nest &nest, const NestMapping &mapping, unsigned input) const {
  Owner owner = readerOf(nest, mapping, input);
  for (auto [number, copy] : llvm::enumerate(copies))
    if (copy.input == input && copy.owner == owner)
      return number;
  return -1;
}

/// Vectors along one axis, of which a thread reads a run.
void KernelPlan::chooseCopies() {
  for (auto [nest, mapping] : llvm::zip(nests.nests, body))
    for (auto [i, argument] : llvm::enumerate(step.inputArgs())) {
      auto type = cast<RankedTensorType>(argument.getType());
      Owner owner = readerOf(nest, mapping, i);
      if (!owner.valid || type.getRank() != 1 || !isa<FloatType>(type.getElementType()) ||
          copyFor(nest, mapping, i) >= 0)
        continue;
      bool run = owner.splitAxis < 0 || runOf(type.getShape()[0], owner.lanes);
      int64_t words = elementsPerThread(type.getShape(), owner) * realBytes / 4;
      if (!run || words > kArrayWords / 4)
        continue;
      registerWords += words;
      copies.push_back({unsigned(i), owner});
    }
}

bool KernelPlan::updatesInMemory(const Nest &nest, unsigned state) const {
  return nests.states[state] == cpu::StateStorage::InPlace && states[state].kind != Storage::Register &&
         llvm::any_of(nest.statements, [&](const Statement &s) {
           return llvm::any_of(s.destinations, [&](const Destination &to) {
             return to.kind == Destination::State && to.number == static_cast<int>(state);
           });
         });
}

bool KernelPlan::isOverwritten(Value value, const Nest &nest) const {
  Value memory = cpu::withoutReshapes(value);
  return llvm::any_of(llvm::seq<unsigned>(0, states.size()), [&](unsigned s) {
    return llvm::is_contained(step.stateArgs(s), memory) && updatesInMemory(nest, s);
  });
}

/// What every thread has in registers it has computed, also without a position. Beside an update in memory it cannot: what it would read
/// may be new already.
void KernelPlan::keepCopiesInMemory() {
  for (auto [nest, mapping] : llvm::zip(nests.nests, body)) {
    bool updates =
        llvm::any_of(llvm::seq<unsigned>(0, states.size()), [&](unsigned s) { return updatesInMemory(nest, s); });
    if (!updates || mapping.positions > 1)
      continue;
    for (const Statement &statement : nest.statements)
      for (const Destination &to : statement.destinations) {
        if (to.kind == Destination::Output)
          continue;
        Storage &storage = to.kind == Destination::State ? states[to.number] : buffers[to.number];
        if (storage.kind == Storage::Register && storage.owner.everywhere())
          storage.kind = Storage::None;
      }
  }
}

/// Small arrays to shared memory, the smallest first; what is left to device memory, each block its own.
void KernelPlan::layOut() {
  struct Wanted {
    Storage *storage;
    int64_t reals;
    size_t number; // in the order of their making
    bool tensor;   // it has a place in the caller's memory otherwise
  };
  std::vector<Wanted> wanted;
  for (auto [s, storage] : llvm::enumerate(nests.states)) {
    auto type = cast<RankedTensorType>(step.yield().getStates()[s].getType());
    int64_t slices = storage == cpu::StateStorage::Ring ? scan.state(s).depth() + 1 : 1;
    if (storage == cpu::StateStorage::History)
      states[s].kind = Storage::Tensor;
    if (states[s].kind == Storage::None)
      wanted.push_back({&states[s], slices * realsOf(type.getShape(), type.getElementType()), wanted.size(),
                        storage == cpu::StateStorage::InPlace});
  }
  for (auto [n, buffer] : llvm::enumerate(nests.buffers))
    if (buffer.needed && buffers[n].kind == Storage::None)
      wanted.push_back(
          {&buffers[n], realsOf(buffer.shape, buffer.element) * (buffer.perSequence ? rows : 1), wanted.size(), false});
  llvm::sort(wanted, [](const Wanted &x, const Wanted &y) {
    return std::make_pair(x.reals, x.number) < std::make_pair(y.reals, y.number);
  });
  for (const Wanted &each : wanted) {
    int64_t size = llvm::alignTo(each.reals, 4);
    if ((sharedReals + size) * realBytes <= kSharedBytes) {
      each.storage->kind = Storage::Shared;
      each.storage->offset = std::exchange(sharedReals, sharedReals + size);
    } else if (each.tensor) {
      each.storage->kind = Storage::Tensor;
    } else {
      each.storage->kind = Storage::Scratch;
      each.storage->offset = std::exchange(scratchReals, scratchReals + size);
    }
  }
}

/// Inputs of several steps at once, so that a step does not wait for device memory.
void KernelPlan::stageInputs() {
  if (scan.numAxes() != 1 || staged.empty())
    return;
  SmallVector<int64_t> sizes;
  int64_t all = 0;
  for (BlockArgument input : step.inputArgs()) {
    auto type = cast<RankedTensorType>(input.getType());
    int64_t width = isa<ComplexType>(type.getElementType()) ? 2 : 1;
    sizes.push_back(llvm::product_of(type.getShape()) * width);
    all += sizes.back();
  }
  auto registers = [&](int64_t steps) {
    int64_t total = 0;
    for (int64_t size : sizes)
      total += llvm::divideCeil(steps * size, threads) * realBytes / 4;
    return total;
  };
  bool matrix = llvm::any_of(step.yield().getStates(), [](Value state) { return shapeOf(state).size() >= 2; });
  int64_t words = matrix ? kFewStagedWords : kStagedWords, steps = kMostStagedSteps / rows * rows;
  while (steps > rows && (registers(steps) > words || steps * all * realBytes > kStagedBytes))
    steps -= rows;
  if (registers(steps) > 2 * kStagedWords || steps * all * realBytes > kSharedBytes / 2) {
    rows = 1; // several rows are read from shared memory only
    return;
  }
  stagedSteps = steps;
  for (auto [offset, size] : llvm::zip(staged, sizes))
    offset = std::exchange(sharedReals, sharedReals + llvm::alignTo(size * steps, 4));
}

/// What depends on inputs and parameters alone, and is read by other threads: computed for all staged steps before the first of them, so
/// that a step waits neither for it nor at its barriers.
void KernelPlan::chooseAtStage() {
  if (!stagedSteps || rows > 1)
    return;
  for (auto [nest, mapping] : llvm::zip(nests.nests, body)) {
    int64_t bytes = 0;
    auto toBuffer = [&](const Destination &to) {
      return to.kind == Destination::Scratch && buffers[to.number].kind == Storage::None && to.axis < 0;
    };
    bool fits = llvm::all_of(nest.statements, [&](const Statement &statement) {
      for (const Destination &to : statement.destinations)
        if (to.kind == Destination::Scratch)
          bytes += stagedSteps * realsOf(nests.buffers[to.number].shape, nests.buffers[to.number].element) * realBytes;
      return llvm::all_of(statement.destinations, toBuffer);
    });
    fits &= llvm::all_of(nests.reads(nest), [&](const Read &read) {
      Value memory = cpu::withoutReshapes(read.value);
      bool here = llvm::any_of(nest.statements, [&](const Statement &s) { return s.value == memory; });
      auto buffer = nests.bufferOf.find(memory);
      return here || llvm::is_contained(step.inputArgs(), memory) || llvm::is_contained(step.paramArgs(), memory) ||
             (buffer != nests.bufferOf.end() && (buffers[buffer->second].perStep || !nests.isTimeVarying(memory))) ||
             memory.getDefiningOp<arith::ConstantOp>();
    });
    if (!fits || mapping.unrolled || (sharedReals * realBytes + bytes) > kSharedBytes / 2)
      continue;
    mapping.atStage = true;
    for (const Statement &statement : nest.statements)
      for (const Destination &to : statement.destinations) {
        Storage &storage = buffers[to.number];
        storage.kind = Storage::Shared;
        storage.perStep = realsOf(nests.buffers[to.number].shape, nests.buffers[to.number].element);
        storage.offset = std::exchange(sharedReals, sharedReals + llvm::alignTo(storage.perStep * stagedSteps, 4));
      }
  }
}
