// What raise-scans is made of: one function per family, each of which raises a scan or says why it cannot.
#pragma once
#include "compiler/Analysis/Strata.h"
#include "dialects/Recur/Recur.h"
#include <string>

namespace rondo {

/// Why a scan was not raised, and the operation to blame where there is one. Empty: it was raised, and is gone.
struct Miss {
  std::string why;
  mlir::Operation *obstacle = nullptr;
};

/// To expand_scan or delta_scan.
Miss raiseExpansion(recur::ScanOp scan, const analysis::StateDependence &dependence);
/// True for a scan that raiseExpansion would raise.
bool canExpand(recur::ScanOp scan, const analysis::StateDependence &dependence);
/// To linear_scan, in one of the semirings.
Miss raiseLinear(recur::ScanOp scan, const analysis::StateDependence &dependence, recur::Semiring semiring);

/// A block with the inputs and parameters of a step.
mlir::Block *sharedBlock(mlir::Region &region, recur::ScanOp scan);
/// The numbers of all states.
llvm::SmallVector<unsigned> allStates(recur::ScanOp scan);

} // namespace rondo
