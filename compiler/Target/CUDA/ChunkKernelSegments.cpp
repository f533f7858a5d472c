// Segments of a long sequence: what each adds to the states and by what it decays them, and the kernel that links them. See
// ChunkKernel.h.
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

std::string rondo::cuda::whyNoSegments(const TileProgram &program) {
  for (auto [s, state] : llvm::enumerate(program.states)) {
    for (const Update &update : state.updates) {
      llvm::SmallBitVector others = itemsReadBy(program, update.value);
      if (others.reset(s).any())
        return "what enters a state is read of another one";
    }
    if (!hasTransition(program, s))
      continue;
    if (state.keys != transitionKeys(program))
      return "transitions mix the keys of states that have not the same number of them";
    if (state.valueDecay)
      return "a transition mixes the keys of a state that decays along its values: each column has a matrix of its own";
    if (!llvm::all_of(state.updates, [&](const Update &update) { return vanishes(program, update.value); }))
      return "what enters a state with a transition is not zero where the inputs are";
  }
  return "";
}

/// Numbers that a state's decay over a segment is.
static int64_t decayNumbers(const TileState &state) {
  return state.keyDecay ? state.keys : state.valueDecay ? state.values : 1;
}

/// The same in one lane: a quarter of the keys, or two columns of each tile; of a vector, what the thread moves on in `updateVectors`.
int64_t ChunkKernelEmitter::totalsOf(size_t item) const {
  if (item >= program.states.size()) {
    const VectorState &vector = program.vectors[item - program.states.size()];
    return vector.keyDecay ? (vector.keys + plan.threads() - 1) / plan.threads() : 1;
  }
  if (hasTransition(program, item))
    return 0;
  const TileState &state = program.states[item];
  return state.keyDecay ? state.keys / 4 : state.valueDecay ? 2 * plan.columnTiles() : 1;
}

/// Moves what goes along time to the segment's first step, and finds its scratch.
void ChunkKernelEmitter::placeSegment() {
  Value first = l.mul(segment, segmentSteps);
  for (GlobalRows &rows : inputs)
    rows.base = l.at(rows.base, l.mul(l.wide(first), rows.stride));
  for (GlobalRows &rows : results)
    rows.base = l.at(rows.base, l.mul(l.wide(first), rows.stride)); // of states: not used
  steps = l.least(segmentSteps, l.sub(steps, first));
  Value index = segmentAt(segment);
  for (size_t s = 0; s < segmentItems(program); ++s) {
    segmentStates.push_back(scratchOf(s, /*decay=*/false, index));
    segmentDecays.push_back(scratchOf(s, /*decay=*/true, index));
    if (part == Part::Ends)
      decayTotals.emplace_back(totalsOf(s), l.f32(1));
  }
}

/// A segment of this block's batch entry and head, among all; i64.
Value ChunkKernelEmitter::segmentAt(Value number) {
  return l.wide(l.add(l.mul(l.add(l.mul(batch, segments), number), heads), head));
}

size_t rondo::cuda::segmentItems(const TileProgram &program) { return program.states.size() + program.vectors.size(); }

/// Numbers of a state's scratch: of its elements, or of its decay or transition. States that are vectors come behind the others.
static int64_t scratchNumbers(const TileProgram &program, size_t s, bool decay) {
  if (s >= program.states.size()) {
    const VectorState &vector = program.vectors[s - program.states.size()];
    return decay && !vector.keyDecay ? 1 : vector.keys;
  }
  const TileState &state = program.states[s];
  return !decay ? state.keys * state.values : hasTransition(program, s) ? state.keys * state.keys : decayNumbers(state);
}

/// The same in a workspace, where everything begins at a multiple of 16 bytes.
static int64_t scratchBytes(const TileProgram &program, size_t s, bool decay) {
  return llvm::alignTo(4 * scratchNumbers(program, s, decay), 16);
}

int64_t rondo::cuda::segmentBytes(const TileProgram &program) {
  int64_t bytes = 0;
  for (size_t s = 0; s < segmentItems(program); ++s)
    bytes += scratchBytes(program, s, false) + scratchBytes(program, s, true);
  return bytes;
}

GlobalRows ChunkKernelEmitter::scratchOf(size_t s, bool decay, Value index) {
  GlobalRows rows;
  if (calling == Calling::Contiguous) {
    Value pointer = pointers[pointers.size() - 2 * segmentItems(program) + 2 * s + decay];
    rows.base = l.at(pointer, l.mul(index, l.wide(l.i32(4 * scratchNumbers(program, s, decay)))));
    return rows;
  }
  int64_t before = decay ? scratchBytes(program, s, false) : 0;
  for (size_t earlier = 0; earlier < s; ++earlier)
    before += scratchBytes(program, earlier, false) + scratchBytes(program, earlier, true);
  rows.base = l.at(workspace, l.add(l.mul(index, l.wide(l.i32(segmentBytes(program)))), l.wide(l.i32(before))));
  return rows;
}

void ChunkKernelEmitter::growTotal(int64_t state, int64_t entry, Value by) {
  if (part == Part::Ends && entry < static_cast<int64_t>(decayTotals[state].size())) // a transition has none
    decayTotals[state][entry] = l.mulf(decayTotals[state][entry], by);
}

/// All warps have the same decays of states, but for those along the value axis: the first one of the first block along that axis stores them.
void ChunkKernelEmitter::storeTotals() {
  Value first = l.less(l.add(l.add(valueStart, l.shl(warp, 5)), lane), l.i32(4));
  auto some = scf::IfOp::create(b, l.loc, first, /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(some.thenBlock());
    for (auto [s, totals] : llvm::enumerate(decayTotals)) {
      const TileState *state = s < program.states.size() ? &program.states[s] : nullptr;
      if (state ? static_cast<bool>(state->valueDecay)
                : static_cast<bool>(program.vectors[s - program.states.size()].keyDecay))
        continue;
      for (auto [i, total] : llvm::enumerate(totals)) {
        Value key = state && state->keyDecay ? l.add(l.shl(lane, 1), 8 * (i / 2) + i % 2) : l.i32(0);
        l.store(total, l.at(segmentDecays[s].base, l.wide(l.shl(key, 2))));
      }
    }
  }
  storeColumnTotals();
  storeVectorTotals();
}

/// Of vectors that decay along their keys each thread has some keys, in every block alike.
void ChunkKernelEmitter::storeVectorTotals() {
  for (auto [v, vector] : llvm::enumerate(program.vectors)) {
    if (!vector.keyDecay)
      continue;
    const size_t item = program.states.size() + v;
    for (auto [i, total] : llvm::enumerate(decayTotals[item])) {
      Value key = l.add(thread, i * plan.threads());
      Value mine = l.both(l.equal(valueStart, l.i32(0)), l.less(key, l.i32(vector.keys)));
      auto some = scf::IfOp::create(b, l.loc, mine, /*withElseRegion=*/false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(some.thenBlock());
      l.store(total, l.at(segmentDecays[item].base, l.wide(l.shl(key, 2))));
    }
  }
}

/// Decays along the value axis: each warp has its own columns, and the four lanes of a quad the same ones.
void ChunkKernelEmitter::storeColumnTotals() {
  if (llvm::none_of(program.states, [](const TileState &state) { return static_cast<bool>(state.valueDecay); }))
    return;
  auto some = scf::IfOp::create(b, l.loc, l.equal(l.bitAnd(lane, 3), l.i32(0)), /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(some.thenBlock());
  Value column = firstElement(/*ofTransition=*/false).first;
  for (auto [state, totals, rows] : llvm::zip(program.states, decayTotals, segmentDecays))
    for (size_t i = 0; state.valueDecay && i < totals.size(); ++i)
      l.store(totals[i], l.at(rows.base, l.wide(l.shl(l.add(column, 8 * i), 2))));
}

/// From segment to segment, for `start.size()` successive elements of a state, 1 or 4: what comes in and what is added become what the state
/// begins with. Each has a decay of its own, or all have the same one (`decays` is 1). What several segments add is asked for at once.
static SmallVector<Value> linkSegments(Lanes &l, ArrayRef<Value> start, Value segments, int64_t decays,
                                       llvm::function_ref<std::pair<Value, Value>(Value)> places) {
  constexpr int64_t kAtOnce = 4;
  OpBuilder &b = l.b;
  const int64_t width = static_cast<int64_t>(start.size());
  Type f32 = b.getF32Type();
  auto typeOf = [&](int64_t numbers) -> Type { return numbers == 1 ? f32 : VectorType::get(numbers, f32); };
  auto part = [&](Value of, int64_t e) { return isa<VectorType>(of.getType()) ? l.part(of, e) : of; };
  auto loop = scf::ForOp::create(b, l.loc, l.i32(0), segments, l.i32(kAtOnce), start);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> now(loop.getRegionIterArgs()), added, decay, at;
  for (int64_t i = 0; i < kAtOnce; ++i) {
    Value number = l.least(l.add(loop.getInductionVar(), i), l.sub(segments, l.i32(1)));
    auto [place, decayPlace] = places(number);
    at.push_back(place);
    added.push_back(l.load(typeOf(width), place));
    decay.push_back(l.load(typeOf(decays), decayPlace));
  }
  for (int64_t i = 0; i < kAtOnce; ++i) {
    Value inside = l.less(l.add(loop.getInductionVar(), i), segments);
    auto some = scf::IfOp::create(b, l.loc, inside, /*withElseRegion=*/false);
    {
      OpBuilder::InsertionGuard inner(b);
      b.setInsertionPointToStart(some.thenBlock());
      l.store(width == 1 ? now[0] : l.four(now), at[i]);
    }
    for (int64_t e = 0; e < width; ++e)
      now[e] = l.select(inside, l.fma(now[e], part(decay[i], e), part(added[i], e)), now[e]);
  }
  scf::YieldOp::create(b, l.loc, now);
  return SmallVector<Value>(loop.getResults());
}

/// Which of the numbers of its decay is an element's.
static Value decayOfElement(Lanes &l, const TileState &state, Value element) {
  if (!state.keyDecay && !state.valueDecay)
    return l.i32(0);
  const int64_t axis = state.keyDecay ? state.keyAxis : 1 - state.keyAxis;
  const int64_t inner = state.keyAxis == 0 ? state.values : state.keys; // the second axis
  return axis == 0 ? l.div(element, inner) : l.rem(element, inner);
}

/// Whether elements that lie beside each other have different decays.
static bool decaysAlongRows(const TileState &state) {
  return state.keyDecay ? state.keyAxis == 1 : state.valueDecay && state.keyAxis == 0;
}

KernelLaunch ChunkKernelEmitter::emitLink(unsigned state, StringRef name) {
  linked = state;
  Block *entry = makeFunction(name);
  b.setInsertionPointToStart(entry);
  thread = NVVM::ThreadIdXOp::create(b, l.loc, b.getI32Type());
  placeStrided(entry);
  placeOperands();
  bool isVector = state >= program.states.size();
  unsigned number = isVector ? program.vectors[state - program.states.size()].number : program.states[state].number;
  Value element = l.add(valueStart, l.mul(thread, kLinkElements));
  const bool eachKey = isVector && program.vectors[state - program.states.size()].keyDecay;
  Value decayElement = !isVector ? decayOfElement(l, program.states[state], element) : eachKey ? element : l.i32(0);
  Value inside = l.less(element, l.i32(scratchNumbers(program, state, false)));
  auto some = scf::IfOp::create(b, l.loc, inside, /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(some.thenBlock());
    Value bytes = l.wide(l.shl(element, 2)), decayBytes = l.wide(l.shl(decayElement, 2));
    size_t result = results.size() - inits.size() + number;
    SmallVector<Value> start; // one by one: where a caller's states lie is known to be a multiple of 4 bytes alone
    for (int64_t e = 0; e < kLinkElements; ++e)
      start.push_back(l.load(b.getF32Type(), l.at(inits[number].base, l.add(bytes, l.wide(l.i32(4 * e))))));
    const int64_t decays = (isVector ? eachKey : decaysAlongRows(program.states[state])) ? kLinkElements : 1;
    SmallVector<Value> last = linkSegments(l, start, segments, decays, [&](Value segmentNumber) {
      Value index = segmentAt(segmentNumber);
      return std::pair(l.at(scratchOf(state, false, index).base, bytes),
                       l.at(scratchOf(state, true, index).base, decayBytes));
    });
    for (int64_t e = 0; e < kLinkElements; ++e)
      l.store(last[e], l.at(results[result].base, l.add(bytes, l.wide(l.i32(4 * e)))));
  }
  emitReturn();
  return {name.str(), parts(), kLinkThreads, 0};
}

KernelLaunch rondo::cuda::emitStridedLink(const TileProgram &program, const TilePlan &plan, unsigned state,
                                          Operation *module, StringRef name) {
  ChunkKernelEmitter emitter(program, plan, module, Part::Link, Calling::Strided);
  return hasTransition(program, state) ? emitter.emitTransitionLink(state, name) : emitter.emitLink(state, name);
}

KernelLaunch rondo::cuda::emitLinkKernel(const TileProgram &program, unsigned index, gpu::GPUModuleOp module,
                                         StringRef name) {
  const TileState &state = program.states[index];
  int64_t elements = state.keys * state.values, numbers = decayNumbers(state);
  OpBuilder b(module.getContext());
  b.setInsertionPointToEnd(module.getBody());
  Location loc = const_cast<chunk::ScanOp &>(program.scan).getLoc();
  Lanes l(b, loc, b.getBF16Type());
  Type i32 = b.getI32Type(), f32 = b.getF32Type();
  SmallVector<Type> types(4, LLVM::LLVMPointerType::get(b.getContext(), 1));
  types.append(2, i32);
  auto function = gpu::GPUFuncOp::create(b, loc, name, b.getFunctionType(types, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), b.getUnitAttr());
  function->setAttr("known_block_size", b.getDenseI32ArrayAttr({kLinkThreads, 1, 1}));
  Block *entry = &function.getBody().front();
  b.setInsertionPointToStart(entry);
  Value thread = NVVM::ThreadIdXOp::create(b, loc, i32);
  Value element = l.add(l.mul(NVVM::BlockIdXOp::create(b, loc, i32), kLinkThreads), thread);
  Value head = NVVM::BlockIdYOp::create(b, loc, i32), batch = NVVM::BlockIdZOp::create(b, loc, i32);
  Value heads = entry->getArgument(4), segments = entry->getArgument(5);
  auto number = [&](Value pointer, Value row, int64_t perRow, Value at) {
    return l.at(pointer, l.mul(l.add(l.mul(l.wide(row), l.wide(l.i32(perRow))), l.wide(at)), l.wide(l.i32(4))));
  };
  Value key = decayOfElement(l, state, element);
  Value row = l.add(l.mul(batch, heads), head);
  Value start = l.load(f32, number(entry->getArgument(0), row, elements, element));
  Value last = linkSegments(l, start, segments, 1, [&](Value each) {
    Value here = l.add(l.mul(l.add(l.mul(batch, segments), each), heads), head);
    return std::pair(number(entry->getArgument(1), here, elements, element),
                     number(entry->getArgument(2), here, numbers, key));
  })[0];
  l.store(last, number(entry->getArgument(3), row, elements, element));
  gpu::ReturnOp::create(b, loc);
  return {name.str(), elements / kLinkThreads, kLinkThreads, 0};
}
