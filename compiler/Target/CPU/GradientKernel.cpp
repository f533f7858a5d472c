// See GradientKernel.h.
#include "compiler/Target/CPU/GradientKernel.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// A region whose arguments stand in another order: argument i of the new one is argument order[i].
static void cloneReordered(Region &from, Region &to, ArrayRef<unsigned> order) {
  Block &block = to.emplaceBlock();
  IRMapping map;
  for (unsigned number : order) {
    BlockArgument old = from.getArgument(number);
    map.map(old, block.addArgument(old.getType(), old.getLoc()));
  }
  OpBuilder b = OpBuilder::atBlockEnd(&block);
  for (Operation &op : from.front())
    b.clone(op, map);
}

/// The way there is the scan itself. The way back is a scan that has the old states among its inputs, as the last ones.
GradientKernel::GradientKernel(chunk::GradientScanOp op, const Program &program, const GradientTensors &tensors,
                               int64_t vectorBits)
    : op(op), tensors(tensors), loc(op.getLoc()) {
  OpBuilder b(op);
  thereScan = chunk::ScanOp::create(b, loc, TypeRange(), op.getInputs(), op.getParams(), op.getInits(), Value(),
                                    Value(), op.getAxes(), op.getStates(), op.getPlan());
  IRMapping map;
  op.getStep().cloneInto(&thereScan.getStep(), map);
  op.getChunk().cloneInto(&thereScan.getChunk(), map);

  SmallVector<Value> inputs(op.getInputs());
  llvm::append_range(inputs, op.getCotangents());
  unsigned read = inputs.size(), params = op.getParams().size(), states = op.getInits().size();
  llvm::append_range(inputs, op.getInits());
  backScan = chunk::ScanOp::create(b, loc, TypeRange(), inputs, op.getParams(), op.getFinals(), Value(), Value(),
                                   op.getAxes(), op.getAdjoints(), op.getPlan());
  SmallVector<unsigned> order;
  auto add = [&](unsigned first, unsigned count) {
    for (unsigned i = 0; i < count; ++i)
      order.push_back(first + i);
  };
  add(0, read);
  add(read + params, states);
  add(read, params);
  add(read + params + states, op.getFinals().size());
  cloneReordered(op.getBackStep(), backScan.getStep(), order);
  cloneReordered(op.getBackChunk(), backScan.getChunk(), order);

  there.emplace(
      cast<recur::ScanInterface>(*thereScan), program,
      ScanTensors{
          tensors.inputs, tensors.params, tensors.inits, {}, tensors.states, {}, tensors.resets, tensors.offsets},
      vectorBits);
  SmallVector<int> given(tensors.inputs);
  llvm::append_range(given, tensors.cotangents);
  back.emplace(
      cast<recur::ScanInterface>(*backScan), program,
      ScanTensors{given, tensors.params, tensors.finals, tensors.outputs, tensors.adjoints, {}, {}, tensors.offsets},
      vectorBits);
  back->givenInputs = states;
  back->againstTime = true;
  Type wide = there->real.getIntOrFloatBitWidth() > back->real.getIntOrFloatBitWidth() ? there->real : back->real;
  there->real = back->real = wide;
}

GradientKernel::~GradientKernel() {
  thereScan.erase();
  backScan.erase();
}

void GradientKernel::onTheWayBack(function_ref<void()> emit) {
  back->b.restoreInsertionPoint(there->b.saveInsertionPoint());
  emit();
  there->b.restoreInsertionPoint(back->b.saveInsertionPoint());
}

Launch GradientKernel::emit(ModuleOp module, StringRef symbol) {
  OpBuilder &b = there->b;
  b.setInsertionPointToEnd(module.getBody());
  Type pointer = LLVM::LLVMPointerType::get(b.getContext()), i64 = b.getI64Type();
  auto kernel = func::FuncOp::create(b, loc, symbol, b.getFunctionType({pointer, i64, i64, pointer}, {}));
  b.setInsertionPointToStart(kernel.addEntryBlock());
  there->module = back->module = module;
  there->launch.symbol = symbol.str();
  there->launch.packed = back->launch.packed = !tensors.offsets.empty();
  there->openOperands(kernel);
  CallFrame frame(b, loc, kernel.getArgument(0));
  for (auto [tensor, state] : llvm::zip(tensors.kept, there->bodies[0].step.yield().getStates()))
    kept.push_back(there->openOperand(frame, there->launch.operands.size(), tensor, state.getType()));
  back->launch = there->launch;
  onTheWayBack([&] { back->openOperands(kernel); });
  there->launch = back->launch;
  there->forEachTask(kernel, [&](Value row, Value head) { emitTask(row, head); });
  func::ReturnOp::create(b, loc);
  there->launch.scratchBytes = back->launch.scratchBytes;
  return there->launch;
}

void GradientKernel::loop(Value count, function_ref<void(Value)> body) {
  OpBuilder &b = there->b;
  auto made = scf::ForOp::create(b, loc, there->index(0), count, there->index(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(made.getBody());
  body(made.getInductionVar());
}

void GradientKernel::emitTask(Value row, Value head) {
  there->openTask(1, row, head);
  for (KernelEmitter::Operand &operand : kept)
    there->placeOperand(operand, Value(), row, head);
  back->scratchStart = there->scratchEnd;
  onTheWayBack([&] { back->openTask(1, row, head); });
  layOutSlots();
  begin = there->launch.packed ? there->openSequence(row) : there->index(0);
  length = there->steps;
  there->emitPrologues();
  onTheWayBack([&] {
    back->beginStates();
    back->emitPrologues();
  });
  Value moves = tensors.resets.empty() ? emitSegment(there->index(0), length, there->index(0)) : emitSegments();
  back->steps = length;
  onTheWayBack([&] { back->endStates(moves); });
}

/// Steps [from, end) of the task, which begin from the initial states: there and back. Takes and gives how often the adjoints have moved.
Value GradientKernel::emitSegment(Value from, Value end, Value moves) {
  OpBuilder &b = there->b;
  first = from;
  movesBefore = moves;
  there->steps = arith::SubIOp::create(b, loc, end, from);
  Value size = there->index(op.size());
  Value chunks = arith::DivUIOp::create(b, loc, there->steps, size);
  Value rest = arith::RemUIOp::create(b, loc, there->steps, size);
  there->beginStates();
  walkThere(chunks, rest);
  walkBack(chunks, rest);
  return there->add(moves, there->add(chunks, rest));
}

/// From reset to reset, the last segment first. What a segment's adjoints are at its beginning is added up, as all segments begin from the
/// initial states, and the segment before it begins with adjoints of zero.
Value GradientKernel::emitSegments() {
  OpBuilder &b = there->b;
  Type type = b.getIndexType();
  unsigned states = op.getStates().size();
  auto fill = [&](unsigned s, Place to, Place from, KernelEmitter::Fill how) {
    onTheWayBack([&] { back->copy(to, from, back->index(0), how); });
  };
  for (unsigned s = 0; s < states; ++s)
    fill(s, totalPlace(s), totalPlace(s), KernelEmitter::Fill::Zero);
  auto loop = scf::WhileOp::create(b, loc, TypeRange{type, type}, ValueRange{length, there->index(0)});
  OpBuilder::InsertionGuard guard(b);
  Block *before = b.createBlock(&loop.getBefore(), {}, {type, type}, {loc, loc});
  Value left = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt, before->getArgument(0), there->index(0));
  scf::ConditionOp::create(b, loc, left, before->getArguments());
  Block *after = b.createBlock(&loop.getAfter(), {}, {type, type}, {loc, loc});
  Value from = beginOfSegment(after->getArgument(0));
  Value moves = emitSegment(from, after->getArgument(0), after->getArgument(1));
  for (unsigned s = 0; s < states; ++s) {
    fill(s, totalPlace(s), adjointBefore(s, moves), KernelEmitter::Fill::Add);
    fill(s, adjointBefore(s, moves), totalPlace(s), KernelEmitter::Fill::Zero);
  }
  b.setInsertionPointToEnd(after);
  scf::YieldOp::create(b, loc, ValueRange{from, moves});
  b.setInsertionPointAfter(loop);
  for (unsigned s = 0; s < states; ++s)
    fill(s, adjointBefore(s, loop.getResult(1)), totalPlace(s), KernelEmitter::Fill::Add);
  return loop.getResult(1);
}

/// The last step before `end` that has a reset, or the first step.
Value GradientKernel::beginOfSegment(Value end) {
  OpBuilder &b = there->b;
  Type type = b.getIndexType();
  const KernelEmitter::Operand &resets = there->resets[0];
  Value one = there->index(1);
  auto loop =
      scf::WhileOp::create(b, loc, TypeRange{type}, ValueRange{arith::SubIOp::create(b, loc, end, one).getResult()});
  OpBuilder::InsertionGuard guard(b);
  Block *before = b.createBlock(&loop.getBefore(), {}, {type}, {loc});
  first = there->index(0);
  Value step = before->getArgument(0), at = where(step);
  Value mark =
      memref::LoadOp::create(b, loc, resets.memref, there->add(resets.base, there->mul(at, resets.strides[1])));
  Value none = arith::ConstantOp::create(b, loc, b.getIntegerAttr(resets.element, 0));
  Value goesOn = arith::AndIOp::create(b, loc, arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, mark, none),
                                       arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt, step, there->index(0)));
  scf::ConditionOp::create(b, loc, goesOn, ValueRange{step});
  Block *after = b.createBlock(&loop.getAfter(), {}, {type}, {loc});
  scf::YieldOp::create(b, loc, ValueRange{arith::SubIOp::create(b, loc, after->getArgument(0), one).getResult()});
  return loop.getResult(0);
}

/// In every slot there is room for all states. Slots hold what is before the moves of one interval, or before the single steps.
void GradientKernel::layOutSlots() {
  int64_t bytes = there->real.getIntOrFloatBitWidth() / 8, slots = std::max<int64_t>(op.interval(), op.size() - 1);
  int64_t next = back->scratchEnd;
  slotOffset.clear();
  for (unsigned s = 0; s < op.getStates().size(); ++s) {
    slotOffset.push_back(next);
    next += slots * there->slotReals(s);
  }
  totalOffset.clear();
  for (unsigned s = 0; !tensors.resets.empty() && s < op.getStates().size(); ++s) {
    totalOffset.push_back(next);
    next += back->slotReals(s);
  }
  back->launch.scratchBytes = std::max<size_t>(back->launch.scratchBytes, next * bytes);
}

Place GradientKernel::slotPlace(unsigned state, Value slot) {
  auto type = cast<RankedTensorType>(there->bodies[0].step.yield().getStates()[state].getType());
  Place result = there->scratchPlace(slotOffset[state], type.getShape(), type.getElementType(), false);
  result.base = there->add(result.base, there->mul(slot, there->index(there->slotReals(state))));
  if (int64_t pitch = there->paddedPitch(state))
    result.rowStride = there->index(pitch);
  return result;
}

/// Where the cotangents of an initial state are added up.
Place GradientKernel::totalPlace(unsigned state) {
  auto type = cast<RankedTensorType>(back->bodies[0].step.yield().getStates()[state].getType());
  return back->scratchPlace(totalOffset[state], type.getShape(), type.getElementType(), false);
}

/// The entry of a segment's interval is that of its first step. No two segments meet in one, since the first interval's, of which no more
/// is known than the initial states, are not kept.
Place GradientKernel::keptPlace(unsigned state, Value interval) {
  const KernelEmitter::Operand &operand = kept[state];
  Value steps = there->index(op.interval() * op.size());
  Value entry = arith::DivUIOp::create(there->b, loc, there->add(begin, first), steps);
  return there->place(operand, there->add(operand.base, there->mul(there->add(entry, interval), operand.strides[1])));
}

/// As a move finds it: in place, or in the ring's slot that the move before has written.
Place GradientKernel::stateBefore(unsigned state, Value moves) {
  if (there->storage[state] == StateStorage::InPlace)
    return there->inPlace[state];
  return there->ringSlot(state,
                         arith::RemUIOp::create(there->b, loc, there->add(moves, there->index(1)), there->index(2)));
}

/// The same of an adjoint.
Place GradientKernel::adjointBefore(unsigned state, Value moves) {
  if (back->storage[state] == StateStorage::InPlace)
    return back->inPlace[state];
  OpBuilder &b = there->b;
  Value slot = arith::RemUIOp::create(b, loc, there->add(moves, there->index(1)), there->index(2));
  Place result;
  onTheWayBack([&] { result = back->ringSlot(state, slot); });
  return result;
}

void GradientKernel::save(Value moves, function_ref<Place(unsigned)> place) {
  for (unsigned s = 0; s < op.getStates().size(); ++s)
    there->copy(place(s), stateBefore(s, moves), there->index(0));
}

/// A step of the segment, in memory from the task's first step on.
Value GradientKernel::where(Value step) {
  OpBuilder &b = there->b;
  Value inTask = there->add(first, step);
  if (!there->isReverse(0))
    return inTask;
  return arith::SubIOp::create(b, loc, arith::SubIOp::create(b, loc, length, there->index(1)), inTask);
}

void GradientKernel::moveThere(size_t body, Value moves, Value step) {
  there->emitBody(there->bodies[body], KernelEmitter::Loop{moves, where(step)});
}

/// `moves` counts how often the adjoints have moved in this segment; the states before the move lie in `slot`.
void GradientKernel::moveBack(size_t body, Value moves, Value step, Value slot) {
  KernelEmitter::Body &region = back->bodies[body];
  ArrayRef<BlockArgument> states = region.step.inputArgs().take_back(op.getStates().size());
  for (auto [s, argument] : llvm::enumerate(states))
    back->places[argument] = slotPlace(s, slot);
  Value at = where(step), number = there->add(movesBefore, moves);
  onTheWayBack([&] { back->emitBody(region, KernelEmitter::Loop{number, at}); });
}

void GradientKernel::walkThere(Value chunks, Value rest) {
  OpBuilder &b = there->b;
  Value interval = there->index(op.interval()), size = there->index(op.size());
  loop(chunks, [&](Value chunk) {
    Value begins = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                         arith::RemUIOp::create(b, loc, chunk, interval), there->index(0));
    Value later = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, chunk, there->index(0));
    auto isKept = scf::IfOp::create(b, loc, arith::AndIOp::create(b, loc, begins, later), /*withElseRegion=*/false);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(isKept.thenBlock());
      Value entry = arith::DivUIOp::create(b, loc, chunk, interval);
      save(chunk, [&](unsigned s) { return keptPlace(s, entry); });
    }
    moveThere(1, chunk, there->mul(chunk, size));
  });
  Value done = there->mul(chunks, size);
  loop(rest, [&](Value step) {
    Value moves = there->add(chunks, step);
    save(moves, [&](unsigned s) { return slotPlace(s, step); });
    moveThere(0, moves, there->add(done, step));
  });
}

void GradientKernel::walkBack(Value chunks, Value rest) {
  OpBuilder &b = there->b;
  Value done = there->mul(chunks, there->index(op.size()));
  auto last = [&](Value count, Value i) {
    return arith::SubIOp::create(b, loc, arith::SubIOp::create(b, loc, count, there->index(1)), i).getResult();
  };
  loop(rest, [&](Value i) {
    Value step = last(rest, i);
    moveBack(0, i, there->add(done, step), step);
  });
  Value interval = there->index(op.interval());
  Value intervals = arith::DivUIOp::create(b, loc, there->add(chunks, there->index(op.interval() - 1)), interval);
  loop(intervals, [&](Value i) { backChunks(last(intervals, i), chunks, rest); });
}

/// One interval: its states again, one chunk after another, and then against time.
void GradientKernel::backChunks(Value interval, Value chunks, Value rest) {
  OpBuilder &b = there->b;
  Value size = there->index(op.size()), one = there->index(1);
  Value from = there->mul(interval, there->index(op.interval()));
  Value count =
      arith::MinUIOp::create(b, loc, there->index(op.interval()), arith::SubIOp::create(b, loc, chunks, from));
  beginInterval(interval);
  Value before = arith::SubIOp::create(b, loc, count, one);
  loop(before, [&](Value i) {
    for (unsigned s = 0; s < op.getStates().size(); ++s)
      there->moved.push_back({slotPlace(s, i), slotPlace(s, there->add(i, one))});
    Value chunk = there->add(from, i);
    moveThere(1, chunk, there->mul(chunk, size));
    there->moved.clear();
  });
  loop(count, [&](Value i) {
    Value slot = arith::SubIOp::create(b, loc, before, i), chunk = there->add(from, slot);
    Value moves = there->add(rest, arith::SubIOp::create(b, loc, arith::SubIOp::create(b, loc, chunks, one), chunk));
    moveBack(1, moves, there->mul(chunk, size), slot);
  });
}

/// The states before an interval, into the first slot.
void GradientKernel::beginInterval(Value interval) {
  OpBuilder &b = there->b;
  OpBuilder::InsertionGuard guard(b);
  Value first = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, interval, there->index(0));
  auto choice = scf::IfOp::create(b, loc, first, /*withElseRegion=*/true);
  for (Block *block : {choice.thenBlock(), choice.elseBlock()}) {
    b.setInsertionPointToStart(block);
    for (unsigned s = 0; s < op.getStates().size(); ++s) {
      const KernelEmitter::Operand &init = there->inits[s];
      Place from = block == choice.thenBlock() ? there->place(init, init.base) : keptPlace(s, interval);
      there->copy(slotPlace(s, there->index(0)), from, there->index(0));
    }
  }
}
