// One scan as several, one after another, where groups of its states wait for each other in one direction only.
#pragma once
#include "compiler/Analysis/Strata.h"
#include <optional>

namespace rondo {

/// States of one scan of the split, in the order in which the scans run: a group reads states of earlier groups and its own.
using StateGroups = llvm::SmallVector<llvm::SmallVector<unsigned>>;

/// The scans of a split, before `scan`, which stays as it is: the caller replaces it by `results`, or erases `scans` again.
struct SplitScans {
  llvm::SmallVector<recur::ScanOp> scans;
  llvm::SmallVector<mlir::Value> results; // in the order of the scan's results
};

/// Splits `scan`, over one axis. What a later group needs of an earlier one's states is handed on as one array per step, of one axis
/// at most; nothing where that would take a larger one.
std::optional<SplitScans> splitScan(recur::ScanOp scan, const analysis::StateDependence &dependence,
                                    const StateGroups &groups);

} // namespace rondo
