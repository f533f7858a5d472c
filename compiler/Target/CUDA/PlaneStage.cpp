// What threads share of steps: inputs, a stage of them at once, and sums over channels; rows of device memory. See PlaneKernel.h.
#include "compiler/Target/CUDA/PlaneKernel.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <set>

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Index;

static constexpr int64_t kPiece = 16, kFour = 4;

static int64_t bytesOf(Type element) { return element.getIntOrFloatBitWidth() / 8; }

/// Whether an array has the thread's places beside each other, and its channels otherwise.
static bool hasPlaces(ArrayRef<int> axes) { return llvm::is_contained(axes, int(kPlace)); }
static bool hasChannels(ArrayRef<int> axes) { return llvm::is_contained(axes, int(kChannel)); }

/// Where each input's stage lies in shared memory, as f32, and the parts of sums over channels behind them.
void PlaneKernel::planStages() {
  std::set<int> aligned;
  int64_t bytes = 0;
  for (auto [i, operand] : llvm::enumerate(inputs)) {
    if (i == call.inputAxes.size())
      break; // kept states
    Staged input;
    input.input = i;
    input.axes = call.inputAxes[i];
    input.row = (hasChannels(input.axes) ? sizes.channelsPerBlock() : 1) * (hasPlaces(input.axes) ? sizes.places : 1);
    int64_t perPiece = kPiece / bytesOf(operand.element);
    if (input.row % perPiece == 0) {
      input.perPiece = perPiece;
      aligned.insert(static_cast<int>(i));
    }
    input.pieces = input.row / input.perPiece * sizes.stage;
    input.offset = std::exchange(bytes, bytes + llvm::alignTo(input.row * 4 * sizes.stage, kPiece));
    staged.push_back(std::move(input));
  }
  for (const PlaneLeg *leg : {&call.forth, &call.back})
    numSums += leg->facts ? llvm::count_if(leg->outputs, [&](unsigned o) { return leg->facts->isChannelSum(o); }) : 0;
  partialsOffset = bytes;
  bytes += numSums * sizes.stage * sizes.groups() * sizes.places * 4;
  launch.sharedBytes = bytes;
  for (size_t o = 0; o < outputs.size(); ++o)
    aligned.insert(static_cast<int>(outputPosition(o)));
  launch.aligned.assign(aligned.begin(), aligned.end());
}

/// A step's place in time, by its number on the way forth.
Value PlaneKernel::timeOf(Value position) {
  bool reverse = call.forth.facts->scan.axis(0).getReverse() != call.mirrored;
  if (call.mirrored)
    position = sub(sub(steps, index(1)), position);
  if (first)
    position = add(first, position);
  return reverse ? sub(sub(all ? all : steps, index(1)), position) : position;
}

Value PlaneKernel::pointer(unsigned position, Type element, Value at) {
  Value base = arguments->function().getArgument(position * 6);
  Value wide = arith::IndexCastOp::create(b, loc, b.getI64Type(), at);
  return LLVM::GEPOp::create(b, loc, base.getType(), element, base, ArrayRef<LLVM::GEPArg>{wide});
}

/// The thread's first element of an array with these axes.
Value PlaneKernel::firstElement(ArrayRef<int> axes) {
  Value first = index(0);
  if (hasChannels(axes))
    first = hasPlaces(axes) ? mul(channel, index(sizes.places)) : channel;
  if (hasPlaces(axes))
    first = add(first, mul(toIndex(lane), index(sizes.placesEach)));
  return first;
}

/// The steps from `from` on, pieces as they lie in memory. Steps behind the end are the last one again; there is one at least.
PlaneKernel::Values PlaneKernel::loadStage(Value from) {
  Values loaded;
  Value last = sub(steps, index(1));
  for (const Staged &input : staged) {
    const Operand &operand = inputs[input.input];
    int64_t perStep = input.row / input.perPiece;
    Value base = operand.base;
    if (hasChannels(input.axes))
      base = add(base, mul(part, index(input.row)));
    for (int64_t first = 0; first < input.pieces; first += sizes.threads) {
      Value piece = l.add(thread, first);
      if (first + sizes.threads > input.pieces)
        piece = l.least(piece, l.i32(input.pieces - 1));
      Value inStage = l.div(piece, perStep), inStep = l.mul(l.rem(piece, perStep), input.perPiece);
      Value position = arith::MinUIOp::create(b, loc, add(from, toIndex(inStage)), last);
      Value at = add(add(base, toIndex(inStep)), mul(timeOf(position), operand.strides[1]));
      Value address = pointer(input.input, operand.element, at);
      bool whole = input.perPiece > 1;
      Type type = whole ? Type(VectorType::get(kFour, b.getI32Type())) : operand.element;
      loaded.push_back(LLVM::LoadOp::create(b, loc, type, address, whole ? kPiece : bytesOf(operand.element)));
    }
  }
  return loaded;
}

/// What `load` loads where there is a step, and zeros otherwise.
PlaneKernel::Values PlaneKernel::loadFirst(function_ref<Values()> load) {
  Block apart;
  Values loaded, zeros;
  SmallVector<Type> types;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(&apart);
    loaded = load();
  }
  for (Value value : loaded)
    types.push_back(value.getType());
  Value any = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, steps, index(0));
  auto first = scf::IfOp::create(b, loc, types, any, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  first.thenBlock()->getOperations().splice(first.thenBlock()->begin(), apart.getOperations());
  b.setInsertionPointToEnd(first.thenBlock());
  scf::YieldOp::create(b, loc, loaded);
  b.setInsertionPointToEnd(first.elseBlock());
  for (Type type : types)
    zeros.push_back(arith::ConstantOp::create(b, loc, b.getZeroAttr(type)));
  scf::YieldOp::create(b, loc, zeros);
  return Values(first.getResults());
}

/// Widened to f32.
void PlaneKernel::storeStage(ValueRange loaded) {
  size_t next = 0;
  for (const Staged &input : staged) {
    Type element = inputs[input.input].element;
    for (int64_t first = 0; first < input.pieces; first += sizes.threads) {
      Value raw = loaded[next++], piece = l.add(thread, first), valid;
      if (first + sizes.threads > input.pieces)
        valid = l.less(piece, l.i32(input.pieces));
      Value offset = l.mul(piece, 4 * input.perPiece);
      ifTrue(valid, [&] {
        if (input.perPiece == 1)
          return l.storeShared(ops.widen(raw), offset, input.offset);
        Values words;
        for (int64_t i = 0; i < kFour; ++i) {
          Value word = l.part(raw, i);
          if (element.isF32()) {
            words.push_back(arith::BitcastOp::create(b, loc, element, word));
            continue;
          }
          l.element = element;
          llvm::append_range(words, l.unpack(word));
        }
        for (size_t w = 0; w < words.size(); w += kFour) {
          Value four = LLVM::PoisonOp::create(b, loc, VectorType::get(kFour, b.getF32Type()));
          for (int64_t i = 0; i < kFour; ++i)
            four = LLVM::InsertElementOp::create(b, loc, four, words[w + i], l.i32(i));
          l.storeShared(four, offset, input.offset + 4 * static_cast<int64_t>(w));
        }
      });
    }
  }
}

/// A thread's elements of an input at a step.
const PlaneKernel::Values &PlaneKernel::row(Scope &scope, unsigned number) {
  Values &values = scope.rows[number];
  if (!values.empty())
    return values;
  const Staged &input = staged[number];
  int64_t rowBytes = 4 * input.row, beside = hasPlaces(input.axes) ? kFour : sizes.channelsEach;
  Value offset = l.mul(scope.base, rowBytes);
  if (hasChannels(input.axes))
    offset = l.add(offset, l.mul(group, 4 * sizes.channelsEach * (hasPlaces(input.axes) ? sizes.places : 1)));
  if (hasPlaces(input.axes))
    offset = l.add(offset, l.mul(lane, 4 * sizes.placesEach));
  if (!hasPlaces(input.axes) && !hasChannels(input.axes))
    beside = 1;
  int64_t count = elementsOf(input.axes), each = hasPlaces(input.axes) ? sizes.placesEach : count;
  for (int64_t first = 0; first < count; first += beside) {
    int64_t at = input.offset + scope.plus * rowBytes + first / each * 4 * sizes.places + first % each * 4;
    if (beside == 1) {
      values.push_back(l.loadShared(b.getF32Type(), offset, at));
      continue;
    }
    Value some = l.loadShared(VectorType::get(beside, b.getF32Type()), offset, at);
    for (int64_t i = 0; i < beside; ++i)
      values.push_back(l.part(some, i));
  }
  return values;
}

/// The thread's elements of an array in device memory, of which the first lies at `cursor`: neighbours at once where rows are aligned.
PlaneKernel::Values PlaneKernel::loadRow(const Operand &operand, unsigned position, ArrayRef<int> axes, Value cursor,
                                         bool aligned) {
  Values values;
  int64_t count = elementsOf(axes), each = hasPlaces(axes) ? sizes.placesEach : count, bytes = bytesOf(operand.element);
  int64_t beside = aligned ? std::min(each, kPiece / bytes) : 1;
  for (int64_t first = 0; first < count; first += beside) {
    Value at = add(cursor, index(first / each * sizes.places + first % each));
    Value address = pointer(position, operand.element, at);
    Type type = beside > 1 ? Type(VectorType::get(beside, operand.element)) : operand.element;
    Value some = LLVM::LoadOp::create(b, loc, type, address, beside * bytes);
    for (int64_t i = 0; i < beside; ++i)
      values.push_back(ops.widen(beside > 1 ? l.part(some, i) : some));
  }
  return values;
}

/// The reverse. Threads that have the same element store the same.
void PlaneKernel::storeRow(const Operand &operand, unsigned position, ArrayRef<int> axes, Value cursor,
                           const Values &values, bool aligned) {
  int64_t count = values.size(), each = hasPlaces(axes) ? sizes.placesEach : count, bytes = bytesOf(operand.element);
  int64_t beside = aligned ? std::min(each, kPiece / bytes) : 1;
  for (int64_t first = 0; first < count; first += beside) {
    Value at = add(cursor, index(first / each * sizes.places + first % each));
    Value address = pointer(position, operand.element, at);
    if (beside == 1) {
      LLVM::StoreOp::create(b, loc, ops.narrow(values[first], operand.element), address, bytes);
      continue;
    }
    Value some = LLVM::PoisonOp::create(b, loc, VectorType::get(beside, operand.element));
    for (int64_t i = 0; i < beside; ++i)
      some = LLVM::InsertElementOp::create(b, loc, some, ops.narrow(values[first + i], operand.element), l.i32(i));
    LLVM::StoreOp::create(b, loc, some, address, beside * bytes);
  }
}

/// The states that a stage begins with, into the outputs behind all others.
void PlaneKernel::keepStates(const Values &states, Value stageNumber) {
  PlaneFacts &facts = *call.forth.facts;
  size_t first = outputs.size() - facts.scan.numStates();
  for (auto [s, state] : llvm::enumerate(facts.step.yield().getStates())) {
    const auto axes = facts.axes.lookup(state);
    const Operand &to = outputs[first + s];
    Value cursor = add(add(to.base, firstElement(axes)), mul(stageNumber, to.strides[1]));
    Values mine(ArrayRef(states).slice(stateBegin(facts, s), elementsOf(axes)));
    storeRow(to, outputPosition(first + s), axes, cursor, mine, true);
  }
}

/// The same, from the inputs behind all others.
PlaneKernel::Values PlaneKernel::keptStates(Value stageNumber) {
  PlaneFacts &facts = *call.forth.facts;
  size_t first = inputs.size() - facts.scan.numStates();
  Values states;
  for (auto [s, state] : llvm::enumerate(facts.step.yield().getStates())) {
    const auto axes = facts.axes.lookup(state);
    const Operand &from = inputs[first + s];
    Value cursor = add(add(from.base, firstElement(axes)), mul(stageNumber, from.strides[1]));
    llvm::append_range(states, loadRow(from, first + s, axes, cursor, true));
  }
  return states;
}

/// A thread's part of a sum over channels, for its places.
void PlaneKernel::storePartial(Scope &scope, Value output, int64_t sum) {
  int64_t perSum = 4 * sizes.groups() * sizes.places, perStep = numSums * perSum;
  Value offset =
      l.add(l.mul(scope.base, perStep), l.add(l.mul(group, 4 * sizes.places), l.mul(lane, 4 * sizes.placesEach)));
  Values values = elements(scope, output, {kPlace});
  for (int64_t first = 0; first < sizes.placesEach; first += kFour) {
    Value four = LLVM::PoisonOp::create(b, loc, VectorType::get(kFour, b.getF32Type()));
    for (int64_t i = 0; i < kFour; ++i)
      four = LLVM::InsertElementOp::create(b, loc, four, values[first + i], l.i32(i));
    l.storeShared(four, offset, partialsOffset + scope.plus * perStep + sum * perSum + 4 * first);
  }
}

/// A block's part of the sums over channels at `count` steps from `from` on, added up in an order that the sizes fix.
void PlaneKernel::addPartials(Value from, Value count) {
  if (!numSums)
    return;
  l.barrier();
  for (const PlaneLeg *leg : {&call.forth, &call.back}) {
    if (!leg->facts)
      continue;
    size_t sum = leg->firstSum;
    for (auto [number, operand] : llvm::zip(leg->outputs, leg->operands))
      if (leg->facts->isChannelSum(number))
        addPartial(sum++, operand, from, count);
  }
}

/// Several threads share four places of a step: each has every so manieth group. Neighbours read neighbouring places, then groups: all banks.
void PlaneKernel::addPartial(size_t sum, unsigned operand, Value from, Value count) {
  int64_t perSum = 4 * sizes.groups() * sizes.places, perStep = numSums * perSum, fours = sizes.places / kFour;
  int64_t all = fours * sizes.stage, sharers = 1;
  while (2 * sharers * all <= sizes.threads && 2 * sharers <= sizes.groups() && 2 * sharers * fours <= 32)
    sharers *= 2;
  Value four = l.rem(thread, fours), own = l.rem(l.div(thread, fours), sharers);
  for (int64_t first = 0; first < all; first += sizes.threads / sharers) {
    Value valid = l.equal(own, l.i32(0)), inStage = l.add(l.div(thread, fours * sharers), first / fours);
    Value isStep = l.less(inStage, arith::IndexCastOp::create(b, loc, b.getI32Type(), count));
    inStage = l.least(inStage, l.i32(sizes.stage - 1));
    Value offset = l.add(l.add(l.mul(inStage, perStep), l.mul(four, 4 * kFour)), l.mul(own, 4 * sizes.places));
    Values total;
    for (int64_t g = 0; g < sizes.groups(); g += sharers) {
      Value some = l.loadShared(VectorType::get(kFour, b.getF32Type()), offset,
                                partialsOffset + static_cast<int64_t>(sum) * perSum + g * 4 * sizes.places);
      for (int64_t i = 0; i < kFour; ++i)
        if (g == 0)
          total.push_back(l.part(some, i));
        else
          total[i] = l.addf(total[i], l.part(some, i));
    }
    for (int64_t by = fours; by < fours * sharers; by *= 2)
      for (Value &value : total)
        value = l.addf(value, l.exchange(value, by));
    ifTrue(l.both(valid, isStep), [&] {
      const Operand &to = outputs[operand];
      Value cursor = add(to.base, mul(timeOf(add(from, toIndex(inStage))), to.strides[1]));
      cursor = add(add(cursor, mul(part, index(sizes.places))), toIndex(l.mul(four, kFour)));
      storeRow(to, outputPosition(operand), {kPlace}, cursor, total, true);
    });
  }
}
