// See RaisedStep.h.
#include "compiler/Transforms/RaisedStep.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/StepValues.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rondo;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

Expansion::Expansion(recur::ExpandScanOp op)
    : scan(op), coefficients(&op.getCoefficients()), readout(&op.getReadout()), keyAxes(op.getKeyAxes()),
      outers(op.getOuters()) {
  for (Attribute attribute : op.getDecays())
    decays.push_back(cast<recur::DecayAttr>(attribute));
  for (Attribute attribute : op.getReadouts())
    readouts.push_back(cast<recur::ReadoutAttr>(attribute));
  decayMoves.assign(decays.size(), 0);
  outerMoves.assign(outers.size(), 0);
}

Expansion::Expansion(recur::DeltaScanOp op)
    : scan(op), coefficients(&op.getCoefficients()), readout(&op.getReadout()), keyAxes(op.getKeyAxes()),
      outers(op.getOuters()), transitions(op.getTransitions()) {
  for (Attribute attribute : op.getDecays())
    decays.push_back(cast<recur::DecayAttr>(attribute));
  for (Attribute attribute : op.getReadouts())
    readouts.push_back(cast<recur::ReadoutAttr>(attribute));
  SmallVector<int64_t> all(decays.size() + outers.size() + transitions.size(), 0);
  if (auto given = op->getAttrOfType<DenseI64ArrayAttr>(recur::kMovesAttr);
      given && given.size() == int64_t(all.size()))
    all.assign(given.asArrayRef().begin(), given.asArrayRef().end());
  ArrayRef<int64_t> rest(all);
  decayMoves.assign(rest.begin(), rest.begin() + decays.size());
  rest = rest.drop_front(decays.size());
  outerMoves.assign(rest.begin(), rest.begin() + outers.size());
  transitionMoves.assign(rest.begin() + outers.size(), rest.end());
}

int64_t Expansion::moves(unsigned s) const {
  int64_t last = 0;
  for (auto [decay, move] : llvm::zip(decays, decayMoves))
    last = decay.getState() == s ? std::max(last, move) : last;
  for (auto [state, move] : llvm::zip(outers, outerMoves))
    last = state == s ? std::max(last, move) : last;
  for (auto [state, move] : llvm::zip(transitions, transitionMoves))
    last = state == s ? std::max(last, move) : last;
  return last + 1;
}

recur::CoefficientsOp Expansion::given() const {
  return cast<recur::CoefficientsOp>(coefficients->front().getTerminator());
}

recur::YieldOp Expansion::yield() const { return cast<recur::YieldOp>(readout->front().getTerminator()); }

std::string rondo::scalingSpec(int64_t rank, ArrayRef<int64_t> axes) {
  std::string all = std::string("ab").substr(0, rank), some;
  for (int64_t axis : axes)
    some += all[axis];
  return all + "," + some + "->" + all;
}

Value rondo::combined(OpBuilder &b, Location loc, recur::Semiring semiring, Value decay, Value value, Value state) {
  using recur::Fn;
  auto mapped = [&](Fn fn, ArrayRef<Value> operands) -> Value {
    return recur::MapOp::create(b, loc, operands.front().getType(), fn, operands);
  };
  if (semiring == recur::Semiring::PlusTimes)
    return mapped(Fn::Add, {mapped(Fn::Mul, {decay, state}), value});
  Value shifted = mapped(Fn::Add, {decay, state});
  Value larger = mapped(Fn::Max, {shifted, value});
  if (semiring == recur::Semiring::MaxPlus)
    return larger;
  // log(e^x + e^y) = max + log1p(e^-|x - y|). Where both are -inf, the difference is no number, and the maximum is the answer.
  Value distance = mapped(Fn::Abs, {mapped(Fn::Sub, {shifted, value})});
  Value sum = mapped(Fn::Add, {larger, mapped(Fn::Log1p, {mapped(Fn::Exp, {mapped(Fn::Neg, {distance})})})});
  auto type = typeOf(value);
  auto truth = RankedTensorType::get(type.getShape(), b.getI1Type(), type.getEncoding());
  Value finite = recur::MapOp::create(b, loc, truth, Fn::Eq, ValueRange{distance, distance});
  return recur::MapOp::create(b, loc, type, Fn::Select, ValueRange{finite, sum, larger});
}

namespace {

/// The type of one element of an initial value: without batch, lag and head.
RankedTensorType stepType(Value init) {
  RankedTensorType type = typeOf(init);
  recur::DimsAttr dims = recur::dimsOf(type);
  return RankedTensorType::get(type.getShape().take_back(dims.getNames().size()), type.getElementType(),
                               recur::DimsAttr::get(type.getContext(), ArrayRef<StringAttr>(), dims.getNames()));
}

class StepBuilder {
public:
  StepBuilder(recur::ScanInterface scan, Region &coefficients, Block *step)
      : scan(scan), b(OpBuilder::atBlockEnd(step)), loc(scan->getLoc()) {
    for (BlockArgument argument : coefficients.front().getArguments())
      shared.push_back(step->addArgument(argument.getType(), argument.getLoc()));
    for (Value init : scan.getInits())
      states.push_back(step->addArgument(stepType(init), loc));
    map.map(coefficients.front().getArguments(), shared);
    copy(coefficients);
  }

  void build(const Expansion &of) {
    recur::CoefficientsOp given = of.given();
    SmallVector<Value> updated;
    for (unsigned s = 0; s < states.size(); ++s)
      updated.push_back(update(of, given, s));
    SmallVector<Value> reads;
    for (auto [query, readout] : llvm::zip(given.getQueries(), of.readouts)) {
      Value state = (readout.getBefore() ? states : updated)[readout.getState()];
      reads.push_back(contracted(state, map.lookup(query), readout.getAxis()));
    }
    finish(*of.readout, reads, updated);
  }

  void build(recur::LinearScanOp op) {
    SmallVector<Value> updated, pairs;
    recur::CoefficientsOp given = op.coefficients();
    for (unsigned s = 0; s < states.size(); ++s) {
      Value decay = map.lookup(given.getDecays()[s]), value = map.lookup(given.getValues()[s]);
      updated.push_back(combined(b, loc, op.getSemiring(), decay, value, states[s]));
      pairs.append({updated.back(), states[s]});
    }
    finish(op.getReadout(), pairs, updated);
  }

private:
  Value mapped(recur::Fn fn, ArrayRef<Value> operands) {
    return recur::MapOp::create(b, loc, operands.front().getType(), fn, operands);
  }

  void copy(Region &region) {
    for (Operation &op : region.front().without_terminator())
      b.clone(op, map);
  }

  /// sum over `axis` of state * vector.
  Value contracted(Value state, Value vector, int64_t axis) {
    RankedTensorType type = typeOf(state);
    std::string all = std::string("ab").substr(0, type.getRank()), rest = all;
    rest.erase(axis, 1);
    SmallVector<int64_t> kept;
    for (int64_t i = 0; i < type.getRank(); ++i)
      if (i != axis)
        kept.push_back(i);
    return recur::ContractOp::create(b, loc, axesOf(type, kept), all + "," + all[axis] + "->" + rest,
                                     ValueRange{state, vector});
  }

  /// What a key writes: its values and the reads of the transitions along the same vector, summed before the outer product.
  struct Write {
    Value key, value;
  };

  Value update(const Expansion &of, recur::CoefficientsOp given, unsigned s) {
    Value state = states[s];
    for (int64_t number = 0; number < of.moves(s); ++number)
      state = move(of, given, s, number, state);
    return state;
  }

  Value move(const Expansion &of, recur::CoefficientsOp given, unsigned s, int64_t number, Value old) {
    RankedTensorType type = typeOf(old);
    int64_t key = of.keyAxes[s];
    SmallVector<Write> writes;
    auto add = [&](Value at, Value value) {
      for (Write &write : writes)
        if (write.key == at) {
          write.value = mapped(recur::Fn::Add, {write.value, value});
          return;
        }
      writes.push_back({at, value});
    };
    for (auto [at, value, state, when] : llvm::zip(given.getKeys(), given.getValues(), of.outers, of.outerMoves))
      if (state == s && when == number)
        add(map.lookup(at), map.lookup(value));
    for (auto [at, read, state, when] :
         llvm::zip(given.getWrites(), given.getReads(), of.transitions, of.transitionMoves))
      if (state == s && when == number)
        add(map.lookup(at), decayedFirst(of, given, s, number, contracted(old, map.lookup(read), key)));
    Value result = old;
    for (auto [value, decay, when] : llvm::zip(given.getDecays(), of.decays, of.decayMoves))
      if (decay.getState() == s && when == number)
        result = scaled(result, map.lookup(value), decay.getAxes());
    for (const Write &write : writes)
      result = mapped(recur::Fn::Add, {result, outer(write, key, type)});
    return result;
  }

  /// What a transition read, behind the decays of the values that come before it.
  Value decayedFirst(const Expansion &of, recur::CoefficientsOp given, unsigned s, int64_t number, Value read) {
    for (auto [value, decay, when] : llvm::zip(given.getDecays(), of.decays, of.decayMoves))
      if (decay.getState() == s && when == number && decay.getBefore())
        read = mapped(recur::Fn::Mul, {read, map.lookup(value)});
    return read;
  }

  Value scaled(Value state, Value factor, ArrayRef<int64_t> axes) {
    if (axes.empty() || axes.size() == static_cast<size_t>(typeOf(state).getRank()))
      return mapped(recur::Fn::Mul, {state, factor});
    return recur::ContractOp::create(b, loc, state.getType(), scalingSpec(typeOf(state).getRank(), axes),
                                     ValueRange{state, factor});
  }

  Value outer(const Write &write, int64_t key, RankedTensorType type) {
    if (type.getRank() == 2)
      return recur::ContractOp::create(b, loc, type, key == 0 ? "a,b->ab" : "b,a->ab",
                                       ValueRange{write.key, write.value});
    return key == 0 ? mapped(recur::Fn::Mul, {write.key, write.value})
                    : mapped(recur::Fn::Mul, {write.value, write.key});
  }

  void finish(Region &readout, ArrayRef<Value> reads, ArrayRef<Value> updated) {
    SmallVector<Value> arguments(shared);
    llvm::append_range(arguments, reads);
    map.map(readout.front().getArguments(), arguments);
    copy(readout);
    SmallVector<Value> outputs;
    for (Value output : cast<recur::YieldOp>(readout.front().getTerminator()).getOutputs())
      outputs.push_back(map.lookup(output));
    recur::YieldOp::create(b, loc, updated, outputs);
  }

  recur::ScanInterface scan;
  OpBuilder b;
  Location loc;
  IRMapping map;
  SmallVector<Value> shared, states;
};

} // namespace

void rondo::buildStep(Operation *raised, Block *step) {
  auto scan = cast<recur::ScanInterface>(raised);
  StepBuilder builder(scan, raised->getRegion(0), step);
  llvm::TypeSwitch<Operation *>(raised)
      .Case([&](recur::LinearScanOp op) { builder.build(op); })
      .Case([&](recur::ExpandScanOp op) { builder.build(Expansion(op)); })
      .Case([&](recur::DeltaScanOp op) { builder.build(Expansion(op)); });
}

recur::ScanOp rondo::createSteps(OpBuilder &b, Operation *raised) {
  auto scan = cast<recur::ScanInterface>(raised);
  auto steps =
      recur::ScanOp::create(b, scan.getLoc(), scan->getResultTypes(), scan.getInputs(), scan.getParams(),
                            scan.getInits(), scan.getResets(), scan.getOffsets(), scan.getAxes(), scan.getStates());
  buildStep(raised, &steps.getBody().emplaceBlock());
  return steps;
}
