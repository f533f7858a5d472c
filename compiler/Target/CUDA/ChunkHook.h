// Where kernels for tensor cores enter: LowerScan asks for one for each chunk.scan, and emits a step kernel where there is none.
#pragma once
#include "compiler/Target/ModelTensors.h"
#include "dialects/Chunk/Chunk.h"
#include <optional>
#include <string>

namespace rondo::cuda {

/// What a kernel may use.
struct DeviceTarget {
  std::string arch = "sm_80"; // "sm_90a"
};

/// Emits a kernel of `scan` named `symbol` at the end of `module`, or emits nothing and returns nothing where the scan has no such form.
std::optional<Launch> emitChunkKernel(chunk::ScanOp scan, const Program &program, const ScanTensors &tensors,
                                      mlir::ModuleOp module, llvm::StringRef symbol, const DeviceTarget &target);

} // namespace rondo::cuda
