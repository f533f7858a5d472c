// The order in which equations are evaluated. Text order is irrelevant: an equation comes after those whose values it reads at the same
// step. Where that is impossible the cycle is named.
#include "frontend/SemaModel.h"
#include <algorithm>

namespace rondo::frontend {

/// The equations that `equation` reads at its own step, with the places.
std::vector<std::pair<uint32_t, Span>> ModelSema::dependencies(const FlatEquation &equation) const {
  std::vector<std::pair<uint32_t, Span>> result;
  auto depend = [&](const std::string &name, Span span) {
    const Symbol *symbol = lookup(name);
    if (symbol && symbol->kind == Symbol::Equation)
      result.emplace_back(symbol->index, span);
    else if (symbol && symbol->kind == Symbol::State && stateEquation[symbol->index] >= 0)
      result.emplace_back(uint32_t(stateEquation[symbol->index]), span);
  };
  std::vector<const Expr *> work = {equation.value.get()};
  while (!work.empty()) {
    const Expr *expr = work.back();
    work.pop_back();
    if (!expr)
      continue;
    if (expr->kind == ExprKind::Name)
      depend(expr->name, expr->span);
    bool isAt = expr->kind == ExprKind::At && !expr->args.empty() && expr->args[0]->kind == ExprKind::Name;
    bool lagged =
        isAt && std::any_of(expr->times.begin(), expr->times.end(), [](const TimeIndex &t) { return t.sign != 0; });
    if (isAt && !lagged)
      depend(expr->args[0]->name, expr->span);
    if (!isAt)
      for (const ExprPtr &arg : expr->args)
        work.push_back(arg.get());
    for (const Argument &argument : expr->arguments)
      work.push_back(argument.value.get());
  }
  return result;
}

void ModelSema::reportCycle(const std::vector<uint32_t> &path, uint32_t again,
                            const std::vector<std::vector<std::pair<uint32_t, Span>>> &graph) {
  auto first = std::find(path.begin(), path.end(), again);
  std::string text;
  for (auto it = first; it != path.end() && text.size() < 1000; ++it)
    text += "'" + flat.equations[*it].name + "' → ";
  text += "'" + flat.equations[again].name + "'";
  Diagnostic &report = error("cycle", flat.equations[again].span, "cycle within one time step: " + text);
  for (auto it = first; it != path.end() && report.notes.size() < 16; ++it) {
    uint32_t next = std::next(it) == path.end() ? again : *std::next(it);
    for (const auto &[target, span] : graph[*it])
      if (target == next) {
        report.note("'" + flat.equations[*it].name + "' reads '" + flat.equations[next].name + "' here", span);
        break;
      }
  }
  report.note("read one of them at an earlier step, as a state: 'state a: [K] = 0' and 'a[t-1]'");
}

std::vector<uint32_t> ModelSema::order() {
  enum Mark : uint8_t { New, Open, Done };
  std::vector<std::vector<std::pair<uint32_t, Span>>> graph;
  for (const FlatEquation &equation : flat.equations)
    graph.push_back(checkLeftSide(equation) ? dependencies(equation) : std::vector<std::pair<uint32_t, Span>>());
  std::vector<Mark> marks(graph.size(), New);
  std::vector<uint32_t> result, path;
  std::vector<size_t> next(graph.size(), 0);
  for (uint32_t root = 0; root < graph.size(); ++root) {
    if (marks[root] != New)
      continue;
    path.push_back(root);
    marks[root] = Open;
    while (!path.empty()) {
      uint32_t at = path.back();
      if (next[at] == graph[at].size()) {
        marks[at] = Done;
        result.push_back(at);
        path.pop_back();
        continue;
      }
      uint32_t target = graph[at][next[at]++].first;
      if (marks[target] == Open)
        reportCycle(path, target, graph);
      if (marks[target] != New)
        continue;
      marks[target] = Open;
      path.push_back(target);
    }
  }
  return result;
}

} // namespace rondo::frontend
