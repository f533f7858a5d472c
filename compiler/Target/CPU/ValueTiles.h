// An axis along which a recurrence falls apart: the value axis of a matrix state, any axis of an elementwise one. No step ever combines
// elements of different places along it, so that tasks can share it out where a call has fewer rows and heads than there are threads.
// Found from the region's equations, not from names.
#pragma once
#include "dialects/Recur/Recur.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>

namespace rondo::cpu {

struct ValueTiles {
  int64_t extent = 0;
  llvm::DenseMap<mlir::Value, int> axisOf; // its position in the values of the regions that have it
};

/// The axis to share out: every state and every output has it, nothing sums over it, mixes it or picks from it, and what does not
/// have it is cheap beside what does. Nothing where there is none. For one scanned axis.
std::optional<ValueTiles> findValueTiles(recur::ScanInterface scan);

/// Elements of one block where an axis of `extent` is cut into at most `most` blocks of whole vectors; `extent` where it cannot be cut.
int64_t valueBlock(int64_t extent, int64_t most);

/// A clone of the scan, beside it, whose regions work on a block of the axis. Its operands and results keep their types.
recur::ScanInterface narrow(recur::ScanInterface scan, const ValueTiles &tiles, int64_t block);

/// Multiplications of a region, roughly; an elementary function counts as several.
int64_t workOf(mlir::Region &region);

} // namespace rondo::cpu
