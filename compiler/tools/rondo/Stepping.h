// Running a model piece by piece, final states fed back as initial states: how decoding uses a kernel, and how verification reaches
// the states between steps.
#pragma once
#include "compiler/tools/rondo/CallShape.h"
#include "rondo/Kernel.h"
#include <functional>

namespace rondo::tool {

/// The call's sizes as options, for models whose inputs do not tell them.
RunOptions callOptions(const Program &program, const CallShape &shape, int threads);

/// Whether states can be fed back: one scanned axis, and one initial for each final state, alike in shape. Scans against time can
/// not be cut either, which the signature does not tell: compare with a whole run.
bool canBeCut(const Program &program);

/// Called between two pieces with the states, named as inits.
using BetweenPieces = std::function<void(NamedBuffers &states, int64_t time)>;

/// Runs `shape.time` steps in pieces of `piece` and gives what one run gives: outputs over all time, and the last final states.
Result<NamedBuffers> runInPieces(const Kernel &kernel, const NamedBuffers &inputs, const CallShape &shape,
                                 int64_t piece, int threads, const BetweenPieces &between = {});

} // namespace rondo::tool
