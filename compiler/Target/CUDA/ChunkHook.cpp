// No kernels for tensor cores yet. See ChunkHook.h.
#include "compiler/Target/CUDA/ChunkHook.h"

std::optional<rondo::Launch> rondo::cuda::emitChunkKernel(chunk::ScanOp, const Program &, const ScanTensors &,
                                                          mlir::ModuleOp, llvm::StringRef, const DeviceTarget &) {
  return std::nullopt;
}
