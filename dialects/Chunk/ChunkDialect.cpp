// Registers the dialect, and checks plans.
#include "dialects/Chunk/Chunk.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::chunk;

#include "dialects/Chunk/ChunkDialect.cpp.inc"
#include "dialects/Chunk/ChunkEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Chunk/ChunkAttrs.cpp.inc"

void ChunkDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Chunk/ChunkAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Chunk/ChunkOps.cpp.inc"
      >();
}

LogicalResult PlanAttr::verify(function_ref<InFlightDiagnostic()> emitError, Form form, Schedule, int64_t chunk,
                               int64_t interval, int64_t valueTile, int64_t warps, int64_t stages, bool ahead,
                               bool warpgroups, int64_t segments) {
  if (chunk < 1)
    return emitError() << "a chunk has at least 1 step, got " << chunk;
  const bool inSteps = form == Form::Step || form == Form::Scan;
  if (inSteps && chunk != 1)
    return emitError() << "the form '" << stringifyForm(form) << "' has no chunks, got chunk = " << chunk;
  if (const int64_t least = std::min({valueTile, warps, stages, segments}); least < 0)
    return emitError() << "value_tile, warps, stages and segments are counts, got " << least;
  if (inSteps && (valueTile || warps || stages || ahead || warpgroups))
    return emitError() << "value_tile, warps, stages, ahead and warpgroups belong to chunks";
  if (interval < 1)
    return emitError() << "an interval has at least 1 chunk, got " << interval;
  return success();
}
