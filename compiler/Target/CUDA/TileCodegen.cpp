// From kernels on tiles to PTX: upstream's conversions, in the order that works (see README-tiles.md).
#include "compiler/Target/CUDA/TilePasses.h"
#include "compiler/Transforms/Passes.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/GPU/Transforms/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void rondo::cuda::buildTilesToPTX(OpPassManager &passes, llvm::StringRef chip) {
  GpuNVVMAttachTargetOptions target;
  target.chip = chip.str();
  target.features = "+ptx80";
  passes.addPass(createGpuNVVMAttachTarget(target));
  OpPassManager &kernels = passes.nest<gpu::GPUModuleOp>();
  kernels.addPass(createTileMath());
  kernels.addPass(createExpandMath());
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  kernels.addPass(createSCFToControlFlowPass());
  ConvertGpuOpsToNVVMOpsOptions options;
  options.indexBitwidth = 64;
  kernels.addPass(createConvertGpuOpsToNVVMOps(options));
  kernels.addPass(createConvertNVVMToLLVMPass());
  kernels.addPass(createReconcileUnrealizedCastsPass());
  GpuModuleToBinaryPassOptions binary;
  binary.compilationTarget = "isa";
  passes.addPass(createGpuModuleToBinaryPass(binary));
}

namespace {
struct PTXOptions : PassPipelineOptions<PTXOptions> {
  Option<std::string> chip{*this, "chip", llvm::cl::desc("what the PTX is for"), llvm::cl::init("sm_90a")};
};
} // namespace

void rondo::cuda::registerTilePipelines() {
  PassPipelineRegistration<PTXOptions>(
      "tiles-to-ptx", "kernels on tiles to PTX",
      [](OpPassManager &passes, const PTXOptions &options) { buildTilesToPTX(passes, options.chip); });
}
