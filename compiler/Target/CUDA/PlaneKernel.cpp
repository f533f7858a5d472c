// Task, values, the way forth. See PlaneKernel.h; stages are in PlaneStage.cpp, the way back in PlaneBack.cpp.
#include "compiler/Target/CUDA/PlaneKernel.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Element;
using cpu::Index;
using cpu::Indices;

/// Steps that are written out: enough for one's elementary functions to fill another's waits.
static constexpr int64_t kUnrolled = 4;
static constexpr float kLog2E = 1.44269504f;

PlaneKernel::PlaneKernel(PlaneCall call, PlaneSizes sizes, const Program &program)
    : KernelBuilder(call.forth.facts->scan.getLoc()), call(std::move(call)), sizes(sizes), program(program),
      l(b, loc, b.getBF16Type()), ops(b, loc, b.getF32Type(), /*nativeBF16=*/true) {}

void PlaneKernel::ifTrue(Value condition, function_ref<void()> body) {
  if (!condition)
    return body();
  KernelBuilder::ifTrue(condition, body);
}

PlaneKernel::Values PlaneKernel::loop(Value from, Value to, int64_t by, const Values &carried,
                                      function_ref<Values(Value, Values)> body) {
  auto loop = scf::ForOp::create(b, loc, from, to, index(by), carried);
  if (!outermost)
    outermost = loop;
  OpBuilder::InsertionGuard guard(b);
  if (carried.empty())
    b.setInsertionPointToStart(loop.getBody());
  else
    b.setInsertionPointToEnd(loop.getBody());
  Values next = body(loop.getInductionVar(), Values(loop.getRegionIterArgs()));
  if (!carried.empty())
    scf::YieldOp::create(b, loc, next);
  return Values(loop.getResults());
}

Launch PlaneKernel::emit(ModuleOp module, StringRef symbol) {
  launch.symbol = symbol.str();
  launch.splits = sizes.parts();
  launch.threads = sizes.threads;
  open(b, loc, module, symbol, program, call.tensors, launch, {});
  takeRegisters(arguments->function(), 1);
  if (call.part != PlanePart::Whole) {
    launch.perSegment = true;
    launch.segmentBytes = segmentBytes(mapFacts());
    func::FuncOp kernel = arguments->function();
    for (int i = 0; i < 2; ++i)
      (void)kernel.insertArgument(kernel.getNumArguments(), b.getI64Type(), {}, loc);
  }
  planStages();
  findCommon();
  openTask();
  if (call.back.facts)
    emitBack();
  else
    emitForth();
  func::ReturnOp::create(b, loc);
  return std::move(launch);
}

/// A block's task: a row of the batch, a head, a part of the channels.
void PlaneKernel::openTask() {
  l.setShared(arguments->sharedPointer());
  thread = NVVM::ThreadIdXOp::create(b, loc, b.getI32Type());
  lane = l.rem(thread, sizes.lanes());
  group = l.div(thread, sizes.lanes());
  steps = arguments->size(1);
  Value number = blockNumber(b, loc), heads = launch.perHead ? arguments->size(3) : index(1);
  part = arith::RemUIOp::create(b, loc, number, index(sizes.parts()));
  Value task = arith::DivUIOp::create(b, loc, number, index(sizes.parts()));
  Value head = arith::RemUIOp::create(b, loc, task, heads), row = arith::DivUIOp::create(b, loc, task, heads);
  if (call.part != PlanePart::Whole)
    openSegment(row, heads, head);
  Value ofGroup = arith::DivUIOp::create(b, loc, head, arguments->size(4));
  for (auto *list : {&inputs, &params, &inits, &outputs, &finals})
    for (Operand &operand : *list) {
      operand.base = operand.perBatch ? mul(row, operand.strides[0]) : index(0);
      if (operand.perHead || operand.perGroup)
        operand.base = add(operand.base, mul(operand.perGroup ? ofGroup : head, operand.strides[3]));
    }
  channel = add(mul(part, index(sizes.channelsPerBlock())), mul(toIndex(group), index(sizes.channelsEach)));
}

void PlaneKernel::eachElement(ArrayRef<int> axes, function_ref<void(ArrayRef<Index>)> visit) {
  Indices at;
  std::function<void(size_t)> from = [&](size_t axis) {
    if (axis == axes.size())
      return visit(at);
    int64_t count = axes[axis] == kChannel ? sizes.channelsEach : axes[axis] == kPlace ? sizes.placesEach : 1;
    for (int64_t i = 0; i < count; ++i) {
      at.push_back({axes[axis], i});
      from(axis + 1);
      at.pop_back();
    }
  };
  from(0);
}

size_t PlaneKernel::elementsOf(ArrayRef<int> axes) {
  size_t count = 0;
  eachElement(axes, [&](ArrayRef<Index>) { ++count; });
  return count;
}

size_t PlaneKernel::elementNumber(ArrayRef<Index> at) {
  size_t number = 0;
  for (const Index &index : at)
    if (index.dim >= 0)
      number = number * (index.dim == kChannel ? sizes.channelsEach : sizes.placesEach) + index.offset;
  return number;
}

PlaneKernel::Values PlaneKernel::elements(Scope &scope, Value value, ArrayRef<int> axes) {
  Values values;
  eachElement(axes, [&](ArrayRef<Index> at) { values.push_back(evaluate(scope, value, at)); });
  return values;
}

static std::vector<int64_t> keyOf(int64_t what, ArrayRef<Index> at) {
  std::vector<int64_t> key{what};
  for (const Index &index : at)
    key.insert(key.end(), {index.dim, index.offset});
  return key;
}

static int64_t identityOf(Value value) { return reinterpret_cast<intptr_t>(value.getAsOpaquePointer()); }

/// What no step changes is computed before the stages.
Value PlaneKernel::evaluate(Scope &scope, Value value, ArrayRef<Index> at) {
  auto key = keyOf(identityOf(value), at);
  if (auto found = constants.find(key); found != constants.end())
    return found->second;
  if (auto found = scope.known.find(key); found != scope.known.end())
    return found->second;
  if (scope.facts->isInvariant(value)) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(outermost);
    return constants[key] = compute(scope, value, at);
  }
  if (Value forth = scope.before ? common.lookup(value) : Value())
    if (auto found = scope.before->known.find(keyOf(identityOf(forth), at)); found != scope.before->known.end())
      return scope.known[key] = found->second;
  Value result = compute(scope, value, at);
  return scope.known[key] = result;
}

Value PlaneKernel::compute(Scope &scope, Value value, ArrayRef<Index> at) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return this->argument(scope, argument, at);
  Operation *op = value.getDefiningOp();
  if (!cpu::reductionExtents(op).empty())
    return addUp(scope, op, at);
  if (Value power = exponential(scope, op, at))
    return power;
  SmallVector<Element> operands;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    operands.push_back({evaluate(scope, op->getOperand(i), cpu::operandIndices(op, i, at, {})), {}});
  return ops.compute(op, operands).re;
}

Value PlaneKernel::argument(Scope &scope, BlockArgument argument, ArrayRef<Index> at) {
  PlaneSource source = call.sources.lookup(argument);
  if (source.kind == PlaneSource::Input)
    return row(scope, source.number)[elementNumber(at)];
  if (source.kind == PlaneSource::Param)
    return param(source.number, scope.facts->axes.lookup(argument), at);
  return scope.state(source, elementNumber(at));
}

/// An element of a parameter, from device memory.
Value PlaneKernel::param(unsigned number, ArrayRef<int> axes, ArrayRef<Index> at) {
  const Operand &operand = params[number];
  Value from = operand.base;
  int64_t stride = 1;
  for (size_t axis = operand.shape.size(); axis-- > 0; stride *= operand.shape[axis]) {
    Value position = index(at[axis].offset);
    if (axes[axis] == kChannel)
      position = add(channel, position);
    if (axes[axis] == kPlace)
      position = add(mul(toIndex(lane), index(sizes.placesEach)), position);
    from = add(from, mul(position, index(stride)));
  }
  Value address = pointer(inputs.size() + number, operand.element, from);
  return ops.widen(LLVM::LoadOp::create(b, loc, operand.element, address, operand.element.getIntOrFloatBitWidth() / 8));
}

/// exp(x a), where no step changes a, is 2^(x (a log2 e)): one multiplication and one instruction. The rounding of a log2 e and of the product
/// costs as much as that of x a would. What lies below the least normal number is 0.
Value PlaneKernel::exponential(Scope &scope, Operation *op, ArrayRef<Index> at) {
  auto map = dyn_cast<recur::MapOp>(op);
  if (!map || map.getFn() != recur::Fn::Exp)
    return {};
  Operation *product = op->getOperand(0).getDefiningOp();
  auto factor = dyn_cast_or_null<recur::MapOp>(product);
  bool isProduct = (factor && factor.getFn() == recur::Fn::Mul) ||
                   (isa_and_nonnull<recur::ContractOp>(product) && cpu::reductionExtents(product).empty());
  if (!isProduct || product->getNumOperands() != 2 ||
      scope.facts->isInvariant(product->getOperand(0)) == scope.facts->isInvariant(product->getOperand(1)))
    return {};
  unsigned fixed = scope.facts->isInvariant(product->getOperand(0)) ? 0 : 1;
  Indices where = cpu::operandIndices(op, 0, at, {});
  Value a = evaluate(scope, product->getOperand(fixed), cpu::operandIndices(product, fixed, where, {}));
  Value x = evaluate(scope, product->getOperand(1 - fixed), cpu::operandIndices(product, 1 - fixed, where, {}));
  auto key = keyOf(-1, {});
  key.push_back(identityOf(a));
  Value &scaled = constants[key];
  if (!scaled) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(outermost);
    scaled = l.mulf(a, l.f32(kLog2E));
  }
  return LLVM::CallIntrinsicOp::create(b, loc, b.getF32Type(), b.getStringAttr("llvm.nvvm.ex2.approx.ftz.f32"),
                                       ValueRange{l.mulf(x, scaled)})
      .getResult(0);
}

/// A sum over places: a thread's own, and then its group's. Of one over channels, the thread's own.
Value PlaneKernel::addUp(Scope &scope, Operation *op, ArrayRef<Index> at) {
  auto reduce = dyn_cast<recur::ReduceOp>(op);
  recur::Reduction kind = reduce ? reduce.getKind() : recur::Reduction::Sum;
  bool overPlaces = cpu::reductionExtents(op).front() == sizes.places;
  Element sum;
  for (int64_t i = 0; i < (overPlaces ? sizes.placesEach : sizes.channelsEach); ++i) {
    Indices reduced{{overPlaces ? kPlace : kChannel, i}};
    SmallVector<Element> factors;
    for (unsigned o = 0; o < op->getNumOperands(); ++o)
      factors.push_back({evaluate(scope, op->getOperand(o), cpu::operandIndices(op, o, at, reduced)), {}});
    Element product = factors.front();
    for (const Element &factor : ArrayRef(factors).drop_front().drop_back(factors.size() > 1))
      product = ops.mul(product, factor);
    if (factors.size() > 1)
      sum = sum.re ? ops.multiplyAdd(product, factors.back(), sum) : ops.mul(product, factors.back());
    else
      sum = sum.re ? ops.combine(kind, sum, product) : product;
  }
  for (int64_t by = 1; overPlaces && by < sizes.lanes(); by *= 2)
    sum = ops.combine(kind, sum, {l.exchange(sum.re, by), {}});
  return sum.re;
}

size_t PlaneKernel::stateBegin(PlaneFacts &facts, unsigned state) {
  size_t begin = 0;
  for (unsigned s = 0; s < state; ++s)
    begin += elementsOf(facts.axes.lookup(facts.step.yield().getStates()[s]));
  return begin;
}

PlaneKernel::Values PlaneKernel::initialStates(PlaneFacts &facts) {
  Values states;
  for (auto [s, state] : llvm::enumerate(facts.step.yield().getStates())) {
    const auto axes = facts.axes.lookup(state);
    unsigned position = inputs.size() + params.size() + s;
    llvm::append_range(states, loadRow(inits[s], position, axes, add(inits[s].base, firstElement(axes)), false));
  }
  return states;
}

void PlaneKernel::storeStates(PlaneFacts &facts, const Values &states) {
  for (auto [s, state] : llvm::enumerate(facts.step.yield().getStates())) {
    const auto axes = facts.axes.lookup(state);
    Values mine(ArrayRef(states).slice(stateBegin(facts, s), elementsOf(axes)));
    storeRow(finals[s], outputPosition(outputs.size() + s), axes, add(finals[s].base, firstElement(axes)), mine, false);
  }
}

PlaneKernel::Values PlaneKernel::newStates(Scope &scope) {
  Values states;
  for (Value state : scope.facts->step.yield().getStates())
    llvm::append_range(states, elements(scope, state, scope.facts->axes.lookup(state)));
  return states;
}

/// Where the outputs of the step at `position` lie; null of sums over channels.
PlaneKernel::Values PlaneKernel::cursorsAt(const PlaneLeg &leg, Value position) {
  Values cursors;
  for (auto [number, operand] : llvm::zip(leg.outputs, leg.operands)) {
    if (leg.facts->isChannelSum(number)) {
      continue;
    }
    const Operand &to = outputs[operand];
    const auto axes = leg.facts->axes.lookup(leg.facts->step.yield().getOutputs()[number]);
    cursors.push_back(add(add(to.base, firstElement(axes)), mul(timeOf(position), to.strides[1])));
  }
  return cursors;
}

/// One step on, in the order of the way forth, or back.
PlaneKernel::Values PlaneKernel::moved(const PlaneLeg &leg, const Values &cursors, bool ahead) {
  Values next;
  for (auto [number, operand] : llvm::zip(leg.outputs, leg.operands)) {
    if (leg.facts->isChannelSum(number))
      continue;
    bool up = ahead != call.forth.facts->scan.axis(0).getReverse();
    Value cursor = cursors[next.size()], stride = outputs[operand].strides[1];
    next.push_back(up ? add(cursor, stride) : sub(cursor, stride));
  }
  return next;
}

/// What a step yields: to device memory where `valid` (null: always), and its part of sums over channels to shared memory.
void PlaneKernel::storeOutputs(Scope &scope, const PlaneLeg &leg, ArrayRef<Value> cursors, Value valid) {
  size_t next = 0, sum = leg.firstSum;
  SmallVector<std::tuple<unsigned, SmallVector<int, 2>, Value, Values>> rows;
  for (auto [number, operand] : llvm::zip(leg.outputs, leg.operands)) {
    Value output = leg.facts->step.yield().getOutputs()[number];
    if (leg.facts->isChannelSum(number)) {
      storePartial(scope, output, sum++);
      continue;
    }
    const auto axes = leg.facts->axes.lookup(output);
    rows.emplace_back(operand, axes, cursors[next++], elements(scope, output, axes));
  }
  if (rows.empty())
    return;
  ifTrue(valid, [&] {
    for (auto &[operand, axes, cursor, values] : rows)
      storeRow(outputs[operand], outputPosition(operand), axes, cursor, values, true);
  });
}

/// Steps of the stage, several written out, and the rest one by one.
void PlaneKernel::takeSteps(Value begin, Value end, Values &states, Values &cursors) {
  Value several = mul(arith::DivUIOp::create(b, loc, sub(end, begin), index(kUnrolled)), index(kUnrolled));
  Value rest = add(begin, several);
  takeSteps(begin, rest, kUnrolled, states, cursors);
  takeSteps(rest, end, 1, states, cursors);
}

void PlaneKernel::takeSteps(Value begin, Value end, int64_t unrolled, Values &states, Values &cursors) {
  size_t words = states.size();
  Values carried = states;
  carried.append(cursors);
  carried = loop(begin, end, unrolled, carried, [&](Value first, Values values) {
    Values states(ArrayRef(values).take_front(words)), cursors(ArrayRef(values).drop_front(words));
    Value base = arith::IndexCastOp::create(b, loc, b.getI32Type(), first);
    for (int64_t u = 0; u < unrolled; ++u) {
      Scope scope;
      scope.facts = call.forth.facts;
      scope.base = base;
      scope.plus = u;
      scope.state = [&](PlaneSource source, size_t element) {
        return states[stateBegin(*call.forth.facts, source.number) + element];
      };
      Values next = call.part == PlanePart::Ends ? newMaps(scope, states) : newStates(scope);
      storeOutputs(scope, call.forth, cursors, {});
      states = std::move(next);
      cursors = moved(call.forth, cursors, true);
    }
    states.append(cursors);
    return states;
  });
  states.assign(carried.begin(), carried.begin() + words);
  cursors.assign(carried.begin() + words, carried.end());
}

void PlaneKernel::emitForth() {
  Values states = call.part == PlanePart::Whole  ? initialStates(*call.forth.facts)
                  : call.part == PlanePart::Ends ? neutralMaps()
                                                 : statesOfSegment();
  size_t words = states.size();
  Values carried = states;
  carried.append(loadFirst([&] { return loadStage(index(0)); }));
  carried = loop(index(0), steps, sizes.stage, carried, [&](Value from, Values values) {
    Values states(ArrayRef(values).take_front(words)), loaded(ArrayRef(values).drop_front(words));
    l.barrier(); // the stage before is done with
    storeStage(loaded);
    l.barrier();
    loaded = loadStage(add(from, index(sizes.stage)));
    Value count = arith::MinUIOp::create(b, loc, index(sizes.stage), sub(steps, from));
    Values cursors = cursorsAt(call.forth, from);
    if (call.keepsStates)
      states = loop(index(0), count, sizes.kept, states, [&](Value begin, Values states) {
        Value at = add(from, begin);
        keepStates(states, arith::DivUIOp::create(b, loc, first ? add(first, at) : at, index(sizes.kept)));
        takeSteps(begin, arith::MinUIOp::create(b, loc, add(begin, index(sizes.kept)), count), states, cursors);
        return states;
      });
    else
      takeSteps(index(0), count, states, cursors);
    addPartials(from, count);
    states.append(loaded);
    return states;
  });
  states.assign(carried.begin(), carried.begin() + words);
  if (call.part == PlanePart::Whole)
    storeStates(*call.forth.facts, states);
  else if (call.part == PlanePart::Ends)
    storeMaps(states, PlaneFacts::Map::Affine);
}
