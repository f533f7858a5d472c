// The mathematics. For a state S with decays Λ, and pairs (x, y) that enter as x yᵀ, t steps after the chunk's start S₀
//
//   S[t] = Λ(0, t] ∘ S₀ + Σ_{s ≤ t} Λ(s, t] ∘ x[s] y[s]ᵀ
//
// with Λ(s, t] the product of the decays of the steps s+1 ... t, along the key axis times along the value axis. A readout q[t]ᵀS[t]
// therefore is (q[t] ∘ Λ_key(0, t])ᵀ S₀, plus the scores A[t, s] = q[t]ᵀ(Λ_key(s, t] ∘ x[s]) times y[s], which decay along the value axis on
// the way. A transition u wᵀ is one more pair (u, p) whose p[t] = w[t]ᵀS[t-1] is such a readout itself: the unknowns p are found by
// forward substitution (the UT form of the WY representation; Yang et al., Parallelizing Linear Transformers with the Delta Rule, 2024).
#include "compiler/Transforms/ExpansionChunk.h"
#include "compiler/Transforms/BareRows.h"
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
    SmallVector<int64_t> inMove(of.moves(s), 0);
    for (auto [state, move] : llvm::zip(of.transitions, of.transitionMoves))
      inMove[move] += state == s;
    int64_t transitions = *llvm::max_element(inMove);
    // Several would have to be solved together over a chunk, where the terms of a product, multiplied out, cancel and cost digits.
    if (transitions > 1)
      return "the transition of " + nameOf(s) + " adds " + std::to_string(transitions) + " outer products";
    std::optional<bool> valueDecay; // whether it comes before the transition
    for (recur::DecayAttr decay : of.decays) {
      if (decay.getState() != s)
        continue;
      if (decay.getAxes().size() > 1)
        return "the decay of " + nameOf(s) + " varies elementwise";
      // Either decay gives what is solved for another one on its way; both would need a third.
      bool isAlongValues = !decay.getAxes().empty() && decay.getAxes()[0] != of.keyAxes[s];
      if (!transitions || !isAlongValues)
        continue;
      if (valueDecay && *valueDecay != decay.getBefore())
        return nameOf(s) + " has two decays along its values, one before and one beside its transition";
      valueDecay = decay.getBefore();
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
    for (auto [query, readout_] : llvm::zip(given.getQueries(), of.readouts))
      reads.push_back(readout(readout_.getState(), values.get(query), readout_.getAxis(), readout_.getBefore()));
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
    Side sides[2];            // by axis of the state
    Value scalar;             // <time>: the decays without axes
    int64_t moves;            // a step; where there are several, each has an entry along `time`
    bool decaysFirst = false; // along its values, before its transitions read it
    SmallVector<Pair> pairs;
    Value reader, solution; // of a transition, where there is one move: its read, and what that gives
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
    state.moves = of.moves(s);
    state.decaysFirst =
        llvm::any_of(of.decays, [&](recur::DecayAttr decay) { return decay.getState() == s && decay.getBefore(); });
    SmallVector<Move> moves(state.moves);
    collect(s, moves);
    state.scalar = inTurn(moves, 1, [](const Move &move) { return move.scalar; });
    for (int axis = 0; axis < 2; ++axis)
      state.sides[axis].vector = inTurn(moves, 1, [&](const Move &move) { return move.vectors[axis]; });
    size_t pairs = 0;
    for (const Move &move : moves)
      pairs = std::max(pairs, move.pairs.size());
    for (size_t i = 0; i < pairs; ++i)
      state.pairs.push_back(
          {inTurn(moves, 0, [&](const Move &move) { return i < move.pairs.size() ? move.pairs[i].key : Value(); }),
           inTurn(moves, 0, [&](const Move &move) { return i < move.pairs.size() ? move.pairs[i].value : Value(); })});
    Value write = inTurn(moves, 0, [](const Move &move) { return move.write; });
    Value reader = inTurn(moves, 0, [](const Move &move) { return move.reader; });
    bool writesKey = pairs && llvm::all_of(moves, [](const Move &move) {
                       return !move.write || (!move.pairs.empty() && move.write == move.pairs.front().key);
                     });
    states.push_back(std::move(state));
    if (write)
      addTransition(s, writesKey ? states[s].pairs.front().key : write, reader);
  }

  /// What takes part in one move of a state; nothing where it has none of a kind.
  struct Move {
    Value scalar, vectors[2], write, reader;
    SmallVector<Pair> pairs;
  };

  void collect(unsigned s, MutableArrayRef<Move> moves) {
    recur::CoefficientsOp given = of.given();
    for (auto [value, decay, number] : llvm::zip(given.getDecays(), of.decays, of.decayMoves))
      if (decay.getState() == s) {
        Value here = values.get(value);
        Value &into = decay.getAxes().empty() ? moves[number].scalar : moves[number].vectors[decay.getAxes()[0]];
        into = into ? values.map(recur::Fn::Mul, {into, here}) : here;
      }
    for (auto [key, value, state, number] : llvm::zip(given.getKeys(), given.getValues(), of.outers, of.outerMoves))
      if (state == s)
        moves[number].pairs.push_back({values.get(key), values.get(value)});
    for (auto [write, read, state, number] :
         llvm::zip(given.getWrites(), given.getReads(), of.transitions, of.transitionMoves))
      if (state == s) {
        moves[number].write = values.get(write);
        moves[number].reader = values.get(read);
      }
  }

  RankedTensorType withTime(RankedTensorType like, int64_t size, ArrayRef<int64_t> more, StringRef name = "") {
    recur::DimsAttr dims = recur::dimsOf(like);
    SmallVector<StringAttr> names(dims.getNames());
    SmallVector<int64_t> shape(like.getShape());
    shape[0] = size;
    if (!more.empty()) {
      names.insert(names.begin(), b.getStringAttr(name));
      shape.insert(shape.begin() + 1, more.begin(), more.end());
    }
    return RankedTensorType::get(shape, like.getElementType(),
                                 recur::DimsAttr::get(b.getContext(), dims.getAxes(), names));
  }

  /// What the moves of every step have, one after another along `time`; `missing` for those that have nothing, null where none has.
  Value inTurn(ArrayRef<Move> moves, double missing, function_ref<Value(const Move &)> part) {
    SmallVector<Value> parts;
    for (const Move &move : moves)
      parts.push_back(part(move));
    return inTurn(parts, missing);
  }

  Value inTurn(ArrayRef<Value> parts, double missing = 0) {
    auto *some = llvm::find_if(parts, [](Value part) { return part; });
    if (some == parts.end() || parts.size() == 1)
      return parts.front();
    RankedTensorType type = typeOf(*some), row = withTime(type, values.size, {1}, "1");
    SmallVector<Value> rows;
    for (Value part : parts)
      rows.push_back(part ? recur::ReshapeOp::create(b, values.loc, row, part).getResult()
                          : constantOf(b, values.loc, row, missing));
    int64_t count = parts.size();
    RankedTensorType whole = withTime(type, values.size, {count}, std::to_string(count));
    Value all = recur::ConcatOp::create(b, values.loc, whole, 1, rows);
    return recur::ReshapeOp::create(b, values.loc, withTime(type, values.size * count, {}), all);
  }

  /// What move `number` of every step has.
  Value ofMove(Value inTurn, int64_t number, int64_t moves) {
    if (moves == 1)
      return inTurn;
    RankedTensorType type = typeOf(inTurn);
    Value apart =
        recur::ReshapeOp::create(b, values.loc, withTime(type, values.size, {moves}, std::to_string(moves)), inTurn);
    return recur::SliceOp::create(b, values.loc, withTime(type, values.size, {}), apart, 1, std::to_string(number),
                                  true);
  }

  /// What `query` reads of a state before or after a step.
  Value readout(unsigned s, Value query, int64_t axis, bool before) {
    int64_t moves = states[s].moves;
    if (before && axis == states[s].keyAxis && query == states[s].reader && !states[s].decaysFirst)
      return states[s].solution; // what the transition reads is known already
    Value all = read(s, inTurn(SmallVector<Value>(moves, query)), axis, before);
    return ofMove(all, before ? 0 : moves - 1, moves);
  }

  /// The pair (write, p) with p[t] = read[t]ᵀ S[t-1], or what that is behind the step's decay of the values. Where the write is a key already, the two pairs are one.
  void addTransition(unsigned s, Value write, Value reader) {
    State &state = states[s];
    Value right = read(s, reader, state.keyAxis, /*before=*/true, state.decaysFirst);
    Value matrix = scores(state, state.keyAxis, reader, write, /*before=*/true);
    Value decay = state.type.getRank() == 2 ? state.sides[1 - state.keyAxis].vector : Value();
    Value p = chunk::SolveOp::create(b, values.loc, matrix, right, decay, decay && !state.decaysFirst,
                                     /*transposed=*/false);
    if (state.moves == 1) {
      state.reader = reader;
      state.solution = p;
    }
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

  /// What `query` reads of a state, summed over `axis`; before the step, but behind its decay along the other axis where that comes first.
  Value read(unsigned s, Value query, int64_t axis, bool before, bool decaysFirst = false) {
    State &state = states[s];
    chunk::Span span = before ? chunk::Span::Before : chunk::Span::Through;
    bool isBehind = before && !decaysFirst; // of the other axis' decay
    bool matrix = state.type.getRank() == 2;
    int64_t other = matrix ? 1 - axis : -1;
    RankedTensorType type =
        chunk::withAxis(axesOf(state.type, matrix ? SmallVector<int64_t>{other} : SmallVector<int64_t>{}), "time",
                        values.size * state.moves);
    Value carried = decayed(state, axis, query, span, /*withScalar=*/true);
    Value result = values.contract(!matrix     ? "ta,a->t"
                                   : axis == 0 ? "ta,ab->tb"
                                               : "tb,ab->ta",
                                   {carried, state.start}, type);
    result = decayed(state, other, result, isBehind ? chunk::Span::Before : chunk::Span::Through, /*withScalar=*/false);
    for (const Pair &pair : state.pairs) {
      bool isKey = axis == state.keyAxis;
      Value inner = isKey ? pair.key : pair.value, outer = isKey ? pair.value : pair.key;
      Value square = scores(state, axis, query, inner, before);
      Value taken;
      if (other >= 0 && state.sides[other].vector) {
        auto apply = chunk::ApplyOp::create(b, values.loc, square, outer, state.sides[other].vector,
                                            isBehind ? b.getUnitAttr() : UnitAttr());
        taken = apply;
      } else {
        Value source = chunk::AsSourceOp::create(b, values.loc, outer);
        taken = values.contract(matrix ? "ts,sv->tv" : "ts,s->t", {square, source}, type);
      }
      result = values.map(recur::Fn::Add, {result, taken});
    }
    return result;
  }

  /// The numbers per step that multiply a key go to its value. Who takes in the same, from the value as it was handed over, has the same
  /// state then, also where operands are rounded: a transition corrects what was rounded here, and no other rounding.
  Pair withBareKey(const Pair &pair) {
    BareRows bare(pair.key);
    if (!bare.scaled())
      return pair;
    Value factor = bare.factor(b, values.loc, [](Value number) { return number; });
    return {bare.rows, values.map(recur::Fn::Mul, {pair.value, values.repeated(factor, typeOf(pair.value))})};
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
    for (const Pair &each : state.pairs) {
      int64_t other = rank == 2 ? 1 - state.keyAxis : -1;
      Pair pair = other >= 0 && state.solution ? withBareKey(each) : each;
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
