// Where kernels for tensor cores enter the target: how a chunk.scan is laid over tiles, why it is not, and the launches that compute it.
// The kernels are ChunkKernel.h's; scans without such kernels, and calls that those cannot take, go by StepKernel's.
#pragma once
#include "compiler/Target/CUDA/TilePlan.h"
#include "compiler/Target/ModelTensors.h"
#include "dialects/Chunk/Chunk.h"
#include <optional>
#include <string>

namespace rondo::cuda {

/// A scan on tiles. Where there is a `reason`, it says why it cannot be, and the rest is empty.
struct TileChoice {
  TileProgram program;
  TilePlan plan;
  std::string reason;
  double nanosecondsPerStep = 0; // of all columns of one head, on a full GPU; what plans are compared by
};

/// The tile program of `scan`, with the sizes that its plan says, or those that the cost model takes where the plan says none. `arch` is the
/// compute capability times ten.
TileChoice chooseTiles(chunk::ScanOp scan, Architecture arch);

/// Emits the kernels of a scan on tiles at the end of `module`, named `symbol` and `symbol`_..., and returns their launches: the ways to
/// compute the scan, numbered by `choice`, of which a call takes the cheapest that is possible (Launch::choice). All of them want aligned
/// rows, so that `steps`, the launch of a step kernel of the same scan, is the last way.
std::vector<Launch> emitTileLaunches(const TileChoice &tiles, const ScanTensors &tensors, mlir::ModuleOp module,
                                     llvm::StringRef symbol, int64_t choice, Launch steps, bool demanded);

/// Nanoseconds of a step of a step kernel, of each of several blocks that share a multiprocessor; measured on an H100 (README.md).
inline constexpr double kStepNanoseconds = 300;

/// 90 of "sm_90a", which is specific.
Architecture capabilityOf(llvm::StringRef arch);

} // namespace rondo::cuda
