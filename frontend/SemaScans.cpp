// Deals the equations out to scans. Equations that depend on each other through states run in one scan; a scan has one direction and
// one scope; scans follow each other in the order of what they need. A model of one direction and one scope is one scan.
#include "frontend/SemaModel.h"
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace rondo::frontend {
namespace {

/// A strongly connected component of the equations.
struct Component {
  std::vector<uint32_t> equations;
  std::vector<uint32_t> needs; // components
  std::vector<int> direction;
  bool perHead = false;
  bool hasState = false;
  int scan = -1;
};

class Partitioner {
public:
  Partitioner(TypedModel &model, Diagnostics &diagnostics) : model(model), diagnostics(diagnostics) {}

  bool run() {
    index();
    findLive();
    findComponents();
    for (Component &component : components)
      if (!describe(component))
        return false;
    assign();
    sink();
    number();
    for (uint32_t i = 0; i < equationScan.size(); ++i)
      if (equationScan[i] >= 0)
        connect(model.equations[i].value, uint32_t(equationScan[i]));
    return checkHeads();
  }

private:
  void index();
  std::vector<uint32_t> needsOf(uint32_t equation) const;
  std::optional<uint32_t> provider(const Value &crossing) const;
  void findLive();
  void findComponents();
  bool describe(Component &component);
  void assign();
  void sink();
  void number();
  void connect(ValueId root, uint32_t scan);
  bool checkHeads();
  bool hasHeadOperand(const Scan &scan) const;
  bool hasSteps(const Scan &scan) const;
  std::string namesOf(const Component &component) const;
  static void include(std::vector<ValueId> &list, ValueId id) {
    if (std::find(list.begin(), list.end(), id) == list.end())
      list.push_back(id);
  }

  TypedModel &model;
  Diagnostics &diagnostics;
  std::unordered_map<ValueId, uint32_t> anchors;      // values that one equation computes and others take from it
  std::unordered_map<ValueId, uint32_t> providers[2]; // by scope: the equation that gives a split's or merge's operand
  std::vector<uint32_t> stateNode;                    // the equation of each state
  std::vector<std::vector<uint32_t>> needs;           // by equation
  std::vector<bool> live;
  std::vector<Component> components;
  std::vector<int> componentOf;
  std::vector<int> equationScan;
  std::vector<std::unordered_set<ValueId>> connected;
};

void Partitioner::index() {
  std::map<std::string, uint32_t> byName;
  for (uint32_t i = 0; i < model.equations.size(); ++i) {
    const TypedEquation &equation = model.equations[i];
    if (!equation.name.empty())
      byName.emplace(equation.name, i);
    const Value &value = model.value(equation.value);
    bool leaf = value.kind == ValueKind::Input || value.kind == ValueKind::StateRead ||
                value.kind == ValueKind::Split || value.kind == ValueKind::Merge;
    if (equation.timeVarying)
      providers[equation.perHead].try_emplace(equation.value, i);
    if (equation.timeVarying && value.timeVarying && !leaf && value.perHead == equation.perHead)
      anchors.try_emplace(equation.value, i);
  }
  for (const State &state : model.states)
    stateNode.push_back(byName.at(state.name));
}

/// The equation that computes what a split or merge takes; empty for a tensor of the model.
std::optional<uint32_t> Partitioner::provider(const Value &crossing) const {
  bool perHead = crossing.kind == ValueKind::Merge;
  auto entry = providers[perHead].find(crossing.operands[0]);
  const Value &operand = model.value(crossing.operands[0]);
  bool tensor = operand.kind == ValueKind::Input || operand.kind == ValueKind::Param;
  if (tensor && model.tensors[operand.index].perHead == perHead &&
      model.tensors[operand.index].sharing != Sharing::PerGroup)
    return std::nullopt;
  return entry == providers[perHead].end() ? std::nullopt : std::optional(entry->second);
}

std::vector<uint32_t> Partitioner::needsOf(uint32_t equation) const {
  std::vector<uint32_t> result;
  std::unordered_set<ValueId> seen;
  std::vector<ValueId> work = {model.equations[equation].value};
  while (!work.empty()) {
    ValueId id = work.back();
    work.pop_back();
    if (!seen.insert(id).second)
      continue;
    const Value &value = model.value(id);
    auto anchor = anchors.find(id);
    if (anchor != anchors.end() && anchor->second != equation)
      result.push_back(anchor->second);
    else if (value.kind == ValueKind::StateRead)
      result.push_back(stateNode[value.index]);
    else if (value.kind == ValueKind::Split || value.kind == ValueKind::Merge) {
      if (auto from = provider(value))
        result.push_back(*from);
    } else
      work.insert(work.end(), value.operands.begin(), value.operands.end());
  }
  return result;
}

void Partitioner::findLive() {
  for (uint32_t i = 0; i < model.equations.size(); ++i)
    needs.push_back(needsOf(i));
  live.assign(model.equations.size(), false);
  std::vector<uint32_t> work = stateNode;
  for (uint32_t i = 0; i < model.equations.size(); ++i)
    for (const TypedOutput &output : model.outputs)
      if (model.equations[i].name == output.name)
        work.push_back(i);
  while (!work.empty()) {
    uint32_t at = work.back();
    work.pop_back();
    if (live[at])
      continue;
    live[at] = true;
    work.insert(work.end(), needs[at].begin(), needs[at].end());
  }
}

/// Tarjan's algorithm without recursion. Components come out after those that they need.
void Partitioner::findComponents() {
  size_t count = model.equations.size();
  componentOf.assign(count, -1);
  std::vector<int> order(count, -1), low(count, 0);
  std::vector<size_t> next(count, 0);
  std::vector<uint32_t> stack, path;
  int time = 0;
  auto open = [&](uint32_t at) {
    order[at] = low[at] = time++;
    stack.push_back(at);
    path.push_back(at);
  };
  for (uint32_t root = 0; root < count; ++root) {
    if (!live[root] || order[root] >= 0)
      continue;
    open(root);
    while (!path.empty()) {
      uint32_t at = path.back();
      if (next[at] < needs[at].size()) {
        uint32_t target = needs[at][next[at]++];
        if (order[target] < 0)
          open(target);
        else if (componentOf[target] < 0)
          low[at] = std::min(low[at], order[target]);
        continue;
      }
      path.pop_back();
      if (!path.empty())
        low[path.back()] = std::min(low[path.back()], low[at]);
      if (low[at] != order[at])
        continue;
      Component component;
      uint32_t member;
      do {
        member = stack.back();
        stack.pop_back();
        componentOf[member] = int(components.size());
        component.equations.push_back(member);
      } while (member != at);
      std::sort(component.equations.begin(), component.equations.end());
      components.push_back(std::move(component));
    }
  }
}

std::string Partitioner::namesOf(const Component &component) const {
  std::string text;
  for (uint32_t equation : component.equations) {
    const std::string &name = model.equations[equation].name;
    if (!name.empty() && text.size() < 60)
      text += (text.empty() ? "'" : ", '") + name + "'";
  }
  return text;
}

/// Scope, direction and needs; an error when the members cannot run in one scan.
bool Partitioner::describe(Component &component) {
  component.direction.assign(model.axes.size(), 0);
  component.perHead = model.equations[component.equations[0]].perHead;
  for (uint32_t equation : component.equations) {
    const TypedEquation &entry = model.equations[equation];
    if (entry.perHead != component.perHead) {
      diagnostics
          .error("recurrence-across-heads", entry.span,
                 "the recurrence of " + namesOf(component) + " passes through the heads scope")
          .note("a state outside the heads cannot depend on values inside that depend on it: nothing can run a step of "
                "both at once")
          .note("keep the whole recurrence on one side; mix heads with a dimension of their own, '[H, K]'");
      return false;
    }
    for (uint32_t need : needs[equation])
      if (componentOf[need] != componentOf[equation])
        component.needs.push_back(uint32_t(componentOf[need]));
  }
  for (uint32_t i = 0; i < model.states.size(); ++i) {
    if (&components[componentOf[stateNode[i]]] != &component)
      continue;
    component.hasState = true;
    for (size_t axis = 0; axis < model.axes.size(); ++axis) {
      int &direction = component.direction[axis], wanted = model.states[i].direction[axis];
      if (direction * wanted < 0) {
        diagnostics
            .error("crossed-directions", model.states[i].span,
                   "the recurrence of " + namesOf(component) + " reads earlier and later steps at once")
            .note("a value that depends on itself through both directions has no order of computation")
            .note("let one direction read only inputs and the finished values of the other");
        return false;
      }
      direction = wanted ? wanted : direction;
    }
  }
  return true;
}

/// Fills one scan after the other with every component that is ready and fits.
void Partitioner::assign() {
  size_t left = components.size();
  while (left > 0) {
    Scan scan;
    std::vector<int> direction(model.axes.size(), 0);
    int number = int(model.scans.size());
    bool empty = true;
    for (Component &component : components) {
      bool ready = component.scan < 0 && std::all_of(
                                             component.needs.begin(), component.needs.end(),
                                             [&](uint32_t need) { return components[need].scan >= 0; });
      bool fits = ready && (empty || component.perHead == scan.perHead);
      for (size_t axis = 0; fits && axis < direction.size(); ++axis)
        fits = direction[axis] * component.direction[axis] >= 0;
      if (!fits)
        continue;
      empty = false;
      scan.perHead = component.perHead;
      for (size_t axis = 0; axis < direction.size(); ++axis)
        direction[axis] = component.direction[axis] ? component.direction[axis] : direction[axis];
      component.scan = number;
      --left;
    }
    for (int sign : direction)
      scan.reverse.push_back(sign > 0);
    model.scans.push_back(std::move(scan));
  }
}

/// Moves what has no state to the scan that uses it first, so that less crosses between scans.
void Partitioner::sink() {
  std::vector<int> firstUse(components.size(), -1);
  for (size_t i = components.size(); i-- > 0;) {
    Component &component = components[i];
    if (!component.hasState && firstUse[i] > component.scan)
      for (int scan = firstUse[i]; scan > component.scan; --scan)
        if (model.scans[scan].perHead == component.perHead) {
          component.scan = scan;
          break;
        }
    for (uint32_t need : component.needs)
      firstUse[need] = firstUse[need] < 0 ? component.scan : std::min(firstUse[need], component.scan);
  }
}

/// Drops scans that have become empty and writes down who runs where.
void Partitioner::number() {
  std::vector<bool> used(model.scans.size(), false);
  for (const Component &component : components)
    used[component.scan] = true;
  std::vector<int> renumbered(model.scans.size(), -1);
  std::vector<Scan> kept;
  for (size_t i = 0; i < used.size(); ++i)
    if (used[i]) {
      renumbered[i] = int(kept.size());
      kept.push_back(std::move(model.scans[i]));
    }
  model.scans = std::move(kept);
  connected.resize(model.scans.size());
  equationScan.assign(model.equations.size(), -1);
  for (const Component &component : components)
    for (uint32_t equation : component.equations)
      equationScan[equation] = renumbered[component.scan];
  for (uint32_t i = 0; i < model.states.size(); ++i) {
    model.states[i].scan = uint32_t(equationScan[stateNode[i]]);
    model.scans[model.states[i].scan].states.push_back(i);
  }
  for (TypedOutput &output : model.outputs)
    for (uint32_t i = 0; i < model.equations.size(); ++i)
      if (model.equations[i].name == output.name && !model.equations[i].hidden) {
        output.scan = uint32_t(equationScan[i]);
        include(model.scans[output.scan].outputs, output.value);
      }
}

/// Finds what scan `scan` needs from others to compute `root`.
void Partitioner::connect(ValueId root, uint32_t scan) {
  std::vector<ValueId> work = {root};
  while (!work.empty()) {
    ValueId id = work.back();
    work.pop_back();
    if (!connected[scan].insert(id).second)
      continue;
    const Value &value = model.value(id);
    auto anchor = anchors.find(id);
    int from = anchor != anchors.end()              ? equationScan[anchor->second]
               : value.kind == ValueKind::StateRead ? int(model.states[value.index].scan)
                                                    : int(scan);
    if (value.kind == ValueKind::Split || value.kind == ValueKind::Merge) {
      include(model.scans[scan].inputs, id);
      if (auto source = provider(value))
        include(model.scans[equationScan[*source]].outputs, value.operands[0]);
    } else if (from >= 0 && from != int(scan)) {
      include(model.scans[scan].inputs, id);
      include(model.scans[from].outputs, id);
    } else
      work.insert(work.end(), value.operands.begin(), value.operands.end());
  }
}

bool Partitioner::hasHeadOperand(const Scan &scan) const {
  if (!scan.states.empty())
    return true;
  for (ValueId id : connected[&scan - model.scans.data()]) {
    const Value &value = model.value(id);
    bool tensor = value.kind == ValueKind::Input || value.kind == ValueKind::Param;
    if ((tensor && (model.tensors[value.index].perHead)) || value.kind == ValueKind::Split)
      return true;
  }
  return std::any_of(scan.inputs.begin(), scan.inputs.end(), [&](ValueId id) { return model.value(id).perHead; });
}

/// Whether something tells the scan how many steps there are.
bool Partitioner::hasSteps(const Scan &scan) const {
  for (ValueId id : connected[&scan - model.scans.data()])
    if (model.value(id).kind == ValueKind::Input)
      return true;
  for (ValueId id : scan.inputs) {
    const Value &value = model.value(id);
    bool crossing = value.kind == ValueKind::Split || value.kind == ValueKind::Merge;
    if (!crossing || provider(value) || model.value(value.operands[0]).kind == ValueKind::Input)
      return true;
  }
  return std::any_of(model.tensors.begin(), model.tensors.end(), [&](const TensorDecl &tensor) {
    return tensor.kind == TensorKind::Input && (!model.heads || scan.perHead || !tensor.perHead);
  });
}

bool Partitioner::checkHeads() {
  for (const Scan &scan : model.scans)
    if (!hasSteps(scan)) {
      diagnostics
          .error("no-input", model.span,
                 "what model '" + model.name + "' computes outside its heads scope reads no input")
          .note("the length of the time axis is the inputs'; declare an input outside the scope: 'input tick: []'");
      return false;
    }
  for (uint32_t i = 0; i < equationScan.size(); ++i) {
    if (equationScan[i] < 0 || !model.equations[i].perHead || hasHeadOperand(model.scans[equationScan[i]]))
      continue;
    diagnostics
        .error("heads-shared", model.equations[i].span, "nothing that the heads scope reads differs from head to head")
        .note("read a value with 'split(...)', or declare an input, a 'param ... per head' or a state in the scope");
    return false;
  }
  return true;
}

} // namespace

bool partition(TypedModel &model, Diagnostics &diagnostics) { return Partitioner(model, diagnostics).run(); }

} // namespace rondo::frontend
