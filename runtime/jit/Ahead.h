// Compiling ahead of time: one artifact for several targets and plans, and for CPUs an object with a C header.
#pragma once
#include "compiler/Driver/Compiler.h"
#include "rondo/Engine.h"

namespace rondo::jit {

using Translate = std::function<Result<driver::Compiled>(const driver::Options &)>;

/// `options` says all but target and plan.
Result<std::vector<MadeFile>> compileAhead(const driver::Options &options, const std::vector<std::string> &targets,
                                           const std::vector<PlanFor> &plans, const std::string &source,
                                           const Translate &translate);

} // namespace rondo::jit
