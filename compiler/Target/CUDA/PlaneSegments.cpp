// Segments of time, for calls with fewer channels than fill a GPU: what each makes of any state, and the kernel that links them. See
// PlaneKernel.h; the launches' order is Program.h's.
#include "compiler/Target/CUDA/PlaneKernel.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Index;

static constexpr int64_t kLinkThreads = 128;

static int64_t elementsOfState(PlaneFacts &facts, unsigned state) {
  return cast<RankedTensorType>(facts.step.yield().getStates()[state].getType()).getNumElements();
}

static int64_t bytesBefore(PlaneFacts &facts, unsigned state) {
  int64_t bytes = 0;
  for (unsigned s = 0; s < state; ++s)
    bytes += 8 * llvm::alignTo(elementsOfState(facts, s), 4);
  return bytes;
}

int64_t rondo::cuda::segmentBytes(PlaneFacts &facts) { return bytesBefore(facts, facts.scan.numStates()); }

/// Of the task's number, without heads and parts, the row is left.
void PlaneKernel::openSegment(Value &task, Value heads, Value head) {
  auto extra = arguments->function().getArguments().take_back(2);
  auto toIndex = [&](Value x) { return arith::IndexCastOp::create(b, loc, b.getIndexType(), x).getResult(); };
  Value segmentSteps = toIndex(extra[0]), segments = toIndex(extra[1]);
  Value segment = arith::RemUIOp::create(b, loc, task, segments);
  task = arith::DivUIOp::create(b, loc, task, segments);
  first = mul(segment, segmentSteps);
  all = steps;
  steps = arith::MinUIOp::create(b, loc, segmentSteps, sub(all, first));
  Value number = add(mul(add(mul(task, segments), segment), heads), head);
  Value bytes = mul(number, index(launch.segmentBytes));
  Value scratch = LLVM::AddrSpaceCastOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext(), 1),
                                                arguments->function().getArguments().drop_back(2).back());
  segmentPlace = arith::AddIOp::create(b, loc, LLVM::PtrToIntOp::create(b, loc, b.getI64Type(), scratch),
                                       arith::IndexCastOp::create(b, loc, b.getI64Type(), bytes));
}

/// Where the thread's first element of a state's map lies.
Value PlaneKernel::mapAddress(unsigned state, bool factor) {
  PlaneFacts &facts = mapFacts();
  const auto axes = facts.axes.lookup(facts.step.yield().getStates()[state]);
  int64_t before = bytesBefore(facts, state) + (factor ? 4 * llvm::alignTo(elementsOfState(facts, state), 4) : 0);
  Value bytes = add(mul(firstElement(axes), index(4)), index(before));
  Value at = arith::AddIOp::create(b, loc, segmentPlace, arith::IndexCastOp::create(b, loc, b.getI64Type(), bytes));
  return LLVM::IntToPtrOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext(), 1), at);
}

static Value elementOf(Lanes &l, Value first, size_t number, size_t each, int64_t places) {
  return l.at(first, l.wide(l.i32(4 * static_cast<int64_t>(number / each * places + number % each))));
}

void PlaneKernel::storeMaps(const Values &maps, PlaneFacts::Map kind) {
  PlaneFacts &facts = mapFacts();
  size_t words = maps.size() / 2;
  for (unsigned s = 0; s < facts.scan.numStates(); ++s) {
    if (facts.mapOf(s) != kind)
      continue;
    const auto axes = facts.axes.lookup(facts.step.yield().getStates()[s]);
    size_t count = elementsOf(axes), each = axes.size() > 1 ? sizes.placesEach : count;
    for (bool factor : {false, true}) {
      Value place = mapAddress(s, factor);
      for (size_t i = 0; i < count; ++i)
        l.store(maps[factor * words + stateBegin(facts, s) + i], elementOf(l, place, i, each, sizes.places));
    }
  }
}

/// What a segment adds to each sum.
void PlaneKernel::storeSums(const Values &states) {
  Values maps(states);
  maps.append(Values(states.size(), l.f32(1)));
  storeMaps(maps, PlaneFacts::Map::Sum);
}

/// What the segment begins with; a sum with 0.
PlaneKernel::Values PlaneKernel::statesOfSegment() {
  PlaneFacts &facts = mapFacts();
  Values states;
  for (unsigned s = 0; s < facts.scan.numStates(); ++s) {
    const auto axes = facts.axes.lookup(facts.step.yield().getStates()[s]);
    size_t count = elementsOf(axes), each = axes.size() > 1 ? sizes.placesEach : count;
    bool isSum = facts.mapOf(s) == PlaneFacts::Map::Sum;
    Value place = mapAddress(s, false);
    for (size_t i = 0; i < count; ++i)
      states.push_back(isSum ? l.f32(0) : l.load(b.getF32Type(), elementOf(l, place, i, each, sizes.places)));
  }
  return states;
}

PlaneKernel::Values PlaneKernel::neutralMaps() {
  PlaneFacts &facts = *call.forth.facts;
  Values maps(stateBegin(facts, facts.scan.numStates()), l.f32(0));
  maps.append(Values(maps.size(), l.f32(1)));
  return maps;
}

/// The maps of the segment up to this step: its own, behind those of the steps before.
PlaneKernel::Values PlaneKernel::newMaps(Scope &scope, const Values &maps) {
  size_t words = maps.size() / 2, next = 0;
  Values made(maps);
  for (auto [s, state] : llvm::enumerate(scope.facts->step.yield().getStates())) {
    if (scope.facts->mapOf(s) != PlaneFacts::Map::Affine) {
      next += elementsOf(scope.facts->axes.lookup(state));
      continue;
    }
    eachElement(scope.facts->axes.lookup(state), [&](ArrayRef<Index> at) {
      Affine map = affine(scope, state, at);
      Value zero = map.addend ? map.addend : l.f32(0);
      made[next] = map.factor ? l.fma(map.factor, maps[next], zero) : zero;
      made[words + next] = map.factor ? l.mulf(map.factor, maps[words + next]) : l.f32(0);
      ++next;
    });
  }
  return made;
}

/// A value as factor times the state's old element, plus addend.
PlaneKernel::Affine PlaneKernel::affine(Scope &scope, Value value, ArrayRef<Index> at) {
  if (!scope.facts->readsState(value))
    return {{}, evaluate(scope, value, at)};
  if (isa<BlockArgument>(value))
    return {l.f32(1), {}};
  Operation *op = value.getDefiningOp();
  SmallVector<Affine> operands;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    operands.push_back(affine(scope, op->getOperand(i), cpu::operandIndices(op, i, at, {})));
  auto with = [&](Value x, Value y, auto make) { return !x ? y : !y ? x : Value(make(x, y)); };
  auto plus = [&](Value x, Value y) { return with(x, y, [&](Value p, Value q) { return l.addf(p, q); }); };
  auto map = dyn_cast<recur::MapOp>(op);
  if (map && (map.getFn() == recur::Fn::Add || map.getFn() == recur::Fn::Sub)) {
    Affine x = operands[0], y = operands[1];
    if (map.getFn() == recur::Fn::Sub)
      for (Value *part : {&y.factor, &y.addend})
        *part = *part ? arith::NegFOp::create(b, loc, *part).getResult() : Value();
    return {plus(x.factor, y.factor), plus(x.addend, y.addend)};
  }
  if (operands.size() == 1) // a broadcast, or a change of sign
    return map ? Affine{arith::NegFOp::create(b, loc, operands[0].factor),
                        operands[0].addend ? arith::NegFOp::create(b, loc, operands[0].addend).getResult() : Value()}
               : operands[0];
  Affine of = operands[scope.facts->readsState(op->getOperand(0)) ? 0 : 1];
  for (auto [i, operand] : llvm::enumerate(operands))
    if (!scope.facts->readsState(op->getOperand(i))) {
      of.factor = l.mulf(of.factor, operand.addend);
      of.addend = of.addend ? l.mulf(of.addend, operand.addend) : Value();
    }
  return of;
}

Launch rondo::cuda::emitPlaneLink(PlaneFacts &facts, unsigned state, bool fromLast, const ScanTensors &of,
                                  const Program &program, ModuleOp module, StringRef symbol) {
  OpBuilder b(facts.scan.getContext());
  Location loc = facts.scan.getLoc();
  Lanes l(b, loc, b.getBF16Type());
  Launch launch;
  launch.symbol = symbol.str();
  launch.operands = {of.inits[state], of.finals[state]};
  int64_t elements = elementsOfState(facts, state), offset = bytesBefore(facts, state);
  launch.threads = kLinkThreads;
  launch.splits = llvm::divideCeil(elements, kLinkThreads);
  launch.segmentBytes = segmentBytes(facts);
  KernelArguments arguments(b, loc, module, symbol, program, {of.inits[state], of.finals[state]}, {of.finals[state]});
  func::FuncOp kernel = arguments.function();
  for (int i = 0; i < 2; ++i)
    (void)kernel.insertArgument(kernel.getNumArguments(), b.getI64Type(), {}, loc);
  Operand init = arguments.open(0, {}), final = arguments.open(1, {});
  launch.perHead = init.perHead || final.perHead;
  auto index = [&](int64_t value) -> Value { return arith::ConstantIndexOp::create(b, loc, value); };
  auto add = [&](Value x, Value y) -> Value { return arith::AddIOp::create(b, loc, x, y); };
  auto mul = [&](Value x, Value y) -> Value { return arith::MulIOp::create(b, loc, x, y); };
  Value heads = launch.perHead ? arguments.size(3) : index(1), task = blockNumber(b, loc);
  Value part = arith::RemUIOp::create(b, loc, task, index(launch.splits));
  task = arith::DivUIOp::create(b, loc, task, index(launch.splits));
  Value head = arith::RemUIOp::create(b, loc, task, heads), row = arith::DivUIOp::create(b, loc, task, heads);
  Value element = add(mul(part, index(kLinkThreads)), threadNumber(b, loc));
  Value inside = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, element, index(elements));
  auto some = scf::IfOp::create(b, loc, inside, /*withElseRegion=*/false);
  func::ReturnOp::create(b, loc);
  b.setInsertionPointToStart(some.thenBlock());
  Value segments = arith::IndexCastOp::create(b, loc, b.getIndexType(), kernel.getArguments().back());
  Value scratch = kernel.getArguments().drop_back(2).back();
  auto pointer = [&](const Operand &operand, unsigned number) {
    Value at =
        add(add(mul(row, operand.strides[0]), operand.perHead ? mul(head, operand.strides[3]) : index(0)), element);
    return l.at(kernel.getArgument(number * 6), arith::IndexCastOp::create(b, loc, b.getI64Type(), mul(at, index(4))));
  };
  Value start = l.load(b.getF32Type(), pointer(init, 0));
  auto loop = scf::ForOp::create(b, loc, index(0), segments, index(1), ValueRange{start});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(loop.getBody());
    Value now = loop.getRegionIterArgs()[0], segment = loop.getInductionVar();
    if (fromLast)
      segment = arith::SubIOp::create(b, loc, arith::SubIOp::create(b, loc, segments, index(1)), segment);
    Value number = add(mul(add(mul(row, segments), segment), heads), head);
    Value bytes = add(mul(number, index(launch.segmentBytes)), add(mul(element, index(4)), index(offset)));
    Value place = l.at(scratch, arith::IndexCastOp::create(b, loc, b.getI64Type(), bytes));
    Value added = l.load(b.getF32Type(), place);
    Value factor = l.load(b.getF32Type(), l.at(place, l.wide(l.i32(4 * llvm::alignTo(elements, 4)))));
    l.store(now, place);
    scf::YieldOp::create(b, loc, ValueRange{l.fma(now, factor, added)});
  }
  l.store(loop.getResult(0), pointer(final, 1));
  return launch;
}
