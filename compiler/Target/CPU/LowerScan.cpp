// lower-scan: the model's function becomes kernels and a program. What a kernel looks like is KernelEmitter's.
#include "compiler/Target/CPU/KernelEmitter.h"
#include "compiler/Target/CPU/Passes.h"
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
  void addSplit(recur::ScanInterface scan, const Program &program, const ScanTensors &of, Launch &launch) {
    std::optional<ValueTiles> tiles = splits > 1 ? findValueTiles(scan) : std::nullopt;
    int64_t block = tiles ? valueBlock(tiles->extent, splits) : 0;
    if (!tiles || block == tiles->extent)
      return;
    recur::ScanInterface narrowed = narrow(scan, *tiles, block);
    Launch split = KernelEmitter(narrowed, program, of, vectorBits, tiles->extent / block)
                       .emit(getOperation(), launch.symbol + "_split");
    narrowed.erase();
    launch.splits = tiles->extent / block;
    launch.splitSymbol = split.symbol;
    launch.scratchBytes = std::max(launch.scratchBytes, split.scratchBytes);
  }

  LogicalResult lower(func::FuncOp model) {
    for (auto scan : model.getOps<recur::ScanInterface>())
      if (failed(checkAxes(scan, "CPU")))
        return failure();
    if (failed(checkResults(model)))
      return failure();
    ModelTensors tensors(model);
    std::vector<Launch> launches;
    for (auto scan : model.getOps<recur::ScanInterface>()) {
      ScanTensors of = tensors.of(scan);
      std::string symbol = model.getName().str() + "_" + std::to_string(launches.size());
      launches.push_back(KernelEmitter(scan, tensors.program, of, vectorBits).emit(getOperation(), symbol));
      addSplit(scan, tensors.program, of, launches.back());
    }
    tensors.program.launches = std::move(launches);
    getOperation()->setAttr(kProgramAttr, programToAttr(tensors.program, &getContext()));
    model.erase();
    return success();
  }
};

} // namespace
