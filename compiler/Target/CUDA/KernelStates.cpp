// States of a kernel: where they begin, where a step finds and leaves them, and how they end up in the caller's tensors. See StepKernel.h.
#include "compiler/Target/CUDA/StepKernel.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Element;
using cpu::Place;
using cpu::StateStorage;

/// Reals of one access of 16 bytes.
static constexpr int64_t kWords = 4;

RankedTensorType StepKernel::stateType(unsigned state) {
  return cast<RankedTensorType>(step.yield().getStates()[state].getType());
}

/// Into the type of computation: what is narrower widens.
void StepKernel::copy(const Place &to, const Place &from) {
  cpu::ElementOps ops(b, loc, real, /*nativeBF16=*/true);
  SmallVector<int64_t> into = to.strides(), outOf = from.strides();
  auto loop = scf::ForOp::create(b, loc, thread, index(llvm::product_of(to.shape)), index(plan.threads));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value rest = loop.getInductionVar(), read = from.base, write = to.base;
  for (size_t i = to.shape.size(); i-- > 0;) {
    Value position = i ? arith::RemUIOp::create(b, loc, rest, index(to.shape[i])).getResult() : rest;
    if (i)
      rest = arith::DivUIOp::create(b, loc, rest, index(to.shape[i]));
    read = add(read, mul(position, index(outOf[i])));
    write = add(write, mul(position, index(into[i])));
  }
  cpu::storeElement(b, loc, ops, to, write, cpu::loadElement(b, loc, ops, from, read, 0), 0);
}

void StepKernel::eachRegister(const Owner &owner, ArrayRef<int64_t> shape,
                              function_ref<void(std::vector<int64_t>, ArrayRef<Value>, Value, Value)> visit) {
  int64_t positions = 1;
  for (int axis : owner.threadAxes)
    positions *= shape[axis];
  auto [position, lane] = positionAndLane(b, loc, plan, thread, owner.lanes);
  if (!lane)
    lane = index(0);
  int64_t width = plan.threads / owner.lanes, slots = owner.threadAxes.empty() ? 1 : plan.slots(positions, owner.lanes);
  for (int64_t slot = 0; slot < slots; ++slot) {
    Value at = position;
    int64_t neighbours = owner.threadAxes.empty() ? 1 : plan.neighbours(positions, owner.lanes);
    at = neighbours > 1 ? add(mul(at, index(neighbours)), index(slot)) : add(at, index(slot * width));
    Value mine = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, at, index(positions));
    if (owner.splitAxis < 0)
      mine =
          arith::AndIOp::create(b, loc, mine, arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, lane, index(0)));
    Value rest = arith::MinUIOp::create(b, loc, at, index(positions - 1));
    SmallVector<Value> where(shape.size());
    std::vector<int64_t> key(shape.size() + 1, 0);
    key.back() = slot;
    for (int axis : llvm::reverse(owner.threadAxes)) {
      where[axis] = arith::RemUIOp::create(b, loc, rest, index(shape[axis]));
      rest = arith::DivUIOp::create(b, loc, rest, index(shape[axis]));
    }
    std::function<void(size_t, Value)> from = [&](size_t axis, Value stores) {
      if (axis == shape.size())
        return visit(key, where, stores, {});
      if (llvm::is_contained(owner.threadAxes, static_cast<int>(axis)))
        return from(axis + 1, stores);
      bool split = static_cast<int>(axis) == owner.splitAxis;
      int64_t step = split ? owner.lanes : 1, run = split ? plan.runOf(shape[axis], owner.lanes) : 0;
      for (int64_t i = 0; i * step < shape[axis]; ++i) {
        key[axis] = i;
        where[axis] = index(i * step);
        Value valid = stores;
        if (run) {
          where[axis] = add(mul(lane, index(run)), index(i));
        } else if (split) {
          Value exact = add(lane, where[axis]);
          valid = arith::AndIOp::create(
              b, loc, stores, arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, exact, index(shape[axis])));
          where[axis] = arith::MinUIOp::create(b, loc, exact, index(shape[axis] - 1));
        }
        from(axis + 1, valid);
      }
    };
    from(0, mine);
  }
}

/// Reals of a state's registers that lie beside each other in memory, in the order of eachRegister; 1 where none do.
int64_t StepKernel::registersBeside(unsigned s, const Place &place) {
  const Owner &owner = plan.states[s].owner;
  ArrayRef<int64_t> shape = stateType(s).getShape();
  int last = static_cast<int>(shape.size()) - 1;
  bool rows = llvm::all_of(place.strides(), [](int64_t stride) { return stride == 1 || stride % kWords == 0; });
  bool fits = last > 0 && owner.threadAxes == llvm::SmallVector<int>{last} && rows && !place.rowStride &&
              !place.isComplex && place.element.isF32() && real.isF32() &&
              plan.neighbours(shape[last], owner.lanes) % kWords == 0 &&
              (owner.splitAxis < 0 ? owner.lanes == 1 : shape[owner.splitAxis] % owner.lanes == 0);
  return fits ? kWords : 1;
}

/// Registers with the flat index of each in memory, and whether this thread stores it.
StepKernel::Registers StepKernel::registersAt(unsigned s, const Place &place) {
  Registers registers;
  SmallVector<int64_t> strides = place.strides();
  eachRegister(plan.states[s].owner, stateType(s).getShape(),
               [&](std::vector<int64_t> key, ArrayRef<Value> at, Value mine, Value) {
                 Value index = place.base;
                 for (auto [position, stride] : llvm::zip(at, strides))
                   index = add(index, mul(position, this->index(stride)));
                 registers.emplace_back(std::move(key), index, mine);
               });
  return registers;
}

/// Visits runs of four registers with the pointer of each, where the memory lies on a multiple of 16 bytes; `otherwise` else.
/// A call of one step takes this kernel where states lie on multiples of 16 bytes: then no load waits for a branch.
void StepKernel::alignStates() {
  size_t firstInit = inputs.size() + params.size(), firstFinal = firstInit + inits.size() + outputs.size();
  for (unsigned s = 0; s < scan.numStates(); ++s)
    if (plan.states[s].kind == Storage::Register && registersBeside(s, place(inits[s], index(0))) > 1) {
      launch.aligned.push_back(static_cast<int>(firstInit + s));
      launch.aligned.push_back(static_cast<int>(firstFinal + s));
    }
}

scf::IfOp StepKernel::ifAligned(const Place &place, TypeRange types, function_ref<SmallVector<Value>(Value)> inRuns,
                                function_ref<SmallVector<Value>()> otherwise) {
  Value memory = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, place.memref);
  Value bytes = add(memory, mul(place.base, index(4)));
  Value odd = arith::RemUIOp::create(b, loc, bytes, index(16));
  Value aligned = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, odd, index(0));
  auto choice = scf::IfOp::create(b, loc, types, aligned, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  auto fill = [&](Block *block, function_ref<SmallVector<Value>()> body) {
    types.empty() ? b.setInsertionPointToStart(block) : b.setInsertionPointToEnd(block);
    SmallVector<Value> values = body();
    if (!types.empty())
      scf::YieldOp::create(b, loc, values);
  };
  fill(choice.thenBlock(), [&] { return inRuns(memory); });
  fill(choice.elseBlock(), otherwise);
  return choice;
}

Value StepKernel::pointerTo(Value memory, Value at) {
  Value bytes = arith::IndexCastOp::create(b, loc, b.getI64Type(), add(memory, mul(at, index(4))));
  return LLVM::IntToPtrOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext(), 1), bytes);
}

void StepKernel::loadRegisters(unsigned s, const Place &from) {
  cpu::ElementOps ops(b, loc, real, /*nativeBF16=*/true);
  stateRegisters.resize(plan.states.size());
  Registers registers = registersAt(s, from);
  auto runs = inRuns(s, from, registers);
  if (runs.empty()) {
    for (auto &[key, at, mine] : registers)
      stateRegisters[s][key] = cpu::loadElement(b, loc, ops, from, at, 0);
    return;
  }
  auto four = [&](Value memory) {
    SmallVector<Value> values(registers.size());
    for (auto &run : runs) {
      Value words = LLVM::LoadOp::create(b, loc, VectorType::get(kWords, real),
                                         pointerTo(memory, std::get<1>(registers[run[0]])), 16);
      for (auto [i, number] : llvm::enumerate(run))
        values[number] =
            LLVM::ExtractElementOp::create(b, loc, words, arith::ConstantIntOp::create(b, loc, b.getI32Type(), i));
    }
    return values;
  };
  auto one = [&] {
    SmallVector<Value> values;
    for (auto &[key, at, mine] : registers)
      values.push_back(cpu::loadElement(b, loc, ops, from, at, 0).re);
    return values;
  };
  SmallVector<Value> loaded;
  if (oneStep)
    loaded = four(memref::ExtractAlignedPointerAsIndexOp::create(b, loc, from.memref));
  else
    llvm::append_range(loaded, ifAligned(from, SmallVector<Type>(registers.size(), real), four, one).getResults());
  for (auto [each, value] : llvm::zip(registers, loaded))
    stateRegisters[s][std::get<0>(each)] = {value, {}};
}

/// Elements of an input that a thread loads at once: of its run, as many as 16 bytes hold.
int64_t StepKernel::copiedBeside(const KernelPlan::InputCopy &copy) {
  const Operand &operand = inputs[copy.input];
  if (operand.isComplex || !operand.element.isIntOrFloat() || operand.element.isInteger(1))
    return 1;
  int64_t bytes = operand.element.getIntOrFloatBitWidth() / 8, extent = operand.shape[0];
  int64_t row = operand.whole.empty() ? extent : operand.whole[0];
  int64_t run = copy.owner.splitAxis < 0 ? plan.neighbours(extent, copy.owner.lanes) : extent / copy.owner.lanes;
  int64_t count = 1;
  while (2 * count * bytes <= 16 && run % (2 * count) == 0 && extent % (2 * count) == 0)
    count *= 2;
  return row * bytes % 16 == 0 ? count : 1;
}

void StepKernel::alignInputs() {
  for (const KernelPlan::InputCopy &copy : plan.copies)
    if (copiedBeside(copy) > 1 && !llvm::is_contained(launch.aligned, int(copy.input)))
      launch.aligned.push_back(int(copy.input));
}

/// What threads read of the inputs of the only step.
void StepKernel::loadInputs() {
  cpu::ElementOps ops(b, loc, real, /*nativeBF16=*/true);
  inputRegisters.resize(plan.copies.size());
  for (auto [copy, registers] : llvm::zip(plan.copies, inputRegisters)) {
    const Operand &operand = inputs[copy.input];
    int64_t beside = copiedBeside(copy), bytes = operand.element.getIntOrFloatBitWidth() / 8;
    Value memory = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, operand.memref), words;
    int64_t number = 0;
    eachRegister(copy.owner, operand.shape, [&](std::vector<int64_t> key, ArrayRef<Value> at, Value, Value) {
      if (number % beside == 0) {
        Value from = toI64(add(memory, mul(add(operand.base, at[0]), index(bytes))));
        Value pointer = LLVM::IntToPtrOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext(), 1), from);
        Type type = beside > 1 ? Type(VectorType::get(beside, operand.element)) : operand.element;
        words = LLVM::LoadOp::create(b, loc, type, pointer, beside * bytes);
      }
      Value word = words;
      if (beside > 1)
        word = LLVM::ExtractElementOp::create(b, loc, words,
                                              arith::ConstantIntOp::create(b, loc, b.getI32Type(), number % beside));
      ++number;
      registers[key] = {ops.widen(word), {}};
    });
  }
}

/// Numbers of the registers of each run.
SmallVector<SmallVector<size_t>> StepKernel::inRuns(unsigned s, const Place &place, const Registers &registers) {
  SmallVector<SmallVector<size_t>> runs;
  if (registersBeside(s, place) == 1)
    return runs;
  std::map<std::vector<int64_t>, size_t> numbers;
  for (auto [i, each] : llvm::enumerate(registers))
    numbers[std::get<0>(each)] = i;
  for (auto &[key, number] : numbers) {
    if (key.back() % kWords)
      continue;
    std::vector<int64_t> next = key;
    SmallVector<size_t> run;
    for (; next.back() < key.back() + kWords; ++next.back())
      run.push_back(numbers.at(next));
    runs.push_back(std::move(run));
  }
  return runs;
}

void StepKernel::storeRegisters(unsigned s, const Place &to) {
  cpu::ElementOps ops(b, loc, real, /*nativeBF16=*/true);
  Registers registers = registersAt(s, to);
  auto one = [&]() -> SmallVector<Value> {
    for (auto &[key, at, mine] : registers) {
      auto guarded = scf::IfOp::create(b, loc, mine, /*withElseRegion=*/false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(guarded.thenBlock());
      cpu::storeElement(b, loc, ops, to, at, stateRegisters[s][key], 0);
    }
    return {};
  };
  auto runs = inRuns(s, to, registers);
  if (runs.empty()) {
    one();
    return;
  }
  auto four = [&](Value memory) -> SmallVector<Value> {
    for (auto &run : runs) {
      Value words = LLVM::PoisonOp::create(b, loc, VectorType::get(kWords, real));
      for (auto [i, number] : llvm::enumerate(run))
        words = LLVM::InsertElementOp::create(b, loc, words, stateRegisters[s][std::get<0>(registers[number])].re,
                                              arith::ConstantIntOp::create(b, loc, b.getI32Type(), i));
      LLVM::StoreOp::create(b, loc, words, pointerTo(memory, std::get<1>(registers[run[0]])), 16);
    }
    return {};
  };
  if (oneStep)
    four(memref::ExtractAlignedPointerAsIndexOp::create(b, loc, to.memref));
  else
    ifAligned(to, {}, four, one);
}

SmallVector<Value> StepKernel::carried() {
  SmallVector<Value> values;
  for (const RegisterArray &array : stateRegisters)
    for (const auto &[key, element] : array) {
      values.push_back(element.re);
      if (element.isComplex())
        values.push_back(element.im);
    }
  llvm::append_range(values, inFlight);
  return values;
}

void StepKernel::setCarried(ValueRange values) {
  size_t next = 0;
  for (RegisterArray &array : stateRegisters)
    for (auto &[key, element] : array) {
      element.re = values[next++];
      if (element.isComplex())
        element.im = values[next++];
    }
  for (Value &value : inFlight)
    value = values[next++];
}

Place StepKernel::ringSlot(unsigned state, Value slot) {
  auto type = stateType(state);
  Place result = inMemory(plan.states[state], type.getShape(), type.getElementType(), false);
  int64_t reals = llvm::product_of(result.shape) * (result.isComplex ? 2 : 1);
  result.base = add(result.base, mul(slot, index(reals)));
  return result;
}

/// Slices along the lag axis of an initial or final state.
static Place slice(Place place, Value offset, OpBuilder &b, Location loc) {
  place.base = arith::AddIOp::create(b, loc, place.base, offset, arith::IntegerOverflowFlags::nsw);
  return place;
}

/// Makes a state what it is before step `number` of a sequence that begins there. A ring's slot for time s is s modulo (depth + 1), and
/// the initial slices stand for the times number - depth ... number - 1.
void StepKernel::setInitial(unsigned s, Value number) {
  Place init = place(inits[s], inits[s].base);
  if (plan.states[s].kind == Storage::Register)
    return loadRegisters(s, init);
  if (plan.nests.states[s] == StateStorage::InPlace)
    return copy(newState[s], init);
  int64_t depth = scan.state(s).depth();
  for (int64_t i = 0; i < depth; ++i) {
    Value slot = arith::RemUIOp::create(b, loc, add(number, index(i + 1)), index(depth + 1));
    copy(ringSlot(s, slot), slice(init, mul(index(i), inits[s].strides[4]), b, loc));
  }
}

void StepKernel::beginStates() {
  newState.assign(scan.numStates(), Place());
  stateRegisters.resize(scan.numStates());
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    if (plan.nests.states[s] == StateStorage::History)
      continue;
    auto type = stateType(s);
    if (plan.nests.states[s] == StateStorage::InPlace)
      newState[s] = plan.states[s].kind == Storage::Tensor
                        ? place(finals[s], finals[s].base)
                        : inMemory(plan.states[s], type.getShape(), type.getElementType(), false);
    setInitial(s, index(0));
  }
}

/// Before a step at which the row's reset is true, its states are their initial values again.
void StepKernel::emitResets(Loop at) {
  const Operand &operand = resets[0];
  Value mark = memref::LoadOp::create(b, loc, operand.memref, add(operand.base, mul(at.second, operand.strides[1])));
  Value none = arith::ConstantOp::create(b, loc, b.getIntegerAttr(operand.element, 0));
  Value anew = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, mark, none);
  SmallVector<Value> before = carried();
  SmallVector<Type> types;
  for (Value value : before)
    types.push_back(value.getType());
  auto guarded = scf::IfOp::create(b, loc, types, anew, /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(b);
    auto close = [&](Block *block, ValueRange values) {
      if (block->mightHaveTerminator())
        return;
      b.setInsertionPointToEnd(block);
      scf::YieldOp::create(b, loc, values);
    };
    close(guarded.elseBlock(), before);
    Block *then = guarded.thenBlock();
    if (then->mightHaveTerminator())
      b.setInsertionPoint(then->getTerminator());
    else
      b.setInsertionPointToEnd(then);
    barrier(b, loc);
    for (unsigned s = 0; s < scan.numStates(); ++s)
      setInitial(s, at.first);
    barrier(b, loc);
    close(then, carried());
  }
  setCarried(guarded.getResults());
}

void StepKernel::placeStates(ArrayRef<Loop> at) {
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    recur::StateAttr state = scan.state(s);
    auto arguments = llvm::zip(step.stateArgs(s), state.getReads());
    switch (plan.nests.states[s]) {
    case StateStorage::InPlace:
      for (BlockArgument argument : step.stateArgs(s))
        places[argument] = newState[s];
      break;
    case StateStorage::Ring: {
      int64_t slots = state.depth() + 1;
      auto slotAt = [&](int64_t back) {
        Value time = add(at[0].first, index(slots - back));
        return ringSlot(s, arith::RemUIOp::create(b, loc, time, index(slots)));
      };
      newState[s] = slotAt(0);
      for (auto [argument, read] : arguments)
        places[argument] = slotAt(read[0]);
      break;
    }
    case StateStorage::History: {
      newState[s] = historyAt(s, at[0].first, at[1].first);
      Place init = place(inits[s], inits[s].base);
      for (auto [argument, read] : arguments) {
        Value first = sub(at[0].first, index(read[0])), second = sub(at[1].first, index(read[1])), zero = index(0);
        Value inside =
            arith::AndIOp::create(b, loc, arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, first, zero),
                                  arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, second, zero));
        Place there = historyAt(s, first, second);
        there.memref = arith::SelectOp::create(b, loc, inside, there.memref, init.memref);
        there.base = arith::SelectOp::create(b, loc, inside, there.base, init.base);
        places[argument] = there;
      }
      break;
    }
    }
  }
}

/// The value that a state of a two-axis scan had at a step. Histories are laid out by step numbers.
Place StepKernel::historyAt(unsigned state, Value first, Value second) {
  const Operand &history = histories[state];
  Value base = add(history.base, mul(first, history.strides[1]));
  return place(history, add(base, mul(second, history.strides[2])));
}

void StepKernel::endStates(Value moves) {
  if (plan.sharesMemory())
    barrier(b, loc);
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    if (plan.nests.states[s] == StateStorage::History) {
      endHistory(s, 0);
      endHistory(s, 1);
      continue;
    }
    Place final = place(finals[s], finals[s].base);
    if (plan.states[s].kind == Storage::Register) {
      storeRegisters(s, final);
    } else if (plan.nests.states[s] == StateStorage::Ring) {
      int64_t depth = scan.state(s).depth(), slots = depth + 1;
      for (int64_t i = 0; i < depth; ++i) {
        Value time = add(moves, index(i + 1)); // T - depth + i, modulo depth + 1
        Value slot = arith::RemUIOp::create(b, loc, time, index(slots));
        copy(slice(final, mul(index(i), finals[s].strides[4]), b, loc), ringSlot(s, slot));
      }
    } else if (plan.states[s].kind == Storage::Shared) {
      copy(final, newState[s]);
    }
  }
}

/// The final state along `axis`: the last step's values, one for each position along the other axis.
void StepKernel::endHistory(unsigned state, unsigned axis) {
  unsigned other = 1 - axis;
  const Operand &final = finals[2 * state + axis];
  auto loop = scf::ForOp::create(b, loc, index(0), extents[other], index(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Loop at = loopAt(loop.getInductionVar(), other, extents[other]);
  Place to = place(final, add(final.base, mul(at.second, final.strides[1 + other])));
  Value last = sub(extents[axis], index(1));
  Value any = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, last, index(0));
  auto choice = scf::IfOp::create(b, loc, any, /*withElseRegion=*/true);
  b.setInsertionPointToStart(choice.thenBlock());
  copy(to, axis == 0 ? historyAt(state, last, at.first) : historyAt(state, at.first, last));
  b.setInsertionPointToStart(choice.elseBlock());
  copy(to, place(inits[state], inits[state].base));
}
