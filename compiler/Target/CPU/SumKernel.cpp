// See SumKernel.h.
#include "compiler/Target/CPU/SumKernel.h"
#include "compiler/Target/CPU/CallFrame.h"
#include "compiler/Target/CPU/ElementOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

namespace {

/// The implicit axes, in the order in which a kernel's call gives their strides; heads and groups share one.
constexpr Axis kAxes[] = {Axis::Batch, Axis::Time, Axis::Time1, Axis::Head, Axis::Lag};
constexpr int kHead = 3, kLag = 4;

class SumEmitter {
public:
  SumEmitter(ModuleOp module, recur::SumToOp sum, const Program &program, int64_t vectorBits)
      : program(program), vectorBits(vectorBits), b(sum.getContext()), loc(sum.getLoc()), flip(sum.getFlipLag()) {
    b.setInsertionPointToEnd(module.getBody());
  }

  Launch emit(StringRef symbol, ArrayRef<int> from, int to) {
    Type pointer = LLVM::LLVMPointerType::get(b.getContext()), i64 = b.getI64Type();
    auto kernel = func::FuncOp::create(b, loc, symbol, b.getFunctionType({pointer, i64, i64, pointer}, {}));
    b.setInsertionPointToStart(kernel.addEntryBlock());
    frame.emplace(b, loc, kernel.getArgument(0));
    launch.symbol = symbol.str();
    for (int tensor : from)
      operands.push_back(open(tensor));
    result = open(to);
    for (Operand &operand : operands)
      operand.has[0] &= operand.perSequence || !launch.packed; // packed sequences are one row of the batch
    result.has[0] &= result.perSequence || !launch.packed;
    accumulator = Float32Type::get(b.getContext());
    for (const Operand &operand : operands)
      if (operand.element.isF64())
        accumulator = operand.element;
    if (result.element.isF64())
      accumulator = result.element;
    launch.perBatch = result.has[0];
    launch.perHead = program.tensors[to].axes.size() && hasAxis(to, Axis::Head);
    emitTasks(kernel);
    func::ReturnOp::create(b, loc);
    return launch;
  }

private:
  struct Operand {
    Value memref, strides[5];
    bool has[5] = {}; // of kAxes
    bool isGroup = false, isComplex = false, perSequence = false;
    int64_t lags = 1, features = 1; // features in reals
    int64_t rows = 1;               // of the batch that share an entry
    Type element;
  };

  bool hasAxis(int tensor, Axis axis) const {
    return llvm::any_of(program.tensors[tensor].axes, [&](const AxisSpec &spec) { return spec.axis == axis; });
  }

  Operand open(int tensor) {
    const TensorSpec &spec = program.tensors[tensor];
    int number = launch.operands.size();
    launch.operands.push_back(tensor);
    Operand operand;
    operand.element = partType(spec.type, b.getContext());
    operand.isComplex = isComplex(spec.type);
    operand.features = operand.isComplex ? 2 : 1;
    for (const AxisSpec &axis : spec.axes) {
      launch.packed |= operand.perSequence |= axis.axis == Axis::Sequence;
      Axis kind = axis.axis == Axis::Sequence ? Axis::Batch : axis.axis == Axis::Group ? Axis::Head : axis.axis;
      operand.isGroup |= axis.axis == Axis::Group;
      if (kind == Axis::Named)
        operand.features *= axis.size;
      if (kind == Axis::Lag)
        operand.lags = axis.size;
      if (kind == Axis::Batch)
        operand.rows = axis.steps;
      for (int i = 0; i < 5; ++i)
        operand.has[i] |= kAxes[i] == kind;
    }
    operand.memref = frame->memrefAt(frame->pointer(number), operand.element);
    for (int axis = 0; axis < 5; ++axis) {
      operand.strides[axis] = frame->stride(number, axis);
      if (operand.isComplex)
        operand.strides[axis] = mul(operand.strides[axis], index(2));
    }
    return operand;
  }

  Value index(int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulIOp::create(b, loc, x, y); }

  /// How many indices an axis has: of heads, or of groups of them.
  Value extent(int axis, bool isGroup) {
    if (axis == 0)
      return frame->batch();
    if (axis == kHead)
      return isGroup ? Value(arith::DivUIOp::create(b, loc, frame->heads(), frame->headsPerGroup())) : frame->heads();
    return frame->steps(axis - 1);
  }

  /// A loop without results around what `body` emits.
  void loop(Value count, function_ref<void(Value)> body) {
    auto loop = scf::ForOp::create(b, loc, index(0), count, index(1));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    body(loop.getInductionVar());
  }

  void emitTasks(func::FuncOp kernel) {
    auto toIndex = [&](Value value) { return arith::IndexCastOp::create(b, loc, b.getIndexType(), value).getResult(); };
    auto tasks = scf::ForOp::create(b, loc, toIndex(kernel.getArgument(1)), toIndex(kernel.getArgument(2)), index(1));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(tasks.getBody());
    Value task = tasks.getInductionVar(), at[5] = {index(0), index(0), index(0), index(0), index(0)};
    if (launch.perHead) {
      at[kHead] = arith::RemUIOp::create(b, loc, task, frame->heads());
      task = arith::DivUIOp::create(b, loc, task, frame->heads());
    }
    at[0] = task;
    emitAxes(1, at);
  }

  /// Loops over the result's axes from `axis` on, with `at` the indices so far.
  void emitAxes(int axis, Value (&at)[5]) {
    if (axis == kLag) {
      for (int64_t lag = 0; lag < result.lags; ++lag) {
        at[kLag] = index(lag);
        emitElements(at, lag);
      }
      return;
    }
    bool loops = result.has[axis] && !(axis == kHead && launch.perHead);
    if (!loops)
      return emitAxes(axis + 1, at);
    loop(extent(axis, axis == kHead && result.isGroup), [&](Value i) {
      Value inside[5];
      std::copy(std::begin(at), std::end(at), inside);
      inside[axis] = i;
      emitAxes(axis + 1, inside);
    });
  }

  void emitElements(Value (&at)[5], int64_t lag) {
    int64_t width = std::max<int64_t>(1, vectorBits / accumulator.getIntOrFloatBitWidth());
    int64_t even = result.features / width * width;
    auto range = [&](int64_t first, int64_t last, int64_t step) {
      if (first == last)
        return;
      auto loop = scf::ForOp::create(b, loc, index(first), index(last), index(step));
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      emitElement(at, lag, loop.getInductionVar(), step);
    };
    range(0, even, width);
    range(even, result.features, 1);
  }

  /// One vector of the result.
  void emitElement(Value (&at)[5], int64_t lag, Value feature, int64_t width) {
    auto type = VectorType::get(width, accumulator);
    Value total = arith::ConstantOp::create(
        b, loc, cast<TypedAttr>(Attribute(DenseElementsAttr::get(type, b.getFloatAttr(accumulator, 0).getValue()))));
    for (const Operand &operand : operands) {
      int64_t slice = flip ? std::max(result.lags, operand.lags) - 1 - lag : lag;
      if (slice >= operand.lags)
        continue;
      Value base = add(feature, mul(index(slice), operand.strides[kLag]));
      total = sumOver(operand, 0, base, at, total);
    }
    total = ElementOps(b, loc, accumulator).narrow(total, result.element);
    Value place = feature;
    for (int axis = 0; axis < 5; ++axis)
      place = add(place, mul(at[axis], result.strides[axis]));
    vector::StoreOp::create(b, loc, total, result.memref, ValueRange{place});
  }

  /// Adds the operand's elements at the result's indices `at`, over the axes from `axis` on that the result lacks.
  Value sumOver(const Operand &operand, int axis, Value base, Value (&at)[5], Value total) {
    if (axis == kLag) {
      auto type = VectorType::get(cast<VectorType>(total.getType()).getShape(), operand.element);
      Value loaded = vector::LoadOp::create(b, loc, type, operand.memref, ValueRange{base});
      return arith::AddFOp::create(b, loc, total, ElementOps(b, loc, accumulator).widen(loaded));
    }
    auto moved = [&](Value i) { return add(base, mul(i, operand.strides[axis])); };
    if (!operand.has[axis])
      return sumOver(operand, axis + 1, base, at, total);
    Value first = index(0), count;
    if (axis == kHead && result.has[kHead]) {
      if (operand.isGroup == result.isGroup)
        return sumOver(operand, axis + 1, moved(at[axis]), at, total);
      if (operand.isGroup) // the group of a head
        return sumOver(operand, axis + 1, moved(arith::DivUIOp::create(b, loc, at[axis], frame->headsPerGroup())), at,
                       total);
      count = frame->headsPerGroup(); // the heads of a group
      first = mul(at[axis], count);
    } else if (result.has[axis]) {
      return sumOver(operand, axis + 1, moved(at[axis]), at, total);
    } else {
      count = extent(axis, operand.isGroup);
      if (axis == 0 && operand.rows > 1)
        count = arith::CeilDivUIOp::create(b, loc, count, index(operand.rows));
    }
    auto loop = scf::ForOp::create(b, loc, index(0), count, index(1), ValueRange{total});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value more = sumOver(operand, axis + 1, moved(add(first, loop.getInductionVar())), at, loop.getRegionIterArg(0));
    scf::YieldOp::create(b, loc, more);
    return loop.getResult(0);
  }

  const Program &program;
  int64_t vectorBits;
  OpBuilder b;
  Location loc;
  bool flip;
  std::optional<CallFrame> frame;
  Launch launch;
  SmallVector<Operand> operands;
  Operand result;
  Type accumulator;
};

} // namespace

Launch rondo::cpu::emitSum(ModuleOp module, StringRef symbol, recur::SumToOp sum, const Program &program,
                           ArrayRef<int> operands, int result, int64_t vectorBits) {
  return SumEmitter(module, sum, program, vectorBits).emit(symbol, operands, result);
}
