// What a segment of time makes of any state: the regions of a chunk.segment_scan beside the recurrence's own.
#pragma once
#include "dialects/Chunk/Chunk.h"
#include <string>

namespace rondo {

/// Why a raised scan cannot be cut into segments; empty where it can.
std::string noSegments(mlir::Operation *raised);

/// The states that describe a segment of a raised scan, and what they are before its first step.
struct SegmentParts {
  llvm::SmallVector<mlir::Attribute> parts, begins;
  llvm::SmallVector<int64_t> ends; // of each state the part that says where a state of zeros ends
};

/// Fills the regions `ends_step`, `ends_chunk` (where `size` is above 1) and `join` of an op; they are empty.
SegmentParts buildSegmentParts(mlir::Operation *raised, int64_t size, mlir::Region &step, mlir::Region &chunk,
                               mlir::Region &join);

} // namespace rondo
