// Which states of a scan depend on which. States that read each other (directly or through values of the step) at earlier steps
// must be computed together; the others can be taken one after another, earlier ones as data of later ones.
#pragma once
#include "dialects/Recur/Recur.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"

namespace rondo::analysis {

/// States that depend on each other: a strongly connected component of the dependence of states at t on states at t-1.
struct Stratum {
  llvm::SmallVector<unsigned> states;
  /// False for a state whose update reads no state of the stratum: a delayed value, e.g. a lagged input.
  bool isRecurrent = false;
};

/// For each value of the step, the set of states that it depends on through their earlier values.
class StateDependence {
public:
  explicit StateDependence(recur::ScanOp scan);
  bool dependsOn(mlir::Value value, unsigned state) const;
  bool dependsOnAny(mlir::Value value, llvm::ArrayRef<unsigned> states) const;

private:
  llvm::DenseMap<mlir::Value, llvm::SmallVector<bool>> sets;
};

/// The strata in an order in which each reads only earlier ones and itself.
llvm::SmallVector<Stratum> stratify(recur::ScanOp scan, const StateDependence &dependence);

} // namespace rondo::analysis
