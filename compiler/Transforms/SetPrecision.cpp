// set-precision: the importer's real numbers become storage types at the edges and one computation type inside.
#include "compiler/Transforms/Passes.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include <complex>

namespace rondo {
#define GEN_PASS_DEF_SETPRECISION
#include "compiler/Transforms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

Type parseFloatType(StringRef name, MLIRContext *context) {
  if (name == "f64")
    return Float64Type::get(context);
  if (name == "f32")
    return Float32Type::get(context);
  if (name == "bf16")
    return BFloat16Type::get(context);
  if (name == "f16")
    return Float16Type::get(context);
  return nullptr;
}

/// `type` with its f64 elements replaced by `real`; complex elements become complex<complexPart>; others stay.
Type withElements(Type type, Type real, Type complexPart) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return type;
  Type element = tensor.getElementType();
  if (isa<ComplexType>(element))
    element = ComplexType::get(complexPart);
  else if (isa<FloatType>(element))
    element = real;
  return RankedTensorType::get(tensor.getShape(), element, tensor.getEncoding());
}

/// A constant's elements rounded to the element type of `type`.
DenseElementsAttr roundConstant(DenseElementsAttr value, RankedTensorType type) {
  Type element = type.getElementType();
  Type part = isa<ComplexType>(element) ? cast<ComplexType>(element).getElementType() : element;
  if (!isa<FloatType>(part))
    return value;
  const llvm::fltSemantics &semantics = cast<FloatType>(part).getFloatSemantics();
  auto round = [&](APFloat x) {
    bool lost;
    x.convert(semantics, APFloat::rmNearestTiesToEven, &lost);
    return x;
  };
  if (isa<ComplexType>(element)) {
    SmallVector<std::complex<APFloat>> values;
    for (std::complex<APFloat> x : value.getValues<std::complex<APFloat>>())
      values.emplace_back(round(x.real()), round(x.imag()));
    return DenseElementsAttr::get(type, values);
  }
  SmallVector<APFloat> values;
  for (APFloat x : value.getValues<APFloat>())
    values.push_back(round(x));
  return DenseElementsAttr::get(type, values);
}

void setComputeType(Operation *root, Type compute) {
  root->walk([&](Operation *op) {
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (BlockArgument argument : block.getArguments())
          argument.setType(withElements(argument.getType(), compute, compute));
    for (Value result : op->getResults())
      result.setType(withElements(result.getType(), compute, compute));
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      if (auto value = dyn_cast<DenseElementsAttr>(constant.getValue()))
        constant.setValueAttr(roundConstant(value, cast<RankedTensorType>(constant.getType())));
  });
}

struct SetPrecision : rondo::impl::SetPrecisionBase<SetPrecision> {
  using SetPrecisionBase::SetPrecisionBase;

  void runOnOperation() override {
    Type defaultType = parseFloatType(type, &getContext());
    if (!defaultType) {
      getOperation().emitError("'") << type << "' is no floating-point type; expected f64, f32, bf16 or f16";
      return signalPassFailure();
    }
    if (failed(parseTypes()))
      return signalPassFailure();
    Type compute = defaultType.isF64() ? defaultType : Type(Float32Type::get(&getContext()));
    for (func::FuncOp fn : getOperation().getOps<func::FuncOp>()) {
      setComputeType(fn, compute);
      setStorageTypes(fn, defaultType, compute);
    }
    for (auto &[name, unused] : byName)
      if (!used.contains(name)) {
        getOperation().emitError("the model has no input, parameter or output '") << name << "' to give a type";
        return signalPassFailure();
      }
  }

private:
  LogicalResult parseTypes() {
    for (StringRef text : types) {
      auto [name, typeName] = text.split('=');
      Type parsed = parseFloatType(typeName, &getContext());
      if (!parsed)
        return getOperation().emitError("expected NAME=TYPE with f64, f32, bf16 or f16, got '") << text << "'";
      byName[name] = parsed;
    }
    return success();
  }

  Type storageType(DictionaryAttr attributes, Type defaultType, Type compute) {
    auto kind = attributes.getAs<StringAttr>(recur::kKindAttr);
    if (!kind || kind == "init" || kind == "final")
      return compute;
    StringRef name = attributes.getAs<StringAttr>(recur::kNameAttr).getValue();
    auto found = byName.find(name);
    if (found != byName.end()) {
      used.insert(name);
      return found->second;
    }
    auto of = attributes.getAs<StringAttr>(recur::kCotangentAttr); // stored as what it is the cotangent of
    found = of ? byName.find(of) : byName.end();
    return found == byName.end() ? defaultType : found->second;
  }

  void setStorageTypes(func::FuncOp fn, Type defaultType, Type compute) {
    for (unsigned i = 0; i < fn.getNumArguments(); ++i) {
      Type storage = storageType(fn.getArgAttrDict(i), defaultType, compute);
      fn.getArgument(i).setType(withElements(fn.getArgument(i).getType(), storage, compute));
      propagateReshapes(fn.getArgument(i));
    }
    Operation *ret = fn.getBody().front().getTerminator();
    SmallVector<Type> results;
    for (unsigned i = 0; i < fn.getNumResults(); ++i) {
      Type storage = storageType(fn.getResultAttrDict(i), defaultType, compute);
      Value value = ret->getOperand(i);
      setReturnedType(value, storage, compute);
      results.push_back(value.getType());
    }
    fn.setType(FunctionType::get(fn.getContext(), fn.getBody().getArgumentTypes(), results));
  }

  void setReturnedType(Value value, Type storage, Type compute) {
    value.setType(withElements(value.getType(), storage, compute));
    if (auto reshape = value.getDefiningOp<recur::ReshapeOp>())
      setReturnedType(reshape.getOperand(), storage, compute);
    propagateReshapes(value);
  }

  void propagateReshapes(Value value) {
    for (Operation *user : value.getUsers())
      if (auto reshape = dyn_cast<recur::ReshapeOp>(user)) {
        Type element = cast<RankedTensorType>(value.getType()).getElementType();
        auto old = cast<RankedTensorType>(reshape.getType());
        if (old.getElementType() == element)
          continue;
        reshape.getResult().setType(RankedTensorType::get(old.getShape(), element, old.getEncoding()));
        propagateReshapes(reshape.getResult());
      }
  }

  llvm::StringMap<Type> byName;
  llvm::StringSet<> used;
};

} // namespace
