// See Families.h.
#include "compiler/Analysis/Families.h"
#include "compiler/Analysis/Expansion.h"
#include "compiler/Analysis/TwoSides.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::analysis;
using recur::Fn;

llvm::StringRef rondo::analysis::nameOf(Family family) {
  switch (family) {
  case Family::Delay:
    return "delay";
  case Family::Linear:
    return "linear";
  case Family::MaxPlus:
    return "max-plus";
  case Family::Dense:
    return "dense linear";
  case Family::Expand:
    return "expand";
  case Family::Delta:
    return "delta";
  case Family::Cell:
    return "cell";
  }
  return "";
}

llvm::StringRef rondo::analysis::nameOf(Decay decay) {
  switch (decay) {
  case Decay::None:
    return "none";
  case Decay::Scalar:
    return "scalar";
  case Decay::Key:
    return "along the first axis";
  case Decay::Value:
    return "along the second axis";
  case Decay::Both:
    return "along both axes";
  case Decay::Full:
    return "elementwise";
  }
  return "";
}

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// True when no factor mixes the two axes of a matrix: the product is an outer product.
bool separates(const Term &term) {
  return llvm::all_of(term.factors, [](const Factor &factor) {
    return !(llvm::is_contained(factor.letters, 0) && llvm::is_contained(factor.letters, 1));
  });
}

/// True for the constant one, or nothing at all: a decay that does not decay.
bool isPlain(const Term &term) { return term.factors.empty() && term.scale == 1; }

Decay decayOf(ArrayRef<const Term *> diagonal) {
  if (diagonal.size() == 1 && isPlain(*diagonal.front()))
    return Decay::None;
  bool key = false, value = false, mixed = false;
  for (const Term *term : diagonal) {
    auto letters = term->factorLetters();
    key |= llvm::is_contained(letters, 0);
    value |= llvm::is_contained(letters, 1);
    mixed |= !separates(*term);
  }
  if (mixed || (key && value && !factorAlong(diagonal, 1)))
    return Decay::Full;
  if (key && value)
    return Decay::Both;
  return key ? Decay::Key : value ? Decay::Value : Decay::Scalar;
}

/// Values that the step makes of parameters and constants alone.
class TimeInvariance {
public:
  explicit TimeInvariance(recur::ScanOp scan) {
    for (BlockArgument argument : scan.paramArgs())
      constant.insert(argument);
    for (Operation &op : scan.step()->without_terminator())
      if (llvm::all_of(op.getOperands(), [&](Value v) { return constant.contains(v); }))
        constant.insert(op.getResults().begin(), op.getResults().end());
  }
  bool holds(const Term &term) const {
    return llvm::all_of(term.factors, [&](const Factor &factor) { return constant.contains(factor.value); });
  }

private:
  DenseSet<Value> constant;
};

/// h = max(a₁ + h₋, …, b): every state that enters is shifted by state-free values, and the maximum is taken.
bool isMaxPlus(Value value, ArrayRef<unsigned> states, const StateDependence &dependence, recur::ScanOp scan) {
  if (!dependence.dependsOnAny(value, states))
    return true;
  if (isa<BlockArgument>(value))
    return true;
  auto map = value.getDefiningOp<recur::MapOp>();
  if (!map)
    return false;
  auto operand = [&](unsigned i) -> Value { return map.getOperands_()[i]; };
  auto inner = [&](unsigned i) { return isMaxPlus(operand(i), states, dependence, scan); };
  auto isFree = [&](unsigned i) { return !dependence.dependsOnAny(operand(i), states); };
  switch (map.getFn()) {
  case Fn::Max:
    return inner(0) && inner(1);
  case Fn::Add:
    return (isFree(0) && inner(1)) || (isFree(1) && inner(0));
  case Fn::Sub:
    return isFree(1) && inner(0);
  default:
    return false;
  }
}

/// Sorts the terms of one state's update by what they do.
struct Update {
  SmallVector<const Term *> diagonal, transition, coupling, inputs;

  Update(const LinearForm &form, unsigned state) {
    for (const Term &term : form.terms) {
      if (!term.state)
        inputs.push_back(&term);
      else if (*term.state != state)
        coupling.push_back(&term);
      else if (term.isDiagonal())
        diagonal.push_back(&term);
      else
        transition.push_back(&term);
    }
  }
};

/// A term of the transition that contracts exactly one axis of a matrix state through separate vectors: u (wᵀ S).
bool isLowRank(const Term &term) {
  int rank = term.stateLetters.size();
  int contracted = -1;
  for (int axis = 0; axis < rank; ++axis)
    if (term.stateLetters[axis] != axis) {
      if (contracted >= 0)
        return false;
      contracted = axis;
    }
  int summed = term.stateLetters[contracted];
  return summed >= rank && llvm::all_of(term.factors, [&](const Factor &factor) {
           return !(llvm::is_contained(factor.letters, summed) && llvm::is_contained(factor.letters, contracted));
         });
}

void classifyMatrix(const Update &update, StratumFacts &facts) {
  bool outer = llvm::all_of(update.inputs, [](const Term *term) { return separates(*term); });
  facts.inputRank = update.inputs.size();
  facts.decay = decayOf(update.diagonal);
  if (!llvm::all_of(update.transition, [](const Term *term) { return isLowRank(*term); })) {
    facts.family = Family::Dense;
    facts.missed = "the transition is no sum of a diagonal and outer products";
    return;
  }
  facts.transitionRank = update.transition.size();
  facts.family = update.transition.empty() ? Family::Expand : Family::Delta;
  if (outer)
    return;
  facts.inputRank = 0;
  facts.missed = "what enters the state is no sum of outer products";
  if (facts.family == Family::Expand)
    facts.family = Family::Linear;
}

StratumFacts classify(recur::ScanOp scan, const StateDependence &dependence, const Stratum &stratum,
                      const TimeInvariance &invariance) {
  StratumFacts facts;
  facts.stratum = stratum;
  facts.isComplex = llvm::any_of(stratum.states, [&](unsigned s) {
    return isa<ComplexType>(typeOf(scan.yield().getStates()[s]).getElementType());
  });
  if (!stratum.isRecurrent) {
    facts.family = Family::Delay;
    return facts;
  }
  Linearity linearity(scan, dependence, stratum.states);
  SmallVector<LinearForm> forms;
  for (unsigned s : stratum.states) {
    forms.push_back(linearity.of(scan.yield().getStates()[s]));
    if (forms.back())
      continue;
    bool maxPlus = llvm::all_of(stratum.states, [&](unsigned state) {
      return isMaxPlus(scan.yield().getStates()[state], stratum.states, dependence, scan);
    });
    facts.family = maxPlus ? Family::MaxPlus : Family::Cell;
    facts.obstacle = maxPlus ? nullptr : forms.back().obstacle;
    return facts;
  }
  facts.isTimeInvariant = llvm::all_of(forms, [&](const LinearForm &form) {
    return llvm::all_of(form.terms, [&](const Term &term) { return !term.state || invariance.holds(term); });
  });
  if (stratum.states.size() > 1) {
    facts.family = Family::Dense;
    facts.missed = "its states are linear in one another";
    return facts;
  }
  Update update(forms.front(), stratum.states.front());
  int rank = typeOf(scan.yield().getStates()[stratum.states.front()]).getRank();
  if (rank == 2) {
    classifyMatrix(update, facts);
    std::optional<ExpansionCounts> counts;
    if (facts.transitionRank > 1 || facts.inputRank > 1)
      counts = countParts(scan, linearity, stratum.states.front());
    if (counts && facts.transitionRank > 1)
      facts.moves = counts->moves;
    // Over several moves, what one takes in is multiplied out by the next.
    if (counts && facts.moves == 1) {
      facts.inputRank = counts->outers;
      facts.transitionRank = counts->transitions;
    }
  } else {
    facts.family = update.transition.empty() ? Family::Linear : Family::Dense;
    facts.decay = decayOf(update.diagonal);
    if (!update.transition.empty())
      facts.missed = "the transition mixes the elements of the state";
  }
  return facts;
}

} // namespace

SmallVector<StratumFacts> rondo::analysis::findFamilies(recur::ScanOp scan) {
  StateDependence dependence(scan);
  TimeInvariance invariance(scan);
  SmallVector<StratumFacts> result;
  for (const Stratum &stratum : stratify(scan, dependence))
    result.push_back(classify(scan, dependence, stratum, invariance));
  return result;
}
