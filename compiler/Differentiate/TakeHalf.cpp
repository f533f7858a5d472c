// take-half: see Passes.td.
#include "compiler/Differentiate/Halves.h"
#include "compiler/Differentiate/Passes.h"
#include "dialects/Chunk/Chunk.h"
#include "dialects/Recur/Recur.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace rondo {
#define GEN_PASS_DEF_TAKEHALF
#include "compiler/Differentiate/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

static bool isOfCotangent(DictionaryAttr attributes) {
  return attributes && attributes.contains(recur::kCotangentAttr);
}

llvm::DenseSet<Operation *> rondo::opsOfWayBack(func::FuncOp function) {
  llvm::DenseSet<Value> cotangents;
  for (BlockArgument argument : function.getArguments())
    if (isOfCotangent(function.getArgAttrDict(argument.getArgNumber())))
      cotangents.insert(argument);
  llvm::DenseSet<Operation *> back;
  for (Operation &op : function.getBody().front().without_terminator())
    if (llvm::any_of(op.getOperands(), [&](Value operand) { return cotangents.contains(operand); })) {
      back.insert(&op);
      cotangents.insert(op.result_begin(), op.result_end());
    }
  return back;
}

namespace {

class Halves {
public:
  explicit Halves(func::FuncOp function)
      : function(function), ret(function.getBody().front().getTerminator()), back(opsOfWayBack(function)) {
    for (unsigned i = 0; i < ret->getNumOperands(); ++i)
      (isOfCotangent(function.getResultAttrDict(i)) ? gradients : results).push_back(i);
    for (unsigned i : gradients)
      need(ret->getOperand(i));
  }

  /// The model, and what the way back needs of it.
  void takeThere() {
    setResults(results, kept.getArrayRef());
    eraseDead();
    llvm::BitVector cotangents(function.getNumArguments());
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      cotangents[i] = isOfCotangent(function.getArgAttrDict(i));
    (void)function.eraseArguments(cotangents);
  }

  /// The gradient, which is given that.
  void takeBack() {
    for (auto [number, result] : llvm::enumerate(kept)) {
      Value value = result;
      const unsigned position = function.getNumArguments();
      (void)function.insertArgument(position, value.getType(), attributesOf(number, "input", "param"), value.getLoc());
      function.setArgAttr(position, recur::kKeptAttr, UnitAttr::get(function.getContext()));
      value.replaceAllUsesWith(function.getArgument(position));
    }
    setResults(gradients, {});
    eraseDead();
  }

private:
  /// Finds what the way back reads of the way there. What no scan computes (sums of nothing, other shapes) is made on both ways.
  void need(Value value) {
    Operation *made = value.getDefiningOp();
    if (!made || !seen.insert(value).second)
      return;
    if (!back.contains(made) && isa<recur::ScanInterface>(made)) {
      kept.insert(value);
      return;
    }
    for (Value operand : made->getOperands())
      need(operand);
  }

  DictionaryAttr attributesOf(size_t number, StringRef alongTime, StringRef else_) {
    Builder b(function.getContext());
    const bool isAlong = recur::dimsOf(kept[number].getType()).axisPosition("time") >= 0;
    const std::string name = "kept." + std::to_string(number + 1);
    return b.getDictionaryAttr({b.getNamedAttr(recur::kNameAttr, b.getStringAttr(name)),
                                b.getNamedAttr(recur::kKindAttr, b.getStringAttr(isAlong ? alongTime : else_))});
  }

  void setResults(ArrayRef<unsigned> numbers, ArrayRef<Value> more) {
    SmallVector<Value> values;
    SmallVector<DictionaryAttr> attributes;
    for (unsigned i : numbers) {
      values.push_back(ret->getOperand(i));
      attributes.push_back(function.getResultAttrDict(i));
    }
    for (auto [number, value] : llvm::enumerate(more)) {
      values.push_back(value);
      attributes.push_back(attributesOf(number, "output", "final"));
    }
    ret->setOperands(values);
    function.setType(
        FunctionType::get(function.getContext(), function.getArgumentTypes(), ValueRange(values).getTypes()));
    function.setAllResultAttrs(attributes);
  }

  void eraseDead() {
    SmallVector<Operation *> ops;
    for (Operation &op : function.getBody().front().without_terminator())
      ops.push_back(&op);
    for (Operation *op : llvm::reverse(ops))
      if (op->use_empty())
        op->erase();
  }

  func::FuncOp function;
  Operation *ret;
  llvm::DenseSet<Operation *> back;
  SmallVector<unsigned> results, gradients; // numbers of the function's results
  llvm::DenseSet<Value> seen;
  llvm::SetVector<Value> kept;
};

struct TakeHalf : rondo::impl::TakeHalfBase<TakeHalf> {
  using TakeHalfBase::TakeHalfBase;
  void runOnOperation() override {
    Halves halves(getOperation());
    if (half == "there")
      halves.takeThere();
    else if (half == "back")
      halves.takeBack();
    else
      getOperation().emitError("take-half: expected 'there' or 'back', got '") << half << "'", signalPassFailure();
  }
};

} // namespace
