// Intervals that the values of a scan's step lie in: from the declarations of the model's tensors, and from the functions themselves
// (a sigmoid lies in [0, 1], exp of a negative number too). They decide whether products of decays can grow.
#pragma once
#include "dialects/Recur/Recur.h"
#include "llvm/ADT/DenseMap.h"

namespace rondo::analysis {

/// Both ends may be infinite, and belong to the range. NaN is not represented.
struct Interval {
  double lo, hi;
  static Interval all();
  /// The largest absolute value.
  double magnitude() const;
};

class Ranges {
public:
  /// Ranges of a value of a model's function, of a step (also of raised scans), or of anything that these are computed from.
  Interval of(mlir::Value value);

private:
  Interval compute(mlir::Value value);
  Interval ofArgument(mlir::BlockArgument argument);
  Interval ofMap(recur::MapOp op);
  std::optional<Interval> convex(recur::MapOp sum);

  llvm::DenseMap<mlir::Value, Interval> known;
};

} // namespace rondo::analysis
