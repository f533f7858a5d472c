// The structure of a scan as an expansion of states: decays, outer products and transitions, read off the linear forms of its
// updates. Facts alone; the pass raise-scans makes an op of them.
#pragma once
#include "compiler/Analysis/LinearForm.h"
#include <string>

namespace rondo::analysis {

/// scale * product of factors.
struct FactorProduct {
  llvm::SmallVector<Factor> factors;
  double scale = 1;
};
using FactorSum = llvm::SmallVector<FactorProduct, 1>;

/// One factor of a state's decay: over the state's `axes`, whose letters are their numbers.
struct ExpansionDecay {
  unsigned state;
  llvm::SmallVector<int64_t> axes;
  FactorSum sum;
  int64_t move = 0;
  bool before = false; // along the value axis, and what transitions read has it
};

/// key ⊗ value into a state. The letters are the state's axes. One of the two is a single product.
struct ExpansionOuter {
  unsigned state;
  FactorSum key, value;
  int64_t move = 0;
};

/// write ⊗ (readᵀ S): `write` has the letter of the key axis, each product of `read` a letter of its own.
struct ExpansionTransition {
  unsigned state;
  FactorProduct write;
  FactorSum read;
  llvm::SmallVector<int, 1> summed; // the letter of the key axis in each product of `read`
  int64_t move = 0;
};

/// A state whose transition is a product of several makes several moves a step, one after another: each entry says in which it takes
/// part.
struct ScanExpansion {
  llvm::SmallVector<int64_t> keyAxes; // per state
  llvm::SmallVector<ExpansionDecay> decays;
  llvm::SmallVector<ExpansionOuter> outers;
  llvm::SmallVector<ExpansionTransition> transitions;
  std::string missed;                  // why the scan is no expansion; empty where it is one
  mlir::Operation *obstacle = nullptr; // the operation to blame, where there is one
  explicit operator bool() const { return missed.empty(); }
};

/// Sorts the updates of a scan, whose states are read one step back, into the parts of an expansion. `linearity` knows all states.
ScanExpansion findExpansion(recur::ScanOp scan, Linearity &linearity);

/// The moves of a step of one state, as few as let each have one outer product in its transition at most (one where that is not to be had); the
/// outer products that enter it, and those of its transition.
struct ExpansionCounts {
  int64_t moves, outers, transitions;
};
/// Of the state `s`; nothing where it is no expansion. `linearity` knows all states.
std::optional<ExpansionCounts> countParts(recur::ScanOp scan, Linearity &linearity, unsigned s);

/// The factors that are linked to `letter`, directly or through letters that neither is one of `fixed`, and the rest.
struct SplitFactors {
  llvm::SmallVector<Factor> linked, rest;
};
SplitFactors splitByLetter(llvm::ArrayRef<Factor> factors, int letter, llvm::ArrayRef<int> fixed);
bool hasLetter(llvm::ArrayRef<Factor> factors, int letter);
bool sameFactors(llvm::ArrayRef<Factor> a, llvm::ArrayRef<Factor> b);

} // namespace rondo::analysis
