// See Expansion.h.
#include "compiler/Analysis/Expansion.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::analysis;

bool rondo::analysis::hasLetter(ArrayRef<Factor> factors, int letter) {
  return llvm::any_of(factors, [&](const Factor &factor) { return llvm::is_contained(factor.letters, letter); });
}

SplitFactors rondo::analysis::splitByLetter(ArrayRef<Factor> factors, int letter, ArrayRef<int> fixed) {
  SmallVector<int> reached{letter};
  SmallVector<bool> linked(factors.size(), false);
  for (bool changed = true; changed;) {
    changed = false;
    for (auto [i, factor] : llvm::enumerate(factors)) {
      if (linked[i] || llvm::none_of(factor.letters, [&](int l) { return llvm::is_contained(reached, l); }))
        continue;
      linked[i] = changed = true;
      for (int l : factor.letters)
        if (!llvm::is_contained(fixed, l))
          reached.push_back(l);
    }
  }
  SplitFactors split;
  for (auto [i, factor] : llvm::enumerate(factors))
    (linked[i] ? split.linked : split.rest).push_back(factor);
  return split;
}

namespace {

bool sameFactor(const Factor &a, const Factor &b) {
  return a.value == b.value && a.letters == b.letters && a.reciprocal == b.reciprocal;
}

bool sameFactors(ArrayRef<Factor> a, ArrayRef<Factor> b) {
  return a.size() == b.size() && llvm::all_of(a, [&](const Factor &x) {
           return llvm::any_of(b, [&](const Factor &y) { return sameFactor(x, y); });
         });
}

/// `all` without the factors of `some`, or nothing when one of them is missing.
std::optional<SmallVector<Factor>> without(ArrayRef<Factor> all, ArrayRef<Factor> some) {
  SmallVector<Factor> rest(all);
  for (const Factor &factor : some) {
    auto *found = llvm::find_if(rest, [&](const Factor &x) { return sameFactor(x, factor); });
    if (found == rest.end())
      return std::nullopt;
    rest.erase(found);
  }
  return rest;
}

class ExpansionFinder {
public:
  ExpansionFinder(recur::ScanOp scan, Linearity &linearity) : scan(scan), linearity(linearity) {}

  ScanExpansion find() {
    for (unsigned s = 0; s < scan.numStates() && result; ++s)
      addState(s);
    return std::move(result);
  }

private:
  std::string nameOf(unsigned s) { return "'" + scan.state(s).getName().str() + "'"; }
  void miss(const std::string &why, Operation *obstacle = nullptr) {
    result.missed = why;
    result.obstacle = obstacle;
  }

  void addState(unsigned s) {
    Value update = scan.yield().getStates()[s];
    rank = cast<RankedTensorType>(update.getType()).getRank();
    if (rank < 1 || rank > 2)
      return miss("state " + nameOf(s) + " has " + std::to_string(rank) + " axes, not one or two");
    const LinearForm &form = linearity.of(update);
    if (!form)
      return miss("state " + nameOf(s) + " is not linear in the states", form.obstacle);
    SmallVector<const Term *> diagonal, transitions, inputs;
    for (const Term &term : form.terms) {
      if (term.state && *term.state != s)
        return miss("state " + nameOf(s) + " is updated from another state");
      (!term.state ? inputs : term.isDiagonal() ? diagonal : transitions).push_back(&term);
    }
    // A decay of zero would turn an infinite old value into one that is no number.
    if (diagonal.empty() && transitions.empty())
      return miss("state " + nameOf(s) + " keeps nothing of its old value");
    key = transitions.empty() ? 0 : contractedAxis(*transitions.front());
    if (key < 0)
      return miss("the transition of state " + nameOf(s) + " is no sum of a diagonal and outer products");
    result.keyAxes.push_back(key);
    addDecay(s, diagonal);
    for (const Term *term : inputs)
      addOuter(s, *term);
    for (const Term *term : transitions)
      addTransition(s, *term);
  }

  int contractedAxis(const Term &term) {
    int contracted = -1;
    for (int axis = 0; axis < rank; ++axis)
      if (term.stateLetters[axis] != axis) {
        if (contracted >= 0 || term.stateLetters[axis] < rank)
          return -1;
        contracted = axis;
      }
    return contracted;
  }

  void addDecay(unsigned s, ArrayRef<const Term *> diagonal) {
    if (diagonal.size() == 1 && diagonal.front()->factors.empty() && diagonal.front()->scale == 1)
      return;
    ExpansionDecay decay{s, {}, {}};
    for (int axis = 0; axis < rank; ++axis)
      if (llvm::any_of(diagonal, [&](const Term *term) { return hasLetter(term->factors, axis); }))
        decay.axes.push_back(axis);
    for (const Term *term : diagonal)
      decay.sum.push_back({term->factors, term->scale});
    if (decay.axes.size() < 2) {
      result.decays.push_back(std::move(decay));
      return;
    }
    const Term &term = *diagonal.front();
    SplitFactors split = splitByLetter(term.factors, 1, letters());
    if (diagonal.size() > 1 || hasLetter(split.linked, 0))
      return miss("the decay of state " + nameOf(s) + " is no product of one along each axis");
    result.decays.push_back({s, {0}, {{split.rest, term.scale}}});
    result.decays.push_back({s, {1}, {{split.linked, 1}}});
  }

  SmallVector<int> letters() {
    SmallVector<int> own;
    for (int axis = 0; axis < rank; ++axis)
      own.push_back(axis);
    return own;
  }

  /// Factors without the value axis go with the key: scalars, too, so that equal keys of several products are one value.
  void addOuter(unsigned s, const Term &term) {
    SplitFactors split = rank == 2 ? splitByLetter(term.factors, 1 - key, letters()) : SplitFactors{{}, term.factors};
    if (hasLetter(split.linked, key))
      return miss("what enters state " + nameOf(s) + " is no sum of outer products");
    result.outers.push_back({s, {split.rest, term.scale}, {split.linked, 1}});
  }

  void addTransition(unsigned s, const Term &term) {
    if (contractedAxis(term) != key)
      return miss("the transition of state " + nameOf(s) + " contracts both axes");
    int summed = term.stateLetters[key];
    SplitFactors read = splitByLetter(term.factors, summed, letters());
    if (hasLetter(read.linked, key) || hasLetter(term.factors, 1 - key))
      return miss("the transition of state " + nameOf(s) + " is no sum of a diagonal and outer products");
    SmallVector<Factor> write = read.rest;
    double scale = term.scale;
    // A key that the transition writes along, too, is used again, and what is left goes with the read.
    for (const ExpansionOuter &outer : result.outers)
      if (std::optional<SmallVector<Factor>> rest = without(write, outer.key.factors);
          outer.state == s && rest && llvm::all_of(*rest, [](const Factor &f) { return f.letters.empty(); })) {
        read.linked.append(*rest);
        return add(s, outer.key, {read.linked, scale / outer.key.scale}, summed);
      }
    add(s, {write, 1}, {read.linked, scale}, summed);
  }

  void add(unsigned s, FactorProduct write, FactorProduct read, int summed) {
    for (ExpansionTransition &known : result.transitions)
      if (known.state == s && known.write.scale == write.scale && sameFactors(known.write.factors, write.factors)) {
        known.read.push_back(std::move(read));
        known.summed.push_back(summed);
        return;
      }
    result.transitions.push_back({s, std::move(write), {std::move(read)}, {summed}});
  }

  recur::ScanOp scan;
  Linearity &linearity;
  ScanExpansion result;
  int rank = 0, key = 0;
};

} // namespace

ScanExpansion rondo::analysis::findExpansion(recur::ScanOp scan, Linearity &linearity) {
  return ExpansionFinder(scan, linearity).find();
}
