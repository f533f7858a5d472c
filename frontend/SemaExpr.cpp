// Operators: arithmetic, comparisons, `@`, powers, subscripts, and what stays a structured matrix.
#include "frontend/SemaModel.h"
#include <algorithm>
#include <cmath>

namespace rondo::frontend {

Val ModelSema::expr(const Expr &expr) {
  if (depth >= maxDepth) {
    error("expression-too-deep", expr.span, "the expression nests too deeply")
        .note("name a part of it in an equation of its own; inlined fns count too");
    return {};
  }
  if (values.overflowed()) {
    if (!tooLarge)
      error("model-too-large", expr.span,
            "the model computes more than " + std::to_string(ValueBuilder::maxValues) + " values")
          .note("use fewer layers or smaller literals");
    tooLarge = true;
    return {};
  }
  ++depth;
  values.place(userPlace(expr.span));
  Val result;
  switch (expr.kind) {
  case ExprKind::Number:
    result = {Val::Dense, values.constant(expr.number)};
    break;
  case ExprKind::Name:
    result = name(expr);
    break;
  case ExprKind::At:
    result = at(expr);
    break;
  case ExprKind::Subscript:
    result = subscript(expr);
    break;
  case ExprKind::Unary:
    result = unary(expr);
    break;
  case ExprKind::Binary:
    result = binary(expr);
    break;
  case ExprKind::Call:
    result = call(expr);
    break;
  case ExprKind::Array:
    result = array(expr);
    break;
  }
  --depth;
  return result;
}

// ---- Kinds of values ----

bool ModelSema::isMatrixLike(Val value) const {
  return value.kind == Val::Matrix || (value.kind == Val::Dense && values.shape(value.id).size() == 2 &&
                                       values.get(value.id).type.elem != Elem::Truth);
}

MatrixId ModelSema::matrix(Val value) { return value.kind == Val::Matrix ? value.id : matrices.dense(value.id); }

MatrixShape ModelSema::matrixShape(Val value) const {
  if (value.kind == Val::Matrix)
    return matrices.shape(value.id);
  return {values.shape(value.id)[0], values.shape(value.id)[1]};
}

std::string ModelSema::shapeText(Val value) const {
  if (value.kind == Val::Dense)
    return str(values.shape(value.id));
  const MatrixShape &shape = matrices.shape(value.id);
  return shape.isOpen() ? "that of I" : "[" + shape.rows->str() + ", " + shape.columns->str() + "]";
}

Val ModelSema::matrixVal(MatrixId id, Span span) {
  if (!matrices.tooLarge(id))
    return {Val::Matrix, id};
  error("matrix-too-large", span, "the structured matrix has too many terms")
      .note("apply the factors one after another, each in an equation of its own: 'X[t] = A @ S[t-1]'");
  return {};
}

std::optional<ValueId> ModelSema::dense(Val value, Span span, const Shape *like) {
  if (value.kind == Val::Error)
    return std::nullopt;
  if (value.kind == Val::Dense)
    return value.id;
  std::optional<DimExpr> size;
  if (like && like->size() == 2 && (*like)[0] == (*like)[1])
    size = (*like)[0];
  if (matrices.shape(value.id).isOpen() && !size) {
    error("identity-shape", span, "the size of 'I' in '" + excerpt(span) + "' cannot be inferred")
        .note("'I' takes its size from what it is added to, multiplied with or assigned to, which must be a square "
              "matrix");
    return std::nullopt;
  }
  return matrices.materialise(value.id, size);
}

// ---- Elementwise ----

namespace {

bool wantsTruth(MapFn fn) { return fn == MapFn::Not || fn == MapFn::And || fn == MapFn::Or; }

bool wantsReal(MapFn fn) {
  switch (fn) {
  case MapFn::Expm1:
  case MapFn::Log1p:
  case MapFn::Erf:
  case MapFn::Sign:
  case MapFn::Floor:
  case MapFn::Max:
  case MapFn::Min:
  case MapFn::Complex:
  case MapFn::Lt:
  case MapFn::Le:
    return true;
  default:
    return false;
  }
}

std::string shapeAdvice() {
  return "elementwise operations take equal shapes, or a scalar on one side; '@', 'outer' and 'diag' combine different "
         "ones";
}

} // namespace

/// map(fn, operands), after checking kinds and shapes; `parts` are the operands' expressions.
std::optional<ValueId> ModelSema::mapChecked(MapFn fn, std::vector<ValueId> operands, const Expr &expr,
                                             const std::vector<const Expr *> &parts) {
  const Shape *shape = nullptr;
  size_t shaped = 0;
  for (size_t i = 0; i < operands.size(); ++i) {
    const ValueType &type = values.get(operands[i]).type;
    bool truth = type.elem == Elem::Truth, wanted = wantsTruth(fn) || (fn == MapFn::Select && i == 0);
    if (truth != wanted) {
      error("truth-value", parts[i]->span,
            wanted ? "expected a truth value, got the number '" + excerpt(parts[i]->span) + "'"
                   : "expected a number, got the truth value '" + excerpt(parts[i]->span) + "'")
          .note(wanted ? "write a comparison: 'x > 0'" : "turn it into numbers with 'select(condition, 1, 0)'");
      return std::nullopt;
    }
    if (type.elem == Elem::Complex && wantsReal(fn)) {
      error("complex-argument", parts[i]->span,
            "'" + std::string(spelling(fn)) + "' takes real numbers, '" + excerpt(parts[i]->span) + "' is complex")
          .note("take 'real', 'imag' or 'abs' of it first");
      return std::nullopt;
    }
    if (type.shape.empty())
      continue;
    if (shape && *shape != type.shape) {
      error("shape-mismatch", expr.span,
            "expected shape '" + str(*shape) + "' in '" + excerpt(expr.span) + "', got '" + str(type.shape) + "'")
          .note("'" + excerpt(parts[shaped]->span) + "' has shape '" + str(*shape) + "'", parts[shaped]->span)
          .note("'" + excerpt(parts[i]->span) + "' has shape '" + str(type.shape) + "'", parts[i]->span)
          .note(shapeAdvice());
      return std::nullopt;
    }
    if (!shape)
      shaped = i;
    shape = &values.shape(operands[i]);
  }
  values.place(userPlace(expr.span));
  return values.map(fn, std::move(operands));
}

Val ModelSema::elementwise(const Expr &expr, MapFn fn, Val left, Val right) {
  const Expr &leftExpr = *expr.args[0], &rightExpr = *expr.args[1];
  // Each side gives the size of an `I` on the other.
  auto likeOf = [&](Val other) -> std::optional<Shape> {
    if (!isMatrixLike(other) || (other.kind == Val::Matrix && matrices.shape(other.id).isOpen()))
      return std::nullopt;
    MatrixShape shape = matrixShape(other);
    return Shape{*shape.rows, *shape.columns};
  };
  auto likeLeft = likeOf(right), likeRight = likeOf(left);
  auto a = dense(left, leftExpr.span, likeLeft ? &*likeLeft : nullptr);
  auto b = a ? dense(right, rightExpr.span, likeRight ? &*likeRight : nullptr) : std::nullopt;
  if (!b)
    return {};
  bool swap = expr.name == ">" || expr.name == ">=";
  auto result = swap ? mapChecked(fn, {*b, *a}, expr, {&rightExpr, &leftExpr})
                     : mapChecked(fn, {*a, *b}, expr, {&leftExpr, &rightExpr});
  return result ? Val{Val::Dense, *result} : Val();
}

/// Sums and scalings that keep a matrix structured; Error without a report where the operation is elementwise instead.
Val ModelSema::structured(const Expr &expr, MapFn fn, Val left, Val right) {
  if (left.kind != Val::Matrix && right.kind != Val::Matrix)
    return {};
  if (fn == MapFn::Add || fn == MapFn::Sub) {
    if (!isMatrixLike(left) || !isMatrixLike(right) || !matrices.sumShape(matrixShape(left), matrixShape(right)))
      return {};
    MatrixId x = matrix(left), y = matrix(right);
    return matrixVal(matrices.sum(fn, x, y), expr.span);
  }
  auto isFactor = [&](Val value) { return isScalar(value) && values.get(value.id).type.elem != Elem::Truth; };
  if (fn == MapFn::Mul && isFactor(left))
    return matrixVal(matrices.scale(fn, left.id, right.id), expr.span);
  if ((fn == MapFn::Mul || fn == MapFn::Div) && left.kind == Val::Matrix && isFactor(right))
    return matrixVal(matrices.scale(fn, right.id, left.id), expr.span);
  return {};
}

Val ModelSema::unary(const Expr &expr) {
  Val operand = this->expr(*expr.args[0]);
  if (operand.kind == Val::Matrix)
    return matrixVal(matrices.negate(operand.id), expr.span);
  if (!operand)
    return {};
  auto result = mapChecked(MapFn::Neg, {operand.id}, expr, {expr.args[0].get()});
  return result ? Val{Val::Dense, *result} : Val();
}

Val ModelSema::binary(const Expr &expr) {
  Val left = this->expr(*expr.args[0]);
  Val right = this->expr(*expr.args[1]);
  if (!left || !right)
    return {};
  values.place(userPlace(expr.span));
  return combine(expr, left, right);
}

Val ModelSema::combine(const Expr &expr, Val left, Val right) {
  static const std::map<std::string, MapFn> operators = {
      {"+", MapFn::Add}, {"-", MapFn::Sub}, {"*", MapFn::Mul}, {"/", MapFn::Div}, {"<", MapFn::Lt},
      {"<=", MapFn::Le}, {">", MapFn::Lt},  {">=", MapFn::Le}, {"==", MapFn::Eq}, {"!=", MapFn::Ne}};
  if (expr.name == "@")
    return contract(expr, left, right);
  if (expr.name == "^")
    return power(expr, left, right);
  MapFn fn = operators.at(expr.name);
  size_t before = diagnostics.errorCount();
  Val kept = structured(expr, fn, left, right);
  if (kept || diagnostics.errorCount() != before)
    return kept;
  return elementwise(expr, fn, left, right);
}

// ---- Contraction ----

Val ModelSema::contract(const Expr &expr, Val left, Val right) {
  const Expr *sides[] = {expr.args[0].get(), expr.args[1].get()};
  Val operands[] = {left, right};
  for (int i = 0; i < 2; ++i)
    if (operands[i].kind == Val::Dense &&
        (isScalar(operands[i]) || values.get(operands[i].id).type.elem == Elem::Truth)) {
      error("contraction-operand", sides[i]->span,
            "'@' takes vectors and matrices, '" + excerpt(sides[i]->span) + "' is a " +
                (isScalar(operands[i]) ? "scalar" : "truth value"))
          .note("scale with '*'");
      return {};
    }
  std::optional<DimExpr> inner =
      left.kind == Val::Matrix ? matrices.shape(left.id).columns : values.shape(left.id).back();
  std::optional<DimExpr> outer =
      right.kind == Val::Matrix ? matrices.shape(right.id).rows : values.shape(right.id).front();
  if (inner && outer && *inner != *outer) {
    bool vector = right.kind == Val::Dense && values.shape(right.id).size() == 1;
    error("contraction-mismatch", expr.span,
          "expected '" + inner->str() + "' " + (vector ? "elements" : "rows") + " in '" + excerpt(expr.span) +
              "', got '" + outer->str() + "'")
        .note("'" + excerpt(sides[0]->span) + "' has shape '" + shapeText(left) + "'", sides[0]->span)
        .note("'" + excerpt(sides[1]->span) + "' has shape '" + shapeText(right) + "'", sides[1]->span)
        .note("'A @ B' sums over the last axis of A and the first of B, which must be one dimension; 'transpose(A)' "
              "swaps the axes");
    return {};
  }
  if (left.kind == Val::Matrix && right.kind == Val::Matrix)
    return matrixVal(matrices.product(left.id, right.id), expr.span);
  if (left.kind == Val::Matrix)
    return {Val::Dense, matrices.actLeft(left.id, right.id)};
  if (right.kind == Val::Matrix)
    return {Val::Dense, matrices.actRight(left.id, right.id)};
  if (values.shape(left.id).size() + values.shape(right.id).size() > 10) {
    error("too-many-axes", expr.span, "expected at most 8 axes in '" + excerpt(expr.span) + "'")
        .note("contract fewer axes at once");
    return {};
  }
  return {Val::Dense, values.product(left.id, right.id)};
}

// ---- Powers ----

/// x^n by repeated squaring.
Val ModelSema::powerOf(ValueId base, int64_t exponent) {
  if (exponent == 0)
    return {Val::Dense, values.fill(values.constant(1.0), values.shape(base))};
  ValueId square = base;
  std::optional<ValueId> result;
  for (uint64_t rest = uint64_t(exponent < 0 ? -exponent : exponent); rest; rest >>= 1) {
    if (rest & 1)
      result = result ? values.map(MapFn::Mul, {*result, square}) : square;
    if (rest > 1)
      square = values.map(MapFn::Mul, {square, square});
  }
  return {Val::Dense, exponent < 0 ? values.map(MapFn::Div, {values.constant(1.0), *result}) : *result};
}

Val ModelSema::power(const Expr &expr, Val base, Val exponent) {
  auto a = dense(base, expr.args[0]->span);
  auto b = a ? dense(exponent, expr.args[1]->span) : std::nullopt;
  if (!b)
    return {};
  auto fixed = values.realConstant(*b);
  bool integer = fixed && *fixed == std::floor(*fixed) && std::fabs(*fixed) <= 64;
  if (integer && values.get(*a).type.elem != Elem::Truth)
    return powerOf(*a, int64_t(*fixed));
  auto result = mapChecked(MapFn::Pow, {*a, *b}, expr, {expr.args[0].get(), expr.args[1].get()});
  return result ? Val{Val::Dense, *result} : Val();
}

// ---- Literals ----

/// One constant, when all elements are constants; Error without a report when they are not.
Val ModelSema::constantArray(const std::vector<ValueId> &elements, Span span) {
  std::vector<std::complex<double>> data;
  Elem elem = Elem::Real;
  for (ValueId element : elements) {
    const Value &value = values.get(element);
    if (value.kind != ValueKind::Constant || value.type.elem == Elem::Truth)
      return {};
    if (value.type.elem == Elem::Complex)
      elem = Elem::Complex;
    data.insert(data.end(), value.data.begin(), value.data.end());
    literalElements += value.data.size();
    if (data.size() > maxElements || literalElements > 16 * maxElements) {
      error("array-too-large", span, "expected 1 to " + std::to_string(maxElements) + " elements in an array literal")
          .note("give it to the model as a 'param'");
      return {};
    }
  }
  Shape shape = values.shape(elements[0]);
  shape.insert(shape.begin(), DimExpr::constant(int64_t(elements.size())));
  return {Val::Dense, values.array(std::move(shape), std::move(data), elem)};
}

Val ModelSema::array(const Expr &expr) {
  if (expr.args.empty() || expr.args.size() > maxElements) {
    error("array-too-large", expr.span,
          "expected 1 to " + std::to_string(maxElements) + " elements in an array literal")
        .note("give it to the model as a 'param'");
    return {};
  }
  std::vector<ValueId> elements;
  bool failed = false;
  for (const ExprPtr &arg : expr.args) {
    auto element = dense(this->expr(*arg), arg->span);
    failed |= !element;
    if (element && !elements.empty() && values.shape(*element) != values.shape(elements[0])) {
      error("array-elements", arg->span,
            "expected an element of shape '" + str(values.shape(elements[0])) + "', got '" +
                str(values.shape(*element)) + "'")
          .note("the first element is here", expr.args[0]->span)
          .note("the elements of an array have one shape; 'concat' joins arrays of different lengths");
      return {};
    }
    if (element && !failed)
      elements.push_back(*element);
  }
  if (failed)
    return {};
  values.place(userPlace(expr.span));
  size_t before = diagnostics.errorCount();
  Val constant = constantArray(elements, expr.span);
  if (constant || diagnostics.errorCount() != before)
    return constant;
  Shape row = values.shape(elements[0]);
  row.insert(row.begin(), DimExpr::constant(1));
  for (size_t i = 0; i < elements.size(); ++i) {
    if (values.get(elements[i]).type.elem == Elem::Truth) {
      error("truth-value", expr.args[i]->span,
            "expected a number, got the truth value '" + excerpt(expr.args[i]->span) + "'")
          .note("turn it into numbers with 'select(condition, 1, 0)'");
      return {};
    }
    elements[i] = values.broadcast(elements[i], row, {0});
  }
  return {Val::Dense, values.concat(std::move(elements), 0)};
}

// ---- Subscripts ----

std::optional<ValueId> ModelSema::subscriptAxis(ValueId base, size_t axis, const Subscript &subscript) {
  DimExpr size = values.shape(base)[axis];
  std::optional<DimExpr> begin = subscript.begin ? dim(*subscript.begin) : DimExpr();
  std::optional<DimExpr> end = subscript.end ? dim(*subscript.end) : size;
  if (!begin || !end)
    return std::nullopt;
  if (!subscript.isSlice)
    end = *begin + DimExpr::constant(1);
  auto start = begin->asConstant(), length = (*end - *begin).asConstant(), rest = (size - *end).asConstant();
  if ((start && *start < 0) || (length && *length < 1) || (rest && *rest < 0)) {
    error("out-of-range", subscript.span,
          "'" + excerpt(subscript.span) + "' is not inside an axis of '" + size.str() + "' elements")
        .note("elements count from 0, and a slice 'a:b' ends before b");
    return std::nullopt;
  }
  return values.slice(base, int64_t(axis), *begin, *end - *begin, !subscript.isSlice);
}

/// `x[t]` in a fn's body, where the parser sees no axes.
bool ModelSema::timeInFn(const Expr &expr) {
  const Expr *first = expr.subscripts.empty() || expr.subscripts[0].isSlice ? nullptr : expr.subscripts[0].begin.get();
  while (first && first->kind == ExprKind::Binary)
    first = first->args[0].get();
  if (!context.env || !first || first->kind != ExprKind::Name || context.env->values.count(first->name) ||
      context.env->dims.count(first->name) ||
      std::find(model->axes.begin(), model->axes.end(), first->name) == model->axes.end())
    return false;
  error("time-in-fn", expr.span, "a fn's body has no time")
      .note("its parameters are values: pass 'x[t]' as the argument");
  return true;
}

Val ModelSema::subscript(const Expr &expr) {
  if (timeInFn(expr))
    return {};
  auto base = dense(this->expr(*expr.args[0]), expr.args[0]->span);
  if (!base)
    return {};
  size_t rank = values.shape(*base).size();
  if (expr.subscripts.size() > rank) {
    error("too-many-subscripts", expr.span,
          "'" + excerpt(expr.args[0]->span) + "' has " + std::to_string(rank) + (rank == 1 ? " axis" : " axes") +
              ", got " + std::to_string(expr.subscripts.size()) + " subscripts")
        .note("its shape is '" + str(values.shape(*base)) + "'", expr.args[0]->span)
        .note("time stands in brackets of its own, before the elements: 'x[t][0]'");
    return {};
  }
  values.place(userPlace(expr.span));
  size_t axis = 0;
  for (const Subscript &subscript : expr.subscripts) {
    base = subscriptAxis(*base, axis, subscript);
    if (!base)
      return {};
    axis += subscript.isSlice;
  }
  return {Val::Dense, *base};
}

} // namespace rondo::frontend
