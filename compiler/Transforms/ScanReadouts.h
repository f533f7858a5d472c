// How the outputs of a scan read its states: through contractions with vectors that depend on no state, and nothing else.
#pragma once
#include "compiler/Analysis/LinearForm.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include <string>

namespace rondo {

/// The product of `query`, over the letter `letter`, with state `state`, summed over the state's axis `axis`.
struct ScanReadout {
  unsigned state;
  int64_t axis;
  bool before; // the state is read before its update
  llvm::SmallVector<analysis::Factor> query;
  int letter;
};

/// scale * factors * a readout (none: the factors alone), in the letters of the value that it is a term of. Letters of the readout
/// that the value lacks are summed over.
struct ReadTerm {
  double scale = 1;
  llvm::SmallVector<analysis::Factor> factors;
  std::optional<unsigned> readout;
  llvm::SmallVector<int, 2> readoutLetters;
};

struct ScanReadouts {
  llvm::SmallVector<ScanReadout> list;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<ReadTerm>> forms; // values that are sums of such terms
  llvm::DenseSet<mlir::Value> mixed; // values made elementwise, or otherwise, of such values
  std::string missed;                // why there is an output that is none of these
  mlir::Operation *obstacle = nullptr;
  explicit operator bool() const { return missed.empty(); }
};

ScanReadouts findReadouts(recur::ScanOp scan, const analysis::StateDependence &dependence,
                          llvm::ArrayRef<unsigned> states);

} // namespace rondo
