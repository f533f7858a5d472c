// See ExpansionAdjoint.h. Every scan here is made of single steps; what raises scans finds the expansions in them again.
#include "compiler/Differentiate/ExpansionAdjoint.h"
#include "compiler/Differentiate/LogDecay.h"
#include "compiler/Differentiate/StepAdjoint.h"
#include "compiler/Differentiate/StepCopier.h"
#include "compiler/Transforms/RaisedStep.h"
#include "compiler/Transforms/StepValues.h"
#include <list>

using namespace mlir;
using namespace rondo;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

namespace {

/// What an argument of a block stands for.
struct Source {
  Value operand;
  bool isParam = false;
};
using Sources = DenseMap<Value, Source>;

class SourceCopier : public StepCopier {
public:
  SourceCopier(NewScan &into, const Sources &sources) : StepCopier(into), sources(sources) {}
  /// The argument of the new scan for an operand; one, however often it is asked for.
  Value input(Value operand, bool isParam = false) {
    Value &here = opened[operand];
    if (!here)
      here = isParam ? into.param(operand) : into.input(operand);
    return here;
  }

private:
  Value open(BlockArgument argument) override {
    Source source = sources.lookup(argument);
    return input(source.operand, source.isParam);
  }
  const Sources &sources;
  DenseMap<Value, Value> opened;
};

class ExpansionAdjoint {
public:
  ExpansionAdjoint(OpBuilder &b, recur::ExpandScanOp op, ArrayRef<Value> ofOutputs, ArrayRef<Value> ofFinals,
                   const WantedCotangents &wanted)
      : b(b), loc(op.getLoc()), of(op), scan(op), given(of.given()), ofOutputs(ofOutputs), ofFinals(ofFinals),
        wanted(wanted), active(activeValues(of, wanted)), finals(scan.numStates()), ofInits(scan.numStates()) {
    for (Value input : scan.getInputs())
      if (isStoredNarrow(input))
        stored = typeOf(input).getElementType();
    for (Region *region : {of.coefficients, of.readout})
      addSources(region->getArguments());
  }

  FailureOr<ScanCotangents> build() {
    if (failed(findReadCotangents()))
      return failure();
    findFactorCotangents();
    if (failed(findOperandCotangents()))
      return failure();
    for (unsigned s = 0; s < scan.numStates(); ++s) {
      if (wanted.inits[s] && !ofInits[s])
        readCotangent(s, of.keyAxes[s], nullptr);
      result.inits.emplace_back();
      if (ofInits[s])
        result.inits.back().push_back(ofInits[s]);
    }
    return std::move(result);
  }

private:
  /// Arguments of a region: inputs, parameters and, of the second region, what was read.
  void addSources(ArrayRef<BlockArgument> arguments) {
    size_t inputs = scan.getInputs().size(), params = scan.getParams().size();
    for (BlockArgument argument : arguments.take_front(inputs + params)) {
      size_t number = argument.getArgNumber();
      bool isParam = number >= inputs;
      sources[argument] = {isParam ? scan.getParams()[number - inputs] : scan.getInputs()[number], isParam};
    }
  }

  Value map(NewScan &made, recur::Fn fn, ArrayRef<Value> operands) {
    Type type = operands.front().getType();
    for (Value operand : operands)
      if (typeOf(operand).getRank() > cast<RankedTensorType>(type).getRank())
        type = operand.getType();
    return recur::MapOp::create(made.body, loc, type, fn, operands);
  }
  Value add(NewScan &made, Value x, Value y) { return x && y ? map(made, recur::Fn::Add, {x, y}) : x ? x : y; }
  Value contract(NewScan &made, StringRef spec, ArrayRef<Value> operands, RankedTensorType type) {
    return recur::ContractOp::create(made.body, loc, type, spec, operands);
  }
  RankedTensorType stateType(unsigned s) { return stepTypeOf(scan.getInits()[s].getType()); }

  /// x yᵀ, where x lies along axis `axis` of the state.
  Value outer(NewScan &made, unsigned s, Value x, Value y, int64_t axis) {
    return contract(made, axis == 0 ? "a,b->ab" : "b,a->ab", {x, y}, stateType(s));
  }
  Value read(NewScan &made, unsigned s, Value state, Value query, int64_t axis) {
    return contract(made, axis == 0 ? "a,ab->b" : "b,ab->a", {query, state}, axesOf(stateType(s), {1 - axis}));
  }
  Value decayed(NewScan &made, SourceCopier &from, unsigned s, Value state) {
    for (auto [value, decay] : llvm::zip(given.getDecays(), of.decays)) {
      if (decay.getState() != s)
        continue;
      Value factor = from.get(value);
      state = decay.getAxes().empty() ? map(made, recur::Fn::Mul, {state, factor})
                                      : contract(made, scalingSpec(2, decay.getAxes()), {state, factor}, stateType(s));
    }
    return state;
  }

  /// What a scan gives, stored as narrow as the model's tensors: rows of a later product.
  Value narrowed(Value tensor) {
    if (stored)
      tensor.setType(typeOf(tensor).clone(stored));
    return tensor;
  }

  Value zeros(RankedTensorType type) { return recur::SumToOp::create(b, loc, type, ValueRange(), false); }
  recur::StateAttr stateNamed(const std::string &name) {
    return recur::StateAttr::get(b.getContext(), b.getStringAttr(name), DenseI64ArrayAttr::get(b.getContext(), {1}));
  }
  ArrayAttr reversedAxes() {
    return b.getArrayAttr({recur::AxisAttr::get(b.getContext(), scan.axis(0).getName(), !scan.axis(0).getReverse())});
  }

  /// Something read of a state, and what of it a decay's logarithm is the sum of: `by` times what was read without the step's own outer
  /// products. These are the same there and back and would cancel; where decays are strong they are all that there is.
  struct Reading {
    Value whole, share;
  };
  Reading readingOf(recur::ScanOp made) {
    Reading reading{narrowed(made.outputs().front()), {}};
    if (made.outputs().size() > 1)
      reading.share = narrowed(made.outputs().back());
    return reading;
  }
  /// Outputs of a scan that reads `state` along `axis` before it takes in `own`: pairs along that axis, and along the other one.
  SmallVector<Value> outputsOf(NewScan &made, unsigned s, Value state, Value query, int64_t axis,
                               ArrayRef<std::pair<Value, Value>> own, Value by) {
    Value apart = read(made, s, state, query, axis), whole = apart;
    for (auto [along, kept] : own) {
      Value inner = contract(made, "a,a->", {along, query}, axesOf(stateType(s), {}));
      whole = add(made, whole, map(made, recur::Fn::Mul, {kept, inner}));
    }
    return {whole, map(made, recur::Fn::Mul, {by, apart})};
  }

  /// What a query, given by `makeQuery` inside the scan, reads of state s along `axis`; with a share where `by` is given.
  Reading readState(unsigned s, int64_t axis, bool before, function_ref<Value(SourceCopier &)> makeQuery,
                    Value by = nullptr) {
    NewScan made(loc, scan.getAxes(), Value(), Value());
    SourceCopier from(made, sources);
    Value old = made.state(scan.state(s), scan.getInits()[s]).front(), kept = decayed(made, from, s, old), next = kept;
    SmallVector<std::pair<Value, Value>> own;
    for (auto [key, value, state] : llvm::zip(given.getKeys(), given.getValues(), of.outers))
      if (state == s) {
        Value x = from.get(key), y = from.get(value);
        own.push_back(axis == of.keyAxes[s] ? std::make_pair(x, y) : std::make_pair(y, x));
        next = add(made, next, outer(made, s, x, y, of.keyAxes[s]));
      }
    Value query = makeQuery(from);
    SmallVector<Value> outputs;
    if (!by)
      outputs.push_back(read(made, s, before ? old : next, query, axis));
    else if (before)
      outputs = outputsOf(made, s, old, query, axis, {}, from.get(by));
    else
      outputs = outputsOf(made, s, kept, query, axis, own, from.get(by));
    recur::ScanOp forward = made.finish(b, next, outputs);
    finals[s] = forward.finals().front();
    return readingOf(forward);
  }

  /// What `query` of the coefficients reads of the cotangent of state s along `axis`, against time; with a share where `by` is given.
  /// Without a query nothing: for the cotangent of the initial state.
  Reading readCotangent(unsigned s, int64_t axis, Value query, Value by = nullptr) {
    NewScan made(loc, reversedAxes(), Value(), Value());
    SourceCopier from(made, sources);
    Value init = ofFinals[s] ? ofFinals[s] : zeros(stateType(s));
    Value later = made.state(stateNamed("d_" + scan.state(s).getName().str()), init).front(), at = later;
    SmallVector<std::pair<Value, Value>> own;
    auto takeIn = [&](Value into, bool before) {
      for (auto [r, readout] : llvm::enumerate(of.readouts)) {
        if (readout.getState() != s || readout.getBefore() != before || !ofReads[r])
          continue;
        Value x = from.get(given.getQueries()[r]), y = from.input(ofReads[r]);
        if (!before)
          own.push_back(axis == readout.getAxis() ? std::make_pair(x, y) : std::make_pair(y, x));
        into = add(made, into, outer(made, s, x, y, readout.getAxis()));
      }
      return into;
    };
    at = takeIn(at, false);
    Value next = takeIn(decayed(made, from, s, at), true);
    SmallVector<Value> outputs;
    if (query && by)
      outputs = outputsOf(made, s, later, from.get(query), axis, own, from.get(by));
    else if (query)
      outputs.push_back(read(made, s, at, from.get(query), axis));
    if (!made.hasInputs())
      made.input(scan.getInputs().front()); // something must say how many steps there are
    recur::ScanOp backward = made.finish(b, next, outputs);
    ofInits[s] = backward.finals().front();
    return query ? readingOf(backward) : Reading();
  }

  /// What was read going forward, where a derivative needs it.
  void giveReads(ArrayRef<Value> roots) {
    ArrayRef<BlockArgument> arguments = of.readout->getArguments().take_back(of.readouts.size());
    DenseSet<Value> seen;
    std::function<void(Value)> visit = [&](Value value) {
      if (!seen.insert(value).second)
        return;
      if (Operation *op = value.getDefiningOp())
        llvm::for_each(op->getOperands(), visit);
    };
    llvm::for_each(roots, visit);
    for (auto [r, readout] : llvm::enumerate(of.readouts)) {
      Value stand = standIns.lookup(arguments[r]);
      if (!seen.contains(stand) || sources.count(stand))
        continue;
      Value query = given.getQueries()[r];
      if (!forwardReads.count(r))
        forwardReads[r] =
            readState(readout.getState(), readout.getAxis(), readout.getBefore(), [&](SourceCopier &from) {
              return from.get(query);
            }).whole;
      sources[stand] = {forwardReads[r]};
    }
  }

  /// Copies a region into `block`; its arguments are the block's, and known by their operands.
  void copyRegion(Region &region, Block &block, IRMapping &into, unsigned shared) {
    for (BlockArgument argument : region.getArguments()) {
      if (argument.getArgNumber() < shared && sharedArguments.size() == shared) {
        into.map(argument, sharedArguments[argument.getArgNumber()]);
        continue;
      }
      Value here = block.addArgument(argument.getType(), loc);
      into.map(argument, here);
      if (argument.getArgNumber() < shared) {
        sharedArguments.push_back(here);
        sources[here] = sources.lookup(argument);
      } else {
        standIns[argument] = here;
      }
    }
    OpBuilder inside(b.getContext()); // the block is in no region
    inside.setInsertionPointToEnd(&block);
    for (Operation &op : region.front().without_terminator())
      inside.clone(op, into);
  }
  Value standFor(Block &block, Type type, Value tensor) {
    Value here = block.addArgument(type, loc);
    sources[here] = {tensor};
    return here;
  }
  unsigned shared() { return scan.getInputs().size() + scan.getParams().size(); }

  void seedOutputs(StepAdjoint &adjoint, Block &block, IRMapping &into) {
    recur::YieldOp yield = of.yield();
    for (auto [value, cotangent] : llvm::zip(yield.getOutputs(), ofOutputs))
      if (cotangent)
        adjoint.add(into.lookup(value), standFor(block, value.getType(), cotangent));
  }

  /// Tensors of values of a block: arguments as what they stand for, the others by one scan without states.
  void materialise(ArrayRef<Value> values, MutableArrayRef<Value> tensors, bool narrow) {
    giveReads(values);
    NewScan made(loc, scan.getAxes(), Value(), Value());
    SourceCopier from(made, sources);
    SmallVector<Value> outputs;
    SmallVector<size_t> numbers;
    for (auto [i, value] : llvm::enumerate(values)) {
      Source source = sources.lookup(value);
      if (source.operand && !source.isParam) {
        tensors[i] = source.operand;
      } else if (value) {
        outputs.push_back(from.get(value));
        numbers.push_back(i);
      }
    }
    if (outputs.empty())
      return;
    if (!made.hasInputs())
      made.input(scan.getInputs().front());
    recur::ScanOp step = made.finish(b, {}, outputs);
    for (auto [i, output] : llvm::zip(numbers, step.outputs()))
      tensors[i] = narrow ? narrowed(output) : Value(output);
  }

  /// The cotangents of what was read, out of those of the outputs.
  LogicalResult findReadCotangents() {
    Block &block = blocks.emplace_back();
    IRMapping into;
    sharedArguments.clear();
    copyRegion(*of.readout, block, into, shared());
    SmallVector<Value> reads, values;
    for (BlockArgument argument : of.readout->getArguments().take_back(of.readouts.size()))
      reads.push_back(into.lookup(argument));
    StepAdjoint adjoint(&block, reads);
    seedOutputs(adjoint, block, into);
    if (failed(adjoint.run()))
      return failure();
    for (Value argument : reads)
      values.push_back(adjoint.of(argument));
    ofReads.resize(values.size());
    materialise(values, ofReads, /*narrow=*/true);
    return success();
  }

  bool decayIsActive(unsigned s) {
    for (auto [value, decay] : llvm::zip(given.getDecays(), of.decays))
      if (decay.getState() == s && active.contains(value))
        return true;
    return false;
  }

  /// Whether a decay of state s with a cotangent varies along `axis`.
  bool decaysAlong(unsigned s, int64_t axis) {
    for (auto [value, decay] : llvm::zip(given.getDecays(), of.decays))
      if (decay.getState() == s && active.contains(value) && llvm::is_contained(decay.getAxes(), axis))
        return true;
    return false;
  }

  /// The cotangents of queries, keys, values and of the logarithms of decays.
  void findFactorCotangents() {
    for (auto [r, readout] : llvm::enumerate(of.readouts)) {
      unsigned s = readout.getState();
      Value cotangent = ofReads[r], query = given.getQueries()[r];
      if (cotangent && (active.contains(query) || decayIsActive(s)))
        ofQueries.push_back(readState(
            s, 1 - readout.getAxis(), readout.getBefore(), [&](SourceCopier &from) { return from.input(cotangent); },
            decayIsActive(s) ? query : Value()));
      else
        ofQueries.push_back({});
    }
    for (auto [key, value, s] : llvm::zip(given.getKeys(), given.getValues(), of.outers)) {
      int64_t axis = of.keyAxes[s];
      bool viaValues = decaysAlong(s, 1 - axis), viaKeys = decayIsActive(s);
      ofKeys.push_back(active.contains(key) || viaKeys ? readCotangent(s, 1 - axis, value, viaKeys ? key : Value())
                                                       : Reading());
      ofValues.push_back(active.contains(value) || viaValues ? readCotangent(s, axis, key, viaValues ? value : Value())
                                                             : Reading());
    }
    for (auto [value, decay] : llvm::zip(given.getDecays(), of.decays))
      ofLogs.push_back(active.contains(value) ? logCotangent(decay.getState(), decay.getAxes()) : Value());
  }

  /// Per step, what queries (of readouts before or after the update) add, less what keys take off.
  Value stepShare(NewScan &made, SourceCopier &from, unsigned s, ArrayRef<int64_t> axes, bool before) {
    auto share = [&](const Reading &reading) -> Value {
      Value each = from.input(reading.share);
      return axes.empty() ? recur::ReduceOp::create(made.body, loc, axesOf(stateType(s), {}), recur::Reduction::Sum,
                                                    each, ArrayRef<int64_t>{0})
                                .getResult()
                          : each;
    };
    Value total;
    for (auto [r, readout] : llvm::enumerate(of.readouts))
      if (readout.getState() == s && readout.getBefore() == before && ofQueries[r].share)
        total = add(made, total, share(ofQueries[r]));
    for (unsigned o = 0; o < of.outers.size() && !before; ++o) {
      if (of.outers[o] != s)
        continue;
      Value part = share(axes.empty() || axes[0] == of.keyAxes[s] ? ofKeys[o] : ofValues[o]);
      total = total ? map(made, recur::Fn::Sub, {total, part}) : map(made, recur::Fn::Neg, {part});
    }
    return total;
  }

  Value logCotangent(unsigned s, ArrayRef<int64_t> axes) {
    Value shares[2]; // of readouts after and before the update, where they are numbers: by all steps at once
    NewScan each(loc, scan.getAxes(), Value(), Value());
    SourceCopier inEach(each, sources);
    if (axes.empty()) {
      SmallVector<Value> outputs;
      SmallVector<int> which;
      for (int before : {0, 1})
        if (Value share = stepShare(each, inEach, s, axes, before)) {
          outputs.push_back(share);
          which.push_back(before);
        }
      recur::ScanOp step = each.finish(b, {}, outputs);
      for (auto [before, output] : llvm::zip(which, step.outputs()))
        shares[before] = output;
    }
    if (ofFinals[s] && !finals[s] && llvm::is_contained(of.outers, s)) // nothing else wants the state going forward
      readState(s, of.keyAxes[s], false, [&](SourceCopier &from) {
        return from.get(given.getKeys()[llvm::find(of.outers, s) - of.outers.begin()]);
      });
    NewScan made(loc, reversedAxes(), Value(), Value());
    SourceCopier from(made, sources);
    RankedTensorType type = axesOf(stateType(s), axes);
    Value sum = made.state(stateNamed("d_log_" + scan.state(s).getName().str()), zeros(type)).front();
    auto share = [&](bool before) {
      return axes.empty() ? (shares[before] ? from.input(shares[before]) : Value())
                          : stepShare(made, from, s, axes, before);
    };
    Value output = add(made, sum, share(false)), next = add(made, output, share(true));
    if (ofFinals[s] && finals[s]) {
      std::string letters = axes.empty() ? "" : axes[0] == 0 ? "a" : "b";
      output = add(made, output,
                   contract(made, "ab,ab->" + letters, {made.param(finals[s]), made.param(ofFinals[s])}, type));
    }
    return made.finish(b, next, output).outputs().front();
  }

  /// The cotangents of inputs and parameters, by the two regions' own derivatives.
  LogicalResult findOperandCotangents() {
    Block &block = blocks.emplace_back();
    IRMapping into;
    sharedArguments.clear();
    copyRegion(*of.coefficients, block, into, shared());
    copyRegion(*of.readout, block, into, shared());
    SmallVector<Value> arguments(sharedArguments), roots;
    for (auto [argument, wants] : llvm::zip(sharedArguments, llvm::concat<const bool>(wanted.inputs, wanted.params)))
      if (wants)
        roots.push_back(argument);
    StepAdjoint adjoint(&block, roots);
    seedOutputs(adjoint, block, into);
    auto seed = [&](ValueRange values, ArrayRef<Reading> cotangents) {
      for (auto [value, cotangent] : llvm::zip(values, cotangents))
        if (cotangent.whole && active.contains(value))
          adjoint.add(into.lookup(value), standFor(block, value.getType(), cotangent.whole));
    };
    seed(given.getQueries(), ofQueries);
    seed(given.getKeys(), ofKeys);
    seed(given.getValues(), ofValues);
    for (auto [value, log] : llvm::zip(given.getDecays(), ofLogs))
      if (log)
        seedLog(adjoint, block, into, value, log);
    if (failed(adjoint.run()))
      return failure();
    SmallVector<Value> values, tensors(arguments.size());
    for (Value argument : arguments)
      values.push_back(llvm::is_contained(roots, argument) ? adjoint.of(argument) : Value());
    materialise(values, tensors, /*narrow=*/false);
    size_t inputs = scan.getInputs().size();
    result.inputs.assign(tensors.begin(), tensors.begin() + inputs);
    result.params.assign(tensors.begin() + inputs, tensors.end());
    return success();
  }

  void seedLog(StepAdjoint &adjoint, Block &block, IRMapping &into, Value decay, Value log) {
    SmallVector<LogTerm> terms;
    analysis::Ranges ranges;
    findLogTerms(decay, 1, [&](Value x) { return active.contains(x); }, ranges, terms);
    Value here = standFor(block, decay.getType(), log);
    OpBuilder inside(b.getContext()); // the block is in no region
    inside.setInsertionPointToEnd(&block);
    for (const LogTerm &term : terms) {
      Value value = into.lookup(term.value), part = here;
      if (typeOf(value).getRank() < typeOf(part).getRank())
        part = recur::ReduceOp::create(inside, loc, value.getType(), recur::Reduction::Sum, part, ArrayRef<int64_t>{0});
      if (term.sign < 0)
        part = recur::MapOp::create(inside, loc, part.getType(), recur::Fn::Neg, part);
      if (term.divide)
        part = recur::MapOp::create(inside, loc, part.getType(), recur::Fn::Div, ValueRange{part, value});
      adjoint.add(value, part);
    }
  }

  OpBuilder &b;
  Location loc;
  Expansion of;
  recur::ScanInterface scan;
  recur::CoefficientsOp given;
  ArrayRef<Value> ofOutputs, ofFinals;
  const WantedCotangents &wanted;
  DenseSet<Value> active;
  Type stored;             // 16 bits; null where no input is
  std::list<Block> blocks; // as long as `sources` knows their arguments
  Sources sources;
  DenseMap<Value, Value> standIns;    // of what was read, in the block that is being differentiated
  SmallVector<Value> sharedArguments; // of that block
  DenseMap<unsigned, Value> forwardReads;
  SmallVector<Value> ofReads, ofLogs; // tensors; null where there is no cotangent
  SmallVector<Reading> ofQueries, ofKeys, ofValues;
  SmallVector<Value> finals, ofInits; // per state
  ScanCotangents result;
};

} // namespace

FailureOr<ScanCotangents> rondo::buildExpansionAdjoint(OpBuilder &b, recur::ExpandScanOp scan,
                                                       ArrayRef<Value> ofOutputs, ArrayRef<Value> ofFinals,
                                                       const WantedCotangents &wanted) {
  return ExpansionAdjoint(b, scan, ofOutputs, ofFinals, wanted).build();
}
