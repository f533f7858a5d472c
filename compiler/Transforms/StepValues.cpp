// See StepValues.h.
#include "compiler/Transforms/StepValues.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace rondo;
using analysis::Factor;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

Value rondo::constantOf(OpBuilder &b, Location loc, Type type, double number) {
  auto tensor = cast<RankedTensorType>(type);
  if (tensor.getRank() > 0) {
    // Of any size, known or not.
    SmallVector<int64_t> added = llvm::to_vector(llvm::seq<int64_t>(0, tensor.getRank()));
    return recur::BroadcastOp::create(b, loc, tensor, constantOf(b, loc, axesOf(tensor, {}), number), added);
  }
  Type element = tensor.getElementType();
  auto part = [&](Type real, double x) {
    APFloat value(x);
    bool inexact = false;
    value.convert(cast<FloatType>(real).getFloatSemantics(), APFloat::rmNearestTiesToEven, &inexact);
    return value;
  };
  if (auto complex = dyn_cast<ComplexType>(element)) {
    std::complex<APFloat> value(part(complex.getElementType(), number), part(complex.getElementType(), 0));
    return arith::ConstantOp::create(b, loc, cast<TypedAttr>(Attribute(DenseElementsAttr::get(tensor, value))));
  }
  return arith::ConstantOp::create(b, loc,
                                   cast<TypedAttr>(Attribute(DenseElementsAttr::get(tensor, part(element, number)))));
}

RankedTensorType rondo::axesOf(RankedTensorType type, ArrayRef<int64_t> positions) {
  recur::DimsAttr dims = recur::dimsOf(type);
  int64_t implicit = dims.getAxes().size();
  SmallVector<int64_t> shape;
  SmallVector<StringAttr> axes, names;
  for (int64_t position : positions) {
    shape.push_back(type.getDimSize(position));
    if (position < implicit)
      axes.push_back(dims.getAxes()[position]);
    else
      names.push_back(dims.getNames()[position - implicit]);
  }
  return RankedTensorType::get(shape, type.getElementType(), recur::DimsAttr::get(type.getContext(), axes, names));
}

StepValues::StepValues(recur::Step step, Block *block)
    : b(OpBuilder::atBlockEnd(block)), loc(step.getScan()->getLoc()) {
  for (ArrayRef<BlockArgument> list : {step.inputArgs(), step.paramArgs()})
    for (BlockArgument argument : list)
      known.map(argument, block->getArgument(argument.getArgNumber()));
}

Value StepValues::get(Value ofStep) {
  if (known.contains(ofStep))
    return known.lookup(ofStep);
  Operation *op = ofStep.getDefiningOp();
  for (Value operand : op->getOperands())
    get(operand);
  b.clone(*op, known);
  return known.lookup(ofStep);
}

Value StepValues::map(recur::Fn fn, ArrayRef<Value> operands) {
  Value like = operands.front();
  for (Value operand : operands)
    if (typeOf(operand).getRank() > typeOf(like).getRank())
      like = operand;
  return recur::MapOp::create(b, loc, like.getType(), fn, operands);
}

Value StepValues::repeated(Value operand, ArrayRef<int64_t> has, RankedTensorType type) {
  SmallVector<int64_t> added;
  for (int64_t axis = 0; axis < type.getRank(); ++axis)
    if (!llvm::is_contained(has, axis))
      added.push_back(axis);
  return added.empty() ? operand : recur::BroadcastOp::create(b, loc, type, operand, added).getResult();
}

/// Letters of a contraction's text: small numbers become a, b, c, ...
static char letterOf(int number) { return static_cast<char>('a' + number); }

using FactorList = SmallVector<Factor>;

/// The factors of an inner product that has nothing but its sums in common with the rest: two, all of whose letters are summed.
static std::pair<FactorList, FactorList> splitInner(ArrayRef<Factor> factors, ArrayRef<int> letters) {
  for (size_t i = 0; i < factors.size(); ++i)
    for (size_t j = i + 1; j < factors.size(); ++j) {
      const Factor &x = factors[i], &y = factors[j];
      if (x.letters.empty() || x.letters != y.letters ||
          llvm::any_of(x.letters, [&](int letter) { return llvm::is_contained(letters, letter); }))
        continue;
      FactorList rest;
      bool apart = true;
      for (size_t k = 0; k < factors.size(); ++k)
        if (k != i && k != j) {
          rest.push_back(factors[k]);
          for (int letter : factors[k].letters)
            apart &= !llvm::is_contained(x.letters, letter);
        }
      if (apart)
        return {{x, y}, rest};
    }
  return {};
}

Value StepValues::product(ArrayRef<Factor> factors, double scale, ArrayRef<int> letters, RankedTensorType axes) {
  // One text for equal products, whatever their order, so that equal vectors become one value.
  SmallVector<std::string> texts;
  for (const Factor &factor : factors) {
    std::string text = std::to_string(reinterpret_cast<uintptr_t>(factor.value.getAsOpaquePointer()));
    for (int letter : factor.letters)
      text += letterOf(letter);
    texts.push_back(text + (factor.reciprocal ? "/" : "*"));
  }
  llvm::sort(texts);
  std::string key = std::to_string(llvm::bit_cast<uint64_t>(scale)) + ":" + llvm::join(texts, "");
  llvm::raw_string_ostream(key) << axes;
  for (int letter : letters)
    key += letterOf(letter);
  if (auto found = products.find(key); found != products.end())
    return found->second;

  // An inner product inside a larger one is a number of its own: (x . y) z, and not a sum of products of three.
  if (auto [inner, rest] = splitInner(factors, letters); !inner.empty() && !rest.empty()) {
    Value number = product(inner, 1, {}, axesOf(axes, {}));
    return products[key] = map(recur::Fn::Mul, {product(rest, scale, letters, axes), number});
  }
  // Factors without axes multiply the rest; the others make one contraction, divisors last.
  SmallVector<Value> scalars, divisors, operands;
  std::string spec;
  SmallVector<int64_t> present;
  for (bool reciprocal : {false, true})
    for (const Factor &factor : factors) {
      if (factor.reciprocal != reciprocal)
        continue;
      Value value = get(factor.value);
      // A linear form looks through casts of real values to complex ones.
      if (Type element = axes.getElementType(); typeOf(value).getElementType() != element)
        value = recur::CastOp::create(b, loc, typeOf(value).clone(element), value);
      if (factor.letters.empty()) {
        (reciprocal ? divisors : scalars).push_back(value);
        continue;
      }
      if (reciprocal)
        value = map(recur::Fn::Div, {constantOf(b, loc, axesOf(typeOf(value), {}), 1), value});
      spec += operands.empty() ? "" : ",";
      for (int letter : factor.letters)
        spec += letterOf(letter);
      operands.push_back(value);
      for (auto [i, letter] : llvm::enumerate(letters))
        if (llvm::is_contained(factor.letters, letter) && !llvm::is_contained(present, static_cast<int64_t>(i)))
          present.push_back(i);
    }
  llvm::sort(present);
  Value result;
  if (!operands.empty()) {
    std::string out;
    for (int64_t i : present)
      out += letterOf(letters[i]);
    bool plain = operands.size() == 1 && spec == out;
    result = plain ? operands.front()
                   : recur::ContractOp::create(b, loc, axesOf(axes, present), spec + "->" + out, operands).getResult();
  }
  for (Value scalar : scalars)
    result = result ? map(recur::Fn::Mul, {result, scalar}) : scalar;
  if (!result)
    result = constantOf(b, loc, axesOf(axes, {}), scale);
  else if (scale == -1)
    result = map(recur::Fn::Neg, {result});
  else if (scale != 1)
    result = map(recur::Fn::Mul, {result, constantOf(b, loc, axesOf(axes, {}), scale)});
  for (Value divisor : divisors)
    result = map(recur::Fn::Div, {result, divisor});
  return products[key] = repeated(result, present, axes);
}
