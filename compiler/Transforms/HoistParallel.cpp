// hoist-parallel: products of inputs with parameters leave the recurrence. They are the bulk of a cell's arithmetic and do not wait
// for the state; computed for many steps at once, each parameter is read once per block of steps instead of once per step.
#include "compiler/Transforms/Passes.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace rondo {
#define GEN_PASS_DEF_HOISTPARALLEL
#include "compiler/Transforms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

int64_t rankOf(Value value) { return cast<RankedTensorType>(value.getType()).getRank(); }

/// What leaves one scan.
struct Hoisted {
  llvm::SetVector<Operation *> ops; // in the step's order, with everything that they need
  llvm::SetVector<Value> results;   // their values that the rest of the step uses
};

/// Values of a step, sorted by what they depend on.
class StepDependence {
public:
  explicit StepDependence(recur::ScanOp scan) {
    for (BlockArgument argument : scan.inputArgs())
      varies.insert(argument);
    for (unsigned s = 0; s < scan.numStates(); ++s)
      for (BlockArgument argument : scan.stateArgs(s))
        sequential.insert(argument);
    for (auto [argument, operand] : llvm::zip(scan.paramArgs(), scan.getParams()))
      if (recur::dimsOf(operand.getType()).axisPosition("batch") < 0)
        shared.insert(argument);
    for (Operation &op : scan.step()->without_terminator()) {
      Value result = op.getResult(0);
      if (llvm::any_of(op.getOperands(), [&](Value v) { return sequential.contains(v); }))
        sequential.insert(result);
      if (llvm::any_of(op.getOperands(), [&](Value v) { return varies.contains(v); }))
        varies.insert(result);
      if (op.getNumOperands() && llvm::all_of(op.getOperands(), [&](Value v) { return shared.contains(v); }))
        shared.insert(result);
    }
  }

  /// A product that sums over an axis of a shared matrix, of values that change over time but wait for no state.
  bool isProjection(Operation *op) const {
    auto contract = dyn_cast<recur::ContractOp>(op);
    if (!contract || !isParallel(contract.getResult()))
      return false;
    return llvm::any_of(op->getOperands(), [&](Value v) { return shared.contains(v) && rankOf(v) >= 2; }) &&
           rankOf(contract.getResult()) <= 1;
  }
  bool isParallel(Value value) const { return varies.contains(value) && !sequential.contains(value); }

private:
  DenseSet<Value> varies, sequential, shared;
};

/// Projections, and what is computed elementwise from them without growing: gates whose pre-activation is a projection go along, an
/// outer product of two projections does not, because it would be stored for every step.
Hoisted choose(recur::ScanOp scan) {
  StepDependence dependence(scan);
  Hoisted hoisted;
  llvm::SetVector<Operation *> chosen;
  for (Operation &op : scan.step()->without_terminator()) {
    // Truth values are not stored; the comparison stays where it is used.
    bool truth = cast<RankedTensorType>(op.getResult(0).getType()).getElementType().isInteger(1);
    bool follows = isa<recur::MapOp>(op) && !truth && dependence.isParallel(op.getResult(0)) &&
                   rankOf(op.getResult(0)) <= 1 &&
                   llvm::any_of(op.getOperands(), [&](Value v) { return chosen.contains(v.getDefiningOp()); });
    if (dependence.isProjection(&op) || follows)
      chosen.insert(&op);
  }
  // What they are made of is computed again inside, where the step still needs it too.
  for (Operation *op : chosen) {
    SmallVector<Value> work(op->getOperands());
    SmallVector<Operation *> needed{op};
    while (!work.empty()) {
      Operation *source = work.pop_back_val().getDefiningOp();
      if (!source)
        continue;
      needed.push_back(source);
      llvm::append_range(work, source->getOperands());
    }
    hoisted.ops.insert(needed.begin(), needed.end());
  }
  for (Operation *op : chosen)
    if (llvm::any_of(op->getUsers(), [&](Operation *user) { return !chosen.contains(user); }))
      hoisted.results.insert(op->getResult(0));
  return hoisted;
}

/// The type of a step value once it is stored for every step.
Type storedType(recur::ScanOp like, Value step, bool perHead) {
  auto type = cast<RankedTensorType>(step.getType());
  MLIRContext *context = like.getContext();
  SmallVector<StringAttr> axes;
  SmallVector<int64_t> shape;
  for (Value input : like.getInputs()) {
    auto dims = recur::dimsOf(input.getType());
    if (dims.axisPosition("batch") >= 0 && axes.empty())
      axes.push_back(StringAttr::get(context, "batch"));
  }
  axes.push_back(StringAttr::get(context, "time"));
  if (perHead)
    axes.push_back(StringAttr::get(context, "head"));
  shape.assign(axes.size(), ShapedType::kDynamic);
  if (perHead)
    for (Value operand : llvm::concat<Value>(like.getInputs(), like.getParams(), like.getInits()))
      if (int64_t head = recur::dimsOf(operand.getType()).axisPosition("head"); head >= 0)
        shape.back() = cast<RankedTensorType>(operand.getType()).getDimSize(head);
  llvm::append_range(shape, type.getShape());
  return RankedTensorType::get(shape, type.getElementType(),
                               recur::DimsAttr::get(context, axes, recur::dimsOf(type).getNames()));
}

bool hasHeads(ValueRange values) {
  return llvm::any_of(values, [](Value value) {
    auto dims = recur::dimsOf(value.getType());
    return dims.axisPosition("head") >= 0 || dims.axisPosition("group") >= 0;
  });
}

bool hasBatch(ValueRange values) {
  return llvm::any_of(values, [](Value value) { return recur::dimsOf(value.getType()).axisPosition("batch") >= 0; });
}

/// Operands of a scan that some of `ops` read, and the step arguments that stand for them.
struct Used {
  SmallVector<Value> operands, arguments;
  Used(ArrayRef<BlockArgument> all, ValueRange operandsOf, const Hoisted &hoisted) {
    for (auto [argument, operand] : llvm::zip(all, operandsOf))
      if (llvm::any_of(argument.getUsers(), [&](Operation *user) { return hoisted.ops.contains(user); })) {
        operands.push_back(operand);
        arguments.push_back(argument);
      }
  }
};

/// The scan without states that computes what was hoisted.
recur::ScanOp makeParallelScan(recur::ScanOp scan, const Hoisted &hoisted) {
  OpBuilder b(scan);
  Used inputs(scan.inputArgs(), scan.getInputs(), hoisted), params(scan.paramArgs(), scan.getParams(), hoisted);
  bool perHead = hasHeads(inputs.operands) || hasHeads(params.operands);
  SmallVector<Type> types;
  for (Value result : hoisted.results)
    types.push_back(storedType(scan, result, perHead));
  auto parallel = recur::ScanOp::create(b, scan.getLoc(), types, inputs.operands, params.operands, ValueRange(),
                                        Value(), hasBatch(params.operands) ? scan.getOffsets() : Value(),
                                        scan.getAxes(), b.getArrayAttr({}));
  Block *step = b.createBlock(&parallel.getBody());
  IRMapping map;
  for (ArrayRef<Value> list : {ArrayRef<Value>(inputs.arguments), ArrayRef<Value>(params.arguments)})
    for (Value argument : list)
      map.map(argument, step->addArgument(argument.getType(), argument.getLoc()));
  for (Operation &op : scan.step()->without_terminator())
    if (hoisted.ops.contains(&op))
      b.clone(op, map);
  SmallVector<Value> outputs;
  for (Value result : hoisted.results)
    outputs.push_back(map.lookup(result));
  recur::YieldOp::create(b, scan.getLoc(), ValueRange(), outputs);
  return parallel;
}

/// Removes operations, inputs and parameters that nothing uses any more; one input stays, which says how many steps there are.
void eraseDead(recur::ScanOp scan) {
  SmallVector<Operation *> ops;
  for (Operation &op : scan.step()->without_terminator())
    ops.push_back(&op);
  for (Operation *op : llvm::reverse(ops))
    if (op->use_empty())
      op->erase();
  for (unsigned i = scan.getInputs().size(); i-- > 0;)
    if (scan.getInputs().size() > 1 && scan.step()->getArgument(i).use_empty()) {
      scan.step()->eraseArgument(i);
      scan.getInputsMutable().erase(i);
    }
  unsigned first = scan.getInputs().size();
  for (unsigned i = scan.getParams().size(); i-- > 0;)
    if (scan.step()->getArgument(first + i).use_empty()) {
      scan.step()->eraseArgument(first + i);
      scan.getParamsMutable().erase(i);
    }
}

/// Outputs that are hoisted values come from the parallel scan itself, where it can store them as they are wanted. Gives their numbers.
SmallVector<unsigned> takeOutputs(recur::ScanOp scan, const Hoisted &hoisted, recur::ScanOp parallel) {
  SmallVector<unsigned> taken;
  for (auto [number, yielded] : llvm::enumerate(scan.yield().getOutputs())) {
    Value output = scan.outputs()[number];
    auto found = llvm::find(hoisted.results, yielded);
    if (found == hoisted.results.end())
      continue;
    Value made = parallel->getResult(found - hoisted.results.begin());
    auto type = cast<RankedTensorType>(output.getType()), stored = cast<RankedTensorType>(made.getType());
    if (type != stored && !(yielded.hasOneUse() && type == stored.clone(type.getElementType())))
      continue;
    made.setType(type);
    output.replaceAllUsesWith(made);
    taken.push_back(number);
  }
  return taken;
}

/// The scan again, with the hoisted values as inputs in place of what computed them.
void replaceScan(recur::ScanOp scan, const Hoisted &hoisted, recur::ScanOp parallel) {
  OpBuilder b(scan);
  SmallVector<unsigned> taken = takeOutputs(scan, hoisted, parallel);
  SmallVector<Value> inputs(scan.getInputs()), kept;
  llvm::append_range(inputs, parallel.getResults());
  for (auto [number, result] : llvm::enumerate(scan.getResults()))
    if (!llvm::is_contained(taken, number))
      kept.push_back(result);
  auto rest =
      recur::ScanOp::create(b, scan.getLoc(), ValueRange(kept).getTypes(), inputs, scan.getParams(), scan.getInits(),
                            scan.getResets(), scan.getOffsets(), scan.getAxes(), scan.getStates());
  rest.getBody().takeBody(scan.getBody());
  for (unsigned number : llvm::reverse(taken))
    rest.yield().getOutputsMutable().erase(number);
  Block *step = rest.step();
  unsigned at = scan.getInputs().size();
  for (Value result : hoisted.results) {
    BlockArgument argument = step->insertArgument(at++, result.getType(), result.getLoc());
    result.replaceAllUsesWith(argument);
  }
  for (auto [old, result] : llvm::zip(kept, rest.getResults()))
    old.replaceAllUsesWith(result);
  scan.erase();
  eraseDead(rest);
}

struct HoistParallel : rondo::impl::HoistParallelBase<HoistParallel> {
  using HoistParallelBase::HoistParallelBase;
  void runOnOperation() override {
    SmallVector<recur::ScanOp> scans;
    getOperation().walk([&](recur::ScanOp scan) { scans.push_back(scan); });
    for (recur::ScanOp scan : scans) {
      if (scan.numStates() == 0)
        continue;
      if (scan.numAxes() != 1) {
        scan.emitRemark("hoist-parallel declines: the scan has more than one axis");
        continue;
      }
      Hoisted hoisted = choose(scan);
      if (!hoisted.results.empty())
        replaceScan(scan, hoisted, makeParallelScan(scan, hoisted));
    }
  }
};

} // namespace
