// The last part of the CUDA road: loops and arithmetic to the LLVM dialect, then to PTX by LLVM's NVPTX back end, in process, and to a
// cubin by ptxas where there is one.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "rondo/Program.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>

namespace rondo::cuda {

/// Whether kernels can be made for an architecture: "sm_80" and up, "sm_90a".
bool isArchitecture(llvm::StringRef name);

/// Adds the passes from func, scf, arith, math and memref to the LLVM dialect.
void buildToLLVM(mlir::OpPassManager &passes);

/// On the function of a kernel whose steps keep what they read of parameters in registers: loads leave its loops.
inline constexpr const char *kRotateAttr = "rondo.rotate";

enum class CodeText { LLVM, PTX, Cubin, Resources };

/// The optimised LLVM IR, the PTX, the machine code (bytes) of a module in the LLVM dialect, or a line for each kernel that says what it
/// takes of a multiprocessor. Without ptxas the last two are errors.
llvm::Expected<std::string> printCode(mlir::ModuleOp module, llvm::StringRef arch, CodeText what);

/// The program that a module in the LLVM dialect carries as an attribute, with its PTX as image. It has still to be loaded on a device
/// (rondo/Cuda.h).
llvm::Expected<std::shared_ptr<const Program>> describe(mlir::ModuleOp module, llvm::StringRef arch);

} // namespace rondo::cuda
