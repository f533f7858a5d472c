// Elementwise linear recurrences: the two regions of linear_scan, in three semirings.
#include "compiler/Analysis/LinearForm.h"
#include "compiler/Transforms/RaiseScans.h"
#include "compiler/Transforms/StepValues.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::analysis;
using recur::Fn;

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The operands of a map of this function, or nothing.
SmallVector<Value> operandsOf(Value value, Fn fn) {
  auto map = value.getDefiningOp<recur::MapOp>();
  return map && map.getFn() == fn ? SmallVector<Value>(map.getOperands_()) : SmallVector<Value>();
}

/// Decay and value of every state in one semiring.
struct LinearParts {
  SmallVector<Value> decays, values;
};

/// The terms x of a value log(e^x + e^y + ...), however its stable forms spell it; nothing for other values.
class LogSum {
public:
  static SmallVector<Value> of(Value value) {
    // log(e^x + e^y)
    if (SmallVector<Value> log = operandsOf(value, Fn::Log); !log.empty())
      return exponents(log[0]);
    // a == b ? a + log 2 : max(a, b) + log1p(e^-|a - b|)
    if (SmallVector<Value> choice = operandsOf(value, Fn::Select); !choice.empty()) {
      SmallVector<Value> equal = operandsOf(choice[0], Fn::Eq), terms = of(choice[2]);
      return !equal.empty() && sameSet(equal, terms) ? terms : SmallVector<Value>();
    }
    SmallVector<Value> sum = operandsOf(value, Fn::Add);
    for (unsigned i = 0; i < sum.size(); ++i) {
      if (SmallVector<Value> terms = softened(sum[i], sum[1 - i]); !terms.empty())
        return terms;
      if (SmallVector<Value> terms = shifted(of(sum[1 - i]), sum[i]); !terms.empty())
        return terms;
    }
    return {};
  }

private:
  /// The exponents of a sum of exponentials.
  static SmallVector<Value> exponents(Value sum) {
    if (SmallVector<Value> exp = operandsOf(sum, Fn::Exp); !exp.empty())
      return exp;
    SmallVector<Value> sides = operandsOf(sum, Fn::Add);
    if (sides.empty())
      return {};
    SmallVector<Value> left = exponents(sides[0]), right = exponents(sides[1]);
    if (left.empty() || right.empty())
      return {};
    llvm::append_range(left, right);
    return left;
  }

  /// max(a, b) and log1p(e^-|a - b|) are a log-sum of a and b.
  static SmallVector<Value> softened(Value larger, Value rest) {
    SmallVector<Value> max = operandsOf(larger, Fn::Max);
    Value at = rest;
    for (Fn fn : {Fn::Log1p, Fn::Exp, Fn::Neg, Fn::Abs}) {
      SmallVector<Value> inner = operandsOf(at, fn);
      if (inner.empty())
        return {};
      at = inner[0];
    }
    SmallVector<Value> difference = operandsOf(at, Fn::Sub);
    return !max.empty() && sameSet(max, difference) ? max : SmallVector<Value>();
  }

  /// x - by, y - by, ... with `by` added again are x, y, ...
  static SmallVector<Value> shifted(ArrayRef<Value> terms, Value by) {
    SmallVector<Value> result;
    for (Value term : terms) {
      SmallVector<Value> difference = operandsOf(term, Fn::Sub);
      if (difference.empty() || difference[1] != by)
        return {};
      result.push_back(difference[0]);
    }
    return result;
  }

  static bool sameSet(ArrayRef<Value> a, ArrayRef<Value> b) {
    return a.size() == 2 && b.size() == 2 && ((a[0] == b[0] && a[1] == b[1]) || (a[0] == b[1] && a[1] == b[0]));
  }
};

/// A value as its state's old value shifted by `decay`, and `free` of states, joined by the semiring's sum: maximum or log-sum.
/// Made in the region of coefficients. Either may be missing; a decay that shifts by nothing is zero.
class TropicalForm {
public:
  TropicalForm(StepValues &values, const StateDependence &dependence, ArrayRef<unsigned> states, Value old,
               recur::Semiring semiring)
      : values(values), dependence(dependence), states(states), old(old), semiring(semiring) {}

  struct Parts {
    Value decay, free;
    bool plain = false; // the decay is zero
    bool good = true;
    bool hasDecay() const { return decay || plain; }
  };

  Parts of(Value value) {
    if (value == old)
      return {{}, {}, true};
    if (isFree(value))
      return {{}, values.get(value)};
    if (SmallVector<Value> sides = joined(value); !sides.empty()) {
      Parts all = of(sides[0]);
      for (Value side : ArrayRef(sides).drop_front())
        all = both(all, of(side));
      return all;
    }
    for (Fn fn : {Fn::Add, Fn::Sub}) {
      SmallVector<Value> sides = operandsOf(value, fn);
      for (unsigned i = 0; i < sides.size(); ++i)
        if (isFree(sides[i]) && (fn == Fn::Add || i == 1))
          return shifted(of(sides[1 - i]), fn, values.get(sides[i]));
    }
    return {{}, {}, false, false};
  }

private:
  bool isFree(Value value) const { return !dependence.dependsOnAny(value, states); }

  SmallVector<Value> joined(Value value) const {
    return semiring == recur::Semiring::MaxPlus ? operandsOf(value, Fn::Max) : LogSum::of(value);
  }

  /// Two decays, or two other values, are joined only where the sum is a maximum.
  Parts both(Parts x, Parts y) {
    bool twice = (x.hasDecay() && y.hasDecay()) || (x.free && y.free);
    if (twice && semiring != recur::Semiring::MaxPlus)
      return {{}, {}, false, false};
    auto larger = [&](Value a, Value b) { return a && b ? values.map(Fn::Max, {a, b}) : a ? a : b; };
    Parts result{larger(x.decay, y.decay), larger(x.free, y.free), x.plain || y.plain, x.good && y.good};
    if (result.plain && result.decay) {
      RankedTensorType type = typeOf(result.decay);
      result.decay = larger(result.decay, constantOf(values.b, values.loc, axesOf(type, {}), 0));
      result.plain = false;
    }
    return result;
  }

  Parts shifted(Parts x, Fn fn, Value by) {
    if (x.plain)
      x.decay = fn == Fn::Add ? by : values.map(Fn::Neg, {by});
    else if (x.decay)
      x.decay = values.map(fn, {x.decay, by});
    x.plain = false;
    if (x.free)
      x.free = values.map(fn, {x.free, by});
    return x;
  }

  StepValues &values;
  const StateDependence &dependence;
  ArrayRef<unsigned> states;
  Value old;
  recur::Semiring semiring;
};

class LinearRaiser {
public:
  LinearRaiser(recur::ScanOp scan, const StateDependence &dependence, ArrayRef<unsigned> states)
      : scan(scan), dependence(dependence), states(states) {}

  Miss raise(recur::Semiring semiring) {
    OpBuilder b(scan);
    auto raised = recur::LinearScanOp::create(b, scan.getLoc(), scan.getResultTypes(), scan.getInputs(),
                                              scan.getParams(), scan.getInits(), scan.getResets(), scan.getOffsets(),
                                              scan.getAxes(), scan.getStates(), semiring);
    StepValues values(scan, sharedBlock(raised.getCoefficients(), scan));
    LinearParts parts;
    Miss miss = semiring == recur::Semiring::PlusTimes ? plusTimes(values, parts) : tropical(values, parts, semiring);
    if (!miss.why.empty()) {
      raised.erase();
      return miss;
    }
    recur::CoefficientsOp::create(values.b, scan.getLoc(), parts.decays, ValueRange(), parts.values, ValueRange(),
                                  ValueRange(), ValueRange());
    makeReadout(raised);
    scan.replaceAllUsesWith(raised.getResults());
    scan.erase();
    return {};
  }

private:
  std::string nameOf(unsigned s) { return "state '" + scan.state(s).getName().str() + "'"; }

  Miss plusTimes(StepValues &values, LinearParts &parts) {
    Linearity linearity(scan, dependence, states);
    for (unsigned s : states) {
      Value update = scan.yield().getStates()[s];
      const LinearForm &form = linearity.of(update);
      if (!form)
        return {nameOf(s) + " is not linear in the states", form.obstacle};
      RankedTensorType type = typeOf(update);
      SmallVector<int> letters;
      for (int axis = 0; axis < type.getRank(); ++axis)
        letters.push_back(axis);
      Value decay, free;
      for (const Term &term : form.terms) {
        if (term.state && (*term.state != s || !term.isDiagonal()))
          return {"the transition of " + nameOf(s) + " is not elementwise"};
        Value one = values.product(term.factors, term.scale, letters, type);
        Value &into = term.state ? decay : free;
        into = into ? values.map(recur::Fn::Add, {into, one}) : one;
      }
      // A decay of zero would turn an infinite old value into one that is no number.
      if (!decay)
        return {nameOf(s) + " keeps nothing of its old value"};
      parts.decays.push_back(decay);
      parts.values.push_back(free ? free : constantOf(values.b, values.loc, type, 0));
    }
    return {};
  }

  Miss tropical(StepValues &values, LinearParts &parts, recur::Semiring semiring) {
    for (unsigned s : states) {
      Value update = scan.yield().getStates()[s];
      TropicalForm reader(values, dependence, states, scan.stateArgs(s).front(), semiring);
      TropicalForm::Parts form = reader.of(update);
      if (!form.good || !form.hasDecay() || !form.free)
        return {nameOf(s) + " does not join its shifted old value with a new one"};
      RankedTensorType type = typeOf(update);
      if (form.plain)
        form.decay = constantOf(values.b, values.loc, type, 0);
      for (Value *part : {&form.decay, &form.free})
        if (typeOf(*part).getRank() != type.getRank())
          *part = values.repeated(*part, {}, type);
      parts.decays.push_back(form.decay);
      parts.values.push_back(form.free);
    }
    return {};
  }

  void makeReadout(recur::LinearScanOp raised) {
    Block *block = sharedBlock(raised.getReadout(), scan);
    for (unsigned s = 0; s < scan.numStates(); ++s)
      for (int i = 0; i < 2; ++i)
        block->addArgument(scan.yield().getStates()[s].getType(), scan.getLoc());
    StepValues values(scan, block);
    unsigned first = scan.getInputs().size() + scan.getParams().size();
    for (unsigned s = 0; s < scan.numStates(); ++s) {
      values.set(scan.yield().getStates()[s], block->getArgument(first + 2 * s));
      values.set(scan.stateArgs(s).front(), block->getArgument(first + 2 * s + 1));
    }
    SmallVector<Value> outputs;
    for (Value output : scan.yield().getOutputs())
      outputs.push_back(values.get(output));
    recur::YieldOp::create(values.b, scan.getLoc(), ValueRange(), outputs);
  }

  recur::ScanOp scan;
  const StateDependence &dependence;
  ArrayRef<unsigned> states;
};

} // namespace

Miss rondo::raiseLinear(recur::ScanOp scan, const StateDependence &dependence, recur::Semiring semiring) {
  SmallVector<unsigned> states = allStates(scan);
  return LinearRaiser(scan, dependence, states).raise(semiring);
}
