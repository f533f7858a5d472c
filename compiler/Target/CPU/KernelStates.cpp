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

/// Both places have the type of computation, so that a copy moves bits.
void KernelEmitter::copy(Place to, Place from) {
  int64_t count = reals(to), lanes = vectorBits / real.getIntOrFloatBitWidth();
  auto row = scf::ForOp::create(b, loc, index(0), index(rows), index(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(row.getBody());
  auto base = [&](const Place &place) {
    return place.batchStride ? add(place.base, mul(row.getInductionVar(), place.batchStride)) : place.base;
  };
  Value target = base(to), source = base(from);
  auto sweep = [&](int64_t begin, int64_t end, int64_t step) {
    if (begin == end)
      return;
    auto loop = scf::ForOp::create(b, loc, index(begin), index(end), index(step));
    OpBuilder::InsertionGuard inner(b);
    b.setInsertionPointToStart(loop.getBody());
    Value at = add(source, loop.getInductionVar()), into = add(target, loop.getInductionVar());
    if (step == 1)
      return (void)memref::StoreOp::create(b, loc, memref::LoadOp::create(b, loc, from.memref, at), to.memref, into);
    auto type = VectorType::get({step}, real);
    vector::StoreOp::create(b, loc, vector::LoadOp::create(b, loc, type, from.memref, at), to.memref, into);
  };
  sweep(0, count / lanes * lanes, lanes);
  sweep(count / lanes * lanes, count, 1);
}

Place KernelEmitter::ringSlot(unsigned state, Value slot) {
  auto type = cast<RankedTensorType>(scan.yield().getStates()[state].getType());
  Place result = scratchPlace(ringOffset[state], type.getShape(), type.getElementType(), true);
  result.base = add(result.base, mul(slot, index(rows * reals(result))));
  return result;
}

/// Slices along the lag axis of an initial or final state.
static Place slice(Place place, Value offset, OpBuilder &b, Location loc) {
  place.base = arith::AddIOp::create(b, loc, place.base, offset, arith::IntegerOverflowFlags::nsw);
  return place;
}

/// A ring's slot for time s is s modulo (depth + 1); the initial slices stand for the times -depth ... -1.
void KernelEmitter::beginStates() {
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    Place init = place(inits[s], inits[s].base);
    if (plan.states[s] == StateStorage::InPlace) {
      // The caller may have given one tensor as initial and final state; then it is there already.
      Type i64 = b.getI64Type();
      Value from = LLVM::PtrToIntOp::create(b, loc, i64, inits[s].pointer);
      Value to = LLVM::PtrToIntOp::create(b, loc, i64, finals[s].pointer);
      Value differ = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, from, to);
      auto guarded = scf::IfOp::create(b, loc, differ, /*withElseRegion=*/false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(guarded.thenBlock());
      copy(place(finals[s], finals[s].base), init);
    } else if (plan.states[s] == StateStorage::Ring) {
      int64_t depth = scan.state(s).depth();
      for (int64_t i = 0; i < depth; ++i)
        copy(ringSlot(s, index(i + 1)), slice(init, mul(index(i), inits[s].strides[4]), b, loc));
    }
  }
}

void KernelEmitter::placeStates(ArrayRef<Loop> at) {
  newState.assign(scan.numStates(), Place());
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    recur::StateAttr state = scan.state(s);
    switch (plan.states[s]) {
    case StateStorage::InPlace:
      newState[s] = place(finals[s], finals[s].base);
      for (BlockArgument argument : scan.stateArgs(s))
        places[argument] = newState[s];
      break;
    case StateStorage::Ring: {
      int64_t slots = state.depth() + 1;
      auto slotAt = [&](int64_t back) {
        Value time = add(at[0].first, index(slots - back));
        return ringSlot(s, arith::RemUIOp::create(b, loc, time, index(slots)));
      };
      newState[s] = slotAt(0);
      for (auto [argument, read] : llvm::zip(scan.stateArgs(s), state.getReads()))
        places[argument] = slotAt(read[0]);
      break;
    }
    case StateStorage::History: {
      newState[s] = historyAt(s, at[0].first, at[1].first);
      Place init = place(inits[s], inits[s].base);
      for (auto [argument, read] : llvm::zip(scan.stateArgs(s), state.getReads())) {
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

void KernelEmitter::endStates() {
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    if (plan.states[s] == StateStorage::History) {
      endHistory(s, 0);
      endHistory(s, 1);
    } else if (plan.states[s] == StateStorage::Ring) {
      int64_t depth = scan.state(s).depth(), slots = depth + 1;
      Place final = place(finals[s], finals[s].base);
      for (int64_t i = 0; i < depth; ++i) {
        Value time = add(extents[0], index(i + 1)); // T - depth + i, modulo depth + 1
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
