// See ProductSums.h.
#include "compiler/Target/CUDA/ProductSums.h"
#include "compiler/Target/CUDA/OuterPlan.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

static constexpr int64_t kStages = 3, kStageBytes = 2 * BlockProduct::sideBytes, kSide = BlockProduct::side;

namespace {

class Reader {
public:
  explicit Reader(recur::ScanInterface scan) : scan(scan), step(scan, &scan->getRegion(0).front()) {}

  std::optional<ProductSumPlan> read() {
    if (!isa<recur::ScanOp>(scan.getOperation()) || scan.numStates() || scan.numAxes() != 1 || scan.getOffsets() ||
        scan.getResets() || scan.outputs().empty())
      return std::nullopt;
    plan.element = operandTypeOf(scan);
    for (Value output : step.yield().getOutputs())
      if (!plan.element || !readOutput(output))
        return std::nullopt;
    return plan;
  }

private:
  bool readOutput(Value output) {
    auto type = cast<RankedTensorType>(output.getType());
    ProductSum sum;
    if (type.getRank() != 1 || !type.getElementType().isF32() || !addends(output, sum) || sum.products.empty())
      return false;
    sum.units = type.getDimSize(0);
    plan.outputs.push_back(std::move(sum));
    return true;
  }

  bool addends(Value value, ProductSum &sum) {
    auto map = value.getDefiningOp<recur::MapOp>();
    if (map && map.getFn() == recur::Fn::Add)
      return llvm::all_of(map->getOperands(), [&](Value v) { return addends(v, sum); });
    if (auto contract = value.getDefiningOp<recur::ContractOp>())
      if (std::optional<SummedProduct> product = productOf(contract)) {
        sum.products.push_back(*product);
        return true;
      }
    auto leaves = leavesOf(value);
    if (!leaves)
      return false;
    sum.rest.push_back(value);
    return true;
  }

  std::optional<SummedProduct> productOf(recur::ContractOp contract) {
    auto spec = recur::parseContractSpec(contract.getSpec());
    if (!spec || spec->operands.size() != 2)
      return std::nullopt;
    unsigned matrix = spec->operands[0].size() == 2 ? 0 : 1;
    std::string letters = spec->operands[matrix], other = spec->operands[1 - matrix];
    const auto *param = llvm::find(step.paramArgs(), contract.getOperands()[matrix]);
    Value vector = contract.getOperands()[1 - matrix];
    if (letters.size() != 2 || letters[0] == letters[1] || other.size() != 1 || spec->result.size() != 1 ||
        spec->result == other || param == step.paramArgs().end() || !isOperand(vector))
      return std::nullopt;
    unsigned number = param - step.paramArgs().begin();
    if (cast<RankedTensorType>(scan.getParams()[number].getType()).getElementType() != plan.element)
      return std::nullopt;
    return SummedProduct{contract.getResult(), vector, number, letters[0] == other[0],
                         cast<RankedTensorType>(vector.getType()).getDimSize(0)};
  }

  bool isOperand(Value vector) {
    auto leaves = leavesOf(vector);
    return leaves && !leaves->empty() &&
           llvm::all_of(*leaves, [&](BlockArgument leaf) { return mayBeOperand(scan, leaf, plan.element); });
  }

  recur::ScanInterface scan;
  recur::Step step;
  ProductSumPlan plan;
};

} // namespace

std::optional<ProductSumPlan> rondo::cuda::planProductSums(recur::ScanInterface scan) { return Reader(scan).read(); }

ProductSumKernel::ProductSumKernel(recur::ScanInterface scan, const Program &program, ScanTensors tensors,
                                   ProductSumPlan plan)
    : KernelBuilder(scan.getLoc()), scan(scan), program(program), tensors(std::move(tensors)), plan(std::move(plan)),
      step(scan, &scan->getRegion(0).front()), l(b, loc, this->plan.element),
      ops(b, loc, b.getF32Type(), /*nativeBF16=*/true) {}

static int64_t blocksOf(const ProductSum &sum) { return llvm::divideCeil(sum.units, kSide); }

Launch ProductSumKernel::emit(ModuleOp module, StringRef symbol) {
  launch.symbol = symbol.str();
  launch.threads = BlockProduct::threads;
  launch.timeBlock = kSide;
  launch.sharedBytes = kStages * kStageBytes;
  launch.splits = 0;
  for (const ProductSum &sum : plan.outputs)
    launch.splits += blocksOf(sum);
  open(b, loc, module, symbol, program, tensors, launch, {});
  openBlock();
  func::ReturnOp::create(b, loc);
  // Rows that no copy in the background takes need more registers.
  if (llvm::all_of(plan.outputs, [](const ProductSum &sum) {
        return sum.units % 8 == 0 && llvm::all_of(sum.products, [](auto &product) { return product.sums % 8 == 0; });
      }))
    BlockProduct::placeTwo(b, arguments->function());
  return launch;
}

/// A block's units of one output, head, steps and row of the batch, in this order from the fastest.
void ProductSumKernel::openBlock() {
  thread = NVVM::ThreadIdXOp::create(b, loc, b.getI32Type());
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
  Value first =
      arith::MulIOp::create(b, loc, take(arith::CeilDivUIOp::create(b, loc, steps, index(kSide))), index(kSide));
  Value left = arith::MinUIOp::create(b, loc, arith::SubIOp::create(b, loc, steps, first), index(kSide));
  stepsLeft = arith::IndexCastOp::create(b, loc, b.getI32Type(), left);
  for (auto *list : {&inputs, &params, &outputs})
    for (Operand &operand : *list) {
      operand.base = index(0);
      auto add = [&](bool has, Value x, Value y) {
        if (has)
          operand.base = arith::AddIOp::create(b, loc, operand.base, arith::MulIOp::create(b, loc, x, y));
      };
      add(operand.perTime, first, operand.strides[1]);
      add(operand.perBatch, task, operand.strides[0]);
      add(operand.perHead || operand.perGroup, operand.perGroup ? group : head, operand.strides[3]);
    }
  int64_t before = 0;
  for (auto [number, sum] : llvm::enumerate(plan.outputs)) {
    Value mine = l.both(l.less(l.i32(before - 1), tile), l.less(tile, l.i32(before + blocksOf(sum))));
    ifTrue(mine, [&, number = number] { emitOutput(number, l.sub(tile, l.i32(before))); });
    before += blocksOf(sum);
  }
}

/// An input that lies in memory as the products take it.
bool ProductSumKernel::isPlain(Value value) const {
  const auto *found = llvm::find(step.inputArgs(), value);
  recur::ScanInterface of = scan;
  return found != step.inputArgs().end() &&
         cast<RankedTensorType>(of.getInputs()[found - step.inputArgs().begin()].getType()).getElementType() ==
             plan.element;
}

/// Products whose code is the same but for where their operands lie.
bool ProductSumKernel::alike(const SummedProduct &x, const SummedProduct &y) const {
  return x.transposed == y.transposed && x.sums == y.sums && isPlain(x.vector) && isPlain(y.vector);
}

void ProductSumKernel::emitOutput(unsigned number, Value tile) {
  const ProductSum &sum = plan.outputs[number];
  Value firstUnit = l.mul(tile, kSide);
  BlockProduct product(l, thread);
  SmallVector<Value> sums = product.zeros();
  for (size_t from = 0; from < sum.products.size();) {
    size_t to = from + 1;
    while (to < sum.products.size() && alike(sum.products[from], sum.products[to]))
      ++to;
    sums = addRun(Run(sum.products).slice(from, to - from), sum.units, firstUnit, sums);
    from = to;
  }
  product.forEachPair(sums, [&](Value row, Value column, Value low, Value high) {
    Value unit = l.add(firstUnit, column);
    ifTrue(l.both(l.less(row, stepsLeft), l.less(unit, l.i32(sum.units))),
           [&] { finishPair(number, row, unit, low, high); });
  });
}

/// i64: where an operand's part of this block begins.
Value ProductSumKernel::addressOf(const Operand &operand, size_t argument) {
  Value bytes = arith::ConstantIntOp::create(b, loc, b.getI64Type(), operand.element.getIntOrFloatBitWidth() / 8);
  Value pointer = LLVM::PtrToIntOp::create(b, loc, b.getI64Type(), arguments->function().getArgument(argument * 6));
  return l.add(pointer, l.mul(toI64(operand.base), bytes));
}

Value ProductSumKernel::chosen(Run run, Value which, function_ref<Value(const SummedProduct &)> of) {
  Value result = of(run.front());
  for (size_t i = 1; i < run.size(); ++i)
    result = l.select(l.equal(which, l.i32(i)), of(run[i]), result);
  return result;
}

/// Stage `number` of a run: a part of the summed axis of one product.
void ProductSumKernel::stage(Run run, int64_t units, Value firstUnit, Value number, Value to) {
  BlockProduct product(l, thread);
  const SummedProduct &first = run.front();
  int64_t each = llvm::divideCeil(first.sums, BlockProduct::depth);
  Value which = l.div(number, each), at = l.mul(l.rem(number, each), BlockProduct::depth);
  Value two = arith::ConstantIntOp::create(b, loc, b.getI64Type(), 2), last = l.i32(first.sums - 1);
  auto aligned = [&](Value address, Value stride, int64_t columns) {
    Value bits = arith::TruncIOp::create(b, loc, b.getI32Type(), arith::OrIOp::create(b, loc, address, stride));
    return l.equal(l.bitAnd(bits, 15), l.i32(columns % 8 ? -1 : 0));
  };
  if (isPlain(first.vector)) {
    auto numberOf = [&](const SummedProduct &p) {
      return llvm::find(step.inputArgs(), p.vector) - step.inputArgs().begin();
    };
    Value address = chosen(run, which, [&](auto &p) { return addressOf(inputs[numberOf(p)], numberOf(p)); });
    Value stride = chosen(run, which, [&](auto &p) -> Value {
      const Operand &input = inputs[numberOf(p)];
      return input.perTime ? l.mul(toI64(input.strides[1]), two)
                           : l.mul(two, arith::ConstantIntOp::create(b, loc, b.getI64Type(), 0));
    });
    product.copy(Order::SummedInside,
                 {address, stride, stepsLeft, aligned(address, stride, first.sums), at, first.sums}, to);
  } else {
    product.fill(
        Order::SummedInside,
        [&](Value row, Value column) {
          Value unit = l.add(at, column);
          Scope scope;
          Value value = evaluate(first.vector, scope, toIndex(l.least(row, l.sub(stepsLeft, l.i32(1)))),
                                 toIndex(l.least(unit, last)));
          return l.select(l.both(l.less(row, stepsLeft), l.less(unit, l.i32(first.sums))), value, l.f32(0));
        },
        to);
  }
  Value weights = chosen(run, which, [&](auto &p) { return addressOf(params[p.param], inputs.size() + p.param); });
  int64_t columns = first.transposed ? units : first.sums;
  Value stride = arith::ConstantIntOp::create(b, loc, b.getI64Type(), columns * 2);
  Value firstRow = first.transposed ? at : firstUnit;
  Value count = l.sub(l.i32(first.transposed ? first.sums : units), firstRow);
  Value begin = l.add(weights, l.mul(l.wide(firstRow), stride));
  product.copy(first.transposed ? Order::SummedOutside : Order::SummedInside,
               {begin, stride, count, aligned(weights, stride, columns), first.transposed ? firstUnit : at, columns},
               l.add(to, BlockProduct::sideBytes));
}

SmallVector<Value> ProductSumKernel::addRun(Run run, int64_t units, Value firstUnit, ValueRange sums) {
  int64_t count = llvm::divideCeil(run.front().sums, BlockProduct::depth) * static_cast<int64_t>(run.size());
  Order right = run.front().transposed ? Order::SummedOutside : Order::SummedInside;
  l.barrier(); // others may still read what a run before this one staged
  auto load = [&](Value number) {
    ifTrue(l.less(number, l.i32(count)),
           [&] { stage(run, units, firstUnit, number, l.mul(l.rem(number, kStages), kStageBytes)); });
    l.commitCopies();
  };
  for (int64_t i = 0; i + 1 < kStages; ++i)
    load(l.i32(i));
  auto loop = scf::ForOp::create(b, loc, l.i32(0), l.i32(count), l.i32(1), sums);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  l.waitCopies(kStages - 2);
  l.barrier();
  Value at = loop.getInductionVar(), slot = l.mul(l.rem(at, kStages), kStageBytes);
  load(l.add(at, kStages - 1));
  scf::YieldOp::create(b, loc,
                       BlockProduct(l, thread).multiply(Order::SummedInside, slot, right,
                                                        l.add(slot, BlockProduct::sideBytes),
                                                        loop.getRegionIterArgs()));
  return SmallVector<Value>(loop.getResults());
}

Value ProductSumKernel::evaluate(Value value, Scope &scope, Value row, Value unit) {
  if (auto known = scope.find(value); known != scope.end())
    return known->second.re;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    bool isInput = argument.getArgNumber() < inputs.size();
    const Operand &operand =
        isInput ? inputs[argument.getArgNumber()] : params[argument.getArgNumber() - inputs.size()];
    Value at = operand.base;
    if (operand.perTime)
      at = arith::AddIOp::create(b, loc, at, arith::MulIOp::create(b, loc, row, operand.strides[1]));
    if (!operand.shape.empty())
      at = arith::AddIOp::create(b, loc, at, unit);
    Value loaded = ops.widen(memref::LoadOp::create(b, loc, operand.memref, at));
    scope[value] = {loaded, {}};
    return loaded;
  }
  SmallVector<cpu::Element> operands;
  for (Value operand : value.getDefiningOp()->getOperands()) {
    evaluate(operand, scope, row, unit);
    operands.push_back(scope[operand]);
  }
  scope[value] = ops.compute(value.getDefiningOp(), operands);
  return scope[value].re;
}

/// Two neighbouring units of one step; the first exists.
void ProductSumKernel::finishPair(unsigned number, Value row, Value unit, Value low, Value high) {
  const ProductSum &sum = plan.outputs[number];
  const Operand &output = outputs[number];
  Value second = l.add(unit, 1), both = l.less(second, l.i32(sum.units)), rowAt = toIndex(row);
  Value pair[] = {low, high}, units[] = {unit, l.least(second, l.i32(sum.units - 1))};
  for (size_t i : {0, 1}) {
    Scope scope;
    for (Value rest : sum.rest)
      pair[i] = l.addf(pair[i], evaluate(rest, scope, rowAt, toIndex(units[i])));
    pair[i] = ops.narrow(pair[i], output.element);
  }
  int64_t bytes = output.element.getIntOrFloatBitWidth() / 8;
  Value at = arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, rowAt, output.strides[1]), toIndex(unit));
  Value address = addressOf(output, inputs.size() + params.size() + number);
  Value byte = l.mul(toI64(at), arith::ConstantIntOp::create(b, loc, b.getI64Type(), bytes));
  BlockProduct(l, thread).storePair(l.add(address, byte), pair[0], pair[1], both);
}
