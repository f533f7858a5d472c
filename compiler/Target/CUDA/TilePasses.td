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
    Option<"warpgroups", "warpgroups", "bool", "false", "products of four warps at once (sm_90a)">,
    Option<"segments", "segments", "bool", "false", "also the kernels that take segments of a long sequence apart">,
    Option<"strided", "strided", "bool", "false", "called as the runtime calls kernels: strides of every operand, one axis of blocks">,
    Option<"arch", "arch", "int64_t", "90", "compute capability times ten; 90 is sm_90a">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect", "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

def TileMath : Pass<"tile-math"> {
  let summary = "exp and division on the special function unit";
  let description = [{
    In kernels on tiles a gate is computed for every element of a row, so that its cost counts: f32 exp becomes one ex2.approx with its
    argument's rounding made up for, and division is allowed to be approximate.

    Requires: f32 arith and math ops in kernels. Ensures: no math.exp on f32 is left.
    Numerics: exp within 3 units in the last place (ex2.approx has 2); exp(-inf) is 0, exp of 89 and more infinite, NaN stays. Division
    within 2 units, and 0 for a divisor above 2^126.
    Cost: 6 instructions an exp.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect"];
}
#endif
