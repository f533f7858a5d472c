// States of a kernel: where they begin, where a step finds and leaves them, and how they end up in the caller's tensors.
#include "compiler/Target/CPU/KernelEmitter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

static int64_t reals(const Place &place) {
  int64_t count = place.isComplex ? 2 : 1;
  for (int64_t size : place.shape)
    count *= size;
  return count;
}

/// Into the type of computation: what is narrower widens.
void KernelEmitter::copy(const Place &to, const Place &from, Value row, Fill fill) {
  OpBuilder::InsertionGuard guard(b);
  if (!row) {
    auto each = scf::ForOp::create(b, loc, index(0), rowsAsValue(), index(1));
    b.setInsertionPointToStart(each.getBody());
    return copy(to, from, each.getInductionVar(), fill);
  }
  Place target = to, source = from;
  for (Place *place : {&target, &source})
    if (place->batchStride)
      place->base = add(place->base, mul(row, place->batchStride));
  // A block of a larger array: what lies together in both is one run, the axes before it are walked.
  SmallVector<int64_t> strides[] = {to.strides(), from.strides()};
  int64_t count = to.isComplex ? 2 : 1;
  size_t axis = to.shape.size(), first = to.rowStride || from.rowStride ? 1 : 0;
  while (axis > first && strides[0][axis - 1] == count && strides[1][axis - 1] == count)
    count *= to.shape[--axis];
  for (size_t i = 0; i < axis; ++i) {
    auto each = scf::ForOp::create(b, loc, index(0), index(to.shape[i]), index(1));
    b.setInsertionPointToStart(each.getBody());
    auto strideOf = [&](const Place &place, int64_t stride) {
      return i == 0 && place.rowStride ? place.rowStride : index(stride);
    };
    target.base = add(target.base, mul(each.getInductionVar(), strideOf(to, strides[0][i])));
    source.base = add(source.base, mul(each.getInductionVar(), strideOf(from, strides[1][i])));
  }
  copyRun(target, source, count, fill);
}

/// Vectors that are copied in one iteration.
static constexpr int64_t kCopiedAtOnce = 4;

/// Fills `count` neighbouring reals.
void KernelEmitter::copyRun(const Place &to, const Place &from, int64_t count, Fill fill) {
  int64_t lanes = vectorBits / real.getIntOrFloatBitWidth(), done = 0;
  ElementOps ops(b, loc, real);
  auto at = [&](const Place &place, Value offset, int64_t lanes) -> Value {
    Value where = add(place.base, offset);
    if (!lanes)
      return ops.widen(memref::LoadOp::create(b, loc, place.memref, where));
    return ops.widen(vector::LoadOp::create(b, loc, VectorType::get({lanes}, place.element), place.memref, where));
  };
  auto element = [&](Value offset, int64_t lanes) -> Value {
    if (fill == Fill::Zero)
      return ops.splat(ops.constant(0, false).re, lanes);
    Value value = at(from, offset, lanes);
    return fill == Fill::Copy ? value : ops.add({at(to, offset, lanes), {}}, {value, {}}).re;
  };
  auto sweep = [&](int64_t step) {
    int64_t end = done + (count - done) / step * step;
    if (done == end)
      return;
    auto loop = scf::ForOp::create(b, loc, index(done), index(end), index(step));
    done = end;
    OpBuilder::InsertionGuard inner(b);
    b.setInsertionPointToStart(loop.getBody());
    for (int64_t first = 0; first < step && step > 1; first += lanes) {
      Value offset = add(loop.getInductionVar(), index(first));
      vector::StoreOp::create(b, loc, element(offset, lanes), to.memref, add(to.base, offset));
    }
    if (step == 1)
      memref::StoreOp::create(b, loc, element(loop.getInductionVar(), 0), to.memref,
                              add(to.base, loop.getInductionVar()));
  };
  sweep(kCopiedAtOnce * lanes);
  sweep(lanes);
  sweep(1);
}

Place KernelEmitter::ringSlot(unsigned state, Value slot) {
  auto type = cast<RankedTensorType>(bodies[0].step.yield().getStates()[state].getType());
  Place result = scratchPlace(ringOffset[state], type.getShape(), type.getElementType(), true);
  result.base = add(result.base, mul(slot, index(rows * reals(result))));
  return result;
}

/// Slices along the lag axis of an initial or final state.
static Place slice(Place place, Value offset, OpBuilder &b, Location loc) {
  place.base = arith::AddIOp::create(b, loc, place.base, offset, arith::IntegerOverflowFlags::nsw);
  return place;
}

/// Makes a state what it is before step `step` of a sequence that begins there, for all rows or for one. A ring's slot for time s is
/// s modulo (depth + 1), and the initial slices stand for the times step - depth ... step - 1.
void KernelEmitter::setInitial(unsigned s, const Operand &from, Value step, Value row) {
  Place init = place(from, from.base);
  if (storage[s] == StateStorage::InPlace)
    return copy(inPlace[s], init, row);
  int64_t depth = scan.state(s).depth();
  for (int64_t i = 0; i < depth; ++i) {
    Value slot = arith::RemUIOp::create(b, loc, add(step, index(i + 1)), index(depth + 1));
    copy(ringSlot(s, slot), slice(init, mul(index(i), from.strides[4]), b, loc), row);
  }
}

/// Where the states lie that are updated in place: in the caller's final states, or, for a task that takes chunks, with padded rows in
/// scratch. A product walks down the columns of a state; rows of a large power of two would then share a few lines of the cache.
void KernelEmitter::placeInPlaceStates() {
  inPlace.assign(scan.numStates(), Place());
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    if (storage[s] != StateStorage::InPlace)
      continue;
    Place &state = inPlace[s];
    state = place(finals[s], finals[s].base);
    int64_t pitch = paddedPitch(s);
    if (!pitch)
      continue;
    Place padded = scratchPlace(ringOffset[s], state.shape, real, false);
    Value chunks = takesChunks();
    auto choose = [&](Value yes, Value no) { return arith::SelectOp::create(b, loc, chunks, yes, no).getResult(); };
    int64_t plain = state.strides().front();
    state.memref = choose(padded.memref, state.memref);
    state.base = choose(padded.base, state.base);
    state.rowStride = choose(index(pitch), index(plain));
    state.batchStride = {}; // such a task has one row, and `base` is its
  }
}

/// A matrix takes as long to copy as to update: where a task begins with a step, that step reads it from the caller's initial state.
bool KernelEmitter::isReadWhereItBegins(unsigned s) {
  constexpr int64_t kLarge = 256; // reals; what is smaller is copied in no time
  return beginsWithStep && storage[s] == StateStorage::InPlace && inits[s].element == finals[s].element &&
         reals(inPlace[s]) >= kLarge;
}

/// Where step `number` finds a state that is updated in place: a task's first one, in the caller's initial state.
Place KernelEmitter::whereItBegins(unsigned s, Value number) {
  Value isZero = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, number, index(0));
  Value isFirst = arith::AndIOp::create(b, loc, beginsWithStep, isZero);
  Place init = place(inits[s], inits[s].base), there = inPlace[s];
  auto choose = [&](Value yes, Value no) { return arith::SelectOp::create(b, loc, isFirst, yes, no).getResult(); };
  there.memref = choose(init.memref, there.memref);
  there.base = choose(init.base, there.base);
  if (there.batchStride)
    there.batchStride = choose(init.batchStride ? init.batchStride : index(0), there.batchStride);
  return there;
}

Value KernelEmitter::takesChunks() {
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, steps, index(bodies.back().size));
}

/// Room for one value of a state, padded as the state itself.
int64_t KernelEmitter::slotReals(unsigned s) {
  auto type = cast<RankedTensorType>(bodies[0].step.yield().getStates()[s].getType());
  int64_t count = isa<ComplexType>(type.getElementType()) ? 2 : 1;
  for (int64_t size : type.getShape())
    count *= size;
  if (int64_t pitch = paddedPitch(s))
    count = pitch * type.getDimSize(0);
  return llvm::alignTo(count, 16); // a line of the cache
}

/// Reals from one row of a padded state to the next, or 0 for a state that needs no padding.
int64_t KernelEmitter::paddedPitch(unsigned s) {
  auto type = cast<RankedTensorType>(bodies[0].step.yield().getStates()[s].getType());
  if (bodies.size() < 2 || storage[s] != StateStorage::InPlace || type.getRank() != 2 ||
      isa<ComplexType>(type.getElementType()))
    return 0;
  int64_t line = 64 / (real.getIntOrFloatBitWidth() / 8), row = type.getDimSize(1);
  return row % (4 * line) == 0 ? row + line : 0;
}

void KernelEmitter::beginStates() {
  placeInPlaceStates();
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    OpBuilder::InsertionGuard guard(b);
    if (storage[s] == StateStorage::History)
      continue;
    if (storage[s] == StateStorage::InPlace) {
      // The caller may have given one tensor as initial and final state; then it is there already.
      Type i64 = b.getI64Type();
      Value from = LLVM::PtrToIntOp::create(b, loc, i64, inits[s].pointer);
      Value to = LLVM::PtrToIntOp::create(b, loc, i64, finals[s].pointer);
      Value differ = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, from, to);
      if (paddedPitch(s))
        differ = arith::OrIOp::create(b, loc, differ, takesChunks());
      if (isReadWhereItBegins(s))
        differ = arith::SelectOp::create(b, loc, beginsWithStep, arith::ConstantIntOp::create(b, loc, 0, 1), differ);
      auto guarded = scf::IfOp::create(b, loc, differ, /*withElseRegion=*/false);
      b.setInsertionPointToStart(guarded.thenBlock());
    }
    setInitial(s, inits[s], index(0));
  }
}

/// Before a step at which a row's reset is true, the row's states are their initial values again.
void KernelEmitter::emitResets(Loop at) {
  OpBuilder::InsertionGuard guard(b);
  Value row = index(0);
  if (rows > 1) {
    auto each = scf::ForOp::create(b, loc, index(0), rowsAsValue(), index(1));
    b.setInsertionPointToStart(each.getBody());
    row = each.getInductionVar();
  }
  const Operand &operand = resets[0];
  Value where = add(operand.base, mul(at.second, operand.strides[1]));
  if (operand.perBatch)
    where = add(where, mul(row, operand.strides[0]));
  Value mark = memref::LoadOp::create(b, loc, operand.memref, where);
  Value none = arith::ConstantOp::create(b, loc, b.getIntegerAttr(operand.element, 0));
  Value anew = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, mark, none);
  auto guarded = scf::IfOp::create(b, loc, anew, /*withElseRegion=*/false);
  b.setInsertionPointToStart(guarded.thenBlock());
  for (unsigned s = 0; s < scan.numStates(); ++s)
    setInitial(s, resetInits.empty() ? inits[s] : resetInits[s], at.first, row);
}

void KernelEmitter::placeStates(const Body &body, ArrayRef<Loop> at) {
  newState.assign(scan.numStates(), Place());
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    recur::StateAttr state = scan.state(s);
    if (!moved.empty()) {
      newState[s] = moved[s].second;
      for (BlockArgument argument : body.step.stateArgs(s))
        places[argument] = moved[s].first;
      continue;
    }
    switch (storage[s]) {
    case StateStorage::InPlace:
      newState[s] = inPlace[s];
      for (BlockArgument argument : body.step.stateArgs(s))
        places[argument] = body.size == 1 && isReadWhereItBegins(s) ? whereItBegins(s, at[0].first) : newState[s];
      break;
    case StateStorage::Ring: {
      int64_t slots = state.depth() + 1;
      auto slotAt = [&](int64_t back) {
        Value time = add(at[0].first, index(slots - back));
        return ringSlot(s, arith::RemUIOp::create(b, loc, time, index(slots)));
      };
      newState[s] = slotAt(0);
      for (auto [argument, read] : llvm::zip(body.step.stateArgs(s), state.getReads()))
        places[argument] = slotAt(read[0]);
      break;
    }
    case StateStorage::History: {
      newState[s] = historyAt(s, at[0].first, at[1].first);
      Place init = place(inits[s], inits[s].base);
      for (auto [argument, read] : llvm::zip(body.step.stateArgs(s), state.getReads())) {
        Value first = arith::SubIOp::create(b, loc, at[0].first, index(read[0]));
        Value second = arith::SubIOp::create(b, loc, at[1].first, index(read[1]));
        Value zero = index(0);
        Value inside =
            arith::AndIOp::create(b, loc, arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, first, zero),
                                  arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, second, zero));
        Place there = historyAt(s, first, second);
        auto choose = [&](Value yes, Value no) { return arith::SelectOp::create(b, loc, inside, yes, no).getResult(); };
        there.memref = choose(there.memref, init.memref);
        there.base = choose(there.base, init.base);
        there.batchStride = choose(there.batchStride, init.batchStride ? init.batchStride : zero);
        places[argument] = there;
      }
      break;
    }
    }
  }
}

/// The value that a state of a two-axis scan had at a step. Histories are laid out by step numbers.
Place KernelEmitter::historyAt(unsigned state, Value first, Value second) {
  const Operand &history = histories[state];
  Value base = add(history.base, mul(first, history.strides[1]));
  return place(history, add(base, mul(second, history.strides[2])));
}

void KernelEmitter::endStates(Value moves) {
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    if (storage[s] == StateStorage::History) {
      endHistory(s, 0);
      endHistory(s, 1);
    } else if (paddedPitch(s)) {
      auto moved = scf::IfOp::create(b, loc, takesChunks(), /*withElseRegion=*/false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(moved.thenBlock());
      copy(place(finals[s], finals[s].base), inPlace[s], index(0));
    } else if (storage[s] == StateStorage::Ring) {
      int64_t depth = scan.state(s).depth(), slots = depth + 1;
      Place final = place(finals[s], finals[s].base);
      for (int64_t i = 0; i < depth; ++i) {
        Value time = add(moves, index(i + 1)); // T - depth + i, modulo depth + 1
        Value slot = arith::RemUIOp::create(b, loc, time, index(slots));
        copy(slice(final, mul(index(i), finals[s].strides[4]), b, loc), ringSlot(s, slot));
      }
    }
  }
}

/// The final state along `axis`: the last step's values, one for each position along the other axis.
void KernelEmitter::endHistory(unsigned state, unsigned axis) {
  unsigned other = 1 - axis;
  const Operand &final = finals[2 * state + axis];
  auto loop = scf::ForOp::create(b, loc, index(0), extents[other], index(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value step = loop.getInductionVar(), where = step;
  if (isReverse(other))
    where = arith::SubIOp::create(b, loc, arith::SubIOp::create(b, loc, extents[other], index(1)), step);
  Place to = place(final, add(final.base, mul(where, final.strides[1 + other])));
  Value last = arith::SubIOp::create(b, loc, extents[axis], index(1));
  Value any = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, last, index(0));
  auto choice = scf::IfOp::create(b, loc, any, /*withElseRegion=*/true);
  b.setInsertionPointToStart(choice.thenBlock());
  copy(to, axis == 0 ? historyAt(state, last, step) : historyAt(state, step, last));
  b.setInsertionPointToStart(choice.elseBlock());
  copy(to, place(inits[state], inits[state].base));
}
