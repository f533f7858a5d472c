// See ExpansionScans.h. Scans without a transition are made of single steps; what raises scans finds the expansions in them again.
#include "compiler/Differentiate/ExpansionScans.h"
#include "compiler/Transforms/BareRows.h"
#include "compiler/Transforms/RaiseScans.h"
#include "compiler/Transforms/StepValues.h"

using namespace mlir;
using namespace rondo;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

ExpansionScans::ExpansionScans(OpBuilder &b, const Expansion &expansion, ArrayRef<Value> ofFinals)
    : b(b), loc(expansion.scan->getLoc()), of(expansion), scan(of.scan), given(of.given()), ofFinals(ofFinals),
      finals(scan.numStates()), ofInits(scan.numStates()) {
  for (Value input : scan.getInputs())
    if (isStoredNarrow(input))
      stored = typeOf(input).getElementType();
  for (auto [key, value, state] : llvm::zip(given.getKeys(), given.getValues(), of.outers))
    intakes.push_back({static_cast<unsigned>(state), key, value, {}});
  for (auto [query, readout] : llvm::zip(given.getQueries(), of.readouts))
    reads.push_back({static_cast<unsigned>(readout.getState()), readout.getAxis(), readout.getBefore(), query, {}});
}

Value ExpansionScans::map(NewScan &made, recur::Fn fn, ArrayRef<Value> operands) {
  Type type = operands.front().getType();
  for (Value operand : operands)
    if (typeOf(operand).getRank() > cast<RankedTensorType>(type).getRank())
      type = operand.getType();
  return recur::MapOp::create(made.body, loc, type, fn, operands);
}
Value ExpansionScans::add(NewScan &made, Value x, Value y) {
  return x && y ? map(made, recur::Fn::Add, {x, y}) : x ? x : y;
}
Value ExpansionScans::contract(NewScan &made, StringRef spec, ArrayRef<Value> operands, RankedTensorType type) {
  return recur::ContractOp::create(made.body, loc, type, spec, operands);
}
bool ExpansionScans::isVector(unsigned s) { return stateType(s).getRank() == 1; }
RankedTensorType ExpansionScans::stateType(unsigned s) { return stepTypeOf(scan.getInits()[s].getType()); }

/// x yᵀ, where x lies along axis `axis` of the state; of a vector, one of them is a number.
Value ExpansionScans::outer(NewScan &made, unsigned s, Value x, Value y, int64_t axis) {
  if (isVector(s))
    return map(made, recur::Fn::Mul, axis == 0 ? ArrayRef<Value>{x, y} : ArrayRef<Value>{y, x});
  return contract(made, axis == 0 ? "a,b->ab" : "b,a->ab", {x, y}, stateType(s));
}
Value ExpansionScans::read(NewScan &made, unsigned s, Value state, Value query, int64_t axis) {
  if (isVector(s))
    return axis == 0 ? contract(made, "a,a->", {query, state}, axesOf(stateType(s), {}))
                     : map(made, recur::Fn::Mul, {state, query});
  return contract(made, axis == 0 ? "a,ab->b" : "b,ab->a", {query, state}, axesOf(stateType(s), {1 - axis}));
}
Value ExpansionScans::decayed(NewScan &made, SourceCopier &from, unsigned s, Value state) {
  for (auto [value, decay] : llvm::zip(given.getDecays(), of.decays)) {
    if (decay.getState() != s)
      continue;
    Value factor = from.get(value);
    state = decay.getAxes().empty() || isVector(s)
                ? map(made, recur::Fn::Mul, {state, factor})
                : contract(made, scalingSpec(2, decay.getAxes()), {state, factor}, stateType(s));
  }
  return state;
}
/// Rows along the key axis, of a state that decays along no other one.
Value ExpansionScans::decayedKey(NewScan &made, SourceCopier &from, unsigned s, Value key) {
  for (auto [value, decay] : llvm::zip(given.getDecays(), of.decays))
    if (decay.getState() == s)
      key = map(made, recur::Fn::Mul, {key, from.get(value)});
  return key;
}

Value ExpansionScans::narrowed(Value tensor) {
  if (stored && !recur::dimsOf(tensor.getType()).getNames().empty())
    tensor.setType(typeOf(tensor).clone(stored));
  return tensor;
}

Value ExpansionScans::zeros(RankedTensorType type) { return recur::SumToOp::create(b, loc, type, ValueRange(), false); }
recur::StateAttr ExpansionScans::stateNamed(const std::string &name) {
  return recur::StateAttr::get(b.getContext(), b.getStringAttr(name), DenseI64ArrayAttr::get(b.getContext(), {1}));
}
ArrayAttr ExpansionScans::reversedAxes() {
  return b.getArrayAttr({recur::AxisAttr::get(b.getContext(), scan.axis(0).getName(), !scan.axis(0).getReverse())});
}

SmallVector<ExpansionScans::Reading> ExpansionScans::readingsOf(recur::ScanOp made, ArrayRef<Request> asked) {
  SmallVector<Reading> readings;
  auto outputs = made.outputs().begin();
  for (const Request &each : asked) {
    Reading &reading = readings.emplace_back();
    if (each.whole)
      reading.whole = *outputs++;
    if (each.share)
      reading.share = *outputs++; // sums over many steps: what is rounded here adds up
  }
  for (auto [reading, each] : llvm::zip(readings, asked))
    if (each.whole && !each.isWide)
      narrowed(reading.whole);
  return readings;
}

/// What is read of a state that has taken in `own`, from what is read without it: pairs along the axis of the query, and along the other one.
Value ExpansionScans::withOwn(NewScan &made, Value apart, Value query, ArrayRef<std::pair<Value, Value>> own) {
  for (auto [along, kept] : own) {
    Value inner = typeOf(along).getRank() == 0 ? map(made, recur::Fn::Mul, {along, query})
                                               : contract(made, "a,a->", {along, query}, axesOf(typeOf(query), {}));
    apart = add(made, apart, map(made, recur::Fn::Mul, {kept, inner}));
  }
  return apart;
}

/// Outputs of a scan for one request, of what is read with and without the step's own outer products.
void ExpansionScans::addOutputs(NewScan &made, SourceCopier &from, unsigned s, const Request &asked, Value whole,
                                Value apart, Value counts, SmallVectorImpl<Value> &outputs) {
  if (asked.whole && asked.scaledBy)
    whole = map(made, recur::Fn::Mul,
                {whole, BareRows(asked.scaledBy).inverse(made.body, loc, [&](Value term) { return from.get(term); })});
  if (asked.whole)
    outputs.push_back(whole);
  if (!asked.share)
    return;
  Value share = map(made, recur::Fn::Mul, {from.get(asked.share), apart});
  outputs.push_back(shareOf(made, s, counts ? map(made, recur::Fn::Mul, {share, counts}) : share));
}

/// Where all elements of a state decay alike their sum is wanted: of 16 neighbours each, which takes no memory to speak of.
Value ExpansionScans::shareOf(NewScan &made, unsigned s, Value share) {
  constexpr int64_t kGroup = 16;
  RankedTensorType type = typeOf(share);
  bool alike = llvm::none_of(of.decays,
                             [&](recur::DecayAttr decay) { return decay.getState() == s && !decay.getAxes().empty(); });
  if (!alike || type.getRank() != 1 || type.isDynamicDim(0) || type.getDimSize(0) % kGroup)
    return share;
  int64_t groups = type.getDimSize(0) / kGroup;
  auto typed = [&](ArrayRef<int64_t> shape) {
    auto names = llvm::map_to_vector(shape, [&](int64_t size) { return b.getStringAttr(std::to_string(size)); });
    return RankedTensorType::get(shape, type.getElementType(),
                                 recur::DimsAttr::get(b.getContext(), ArrayRef<StringAttr>(), names));
  };
  Value apart = recur::ReshapeOp::create(made.body, loc, typed({groups, kGroup}), share);
  return recur::ReduceOp::create(made.body, loc, typed({groups}), recur::Reduction::Sum, apart, ArrayRef<int64_t>{1});
}

/// Key and value of what a state takes in.
std::pair<Value, Value> ExpansionScans::factors(const Intake &intake, SourceCopier &from) {
  const Handed &handed = intake.handed;
  if (handed.scaled)
    return {from.get(handed.rows), from.input(handed.scaled)};
  return {from.get(intake.key), handed.tensor ? from.input(handed.tensor) : from.get(intake.value)};
}
/// The query, and the cotangent of what it reads.
std::pair<Value, Value> ExpansionScans::factors(const StateRead &read, SourceCopier &from) {
  const Handed &handed = read.cotangent;
  if (handed.scaled)
    return {from.get(handed.rows), from.input(handed.scaled)};
  return {from.get(read.query), from.input(handed.tensor)};
}

SmallVector<std::pair<Value, Value>> ExpansionScans::intakesOf(unsigned s, SourceCopier &from) {
  SmallVector<std::pair<Value, Value>> list;
  for (const Intake &intake : intakes)
    if (intake.state == s)
      list.push_back(factors(intake, from));
  return list;
}

void ExpansionScans::markLast() {
  NewScan made(loc, reversedAxes(), Value(), Value());
  RankedTensorType number = axesOf(stateType(0), {});
  Value behind = made.state(stateNamed("d_behind"), zeros(number)).front();
  made.input(scan.getInputs().front()); // something must say how many steps there are
  // A maximum, and not 1 itself: a recurrence in a semiring can be cut in time, where a delay is not.
  Value next = map(made, recur::Fn::Max, {behind, constantOf(made.body, loc, number, 1)});
  notLast = made.finish(b, next, behind).outputs().front();
}

SmallVector<ExpansionScans::Reading> ExpansionScans::readState(unsigned s, int64_t axis, ArrayRef<Request> asked) {
  const bool shares = llvm::any_of(asked, [](const Request &each) { return each.share; });
  NewScan made(loc, scan.getAxes(), Value(), Value());
  SourceCopier from(made, sources);
  Value old = made.state(scan.state(s), scan.getInits()[s]).front(), kept = decayed(made, from, s, old), next = kept;
  SmallVector<std::pair<Value, Value>> own;
  for (auto [x, y] : intakesOf(s, from)) {
    own.push_back(axis == of.keyAxes[s] ? std::make_pair(x, y) : std::make_pair(y, x));
    if (shares && notLast) { // a factor of what is summed over is the cheaper one
      Value &summed = axis == of.keyAxes[s] ? x : y;
      summed = map(made, recur::Fn::Mul, {summed, from.input(notLast)});
    }
    next = add(made, next, outer(made, s, x, y, of.keyAxes[s]));
  }
  SmallVector<Value> outputs;
  for (const Request &each : asked) {
    Value query = each.query(from), apart, whole;
    if (each.before)
      apart = whole = read(made, s, old, query, axis);
    else if (!shares)
      whole = read(made, s, next, query, axis);
    else {
      apart = read(made, s, kept, query, axis);
      whole = each.whole ? withOwn(made, apart, query, own) : apart;
    }
    addOutputs(made, from, s, each, whole, apart, Value(), outputs);
  }
  recur::ScanOp forward = made.finish(b, next, outputs);
  if (!finals[s] || shares) // shares end with these very states
    finals[s] = forward.finals().front();
  return readingsOf(forward, asked);
}

SmallVector<ExpansionScans::Reading> ExpansionScans::readCotangent(unsigned s, int64_t axis, ArrayRef<Request> asked) {
  const bool shares = llvm::any_of(asked, [](const Request &each) { return each.share; });
  NewScan made(loc, reversedAxes(), Value(), Value());
  SourceCopier from(made, sources);
  Value init = ofFinals[s] ? ofFinals[s] : zeros(stateType(s));
  Value later = made.state(stateNamed("d_" + scan.state(s).getName().str()), init).front(), at = later;
  SmallVector<std::pair<Value, Value>> own;
  auto takeIn = [&](Value into, bool before) {
    for (const StateRead &each : reads) {
      if (each.state != s || each.before != before || !each.cotangent.tensor)
        continue;
      auto [x, y] = factors(each, from);
      if (!before)
        own.push_back(axis == each.axis ? std::make_pair(x, y) : std::make_pair(y, x));
      into = add(made, into, outer(made, s, x, y, each.axis));
    }
    return into;
  };
  at = takeIn(at, false);
  Value next = takeIn(decayed(made, from, s, at), true);
  SmallVector<Value> outputs;
  for (const Request &each : asked) {
    Value query = each.query(from), apart = shares ? read(made, s, later, query, axis) : Value();
    Value whole = !shares ? read(made, s, at, query, axis) : each.whole ? withOwn(made, apart, query, own) : apart;
    addOutputs(made, from, s, each, whole, apart, notLast && each.share ? from.input(notLast) : Value(), outputs);
  }
  if (!made.hasInputs())
    made.input(scan.getInputs().front()); // something must say how many steps there are
  recur::ScanOp backward = made.finish(b, next, outputs);
  if (!ofInits[s])
    ofInits[s] = backward.finals().front();
  return readingsOf(backward, asked);
}

bool ExpansionScans::isWrite(const Intake &intake) const {
  return llvm::any_of(llvm::zip(const_cast<recur::CoefficientsOp &>(given).getWrites(), of.transitions),
                      [&](auto each) { return std::get<1>(each) == intake.state && std::get<0>(each) == intake.key; });
}

/// `output`, and where the rows that it will be multiplied by have a number per step, the output times that.
SmallVector<Value> ExpansionScans::outputsFor(NewScan &made, SourceCopier &from, Value output, Value rows) {
  BareRows bare(rows);
  if (!bare.scaled())
    return {output};
  Value factor = bare.factor(made.body, loc, [&](Value term) { return from.get(term); });
  return {output, map(made, recur::Fn::Mul, {output, factor})};
}

Handed ExpansionScans::handOver(ResultRange outputs, Value rows) const {
  auto narrow = [&](Value tensor) { return const_cast<ExpansionScans *>(this)->narrowed(tensor); };
  Handed handed{narrow(outputs[0]), {}, {}};
  if (BareRows(rows).scaled()) {
    handed.scaled = narrow(outputs[1]);
    handed.rows = BareRows(rows).rows;
  }
  return handed;
}

/// The scan whose step was written to `made`; its state is `old`, of which `parts.read` is read.
recur::DeltaScanOp ExpansionScans::finishDelta(NewScan &made, SourceCopier &from, const DeltaParts &parts, Value old,
                                               ArrayRef<Value> outputs) {
  SmallVector<Value> decays;
  SmallVector<Attribute> decayAttrs;
  for (auto [value, decay] : llvm::zip(given.getDecays(), of.decays))
    if (decay.getState() == parts.state) {
      decays.push_back(from.get(value));
      decayAttrs.push_back(recur::DecayAttr::get(b.getContext(), 0, decay.getAxes(), /*before=*/false));
    }
  int64_t axis = of.keyAxes[parts.state];
  SmallVector<Attribute> readouts{recur::ReadoutAttr::get(b.getContext(), 0, axis, true)};
  for (const DeltaParts::Readout &other : parts.others)
    readouts.push_back(recur::ReadoutAttr::get(b.getContext(), 0, axis, other.before));
  recur::ScanOp step = made.finish(b, old, outputs);
  auto delta = recur::DeltaScanOp::create(
      b, loc, step.getResultTypes(), step.getInputs(), step.getParams(), step.getInits(), Value(), Value(),
      step.getAxes(), step.getStates(), ArrayRef<int64_t>{axis}, b.getArrayAttr(decayAttrs),
      SmallVector<int64_t>(parts.keys.size(), 0), ArrayRef<int64_t>{0}, b.getArrayAttr(readouts));
  StepValues first(step, sharedBlock(delta.getCoefficients(), step));
  auto copies = [](StepValues &values, ArrayRef<Value> list) {
    return llvm::map_to_vector(list, [&](Value value) { return values.get(value); });
  };
  Value reader = first.get(parts.reader);
  SmallVector<Value> queries{reader};
  for (const DeltaParts::Readout &other : parts.others)
    queries.push_back(first.get(other.query));
  recur::CoefficientsOp::create(first.b, loc, copies(first, decays), copies(first, parts.keys),
                                copies(first, parts.values), copies(first, parts.write), reader, queries);
  Block *block = sharedBlock(delta.getReadout(), step);
  StepValues second(step, block);
  second.set(parts.read, block->addArgument(parts.read.getType(), loc));
  for (const DeltaParts::Readout &other : parts.others)
    second.set(other.read, block->addArgument(other.read.getType(), loc));
  recur::YieldOp::create(second.b, loc, ValueRange(), copies(second, outputs));
  step.erase();
  return delta;
}

SmallVector<Value> ExpansionScans::followTransition(size_t i, ArrayRef<std::pair<Value, bool>> others) {
  unsigned s = of.transitions[i];
  Value write = given.getWrites()[i];
  NewScan made(loc, scan.getAxes(), Value(), Value());
  SourceCopier from(made, sources);
  Value old = made.state(scan.state(s), scan.getInits()[s]).front();
  DeltaParts parts{s, {}, {}, from.get(write), from.get(given.getReads()[i]), {}, {}};
  Value sum = parts.read = read(made, s, old, parts.reader, of.keyAxes[s]);
  Intake *into = nullptr;
  for (Intake &intake : intakes)
    if (intake.state == s) {
      auto [x, y] = factors(intake, from);
      parts.keys.push_back(x);
      parts.values.push_back(y);
      if (intake.key == write && !into) {
        into = &intake;
        sum = add(made, y, parts.read);
      }
    }
  if (!made.hasInputs())
    made.input(scan.getInputs().front()); // something must say how many steps there are
  SmallVector<Value> outputs = outputsFor(made, from, sum, write);
  for (auto [value, before] : others) {
    Value query = from.get(value), here = read(made, s, old, query, of.keyAxes[s]);
    parts.others.push_back({query, here, before});
    outputs.push_back(here);
  }
  recur::DeltaScanOp forward = finishDelta(made, from, parts, old, outputs);
  auto results = cast<recur::ScanInterface>(*forward);
  finals[s] = results.finals().front();
  Handed handed = handOver(results.outputs(), write);
  if (into)
    into->handed = handed;
  else
    intakes.push_back({s, write, Value(), handed});
  return llvm::to_vector(llvm::map_range(results.outputs().take_back(others.size()), [](Value x) { return x; }));
}

SmallVector<Value> ExpansionScans::returnTransition(size_t i, ArrayRef<Value> others) {
  unsigned s = of.transitions[i];
  int64_t axis = of.keyAxes[s];
  Value write = given.getReads()[i]; // there and back, they change places
  NewScan made(loc, reversedAxes(), Value(), Value());
  SourceCopier from(made, sources);
  Value init = ofFinals[s] ? ofFinals[s] : zeros(stateType(s));
  Value later = made.state(stateNamed("d_" + scan.state(s).getName().str()), init).front();
  DeltaParts parts{s, {}, {}, from.get(write), from.get(given.getWrites()[i]), {}, {}};
  parts.read = read(made, s, later, parts.reader, axis);
  SmallVector<std::pair<Value, Value>> own; // of the step
  for (const StateRead &each : reads) {
    if (each.state != s || !each.cotangent.tensor)
      continue;
    auto [x, y] = factors(each, from);
    if (each.axis != axis)
      std::swap(x, y);
    if (!each.before) {
      own.push_back({x, y});
      x = decayedKey(made, from, s, x);
    }
    parts.keys.push_back(x);
    parts.values.push_back(y);
  }
  Value met = withOwn(made, Value(), parts.reader, own);
  if (met) {
    parts.keys.push_back(parts.write);
    parts.values.push_back(met);
  }
  if (!made.hasInputs())
    made.input(scan.getInputs().front());
  SmallVector<Value> outputs = outputsFor(made, from, add(made, met, parts.read), write);
  for (Value value : others) {
    Value query = from.get(value), here = read(made, s, later, query, axis);
    parts.others.push_back({query, here, /*before=*/true});
    outputs.push_back(withOwn(made, here, query, own));
  }
  recur::DeltaScanOp backward = finishDelta(made, from, parts, later, outputs);
  auto results = cast<recur::ScanInterface>(*backward);
  ofInits[s] = results.finals().front();
  reads.push_back({s, axis, true, write, handOver(results.outputs(), write)});
  return llvm::to_vector(llvm::map_range(results.outputs().take_back(others.size()), [](Value x) { return x; }));
}
