// The loops over the steps of a task: one by one, or a chunk at once wherever one fits. See KernelEmitter.h.
#include "compiler/Target/CPU/KernelEmitter.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Sets the number of steps. Where in time the task's sequence begins; null where a task has the whole of time.
Value KernelEmitter::openSequence(Value sequence) {
  steps = windowSteps ? windowSteps : extents[0];
  if (windowSteps)
    return windowBegin;
  if (!launch.packed)
    return {};
  auto offsetAt = [&](Value number) {
    Value offset = memref::LoadOp::create(b, loc, offsets[0].memref, number);
    return arith::IndexCastOp::create(b, loc, b.getIndexType(), offset).getResult();
  };
  Value begin = offsetAt(sequence);
  steps = arith::SubIOp::create(b, loc, offsetAt(add(sequence, index(1))), begin);
  return begin;
}

Value KernelEmitter::emitSteps(size_t axis, SmallVectorImpl<Loop> &at) {
  if (axis == scan.numAxes()) {
    emitBody(bodies[0], at);
    return {};
  }
  Value extent = axis == 0 ? steps : extents[axis];
  auto loop = scf::ForOp::create(b, loc, index(0), extent, index(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value number = loop.getInductionVar(), where = number;
  if (isReverse(axis))
    where = arith::SubIOp::create(b, loc, arith::SubIOp::create(b, loc, extent, index(1)), number);
  at.push_back({number, where});
  if (!resets.empty())
    onOneThread([&] { emitResets(at.back()); });
  emitSteps(axis + 1, at);
  meet();
  at.pop_back();
  return extent;
}

/// While steps are left: a chunk where it fits, else one step.
Value KernelEmitter::emitChunks() {
  Type type = b.getIndexType();
  auto loop = scf::WhileOp::create(b, loc, TypeRange{type, type}, ValueRange{index(0), index(0)});
  OpBuilder::InsertionGuard guard(b);
  Block *before = b.createBlock(&loop.getBefore(), {}, {type, type}, {loc, loc});
  Value left = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, before->getArgument(0), steps);
  scf::ConditionOp::create(b, loc, left, before->getArguments());

  Block *after = b.createBlock(&loop.getAfter(), {}, {type, type}, {loc, loc});
  Value step = after->getArgument(0), moves = after->getArgument(1), where = step;
  if (isReverse(0))
    where = arith::SubIOp::create(b, loc, arith::SubIOp::create(b, loc, steps, index(1)), step);
  Loop at{moves, where};
  if (!resets.empty())
    emitResets(at);
  auto choice = scf::IfOp::create(b, loc, TypeRange{type}, chunkFits(step, where), /*withElseRegion=*/true);
  for (auto [block, body] : {std::pair(choice.thenBlock(), &bodies[1]), std::pair(choice.elseBlock(), &bodies[0])}) {
    b.setInsertionPointToStart(block);
    Value taken = index(body->size);
    emitBody(*body, at);
    b.setInsertionPointToEnd(block);
    scf::YieldOp::create(b, loc, taken);
  }
  b.setInsertionPointToEnd(after);
  scf::YieldOp::create(b, loc, ValueRange{add(step, choice.getResult(0)), add(moves, index(1))});
  return loop.getResult(1);
}

/// Whether a chunk's steps are left from `step` on, without a reset before any of them but the first.
Value KernelEmitter::chunkFits(Value step, Value where) {
  int64_t size = bodies[1].size;
  Value rest = arith::SubIOp::create(b, loc, steps, step);
  Value enough = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, rest, index(size));
  if (resets.empty())
    return enough;
  const Operand &operand = resets[0];
  auto looked = scf::IfOp::create(b, loc, TypeRange{b.getI1Type()}, enough, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(looked.elseBlock());
  scf::YieldOp::create(b, loc, ValueRange{enough});
  b.setInsertionPointToStart(looked.thenBlock());
  Value none = arith::ConstantOp::create(b, loc, b.getIntegerAttr(operand.element, 0));
  Value first = add(operand.base, mul(where, operand.strides[1])), stride = operand.strides[1];
  if (isReverse(0))
    stride = arith::SubIOp::create(b, loc, index(0), stride);
  auto loop = scf::ForOp::create(b, loc, index(1), index(size), index(1), ValueRange{none});
  {
    OpBuilder::InsertionGuard inner(b);
    b.setInsertionPointToStart(loop.getBody());
    Value at = add(first, mul(loop.getInductionVar(), stride));
    Value mark = memref::LoadOp::create(b, loc, operand.memref, at);
    Value marks = arith::OrIOp::create(b, loc, loop.getRegionIterArg(0), mark);
    scf::YieldOp::create(b, loc, marks);
  }
  Value unbroken = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, loop.getResult(0), none);
  scf::YieldOp::create(b, loc, unbroken);
  return looked.getResult(0);
}

/// The longest row of an input or output, in cache lines, that is asked for ahead; longer ones the hardware follows by itself.
static constexpr int64_t kPrefetchedLines = 16;

/// An input of a chunk that sums read again and again is copied first: its rows may lie a power of two apart, where they would share a
/// few lines of the cache, and may be narrower than what is computed with. Not where each row is read by itself.
bool KernelEmitter::isPacked(const Body &body, BlockArgument input) {
  if (body.size == 1 || cast<RankedTensorType>(input.getType()).getRank() < 2)
    return false;
  return llvm::any_of(body.plan.nests, [&](const Nest &nest) {
    bool sums = llvm::any_of(nest.dims, [](const NestDim &dim) { return dim.reduction; }) ||
                llvm::any_of(nest.statements, [](const Statement &s) { return isChunkOp(s.value.getDefiningOp()); });
    return sums && llvm::any_of(body.plan.reads(nest), [&](const Read &read) {
             bool oneRow = !read.at.empty() && read.at.front().dim < 0;
             return withoutReshapes(read.value) == input && (!oneRow || nest.chunkOp);
           });
  });
}

void KernelEmitter::emitBody(Body &body, ArrayRef<Loop> at) {
  for (auto [argument, operand, packed] : llvm::zip(body.step.inputArgs(), inputs, body.packed)) {
    places[argument] = atTime(operand, at, body.size);
    if (!packed.memref)
      continue;
    copy(packed, places[argument], index(0));
    places[argument] = packed;
  }
  placeStates(body, at);
  SmallVector<Place> outputPlaces;
  for (const Operand &operand : outputs)
    outputPlaces.push_back(atTime(operand, at, body.size));
  if (body.size > 1 || isLong(body))
    prefetchNext(body, at);
  emitNests(body, body.plan.nests, outputPlaces);
}

/// Whether what is asked for at the beginning of a step is there at its end: the step goes over a large state.
bool KernelEmitter::isLong(const Body &body) {
  constexpr int64_t kLarge = 1024; // elements
  if (scan.numAxes() != 1 || rows != 1)
    return false;
  return llvm::any_of(body.step.yield().getStates(), [](Value state) {
    auto type = cast<RankedTensorType>(state.getType());
    return type.getRank() > 1 && type.getNumElements() >= kLarge;
  });
}

/// Asks for the inputs and outputs of the next chunk, or step: steps of one head lie further apart in memory than hardware looks ahead. Asking
/// for what lies behind the last one does no harm.
void KernelEmitter::prefetchNext(const Body &body, ArrayRef<Loop> at) {
  int64_t first = againstTime ? -body.size : body.size;
  auto loop = scf::ForOp::create(b, loc, index(0), index(body.size), index(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value step = add(loop.getInductionVar(), index(first));
  auto prefetch = [&](const Operand &operand, bool isWrite) {
    Place place = atTime(operand, at, body.size);
    int64_t bytes = operand.element.getIntOrFloatBitWidth() / 8, row = operand.isComplex ? 2 : 1;
    for (int64_t size : ArrayRef(place.shape).drop_front(body.size > 1))
      row *= size;
    int64_t line = 64 / bytes;
    if (row < line || row > kPrefetchedLines * line || !operand.perTime)
      return;
    Value from = add(place.base, mul(step, timeStride(operand)));
    // A chunk's rows may lie a power of two apart, and would take each other's place in the first level.
    for (int64_t element = 0; element < row; element += line)
      memref::PrefetchOp::create(b, loc, place.memref, ValueRange{add(from, index(element))}, isWrite,
                                 /*localityHint=*/body.size > 1 ? 2 : 3, /*isDataCache=*/true);
  };
  for (auto [operand, argument] : llvm::zip(inputs, body.step.inputArgs()))
    if (!argument.use_empty())
      prefetch(operand, false);
  for (const Operand &operand : outputs)
    prefetch(operand, true);
}

void KernelEmitter::emitPrologues() {
  for (Body &body : bodies)
    emitNests(body, body.plan.prologue, {});
  meet();
}

void KernelEmitter::emitNests(Body &body, ArrayRef<Nest> nests, ArrayRef<Place> outputPlaces) {
  SmallVector<const Nest *> sinceMeeting;
  for (const Nest &nest : nests) {
    if (mustMeet(body, sinceMeeting, nest)) {
      meet();
      sinceMeeting.clear();
    }
    sinceMeeting.push_back(&nest);
    NestEnvironment environment = environmentOf(body, nest, outputPlaces);
    NestEmitter(b, loc, body.plan, nest, environment).emit();
  }
}

NestEnvironment KernelEmitter::environmentOf(Body &body, const Nest &nest, ArrayRef<Place> outputPlaces) {
  NestEnvironment environment;
  environment.placeOf = [&](Value value) { return placeOf(body, value); };
  environment.destination = [&body, outputPlaces, this](const Destination &to) {
    switch (to.kind) {
    case Destination::Output:
      return outputPlaces[to.number];
    case Destination::State:
      return newState[to.number];
    case Destination::Scratch:
      break;
    }
    return body.bufferPlaces[to.number];
  };
  environment.real = real;
  environment.batchTile = rows;
  environment.vectorBits = vectorBits;
  if (!isTeam())
    return environment;
  environment.rowCount = rowCount;
  if (!rowsAreSteps) {
    environment.member = member;
    environment.members = members;
  }
  environment.panelOf = [&](Value param, ArrayRef<Index> at) {
    auto panel = llvm::find_if(
        panels, [&](const Panel &p) { return p.nest == &nest && p.param == param && ArrayRef(p.at) == at; });
    return Place{scratch, index(panel->offset), {}, {panel->elements}, real};
  };
  return environment;
}

/// An input or an output at a step, or at the steps of a chunk, which go against time where the scan does.
Place KernelEmitter::atTime(const Operand &operand, ArrayRef<Loop> at, int64_t size) {
  Value base = operand.base;
  for (auto [axis, loop] : llvm::enumerate(at))
    base = add(base, mul(loop.second, operand.strides[1 + axis]));
  Place result = place(operand, base);
  if (size > 1) {
    result.shape.insert(result.shape.begin(), size);
    if (!result.whole.empty())
      result.whole.insert(result.whole.begin(), size);
    result.rowStride = timeStride(operand);
  }
  return result;
}

/// Reals from a step to the next that is taken.
Value KernelEmitter::timeStride(const Operand &operand) {
  return isReverse(0) ? arith::SubIOp::create(b, loc, index(0), operand.strides[1]) : operand.strides[1];
}
