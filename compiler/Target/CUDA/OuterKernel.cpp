// See OuterKernel.h. Matrices; vectors are in OuterVectors.cpp.
#include "compiler/Target/CUDA/OuterKernel.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

static constexpr int64_t kStages = 3, kStageBytes = 2 * BlockProduct::sideBytes, kSide = BlockProduct::side;
/// Blocks that fill a GPU, two on each multiprocessor, so often that the last ones matter little; the most parts of a cluster that every GPU takes.
static constexpr int64_t kBlocks = 1200, kMostParts = 8;

OuterKernel::OuterKernel(recur::ScanInterface scan, const Program &program, ScanTensors tensors, OuterPlan plan,
                         bool clusters)
    : KernelBuilder(scan.getLoc()), scan(scan), program(program), tensors(std::move(tensors)), plan(std::move(plan)),
      clusters(clusters), step(scan, &scan->getRegion(0).front()), l(b, loc, this->plan.element),
      ops(b, loc, b.getF32Type(), /*nativeBF16=*/true) {}

/// An input that lies in memory as the products take it.
bool OuterKernel::isPlain(Value value) const {
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument || !llvm::is_contained(step.inputArgs(), argument))
    return false;
  recur::ScanInterface of = scan;
  Value tensor = of.getInputs()[llvm::find(step.inputArgs(), argument) - step.inputArgs().begin()];
  return cast<RankedTensorType>(tensor.getType()).getElementType() == plan.element;
}

void OuterKernel::groupStates() {
  auto isSimple = [&](const OuterState &state) {
    return state.terms.size() == 1 && isPlain(state.terms[0].rows) && isPlain(state.terms[0].columns);
  };
  int64_t blocks = 0;
  for (const OuterState &state : plan.matrices) {
    Group *like = nullptr;
    for (Group &each : groups)
      if (isSimple(state) && isSimple(*each.states.front()) && each.states.front()->rows == state.rows &&
          each.states.front()->columns == state.columns)
        like = &each;
    (like ? *like : groups.emplace_back()).states.push_back(&state);
  }
  for (const Group &each : groups)
    blocks += each.blocks();
  while (clusters && parts < kMostParts && blocks * parts * 2 <= kBlocks)
    parts *= 2;
}

/// Blocks of a state of one axis.
static int64_t vectorBlocks(Value state) {
  auto type = cast<RankedTensorType>(state.getType());
  return type.getRank() ? llvm::divideCeil(type.getDimSize(0), 32) : 1;
}

Launch OuterKernel::emit(ModuleOp module, StringRef symbol) {
  groupStates();
  launch.symbol = symbol.str();
  launch.threads = BlockProduct::threads;
  launch.sharedBytes = kStages * kStageBytes;
  launch.perBatch = false;
  launch.splits = 0;
  for (const Group &each : groups)
    launch.splits += each.blocks() * parts;
  for (unsigned state : plan.vectors)
    launch.splits += vectorBlocks(step.yield().getStates()[state]) * parts;
  launch.cluster = parts > 1 ? parts : 0;
  open(b, loc, module, symbol, program, tensors, launch, {});
  launch.perHead = finals.front().perHead;
  openBlock();
  emitBlocks();
  func::ReturnOp::create(b, loc);
  // Rows that no copy in the background takes need more registers.
  if (llvm::all_of(plan.matrices, [&](const OuterState &state) {
        return state.rows % 8 == 0 && state.columns % 8 == 0 && llvm::all_of(state.terms, [&](const OuterTerm &term) {
                 return isPlain(term.rows) && isPlain(term.columns);
               });
      }))
    BlockProduct::placeTwo(b, arguments->function());
  return launch;
}

void OuterKernel::openBlock() {
  thread = NVVM::ThreadIdXOp::create(b, loc, b.getI32Type());
  l.setShared(arguments->sharedPointer());
  batch = arguments->size(0);
  steps = arguments->size(1);
  heads = launch.perHead ? index(1) : arguments->size(3);
}

/// A part, a tile, and a head where states have heads, in this order from the fastest. Vectors come first: theirs are few, and slow.
void OuterKernel::emitBlocks() {
  Value block = NVVM::BlockIdXOp::create(b, loc, b.getI32Type());
  part = l.rem(block, parts);
  Value number = l.div(block, parts);
  ownHead = toIndex(l.div(number, launch.splits / parts));
  number = l.rem(number, launch.splits / parts);
  int64_t before = 0;
  auto take = [&](int64_t count, function_ref<void(Value)> body) {
    Value mine = l.both(l.less(l.i32(before - 1), number), l.less(number, l.i32(before + count)));
    ifTrue(mine, [&] { body(l.sub(number, l.i32(before))); });
    before += count;
  };
  for (unsigned state : plan.vectors)
    take(vectorBlocks(step.yield().getStates()[state]), [&](Value at) { emitVector(state, at); });
  for (const Group &each : groups)
    take(each.blocks(), [&](Value at) { emitGroup(each, at); });
}

OuterKernel::Share OuterKernel::shareOf(int64_t each) {
  Value ofRow = arith::CeilDivUIOp::create(b, loc, steps, index(each));
  Value all = mul(mul(batch, heads), ofRow);
  auto toI32 = [&](Value value) -> Value { return arith::IndexCastOp::create(b, loc, b.getI32Type(), value); };
  auto bound = [&](Value which) {
    return toI32(arith::DivUIOp::create(b, loc, mul(all, toIndex(which)), index(parts)));
  };
  return {toI32(ofRow), toI32(heads), bound(part), bound(l.add(part, 1))};
}

/// Divisions of 32 bits: there is one for every stage.
OuterKernel::Place OuterKernel::placeOf(const Share &share, Value number, int64_t each) {
  Value rest = l.div(number, share.ofRow), tile = l.sub(number, l.mul(rest, share.ofRow));
  Place place;
  place.head = ownHead;
  place.row = toIndex(rest);
  if (!launch.perHead) {
    Value row = l.div(rest, share.heads);
    place.row = toIndex(row);
    place.head = toIndex(l.sub(rest, l.mul(row, share.heads)));
  }
  place.first = mul(toIndex(tile), index(each));
  Value left = arith::MinUIOp::create(b, loc, arith::SubIOp::create(b, loc, steps, place.first), index(each));
  place.left = arith::IndexCastOp::create(b, loc, b.getI32Type(), left);
  return place;
}

/// One of several inputs, by `which`; they differ in where they lie.
OuterKernel::Side OuterKernel::sideOf(ArrayRef<Value> values, Value which, int64_t columns) {
  Side side;
  side.columns = columns;
  if (!isPlain(values.front())) {
    side.value = values.front();
    return side;
  }
  Value zero = arith::ConstantIntOp::create(b, loc, b.getI64Type(), 0);
  for (auto [i, value] : llvm::enumerate(values)) {
    unsigned number = llvm::find(step.inputArgs(), value) - step.inputArgs().begin();
    const Operand &operand = inputs[number];
    Value two = arith::ConstantIntOp::create(b, loc, b.getI64Type(), 2);
    auto stride = [&](bool has, int axis) -> Value { return has ? mul(toI64(operand.strides[axis]), two) : zero; };
    Value pointer = arguments->function().getArgument(number * 6);
    Value mine[] = {LLVM::PtrToIntOp::create(b, loc, b.getI64Type(), pointer), stride(operand.perBatch, 0),
                    stride(operand.perTime, 1), stride(operand.perHead || operand.perGroup, 3),
                    operand.perGroup ? arguments->size(4) : index(1)};
    Value *into[] = {&side.pointer, &side.batchStride, &side.timeStride, &side.headStride, &side.headsEach};
    Value is = i ? l.equal(which, l.i32(i)) : Value();
    for (auto [to, from] : llvm::zip(into, mine))
      *to = i ? l.select(is, from, *to) : from;
  }
  Value any = side.pointer;
  for (Value stride : {side.batchStride, side.timeStride, side.headStride})
    any = arith::OrIOp::create(b, loc, any, stride);
  Value odd = l.bitAnd(arith::TruncIOp::create(b, loc, b.getI32Type(), any), 15);
  side.aligned = l.equal(odd, l.i32(columns % 8 ? -1 : 0));
  return side;
}

void OuterKernel::stage(const Side &side, const Place &place, Value firstColumn, Value to) {
  BlockProduct product(l, thread);
  if (side.value)
    return product.fill(
        Order::SummedOutside,
        [&](Value row, Value column) {
          Value at = l.add(firstColumn, column);
          Scope scope;
          Value value = evaluate(side.value, scope, place, l.least(row, l.sub(place.left, l.i32(1))),
                                 l.least(at, l.i32(side.columns - 1)));
          return l.select(l.both(l.less(row, place.left), l.less(at, l.i32(side.columns))), value, l.f32(0));
        },
        to);
  Value pointer = side.pointer;
  auto move = [&](Value count, Value stride) { pointer = add(pointer, mul(toI64(count), stride)); };
  move(place.row, side.batchStride);
  move(place.first, side.timeStride);
  move(arith::DivUIOp::create(b, loc, place.head, side.headsEach), side.headStride);
  product.copy(Order::SummedOutside, {pointer, side.timeStride, place.left, side.aligned, firstColumn, side.columns},
               to);
}

SmallVector<Value> OuterKernel::addTerm(const Side &left, const Side &right, Value firstRow, Value firstColumn,
                                        ValueRange sums) {
  Share share = shareOf(BlockProduct::depth);
  Value count = l.sub(share.end, share.begin);
  l.barrier(); // others may still read what a term before this one staged
  auto load = [&](Value number) {
    ifTrue(l.less(number, count), [&] {
      Value slot = l.mul(l.rem(number, kStages), kStageBytes);
      Place place = placeOf(share, l.add(share.begin, number), BlockProduct::depth);
      stage(left, place, firstRow, slot);
      stage(right, place, firstColumn, l.add(slot, BlockProduct::sideBytes));
    });
    l.commitCopies();
  };
  for (int64_t i = 0; i + 1 < kStages; ++i)
    load(l.i32(i));
  auto loop = scf::ForOp::create(b, loc, l.i32(0), count, l.i32(1), sums);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    l.waitCopies(kStages - 2);
    l.barrier();
    Value at = loop.getInductionVar();
    load(l.add(at, kStages - 1));
    Value slot = l.mul(l.rem(at, kStages), kStageBytes);
    BlockProduct product(l, thread);
    scf::YieldOp::create(b, loc,
                         product.multiply(Order::SummedOutside, slot, Order::SummedOutside,
                                          l.add(slot, BlockProduct::sideBytes), loop.getRegionIterArgs()));
  }
  return SmallVector<Value>(loop.getResults());
}

void OuterKernel::emitGroup(const Group &each, Value number) {
  Value which = l.div(number, each.rowBlocks() * each.columnBlocks());
  number = l.rem(number, each.rowBlocks() * each.columnBlocks());
  Value firstRow = l.mul(l.div(number, each.columnBlocks()), kSide);
  Value firstColumn = l.mul(l.rem(number, each.columnBlocks()), kSide);
  SmallVector<Value> sums = BlockProduct(l, thread).zeros();
  const OuterState &first = *each.states.front();
  for (size_t term = 0; term < first.terms.size(); ++term) {
    SmallVector<Value> rows, columns;
    for (const OuterState *state : each.states) {
      rows.push_back(state->terms[term].rows);
      columns.push_back(state->terms[term].columns);
    }
    sums = addTerm(sideOf(rows, which, first.rows), sideOf(columns, which, first.columns), firstRow, firstColumn, sums);
  }
  finish(each, which, firstRow, firstColumn, sums);
}

void OuterKernel::clusterBarrier() {
  LLVM::InlineAsmOp::create(b, loc, TypeRange(), ValueRange(),
                            "barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;", "~{memory}",
                            /*has_side_effects=*/true, /*is_align_stack=*/false, LLVM::TailCallKind::None,
                            LLVM::AsmDialectAttr(), ArrayAttr());
}

/// Two f32 (or one) at `offset` in the shared memory of the cluster's block `rank`.
Value OuterKernel::clusterLoad(Type type, Value offset, int64_t rank) {
  Value mine = l.add(LLVM::PtrToIntOp::create(b, loc, b.getI32Type(), arguments->sharedPointer()), offset);
  bool two = isa<LLVM::LLVMStructType>(type);
  std::string text = "{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, $";
  text += two ? "2, $3;\nld.shared::cluster.v2.f32 {$0, $1}, [there];\n}"
              : "1, $2;\nld.shared::cluster.f32 $0, [there];\n}";
  return LLVM::InlineAsmOp::create(b, loc, type, ValueRange{mine, l.i32(rank)}, text,
                                   two ? "=f,=f,r,r,~{memory}" : "=f,r,r,~{memory}",
                                   /*has_side_effects=*/true, /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                   LLVM::AsmDialectAttr(), ArrayAttr())
      .getResult(0);
}

void OuterKernel::storePair(const Group &each, Value to, Value row, Value column, Value low, Value high) {
  const OuterState &state = *each.states.front();
  Type element = finals[state.state].element;
  ifTrue(l.both(l.less(row, l.i32(state.rows)), l.less(column, l.i32(state.columns))), [&] {
    Value at = toI64(add(mul(toIndex(row), index(state.columns)), toIndex(column)));
    int64_t bytes = element.getIntOrFloatBitWidth() / 8;
    at = l.add(to, mul(at, arith::ConstantIntOp::create(b, loc, b.getI64Type(), bytes)));
    BlockProduct(l, thread).storePair(at, ops.narrow(low, element), ops.narrow(high, element),
                                      l.less(l.add(column, 1), l.i32(state.columns)));
  });
}

/// i64: where the result of the group's state `which` begins.
Value OuterKernel::addressOf(const Group &each, Value which) {
  Value address;
  for (auto [i, state] : llvm::enumerate(each.states)) {
    const Operand &to = finals[state->state];
    size_t number = inputs.size() + params.size() + inits.size() + outputs.size() + state->state;
    Value mine = LLVM::PtrToIntOp::create(b, loc, b.getI64Type(), arguments->function().getArgument(number * 6));
    if (to.perHead) {
      int64_t bytes = to.element.getIntOrFloatBitWidth() / 8;
      mine = l.add(
          mine, mul(toI64(mul(ownHead, to.strides[3])), arith::ConstantIntOp::create(b, loc, b.getI64Type(), bytes)));
    }
    address = address ? l.select(l.equal(which, l.i32(i)), mine, address) : mine;
  }
  return address;
}

void OuterKernel::finish(const Group &each, Value which, Value firstRow, Value firstColumn, ValueRange sums) {
  Value to = addressOf(each, which);
  BlockProduct product(l, thread);
  if (parts == 1)
    return product.forEachPair(sums, [&](Value row, Value column, Value low, Value high) {
      storePair(each, to, l.add(firstRow, row), l.add(firstColumn, column), low, high);
    });
  l.waitCopies(0);
  l.barrier();
  product.forEachPair(sums, [&](Value row, Value column, Value low, Value high) {
    l.storeShared(l.pair(low, high), l.shl(l.add(l.mul(row, kSide), column), 2));
  });
  clusterBarrier();
  Type pair = LLVM::LLVMStructType::getLiteral(b.getContext(), {b.getF32Type(), b.getF32Type()});
  auto loop = scf::ForOp::create(b, loc, thread, l.i32(kSide * kSide / 2 / parts), l.i32(BlockProduct::threads));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value number = l.add(loop.getInductionVar(), l.mul(part, kSide * kSide / 2 / parts));
    Value low, high;
    for (int64_t rank = 0; rank < parts; ++rank) {
      Value two = clusterLoad(pair, l.shl(number, 3), rank);
      Value first = LLVM::ExtractValueOp::create(b, loc, two, 0), second = LLVM::ExtractValueOp::create(b, loc, two, 1);
      low = low ? l.addf(low, first) : first;
      high = high ? l.addf(high, second) : second;
    }
    storePair(each, to, l.add(firstRow, l.div(number, kSide / 2)),
              l.add(firstColumn, l.shl(l.rem(number, kSide / 2), 1)), low, high);
  }
  clusterBarrier(); // the others have read what lies here
}

void rondo::cuda::fuseTotals(func::FuncOp model, llvm::DenseMap<Operation *, OuterPlan> &plans) {
  for (auto scan : model.getOps<recur::ScanInterface>())
    if (std::optional<OuterPlan> plan = planOuter(scan))
      plans.try_emplace(scan.getOperation(), std::move(*plan));
  for (auto &[op, plan] : plans) {
    auto scan = cast<recur::ScanInterface>(op);
    for (auto [final, total] : llvm::zip(scan.finals(), plan.totals)) {
      Value result = final;
      result.setType(total.getResult().getType());
      total.getResult().replaceAllUsesWith(result);
      total.erase();
    }
    plan.totals.clear();
  }
}
