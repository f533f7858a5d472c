// merge-recurrences: see Passes.td.
#include "compiler/Differentiate/Halves.h"
#include "compiler/Differentiate/Passes.h"
#include "compiler/Transforms/RaisedStep.h"
#include "compiler/Transforms/ScanForms.h"
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

/// Two recurrences, of which the later one may have states of the earlier one and no others.
class Pair {
public:
  Pair(recur::ScanOp first, recur::ScanOp second) : first(first), second(second) {}

  bool haveSameStates() {
    if (first.getAxes() != second.getAxes() || first.getResets() != second.getResets() ||
        first.getOffsets() != second.getOffsets() || !findStates())
      return false;
    for (Value operand : second->getOperands())
      if (Operation *made = operand.getDefiningOp(); made && !made->isBeforeInBlock(first))
        return false;
    recur::Step one(first), other(second);
    mapArguments(one, other);
    return llvm::all_of(llvm::enumerate(states), [&](auto state) {
      return areSame(one.yield().getStates()[state.value()], other.yield().getStates()[state.index()]);
    });
  }

  /// One scan with the outputs of both, in place of those that have the two as their steps.
  void merge(Operation *ofFirst, Operation *ofSecond) {
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
    const SmallVector<Type> firstTypes(first.getResultTypes()), secondTypes(second.getResultTypes());
    SmallVector<Type> results(ArrayRef(firstTypes).take_front(first.numOutputs()));
    llvm::append_range(results, ArrayRef(secondTypes).take_front(second.numOutputs()));
    llvm::append_range(results, ArrayRef(firstTypes).drop_front(first.numOutputs()));
    auto both = recur::ScanOp::create(b, first.getLoc(), results, inputs, params, first.getInits(), first.getResets(),
                                      first.getOffsets(), first.getAxes(), first.getStates());
    buildStep(both, inputTypes, paramTypes);
    const SmallVector<Value> values(both->getResults());
    const ArrayRef<Value> finals = ArrayRef(values).drop_front(both.numOutputs());
    SmallVector<Value> its(ArrayRef(values).take_front(first.numOutputs()));
    llvm::append_range(its, finals);
    ofFirst->replaceAllUsesWith(its);
    its.assign(ArrayRef(values).slice(first.numOutputs(), second.numOutputs()));
    for (unsigned state : states)
      its.push_back(finals[state]);
    ofSecond->replaceAllUsesWith(its);
  }

private:
  /// Which of the first's states those of the second may be.
  bool findStates() {
    for (unsigned s = 0; s < second.numStates(); ++s) {
      auto all = llvm::seq<unsigned>(0, first.numStates());
      auto found = llvm::find_if(all, [&](unsigned known) {
        return first.state(known) == second.state(s) && first.getInits()[known] == second.getInits()[s] &&
               !llvm::is_contained(states, known);
      });
      if (found == all.end())
        return false;
      states.push_back(*found);
    }
    return !states.empty();
  }

  void mapArguments(const recur::Step &one, const recur::Step &other) {
    auto mapEach = [&](OperandRange operands, ArrayRef<BlockArgument> arguments, OperandRange known,
                       ArrayRef<BlockArgument> ofKnown) {
      for (auto [operand, argument] : llvm::zip(operands, arguments))
        if (auto at = llvm::find(known, operand); at != known.end())
          same[argument] = ofKnown[at - known.begin()];
    };
    mapEach(second.getInputs(), other.inputArgs(), first.getInputs(), one.inputArgs());
    mapEach(second.getParams(), other.paramArgs(), first.getParams(), one.paramArgs());
    for (auto [s, state] : llvm::enumerate(states))
      for (auto [argument, known] : llvm::zip(other.stateArgs(s), one.stateArgs(state)))
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
    for (auto [s, state] : llvm::enumerate(states))
      for (auto [argument, known] : llvm::zip(other.stateArgs(s), one.stateArgs(state)))
        map.map(argument, map.lookup(known));
    OpBuilder b = OpBuilder::atBlockEnd(&step);
    for (Operation &op : one.getBlock()->without_terminator())
      b.clone(op, map);
    for (Operation &op : other.getBlock()->without_terminator())
      if (auto known = op.getNumResults() == 1 ? same.find(op.getResult(0)) : same.end(); known != same.end())
        map.map(op.getResult(0), map.lookup(known->second));
      else
        b.clone(op, map);
    SmallVector<Value> news, outputs;
    auto take = [&](ValueRange values, SmallVector<Value> &into) {
      for (Value value : values)
        into.push_back(map.lookup(value));
    };
    take(one.yield().getStates(), news);
    take(one.yield().getOutputs(), outputs);
    take(other.yield().getOutputs(), outputs);
    recur::YieldOp::create(b, both.getLoc(), news, outputs);
  }

  recur::ScanOp first, second;
  SmallVector<unsigned> states; // of the first, in the order of the second's
  DenseMap<Value, Value> same;  // values of the second step that the first one has
};

/// A recurrence of the way there, and its steps: itself, or what a raised one stands for.
struct Candidate {
  Operation *op;
  recur::ScanOp steps;
};

/// Makes one of the first two that have the same states. False where there are none.
bool mergeTwo(func::FuncOp function) {
  const auto back = opsOfWayBack(function);
  SmallVector<Candidate> there;
  for (auto scan : function.getOps<recur::ScanInterface>())
    if (!back.contains(scan) && scan.numStates() && (isa<recur::ScanOp>(*scan) || hasForms(scan)))
      there.push_back({scan, dyn_cast<recur::ScanOp>(*scan)});
  for (Candidate &each : there)
    if (OpBuilder b(each.op); !each.steps)
      each.steps = createSteps(b, each.op);
  SmallVector<Operation *> done;
  for (size_t i = 0; i < there.size() && done.empty(); ++i)
    for (size_t j = i + 1; j < there.size() && done.empty(); ++j)
      if (Pair pair(there[i].steps, there[j].steps); pair.haveSameStates()) {
        pair.merge(there[i].op, there[j].op);
        done = {there[i].op, there[j].op};
      }
  for (const Candidate &each : there) {
    const bool isMerged = llvm::is_contained(done, each.op);
    if (each.steps != each.op)
      each.steps->erase();
    if (isMerged)
      each.op->erase();
  }
  return !done.empty();
}

struct MergeRecurrences : rondo::impl::MergeRecurrencesBase<MergeRecurrences> {
  void runOnOperation() override {
    while (mergeTwo(getOperation()))
      ;
  }
};

} // namespace
