// The kernel of one scan: tasks, operands, scratch. See KernelEmitter.h; the loops over steps are in KernelSteps.cpp, the storage of
// states in KernelStates.cpp.
#include "compiler/Target/CPU/KernelEmitter.h"
#include "compiler/Target/CPU/CallFrame.h"
#include "dialects/Chunk/Chunk.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Rows of the batch that share the loads of a parameter.
static constexpr int64_t kBatchTile = 8;

/// Where steps are independent: steps that share the loads of a parameter, and steps of one task.
static constexpr int64_t kStepTile = 16;
static constexpr int64_t kTimeBlock = 4 * kStepTile;

KernelEmitter::KernelEmitter(recur::ScanInterface scan, const Program &program, ScanTensors tensors, int64_t vectorBits,
                             int64_t blocks, Team kind)
    : scan(scan), program(program), tensors(std::move(tensors)), vectorBits(vectorBits), blocks(blocks), kind(kind),
      b(scan.getContext()), loc(scan.getLoc()) {
  planBodies();
  if (isTeam())
    findPanels();
  bool wide = false;
  auto look = [&](TypeRange types) {
    for (Type type : types) {
      Type element = cast<RankedTensorType>(type).getElementType();
      if (auto complex = dyn_cast<ComplexType>(element))
        element = complex.getElementType();
      wide |= element.isF64();
    }
  };
  for (Body &body : bodies) {
    look(body.step.getBlock()->getArgumentTypes());
    for (Operation &op : *body.step.getBlock())
      look(op.getResultTypes());
  }
  real = wide ? Type(Float64Type::get(scan.getContext())) : Type(Float32Type::get(scan.getContext()));
}

/// The regions' plans. What one of them cannot update in place has a ring for both.
void KernelEmitter::planBodies() {
  bodies.emplace_back(recur::Step(scan, &scan->getRegion(0).front()), 1, kind == Team::WithPanels);
  if (auto chunked = dyn_cast<chunk::ScanOp>(scan.getOperation()))
    bodies.emplace_back(recur::Step(scan, &chunked.getChunk().front()), chunked.size(), kind == Team::WithPanels);
  storage = bodies[0].plan.states;
  for (const Body &body : bodies)
    for (auto [s, wanted] : llvm::enumerate(body.plan.states))
      if (wanted == StateStorage::Ring)
        storage[s] = StateStorage::Ring;
}

bool KernelEmitter::addRows(int64_t rows) {
  bool inPlace = llvm::all_of(storage, [](StateStorage each) { return each == StateStorage::InPlace; });
  addedRows = inPlace && bodies.size() == 2 ? rows : 1;
  return addedRows > 1;
}

Value KernelEmitter::index(int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
Value KernelEmitter::add(Value x, Value y) {
  return arith::AddIOp::create(b, loc, x, y, arith::IntegerOverflowFlags::nsw);
}
Value KernelEmitter::mul(Value x, Value y) {
  return arith::MulIOp::create(b, loc, x, y, arith::IntegerOverflowFlags::nsw);
}

/// `inside` is what a step sees of it: the operand, or a block of it; null for what no step sees.
KernelEmitter::Operand KernelEmitter::openOperand(CallFrame &frame, int number, int tensor, Type inside) {
  const TensorSpec &spec = program.tensors[tensor];
  Operand operand;
  operand.element = partType(spec.type, b.getContext());
  operand.isComplex = isComplex(spec.type);
  for (const AxisSpec &axis : spec.axes) {
    operand.perBatch |= axis.axis == Axis::Batch || axis.axis == Axis::Sequence;
    operand.perTime |= axis.axis == Axis::Time;
    operand.perHead |= axis.axis == Axis::Head;
    operand.perGroup |= axis.axis == Axis::Group;
    if (axis.axis == Axis::Named)
      operand.shape.push_back(axis.size);
  }
  if (launch.packed && operand.perTime)
    operand.perBatch = false; // all sequences lie in one batch entry
  if (ArrayRef<int64_t> seen = inside ? cast<RankedTensorType>(inside).getShape() : ArrayRef(operand.shape);
      seen != ArrayRef(operand.shape)) {
    int64_t stride = operand.isComplex ? 2 : 1;
    for (size_t i = seen.size(); i-- > 0; stride *= operand.shape[i])
      if (seen[i] != operand.shape[i])
        operand.blockStride = seen[i] * stride;
    operand.whole = std::exchange(operand.shape, SmallVector<int64_t>(seen));
  }
  operand.pointer = frame.pointer(number);
  operand.memref = frame.memrefAt(operand.pointer, operand.element);
  for (int axis = 0; axis < 5; ++axis) {
    operand.strides[axis] = frame.stride(number, axis);
    if (operand.isComplex)
      operand.strides[axis] = mul(operand.strides[axis], index(2));
  }
  launch.operands.push_back(tensor);
  launch.perHead |= operand.perHead || operand.perGroup;
  return operand;
}

Launch KernelEmitter::emit(ModuleOp into, StringRef symbol) {
  module = into;
  launch.symbol = symbol.str();
  launch.packed = !tensors.offsets.empty();
  b.setInsertionPointToEnd(module.getBody());
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  Type i64 = b.getI64Type();
  auto kernel = func::FuncOp::create(b, loc, symbol, b.getFunctionType({pointer, i64, i64, pointer}, {}));
  b.setInsertionPointToStart(kernel.addEntryBlock());

  openOperands(kernel);
  bool sharesParams = bodies[0].plan.sharesParams;
  rowsAreSteps = scan.numStates() == 0 && scan.numAxes() == 1 && sharesParams && !launch.packed;
  // Packed sequences differ in length, so that no two of them keep step; a chunk has rows enough of its own.
  bool tiles = sharesParams && !rowsAreSteps && !launch.packed && bodies.size() == 1;
  launch.batchTile = addedRows > 1 ? addedRows : tiles ? kBatchTile : 1;
  launch.timeBlock = rowsAreSteps ? kTimeBlock : 0;
  if (isTeam())
    emitTeam(kernel);
  else
    forEachTask(kernel, [&](Value tile, Value head) { emitTask(tile, head); });
  func::ReturnOp::create(b, loc);
  return launch;
}

/// What the kernel's arguments hold: sizes, operands, scratch.
void KernelEmitter::openOperands(func::FuncOp kernel) {
  CallFrame frame(b, loc, kernel.getArgument(0));
  batch = frame.batch();
  extents[0] = frame.steps(0);
  extents[1] = frame.steps(1);
  heads = frame.heads();
  headsPerGroup = frame.headsPerGroup();
  scratch = frame.memrefAt(kernel.getArgument(3), real);
  auto open = [&](ArrayRef<int> list, SmallVectorImpl<Operand> &operands, ValueRange inside = {}) {
    for (auto [i, tensor] : llvm::enumerate(list))
      operands.push_back(
          openOperand(frame, launch.operands.size(), tensor, inside.empty() ? Type() : inside[i].getType()));
  };
  const recur::Step &step = bodies[0].step;
  bool oneAxis = scan.numAxes() == 1; // else there are several final states for each state
  SmallVector<Value> inputArgs(step.inputArgs()), paramArgs(step.paramArgs());
  open(tensors.inputs, inputs, inputArgs);
  open(tensors.params, params, paramArgs);
  open(tensors.inits, inits, step.yield().getStates());
  open(tensors.outputs, outputs, step.yield().getOutputs());
  open(tensors.finals, finals, oneAxis ? ValueRange(step.yield().getStates()) : ValueRange());
  open(tensors.histories, histories);
  open(tensors.resets, resets);
  open(tensors.offsets, offsets);
}

/// A task is a tile of the batch (with a block of time, where steps are independent), one head, and one block where there are several.
void KernelEmitter::forEachTask(func::FuncOp kernel, function_ref<void(Value, Value)> emit) {
  auto bound = [&](int argument) {
    return arith::IndexCastOp::create(b, loc, b.getIndexType(), kernel.getArgument(argument)).getResult();
  };
  forEachTask(bound(1), bound(2), emit);
}

void KernelEmitter::forEachTask(Value begin, Value end, function_ref<void(Value, Value)> emit) {
  auto loop = scf::ForOp::create(b, loc, begin, end, index(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value tile = loop.getInductionVar(), head = index(0);
  if (blocks > 1) {
    block = arith::RemUIOp::create(b, loc, tile, index(blocks));
    tile = arith::DivUIOp::create(b, loc, tile, index(blocks));
  }
  if (launch.perHead) {
    head = arith::RemUIOp::create(b, loc, tile, heads);
    tile = arith::DivUIOp::create(b, loc, tile, heads);
  }
  emit(tile, head);
}

void KernelEmitter::emitTask(Value tile, Value head) {
  if (!rowsAreSteps)
    return emitTile(tile, head);
  Value last = add(extents[0], index(kTimeBlock - 1));
  Value inTime = arith::DivUIOp::create(b, loc, last, index(kTimeBlock));
  emitTimeBlock(arith::RemUIOp::create(b, loc, tile, inTime), arith::DivUIOp::create(b, loc, tile, inTime), head);
}

/// A tile that the batch does not fill is worked on row by row.
void KernelEmitter::emitTile(Value tile, Value head) {
  OpBuilder::InsertionGuard guard(b);
  Value firstRow = mul(tile, index(launch.batchTile));
  if (addedRows > 1)
    return emitAddedRows(tile, firstRow, head);
  if (launch.batchTile == 1)
    return emitTask(1, firstRow, head);
  Value rest = arith::SubIOp::create(b, loc, batch, firstRow);
  Value full = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::uge, rest, index(launch.batchTile));
  auto choice = scf::IfOp::create(b, loc, full, /*withElseRegion=*/true);
  b.setInsertionPointToStart(choice.thenBlock());
  emitTask(launch.batchTile, firstRow, head);
  b.setInsertionPointToStart(choice.elseBlock());
  auto each = scf::ForOp::create(b, loc, firstRow, batch, index(1));
  b.setInsertionPointToStart(each.getBody());
  emitTask(1, each.getInductionVar(), head);
}

/// The states go on from row to row. Where a row begins in memory behind the end of the one before, all are one sequence, so that chunks
/// span them.
void KernelEmitter::emitAddedRows(Value tile, Value firstRow, Value head) {
  openTask(1, firstRow, head);
  for (Operand &final : finals)
    placeOperand(final, Value(), tile, head);
  Value count = arith::MinUIOp::create(b, loc, index(addedRows), arith::SubIOp::create(b, loc, batch, firstRow));
  Value joined = arith::ConstantIntOp::create(b, loc, 1, 1);
  for (const Operand &input : inputs) {
    Value isNext =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, mul(steps, input.strides[1]), input.strides[0]);
    joined = arith::AndIOp::create(b, loc, joined, isNext);
  }
  steps = arith::SelectOp::create(b, loc, joined, mul(count, steps), steps);
  Value sequences = arith::SelectOp::create(b, loc, joined, index(1), count);
  beginStates();
  emitPrologues();
  auto each = scf::ForOp::create(b, loc, index(0), sequences, index(1));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(each.getBody());
    for (Operand &input : inputs)
      input.base = add(input.base, mul(each.getInductionVar(), input.strides[0]));
    emitChunks();
  }
  endStates(index(0)); // which lie in place
}

/// The steps of one block, in tiles and then one by one.
void KernelEmitter::emitTimeBlock(Value block, Value row, Value head) {
  Value begin = mul(block, index(kTimeBlock));
  Value end = arith::MinUIOp::create(b, loc, add(begin, index(kTimeBlock)), extents[0]);
  Value count = arith::SubIOp::create(b, loc, end, begin);
  if (isTeam()) {
    rowCount = count;
    openTask(kTimeBlock, row, head);
    emitPrologues();
    return emitBody(bodies[0], Loop{begin, begin});
  }
  Value whole = mul(arith::DivUIOp::create(b, loc, count, index(kStepTile)), index(kStepTile));
  Value tiled = add(begin, whole);
  auto sweep = [&](int64_t tile, Value from, Value to) {
    openTask(tile, row, head);
    emitPrologues();
    auto loop = scf::ForOp::create(b, loc, from, to, index(tile));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    emitBody(bodies[0], Loop{loop.getInductionVar(), loop.getInductionVar()});
  };
  sweep(kStepTile, begin, tiled);
  sweep(1, tiled, end);
}

void KernelEmitter::emitTask(int64_t tileRows, Value firstRow, Value head) {
  openTask(tileRows, firstRow, head);
  beginsWithStep = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt, steps, index(0));
  if (bodies.size() > 1)
    beginsWithStep = arith::AndIOp::create(
        b, loc, beginsWithStep,
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, steps, index(bodies.back().size)));
  beginStates();
  emitPrologues();
  SmallVector<Loop> at;
  endStates(bodies.size() > 1 ? emitChunks() : emitSteps(0, at));
  beginsWithStep = {};
}

/// Where the operands and the scratch buffers of a tile lie.
void KernelEmitter::openTask(int64_t tileRows, Value firstRow, Value head) {
  rows = tileRows;
  Value begin = openSequence(firstRow);
  for (auto *list : {&inputs, &params, &inits, &outputs, &finals, &histories, &resets})
    for (Operand &operand : *list)
      placeOperand(operand, begin, firstRow, head);
  layOutScratch();
  places.clear();
  for (Body &body : bodies) {
    for (auto [argument, operand] : llvm::zip(body.step.paramArgs(), params))
      places[argument] = place(operand, operand.base);
    for (auto constant : body.step.getBlock()->getOps<arith::ConstantOp>())
      if (!cast<DenseElementsAttr>(constant.getValue()).isSplat())
        places[constant.getResult()] = constantPlace(constant);
  }
}

/// Where an operand's elements for a task begin; `begin` is null where the task has the whole of time.
void KernelEmitter::placeOperand(Operand &operand, Value begin, Value row, Value head) {
  operand.base = begin && operand.perTime ? mul(begin, operand.strides[1]) : index(0);
  if (operand.perBatch)
    operand.base = add(operand.base, mul(row, operand.strides[0]));
  if (operand.perHead)
    operand.base = add(operand.base, mul(head, operand.strides[3]));
  if (operand.perGroup)
    operand.base = add(operand.base, mul(arith::DivUIOp::create(b, loc, head, headsPerGroup), operand.strides[3]));
  if (operand.blockStride)
    operand.base = add(operand.base, mul(block, index(operand.blockStride)));
}

Place KernelEmitter::place(const Operand &operand, Value base) const {
  Place result{operand.memref, base, {}, operand.shape, operand.element, operand.isComplex};
  result.whole = operand.whole;
  if (rowsAreSteps ? operand.perTime : operand.perBatch)
    result.batchStride = operand.strides[rowsAreSteps ? 1 : 0];
  return result;
}

static int64_t realsOf(ArrayRef<int64_t> shape, Type element) {
  int64_t count = isa<ComplexType>(element) ? 2 : 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

Place KernelEmitter::scratchPlace(int64_t offset, ArrayRef<int64_t> shape, Type element, bool perSequence) {
  Value base = scratchBegin ? add(scratchBegin, index(offset)) : index(offset);
  Place result{scratch, base, {}, SmallVector<int64_t>(shape), real, isa<ComplexType>(element)};
  if (perSequence)
    result.batchStride = index(realsOf(shape, element));
  return result;
}

/// Gives every buffer and ring its part of the scratch area, each on a 64-byte boundary.
void KernelEmitter::layOutScratch() {
  int64_t bytes = real.getIntOrFloatBitWidth() / 8, next = scratchStart;
  auto take = [&](int64_t reals) {
    int64_t at = next;
    next += llvm::alignTo(reals, 64 / bytes);
    return at;
  };
  ringOffset.clear();
  for (Body &body : bodies) {
    body.bufferPlaces.clear();
    for (const ScratchBuffer &buffer : body.plan.buffers) {
      int64_t copies = buffer.needed ? (buffer.perSequence ? rows : 1) : 0;
      int64_t offset = take(realsOf(buffer.shape, buffer.element) * copies);
      body.bufferPlaces.push_back(scratchPlace(offset, buffer.shape, buffer.element, buffer.perSequence));
    }
    body.packed.clear();
    for (BlockArgument input : body.step.inputArgs().drop_back(givenInputs)) {
      auto type = cast<RankedTensorType>(input.getType());
      if (!isPacked(body, input)) {
        body.packed.push_back(Place());
        continue;
      }
      // Rows of a large power of two would share a few lines of the cache here, too.
      int64_t row = realsOf(type.getShape().drop_front(), type.getElementType()), line = 64 / bytes;
      int64_t pitch = row % (8 * line) == 0 ? row + line : row;
      Place place = scratchPlace(take(pitch * type.getDimSize(0)), type.getShape(), type.getElementType(), false);
      if (pitch != row)
        place.rowStride = index(pitch);
      body.packed.push_back(place);
    }
  }
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    auto type = cast<RankedTensorType>(bodies[0].step.yield().getStates()[s].getType());
    int64_t slices = storage[s] == StateStorage::Ring ? scan.state(s).depth() + 1 : 0;
    int64_t pitch = paddedPitch(s);
    ringOffset.push_back(
        take(pitch ? pitch * type.getDimSize(0) : slices * rows * realsOf(type.getShape(), type.getElementType())));
  }
  scratchEnd = next;
  launch.scratchBytes = std::max<size_t>(launch.scratchBytes, next * bytes);
}

/// Creates no operation, so that it can be asked for inside any loop.
Place KernelEmitter::placeOf(const Body &body, Value value) {
  Value memory = withoutReshapes(value);
  auto found = places.find(memory);
  Place result = found != places.end() ? found->second : body.bufferPlaces[body.plan.bufferOf.lookup(memory)];
  auto type = cast<RankedTensorType>(value.getType());
  result.shape = SmallVector<int64_t>(type.getShape());
  result.isTruth = type.getElementType().isInteger(1);
  return result;
}

/// A literal array lies in a constant global.
Place KernelEmitter::constantPlace(arith::ConstantOp constant) {
  auto value = cast<DenseElementsAttr>(constant.getValue());
  bool complex = isa<ComplexType>(value.getElementType());
  SmallVector<Attribute> numbers;
  auto push = [&](const APFloat &x) { numbers.push_back(FloatAttr::get(real, x)); };
  if (complex)
    for (std::complex<APFloat> x : value.getValues<std::complex<APFloat>>()) {
      push(x.real());
      push(x.imag());
    }
  else
    for (const APFloat &x : value.getValues<APFloat>())
      push(x);
  int64_t size = numbers.size();
  auto data = DenseElementsAttr::get(RankedTensorType::get({size}, real), numbers);
  auto type = MemRefType::get({size}, real);
  memref::GlobalOp global;
  for (memref::GlobalOp existing : module.getOps<memref::GlobalOp>())
    if (existing.getInitialValue() == Attribute(data))
      global = existing;
  if (!global) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    std::string name =
        launch.symbol + "_constant" + std::to_string(llvm::range_size(module.getOps<memref::GlobalOp>()));
    global = memref::GlobalOp::create(b, loc, name, b.getStringAttr("private"), type, data, /*constant=*/true,
                                      IntegerAttr());
  }
  Value memref = memref::GetGlobalOp::create(b, loc, type, global.getSymName());
  return {memref, index(0), {}, SmallVector<int64_t>(value.getType().getShape()), real, complex};
}
