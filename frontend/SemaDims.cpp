// Sizes: expressions over dimension names and integers, the shapes of types, and their unification with a fn's parameters.
#include "frontend/SemaModel.h"
#include <cmath>

namespace rondo::frontend {

std::optional<DimExpr> ModelSema::dimName(const Expr &expr) {
  if (context.env) {
    if (auto bound = context.env->dims.find(expr.name); bound != context.env->dims.end())
      return bound->second;
    if (auto value = context.env->values.find(expr.name);
        value != context.env->values.end() && value->second.kind == Val::Dense)
      if (auto number = values.realConstant(value->second.id);
          number && *number == std::floor(*number) && std::fabs(*number) < 1e9)
        return DimExpr::constant(int64_t(*number));
  } else {
    for (const std::string &dim : model->dims)
      if (dim == expr.name)
        return DimExpr::symbol(dim);
  }
  std::string known;
  for (const std::string &dim : context.env ? std::vector<std::string>() : model->dims)
    known += (known.empty() ? "'" : ", '") + dim + "'";
  error("unknown-dimension", expr.span, "there is no dimension '" + expr.name + "'")
      .note(known.empty() ? "sizes are integers and the dimensions that a model declares: 'model name<K, V>'"
                          : "the model has " + known + "; further ones go between '<' and '>' behind the model's name");
  return std::nullopt;
}

std::optional<DimExpr> ModelSema::dimOperator(const Expr &expr, const DimExpr &a, const DimExpr &b) {
  if (expr.name == "/") {
    if (auto quotient = a.exactDivide(b))
      return quotient;
    error("inexact-division", expr.span, "'" + a.str() + "' is not a multiple of '" + b.str() + "'")
        .note("sizes divide exactly, as '2*H*K / H' does; declare the quotient as a dimension and write the product");
    return std::nullopt;
  }
  DimExpr result = expr.name == "+" ? a + b : expr.name == "-" ? a - b : a * b;
  if (result.isValid())
    return result;
  error("size-too-large", expr.span, "the size '" + excerpt(expr.span) + "' is too large")
      .note("sizes are sums of a few products with 64-bit factors");
  return std::nullopt;
}

std::optional<DimExpr> ModelSema::dim(const Expr &expr) {
  switch (expr.kind) {
  case ExprKind::Number:
    if (expr.number == std::floor(expr.number) && std::fabs(expr.number) < 1e15)
      return DimExpr::constant(int64_t(expr.number));
    break;
  case ExprKind::Name:
    return dimName(expr);
  case ExprKind::Unary: {
    auto operand = dim(*expr.args[0]);
    return operand ? std::optional(DimExpr() - *operand) : std::nullopt;
  }
  case ExprKind::Binary:
    if (expr.name == "+" || expr.name == "-" || expr.name == "*" || expr.name == "/") {
      auto left = dim(*expr.args[0]);
      auto right = left ? dim(*expr.args[1]) : std::nullopt;
      return right ? dimOperator(expr, *left, *right) : std::nullopt;
    }
    break;
  default:
    break;
  }
  error("bad-size", expr.span, "expected a size, got '" + excerpt(expr.span) + "'")
      .note("sizes are made of integers and dimensions with + - * /");
  return std::nullopt;
}

std::optional<DimExpr> ModelSema::positive(const Expr &expr) {
  auto size = dim(expr);
  if (!size)
    return std::nullopt;
  if (auto fixed = size->asConstant(); fixed && (*fixed < 1 || *fixed > INT32_MAX)) {
    error("bad-size", expr.span, "expected a size from 1 to 2147483647, got '" + size->str() + "'")
        .note("a scalar has no axes: write '[]'");
    return std::nullopt;
  }
  return size;
}

std::optional<ValueType> ModelSema::type(const TypeExpr &type) {
  ValueType result;
  result.elem = type.isComplex ? Elem::Complex : Elem::Real;
  if (type.dims.size() > 8) {
    error("too-many-axes", type.span, "expected at most 8 axes, got " + std::to_string(type.dims.size()))
        .note("merge some of them: sizes may be products such as 'H*K'");
    return std::nullopt;
  }
  for (const ExprPtr &entry : type.dims) {
    auto size = entry ? positive(*entry) : std::nullopt;
    if (!size)
      return std::nullopt;
    result.shape.push_back(*size);
  }
  return result;
}

/// Makes `pattern` equal to `size`, binding at most one new dimension of the fn: `N`, `2*N`.
bool ModelSema::unify(const Expr &pattern, const DimExpr &size, Env &env) {
  std::string unbound;
  std::vector<const Expr *> work = {&pattern};
  while (!work.empty()) {
    const Expr *expr = work.back();
    work.pop_back();
    if (expr->kind == ExprKind::Name && !env.dims.count(expr->name)) {
      if (!unbound.empty() && unbound != expr->name)
        return false;
      unbound = expr->name;
    }
    for (const ExprPtr &arg : expr->args)
      work.push_back(arg.get());
  }
  if (!unbound.empty())
    env.dims[unbound] = DimExpr::symbol(unbound + ".");
  const Env *outer = context.env;
  context.env = &env;
  auto wanted = dim(pattern);
  context.env = outer;
  if (!wanted)
    return false;
  if (unbound.empty())
    return *wanted == size;
  DimExpr symbol = DimExpr::symbol(unbound + ".");
  auto factor = wanted->exactDivide(symbol);
  auto solution = factor ? size.exactDivide(*factor) : std::nullopt;
  if (solution)
    env.dims[unbound] = *solution;
  else
    env.dims.erase(unbound);
  return solution.has_value();
}

} // namespace rondo::frontend
