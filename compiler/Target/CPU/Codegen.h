// The last part of the CPU road: loops and vectors to the LLVM dialect, then to text or to an object.
#pragma once
#include "compiler/Target/CPU/Machine.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"
#include "rondo/Program.h"
#include "llvm/Support/Error.h"
#include <optional>
#include <string>

namespace rondo::cpu {

/// Adds the passes from func, scf, arith, math, memref and vector to the LLVM dialect.
void buildToLLVM(mlir::OpPassManager &passes);

enum class CodeText { LLVM, Assembly };

/// The optimised LLVM IR, or the assembly, of a module in the LLVM dialect.
llvm::Expected<std::string> printCode(mlir::ModuleOp module, CodeText what, const Machine &machine);

/// Takes the second functions of all launches, which most calls never need, out of a module with kernels, before or after any phase from
/// lower-scan on, into a module of their own. Null where there are none.
mlir::OwningOpRef<mlir::ModuleOp> takeSecond(mlir::ModuleOp module);

/// The program that a module with kernels describes; nothing where it describes none. `suffix` is appended to its functions' names, so that
/// code for several machines can be linked into one program.
std::optional<Program> describe(mlir::ModuleOp module, llvm::StringRef suffix = "");

/// The functions of a module in the LLVM dialect as a relocatable object; the program's own have `suffix` behind their names.
llvm::Expected<std::string> compile(mlir::ModuleOp module, const Machine &machine, llvm::StringRef suffix = "");

} // namespace rondo::cpu
