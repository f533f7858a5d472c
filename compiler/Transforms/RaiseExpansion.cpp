// Expansions of states: the two regions of expand_scan and delta_scan, out of what Analysis/Expansion and ScanReadouts found.
#include "compiler/Analysis/Expansion.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/RaiseScans.h"
#include "compiler/Transforms/ScanReadouts.h"
#include "compiler/Transforms/StepValues.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::analysis;

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

class ExpansionRaiser {
public:
  ExpansionRaiser(recur::ScanOp scan, const ScanExpansion &found, const ScanReadouts &readouts)
      : scan(scan), found(found), readouts(readouts) {}

  void raise() {
    OpBuilder b(scan);
    SmallVector<Attribute> decays, reads;
    SmallVector<int64_t> outers, transitions;
    for (const ExpansionDecay &decay : found.decays)
      decays.push_back(recur::DecayAttr::get(scan.getContext(), decay.state, decay.axes, decay.before));
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
    markMoves(raised);
    makeCoefficients(raised->getRegion(0));
    makeReadout(raised->getRegion(1));
    scan.replaceAllUsesWith(raised->getResults());
    scan.erase();
  }

private:
  void markMoves(Operation *raised) {
    SmallVector<int64_t> moves;
    for (const ExpansionDecay &decay : found.decays)
      moves.push_back(decay.move);
    for (const ExpansionOuter &outer : found.outers)
      moves.push_back(outer.move);
    for (const ExpansionTransition &transition : found.transitions)
      moves.push_back(transition.move);
    if (llvm::any_of(moves, [](int64_t move) { return move > 0; }))
      raised->setAttr(recur::kMovesAttr, DenseI64ArrayAttr::get(scan.getContext(), moves));
  }
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
      keys.push_back(sum(values, outer.key, {key}, axisOf(outer.state, key)));
      bool matrix = stateType(outer.state).getRank() == 2;
      SmallVector<int64_t> axes = matrix ? SmallVector<int64_t>{1 - key} : SmallVector<int64_t>{};
      vectors.push_back(sum(values, outer.value, axes, axesOf(stateType(outer.state), axes)));
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
    SmallVector<int64_t> missing; // of both: the result repeats along these
    for (int axis = 0; axis < rank; ++axis) {
      out += static_cast<char>('a' + axis);
      if (spec.find(out.back()) == std::string::npos)
        missing.push_back(axis);
    }
    if (!missing.empty()) {
      spec += ",";
      for (int64_t axis : missing)
        spec += static_cast<char>('a' + axis);
      operands.push_back(constantOf(values.b, values.loc, axesOf(type, missing), 1));
    }
    return recur::ContractOp::create(values.b, values.loc, type, spec + "->" + out, operands);
  }

  recur::ScanOp scan;
  const ScanExpansion &found;
  const ScanReadouts &readouts;
};

} // namespace

Miss rondo::raiseExpansion(recur::ScanOp scan, const StateDependence &dependence) {
  SmallVector<unsigned> states = allStates(scan);
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

bool rondo::canExpand(recur::ScanOp scan, const StateDependence &dependence) {
  SmallVector<unsigned> states = allStates(scan);
  Linearity updates(scan, dependence, states);
  return findExpansion(scan, updates) && findReadouts(scan, dependence, states);
}
