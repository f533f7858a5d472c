// Where the time of a call goes: kernel by kernel.
#pragma once
#include "compiler/tools/rondo/BenchCall.h"
#include "compiler/tools/rondo/TuneReport.h"
#include "rondo/Kernel.h"

namespace rondo::tool {

/// The stages of a kernel on the host. What the first n launches take is measured for every n, and a stage is what its launch adds: so each
/// finds the caches as the one before has left them.
Result<std::vector<Stage>> measureStages(const Kernel &kernel, const BenchCall &call, const CallShape &shape,
                                         const RunOptions &how);

} // namespace rondo::tool
