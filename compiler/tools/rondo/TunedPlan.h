// Plans from tuning records, for commands that compile for a call whose sizes are known.
#pragma once
#include "compiler/tools/rondo/CallShape.h"
#include "compiler/tools/rondo/SpecArguments.h"
#include "rondo/Records.h"
#include <optional>
#include <string>

namespace rondo::tool {

/// What of a call's shape decides about plans.
CallSizes sizesOf(const CompileOptions &options, const CallShape &shape);

/// The record for calls of a shape, where nobody asked for a plan or against records. Whatever stands in the way of a record (no file, a
/// damaged one) is no record.
std::optional<Record> recordFor(const SpecArguments &arguments, const std::string &path, const CompileOptions &options,
                                const CallShape &shape);

/// Compiles with the plan of a record, where there is one; where the compiler refuses it, says so and compiles without.
Result<Kernel> compileWith(const std::optional<Record> &record, Engine &engine, const std::string &path,
                           const CompileOptions &options);

} // namespace rondo::tool
