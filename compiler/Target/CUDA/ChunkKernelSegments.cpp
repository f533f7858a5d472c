// Segments of a long sequence: what each adds to the states and by what it decays them, and the kernel that links them. See
// ChunkKernel.h.
#include "compiler/Target/CUDA/ChunkKernelEmitter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

bool rondo::cuda::hasSegments(const TileProgram &program) { return program.solves.empty(); }

/// Numbers that a state's decay over a segment is, in one lane.
int64_t ChunkKernelEmitter::totalsOf(const TileState &state) const { return state.keyDecay ? state.keys / 4 : 1; }

/// Moves what goes along time to the segment's first step, and finds its scratch.
void ChunkKernelEmitter::placeSegment() {
  Value first = l.mul(segment, segmentSteps);
  for (GlobalRows &rows : inputs)
    rows.base = l.at(rows.base, l.mul(l.wide(first), rows.stride));
  for (GlobalRows &rows : results)
    rows.base = l.at(rows.base, l.mul(l.wide(first), rows.stride)); // of states: not used
  steps = l.least(segmentSteps, l.sub(steps, first));
  Value index = l.wide(l.add(l.mul(l.add(l.mul(batch, segments), segment), heads), head));
  ArrayRef<Value> scratch = ArrayRef<Value>(pointers).take_back(2 * program.states.size());
  for (auto [s, state] : llvm::enumerate(program.states)) {
    auto place = [&](Value pointer, int64_t numbers) {
      GlobalRows rows;
      rows.base = l.at(pointer, l.mul(index, l.wide(l.i32(4 * numbers))));
      return rows;
    };
    segmentStates.push_back(place(scratch[2 * s], state.keys * state.values));
    segmentDecays.push_back(place(scratch[2 * s + 1], state.keyDecay ? state.keys : 1));
    if (part == Part::Ends)
      decayTotals.emplace_back(totalsOf(state), l.f32(1));
  }
}

void ChunkKernelEmitter::growTotal(int64_t state, int64_t entry, Value by) {
  if (part == Part::Ends)
    decayTotals[state][entry] = l.mulf(decayTotals[state][entry], by);
}

/// All warps have the same decays: the first one of the first block along the value axis stores them.
void ChunkKernelEmitter::storeTotals() {
  Value first = l.less(l.add(l.add(valueStart, l.shl(warp, 5)), lane), l.i32(4));
  auto some = scf::IfOp::create(b, l.loc, first, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(some.thenBlock());
  for (auto [s, state] : llvm::enumerate(program.states))
    for (auto [i, total] : llvm::enumerate(decayTotals[s])) {
      Value key = state.keyDecay ? l.add(l.shl(lane, 1), 8 * (i / 2) + i % 2) : l.i32(0);
      l.store(total, l.at(segmentDecays[s].base, l.wide(l.shl(key, 2))));
    }
}

/// One thread per element of a state, from segment to segment.
KernelLaunch rondo::cuda::emitLinkKernel(const TileProgram &program, unsigned index, gpu::GPUModuleOp module,
                                         StringRef name) {
  constexpr int64_t threads = 256;
  const TileState &state = program.states[index];
  int64_t elements = state.keys * state.values, numbers = state.keyDecay ? state.keys : 1;
  OpBuilder b(module.getContext());
  b.setInsertionPointToEnd(module.getBody());
  Location loc = const_cast<chunk::ScanOp &>(program.scan).getLoc();
  Lanes l(b, loc, b.getBF16Type());
  Type i32 = b.getI32Type(), f32 = b.getF32Type();
  SmallVector<Type> types(4, LLVM::LLVMPointerType::get(b.getContext(), 1));
  types.append(2, i32);
  auto function = gpu::GPUFuncOp::create(b, loc, name, b.getFunctionType(types, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), b.getUnitAttr());
  function->setAttr("known_block_size", b.getDenseI32ArrayAttr({threads, 1, 1}));
  Block *entry = &function.getBody().front();
  b.setInsertionPointToStart(entry);
  Value thread = NVVM::ThreadIdXOp::create(b, loc, i32);
  Value element = l.add(l.mul(NVVM::BlockIdXOp::create(b, loc, i32), threads), thread);
  Value head = NVVM::BlockIdYOp::create(b, loc, i32), batch = NVVM::BlockIdZOp::create(b, loc, i32);
  Value heads = entry->getArgument(4), segments = entry->getArgument(5);
  auto number = [&](Value pointer, Value row, int64_t perRow, Value at) {
    return l.at(pointer, l.mul(l.add(l.mul(l.wide(row), l.wide(l.i32(perRow))), l.wide(at)), l.wide(l.i32(4))));
  };
  Value key = numbers == 1 ? l.i32(0) : state.keyAxis == 0 ? l.div(element, state.values) : l.rem(element, state.keys);
  Value row = l.add(l.mul(batch, heads), head);
  Value start = l.load(f32, number(entry->getArgument(0), row, elements, element));
  auto loop = scf::ForOp::create(b, loc, l.i32(0), segments, l.i32(1), ValueRange{start});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value here = l.add(l.mul(l.add(l.mul(batch, segments), loop.getInductionVar()), heads), head);
    Value place = number(entry->getArgument(1), here, elements, element), now = loop.getRegionIterArgs()[0];
    Value added = l.load(f32, place), decay = l.load(f32, number(entry->getArgument(2), here, numbers, key));
    l.store(now, place);
    scf::YieldOp::create(b, loc, ValueRange{l.fma(now, decay, added)});
  }
  l.store(loop.getResult(0), number(entry->getArgument(3), row, elements, element));
  gpu::ReturnOp::create(b, loc);
  return {name.str(), elements / threads, threads, 0};
}
