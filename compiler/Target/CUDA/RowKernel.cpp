// See RowKernel.h.
#include "compiler/Target/CUDA/RowKernel.h"
#include "compiler/Target/CPU/ElementOps.h"
#include "compiler/Target/CPU/StepNests.h"
#include "compiler/Target/CUDA/KernelArguments.h"
#include "compiler/Target/CUDA/KernelBuilder.h"
#include "compiler/Target/CUDA/TileLanes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <map>

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;
using cpu::Element;
using cpu::Index;
using cpu::Indices;

namespace {

constexpr int64_t kThreads = 256;
/// Elements of a row in a lane: 16 bytes of 16-bit numbers, or where there are many rows 8, and no more than registers are there for.
constexpr int64_t kParts[] = {8, 4}, kMostPart = 16, kMostElements = 112;
/// Rows that a lane takes one after the other, so that parameters are loaded once for them.
constexpr int64_t kRowsEach = 4;
constexpr int64_t kRowAlignment = 16; // bytes
/// Bytes that a multiprocessor of an H100 moves in a nanosecond, and what a block takes at least, and a launch.
constexpr double kBytesPerNanosecond = 22.7, kLeastBlock = 1500, kLaunch = 3000;

ArrayRef<int64_t> shapeOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }
bool isRow(Value value) { return shapeOf(value).size() == 1; }

/// Reads a step without states.
class Reader {
public:
  explicit Reader(recur::ScanInterface scan) : scan(scan), step(scan, &scan->getRegion(0).front()) {}

  /// How many lanes share a row; 0 where the scan does not fit.
  int64_t lanes() {
    if (!isa<recur::ScanOp>(scan.getOperation()) || scan.numStates() || scan.numAxes() != 1 || scan.getOffsets() ||
        scan.getResets())
      return 0;
    Block &block = scan->getRegion(0).front();
    for (Value argument : block.getArguments())
      if (!fits(argument) || cast<RankedTensorType>(argument.getType()).getElementType().isInteger(1))
        return 0;
    for (Operation &op : block.without_terminator())
      if (!isKnown(op) || !llvm::all_of(op.getResults(), [&](Value result) { return fits(result); }))
        return 0;
    int64_t count = 0, shortest = 0, longest = 0;
    for (Value value : llvm::concat<Value>(step.inputArgs(), step.paramArgs(), step.yield().getOutputs()))
      if (isRow(value)) {
        count += shapeOf(value)[0];
        shortest = shortest ? std::min(shortest, shapeOf(value)[0]) : shapeOf(value)[0];
        longest = std::max(longest, shapeOf(value)[0]);
      }
    for (int64_t part : kParts) {
      int64_t lanes = 32;
      while (lanes > 1 && (shortest % lanes || shortest / lanes < part))
        lanes /= 2;
      bool even = llvm::all_of(lengths, [&](int64_t length) { return length % (lanes * part) == 0; });
      if (shortest && even && longest / lanes <= kMostPart && count / lanes <= kMostElements)
        return lanes;
    }
    return 0;
  }

private:
  bool fits(Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getRank() == 1)
      lengths.push_back(type.getDimSize(0));
    return type.getRank() <= 1 && (type.getElementType().isF32() || type.getElementType().isInteger(1));
  }

  /// Whether an operation is elementwise on rows, or sums up or compares the elements of one.
  static bool isKnown(Operation &op) {
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      return cast<DenseElementsAttr>(constant.getValue()).isSplat();
    if (auto contract = dyn_cast<recur::ContractOp>(op)) {
      auto spec = recur::parseContractSpec(contract.getSpec());
      return spec && cpu::reductionExtents(&op).size() <= 1 &&
             llvm::all_of(spec->operands, [](const std::string &letters) { return letters.size() <= 1; });
    }
    if (isa<recur::ReduceOp>(op))
      return isRow(op.getOperand(0)) && !isRow(op.getResult(0)) &&
             cast<RankedTensorType>(op.getOperand(0).getType()).getElementType().isF32();
    return isa<recur::MapOp, recur::CastOp, recur::BroadcastOp>(op);
  }

  recur::ScanInterface scan;
  recur::Step step;
  SmallVector<int64_t> lengths;
};

class RowKernel : ScanOperands, KernelBuilder {
public:
  RowKernel(recur::ScanInterface scan, const Program &program, const ScanTensors &tensors, int64_t lanes)
      : KernelBuilder(scan.getLoc()), scan(scan), program(program), tensors(tensors),
        step(scan, &scan->getRegion(0).front()), lanes(lanes), l(b, loc, b.getBF16Type()),
        ops(b, loc, b.getF32Type(), /*nativeBF16=*/true) {}

  Launch emit(ModuleOp module, StringRef symbol) {
    launch.symbol = symbol.str();
    launch.threads = kThreads;
    launch.timeBlock = rowsAtOnce() * kRowsEach;
    open(b, loc, module, symbol, program, tensors, launch, {});
    setAligned();
    setCost();
    openBlock();
    for (auto [argument, operand] : llvm::zip(step.paramArgs(), params))
      loadParam(argument, operand, positionOf(argument));
    const auto fixed = known;
    SmallVector<Value> next = loadRow(0);
    for (int64_t r = 0; r < kRowsEach; ++r) {
      known = fixed;
      SmallVector<Value> loaded = std::exchange(next, r + 1 < kRowsEach ? loadRow(r + 1) : SmallVector<Value>());
      emitRow(r, loaded);
    }
    func::ReturnOp::create(b, loc);
    return launch;
  }

private:
  using Key = std::pair<void *, int64_t>; // a value, and the element of it in this lane; -1 of what is no row

  int64_t rowsAtOnce() const { return kThreads / lanes; }
  int64_t partOf(Value value) const { return shapeOf(value)[0] / lanes; }
  /// Of a lane's part, where the row's is given.
  int64_t alignmentOf(Value row, const Operand &operand) const {
    return std::min(kRowAlignment, partOf(row) * operand.element.getIntOrFloatBitWidth() / 8);
  }
  int64_t positionOf(BlockArgument argument) { return argument.getArgNumber(); }

  /// Inputs and outputs whose rows are moved as vectors.
  void setAligned() {
    for (auto [i, argument] : llvm::enumerate(step.inputArgs()))
      if (isRow(argument))
        launch.aligned.push_back(i);
    for (auto [i, output] : llvm::enumerate(step.yield().getOutputs()))
      if (isRow(output))
        launch.aligned.push_back(inputs.size() + params.size() + i);
  }

  void setCost() {
    double bytes = 0;
    auto count = [&](Value value, const Operand &operand) {
      bytes += operand.element.getIntOrFloatBitWidth() / 8.0 * (isRow(value) ? double(shapeOf(value)[0]) : 1);
    };
    for (auto [argument, operand] : llvm::zip(step.inputArgs(), inputs))
      count(argument, operand);
    for (auto [output, operand] : llvm::zip(step.yield().getOutputs(), outputs))
      count(output, operand);
    double shared = bytes * double(launch.timeBlock) / kBytesPerNanosecond;
    launch.cost = {launch.timeBlock, std::max(kLeastBlock, shared), shared, kLaunch};
  }

  /// Blocks beside each other have the heads of one batch row and time.
  void openBlock() {
    Value thread = threadNumber(b, loc), number = blockNumber(b, loc);
    Value heads = launch.perHead ? arguments->size(3) : index(1);
    Value head = arith::RemUIOp::create(b, loc, number, heads), rest = arith::DivUIOp::create(b, loc, number, heads);
    Value batch = launch.perBatch ? arguments->size(0) : index(1);
    Value row = arith::RemUIOp::create(b, loc, rest, batch), block = arith::DivUIOp::create(b, loc, rest, batch);
    Value group = arith::DivUIOp::create(b, loc, head, arguments->size(4));
    lane = arith::RemUIOp::create(b, loc, thread, index(lanes));
    first = add(mul(block, index(launch.timeBlock)), arith::DivUIOp::create(b, loc, thread, index(lanes)));
    steps = arguments->size(1);
    for (auto *list : {&inputs, &params, &outputs})
      for (Operand &operand : *list) {
        operand.base = index(0);
        if (operand.perBatch)
          operand.base = mul(row, operand.strides[0]);
        if (operand.perHead || operand.perGroup)
          operand.base = add(operand.base, mul(operand.perGroup ? group : head, operand.strides[3]));
      }
  }

  Value pointer(int64_t position, Type element, Value at) {
    Value base = arguments->function().getArgument(position * 6);
    Value wide = arith::IndexCastOp::create(b, loc, b.getI64Type(), at);
    return LLVM::GEPOp::create(b, loc, base.getType(), element, base, ArrayRef<LLVM::GEPArg>{wide});
  }

  /// Where the lane's part of a row begins, or a number.
  Value placeOf(Value value, const Operand &operand, Value time) {
    Value at = operand.base;
    if (time)
      at = add(at, mul(time, operand.strides[1]));
    return isRow(value) ? add(at, mul(lane, index(partOf(value)))) : at;
  }

  void loadParam(Value argument, const Operand &operand, int64_t position) {
    int64_t bytes = operand.element.getIntOrFloatBitWidth() / 8;
    Value from = pointer(position, operand.element, placeOf(argument, operand, {}));
    for (int64_t i = 0; i < (isRow(argument) ? partOf(argument) : 1); ++i) {
      Value at = LLVM::GEPOp::create(b, loc, from.getType(), operand.element, from,
                                     ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(i)});
      Value element = LLVM::LoadOp::create(b, loc, operand.element, at, bytes);
      known[{argument.getAsOpaquePointer(), isRow(argument) ? i : -1}] = {ops.widen(element), {}};
    }
  }

  /// An input's row, or number, as it lies in memory.
  Value loadInput(Value argument, const Operand &operand, int64_t position, Value time) {
    int64_t bytes = operand.element.getIntOrFloatBitWidth() / 8;
    Value from = pointer(position, operand.element, placeOf(argument, operand, time));
    if (!isRow(argument))
      return LLVM::LoadOp::create(b, loc, operand.element, from, bytes);
    return LLVM::LoadOp::create(b, loc, VectorType::get(partOf(argument), operand.element), from,
                                alignmentOf(argument, operand));
  }

  Value wanted(int64_t number) { return add(first, index(number * rowsAtOnce())); }
  /// Rows behind the end are the last one again, and are not stored: all lanes take part in every exchange.
  Value timeOf(int64_t number) {
    return arith::MinUIOp::create(b, loc, wanted(number), arith::SubIOp::create(b, loc, steps, index(1)));
  }

  SmallVector<Value> loadRow(int64_t number) {
    SmallVector<Value> loaded;
    for (auto [argument, operand] : llvm::zip(step.inputArgs(), inputs))
      loaded.push_back(loadInput(argument, operand, positionOf(argument), timeOf(number)));
    return loaded;
  }

  void emitRow(int64_t number, ArrayRef<Value> loaded) {
    for (auto [argument, value] : llvm::zip(step.inputArgs(), loaded)) {
      void *key = Value(argument).getAsOpaquePointer();
      if (!isRow(argument))
        known[{key, -1}] = {ops.widen(value), {}};
      for (int64_t i = 0; isRow(argument) && i < partOf(argument); ++i)
        known[{key, i}] = {ops.widen(LLVM::ExtractElementOp::create(b, loc, value, l.i32(i))), {}};
    }
    SmallVector<Value> made;
    for (auto [output, operand] : llvm::zip(step.yield().getOutputs(), outputs))
      made.push_back(makeOutput(output, operand));
    Value exists = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, wanted(number), steps);
    auto guarded = scf::IfOp::create(b, loc, exists, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(guarded.thenBlock());
    for (auto [i, output, operand] : llvm::enumerate(step.yield().getOutputs(), outputs)) {
      Value to = pointer(inputs.size() + params.size() + i, operand.element, placeOf(output, operand, timeOf(number)));
      storeOutput(output, operand, to, made[i]);
    }
  }

  Value makeOutput(Value output, const Operand &operand) {
    if (!isRow(output))
      return ops.narrow(evaluate(output, -1).re, operand.element);
    Value row = LLVM::PoisonOp::create(b, loc, VectorType::get(partOf(output), operand.element));
    for (int64_t i = 0; i < partOf(output); ++i)
      row = LLVM::InsertElementOp::create(b, loc, row, ops.narrow(evaluate(output, i).re, operand.element), l.i32(i));
    return row;
  }

  void storeOutput(Value output, const Operand &operand, Value to, Value made) {
    if (isRow(output)) {
      LLVM::StoreOp::create(b, loc, made, to, alignmentOf(output, operand));
      return;
    }
    Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, lane, index(0));
    auto one = scf::IfOp::create(b, loc, isFirst, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(one.thenBlock());
    LLVM::StoreOp::create(b, loc, made, to, operand.element.getIntOrFloatBitWidth() / 8);
  }

  Element evaluate(Value value, int64_t which) {
    Key key{value.getAsOpaquePointer(), which};
    if (auto found = known.find(key); found != known.end())
      return found->second;
    Operation *op = value.getDefiningOp();
    Indices at;
    if (which >= 0)
      at.push_back({0, which});
    Element result;
    if (SmallVector<int64_t> extents = cpu::reductionExtents(op); !extents.empty()) {
      result = addUp(op, at, extents.front() / lanes);
    } else {
      SmallVector<Element> operands;
      for (unsigned i = 0; i < op->getNumOperands(); ++i)
        operands.push_back(operandOf(op, i, at, {}));
      result = ops.compute(op, operands);
    }
    return known[key] = result;
  }

  Element operandOf(Operation *op, unsigned number, ArrayRef<Index> at, ArrayRef<Index> reduced) {
    Indices there = cpu::operandIndices(op, number, at, reduced);
    return evaluate(op->getOperand(number), there.empty() ? -1 : there.front().offset);
  }

  /// The lane's part first, then from lane to lane.
  Element addUp(Operation *op, ArrayRef<Index> at, int64_t terms) {
    auto reduce = dyn_cast<recur::ReduceOp>(op);
    recur::Reduction kind = reduce ? reduce.getKind() : recur::Reduction::Sum;
    Element sum = ops.identity(kind, false);
    for (int64_t term = 0; term < terms; ++term) {
      Element product = operandOf(op, 0, at, {{0, term}});
      for (unsigned i = 1; i + 1 < op->getNumOperands(); ++i)
        product = ops.mul(product, operandOf(op, i, at, {{0, term}}));
      if (op->getNumOperands() > 1)
        sum = ops.multiplyAdd(product, operandOf(op, op->getNumOperands() - 1, at, {{0, term}}), sum);
      else
        sum = ops.combine(kind, sum, product);
    }
    for (int64_t by = lanes / 2; by > 0; by /= 2)
      sum = ops.combine(kind, sum, {l.exchange(sum.re, by), {}});
    return sum;
  }

  recur::ScanInterface scan;
  const Program &program;
  const ScanTensors &tensors;
  recur::Step step;
  int64_t lanes;
  Lanes l;
  cpu::ElementOps ops;
  Launch launch;
  Value lane, first, steps; // index
  std::map<Key, Element> known;
};

} // namespace

std::optional<Launch> rondo::cuda::emitRowKernel(recur::ScanInterface scan, const Program &program,
                                                 const ScanTensors &tensors, ModuleOp module, StringRef symbol) {
  int64_t lanes = Reader(scan).lanes();
  if (!lanes)
    return std::nullopt;
  return RowKernel(scan, program, tensors, lanes).emit(module, symbol);
}
