// The mathematics is that of ExpansionChunk.cpp, spelled out row by row: the vectors of every step are values of their own, and so is the
// score of every pair of steps. What all rows read of the state before the chunk is as many sums over one sweep, and the state behind it is
// one elementwise value, so that a target which computes in one sweep what shares an iteration space reads and writes the state once a chunk.
// The price is the pairs, which are spelled out, too: for chunks of a few steps.
//
// Operations are made in the order in which sweeps should run: what depends on inputs alone; then what transitions read of the state, and what
// readouts do; then what combines these.
#include "compiler/Transforms/ExpansionRows.h"
#include "compiler/Transforms/StepValues.h"
#include "dialects/Chunk/Chunk.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

bool rondo::hasRows(const Expansion &of) {
  recur::ScanInterface scan = of.scan;
  bool anyMatrix = false;
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    bool matrix = recur::dimsOf(scan.getInits()[s].getType()).getNames().size() == 2;
    bool decaysKeys = llvm::any_of(of.decays, [&](recur::DecayAttr decay) {
      return decay.getState() == s && llvm::is_contained(decay.getAxes(), of.keyAxes[s]);
    });
    if (of.moves(s) > 1 || (matrix && !decaysKeys))
      return false;
    anyMatrix |= matrix;
  }
  return anyMatrix;
}

namespace {

class RowsBuilder {
public:
  RowsBuilder(const Expansion &of, int64_t size, Block *block)
      : of(of), scan(of.scan), block(block), b(OpBuilder::atBlockEnd(block)), loc(scan->getLoc()), rows(size) {}

  void build() {
    addArguments();
    copy(of.coefficients->front());
    for (size_t row = 0; row < rows.size(); ++row)
      takeStep(row);
    for (std::vector<Read> *list : {&solutions, &readouts})
      for (Read &read : *list)
        read.ofStart = ofStart(read);
    for (Read &read : solutions)
      read.result = combined(read);
    for (Read &read : readouts)
      read.result = combined(read);
    finish();
  }

private:
  /// A key and a value that have entered a state, as they have decayed since; of a transition the value is what it has read, or that is added
  /// to the value.
  struct Entry {
    Value key = {}, value = {}; // the value may be null
    Value factor = {};          // the decays without axes; null: none
    int64_t solution = -1;
    Value fade = {}; // of what a solution is part of, the decays along the values; null: none
  };
  /// A part of what is read: what entered, times its score.
  struct Term {
    Entry entry;
    bool ofValue;       // what is read is a number of its value for each key
    Value query, score; // the score is null where it waits for a solution
  };
  /// What a query reads of a state.
  struct Read {
    unsigned state;
    int64_t axis;
    Value carried;       // the query for the state before the chunk
    Value scale, vector; // what the other decays make of what it reads there; null: nothing
    std::vector<Term> terms;
    Value ofStart, result;
  };
  struct State {
    Value start;
    RankedTensorType type;
    Value gone[2], scalar; // the products of the decays so far, by axis and without; null: none
    std::vector<Entry> entries;
  };

  void addArguments() {
    size_t inputs = scan.getInputs().size();
    for (BlockArgument argument : of.coefficients->front().getArguments()) {
      if (argument.getArgNumber() >= inputs) {
        map(argument, block->addArgument(argument.getType(), loc));
        continue;
      }
      Value tile = block->addArgument(chunk::withAxis(argument.getType(), "time", rows.size()), loc);
      for (auto [number, row] : llvm::enumerate(rows))
        row.map(argument, chunk::RowOp::create(b, loc, int64_t(number), tile).getResult());
    }
    for (Value init : scan.getInits()) {
      RankedTensorType whole = typeOf(init);
      ArrayRef<StringAttr> names = recur::dimsOf(whole).getNames();
      auto type = RankedTensorType::get(whole.getShape().take_back(names.size()), whole.getElementType(),
                                        recur::DimsAttr::get(b.getContext(), ArrayRef<StringAttr>(), names));
      states.push_back({block->addArgument(type, loc), type, {}, {}, {}});
    }
  }

  /// `value` of the step is the same in all rows.
  void map(Value value, Value here) {
    same.insert(value);
    for (IRMapping &row : rows)
      row.map(value, here);
  }

  /// What the operations of `from` compute, in every row; once where it is the same in all.
  void copy(Block &from) {
    for (Operation &op : from.without_terminator()) {
      if (llvm::all_of(op.getOperands(), [&](Value operand) { return same.contains(operand); })) {
        Operation *once = b.clone(op, rows.front());
        for (auto [result, here] : llvm::zip(op.getResults(), once->getResults()))
          map(result, here);
        continue;
      }
      for (IRMapping &row : rows)
        b.clone(op, row);
    }
  }

  /// x * y, where either may be a number; a null one is left out.
  Value times(Value x, Value y) {
    if (!x || !y)
      return x ? x : y;
    Type type = (typeOf(x).getRank() < typeOf(y).getRank() ? y : x).getType();
    return recur::MapOp::create(b, loc, type, recur::Fn::Mul, ValueRange{x, y});
  }
  Value plus(Value x, Value y) {
    if (!x || !y)
      return x ? x : y;
    return recur::MapOp::create(b, loc, x.getType(), recur::Fn::Add, ValueRange{x, y});
  }

  void takeStep(size_t row) {
    recur::CoefficientsOp given = of.given();
    auto here = [&](Value value) { return rows[row].lookup(value); };
    auto decayAll = [&](bool before) {
      for (auto [value, decay] : llvm::zip(given.getDecays(), of.decays))
        if (decay.getBefore() == before)
          decayBy(states[decay.getState()], of.keyAxes[decay.getState()], here(value), decay.getAxes());
    };
    auto readAll = [&](bool before) {
      for (auto [query, readout] : llvm::zip(given.getQueries(), of.readouts))
        if (readout.getBefore() == before)
          readouts.push_back(read(readout.getState(), here(query), readout.getAxis()));
    };
    readAll(true);
    decayAll(true);
    SmallVector<std::pair<Value, int64_t>> written(states.size(),
                                                   {Value(), -1}); // by a transition: along which key, and what
    for (auto [write, reader, s] : llvm::zip(given.getWrites(), given.getReads(), of.transitions)) {
      written[s] = {here(write), int64_t(solutions.size())};
      solutions.push_back(read(s, here(reader), of.keyAxes[s]));
    }
    decayAll(false);
    for (auto [key, value, s] : llvm::zip(given.getKeys(), given.getValues(), of.outers)) {
      Entry entry{here(key), here(value)};
      if (written[s].first == entry.key)
        entry.solution = std::exchange(written[s].second, -1);
      states[s].entries.push_back(entry);
    }
    for (auto [s, transition] : llvm::enumerate(written))
      if (transition.second >= 0)
        states[s].entries.push_back({.key = transition.first, .solution = transition.second});
    readAll(false);
  }

  void decayBy(State &state, int64_t keyAxis, Value decay, ArrayRef<int64_t> axes) {
    Value &gone = axes.empty() ? state.scalar : state.gone[axes[0]];
    gone = times(gone, decay);
    for (Entry &entry : state.entries) {
      Value &ofValues = entry.solution < 0 ? entry.value : entry.fade;
      Value &part = axes.empty() ? entry.factor : axes[0] == keyAxis ? entry.key : ofValues;
      part = times(part, decay);
    }
  }

  /// What `query` reads of a state now, summed over `axis`; the state itself is not read yet.
  Read read(unsigned s, Value query, int64_t axis) {
    State &state = states[s];
    bool isKey = axis == of.keyAxes[s];
    Read result{s,
                axis,
                times(query, state.gone[axis]),
                state.scalar,
                state.type.getRank() == 2 ? state.gone[1 - axis] : Value(),
                {},
                {},
                {}};
    for (const Entry &entry : state.entries) {
      Value inner = isKey ? entry.key : entry.solution < 0 ? entry.value : Value();
      result.terms.push_back({entry, !isKey, query, inner ? score(query, inner, entry) : Value()});
    }
    return result;
  }

  Value score(Value query, Value inner, const Entry &entry) {
    Value sum = recur::ContractOp::create(b, loc, axesOf(typeOf(query), {}), "a,a->", ValueRange{query, inner});
    return times(sum, entry.factor);
  }

  /// What is read of the state before the chunk.
  Value ofStart(const Read &read) {
    const State &state = states[read.state];
    bool matrix = state.type.getRank() == 2;
    RankedTensorType type = axesOf(state.type, matrix ? SmallVector<int64_t>{1 - read.axis} : SmallVector<int64_t>{});
    StringRef spec = !matrix ? "a,a->" : read.axis == 0 ? "ab,a->b" : "ab,b->a";
    return recur::ContractOp::create(b, loc, type, spec, ValueRange{state.start, read.carried});
  }

  Value combined(const Read &read) {
    Value result = times(times(read.ofStart, read.vector), read.scale);
    for (const Term &term : read.terms) {
      Value value = valueOf(term.entry);
      Value by = term.score ? term.score : score(term.query, value, term.entry);
      result = plus(result, times(term.ofValue ? term.entry.key : value, by));
    }
    return result;
  }

  /// With what a solution has read, once that is known.
  Value valueOf(const Entry &entry) {
    return entry.solution < 0 ? entry.value : times(plus(entry.value, solutions[entry.solution].result), entry.fade);
  }

  /// The state behind the chunk.
  Value end(unsigned s) {
    State &state = states[s];
    int64_t key = of.keyAxes[s];
    Value result = times(state.start, state.scalar);
    for (int64_t axis = 0; axis < state.type.getRank(); ++axis)
      if (Value gone = state.gone[axis])
        result = state.type.getRank() == 1
                     ? times(result, gone)
                     : recur::ContractOp::create(b, loc, state.type, scalingSpec(2, {axis}), ValueRange{result, gone})
                           .getResult();
    for (const Entry &entry : state.entries) {
      Value left = times(entry.key, entry.factor), right = valueOf(entry);
      Value entered =
          state.type.getRank() == 1
              ? times(left, right)
              : recur::ContractOp::create(b, loc, state.type, key == 0 ? "a,b->ab" : "b,a->ab", ValueRange{left, right})
                    .getResult();
      result = plus(result, entered);
    }
    return result;
  }

  void finish() {
    SmallVector<Value> updated;
    for (unsigned s = 0; s < states.size(); ++s)
      updated.push_back(end(s));
    Block &readout = of.readout->front();
    size_t shared = of.coefficients->front().getNumArguments();
    for (BlockArgument argument : readout.getArguments().take_front(shared)) {
      BlockArgument given = of.coefficients->front().getArgument(argument.getArgNumber());
      if (same.contains(given))
        same.insert(argument);
      for (IRMapping &row : rows)
        row.map(argument, row.lookup(given));
    }
    // In every row, those that read before the update come first.
    SmallVector<unsigned> order;
    for (bool before : {true, false})
      for (auto [number, each] : llvm::enumerate(of.readouts))
        if (each.getBefore() == before)
          order.push_back(number);
    for (auto [number, read] : llvm::enumerate(readouts))
      rows[number / order.size()].map(readout.getArgument(shared + order[number % order.size()]), read.result);
    copy(readout);
    SmallVector<Value> outputs;
    for (Value output : of.yield().getOutputs()) {
      SmallVector<Value> each;
      for (IRMapping &row : rows)
        each.push_back(row.lookup(output));
      outputs.push_back(chunk::RowsOp::create(b, loc, each));
    }
    recur::YieldOp::create(b, loc, updated, outputs);
  }

  const Expansion &of;
  recur::ScanInterface scan;
  Block *block;
  OpBuilder b;
  Location loc;
  std::vector<IRMapping> rows; // of values of the step
  llvm::DenseSet<Value> same;  // of those, what is the same in all rows
  std::vector<State> states;
  std::vector<Read> solutions, readouts; // of transitions in the order of time; of readouts row by row
};

} // namespace

void rondo::buildRows(const Expansion &of, int64_t size, Block *chunk) { RowsBuilder(of, size, chunk).build(); }
