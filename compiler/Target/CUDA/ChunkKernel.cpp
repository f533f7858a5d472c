// The whole kernel: threads, operands, and the loop over chunks. See ChunkKernelEmitter.h for the phases.
#include "compiler/Target/CUDA/ChunkKernel.h"
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

static constexpr const char *kSharedName = "rondo_shared";

static Type elementOf(const TileProgram &program) {
  for (const Tile &tile : program.tiles)
    if (tile.make == Make::Staged) {
      chunk::ScanOp scan = program.scan;
      return cast<RankedTensorType>(scan.getInputs()[tile.input].getType()).getElementType();
    }
  return {};
}

ChunkKernelEmitter::ChunkKernelEmitter(const TileProgram &program, const TilePlan &plan, Operation *module, Part part,
                                       Calling calling)
    : program(program), plan(plan), map(program, plan), module(module), part(part), calling(calling),
      b(module->getContext()), l(b, const_cast<chunk::ScanOp &>(program.scan).getLoc(), elementOf(program)) {}

KernelLaunch rondo::cuda::emitChunkKernel(const TileProgram &program, const TilePlan &plan, Operation *module,
                                          StringRef name, Part part, Calling calling) {
  return ChunkKernelEmitter(program, plan, module, part, calling).emit(name);
}

/// Whether an output is stored as f32, and not as the rows are.
static bool isWide(chunk::ScanOp scan, unsigned output) {
  return cast<RankedTensorType>(scan->getResult(output).getType()).getElementType().isF32();
}

SmallVector<int> rondo::cuda::alignedOperands(const TileProgram &program) {
  chunk::ScanOp scan = program.scan;
  SmallVector<int> positions;
  for (const Tile &tile : program.tiles)
    if (tile.make == Make::Staged && !llvm::is_contained(positions, tile.input))
      positions.push_back(tile.input);
  size_t results = scan.getInputs().size() + scan.getParams().size() + scan.getInits().size();
  for (size_t i = 0; i < program.outputs.size(); ++i)
    if (!isWide(scan, i)) // those are stored element by element
      positions.push_back(results + i);
  return positions;
}

KernelLaunch ChunkKernelEmitter::emit(StringRef name) {
  Block *entry = makeFunction(name);
  b.setInsertionPointToStart(entry);
  placeThreads();
  if (calling == Calling::Strided)
    placeStrided(entry);
  else
    placeContiguous(entry);
  placeTransition();
  placeOperands();
  loadParams();
  loadColumnParams();
  if (part == Part::Ends || part == Part::Within)
    placeSegment();
  clearTables();
  moveStates(/*store=*/false);
  moveVectors(/*store=*/false);
  emitLoop();
  if (part != Part::Within) { // the link kernel has final states then
    moveStates(/*store=*/true);
    moveVectors(/*store=*/true);
  }
  if (part == Part::Ends && !transition) {
    storeTotals();
  } else if (part == Part::Ends) {
    auto which = scf::IfOp::create(b, l.loc, transition, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(which.elseBlock());
    storeTotals();
  }
  emitReturn();
  return {name.str(), parts(), plan.threads(), map.total};
}

void ChunkKernelEmitter::emitReturn() {
  if (calling == Calling::Strided)
    func::ReturnOp::create(b, l.loc);
  else
    gpu::ReturnOp::create(b, l.loc);
}

Block *ChunkKernelEmitter::makeFunction(StringRef name) {
  b.setInsertionPointToEnd(&module->getRegion(0).front());
  auto shared = dyn_cast_or_null<LLVM::GlobalOp>(SymbolTable::lookupSymbolIn(module, kSharedName));
  if (!shared)
    shared =
        LLVM::GlobalOp::create(b, l.loc, LLVM::LLVMArrayType::get(b.getI8Type(), 0), /*isConstant=*/false,
                               LLVM::Linkage::External, kSharedName, Attribute(), /*alignment=*/128, /*addrSpace=*/3);
  if (plan.warpgroups)
    shared.setAlignment(kPatternBytes);
  chunk::ScanOp scan = program.scan;
  size_t count = scan.getInputs().size() + scan.getParams().size() + scan.getInits().size() + scan->getNumResults();
  if (calling == Calling::Strided) {
    Type pointer = LLVM::LLVMPointerType::get(b.getContext());
    SmallVector<Type> types;
    for (size_t i = 0; i < count; ++i) {
      types.push_back(pointer);
      types.append(5, b.getI64Type());
    }
    types.append(5, b.getI64Type());
    types.push_back(pointer);
    if (part != Part::Whole)
      types.append(2, b.getI64Type());
    auto function = func::FuncOp::create(b, l.loc, name, b.getFunctionType(types, {}));
    return function.addEntryBlock();
  }
  SmallVector<Type> types(count, LLVM::LLVMPointerType::get(b.getContext(), 1));
  if (part != Part::Whole)
    types.append(2 * segmentItems(program), LLVM::LLVMPointerType::get(b.getContext(), 1));
  types.append(part == Part::Whole ? 3 : 5, b.getI32Type());
  auto function = gpu::GPUFuncOp::create(b, l.loc, name, b.getFunctionType(types, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), b.getUnitAttr());
  function->setAttr("known_block_size", b.getDenseI32ArrayAttr({static_cast<int32_t>(plan.threads()), 1, 1}));
  return &function.getBody().front();
}

void ChunkKernelEmitter::placeThreads() {
  Type i32 = b.getI32Type();
  thread = NVVM::ThreadIdXOp::create(b, l.loc, i32);
  lane = l.bitAnd(thread, 31);
  // The same in all lanes, and said so: what depends on it needs one register, and its branches do not diverge.
  warp = NVVM::ShflOp::create(b, l.loc, i32, l.i32(-1), l.shr(thread, 5), l.i32(0), l.i32(31), NVVM::ShflKind::idx,
                              UnitAttr());
  auto shared = LLVM::LLVMPointerType::get(b.getContext(), 3);
  l.setShared(LLVM::AddressOfOp::create(b, l.loc, shared, kSharedName));
}

void ChunkKernelEmitter::placeContiguous(Block *entry) {
  Type i32 = b.getI32Type();
  valueStart = l.mul(NVVM::BlockIdXOp::create(b, l.loc, i32), plan.valueTile);
  head = NVVM::BlockIdYOp::create(b, l.loc, i32);
  batch = NVVM::BlockIdZOp::create(b, l.loc, i32);
  pointers.assign(entry->args_begin(), entry->args_end());
  if (part != Part::Whole) {
    segments = pointers.pop_back_val();
    segmentSteps = pointers.pop_back_val();
    segment = arith::RemUIOp::create(b, l.loc, batch, segments);
    batch = l.div(batch, segments);
  }
  groups = pointers.pop_back_val();
  heads = pointers.pop_back_val();
  steps = pointers.pop_back_val();
  group = l.div(l.mul(head, groups), heads);
}

bool rondo::cuda::hasHeads(const TileProgram &program) {
  chunk::ScanOp scan = program.scan;
  return llvm::any_of(scan->getOperandTypes(), [](Type type) {
    auto array = dyn_cast<RankedTensorType>(type);
    return array && recur::isArray(array) &&
           (recur::dimsOf(array).axisPosition("head") >= 0 || recur::dimsOf(array).axisPosition("group") >= 0);
  });
}

void ChunkKernelEmitter::placeStrided(Block *entry) {
  Type i32 = b.getI32Type();
  auto narrow = [&](Value number) -> Value { return arith::TruncIOp::create(b, l.loc, i32, number); };
  SmallVector<Value> sizes(entry->getArguments().take_back(part == Part::Whole ? 6 : 8));
  size_t count = (entry->getNumArguments() - sizes.size()) / 6;
  for (size_t i = 0; i < count; ++i) {
    pointers.push_back(entry->getArgument(6 * i));
    strides.push_back({entry->getArgument(6 * i + 1), entry->getArgument(6 * i + 2), entry->getArgument(6 * i + 4)});
  }
  steps = narrow(sizes[1]);
  heads = narrow(sizes[3]);
  workspace = sizes[5];
  Value task = NVVM::BlockIdXOp::create(b, l.loc, i32);
  Value number = parts() > 1 ? l.rem(task, parts()) : l.i32(0);
  valueStart = l.mul(number, part == Part::Link ? linkUnit() : plan.valueTile);
  task = l.div(task, parts());
  head = l.i32(0);
  if (hasHeads(program)) {
    head = arith::RemUIOp::create(b, l.loc, task, heads);
    task = l.div(task, heads);
  }
  batch = task;
  if (part != Part::Whole) {
    segmentSteps = narrow(sizes[6]);
    segments = narrow(sizes[7]);
  }
  if (part == Part::Ends || part == Part::Within) {
    segment = arith::RemUIOp::create(b, l.loc, task, segments);
    batch = l.div(task, segments);
  }
  group = l.div(head, narrow(sizes[4]));
}

/// Blocks that share a head: parts of the value axis, or of a state's elements.
int64_t ChunkKernelEmitter::parts() const {
  if (linked >= program.states.size()) // a vector
    return llvm::divideCeil(program.vectors[linked - program.states.size()].keys, linkUnit());
  const TileState &state = program.states[part == Part::Link ? linked : 0];
  if (part == Part::Link)
    return llvm::divideCeil((hasTransition(program, linked) ? 1 : state.keys) * state.values, linkUnit());
  const bool apart = part == Part::Ends && !plan.transitionTiles;
  return (state.values + (apart ? transitionKeys(program) : 0)) / plan.valueTile;
}

GlobalRows ChunkKernelEmitter::place(Value tensor, size_t operand, bool overTime) {
  auto type = cast<RankedTensorType>(tensor.getType());
  recur::DimsAttr dims = recur::dimsOf(type);
  int64_t features = 1;
  for (int64_t size : type.getShape().take_back(dims.getNames().size()))
    features *= size;
  GlobalRows rows;
  rows.element = type.getElementType();
  rows.elementBytes = rows.element.getIntOrFloatBitWidth() / 8;
  placeOffsets(dims, operand, overTime, rows, features);
  return rows;
}

/// The place of the block's batch entry and head, at the first step, and the way to the next step.
void ChunkKernelEmitter::placeOffsets(recur::DimsAttr dims, size_t operand, bool overTime, GlobalRows &rows,
                                      int64_t features) {
  bool hasHead = dims.axisPosition("head") >= 0, hasGroup = dims.axisPosition("group") >= 0;
  Value bytes = l.wide(l.i32(rows.elementBytes)), offset = l.wide(l.i32(0)), batchStride, headStride;
  if (calling == Calling::Strided) {
    batchStride = l.mul(strides[operand][0], bytes);
    rows.stride = l.mul(strides[operand][1], bytes);
    headStride = l.mul(strides[operand][2], bytes);
  } else {
    headStride = l.wide(l.i32(features * rows.elementBytes));
    rows.stride = hasHead || hasGroup ? l.mul(l.wide(hasHead ? heads : groups), headStride) : headStride;
    batchStride = overTime ? l.mul(l.wide(steps), rows.stride) : rows.stride;
  }
  if (hasHead || hasGroup)
    offset = l.mul(l.wide(hasHead ? head : group), headStride);
  if (dims.axisPosition("batch") >= 0)
    offset = l.add(offset, l.mul(l.wide(batch), batchStride));
  chunk::ScanOp scan = program.scan;
  if (overTime && cast<recur::AxisAttr>(scan.getAxes()[0]).getReverse()) {
    offset = l.add(offset, l.mul(l.wide(l.sub(steps, l.i32(1))), rows.stride));
    rows.stride = l.sub(l.wide(l.i32(0)), rows.stride);
  }
  rows.base = l.at(pointers[operand], offset);
}

void ChunkKernelEmitter::placeOperands() {
  chunk::ScanOp scan = program.scan;
  size_t next = 0;
  for (Value input : scan.getInputs())
    inputs.push_back(place(input, next++, true));
  next += scan.getParams().size();
  for (Value init : scan.getInits())
    inits.push_back(place(init, next++, false));
  for (OpResult result : scan->getResults()) {
    bool overTime = recur::dimsOf(result.getType()).axisPosition("time") >= 0;
    results.push_back(place(result, next++, overTime));
  }
}

void ChunkKernelEmitter::loadParams() {
  chunk::ScanOp scan = program.scan;
  size_t count = scan.getInputs().size();
  for (auto [i, param] : llvm::enumerate(scan.getParams())) {
    if (!recur::dimsOf(param.getType()).getNames().empty())
      continue;
    GlobalRows at = place(param, count + i, false);
    Value number = l.load(at.element, at.base);
    if (!number.getType().isF32())
      number = arith::ExtFOp::create(b, l.loc, b.getF32Type(), number);
    scalars[program.chunk().getArgument(count + i)] = number;
  }
}

ChunkAt ChunkKernelEmitter::chunkAt(Value number) {
  Value first = l.mul(number, plan.chunk);
  auto buffer = [&](int64_t start, int64_t bytes, int64_t count) {
    return l.add(l.mul(count == 1 ? l.i32(0) : l.rem(number, count), bytes), start);
  };
  return {number,
          first,
          l.sub(steps, first),
          buffer(0, map.stageBytes, map.stages),
          buffer(map.scoresAt, map.scoreBytes, map.scoreBuffers),
          buffer(map.tablesAt, map.tableBytes, map.tableBuffers)};
}

void ChunkKernelEmitter::clearWords(int64_t at, int64_t bytes) {
  auto loop = scf::ForOp::create(b, l.loc, thread, l.i32(bytes / 4), l.i32(plan.threads()));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  l.storeShared(l.f32(0), l.shl(loop.getInductionVar(), 2), at);
}

/// The halves of the tables of pairs that nothing writes are zeros, and so are, where products have them, scores above the diagonal.
void ChunkKernelEmitter::clearTables() {
  const bool clearsScores = plan.warpgroups && !program.scores.empty();
  if (!program.decays.empty())
    clearWords(map.tablesAt, map.tableBuffers * map.tableBytes);
  if (clearsScores)
    clearWords(map.scoresAt, map.scoreBuffers * map.scoreBytes);
  if (clearsScores || !program.decays.empty())
    l.barrier();
}

/// States between memory and accumulators.
void ChunkKernelEmitter::moveStates(bool store) {
  chunk::ScanOp scan = program.scan;
  size_t outputs = scan->getNumResults() - scan.getStates().size();
  for (auto [s, state] : llvm::enumerate(program.states)) {
    const GlobalRows &rows = part != Part::Whole ? segmentStates[s]
                             : store             ? results[outputs + state.number]
                                                 : inits[state.number];
    int64_t keyStride = 4 * (state.keyAxis == 0 ? state.values : 1);
    int64_t columnStride = 4 * (state.keyAxis == 0 ? 1 : state.keys);
    if (!store)
      states.push_back(part == Part::Ends ? firstState(s) : loadState(state, rows, keyStride, columnStride));
    else if (!transition)
      storeState(s, /*ofTransition=*/false, rows, keyStride, columnStride);
    else {
      auto which = scf::IfOp::create(b, l.loc, transition, /*withElseRegion=*/true);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(which.thenBlock());
      if (hasTransition(program, s))
        storeState(s, /*ofTransition=*/false, segmentDecays[s], 4, 4 * state.keys); // column by column
      b.setInsertionPointToStart(which.elseBlock());
      storeState(s, /*ofTransition=*/false, rows, keyStride, columnStride);
    }
    if (store && plan.transitionTiles)
      storeState(s, /*ofTransition=*/true, segmentDecays[s], 4, 4 * state.keys);
  }
}

/// Visits a lane's elements of a state, or of the transition behind it: the accumulator, the register in it, and how far the element is
/// from the lane's first one.
void ChunkKernelEmitter::eachElement(const TileState &state, bool ofTransition,
                                     llvm::function_ref<void(int64_t, int64_t, int64_t, int64_t)> visit) const {
  int64_t across = state.keys / instruction.n, first = ofTransition ? plan.valueTiles() : 0;
  int64_t tiles = ofTransition ? plan.transitionTiles : plan.valueTiles();
  for (int64_t i = 0; i < tiles * across; ++i)
    for (int64_t r = 0; r < 4; ++r) {
      const Core &core = instruction.c[r / 2];
      visit(first * across + i, r, i / across * 16 + core.row, i % across * instruction.n + core.column + r % 2);
    }
}

/// The column and the key of a lane's first element.
std::pair<Value, Value> ChunkKernelEmitter::firstElement(bool ofTransition) {
  const int64_t columns = 16 * (ofTransition ? plan.transitionTiles : plan.valueTiles()); // of a warp
  Value start = valueStart;
  if (ofTransition && columns * plan.warps != plan.valueTile)
    start = l.mul(l.div(valueStart, plan.valueTile), columns * plan.warps);
  Value column = l.add(start, l.add(l.mul(warp, columns), l.shr(lane, 2)));
  return {column, l.shl(l.bitAnd(lane, 3), 1)};
}

ChunkKernelEmitter::State ChunkKernelEmitter::loadState(const TileState &state, const GlobalRows &rows,
                                                        int64_t keyStride, int64_t columnStride) {
  auto [column, key] = firstElement(/*ofTransition=*/false);
  Value start = l.at(rows.base, l.wide(l.add(l.mul(column, columnStride), l.mul(key, keyStride))));
  State loaded(plan.columnTiles() * state.keys / instruction.n);
  const bool inPairs = keyStride == 4 && part != Part::Whole; // a caller's states begin at any multiple of 4 bytes
  eachElement(state, /*ofTransition=*/false, [&](int64_t i, int64_t r, int64_t columns, int64_t keys) {
    Value from = l.at(start, l.wide(l.i32(columns * columnStride + keys * keyStride)));
    if (!inPairs)
      loaded[i][r] = l.load(b.getF32Type(), from);
    else if (r % 2 == 0) {
      Value two = l.load(VectorType::get(2, b.getF32Type()), from);
      loaded[i][r] = l.part(two, 0);
      loaded[i][r + 1] = l.part(two, 1);
    }
  });
  return loaded;
}

void ChunkKernelEmitter::storeState(size_t s, bool ofTransition, const GlobalRows &rows, int64_t keyStride,
                                    int64_t columnStride) {
  auto [column, key] = firstElement(ofTransition);
  Value start = l.at(rows.base, l.wide(l.add(l.mul(column, columnStride), l.mul(key, keyStride))));
  const bool inPairs = keyStride == 4 && part != Part::Whole;
  eachElement(program.states[s], ofTransition, [&](int64_t i, int64_t r, int64_t columns, int64_t keys) {
    Value to = l.at(start, l.wide(l.i32(columns * columnStride + keys * keyStride)));
    if (!inPairs)
      l.store(states[s][i][r], to);
    else if (r % 2 == 0)
      l.store(l.pair(states[s][i][r], states[s][i][r + 1]), to);
  });
}

SmallVector<Value> ChunkKernelEmitter::flatten() const {
  SmallVector<Value> values;
  for (const State &state : states)
    for (const Accumulator &accumulator : state)
      values.append(accumulator.begin(), accumulator.end());
  for (const auto &totals : decayTotals)
    values.append(totals.begin(), totals.end());
  return values;
}

void ChunkKernelEmitter::unflatten(ValueRange values) {
  size_t next = 0;
  for (State &state : states)
    for (Accumulator &accumulator : state)
      for (Value &value : accumulator)
        value = values[next++];
  for (auto &totals : decayTotals)
    for (Value &value : totals)
      value = values[next++];
}

void ChunkKernelEmitter::emitLoop() {
  int64_t before = plan.stages - 1; // chunks on their way when the loop begins
  for (int64_t i = 0; i < before; ++i)
    emitLoads(chunkAt(l.i32(i)));
  if (program.readsTiles) {
    l.waitCopies(before - (plan.ahead ? 2 : 1));
    l.barrier();
  }
  emitGates(chunkAt(l.i32(0)));
  if (plan.ahead) {
    emitGates(chunkAt(l.i32(1)));
    l.waitCopies(before - 1);
    l.barrier();
    emitScores(chunkAt(l.i32(0)));
  }
  Value chunks = l.div(l.add(steps, plan.chunk - 1), plan.chunk);
  auto loop = scf::ForOp::create(b, l.loc, l.i32(0), chunks, l.i32(1), flatten());
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    unflatten(loop.getRegionIterArgs());
    emitChunk(loop.getInductionVar());
    scf::YieldOp::create(b, l.loc, flatten());
  }
  unflatten(loop.getResults());
}

void ChunkKernelEmitter::emitChunk(Value number) {
  ChunkAt chunk = chunkAt(number), next = chunkAt(l.add(number, 1));
  int64_t pending = plan.stages - 2; // copies of later chunks that need not be there
  l.waitCopies(plan.ahead ? pending - (program.readsTiles ? 2 : 1) : pending);
  barrierForGroups();
  ChunkAt gated = chunkAt(l.add(number, plan.ahead ? 2 : 1));
  prefetchGates(gated);
  emitLoads(chunkAt(l.add(number, plan.stages - 1)));
  if (plan.ahead) {
    startRead(chunk);
    emitScores(next);
    emitColumns(chunk);
    emitGates(gated);
    finishUpdates();
    return;
  }
  if (program.makesTiles() || !program.keyDecays.empty()) {
    emitRows(chunk);
    barrierForGroups();
  }
  startRead(chunk);
  emitScores(chunk);
  if (program.readsTiles)
    l.waitCopies(pending);
  barrierForGroups();
  if (llvm::any_of(program.slots, [&](const Slot &slot) { return isLateSlot(slot); })) {
    emitLate(chunk);
    barrierForGroups();
  }
  emitColumns(chunk);
  updateVectors(chunk);
  emitGates(gated);
  finishUpdates();
}
