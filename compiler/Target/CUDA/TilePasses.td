#ifndef RONDO_TARGET_CUDA_TILEPASSES
#define RONDO_TARGET_CUDA_TILEPASSES
include "mlir/Pass/PassBase.td"

def LowerChunksToTiles : Pass<"lower-chunks-to-tiles", "::mlir::ModuleOp"> {
  let summary = "chunk.scan to CUDA kernels on matrix instructions";
  let description = [{
    Each `chunk.scan` whose values have places on tiles gets a kernel in the module's `gpu.module` named `rondo_kernels`, with its launch as
    the attribute `rondo.launch`. The scan itself stays.

    Requires: chunk.scan with static step types, f32 values and bf16 or f16 storage. Ensures: kernels in the gpu, llvm, nvvm, scf, arith and
    math dialects. Declines, with a remark that says why, what has no tile program or fits no plan.
    Cost: linear in the number of matrix instructions of a chunk.
  }];
  let options = [
    Option<"valueTile", "value-tile", "int64_t", "0", "columns of the value axis per block; 0: the cost model's choice of all">,
    Option<"warps", "warps", "int64_t", "4", "warps per block">,
    Option<"stages", "stages", "int64_t", "2", "chunks in shared memory">,
    Option<"ahead", "ahead", "bool", "false", "scores of the next chunk beside this chunk's columns">,
    Option<"arch", "arch", "int64_t", "90", "compute capability times ten">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect", "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}
#endif
