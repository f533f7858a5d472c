// Weights on chip, the exchange of vectors, and their products. See CellKernel.h.
//
// A matrix instruction has 16 rows of weights (units of one product), 8 columns (rows of the batch), and sums over 16. In which order
// elements are summed is free, as long as both operands agree: of each 32, a lane takes eight neighbours (16 bytes) of its column,
// which are its operands of two instructions.
#include "compiler/Target/CUDA/CellKernel.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

/// Bytes of a group of 32 elements of the eight rows.
static constexpr int64_t kGroupBytes = CellPlan::groupWidth * CellPlan::rows * 2;
/// Of vectors: groups that are on their way to a warp, four registers each, and those that are waited for together.
static constexpr int64_t kGroupsOnTheWay = 12, kGroupsAwaited = 4;

static LLVM::InlineAsmOp inlineAsm(OpBuilder &b, Location loc, TypeRange results, ValueRange operands, StringRef text,
                                   StringRef constraints) {
  return LLVM::InlineAsmOp::create(b, loc, results, operands, text, constraints, /*has_side_effects=*/true,
                                   /*is_align_stack=*/false, LLVM::TailCallKind::None, LLVM::AsmDialectAttr(),
                                   ArrayAttr());
}

/// Where the weights of a tile of this warp lie: which product it is of depends on the warp.
CellKernel::Weights CellKernel::weightsOf(const CellJob &job, Value tile) {
  int64_t perProduct = plan.blockUnits / 16;
  Value number = l.add(l.mul(l.div(warp, job.cuts), job.warpTiles), tile), product = l.div(number, perProduct);
  auto of = [&](const CellProduct &product) -> Weights {
    const Operand &param = params[product.param];
    Value one = index(1), all = index(plan.units);
    return {param.memref, param.base, product.transposed ? one : all, product.transposed ? all : one, {}};
  };
  Weights result = of(job.products.front());
  for (size_t i = 1; i < job.products.size(); ++i) {
    Weights other = of(job.products[i]);
    Value is = l.equal(product, l.i32(i));
    auto choose = [&](Value &mine, Value theirs) { mine = arith::SelectOp::create(b, loc, is, theirs, mine); };
    choose(result.memref, other.memref);
    choose(result.base, other.base);
    choose(result.rowStride, other.rowStride);
    choose(result.columnStride, other.columnStride);
  }
  result.tile = l.rem(number, perProduct);
  return result;
}

/// The four registers of one instruction's weights: rows g and g + 8, two times two of a lane's eight columns.
CellKernel::Values CellKernel::loadFragment(const CellJob &job, Value number) {
  Value half = l.bitAnd(number, 1), groupInWarp = l.rem(l.shr(number, 1), job.warpGroups);
  Weights from = weightsOf(job, l.div(number, 2 * job.warpGroups));
  Value unit = l.add(l.mul(blockInTask, plan.blockUnits), l.add(l.mul(from.tile, 16), l.shr(lane, 2)));
  Value group = l.add(l.mul(l.rem(warp, job.cuts), job.warpGroups), groupInWarp);
  Value column = l.add(l.mul(group, CellPlan::groupWidth), l.add(l.mul(l.bitAnd(lane, 3), 8), l.shl(half, 2)));
  bool whole = plan.paddedUnits == plan.units && job.warpGroups * job.cuts == plan.groups();
  auto bits = [&](Value row, Value at) -> Value {
    Value valid;
    if (!whole) {
      valid = l.both(l.less(row, l.i32(plan.units)), l.less(at, l.i32(plan.units)));
      row = l.least(row, l.i32(plan.units - 1));
      at = l.least(at, l.i32(plan.units - 1));
    }
    Value place = arith::AddIOp::create(b, loc, from.base, arith::MulIOp::create(b, loc, toIndex(row), from.rowStride));
    place = arith::AddIOp::create(b, loc, place, arith::MulIOp::create(b, loc, toIndex(at), from.columnStride));
    Value value = memref::LoadOp::create(b, loc, from.memref, place);
    value = arith::ExtUIOp::create(b, loc, b.getI32Type(), arith::BitcastOp::create(b, loc, b.getI16Type(), value));
    return valid ? l.select(valid, value, l.i32(0)) : value;
  };
  Values registers;
  for (int64_t i = 0; i < 4; ++i) {
    Value row = l.add(unit, i % 2 * 8), at = l.add(column, i / 2 * 2);
    registers.push_back(arith::OrIOp::create(b, loc, bits(row, at), l.shl(bits(row, l.add(at, 1)), 16)));
  }
  return registers;
}

/// Fragments `from` to `to` of a lane, to shared memory from `offset` on.
void CellKernel::stageFragments(const CellJob &job, int64_t from, int64_t to, int64_t offset) {
  auto loop = scf::ForOp::create(b, loc, l.i32(from), l.i32(to), l.i32(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value packed = LLVM::PoisonOp::create(b, loc, VectorType::get(4, b.getI32Type()));
  for (auto [i, word] : llvm::enumerate(loadFragment(job, loop.getInductionVar())))
    packed = LLVM::InsertElementOp::create(b, loc, packed, word, l.i32(i));
  Value place = l.mul(l.sub(loop.getInductionVar(), l.i32(from)), plan.threads() * 16);
  l.storeShared(packed, l.add(place, l.mul(thread, 16)), offset);
}

/// What a lane has lies in shared memory where the lane put it. What it keeps in registers goes by the same way, so that this is a loop
/// and not thousands of instructions.
void CellKernel::loadWeights() {
  weights.clear();
  int64_t most = plan.sharedBytes / (plan.threads() * 16);
  l.barrier(); // a task before this one is done with shared memory
  for (CellPhase &phase : plan.phases)
    for (CellJob &job : phase.jobs)
      for (int64_t from = 0; from < job.keptFragments; from += most) {
        int64_t to = std::min(from + most, job.keptFragments);
        stageFragments(job, from, to, 0);
        for (int64_t i = from; i < to; ++i)
          weights[&job].push_back(loadStaged((i - from) * plan.threads() * 16));
      }
  l.barrier();
  if (plan.cluster)
    openBarriers();
  for (CellPhase &phase : plan.phases)
    for (CellJob &job : phase.jobs)
      if (job.keptFragments < job.fragments())
        stageFragments(job, job.keptFragments, job.fragments(), job.weightOffset);
}

CellKernel::Values CellKernel::loadStaged(int64_t offset) {
  Value words = l.loadShared(VectorType::get(4, b.getI32Type()), l.mul(thread, 16), offset);
  return {l.part(words, 0), l.part(words, 1), l.part(words, 2), l.part(words, 3)};
}

/// i64: where step `number`'s vector lies in global memory.
Value CellKernel::bufferAt(const CellJob &job, Value number) {
  Value offset = l.add(l.mul(l.bitAnd(number, CellPlan::buffers - 1), plan.vectorBytes()), job.exchangeOffset);
  return l.add(exchange, l.wide(offset));
}

void CellKernel::publish(const CellJob &job, Value number, ArrayRef<Value> values) {
  for (auto [slot, value] : llvm::zip(slots, values)) {
    // Neighbouring units are eight threads apart; the even one writes both.
    Value mine = value;
    if (plan.paddedUnits > plan.units && slot.valid)
      mine = l.select(slot.valid, value, l.f32(0));
    Value exists;
    if (slot.valid && plan.elements() % plan.threads() && plan.elements() > plan.threads())
      exists = l.less(l.add(thread, (&slot - slots.data()) * plan.threads()), l.i32(plan.elements()));
    if (plan.cluster) {
      publishInCluster(job, number, slot, mine, exists);
      continue;
    }
    Value word = l.pack(mine, l.exchange(mine, 8));
    Value inBlock = l.shr(slot.element, 3);
    Value offset = offsetOf(slot, inBlock);
    Value writes = l.equal(l.bitAnd(inBlock, 1), l.i32(0));
    if (exists)
      writes = l.both(writes, exists);
    ifTrue(writes, [&] {
      if (plan.local())
        return l.storeShared(word, l.add(offset, job.exchangeOffset));
      storeWord(job, number, offset, word);
      if (!plan.sparesThreads())
        storeWord(job, l.add(number, 2), offset, l.i32(-1));
    });
  }
}

void CellKernel::storeWord(const CellJob &job, Value number, Value offset, Value word) {
  Value at = l.add(bufferAt(job, number), l.wide(offset));
  inlineAsm(b, loc, {}, {at, word}, "st.relaxed.gpu.global.b32 [$0], $1;", "l,r,~{memory}");
}

/// What is published next in the buffers behind step `number`'s, by threads that own nothing while the others compute: they wait for the fence.
/// The barrier behind the next products lies between it and that publication.
void CellKernel::emptyBuffers(ArrayRef<CellJob> jobs, Value number) {
  if (!plan.sparesThreads())
    return;
  const Slot &slot = slots.front();
  Value inBlock = l.shr(slot.element, 3);
  Value mine = l.both(l.equal(l.bitAnd(inBlock, 1), l.i32(0)), l.less(thread, l.i32(2 * plan.elements())));
  ifTrue(mine, [&] {
    Value offset = offsetOf(slot, inBlock);
    for (const CellJob &job : jobs)
      storeWord(job, l.add(number, 2), offset, l.i32(-1));
    inlineAsm(b, loc, {}, {}, "fence.acq_rel.gpu;", "~{memory}");
  });
}

/// i32, bytes: where unit `inBlock` of this block lies in a vector.
Value CellKernel::offsetOf(const Slot &slot, Value inBlock) {
  Value rowInTask = l.bitAnd(slot.element, CellPlan::rows - 1);
  Value unit = l.add(l.mul(blockInTask, plan.blockUnits), inBlock);
  return l.add(l.mul(l.shr(unit, 5), kGroupBytes), l.add(l.mul(rowInTask, 64), l.mul(l.bitAnd(unit, 31), 2)));
}

/// Where step `number`'s vector lies in shared memory: a block of a cluster may be a step ahead of another.
static Value localOffset(Lanes &l, const CellPlan &plan, const CellJob &job, Value number) {
  Value base = l.i32(job.exchangeOffset);
  return plan.cluster ? l.add(base, l.mul(l.bitAnd(number, 1), plan.vectorBytes())) : base;
}

/// A warp has four units of each row, whose eight bytes go to every block of the cluster, and are counted there as they come. The four lanes of
/// a row share out the blocks.
void CellKernel::publishInCluster(const CellJob &job, Value number, const Slot &slot, Value value, Value writes) {
  auto inOrder = [&](Value mine, int64_t bit, function_ref<Value(Value, Value)> body) {
    Value other = l.exchange(mine, bit), isFirst = l.equal(l.bitAnd(lane, bit), l.i32(0));
    return body(l.select(isFirst, mine, other), l.select(isFirst, other, mine));
  };
  Value word = inOrder(value, 8, [&](Value low, Value high) { return l.pack(low, high); });
  Value offset = offsetOf(slot, l.bitAnd(l.shr(slot.element, 3), ~int64_t(3) & 0xffffffff));
  offset = l.add(offset, localOffset(l, plan, job, number));
  Value barrier = barrierAt(job.phase, number);
  inOrder(word, 16, [&](Value low, Value high) {
    for (auto [i, there] : llvm::enumerate(others)) {
      Value exists = l.less(l.add(l.shr(lane, 3), 4 * i), l.i32(plan.blocks));
      if (writes)
        exists = l.both(exists, writes);
      auto send = [&, there = there] {
        inlineAsm(b, loc, {}, {l.add(there, offset), low, high, l.add(there, barrier)},
                  "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [$0], {$1, $2}, [$3];",
                  "r,r,r,r,~{memory}");
      };
      if (writes || plan.blocks < 4)
        ifTrue(exists, send);
      else
        send();
    }
    return Value();
  });
}

/// i32: the barrier of a phase in step `number`, as an offset.
Value CellKernel::barrierAt(size_t phase, Value number) {
  return l.add(l.shl(l.bitAnd(number, 1), 3), plan.barrierOffset + 16 * static_cast<int64_t>(phase));
}

static Value sharedAddress(OpBuilder &b, Location loc, Value pointer) {
  return LLVM::PtrToIntOp::create(b, loc, b.getI32Type(), pointer);
}

/// The next vectors that come to this block are counted by `barrier`: one arrival, and their bytes.
void CellKernel::expectPublished(size_t phase, Value barrier) {
  Value bytes = l.i32(plan.phaseBytes(plan.phases[phase]));
  inlineAsm(b, loc, {}, {barrier, bytes}, "mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;", "r,r,~{memory}");
}

/// Every block's barriers are there before another one sends anything.
void CellKernel::openBarriers() {
  Value mine = sharedAddress(b, loc, arguments->sharedPointer());
  ifTrue(l.equal(thread, l.i32(0)), [&] {
    for (size_t phase = 0; phase < plan.phases.size(); ++phase)
      for (int64_t turn : {0, 1}) {
        Value barrier = l.add(mine, barrierAt(phase, l.i32(turn)));
        inlineAsm(b, loc, {}, {barrier}, "mbarrier.init.shared::cta.b64 [$0], 1;", "r,~{memory}");
        expectPublished(phase, barrier);
      }
    inlineAsm(b, loc, {}, {}, "fence.mbarrier_init.release.cluster;", "~{memory}");
  });
  inlineAsm(b, loc, {}, {}, "barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;", "~{memory}");
  others.clear();
  for (int64_t first = 0; first < plan.blocks; first += 4) {
    Value rank = l.least(l.add(l.shr(lane, 3), first), l.i32(plan.blocks - 1));
    others.push_back(
        inlineAsm(b, loc, b.getI32Type(), {mine, rank}, "mapa.shared::cluster.u32 $0, $1, $2;", "=r,r,r").getResult(0));
  }
}

/// Of a cluster: a barrier's phases end when all bytes have come; steps take two barriers by turns. A block sends a step's vector when it has
/// read the one before, so that two buffers, and two barriers, are enough. Bytes and barrier lie in this block's own memory, so that the wait
/// needs no wider scope, as after a bulk copy: with acquire.cluster every warp emptied its L1 cache in every step.
void CellKernel::awaitPublished(size_t phase, Value number) {
  if (!plan.local())
    return;
  if (!plan.cluster)
    return l.barrier();
  Value barrier = l.add(sharedAddress(b, loc, arguments->sharedPointer()), barrierAt(phase, number));
  Value parity = l.bitAnd(l.shr(number, 1), 1);
  inlineAsm(b, loc, {}, {barrier, parity},
            "{\n.reg .pred come;\nagain${:uid}:\nmbarrier.try_wait.parity.shared::cta.b64 come, [$0], $1;\n"
            "@!come bra again${:uid};\n}",
            "r,r,~{memory}");
  ifTrue(l.equal(thread, l.i32(0)), [&] { expectPublished(phase, barrier); });
}

void CellKernel::orderPublications() {
  if (!plan.local() && !plan.sparesThreads())
    inlineAsm(b, loc, {}, {}, "fence.acq_rel.gpu;", "~{memory}");
}

/// Four words from each place in shared memory.
CellKernel::Values CellKernel::loadShared(ArrayRef<Group> groups) {
  Values words;
  for (const Group &group : groups) {
    Value four = l.loadShared(VectorType::get(4, b.getI32Type()), group.base, group.offset);
    for (int64_t i = 0; i < 4; ++i)
      words.push_back(l.part(four, i));
  }
  return words;
}

/// Four words from each address, as they are now.
CellKernel::Values CellKernel::loadWords(ArrayRef<Group> groups) {
  Values words;
  Type four = LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(4, b.getI32Type()));
  for (const Group &group : groups) {
    std::string text = "ld.relaxed.gpu.global.v4.b32 {$0, $1, $2, $3}, [$4+" + std::to_string(group.offset) + "];";
    Value loaded = inlineAsm(b, loc, four, group.base, text, "=r,=r,=r,=r,l,~{memory}").getResult(0);
    for (int64_t i = 0; i < 4; ++i)
      words.push_back(LLVM::ExtractValueOp::create(b, loc, loaded, i));
  }
  return words;
}

/// Waits until none of the first `count` groups' words is empty. While one is, all groups' are read again, since others come with it.
void CellKernel::awaitGroups(size_t count, ArrayRef<Group> groups, MutableArrayRef<Value> words) {
  size_t all = groups.size();
  auto reg = [](size_t i) { return "$" + std::to_string(i); };
  std::string text = "{\n.reg .pred some;\n.reg .b32 most;\nagain${:uid}:\nmax.u32 most, $0, $1;\n", constraints;
  for (size_t w = 2; w < 4 * count; ++w)
    text += "max.u32 most, most, " + reg(w) + ";\n";
  text += "setp.eq.u32 some, most, 0xffffffff;\nvote.sync.any.pred some, some, 0xffffffff;\n@!some bra come${:uid};\n";
  for (size_t i = 0; i < 4 * all; ++i)
    constraints += "=&r,";
  for (size_t i = 0; i < 4 * all; ++i)
    constraints += std::to_string(i) + ",";
  Values operands(words.take_front(4 * all)), bases;
  for (auto [i, group] : llvm::enumerate(groups)) {
    if (!llvm::is_contained(bases, group.base)) {
      bases.push_back(group.base);
      constraints += "l,";
    }
    size_t base = llvm::find(bases, group.base) - bases.begin();
    text += "ld.relaxed.gpu.global.v4.b32 {" + reg(4 * i) + ", " + reg(4 * i + 1) + ", " + reg(4 * i + 2) + ", " +
            reg(4 * i + 3) + "}, [" + reg(8 * all + base) + "+" + std::to_string(group.offset) + "];\n";
  }
  text += "bra again${:uid};\ncome${:uid}:\n}";
  operands.append(bases);
  Type loadedType = LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(4 * all, b.getI32Type()));
  Value loaded = inlineAsm(b, loc, loadedType, operands, text, constraints + "~{memory}").getResult(0);
  for (size_t i = 0; i < 4 * all; ++i)
    words[i] = LLVM::ExtractValueOp::create(b, loc, loaded, i);
}

/// Where a warp's groups of a vector lie: in shared memory, or (i64) in global memory.
SmallVector<CellKernel::Group> CellKernel::groupsOf(const CellJob &job, Value number) {
  int64_t buffer = plan.local() && !plan.cluster ? 0 : plan.vectorBytes();
  Value turn = l.mul(l.bitAnd(number, plan.local() ? 1 : CellPlan::buffers - 1), buffer);
  Value first = l.mul(l.rem(warp, job.cuts), job.warpGroups), own = l.add(turn, l.mul(lane, 16));
  auto place = [&](Value group) {
    Value offset = l.add(own, l.mul(group, kGroupBytes));
    return plan.local() ? offset : l.add(exchange, l.wide(offset));
  };
  SmallVector<Group> groups;
  if (job.warpGroups * job.cuts > plan.groups()) { // the weights of those behind the last are zeros
    for (int64_t i = 0; i < job.warpGroups; ++i)
      groups.push_back({place(l.least(l.add(first, i), l.i32(plan.groups() - 1))), job.exchangeOffset});
    return groups;
  }
  Value base = place(first);
  for (int64_t i = 0; i < job.warpGroups; ++i)
    groups.push_back({base, job.exchangeOffset + i * kGroupBytes});
  return groups;
}

/// The products of a phase. As many groups of vectors as registers hold are on their way, a few at a time multiplied when they have come.
void CellKernel::multiplyAll(CellPhase &phase, Value number) {
  struct Part {
    CellJob *job;
    int64_t first, count;
  };
  SmallVector<Part> parts;
  SmallVector<Group> groups;
  Values words;
  for (CellJob &job : phase.jobs) {
    for (int64_t first = 0; first < job.warpGroups; first += kGroupsAwaited)
      parts.push_back({&job, first, std::min(kGroupsAwaited, job.warpGroups - first)});
    SmallVector<Group> mine = groupsOf(job, number);
    if (!groups.empty() && job.warpGroups * job.cuts <= plan.groups() && phase.jobs.front().cuts == job.cuts)
      for (Group &group : mine) // the same but for what is known beforehand
        group.base = groups.front().base;
    groups.append(mine);
  }
  SmallVector<Accumulator> sums;
  size_t at = 0; // groups that are done with
  for (const Part &part : parts) {
    CellJob &job = *part.job;
    size_t ahead = std::min<size_t>(at + kGroupsOnTheWay, groups.size());
    ArrayRef<Group> more = ArrayRef<Group>(groups).slice(words.size() / 4, ahead - words.size() / 4);
    words.append(plan.local() ? loadShared(more) : loadWords(more));
    if (!plan.local())
      awaitGroups(part.count, ArrayRef<Group>(groups).slice(at, ahead - at),
                  MutableArrayRef<Value>(words).drop_front(4 * at));
    if (!part.first && (!phase.summed || part.job == phase.jobs.begin()))
      sums.assign(job.warpTiles, l.zeros());
    for (int64_t i = 0; i < part.count; ++i, ++at)
      multiply(job, part.first + i, ArrayRef<Value>(words).slice(4 * at, 4), sums);
    if (part.first + part.count == job.warpGroups && (!phase.summed || part.job == &phase.jobs.back()))
      storePartial(job, sums, number);
  }
}

Value CellKernel::partialBase(const CellJob &job, Value number) {
  int64_t bytes = job.cuts * job.tiles * 16 * CellPlan::rows * 4;
  return plan.sumBuffers() == 1 ? l.i32(job.partialOffset)
                                : l.add(l.mul(l.bitAnd(number, 1), bytes), job.partialOffset);
}

/// This warp's rows of the products: what one group adds to their sums.
void CellKernel::multiply(const CellJob &job, int64_t group, ArrayRef<Value> words, MutableArrayRef<Accumulator> sums) {
  for (int64_t half : {0, 1})
    for (int64_t tile = 0; tile < job.warpTiles; ++tile) {
      int64_t which = (tile * job.warpGroups + group) * 2 + half;
      Values fragment;
      if (which < job.keptFragments)
        fragment = weights[&job][which];
      else
        fragment = loadStaged(job.weightOffset + (which - job.keptFragments) * plan.threads() * 16);
      sums[tile] = l.multiply(fragment, words.slice(2 * half, 2), sums[tile]);
    }
}

void CellKernel::storePartial(const CellJob &job, ArrayRef<Accumulator> sums, Value number) {
  Value cut = l.rem(warp, job.cuts), part = l.div(warp, job.cuts);
  Value firstTile = l.add(l.mul(cut, job.tiles), l.mul(part, job.warpTiles));
  Value at = l.add(partialBase(job, number), l.add(l.mul(firstTile, 16 * CellPlan::rows * 4), l.mul(lane, 8)));
  for (int64_t tile = 0; tile < job.warpTiles; ++tile)
    for (int64_t half : {0, 1})
      l.storeShared(l.pair(sums[tile][2 * half], sums[tile][2 * half + 1]), at,
                    (2 * tile + half) * 8 * CellPlan::rows * 4);
}

CellKernel::Values CellKernel::readSums(const CellJob &job, Value number) {
  const CellPhase &phase = plan.phases[job.phase];
  if (phase.summed && &job != phase.jobs.begin())
    return Values(slots.size(), l.f32(0));
  Values sums;
  Value base = partialBase(job, number);
  int64_t perProduct = plan.blockUnits * CellPlan::rows * 4, perCut = job.tiles * 16 * CellPlan::rows * 4;
  for (size_t product = 0; product < job.products.size(); ++product)
    for (const Slot &slot : slots) {
      Value at = l.add(base, l.mul(slot.element, 4)), sum;
      for (int64_t cut = 0; cut < job.cuts; ++cut) {
        Value part = l.loadShared(b.getF32Type(), at, product * perProduct + cut * perCut);
        sum = sum ? l.addf(sum, part) : part;
      }
      sums.push_back(sum);
    }
  return sums;
}
