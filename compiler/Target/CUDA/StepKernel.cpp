// The kernel of one scan: task, operands, loops over steps. See StepKernel.h; states are in StepStates.cpp.
#include "compiler/Target/CUDA/StepKernel.h"
#include "compiler/Target/CUDA/Codegen.h"
#include "compiler/Target/CUDA/SingleMath.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Destination;
using cpu::Place;

/// Where steps are independent: steps of one task, and steps that share the loads of a parameter.
static constexpr int64_t kTimeBlock = 32, kSharedRows = 8;

Type rondo::cuda::computationType(recur::Step step) {
  bool wide = false;
  auto look = [&](TypeRange types) {
    for (Type type : types) {
      Type element = cast<RankedTensorType>(type).getElementType();
      if (auto complex = dyn_cast<ComplexType>(element))
        element = complex.getElementType();
      wide |= element.isF64();
    }
  };
  look(step.getBlock()->getArgumentTypes());
  for (Operation &op : *step.getBlock())
    look(op.getResultTypes());
  MLIRContext *context = step.getScan()->getContext();
  return wide ? Type(Float64Type::get(context)) : Type(Float32Type::get(context));
}

static bool isIndependent(recur::ScanInterface scan) {
  return scan.numStates() == 0 && scan.numAxes() == 1 && !scan.getOffsets();
}

bool rondo::cuda::forgets(recur::Step step) {
  DenseSet<Value> fixed(step.paramArgs().begin(), step.paramArgs().end());
  for (Operation &op : step.getBlock()->without_terminator())
    if (llvm::all_of(op.getOperands(), [&](Value v) { return fixed.contains(v); }))
      fixed.insert(op.getResult(0));
  recur::YieldOp yield = step.yield();
  return !yield.getStates().empty() && yield.getOutputs().empty() &&
         llvm::all_of(yield.getStates(), [&](Value v) { return fixed.contains(v); });
}

/// A step multiplies its inputs by a parameter with several axes.
static bool sharesParams(recur::Step step) { return cpu::StepNests(step).sharesParams; }

StepKernel::StepKernel(recur::ScanInterface scan, const Program &program, ScanTensors tensors, int64_t parts,
                       const TokenShape &token)
    : KernelBuilder(scan.getLoc()), scan(scan), program(program), tensors(std::move(tensors)), parts(parts),
      step(scan, &scan->getRegion(0).front()), token(token), oneStep(token.threads > 0),
      independent(isIndependent(scan)), real(computationType(step)),
      plan(step, real.getIntOrFloatBitWidth() / 8, independent && sharesParams(step) ? kSharedRows : 1, !oneStep,
           token.threads) {}

Launch StepKernel::emit(ModuleOp into, StringRef symbol) {
  module = into;
  launch.symbol = symbol.str();
  launch.packed = !tensors.offsets.empty();
  launch.splits = parts;
  launch.timeBlock = independent ? kTimeBlock : 0;
  launch.threads = plan.threads;
  launch.sharedBytes = plan.sharedReals * (real.getIntOrFloatBitWidth() / 8);
  launch.scratchBytes = plan.scratchReals * (real.getIntOrFloatBitWidth() / 8);
  openOperands(into, symbol);
  bool inRegisters = llvm::any_of(plan.states, [](const Storage &s) { return s.kind == Storage::Register; });
  if (inRegisters && !params.empty() && !oneStep)
    arguments->function()->setAttr("passthrough", b.getStrArrayAttr({kRotateAttr}));
  planCopies();
  if (oneStep) {
    alignStates();
    alignInputs();
    takeRegisters(arguments->function(), token.beside);
    launch.early = token.early;
  }
  emitTask();
  if (oneStep)
    useFullDivision(arguments->function());
  func::ReturnOp::create(b, loc);
  return launch;
}

void StepKernel::openOperands(ModuleOp module, StringRef symbol) {
  bool oneAxis = scan.numAxes() == 1; // else there are several final states for each state
  SmallVector<Value> states(step.yield().getStates());
  open(b, loc, module, symbol, program, tensors, launch,
       {SmallVector<Value>(step.inputArgs()), SmallVector<Value>(step.paramArgs()), states,
        SmallVector<Value>(step.yield().getOutputs()), oneAxis ? states : SmallVector<Value>()});
}

/// A block's task: a row or a packed sequence, steps where those are independent, a head, and a part.
void StepKernel::emitTask() {
  if (launch.early) // the launch behind this one, too, may do at once what it can without waiting
    LLVM::InlineAsmOp::create(b, loc, TypeRange(), ValueRange(), "griddepcontrol.launch_dependents;", "",
                              /*has_side_effects=*/true, /*is_align_stack=*/false, LLVM::TailCallKind::None,
                              LLVM::AsmDialectAttr(), ArrayAttr());
  extents[0] = arguments->size(1);
  extents[1] = arguments->size(2);
  heads = arguments->size(3);
  headsPerGroup = arguments->size(4);
  thread = threadNumber(b, loc);
  Value task = blockNumber(b, loc), head = index(0), part = index(0);
  if (plan.sharedReals)
    shared = arguments->shared(real);
  if (plan.scratchReals)
    scratch = arguments->scratch(real, plan.scratchReals, task);
  auto take = [&](Value count) { // there are fewer than 2^31 tasks; 64 bits take a division in software
    auto narrow = [&](Value x) -> Value { return arith::IndexCastUIOp::create(b, loc, b.getI32Type(), x); };
    auto wide = [&](Value x) -> Value { return arith::IndexCastUIOp::create(b, loc, b.getIndexType(), x); };
    Value number = arith::RemUIOp::create(b, loc, narrow(task), narrow(count));
    task = wide(arith::DivUIOp::create(b, loc, narrow(task), narrow(count)));
    return wide(number);
  };
  if (parts > 1)
    part = take(index(parts));
  if (launch.perHead)
    head = take(heads);
  Value begin = index(0);
  if (independent) {
    Value blocks = arith::CeilDivUIOp::create(b, loc, extents[0], index(kTimeBlock));
    begin = mul(take(blocks), index(kTimeBlock));
  }
  openTask(task, head, part);
  if (launch.early)
    awaitLaunches();
  if (forgets(step) && resets.empty())
    steps = arith::MinUIOp::create(b, loc, steps, index(1));
  beginStates();
  loadInputs();
  emitNests(plan.nests.prologue, plan.prologue, {});
  if (plan.sharesMemory())
    barrier(b, loc);
  Value end = steps;
  if (independent)
    end = arith::MinUIOp::create(b, loc, add(begin, index(kTimeBlock)), steps);
  SmallVector<Loop> at;
  if (oneStep) {
    Loop first{index(0), index(0)};
    if (!resets.empty())
      emitResets(first);
    emitStep(first, {});
  } else if (!copyOffsets.empty())
    emitCopiedSteps(end);
  else if (plan.stagedSteps)
    emitStagedSteps(begin, end);
  else if (independent)
    inLoop(begin, end, index(1), [&](Value number) { emitStep(Loop{number, number}, {}); });
  else
    emitSteps(0, at);
  endStates(steps);
}

/// Waits for the launches before this one. All addresses go through what waits, so that they are known before it, and no access of memory
/// comes before it: memory that is only read would not wait otherwise.
void StepKernel::awaitLaunches() {
  SmallVector<Value *> bases;
  for (auto *list : {&inputs, &params, &inits, &outputs, &finals, &histories, &resets})
    for (Operand &operand : *list)
      bases.push_back(&operand.base);
  SmallVector<Value> before;
  std::string results, same;
  for (auto [i, base] : llvm::enumerate(bases)) {
    before.push_back(toI64(*base));
    results += "=l,";
    same += std::to_string(i) + ",";
  }
  auto type = LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(bases.size(), b.getI64Type()));
  auto waited = LLVM::InlineAsmOp::create(b, loc, type, before, "griddepcontrol.wait;", results + same + "~{memory}",
                                          /*has_side_effects=*/true, /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                          LLVM::AsmDialectAttr(), ArrayAttr());
  for (auto [i, base] : llvm::enumerate(bases)) {
    Value after = LLVM::ExtractValueOp::create(b, loc, waited.getResult(0), i);
    *base = arith::IndexCastOp::create(b, loc, b.getIndexType(), after);
  }
  for (auto [argument, operand] : llvm::zip(step.paramArgs(), params))
    places[argument] = place(operand, operand.base);
}

/// Where the operands of the task lie.
void StepKernel::openTask(Value row, Value head, Value part) {
  Value group = arith::DivUIOp::create(b, loc, head, headsPerGroup);
  Value begin = openSequence(row);
  for (auto *list : {&inputs, &params, &inits, &outputs, &finals, &histories, &resets})
    for (Operand &operand : *list) {
      operand.base = begin && operand.perTime ? mul(begin, operand.strides[1]) : index(0);
      if (operand.perBatch)
        operand.base = add(operand.base, mul(row, operand.strides[0]));
      if (operand.perHead || operand.perGroup)
        operand.base = add(operand.base, mul(operand.perGroup ? group : head, operand.strides[3]));
      if (operand.blockStride)
        operand.base = add(operand.base, mul(part, index(operand.blockStride)));
    }
  for (auto [argument, operand] : llvm::zip(step.paramArgs(), params))
    places[argument] = place(operand, operand.base);
  for (auto constant : step.getBlock()->getOps<arith::ConstantOp>())
    if (!cast<DenseElementsAttr>(constant.getValue()).isSplat())
      places[constant.getResult()] = constantPlace(constant);
}

/// Sets the number of steps. Where in time the task's sequence begins; null where a task has the whole of time.
Value StepKernel::openSequence(Value sequence) {
  steps = extents[0];
  if (!launch.packed)
    return {};
  auto offsetAt = [&](Value number) {
    Value offset = memref::LoadOp::create(b, loc, offsets[0].memref, number);
    return arith::IndexCastOp::create(b, loc, b.getIndexType(), offset).getResult();
  };
  Value begin = offsetAt(sequence);
  steps = sub(offsetAt(add(sequence, index(1))), begin);
  return begin;
}

/// A loop that carries the registers of states.
void StepKernel::inLoop(Value from, Value to, Value by, function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(b, loc, from, to, by, carried());
  {
    OpBuilder::InsertionGuard guard(b);
    Block *inside = loop.getBody();
    if (inside->mightHaveTerminator())
      b.setInsertionPoint(inside->getTerminator());
    else
      b.setInsertionPointToEnd(inside);
    setCarried(loop.getRegionIterArgs());
    body(loop.getInductionVar());
    if (!inside->mightHaveTerminator()) {
      b.setInsertionPointToEnd(inside);
      scf::YieldOp::create(b, loc, carried());
    }
  }
  setCarried(loop.getResults());
}

/// A step's number and its place in time.
StepKernel::Loop StepKernel::loopAt(Value number, size_t axis, Value extent) {
  return {number, isReverse(axis) && !independent ? sub(sub(extent, index(1)), number) : number};
}

void StepKernel::emitSteps(size_t axis, SmallVectorImpl<Loop> &at) {
  if (axis == scan.numAxes())
    return emitStep(at, {});
  Value extent = axis == 0 ? steps : extents[axis];
  inLoop(index(0), extent, index(1), [&](Value number) {
    at.push_back(loopAt(number, axis, extent));
    if (!resets.empty())
      emitResets(at.back());
    emitSteps(axis + 1, at);
    at.pop_back();
  });
}

void StepKernel::emitStep(ArrayRef<Loop> at, Value inStage) {
  if (inStage)
    placeStaged(inStage);
  else
    for (auto [argument, operand] : llvm::zip(step.inputArgs(), inputs))
      places[argument] = atTime(operand, at);
  placeStates(at);
  SmallVector<Place> outputPlaces;
  for (const Operand &operand : outputs)
    outputPlaces.push_back(atTime(operand, at));
  for (auto [nest, mapping] : llvm::zip(plan.nests.nests, plan.body))
    if (!mapping.atStage)
      emitNests(nest, mapping, outputPlaces);
}

void StepKernel::emitNests(ArrayRef<cpu::Nest> nests, ArrayRef<NestMapping> mappings, ArrayRef<Place> outputPlaces) {
  ThreadEnvironment environment;
  environment.thread = thread;
  environment.rowsLeft = rowsLeft;
  environment.real = real;
  environment.placeOf = [&](Value value) { return placeOf(value); };
  environment.destination = [&](const Destination &to) {
    if (to.kind == Destination::Output)
      return outputPlaces[to.number];
    if (to.kind == Destination::State)
      return newState[to.number];
    const cpu::ScratchBuffer &buffer = plan.nests.buffers[to.number];
    return inMemory(plan.buffers[to.number], buffer.shape, buffer.element, buffer.perSequence);
  };
  stateRegisters.resize(plan.states.size());
  bufferRegisters.resize(plan.buffers.size());
  auto registers = [](const Storage &storage, RegisterArray &array) {
    return storage.kind == Storage::Register ? &array : nullptr;
  };
  const cpu::Nest *current = nullptr;
  const NestMapping *mappingOf = nullptr;
  environment.registersOf = [&](Value value) -> RegisterArray * {
    Value memory = cpu::withoutReshapes(value);
    if (auto argument = dyn_cast<BlockArgument>(value); argument && llvm::is_contained(step.inputArgs(), value)) {
      int copy = plan.copyFor(*current, *mappingOf, llvm::find(step.inputArgs(), value) - step.inputArgs().begin());
      return copy < 0 ? nullptr : &inputRegisters[copy];
    }
    for (unsigned s = 0; s < plan.states.size(); ++s)
      if (llvm::is_contained(step.stateArgs(s), memory))
        return registers(plan.states[s], stateRegisters[s]);
    auto buffer = plan.nests.bufferOf.find(memory);
    return buffer == plan.nests.bufferOf.end()
               ? nullptr
               : registers(plan.buffers[buffer->second], bufferRegisters[buffer->second]);
  };
  environment.registersFor = [&](const Destination &to) -> RegisterArray * {
    if (to.kind == Destination::Output)
      return nullptr;
    return to.kind == Destination::State ? registers(plan.states[to.number], stateRegisters[to.number])
                                         : registers(plan.buffers[to.number], bufferRegisters[to.number]);
  };
  for (auto [nest, mapping] : llvm::zip(nests, mappings)) {
    if (mapping.barrierBefore)
      barrier(b, loc);
    current = &nest;
    mappingOf = &mapping;
    ThreadNest(b, loc, plan, nest, mapping, environment).emit();
  }
}

Place StepKernel::place(const Operand &operand, Value base) const {
  Place result{operand.memref, base, {}, operand.shape, operand.element, operand.isComplex};
  result.whole = operand.whole;
  return result;
}

/// An input or an output at a step; with several rows, at that step and those after it.
Place StepKernel::atTime(const Operand &operand, ArrayRef<Loop> at) {
  Value base = operand.base;
  for (auto [axis, loop] : llvm::enumerate(at))
    base = add(base, mul(loop.second, operand.strides[1 + axis]));
  Place result = place(operand, base);
  if (plan.rows > 1)
    result.batchStride = operand.strides[1];
  return result;
}

Place StepKernel::inMemory(const Storage &storage, ArrayRef<int64_t> shape, Type element, bool perRow) {
  Place result{storage.kind == Storage::Shared ? shared : scratch,
               index(storage.offset),
               {},
               SmallVector<int64_t>(shape),
               real,
               isa<ComplexType>(element)};
  if (storage.perStep)
    result.base = add(result.base, mul(stageStep, index(storage.perStep)));
  if (perRow && plan.rows > 1)
    result.batchStride = index(llvm::product_of(shape) * (result.isComplex ? 2 : 1));
  return result;
}

Place StepKernel::placeOf(Value value) {
  Value memory = cpu::withoutReshapes(value);
  auto type = cast<RankedTensorType>(value.getType());
  Place result;
  if (auto found = places.find(memory); found != places.end()) {
    result = found->second;
  } else {
    int number = plan.nests.bufferOf.lookup(memory);
    const cpu::ScratchBuffer &buffer = plan.nests.buffers[number];
    result = inMemory(plan.buffers[number], buffer.shape, buffer.element, buffer.perSequence);
  }
  result.shape = SmallVector<int64_t>(type.getShape());
  result.isTruth = type.getElementType().isInteger(1);
  return result;
}

/// A literal array lies in a constant global.
Place StepKernel::constantPlace(arith::ConstantOp constant) {
  auto value = cast<DenseElementsAttr>(constant.getValue());
  bool complex = isa<ComplexType>(value.getElementType());
  SmallVector<Attribute> numbers;
  auto push = [&](const APFloat &x) {
    bool lost = false;
    APFloat rounded = x;
    rounded.convert(cast<FloatType>(real).getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
    numbers.push_back(FloatAttr::get(real, rounded));
  };
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
  std::string name = launch.symbol + "_constant" + std::to_string(llvm::range_size(module.getOps<memref::GlobalOp>()));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    memref::GlobalOp::create(b, loc, name, b.getStringAttr("private"), type, data, /*constant=*/true, IntegerAttr());
  }
  Value memref = memref::GetGlobalOp::create(b, loc, type, name);
  return {memref, index(0), {}, SmallVector<int64_t>(value.getType().getShape()), real, complex};
}
