// Where the states of a step lie, and which of its values need no memory after all: decided when all statements have their sweeps.
// See StepNests.h.
#include "compiler/Target/CPU/StepNests.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// True when `statement` writes `memory`, or a part of it.
bool StepNests::makes(const Statement &statement, Value memory) const {
  if (statement.destinations.empty() || statement.destinations.front().axis < 0)
    return statement.value == memory;
  auto buffer = bufferOf.find(memory);
  return buffer != bufferOf.end() && statement.destinations.front().number == buffer->second;
}

/// The nest that computes a state's new value, or the number of nests.
size_t StepNests::updateOf(unsigned state, const Statement *&writer) const {
  auto isUpdate = [&](const Destination &d) {
    return d.kind == Destination::State && d.number == static_cast<int>(state);
  };
  size_t at = nests.size();
  for (auto [n, nest] : llvm::enumerate(nests))
    for (const Statement &statement : nest.statements)
      if (llvm::any_of(statement.destinations, isUpdate)) {
        at = n;
        writer = &statement;
      }
  return at;
}

bool StepNests::mayUpdateInPlace(unsigned state) const {
  if (scan.numAxes() > 1 || scan.state(state).depth() > 1)
    return false;
  const Statement *writer = nullptr;
  size_t at = updateOf(state, writer);
  if (!writer || writer->value != step.yield().getStates()[state])
    return false;
  Indices same = writer->at();
  bool writesLast = writer->isReduction() || writer->afterSums;
  for (BlockArgument old : step.stateArgs(state))
    for (size_t n = at; n < nests.size(); ++n) {
      // The elementwise statements of an iteration read before one writes. Sums come after, and use what the update has read; they are
      // written before statements on finished sums read, of which, again, all read before one writes.
      bool early = writesLast, late = false;
      for (const Read &read : reads(nests[n])) {
        if (read.value != old)
          continue;
        if (n > at || read.at != same)
          return false;
        const Statement &reader = nests[n].statements[read.statement];
        if (writer->isReduction() && reader.afterSums)
          return false;
        late |= reader.isReduction() || reader.afterSums;
        early |= &reader == writer;
      }
      if (late && !early)
        return false;
    }
  return true;
}

/// Moves the nest of a state's update behind the last nest that reads the old value, where those in between do without what it
/// computes. Nothing moves unless more states are updated in place for it.
void StepNests::sinkUpdate(unsigned state) {
  const Statement *writer = nullptr;
  size_t from = updateOf(state, writer), to = from;
  for (size_t n = from + 1; n < nests.size(); ++n)
    for (const Read &read : reads(nests[n])) {
      Value memory = withoutReshapes(read.value);
      if (llvm::any_of(nests[from].statements, [&](const Statement &s) { return makes(s, memory); }))
        return;
      if (llvm::is_contained(step.stateArgs(state), memory))
        to = n;
    }
  auto inPlace = [&] {
    int count = 0;
    for (unsigned s = 0; s < scan.numStates(); ++s)
      count += mayUpdateInPlace(s);
    return count;
  };
  int before = inPlace();
  auto first = nests.begin() + from, last = nests.begin() + to;
  if (to == from)
    return;
  std::rotate(first, first + 1, last + 1);
  if (inPlace() <= before)
    std::rotate(first, last, last + 1);
}

void StepNests::chooseStateStorage() {
  for (unsigned s = 0; s < scan.numStates(); ++s)
    if (!mayUpdateInPlace(s))
      sinkUpdate(s);
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    StateStorage storage = mayUpdateInPlace(s) ? StateStorage::InPlace : StateStorage::Ring;
    states.push_back(scan.numAxes() > 1 ? StateStorage::History : storage);
  }
}

/// A stored value that is also a state's new slice is read from there; one that no other nest reads needs no memory at all.
void StepNests::dropUnreadMemory() {
  llvm::DenseSet<Value> readElsewhere;
  for (auto *list : {&prologue, &nests})
    for (const Nest &nest : *list)
      for (const Read &read : reads(nest)) {
        Value value = read.value;
        bool here =
            llvm::any_of(nest.statements, [&](const Statement &s) { return s.value == value && !readsItself(s); });
        if (!here || value.getDefiningOp<recur::ConcatOp>() || withoutReshapes(value) != value)
          readElsewhere.insert(withoutReshapes(value));
      }
  for (auto *list : {&prologue, &nests})
    for (Nest &nest : *list)
      for (Statement &statement : nest.statements) {
        if (nest.chunkOp) // partial results lie there
          continue;
        auto own = bufferOf.find(statement.value);
        if (own == bufferOf.end() || readElsewhere.contains(statement.value))
          continue;
        llvm::erase_if(statement.destinations,
                       [&](const Destination &d) { return d.kind == Destination::Scratch && d.number == own->second; });
        buffers[own->second].needed = false;
      }
}
