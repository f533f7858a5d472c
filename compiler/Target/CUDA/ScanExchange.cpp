// What goes from tile to tile: parts and states in the workspace. See ScanKernel.h.
//
// A word is all ones until its owner has written it, so that a reader polls the data itself; no number that is published looks like that.
#include "compiler/Target/CPU/ValueTiles.h"
#include "compiler/Target/CUDA/ScanKernel.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

/// Tiles whose part of the workspace one block empties.
static constexpr int64_t kClearTiles = 16;
/// A number that is none, instead of one whose bits are all ones.
static constexpr int64_t kNotANumber = 0x7fffffff;

static LLVM::InlineAsmOp inlineAsm(OpBuilder &b, Location loc, TypeRange results, ValueRange operands, StringRef text,
                                   StringRef constraints) {
  return LLVM::InlineAsmOp::create(b, loc, results, operands, text, constraints, /*has_side_effects=*/true,
                                   /*is_align_stack=*/false, LLVM::TailCallKind::None, LLVM::AsmDialectAttr(),
                                   ArrayAttr());
}

/// Words that go at once: four, or two, or one.
static SmallVector<int64_t> piecesOf(int64_t words) {
  SmallVector<int64_t> pieces;
  for (; words > 0; words -= pieces.back())
    pieces.push_back(words >= 4 ? 4 : words >= 2 ? 2 : 1);
  return pieces;
}

int64_t ScanKernel::padded(int64_t words) { return words <= 2 ? words : (words + 3) / 4 * 4; }

int64_t ScanKernel::totalOffset() const {
  return partsOffset + plan.threads / 32 * plan.lanes * 4 * padded(partWords());
}
int64_t ScanKernel::earlierOffset() const { return totalOffset() + plan.lanes * 4 * padded(partWords()); }
int64_t ScanKernel::statesOffset() const {
  return earlierOffset() + (plan.group - 1) * plan.lanes * 4 * padded(partWords());
}
int64_t ScanKernel::sharedBytes() const { return statesOffset() + plan.lanes * 4 * padded(stateWords()); }
int64_t ScanKernel::tileBytes() const {
  return (4 * plan.lanes * (padded(partWords()) + padded(stateWords())) + 15) / 16 * 16;
}

Launch ScanKernel::emitClear(ModuleOp module, StringRef symbol) {
  openKernel(module, symbol);
  launch.threads = plan.threads;
  launch.timeBlock = kClearTiles * plan.steps();
  launch.scratchBytes = kClearTiles * tileBytes();
  Value block = NVVM::BlockIdXOp::create(b, loc, b.getI32Type());
  Value begin = l.add(workspace, l.mul(l.wide(block), l.wide(l.i32(launch.scratchBytes))));
  auto loop = scf::ForOp::create(b, loc, toIndex(thread), index(launch.scratchBytes / 16), index(plan.threads));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value at = arith::IndexCastOp::create(b, loc, b.getI64Type(), mul(loop.getInductionVar(), index(16)));
    Value ones = l.i32(-1);
    inlineAsm(b, loc, {}, ValueRange{l.add(begin, at), ones, ones, ones, ones},
              "st.global.v4.b32 [$0], {$1, $2, $3, $4};", "l,r,r,r,r,~{memory}");
  }
  func::ReturnOp::create(b, loc);
  return std::move(launch);
}

/// This thread's words of a tile: of its parts, or of a state.
Value ScanKernel::exchangeAt(Value tileNumber, bool state) {
  int64_t before = state ? 4 * plan.lanes * padded(partWords()) : 0;
  Value of = arith::IndexCastOp::create(b, loc, b.getI64Type(), mul(tileNumber, index(tileBytes())));
  Value mine = l.wide(l.add(l.mul(lane, 4 * padded(state ? stateWords() : partWords())), before));
  return l.add(l.add(workspace, of), mine);
}

void ScanKernel::publish(const Values &values, Value address) {
  Values words;
  for (Value value : values) {
    Value bits = arith::BitcastOp::create(b, loc, b.getI32Type(), value);
    words.push_back(l.select(l.equal(bits, l.i32(-1)), l.i32(kNotANumber), bits));
  }
  size_t next = 0;
  for (int64_t piece : piecesOf(words.size())) {
    Values operands{l.add(address, l.wide(l.i32(4 * next)))};
    std::string text = piece == 1 ? "st.relaxed.gpu.global.b32 [$0], "
                                  : "st.relaxed.gpu.global.v" + std::to_string(piece) + ".b32 [$0], {";
    std::string constraints = "l";
    for (int64_t i = 0; i < piece; ++i) {
      operands.push_back(words[next++]);
      text += (i ? ", $" : "$") + std::to_string(i + 1);
      constraints += ",r";
    }
    inlineAsm(b, loc, {}, operands, text + (piece == 1 ? ";" : "};"), constraints + ",~{memory}");
  }
}

/// Waits until `words` words have been written. What has come is not read again.
ScanKernel::Values ScanKernel::poll(Value address, int64_t words) {
  Values from;
  std::string text = "{\n.reg .pred some;\n", again, constraints;
  int64_t next = 0;
  for (int64_t piece : piecesOf(words)) {
    std::string p = "p" + std::to_string(from.size()), load = "ld.relaxed.gpu.global.", registers, test;
    from.push_back(l.add(address, l.wide(l.i32(4 * next))));
    for (int64_t i = 0; i < piece; ++i, ++next) {
      std::string word = "$" + std::to_string(next);
      registers += (i ? ", " : "") + word;
      test += i ? "setp.eq.or.u32 " + p + ", " + word + ", 0xffffffff, " + p + ";\n"
                : "setp.eq.u32 " + p + ", " + word + ", 0xffffffff;\n";
    }
    load += (piece == 1 ? "b32 " + registers : "v" + std::to_string(piece) + ".b32 {" + registers + "}") + ", [$" +
            std::to_string(words + from.size() - 1) + "];\n";
    text += ".reg .pred " + p + ";\n" + load;
    again += test + "@" + p + " " + load;
  }
  text += "again${:uid}:\n" + again + "mov.pred some, p0;\n";
  for (size_t i = 1; i < from.size(); ++i)
    text += "or.pred some, some, p" + std::to_string(i) + ";\n";
  text += "@some bra again${:uid};\n}";
  for (int64_t i = 0; i < words; ++i)
    constraints += "=&r,";
  for (size_t i = 0; i < from.size(); ++i)
    constraints += "l,";
  SmallVector<Type> types(words, b.getI32Type());
  Type all = words == 1 ? Type(b.getI32Type()) : LLVM::LLVMStructType::getLiteral(b.getContext(), types);
  Value got = inlineAsm(b, loc, all, from, text, constraints + "~{memory}").getResult(0);
  Values values;
  for (int64_t i = 0; i < words; ++i) {
    Value word = words == 1 ? got : LLVM::ExtractValueOp::create(b, loc, got, i).getResult();
    values.push_back(arith::BitcastOp::create(b, loc, b.getF32Type(), word));
  }
  return values;
}

/// The sum of what `count` neighbouring channels have, of which this thread has `values`, in a tree whose shape is fixed.
Value ScanKernel::addNeighbours(const Values &values, int64_t count) {
  Value sum = values.front();
  for (Value value : llvm::drop_begin(values))
    sum = arith::AddFOp::create(b, loc, sum, value);
  for (int64_t by = count / plan.vector / 2; by > 0; by /= 2)
    sum = arith::AddFOp::create(b, loc, sum, l.exchange(sum, by));
  return sum;
}

/// Whether the thread's channels are the first of `count` neighbours.
Value ScanKernel::isFirstOf(int64_t count) { return l.less(l.bitAnd(lane, count / plan.vector - 1), l.i32(1)); }

ScanKernel::Values ScanKernel::initialStates() {
  Values states(stateWords());
  for (auto [e, element] : llvm::enumerate(plan.states)) {
    const Operand &init = inits[element.number];
    Value raw = loadAt(init, inputs.size() + params.size() + element.number, element, Value());
    for (int64_t u = 0; u < plan.vector; ++u) {
      Value one = isa<VectorType>(raw.getType()) ? l.part(raw, u) : raw;
      states[stateNumber(e, u)] = ops.widen(one);
    }
  }
  return states;
}

ScanKernel::Values ScanKernel::loadShared(int64_t count, Value offset) {
  Values values;
  for (int64_t piece : piecesOf(count)) {
    int64_t at = 4 * static_cast<int64_t>(values.size());
    if (piece == 1) {
      values.push_back(l.loadShared(b.getF32Type(), offset, at));
      continue;
    }
    Value all = l.loadShared(VectorType::get(piece, b.getF32Type()), offset, at);
    for (int64_t i = 0; i < piece; ++i)
      values.push_back(l.part(all, i));
  }
  return values;
}

void ScanKernel::storeShared(const Values &values, Value offset) {
  size_t next = 0;
  for (int64_t piece : piecesOf(values.size())) {
    int64_t at = 4 * static_cast<int64_t>(next);
    if (piece == 1) {
      l.storeShared(values[next++], offset, at);
      continue;
    }
    Value all = LLVM::PoisonOp::create(b, loc, VectorType::get(piece, b.getF32Type()));
    for (int64_t i = 0; i < piece; ++i)
      all = LLVM::InsertElementOp::create(b, loc, all, values[next++], l.i32(i));
    l.storeShared(all, offset, at);
  }
}

/// The first team finds out what the tile makes of any state, and the state that it begins with. Each warp waits for one of the tiles before,
/// the last one for the state that the group begins with.
void ScanKernel::foldTiles() {
  int64_t perWarp = 4 * plan.lanes * padded(partWords());
  Value mine = l.mul(lane, 4 * padded(partWords())), isFirst = l.less(thread, l.i32(plan.lanes));
  Value position = arith::RemUIOp::create(b, loc, tile, index(plan.group));
  Value groupBegin = sub(number, mul(position, between)); // the number of the group's first tile
  l.barrier();
  ifTrue(isFirst, [&] {
    Value at = l.add(mine, partsOffset);
    Values total = loadShared(partWords(), at);
    for (int64_t w = 1; w < plan.threads / 32; ++w)
      total = compose(total, loadShared(partWords(), l.add(at, w * perWarp)));
    publish(total, exchangeAt(number, false));
    storeShared(total, l.add(mine, totalOffset()));
  });
  Value inTeam = l.less(l.bitAnd(thread, 31), l.i32(plan.lanes)), isEarlier = less(toIndex(warp), position);
  ifTrue(l.both(inTeam, isEarlier), [&] {
    Values parts = poll(exchangeAt(add(groupBegin, mul(toIndex(warp), between)), false), partWords());
    storeShared(parts, l.add(l.add(mine, l.mul(warp, perWarp)), earlierOffset()));
  });
  Value ofStates = l.add(l.mul(lane, 4 * padded(stateWords())), statesOffset());
  ifTrue(l.both(inTeam, l.equal(warp, l.i32(plan.group - 1))), [&] { storeShared(groupState(groupBegin), ofStates); });
  l.barrier();
  ifTrue(isFirst, [&] {
    Values states = loadShared(stateWords(), ofStates);
    for (int64_t i = 0; i + 1 < plan.group; ++i) {
      Values parts = loadShared(partWords(), l.add(mine, earlierOffset() + i * perWarp));
      states = choose(less(index(i), position), join(parts, states), states);
    }
    Value isLast = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, position, index(plan.group - 1));
    ifTrue(isLast, [&] {
      Values total = loadShared(partWords(), l.add(mine, totalOffset()));
      publish(join(total, states), exchangeAt(number, true));
    });
    storeShared(states, ofStates);
  });
  l.barrier();
}

/// The state that a group begins with. The first group's is read by its first tile alone, and handed on by it: the final state, which may
/// lie in the same memory, is written by a tile that knows it from there.
ScanKernel::Values ScanKernel::groupState(Value groupBegin) {
  SmallVector<Type> types(stateWords(), b.getF32Type());
  Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, tile, index(0));
  auto found = scf::IfOp::create(b, loc, types, isFirst, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(found.thenBlock());
  Values initial = initialStates();
  publish(initial, exchangeAt(number, true));
  scf::YieldOp::create(b, loc, initial);
  b.setInsertionPointToStart(found.elseBlock());
  Value inFirst = less(groupBegin, between); // numbers of first tiles
  Value from = arith::SelectOp::create(b, loc, inFirst, groupBegin, sub(groupBegin, between));
  scf::YieldOp::create(b, loc, poll(exchangeAt(from, true), stateWords()));
  return Values(found.getResults());
}

/// Nanoseconds of an H100: of a step of a step kernel whose states are vectors (its elementary functions apart), and what a tile takes
/// from its first load to its last store.
static constexpr double kStepAlone = 32, kElementaryAlone = 45, kStepFixed = 3000, kTileAlone = 6000, kScanFixed = 5000;
/// Where a step sums over channels, its threads wait for each other (mlstm's normaliser and its gradient: 240 in all).
static constexpr double kSumAlone = 200;
/// Bytes a nanosecond of a multiprocessor, where all of them read and write.
static constexpr double kBytesPerNanosecond = 22, kTileBytesPerNanosecond = 20;
/// Channels of a step kernel's block.
static constexpr int64_t kStepChannels = 64;

/// Bytes that a step reads and writes of a channel, and elementary functions of its region.
static double bytesOfStep(chunk::SegmentScanOp scan, const ScanPlan &plan) {
  double bytes = 0;
  auto count = [&](Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    int64_t features = recur::dimsOf(type).getNames().size();
    double elements = double(llvm::product_of(type.getShape().take_back(features)));
    bytes += elements * type.getElementType().getIntOrFloatBitWidth() / 8 / double(plan.channels);
  };
  for (Value input : scan.getInputs())
    count(input);
  for (Value output : scan->getResults().drop_back(scan.getStates().size()))
    count(output);
  return bytes;
}

static double elementaryFunctions(chunk::SegmentScanOp scan) {
  double count = 0;
  scan.getStep().walk([&](recur::MapOp map) {
    using recur::Fn;
    count += llvm::is_contained({Fn::Exp, Fn::Log, Fn::Expm1, Fn::Log1p, Fn::Tanh, Fn::Sin, Fn::Cos, Fn::Erf, Fn::Pow},
                                map.getFn());
  });
  return count;
}

std::vector<Launch> rondo::cuda::emitScanWays(chunk::SegmentScanOp scan, const Program &program,
                                              const ScanTensors &tensors, const ScanPlan &plan, ModuleOp module,
                                              StringRef symbol, int64_t choice, Launch steps, bool demanded) {
  std::vector<Launch> ways = ScanKernel(scan, program, tensors, plan).emit(module, symbol);
  double bytes = bytesOfStep(scan, plan), elementary = elementaryFunctions(scan);
  ways.front().cost = {0, 0, 0, 0};
  double tile = bytes * double(plan.steps() * plan.channelsPerBlock()) / kTileBytesPerNanosecond;
  ways.back().cost = {int64_t(1) << 60, kTileAlone, std::max(tile, 300.0), kScanFixed};
  bool sums = llvm::any_of(plan.outputs, [](const ScanOutput &output) { return output.sum > 1; });
  steps.cost = {1, kStepAlone + kElementaryAlone * elementary + (sums ? kSumAlone : 0),
                bytes * double(std::min(kStepChannels, plan.channels)) / kBytesPerNanosecond, kStepFixed};
  if (demanded) // for calls that leave no other way
    steps.cost.alone = steps.cost.shared = 1e12;
  for (Launch &launch : ways)
    launch.choice = choice;
  steps.choice = choice;
  steps.way = 1;
  ways.push_back(std::move(steps));
  return ways;
}
