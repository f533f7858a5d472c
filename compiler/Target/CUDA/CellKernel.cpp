// Operands, tasks and steps. See CellKernel.h; matrices are in CellProducts.cpp.
#include "compiler/Target/CUDA/CellKernel.h"
#include "compiler/Target/CPU/ElementOps.h"
#include "compiler/Target/CUDA/BlockProduct.h"
#include "compiler/Target/CUDA/SingleMath.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Element;

CellKernel::CellKernel(recur::ScanInterface scan, const Program &program, ScanTensors tensors, CellPlan plan)
    : KernelBuilder(scan.getLoc()), scan(scan), program(program), tensors(std::move(tensors)), plan(std::move(plan)),
      step(scan, &scan->getRegion(0).front()), l(b, loc, this->plan.element),
      ops(b, loc, b.getF32Type(), /*nativeBF16=*/true) {}

Launch CellKernel::emit(ModuleOp module, StringRef symbol) {
  launch.symbol = symbol.str();
  launch.batchTile = CellPlan::rows;
  launch.splits = plan.blocks;
  launch.threads = plan.threads();
  launch.sharedBytes = plan.sharedBytes;
  launch.cooperative = !plan.local();
  launch.cluster = plan.cluster ? plan.blocks : 0;
  if (launch.cooperative)
    launch.scratchBytes = llvm::alignTo(llvm::divideCeil(plan.exchangeBytes, plan.blocks), 16);
  openOperands(module, symbol);
  openThread();
  emitTasks();
  func::ReturnOp::create(b, loc);
  useFullDivision(arguments->function());
  if (plan.sharesMultiprocessor())
    BlockProduct::placeTwo(b, arguments->function());
  return launch;
}

void CellKernel::openOperands(ModuleOp module, StringRef symbol) {
  open(b, loc, module, symbol, program, tensors, launch, {});
  batch = arguments->size(0);
  steps = arguments->size(1);
  heads = launch.perHead ? arguments->size(3) : index(1);
  headsPerGroup = arguments->size(4);
}

void CellKernel::openThread() {
  thread = NVVM::ThreadIdXOp::create(b, loc, b.getI32Type());
  warp = l.shr(thread, 5);
  lane = l.bitAnd(thread, 31);
  l.setShared(arguments->sharedPointer());
}

/// A block's tasks: one, or in a grid as many after another as do not fit beside each other.
void CellKernel::emitTasks() {
  Value block = NVVM::BlockIdXOp::create(b, loc, b.getI32Type());
  blockInTask = l.rem(block, plan.blocks); // its rank, where they form a cluster
  Value place = l.div(block, plan.blocks);
  if (plan.local())
    return emitTask(toIndex(place), l.i32(0));
  Value beside = l.div(Value(NVVM::GridDimXOp::create(b, loc, b.getI32Type())), plan.blocks);
  Value scratch = arguments->function().getArguments().back();
  Value global = LLVM::AddrSpaceCastOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext(), 1), scratch);
  Value bytes =
      l.mul(l.wide(place), arith::ConstantIntOp::create(b, loc, b.getI64Type(), plan.blocks * launch.scratchBytes));
  exchange = l.add(LLVM::PtrToIntOp::create(b, loc, b.getI64Type(), global), bytes);
  Value tiles = arith::CeilDivUIOp::create(b, loc, batch, index(CellPlan::rows));
  Value tasks = arith::MulIOp::create(b, loc, tiles, heads);
  Value time = arith::IndexCastOp::create(b, loc, b.getI32Type(), steps);
  auto loop = scf::ForOp::create(b, loc, toIndex(place), tasks, toIndex(beside), ValueRange{l.i32(0)});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value first = loop.getRegionIterArgs()[0];
  emitTask(loop.getInductionVar(), first);
  scf::YieldOp::create(b, loc, ValueRange{l.add(first, time)});
}

/// One task. `first` is the number of its first step among all that the block takes.
void CellKernel::emitTask(Value task, Value first) {
  Value head = arith::RemUIOp::create(b, loc, task, heads), tile = arith::DivUIOp::create(b, loc, task, heads);
  Value group = arith::DivUIOp::create(b, loc, head, headsPerGroup);
  openElements(tile);
  for (auto *list : {&inputs, &params, &inits, &outputs, &finals})
    for (Operand &operand : *list) {
      operand.base = index(0);
      if (operand.perHead || operand.perGroup)
        operand.base = arith::MulIOp::create(b, loc, operand.perGroup ? group : head, operand.strides[3]);
    }
  Value any = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ugt, steps, index(0));
  auto choice = scf::IfOp::create(b, loc, any, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.elseBlock());
  copyInitial();
  b.setInsertionPointToStart(choice.thenBlock());
  emitSequence(first);
}

/// Element u * 8 + n of a block is unit u of row n. A thread has elements a whole block of threads apart, all of one row.
void CellKernel::openElements(Value tile) {
  slots.clear();
  int64_t threads = plan.threads(), elements = plan.elements();
  for (int64_t s = 0; s < plan.slots(); ++s) {
    Slot slot;
    slot.element = l.add(thread, s * threads);
    if ((s + 1) * threads > elements) {
      slot.valid = l.less(slot.element, l.i32(elements));
      slot.element = l.select(slot.valid, slot.element, l.rem(thread, std::min(threads, elements)));
    }
    Value unit = l.add(l.mul(blockInTask, plan.blockUnits), l.shr(slot.element, 3));
    if (plan.paddedUnits > plan.units) {
      Value inside = l.less(unit, l.i32(plan.units));
      slot.valid = slot.valid ? l.both(slot.valid, inside) : inside;
      unit = l.least(unit, l.i32(plan.units - 1));
    }
    slot.unit = toIndex(unit);
    slots.push_back(slot);
  }
  row = arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, tile, index(CellPlan::rows)),
                              toIndex(l.bitAnd(thread, CellPlan::rows - 1)));
  rowValid = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, row, batch);
  Value last = arith::SubIOp::create(b, loc, batch, index(1));
  row = arith::MinUIOp::create(b, loc, row, last);
}

/// `time` null: of a tensor without time.
Value CellKernel::addressOf(const Operand &operand, int64_t slot, Value time) {
  Value at = operand.base;
  auto add = [&](Value x, Value y) { at = arith::AddIOp::create(b, loc, at, arith::MulIOp::create(b, loc, x, y)); };
  if (operand.perBatch)
    add(row, operand.strides[0]);
  if (time)
    add(time, operand.strides[1]);
  if (!operand.shape.empty())
    at = arith::AddIOp::create(b, loc, at, slots[slot].unit);
  return at;
}

Element CellKernel::loadAt(const Operand &operand, int64_t slot, Value time) {
  return {ops.widen(memref::LoadOp::create(b, loc, operand.memref, addressOf(operand, slot, time))), {}};
}

void CellKernel::storeAt(const Operand &operand, int64_t slot, Value time, Element element) {
  Value valid = slots[slot].valid ? l.both(rowValid, slots[slot].valid) : rowValid;
  Value at = addressOf(operand, slot, time), value = ops.narrow(element.re, operand.element);
  ifTrue(valid, [&] { memref::StoreOp::create(b, loc, value, operand.memref, at); });
}

/// By the threads that have elements; the others do what `others` says, and get zeros.
CellKernel::Values CellKernel::owners(TypeRange types, function_ref<Values()> body, function_ref<void()> others) {
  if (plan.elements() >= plan.threads())
    return body();
  Value has = l.less(thread, l.i32(plan.elements()));
  auto choice = scf::IfOp::create(b, loc, types, has, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  auto yield = [&](Block *block, function_ref<Values()> make) {
    if (types.empty())
      b.setInsertionPointToStart(block); // there is a terminator
    else
      b.setInsertionPointToEnd(block);
    Values values = make();
    if (!types.empty())
      scf::YieldOp::create(b, loc, values);
  };
  yield(choice.thenBlock(), body);
  yield(choice.elseBlock(), [&] {
    if (others)
      others();
    Values zeros;
    for (Type type : types)
      zeros.push_back(arith::ConstantOp::create(b, loc, b.getZeroAttr(type)));
    return zeros;
  });
  return Values(choice.getResults());
}

/// Position in memory of a step's inputs and outputs; beyond the last step the last one's.
CellKernel::Values CellKernel::loadInputs(Value number) {
  Value last = arith::SubIOp::create(b, loc, steps, index(1));
  Value time = arith::MinUIOp::create(b, loc, number, last);
  if (scan.axis(0).getReverse())
    time = arith::SubIOp::create(b, loc, last, time);
  Values raw;
  for (const Operand &input : inputs)
    for (int64_t s = 0; s < plan.slots(); ++s)
      raw.push_back(memref::LoadOp::create(b, loc, input.memref, addressOf(input, s, time)));
  return raw;
}

CellKernel::Values CellKernel::loadStates() {
  Values states;
  for (const Operand &init : inits)
    for (int64_t s = 0; s < plan.slots(); ++s)
      states.push_back(loadAt(init, s, {}).re);
  return states;
}

void CellKernel::storeStates(ValueRange states) {
  for (auto [i, final] : llvm::enumerate(finals))
    for (int64_t s = 0; s < plan.slots(); ++s)
      storeAt(final, s, {}, {states[i * plan.slots() + s], {}});
}

void CellKernel::copyInitial() {
  owners({}, [&] {
    storeStates(loadStates());
    return Values();
  });
}

CellKernel::Scope CellKernel::scopeOf(int64_t slot, ValueRange states, ValueRange raw, ValueRange sums) {
  Scope scope;
  int64_t count = plan.slots();
  for (auto [i, argument] : llvm::enumerate(step.inputArgs()))
    scope[argument] = {ops.widen(raw[i * count + slot]), {}};
  for (unsigned s = 0; s < scan.numStates(); ++s)
    scope[step.stateArgs(s).front()] = {states[s * count + slot], {}};
  size_t at = slot;
  for (const CellPhase &phase : plan.phases)
    for (const CellJob &job : phase.jobs)
      for (const CellProduct &product : job.products) {
        if (at < sums.size())
          scope[product.result] = {sums[at], {}};
        at += count;
      }
  for (auto [argument, operand] : llvm::zip(step.paramArgs(), params))
    if (operand.shape.size() < 2)
      scope[argument] = loadAt(operand, slot, {}); // moved out of the loop: no one writes it
  return scope;
}

Element CellKernel::evaluate(Value value, Scope &scope) {
  if (auto known = scope.find(value); known != scope.end())
    return known->second;
  Operation *op = value.getDefiningOp();
  SmallVector<Element> operands;
  for (Value operand : op->getOperands())
    operands.push_back(evaluate(operand, scope));
  return scope[value] = ops.compute(op, operands);
}

void CellKernel::emitSequence(Value first) {
  loadWeights();
  Values carried = loadStates(), raw;
  size_t numStates = carried.size();
  for (int64_t p = 0; p < plan.ring; ++p)
    copyInputs(index(p));
  if (plan.ring) {
    l.waitCopies(plan.ring - 1);
    raw = readInputs(index(0));
  } else {
    raw = loadInputs(index(0));
    carried.append(raw);
  }
  publishFirst(first, ValueRange(carried).take_front(numStates), raw);
  auto loop = scf::ForOp::create(b, loc, index(0), steps, index(1), carried);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value time = loop.getInductionVar(),
          number = l.add(first, arith::IndexCastOp::create(b, loc, b.getI32Type(), time));
    Value following = arith::AddIOp::create(b, loc, time, index(1));
    ValueRange states = ValueRange(loop.getRegionIterArgs()).take_front(numStates);
    Values next;
    if (plan.ring) {
      l.waitCopies(plan.ring - 2);
      Values now = readInputs(time), later = readInputs(following);
      next = emitStep(time, number, states, now, later);
      copyInputs(arith::AddIOp::create(b, loc, time, index(plan.ring)));
    } else {
      Values later = loadInputs(following);
      next = emitStep(time, number, states, ValueRange(loop.getRegionIterArgs()).drop_front(numStates), later);
      next.append(later);
    }
    scf::YieldOp::create(b, loc, next);
  }
  l.waitCopies(0); // what is still on its way goes where the next task's weights pass
  owners({}, [&] {
    storeStates(ValueRange(loop.getResults()).take_front(numStates));
    return Values();
  });
}

/// The vectors of the first step's first phase.
void CellKernel::publishFirst(Value first, ValueRange states, ValueRange raw) {
  owners(
      {},
      [&] {
        SmallVector<Scope> scopes;
        for (int64_t s = 0; s < plan.slots(); ++s)
          scopes.push_back(scopeOf(s, states, raw, {}));
        for (const CellJob &job : plan.phases.front().jobs) {
          Values values;
          for (Scope &scope : scopes)
            values.push_back(evaluate(job.vector, scope).re);
          publish(job, first, values);
        }
        orderPublications();
        return Values();
      },
      [&] { emptyBuffers(plan.phases.front().jobs, first); });
}

/// New states. `later`: inputs of the step that follows.
CellKernel::Values CellKernel::emitStep(Value time, Value number, ValueRange states, ValueRange raw, ValueRange later) {
  size_t numStates = states.size();
  Values sums, next;
  for (auto [p, phase] : llvm::enumerate(plan.phases)) {
    awaitPublished(p, number);
    multiplyAll(phase, number);
    l.barrier();
    bool last = p + 1 == plan.phases.size();
    size_t count = 0;
    for (const CellJob &job : phase.jobs)
      count += job.products.size() * plan.slots();
    SmallVector<Type> types(last ? numStates : count, b.getF32Type());
    Values results = owners(
        types,
        [&] {
          Values all = sums;
          for (const CellJob &job : phase.jobs)
            all.append(readSums(job, number));
          if (last) {
            return finishStep(time, number, all, states, raw, later);
          }
          SmallVector<Scope> scopes;
          for (int64_t s = 0; s < plan.slots(); ++s)
            scopes.push_back(scopeOf(s, states, raw, all));
          for (const CellJob &job : plan.phases[p + 1].jobs) {
            Values values;
            for (Scope &scope : scopes)
              values.push_back(evaluate(job.vector, scope).re);
            publish(job, number, values);
          }
          orderPublications();
          return Values(all.begin() + sums.size(), all.end());
        },
        [&] { emptyBuffers(plan.phases[last ? 0 : p + 1].jobs, last ? l.add(number, 1) : number); });
    (last ? next : sums).append(results);
  }
  return next;
}

/// New states; the vectors that the next step begins with go out first, then the outputs.
CellKernel::Values CellKernel::finishStep(Value time, Value number, const Values &sums, ValueRange states,
                                          ValueRange raw, ValueRange later) {
  SmallVector<Scope> scopes;
  for (int64_t s = 0; s < plan.slots(); ++s)
    scopes.push_back(scopeOf(s, states, raw, sums));
  Values next;
  for (Value state : step.yield().getStates())
    for (Scope &scope : scopes)
      next.push_back(evaluate(state, scope).re);
  Value following = arith::AddIOp::create(b, loc, time, index(1));
  ifTrue(arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, following, steps), [&] {
    SmallVector<Scope> after;
    for (int64_t s = 0; s < plan.slots(); ++s)
      after.push_back(scopeOf(s, next, later, {}));
    for (const CellJob &job : plan.phases.front().jobs) {
      Values values;
      for (Scope &scope : after)
        values.push_back(evaluate(job.vector, scope).re);
      publish(job, l.add(number, 1), values);
    }
    orderPublications();
  });
  Value at = time;
  if (scan.axis(0).getReverse())
    at = arith::SubIOp::create(b, loc, arith::SubIOp::create(b, loc, steps, index(1)), time);
  for (auto [value, operand] : llvm::zip(step.yield().getOutputs(), outputs))
    for (auto [s, scope] : llvm::enumerate(scopes))
      storeAt(operand, s, at, evaluate(value, scope));
  return next;
}

std::optional<Launch> rondo::cuda::emitCellKernel(recur::ScanInterface scan, const Program &program,
                                                  const ScanTensors &tensors, ModuleOp module, StringRef symbol,
                                                  StringRef arch) {
  std::optional<CellPlan> plan = planCell(scan, arch);
  if (!plan)
    return std::nullopt;
  return CellKernel(scan, program, tensors, std::move(*plan)).emit(module, symbol);
}
