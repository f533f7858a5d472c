// lower-scan-cuda: the model's function becomes kernels and a program. What a kernel looks like is StepKernel's.
#include "compiler/Target/CPU/SegmentEmitter.h"
#include "compiler/Target/CPU/ValueTiles.h"
#include "compiler/Target/CUDA/CellKernel.h"
#include "compiler/Target/CUDA/ChunkHook.h"
#include "compiler/Target/CUDA/OuterKernel.h"
#include "compiler/Target/CUDA/Passes.h"
#include "compiler/Target/CUDA/PlaneLaunches.h"
#include "compiler/Target/CUDA/ProductKernel.h"
#include "compiler/Target/CUDA/ProductSums.h"
#include "compiler/Target/CUDA/RowKernel.h"
#include "compiler/Target/CUDA/ScanKernel.h"
#include "compiler/Target/CUDA/StepKernel.h"
#include "compiler/Target/CUDA/SumKernel.h"
#include "compiler/Target/Signature.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace rondo::cuda {
#define GEN_PASS_DEF_LOWERSCANCUDA
#include "compiler/Target/CUDA/Passes.h.inc"
} // namespace rondo::cuda

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

namespace {

/// Elements of one part where tasks share out an axis: of a matrix state, whose other axis its threads walk, and of a vector.
constexpr int64_t kMatrixPart = 64, kVectorPart = 64;
/// A call of one token has blocks of its own where a column of the state has so many elements.
constexpr int64_t kTokenColumn = 32, kFewestColumns = 16;
/// What a block of a step kernel takes in nanoseconds, alone and as one of many, beside its launch.
const LaunchCost kStepCost{1, 400, 300, 3000};

/// A kernel for calls of one token: elements of the state that a block has, its threads, and the blocks that should fit a multiprocessor.
/// The costs compare such kernels, and no other way is as cheap.
struct TokenWay {
  const char *suffix;
  int64_t elements, threads, beside;
  LaunchCost cost;
};
/// Few elements a thread, so that few heads fill a GPU and little comes after the loads; and many, so that threads have many bytes on
/// their way at once, of rows that are longer.
const TokenWay kTokenWays[] = {{"_token", 2048, 64, 1, {1, 1000, 400, 0}},
                               {"_tokens", 8192, 128, 4, {1, 1100, 260, 0}}};

/// With more in registers, a thread of four blocks of 128 beside each other has too few left for what is on its way.
constexpr int64_t kTokenWords = 120;

/// A launch passes 4 KiB of arguments: operands of 48 bytes, and the sizes.
constexpr size_t kMostOperands = (4096 - 48) / 48;

/// The largest divisor of `extent` up to `most`; `extent` where that would be far below.
int64_t partOf(int64_t extent, int64_t most) {
  for (int64_t part = std::min(extent, most); part * 4 >= most; --part)
    if (extent % part == 0)
      return part;
  return extent;
}

struct LowerScanCuda : rondo::cuda::impl::LowerScanCudaBase<LowerScanCuda> {
  using LowerScanCudaBase::LowerScanCudaBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<func::FuncOp> models;
    for (func::FuncOp fn : module.getOps<func::FuncOp>())
      if (!fn.isExternal())
        models.push_back(fn);
    if (models.size() != 1) {
      module.emitError("expected one model, got ") << models.size();
      return signalPassFailure();
    }
    if (failed(lower(models.front())))
      return signalPassFailure();
  }

private:
  /// Every scan has a step kernel, whose tasks share out an axis where the recurrence falls apart along one.
  Launch emitSteps(recur::ScanInterface scan, const Program &program, const ScanTensors &of, StringRef symbol) {
    std::optional<cpu::ValueTiles> tiles = cpu::findValueTiles(scan);
    if (!tiles)
      return StepKernel(scan, program, of, 1).emit(getOperation(), symbol);
    Value state = recur::Step(scan, &scan->getRegion(0).front()).yield().getStates().front();
    auto type = cast<RankedTensorType>(state.getType());
    bool once = forgets(recur::Step(scan, &scan->getRegion(0).front()));
    int64_t part = partOf(tiles->extent, type.getRank() >= 2 ? kMatrixPart : once ? kFewestColumns : kVectorPart);
    return emitParts(scan, *tiles, part, program, of, symbol);
  }

  /// For calls of one token of a matrix state, where its columns can be shared out further than for long sequences.
  std::optional<Launch> emitToken(recur::ScanInterface scan, const Program &program, const ScanTensors &of,
                                  StringRef symbol, const TokenWay &shape) {
    std::optional<cpu::ValueTiles> tiles = cpu::findValueTiles(scan);
    // Who takes token after token asks for the states; a gradient does not.
    bool goesOn = llvm::all_of(of.finals, [&](int t) { return program.tensors[t].kind == TensorKind::Final; });
    if (!tiles || scan.numAxes() != 1 || scan.getOffsets() || !goesOn)
      return std::nullopt;
    Value state = recur::Step(scan, &scan->getRegion(0).front()).yield().getStates().front();
    const int64_t others = cast<RankedTensorType>(state.getType()).getNumElements() / tiles->extent;
    if (others < kTokenColumn)
      return std::nullopt;
    const TokenShape token{shape.threads, shape.beside, capabilityOf(arch) >= 90};
    int64_t columns = std::max(kFewestColumns, shape.elements / others), part = partOf(tiles->extent, columns);
    while (columns > kFewestColumns && wordsOf(scan, *tiles, part, program, of, token) > kTokenWords)
      part = partOf(tiles->extent, columns /= 2);
    Launch launch = emitParts(scan, *tiles, part, program, of, symbol.str() + shape.suffix, token);
    launch.mostSteps = 1;
    launch.cost = shape.cost;
    launch.cost.shared *= double(part * others) / double(shape.elements); // of a smaller block
    return launch;
  }

  /// What a thread of such a kernel would keep in registers.
  static int64_t wordsOf(recur::ScanInterface scan, const cpu::ValueTiles &tiles, int64_t part, const Program &program,
                         const ScanTensors &of, const TokenShape &token) {
    recur::ScanInterface narrowed = part == tiles.extent ? scan : cpu::narrow(scan, tiles, part);
    const int64_t words = StepKernel(narrowed, program, of, tiles.extent / part, token).registerWords();
    if (narrowed != scan)
      narrowed.erase();
    return words;
  }

  /// A kernel whose tasks have `part` elements each of the axis that can be shared out.
  Launch emitParts(recur::ScanInterface scan, const cpu::ValueTiles &tiles, int64_t part, const Program &program,
                   const ScanTensors &of, StringRef symbol, const TokenShape &token = {}) {
    if (part == tiles.extent)
      return StepKernel(scan, program, of, 1, token).emit(getOperation(), symbol);
    recur::ScanInterface narrowed = cpu::narrow(scan, tiles, part);
    Launch launch = StepKernel(narrowed, program, of, tiles.extent / part, token).emit(getOperation(), symbol);
    narrowed.erase();
    return launch;
  }

  /// On tensor cores where it can, with steps for the calls that these cannot take.
  std::vector<Launch> lowerScan(recur::ScanInterface scan, ModelTensors &tensors, StringRef symbol) {
    ScanTensors of = tensors.of(scan);
    if (auto outer = outers.find(scan.getOperation()); outer != outers.end())
      return {
          OuterKernel(scan, tensors.program, of, outer->second, capabilityOf(arch) >= 90).emit(getOperation(), symbol)};
    if (form != "step") {
      if (auto launch = emitCellKernel(scan, tensors.program, of, getOperation(), symbol, arch))
        return {std::move(*launch)};
      if (auto launch = emitProductKernel(scan, tensors.program, of, getOperation(), symbol))
        return {std::move(*launch)};
      if (auto plan = planProductSums(scan))
        return {ProductSumKernel(scan, tensors.program, of, std::move(*plan)).emit(getOperation(), symbol)};
      if (auto launch = emitRowKernel(scan, tensors.program, of, getOperation(), symbol.str() + "_rows"))
        return beside({{std::move(*launch)}}, {emitSteps(scan, tensors.program, of, symbol)});
    }
    std::vector<Launch> made = emitLong(scan, tensors, of, symbol);
    if (form != "step" && isa<recur::ScanOp>(scan.getOperation()))
      if (auto planes = withPlanes(scan, emitPlanes(scan, tensors, getOperation(), symbol), made))
        return std::move(*planes);
    for (const TokenWay &shape : kTokenWays) {
      std::optional<Launch> token = emitToken(scan, tensors.program, of, symbol, shape);
      if (!token)
        continue;
      if (!made.back().choice) { // one launch, so far without a choice
        made.back().choice = ++choices;
        made.back().cost = kStepCost;
      }
      token->choice = made.back().choice;
      token->way = made.back().way + 1;
      made.push_back(std::move(*token));
    }
    return made;
  }

  /// The kernels of planes, where there are such, before those by steps.
  std::optional<std::vector<Launch>> withPlanes(recur::ScanInterface scan, PlaneLaunches planes,
                                                std::vector<Launch> steps) {
    if (!planes.reason.empty()) {
      scan.emitRemark("lower-scan-cuda has no kernel of planes: ") << planes.reason;
      return std::nullopt;
    }
    return beside(std::move(planes.ways), std::move(steps));
  }

  /// Ways that a call chooses from, and by steps.
  std::vector<Launch> beside(std::vector<std::vector<Launch>> ways, std::vector<Launch> steps) {
    ++choices;
    for (Launch &launch : steps)
      launch.cost = kStepCost;
    ways.push_back(std::move(steps));
    std::vector<Launch> made;
    for (auto [w, way] : llvm::enumerate(ways))
      for (Launch &launch : way) {
        launch.choice = choices;
        launch.way = static_cast<int64_t>(w);
        made.push_back(std::move(launch));
      }
    return made;
  }

  /// The scan that goes back over `forth`'s states in one kernel with it, where nothing else comes between that reads its results.
  static recur::ScanInterface wayBackOf(recur::ScanInterface forth) {
    recur::ScanInterface back;
    for (Value result : forth->getResults())
      for (Operation *user : result.getUsers())
        if (!back || user->isBeforeInBlock(back))
          back = dyn_cast<recur::ScanInterface>(user);
    bool isBack = back && isa<recur::ScanOp>(forth.getOperation()) && isa<recur::ScanOp>(back.getOperation()) &&
                  whyNoPlanesBack(forth, back).empty();
    return isBack ? back : recur::ScanInterface();
  }

  std::vector<Launch> lowerBoth(recur::ScanInterface forth, recur::ScanInterface back, ModelTensors &tensors,
                                StringRef symbol) {
    PlaneLaunches planes{emitPlanesBack(forth, back, tensors, getOperation(), symbol), {}};
    std::vector<Launch> steps{emitSteps(forth, tensors.program, tensors.of(forth), symbol.str() + "_forth"),
                              emitSteps(back, tensors.program, tensors.of(back), symbol)};
    return *withPlanes(back, std::move(planes), std::move(steps));
  }

  std::vector<Launch> emitLong(recur::ScanInterface scan, ModelTensors &tensors, const ScanTensors &of,
                               StringRef symbol) {
    Launch steps = emitSteps(scan, tensors.program, of, symbol);
    auto chunked = dyn_cast<chunk::ScanOp>(scan.getOperation());
    if (!chunked)
      return {std::move(steps)};
    TileChoice tiles = chooseTiles(chunked, capabilityOf(arch));
    if (tiles.reason.empty())
      return emitTileLaunches(tiles, of, getOperation(), symbol, ++choices, std::move(steps), form == "chunk");
    chunked.emitRemark("lower-scan-cuda keeps to steps: ") << tiles.reason;
    return {std::move(steps)};
  }

  /// In segments of time where it can, with steps for the other calls.
  std::vector<Launch> lowerSegments(chunk::SegmentScanOp scan, ModelTensors &tensors, StringRef symbol) {
    ScanTensors of = tensors.of(scan);
    recur::ScanInterface whole = cpu::withoutSegments(scan);
    Launch steps = emitSteps(whole, tensors.program, of, symbol);
    whole->erase();
    ScanPlanOrReason planned = planScan(scan);
    if (!planned.reason.empty()) {
      scan.emitRemark("lower-scan-cuda keeps to steps: ") << planned.reason;
      return {std::move(steps)};
    }
    return emitScanWays(scan, tensors.program, of, planned.plan, getOperation(), symbol, ++choices, std::move(steps),
                        form == "scan");
  }

  Launch lowerSum(recur::SumToOp sum, ModelTensors &tensors, StringRef symbol) {
    SmallVector<int> operands;
    for (Value operand : sum.getOperands_())
      operands.push_back(tensors.numberOf(operand));
    return emitSum(getOperation(), symbol, sum, tensors.program, operands, tensors.numberOf(sum));
  }

  LogicalResult lower(func::FuncOp model) {
    for (Operation &op : model.getBody().front().without_terminator()) {
      auto scan = dyn_cast<recur::ScanInterface>(op);
      if (!scan && !isa<recur::ReshapeOp, recur::SumToOp>(op))
        return op.emitError("'") << op.getName() << "' has no CUDA kernel yet";
      if (scan && failed(checkAxes(scan, "CUDA")))
        return failure();
    }
    if (failed(checkResults(model)))
      return failure();
    if (form != "step")
      fuseTotals(model, outers);
    ModelTensors tensors(model);
    std::vector<Launch> launches;
    llvm::DenseMap<Operation *, recur::ScanInterface> forthOf; // scans that come with the way back over them
    for (Operation &op : model.getBody().front()) {
      std::string symbol = model.getName().str() + "_" + std::to_string(launches.size());
      std::vector<Launch> made;
      if (auto segments = dyn_cast<chunk::SegmentScanOp>(op))
        made = lowerSegments(segments, tensors, symbol);
      else if (auto forth = forthOf.lookup(&op))
        made = lowerBoth(forth, cast<recur::ScanInterface>(op), tensors, symbol);
      else if (auto scan = dyn_cast<recur::ScanInterface>(op))
        if (recur::ScanInterface back = form == "step" ? recur::ScanInterface() : wayBackOf(scan))
          forthOf[back] = scan;
        else
          made = lowerScan(scan, tensors, symbol);
      else if (auto sum = dyn_cast<recur::SumToOp>(op))
        made.push_back(lowerSum(sum, tensors, symbol));
      for (Launch &launch : made) {
        if (launch.operands.size() > kMostOperands)
          return op.emitError("'") << op.getName() << "' with " << launch.operands.size()
                                   << " operands has no CUDA kernel; at most " << kMostOperands << " can be passed";
        launches.push_back(std::move(launch));
      }
    }
    tensors.program.launches = std::move(launches);
    getOperation()->setAttr(kProgramAttr, programToAttr(tensors.program, &getContext()));
    model.erase();
    return success();
  }

  llvm::DenseMap<Operation *, OuterPlan> outers; // scans that sum up outer products
  int64_t choices = 0;                           // scans that can be computed in several ways
};

} // namespace
