// Reads sums of outer products. See OuterPlan.h.
#include "compiler/Target/CUDA/OuterPlan.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }
static bool is16Bit(Type type) { return type.isBF16() || type.isF16(); }

Type rondo::cuda::operandTypeOf(Operation *op) {
  Type found;
  for (Value argument : op->getParentOfType<func::FuncOp>().getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type || !is16Bit(type.getElementType()))
      continue;
    if (found && found != type.getElementType())
      return {};
    found = type.getElementType();
  }
  return found;
}

/// Whether a tensor is one that scans compute, here or in the other half of a gradient, and not a caller's.
static bool isComputed(Value tensor) {
  auto argument = dyn_cast<BlockArgument>(tensor);
  if (!argument)
    return tensor.getDefiningOp<recur::ScanInterface>() != nullptr;
  auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  return function && function.getArgAttr(argument.getArgNumber(), recur::kKeptAttr);
}

bool rondo::cuda::mayBeOperand(recur::ScanInterface scan, BlockArgument argument, Type element) {
  recur::Step step(scan, &scan->getRegion(0).front());
  auto *found = llvm::find(step.inputArgs(), argument);
  if (found == step.inputArgs().end())
    return false;
  Value tensor = scan.getInputs()[found - step.inputArgs().begin()];
  if (Type stored = typeOf(tensor).getElementType(); !stored.isF32())
    return stored == element;
  return isComputed(tensor);
}

std::optional<SmallVector<BlockArgument>> rondo::cuda::leavesOf(Value value) {
  auto type = typeOf(value);
  if (type.getRank() > 1 || !(type.getElementType().isF32() || type.getElementType().isInteger(1)))
    return std::nullopt;
  if (auto argument = dyn_cast<BlockArgument>(value))
    return SmallVector<BlockArgument>{argument};
  Operation *op = value.getDefiningOp();
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return cast<DenseElementsAttr>(constant.getValue()).isSplat() ? std::optional(SmallVector<BlockArgument>())
                                                                  : std::nullopt;
  if (auto contract = dyn_cast<recur::ContractOp>(op)) {
    auto spec = recur::parseContractSpec(contract.getSpec());
    if (!spec || llvm::any_of(spec->operands, [&](auto &s) { return !s.empty() && s != spec->result; }))
      return std::nullopt;
  } else if (!isa<recur::MapOp, recur::CastOp, recur::BroadcastOp>(op)) {
    return std::nullopt;
  }
  SmallVector<BlockArgument> leaves;
  for (Value operand : op->getOperands()) {
    auto below = leavesOf(operand);
    if (!below || (typeOf(operand).getRank() && typeOf(operand).getShape() != type.getShape()))
      return std::nullopt;
    leaves.append(*below);
  }
  return leaves;
}

namespace {

class Reader {
public:
  explicit Reader(recur::ScanInterface scan) : scan(scan), step(scan, &scan->getRegion(0).front()) {}

  std::optional<OuterPlan> read() {
    if (!isa<recur::ScanOp>(scan.getOperation()) || scan.numAxes() != 1 || !scan.numStates() || scan.getOffsets() ||
        scan.getResets() || !scan.outputs().empty())
      return std::nullopt;
    plan.element = operandTypeOf(scan);
    if (!plan.element)
      return std::nullopt;
    for (unsigned s = 0; s < scan.numStates(); ++s)
      if (!readTotal(s) || !readState(s))
        return std::nullopt;
    return plan.matrices.empty() ? std::nullopt : std::optional(plan);
  }

private:
  /// From zeros, and summed up over the batch; over the heads either all states or none.
  bool readTotal(unsigned s) {
    auto zeros = scan.getInits()[s].getDefiningOp<recur::SumToOp>();
    Value final = scan.finals()[s];
    if (!zeros || zeros->getNumOperands() || !final.hasOneUse() || step.stateArgs(s).size() != 1 ||
        scan.state(s).depth() != 1)
      return false;
    auto total = dyn_cast<recur::SumToOp>(*final.user_begin());
    if (!total || total->getNumOperands() != 1 || total.getFlipLag() || !typeOf(final).getElementType().isF32())
      return false;
    ArrayRef<StringAttr> axes = recur::dimsOf(total.getResult().getType()).getAxes();
    bool perHead = axes.size() == 1 && axes[0] == "head";
    if ((!axes.empty() && !perHead) || (s && perHead != totalsPerHead))
      return false;
    totalsPerHead = perHead;
    plan.totals.push_back(total);
    return true;
  }

  /// The values that are added to the state in a step.
  bool addends(Value value, BlockArgument state, SmallVectorImpl<Value> &list, bool &found) {
    if (value == state)
      return !std::exchange(found, true);
    auto map = value.getDefiningOp<recur::MapOp>();
    if (map && map.getFn() == recur::Fn::Add)
      return llvm::all_of(map->getOperands(), [&](Value v) { return addends(v, state, list, found); });
    list.push_back(value);
    return true;
  }

  bool readState(unsigned s) {
    SmallVector<Value> list;
    bool found = false;
    Value next = step.yield().getStates()[s];
    auto type = typeOf(next);
    if (!addends(next, step.stateArgs(s).front(), list, found) || !found || list.empty() ||
        !type.getElementType().isF32())
      return false;
    if (type.getRank() == 2)
      return readMatrix(s, list, type);
    plan.vectors.push_back(s);
    return type.getRank() < 2 && llvm::all_of(
                                     list,
                                     [&](Value value) {
                                       auto leaves = leavesOf(value);
                                       return leaves &&
                                              llvm::all_of(*leaves, [&](BlockArgument leaf) { return isGiven(leaf); });
                                     });
  }

  bool isGiven(BlockArgument leaf) {
    return llvm::is_contained(step.inputArgs(), leaf) || llvm::is_contained(step.paramArgs(), leaf);
  }

  bool readMatrix(unsigned s, ArrayRef<Value> list, RankedTensorType type) {
    OuterState state{s, {}, type.getDimSize(0), type.getDimSize(1)};
    for (Value value : list) {
      auto contract = value.getDefiningOp<recur::ContractOp>();
      auto spec = contract ? recur::parseContractSpec(contract.getSpec()) : std::nullopt;
      if (!spec || spec->operands.size() != 2 || spec->result.size() != 2 || spec->operands[0].size() != 1 ||
          spec->operands[1].size() != 1 || spec->operands[0] == spec->operands[1])
        return false;
      Value first = contract.getOperands()[0], second = contract.getOperands()[1];
      OuterTerm term{value, first, second};
      if (spec->operands[0][0] != spec->result[0])
        std::swap(term.rows, term.columns);
      if (!isOperand(term.rows) || !isOperand(term.columns))
        return false;
      state.terms.push_back(term);
    }
    plan.matrices.push_back(std::move(state));
    return true;
  }

  bool isOperand(Value value) {
    auto leaves = leavesOf(value);
    if (!leaves || leaves->empty())
      return false;
    if (auto argument = dyn_cast<BlockArgument>(value))
      return mayBeOperand(scan, argument, plan.element);
    // What is made of 32-bit tensors of the caller's keeps its bits, too.
    return llvm::all_of(*leaves, [&](BlockArgument leaf) { return mayBeOperand(scan, leaf, plan.element); });
  }

  recur::ScanInterface scan;
  recur::Step step;
  OuterPlan plan;
  bool totalsPerHead = false;
};

} // namespace

std::optional<OuterPlan> rondo::cuda::planOuter(recur::ScanInterface scan) { return Reader(scan).read(); }
