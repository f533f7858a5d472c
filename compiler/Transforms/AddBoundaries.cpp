// add-boundaries: resets and packed sequences for a model whose spec speaks of neither. Where sequences begin is a fact about the
// data of a call and not about the model, so that it is asked for when the model is compiled.
#include "compiler/Transforms/Passes.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace rondo {
#define GEN_PASS_DEF_ADDBOUNDARIES
#include "compiler/Transforms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

bool hasBatch(Value value) { return recur::dimsOf(value.getType()).axisPosition("batch") >= 0; }

struct AddBoundaries : rondo::impl::AddBoundariesBase<AddBoundaries> {
  using AddBoundariesBase::AddBoundariesBase;

  void runOnOperation() override {
    if (!resets && !packed)
      return;
    for (func::FuncOp fn : getOperation().getOps<func::FuncOp>())
      if (!fn.isExternal() && failed(addTo(fn)))
        return signalPassFailure();
  }

private:
  LogicalResult addTo(func::FuncOp fn) {
    for (auto scan : fn.getOps<recur::ScanOp>()) {
      if (scan.numAxes() != 1)
        return emitError(scan.getLoc(), "resets and packed sequences are for models over one axis; this one has ")
               << scan.numAxes();
      if ((resets && scan.getResets()) || (packed && scan.getOffsets()))
        return emitError(scan.getLoc(), "the scan has ") << (scan.getResets() ? "resets" : "offsets") << " already";
    }
    MLIRContext *context = &getContext();
    constexpr int64_t unknown = ShapedType::kDynamic;
    if (resets) {
      SmallVector<StringAttr> axes{StringAttr::get(context, "batch"), StringAttr::get(context, "time")};
      auto type = RankedTensorType::get({unknown, unknown}, IntegerType::get(context, 1),
                                        recur::DimsAttr::get(context, axes, {}));
      FailureOr<Value> value = addArgument(fn, "resets", type);
      if (failed(value))
        return failure();
      for (auto scan : fn.getOps<recur::ScanOp>())
        if (scan.numStates() > 0)
          scan.getResetsMutable().assign(*value);
    }
    if (packed) {
      FailureOr<Value> value =
          addArgument(fn, "offsets", RankedTensorType::get({unknown}, IntegerType::get(context, 64)));
      if (failed(value))
        return failure();
      for (auto scan : fn.getOps<recur::ScanOp>())
        if (scan.numStates() > 0 || llvm::any_of(scan.getParams(), hasBatch))
          scan.getOffsetsMutable().assign(*value);
    }
    return success();
  }

  /// A new last argument, whose name and kind are `name`.
  FailureOr<Value> addArgument(func::FuncOp fn, StringRef name, Type type) {
    auto text = StringAttr::get(&getContext(), name);
    for (unsigned i = 0; i < fn.getNumArguments(); ++i)
      if (fn.getArgAttrOfType<StringAttr>(i, recur::kNameAttr) == text)
        return emitError(fn.getLoc(), "the model has a tensor '")
               << name << "' of its own, so that it cannot be compiled to take " << name;
    NamedAttrList attributes;
    attributes.set(recur::kNameAttr, text);
    attributes.set(recur::kKindAttr, text);
    unsigned number = fn.getNumArguments();
    if (failed(fn.insertArgument(number, type, attributes.getDictionary(&getContext()), fn.getLoc())))
      return failure();
    return Value(fn.getArgument(number));
  }
};

} // namespace
