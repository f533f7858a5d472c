// Calls: a user's or the library's fn, else a primitive function, which the compiler knows.
#include "frontend/SemaModel.h"
#include <algorithm>
#include <cmath>

namespace rondo::frontend {
namespace {

const std::map<std::string, MapFn> &unaryFunctions() {
  static const std::map<std::string, MapFn> table = {
      {"neg", MapFn::Neg},     {"exp", MapFn::Exp},   {"expm1", MapFn::Expm1}, {"log", MapFn::Log},
      {"log1p", MapFn::Log1p}, {"sqrt", MapFn::Sqrt}, {"tanh", MapFn::Tanh},   {"sin", MapFn::Sin},
      {"cos", MapFn::Cos},     {"erf", MapFn::Erf},   {"abs", MapFn::Abs},     {"sign", MapFn::Sign},
      {"floor", MapFn::Floor}, {"real", MapFn::Real}, {"imag", MapFn::Imag},   {"conj", MapFn::Conj},
      {"not", MapFn::Not}};
  return table;
}

const std::map<std::string, MapFn> &binaryFunctions() {
  static const std::map<std::string, MapFn> table = {{"pow", MapFn::Pow},         {"max", MapFn::Max},
                                                     {"min", MapFn::Min},         {"and", MapFn::And},
                                                     {"complex", MapFn::Complex}, {"or", MapFn::Or}};
  return table;
}

const std::map<std::string, ReduceKind> &reductions() {
  static const std::map<std::string, ReduceKind> table = {
      {"sum", ReduceKind::Sum}, {"prod", ReduceKind::Prod}, {"max", ReduceKind::Max}, {"min", ReduceKind::Min}};
  return table;
}

/// Primitives beside the tables above, with their least and most numbers of arguments.
const std::map<std::string, std::pair<size_t, size_t>> &otherFunctions() {
  static const std::map<std::string, std::pair<size_t, size_t>> table = {
      {"select", {3, 3}},    {"outer", {2, 2}}, {"diag", {1, 1}}, {"transpose", {1, 1}}, {"size", {1, 1}},
      {"concat", {1, 1024}}, {"zeros", {0, 8}}, {"ones", {0, 8}}, {"split", {2, 2}},     {"merge", {1, 1}}};
  return table;
}

bool takesAxis(const std::string &name) { return name == "concat" || reductions().count(name); }

} // namespace

bool ModelSema::countArguments(const Expr &expr, size_t least, size_t most) {
  size_t count = 0;
  for (const Argument &argument : expr.arguments) {
    if (argument.name.empty()) {
      ++count;
      continue;
    }
    if (argument.name != "axis" || !takesAxis(expr.name)) {
      error("unknown-argument", argument.value->span, "'" + expr.name + "' has no parameter '" + argument.name + "'")
          .note("built-in functions take their arguments by position" +
                std::string(takesAxis(expr.name) ? ", and an axis as 'axis = 0'" : ""));
      return false;
    }
  }
  if (count >= least && count <= most)
    return true;
  std::string wanted = least == most ? std::to_string(least) : std::to_string(least) + " to " + std::to_string(most);
  error("argument-count", expr.span,
        "'" + expr.name + "' takes " + wanted + (most == 1 ? " argument" : " arguments") + ", got " +
            std::to_string(count))
      .note("frontend/README.md lists the built-in functions");
  return false;
}

Val ModelSema::call(const Expr &expr) {
  if (auto fn = files.fn(context.home, expr.name))
    return callFn(expr, fn);
  return primitive(expr);
}

Val ModelSema::primitive(const Expr &expr) {
  auto unary = unaryFunctions().find(expr.name);
  auto binary = binaryFunctions().find(expr.name);
  auto reduction = reductions().find(expr.name);
  auto other = otherFunctions().find(expr.name);
  if (unary == unaryFunctions().end() && binary == binaryFunctions().end() && reduction == reductions().end() &&
      other == otherFunctions().end()) {
    std::vector<std::string> known = files.fnNames(context.home);
    for (const auto &[name, fn] : unaryFunctions())
      known.push_back(name);
    for (const auto &[name, fn] : binaryFunctions())
      known.push_back(name);
    for (const auto &[name, range] : otherFunctions())
      known.push_back(name);
    std::string near = nearest(expr.name, known);
    error("unknown-function", expr.span, "there is no function '" + expr.name + "'")
        .note(near.empty() ? "define it: 'fn " + expr.name + "(x) = ...'" : "did you mean '" + near + "'?");
    return {};
  }
  std::pair<size_t, size_t> range = unary != unaryFunctions().end()     ? std::pair(size_t(1), size_t(1))
                                    : reduction != reductions().end()   ? std::pair(size_t(1), size_t(2))
                                    : binary != binaryFunctions().end() ? std::pair(size_t(2), size_t(2))
                                                                        : other->second;
  if (!countArguments(expr, range.first, range.second))
    return {};
  if (expr.name == "zeros" || expr.name == "ones")
    return fillCall(expr, expr.name == "ones");
  if (expr.name == "split" || expr.name == "merge")
    return headsCall(expr);
  std::vector<Val> arguments;
  std::optional<ValueId> axis;
  for (const Argument &argument : expr.arguments) {
    Val value = this->expr(*argument.value);
    if (!value)
      return {};
    if (argument.name.empty())
      arguments.push_back(value);
    else if (!(axis = dense(value, argument.value->span)))
      return {};
  }
  values.place(userPlace(expr.span));
  if (expr.name == "concat")
    return concatCall(expr, arguments, axis);
  if (expr.name == "sum" || expr.name == "prod" || (reduction != reductions().end() && arguments.size() == 1)) {
    if (arguments.size() == 2 && !(axis = dense(arguments[1], expr.arguments[1].value->span)))
      return {};
    return reduceCall(expr, reduction->second, arguments, axis);
  }
  if (unary != unaryFunctions().end())
    return mapCall(expr, unary->second, arguments);
  if (binary != binaryFunctions().end())
    return mapCall(expr, binary->second, arguments);
  return expr.name == "select" ? mapCall(expr, MapFn::Select, arguments) : shapeCall(expr, arguments);
}

Val ModelSema::mapCall(const Expr &expr, MapFn fn, const std::vector<Val> &arguments) {
  std::vector<const Expr *> parts;
  std::vector<ValueId> operands;
  std::optional<Shape> like;
  for (const Val &argument : arguments)
    if (argument.kind == Val::Dense && !isScalar(argument))
      like = values.shape(argument.id);
  for (const Argument &argument : expr.arguments)
    if (argument.name.empty())
      parts.push_back(argument.value.get());
  for (size_t i = 0; i < arguments.size(); ++i) {
    auto operand = dense(arguments[i], parts[i]->span, like ? &*like : nullptr);
    if (!operand)
      return {};
    operands.push_back(*operand);
  }
  if (fn == MapFn::Imag && values.get(operands[0]).type.elem == Elem::Real)
    return {Val::Dense, values.fill(values.constant(0.0), Shape(values.shape(operands[0])))};
  auto result = mapChecked(fn, std::move(operands), expr, parts);
  return result ? Val{Val::Dense, *result} : Val();
}

std::optional<int64_t> ModelSema::axisNumber(ValueId axis, size_t rank, Span span) {
  auto number = values.realConstant(axis);
  bool good = number && *number == std::floor(*number) && *number >= -double(rank) && *number < double(rank);
  if (!good) {
    error("bad-axis", span,
          "expected an axis from 0 to " + std::to_string(int64_t(rank) - 1) + " in '" + excerpt(span) + "'")
        .note(rank == 0 ? "a scalar has no axes" : "axes count from 0; -1 is the last one");
    return std::nullopt;
  }
  return int64_t(*number) < 0 ? int64_t(*number) + int64_t(rank) : int64_t(*number);
}

Val ModelSema::reduceCall(const Expr &expr, ReduceKind kind, const std::vector<Val> &arguments,
                          std::optional<ValueId> axis) {
  const Expr &part = *expr.arguments[0].value;
  auto operand = dense(arguments[0], part.span);
  if (!operand)
    return {};
  Elem elem = values.get(*operand).type.elem;
  if (elem == Elem::Truth) {
    error("truth-value", part.span, "expected a number, got the truth value '" + excerpt(part.span) + "'")
        .note("turn it into numbers with 'select(condition, 1, 0)'");
    return {};
  }
  if (elem == Elem::Complex && (kind == ReduceKind::Max || kind == ReduceKind::Min)) {
    error("complex-argument", part.span,
          "'" + expr.name + "' takes real numbers, '" + excerpt(part.span) + "' is complex")
        .note("take 'real', 'imag' or 'abs' of it first");
    return {};
  }
  size_t rank = values.shape(*operand).size();
  std::vector<int64_t> axes;
  if (axis) {
    auto number = axisNumber(*axis, rank, expr.span);
    if (!number)
      return {};
    axes.push_back(*number);
  } else {
    for (size_t i = 0; i < rank; ++i)
      axes.push_back(int64_t(i));
  }
  return {Val::Dense, values.reduce(kind, *operand, std::move(axes))};
}

/// outer, diag, transpose, size.
Val ModelSema::shapeCall(const Expr &expr, const std::vector<Val> &arguments) {
  if (expr.name == "transpose" && arguments[0].kind == Val::Matrix)
    return matrixVal(matrices.transpose(arguments[0].id), expr.span);
  std::vector<ValueId> operands;
  size_t wanted = expr.name == "transpose" ? 2 : 1;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Expr &part = *expr.arguments[i].value;
    auto operand = dense(arguments[i], part.span);
    if (!operand)
      return {};
    const ValueType &type = values.get(*operand).type;
    if (type.elem == Elem::Truth || (expr.name != "size" && type.shape.size() != wanted)) {
      error("argument-shape", part.span,
            "'" + expr.name + "' takes " + (wanted == 2 ? "a matrix" : "vectors") + ", '" + excerpt(part.span) +
                "' is '" + str(type) + "'")
          .note("its shape is '" + str(type.shape) + "'", part.span)
          .note("'outer' and 'diag' make matrices of vectors, 'transpose' swaps the axes of a matrix");
      return {};
    }
    operands.push_back(*operand);
  }
  values.place(userPlace(expr.span));
  if (expr.name == "outer")
    return {Val::Matrix, matrices.outer(operands[0], operands[1])};
  if (expr.name == "diag")
    return {Val::Matrix, matrices.diagonal(operands[0])};
  if (expr.name == "transpose")
    return {Val::Dense, values.transpose(operands[0])};
  ValueId count = values.constant(1.0);
  for (const DimExpr &size : Shape(values.shape(operands[0])))
    count = values.map(MapFn::Mul, {count, values.number(size)});
  return {Val::Dense, count};
}

Val ModelSema::concatCall(const Expr &expr, const std::vector<Val> &arguments, std::optional<ValueId> axis) {
  std::vector<ValueId> operands;
  int64_t along = 0;
  for (size_t i = 0; i < arguments.size(); ++i) {
    Span span = expr.arguments[i].value->span;
    auto operand = dense(arguments[i], span);
    if (!operand)
      return {};
    Shape shape = values.shape(*operand);
    if (i == 0) {
      auto number = axis ? axisNumber(*axis, shape.size(), expr.span) : std::optional<int64_t>(0);
      if (!number)
        return {};
      along = *number;
    }
    Shape first = operands.empty() ? shape : values.shape(operands[0]);
    bool fits = !shape.empty() && shape.size() == first.size() && values.get(*operand).type.elem != Elem::Truth;
    for (size_t j = 0; fits && j < shape.size(); ++j)
      fits = int64_t(j) == along || shape[j] == first[j];
    if (!fits) {
      error("concat-mismatch", span,
            "'" + excerpt(span) + "' has shape '" + str(shape) + "' and cannot be joined to '" +
                excerpt(expr.arguments[0].value->span) + "' along axis " + std::to_string(along))
          .note("the first part has shape '" + str(first) + "'", expr.arguments[0].value->span)
          .note("parts are vectors or arrays that differ in the joined axis only; scalars go into a literal '[a, b]'");
      return {};
    }
    operands.push_back(*operand);
  }
  values.place(userPlace(expr.span));
  return {Val::Dense, values.concat(std::move(operands), along)};
}

Val ModelSema::fillCall(const Expr &expr, double number) {
  Shape shape;
  for (const Argument &argument : expr.arguments) {
    auto size = positive(*argument.value);
    if (!size)
      return {};
    shape.push_back(*size);
  }
  values.place(userPlace(expr.span));
  return {Val::Dense, values.fill(values.constant(number), shape)};
}

// ---- Between the scopes ----

/// split(x, H) and merge(x). The operand is evaluated in the other scope.
Val ModelSema::headsCall(const Expr &expr) {
  bool split = expr.name == "split";
  if (context.env || !model->heads || context.perHead != split) {
    error("heads-call", expr.span,
          "'" + expr.name + "' " + (split ? "stands inside" : "joins values of") + " a heads scope" +
              (context.env    ? ", not in a fn"
               : model->heads ? ""
                              : ", and the model has none"))
        .note("inside 'heads H { ... }', 'split(x[t], H)' takes one head's part of an outer value; outside, "
              "'merge(o[t])' joins the "
              "heads");
    return {};
  }
  if (split) {
    auto count = dim(*expr.arguments[1].value);
    if (!count)
      return {};
    if (*count != *model->heads) {
      error("heads-count", expr.arguments[1].value->span,
            "expected '" + model->heads->str() + "' heads, got '" + count->str() + "'")
          .note("the count is the one of the heads scope");
      return {};
    }
  }
  context.perHead = !split;
  values.scope(!split);
  auto operand = dense(this->expr(*expr.arguments[0].value), expr.arguments[0].value->span);
  context.perHead = split;
  values.scope(split);
  if (!operand)
    return {};
  if (values.get(*operand).type.elem == Elem::Truth) {
    error("truth-value", expr.span,
          "expected a number, got the truth value '" + excerpt(expr.arguments[0].value->span) + "'")
        .note("turn it into numbers with 'select(condition, 1, 0)'");
    return {};
  }
  provide(*operand, !split, expr.arguments[0].value->span);
  values.place(userPlace(expr.span));
  return split ? splitValue(expr, *operand) : mergeValue(expr, *operand);
}

Val ModelSema::splitValue(const Expr &expr, ValueId operand) {
  Shape shape = values.shape(operand);
  auto part = shape.empty() ? std::nullopt : shape[0].exactDivide(*model->heads);
  if (!part) {
    error("split-mismatch", expr.span,
          "'" + excerpt(expr.span) + "' cannot part shape '" + str(shape) + "' into '" + model->heads->str() +
              "' heads")
        .note("the value has shape '" + str(shape) + "'", expr.arguments[0].value->span)
        .note("the first axis must be a multiple of the count, such as '[" + model->heads->str() + "*K]'");
    return {};
  }
  shape[0] = *part;
  if (part->asConstant() == 1)
    shape.erase(shape.begin());
  return {Val::Dense, values.split(operand, std::move(shape))};
}

Val ModelSema::mergeValue(const Expr &expr, ValueId operand) {
  Shape shape = values.shape(operand);
  if (shape.empty())
    shape.push_back(*model->heads);
  else
    shape[0] = shape[0] * *model->heads;
  if (!shape[0].isValid()) {
    error("size-too-large", expr.span, "the size of '" + excerpt(expr.span) + "' is too large")
        .note("sizes are sums of a few products with 64-bit factors");
    return {};
  }
  return {Val::Dense, values.merge(operand, std::move(shape))};
}

/// Makes the operand of a split or a merge a value that a scan gives out: a tensor that lies in the scope already, or an equation.
void ModelSema::provide(ValueId operand, bool perHead, Span span) {
  const Value &value = values.get(operand);
  bool tensor = value.kind == ValueKind::Input || value.kind == ValueKind::Param;
  if (tensor && model->tensors[value.index].perHead == perHead &&
      model->tensors[value.index].sharing != Sharing::PerGroup)
    return;
  for (const TypedEquation &equation : model->equations)
    if (equation.value == operand && equation.perHead == perHead && (equation.timeVarying || equation.hidden))
      return;
  model->equations.push_back({"", span, operand, true, perHead, true});
}

} // namespace rondo::frontend
