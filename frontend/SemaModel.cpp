// A model from its declarations to its outputs: what is declared, what each equation gives, what is left over.
#include "frontend/SemaModel.h"
#include <algorithm>

namespace rondo::frontend {

ModelSema::ModelSema(const FileTable &files, const SourceManager &sources, Diagnostics &diagnostics,
                     FlatModel flatModel)
    : files(files), sources(sources), diagnostics(diagnostics), flat(std::move(flatModel)),
      model(std::make_unique<TypedModel>()), values(*model), matrices(values) {}

std::unique_ptr<TypedModel> ModelSema::run() {
  size_t before = diagnostics.errorCount();
  auto failed = [&] { return diagnostics.errorCount() != before; };
  model->name = flat.model->name;
  model->span = flat.model->nameSpan;
  model->axes = flat.model->axes;
  declareDims();
  declareHeads();
  declareTensors(DeclKind::Input);
  declareTensors(DeclKind::Param);
  declareTensors(DeclKind::Init);
  declareStates();
  declareEquations();
  for (uint32_t equation : order())
    evaluate(equation);
  finishStates();
  finishOutputs();
  if (!failed())
    checkUse();
  if (failed() || !partition(*model, diagnostics))
    return nullptr;
  markRecurrent(*model);
  return std::move(model);
}

// ---- Declarations ----

void ModelSema::declareDims() {
  std::map<std::string, Span> seen;
  for (const std::string &axis : model->axes)
    if (!seen.try_emplace(axis, flat.model->nameSpan).second)
      error("duplicate-name", flat.model->nameSpan, "axis '" + axis + "' is named twice")
          .note("give each axis its own name");
  for (const DimParam &dim : flat.model->dims) {
    auto [entry, isNew] = seen.try_emplace(dim.name, dim.span);
    if (!isNew)
      error("duplicate-name", dim.span, "'" + dim.name + "' is declared twice")
          .note("it is declared here already", entry->second)
          .note("dimensions, axes and values need distinct names");
    else if (constantName(dim.name))
      error("reserved-name", dim.span, "'" + dim.name + "' is the name of a constant").note("choose another name");
    else
      model->dims.push_back(dim.name);
  }
}

void ModelSema::declareHeads() {
  for (const ExprPtr &count : flat.headCounts) {
    auto size = positive(*count);
    if (!size)
      continue;
    if (model->heads && *model->heads != *size)
      error("heads-count", count->span,
            "this scope has '" + size->str() + "' heads, another one '" + model->heads->str() + "'")
          .note("a model has one head axis; use one count in all its heads scopes");
    else
      model->heads = *size;
  }
}

bool ModelSema::addSymbol(const std::string &name, Symbol symbol) {
  bool isDim = std::find(model->dims.begin(), model->dims.end(), name) != model->dims.end();
  bool isAxis = std::find(model->axes.begin(), model->axes.end(), name) != model->axes.end();
  if (isDim || isAxis) {
    error("duplicate-name", symbol.span, "'" + name + "' is " + (isDim ? "a dimension" : "a time axis") + " already")
        .note("dimensions, axes and values need distinct names");
    return false;
  }
  if (constantName(name)) {
    error("reserved-name", symbol.span, "'" + name + "' is the name of a constant").note("choose another name");
    return false;
  }
  auto [entry, isNew] = symbols.try_emplace(name, symbol);
  if (!isNew)
    error("duplicate-name", symbol.span, "'" + name + "' is declared twice")
        .note("it is declared here already", entry->second.span)
        .note("a name has one declaration and one equation; heads scopes share the names of the model");
  return isNew;
}

std::optional<Interval> ModelSema::checkedInterval(const FlatDecl &decl, const ValueType &type) {
  if (!decl.interval)
    return std::nullopt;
  const Interval &range = *decl.interval;
  if (type.elem == Elem::Complex) {
    error("interval-complex", range.span, "'" + decl.name + "' is complex, so it cannot lie in an interval")
        .note("declare the modulus or the angle as a real value of its own");
    return std::nullopt;
  }
  return range;
}

bool ModelSema::sharingFits(const FlatDecl &decl) {
  if (decl.sharing == Sharing::None || !model->heads || decl.perHead)
    return true;
  error("sharing-outside-heads", decl.span,
        "'" + decl.name + "' is declared " + (decl.sharing == Sharing::PerHead ? "per head" : "per group") +
            " outside the model's heads scope")
      .note("move the declaration into 'heads " + model->heads->str() + " { ... }'");
  return false;
}

void ModelSema::declareTensors(DeclKind kind) {
  for (const FlatDecl &decl : flat.decls) {
    if (decl.kind != kind)
      continue;
    auto declared = type(decl.type);
    bool init = kind == DeclKind::Init;
    if (init && decl.sharing != Sharing::None)
      error("sharing-init", decl.span, "init '" + decl.name + "' cannot be shared")
          .note("an initial value is per sequence and head");
    auto index = init ? uint32_t(&decl - flat.decls.data()) : uint32_t(model->tensors.size());
    auto symbolKind = kind == DeclKind::Input ? Symbol::Input : init ? Symbol::Init : Symbol::Param;
    bool good = declared && (init || sharingFits(decl));
    if (!addSymbol(decl.name, {symbolKind, index, decl.perHead, decl.span, !good}) || init || !good)
      continue;
    TensorDecl tensor;
    tensor.name = decl.name;
    tensor.kind = kind == DeclKind::Input ? TensorKind::Input : TensorKind::Param;
    tensor.type = *declared;
    tensor.span = decl.span;
    tensor.interval = checkedInterval(decl, *declared);
    tensor.sharing = decl.sharing;
    // A param inside a heads scope is shared by the heads unless it says otherwise.
    tensor.perHead = decl.perHead && (kind == DeclKind::Input || decl.sharing != Sharing::None);
    model->tensors.push_back(std::move(tensor));
  }
}

void ModelSema::declareStates() {
  for (const FlatState &flatState : flat.states) {
    State state;
    state.name = flatState.name;
    state.span = flatState.span;
    state.perHead = flatState.perHead;
    state.direction.assign(model->axes.size(), 0);
    auto declared = type(flatState.type);
    if (declared)
      state.type = *declared;
    addSymbol(state.name, {Symbol::State, uint32_t(model->states.size()), state.perHead, state.span, !declared});
    model->states.push_back(std::move(state));
  }
  stateEquation.assign(model->states.size(), -1);
  for (uint32_t i = 0; i < flat.states.size(); ++i)
    declareInit(i);
}

/// The tensor that holds the state's initial value: the one of its `init`, or one of its own with the constant as default.
void ModelSema::declareInit(uint32_t index) {
  const FlatState &flatState = flat.states[index];
  if (!flatState.initial)
    return;
  State &state = model->states[index];
  // The name may be a dimension's, which was reported where the state was declared.
  if (const Symbol *symbol = lookup(state.name); !symbol || symbol->kind != Symbol::State || symbol->broken)
    return;
  TensorDecl tensor;
  tensor.kind = TensorKind::Init;
  tensor.name = state.name;
  tensor.type = state.type;
  tensor.span = state.span;
  tensor.perHead = state.perHead;
  const Symbol *init = flatState.initial->kind == ExprKind::Name ? lookup(flatState.initial->name) : nullptr;
  if (init && init->kind == Symbol::Init) {
    const FlatDecl &decl = flat.decls[init->index];
    auto declared = type(decl.type);
    if (declared && (*declared != state.type || decl.perHead != state.perHead))
      error("init-mismatch", flatState.initial->span,
            "state '" + state.name + "' is '" + str(state.type) + "', its initial value '" + decl.name + "' is '" +
                str(*declared) + "'" + (decl.perHead != state.perHead ? " in another heads scope" : ""))
          .note("the initial value is declared here", decl.span)
          .note("declare both with one type in one scope");
    tensor.name = decl.name;
    tensor.span = decl.span;
    if (declared)
      tensor.interval = checkedInterval(decl, *declared);
    tensor.defaultValue = {0.0};
    auto [entry, isNew] = initTensors.try_emplace(decl.name, uint32_t(model->tensors.size()));
    state.init = entry->second;
    if (!isNew) {
      error("init-shared", flatState.initial->span, "init '" + decl.name + "' starts two states")
          .note("give each state an init of its own, so that final values can be fed back");
      return;
    }
  } else {
    state.init = uint32_t(model->tensors.size());
    defaultInit(flatState, state, tensor);
  }
  model->tensors.push_back(std::move(tensor));
}

void ModelSema::defaultInit(const FlatState &flatState, const State &state, TensorDecl &tensor) {
  context = {flatState.home, nullptr, state.perHead, true};
  Val value = expr(*flatState.initial);
  context = {};
  if (!value)
    return;
  const Value *node = value.kind == Val::Dense ? &values.get(value.id) : nullptr;
  if (node && node->kind == ValueKind::Broadcast)
    node = node->type.shape == state.type.shape ? &values.get(node->operands[0]) : nullptr;
  bool constant = node && node->kind == ValueKind::Constant && node->type.elem != Elem::Truth;
  if (!constant) {
    error("initial-not-constant", flatState.initial->span,
          "the initial value of state '" + state.name + "' is no constant")
        .note("it is a number, 'inf', '-inf', a literal array, or the name of an 'init' that the caller gives");
  } else if (!node->type.shape.empty() && node->type.shape != state.type.shape) {
    error("init-mismatch", flatState.initial->span,
          "state '" + state.name + "' is '" + str(state.type) + "', its initial value '" + str(node->type) + "'")
        .note("the state is declared here", state.span)
        .note("give one number, which fills the state, or an array of the state's shape");
  } else if (node->type.elem == Elem::Complex && state.type.elem == Elem::Real) {
    error("complex-to-real", flatState.initial->span, "state '" + state.name + "' is real, its initial value complex")
        .note("declare the state complex, or take 'real(...)' of the value");
  } else {
    tensor.defaultValue = node->data;
  }
}

void ModelSema::declareEquations() {
  equations.resize(flat.equations.size());
  for (uint32_t i = 0; i < flat.equations.size(); ++i) {
    const FlatEquation &equation = flat.equations[i];
    if (equation.declared)
      equations[i].declared = type(*equation.declared);
    bool broken = equation.declared && !equations[i].declared;
    auto known = symbols.find(equation.name);
    bool ofState = known != symbols.end() && known->second.kind == Symbol::State;
    if (!ofState) {
      addSymbol(equation.name, {Symbol::Equation, i, equation.perHead, equation.span, broken});
      continue;
    }
    const State &state = model->states[known->second.index];
    int &first = stateEquation[known->second.index];
    if (first >= 0) {
      error("duplicate-name", equation.span, "state '" + equation.name + "' has two equations")
          .note("the other one is here", flat.equations[first].span)
          .note("a name has one equation; add the terms up in it");
      continue;
    }
    first = int(i);
    equations[i].state = int(known->second.index);
    if (!known->second.broken)
      equations[i].declared = state.type;
    if (equation.perHead != state.perHead)
      error("state-scope", equation.span, "state '" + equation.name + "' and its equation stand in different scopes")
          .note("the state is declared here", state.span)
          .note("move the equation into the scope of the declaration");
    if (!equation.timeVarying)
      error("equation-index", equation.span,
            "the equation of state '" + equation.name + "' needs a time index on the left")
          .note("write '" + equation.name + "[" + model->axes[0] + "] = ...'");
  }
}

// ---- Equations ----

bool ModelSema::checkLeftSide(const FlatEquation &equation) {
  if (!equation.timeVarying || equation.declared)
    return true;
  bool good = equation.times.size() == model->axes.size();
  for (size_t i = 0; good && i < equation.times.size(); ++i)
    good = equation.times[i].axis == model->axes[i] && equation.times[i].sign == 0;
  if (good)
    return true;
  std::string index;
  for (const std::string &axis : model->axes)
    index += (index.empty() ? "" : ", ") + axis;
  error("equation-index", equation.span, "an equation gives the value at '[" + index + "]'")
      .note("write '" + equation.name + "[" + index + "] = ...' and read earlier values on the right");
  return false;
}

Val ModelSema::checkDeclared(const FlatEquation &equation, Val value, const ValueType &declared) {
  auto array = dense(value, equation.value->span, &declared.shape);
  if (!array)
    return {};
  const ValueType &given = values.get(*array).type;
  if (given.shape != declared.shape || given.elem == Elem::Truth) {
    error("equation-shape", equation.value->span,
          "'" + equation.name + "' has type '" + str(declared) + "', its equation gives '" + str(given) + "'")
        .note("'" + equation.name + "' is here", equation.span)
        .note(given.shape.empty()
                  ? "a scalar fills no array by itself: 'zeros(K)', 'c * ones(K)'"
                  : "shapes agree by the names of their dimensions, in order; 'transpose' swaps two axes");
    return {};
  }
  if (given.elem == Elem::Complex && declared.elem == Elem::Real) {
    error("complex-to-real", equation.value->span,
          "'" + equation.name + "' is real, its equation gives a complex value")
        .note("declare it complex, or take 'real(...)' of the value");
    return {};
  }
  return {Val::Dense, declared.elem == Elem::Complex ? values.toComplex(*array) : *array};
}

void ModelSema::evaluate(uint32_t index) {
  const FlatEquation &equation = flat.equations[index];
  if (!checkLeftSide(equation))
    return;
  context = {equation.home, nullptr, equation.perHead, !equation.timeVarying};
  values.scope(equation.perHead);
  Val value = expr(*equation.value);
  values.place(equation.value->span);
  if (value && equations[index].declared)
    value = checkDeclared(equation, value, *equations[index].declared);
  else if (auto array = dense(value, equation.value->span))
    value = {Val::Dense, *array};
  else
    value = {};
  context = {};
  equations[index].value = value;
  if (value)
    addTypedEquation(index);
}

void ModelSema::addTypedEquation(uint32_t index) {
  const FlatEquation &equation = flat.equations[index];
  equations[index].typed = uint32_t(model->equations.size());
  model->equations.push_back(
      {equation.name, equation.span, equations[index].value.id, equation.timeVarying, equation.perHead, false});
  if (equations[index].state >= 0)
    model->states[equations[index].state].update = equations[index].value.id;
}

// ---- What is left over ----

void ModelSema::finishStates() {
  for (size_t i = 0; i < stateEquation.size(); ++i)
    if (stateEquation[i] < 0)
      error("state-without-equation", model->states[i].span, "state '" + model->states[i].name + "' has no equation")
          .note("write '" + model->states[i].name + "[" + model->axes[0] + "] = ...'");
  for (const HiddenState &entry : hidden) {
    Val value = current(symbols.at(entry.symbol));
    State &state = model->states[entry.state];
    if (!value)
      continue;
    state.update = value.id;
    model->equations.push_back({state.name, state.span, value.id, true, state.perHead, true});
  }
  // A state that nothing reads is kept for its final value.
  for (State &state : model->states)
    if (state.reads.empty()) {
      state.reads.push_back(Read(model->axes.size(), DimExpr()));
      state.reads[0][0] = DimExpr::constant(1);
    }
}

void ModelSema::finishOutputs() {
  std::set<std::string> seen;
  for (size_t i = 0; i < flat.outputs.size(); ++i) {
    const Output &output = flat.outputs[i];
    const Symbol *symbol = lookup(output.name);
    context.perHead = flat.outputPerHead[i];
    if (!symbol)
      unknownName(output.name, output.span);
    else if (!seen.insert(output.name).second)
      error("duplicate-output", output.span, "'" + output.name + "' is an output twice").note("name it once");
    else if (inScope(*symbol, output.name, output.span)) {
      bool equation = symbol->kind == Symbol::State || symbol->kind == Symbol::Equation;
      Val value = equation ? current(*symbol) : Val();
      bool varying = symbol->kind == Symbol::State || (equation && flat.equations[symbol->index].timeVarying);
      if (!varying || (value && values.get(value.id).type.elem == Elem::Truth))
        error("bad-output", output.span, "'" + output.name + "' cannot be an output")
            .note("'" + output.name + "' is here", symbol->span)
            .note("outputs are states and equations with a time index, of real or complex numbers");
      else if (value)
        model->outputs.push_back({output.name, output.span, value.id, 0});
    }
    context = {};
  }
  if (flat.outputs.empty())
    error("no-output", flat.model->nameSpan, "model '" + flat.model->name + "' has no output")
        .note("add a line 'output o'");
}

void ModelSema::checkUse() {
  bool anyInput = std::any_of(model->tensors.begin(), model->tensors.end(),
                              [](const TensorDecl &tensor) { return tensor.kind == TensorKind::Input; });
  if (!anyInput)
    error("no-input", flat.model->nameSpan, "model '" + flat.model->name + "' has no input")
        .note("the length of the time axis is the inputs'; a free-running model takes one that it does not read: "
              "'input tick: []'");
  for (const FlatDecl &decl : flat.decls)
    if (decl.kind == DeclKind::Init && !initTensors.count(decl.name))
      error("unused-init", decl.span, "init '" + decl.name + "' starts no state")
          .note("name it in 'state h: [N] = " + decl.name + "'");
}

} // namespace rondo::frontend
