// Writing layers out; see Elaborate.h.
#include "frontend/Elaborate.h"
#include <algorithm>

namespace rondo::frontend {
namespace {

std::string firstPart(const std::string &name) { return name.substr(0, name.find('.')); }

ExprPtr nameExpr(const std::string &name, Span span) {
  auto expr = std::make_unique<Expr>();
  expr->kind = ExprKind::Name;
  expr->name = name;
  expr->span = span;
  return expr;
}

std::string cycleText(const std::vector<const Model *> &active, const Model *again) {
  std::string text;
  for (auto it = std::find(active.begin(), active.end(), again); it != active.end(); ++it)
    text += "'" + (*it)->name + "' → ";
  return text + "'" + again->name + "'";
}

} // namespace

FlatModel Elaborator::run(const Model &model, const FileScope *home) {
  Instance top;
  top.model = &model;
  top.home = home;
  top.axes = model.axes;
  flat.model = &model;
  active.push_back(&model);
  body(model.body, top, false);
  active.pop_back();
  return std::move(flat);
}

bool Elaborator::tooLarge(Span span) {
  if (flat.decls.size() + flat.states.size() + flat.equations.size() < maxItems)
    return false;
  diagnostics
      .error("model-too-large", span,
             "the model has more than " + std::to_string(maxItems) + " equations and declarations")
      .note("layers are written out in full; use fewer of them, or a scan over the layers");
  return true;
}

void Elaborator::collectNames(const ModelBody &body, Instance &instance) {
  for (const Decl &decl : body.decls)
    instance.names.insert(decl.names.begin(), decl.names.end());
  for (const StateDecl &state : body.states)
    instance.names.insert(state.name);
  for (const Equation &equation : body.equations)
    instance.names.insert(firstPart(equation.name));
  for (const Layer &layer : body.layers)
    instance.names.insert(layer.name);
  for (const Heads &heads : body.heads)
    if (heads.body)
      collectNames(*heads.body, instance);
}

void Elaborator::body(const ModelBody &body, Instance &instance, bool perHead) {
  for (const Decl &item : body.decls)
    decl(item, instance, perHead);
  for (const StateDecl &state : body.states) {
    if (tooLarge(state.span))
      return;
    ExprPtr initial = state.initial ? rewrite(*state.initial, instance) : nullptr;
    flat.states.push_back({instance.prefix + state.name, state.nameSpan, rewrite(state.type, instance),
                           std::move(initial), perHead, instance.home});
  }
  for (const Equation &item : body.equations)
    equation(item, instance, perHead);
  if (instance.prefix.empty())
    for (const Output &output : body.outputs) {
      flat.outputs.push_back(output);
      flat.outputPerHead.push_back(perHead);
    }
  for (const Layer &item : body.layers)
    layer(item, instance, perHead);
  for (const Heads &heads : body.heads) {
    if (perHead)
      diagnostics.error("nested-heads", heads.span, "a heads scope inside a heads scope")
          .note("heads are one axis; write the inner axis as a dimension of the values");
    else if (heads.body && heads.count) {
      flat.headCounts.push_back(rewrite(*heads.count, instance));
      this->body(*heads.body, instance, true);
    }
  }
}

void Elaborator::decl(const Decl &decl, Instance &instance, bool perHead) {
  for (size_t i = 0; i < decl.names.size(); ++i) {
    if (tooLarge(decl.span))
      return;
    if (instance.bound.count(decl.names[i]))
      bindDecl(decl, i, instance, perHead);
    else if (decl.kind == DeclKind::Input && !instance.prefix.empty())
      continue; // reported by bindArguments
    else
      flat.decls.push_back({decl.kind, instance.prefix + decl.names[i], decl.nameSpans[i], rewrite(decl.type, instance),
                            decl.interval, decl.sharing, perHead});
  }
}

/// A declaration of a layer's model that the layer binds: inputs and params are equations with a declared type.
void Elaborator::bindDecl(const Decl &decl, size_t index, Instance &instance, bool perHead) {
  const Argument &argument = *instance.bound.at(decl.names[index]);
  if (decl.kind == DeclKind::Init)
    return; // replaced where the state names it
  FlatEquation equation;
  equation.name = instance.prefix + decl.names[index];
  equation.span = argument.value->span;
  equation.timeVarying = decl.kind == DeclKind::Input;
  equation.value = argument.value->clone();
  equation.perHead = perHead;
  equation.home = instance.argumentHome;
  equation.declared = rewrite(decl.type, instance);
  equation.layerInput = decl.kind == DeclKind::Input;
  flat.equations.push_back(std::move(equation));
}

void Elaborator::equation(const Equation &equation, Instance &instance, bool perHead) {
  if (tooLarge(equation.span) || !equation.value)
    return;
  FlatEquation result;
  result.name = instance.prefix + equation.name;
  result.span = equation.nameSpan;
  result.timeVarying = !equation.times.empty();
  auto whole = nameExpr("", equation.span);
  whole->kind = ExprKind::At;
  for (const TimeIndex &time : equation.times)
    whole->times.push_back({time.span, time.axis, time.sign, time.distance ? time.distance->clone() : nullptr});
  rewriteInPlace(whole, instance);
  result.times = std::move(whole->times);
  result.value = rewrite(*equation.value, instance);
  result.perHead = perHead;
  result.home = instance.home;
  flat.equations.push_back(std::move(result));
}

void Elaborator::layer(const Layer &layer, Instance &outer, bool perHead) {
  auto found = files.model(outer.home, layer.model);
  if (!found) {
    diagnostics.error("unknown-model", layer.modelSpan, "there is no model '" + layer.model + "'")
        .note("a layer names a model of this file or of a file that it imports");
    return;
  }
  if (std::find(active.begin(), active.end(), found.item) != active.end() || active.size() >= maxDepth) {
    diagnostics
        .error("recursive-layer", layer.modelSpan, "a model uses itself as a layer: " + cycleText(active, found.item))
        .note("layers are written out when the model is compiled, so they cannot recur");
    return;
  }
  if (found.item->axes.size() != outer.axes.size()) {
    diagnostics
        .error("layer-axes", layer.modelSpan,
               "layer '" + layer.name + "' scans " + std::to_string(found.item->axes.size()) + " axes, the model " +
                   std::to_string(outer.axes.size()))
        .note("the layer's model is here", found.item->nameSpan)
        .note("a layer scans the axes of the model that it stands in");
    return;
  }
  Instance inner;
  inner.model = found.item;
  inner.home = found.home;
  inner.argumentHome = outer.home;
  inner.prefix = outer.prefix + layer.name + ".";
  inner.axes = outer.axes;
  std::vector<Argument> storage;
  storage.reserve(layer.arguments.size());
  if (!bindDims(layer, inner, outer) || !bindArguments(layer, inner, outer, storage))
    return;
  collectNames(found.item->body, inner);
  active.push_back(found.item);
  body(found.item->body, inner, perHead);
  active.pop_back();
}

bool Elaborator::bindDims(const Layer &layer, Instance &inner, Instance &outer) {
  const auto &dims = inner.model->dims;
  std::string wanted;
  for (const DimParam &dim : dims)
    wanted += (wanted.empty() ? "" : ", ") + dim.name;
  for (size_t i = 0; i < layer.dims.size(); ++i) {
    const Argument &argument = layer.dims[i];
    std::string name = !argument.name.empty() ? argument.name : i < dims.size() ? dims[i].name : "";
    bool known = std::any_of(dims.begin(), dims.end(), [&](const DimParam &dim) { return dim.name == name; });
    if (!known || !argument.value || inner.replacement.count(name)) {
      diagnostics
          .error("layer-dims", argument.value ? argument.value->span : layer.span,
                 "model '" + layer.model + "' has no further dimension" + (name.empty() ? "" : " '" + name + "'"))
          .note("its dimensions are <" + wanted + ">", inner.model->nameSpan)
          .note("give each of them once, by name or in this order");
      return false;
    }
    inner.made.push_back(rewrite(*argument.value, outer));
    inner.replacement[name] = inner.made.back().get();
  }
  for (const DimParam &dim : dims)
    if (!inner.replacement.count(dim.name)) {
      diagnostics
          .error("layer-dims", layer.span, "layer '" + layer.name + "' gives no size for dimension '" + dim.name + "'")
          .note("the dimension is declared here", dim.span)
          .note("write 'layer " + layer.name + " = " + layer.model + "<" + dim.name + " = ...>(...)'");
      return false;
    }
  return true;
}

bool Elaborator::bindArguments(const Layer &layer, Instance &inner, Instance &outer, std::vector<Argument> &storage) {
  std::vector<std::string> inputs;
  std::set<std::string> declared;
  std::vector<const ModelBody *> bodies = {&inner.model->body};
  for (const Heads &heads : inner.model->body.heads)
    if (heads.body)
      bodies.push_back(heads.body.get());
  for (const ModelBody *body : bodies)
    for (const Decl &decl : body->decls) {
      declared.insert(decl.names.begin(), decl.names.end());
      if (decl.kind == DeclKind::Input)
        inputs.insert(inputs.end(), decl.names.begin(), decl.names.end());
    }
  for (size_t i = 0; i < layer.arguments.size(); ++i) {
    const Argument &argument = layer.arguments[i];
    std::string name = !argument.name.empty() ? argument.name : i < inputs.size() ? inputs[i] : "";
    if (!argument.value || !declared.count(name) || inner.bound.count(name)) {
      diagnostics
          .error("layer-argument", argument.value ? argument.value->span : layer.span,
                 inner.bound.count(name) ? "'" + name + "' is given twice"
                                         : "model '" + layer.model + "' has no input, param or init '" + name + "'")
          .note("the model is here", inner.model->nameSpan)
          .note("arguments are given by name, 'q = x[t]', or for inputs in the order of their declaration");
      return false;
    }
    storage.push_back({name, rewrite(*argument.value, outer)});
    inner.bound[name] = &storage.back();
  }
  for (const ModelBody *body : bodies)
    for (const Decl &decl : body->decls)
      for (size_t i = 0; i < decl.names.size(); ++i) {
        auto bound = inner.bound.find(decl.names[i]);
        if (decl.kind == DeclKind::Input && bound == inner.bound.end()) {
          diagnostics
              .error("layer-input-missing", layer.span,
                     "layer '" + layer.name + "' gives no value for input '" + decl.names[i] + "'")
              .note("the input is declared here", decl.nameSpans[i])
              .note("add '" + decl.names[i] + " = ...' to the layer's arguments");
          return false;
        }
        if (decl.kind == DeclKind::Init && bound != inner.bound.end())
          inner.replacement[decl.names[i]] = bound->second->value.get();
      }
  return true;
}

ExprPtr Elaborator::rewrite(const Expr &expr, const Instance &instance) {
  ExprPtr copy = expr.clone();
  rewriteInPlace(copy, instance);
  return copy;
}

TypeExpr Elaborator::rewrite(const TypeExpr &type, const Instance &instance) {
  TypeExpr copy;
  copy.span = type.span;
  copy.isComplex = type.isComplex;
  for (const ExprPtr &dim : type.dims)
    if (dim)
      copy.dims.push_back(rewrite(*dim, instance));
  return copy;
}

void Elaborator::rewriteInPlace(ExprPtr &expr, const Instance &instance) {
  if (!expr || instance.prefix.empty())
    return;
  if (expr->kind == ExprKind::Name) {
    auto replaced = instance.replacement.find(expr->name);
    if (replaced != instance.replacement.end())
      expr = replaced->second->clone();
    else if (instance.names.count(firstPart(expr->name)))
      expr->name = instance.prefix + expr->name;
    return;
  }
  for (ExprPtr &arg : expr->args)
    rewriteInPlace(arg, instance);
  for (TimeIndex &time : expr->times) {
    const auto &axes = instance.model->axes;
    auto axis = std::find(axes.begin(), axes.end(), time.axis);
    if (axis != axes.end())
      time.axis = instance.axes[axis - axes.begin()];
    rewriteInPlace(time.distance, instance);
  }
  for (Subscript &subscript : expr->subscripts) {
    rewriteInPlace(subscript.begin, instance);
    rewriteInPlace(subscript.end, instance);
  }
  for (Argument &argument : expr->arguments)
    rewriteInPlace(argument.value, instance);
}

} // namespace rondo::frontend
