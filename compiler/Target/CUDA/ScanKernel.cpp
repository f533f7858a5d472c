// Tile, runs, steps. See ScanKernel.h; what goes from tile to tile is in ScanExchange.cpp.
#include "compiler/Target/CUDA/ScanKernel.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <set>

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Element;
using cpu::Index;
using cpu::Indices;

ScanKernel::ScanKernel(chunk::SegmentScanOp scan, const Program &program, ScanTensors tensors, ScanPlan plan)
    : KernelBuilder(scan.getLoc()), scan(scan), step(scan, &scan.getStep().front()), program(program),
      tensors(std::move(tensors)), plan(std::move(plan)), l(b, loc, b.getBF16Type()),
      ops(b, loc, b.getF32Type(), /*nativeBF16=*/true) {}

Value ScanKernel::less(Value x, Value y) { return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, x, y); }

ScanKernel::Values ScanKernel::choose(Value condition, const Values &yes, const Values &no) {
  Values chosen;
  for (auto [x, y] : llvm::zip(yes, no))
    chosen.push_back(arith::SelectOp::create(b, loc, condition, x, y));
  return chosen;
}

std::vector<Launch> ScanKernel::emit(ModuleOp module, StringRef symbol) {
  std::vector<Launch> launches{emitClear(module, symbol.str() + "_clear")};
  openKernel(module, symbol.str() + "_segments");
  launch.threads = plan.threads;
  launch.sharedBytes = sharedBytes();
  launch.timeBlock = plan.steps();
  launch.scratchBytes = tileBytes();
  alignRows();
  // As many blocks beside each other as keep memory busy: ptxas may give a thread so many registers.
  arguments->function()->setAttr(
      "passthrough", b.getArrayAttr({b.getArrayAttr({b.getStringAttr("nvvm.minctasm"), b.getStringAttr("4")})}));
  openTile();
  loadRun();
  Values parts = partsOfRun();
  Values before = scanWarp(parts);
  foldTiles();
  forget();
  takeSteps(statesBefore(before));
  func::ReturnOp::create(b, loc);
  launches.push_back(std::move(launch));
  return launches;
}

/// Rows of which a thread takes several channels at once.
void ScanKernel::alignRows() {
  std::set<int> rows;
  if (plan.vector > 1)
    for (const ScanElement &element : plan.arguments)
      if (element.channelAxis >= 0 && element.number < inputs.size())
        rows.insert(static_cast<int>(element.number));
  if (plan.vector > 1)
    for (const ScanOutput &element : plan.outputs)
      if (element.channelAxis >= 0 && element.sum == 1)
        rows.insert(static_cast<int>(inputs.size() + params.size() + inits.size() + element.number));
  launch.aligned.assign(rows.begin(), rows.end());
}

void ScanKernel::openKernel(ModuleOp module, StringRef symbol) {
  launch = Launch();
  launch.symbol = symbol.str();
  launch.splits = plan.blocks();
  for (auto *list : {&inputs, &params, &inits, &outputs, &finals})
    list->clear();
  open(b, loc, module, symbol, program, tensors, launch, {});
  thread = NVVM::ThreadIdXOp::create(b, loc, b.getI32Type());
  Value scratch = arguments->function().getArguments().back();
  Value global = LLVM::AddrSpaceCastOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext(), 1), scratch);
  workspace = LLVM::PtrToIntOp::create(b, loc, b.getI64Type(), global);
}

/// Which tile the block has. Blocks are numbered in the order of time, and a GPU begins with them in the order of their numbers, as CUB's scans
/// rely on, too: a tile waits for such alone as are done or at work.
void ScanKernel::openTile() {
  l.setShared(arguments->sharedPointer());
  lane = l.rem(thread, plan.lanes);
  team = l.div(thread, plan.lanes);
  warp = l.shr(thread, 5);
  steps = arguments->size(1);
  number = blockNumber(b, loc);
  Value heads = launch.perHead ? arguments->size(3) : index(1), parts = index(plan.blocks());
  Value tasks = mul(arguments->size(0), heads), rest = arith::DivUIOp::create(b, loc, number, parts);
  Value part = arith::RemUIOp::create(b, loc, number, parts), task = arith::RemUIOp::create(b, loc, rest, tasks);
  between = mul(tasks, parts);
  tile = arith::DivUIOp::create(b, loc, rest, tasks);
  channel = add(mul(part, index(plan.channelsPerBlock())), mul(toIndex(lane), index(plan.vector)));
  if (plan.blocks() * plan.channelsPerBlock() > plan.channels) {
    anyChannel = less(channel, index(plan.channels));
    channel = arith::MinUIOp::create(b, loc, channel, index(plan.channels - plan.vector));
  }
  openOperands(arith::DivUIOp::create(b, loc, task, heads), arith::RemUIOp::create(b, loc, task, heads));
  openRun(add(mul(tile, index(plan.steps())), mul(toIndex(team), index(plan.run))));
}

void ScanKernel::openOperands(Value row, Value head) {
  Value group = arith::DivUIOp::create(b, loc, head, arguments->size(4));
  for (auto *list : {&inputs, &params, &inits, &outputs, &finals})
    for (Operand &operand : *list) {
      operand.base = index(0);
      if (operand.perBatch)
        operand.base = mul(row, operand.strides[0]);
      if (operand.perHead || operand.perGroup)
        operand.base = add(operand.base, mul(operand.perGroup ? group : head, operand.strides[3]));
    }
}

/// How many steps the run has, and where in memory its first one lies; of a run behind the end, the last one.
void ScanKernel::openRun(Value begin) {
  first = begin;
  Value zero = index(0), left = arith::MaxSIOp::create(b, loc, sub(steps, first), zero);
  count = arith::IndexCastOp::create(b, loc, b.getI32Type(), arith::MinSIOp::create(b, loc, left, index(plan.run)));
  Value last = sub(steps, index(1));
  runTime = arith::MinSIOp::create(b, loc, first, last);
  if (scan.axis(0).getReverse())
    runTime = sub(last, runTime);
}

/// Steps behind the end are the last one again.
Value ScanKernel::clamped(int64_t stepInRun) {
  Value last = arith::MaxSIOp::create(b, loc, l.add(count, -1), l.i32(0));
  return l.least(l.i32(stepInRun), last);
}

/// `inRun` (i32) counts steps from the run's first one; null: of what has no time. Of `sum` channels each there is one element.
Value ScanKernel::addressAt(const Operand &operand, const ScanElement &element, Value inRun, int64_t sum) {
  Value at = operand.base;
  if (inRun) {
    at = add(at, mul(runTime, operand.strides[1]));
    Value ahead = arith::IndexCastOp::create(b, loc, b.getIndexType(), inRun);
    ahead = mul(ahead, operand.strides[1]);
    at = scan.axis(0).getReverse() ? sub(at, ahead) : add(at, ahead);
  }
  int64_t stride = 1, constant = 0;
  for (size_t axis = operand.shape.size(); axis-- > 0; stride *= operand.shape[axis]) {
    constant += element.inner[axis] * stride;
    if (static_cast<int>(axis) == element.channelAxis)
      at = add(at,
               mul(sum > 1 ? arith::DivUIOp::create(b, loc, channel, index(sum)).getResult() : channel, index(stride)));
  }
  return constant ? add(at, index(constant)) : at;
}

Value ScanKernel::pointer(size_t position, Type element, Value at) {
  Value base = arguments->function().getArgument(position * 6);
  Value wide = arith::IndexCastOp::create(b, loc, b.getI64Type(), at);
  return LLVM::GEPOp::create(b, loc, base.getType(), element, base, ArrayRef<LLVM::GEPArg>{wide});
}

/// As it lies in memory: an element, or a vector of the thread's channels.
Value ScanKernel::loadAt(const Operand &operand, size_t position, const ScanElement &element, Value inRun) {
  Value from = pointer(position, operand.element, addressAt(operand, element, inRun));
  int64_t bytes = operand.element.getIntOrFloatBitWidth() / 8;
  bool isRow = element.channelAxis >= 0 && plan.vector > 1;
  bool beside = isRow && element.channelAxis + 1 == static_cast<int>(operand.shape.size()) && inRun;
  if (!isRow || beside) {
    Type type = isRow ? Type(VectorType::get(plan.vector, operand.element)) : operand.element;
    return LLVM::LoadOp::create(b, loc, type, from, bytes * (isRow ? plan.vector : 1));
  }
  // What is no input need not be aligned.
  int64_t apart = 1;
  for (size_t axis = element.channelAxis + 1; axis < operand.shape.size(); ++axis)
    apart *= operand.shape[axis];
  Value row = LLVM::PoisonOp::create(b, loc, VectorType::get(plan.vector, operand.element));
  for (int64_t u = 0; u < plan.vector; ++u) {
    Value at = LLVM::GEPOp::create(b, loc, from.getType(), operand.element, from,
                                   ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(u * apart)});
    row =
        LLVM::InsertElementOp::create(b, loc, row, LLVM::LoadOp::create(b, loc, operand.element, at, bytes), l.i32(u));
  }
  return row;
}

void ScanKernel::storeAt(const Operand &operand, size_t position, const ScanElement &element, Value inRun,
                         const Values &values, int64_t sum) {
  Value to = pointer(position, operand.element, addressAt(operand, element, inRun, sum));
  int64_t bytes = operand.element.getIntOrFloatBitWidth() / 8;
  if (inRun && values.size() > 1) {
    Value row = LLVM::PoisonOp::create(b, loc, VectorType::get(values.size(), operand.element));
    for (auto [u, value] : llvm::enumerate(values))
      row = LLVM::InsertElementOp::create(b, loc, row, ops.narrow(value, operand.element), l.i32(u));
    LLVM::StoreOp::create(b, loc, row, to, bytes * values.size());
    return;
  }
  int64_t apart = 1;
  for (size_t axis = element.channelAxis + 1; axis < operand.shape.size(); ++axis)
    apart *= operand.shape[axis];
  for (auto [u, value] : llvm::enumerate(values)) {
    Value at = LLVM::GEPOp::create(b, loc, to.getType(), operand.element, to,
                                   ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(u * apart)});
    LLVM::StoreOp::create(b, loc, ops.narrow(value, operand.element), at, bytes);
  }
}

/// All that the run reads is on its way before anything is computed.
void ScanKernel::loadRun() {
  loaded.clear();
  auto loadAll = [&](int64_t stepInRun) {
    Value inRun = stepInRun < 0 ? Value() : clamped(stepInRun);
    for (auto [i, element] : llvm::enumerate(plan.arguments)) {
      bool isInput = element.number < inputs.size();
      if (isInput != (stepInRun >= 0))
        continue;
      const Operand &operand = isInput ? inputs[element.number] : params[element.number - inputs.size()];
      loaded[{stepInRun, i}] = loadAt(operand, element.number, element, inRun);
    }
  };
  for (int64_t r = 0; r < plan.run; ++r)
    loadAll(r);
  loadAll(-1);
}

/// A value that the compiler cannot know to be the same, so that what was made of it is not kept in registers, but made again.
Value ScanKernel::anew(Value value) {
  Type type = value.getType();
  auto vector = dyn_cast<VectorType>(type);
  int64_t bits = vector ? vector.getNumElements() * vector.getElementTypeBitWidth() : type.getIntOrFloatBitWidth();
  StringRef constraints = bits == 16 ? "=h,0" : bits == 32 ? "=r,0" : bits == 64 ? "=l,0" : "";
  if (constraints.empty())
    return value;
  Type word = b.getIntegerType(bits);
  Value same = LLVM::InlineAsmOp::create(b, loc, word, ValueRange{LLVM::BitcastOp::create(b, loc, word, value)}, "",
                                         constraints, /*has_side_effects=*/true, /*is_align_stack=*/false,
                                         LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr())
                   .getResult(0);
  return LLVM::BitcastOp::create(b, loc, type, same);
}

/// Between the two times that a run is gone through, a thread keeps its inputs as they lie in memory, and no more.
void ScanKernel::forget() {
  for (auto &[place, value] : loaded)
    value = anew(value);
  Value begin = arith::IndexCastOp::create(b, loc, b.getI64Type(), first);
  openRun(arith::IndexCastOp::create(b, loc, b.getIndexType(), anew(begin)));
}

/// An element of an input or a parameter.
Element ScanKernel::given(BlockArgument argument, ArrayRef<Index> at, int64_t stepInRun) {
  ScanElement element{argument.getArgNumber(), -1, {}};
  int64_t which = 0;
  for (auto [i, position] : llvm::enumerate(at)) {
    element.inner.push_back(position.dim < 0 ? position.offset : 0);
    if (position.dim >= 0) {
      element.channelAxis = static_cast<int>(i);
      which = position.offset;
    }
  }
  size_t place = llvm::lower_bound(plan.arguments, element) - plan.arguments.begin();
  Value value = loaded.at({element.number < inputs.size() ? stepInRun : -1, place});
  if (isa<VectorType>(value.getType()))
    value = LLVM::ExtractElementOp::create(b, loc, value, l.i32(which));
  bool isTruth = cast<RankedTensorType>(argument.getType()).getElementType().isInteger(1);
  return {isTruth ? ops.toTruth(value) : ops.widen(value), {}};
}

Element ScanKernel::evaluate(Scope &scope, Value value, ArrayRef<Index> at) {
  std::vector<int64_t> key{reinterpret_cast<intptr_t>(value.getAsOpaquePointer())};
  for (const Index &position : at)
    key.insert(key.end(), {position.dim, position.offset});
  if (auto known = scope.known.find(key); known != scope.known.end())
    return known->second;
  Element result;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    result = scope.argument(argument, at);
  } else if (Operation *op = value.getDefiningOp(); !cpu::reductionExtents(op).empty()) {
    result = addUp(scope, op, at);
  } else {
    SmallVector<Element> operands;
    for (unsigned i = 0; i < op->getNumOperands(); ++i)
      operands.push_back(evaluate(scope, op->getOperand(i), cpu::operandIndices(op, i, at, {})));
    result = ops.compute(op, operands);
  }
  return scope.known[key] = result;
}

Element ScanKernel::addUp(Scope &scope, Operation *op, ArrayRef<Index> at) {
  SmallVector<int64_t> extents = cpu::reductionExtents(op);
  auto reduce = dyn_cast<recur::ReduceOp>(op);
  recur::Reduction kind = reduce ? reduce.getKind() : recur::Reduction::Sum;
  Element sum = ops.identity(kind, false);
  int64_t terms = llvm::product_of(extents);
  for (int64_t term = 0; term < terms; ++term) {
    Indices reduced(extents.size());
    for (int64_t i = extents.size(), rest = term; i-- > 0; rest /= extents[i])
      reduced[i] = {-1, rest % extents[i]};
    SmallVector<Element> factors;
    for (unsigned i = 0; i < op->getNumOperands(); ++i)
      factors.push_back(evaluate(scope, op->getOperand(i), cpu::operandIndices(op, i, at, reduced)));
    Element product = factors.front();
    for (const Element &factor : ArrayRef(factors).drop_front().drop_back(factors.size() > 1))
      product = ops.mul(product, factor);
    if (factors.size() > 1)
      sum = ops.multiplyAdd(product, factors.back(), sum);
    else
      sum = ops.combine(kind, sum, product);
  }
  return sum;
}

size_t ScanKernel::elementOf(unsigned state, ArrayRef<Index> at) const {
  for (auto [e, element] : llvm::enumerate(plan.states))
    if (element.number == state) {
      Indices here = element.at(0);
      if (llvm::all_of(llvm::zip(here, at), [](auto pair) {
            auto [x, y] = pair;
            return x.dim == y.dim && (x.dim >= 0 || x.offset == y.offset);
          }))
        return e;
    }
  llvm_unreachable("planScan has seen every element");
}

static int64_t channelOf(ArrayRef<Index> at) {
  for (const Index &position : at)
    if (position.dim >= 0)
      return position.offset;
  return 0;
}

ScanKernel::Values ScanKernel::begins() {
  Values parts(partWords());
  for (auto [e, element] : llvm::enumerate(plan.states))
    for (int64_t kind : {0, 1})
      for (int64_t u = 0; u < plan.vector; ++u)
        parts[partNumber(e, kind, u)] =
            ops.constant(cast<DenseElementsAttr>(scan.getBegins()[2 * element.number + kind])).re;
  return parts;
}

/// What the run makes of any state. Steps behind the end count as well: nothing that is read comes after them.
ScanKernel::Values ScanKernel::partsOfRun() {
  Values parts = begins();
  auto yield = cast<recur::YieldOp>(scan.getEndsStep().front().getTerminator());
  unsigned numGiven = inputs.size() + params.size();
  for (int64_t r = 0; r < plan.run; ++r) {
    Scope scope;
    scope.argument = [&](BlockArgument argument, ArrayRef<Index> at) -> Element {
      if (argument.getArgNumber() < numGiven)
        return given(argument, at, r);
      unsigned part = argument.getArgNumber() - numGiven;
      return {parts[partNumber(elementOf(part / 2, at), part % 2, channelOf(at))], {}};
    };
    Values next(parts.size());
    for (auto [e, element] : llvm::enumerate(plan.states))
      for (int64_t kind : {0, 1})
        for (int64_t u = 0; u < plan.vector; ++u)
          next[partNumber(e, kind, u)] =
              evaluate(scope, yield.getStates()[2 * element.number + kind], element.at(u)).re;
    parts = std::move(next);
  }
  return parts;
}

ScanKernel::Values ScanKernel::join(const Values &parts, const Values &states) {
  unsigned numParts = scan.getParts().size();
  Scope scope;
  scope.argument = [&](BlockArgument argument, ArrayRef<Index> at) -> Element {
    unsigned which = argument.getArgNumber();
    if (which < numParts)
      return {parts[partNumber(elementOf(which / 2, at), which % 2, channelOf(at))], {}};
    return {states[stateNumber(elementOf(which - numParts, at), channelOf(at))], {}};
  };
  auto yield = cast<recur::YieldOp>(scan.getJoin().front().getTerminator());
  Values joined(states.size());
  for (auto [e, element] : llvm::enumerate(plan.states))
    for (int64_t u = 0; u < plan.vector; ++u)
      joined[stateNumber(e, u)] = evaluate(scope, yield.getStates()[element.number], element.at(u)).re;
  return joined;
}

/// The first run's addend is a state for the second one; and so is its factor, where the second run adds nothing.
ScanKernel::Values ScanKernel::compose(const Values &first, const Values &second) {
  Values none = begins(), alone(second), addends(stateWords()), factors(stateWords()), composed(partWords());
  for (size_t e = 0; e < plan.states.size(); ++e)
    for (int64_t u = 0; u < plan.vector; ++u) {
      alone[partNumber(e, 0, u)] = none[partNumber(e, 0, u)];
      addends[stateNumber(e, u)] = first[partNumber(e, 0, u)];
      factors[stateNumber(e, u)] = first[partNumber(e, 1, u)];
    }
  addends = join(second, addends);
  factors = join(alone, factors);
  for (size_t e = 0; e < plan.states.size(); ++e)
    for (int64_t u = 0; u < plan.vector; ++u) {
      composed[partNumber(e, 0, u)] = addends[stateNumber(e, u)];
      composed[partNumber(e, 1, u)] = factors[stateNumber(e, u)];
    }
  return composed;
}

/// Makes of each run's parts those of all runs of the warp up to it. Returns those of the runs before it.
ScanKernel::Values ScanKernel::scanWarp(Values &parts) {
  Value place = l.bitAnd(thread, 31);
  auto before = [&](int64_t distance) {
    Values others;
    for (Value part : parts)
      others.push_back(l.shuffleUp(part, distance, 32));
    return others;
  };
  for (int64_t distance = plan.lanes; distance < 32; distance *= 2) {
    Values all = compose(before(distance), parts);
    parts = choose(l.less(place, l.i32(distance)), parts, all);
  }
  Value isLast = l.less(l.i32(31 - plan.lanes), place);
  Value at = l.mul(l.add(l.mul(warp, plan.lanes), lane), 4 * padded(partWords()));
  ifTrue(isLast, [&] { storeShared(parts, l.add(at, partsOffset)); });
  return plan.lanes < 32 ? before(plan.lanes) : Values();
}

/// The state that the thread's run begins with.
ScanKernel::Values ScanKernel::statesBefore(const Values &before) {
  int64_t warps = plan.threads / 32, perWarp = 4 * plan.lanes * padded(partWords());
  Value at = l.mul(lane, 4 * padded(partWords()));
  Values states = loadShared(stateWords(), l.add(l.mul(lane, 4 * padded(stateWords())), statesOffset()));
  for (int64_t w = 0; w + 1 < warps; ++w) {
    Values parts = loadShared(partWords(), l.add(at, partsOffset + w * perWarp));
    states = choose(l.less(l.i32(w), warp), join(parts, states), states);
  }
  if (before.empty())
    return states;
  Value isFirst = l.less(l.bitAnd(thread, 31), l.i32(plan.lanes));
  return choose(isFirst, states, join(before, states));
}

void ScanKernel::takeSteps(Values states) {
  unsigned numGiven = inputs.size() + params.size();
  Values ends = states;
  for (int64_t r = 0; r < plan.run; ++r) {
    Scope scope;
    scope.argument = [&](BlockArgument argument, ArrayRef<Index> at) -> Element {
      if (argument.getArgNumber() < numGiven)
        return given(argument, at, r);
      return {states[stateNumber(elementOf(argument.getArgNumber() - numGiven, at), channelOf(at))], {}};
    };
    Values next(states.size());
    for (auto [e, element] : llvm::enumerate(plan.states))
      for (int64_t u = 0; u < plan.vector; ++u)
        next[stateNumber(e, u)] = evaluate(scope, step.yield().getStates()[element.number], element.at(u)).re;
    SmallVector<Values> results;
    for (const ScanOutput &element : plan.outputs) {
      Values &values = results.emplace_back();
      for (int64_t u = 0; u < (element.channelAxis >= 0 ? plan.vector : 1); ++u)
        values.push_back(evaluate(scope, element.value, element.at(u)).re);
      if (element.sum > 1)
        values = {addNeighbours(values, element.sum)};
    }
    Value valid = l.less(l.i32(r), count);
    size_t position = inputs.size() + params.size() + inits.size();
    ifTrue(anyChannel ? l.both(valid, anyChannel) : valid, [&] {
      for (auto [element, values] : llvm::zip(plan.outputs, results)) {
        auto store = [&, &element = element, &values = values] {
          storeAt(outputs[element.number], position + element.number, element, l.i32(r), values, element.sum);
        };
        element.sum > 1 ? ifTrue(isFirstOf(element.sum), store) : store();
      }
    });
    ends = choose(valid, next, ends);
    states = std::move(next);
  }
  Value end = add(first, arith::IndexCastOp::create(b, loc, b.getIndexType(), count));
  Value isLast = l.both(arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, end, steps), l.less(l.i32(0), count));
  size_t position = inputs.size() + params.size() + inits.size() + outputs.size();
  ifTrue(anyChannel ? l.both(isLast, anyChannel) : isLast, [&] {
    for (auto [e, element] : llvm::enumerate(plan.states)) {
      Values values;
      for (int64_t u = 0; u < plan.vector; ++u)
        values.push_back(ends[stateNumber(e, u)]);
      storeAt(finals[element.number], position + element.number, element, Value(), values);
    }
  });
}
