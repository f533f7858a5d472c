// The mathematics. For a state S with decays Λ, and pairs (x, y) that enter as x yᵀ, t steps after the chunk's start S₀
//
//   S[t] = Λ(0, t] ∘ S₀ + Σ_{s ≤ t} Λ(s, t] ∘ x[s] y[s]ᵀ
//
// with Λ(s, t] the product of the decays of the steps s+1 ... t, along the key axis times along the value axis. A readout q[t]ᵀS[t]
// therefore is (q[t] ∘ Λ_key(0, t])ᵀ S₀, plus the scores A[t, s] = q[t]ᵀ(Λ_key(s, t] ∘ x[s]) times y[s], which decay along the value axis on
// the way. A transition u wᵀ is one more pair (u, p) whose p[t] = w[t]ᵀS[t-1] is such a readout itself: the unknowns p are found by
// forward substitution (the UT form of the WY representation; Yang et al., Parallelizing Linear Transformers with the Delta Rule, 2024).
#include "compiler/Transforms/ExpansionChunk.h"
#include "compiler/Transforms/ChunkValues.h"
#include "compiler/Transforms/StepValues.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

std::string rondo::noChunkForm(const Expansion &of) {
  auto nameOf = [&](int64_t s) {
    recur::ScanInterface scan = of.scan;
    return "state '" + scan.state(s).getName().str() + "'";
  };
  recur::ScanInterface scan = of.scan;
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    int64_t transitions = llvm::count(of.transitions, static_cast<int64_t>(s));
    // A product of transitions is their sum only with terms that cancel: solved together over a chunk, they cost digits.
    if (transitions > 1)
      return "the transition of " + nameOf(s) + " adds " + std::to_string(transitions) + " outer products";
    for (recur::DecayAttr decay : of.decays) {
      if (decay.getState() != s)
        continue;
      if (decay.getAxes().size() > 1)
        return "the decay of " + nameOf(s) + " varies elementwise";
      if (transitions && !decay.getAxes().empty() && decay.getAxes()[0] != of.keyAxes[s])
        return nameOf(s) + " has a transition along one axis and a decay along the other";
    }
  }
  return "";
}

namespace {

/// One side of a state: the products of its decay along the chunk. Both null where the state does not decay along it.
struct Side {
  Value vector; // <time | axis>
  Value scalar; // <time>; on the key's side alone
};

class ChunkBuilder {
public:
  ChunkBuilder(const Expansion &of, int64_t size, Block *block)
      : of(of), scan(of.scan), block(block), b(OpBuilder::atBlockEnd(block)), values(b, scan->getLoc(), size) {}

  void build() {
    addArguments();
    values.copy(of.coefficients->front());
    for (unsigned s = 0; s < scan.numStates(); ++s)
      addState(s);
    recur::CoefficientsOp given = of.given();
    SmallVector<Value> updated, reads;
    for (auto [query, readout] : llvm::zip(given.getQueries(), of.readouts))
      reads.push_back(read(readout.getState(), values.get(query), readout.getAxis(), readout.getBefore()));
    for (unsigned s = 0; s < scan.numStates(); ++s)
      updated.push_back(end(s));
    finish(reads, updated);
  }

private:
  struct Pair {
    Value key, value; // <time | key axis>, <time | value axis>
  };
  struct State {
    Value start;
    int64_t keyAxis;
    RankedTensorType type;
    Side sides[2]; // by axis of the state
    Value scalar;  // <time>: the decays without axes
    SmallVector<Pair> pairs;
  };

  void addArguments() {
    size_t inputs = scan.getInputs().size();
    for (BlockArgument argument : of.coefficients->front().getArguments()) {
      Type type = argument.getType();
      if (argument.getArgNumber() < inputs)
        type = chunk::withAxis(type, "time", values.size);
      Value here = block->addArgument(type, argument.getLoc());
      shared.push_back(here);
      values.set(argument, here);
    }
  }

  void addState(unsigned s) {
    RankedTensorType whole = typeOf(scan.getInits()[s]);
    ArrayRef<StringAttr> names = recur::dimsOf(whole).getNames();
    State state;
    state.type = RankedTensorType::get(whole.getShape().take_back(names.size()), whole.getElementType(),
                                       recur::DimsAttr::get(b.getContext(), ArrayRef<StringAttr>(), names));
    state.start = block->addArgument(state.type, scan->getLoc());
    state.keyAxis = of.keyAxes[s];
    recur::CoefficientsOp given = of.given();
    for (auto [value, decay] : llvm::zip(given.getDecays(), of.decays))
      if (decay.getState() == s) {
        Value here = values.get(value);
        Value &into = decay.getAxes().empty() ? state.scalar : state.sides[decay.getAxes()[0]].vector;
        into = into ? values.map(recur::Fn::Mul, {into, here}) : here;
      }
    for (auto [key, value, of] : llvm::zip(given.getKeys(), given.getValues(), of.outers))
      if (of == s)
        state.pairs.push_back({values.get(key), values.get(value)});
    states.push_back(std::move(state));
    for (auto [write, read, of] : llvm::zip(given.getWrites(), given.getReads(), of.transitions))
      if (of == s)
        addTransition(s, values.get(write), values.get(read));
  }

  /// The pair (write, p) with p[t] = read[t]ᵀ S[t-1]. Where the write is a key already, the two pairs are one.
  void addTransition(unsigned s, Value write, Value reader) {
    Value right = read(s, reader, states[s].keyAxis, /*before=*/true);
    State &state = states[s];
    Value matrix = scores(state, state.keyAxis, reader, write, /*before=*/true);
    Value p = chunk::SolveOp::create(b, values.loc, matrix, right);
    for (Pair &pair : state.pairs)
      if (pair.key == write) {
        pair.value = values.map(recur::Fn::Add, {pair.value, p});
        return;
      }
    state.pairs.push_back({write, p});
  }

  Value products(Value decay, chunk::Span span) {
    RankedTensorType type = typeOf(decay);
    Type result = type;
    if (span == chunk::Span::All)
      result = RankedTensorType::get(
          type.getShape().drop_front(), type.getElementType(),
          recur::DimsAttr::get(b.getContext(), ArrayRef<StringAttr>(), recur::dimsOf(type).getNames()));
    return chunk::ProductsOp::create(b, values.loc, result, span, decay);
  }

  /// x, decayed along `axis` of the state over the steps of `span`; the decays without axes are counted with `withScalar`.
  Value decayed(State &state, int64_t axis, Value x, chunk::Span span, bool withScalar) {
    if (Value vector = axis >= 0 ? state.sides[axis].vector : Value())
      x = values.map(recur::Fn::Mul, {x, products(vector, span)});
    if (withScalar && state.scalar)
      x = values.scaled(x, products(state.scalar, span));
    return x;
  }

  /// Inner products along `axis`, decayed along it and by the decays without axes.
  Value scores(State &state, int64_t axis, Value query, Value key, bool before) {
    Value decay = state.sides[axis].vector;
    if (state.scalar)
      decay = decay ? values.scaled(decay, state.scalar) : state.scalar;
    return chunk::ScoresOp::create(b, values.loc, query, key, decay, before);
  }

  /// What `query` reads of a state, summed over `axis`.
  Value read(unsigned s, Value query, int64_t axis, bool before) {
    State &state = states[s];
    chunk::Span span = before ? chunk::Span::Before : chunk::Span::Through;
    bool matrix = state.type.getRank() == 2;
    int64_t other = matrix ? 1 - axis : -1;
    RankedTensorType type = chunk::withAxis(
        axesOf(state.type, matrix ? SmallVector<int64_t>{other} : SmallVector<int64_t>{}), "time", values.size);
    Value carried = decayed(state, axis, query, span, /*withScalar=*/true);
    Value result = values.contract(!matrix     ? "ta,a->t"
                                   : axis == 0 ? "ta,ab->tb"
                                               : "tb,ab->ta",
                                   {carried, state.start}, type);
    result = decayed(state, other, result, span, /*withScalar=*/false);
    for (const Pair &pair : state.pairs) {
      bool isKey = axis == state.keyAxis;
      Value inner = isKey ? pair.key : pair.value, outer = isKey ? pair.value : pair.key;
      Value square = scores(state, axis, query, inner, before);
      Value taken;
      if (other >= 0 && state.sides[other].vector) {
        auto apply = chunk::ApplyOp::create(b, values.loc, square, outer, state.sides[other].vector,
                                            before ? b.getUnitAttr() : UnitAttr());
        taken = apply;
      } else {
        Value source = chunk::AsSourceOp::create(b, values.loc, outer);
        taken = values.contract(matrix ? "ts,sv->tv" : "ts,s->t", {square, source}, type);
      }
      result = values.map(recur::Fn::Add, {result, taken});
    }
    return result;
  }

  /// The state behind the chunk.
  Value end(unsigned s) {
    State &state = states[s];
    Value result = state.start;
    int64_t rank = state.type.getRank();
    for (int64_t axis = 0; axis < rank; ++axis)
      if (Value vector = state.sides[axis].vector) {
        Value all = products(vector, chunk::Span::All);
        result = rank == 1 ? values.map(recur::Fn::Mul, {result, all})
                           : values.contract(scalingSpec(2, {axis}), {result, all}, state.type);
      }
    if (state.scalar)
      result = values.map(recur::Fn::Mul, {result, products(state.scalar, chunk::Span::All)});
    for (const Pair &pair : state.pairs) {
      int64_t other = rank == 2 ? 1 - state.keyAxis : -1;
      Value key = decayed(state, state.keyAxis, pair.key, chunk::Span::After, /*withScalar=*/true);
      Value value = decayed(state, other, pair.value, chunk::Span::After, /*withScalar=*/false);
      StringRef spec = rank == 1 ? "ta,t->a" : state.keyAxis == 0 ? "ta,tb->ab" : "tb,ta->ab";
      result = values.map(recur::Fn::Add, {result, values.contract(spec, {key, value}, state.type)});
    }
    return result;
  }

  void finish(ArrayRef<Value> reads, ArrayRef<Value> updated) {
    Block &readout = of.readout->front();
    for (auto [argument, here] : llvm::zip(readout.getArguments(), shared))
      values.set(argument, here);
    for (auto [argument, here] : llvm::zip(readout.getArguments().drop_front(shared.size()), reads))
      values.set(argument, here);
    values.copy(readout);
    SmallVector<Value> outputs;
    for (Value output : of.yield().getOutputs())
      outputs.push_back(values.get(output));
    recur::YieldOp::create(b, scan->getLoc(), updated, outputs);
  }

  const Expansion &of;
  recur::ScanInterface scan;
  Block *block;
  OpBuilder b;
  ChunkValues values;
  SmallVector<Value> shared;
  SmallVector<State> states;
};

} // namespace

void rondo::buildChunk(const Expansion &of, int64_t size, Block *chunk) { ChunkBuilder(of, size, chunk).build(); }
