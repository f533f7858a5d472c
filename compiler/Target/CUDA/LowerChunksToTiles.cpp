// The pass: plans and emits one kernel per scan. See TilePasses.td.
#include "compiler/Target/CUDA/ChunkKernel.h"
#include "compiler/Target/CUDA/TileCost.h"
#include "compiler/Target/CUDA/TilePasses.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace rondo::cuda {
#define GEN_PASS_DEF_LOWERCHUNKSTOTILES
#include "compiler/Target/CUDA/TilePasses.h.inc"
} // namespace rondo::cuda

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

namespace {

struct LowerChunksToTiles : rondo::cuda::impl::LowerChunksToTilesBase<LowerChunksToTiles> {
  using LowerChunksToTilesBase::LowerChunksToTilesBase;

  void runOnOperation() override {
    SmallVector<chunk::ScanOp> scans;
    getOperation().walk([&](chunk::ScanOp scan) { scans.push_back(scan); });
    for (chunk::ScanOp scan : scans)
      lower(scan);
  }

private:
  gpu::GPUModuleOp kernels(Location loc) {
    for (auto module : getOperation().getOps<gpu::GPUModuleOp>())
      return module;
    OpBuilder b = OpBuilder::atBlockEnd(getOperation().getBody());
    getOperation()->setAttr(gpu::GPUDialect::getContainerModuleAttrName(), b.getUnitAttr());
    return gpu::GPUModuleOp::create(b, loc, "rondo_kernels");
  }

  void lower(chunk::ScanOp scan) {
    TileProgramOrReason planned = planTiles(scan);
    std::string why = planned.reason;
    std::optional<TilePlan> plan;
    const Architecture made{arch, arch == 90}; // sm_90a
    if (why.empty() && valueTile == 0) {
      plan = chooseTilePlan(planned.program, made);
      if (!plan)
        why = whyNoPlan(planned.program, made);
    } else if (why.empty()) {
      plan = TilePlan{scan.size(), valueTile, warps, stages, ahead, warpgroups, made};
      why = whyNot(planned.program, *plan);
    }
    if (!why.empty()) {
      scan.emitRemark("lower-chunks-to-tiles declines: ") << why;
      return;
    }
    gpu::GPUModuleOp module = kernels(scan.getLoc());
    std::string name = "chunk_scan_" + std::to_string(count++);
    Calling calling = strided ? Calling::Strided : Calling::Contiguous;
    describe(module, emitChunkKernel(planned.program, *plan, module, name, Part::Whole, calling));
    if (!segments)
      return;
    if (hasTransition(planned.program) || !planned.program.vectors.empty()) {
      scan.emitRemark("lower-chunks-to-tiles makes no segments: a state is more than decayed");
      return;
    }
    describe(module, emitChunkKernel(planned.program, *plan, module, name + "_within", Part::Within));
    TileProgram ends = planTiles(scan, /*withOutputs=*/false).program;
    describe(module, emitChunkKernel(ends, *plan, module, name + "_ends", Part::Ends));
    for (unsigned state = 0; state < ends.states.size(); ++state)
      describe(module, emitLinkKernel(ends, state, module, name + "_link_" + std::to_string(state)));
  }

  void describe(gpu::GPUModuleOp module, const KernelLaunch &launch) {
    Builder b(&getContext());
    module.lookupSymbol(launch.name)
        ->setAttr("rondo.launch",
                  b.getDictionaryAttr({b.getNamedAttr("value_blocks", b.getI64IntegerAttr(launch.valueBlocks)),
                                       b.getNamedAttr("threads", b.getI64IntegerAttr(launch.threads)),
                                       b.getNamedAttr("shared_bytes", b.getI64IntegerAttr(launch.sharedBytes))}));
  }

  int64_t count = 0;
};

} // namespace
