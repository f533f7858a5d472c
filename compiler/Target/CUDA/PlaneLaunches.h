// Which scans are recurrences of planes, and the launches that compute them (PlaneKernel.h): one alone, or a scan and the way back over it.
#pragma once
#include "compiler/Target/ModelTensors.h"
#include "mlir/IR/BuiltinOps.h"
#include <string>

namespace rondo::cuda {

/// Launches of each way that there is, or why there is none.
struct PlaneLaunches {
  std::vector<std::vector<Launch>> ways;
  std::string reason;
};

/// The kernel of one scan.
PlaneLaunches emitPlanes(recur::ScanInterface scan, ModelTensors &tensors, mlir::ModuleOp module,
                         llvm::StringRef symbol);

/// The kernels of `forth`, whose states at each step `back` reads in reverse, and of `back`. Such states are no tensor then: some are kept, and
/// the others are computed again. For scans that `whyNoPlanesBack` says nothing about.
std::vector<std::vector<Launch>> emitPlanesBack(recur::ScanInterface forth, recur::ScanInterface back,
                                                ModelTensors &tensors, mlir::ModuleOp module, llvm::StringRef symbol);
std::string whyNoPlanesBack(recur::ScanInterface forth, recur::ScanInterface back);

} // namespace rondo::cuda
