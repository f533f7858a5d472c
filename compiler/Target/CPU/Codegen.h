// The last part of the CPU road: loops and vectors to the LLVM dialect, then to text or to machine code in this process.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "rondo/Program.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>

namespace rondo::cpu {

/// Adds the passes from func, scf, arith, math, memref and vector to the LLVM dialect.
void buildToLLVM(mlir::OpPassManager &passes);

enum class CodeText { LLVM, Assembly };

/// The optimised LLVM IR, or the host's assembly, of a module in the LLVM dialect.
llvm::Expected<std::string> printCode(mlir::ModuleOp module, CodeText what);

/// Compiles a module in the LLVM dialect for the host, loads it, and returns the program that it carries as an attribute, with its
/// launches pointing to machine code.
llvm::Expected<std::shared_ptr<const Program>> load(mlir::ModuleOp module);

} // namespace rondo::cpu
