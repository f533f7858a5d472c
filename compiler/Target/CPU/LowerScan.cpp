// lower-scan: the model's function becomes kernels and a program. What a kernel looks like is KernelEmitter's.
#include "compiler/Target/CPU/GradientKernel.h"
#include "compiler/Target/CPU/KernelEmitter.h"
#include "compiler/Target/CPU/Passes.h"
#include "compiler/Target/CPU/RowSums.h"
#include "compiler/Target/CPU/SegmentEmitter.h"
#include "compiler/Target/CPU/SumKernel.h"
#include "compiler/Target/CPU/ValueTiles.h"
#include "compiler/Target/ModelTensors.h"
#include "compiler/Target/Signature.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_LOWERSCAN
#include "compiler/Target/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

namespace {

/// Elements of parameters that are worth a kernel of their own.
constexpr int64_t kLeastPanels = 1024;

/// Rows whose sums one task takes together. The more, the less memory there is to write and to add up; the fewer, the more tasks. Their number
/// does not depend on the call's threads, so that no sum does.
constexpr int64_t kAddedRows = 4;

struct LowerScan : rondo::cpu::impl::LowerScanBase<LowerScan> {
  using LowerScanBase::LowerScanBase;

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
  /// A second kernel, for calls with fewer tasks than threads, whose tasks share out an axis of the values.
  void addSplit(recur::ScanInterface scan, const Program &program, const ScanTensors &of, Launch &launch,
                bool addsRows = false) {
    std::optional<ValueTiles> tiles = splits > 1 ? findValueTiles(scan) : std::nullopt;
    int64_t block = tiles ? valueBlock(tiles->extent, splits) : 0;
    if (!tiles || block == tiles->extent)
      return;
    recur::ScanInterface narrowed = narrow(scan, *tiles, block);
    KernelEmitter emitter(narrowed, program, of, vectorBits, tiles->extent / block);
    if (addsRows && !emitter.addRows(kAddedRows)) {
      narrowed.erase();
      return;
    }
    Launch split = emitter.emit(getOperation(), launch.symbol + "_split");
    narrowed.erase();
    launch.splits = tiles->extent / block;
    launch.splitSymbol = split.symbol;
    launch.scratchBytes = std::max(launch.scratchBytes, split.scratchBytes);
  }

  /// Kernels whose threads work on one task together, for scans that sum up parameters of some size.
  void addTeam(recur::ScanInterface scan, const Program &program, const ScanTensors &of, Launch &launch) {
    if (scan.numAxes() > 1 || isa<chunk::ScanOp>(scan.getOperation()))
      return;
    KernelEmitter panels(scan, program, of, vectorBits, /*blocks=*/1, Team::WithPanels);
    if (panels.panelElements() < kLeastPanels)
      return;
    auto add = [&](KernelEmitter &emitter, StringRef suffix, TeamKernel &to) {
      Launch made = emitter.emit(getOperation(), launch.symbol + suffix.str());
      to = made.team;
      to.symbol = made.symbol;
      launch.scratchBytes = std::max(launch.scratchBytes, made.scratchBytes);
    };
    bool isPacked = !of.offsets.empty(); // rows of which no two keep step
    if (!isPacked)
      add(panels, "_team", launch.team);
    if (launch.timeBlock)
      return;
    KernelEmitter rows(scan, program, of, vectorBits, /*blocks=*/1, Team::ByRows);
    add(rows, "_rows", launch.rowTeam);
  }

  Launch lowerSum(recur::SumToOp sum, ModelTensors &tensors, StringRef symbol) {
    SmallVector<int> operands;
    for (Value operand : sum.getOperands_())
      operands.push_back(tensors.numberOf(operand));
    return emitSum(getOperation(), symbol, sum, tensors.program, operands, tensors.numberOf(sum), vectorBits);
  }

  Launch lowerGradient(chunk::GradientScanOp scan, ModelTensors &tensors, StringRef symbol) {
    GradientTensors of;
    auto number = [&](ValueRange values, SmallVectorImpl<int> &into) {
      for (Value value : values)
        into.push_back(tensors.numberOf(value));
    };
    number(scan.getInputs(), of.inputs);
    number(scan.getCotangents(), of.cotangents);
    number(scan.getParams(), of.params);
    number(scan.getInits(), of.inits);
    number(scan.getFinals(), of.finals);
    number(scan.outputs(), of.outputs);
    number(scan.adjointResults(), of.adjoints);
    for (auto [value, into] : {std::pair(scan.getResets(), &of.resets), std::pair(scan.getOffsets(), &of.offsets)})
      if (value)
        into->push_back(tensors.numberOf(value));
    for (auto [s, step] : llvm::enumerate(scan.getStep().front().getTerminator()->getOperands())) {
      of.states.push_back(tensors.addTemporary(stateType(scan, step.getType(), /*perStep=*/false)));
      of.kept.push_back(tensors.addTemporary(stateType(scan, step.getType(), /*perStep=*/true)));
      for (AxisSpec &axis : tensors.program.tensors[of.kept.back()].axes)
        if (axis.axis == Axis::Time)
          axis.steps = scan.size() * scan.interval();
    }
    return GradientKernel(scan, tensors.program, of, vectorBits).emit(getOperation(), symbol);
  }

  /// Memory for a state of every sequence, or also for many steps.
  static Type stateType(chunk::GradientScanOp scan, Type step, bool perStep) {
    auto type = cast<RankedTensorType>(step);
    MLIRContext *context = scan.getContext();
    SmallVector<StringAttr> axes;
    for (StringRef axis : chunk::GradientScanOp::resultAxes(scan->getOperands(), perStep))
      axes.push_back(StringAttr::get(context, axis));
    SmallVector<int64_t> shape(axes.size(), ShapedType::kDynamic);
    for (auto [i, axis] : llvm::enumerate(axes))
      for (Value operand : scan.operandsOf(scan.getBackStep()))
        if (int64_t at = recur::dimsOf(operand.getType()).axisPosition(axis); axis == "head" && at >= 0)
          shape[i] = cast<RankedTensorType>(operand.getType()).getDimSize(at);
    llvm::append_range(shape, type.getShape());
    return RankedTensorType::get(shape, type.getElementType(),
                                 recur::DimsAttr::get(context, axes, recur::dimsOf(type).getNames()));
  }

  Launch lowerScan(recur::ScanInterface scan, ModelTensors &tensors, StringRef symbol) {
    ScanTensors of = tensors.of(scan);
    KernelEmitter emitter(scan, tensors.program, of, vectorBits);
    auto chunks = dyn_cast<chunk::ScanOp>(scan.getOperation());
    bool addsRows = chunks && sumsOverRows(chunks) && emitter.addRows(kAddedRows);
    for (int final : of.finals)
      for (AxisSpec &axis : tensors.program.tensors[final].axes)
        if (addsRows && axis.axis == Axis::Batch)
          axis.steps = kAddedRows;
    Launch launch = emitter.emit(getOperation(), symbol);
    addSplit(scan, tensors.program, of, launch, addsRows);
    addTeam(scan, tensors.program, of, launch);
    return launch;
  }

  Launch lowerSegments(chunk::SegmentScanOp scan, ModelTensors &tensors, StringRef symbol) {
    ScanTensors of = tensors.of(cast<recur::ScanInterface>(*scan));
    recur::ScanInterface whole = withoutSegments(scan);
    Launch launch = KernelEmitter(whole, tensors.program, of, vectorBits).emit(getOperation(), symbol);
    addSplit(whole, tensors.program, of, launch);
    addTeam(whole, tensors.program, of, launch);
    {
      SegmentEmitter emitter(scan, whole, tensors.program, of, vectorBits);
      if (emitter.canEmit())
        launch.segments = emitter.emit(getOperation(), launch.symbol + "_segments");
      else
        scan.emitRemark("lower-scan keeps to one segment: states are stored in another type than they are computed in");
    }
    whole->erase();
    return launch;
  }

  LogicalResult lower(func::FuncOp model) {
    for (auto scan : model.getOps<recur::ScanInterface>())
      if (failed(checkAxes(scan, "CPU")))
        return failure();
    if (failed(checkResults(model)))
      return failure();
    WalkResult walk = model.walk([](chunk::RowsOp rows) { // which have no memory as a whole
      bool handedOn = llvm::all_of(rows->getUsers(), [](Operation *user) { return isa<recur::YieldOp>(user); });
      return handedOn ? WalkResult::advance()
                      : (rows.emitError("rows are read that are no output"), WalkResult::interrupt());
    });
    if (walk.wasInterrupted())
      return failure();
    ModelTensors tensors(model);
    std::vector<Launch> launches;
    for (Operation &op : llvm::make_early_inc_range(model.getBody().front())) {
      std::string symbol = model.getName().str() + "_" + std::to_string(launches.size());
      if (auto segments = dyn_cast<chunk::SegmentScanOp>(op))
        launches.push_back(lowerSegments(segments, tensors, symbol));
      else if (auto scan = dyn_cast<recur::ScanInterface>(op))
        launches.push_back(lowerScan(scan, tensors, symbol));
      else if (auto gradient = dyn_cast<chunk::GradientScanOp>(op))
        launches.push_back(lowerGradient(gradient, tensors, symbol));
      else if (auto sum = dyn_cast<recur::SumToOp>(op))
        launches.push_back(lowerSum(sum, tensors, symbol));
    }
    tensors.program.launches = std::move(launches);
    getOperation()->setAttr(kProgramAttr, programToAttr(tensors.program, &getContext()));
    model.erase();
    return success();
  }
};

} // namespace
