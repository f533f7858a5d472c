// See ScanReadouts.h.
#include "compiler/Transforms/ScanReadouts.h"
#include "compiler/Analysis/Expansion.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::analysis;

namespace {

class ReadoutFinder {
public:
  ReadoutFinder(recur::ScanOp scan, const StateDependence &dependence, ArrayRef<unsigned> states)
      : scan(scan), dependence(dependence), states(states), linearity(scan, dependence, states, /*readsNew=*/true) {}

  ScanReadouts find() {
    for (Value output : scan.yield().getOutputs())
      if (result)
        visit(output);
    return std::move(result);
  }

private:
  void visit(Value value) {
    if (result.forms.contains(value) || result.mixed.contains(value) || !dependsOnStates(value) || !result)
      return;
    if (isState(value)) {
      result.missed = "an output reads the whole of a state";
      result.obstacle = value.getDefiningOp();
      return;
    }
    if (asReadouts(value))
      return;
    Operation *op = value.getDefiningOp();
    if (!op) {
      result.missed = "an output reads the whole of a state";
      return;
    }
    result.mixed.insert(value);
    for (Value operand : op->getOperands())
      visit(operand);
    if (!result && !result.obstacle)
      result.obstacle = op;
  }

  bool isState(Value value) {
    return llvm::any_of(states, [&](unsigned s) {
      return scan.yield().getStates()[s] == value || llvm::is_contained(scan.stateArgs(s), value);
    });
  }

  bool dependsOnStates(Value value) { return isState(value) || dependence.dependsOnAny(value, states); }

  /// Records `value` as a sum of readouts, if it is one.
  bool asReadouts(Value value) {
    const LinearForm form = linearity.of(value);
    if (!form)
      return false;
    int rank = cast<RankedTensorType>(value.getType()).getRank();
    SmallVector<ReadTerm> terms;
    SmallVector<ScanReadout> found;
    for (const Term &term : form.terms) {
      if (!term.state) {
        terms.push_back({term.scale, term.factors, std::nullopt, {}});
        continue;
      }
      std::optional<std::pair<ScanReadout, ReadTerm>> read = readTerm(term, rank);
      if (!read)
        return false;
      read->second.readout = found.size();
      found.push_back(read->first);
      terms.push_back(read->second);
    }
    for (ReadTerm &term : terms)
      if (term.readout)
        term.readout = number(found[*term.readout]);
    result.forms[value] = std::move(terms);
    return true;
  }

  /// A term as a contraction of one axis of a state, of the first one that allows it.
  std::optional<std::pair<ScanReadout, ReadTerm>> readTerm(const Term &term, int rank) {
    for (auto [axis, summed] : llvm::enumerate(term.stateLetters)) {
      if (summed < rank || llvm::count(term.stateLetters, summed) > 1)
        continue;
      // Letters that the query may not run into: the value's own, and those of the state's other axis.
      SmallVector<int> fixed;
      for (int letter = 0; letter < rank; ++letter)
        fixed.push_back(letter);
      for (int letter : term.stateLetters)
        if (letter != summed)
          fixed.push_back(letter);
      SplitFactors split = splitByLetter(term.factors, summed, fixed);
      bool mixes = llvm::any_of(fixed, [&](int letter) { return hasLetter(split.linked, letter); });
      if (mixes)
        continue;
      ScanReadout readout{*term.state, static_cast<int64_t>(axis), term.read != Term::kNewValue, split.linked, summed};
      ReadTerm rest{term.scale, split.rest, std::nullopt, {}};
      for (int letter : term.stateLetters)
        if (letter != summed)
          rest.readoutLetters.push_back(letter);
      // What is left is one product over the value's letters, or the readout's other axis is summed with the factors.
      bool open = llvm::any_of(rest.factors, [&](const Factor &factor) {
        return llvm::any_of(factor.letters, [&](int letter) {
          return letter >= rank && !llvm::is_contained(rest.readoutLetters, letter) &&
                 !llvm::is_contained(fixed, letter);
        });
      });
      if (!open && llvm::all_of(rest.readoutLetters, [&](int letter) { return letter < rank; }))
        return std::make_pair(readout, rest);
    }
    return std::nullopt;
  }

  unsigned number(const ScanReadout &readout) {
    auto same = [&](const ScanReadout &x) {
      if (x.state != readout.state || x.axis != readout.axis || x.before != readout.before ||
          x.query.size() != readout.query.size())
        return false;
      return llvm::all_of(llvm::zip(x.query, readout.query), [&](auto pair) {
        auto &[a, b] = pair;
        return a.value == b.value && a.reciprocal == b.reciprocal && renamed(a, x.letter) == renamed(b, readout.letter);
      });
    };
    for (auto [i, known] : llvm::enumerate(result.list))
      if (same(known))
        return i;
    result.list.push_back(readout);
    return result.list.size() - 1;
  }

  /// A factor's letters with the summed one called -1.
  static SmallVector<int, 2> renamed(const Factor &factor, int letter) {
    SmallVector<int, 2> letters(factor.letters);
    llvm::replace(letters, letter, -1);
    return letters;
  }

  recur::ScanOp scan;
  const StateDependence &dependence;
  ArrayRef<unsigned> states;
  Linearity linearity;
  ScanReadouts result;
};

} // namespace

ScanReadouts rondo::findReadouts(recur::ScanOp scan, const StateDependence &dependence, ArrayRef<unsigned> states) {
  return ReadoutFinder(scan, dependence, states).find();
}
