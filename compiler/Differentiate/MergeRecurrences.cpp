// merge-recurrences: see Passes.td.
#include "compiler/Differentiate/Halves.h"
#include "compiler/Differentiate/Passes.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"

namespace rondo {
#define GEN_PASS_DEF_MERGERECURRENCES
#include "compiler/Differentiate/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

/// Two recurrences, of which the later one may have the states of the earlier one.
class Pair {
public:
  Pair(recur::ScanOp first, recur::ScanOp second) : first(first), second(second) {}

  bool haveSameStates() {
    if (first.getAxes() != second.getAxes() || first.getStates() != second.getStates() || first.numStates() == 0 ||
        first.getResets() != second.getResets() || first.getOffsets() != second.getOffsets() ||
        !llvm::equal(first.getInits(), second.getInits()))
      return false;
    for (Value operand : second->getOperands())
      if (Operation *made = operand.getDefiningOp(); made && !made->isBeforeInBlock(first))
        return false;
    recur::Step one(first), other(second);
    mapArguments(one, other);
    return llvm::all_of(llvm::zip(one.yield().getStates(), other.yield().getStates()),
                        [&](auto states) { return areSame(std::get<0>(states), std::get<1>(states)); });
  }

  /// One scan with the outputs of both.
  void merge() {
    OpBuilder b(first);
    SmallVector<Value> inputs(first.getInputs()), params(first.getParams());
    SmallVector<Type> inputTypes, paramTypes;
    recur::Step one(first), other(second);
    auto join = [](SmallVector<Value> &operands, SmallVector<Type> &types, OperandRange more,
                   ArrayRef<BlockArgument> arguments) {
      for (auto [operand, argument] : llvm::zip(more, arguments))
        if (!llvm::is_contained(operands, operand)) {
          operands.push_back(operand);
          types.push_back(argument.getType());
        }
    };
    join(inputs, inputTypes, second.getInputs(), other.inputArgs());
    join(params, paramTypes, second.getParams(), other.paramArgs());
    const SmallVector<Type> ofFirst(first.getResultTypes()), ofSecond(second.getResultTypes());
    SmallVector<Type> results(ArrayRef(ofFirst).take_front(first.numOutputs()));
    llvm::append_range(results, ArrayRef(ofSecond).take_front(second.numOutputs()));
    llvm::append_range(results, ArrayRef(ofFirst).drop_front(first.numOutputs()));
    auto both = recur::ScanOp::create(b, first.getLoc(), results, inputs, params, first.getInits(), first.getResets(),
                                      first.getOffsets(), first.getAxes(), first.getStates());
    buildStep(both, inputTypes, paramTypes);
    const SmallVector<Value> values(both->getResults());
    auto replace = [&](recur::ScanOp scan, unsigned begin) {
      SmallVector<Value> its(ArrayRef(values).slice(begin, scan.numOutputs()));
      llvm::append_range(its, ArrayRef(values).drop_front(both.numOutputs()));
      scan->replaceAllUsesWith(its);
    };
    replace(first, 0);
    replace(second, first.numOutputs());
    second.erase();
    first.erase();
  }

private:
  void mapArguments(const recur::Step &one, const recur::Step &other) {
    auto mapEach = [&](OperandRange operands, ArrayRef<BlockArgument> arguments, OperandRange known,
                       ArrayRef<BlockArgument> ofKnown) {
      for (auto [operand, argument] : llvm::zip(operands, arguments))
        if (auto at = llvm::find(known, operand); at != known.end())
          same[argument] = ofKnown[at - known.begin()];
    };
    mapEach(second.getInputs(), other.inputArgs(), first.getInputs(), one.inputArgs());
    mapEach(second.getParams(), other.paramArgs(), first.getParams(), one.paramArgs());
    for (unsigned s = 0; s < first.numStates(); ++s)
      for (auto [argument, known] : llvm::zip(other.stateArgs(s), one.stateArgs(s)))
        same[argument] = known;
  }

  /// Whether a value of the second step is that of the first: the same operations, of the same operands.
  bool areSame(Value one, Value other) {
    if (auto known = same.find(other); known != same.end())
      return known->second == one;
    Operation *of = one.getDefiningOp(), *ofOther = other.getDefiningOp();
    const bool alike = of && ofOther && of->getName() == ofOther->getName() &&
                       of->getAttrDictionary() == ofOther->getAttrDictionary() && of->getNumRegions() == 0 &&
                       one.getType() == other.getType() && of->getNumOperands() == ofOther->getNumOperands() &&
                       llvm::all_of(llvm::zip(of->getOperands(), ofOther->getOperands()), [&](auto operands) {
                         return areSame(std::get<0>(operands), std::get<1>(operands));
                       });
    if (alike)
      same[other] = one;
    return alike;
  }

  /// The step of `both`: that of the first scan, and of the second what the first does not have.
  void buildStep(recur::ScanOp both, ArrayRef<Type> moreInputs, ArrayRef<Type> moreParams) {
    recur::Step one(first), other(second);
    Block &step = both.getBody().emplaceBlock();
    IRMapping map;
    auto add = [&](ArrayRef<BlockArgument> known, ArrayRef<Type> more) {
      for (BlockArgument argument : known)
        map.map(argument, step.addArgument(argument.getType(), argument.getLoc()));
      for (Type type : more)
        step.addArgument(type, both.getLoc());
    };
    add(one.inputArgs(), moreInputs);
    add(one.paramArgs(), moreParams);
    for (unsigned s = 0; s < first.numStates(); ++s)
      add(one.stateArgs(s), {});
    auto mapOperands = [&](OperandRange operands, ArrayRef<BlockArgument> arguments, OperandRange merged,
                           unsigned begin) {
      for (auto [operand, argument] : llvm::zip(operands, arguments))
        map.map(argument, step.getArgument(begin + (llvm::find(merged, operand) - merged.begin())));
    };
    mapOperands(second.getInputs(), other.inputArgs(), both.getInputs(), 0);
    mapOperands(second.getParams(), other.paramArgs(), both.getParams(), both.getInputs().size());
    for (unsigned s = 0; s < first.numStates(); ++s)
      for (auto [argument, known] : llvm::zip(other.stateArgs(s), one.stateArgs(s)))
        map.map(argument, map.lookup(known));
    OpBuilder b = OpBuilder::atBlockEnd(&step);
    for (Operation &op : one.getBlock()->without_terminator())
      b.clone(op, map);
    for (Operation &op : other.getBlock()->without_terminator())
      if (auto known = op.getNumResults() == 1 ? same.find(op.getResult(0)) : same.end(); known != same.end())
        map.map(op.getResult(0), map.lookup(known->second));
      else
        b.clone(op, map);
    SmallVector<Value> states, outputs;
    auto take = [&](ValueRange values, SmallVector<Value> &into) {
      for (Value value : values)
        into.push_back(map.lookup(value));
    };
    take(one.yield().getStates(), states);
    take(one.yield().getOutputs(), outputs);
    take(other.yield().getOutputs(), outputs);
    recur::YieldOp::create(b, both.getLoc(), states, outputs);
  }

  recur::ScanOp first, second;
  DenseMap<Value, Value> same; // values of the second step that the first one has
};

struct MergeRecurrences : rondo::impl::MergeRecurrencesBase<MergeRecurrences> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    const auto back = opsOfWayBack(function);
    SmallVector<recur::ScanOp> there;
    for (auto scan : function.getOps<recur::ScanOp>())
      if (!back.contains(scan))
        there.push_back(scan);
    for (size_t i = 0; i < there.size(); ++i)
      for (size_t j = i + 1; j < there.size(); ++j)
        if (Pair pair(there[i], there[j]); pair.haveSameStates()) {
          pair.merge();
          return runOnOperation();
        }
  }
};

} // namespace
