// Names and times: what a name denotes, at which step it may be read, and the hidden states that lagged inputs need.
#include "frontend/SemaModel.h"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace rondo::frontend {

// ---- Errors ----

Diagnostic &ModelSema::error(std::string slug, Span span, std::string message) {
  Diagnostic &report = diagnostics.error(std::move(slug), userPlace(span), std::move(message));
  for (auto call = calls.rbegin(); call != calls.rend(); ++call)
    report.note("in this call of '" + call->fn->name + "'", call->span);
  if (!calls.empty() && calls.back().home->library)
    report.note("the library computes '" + excerpt(span) + "' there", span);
  return report;
}

/// A place inside the library stands for the call in the user's text.
Span ModelSema::userPlace(Span span) const {
  for (auto call = calls.rbegin(); call != calls.rend() && call->home->library; ++call)
    span = call->span;
  return span;
}

std::string ModelSema::excerpt(Span span) const {
  std::string text;
  for (char c : sources.text(span)) {
    bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!blank)
      text += c;
    else if (!text.empty() && text.back() != ' ')
      text += ' ';
    if (text.size() > 60)
      return text.substr(0, 57) + "...";
  }
  return text;
}

/// The candidate with the least edit distance, when that is small; else empty.
std::string ModelSema::nearest(const std::string &name, const std::vector<std::string> &candidates) const {
  std::string best;
  size_t least = name.size() / 3 + 2;
  if (name.size() > 64 || candidates.size() > 1000)
    return best;
  for (const std::string &candidate : candidates) {
    if (candidate.size() > 64)
      continue;
    std::vector<size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), 0);
    for (size_t i = 1; i <= name.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= candidate.size(); ++j) {
        size_t above = row[j];
        row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (name[i - 1] != candidate[j - 1])});
        diagonal = above;
      }
    }
    if (row.back() < least) {
      least = row.back();
      best = candidate;
    }
  }
  return best;
}

void ModelSema::unknownName(const std::string &name, Span span) {
  std::vector<std::string> candidates;
  if (context.env)
    for (const auto &[known, value] : context.env->values)
      candidates.push_back(known);
  else
    for (const auto &[known, symbol] : symbols)
      candidates.push_back(known);
  Diagnostic &report = error("unknown-name", span, "there is no '" + name + "' here");
  if (std::string near = nearest(name, candidates); !near.empty())
    report.note("did you mean '" + near + "'?");
  else if (context.env)
    report.note("a fn sees its parameters and the names that it defines; pass the value as an argument");
  else
    report.note("declare it ('input', 'param', 'state'), or write an equation for it");
}

// ---- Names ----

const ModelSema::Symbol *ModelSema::lookup(const std::string &name) const {
  auto entry = symbols.find(name);
  return entry == symbols.end() ? nullptr : &entry->second;
}

bool ModelSema::inScope(const Symbol &symbol, const std::string &name, Span span) {
  if (!symbol.perHead || context.perHead)
    return true;
  error("per-head-outside", span, "'" + name + "' has a value per head and is read outside the heads scope")
      .note("'" + name + "' is here", symbol.span)
      .note("join the heads with 'merge(...)', or move the equation into the scope");
  return false;
}

Val ModelSema::constantName(const std::string &name) {
  if (name == "inf")
    return {Val::Dense, values.constant(INFINITY)};
  if (name == "pi")
    return {Val::Dense, values.constant(M_PI)};
  if (name == "I")
    return {Val::Matrix, matrices.identity()};
  return {};
}

/// The symbol's value at the current step.
Val ModelSema::current(const Symbol &symbol) {
  if (symbol.broken)
    return {};
  switch (symbol.kind) {
  case Symbol::Input:
  case Symbol::Param:
    return {Val::Dense, values.tensor(symbol.index)};
  case Symbol::State:
    return stateEquation[symbol.index] >= 0 ? equations[stateEquation[symbol.index]].value : Val();
  case Symbol::Equation:
    return equations[symbol.index].value;
  case Symbol::Init:
    break;
  }
  return {};
}

/// A name without a time index.
Val ModelSema::name(const Expr &expr) {
  if (context.env) {
    if (auto value = context.env->values.find(expr.name); value != context.env->values.end())
      return value->second;
    if (auto size = context.env->dims.find(expr.name); size != context.env->dims.end())
      return {Val::Dense, values.number(size->second)};
  }
  if (Val constant = constantName(expr.name))
    return constant;
  const Symbol *symbol = context.env ? nullptr : lookup(expr.name);
  if (!symbol) {
    if (!context.env && std::find(model->dims.begin(), model->dims.end(), expr.name) != model->dims.end())
      return {Val::Dense, values.number(DimExpr::symbol(expr.name))};
    if (!context.env && std::find(model->axes.begin(), model->axes.end(), expr.name) != model->axes.end()) {
      error("axis-as-value", expr.span, "'" + expr.name + "' is a time axis, not a number")
          .note("count steps in a state: 'state n: [] = 0' and 'n[t] = n[t-1] + 1'");
      return {};
    }
    unknownName(expr.name, expr.span);
    return {};
  }
  if (!inScope(*symbol, expr.name, expr.span))
    return {};
  if (symbol->kind == Symbol::Init) {
    error("init-as-value", expr.span, "init '" + expr.name + "' is the start of a state and cannot be read")
        .note("read the state one step back; a value that stays the same is a 'param'");
    return {};
  }
  bool varying = symbol->kind == Symbol::Input || symbol->kind == Symbol::State ||
                 (symbol->kind == Symbol::Equation && flat.equations[symbol->index].timeVarying);
  if (varying) {
    error("missing-time-index", expr.span, "'" + expr.name + "' changes over time and needs a time index")
        .note("'" + expr.name + "' is here", symbol->span)
        .note("write '" + expr.name + "[" + model->axes[0] + "]'");
    return {};
  }
  return current(*symbol);
}

// ---- Times ----

/// The distance and direction along each axis. False after an error.
bool ModelSema::timeOffsets(const Expr &expr, Read &read, std::vector<int> &direction) {
  std::string index;
  for (const std::string &axis : model->axes)
    index += (index.empty() ? "" : ", ") + axis;
  bool good = expr.times.size() == model->axes.size();
  for (size_t i = 0; good && i < expr.times.size(); ++i)
    good = expr.times[i].axis == model->axes[i];
  if (!good) {
    error("time-index", expr.span, "expected a time index like '[" + index + "]', got '" + excerpt(expr.span) + "'")
        .note("the model scans the axes '" + index + "', in this order");
    return false;
  }
  for (const TimeIndex &time : expr.times) {
    DimExpr distance;
    if (time.sign != 0) {
      auto size = time.distance ? dim(*time.distance) : std::nullopt;
      if (!size)
        return false;
      distance = *size;
      auto fixed = distance.asConstant();
      int64_t most = model->axes.size() > 1 ? 1 : maxLag;
      if (fixed ? *fixed < 1 || *fixed > most : model->axes.size() > 1) {
        error("bad-lag", time.span,
              "expected a distance from 1 to " + std::to_string(most) + ", got '" + distance.str() + "'")
            .note(most == 1 ? "over several axes only neighbours can be read" : "the step itself is '[" + index + "]'");
        return false;
      }
    }
    read.push_back(distance);
    direction.push_back(time.sign);
  }
  return true;
}

Val ModelSema::at(const Expr &expr) {
  if (expr.args.empty() || expr.args[0]->kind != ExprKind::Name) {
    error("time-index", expr.span, "only a name takes a time index, got '" + excerpt(expr.span) + "'")
        .note("write an equation for the expression and read that");
    return {};
  }
  const std::string &name = expr.args[0]->name;
  const Symbol *symbol = lookup(name);
  if (!symbol) {
    unknownName(name, expr.args[0]->span);
    return {};
  }
  bool varying = symbol->kind == Symbol::Input || symbol->kind == Symbol::State ||
                 (symbol->kind == Symbol::Equation && flat.equations[symbol->index].timeVarying);
  if (!inScope(*symbol, name, expr.span))
    return {};
  if (!varying) {
    error("time-index-on-constant", expr.span, "'" + name + "' does not change over time")
        .note("'" + name + "' is here", symbol->span)
        .note("write '" + name + "' without a time index");
    return {};
  }
  if (context.timeless) {
    error("varies-over-time", expr.span,
          "'" + name + "' changes over time, the equation that reads it has no time index")
        .note("write a time index on the equation's left side too: 'a[" + model->axes[0] + "] = ...'");
    return {};
  }
  Read read;
  std::vector<int> direction;
  if (symbol->broken || !timeOffsets(expr, read, direction))
    return {};
  if (std::all_of(direction.begin(), direction.end(), [](int sign) { return sign == 0; }))
    return current(*symbol);
  if (symbol->kind == Symbol::State)
    return readState(symbol->index, read, direction, expr.span);
  return readLagged(name, *symbol, read, direction, expr.span);
}

Val ModelSema::readState(uint32_t index, const Read &read, const std::vector<int> &direction, Span span) {
  State &state = model->states[index];
  for (size_t axis = 0; axis < direction.size(); ++axis) {
    if (direction[axis] * state.direction[axis] < 0) {
      error("two-directions", span, "state '" + state.name + "' is read at earlier and at later steps")
          .note("the state is declared here", state.span)
          .note("a state runs one way; use two states, one with '" + model->axes[axis] + "-1' and one with '" +
                model->axes[axis] + "+1'");
      return {};
    }
    if (direction[axis] != 0)
      state.direction[axis] = direction[axis];
  }
  auto known = std::find(state.reads.begin(), state.reads.end(), read);
  uint32_t position = uint32_t(known - state.reads.begin());
  if (known == state.reads.end())
    state.reads.push_back(read);
  return {Val::Dense, values.stateRead(index, position)};
}

std::optional<uint32_t> ModelSema::findHidden(const std::string &name, const std::vector<int> &direction) const {
  for (const HiddenState &entry : hidden) {
    const State &state = model->states[entry.state];
    bool fits = entry.symbol == name;
    for (size_t axis = 0; axis < direction.size(); ++axis)
      fits &= direction[axis] * state.direction[axis] >= 0;
    if (fits)
      return entry.state;
  }
  return std::nullopt;
}

/// An input at another step: the delayed copies are a hidden state.
Val ModelSema::readLagged(const std::string &name, const Symbol &symbol, const Read &read,
                          const std::vector<int> &direction, Span span) {
  bool input = symbol.kind == Symbol::Input || flat.equations[symbol.index].layerInput;
  if (!input) {
    error("lagged-value", span, "'" + name + "' is read at another step, but it is no state")
        .note("'" + name + "' is here", symbol.span)
        .note("declare 'state " + name + ": [...] = 0', which says what it is before the first step");
    return {};
  }
  if (auto known = findHidden(name, direction))
    return readState(*known, read, direction, span);
  ValueType type;
  if (symbol.kind == Symbol::Input)
    type = model->tensors[symbol.index].type;
  else if (equations[symbol.index].declared)
    type = *equations[symbol.index].declared;
  bool later = std::any_of(direction.begin(), direction.end(), [](int sign) { return sign > 0; });
  State state;
  state.name = name + (later ? ".lead" : ".lag");
  while (lookup(state.name) || std::any_of(model->states.begin(), model->states.end(),
                                           [&](const State &other) { return other.name == state.name; }))
    state.name += "_";
  state.type = type;
  state.span = symbol.span;
  state.perHead = symbol.perHead;
  state.hidden = true;
  state.direction.assign(direction.size(), 0);
  state.init = uint32_t(model->tensors.size());
  TensorDecl tensor;
  tensor.name = state.name;
  tensor.kind = TensorKind::Init;
  tensor.type = type;
  tensor.span = symbol.span;
  tensor.perHead = state.perHead;
  tensor.defaultValue = {0.0};
  model->tensors.push_back(std::move(tensor));
  uint32_t index = uint32_t(model->states.size());
  model->states.push_back(std::move(state));
  hidden.push_back({name, index});
  return readState(index, read, direction, span);
}

} // namespace rondo::frontend
