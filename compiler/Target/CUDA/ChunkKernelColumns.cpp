// Everything with a value axis, transposed: accumulators are [columns x steps] for a block of 16 steps, and the state is
// [columns x keys]. So the state is operand A of a readout as it is, a block's columns are operand A of the products with scores and with
// keys as they are, and nothing but scores passes from warp to warp.
#include "compiler/Target/CPU/ElementOps.h"
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

void ChunkKernelEmitter::emitColumns(const ChunkAt &chunk) {
  columnCache.clear();
  packedCache.clear();
  columnDecayCache.clear();
  blockProducts.clear();
  if (!program.reads.empty() && startedRead.empty())
    packStates();
  if (plan.warpgroups)
    startUpdates(chunk);
  if (appliedSums.empty())
    findAppliedSums();
  const int64_t blocks = appliedSums.empty() ? plan.blocks() : 1;
  // What is computed for several outputs at once is stored block by block, before the next block wants its registers.
  for (int64_t first = 0; first < plan.blocks(); first += blocks) {
    storingLane = Value();
    for (unsigned output = 0; output < program.outputs.size(); ++output) // one after another: they share the staging
      storeOutput(output, first, first + blocks, chunk);
  }
  for (size_t state = 0; !plan.warpgroups && state < states.size(); ++state)
    updateState(state, chunk);
}

/// The steps of blocks first ... last - 1.
void ChunkKernelEmitter::storeOutput(unsigned output, int64_t first, int64_t last, const ChunkAt &chunk) {
  const bool wide = results[output].element.isF32();
  for (int64_t block = first; block < last; ++block)
    if (Value columns = groupedColumns(program.outputs[output]))
      storeGroups(columns, output, block, chunk);
    else
      wide ? storeWide(output, block, chunk) : stageOutput(output, block, chunk);
  if (!wide)
    writeOutput(output, first * kBlock, last * kBlock, chunk);
}

const ChunkKernelEmitter::Columns &ChunkKernelEmitter::columnsOf(Value value, int64_t block, const ChunkAt &chunk) {
  auto known = columnCache.find({value, block});
  const bool atOnce = packsLate() || plan.warpgroups; // all blocks
  if (const Read *read = atOnce && known == columnCache.end() ? program.readOf(value) : nullptr) {
    plan.warpgroups ? readGrouped(*read, chunk) : readLate(read->state, chunk);
    known = columnCache.find({value, block});
  }
  if (known == columnCache.end()) {
    Columns columns = computeColumns(value, block, chunk);
    known = columnCache.try_emplace({value, block}, std::move(columns)).first;
  }
  return known->second;
}

ChunkKernelEmitter::Columns ChunkKernelEmitter::computeColumns(Value value, int64_t block, const ChunkAt &chunk) {
  if (program.tileOf(value, Role::Value) >= 0)
    return unpack(packedColumns(value, block, chunk));
  if (isPerStep(value) || recur::isScalar(value.getType()) || constantOf(value))
    return stepColumns(value, block, chunk);
  if (columnParams.contains(value))
    return paramColumns(value);
  Operation *op = value.getDefiningOp();
  if (auto solve = dyn_cast<chunk::SolveOp>(op))
    return solveColumns(solve, solve, columnsOf(solve.getRight(), block, chunk), block, chunk);
  if (const Read *read = program.readOf(value))
    return readColumns(*read, block, chunk);
  if (auto products = dyn_cast<chunk::ProductsOp>(op))
    return productColumns(products, block, chunk);
  if (auto sum = llvm::find_if(appliedSums, [&](const AppliedSum &sum) { return sum.root == value; });
      sum != appliedSums.end()) {
    applyTogether(*sum, block, chunk);
    return columnCache.find({value, block})->second;
  }
  if (auto contract = dyn_cast<recur::ContractOp>(op); contract && program.scoreOf(contract.getOperand(0)) >= 0) {
    if (plan.warpgroups) {
      sumGrouped(value, {}, contract, chunk);
      return columnCache[{value, block}];
    }
    Columns zeros(2 * plan.columnTiles(), l.zeros());
    accumulateApply(contract, block, chunk, zeros);
    return zeros;
  }
  return mapColumns(op, block, chunk);
}

static bool mayBeInfiniteAtZero(recur::Fn fn) {
  return fn == recur::Fn::Div || fn == recur::Fn::Log || fn == recur::Fn::Pow;
}

/// Whether what is made of a value, element by element, is an operand of a product; else it is stored, and nothing is stored behind the end.
static bool entersProducts(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    if (user->hasTrait<OpTrait::IsTerminator>())
      return false;
    return !isa<recur::MapOp>(user) || entersProducts(user->getResult(0));
  });
}

/// Elementwise operations; a sum with a product of scores accumulates into it.
ChunkKernelEmitter::Columns ChunkKernelEmitter::mapColumns(Operation *op, int64_t block, const ChunkAt &chunk) {
  auto map = dyn_cast<recur::MapOp>(op);
  if (map && map.getFn() == recur::Fn::Add)
    if (std::optional<Columns> solved = solveSum(map, block, chunk))
      return *solved;
  if (map && map.getFn() == recur::Fn::Add)
    for (int64_t i : {1, 0}) {
      auto apply = map.getOperand(i).getDefiningOp<recur::ContractOp>();
      if (!apply || program.scoreOf(apply.getOperand(0)) < 0)
        continue;
      if (plan.warpgroups) {
        sumGrouped(map.getResult(), map.getOperand(1 - i), apply, chunk);
        return columnCache[{map.getResult(), block}];
      }
      Columns sum = columnsOf(map.getOperand(1 - i), block, chunk);
      accumulateApply(apply, block, chunk, sum);
      return sum;
    }
  if (!map && !isa<recur::ContractOp>(op))
    return columnsOf(op->getOperand(0), block, chunk); // a broadcast or a cast
  SmallVector<Columns> operands;
  for (Value operand : op->getOperands())
    operands.push_back(columnsOf(operand, block, chunk));
  recur::Fn fn = map ? map.getFn() : recur::Fn::Mul; // rows times a number per step
  cpu::ElementOps ops(b, l.loc, b.getF32Type());
  Columns result(2 * plan.columnTiles());
  for (size_t i = 0; i < result.size(); ++i)
    for (int64_t r = 0; r < 4; ++r) {
      SmallVector<cpu::Element> elements;
      for (const Columns &operand : operands)
        elements.push_back({operand[i][r], {}});
      result[i][r] = ops.apply(fn, elements).re;
    }
  // Behind the end rows are zeros, and a product with what is no number is none.
  if (map && mayBeInfiniteAtZero(fn) && entersProducts(map.getResult()))
    for (int64_t half : {0, 1})
      for (int64_t e : {0, 1}) {
        Value step = l.add(l.shl(l.bitAnd(lane, 3), 1), block * kBlock + 8 * half + e);
        Value inside = l.less(step, chunk.left);
        for (size_t i = half; i < result.size(); i += 2)
          for (int64_t r : {e, 2 + e})
            result[i][r] = l.select(inside, result[i][r], l.f32(0));
      }
  return result;
}

/// What is the same in all columns.
ChunkKernelEmitter::Columns ChunkKernelEmitter::stepColumns(Value value, int64_t block, const ChunkAt &chunk) {
  SmallVector<Value> numbers;
  if (isPerStep(value) && !constantOf(value)) {
    numbers = factorOf(StepFactor::of(value), block, chunk);
  } else {
    Value number = constantOf(value);
    numbers.assign(4, number ? number : scalars.lookup(value));
  }
  Columns result(2 * plan.columnTiles());
  for (size_t i = 0; i < result.size(); ++i)
    for (int64_t r = 0; r < 4; ++r)
      result[i][r] = numbers[2 * (i % 2) + r % 2];
  return result;
}

/// Of a parameter along the value axis, a lane's columns, loaded once.
void ChunkKernelEmitter::loadColumnParams() {
  for (Value param : program.columnParams) {
    Value first = firstElement(/*ofTransition=*/false).first, behind = firstElement(/*ofTransition=*/true).first;
    for (int64_t i = 0, own = 2 * plan.valueTiles(); i < 2 * plan.columnTiles(); ++i) {
      Value column = i < own ? l.add(first, 8 * i) : l.add(behind, 8 * (i - own));
      if (transition || i >= own) // there may be more keys than columns
        column = l.least(column, l.i32(program.states[0].values - 1));
      columnParams[param].push_back(keyParam(cast<BlockArgument>(param), column));
    }
  }
}

/// What is the same at all steps.
ChunkKernelEmitter::Columns ChunkKernelEmitter::paramColumns(Value param) const {
  const SmallVector<Value> &numbers = columnParams.find(param)->second;
  Columns result(2 * plan.columnTiles());
  for (size_t i = 0; i < result.size(); ++i)
    for (int64_t r = 0; r < 4; ++r)
      result[i][r] = numbers[i / 2 * 2 + r / 2];
  return result;
}

/// The product of a decay over the blocks from ... to - 1 of the chunk; null for none.
Value ChunkKernelEmitter::productOfBlocks(Value decay, int64_t from, int64_t to, const ChunkAt &chunk) {
  auto &blocks = blockProducts[decay];
  if (blocks.empty())
    for (int64_t block = 0; block < plan.blocks(); ++block)
      blocks.push_back(l.loadShared(b.getF32Type(), chunk.tables, map.blocksAt(program.decayOf(decay)) + 4 * block));
  Value product;
  for (int64_t block = from; block < to; ++block)
    product = product ? l.mulf(product, blocks[block]) : blocks[block];
  return product;
}

SmallVector<Value> ChunkKernelEmitter::factorOf(const StepFactor &factor, int64_t block, const ChunkAt &chunk) {
  if (factor.isOne())
    return {};
  Partial partial = !factor.decay                         ? Partial::None
                    : factor.span == chunk::Span::Through ? Partial::Through
                    : factor.span == chunk::Span::Before  ? Partial::Before
                                                          : Partial::After;
  Value slot = slotOffset(factor, factor.decay, partial, chunk);
  slot = l.add(slot, l.shl(l.bitAnd(lane, 3), 3));
  Value others;
  if (factor.decay)
    others = partial == Partial::After ? productOfBlocks(factor.decay, block + 1, plan.blocks(), chunk)
                                       : productOfBlocks(factor.decay, 0, block, chunk);
  SmallVector<Value> numbers;
  for (int64_t half : {0, 1}) {
    Value two = l.loadShared(VectorType::get(2, b.getF32Type()), slot, 4 * (block * kBlock + 8 * half));
    for (int64_t e : {0, 1}) {
      Value number = l.part(two, e);
      numbers.push_back(others ? l.mulf(number, others) : number);
    }
  }
  return numbers;
}

void ChunkKernelEmitter::scale(Columns &columns, ArrayRef<Value> numbers) {
  if (numbers.empty())
    return;
  for (size_t i = 0; i < columns.size(); ++i)
    for (int64_t r = 0; r < 4; ++r)
      columns[i][r] = l.mulf(columns[i][r], numbers[2 * (i % 2) + r % 2]);
}

ChunkKernelEmitter::Columns ChunkKernelEmitter::readColumns(const Read &read, int64_t block, const ChunkAt &chunk) {
  const SharedTile &queries = map.tiles[read.query.tile];
  Columns sums(2 * plan.columnTiles(), l.zeros());
  int64_t across = queries.columns / kBlock;
  for (int64_t k = 0; k < across; ++k) {
    SmallVector<Value> bs = loadBlock(queries, tileBase(read.query.tile, chunk), {}, block * kBlock, k * kBlock,
                                      /*rowsFirst=*/false, /*transposed=*/false);
    for (size_t i = 0; i < sums.size(); ++i)
      sums[i] =
          l.multiply(packedStates[read.state][i / 2 * across + k], {bs[2 * (i % 2)], bs[2 * (i % 2) + 1]}, sums[i]);
  }
  scale(sums, factorOf(read.query.factor, block, chunk));
  return sums;
}

void ChunkKernelEmitter::accumulateApply(recur::ContractOp apply, int64_t block, const ChunkAt &chunk, Columns &into) {
  for (int64_t from = 0; from <= block; ++from) {
    SmallVector<SmallVector<Value>> a = packedColumns(apply.getOperand(1), from, chunk);
    Terms scores = loadScores(apply.getOperand(0), block, from, chunk);
    for (size_t i = 0; i < into.size(); ++i)
      into[i] = multiplyTerms(a[i / 2], scores, i % 2, into[i]);
  }
}

/// p = (I - M)⁻¹ right, block by block: what earlier blocks give, then the inverse of the block on the diagonal. `solution` is the
/// value that the earlier blocks are blocks of.
ChunkKernelEmitter::Columns ChunkKernelEmitter::solveColumns(chunk::SolveOp solve, Value solution, Columns right,
                                                             int64_t block, const ChunkAt &chunk) {
  const SharedTile &matrix = map.scores[program.scoreOf(solve.getMatrix())];
  const SharedTile &inverse = map.inverses[llvm::find(program.solves, solve) - program.solves.begin()];
  auto accumulate = [&](ArrayRef<SmallVector<Value>> a, const SharedTile &tile, int64_t column) {
    SmallVector<Value> bs =
        loadBlock(tile, chunk.scores, {}, block * kBlock, column, /*rowsFirst=*/false, /*transposed=*/false);
    for (size_t i = 0; i < right.size(); ++i)
      right[i] = l.multiply(a[i / 2], {bs[2 * (i % 2)], bs[2 * (i % 2) + 1]}, right[i]);
  };
  for (int64_t from = 0; from < block; ++from)
    accumulate(packedColumns(solution, from, chunk), matrix, from * kBlock);
  accumulate(pack(right), inverse, 0); // the identity's part is there already, in f32
  return right;
}

/// v + p with p = (I - M)⁻¹ (x + M v) is (I - M)⁻¹ (v + x): one product less.
std::optional<ChunkKernelEmitter::Columns> ChunkKernelEmitter::solveSum(recur::MapOp sum, int64_t block,
                                                                        const ChunkAt &chunk) {
  Value v = sum.getOperand(0);
  auto solve = sum.getOperand(1).getDefiningOp<chunk::SolveOp>();
  auto right = solve ? solve.getRight().getDefiningOp<recur::MapOp>() : recur::MapOp();
  if (!right || right.getFn() != recur::Fn::Add)
    return std::nullopt;
  auto apply = right.getOperand(1).getDefiningOp<recur::ContractOp>();
  auto source = apply ? apply.getOperand(1).getDefiningOp<chunk::AsSourceOp>() : chunk::AsSourceOp();
  if (!source || source.getOperand() != v || apply.getOperand(0) != solve.getMatrix())
    return std::nullopt;
  Columns both = columnsOf(v, block, chunk);
  const Columns x = columnsOf(right.getOperand(0), block, chunk);
  for (size_t i = 0; i < both.size(); ++i)
    for (int64_t r = 0; r < 4; ++r)
      both[i][r] = l.addf(both[i][r], x[i][r]);
  return solveColumns(solve, sum, std::move(both), block, chunk);
}

/// What enters a state by one tile of keys: the values of several updates are added up before they are rounded.
SmallVector<SmallVector<Value>> ChunkKernelEmitter::enteringColumns(ArrayRef<Update> updates, int64_t block,
                                                                    const ChunkAt &chunk) {
  Columns sum;
  for (const Update &update : updates) {
    SmallVector<Value> numbers = factorOf(update.key.factor, block, chunk);
    if (numbers.empty() && updates.size() == 1)
      return packedColumns(update.value, block, chunk);
    Columns scaled = columnsOf(update.value, block, chunk);
    scale(scaled, numbers);
    for (size_t i = 0; i < sum.size(); ++i)
      for (int64_t r = 0; r < 4; ++r)
        scaled[i][r] = l.addf(sum[i][r], scaled[i][r]);
    sum = std::move(scaled);
  }
  return pack(sum);
}

/// S = S ∘ decay + Σ columns ⊗ keys.
void ChunkKernelEmitter::updateState(int64_t index, const ChunkAt &chunk) {
  const TileState &state = program.states[index];
  State &accumulators = states[index];
  if (state.decay) {
    Value decay = productOfBlocks(state.decay, 0, plan.blocks(), chunk);
    growTotal(index, 0, decay);
    for (Accumulator &accumulator : accumulators)
      for (Value &value : accumulator)
        value = l.mulf(value, decay);
  }
  if (state.valueDecay)
    decayState(index, chunk);
  int64_t across = state.keys / instruction.n;
  if (state.keyDecay) {
    int64_t at = map.totals[program.keyDecayOf(state.keyDecay)];
    for (int64_t i = 0; i < across; ++i) {
      Value two =
          l.loadShared(VectorType::get(2, b.getF32Type()), l.shl(l.bitAnd(lane, 3), 3), at + 4 * instruction.n * i);
      for (int64_t r = 0; r < 4; ++r) {
        Value decay = l.part(two, r % 2);
        if (r < 2)
          growTotal(index, 2 * i + r, decay);
        for (int64_t tile = 0; tile < plan.columnTiles(); ++tile)
          accumulators[tile * across + i][r] = l.mulf(accumulators[tile * across + i][r], decay);
      }
    }
  }
  bool started = false;
  for (auto [number, update] : llvm::enumerate(state.updates)) {
    const int64_t tile = update.key.tile;
    auto isSame = [&](const Update &other) { return other.key.tile == tile; };
    if (llvm::any_of(ArrayRef<Update>(state.updates).take_front(number), isSame))
      continue;
    SmallVector<Update> same(llvm::make_filter_range(state.updates, isSame));
    if (plan.warpgroups) {
      if (std::exchange(started, true))
        l.finishGroups(accumulators);
      updateGrouped(accumulators, same, chunk);
      continue;
    }
    for (int64_t block = 0; block < plan.blocks(); ++block) {
      SmallVector<SmallVector<Value>> a = enteringColumns(same, block, chunk);
      for (int64_t k = 0; k < state.keys; k += kBlock) {
        SmallVector<Value> bs = loadBlock(map.tiles[tile], tileBase(tile, chunk), {}, block * kBlock, k,
                                          /*rowsFirst=*/true, /*transposed=*/true);
        for (int64_t i = 0; i < plan.columnTiles(); ++i)
          for (int64_t half : {0, 1}) {
            Accumulator &sum = accumulators[i * across + k / instruction.n + half];
            sum = multiplyTerms(a[i], {bs, {}}, half, sum);
          }
      }
    }
  }
}

/// A number of the thread, from which addresses are computed: anew, where to keep these for all chunks takes registers that are scarce.
Value ChunkKernelEmitter::anew(Value number) {
  return program.makesTiles() || program.outputs.size() > 1 ? l.same(number) : number;
}

Value ChunkKernelEmitter::laneOfStores() {
  if (!storingLane)
    storingLane = anew(lane);
  return storingLane;
}

/// A block of an output to the warp's own part of shared memory, steps as rows.
void ChunkKernelEmitter::stageOutput(unsigned output, int64_t block, const ChunkAt &chunk) {
  SmallVector<SmallVector<Value>> packed = packedColumns(program.outputs[output], block, chunk);
  const SharedTile &staging = map.staging;
  Value base = l.mul(warp, staging.bytes());
  for (int64_t i = 0; i < plan.columnTiles(); ++i) {
    if (plan.arch >= 90) {
      Value offset = l.add(base, l.bitXor(laneOffset(staging, /*rowsFirst=*/false),
                                          (32 * i % 128) ^ staging.swizzle(block * kBlock) << 4));
      l.storeCores(offset, map.stagingAt + block * kBlock * staging.rowBytes() + 32 * i / 128 * 128,
                   highTerm(packed[i]));
      continue;
    }
    SmallVector<Chained> chained = *accumulatorsAsA(instruction);
    for (auto [core, from] : llvm::zip(highTerm(packed[i]), chained)) {
      Value row = l.add(l.shr(lane, 2), 8 * from.accumulator);
      Value unit = l.bitXor(swizzle(staging, row), (2 * i + from.core) ^ staging.swizzle(block * kBlock));
      Value offset =
          l.add(l.add(base, l.mul(row, staging.rowBytes())), l.add(l.shl(unit, 4), l.shl(l.bitAnd(lane, 3), 2)));
      l.storeShared(l.transposeCore(core), offset, map.stagingAt + block * kBlock * staging.rowBytes());
    }
  }
}

/// A block of an output in f32, as the accumulators have it: eight lanes store neighbours.
void ChunkKernelEmitter::storeWide(unsigned output, int64_t block, const ChunkAt &chunk) {
  const Columns &columns = columnsOf(program.outputs[output], block, chunk);
  const GlobalRows &rows = results[output];
  Value lane = laneOfStores();
  Value first = l.add(valueStart, l.add(l.mul(warp, 16 * plan.columnTiles()), l.shr(lane, 2)));
  Value row = l.add(l.shl(l.bitAnd(lane, 3), 1), block * kBlock);
  for (int64_t half : {0, 1})
    for (int64_t e : {0, 1}) {
      Value step = l.add(row, 8 * half + e);
      auto inside = scf::IfOp::create(b, l.loc, l.less(step, chunk.left), /*withElseRegion=*/false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(inside.thenBlock());
      Value from = l.mul(l.wide(l.add(chunk.first, step)), rows.stride);
      Value pointer = l.at(rows.base, l.add(from, l.wide(l.shl(first, 2))));
      for (int64_t i = half; i < 2 * plan.columnTiles(); i += 2)
        for (int64_t core : {0, 1})
          l.store(columns[i][2 * core + e], l.at(pointer, l.wide(l.i32(4 * (8 * i - 8 * half + 8 * core)))));
    }
}

/// Of a block, the sums of 16 columns each: over the eight lanes of a step, which four of them store.
void ChunkKernelEmitter::storeGroups(Value value, unsigned output, int64_t block, const ChunkAt &chunk) {
  const Columns columns = columnsOf(value, block, chunk);
  const GlobalRows &rows = results[output];
  Value group = l.shr(l.add(valueStart, l.mul(warp, 16 * plan.columnTiles())), 4);
  SmallVector<Value> sums;
  for (const Accumulator &accumulator : columns)
    for (int64_t e : {0, 1}) {
      Value sum = l.addf(accumulator[e], accumulator[2 + e]);
      for (int64_t by : {4, 8, 16})
        sum = l.addf(sum, l.exchange(sum, by));
      sums.push_back(sum);
    }
  for (int64_t half : {0, 1})
    for (int64_t e : {0, 1}) {
      Value step = l.add(l.shl(lane, 1), block * kBlock + 8 * half + e);
      Value mine = l.both(l.less(lane, l.i32(4)), l.less(step, chunk.left));
      auto some = scf::IfOp::create(b, l.loc, mine, /*withElseRegion=*/false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(some.thenBlock());
      Value from = l.mul(l.wide(l.add(chunk.first, step)), rows.stride);
      Value pointer = l.at(rows.base, l.add(from, l.wide(l.shl(group, 2))));
      for (int64_t i = 0; i < plan.columnTiles(); ++i)
        l.store(sums[2 * (2 * i + half) + e], l.at(pointer, l.wide(l.i32(4 * i))));
    }
}

/// The warp's columns of some steps, 16 bytes a lane.
void ChunkKernelEmitter::writeOutput(unsigned output, int64_t from, int64_t to, const ChunkAt &chunk) {
  l.syncWarp();
  Value lane = laneOfStores();
  const SharedTile &staging = map.staging;
  const GlobalRows &rows = results[output];
  Value first = l.add(valueStart, l.mul(warp, staging.columns));
  Value pointer = l.at(rows.base, l.add(l.mul(l.wide(chunk.first), rows.stride), l.wide(l.shl(first, 1))));
  Value base = l.mul(warp, staging.bytes());
  for (int64_t i = from * staging.units(); i < to * staging.units(); i += 32) {
    Value index = l.add(lane, i), row = l.div(index, staging.units()), unit = l.rem(index, staging.units());
    Value swizzled = l.bitXor(unit, swizzle(staging, row));
    Value offset = l.add(base, l.add(l.mul(row, staging.rowBytes()), l.shl(swizzled, 4)));
    Value words = l.loadShared(VectorType::get(4, b.getI32Type()), offset, map.stagingAt);
    auto inside = scf::IfOp::create(b, l.loc, l.less(row, chunk.left), /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(inside.thenBlock());
    l.store(words, l.at(pointer, l.add(l.mul(l.wide(row), rows.stride), l.wide(l.shl(unit, 4)))));
  }
  if (program.outputs.size() > 1 || to - from < plan.chunk)
    l.syncWarp();
}
