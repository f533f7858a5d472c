// Folds: ops that their operands already decide. Only exact ones: `x * 0` stays, because x may be infinite or no number. The
// one liberty is the sign of a zero, which `x + 0` may lose.
#include "dialects/Recur/Recur.h"
#include <cmath>
#include <complex>

using namespace mlir;
using namespace rondo;
using namespace rondo::recur;

using Complex = std::complex<double>;

//===--- constants --------------------------------------------------------------------------------------------------===//

namespace {
/// A constant array of real or complex elements as doubles; truth values are 0 and 1. One element stands for all of a splat.
struct Constant {
  SmallVector<Complex> elements;
  Complex at(size_t index) const { return elements.size() == 1 ? elements[0] : elements[index]; }
};
} // namespace

static std::optional<Constant> readConstant(Attribute attribute) {
  auto dense = dyn_cast_if_present<DenseElementsAttr>(attribute);
  if (!dense)
    return std::nullopt;
  Constant result;
  auto read = [&](auto elements, auto convert) {
    for (auto element : elements) {
      result.elements.push_back(convert(element));
      if (dense.isSplat())
        break;
    }
  };
  switch (elementKind(dense.getType())) {
  case ElementKind::Real:
    read(dense.getValues<APFloat>(), [](APFloat value) { return Complex(value.convertToDouble()); });
    return result;
  case ElementKind::Complex:
    read(dense.getValues<std::complex<APFloat>>(), [](std::complex<APFloat> value) {
      return Complex(value.real().convertToDouble(), value.imag().convertToDouble());
    });
    return result;
  case ElementKind::Truth:
    read(dense.getValues<bool>(), [](bool value) { return Complex(value); });
    return result;
  case ElementKind::None:
    return std::nullopt;
  }
  return std::nullopt;
}

static APFloat rounded(double value, Type type) {
  APFloat result(value);
  bool losesInfo = false;
  result.convert(cast<FloatType>(type).getFloatSemantics(), APFloat::rmNearestTiesToEven, &losesInfo);
  return result;
}

/// A constant of the array type; null while its shape is not known.
static Attribute writeConstant(ArrayRef<Complex> elements, Type type) {
  auto array = cast<RankedTensorType>(type);
  if (!array.hasStaticShape() ||
      (elements.size() != 1 && static_cast<int64_t>(elements.size()) != array.getNumElements()))
    return nullptr;
  Type element = array.getElementType();
  switch (elementKind(type)) {
  case ElementKind::Real:
    return DenseElementsAttr::get(array,
                                  llvm::map_to_vector(elements, [&](Complex x) { return rounded(x.real(), element); }));
  case ElementKind::Complex: {
    Type part = cast<ComplexType>(element).getElementType();
    return DenseElementsAttr::get(array, llvm::map_to_vector(elements, [&](Complex x) {
                                    return std::complex<APFloat>(rounded(x.real(), part), rounded(x.imag(), part));
                                  }));
  }
  case ElementKind::Truth:
    return DenseElementsAttr::get(array, llvm::map_to_vector(elements, [](Complex x) { return x.real() != 0; }));
  case ElementKind::None:
    return nullptr;
  }
  return nullptr;
}

static bool isConstant(Attribute attribute, double value) {
  auto dense = dyn_cast_if_present<DenseElementsAttr>(attribute);
  if (!dense || !dense.isSplat())
    return false;
  auto constant = readConstant(dense);
  return constant && !constant->elements.empty() && constant->elements[0] == Complex(value);
}

//===--- map --------------------------------------------------------------------------------------------------------===//

// clang-format off: tables.
static std::optional<double> evaluateReal(Fn fn, double x, double y) {
  switch (fn) {
  case Fn::Neg: return -x;
  case Fn::Exp: return std::exp(x);
  case Fn::Expm1: return std::expm1(x);
  case Fn::Log: return std::log(x);
  case Fn::Log1p: return std::log1p(x);
  case Fn::Sqrt: return std::sqrt(x);
  case Fn::Tanh: return std::tanh(x);
  case Fn::Sin: return std::sin(x);
  case Fn::Cos: return std::cos(x);
  case Fn::Erf: return std::erf(x);
  case Fn::Abs: return std::fabs(x);
  case Fn::Floor: return std::floor(x);
  case Fn::Not: return x == 0;
  case Fn::Add: return x + y;
  case Fn::Sub: return x - y;
  case Fn::Mul: return x * y;
  case Fn::Div: return x / y;
  case Fn::Pow: return std::pow(x, y);
  case Fn::Lt: return x < y;
  case Fn::Le: return x <= y;
  case Fn::Eq: return x == y;
  case Fn::Ne: return x != y;
  case Fn::And: return x != 0 && y != 0;
  case Fn::Or: return x != 0 || y != 0;
  default: return std::nullopt;
  }
}

static std::optional<Complex> evaluateComplex(Fn fn, Complex x, Complex y) {
  switch (fn) {
  case Fn::Neg: return -x;
  case Fn::Exp: return std::exp(x);
  case Fn::Conj: return std::conj(x);
  case Fn::Real: return x.real();
  case Fn::Imag: return x.imag();
  case Fn::Add: return x + y;
  case Fn::Sub: return x - y;
  case Fn::Mul: return x * y;
  case Fn::Div: return x / y;
  default: return std::nullopt;
  }
}

// clang-format on

/// Every operand constant: the constant that they give.
static Attribute foldConstantMap(MapOp op, ArrayRef<Attribute> operands) {
  SmallVector<Constant, 3> constants;
  size_t count = 1;
  for (Attribute operand : operands) {
    auto constant = readConstant(operand);
    if (!constant || constant->elements.empty())
      return nullptr;
    count = std::max(count, constant->elements.size());
    constants.push_back(*constant);
  }
  bool isComplex = elementKind(op.getOperands_().back().getType()) == ElementKind::Complex;
  SmallVector<Complex> elements;
  for (size_t i = 0; i < count; ++i) {
    Complex x = constants.front().at(i), y = constants.back().at(i);
    std::optional<Complex> value;
    if (op.getFn() == Fn::Complex)
      value = Complex(x.real(), y.real());
    else if (op.getFn() != Fn::Select)
      value = isComplex ? evaluateComplex(op.getFn(), x, y) : evaluateReal(op.getFn(), x.real(), y.real());
    if (!value)
      return nullptr;
    elements.push_back(*value);
  }
  return writeConstant(elements, op.getType());
}

/// f(f(x)) = x, and parts of a complex number just made.
static Value foldNested(MapOp op) {
  auto inner = op.getOperands_().front().getDefiningOp<MapOp>();
  if (!inner)
    return nullptr;
  Fn outer = op.getFn();
  if ((outer == Fn::Neg || outer == Fn::Conj || outer == Fn::Not) && inner.getFn() == outer)
    return inner.getOperands_().front();
  if (inner.getFn() == Fn::Complex && (outer == Fn::Real || outer == Fn::Imag))
    return inner.getOperands_()[outer == Fn::Imag];
  return nullptr;
}

/// The operand that the op hands through unchanged, if there is one.
static Value foldToOperand(MapOp op, ArrayRef<Attribute> constants) {
  OperandRange operands = op.getOperands_();
  bool isReal = elementKind(operands.front().getType()) == ElementKind::Real;
  switch (op.getFn()) {
  case Fn::Add:
    return isConstant(constants[1], 0) ? operands[0] : isConstant(constants[0], 0) ? operands[1] : Value();
  case Fn::Sub:
    return isConstant(constants[1], 0) ? operands[0] : Value();
  case Fn::Mul:
    return isConstant(constants[1], 1) ? operands[0] : isConstant(constants[0], 1) ? operands[1] : Value();
  case Fn::Div:
  case Fn::Pow:
    return isConstant(constants[1], 1) ? operands[0] : Value();
  case Fn::Real:
  case Fn::Conj:
    return isReal ? operands[0] : foldNested(op);
  case Fn::Neg:
  case Fn::Not:
  case Fn::Imag:
    return foldNested(op);
  case Fn::Select:
    return isConstant(constants[0], 1) ? operands[1] : isConstant(constants[0], 0) ? operands[2] : Value();
  default:
    return nullptr;
  }
}

OpFoldResult MapOp::fold(FoldAdaptor adaptor) {
  if (getOperands_().size() != arity(getFn()))
    return nullptr;
  if (Value value = foldToOperand(*this, adaptor.getOperands_()); value && value.getType() == getType())
    return value;
  return foldConstantMap(*this, adaptor.getOperands_());
}

//===--- ops that change nothing ------------------------------------------------------------------------------------===//

OpFoldResult ContractOp::fold(FoldAdaptor) {
  auto spec = parseContractSpec(getSpec());
  bool copies = spec && getOperands_().size() == 1 && spec->operands[0] == spec->result;
  return copies && getOperands_()[0].getType() == getType() ? OpFoldResult(getOperands_()[0]) : nullptr;
}

OpFoldResult ReduceOp::fold(FoldAdaptor) {
  return getDims().empty() && getOperand().getType() == getType() ? OpFoldResult(getOperand()) : nullptr;
}

OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  if (getDims().empty() && getOperand().getType() == getType())
    return getOperand();
  auto constant = readConstant(adaptor.getOperand());
  return constant && constant->elements.size() == 1 ? OpFoldResult(writeConstant(constant->elements, getType()))
                                                    : nullptr;
}

OpFoldResult SliceOp::fold(FoldAdaptor) {
  return getOffset() == "0" && getOperand().getType() == getType() ? OpFoldResult(getOperand()) : nullptr;
}

OpFoldResult ConcatOp::fold(FoldAdaptor) {
  return getOperands_().size() == 1 && getOperands_()[0].getType() == getType() ? OpFoldResult(getOperands_()[0])
                                                                                : nullptr;
}

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  if (auto constant = readConstant(adaptor.getOperand()))
    return writeConstant(constant->elements, getType());
  // before: reshape(reshape(x))   after: reshape(x)
  if (auto inner = getOperand().getDefiningOp<ReshapeOp>()) {
    getOperandMutable().assign(inner.getOperand());
    return getResult();
  }
  return getOperand().getType() == getType() ? OpFoldResult(getOperand()) : nullptr;
}

/// True when every value of `from` is a value of `to`.
static bool isExact(Type from, Type to) {
  auto part = [](Type type) {
    Type element = getElementTypeOrSelf(type);
    auto complex = dyn_cast<ComplexType>(element);
    return complex ? complex.getElementType() : element;
  };
  const auto &a = cast<FloatType>(part(from)).getFloatSemantics(), &b = cast<FloatType>(part(to)).getFloatSemantics();
  return APFloat::isRepresentableBy(a, b);
}

OpFoldResult CastOp::fold(FoldAdaptor adaptor) {
  if (getOperand().getType() == getType())
    return getOperand();
  // before: cast(cast(x : f32) : f64) : T   after: cast(x) : T, for a first cast that loses nothing
  if (auto inner = getOperand().getDefiningOp<CastOp>();
      inner && isExact(inner.getOperand().getType(), inner.getType())) {
    getOperandMutable().assign(inner.getOperand());
    return getResult();
  }
  auto constant = readConstant(adaptor.getOperand());
  return constant ? OpFoldResult(writeConstant(constant->elements, getType())) : nullptr;
}
