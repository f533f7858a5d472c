// Deep copies of expressions; the rest of the tree is plain data.
#include "frontend/Ast.h"

namespace rondo::frontend {

static ExprPtr cloneOrNull(const ExprPtr &expr) { return expr ? expr->clone() : nullptr; }

ExprPtr Expr::clone() const {
  auto copy = std::make_unique<Expr>();
  copy->kind = kind;
  copy->span = span;
  copy->name = name;
  copy->number = number;
  copy->spelling = spelling;
  copy->height = height;
  for (const ExprPtr &arg : args)
    copy->args.push_back(cloneOrNull(arg));
  for (const TimeIndex &time : times)
    copy->times.push_back({time.span, time.axis, time.sign, cloneOrNull(time.distance)});
  for (const Subscript &sub : subscripts)
    copy->subscripts.push_back({sub.span, sub.isSlice, cloneOrNull(sub.begin), cloneOrNull(sub.end)});
  for (const Argument &argument : arguments)
    copy->arguments.push_back({argument.name, cloneOrNull(argument.value)});
  return copy;
}

} // namespace rondo::frontend
