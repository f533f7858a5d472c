// See SegmentEmitter.h.
#include "compiler/Target/CPU/SegmentEmitter.h"
#include "compiler/Target/CPU/ValueTiles.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Where sequences begin.
struct Boundaries {
  Value resets, offsets;
};

/// A scan before `op` over its axis with copies of `step` and, unless it is empty, of `chunk`.
static recur::ScanInterface makeScan(chunk::SegmentScanOp op, TypeRange results, ValueRange inputs, ValueRange params,
                                     ValueRange inits, ArrayAttr states, Region &step, Region *chunk,
                                     Boundaries of = {}) {
  OpBuilder b(op);
  IRMapping map;
  if (!chunk || chunk->empty()) {
    auto scan = recur::ScanOp::create(b, op.getLoc(), results, inputs, params, inits, of.resets, of.offsets,
                                      op.getAxes(), states);
    step.cloneInto(&scan.getBody(), map);
    return cast<recur::ScanInterface>(*scan);
  }
  auto scan = chunk::ScanOp::create(b, op.getLoc(), results, inputs, params, inits, of.resets, of.offsets, op.getAxes(),
                                    states, op.getPlan());
  step.cloneInto(&scan.getStep(), map);
  chunk->cloneInto(&scan.getChunk(), map);
  return cast<recur::ScanInterface>(*scan);
}

recur::ScanInterface rondo::cpu::withoutSegments(chunk::SegmentScanOp op) {
  return makeScan(op, op->getResultTypes(), op.getInputs(), op.getParams(), op.getInits(), op.getStates(), op.getStep(),
                  &op.getChunk(), {op.getResets(), op.getOffsets()});
}

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The join is a scan over segments, whose inputs are the parts.
SegmentEmitter::SegmentEmitter(chunk::SegmentScanOp op, recur::ScanInterface whole, const Program &program,
                               const ScanTensors &tensors, int64_t vectorBits)
    : op(op), program(program), tensors(tensors), loc(op.getLoc()) {
  endsScan = makeScan(op, {}, op.getInputs(), op.getParams(), {}, op.getParts(), op.getEndsStep(), &op.getEndsChunk());
  SmallVector<Value> parts(op.getParts().size(), op.getInputs().front()); // any: nothing looks at them
  joinScan = makeScan(op, {}, parts, {}, {}, op.getStates(), op.getJoin(), nullptr);
  inside.emplace(whole, program, tensors, vectorBits);
  ends.emplace(endsScan, program, ScanTensors{tensors.inputs, tensors.params, {}, {}, {}, {}, {}, {}}, vectorBits);
  join.emplace(joinScan, program, ScanTensors{}, vectorBits);
  bool wide = llvm::any_of(ArrayRef<KernelEmitter *>{&*inside, &*ends, &*join},
                           [](KernelEmitter *emitter) { return emitter->real.isF64(); });
  Type real = wide ? Type(Float64Type::get(op.getContext())) : inside->real;
  for (KernelEmitter *emitter : {&*inside, &*ends, &*join})
    emitter->real = real;
}

SegmentEmitter::~SegmentEmitter() {
  endsScan->erase();
  joinScan->erase();
}

bool SegmentEmitter::canEmit() const {
  return llvm::all_of(llvm::concat<const int>(tensors.inits, tensors.finals), [&](int tensor) {
    return partType(program.tensors[tensor].type, op->getContext()) == inside->real;
  });
}

void SegmentEmitter::with(KernelEmitter &emitter, function_ref<void()> emit) {
  if (&emitter == &*inside)
    return emit();
  emitter.b.restoreInsertionPoint(inside->b.saveInsertionPoint());
  emit();
  inside->b.restoreInsertionPoint(emitter.b.saveInsertionPoint());
}

Value SegmentEmitter::is(Value x, Value y) {
  return arith::CmpIOp::create(inside->b, loc, arith::CmpIPredicate::eq, x, y);
}

Value SegmentEmitter::isOneOf(Value which, Value yes, Value no) {
  return arith::SelectOp::create(inside->b, loc, which, yes, no);
}

SegmentKernel SegmentEmitter::emit(ModuleOp module, StringRef symbol) {
  OpBuilder &b = inside->b;
  b.setInsertionPointToEnd(module.getBody());
  Type pointer = LLVM::LLVMPointerType::get(b.getContext()), i64 = b.getI64Type();
  auto kernel = func::FuncOp::create(b, loc, symbol, b.getFunctionType({pointer, i64, i64, pointer}, {}));
  b.setInsertionPointToStart(kernel.addEntryBlock());
  for (KernelEmitter *emitter : {&*inside, &*ends, &*join}) {
    emitter->module = module;
    emitter->launch.symbol = symbol.str();
  }
  inside->launch.packed = ends->launch.packed = !tensors.offsets.empty();
  openAll(kernel);
  Value sequences = inside->launch.perHead ? inside->mul(inside->batch, inside->heads) : inside->batch;
  auto rounds = scf::ForOp::create(b, loc, zero, inside->index(2), inside->index(1));
  b.setInsertionPointToStart(rounds.getBody());
  Value round = rounds.getInductionVar();
  forShare(inside->mul(sequences, segments), [&](Value unit) { emitUnit(round, unit); });
  auto between = scf::IfOp::create(b, loc, is(round, zero), /*withElseRegion=*/false);
  b.setInsertionPointToStart(between.thenBlock());
  inside->callMeet();
  forShare(sequences, [&](Value sequence) { emitJoins(sequence); });
  inside->callMeet();
  b.setInsertionPointAfter(rounds);
  func::ReturnOp::create(b, loc);

  SegmentKernel made;
  made.symbol = symbol.str();
  for (KernelEmitter *emitter : {&*inside, &*ends, &*join})
    made.scratchBytes = std::max(made.scratchBytes, emitter->launch.scratchBytes);
  made.segmentBytes = recordReals * inside->real.getIntOrFloatBitWidth() / 8;
  made.count = op.getPlan().getSegments();
  made.multiple = op.size();
  setCosts(made);
  return made;
}

void SegmentEmitter::openAll(func::FuncOp kernel) {
  OpBuilder &b = inside->b;
  inside->openOperands(kernel);
  with(*ends, [&] { ends->openOperands(kernel); });
  with(*join, [&] { join->openOperands(kernel); });
  CallFrame frame(b, loc, kernel.getArgument(0));
  auto toIndex = [&](Value value) { return arith::IndexCastOp::create(b, loc, b.getIndexType(), value).getResult(); };
  member = toIndex(kernel.getArgument(1));
  members = toIndex(kernel.getArgument(2));
  inside->meetFunction = frame.meetFunction();
  inside->meeting = frame.meeting();
  segments = frame.segments();
  firstSteps = frame.firstSteps();
  segmentSteps = frame.segmentSteps();
  workspacePointer = frame.workspace();
  workspace = frame.memrefAt(workspacePointer, inside->real);
  zero = inside->index(0);
  givenInits = inside->inits;
  givenFinals = inside->finals;
  openParts();
}

/// A state of a record, or a part: what does not vary with the task, but where it lies.
KernelEmitter::Operand SegmentEmitter::recordOperand(RankedTensorType type) {
  KernelEmitter::Operand operand;
  operand.pointer = workspacePointer;
  operand.memref = workspace;
  operand.base = zero;
  for (Value &stride : operand.strides)
    stride = zero;
  operand.shape = SmallVector<int64_t>(type.getShape());
  operand.element = inside->real;
  operand.isComplex = isa<ComplexType>(type.getElementType());
  return operand;
}

void SegmentEmitter::openParts() {
  auto take = [&](RankedTensorType type) {
    int64_t reals = isa<ComplexType>(type.getElementType()) ? 2 : 1, at = recordReals;
    for (int64_t size : type.getShape())
      reals *= size;
    recordReals += llvm::alignTo(reals, 16); // a line of the cache
    return at;
  };
  for (Value state : inside->bodies[0].step.yield().getStates()) {
    stateOffset.push_back(take(typeOf(state)));
    join->inits.push_back(recordOperand(typeOf(state)));
    join->finals.push_back(recordOperand(typeOf(state)));
  }
  for (Attribute begin : op.getBegins()) {
    auto type = cast<RankedTensorType>(cast<DenseElementsAttr>(begin).getType());
    partOffset.push_back(take(type));
    join->inputs.push_back(recordOperand(type));
    ends->finals.push_back(recordOperand(type));
    KernelEmitter::Operand constant = recordOperand(type);
    with(*ends, [&] {
      auto value = arith::ConstantOp::create(ends->b, loc, cast<TypedAttr>(begin));
      constant.memref = ends->constantPlace(value).memref;
      value.erase();
    });
    constant.pointer = LLVM::ZeroOp::create(inside->b, loc, workspacePointer.getType()); // no state's own memory
    ends->inits.push_back(constant);
  }
  if (op.getEnds())
    cutOffset = take(RankedTensorType::get({}, inside->real));
}

void SegmentEmitter::placeInRecord(KernelEmitter::Operand &operand, Value record, int64_t offset) {
  operand.base = inside->add(record, inside->index(offset));
}

Value SegmentEmitter::recordOf(Value sequence, Value number) {
  Value at = inside->add(inside->mul(sequence, segments), number);
  return inside->mul(at, inside->index(recordReals));
}

void SegmentEmitter::forShare(Value count, function_ref<void(Value)> body) {
  OpBuilder &b = inside->b;
  auto border = [&](Value thread) {
    return arith::DivUIOp::create(b, loc, inside->mul(count, thread), members).getResult();
  };
  auto loop =
      scf::ForOp::create(b, loc, border(member), border(inside->add(member, inside->index(1))), inside->index(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void SegmentEmitter::emitUnit(Value round, Value unit) {
  OpBuilder &b = inside->b;
  Value number = arith::RemUIOp::create(b, loc, unit, segments),
        sequence = arith::DivUIOp::create(b, loc, unit, segments);
  Value row = sequence, head = zero;
  if (inside->launch.perHead) {
    head = arith::RemUIOp::create(b, loc, sequence, inside->heads);
    row = arith::DivUIOp::create(b, loc, sequence, inside->heads);
  }
  // In the first round the first segment is computed, and what the others do is found out; in the second the others are.
  Value segment = inside->add(number, round);
  Value isFirst = is(segment, zero), isLater = is(round, inside->index(1));
  auto choice = scf::IfOp::create(b, loc, arith::OrIOp::create(b, loc, isFirst, isLater), /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  emitInside(row, head, sequence, segment);
  b.setInsertionPointToStart(choice.elseBlock());
  emitEnds(row, head, sequence, segment);
}

void SegmentEmitter::openWindow(KernelEmitter &emitter, Value sequence, Value segment) {
  OpBuilder &b = inside->b;
  Value whole = inside->extents[0], first = firstSteps, each = segmentSteps, origin;
  if (inside->launch.packed) {
    // As a call is cut, so is each of its sequences.
    inside->windowSteps = {};
    origin = inside->openSequence(sequence);
    Value all = whole;
    whole = inside->steps;
    Value multiple = inside->index(op.size());
    Value share = arith::DivUIOp::create(b, loc, inside->mul(whole, segmentSteps), all);
    each = inside->mul(arith::DivUIOp::create(b, loc, share, multiple), multiple);
    first = arith::SubIOp::create(b, loc, whole, inside->mul(each, segments));
  }
  Value isFirst = is(segment, zero);
  Value before = arith::SubIOp::create(b, loc, segment, inside->index(1));
  Value begin = isOneOf(isFirst, zero, inside->add(first, inside->mul(before, each)));
  emitter.windowSteps = isOneOf(isFirst, first, each);
  if (inside->isReverse(0)) // from behind
    begin = arith::SubIOp::create(b, loc, arith::SubIOp::create(b, loc, whole, begin), emitter.windowSteps);
  emitter.windowBegin = origin ? inside->add(origin, begin) : begin;
}

void SegmentEmitter::runScan(KernelEmitter &emitter, function_ref<void()> afterBegin) {
  emitter.beginStates();
  if (afterBegin)
    afterBegin();
  emitter.emitPrologues();
  SmallVector<KernelEmitter::Loop> at;
  emitter.endStates(emitter.bodies.size() > 1 ? emitter.emitChunks() : emitter.emitSteps(0, at));
}

/// From the caller's state, or the one in the segment's record; to the caller's, or to a record.
void SegmentEmitter::emitInside(Value row, Value head, Value sequence, Value segment) {
  OpBuilder &b = inside->b;
  inside->inits = givenInits;
  inside->finals = givenFinals;
  openWindow(*inside, row, segment);
  inside->openTask(1, row, head);
  inside->resetInits = inside->inits;
  Value isFirst = is(segment, zero), isLast = is(segment, segments);
  Value own = arith::SubIOp::create(b, loc, segment, inside->index(1));
  Value record = recordOf(sequence, isOneOf(isFirst, zero, own));
  auto choose = [&](Value isGiven, KernelEmitter::Operand &operand, int64_t offset) {
    operand.pointer = isOneOf(isGiven, operand.pointer, workspacePointer);
    operand.memref = isOneOf(isGiven, operand.memref, workspace);
    operand.base = isOneOf(isGiven, operand.base, inside->add(record, inside->index(offset)));
  };
  for (auto [s, offset] : llvm::enumerate(stateOffset)) {
    choose(isFirst, inside->inits[s], offset);
    choose(isLast, inside->finals[s], offset);
  }
  runScan(*inside);
}

/// A window that has a reset begins at its last one. Whether it has.
Value SegmentEmitter::cutWindow(KernelEmitter &emitter, Value row, Value head) {
  OpBuilder &b = inside->b;
  KernelEmitter::Operand resets = inside->resets[0];
  inside->placeOperand(resets, emitter.windowBegin, row, head);
  Value one = inside->index(1), steps = emitter.windowSteps;
  auto loop = scf::ForOp::create(b, loc, zero, steps, one, ValueRange{zero}); // one more than the reset's step
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value next = inside->add(loop.getInductionVar(), one), where = loop.getInductionVar();
    if (inside->isReverse(0))
      where = arith::SubIOp::create(b, loc, steps, next);
    Value at = inside->add(resets.base, inside->mul(where, resets.strides[1]));
    Value mark = memref::LoadOp::create(b, loc, resets.memref, at);
    Value none = arith::ConstantOp::create(b, loc, b.getIntegerAttr(resets.element, 0));
    scf::YieldOp::create(b, loc, isOneOf(is(mark, none), loop.getRegionIterArg(0), next));
  }
  Value last = loop.getResult(0);
  Value isCut = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, last, zero);
  Value skipped = isOneOf(isCut, arith::SubIOp::create(b, loc, last, one), zero);
  emitter.windowSteps = arith::SubIOp::create(b, loc, steps, skipped);
  if (!inside->isReverse(0)) // whose steps are counted from the window's end
    emitter.windowBegin = inside->add(emitter.windowBegin, skipped);
  return isCut;
}

void SegmentEmitter::emitEnds(Value row, Value head, Value sequence, Value segment) {
  OpBuilder &b = inside->b;
  openWindow(*ends, row, segment);
  Value own = arith::SubIOp::create(b, loc, segment, inside->index(1));
  Value record = recordOf(sequence, own), isCut;
  if (op.getEnds()) {
    isCut = cutWindow(*ends, row, head);
    Value asReal = arith::UIToFPOp::create(b, loc, inside->real, isCut);
    memref::StoreOp::create(b, loc, asReal, workspace, inside->add(record, inside->index(cutOffset)));
  }
  with(*ends, [&] { ends->openTask(1, row, head); });
  for (auto [part, offset] : llvm::enumerate(partOffset))
    placeInRecord(ends->finals[part], record, offset);
  with(*ends, [&] {
    runScan(*ends, [&] {
      if (isCut)
        beginAnew(isCut, row, head);
    });
  });
}

/// Behind a reset, the parts that say where a state ends begin as the caller's states do.
void SegmentEmitter::beginAnew(Value isCut, Value row, Value head) {
  OpBuilder &b = ends->b;
  auto guarded = scf::IfOp::create(b, loc, isCut, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(guarded.thenBlock());
  for (auto [part, given] : llvm::zip(*op.getEnds(), givenInits)) {
    KernelEmitter::Operand init = given;
    ends->placeOperand(init, {}, row, head);
    ends->setInitial(part, init, ends->index(0));
  }
}

/// The states before the segments behind the second one: what the segment before them makes of its own.
void SegmentEmitter::emitJoins(Value sequence) {
  OpBuilder &b = inside->b;
  Value one = inside->index(1), last = arith::SubIOp::create(b, loc, segments, one);
  auto loop = scf::ForOp::create(b, loc, zero, last, one);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value from = recordOf(sequence, loop.getInductionVar());
  Value to = recordOf(sequence, inside->add(loop.getInductionVar(), one));
  if (!op.getEnds())
    return emitJoin(from, to);
  Value cut = memref::LoadOp::create(b, loc, workspace, inside->add(from, inside->index(cutOffset)));
  Value none = arith::ConstantOp::create(b, loc, b.getFloatAttr(inside->real, 0));
  Value isCut = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::ONE, cut, none);
  auto choice = scf::IfOp::create(b, loc, isCut, /*withElseRegion=*/true);
  b.setInsertionPointToStart(choice.thenBlock());
  for (auto [part, init, offset] : llvm::zip(*op.getEnds(), join->inits, stateOffset)) {
    KernelEmitter::Operand there = join->inputs[part], state = init;
    placeInRecord(there, from, partOffset[part]);
    placeInRecord(state, to, offset);
    inside->copy(inside->place(state, state.base), inside->place(there, there.base), zero);
  }
  b.setInsertionPointToStart(choice.elseBlock());
  emitJoin(from, to);
}

void SegmentEmitter::emitJoin(Value from, Value to) {
  OpBuilder &b = inside->b;
  join->windowSteps = inside->index(1);
  join->windowBegin = {};
  with(*join, [&] { join->openTask(1, zero, zero); });
  for (auto [s, offset] : llvm::enumerate(stateOffset)) {
    placeInRecord(join->inits[s], from, offset);
    placeInRecord(join->finals[s], to, offset);
    // Elsewhere in the same memory: to be copied, which is seen by the pointers.
    join->inits[s].pointer = LLVM::ZeroOp::create(b, loc, workspacePointer.getType());
  }
  for (auto [part, offset] : llvm::enumerate(partOffset))
    placeInRecord(join->inputs[part], from, offset);
  with(*join, [&] { runScan(*join); });
}

/// Nanoseconds of a multiplication, and of an element that a join reads and writes.
static constexpr double kPerWork = 0.035, kPerJoined = 0.5;

void SegmentEmitter::setCosts(SegmentKernel &kernel) const {
  chunk::SegmentScanOp scan = op;
  bool chunks = scan.size() > 1;
  double whole = double(workOf(chunks ? scan.getChunk() : scan.getStep()));
  kernel.again = double(workOf(chunks ? scan.getEndsChunk() : scan.getEndsStep())) / std::max(1.0, whole);
  kernel.step = kPerWork * std::max(1.0, whole / double(scan.size()));
  kernel.join = kPerJoined * double(recordReals) + kPerWork * double(workOf(scan.getJoin()));
}
