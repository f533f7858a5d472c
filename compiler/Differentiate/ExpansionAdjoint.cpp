// See ExpansionAdjoint.h. What the scans are is here; how each is made, in ExpansionScans.
#include "compiler/Differentiate/ExpansionScans.h"
#include "compiler/Differentiate/LogDecay.h"
#include "compiler/Differentiate/StepAdjoint.h"
#include "compiler/Transforms/BareRows.h"
#include "compiler/Transforms/StepValues.h"
#include <list>

using namespace mlir;
using namespace rondo;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

namespace {

class ExpansionAdjoint : ExpansionScans {
public:
  ExpansionAdjoint(OpBuilder &b, const Expansion &expansion, ArrayRef<Value> ofOutputs, ArrayRef<Value> ofFinals,
                   const WantedCotangents &wanted)
      : ExpansionScans(b, expansion, ofFinals), ofOutputs(ofOutputs), wanted(wanted), active(activeValues(of, wanted)) {
    for (Region *region : {of.coefficients, of.readout})
      addSources(region->getArguments());
  }

  FailureOr<ScanCotangents> build() {
    FailureOr<SmallVector<Value>> ofReads = derivativesOfReadout();
    if (failed(ofReads))
      return failure();
    for (size_t i = 0; i < of.transitions.size(); ++i)
      goThere(i, *ofReads);
    SmallVector<Value> tensors(ofReads->size());
    materialise(*ofReads, tensors, /*narrow=*/true);
    for (auto [read, tensor] : llvm::zip(reads, tensors))
      read.cotangent.tensor = tensor;
    ofQueries.resize(reads.size() + of.transitions.size());
    ofKeys.resize(intakes.size());
    ofValues.resize(intakes.size());
    for (size_t i = 0; i < of.transitions.size(); ++i)
      comeBack(i);
    findFactorCotangents();
    if (failed(findOperandCotangents()))
      return failure();
    for (unsigned s = 0; s < scan.numStates(); ++s) {
      if (wanted.inits[s] && !ofInits[s])
        readCotangent(s, of.keyAxes[s], {});
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

  /// Which readouts' results, going forward, a derivative needs.
  SmallVector<size_t> readsIn(ArrayRef<Value> roots) {
    ArrayRef<BlockArgument> arguments = of.readout->getArguments().take_back(of.readouts.size());
    DenseSet<Value> seen;
    std::function<void(Value)> visit = [&](Value value) {
      if (!seen.insert(value).second)
        return;
      if (Operation *op = value.getDefiningOp())
        llvm::for_each(op->getOperands(), visit);
    };
    llvm::for_each(roots, visit);
    SmallVector<size_t> numbers;
    for (auto [r, argument] : llvm::enumerate(arguments))
      if (Value stand = standIns.lookup(argument); seen.contains(stand) && !sources.count(stand))
        numbers.push_back(r);
    return numbers;
  }

  void giveReads(ArrayRef<Value> roots) {
    ArrayRef<BlockArgument> arguments = of.readout->getArguments().take_back(of.readouts.size());
    for (size_t r : readsIn(roots)) {
      recur::ReadoutAttr readout = of.readouts[r];
      if (!forwardReads.count(r))
        forwardReads[r] = readState(readout.getState(), readout.getAxis(),
                                    {{queryOf(given.getQueries()[r]), readout.getBefore(), true, false, {}, {}}})
                              .front()
                              .whole;
      sources[standIns.lookup(arguments[r])] = {forwardReads[r]};
    }
  }

  /// Transition i going forward; with the readouts along the same axis that derivatives need.
  void goThere(size_t i, ArrayRef<Value> derivatives) {
    SmallVector<size_t> numbers;
    SmallVector<std::pair<Value, bool>> queries;
    unsigned s = of.transitions[i];
    for (size_t r : readsIn(derivatives))
      if (recur::ReadoutAttr readout = of.readouts[r];
          readout.getState() == s && readout.getAxis() == of.keyAxes[s] && fitsBeside(s, of.keyAxes[s])) {
        numbers.push_back(r);
        queries.push_back({given.getQueries()[r], readout.getBefore()});
      }
    for (auto [r, tensor] : llvm::zip(numbers, followTransition(i, queries)))
      forwardReads[r] = narrowed(tensor);
  }

  /// Transition i against time; with the cotangents of the values that its state takes in.
  void comeBack(size_t i) {
    SmallVector<size_t> numbers;
    SmallVector<Value> keys;
    unsigned s = of.transitions[i];
    for (auto [number, intake] : llvm::enumerate(intakes))
      if (intake.state == s && !isWrite(intake) && active.contains(intake.value) && fitsBeside(s, of.keyAxes[s])) {
        numbers.push_back(number);
        keys.push_back(intake.key);
      }
    for (auto [number, tensor] : llvm::zip(numbers, returnTransition(i, keys)))
      ofValues[number].whole = isWide(intakes[number].value) ? tensor : narrowed(tensor);
  }

  /// Whether a scan has place on chip for rows of several queries along an axis of a state.
  bool fitsBeside(unsigned s, int64_t axis) {
    constexpr int64_t kLongest = 128;
    const RankedTensorType type = stateType(s);
    return !isVector(s) && !type.isDynamicDim(axis) && type.getDimSize(axis) <= kLongest;
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

  /// The cotangents of what was read, out of those of the outputs: values of a block.
  FailureOr<SmallVector<Value>> derivativesOfReadout() {
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
    return values;
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

  using Query = std::function<Value(SourceCopier &)>;
  static Query queryOf(Value value) {
    return [value](SourceCopier &from) { return from.get(value); };
  }
  static Query queryOfTensor(Value tensor) {
    return [tensor](SourceCopier &from) { return from.input(tensor); };
  }

  /// A request, and where what it reads goes.
  struct Asked {
    unsigned state;
    int64_t axis;
    bool back; // of the state's cotangent
    Request request;
    Reading *into;
  };

  void ask(unsigned s, int64_t axis, bool back, Request request, Reading *into) {
    if (request.whole || request.share)
      asked.push_back({s, axis, back, std::move(request), into});
  }
  /// What a tensor that was handed over reads: the whole, where it is wanted, and a share by the rows that it was made for.
  void askScaled(unsigned s, int64_t axis, bool back, bool before, const Handed &handed, bool whole, Value rows,
                 Reading *into) {
    const bool both = whole && BareRows(rows).hasInverse() && fitsBeside(s, axis);
    if (whole && !both)
      ask(s, axis, back, {queryOfTensor(handed.tensor), before, true, isWide(rows), {}, {}}, into);
    ask(s, axis, back, {queryOfTensor(handed.scaled), before, both, isWide(rows), handed.rows, both ? rows : Value()},
        into);
  }

  void askOfQuery(const StateRead &read, Reading *into) {
    const Handed &handed = read.cotangent;
    if (!handed.tensor)
      return;
    const bool isActive = active.contains(read.query), viaQueries = decayIsActive(read.state);
    if (viaQueries && handed.scaled)
      return askScaled(read.state, 1 - read.axis, false, read.before, handed, isActive, read.query, into);
    Value share = viaQueries ? read.query : Value();
    const bool wide = share && isWide(read.query);
    ask(read.state, 1 - read.axis, false, {queryOfTensor(handed.tensor), read.before, isActive, wide, share, {}}, into);
  }

  void askOfIntake(size_t i) {
    auto [s, key, value, handed] = intakes[i];
    int64_t axis = of.keyAxes[s];
    bool viaValues = decaysAlong(s, 1 - axis), viaKeys = decayIsActive(s) && !viaValues;
    if (viaKeys && handed.scaled)
      askScaled(s, 1 - axis, true, false, handed, active.contains(key), key, &ofKeys[i]);
    else
      ask(s, 1 - axis, true,
          {handed.tensor ? queryOfTensor(handed.tensor) : queryOf(value),
           false,
           active.contains(key),
           isWide(key),
           viaKeys ? key : Value(),
           {}},
          &ofKeys[i]);
    if (isWrite(intakes[i])) // a transition has read this
      ofValues[i] = {returned(s), {}};
    else if (!ofValues[i].whole)
      ask(s, axis, true, {queryOf(key), false, active.contains(value), isWide(value), viaValues ? value : Value(), {}},
          &ofValues[i]);
  }

  /// One scan for all that is asked of a state, or of its cotangent, along one axis.
  void answer() {
    SmallVector<bool> isDone(asked.size());
    for (auto [i, first] : llvm::enumerate(asked)) {
      SmallVector<Request> requests;
      SmallVector<Reading *> into;
      for (size_t j = i; j < asked.size() && !isDone[i]; ++j) {
        const Asked &each = asked[j];
        if (j != i && (isDone[j] || each.state != first.state || each.axis != first.axis || each.back != first.back ||
                       !fitsBeside(first.state, first.axis)))
          continue;
        isDone[j] = j != i;
        requests.push_back(each.request);
        into.push_back(each.into);
      }
      if (isDone[i])
        continue;
      SmallVector<Reading> readings =
          first.back ? readCotangent(first.state, first.axis, requests) : readState(first.state, first.axis, requests);
      for (auto [reading, to] : llvm::zip(readings, into)) {
        to->whole = reading.whole ? reading.whole : to->whole;
        to->share = reading.share ? reading.share : to->share;
      }
    }
  }

  /// The cotangents of queries, keys, values and of the logarithms of decays.
  void findFactorCotangents() {
    for (unsigned s = 0; s < scan.numStates() && !notLast; ++s)
      if (ofFinals[s] && decayIsActive(s))
        markLast();
    for (auto [read, into] : llvm::zip(reads, ofQueries))
      askOfQuery(read, &into);
    for (size_t i = 0; i < intakes.size(); ++i)
      askOfIntake(i);
    answer();
    for (auto [value, decay] : llvm::zip(given.getDecays(), of.decays))
      ofLogs.push_back(active.contains(value) ? logCotangent(decay.getState(), decay.getAxes()) : Value());
  }

  /// Whether a value of the region is computed from a tensor with a cotangent that is stored as f32: what another scan has made, which may
  /// add up over time what it gets.
  bool isWide(Value value) {
    if (auto argument = dyn_cast_or_null<BlockArgument>(value)) {
      Source source = sources.lookup(argument);
      return source.operand && !source.isParam && active.contains(value) && !isStoredNarrow(source.operand);
    }
    return value && llvm::any_of(value.getDefiningOp()->getOperands(), [&](Value operand) { return isWide(operand); });
  }

  /// The cotangent of what the transition of state s reads.
  Value returned(unsigned s) {
    return llvm::find_if(llvm::drop_begin(reads, of.readouts.size()),
                         [&](const StateRead &read) { return read.state == s; })
        ->cotangent.tensor;
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
    for (auto [read, reading] : llvm::zip(reads, ofQueries))
      if (read.state == s && read.before == before && reading.share)
        total = add(made, total, share(reading));
    for (unsigned i = 0; i < intakes.size() && !before; ++i) {
      if (intakes[i].state != s)
        continue;
      Value part = share(axes.empty() || axes[0] == of.keyAxes[s] ? ofKeys[i] : ofValues[i]);
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
      readState(s, of.keyAxes[s],
                {{queryOf(given.getKeys()[llvm::find(of.outers, s) - of.outers.begin()]), false, true, false, {}, {}}});
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
      std::string letters = axes.empty() ? "" : axes[0] == 0 ? "a" : "b", all = isVector(s) ? "a" : "ab";
      output =
          add(made, output,
              contract(made, all + "," + all + "->" + letters, {made.param(finals[s]), made.param(ofFinals[s])}, type));
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
    auto seed = [&](Value value, const Reading &cotangent) {
      if (cotangent.whole && value && active.contains(value))
        adjoint.add(into.lookup(value), standFor(block, value.getType(), cotangent.whole));
    };
    for (auto [read, cotangent] : llvm::zip(reads, ofQueries))
      seed(read.query, cotangent);
    for (auto [intake, cotangent] : llvm::zip(intakes, ofKeys))
      seed(intake.key, cotangent);
    for (auto [intake, cotangent] : llvm::zip(intakes, ofValues))
      seed(intake.value, cotangent);
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

  /// `quotient` where its divisor is no smaller than rounding errors are, and 0 elsewhere.
  Value guarded(OpBuilder &inside, Value quotient, Value divisor) {
    RankedTensorType number = axesOf(typeOf(quotient), {});
    Value least = constantOf(inside, loc, number, kSmallestDecay), zero = constantOf(inside, loc, number, 0);
    Value isLarge = recur::MapOp::create(inside, loc, typeOf(divisor).clone(inside.getI1Type()), recur::Fn::Le,
                                         ValueRange{least, divisor});
    return recur::MapOp::create(inside, loc, quotient.getType(), recur::Fn::Select,
                                ValueRange{isLarge, quotient, zero});
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
      if (term.part != LogPart::Whole)
        part = recur::MapOp::create(inside, loc, part.getType(), recur::Fn::Div, ValueRange{part, value});
      adjoint.add(value, term.part == LogPart::Guarded ? guarded(inside, part, value) : part);
    }
  }

  ArrayRef<Value> ofOutputs;
  const WantedCotangents &wanted;
  DenseSet<Value> active;
  std::list<Block> blocks;            // as long as `sources` knows their arguments
  DenseMap<Value, Value> standIns;    // of what was read, in the block that is being differentiated
  SmallVector<Value> sharedArguments; // of that block
  DenseMap<unsigned, Value> forwardReads;
  SmallVector<Value> ofLogs;                        // tensors; null where there is no cotangent
  SmallVector<Reading> ofQueries, ofKeys, ofValues; // per read and intake
  SmallVector<Asked> asked;
  ScanCotangents result;
};

} // namespace

FailureOr<ScanCotangents> rondo::buildExpansionAdjoint(OpBuilder &b, const Expansion &of, ArrayRef<Value> ofOutputs,
                                                       ArrayRef<Value> ofFinals, const WantedCotangents &wanted) {
  return ExpansionAdjoint(b, of, ofOutputs, ofFinals, wanted).build();
}
