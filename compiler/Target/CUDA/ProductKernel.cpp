// See ProductKernel.h.
#include "compiler/Target/CUDA/ProductKernel.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Element;

/// A block has kRows steps on eight warps: two along steps, with four tiles of 16 each, four along units.
static constexpr int64_t kRows = 128, kThreads = 256, kRowTiles = 4;
/// Of the axis that is summed over: columns of a stage, 128 bytes, in pieces of 16 bytes that are exchanged by the row's number, so
/// that neither copies nor reads meet in a bank.
static constexpr int64_t kColumns = 64, kPieces = 8, kRowBytes = 128, kStages = 3;

ProductKernel::ProductKernel(recur::ScanInterface scan, const Program &program, ScanTensors tensors, ProductPlan plan)
    : KernelBuilder(scan.getLoc()), scan(scan), program(program), tensors(std::move(tensors)), plan(std::move(plan)),
      step(scan, &scan->getRegion(0).front()), l(b, loc, this->plan.element),
      ops(b, loc, b.getF32Type(), /*nativeBF16=*/true) {}

static int64_t unitRows(const ProductGroup &group) {
  return group.blockUnits() * static_cast<int64_t>(group.products.size());
}
static int64_t stageBytes(const ProductGroup &group) { return (kRows + unitRows(group)) * kRowBytes; }

Launch ProductKernel::emit(ModuleOp module, StringRef symbol) {
  launch.symbol = symbol.str();
  launch.threads = kThreads;
  launch.timeBlock = kRows;
  launch.splits = 0;
  int64_t most = 0;
  for (const ProductGroup &group : plan.groups) {
    launch.splits += group.blocks();
    most = std::max(most, stageBytes(group));
  }
  launch.sharedBytes = most * kStages;
  open(b, loc, module, symbol, program, tensors, launch, {});
  emitBlock();
  func::ReturnOp::create(b, loc);
  return launch;
}

/// A block's units of one group, head, steps and row of the batch, in this order from the fastest.
void ProductKernel::emitBlock() {
  thread = NVVM::ThreadIdXOp::create(b, loc, b.getI32Type());
  warp = l.shr(thread, 5);
  lane = l.bitAnd(thread, 31);
  l.setShared(arguments->sharedPointer());
  Value task = toIndex(NVVM::BlockIdXOp::create(b, loc, b.getI32Type()));
  auto take = [&](Value count) {
    Value number = arith::RemUIOp::create(b, loc, task, count);
    task = arith::DivUIOp::create(b, loc, task, count);
    return number;
  };
  Value tile = arith::IndexCastOp::create(b, loc, b.getI32Type(), take(index(launch.splits))), head = index(0);
  if (launch.perHead)
    head = take(arguments->size(3));
  Value group = arith::DivUIOp::create(b, loc, head, arguments->size(4)), steps = arguments->size(1);
  firstStep =
      arith::MulIOp::create(b, loc, take(arith::CeilDivUIOp::create(b, loc, steps, index(kRows))), index(kRows));
  Value left = arith::MinUIOp::create(b, loc, arith::SubIOp::create(b, loc, steps, firstStep), index(kRows));
  stepsLeft = arith::IndexCastOp::create(b, loc, b.getI32Type(), left);
  for (auto *list : {&inputs, &params, &outputs})
    for (Operand &operand : *list) {
      operand.base = operand.perTime ? arith::MulIOp::create(b, loc, firstStep, operand.strides[1]) : index(0);
      auto add = [&](Value x, Value y) {
        operand.base = arith::AddIOp::create(b, loc, operand.base, arith::MulIOp::create(b, loc, x, y));
      };
      if (operand.perBatch)
        add(task, operand.strides[0]);
      if (operand.perHead || operand.perGroup)
        add(operand.perGroup ? group : head, operand.strides[3]);
    }
  int64_t before = 0;
  for (const ProductGroup &each : plan.groups) {
    Value mine = l.both(l.less(l.i32(before - 1), tile), l.less(tile, l.i32(before + each.blocks())));
    ifTrue(mine, [&] { emitGroup(each, l.sub(tile, l.i32(before))); });
    before += each.blocks();
  }
}

ProductKernel::Chosen ProductKernel::choose(ArrayRef<Operand> operands, size_t before, ArrayRef<unsigned> numbers,
                                            Value which) {
  auto pointerOf = [&](unsigned number) { return arguments->function().getArgument((before + number) * 6); };
  Chosen chosen{operands[numbers.front()], pointerOf(numbers.front())};
  for (size_t i = 1; i < numbers.size(); ++i) {
    const Operand &other = operands[numbers[i]];
    Value is = l.equal(which, l.i32(i));
    auto choose = [&](Value &mine, Value theirs) { mine = arith::SelectOp::create(b, loc, is, theirs, mine); };
    choose(chosen.operand.memref, other.memref);
    choose(chosen.operand.base, other.base);
    choose(chosen.operand.strides[1], other.strides[1]);
    choose(chosen.pointer, pointerOf(numbers[i]));
  }
  return chosen;
}

ProductKernel::Rows ProductKernel::rowsOf(Value pointer, Value offset, Value stride, Value last) {
  Value bytes = l.shl(arith::TruncIOp::create(b, loc, b.getI32Type(), toI64(stride)), 1);
  Value at =
      l.add(LLVM::PtrToIntOp::create(b, loc, b.getI64Type(), pointer),
            arith::MulIOp::create(b, loc, toI64(offset), arith::ConstantIntOp::create(b, loc, b.getI64Type(), 2)));
  Value odd = arith::OrIOp::create(b, loc, arith::TruncIOp::create(b, loc, b.getI32Type(), at), bytes);
  Value wide = arith::MulIOp::create(b, loc, toI64(stride), arith::ConstantIntOp::create(b, loc, b.getI64Type(), 2));
  return {at, wide, last, l.equal(l.bitAnd(odd, 15), l.i32(0))};
}

/// Eight elements of a row to shared memory; zeros where `valid` does not hold or beyond the columns.
void ProductKernel::copyUnit(const Rows &rows, Value row, Value valid, Value column, int64_t columns, Value to) {
  Value inside = l.both(valid, l.less(column, l.i32(columns)));
  Value from = l.add(rows.pointer, arith::MulIOp::create(b, loc, l.wide(l.least(row, rows.last)), rows.stride));
  from = l.add(from, l.wide(l.shl(l.least(column, l.i32(columns - 8)), 1)));
  Value pointer = LLVM::IntToPtrOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext(), 1), from);
  auto choice = scf::IfOp::create(b, loc, rows.aligned, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  l.copyAsync(to, pointer, l.select(inside, l.i32(16), l.i32(0)));
  b.setInsertionPointToStart(choice.elseBlock());
  for (int64_t i = 0; i < 8; ++i) {
    Value at = l.at(pointer, arith::ConstantIntOp::create(b, loc, b.getI64Type(), 2 * i));
    Value value = l.load(b.getI16Type(), at);
    Value zero = arith::ConstantIntOp::create(b, loc, b.getI16Type(), 0);
    l.storeShared(l.select(inside, value, zero), to, 2 * i);
  }
}

/// Columns `step` * 64 on of the block's rows, then of its units, product by product, to shared memory from `to` on.
void ProductKernel::stage(const ProductGroup &group, const Rows &input, ArrayRef<Rows> weights, Value firstUnit,
                          Value step, Value to) {
  Value piece = l.bitAnd(thread, kPieces - 1), line = l.shr(thread, 3);
  Value column = l.add(l.mul(step, kColumns), l.mul(piece, 8));
  Value place = l.add(to, l.shl(l.bitXor(piece, l.bitAnd(line, 7)), 4)); // rows of one thread are a multiple of 8 apart
  constexpr int64_t lines = kThreads / kPieces;
  for (int64_t first = 0; first < kRows; first += lines) {
    Value row = l.add(line, first);
    copyUnit(input, row, l.less(row, stepsLeft), column, group.sums, l.add(place, l.mul(row, kRowBytes)));
  }
  for (auto [product, rows] : llvm::enumerate(weights))
    for (int64_t first = 0; first < group.blockUnits(); first += lines) {
      Value row = l.add(line, first), unit = l.add(firstUnit, row);
      Value inStage = l.add(row, kRows + static_cast<int64_t>(product) * group.blockUnits());
      copyUnit(rows, unit, l.less(unit, l.i32(group.units)), column, group.sums,
               l.add(place, l.mul(inStage, kRowBytes)));
    }
}

void ProductKernel::emitGroup(const ProductGroup &group, Value tile) {
  Value which = l.div(tile, group.blocksOfEach()), last = l.sub(stepsLeft, l.i32(1));
  Value firstUnit = l.mul(l.rem(tile, group.blocksOfEach()), group.blockUnits());
  unsigned number = group.products.front().input;
  Value inputPointer = arguments->function().getArgument(number * 6);
  Rows input = rowsOf(inputPointer, inputs[number].base, inputs[number].strides[1], last);
  SmallVector<Rows> weights;
  for (const InputProduct &product : group.products) {
    SmallVector<unsigned> numbers{product.param};
    for (auto [param, output] : group.likes)
      numbers.push_back(param);
    Chosen param = choose(params, inputs.size(), numbers, which);
    weights.push_back(rowsOf(param.pointer, param.operand.base, index(group.sums), l.i32(group.units - 1)));
  }
  results.clear();
  for (unsigned output : group.outputs) {
    SmallVector<unsigned> numbers{output};
    for (auto [param, other] : group.likes)
      numbers.push_back(other);
    results.push_back(choose(outputs, inputs.size() + params.size(), numbers, which));
  }
  int64_t count = llvm::divideCeil(group.sums, kColumns), bytes = stageBytes(group);
  auto load = [&](Value step) {
    ifTrue(l.less(step, l.i32(count)), [&] {
      Value slot = l.mul(l.rem(step, kStages), bytes);
      stage(group, input, weights, firstUnit, step, slot);
    });
    l.commitCopies();
  };
  for (int64_t i = 0; i + 1 < kStages; ++i)
    load(l.i32(i));
  int64_t accumulators = kRowTiles * group.unitTiles() * static_cast<int64_t>(group.products.size());
  SmallVector<Value> zeros(accumulators * 4, l.f32(0));
  auto loop = scf::ForOp::create(b, loc, l.i32(0), l.i32(count), l.i32(1), zeros);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    l.waitCopies(kStages - 2);
    l.barrier();
    Value at = loop.getInductionVar();
    load(l.add(at, kStages - 1));
    scf::YieldOp::create(b, loc, multiply(group, l.mul(l.rem(at, kStages), bytes), loop.getRegionIterArgs()));
  }
  finish(group, firstUnit, loop.getResults());
}

/// Accumulators lie by tile of rows, product, tile of units.
SmallVector<Value> ProductKernel::multiply(const ProductGroup &group, Value from, ValueRange sums) {
  int64_t products = group.products.size(), unitTiles = group.unitTiles(), tiles = products * unitTiles;
  SmallVector<Accumulator> acc;
  for (size_t i = 0; i < sums.size(); i += 4)
    acc.push_back({sums[i], sums[i + 1], sums[i + 2], sums[i + 3]});
  Value seven = l.bitAnd(lane, 7), odd = l.bitAnd(l.shr(lane, 3), 1), late = l.shr(lane, 4);
  Value rowPart = l.div(warp, 4), unitPart = l.bitAnd(warp, 3);
  Value rowAt = l.add(from, l.mul(l.add(l.mul(rowPart, kRows / 2), l.add(seven, l.shl(odd, 3))), kRowBytes));
  // Two cores of one tile of units: along the summed axis. Lanes 16 and up give addresses that are not used where a tile stands alone.
  Value unitAt = l.add(from, l.mul(l.add(l.mul(unitPart, 8 * unitTiles), seven), kRowBytes));
  for (int64_t k = 0; k < kColumns / 16; ++k) {
    auto piece = [&](Value which) { return l.shl(l.bitXor(l.add(which, 2 * k), seven), 4); };
    SmallVector<SmallVector<Value>> units;
    for (int64_t t = 0; t < tiles; t += 2) {
      auto rowOf = [&](int64_t tile) {
        tile = std::min(tile, tiles - 1);
        return kRows + tile / unitTiles * group.blockUnits() + tile % unitTiles * 8;
      };
      Value second = l.mul(late, (rowOf(t + 1) - rowOf(t)) * kRowBytes);
      Value at = l.add(l.add(unitAt, second), piece(odd));
      SmallVector<Value> cores = l.loadCores(at, rowOf(t) * kRowBytes, /*transposed=*/false);
      units.push_back({cores[0], cores[1]});
      units.push_back({cores[2], cores[3]});
    }
    for (int64_t r = 0; r < kRowTiles; ++r) {
      SmallVector<Value> rows = l.loadCores(l.add(rowAt, piece(late)), r * 16 * kRowBytes, /*transposed=*/false);
      for (int64_t t = 0; t < tiles; ++t)
        acc[r * tiles + t] = l.multiply(rows, units[t], acc[r * tiles + t]);
    }
  }
  SmallVector<Value> result;
  for (const Accumulator &each : acc)
    result.append(each.begin(), each.end());
  return result;
}

Value ProductKernel::addressOf(const Operand &operand, Value row, Value unit) {
  Value at = operand.base;
  if (operand.perTime)
    at = arith::AddIOp::create(b, loc, at, arith::MulIOp::create(b, loc, row, operand.strides[1]));
  return operand.shape.empty() ? at : arith::AddIOp::create(b, loc, at, unit).getResult();
}

Element ProductKernel::evaluate(Value value, Scope &scope, Value row, Value unit) {
  if (auto known = scope.find(value); known != scope.end())
    return known->second;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    const auto *input = llvm::find(step.inputArgs(), argument);
    const Operand &operand = input != step.inputArgs().end() ? inputs[input - step.inputArgs().begin()]
                                                             : params[argument.getArgNumber() - inputs.size()];
    return scope[value] = {ops.widen(memref::LoadOp::create(b, loc, operand.memref, addressOf(operand, row, unit))),
                           {}};
  }
  SmallVector<Element> operands;
  for (Value operand : value.getDefiningOp()->getOperands())
    operands.push_back(evaluate(operand, scope, row, unit));
  return scope[value] = ops.compute(value.getDefiningOp(), operands);
}

void ProductKernel::finish(const ProductGroup &group, Value firstUnit, ValueRange sums) {
  int64_t products = group.products.size(), unitTiles = group.unitTiles();
  Value rowInBlock = l.add(l.mul(l.div(warp, 4), kRows / 2), l.shr(lane, 2));
  Value unitInBlock = l.add(l.mul(l.bitAnd(warp, 3), 8 * unitTiles), l.shl(l.bitAnd(lane, 3), 1));
  for (int64_t r = 0; r < kRowTiles; ++r)
    for (int64_t half : {0, 1})
      for (int64_t t = 0; t < unitTiles; ++t) {
        SmallVector<SmallVector<Value>> pairs;
        for (int64_t p = 0; p < products; ++p) {
          int64_t at = ((r * products + p) * unitTiles + t) * 4 + 2 * half;
          pairs.push_back({sums[at], sums[at + 1]});
        }
        Value row = l.add(rowInBlock, r * 16 + half * 8), unit = l.add(l.add(firstUnit, unitInBlock), t * 8);
        ifTrue(l.both(l.less(row, stepsLeft), l.less(unit, l.i32(group.units))),
               [&] { finishPair(group, row, unit, pairs); });
      }
}

/// Two neighbouring units of one step; the first exists.
void ProductKernel::finishPair(const ProductGroup &group, Value row, Value unit, ArrayRef<SmallVector<Value>> pairs) {
  Value rowAt = toIndex(row), unitAt = toIndex(unit);
  SmallVector<SmallVector<Value>> values(group.outputs.size());
  for (size_t i : {0, 1}) {
    Scope scope;
    for (auto [product, pair] : llvm::zip(group.products, pairs))
      scope[product.result] = {pair[i], {}};
    Value at =
        i ? arith::MinUIOp::create(b, loc, arith::AddIOp::create(b, loc, unitAt, index(1)), index(group.units - 1))
          : unitAt;
    for (auto [number, list] : llvm::zip(group.outputs, values))
      list.push_back(evaluate(step.yield().getOutputs()[number], scope, rowAt, at).re);
  }
  for (auto [result, list] : llvm::zip(results, values)) {
    const Operand &output = result.operand;
    Value at = addressOf(output, rowAt, unitAt);
    Value low = ops.narrow(list[0], output.element), high = ops.narrow(list[1], output.element);
    int64_t bytes = output.element.getIntOrFloatBitWidth() / 8;
    Value byte = l.mul(toI64(at), arith::ConstantIntOp::create(b, loc, b.getI64Type(), bytes));
    Value pointer = l.at(result.pointer, byte);
    Value address =
        arith::TruncIOp::create(b, loc, b.getI32Type(), LLVM::PtrToIntOp::create(b, loc, b.getI64Type(), pointer));
    Value together =
        l.both(l.equal(l.bitAnd(address, 2 * bytes - 1), l.i32(0)), l.less(l.add(unit, 1), l.i32(group.units)));
    auto choice = scf::IfOp::create(b, loc, together, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(choice.thenBlock());
    l.store(l.pair(low, high), pointer);
    b.setInsertionPointToStart(choice.elseBlock());
    memref::StoreOp::create(b, loc, low, output.memref, at);
    ifTrue(l.less(l.add(unit, 1), l.i32(group.units)), [&] {
      Value next = arith::AddIOp::create(b, loc, at, index(1));
      memref::StoreOp::create(b, loc, high, output.memref, next);
    });
  }
}

std::optional<Launch> rondo::cuda::emitProductKernel(recur::ScanInterface scan, const Program &program,
                                                     const ScanTensors &tensors, ModuleOp module, StringRef symbol) {
  std::optional<ProductPlan> plan = planProducts(scan);
  if (!plan)
    return std::nullopt;
  return ProductKernel(scan, program, tensors, std::move(*plan)).emit(module, symbol);
}
