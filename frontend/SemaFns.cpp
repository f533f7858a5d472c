// Inlining of fns: each call binds its arguments and evaluates the body anew, so that a fn works for every shape.
#include "frontend/SemaModel.h"
#include <algorithm>

namespace rondo::frontend {
namespace {

std::string signature(const Fn &fn) {
  std::string text = fn.name + "(";
  for (size_t i = 0; i < fn.params.size(); ++i)
    text += (i ? ", " : "") + fn.params[i].name + (fn.params[i].defaultValue ? " = ..." : "");
  return text + ")";
}

} // namespace

bool ModelSema::bindArguments(const Expr &expr, const Fn &fn, Env &env) {
  size_t position = 0;
  for (const Argument &argument : expr.arguments) {
    std::string name = !argument.name.empty()        ? argument.name
                       : position < fn.params.size() ? fn.params[position].name
                                                     : "";
    if (argument.name.empty())
      ++position;
    bool known =
        std::any_of(fn.params.begin(), fn.params.end(), [&](const FnParam &param) { return param.name == name; });
    if (!known || env.values.count(name)) {
      bool twice = env.values.count(name);
      error(twice || name.empty() ? "argument-count" : "unknown-argument", argument.value->span,
            twice          ? "parameter '" + name + "' of '" + fn.name + "' is given twice"
            : name.empty() ? "'" + fn.name + "' takes " + std::to_string(fn.params.size()) + " arguments, got " +
                                 std::to_string(expr.arguments.size())
                           : "'" + fn.name + "' has no parameter '" + name + "'")
          .note("it is defined as '" + signature(fn) + "'", fn.nameSpan)
          .note("arguments are given by position or by name, each once");
      return false;
    }
    Val value = this->expr(*argument.value);
    if (!value)
      return false;
    env.values[name] = value;
  }
  return true;
}

/// Checks an argument against the parameter's type and binds the type's dimensions.
bool ModelSema::bindTyped(const Expr &expr, const FnParam &param, Env &env) {
  Val &value = env.values.at(param.name);
  if (!param.type)
    return true;
  const TypeExpr &wanted = *param.type;
  std::optional<Shape> like;
  if (wanted.dims.size() == 2 && value.kind == Val::Matrix)
    for (const ExprPtr &entry : wanted.dims)
      if (auto size = env.dims.find(entry->name); entry->kind == ExprKind::Name && size != env.dims.end())
        like = Shape{size->second, size->second};
  auto array = dense(value, expr.span, like ? &*like : nullptr);
  if (!array)
    return false;
  ValueType given = values.get(*array).type;
  bool fits = given.shape.size() == wanted.dims.size() && given.elem != Elem::Truth &&
              !(given.elem == Elem::Complex && !wanted.isComplex);
  size_t before = diagnostics.errorCount();
  for (size_t i = 0; fits && i < given.shape.size(); ++i)
    fits = unify(*wanted.dims[i], given.shape[i], env);
  if (!fits) {
    if (diagnostics.errorCount() == before)
      error("argument-type", expr.span,
            "expected '" + excerpt(wanted.span) + "' for parameter '" + param.name + "', got '" + str(given) + "'")
          .note("the parameter is declared here", param.span)
          .note("a name in a parameter's type is one size in all the parameters");
    return false;
  }
  value = {Val::Dense, wanted.isComplex ? values.toComplex(*array) : *array};
  return true;
}

Val ModelSema::runBody(const Fn &fn, Env &env) {
  for (const Let &let : fn.lets) {
    Val value = expr(*let.value);
    if (!value)
      return {};
    env.values[let.name] = value;
  }
  return fn.result ? expr(*fn.result) : Val();
}

Val ModelSema::callFn(const Expr &call, Found<Fn> found) {
  const Fn &fn = *found.item;
  auto active = std::find_if(calls.begin(), calls.end(), [&](const Call &entry) { return entry.fn == &fn; });
  if (active != calls.end()) {
    std::string text;
    for (; active != calls.end(); ++active)
      text += "'" + active->fn->name + "' → ";
    error("recursive-fn", call.span, "a fn calls itself: " + text + "'" + fn.name + "'")
        .note("fns are inlined, so they cannot recur; a recurrence over time is a 'state'");
    return {};
  }
  if (++callCount > maxCalls) {
    error("too-many-calls", call.span, "the model inlines more than " + std::to_string(maxCalls) + " calls")
        .note("give the result of a call a name and use that twice, instead of calling twice");
    return {};
  }
  Env env;
  env.fn = &fn;
  if (!bindArguments(call, fn, env))
    return {};
  Context caller = context;
  context.home = found.home;
  context.env = &env;
  calls.push_back({&fn, found.home, call.span});
  Val result;
  bool good = true;
  for (const FnParam &param : fn.params) {
    if (!good)
      break;
    if (!env.values.count(param.name)) {
      if (!param.defaultValue) {
        calls.pop_back();
        error("argument-count", call.span, "'" + fn.name + "' needs a value for parameter '" + param.name + "'")
            .note("it is defined as '" + signature(fn) + "'", fn.nameSpan)
            .note("only parameters with a default may be left out");
        context = caller;
        return {};
      }
      Val value = expr(*param.defaultValue);
      if (!value)
        good = false;
      else
        env.values[param.name] = value;
    }
    good = good && bindTyped(call, param, env);
  }
  if (good)
    result = runBody(fn, env);
  calls.pop_back();
  context = caller;
  return result;
}

} // namespace rondo::frontend
