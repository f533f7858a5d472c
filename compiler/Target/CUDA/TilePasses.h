// The CUDA target's pass for chunks on tiles, and the passes behind it.
#pragma once
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include <string>

namespace rondo::cuda {
#define GEN_PASS_DECL
#include "compiler/Target/CUDA/TilePasses.h.inc"

#define GEN_PASS_REGISTRATION
#include "compiler/Target/CUDA/TilePasses.h.inc"

/// What `tile-math` does to one kernel.
void useFastMath(mlir::Operation *kernel);

/// Adds the passes from kernels in a gpu.module to PTX in a gpu.binary, for a chip such as "sm_90a".
void buildTilesToPTX(mlir::OpPassManager &passes, llvm::StringRef chip);
/// Registers that as the pipeline `tiles-to-ptx`.
void registerTilePipelines();
/// Registers what the translation of kernels to LLVM IR needs.
void registerTileTranslations(mlir::DialectRegistry &registry);
} // namespace rondo::cuda
