// The kernel of a scan without states whose values are numbers and rows: what is left where a recurrence has been taken out, such as norms,
// gates and their derivatives. A step's rows lie across some lanes of a warp, 16 bytes or more of each in a lane; sums over a row are exchanges
// between lanes. Nothing is in shared memory, and no thread waits for another warp: what a step reads and writes is all that takes time.
#pragma once
#include "compiler/Target/ModelTensors.h"
#include "mlir/IR/BuiltinOps.h"
#include <optional>

namespace rondo::cuda {

/// The kernel of a scan that fits, or nothing. It wants rows that begin at multiples of 16 bytes.
std::optional<Launch> emitRowKernel(recur::ScanInterface scan, const Program &program, const ScanTensors &tensors,
                                    mlir::ModuleOp module, llvm::StringRef symbol);

} // namespace rondo::cuda
