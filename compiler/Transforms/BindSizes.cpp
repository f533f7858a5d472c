// bind-sizes: from symbolic to static step types. Everything after it may count elements.
#include "compiler/Transforms/Passes.h"
#include "dialects/Recur/DimExpr.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include <map>

namespace rondo {
#define GEN_PASS_DEF_BINDSIZES
#include "compiler/Transforms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

/// Sizes by name, and the type rewriting that follows from them. A failed look-up is reported once, at `where`.
class Binder {
public:
  Binder(std::map<std::string, int64_t> sizes, Operation *where) : sizes(std::move(sizes)), where(where) {}

  /// The number that a size expression stands for.
  FailureOr<int64_t> evaluate(StringRef text) {
    std::optional<DimExpr> expr = DimExpr::parse(text);
    if (!expr)
      return where->emitError("'") << text << "' is no size";
    std::optional<int64_t> value = expr->evaluate(sizes);
    if (!value) {
      for (const std::string &symbol : expr->symbols())
        if (!sizes.count(symbol))
          return where->emitError("no size given for dimension '") << symbol << "'";
      return where->emitError("size '") << text << "' is too large";
    }
    return *value;
  }

  FailureOr<Type> bind(Type type) {
    auto array = dyn_cast<RankedTensorType>(type);
    if (!array || !recur::isArray(array))
      return type;
    recur::DimsAttr dims = recur::dimsOf(array);
    SmallVector<int64_t> shape(array.getShape());
    for (auto [i, name] : llvm::enumerate(dims.getNames())) {
      FailureOr<int64_t> size = evaluate(name.getValue());
      if (failed(size))
        return failure();
      if (*size <= 0)
        return where->emitError("dimension '") << name.getValue() << "' has size " << *size << "; sizes are positive";
      shape[dims.getAxes().size() + i] = *size;
    }
    if (headCount)
      if (int64_t head = dims.axisPosition("head"); head >= 0)
        shape[head] = *headCount;
    return Type(RankedTensorType::get(shape, array.getElementType(), array.getEncoding()));
  }

  std::optional<int64_t> headCount;

private:
  std::map<std::string, int64_t> sizes;
  Operation *where;
};

FailureOr<std::map<std::string, int64_t>> parseSizes(ArrayRef<std::string> texts, Operation *where) {
  std::map<std::string, int64_t> sizes;
  for (StringRef text : texts) {
    auto [name, number] = text.split('=');
    int64_t size;
    if (number.getAsInteger(10, size))
      return where->emitError("expected NAME=NUMBER for a size, got '") << text << "'";
    sizes[name.str()] = size;
  }
  return sizes;
}

LogicalResult bindTypes(func::FuncOp fn, Binder &binder) {
  auto rebind = [&](Value value) {
    FailureOr<Type> type = binder.bind(value.getType());
    if (failed(type))
      return failure();
    value.setType(*type);
    return success();
  };
  WalkResult walk = fn.walk<WalkOrder::PreOrder>([&](Operation *op) {
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (BlockArgument argument : block.getArguments())
          if (failed(rebind(argument)))
            return WalkResult::interrupt();
    for (Value result : op->getResults())
      if (failed(rebind(result)))
        return WalkResult::interrupt();
    return WalkResult::advance();
  });
  if (walk.wasInterrupted())
    return failure();
  SmallVector<Type> results;
  for (Type type : fn.getResultTypes()) {
    FailureOr<Type> bound = binder.bind(type);
    if (failed(bound))
      return failure();
    results.push_back(*bound);
  }
  fn.setType(FunctionType::get(fn.getContext(), fn.getBody().getArgumentTypes(), results));
  return success();
}

LogicalResult bindSlices(func::FuncOp fn, Binder &binder) {
  WalkResult walk = fn.walk([&](recur::SliceOp slice) {
    FailureOr<int64_t> offset = binder.evaluate(slice.getOffset());
    if (failed(offset))
      return WalkResult::interrupt();
    auto type = cast<RankedTensorType>(slice.getOperand().getType());
    int64_t size = slice.getDrop() ? 1 : cast<RankedTensorType>(slice.getType()).getDimSize(slice.getDim());
    if (*offset < 0 || *offset + size > type.getDimSize(slice.getDim())) {
      slice.emitError("elements ") << *offset << " to " << *offset + size << " lie outside an axis of size "
                                   << type.getDimSize(slice.getDim());
      return WalkResult::interrupt();
    }
    slice.setOffset(std::to_string(*offset));
    return WalkResult::advance();
  });
  return failure(walk.wasInterrupted());
}

/// Gives a value's lag axis, where it has one, its size.
void setLagAxis(Value value, int64_t depth) {
  auto type = cast<RankedTensorType>(value.getType());
  int64_t axis = recur::dimsOf(type).axisPosition("lag");
  if (axis < 0)
    return;
  SmallVector<int64_t> shape(type.getShape());
  shape[axis] = depth;
  value.setType(RankedTensorType::get(shape, type.getElementType(), type.getEncoding()));
}

/// Initial and final values keep as many slices as the state's largest distance.
void bindKeptSlices(recur::ScanOp scan) {
  for (unsigned s = 0; s < scan.numStates() && scan.numAxes() == 1; ++s) {
    setLagAxis(scan.getInits()[s], scan.state(s).depth());
    setLagAxis(scan.finals()[s], scan.state(s).depth());
  }
}

/// The function's type, from its arguments and what it returns.
void rebuildType(func::FuncOp fn) {
  auto results = fn.getBody().front().getTerminator()->getOperandTypes();
  fn.setType(FunctionType::get(fn.getContext(), fn.getBody().getArgumentTypes(), results));
}

/// Negative distances name entries of the function's list of symbolic lags.
LogicalResult bindLags(func::FuncOp fn, Binder &binder) {
  auto lags = fn->getAttrOfType<ArrayAttr>(recur::kLagsAttr);
  WalkResult walk = fn.walk([&](recur::ScanOp scan) {
    SmallVector<Attribute> states;
    for (unsigned s = 0; s < scan.numStates(); ++s) {
      recur::StateAttr state = scan.state(s);
      SmallVector<DenseI64ArrayAttr> reads;
      for (DenseI64ArrayAttr read : state.getReads()) {
        SmallVector<int64_t> distances(read.asArrayRef());
        for (int64_t &distance : distances) {
          if (distance >= 0)
            continue;
          FailureOr<int64_t> bound = binder.evaluate(cast<StringAttr>(lags[-1 - distance]).getValue());
          if (failed(bound))
            return WalkResult::interrupt();
          if (*bound <= 0) {
            scan.emitError("state '") << state.getName().getValue() << "' is read " << *bound
                                      << " steps back; lags are positive";
            return WalkResult::interrupt();
          }
          distance = *bound;
        }
        reads.push_back(DenseI64ArrayAttr::get(fn.getContext(), distances));
      }
      states.push_back(recur::StateAttr::get(fn.getContext(), state.getName(), reads));
    }
    scan.setStatesAttr(ArrayAttr::get(fn.getContext(), states));
    bindKeptSlices(scan);
    return WalkResult::advance();
  });
  if (walk.wasInterrupted())
    return failure();
  fn->removeAttr(recur::kLagsAttr); // nothing names its entries any more
  rebuildType(fn);
  return success();
}

struct BindSizes : rondo::impl::BindSizesBase<BindSizes> {
  using BindSizesBase::BindSizesBase;
  void runOnOperation() override {
    FailureOr<std::map<std::string, int64_t>> sizes =
        parseSizes(std::vector<std::string>(dims.begin(), dims.end()), getOperation());
    if (failed(sizes))
      return signalPassFailure();
    for (func::FuncOp fn : getOperation().getOps<func::FuncOp>()) {
      Binder binder(*sizes, fn);
      if (auto count = fn->getAttrOfType<StringAttr>(recur::kHeadCountAttr)) {
        FailureOr<int64_t> heads = binder.evaluate(count.getValue());
        if (failed(heads))
          return signalPassFailure();
        binder.headCount = *heads;
      }
      if (failed(bindTypes(fn, binder)) || failed(bindSlices(fn, binder)) || failed(bindLags(fn, binder)))
        return signalPassFailure();
    }
  }
};

} // namespace
