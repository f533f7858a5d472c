// From a chunk's region to a tile program, from the results backwards. See TileProgram.h.
#include "compiler/Target/CUDA/TileProgram.h"
#include "dialects/Chunk/TwoTerms.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

static std::pair<size_t, size_t> axesOf(Value value) {
  recur::DimsAttr dims = recur::dimsOf(value.getType());
  return {dims.getAxes().size(), dims.getNames().size()};
}

static int64_t indexIn(ArrayRef<Tile> tiles, const Tile &tile) {
  auto found = llvm::find(tiles, tile);
  return found == tiles.end() ? -1 : found - tiles.begin();
}

namespace {

class Planner {
public:
  Planner(chunk::ScanOp scan, bool withOutputs) {
    program.scan = scan;
    program.twoTerms = chunk::hasTwoTerms(scan);
    if (withOutputs)
      llvm::append_range(program.outputs, program.yield().getOutputs());
  }

  TileProgramOrReason run() {
    if (checkScan() && addStates())
      for (Value output : program.outputs) {
        if (!isRows(output))
          decline("an output has no value axis");
        Value grouped = groupedColumns(output);
        visitColumns(grouped ? grouped : output);
      }
    if (reason.empty()) {
      addLevelTiles(program);
      dropTiles(program);
      addSlots(program, perStepInColumns);
    }
    return {std::move(program), reason};
  }

private:
  bool decline(const Twine &why) {
    if (reason.empty())
      reason = why.str();
    return false;
  }

  bool checkScan() {
    chunk::ScanOp scan = program.scan;
    if (scan.getResets() || scan.getOffsets())
      return decline("sequences begin inside the time axis");
    for (Value value : program.chunk().getArguments())
      if (!typeOf(value).getElementType().isF32())
        return decline("values are not computed in f32");
    for (unsigned s = 0; s < scan.getStates().size(); ++s)
      if (size_t axes = axesOf(scan.getInits()[s]).second; axes != 1 && axes != 2)
        return decline("state '" + scan.state(s).getName().getValue() + "' is neither a matrix nor a vector");
    return true;
  }

  /// Which axis of the states is summed over, from the first product that has it.
  std::optional<int64_t> keyAxisOf(BlockArgument state) {
    std::optional<int64_t> axis;
    for (Operation *user : state.getUsers())
      if (auto contract = dyn_cast<recur::ContractOp>(user)) {
        auto spec = recur::parseContractSpec(contract.getSpec());
        if (!spec || contract.getOperands().size() != 2 || contract.getOperands()[1] != state || !isRows(contract))
          continue;
        int64_t here = spec->operands[1].find(spec->operands[0].back());
        if (axis && *axis != here)
          return std::nullopt;
        axis = here;
      }
    return axis;
  }

  bool addStates() {
    unsigned count = program.scan.getStates().size();
    for (unsigned s = 0; s < count; ++s) {
      BlockArgument start = program.chunk().getArgument(program.chunk().getNumArguments() - count + s);
      ArrayRef<int64_t> shape = typeOf(start).getShape();
      if (shape.size() == 1) {
        program.vectors.push_back({start, s, shape[0], {}, {}, {}});
        continue;
      }
      std::optional<int64_t> axis = keyAxisOf(start);
      if (!axis)
        return decline("a state is read along both of its axes, or not at all");
      program.states.push_back({start, s, *axis, shape[*axis], shape[1 - *axis], {}, {}, {}, {}});
    }
    if (program.states.empty())
      return decline("no state is a matrix");
    for (size_t s = 0; s < program.states.size(); ++s)
      if (!addNext(s, program.yield().getStates()[program.states[s].number]))
        return false;
    for (VectorState &vector : program.vectors)
      if (!addNextVector(vector, program.yield().getStates()[vector.number]))
        return false;
    return true;
  }

  /// A vector behind the chunk: the decayed one, and rows summed over the steps.
  bool addNextVector(VectorState &vector, Value next) {
    if (next == vector.start)
      return true;
    auto map = next.getDefiningOp<recur::MapOp>();
    if (map && map.getFn() == recur::Fn::Add)
      return addNextVector(vector, map.getOperand(0)) && addNextVector(vector, map.getOperand(1));
    auto products = map ? map.getOperand(1).getDefiningOp<chunk::ProductsOp>() : chunk::ProductsOp();
    if (products && map.getFn() == recur::Fn::Mul && map.getOperand(0) == vector.start &&
        products.getSpan() == chunk::Span::All) {
      const bool isNumber = isPerStep(products.getOperand());
      (isNumber ? vector.decay : vector.keyDecay) = products.getOperand();
      isNumber ? addDecay(vector.decay) : addKeyTotals(vector.keyDecay);
      return reason.empty();
    }
    auto sum = next.getDefiningOp<recur::ContractOp>();
    if (!sum || sum.getOperands().size() != 2 || !isRows(sum.getOperand(0)) || !isPerStep(sum.getOperand(1)))
      return decline("a state that is a vector moves on in a way that tiles do not know yet");
    ScaledRows rows = rowsOf(sum.getOperand(0));
    if (!isOnes(sum.getOperand(1)))
      rows.factor.terms.push_back({sum.getOperand(1), false});
    addFactor(rows.factor);
    vector.updates.push_back(rows);
    return reason.empty();
  }

  /// The state behind the chunk: a sum of the decayed state and of products.
  bool addNext(int64_t s, Value next) {
    TileState &state = program.states[s];
    if (next == state.start)
      return true;
    if (auto map = next.getDefiningOp<recur::MapOp>()) {
      if (map.getFn() == recur::Fn::Add)
        return addNext(s, map.getOperand(0)) && addNext(s, map.getOperand(1));
      if (map.getFn() == recur::Fn::Mul && map.getOperand(0) == state.start)
        if (auto products = map.getOperand(1).getDefiningOp<chunk::ProductsOp>();
            products && products.getSpan() == chunk::Span::All) {
          state.decay = products.getOperand();
          addDecay(state.decay);
          return true;
        }
    }
    auto contract = next.getDefiningOp<recur::ContractOp>();
    if (contract && contract.getOperands().size() == 2 && contract.getOperand(0) == state.start)
      return addKeyDecay(state, contract);
    if (!contract || contract.getOperands().size() != 2 || !isRows(contract.getOperand(0)) ||
        !isRows(contract.getOperand(1)))
      return decline("a state moves on in a way that tiles do not know yet");
    // Either factor may lie along the keys. What multiplies the other one's rows as a whole is a factor of the product.
    auto spec = recur::parseContractSpec(contract.getSpec());
    bool keyFirst = spec && spec->operands[0].back() == spec->result[state.keyAxis];
    Value columns = contract.getOperand(keyFirst ? 1 : 0);
    Update update{rowsOf(contract.getOperand(keyFirst ? 0 : 1)), columns};
    while (Value inner = keyFirst ? Value() : peel(update.value, update.key.factor))
      update.value = inner;
    addFactor(update.key.factor);
    visitColumns(update.value);
    state.updates.push_back(update);
    return reason.empty();
  }

  /// The state times a vector of products along its key axis: "ab,a->ab".
  bool addKeyDecay(TileState &state, recur::ContractOp contract) {
    auto spec = recur::parseContractSpec(contract.getSpec());
    auto products = contract.getOperand(1).getDefiningOp<chunk::ProductsOp>();
    if (!products || products.getSpan() != chunk::Span::All || spec->result != spec->operands[0] ||
        spec->operands[1].size() != 1)
      return decline("a state decays in a way that tiles do not know yet");
    if (spec->operands[1] != spec->operands[0].substr(state.keyAxis, 1)) {
      state.valueDecay = products.getOperand();
      visitColumns(state.valueDecay);
      return reason.empty();
    }
    state.keyDecay = products.getOperand();
    addKeyTotals(state.keyDecay);
    return reason.empty();
  }

  void addKeyTotals(Value decay) {
    if (program.keyDecayOf(decay) < 0)
      program.keyDecays.push_back(decay);
    addInputs(decay, Role::Key);
  }

  /// Takes factors per step off a value with rows, and products of a decay along the keys.
  ScaledRows rowsOf(Value value) {
    StepFactor factor;
    Tile tile{{}, Role::Key, typeOf(value).getShape().back(), Make::Staged, -1, {}, 0, {}, false};
    while (true) {
      if (Value inner = peel(value, factor))
        value = inner;
      else if (Value rows = tile.decay ? Value() : peelProducts(value, tile))
        value = rows;
      else
        break;
    }
    if (!tile.decay)
      return {addTile(value, Role::Key), factor};
    tile.value = value;
    addInputs(value, Role::Key);
    return {addMade(tile), factor};
  }

  /// x of x * products(decay); the rest goes to the tile.
  Value peelProducts(Value value, Tile &tile) {
    auto map = value.getDefiningOp<recur::MapOp>();
    if (!map || map.getFn() != recur::Fn::Mul)
      return nullptr;
    for (int64_t i : {0, 1}) {
      auto products = map.getOperand(i).getDefiningOp<chunk::ProductsOp>();
      if (!products || !isRows(products) || !isRows(map.getOperand(1 - i)))
        continue;
      tile.decay = products.getOperand();
      tile.make = products.getSpan() == chunk::Span::Through  ? Make::Through
                  : products.getSpan() == chunk::Span::Before ? Make::Before
                                                              : Make::After;
      addInputs(tile.decay, Role::Key);
      return map.getOperand(1 - i);
    }
    return nullptr;
  }

  int64_t addMade(const Tile &tile) {
    int64_t known = indexIn(program.tiles, tile);
    if (known >= 0)
      return known;
    program.tiles.push_back(tile);
    return program.tiles.size() - 1;
  }

  Value peel(Value value, StepFactor &factor) {
    auto perStep = [](Value x) -> Value {
      if (auto spread = x.getDefiningOp<recur::BroadcastOp>(); spread && isPerStep(spread.getOperand()))
        return spread.getOperand();
      return isPerStep(x) || recur::isScalar(x.getType()) ? x : Value();
    };
    auto take = [&](Value rows, Value by, bool divides) -> Value {
      auto products = by.getDefiningOp<chunk::ProductsOp>();
      if (products && !factor.decay) {
        factor.decay = products.getOperand();
        factor.span = products.getSpan();
      } else {
        factor.terms.push_back({by, divides});
      }
      return rows;
    };
    if (auto contract = value.getDefiningOp<recur::ContractOp>(); contract && isElementwise(contract))
      if (contract.getOperands().size() == 2 && isRows(contract.getOperand(0)) && isPerStep(contract.getOperand(1)))
        return take(contract.getOperand(0), contract.getOperand(1), false);
    auto map = value.getDefiningOp<recur::MapOp>();
    if (!map)
      return nullptr;
    if (map.getFn() == recur::Fn::Neg) {
      factor.negated = !factor.negated;
      return map.getOperand(0);
    }
    bool divides = map.getFn() == recur::Fn::Div;
    if (!divides && map.getFn() != recur::Fn::Mul)
      return nullptr;
    if (Value by = perStep(map.getOperand(1)))
      return take(map.getOperand(0), by, divides);
    if (Value by = divides ? Value() : perStep(map.getOperand(0)))
      return take(map.getOperand(1), by, false);
    return nullptr;
  }

  int64_t addTile(Value value, Role role) {
    if (int64_t known = program.tileOf(value, role); known >= 0)
      return known;
    int64_t input = -1;
    if (auto argument = dyn_cast<BlockArgument>(value))
      input = argument.getArgNumber();
    else
      addInputs(value, role);
    Make make = input < 0 ? Make::Plain : Make::Staged;
    return addMade({value, role, typeOf(value).getShape().back(), make, input, {}, 0, {}, false});
  }

  /// The tiles and slots that a computed tile is computed from.
  void addInputs(Value value, Role role) {
    if (isPerStep(value)) {
      addTerm(value);
      return;
    }
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      if (isRows(value))
        addTile(value, role);
      return;
    }
    Operation *op = value.getDefiningOp();
    if (auto contract = dyn_cast<recur::ContractOp>(op); contract && !isElementwise(contract)) {
      decline("rows are computed by a product");
      return;
    }
    if (!isa<recur::MapOp, recur::BroadcastOp, recur::CastOp, recur::ContractOp, arith::ConstantOp>(op)) {
      decline("rows are computed by '" + op->getName().getStringRef() + "'");
      return;
    }
    for (Value operand : op->getOperands())
      addInputs(operand, role);
  }

  /// A number per step: notes which tiles it is computed from.
  void visitPerStep(Value value) {
    if (isa<BlockArgument>(value) || !perStepSeen.insert(value).second)
      return;
    if (isLate(value))
      return void(decline("a factor per step waits for scores"));
    Operation *op = value.getDefiningOp();
    if (auto reduce = dyn_cast<recur::ReduceOp>(op)) {
      if (reduce.getDims() != ArrayRef<int64_t>{1}) {
        decline("a sum over steps");
        return;
      }
      program.readsTiles = true;
      program.sums.push_back(value);
      addInputs(reduce.getOperand(), Role::Key);
      return;
    }
    if (auto contract = dyn_cast<recur::ContractOp>(op); contract && isInner(contract)) {
      program.readsTiles = true;
      program.sums.push_back(value);
      for (Value operand : contract.getOperands())
        addInputs(operand, Role::Key);
      return;
    }
    if (!isa<recur::MapOp, recur::BroadcastOp, recur::CastOp, arith::ConstantOp>(op))
      decline("a number per step comes from '" + op->getName().getStringRef() + "'");
    for (Value operand : op->getOperands())
      visitPerStep(operand);
  }

  void addTerm(Value value) { addFactor(StepFactor::of(value)); }
  void addFactor(const StepFactor &factor) {
    for (const StepFactor::Term &term : factor.terms)
      visitPerStep(term.value);
    if (factor.decay)
      addDecay(factor.decay);
  }
  void addDecay(Value decay) {
    if (!isPerStep(decay)) {
      decline("a decay varies along an axis");
      return;
    }
    visitPerStep(decay);
    if (program.decayOf(decay) < 0)
      program.decays.push_back(decay);
  }

  void addScore(Value value) {
    if (program.scoreOf(value) >= 0)
      return;
    auto op = value.getDefiningOp<chunk::ScoresOp>();
    if (!op) {
      decline("scores are computed by something else than 'chunk.scores'");
      return;
    }
    Score score{op, rowsOf(op.getQueries()), rowsOf(op.getKeys()), op.getDecay(), op.getBefore(), {}};
    addFactor(score.query.factor);
    addFactor(score.key.factor);
    if (score.query.factor.decay || score.key.factor.decay)
      decline("scores of rows that are decayed already");
    if (score.decay && isRows(score.decay)) {
      addInputs(score.decay, Role::Key);
      std::swap(score.keyDecay, score.decay);
    } else if (score.decay) {
      addDecay(score.decay);
    }
    auto isSame = [&](const Score &other) {
      return other.query == score.query && other.key == score.key && other.decay == score.decay &&
             other.keyDecay == score.keyDecay && other.before == score.before;
    };
    if (auto found = llvm::find_if(program.scores, isSame); found != program.scores.end())
      program.sameScores.push_back({op, found - program.scores.begin()});
    else
      program.scores.push_back(score);
  }

  /// A number per step that waits for scores: what it is computed from.
  void visitLate(Value value) {
    if (isa<BlockArgument>(value) || !lateSeen.insert(value).second)
      return;
    Operation *op = value.getDefiningOp();
    if (auto contract = dyn_cast<recur::ContractOp>(op))
      return visitLateProduct(contract);
    if (!isa<recur::MapOp, recur::BroadcastOp, recur::CastOp>(op))
      decline("a number per step comes from '" + op->getName().getStringRef() + "'");
    for (Value operand : op->getOperands()) {
      if (isLate(operand)) {
        visitLate(operand);
      } else if (isPerStep(operand)) {
        addTerm(operand);
        perStepInColumns.push_back(operand);
      }
    }
  }

  /// A vector state read by rows, or scores summed over their sources.
  void visitLateProduct(recur::ContractOp contract) {
    if (contract.getOperands().size() != 2)
      return void(decline("a product of other than two factors"));
    Value left = contract.getOperand(0), right = contract.getOperand(1);
    auto vector = llvm::find_if(program.vectors, [&](const VectorState &vector) { return vector.start == right; });
    if (isRows(left) && vector != program.vectors.end()) {
      program.vectorReads.push_back({contract, vector - program.vectors.begin(), rowsOf(left)});
      return addFactor(program.vectorReads.back().query.factor);
    }
    auto source = right.getDefiningOp<chunk::AsSourceOp>();
    if (!left.getDefiningOp<chunk::ScoresOp>() || !source || !isOnes(source.getOperand()))
      return void(decline("a number per step is a product that tiles do not know yet: \"" + contract.getSpec() + "\""));
    addScore(left);
  }

  /// A value with the value axis: its products, and what else it is computed from.
  void visitColumns(Value value) {
    if (!reason.empty() || !columnsSeen.insert(value).second)
      return;
    if (isPerStep(value)) {
      isLate(value) ? visitLate(value) : addTerm(value);
      perStepInColumns.push_back(value);
      return;
    }
    if (isa<BlockArgument>(value)) {
      if (isRows(value))
        addTile(value, Role::Value);
      else if (!recur::isScalar(value.getType()))
        program.columnParams.push_back(value);
      return;
    }
    Operation *op = value.getDefiningOp();
    if (auto contract = dyn_cast<recur::ContractOp>(op))
      return visitProduct(contract);
    if (auto solve = dyn_cast<chunk::SolveOp>(op)) {
      if (solve.getDecay())
        return (void)decline("a transition is solved for along values that decay");
      addScore(solve.getMatrix());
      visitColumns(solve.getRight());
      program.solves.push_back(solve);
      return;
    }
    if (auto apply = dyn_cast<chunk::ApplyOp>(op)) {
      if (apply.getTransposed() || !apply.getScores().getDefiningOp<chunk::ScoresOp>())
        return (void)decline("scores that decay along the value axis are transposed, or computed");
      addScore(apply.getScores());
      visitColumns(apply.getValues());
      visitColumns(apply.getDecay());
      return;
    }
    if (auto products = dyn_cast<chunk::ProductsOp>(op); products && products.getSpan() != chunk::Span::All)
      return visitColumns(products.getOperand());
    if (!isa<recur::MapOp, recur::BroadcastOp, recur::CastOp, arith::ConstantOp, chunk::AsSourceOp>(op))
      decline("a value is computed by '" + op->getName().getStringRef() + "'");
    for (Value operand : op->getOperands())
      visitColumns(operand);
  }

  void visitProduct(recur::ContractOp contract) {
    if (contract.getOperands().size() != 2)
      return (void)decline("a product of other than two factors");
    Value left = contract.getOperand(0), right = contract.getOperand(1);
    if (isElementwise(contract)) {
      visitColumns(left);
      visitColumns(right);
      return;
    }
    auto state = llvm::find_if(program.states, [&](const TileState &state) { return state.start == right; });
    if (isRows(left) && state != program.states.end()) {
      Read read{contract, state - program.states.begin(), rowsOf(left)};
      addFactor(read.query.factor);
      program.reads.push_back(read);
      return;
    }
    if (left.getDefiningOp<chunk::ScoresOp>() && isRows(right)) {
      addScore(left);
      visitColumns(right);
      return;
    }
    decline("a product that is neither of scores nor of a state: \"" + contract.getSpec() + "\"");
  }

  TileProgram program;
  std::string reason;
  DenseSet<Value> columnsSeen, perStepSeen, lateSeen;
  SmallVector<Value> perStepInColumns;
};

} // namespace

TileProgramOrReason rondo::cuda::planTiles(chunk::ScanOp scan, bool withOutputs) {
  return Planner(scan, withOutputs).run();
}
