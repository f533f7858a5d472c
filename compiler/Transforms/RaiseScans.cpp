// raise-scans: a recur.scan becomes the tightest op whose structure its equations have. What the structure is, Analysis/Expansion
// and Analysis/LinearForm say; this file makes the two regions of the raised op.
#include "compiler/Analysis/Expansion.h"
#include "compiler/Analysis/Families.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/ScanReadouts.h"
#include "compiler/Transforms/SplitStrata.h"
#include "compiler/Transforms/StepValues.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace rondo {
#define GEN_PASS_DEF_RAISESCANS
#include "compiler/Transforms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;
using namespace rondo::analysis;

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// A block with the inputs and parameters of a step.
Block *sharedBlock(Region &region, recur::ScanOp scan) {
  Block *block = &region.emplaceBlock();
  for (BlockArgument argument :
       scan.step()->getArguments().take_front(scan.getInputs().size() + scan.getParams().size()))
    block->addArgument(argument.getType(), argument.getLoc());
  return block;
}

/// The scans that can be raised at all; otherwise why not.
std::string outOfReach(recur::ScanOp scan) {
  if (scan.numStates() == 0)
    return "it has no state";
  if (scan.numAxes() != 1)
    return "it scans " + std::to_string(scan.numAxes()) + " axes";
  for (unsigned s = 0; s < scan.numStates(); ++s)
    if (scan.state(s).getReads().size() != 1 || scan.state(s).getReads()[0].asArrayRef() != ArrayRef<int64_t>{1})
      return "state '" + scan.state(s).getName().str() + "' is not read one step back alone";
  return "";
}

/// Why a scan was not raised, and where.
struct Miss {
  std::string why;
  Operation *obstacle = nullptr;
};

//===--- expand_scan and delta_scan ---------------------------------------------------------------------------------===//

class ExpansionRaiser {
public:
  ExpansionRaiser(recur::ScanOp scan, const ScanExpansion &found, const ScanReadouts &readouts)
      : scan(scan), found(found), readouts(readouts) {}

  void raise() {
    OpBuilder b(scan);
    SmallVector<Attribute> decays, reads;
    SmallVector<int64_t> outers, transitions;
    for (const ExpansionDecay &decay : found.decays)
      decays.push_back(recur::DecayAttr::get(scan.getContext(), decay.state, decay.axes));
    for (const ExpansionOuter &outer : found.outers)
      outers.push_back(outer.state);
    for (const ExpansionTransition &transition : found.transitions)
      transitions.push_back(transition.state);
    for (const ScanReadout &readout : readouts.list)
      reads.push_back(recur::ReadoutAttr::get(scan.getContext(), readout.state, readout.axis, readout.before));
    Operation *raised;
    if (transitions.empty())
      raised = recur::ExpandScanOp::create(b, scan.getLoc(), scan.getResultTypes(), scan.getInputs(), scan.getParams(),
                                           scan.getInits(), scan.getResets(), scan.getOffsets(), scan.getAxes(),
                                           scan.getStates(), found.keyAxes, b.getArrayAttr(decays), outers,
                                           b.getArrayAttr(reads));
    else
      raised = recur::DeltaScanOp::create(b, scan.getLoc(), scan.getResultTypes(), scan.getInputs(), scan.getParams(),
                                          scan.getInits(), scan.getResets(), scan.getOffsets(), scan.getAxes(),
                                          scan.getStates(), found.keyAxes, b.getArrayAttr(decays), outers, transitions,
                                          b.getArrayAttr(reads));
    makeCoefficients(raised->getRegion(0));
    makeReadout(raised->getRegion(1));
    scan.replaceAllUsesWith(raised->getResults());
    scan.erase();
  }

private:
  RankedTensorType stateType(unsigned s) { return typeOf(scan.yield().getStates()[s]); }
  RankedTensorType axisOf(unsigned s, int64_t axis) { return axesOf(stateType(s), {axis}); }

  Value sum(StepValues &values, const FactorSum &terms, ArrayRef<int64_t> axes, RankedTensorType type) {
    SmallVector<int> letters(axes.begin(), axes.end());
    Value total;
    for (const FactorProduct &term : terms) {
      // A term that lacks an axis is added as a scalar.
      bool has = llvm::any_of(letters, [&](int letter) { return hasLetter(term.factors, letter); });
      Value one = has ? values.product(term.factors, term.scale, letters, type)
                      : values.product(term.factors, term.scale, {}, axesOf(type, {}));
      total = total ? values.map(recur::Fn::Add, {total, one}) : one;
    }
    if (!total)
      return constantOf(values.b, values.loc, type, 0);
    return typeOf(total).getRank() == type.getRank() ? total : values.repeated(total, {}, type);
  }

  void makeCoefficients(Region &region) {
    StepValues values(scan, sharedBlock(region, scan));
    SmallVector<Value> decays, keys, vectors, writes, reads, queries;
    for (const ExpansionDecay &decay : found.decays)
      decays.push_back(sum(values, decay.sum, decay.axes, axesOf(stateType(decay.state), decay.axes)));
    for (const ExpansionOuter &outer : found.outers) {
      int64_t key = found.keyAxes[outer.state];
      keys.push_back(values.product(outer.key.factors, outer.key.scale, {int(key)}, axisOf(outer.state, key)));
      bool matrix = stateType(outer.state).getRank() == 2;
      SmallVector<int> letters = matrix ? SmallVector<int>{int(1 - key)} : SmallVector<int>{};
      RankedTensorType type = matrix ? axisOf(outer.state, 1 - key) : axesOf(stateType(outer.state), {});
      vectors.push_back(values.product(outer.value.factors, outer.value.scale, letters, type));
    }
    for (const ExpansionTransition &transition : found.transitions) {
      int64_t key = found.keyAxes[transition.state];
      RankedTensorType type = axisOf(transition.state, key);
      writes.push_back(values.product(transition.write.factors, transition.write.scale, {int(key)}, type));
      Value read;
      for (auto [product, letter] : llvm::zip(transition.read, transition.summed)) {
        Value one = values.product(product.factors, product.scale, {letter}, type);
        read = read ? values.map(recur::Fn::Add, {read, one}) : one;
      }
      reads.push_back(read);
    }
    for (const ScanReadout &readout : readouts.list)
      queries.push_back(values.product(readout.query, 1, {readout.letter}, axisOf(readout.state, readout.axis)));
    recur::CoefficientsOp::create(values.b, scan.getLoc(), decays, keys, vectors, writes, reads, queries);
  }

  void makeReadout(Region &region) {
    Block *block = sharedBlock(region, scan);
    SmallVector<Value> arguments;
    for (const ScanReadout &readout : readouts.list) {
      SmallVector<int64_t> axes;
      for (int64_t axis = 0; axis < stateType(readout.state).getRank(); ++axis)
        if (axis != readout.axis)
          axes.push_back(axis);
      arguments.push_back(block->addArgument(axesOf(stateType(readout.state), axes), scan.getLoc()));
    }
    StepValues values(scan, block);
    SmallVector<Value> outputs;
    for (Value output : scan.yield().getOutputs())
      outputs.push_back(rebuild(output, values, arguments));
    recur::YieldOp::create(values.b, scan.getLoc(), ValueRange(), outputs);
  }

  /// A value of the step out of the readouts.
  Value rebuild(Value value, StepValues &values, ArrayRef<Value> arguments) {
    auto form = readouts.forms.find(value);
    if (values.has(value) || (form == readouts.forms.end() && !readouts.mixed.contains(value)))
      return values.get(value);
    Value result;
    if (form == readouts.forms.end()) {
      Operation *op = value.getDefiningOp();
      for (Value operand : op->getOperands())
        values.set(operand, rebuild(operand, values, arguments));
      return values.get(value);
    }
    RankedTensorType type = typeOf(value);
    SmallVector<int> own;
    for (int axis = 0; axis < type.getRank(); ++axis)
      own.push_back(axis);
    for (const ReadTerm &term : form->second) {
      SmallVector<int> letters;
      SmallVector<int64_t> axes;
      for (int axis : own)
        if (!term.readout || hasLetter(term.factors, axis)) {
          letters.push_back(axis);
          axes.push_back(axis);
        }
      Value one;
      if (!term.readout || !term.factors.empty() || term.scale != 1)
        one = values.product(term.factors, term.scale, letters, axesOf(type, axes));
      if (term.readout)
        one = times(values, arguments[*term.readout], term.readoutLetters, one, letters, type);
      result = result ? values.map(recur::Fn::Add, {result, one}) : one;
    }
    values.set(value, result);
    return result;
  }

  /// readout * factor over the letters of `type`; the factor may be missing.
  Value times(StepValues &values, Value readout, ArrayRef<int> readoutLetters, Value factor,
              ArrayRef<int> factorLetters, RankedTensorType type) {
    int rank = type.getRank();
    bool plain = static_cast<int>(readoutLetters.size()) == rank &&
                 llvm::all_of(llvm::enumerate(readoutLetters), [](auto at) { return at.value() == int(at.index()); });
    if (plain && (!factor || factorLetters.empty()))
      return factor ? values.map(recur::Fn::Mul, {readout, factor}) : readout;
    std::string spec, out;
    for (int letter : readoutLetters)
      spec += static_cast<char>('a' + letter);
    SmallVector<Value> operands{readout};
    if (factor) {
      spec += ",";
      for (int letter : factorLetters)
        spec += static_cast<char>('a' + letter);
      operands.push_back(factor);
    }
    for (int axis = 0; axis < rank; ++axis)
      out += static_cast<char>('a' + axis);
    return recur::ContractOp::create(values.b, values.loc, type, spec + "->" + out, operands);
  }

  recur::ScanOp scan;
  const ScanExpansion &found;
  const ScanReadouts &readouts;
};

Miss raiseExpansion(recur::ScanOp scan, const StateDependence &dependence, ArrayRef<unsigned> states) {
  Linearity updates(scan, dependence, states);
  ScanExpansion found = findExpansion(scan, updates);
  if (!found)
    return {found.missed, found.obstacle};
  ScanReadouts readouts = findReadouts(scan, dependence, states);
  if (!readouts)
    return {readouts.missed, readouts.obstacle};
  ExpansionRaiser(scan, found, readouts).raise();
  return {};
}

SmallVector<unsigned> allStates(recur::ScanOp scan) {
  SmallVector<unsigned> states;
  for (unsigned s = 0; s < scan.numStates(); ++s)
    states.push_back(s);
  return states;
}

/// True for a scan that becomes an expand_scan or delta_scan.
bool canExpand(recur::ScanOp scan) {
  if (!outOfReach(scan).empty())
    return false;
  StateDependence dependence(scan);
  SmallVector<unsigned> states = allStates(scan);
  Linearity updates(scan, dependence, states);
  return findExpansion(scan, updates) && findReadouts(scan, dependence, states);
}

//===--- linear_scan ------------------------------------------------------------------------------------------------===//

/// Decay and value of every state in one semiring.
struct LinearParts {
  SmallVector<Value> decays, values;
};

/// h = max(a + h₋, ..., b) as (a, b), in the region of coefficients. Either may be missing.
class TropicalForm {
public:
  TropicalForm(StepValues &values, const StateDependence &dependence, ArrayRef<unsigned> states, Value old)
      : values(values), dependence(dependence), states(states), old(old) {}

  struct Parts {
    Value decay, free;
    bool good = true;
  };

  Parts of(Value value) {
    RankedTensorType type = typeOf(value);
    if (value == old)
      return {constantOf(values.b, values.loc, type, 0), {}};
    if (isFree(value))
      return {{}, values.get(value)};
    auto map = value.getDefiningOp<recur::MapOp>();
    if (!map)
      return {{}, {}, false};
    auto operand = [&](unsigned i) -> Value { return map.getOperands_()[i]; };
    switch (map.getFn()) {
    case recur::Fn::Max:
      return both(of(operand(0)), of(operand(1)));
    case recur::Fn::Add:
      for (unsigned i : {0u, 1u})
        if (isFree(operand(i)))
          return shifted(of(operand(1 - i)), recur::Fn::Add, values.get(operand(i)));
      return {{}, {}, false};
    case recur::Fn::Sub:
      if (isFree(operand(1)))
        return shifted(of(operand(0)), recur::Fn::Sub, values.get(operand(1)));
      return {{}, {}, false};
    default:
      return {{}, {}, false};
    }
  }

private:
  bool isFree(Value value) const { return !dependence.dependsOnAny(value, states); }
  Parts both(Parts x, Parts y) {
    auto larger = [&](Value a, Value b) { return a && b ? values.map(recur::Fn::Max, {a, b}) : a ? a : b; };
    return {larger(x.decay, y.decay), larger(x.free, y.free), x.good && y.good};
  }
  Parts shifted(Parts x, recur::Fn fn, Value by) {
    auto shift = [&](Value a) { return a ? values.map(fn, {a, by}) : a; };
    return {shift(x.decay), shift(x.free), x.good};
  }

  StepValues &values;
  const StateDependence &dependence;
  ArrayRef<unsigned> states;
  Value old;
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
    Miss miss = semiring == recur::Semiring::PlusTimes ? plusTimes(values, parts) : maxPlus(values, parts);
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
      Value zero = decay && free ? Value() : constantOf(values.b, values.loc, type, 0);
      parts.decays.push_back(decay ? decay : zero);
      parts.values.push_back(free ? free : zero);
    }
    return {};
  }

  Miss maxPlus(StepValues &values, LinearParts &parts) {
    for (unsigned s : states) {
      Value update = scan.yield().getStates()[s];
      auto form = TropicalForm(values, dependence, states, scan.stateArgs(s).front()).of(update);
      if (!form.good || !form.decay || !form.free)
        return {nameOf(s) + " is no maximum of its shifted old value and a new one"};
      RankedTensorType type = typeOf(update);
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

bool raiseSplit(recur::ScanOp scan);

/// Raises `scan` if it can be raised; why not as an expansion, otherwise.
Miss raise(recur::ScanOp scan) {
  if (std::string why = outOfReach(scan); !why.empty())
    return raiseSplit(scan) ? Miss() : Miss{why};
  StateDependence dependence(scan);
  SmallVector<unsigned> states = allStates(scan);
  if (LinearRaiser(scan, dependence, states).raise(recur::Semiring::MaxPlus).why.empty())
    return {};
  Miss expansion = raiseExpansion(scan, dependence, states);
  if (expansion.why.empty() || raiseSplit(scan) ||
      LinearRaiser(scan, dependence, states).raise(recur::Semiring::PlusTimes).why.empty())
    return {};
  return expansion;
}

//===--- scans of several strata ------------------------------------------------------------------------------------===//

/// Puts strata into groups that may each become one op: matrix states that take in outer products, with what reads like them,
/// and everything else. A stratum comes after all that it reads.
StateGroups groupStrata(recur::ScanOp scan, const StateDependence &dependence, ArrayRef<StratumFacts> strata,
                        bool vectorsJoin, bool together) {
  StateGroups groups;
  SmallVector<bool> expands;
  for (const StratumFacts &facts : strata) {
    bool vector = facts.family == Family::Linear && vectorsJoin && llvm::all_of(facts.stratum.states, [&](unsigned s) {
                    return typeOf(scan.yield().getStates()[s]).getRank() == 1;
                  });
    bool expand = facts.family == Family::Expand || facts.family == Family::Delta || vector;
    size_t first = 0;
    for (size_t g = 0; g < groups.size(); ++g)
      if (llvm::any_of(facts.stratum.states,
                       [&](unsigned s) { return dependence.dependsOnAny(scan.yield().getStates()[s], groups[g]); }))
        first = g + (expand || expands[g]);
    size_t g = first;
    while (g < groups.size() && (expands[g] != expand || (expand && !together)))
      ++g;
    if (g == groups.size()) {
      groups.emplace_back();
      expands.push_back(expand);
    }
    llvm::append_range(groups[g], facts.stratum.states);
  }
  return groups;
}

/// Splits `scan` into groups of strata, if each group of matrix states can then be raised.
bool raiseSplit(recur::ScanOp scan) {
  SmallVector<StratumFacts> strata = findFamilies(scan);
  bool anyMatrix = llvm::any_of(strata, [](const StratumFacts &facts) {
    return facts.family == Family::Expand || facts.family == Family::Delta;
  });
  if (strata.size() < 2 || !anyMatrix || scan.numAxes() != 1)
    return false;
  StateDependence dependence(scan);
  for (auto [vectorsJoin, together] : {std::pair(true, true), {false, true}, {true, false}, {false, false}}) {
    StateGroups groups = groupStrata(scan, dependence, strata, vectorsJoin, together);
    std::optional<SplitScans> split =
        groups.size() > 1 ? splitScan(scan, dependence, groups) : std::optional<SplitScans>();
    if (!split)
      continue;
    bool good = llvm::all_of(llvm::zip(split->scans, groups), [&](auto pair) {
      auto &[part, states] = pair;
      bool matrix = llvm::any_of(strata, [&, &states = states](const StratumFacts &facts) {
        return (facts.family == Family::Expand || facts.family == Family::Delta) &&
               llvm::is_contained(states, facts.stratum.states.front());
      });
      return !matrix || canExpand(part);
    });
    if (good) {
      scan.replaceAllUsesWith(split->results);
      scan.erase();
      for (recur::ScanOp part : split->scans)
        raise(part);
      return true;
    }
    for (recur::ScanOp part : llvm::reverse(split->scans))
      part.erase();
  }
  return false;
}

struct RaiseScans : rondo::impl::RaiseScansBase<RaiseScans> {
  using RaiseScansBase::RaiseScansBase;
  void runOnOperation() override {
    SmallVector<recur::ScanOp> scans;
    getOperation().walk([&](recur::ScanOp scan) { scans.push_back(scan); });
    for (recur::ScanOp scan : scans) {
      Miss miss = raise(scan);
      if (miss.why.empty())
        continue;
      InFlightDiagnostic remark = scan.emitRemark("raise-scans declines: ") << miss.why;
      if (miss.obstacle)
        remark.attachNote(miss.obstacle->getLoc()) << "because of this";
    }
  }
};

} // namespace
