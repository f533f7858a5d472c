// What kind of recurrence a stratum is: the family decides which parallel forms it has. Found from the equations alone, by the
// linear form of each state's update (LinearForm.h), or its max-plus counterpart.
#pragma once
#include "compiler/Analysis/LinearForm.h"
#include <string>

namespace rondo::analysis {

enum class Family {
  Delay,   // the update reads no state of the stratum: a shift register
  Linear,  // h = a * h₋ + b, elementwise: real or complex
  MaxPlus, // h = max(a + h₋, b), elementwise
  Dense,   // h = A h₋ + b with a dense A, or states that are linear in one another
  Expand,  // S = A ∘ S₋ + Σ k vᵀ on a matrix state
  Delta,   // S = (diagonal + Σ u wᵀ) S₋ + Σ k vᵀ
  Cell,    // nonlinear in its states
};

/// Along which axes of a matrix state the decay varies.
enum class Decay { None, Scalar, Key, Value, Both, Full };

llvm::StringRef nameOf(Family family);
llvm::StringRef nameOf(Decay decay);

struct StratumFacts {
  Stratum stratum;
  Family family = Family::Cell;
  Decay decay = Decay::None;
  unsigned inputRank = 0;      // Expand, Delta: number of outer products that enter
  unsigned transitionRank = 0; // Delta: number of outer products in the transition, multiplied out
  unsigned moves = 1; // Delta: factors of the transition, where it is a product of several with one outer product each
  bool isComplex = false;
  bool isTimeInvariant = false;        // the transition is made of parameters and constants
  mlir::Operation *obstacle = nullptr; // Cell: what is not linear
  std::string missed;                  // why no tighter family was found; empty where none is tighter
};

/// The strata of a scan in order, each with its family.
llvm::SmallVector<StratumFacts> findFamilies(recur::ScanOp scan);

} // namespace rondo::analysis
