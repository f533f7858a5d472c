// Axes along which a step is independent, as classes of axes that an operation makes one. See ValueTiles.h.
#include "compiler/Target/CPU/ValueTiles.h"
#include "compiler/Target/CPU/StepNests.h"
#include "dialects/Chunk/Chunk.h"
#include "llvm/ADT/IntEqClasses.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

namespace {

/// Elements of one block at least: two vectors of eight.
constexpr int64_t kSmallestBlock = 16;

/// What does not have the axis is computed by every task: at most one part in so many of all.
constexpr int64_t kLeastGain = 3;

int64_t rankOf(Value value) { return cast<RankedTensorType>(value.getType()).getRank(); }

/// Axes of the values of a scan's regions, in classes of those that are one and the same; some classes are mixed.
class AxisClasses {
public:
  explicit AxisClasses(recur::ScanInterface scan) : scan(scan) {
    for (Region &region : scan->getRegions())
      number(region.front());
    classes.grow(count);
    for (Region &region : scan->getRegions()) {
      for (Operation &op : region.front().without_terminator())
        visit(&op);
      link(recur::Step(scan, &region.front()));
    }
  }

  std::optional<ValueTiles> best();

private:
  void number(Block &block);
  void visit(Operation *op);
  void visit(recur::ContractOp contract);
  void visit(recur::ReduceOp reduce);
  void visit(recur::BroadcastOp broadcast);
  void visit(recur::SliceOp slice);
  void visit(recur::ConcatOp concat);
  void visitChunk(Operation *op);
  void visitRow(Value row, Value rows);
  void link(recur::Step step);
  void linkTile(Value value, Value ofStep);

  void join(Value a, int64_t i, Value b, int64_t j) { classes.join(first.lookup(a) + i, first.lookup(b) + j); }
  void joinAll(Value a, Value b, int64_t from = 0) {
    for (int64_t i = from; i < rankOf(a); ++i)
      join(a, i, b, i);
  }
  void mix(Value value, int64_t axis) { mixed.push_back(first.lookup(value) + axis); }
  void mixAll(Value value) {
    for (int64_t i = 0; i < rankOf(value); ++i)
      mix(value, i);
  }
  std::optional<ValueTiles> tilesOf(unsigned leader) const;
  bool pays(const ValueTiles &tiles) const;

  mutable recur::ScanInterface scan;
  llvm::DenseMap<Value, unsigned> first; // number of a value's first axis
  SmallVector<Value> values;
  unsigned count = 0;
  llvm::IntEqClasses classes;
  SmallVector<unsigned> mixed;
};

void AxisClasses::number(Block &block) {
  auto add = [&](Value value) {
    first[value] = count;
    count += rankOf(value);
    values.push_back(value);
  };
  for (BlockArgument argument : block.getArguments())
    add(argument);
  for (Operation &op : block)
    for (Value result : op.getResults())
      add(result);
}

void AxisClasses::visit(recur::ContractOp contract) {
  auto spec = *recur::parseContractSpec(contract.getSpec());
  SmallVector<std::pair<std::string, Value>> terms{{spec.result, contract.getResult()}};
  for (auto [letters, operand] : llvm::zip(spec.operands, contract.getOperands_()))
    terms.push_back({letters, operand});
  std::map<char, std::pair<Value, int64_t>> seen;
  for (auto &[letters, value] : terms)
    for (auto [i, letter] : llvm::enumerate(letters)) {
      auto [known, isNew] = seen.try_emplace(letter, value, i);
      join(known->second.first, known->second.second, value, i);
      if (spec.result.find(letter) == std::string::npos)
        mix(value, i);
    }
}

void AxisClasses::visit(recur::ReduceOp reduce) {
  int64_t kept = 0;
  for (int64_t i = 0; i < rankOf(reduce.getOperand()); ++i)
    if (llvm::is_contained(reduce.getDims(), i))
      mix(reduce.getOperand(), i);
    else
      join(reduce.getOperand(), i, reduce.getResult(), kept++);
}

void AxisClasses::visit(recur::BroadcastOp broadcast) {
  int64_t own = 0;
  for (int64_t i = 0; i < rankOf(broadcast.getResult()); ++i)
    if (!llvm::is_contained(broadcast.getDims(), i))
      join(broadcast.getOperand(), own++, broadcast.getResult(), i);
}

void AxisClasses::visit(recur::SliceOp slice) {
  int64_t dim = slice.getDim(), to = 0;
  mix(slice.getOperand(), dim);
  if (!slice.getDrop())
    mix(slice.getResult(), dim);
  for (int64_t i = 0; i < rankOf(slice.getOperand()); ++i)
    if (i != dim)
      join(slice.getOperand(), i, slice.getResult(), to++);
    else if (!slice.getDrop())
      ++to;
}

/// One step of a chunk, or all of them: the other axes go through.
void AxisClasses::visitRow(Value row, Value rows) {
  mix(rows, 0);
  for (int64_t i = 0; i < rankOf(row); ++i)
    join(row, i, rows, i + 1);
}

void AxisClasses::visit(recur::ConcatOp concat) {
  for (Value operand : concat.getOperands_()) {
    joinAll(operand, concat.getResult());
    mix(operand, concat.getDim());
  }
}

/// Along a chunk steps are mixed; the other axes of the values go through.
void AxisClasses::visitChunk(Operation *op) {
  Value result = op->getResult(0);
  if (auto products = dyn_cast<chunk::ProductsOp>(op); products && products.getSpan() == chunk::Span::All) {
    mix(products.getOperand(), 0);
    for (int64_t i = 0; i < rankOf(result); ++i)
      join(products.getOperand(), i + 1, result, i);
    return;
  }
  mix(result, 0);
  bool sums = isa<chunk::ScoresOp>(op); // over the named axis
  if (auto gradient = dyn_cast<chunk::DecayGradientOp>(op))
    sums = gradient.getDecay().getType() != gradient.getKeys().getType();
  if (sums)
    mixAll(result);
  for (Value operand : op->getOperands()) {
    bool isScores =
        sums || (isa<chunk::ApplyOp, chunk::SolveOp, chunk::DecayGradientOp>(op) && operand == op->getOperand(0));
    mix(operand, 0);
    if (isScores)
      mixAll(operand);
    else
      joinAll(operand, result, 1);
  }
}

void AxisClasses::visit(Operation *op) {
  llvm::TypeSwitch<Operation *>(op)
      .Case<recur::ContractOp, recur::ReduceOp, recur::BroadcastOp, recur::SliceOp, recur::ConcatOp>(
          [&](auto known) { visit(known); })
      .Case<recur::MapOp, recur::CastOp>([&](auto) {
        for (Value operand : op->getOperands())
          if (rankOf(operand) > 0) // a scalar goes with every element
            joinAll(operand, op->getResult(0));
      })
      .Case<arith::ConstantOp>([&](arith::ConstantOp constant) {
        if (!cast<DenseElementsAttr>(constant.getValue()).isSplat())
          mixAll(constant.getResult());
      })
      .Case<chunk::ProductsOp, chunk::SumsOp, chunk::ScoresOp, chunk::ApplyOp, chunk::SolveOp, chunk::AsSourceOp,
            chunk::AsTimeOp, chunk::DecayGradientOp>([&](auto) { visitChunk(op); })
      .Case([&](chunk::RowOp row) { visitRow(row.getResult(), row.getOperand()); })
      .Case([&](chunk::RowsOp rows) {
        for (Value row : rows.getOperands_())
          visitRow(row, rows.getResult());
      })
      .Default([&](Operation *) { // reshapes and identities know where an element is
        for (Value operand : op->getOperands())
          mixAll(operand);
        for (Value result : op->getResults())
          mixAll(result);
      });
}

/// `value` of some region is `ofStep` in the step; in a chunk inputs and outputs have an axis of steps before the others.
void AxisClasses::linkTile(Value value, Value ofStep) {
  int64_t steps = rankOf(value) - rankOf(ofStep);
  for (int64_t i = 0; i < steps; ++i)
    mix(value, i);
  for (int64_t i = 0; i < rankOf(ofStep); ++i)
    join(value, i + steps, ofStep, i);
}

void AxisClasses::link(recur::Step step) {
  recur::Step one(scan, &scan->getRegion(0).front());
  for (auto [argument, ofStep] : llvm::zip(step.getBlock()->getArguments(), one.getBlock()->getArguments()))
    linkTile(argument, ofStep);
  for (auto [value, ofStep] : llvm::zip(step.yield()->getOperands(), one.yield()->getOperands()))
    linkTile(value, ofStep);
  for (auto [s, value] : llvm::enumerate(step.yield().getStates()))
    for (BlockArgument old : step.stateArgs(s))
      joinAll(value, old);
}

/// The axis that the class `leader` is, if it can be shared out.
std::optional<ValueTiles> AxisClasses::tilesOf(unsigned leader) const {
  ValueTiles tiles;
  for (Value value : values)
    for (int64_t i = 0; i < rankOf(value); ++i)
      if (classes.findLeader(first.lookup(value) + i) == leader) {
        if (!tiles.axisOf.try_emplace(value, i).second)
          return std::nullopt; // a diagonal
        tiles.extent = cast<RankedTensorType>(value.getType()).getDimSize(i);
      }
  for (unsigned axis : mixed)
    if (classes.findLeader(axis) == leader)
      return std::nullopt;
  for (Region &region : scan->getRegions())
    for (Value value : recur::Step(scan, &region.front()).yield()->getOperands())
      if (!tiles.axisOf.contains(value))
        return std::nullopt;
  return tiles;
}

/// Multiplications of an operation, roughly.
int64_t workOfOp(Operation *op) {
  if (isa<arith::ConstantOp, chunk::AsSourceOp, chunk::AsTimeOp, chunk::RowOp, chunk::RowsOp>(op))
    return 0;
  int64_t work = 1;
  for (int64_t size : cast<RankedTensorType>(op->getResult(0).getType()).getShape())
    work *= size;
  if (auto scores = dyn_cast<chunk::ScoresOp>(op))
    return work * cast<RankedTensorType>(scores.getKeys().getType()).getDimSize(1);
  if (auto gradient = dyn_cast<chunk::DecayGradientOp>(op))
    return 2 * cast<RankedTensorType>(gradient.getScores().getType()).getDimSize(1) *
           cast<RankedTensorType>(gradient.getKeys().getType()).getNumElements();
  if (isa<chunk::ApplyOp, chunk::SolveOp>(op))
    return work * cast<RankedTensorType>(op->getOperand(0).getType()).getDimSize(1);
  for (int64_t size : reductionExtents(op))
    work *= size;
  return work;
}

/// As many multiplications as an elementary function takes.
constexpr int64_t kFunctionWork = 10;

} // namespace

int64_t rondo::cpu::workOf(Region &region) {
  int64_t work = 0;
  for (Operation &op : region.front().without_terminator()) {
    auto map = dyn_cast<recur::MapOp>(op);
    using recur::Fn;
    bool isFunction = map && llvm::is_contained({Fn::Exp, Fn::Expm1, Fn::Log, Fn::Log1p, Fn::Tanh, Fn::Erf, Fn::Sin,
                                                 Fn::Cos, Fn::Pow, Fn::Sqrt, Fn::Div},
                                                map.getFn());
    work += workOfOp(&op) * (isFunction ? kFunctionWork : 1);
  }
  return work;
}

namespace {

/// Whether what every task computes again is little beside what they share, in each region.
bool AxisClasses::pays(const ValueTiles &tiles) const {
  for (Region &region : scan->getRegions()) {
    int64_t shared = 0, again = 0;
    for (Operation &op : region.front().without_terminator())
      (tiles.axisOf.contains(op.getResult(0)) ? shared : again) += workOfOp(&op);
    if (again * kLeastGain > shared + again)
      return false;
  }
  return true;
}

std::optional<ValueTiles> AxisClasses::best() {
  std::optional<ValueTiles> found;
  Value state = recur::Step(scan, &scan->getRegion(0).front()).yield().getStates().front();
  for (int64_t i = 0; i < rankOf(state); ++i)
    if (auto tiles = tilesOf(classes.findLeader(first.lookup(state) + i)); tiles && pays(*tiles))
      if (!found || tiles->extent >= found->extent) // of two the later, which leaves rows together
        found = std::move(tiles);
  return found;
}

} // namespace

std::optional<ValueTiles> rondo::cpu::findValueTiles(recur::ScanInterface scan) {
  if (scan.numAxes() != 1 || scan.numStates() == 0)
    return std::nullopt;
  return AxisClasses(scan).best();
}

int64_t rondo::cpu::valueBlock(int64_t extent, int64_t most) {
  for (int64_t blocks = most; blocks > 1; --blocks)
    if (extent % (blocks * kSmallestBlock) == 0)
      return extent / blocks;
  return extent;
}

recur::ScanInterface rondo::cpu::narrow(recur::ScanInterface scan, const ValueTiles &tiles, int64_t block) {
  OpBuilder b(scan);
  Operation *clone = b.clone(*scan.getOperation());
  auto adopt = [&](Value from, Value to) {
    auto found = tiles.axisOf.find(from);
    if (found == tiles.axisOf.end())
      return;
    auto type = cast<RankedTensorType>(from.getType());
    SmallVector<int64_t> shape(type.getShape());
    shape[found->second] = block;
    type = RankedTensorType::get(shape, type.getElementType(), type.getEncoding());
    to.setType(type);
    if (auto constant = to.getDefiningOp<arith::ConstantOp>())
      constant.setValueAttr(cast<DenseElementsAttr>(constant.getValue()).resizeSplat(type));
  };
  for (auto [from, to] : llvm::zip(scan->getRegions(), clone->getRegions())) {
    for (auto [a, c] : llvm::zip(from.front().getArguments(), to.front().getArguments()))
      adopt(a, c);
    for (auto [a, c] : llvm::zip(from.front(), to.front()))
      for (auto [x, y] : llvm::zip(a.getResults(), c.getResults()))
        adopt(x, y);
  }
  return cast<recur::ScanInterface>(clone);
}
