// chunk.scan to one kernel: matrix instructions, the state in registers from the first chunk to the last.
#pragma once
#include "compiler/Target/CUDA/TilePlan.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace rondo::cuda {

/// How a kernel is called. Arguments, in order: one pointer per input, parameter, initial value and result of the scan (all in global
/// memory, contiguous), then as i32 the number of steps T, of heads H (1 where there are none) and of groups G (H where there are none).
struct KernelLaunch {
  std::string name;
  int64_t valueBlocks; // grid: valueBlocks x heads x batch
  int64_t threads;
  int64_t sharedBytes; // dynamic
};

/// Emits the kernel of `program` at the end of `module`. `whyNot(program, plan)` is empty.
KernelLaunch emitChunkKernel(const TileProgram &program, const TilePlan &plan, mlir::gpu::GPUModuleOp module,
                             llvm::StringRef name);

/// The plan that the cost model takes; nothing where none fits.
std::optional<TilePlan> chooseTilePlan(const TileProgram &program, int64_t arch);

} // namespace rondo::cuda
