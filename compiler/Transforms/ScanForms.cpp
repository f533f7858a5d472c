// See ScanForms.h.
#include "compiler/Transforms/ScanForms.h"
#include "compiler/Transforms/ExpansionChunk.h"
#include "compiler/Transforms/SegmentParts.h"

using namespace mlir;
using namespace rondo;

bool rondo::hasForms(Operation *op) { return isa<recur::LinearScanOp, recur::ExpandScanOp, recur::DeltaScanOp>(op); }

std::optional<Expansion> rondo::expansionOf(Operation *raised) {
  if (auto expand = dyn_cast<recur::ExpandScanOp>(raised))
    return Expansion(expand);
  if (auto delta = dyn_cast<recur::DeltaScanOp>(raised))
    return Expansion(delta);
  return std::nullopt;
}

MissingForms rondo::missingForms(Operation *raised) {
  MissingForms missing;
  std::optional<Expansion> expansion = expansionOf(raised);
  missing.chunk = expansion ? noChunkForm(*expansion) : "its states take in no outer products";
  missing.segments = noSegments(raised);
  missing.scan = expansion ? "its states take in outer products" : missing.segments;
  return missing;
}
