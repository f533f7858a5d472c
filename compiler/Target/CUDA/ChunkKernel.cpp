// The whole kernel: threads, operands, and the loop over chunks. See ChunkKernelEmitter.h for the phases.
#include "compiler/Target/CUDA/ChunkKernel.h"
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"
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

ChunkKernelEmitter::ChunkKernelEmitter(const TileProgram &program, const TilePlan &plan, gpu::GPUModuleOp module,
                                       Part part)
    : program(program), plan(plan), map(program, plan), module(module), part(part), b(module.getContext()),
      l(b, const_cast<chunk::ScanOp &>(program.scan).getLoc(), elementOf(program)) {}

KernelLaunch rondo::cuda::emitChunkKernel(const TileProgram &program, const TilePlan &plan, gpu::GPUModuleOp module,
                                          StringRef name, Part part) {
  return ChunkKernelEmitter(program, plan, module, part).emit(name);
}

KernelLaunch ChunkKernelEmitter::emit(StringRef name) {
  gpu::GPUFuncOp function = makeFunction(name);
  b.setInsertionPointToStart(&function.getBody().front());
  placeThreads();
  placeOperands();
  loadParams();
  if (part != Part::Whole)
    placeSegment();
  clearTables();
  moveStates(/*store=*/false);
  emitLoop();
  if (part != Part::Within) // the link kernel has final states then
    moveStates(/*store=*/true);
  if (part == Part::Ends)
    storeTotals();
  gpu::ReturnOp::create(b, l.loc);
  int64_t blocks = program.states.front().values / plan.valueTile;
  return {name.str(), blocks, plan.threads(), map.total};
}

gpu::GPUFuncOp ChunkKernelEmitter::makeFunction(StringRef name) {
  b.setInsertionPointToEnd(module.getBody());
  if (!module.lookupSymbol(kSharedName))
    LLVM::GlobalOp::create(b, l.loc, LLVM::LLVMArrayType::get(b.getI8Type(), 0), /*isConstant=*/false,
                           LLVM::Linkage::External, kSharedName, Attribute(), /*alignment=*/128, /*addrSpace=*/3);
  chunk::ScanOp scan = program.scan;
  size_t count = scan.getInputs().size() + scan.getParams().size() + scan.getInits().size() + scan->getNumResults();
  SmallVector<Type> types(count, LLVM::LLVMPointerType::get(b.getContext(), 1));
  if (part != Part::Whole)
    types.append(2 * program.states.size(), LLVM::LLVMPointerType::get(b.getContext(), 1));
  types.append(part == Part::Whole ? 3 : 5, b.getI32Type());
  auto function = gpu::GPUFuncOp::create(b, l.loc, name, b.getFunctionType(types, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), b.getUnitAttr());
  function->setAttr("known_block_size", b.getDenseI32ArrayAttr({static_cast<int32_t>(plan.threads()), 1, 1}));
  return function;
}

void ChunkKernelEmitter::placeThreads() {
  Type i32 = b.getI32Type();
  thread = NVVM::ThreadIdXOp::create(b, l.loc, i32);
  lane = l.bitAnd(thread, 31);
  // The same in all lanes, and said so: what depends on it needs one register, and its branches do not diverge.
  Value first = NVVM::ShflOp::create(b, l.loc, i32, l.i32(-1), l.shr(thread, 5), l.i32(0), l.i32(31),
                                     NVVM::ShflKind::idx, UnitAttr());
  warp = first;
  valueStart = l.mul(NVVM::BlockIdXOp::create(b, l.loc, i32), plan.valueTile);
  head = NVVM::BlockIdYOp::create(b, l.loc, i32);
  batch = NVVM::BlockIdZOp::create(b, l.loc, i32);
  auto shared = LLVM::LLVMPointerType::get(b.getContext(), 3);
  l.setShared(LLVM::AddressOfOp::create(b, l.loc, shared, kSharedName));
}

GlobalRows ChunkKernelEmitter::place(Value tensor, Value pointer, bool overTime) {
  auto type = cast<RankedTensorType>(tensor.getType());
  recur::DimsAttr dims = recur::dimsOf(type);
  int64_t features = 1;
  for (int64_t size : type.getShape().take_back(dims.getNames().size()))
    features *= size;
  GlobalRows rows;
  rows.element = type.getElementType();
  rows.elementBytes = rows.element.getIntOrFloatBitWidth() / 8;
  Value rowBytes = l.wide(l.i32(features * rows.elementBytes)), offset = l.wide(l.i32(0));
  bool hasHead = dims.axisPosition("head") >= 0, hasGroup = dims.axisPosition("group") >= 0;
  Value stride = rowBytes; // of what follows the axis at hand
  if (hasHead || hasGroup) {
    Value index = hasHead ? head : l.div(l.mul(head, groups), heads);
    offset = l.mul(l.wide(index), rowBytes);
    stride = l.mul(l.wide(hasHead ? heads : groups), rowBytes);
  }
  rows.stride = stride;
  chunk::ScanOp scan = program.scan;
  bool reverse = overTime && cast<recur::AxisAttr>(scan.getAxes()[0]).getReverse();
  Value extent = overTime ? l.mul(l.wide(steps), stride) : stride;
  if (dims.axisPosition("batch") >= 0)
    offset = l.add(offset, l.mul(l.wide(batch), extent));
  if (reverse) {
    offset = l.add(offset, l.sub(extent, stride));
    rows.stride = l.sub(l.wide(l.i32(0)), stride);
  }
  rows.base = l.at(pointer, offset);
  return rows;
}

void ChunkKernelEmitter::placeOperands() {
  Block *entry = b.getInsertionBlock();
  chunk::ScanOp scan = program.scan;
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
  size_t next = 0;
  for (Value input : scan.getInputs())
    inputs.push_back(place(input, pointers[next++], true));
  next += scan.getParams().size();
  for (Value init : scan.getInits())
    inits.push_back(place(init, pointers[next++], false));
  for (OpResult result : scan->getResults()) {
    bool overTime = recur::dimsOf(result.getType()).axisPosition("time") >= 0;
    results.push_back(place(result, pointers[next++], overTime));
  }
}

void ChunkKernelEmitter::loadParams() {
  chunk::ScanOp scan = program.scan;
  size_t count = scan.getInputs().size();
  for (auto [i, param] : llvm::enumerate(scan.getParams())) {
    if (!recur::dimsOf(param.getType()).getNames().empty())
      continue;
    GlobalRows at = place(param, pointers[count + i], false);
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

/// The halves of the tables of pairs that nothing writes are zeros.
void ChunkKernelEmitter::clearTables() {
  if (program.decays.empty())
    return;
  int64_t words = map.tableBuffers * map.tableBytes / 4;
  auto loop = scf::ForOp::create(b, l.loc, thread, l.i32(words), l.i32(plan.threads()));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    l.storeShared(l.f32(0), l.shl(loop.getInductionVar(), 2), map.tablesAt);
  }
  l.barrier();
}

/// States between memory and accumulators: element (column, key) of a lane's accumulators.
void ChunkKernelEmitter::moveStates(bool store) {
  chunk::ScanOp scan = program.scan;
  size_t outputs = scan->getNumResults() - program.states.size();
  for (auto [s, state] : llvm::enumerate(program.states)) {
    const GlobalRows &rows = part != Part::Whole ? segmentStates[s] : store ? results[outputs + s] : inits[s];
    int64_t keyStride = 4 * (state.keyAxis == 0 ? state.values : 1);
    int64_t columnStride = 4 * (state.keyAxis == 0 ? 1 : state.keys);
    Value column = l.add(valueStart, l.add(l.mul(warp, 16 * plan.columnTiles()), l.shr(lane, 2)));
    Value key = l.shl(l.bitAnd(lane, 3), 1);
    Value start = l.at(rows.base, l.wide(l.add(l.mul(column, columnStride), l.mul(key, keyStride))));
    if (!store)
      states.emplace_back();
    int64_t across = state.keys / instruction.n;
    for (int64_t i = 0; i < plan.columnTiles() * across; ++i) {
      Accumulator accumulator;
      for (int64_t r = 0; r < 4; ++r) {
        const Core &core = instruction.c[r / 2];
        int64_t bytes = (i / across * 16 + core.row) * columnStride +
                        (i % across * instruction.n + core.column + r % 2) * keyStride;
        Value at = l.at(start, l.wide(l.i32(bytes)));
        if (store)
          l.store(states[s][i][r], at);
        else if (part == Part::Ends)
          accumulator[r] = l.f32(0);
        else
          accumulator[r] = l.load(b.getF32Type(), at);
      }
      if (!store)
        states[s].push_back(accumulator);
    }
  }
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
  l.barrier();
  ChunkAt gated = chunkAt(l.add(number, plan.ahead ? 2 : 1));
  prefetchGates(gated);
  emitLoads(chunkAt(l.add(number, plan.stages - 1)));
  if (plan.ahead) {
    emitScores(next);
    emitColumns(chunk);
    emitGates(gated);
    return;
  }
  if (program.makesTiles() || !program.keyDecays.empty()) {
    emitRows(chunk);
    l.barrier();
  }
  emitScores(chunk);
  if (program.readsTiles)
    l.waitCopies(pending);
  l.barrier();
  emitColumns(chunk);
  emitGates(gated);
}
