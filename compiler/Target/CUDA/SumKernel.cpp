// See SumKernel.h.
#include "compiler/Target/CUDA/SumKernel.h"
#include "compiler/Target/CPU/ElementOps.h"
#include "compiler/Target/CUDA/KernelArguments.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

namespace {

/// The implicit axes, in the order in which a kernel's arguments give their strides; heads and groups share one.
enum { kBatch, kTime, kTime1, kHead, kLag, kAxes };

/// Threads of a block, and of those, where axes are summed over, the least that share an element: every eighth summand each. Sums over
/// time are long, and have as many as there are threads for the features, but leave a warp whole sectors of memory.
constexpr int64_t kThreads = 256, kThreadsOverTime = 512, kSharers = 8, kSharersOverTime = 64;
/// Heads are few. Where a warp has features to read beside each other, a thread adds them up alone, for so many elements.
constexpr int64_t kAloneFeatures = 32, kElementsAlone = 4;
/// Summands that a thread asks for at once: it waits for memory and does little else.
constexpr int64_t kAtOnce = 8;
/// Steps of one block, where the result has a time axis.
constexpr int64_t kSteps = 16;
/// Elements of one task are shared out to as many blocks as give each thread one, up to this many.
constexpr int64_t kMostSplits = 4096;

class SumEmitter {
public:
  SumEmitter(ModuleOp module, recur::SumToOp sum, const Program &program, StringRef symbol, ArrayRef<int> from, int to)
      : program(program), b(sum.getContext()), loc(sum.getLoc()), flip(sum.getFlipLag()) {
    launch.symbol = symbol.str();
    launch.operands.assign(from.begin(), from.end());
    launch.operands.push_back(to);
    SmallVector<int> tensors(launch.operands.begin(), launch.operands.end());
    arguments.emplace(b, loc, module, symbol, program, tensors, ArrayRef<int>(to));
    for (size_t i = 0; i < tensors.size(); ++i)
      operands.push_back(open(i));
    for (Summand &operand : operands)
      operand.has[kBatch] &= operand.perSequence || !launch.packed; // packed sequences are one row of the batch
    result = operands.pop_back_val();
    real = Float32Type::get(b.getContext());
    for (const Summand &operand : operands)
      if (operand.element.isF64())
        real = operand.element;
    if (result.element.isF64())
      real = result.element;
  }

  Launch emit() {
    bool sums = llvm::any_of(operands, [&](const Summand &operand) { return isSummed(operand); });
    bool overTime = sumsOver(kTime) || sumsOver(kTime1);
    bool alone = sums && !overTime && !sumsOver(kBatch) && result.features >= kAloneFeatures;
    threads = overTime ? kThreadsOverTime : kThreads;
    sharers = !sums || alone ? 1
              : !overTime
                  ? kSharers
                  : std::clamp<int64_t>(threads / llvm::bit_ceil<uint64_t>(result.features), kSharersOverTime, threads);
    launch.threads = threads;
    launch.perBatch = result.has[kBatch];
    launch.perHead = result.has[kHead] && !result.isGroup;
    launch.timeBlock = result.has[kTime] ? kSteps : 0;
    launch.sharedBytes = sharers > 1 ? threads * real.getIntOrFloatBitWidth() / 8 : 0;
    int64_t each = result.lags * result.features * (result.has[kTime] ? kSteps : 1);
    int64_t perBlock = threads / sharers * (alone ? kElementsAlone : 1);
    launch.splits = std::clamp<int64_t>(llvm::divideCeil(each, perBlock), 1, kMostSplits);
    emitTask();
    func::ReturnOp::create(b, loc);
    return launch;
  }

private:
  struct Summed {
    Value extent, stride;
  };
  struct Summand {
    Value memref, strides[kAxes];
    bool has[kAxes] = {}, isGroup = false, perSequence = false;
    int64_t lags = 1, features = 1; // features in reals
    Type element;
  };

  Summand open(int number) {
    const TensorSpec &spec = program.tensors[launch.operands[number]];
    Operand raw = arguments->open(number, Type());
    Summand operand;
    operand.memref = raw.memref;
    operand.element = raw.element;
    std::copy(std::begin(raw.strides), std::end(raw.strides), operand.strides);
    operand.features = llvm::product_of(raw.shape) * (raw.isComplex ? 2 : 1);
    for (const AxisSpec &axis : spec.axes) {
      launch.packed |= operand.perSequence |= axis.axis == Axis::Sequence;
      operand.isGroup |= axis.axis == Axis::Group;
      if (axis.axis == Axis::Lag)
        operand.lags = axis.size;
      int slot = axis.axis == Axis::Batch || axis.axis == Axis::Sequence ? kBatch
                 : axis.axis == Axis::Time                               ? kTime
                 : axis.axis == Axis::Time1                              ? kTime1
                 : axis.axis == Axis::Head || axis.axis == Axis::Group   ? kHead
                 : axis.axis == Axis::Lag                                ? kLag
                                                                         : -1;
      if (slot >= 0)
        operand.has[slot] = true;
    }
    return operand;
  }

  Value index(int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulIOp::create(b, loc, x, y); }
  /// The rest of `number` by `count`; the quotient takes its place.
  Value take(Value &number, Value count) {
    Value rest = arith::RemUIOp::create(b, loc, number, count);
    number = arith::DivUIOp::create(b, loc, number, count);
    return rest;
  }

  /// How many indices an axis has: of heads, or of groups of them.
  Value extent(int axis, bool isGroup) {
    if (axis == kHead && isGroup)
      return arith::DivUIOp::create(b, loc, arguments->size(3), arguments->size(4));
    return arguments->size(axis);
  }

  /// Heads of a group are summed over where the result has groups alone.
  bool sumsGroup(const Summand &operand) const {
    return operand.has[kHead] && result.has[kHead] && result.isGroup && !operand.isGroup;
  }
  bool sumsOver(int axis) const {
    return !result.has[axis] && llvm::any_of(operands, [&](const Summand &operand) { return operand.has[axis]; });
  }
  bool isSummed(const Summand &operand) const {
    bool any = sumsGroup(operand);
    for (int axis = 0; axis < kLag; ++axis)
      any |= operand.has[axis] && !result.has[axis];
    return any;
  }

  void emitTask() {
    Value task = blockNumber(b, loc), thread = threadNumber(b, loc);
    Value at[kAxes] = {index(0), index(0), index(0), index(0), index(0)};
    Value part = launch.splits > 1 ? take(task, index(launch.splits)) : index(0);
    if (launch.perHead)
      at[kHead] = take(task, arguments->size(3));
    Value begin = index(0), steps = index(1);
    if (launch.timeBlock) {
      Value time = arguments->size(1);
      begin = mul(take(task, arith::CeilDivUIOp::create(b, loc, time, index(kSteps))), index(kSteps));
      steps = arith::MinUIOp::create(b, loc, index(kSteps), arith::SubIOp::create(b, loc, time, begin));
    }
    at[kBatch] = task;
    // The task's elements: steps, the second axis, groups, slices, features.
    Value total = mul(steps, index(result.lags * result.features));
    Value columns = result.has[kTime1] ? arguments->size(2) : index(1);
    Value groups = result.has[kHead] && result.isGroup ? extent(kHead, true) : index(1);
    total = mul(mul(total, columns), groups);
    int64_t width = threads / sharers;
    Value mine = arith::RemUIOp::create(b, loc, thread, index(width));
    Value sharer = arith::DivUIOp::create(b, loc, thread, index(width));
    auto loop = scf::ForOp::create(b, loc, mul(part, index(width)), total, index(width * launch.splits));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value number = add(loop.getInductionVar(), mine);
    Value exists = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, number, total);
    number = arith::MinUIOp::create(b, loc, number, arith::SubIOp::create(b, loc, total, index(1)));
    Value feature = take(number, index(result.features));
    at[kLag] = take(number, index(result.lags));
    if (result.has[kHead] && result.isGroup)
      at[kHead] = take(number, groups);
    if (result.has[kTime1])
      at[kTime1] = take(number, columns);
    at[kTime] = add(begin, number);
    emitElement(at, feature, sharer, exists);
  }

  void emitElement(Value (&at)[kAxes], Value feature, Value sharer, Value exists) {
    cpu::ElementOps ops(b, loc, real, /*nativeBF16=*/true);
    Value total = ops.constant(0, false).re;
    for (const Summand &operand : operands)
      total = addOperand(operand, at, feature, sharer, total);
    if (sharers > 1)
      total = combine(total);
    Value stores = exists;
    if (sharers > 1)
      stores = arith::AndIOp::create(b, loc, stores,
                                     arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, sharer, index(0)));
    auto guarded = scf::IfOp::create(b, loc, stores, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(guarded.thenBlock());
    Value place = feature;
    for (int axis = 0; axis < kAxes; ++axis)
      if (result.has[axis])
        place = add(place, mul(at[axis], result.strides[axis]));
    memref::StoreOp::create(b, loc, ops.narrow(total, result.element), result.memref, place);
  }

  /// `total` and what the operand adds to the result at `at`: this sharer's part of it.
  Value addOperand(const Summand &operand, Value (&at)[kAxes], Value feature, Value sharer, Value total) {
    Value base = feature, exists;
    SmallVector<Summed> summed;
    auto sumOver = [&](Value extent, int axis) { summed.push_back({extent, operand.strides[axis]}); };
    for (int axis = 0; axis < kLag; ++axis) {
      if (!operand.has[axis])
        continue;
      Value where = at[axis];
      if (!result.has[axis]) {
        sumOver(extent(axis, operand.isGroup), axis);
        continue;
      }
      if (axis == kHead && operand.isGroup && !result.isGroup)
        where = arith::DivUIOp::create(b, loc, where, arguments->size(4));
      if (axis == kHead && sumsGroup(operand)) {
        where = mul(where, arguments->size(4));
        sumOver(arguments->size(4), axis);
      }
      base = add(base, mul(where, operand.strides[axis]));
    }
    if (flip || operand.has[kLag]) {
      Value slice =
          flip ? arith::SubIOp::create(b, loc, index(std::max(result.lags, operand.lags) - 1), at[kLag]).getResult()
               : at[kLag];
      if (operand.lags < result.lags) {
        exists = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, slice, index(operand.lags));
        slice = arith::MinUIOp::create(b, loc, slice, index(operand.lags - 1));
      }
      if (operand.has[kLag])
        base = add(base, mul(slice, operand.strides[kLag]));
    }
    if (summed.size() < 2)
      return addAxis(operand, summed.empty() ? Summed{index(1), index(0)} : summed.front(), base, exists, sharer,
                     total);
    // Sharers have the longest axis, one step of the others after another: no summand has to be found by divisions.
    Value rounds = index(1);
    for (Summed &other : MutableArrayRef(summed).drop_back()) {
      Value longer = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ugt, other.extent, summed.back().extent);
      auto swap = [&](Value &x, Value &y) {
        Value most = arith::SelectOp::create(b, loc, longer, x, y);
        x = arith::SelectOp::create(b, loc, longer, y, x);
        y = most;
      };
      swap(other.extent, summed.back().extent);
      swap(other.stride, summed.back().stride);
      rounds = mul(rounds, other.extent);
    }
    auto loop = scf::ForOp::create(b, loc, index(0), rounds, index(1), ValueRange{total});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value round = loop.getInductionVar();
    ArrayRef<Summed> others = ArrayRef(summed).drop_back();
    for (const Summed &other : others)
      base = add(base, mul(&other == &others.back() ? round : take(round, other.extent), other.stride));
    Value sum = addAxis(operand, summed.back(), base, exists, sharer, loop.getRegionIterArg(0));
    scf::YieldOp::create(b, loc, sum);
    return loop.getResult(0);
  }

  /// `total` and this sharer's part of the summands along an axis, or of the one where there is no axis, which a sharer alone takes.
  Value addAxis(const Summand &operand, const Summed &axis, Value base, Value exists, Value sharer, Value total) {
    const int64_t atOnce = matchPattern(axis.extent, m_One()) ? 1 : kAtOnce;
    auto loop = scf::ForOp::create(b, loc, sharer, axis.extent, index(sharers * atOnce), ValueRange{total});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    cpu::ElementOps ops(b, loc, real, /*nativeBF16=*/true);
    Value sum = loop.getRegionIterArg(0);
    for (int64_t i = 0; i < atOnce; ++i) {
      Value number = loop.getInductionVar(), counts = exists;
      if (i) { // behind the last summand there is the last one again, which does not count
        number = add(number, index(i * sharers));
        counts = both(counts, arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, number, axis.extent));
        number = arith::MinUIOp::create(b, loc, number, arith::SubIOp::create(b, loc, axis.extent, index(1)));
      }
      Value place = add(base, mul(number, axis.stride));
      Value loaded = ops.widen(memref::LoadOp::create(b, loc, operand.memref, place));
      if (counts)
        loaded = arith::SelectOp::create(b, loc, counts, loaded, ops.constant(0, false).re);
      sum = arith::AddFOp::create(b, loc, sum, loaded);
    }
    scf::YieldOp::create(b, loc, sum);
    return loop.getResult(0);
  }

  /// `x` and `y`, where there is an x.
  Value both(Value x, Value y) { return x ? arith::AndIOp::create(b, loc, x, y).getResult() : y; }

  /// The sum of all sharers' parts, in the order of the sharers.
  Value combine(Value mine) {
    Value shared = arguments->shared(real), thread = threadNumber(b, loc);
    Value first = arith::RemUIOp::create(b, loc, thread, index(threads / sharers));
    barrier(b, loc);
    memref::StoreOp::create(b, loc, mine, shared, thread);
    barrier(b, loc);
    Value total;
    for (int64_t i = 0; i < sharers; ++i) {
      Value part = memref::LoadOp::create(b, loc, shared, add(first, index(i * (threads / sharers))));
      total = total ? arith::AddFOp::create(b, loc, total, part).getResult() : part;
    }
    return total;
  }

  const Program &program;
  OpBuilder b;
  Location loc;
  bool flip;
  Launch launch;
  std::optional<KernelArguments> arguments;
  SmallVector<Summand> operands;
  Summand result;
  Type real;
  int64_t threads = kThreads, sharers = 1;
};

} // namespace

Launch rondo::cuda::emitSum(ModuleOp module, StringRef symbol, recur::SumToOp sum, const Program &program,
                            ArrayRef<int> operands, int result) {
  return SumEmitter(module, sum, program, symbol, operands, result).emit();
}
