// Sizes and element types that a file of tensors tells, so that they need not be written on the command line again.
#pragma once
#include "compiler/tools/rondo/CallShape.h"
#include "rondo/Engine.h"

namespace rondo::tool {

/// Gives each dimension without a size that of the first tensor that has it as an axis; axes are matched from the last. What
/// does not fit together, Kernel::run reports.
void inferDims(const ModelInfo &info, const NamedBuffers &tensors, CompileOptions &options);

/// Takes the element types of floating-point tensors from the file; results get f64 if all of them are, else f32, or the one 16-bit type
/// that all inputs have.
void inferTypes(const ModelInfo &info, const NamedBuffers &tensors, CompileOptions &options);

/// Asks for resets and for packed sequences where there are tensors `resets` and `offsets` that are none of the model's own.
void inferBoundaries(const ModelInfo &info, const NamedBuffers &tensors, CompileOptions &options);

/// The sizes of a call with these tensors. `complete` is false where the head axis was left away.
struct InferredShape {
  CallShape shape;
  bool complete = true;
};
InferredShape inferShape(const Program &program, const NamedBuffers &tensors);

} // namespace rondo::tool
