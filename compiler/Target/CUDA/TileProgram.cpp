// From a chunk's region to a tile program, from the results backwards. See TileProgram.h.
#include "compiler/Target/CUDA/TileProgram.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The number of axes before and after the bar.
static std::pair<size_t, size_t> axesOf(Value value) {
  recur::DimsAttr dims = recur::dimsOf(value.getType());
  return {dims.getAxes().size(), dims.getNames().size()};
}
bool rondo::cuda::isPerStep(Value value) { return axesOf(value) == std::pair<size_t, size_t>(1, 0); }
bool rondo::cuda::isRows(Value value) { return axesOf(value) == std::pair<size_t, size_t>(1, 1); }

bool rondo::cuda::isElementwise(recur::ContractOp contract) {
  auto spec = recur::parseContractSpec(contract.getSpec());
  if (!spec || !isRows(contract))
    return false;
  return llvm::all_of(spec->operands, [&](const std::string &letters) {
    return letters == spec->result || letters == spec->result.substr(0, 1);
  });
}

bool rondo::cuda::isInner(recur::ContractOp contract) {
  auto spec = recur::parseContractSpec(contract.getSpec());
  return spec && isPerStep(contract) && llvm::all_of(contract.getOperands(), isRows) &&
         llvm::all_equal(spec->operands) && spec->operands[0][0] == spec->result[0];
}

template <typename Range, typename Entry> static int64_t indexIn(const Range &range, const Entry &entry) {
  auto found = llvm::find(range, entry);
  return found == range.end() ? -1 : found - range.begin();
}

int64_t TileProgram::tileOf(Value value, Role role) const {
  auto found = llvm::find_if(tiles, [&](const Tile &tile) {
    return tile.value == value && tile.role == role && (tile.make == Make::Staged || tile.make == Make::Plain);
  });
  return found == tiles.end() ? -1 : found - tiles.begin();
}
int64_t TileProgram::slotOf(const Slot &slot) const { return indexIn(slots, slot); }
int64_t TileProgram::decayOf(Value decay) const { return indexIn(decays, decay); }
int64_t TileProgram::keyDecayOf(Value decay) const { return indexIn(keyDecays, decay); }
bool TileProgram::makesTiles() const {
  return llvm::any_of(tiles, [](const Tile &tile) { return tile.make != Make::Staged; });
}
const Read *TileProgram::readOf(Value value) const {
  auto found = llvm::find_if(reads, [&](const Read &read) { return read.op == value.getDefiningOp(); });
  return found == reads.end() ? nullptr : &*found;
}
int64_t TileProgram::scoreOf(Value value) const {
  auto found = llvm::find_if(scores, [&](const Score &score) { return score.op == value.getDefiningOp(); });
  return found == scores.end() ? -1 : found - scores.begin();
}

namespace {

class Planner {
public:
  Planner(chunk::ScanOp scan, bool withOutputs) {
    program.scan = scan;
    if (withOutputs)
      llvm::append_range(program.outputs, program.yield().getOutputs());
  }

  TileProgramOrReason run() {
    if (checkScan() && addStates())
      for (Value output : program.outputs) {
        if (!isRows(output))
          decline("an output has no value axis");
        visitColumns(output);
      }
    if (reason.empty())
      addSlots();
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
      if (axesOf(scan.getInits()[s]).second != 2)
        return decline("state '" + scan.state(s).getName().getValue() + "' is no matrix");
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
      std::optional<int64_t> axis = keyAxisOf(start);
      if (!axis)
        return decline("a state is read along both of its axes, or not at all");
      ArrayRef<int64_t> shape = typeOf(start).getShape();
      program.states.push_back({start, *axis, shape[*axis], shape[1 - *axis], {}, {}, {}});
    }
    for (unsigned s = 0; s < count; ++s)
      if (!addNext(s, program.yield().getStates()[s]))
        return false;
    return true;
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
    if (program.keyDecayOf(state.keyDecay) < 0)
      program.keyDecays.push_back(state.keyDecay);
    addInputs(state.keyDecay, Role::Key);
    return reason.empty();
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
    Operation *op = value.getDefiningOp();
    if (auto reduce = dyn_cast<recur::ReduceOp>(op)) {
      if (reduce.getDims() != ArrayRef<int64_t>{1}) {
        decline("a sum over steps");
        return;
      }
      program.readsTiles = true;
      addInputs(reduce.getOperand(), Role::Key);
      return;
    }
    if (auto contract = dyn_cast<recur::ContractOp>(op); contract && isInner(contract)) {
      program.readsTiles = true;
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
    if (score.decay && isRows(score.decay))
      addLevels(score);
    else if (score.decay)
      addDecay(score.decay);
    program.scores.push_back(score);
  }

  void addLevels(Score &score) {
    addInputs(score.decay, Role::Key);
    const Tile query = program.tiles[score.query.tile], key = program.tiles[score.key.tile];
    for (int64_t level = 1; level < program.scan.size(); level *= 2)
      score.levels.push_back(
          addMade({key.value, Role::Key, key.columns, Make::Level, -1, score.decay, level, query.value, score.before}));
    score.decay = {};
  }

  /// A value with the value axis: its products, and what else it is computed from.
  void visitColumns(Value value) {
    if (!reason.empty() || !columnsSeen.insert(value).second)
      return;
    if (isPerStep(value))
      return program.slotOf({StepFactor::of(value)}) < 0 ? (addTerm(value), perStepInColumns.push_back(value)) : void();
    if (isa<BlockArgument>(value)) {
      if (isRows(value))
        addTile(value, Role::Value);
      else if (!recur::isScalar(value.getType()))
        decline("a parameter along the value axis");
      return;
    }
    Operation *op = value.getDefiningOp();
    if (auto contract = dyn_cast<recur::ContractOp>(op))
      return visitProduct(contract);
    if (auto solve = dyn_cast<chunk::SolveOp>(op)) {
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

  static Partial partialOf(const StepFactor &factor) {
    if (!factor.decay)
      return Partial::None;
    return factor.span == chunk::Span::Through  ? Partial::Through
           : factor.span == chunk::Span::Before ? Partial::Before
                                                : Partial::After;
  }
  void addSlot(StepFactor factor, Partial partial) {
    factor.span = chunk::Span::Through;
    Slot slot{factor, partial};
    if (!factor.isOne() && program.slotOf(slot) < 0)
      program.slots.push_back(slot);
  }

  void addSlots() {
    for (const Read &read : program.reads)
      addSlot(read.query.factor, partialOf(read.query.factor));
    for (const TileState &state : program.states)
      for (const Update &update : state.updates)
        addSlot(update.key.factor, partialOf(update.key.factor));
    for (const Score &score : program.scores) {
      addSlot(score.query.factor, Partial::None); // inside a block
      addSlot(score.key.factor, Partial::None);
      if (!score.decay)
        continue;
      StepFactor query = score.query.factor, key = score.key.factor;
      query.decay = key.decay = score.decay;
      addSlot(query, score.before ? Partial::Before : Partial::Through); // between blocks
      addSlot(key, Partial::After);
    }
    for (Value value : perStepInColumns)
      addSlot(StepFactor::of(value), Partial::None);
    for (const Tile &tile : program.tiles)
      if (tile.make != Make::Staged)
        for (Value value : {tile.value, tile.decay, tile.queries})
          if (value)
            addTermsOf(value);
    for (Value decay : program.keyDecays)
      addTermsOf(decay);
  }

  /// Slots for the numbers per step inside a computed tile.
  void addTermsOf(Value value) {
    if (isPerStep(value))
      return addSlot(StepFactor::of(value), Partial::None);
    if (Operation *op = value.getDefiningOp())
      for (Value operand : op->getOperands())
        addTermsOf(operand);
  }

  TileProgram program;
  std::string reason;
  DenseSet<Value> columnsSeen, perStepSeen;
  SmallVector<Value> perStepInColumns;
};

} // namespace

TileProgramOrReason rondo::cuda::planTiles(chunk::ScanOp scan, bool withOutputs) {
  return Planner(scan, withOutputs).run();
}
