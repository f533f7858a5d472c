// See Expansion.h.
#include "compiler/Analysis/Expansion.h"
#include "compiler/Analysis/TwoSides.h"
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

static bool sameFactor(const Factor &a, const Factor &b) {
  return a.value == b.value && a.letters == b.letters && a.reciprocal == b.reciprocal;
}

/// `all` without the factors of `some`, or nothing when one of them is missing.
static std::optional<SmallVector<Factor>> without(ArrayRef<Factor> all, ArrayRef<Factor> some) {
  SmallVector<Factor> rest(all);
  for (const Factor &factor : some) {
    auto *found = llvm::find_if(rest, [&](const Factor &x) { return sameFactor(x, factor); });
    if (found == rest.end())
      return std::nullopt;
    rest.erase(found);
  }
  return rest;
}

bool rondo::analysis::sameFactors(ArrayRef<Factor> a, ArrayRef<Factor> b) {
  std::optional<SmallVector<Factor>> rest = without(a, b);
  return rest && rest->empty();
}

namespace {

class ExpansionFinder {
public:
  ExpansionFinder(recur::ScanOp scan, Linearity &linearity) : scan(scan), linearity(linearity) {}

  ScanExpansion find() {
    for (unsigned s = 0; s < scan.numStates() && result; ++s)
      addState(s);
    return std::move(result);
  }

  std::optional<ExpansionCounts> counts(unsigned s) {
    result.keyAxes.assign(s, 0); // of the states before, which do not matter
    addState(s);
    if (!result)
      return std::nullopt;
    return ExpansionCounts{last + 1, std::ssize(result.outers), std::ssize(result.transitions)};
  }

private:
  std::string nameOf(unsigned s) { return "'" + scan.state(s).getName().str() + "'"; }
  void miss(const std::string &why, Operation *obstacle = nullptr) {
    result.missed = why;
    result.obstacle = obstacle;
  }
  Value updateOf(unsigned s) { return scan.yield().getStates()[s]; }

  /// As one move, or as several where one would have a transition of several outer products.
  void addState(unsigned s) {
    rank = cast<RankedTensorType>(updateOf(s).getType()).getRank();
    last = 0;
    if (rank < 1 || rank > 2)
      return miss("state " + nameOf(s) + " has " + std::to_string(rank) + " axes, not one or two");
    ScanExpansion before = result;
    addMove(s, linearity.of(updateOf(s)), 0);
    if (!result || transitionsOf(s, 0) < 2)
      return;
    ScanExpansion inOne = std::exchange(result, std::move(before));
    if (!addMoves(s)) {
      last = 0;
      result = std::move(inOne);
    }
  }

  int64_t transitionsOf(unsigned s, int64_t move) {
    return llvm::count_if(result.transitions, [&](const auto &t) { return t.state == s && t.move == move; });
  }

  /// From the state to its update by way of values that are like it: each move goes as far as one outer product takes it.
  bool addMoves(unsigned s) {
    SmallVector<Value> values;
    for (Operation &op : scan.step()->without_terminator())
      if (op.getNumResults() == 1 && op.getResult(0).getType() == updateOf(s).getType())
        values.push_back(op.getResult(0));
    auto *end = llvm::find(values, updateOf(s));
    if (end == values.end())
      return false;
    values.erase(end + 1, values.end());
    size_t from = 0; // of the first value that is not behind us
    std::optional<Linearity> between;
    for (last = 0;; ++last) {
      size_t to = values.size();
      for (; to-- > from;)
        if (tryMove(s, between ? between->of(values[to]) : linearity.of(values[to]), between.has_value()))
          break;
      if (to + 1 <= from)
        return false;
      if (to + 1 == values.size())
        return true;
      between.emplace(linearity.between(values[to], s));
      from = to + 1;
    }
  }

  bool tryMove(unsigned s, const LinearForm &form, bool isBetween) {
    bool reaches = form && llvm::any_of(form.terms, [](const Term &term) { return term.state.has_value(); }) &&
                   llvm::all_of(form.terms, [&](const Term &term) {
                     return !term.state || (term.read == Term::kBetween) == isBetween;
                   });
    if (!reaches)
      return false;
    ScanExpansion before = result;
    addMove(s, form, last);
    if (result && transitionsOf(s, last) < 2)
      return true;
    result = std::move(before);
    return false;
  }

  void addMove(unsigned s, const LinearForm &form, int64_t number) {
    move = number;
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
    bool isFirst = result.keyAxes.size() <= s;
    if (isFirst || !transitions.empty())
      key = transitions.empty() ? 0 : contractedAxis(*transitions.front());
    if (key < 0)
      return miss("the transition of state " + nameOf(s) + " is no sum of a diagonal and outer products");
    if (isFirst)
      result.keyAxes.push_back(key);
    else if (result.keyAxes[s] != key)
      return miss("the transitions of state " + nameOf(s) + " contract different axes");
    std::optional<TwoSides> sides = decaysFirst(s, diagonal, transitions);
    if (sides) {
      diagonal.clear();
      transitions.clear();
      for (const Term &term : sides->rest)
        (term.isDiagonal() ? diagonal : transitions).push_back(&term);
    }
    addDecay(s, diagonal);
    mixes = !transitions.empty();
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

  /// Takes a decay along the values, which all that reads the state has, off the terms and adds it. Nothing where there is none: then what
  /// decays along the values does so beside the transition.
  std::optional<TwoSides> decaysFirst(unsigned s, ArrayRef<const Term *> diagonal, ArrayRef<const Term *> transitions) {
    if (rank < 2 || llvm::none_of(transitions, [&](const Term *term) { return hasLetter(term->factors, 1 - key); }))
      return std::nullopt;
    SmallVector<const Term *> terms(diagonal);
    terms.append(transitions.begin(), transitions.end());
    std::optional<TwoSides> sides = factorAlong(terms, 1 - key);
    if (!sides)
      sides = commonAlong(terms, 1 - key);
    if (sides->along.size() > 1 || !sides->along.front().factors.empty())
      result.decays.push_back({s, {1 - key}, sides->along, move, /*before=*/true});
    return sides;
  }

  void addDecay(unsigned s, ArrayRef<const Term *> diagonal) {
    if (diagonal.size() == 1 && diagonal.front()->factors.empty() && diagonal.front()->scale == 1)
      return;
    ExpansionDecay decay{s, {}, {}, move};
    for (int axis = 0; axis < rank; ++axis)
      if (llvm::any_of(diagonal, [&](const Term *term) { return hasLetter(term->factors, axis); }))
        decay.axes.push_back(axis);
    for (const Term *term : diagonal)
      decay.sum.push_back({term->factors, term->scale});
    if (decay.axes.size() < 2) {
      result.decays.push_back(std::move(decay));
      return;
    }
    std::optional<TwoSides> sides = factorAlong(diagonal, 1);
    if (!sides)
      return miss("the decay of state " + nameOf(s) + " is no product of one along each axis");
    FactorSum rest;
    for (const Term &term : sides->rest)
      rest.push_back({term.factors, term.scale});
    result.decays.push_back({s, {0}, rest, move});
    result.decays.push_back({s, {1}, sides->along, move});
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
    // Outer products along one key are one, and those of one value, where no transition looks for its key among them.
    FactorProduct along{split.rest, term.scale}, value{split.linked, 1};
    for (ExpansionOuter &known : result.outers) {
      if (known.state != s || known.move != move)
        continue;
      if (joinsAlong(known, along, value))
        return;
      bool isOf = known.value.size() == 1 && known.value.front().scale == 1 &&
                  sameFactors(known.value.front().factors, value.factors);
      if (isOf && !mixes)
        return known.key.push_back(std::move(along));
    }
    result.outers.push_back({s, {along}, {value}, move});
  }

  /// Adds `value` to the values of `known`, whose key is `along` but for numbers, which then go with the values.
  bool joinsAlong(ExpansionOuter &known, const FactorProduct &along, FactorProduct value) {
    FactorProduct &first = known.key.front();
    SplitFactors mine = splitByLetter(along.factors, key, letters()),
                 its = splitByLetter(first.factors, key, letters());
    if (known.key.size() > 1 || !sameFactors(mine.linked, its.linked))
      return false;
    if (first.scale == 0 || !sameFactors(mine.rest, its.rest)) {
      for (FactorProduct &other : known.value) {
        other.factors.append(its.rest);
        other.scale *= first.scale;
      }
      value.factors.append(mine.rest);
      first = {its.linked, 1};
    }
    value.scale *= along.scale / first.scale;
    known.value.push_back(std::move(value));
    return true;
  }

  void addTransition(unsigned s, const Term &term) {
    if (contractedAxis(term) != key)
      return miss("the transition of state " + nameOf(s) + " contracts both axes");
    int summed = term.stateLetters[key];
    SplitFactors read = splitByLetter(term.factors, summed, letters());
    for (const Factor &factor : term.factors)
      if (rank == 2 && llvm::is_contained(factor.letters, 1 - key))
        return miss("a transition of state " + nameOf(s) +
                        " varies along its values, and not as all that it keeps does",
                    factor.value.getDefiningOp() ? factor.value.getDefiningOp() : *factor.value.user_begin());
    if (hasLetter(read.linked, key))
      return miss("the transition of state " + nameOf(s) + " is no sum of a diagonal and outer products");
    SmallVector<Factor> write = read.rest;
    double scale = term.scale;
    // A key that the transition writes along, too, is used again, and what is left goes with the read.
    for (const ExpansionOuter &outer : result.outers) {
      if (outer.key.size() > 1)
        continue;
      const FactorProduct &along = outer.key.front();
      if (std::optional<SmallVector<Factor>> rest = without(write, along.factors);
          outer.state == s && outer.move == move && rest &&
          llvm::all_of(*rest, [](const Factor &f) { return f.letters.empty(); })) {
        read.linked.append(*rest);
        return add(s, along, {read.linked, scale / along.scale}, summed);
      }
    }
    add(s, {write, 1}, {read.linked, scale}, summed);
  }

  void add(unsigned s, FactorProduct write, FactorProduct read, int summed) {
    for (ExpansionTransition &known : result.transitions)
      if (known.state == s && known.move == move && known.write.scale == write.scale &&
          sameFactors(known.write.factors, write.factors)) {
        known.read.push_back(std::move(read));
        known.summed.push_back(summed);
        return;
      }
    result.transitions.push_back({s, std::move(write), {std::move(read)}, {summed}, move});
  }

  recur::ScanOp scan;
  Linearity &linearity;
  ScanExpansion result;
  int rank = 0, key = 0;
  bool mixes = false;         // the move that is added has a transition
  int64_t move = 0, last = 0; // the move that is added, and the last one of the state
};

} // namespace

ScanExpansion rondo::analysis::findExpansion(recur::ScanOp scan, Linearity &linearity) {
  return ExpansionFinder(scan, linearity).find();
}

std::optional<ExpansionCounts> rondo::analysis::countParts(recur::ScanOp scan, Linearity &linearity, unsigned s) {
  return ExpansionFinder(scan, linearity).counts(s);
}
