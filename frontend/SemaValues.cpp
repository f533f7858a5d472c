// The value graph's construction; see SemaValues.h.
#include "frontend/SemaValues.h"
#include <algorithm>
#include <cmath>

namespace rondo::frontend {
namespace {

void append(std::string &key, const void *data, size_t size) { key.append(static_cast<const char *>(data), size); }

void append(std::string &key, const std::string &text) {
  key += text;
  key += '\0';
}

/// Everything that makes two nodes the same value; places do not.
std::string keyOf(const Value &value) {
  std::string key;
  int tags[] = {int(value.kind), int(value.type.elem), int(value.fn),    int(value.reduction),
                value.drop,      value.perHead,        int(value.index), int(value.read)};
  append(key, tags, sizeof tags);
  append(key, str(value.type.shape));
  append(key, value.spec);
  append(key, value.offset.str());
  append(key, value.operands.data(), value.operands.size() * sizeof(ValueId));
  key += '|';
  append(key, value.axes.data(), value.axes.size() * sizeof(int64_t));
  key += '|';
  append(key, value.data.data(), value.data.size() * sizeof(value.data[0]));
  return key;
}

std::optional<double> foldUnary(MapFn fn, double x) {
  switch (fn) {
  case MapFn::Neg:
    return -x;
  case MapFn::Exp:
    return std::exp(x);
  case MapFn::Expm1:
    return std::expm1(x);
  case MapFn::Log:
    return std::log(x);
  case MapFn::Log1p:
    return std::log1p(x);
  case MapFn::Sqrt:
    return std::sqrt(x);
  case MapFn::Tanh:
    return std::tanh(x);
  case MapFn::Sin:
    return std::sin(x);
  case MapFn::Cos:
    return std::cos(x);
  case MapFn::Erf:
    return std::erf(x);
  case MapFn::Abs:
    return std::fabs(x);
  case MapFn::Floor:
    return std::floor(x);
  default:
    return std::nullopt;
  }
}

std::optional<double> foldBinary(MapFn fn, double x, double y) {
  switch (fn) {
  case MapFn::Add:
    return x + y;
  case MapFn::Sub:
    return x - y;
  case MapFn::Mul:
    return x * y;
  case MapFn::Div:
    return x / y;
  case MapFn::Max:
    return std::fmax(x, y);
  case MapFn::Min:
    return std::fmin(x, y);
  case MapFn::Pow:
    return std::pow(x, y);
  default:
    return std::nullopt;
  }
}

Elem resultElem(MapFn fn, Elem operand) {
  switch (fn) {
  case MapFn::Lt:
  case MapFn::Le:
  case MapFn::Eq:
  case MapFn::Ne:
  case MapFn::And:
  case MapFn::Or:
  case MapFn::Not:
    return Elem::Truth;
  case MapFn::Abs:
  case MapFn::Real:
  case MapFn::Imag:
    return Elem::Real;
  case MapFn::Complex:
    return Elem::Complex;
  default:
    return operand;
  }
}

/// `count` letters from `first` on: letters(2, 'a') is "ab".
std::string letters(size_t count, char first) {
  std::string text;
  for (size_t i = 0; i < count; ++i)
    text += char(first + i);
  return text;
}

} // namespace

ValueId ValueBuilder::add(Value value) {
  if (value.kind != ValueKind::Constant && value.kind != ValueKind::Input && value.kind != ValueKind::Param &&
      value.kind != ValueKind::StateRead)
    value.perHead = inHeads;
  for (ValueId operand : value.operands)
    value.timeVarying |= get(operand).timeVarying;
  value.span = here;
  auto [entry, isNew] = known.try_emplace(keyOf(value), ValueId(model.values.size()));
  if (isNew)
    model.values.push_back(std::move(value));
  return entry->second;
}

ValueId ValueBuilder::constant(double number) { return constant(number, Elem::Real); }

ValueId ValueBuilder::constant(std::complex<double> number, Elem elem) { return array({}, {number}, elem); }

ValueId ValueBuilder::array(Shape shape, std::vector<std::complex<double>> data, Elem elem) {
  Value value;
  value.type = {elem, std::move(shape)};
  value.data = std::move(data);
  return add(std::move(value));
}

ValueId ValueBuilder::tensor(uint32_t index) {
  const TensorDecl &decl = model.tensors[index];
  Value value;
  value.kind = decl.kind == TensorKind::Input ? ValueKind::Input : ValueKind::Param;
  value.timeVarying = decl.kind == TensorKind::Input;
  value.perHead = decl.perHead;
  value.type = decl.type;
  value.index = index;
  return add(std::move(value));
}

ValueId ValueBuilder::stateRead(uint32_t state, uint32_t read) {
  Value value;
  value.kind = ValueKind::StateRead;
  value.timeVarying = true;
  value.perHead = model.states[state].perHead;
  value.type = model.states[state].type;
  value.index = state;
  value.read = read;
  return add(std::move(value));
}

ValueId ValueBuilder::split(ValueId operand, Shape shape) {
  Value value;
  value.kind = ValueKind::Split;
  value.type = {get(operand).type.elem, std::move(shape)};
  value.operands = {operand};
  return add(std::move(value));
}

ValueId ValueBuilder::merge(ValueId operand, Shape shape) {
  Value value;
  value.kind = ValueKind::Merge;
  value.type = {get(operand).type.elem, std::move(shape)};
  value.operands = {operand};
  return add(std::move(value));
}

std::optional<double> ValueBuilder::realConstant(ValueId id) const {
  const Value &value = get(id);
  if (value.kind != ValueKind::Constant || value.type.elem != Elem::Real || !value.type.shape.empty())
    return std::nullopt;
  return value.data[0].real();
}

std::optional<ValueId> ValueBuilder::fold(MapFn fn, const std::vector<ValueId> &operands) {
  std::optional<double> x = realConstant(operands[0]);
  std::optional<double> y = operands.size() > 1 ? realConstant(operands[1]) : std::nullopt;
  if (fn == MapFn::Mul && x == 1.0)
    return operands[1];
  if ((fn == MapFn::Mul || fn == MapFn::Div) && y == 1.0)
    return operands[0];
  if ((fn == MapFn::Add || fn == MapFn::Sub) && y == 0.0)
    return operands[0];
  if (fn == MapFn::Complex && x && y)
    return constant({*x, *y}, Elem::Complex);
  const Value &first = get(operands[0]);
  if (fn == MapFn::Neg && first.kind == ValueKind::Constant && first.type.elem == Elem::Complex &&
      isScalar(operands[0]))
    return constant(-first.data[0], Elem::Complex);
  if (!x || (operands.size() == 2 && !y) || operands.size() > 2)
    return std::nullopt;
  std::optional<double> result = y ? foldBinary(fn, *x, *y) : foldUnary(fn, *x);
  if (!result || std::isnan(*result))
    return std::nullopt;
  return constant(*result);
}

std::vector<ValueId> ValueBuilder::promote(MapFn fn, std::vector<ValueId> operands) {
  size_t first = fn == MapFn::Select ? 1 : 0;
  bool anyComplex = false;
  for (size_t i = first; i < operands.size(); ++i)
    anyComplex |= get(operands[i]).type.elem == Elem::Complex;
  if (anyComplex && fn != MapFn::Complex)
    for (size_t i = first; i < operands.size(); ++i)
      operands[i] = toComplex(operands[i]);
  return operands;
}

ValueId ValueBuilder::map(MapFn fn, std::vector<ValueId> operands) {
  operands = promote(fn, std::move(operands));
  Elem elem = get(operands.back()).type.elem;
  if ((fn == MapFn::Real || fn == MapFn::Conj) && elem == Elem::Real)
    return operands[0];
  if (auto folded = fold(fn, operands))
    return *folded;
  Value value;
  value.kind = ValueKind::Map;
  value.fn = fn;
  value.type.elem = resultElem(fn, elem);
  for (ValueId operand : operands)
    if (!isScalar(operand))
      value.type.shape = shape(operand);
  value.operands = std::move(operands);
  return add(std::move(value));
}

ValueId ValueBuilder::contract(std::string spec, std::vector<ValueId> operands, Shape shape) {
  operands = promote(MapFn::Mul, std::move(operands));
  Value value;
  value.kind = ValueKind::Contract;
  value.type = {get(operands[0]).type.elem, std::move(shape)};
  value.spec = std::move(spec);
  value.operands = std::move(operands);
  return add(std::move(value));
}

ValueId ValueBuilder::reduce(ReduceKind kind, ValueId operand, std::vector<int64_t> axes) {
  if (axes.empty())
    return operand;
  Value value;
  value.kind = ValueKind::Reduce;
  value.reduction = kind;
  value.type.elem = get(operand).type.elem;
  for (size_t i = 0; i < shape(operand).size(); ++i)
    if (std::find(axes.begin(), axes.end(), int64_t(i)) == axes.end())
      value.type.shape.push_back(shape(operand)[i]);
  value.axes = std::move(axes);
  value.operands = {operand};
  return add(std::move(value));
}

ValueId ValueBuilder::broadcast(ValueId operand, Shape shape, std::vector<int64_t> axes) {
  if (axes.empty())
    return operand;
  Value value;
  value.kind = ValueKind::Broadcast;
  value.type = {get(operand).type.elem, std::move(shape)};
  value.axes = std::move(axes);
  value.operands = {operand};
  return add(std::move(value));
}

ValueId ValueBuilder::fill(ValueId operand, const Shape &shape) {
  if (!isScalar(operand))
    return operand;
  std::vector<int64_t> axes;
  for (size_t i = 0; i < shape.size(); ++i)
    axes.push_back(int64_t(i));
  return broadcast(operand, shape, std::move(axes));
}

ValueId ValueBuilder::slice(ValueId operand, int64_t axis, DimExpr offset, DimExpr size, bool drop) {
  Value value;
  value.kind = ValueKind::Slice;
  value.type = get(operand).type;
  if (drop)
    value.type.shape.erase(value.type.shape.begin() + axis);
  else
    value.type.shape[axis] = std::move(size);
  value.axes = {axis};
  value.offset = std::move(offset);
  value.drop = drop;
  value.operands = {operand};
  if (value.type == get(operand).type)
    return operand;
  return add(std::move(value));
}

ValueId ValueBuilder::concat(std::vector<ValueId> operands, int64_t axis) {
  operands = promote(MapFn::Add, std::move(operands));
  if (operands.size() == 1)
    return operands[0];
  Value value;
  value.kind = ValueKind::Concat;
  value.type = get(operands[0]).type;
  for (size_t i = 1; i < operands.size(); ++i)
    value.type.shape[axis] = value.type.shape[axis] + shape(operands[i])[axis];
  value.axes = {axis};
  value.operands = std::move(operands);
  return add(std::move(value));
}

ValueId ValueBuilder::identity(const DimExpr &size) {
  Value value;
  value.kind = ValueKind::Identity;
  value.type.shape = {size, size};
  return add(std::move(value));
}

ValueId ValueBuilder::toComplex(ValueId operand) {
  const Value &from = get(operand);
  if (from.type.elem == Elem::Complex)
    return operand;
  if (from.kind == ValueKind::Constant)
    return array(from.type.shape, from.data, Elem::Complex);
  Value value;
  value.kind = ValueKind::Cast;
  value.type = {Elem::Complex, from.type.shape};
  value.operands = {operand};
  return add(std::move(value));
}

ValueId ValueBuilder::transpose(ValueId operand) {
  return contract("ab->ba", {operand}, {shape(operand)[1], shape(operand)[0]});
}

ValueId ValueBuilder::number(const DimExpr &size) {
  if (auto fixed = size.asConstant())
    return constant(double(*fixed));
  return reduce(ReduceKind::Sum, broadcast(constant(1.0), {size}, {0}), {0});
}

ValueId ValueBuilder::product(ValueId a, ValueId b) {
  Shape left = shape(a), right = shape(b);
  std::string la = letters(left.size(), 'a');
  std::string lb = la.back() + letters(right.size() - 1, char('a' + left.size()));
  Shape result(left.begin(), left.end() - 1);
  result.insert(result.end(), right.begin() + 1, right.end());
  return contract(la + "," + lb + "->" + la.substr(0, la.size() - 1) + lb.substr(1), {a, b}, std::move(result));
}

ValueId ValueBuilder::outer(ValueId a, ValueId b) {
  if (isScalar(a) || isScalar(b))
    return map(MapFn::Mul, {a, b});
  Shape result = shape(a);
  result.insert(result.end(), shape(b).begin(), shape(b).end());
  std::string la = letters(shape(a).size(), 'a'), lb = letters(shape(b).size(), char('a' + shape(a).size()));
  return contract(la + "," + lb + "->" + la + lb, {a, b}, std::move(result));
}

ValueId ValueBuilder::scaleAxis(ValueId vector, ValueId operand, int64_t axis) {
  if (shape(operand).size() == 1)
    return map(MapFn::Mul, {vector, operand});
  std::string all = letters(shape(operand).size(), 'a');
  std::string one(1, all[axis]);
  // The vector stands on the side that the paper writes it on.
  if (axis == 0)
    return contract(one + "," + all + "->" + all, {vector, operand}, shape(operand));
  return contract(all + "," + one + "->" + all, {operand, vector}, shape(operand));
}

} // namespace rondo::frontend
