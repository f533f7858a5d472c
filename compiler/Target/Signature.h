// Between the IR and the runtime's description of a program: the tensors of a model's function, and the whole program as an
// attribute on the module, so that the text of a phase says all that the later phases need.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "rondo/Program.h"

namespace rondo {

/// Name of the module attribute that holds a program.
inline constexpr const char *kProgramAttr = "rondo.program";

/// The tensor that a value of type `type` is, with the named attributes of its argument or result. Unknown sizes are -1. Where the
/// model takes packed sequences, the batch axis of what has no time counts those.
TensorSpec describeTensor(mlir::Type type, mlir::DictionaryAttr attributes, TensorKind kind, bool packed);

/// Whether a model takes packed sequences: an argument is their offsets.
bool takesPacked(mlir::func::FuncOp model);

/// A program without launches: the arguments and results of a model's function.
Program describeModel(mlir::func::FuncOp model);

mlir::DictionaryAttr programToAttr(const Program &program, mlir::MLIRContext *context);
/// The inverse; empty when the attribute is malformed.
std::optional<Program> programFromAttr(mlir::DictionaryAttr attribute);

} // namespace rondo
