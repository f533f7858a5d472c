// separate-results: two results of a model that are one value become two values, because a caller gives each result its own memory
// and each may have an element type of its own.
#include "compiler/Transforms/Passes.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace rondo {
#define GEN_PASS_DEF_SEPARATERESULTS
#include "compiler/Transforms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

/// Gives `scan` one more output, equal to output `number`, and returns it. The old scan is gone afterwards.
Value repeatOutput(recur::ScanOp scan, unsigned number) {
  OpBuilder b(scan);
  unsigned outputs = scan.numOutputs();
  SmallVector<Type> types(scan->getResultTypes());
  types.insert(types.begin() + outputs, types[number]);
  recur::YieldOp yield = scan.yield();
  Value yielded = yield.getOutputs()[number];
  yield.getOutputsMutable().append(yielded);

  OperationState state(scan.getLoc(), scan->getName(), scan->getOperands(), types, scan->getAttrs());
  state.propertiesAttr = scan->getPropertiesAsAttribute();
  state.addRegion()->takeBody(scan.getBody());
  Operation *wider = b.create(state);
  for (auto [i, result] : llvm::enumerate(scan->getResults()))
    result.replaceAllUsesWith(wider->getResult(i < outputs ? i : i + 1));
  scan.erase();
  return wider->getResult(outputs);
}

/// `value` again, as another output of the scan that makes it; null when it comes from no scan.
Value repeat(Value value) {
  if (auto reshape = value.getDefiningOp<recur::ReshapeOp>()) {
    Value operand = repeat(reshape.getOperand());
    if (!operand)
      return {};
    OpBuilder b(reshape);
    Operation *copy = b.clone(*reshape);
    copy->setOperand(0, operand);
    return copy->getResult(0);
  }
  auto scan = value.getDefiningOp<recur::ScanOp>();
  unsigned number = scan ? cast<OpResult>(value).getResultNumber() : 0;
  return scan && number < scan.numOutputs() ? repeatOutput(scan, number) : Value();
}

Value withoutReshapes(Value value) {
  while (auto reshape = value.getDefiningOp<recur::ReshapeOp>())
    value = reshape.getOperand();
  return value;
}

/// True where a scan reads `value`, or what it is another shape of.
bool isReadByScan(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    auto reshape = dyn_cast<recur::ReshapeOp>(user);
    return isa<recur::ScanOp>(user) || (reshape && isReadByScan(reshape));
  });
}

struct SeparateResults : rondo::impl::SeparateResultsBase<SeparateResults> {
  using SeparateResultsBase::SeparateResultsBase;

  void runOnOperation() override {
    for (func::FuncOp fn : getOperation().getOps<func::FuncOp>())
      if (!fn.isExternal())
        separate(fn);
  }

private:
  void separate(func::FuncOp fn) {
    Operation *ret = fn.getBody().front().getTerminator();
    OpBuilder b(ret);
    for (unsigned i = 0; i < ret->getNumOperands(); ++i) {
      Value root = withoutReshapes(ret->getOperand(i));
      bool taken = isa<BlockArgument>(root) || (apartFromReads && isReadByScan(root));
      for (unsigned before = 0; before < i; ++before)
        taken |= withoutReshapes(ret->getOperand(before)) == root;
      if (!taken)
        continue;
      Value own = repeat(ret->getOperand(i));
      if (!own) // a copy
        own = recur::SumToOp::create(b, fn.getLoc(), ret->getOperand(i).getType(), ret->getOperand(i), false);
      ret->setOperand(i, own);
    }
  }
};

} // namespace
