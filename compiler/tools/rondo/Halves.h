// The two halves of a training step (CompileOptions::half), run as what they are halves of.
#pragma once
#include "rondo/Engine.h"
#include <string>

namespace rondo::tool {

/// options.half says which: "there", the model, without what it keeps; "back", the gradient, by both halves one after the other.
Result<Kernel> compileHalves(Engine &engine, const std::string &path, CompileOptions options);

} // namespace rondo::tool
