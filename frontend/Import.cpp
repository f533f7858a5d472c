// The function of a model: arguments, scans one after the other, reshapes between the scopes, results.
#include "frontend/ImportBuilder.h"
#include "mlir/IR/Verifier.h"
#include <set>

using namespace mlir;

namespace rondo::frontend {
namespace {

class Importer {
public:
  Importer(const TypedModel &model, const SourceManager &sources, MLIRContext &context)
      : model(model), types(model, sources, context), builder(&context) {}

  OwningOpRef<ModuleOp> run();

private:
  /// What one scan takes, in the order of its operands.
  struct Operands {
    SmallVector<ValueId> inputs, params; // values of the step
    SmallVector<mlir::Value> inputValues, paramValues;
    std::vector<ValueId> toMake; // in order
  };

  func::FuncOp makeFunction();
  DictionaryAttr argumentAttributes(const TensorDecl &decl);
  std::vector<const State *> stateOfInit() const;
  Operands findOperands(const Scan &scan, unsigned number);
  void addOperand(Operands &operands, ValueId id, mlir::Value value);
  void addSteps(Operands &operands, const Scan &scan);
  void makeScan(const Scan &scan, unsigned number);
  void makeStep(recur::ScanOp op, const Scan &scan, const Operands &operands);
  /// The value of the function that holds `id` at every step, from a scan before `before`.
  mlir::Value outside(ValueId id, bool perHead, unsigned before);
  mlir::Value crossing(ValueId id, unsigned before);
  void makeResults(func::FuncOp function);
  mlir::Attribute text(StringRef value) { return builder.getStringAttr(value); }

  const TypedModel &model;
  ImportTypes types;
  OpBuilder builder;
  std::unordered_map<ValueId, std::string> names;
  SmallVector<mlir::Value> arguments;
  std::vector<std::map<ValueId, mlir::Value>> scanOutputs;
  std::map<ValueId, mlir::Value> reshaped;
  std::vector<SmallVector<mlir::Value>> finals; // by state
  SmallVector<std::string> lags;
};

std::vector<const State *> Importer::stateOfInit() const {
  std::vector<const State *> result(model.tensors.size(), nullptr);
  for (const State &state : model.states)
    result[state.init] = &state;
  return result;
}

DictionaryAttr Importer::argumentAttributes(const TensorDecl &decl) {
  NamedAttrList attributes;
  attributes.set(recur::kNameAttr, text(decl.name));
  const char *kind = decl.kind == TensorKind::Input ? "input" : decl.kind == TensorKind::Param ? "param" : "init";
  attributes.set(recur::kKindAttr, text(kind));
  if (decl.interval)
    attributes.set(recur::kRangeAttr,
                   recur::IntervalAttr::get(builder.getContext(), APFloat(decl.interval->lo),
                                            APFloat(decl.interval->hi), decl.interval->loOpen, decl.interval->hiOpen));
  if (decl.recurrent)
    attributes.set(recur::kRecurrentAttr, builder.getUnitAttr());
  if (decl.kind == TensorKind::Init) {
    // One number fills the state; an array has its feature shape.
    ValueType type{decl.type.elem, decl.defaultValue.size() == 1 ? Shape() : decl.type.shape};
    RankedTensorType array = types.step(type);
    attributes.set(recur::kDefaultAttr,
                   denseElements(RankedTensorType::get(array.getShape(), array.getElementType()), decl.defaultValue));
  }
  return attributes.getDictionary(builder.getContext());
}

func::FuncOp Importer::makeFunction() {
  SmallVector<Type> argumentTypes;
  SmallVector<DictionaryAttr> attributes;
  std::vector<const State *> states = stateOfInit();
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    const TensorDecl &decl = model.tensors[i];
    argumentTypes.push_back(states[i] ? types.init(*states[i]) : types.tensor(decl));
    attributes.push_back(argumentAttributes(decl));
  }
  auto function =
      func::FuncOp::create(builder, types.place(model.span), model.name, builder.getFunctionType(argumentTypes, {}));
  function.setAllArgAttrs(attributes);
  Block *entry = function.addEntryBlock();
  for (size_t i = 0; i < model.tensors.size(); ++i)
    entry->getArgument(i).setLoc(types.place(model.tensors[i].span, model.tensors[i].name));
  arguments.assign(entry->args_begin(), entry->args_end());
  auto textList = [&](const auto &list) {
    SmallVector<Attribute> result;
    for (const std::string &item : list)
      result.push_back(text(item));
    return builder.getArrayAttr(result);
  };
  function->setAttr(recur::kDimsAttr, textList(model.dims));
  function->setAttr(recur::kAxesAttr, textList(model.axes));
  if (model.heads)
    function->setAttr(recur::kHeadCountAttr, text(model.heads->str()));
  else
    function->setAttr(recur::kHeadsAttr, builder.getUnitAttr());
  builder.setInsertionPointToStart(entry);
  for (unsigned i = 0; i < model.scans.size(); ++i)
    makeScan(model.scans[i], i);
  if (!lags.empty())
    function->setAttr(recur::kLagsAttr, textList(lags));
  return function;
}

// ---- One scan ----

mlir::Value Importer::outside(ValueId id, bool perHead, unsigned before) {
  for (unsigned i = 0; i < before; ++i)
    if (model.scans[i].perHead == perHead)
      if (auto found = scanOutputs[i].find(id); found != scanOutputs[i].end())
        return found->second;
  return arguments[model.value(id).index];
}

/// A split's or merge's result, or a value of an earlier scan.
mlir::Value Importer::crossing(ValueId id, unsigned before) {
  const Value &value = model.value(id);
  if (value.kind != ValueKind::Split && value.kind != ValueKind::Merge)
    return outside(id, value.perHead, before);
  mlir::Value &result = reshaped[id];
  if (result)
    return result;
  bool toHeads = value.kind == ValueKind::Split;
  mlir::Value operand = outside(value.operands[0], !toHeads, before);
  SmallVector<std::string> axes;
  for (StringAttr axis : recur::dimsOf(operand.getType()).getAxes())
    if (axis != "head")
      axes.push_back(axis.str());
  if (toHeads)
    axes.push_back("head");
  result = recur::ReshapeOp::create(builder, types.place(value.span), types.array(value.type, axes), operand);
  return result;
}

void Importer::addOperand(Operands &operands, ValueId id, mlir::Value value) {
  bool overTime = recur::dimsOf(value.getType()).axisPosition("time") >= 0;
  (overTime ? operands.inputs : operands.params).push_back(id);
  (overTime ? operands.inputValues : operands.paramValues).push_back(value);
}

Importer::Operands Importer::findOperands(const Scan &scan, unsigned number) {
  std::set<ValueId> given(scan.inputs.begin(), scan.inputs.end()), seen, tensors;
  std::vector<ValueId> work = {scan.outputs.begin(), scan.outputs.end()};
  for (uint32_t state : scan.states)
    work.push_back(model.states[state].update);
  Operands operands;
  while (!work.empty()) {
    ValueId id = work.back();
    work.pop_back();
    if (given.count(id) || !seen.insert(id).second)
      continue;
    const Value &value = model.value(id);
    if (value.kind == ValueKind::Input || value.kind == ValueKind::Param)
      tensors.insert(id);
    else if (value.kind != ValueKind::StateRead)
      operands.toMake.push_back(id);
    work.insert(work.end(), value.operands.begin(), value.operands.end());
  }
  std::sort(operands.toMake.begin(), operands.toMake.end());
  std::vector<ValueId> ordered(tensors.begin(), tensors.end());
  std::sort(ordered.begin(), ordered.end(),
            [&](ValueId a, ValueId b) { return model.value(a).index < model.value(b).index; });
  for (ValueId id : ordered)
    addOperand(operands, id, arguments[model.value(id).index]);
  for (ValueId id : scan.inputs)
    addOperand(operands, id, crossing(id, number));
  return operands;
}

/// A scan that reads no input counts the steps of one.
void Importer::addSteps(Operands &operands, const Scan &scan) {
  if (!operands.inputs.empty())
    return;
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    const TensorDecl &decl = model.tensors[i];
    if (decl.kind == TensorKind::Input && (!model.heads || scan.perHead || !decl.perHead)) {
      operands.inputValues.push_back(arguments[i]);
      return;
    }
  }
}

void Importer::makeScan(const Scan &scan, unsigned number) {
  Operands operands = findOperands(scan, number);
  addSteps(operands, scan);
  SmallVector<mlir::Value> inits;
  SmallVector<Attribute> axes, states;
  SmallVector<Type> resultTypes;
  for (ValueId output : scan.outputs)
    resultTypes.push_back(types.output(model.value(output).type, scan));
  for (uint32_t index : scan.states) {
    const State &state = model.states[index];
    inits.push_back(arguments[state.init]);
    states.push_back(types.stateAttr(state, lags));
    for (unsigned axis = 0; axis < model.axes.size(); ++axis)
      resultTypes.push_back(types.final(state, axis));
  }
  for (unsigned axis = 0; axis < model.axes.size(); ++axis)
    axes.push_back(types.axisAttr(axis, scan.reverse[axis]));
  auto op = recur::ScanOp::create(builder, types.place(model.span), resultTypes, operands.inputValues,
                                  operands.paramValues, inits, mlir::Value(), mlir::Value(), builder.getArrayAttr(axes),
                                  builder.getArrayAttr(states));
  makeStep(op, scan, operands);
  scanOutputs.emplace_back();
  for (auto [id, result] : llvm::zip(scan.outputs, op.outputs()))
    scanOutputs.back()[id] = result;
  auto results = op.finals();
  for (size_t i = 0; i < scan.states.size(); ++i)
    for (unsigned axis = 0; axis < model.axes.size(); ++axis)
      finals[scan.states[i]].push_back(results[i * model.axes.size() + axis]);
}

void Importer::makeStep(recur::ScanOp op, const Scan &scan, const Operands &operands) {
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(&op.getBody());
  ImportStep step(model, types, names, builder);
  auto argument = [&](const ValueType &type, Span span) {
    return block->addArgument(types.step(type), types.place(span));
  };
  for (ValueId id : operands.inputs)
    step.define(id, argument(model.value(id).type, model.value(id).span));
  // The input that only counts steps has an argument that nothing reads.
  for (size_t i = operands.inputs.size(); i < operands.inputValues.size(); ++i)
    for (size_t j = 0; j < model.tensors.size(); ++j)
      if (arguments[j] == operands.inputValues[i])
        argument(model.tensors[j].type, model.tensors[j].span);
  for (ValueId id : operands.params)
    step.define(id, argument(model.value(id).type, model.value(id).span));
  std::map<std::pair<uint32_t, uint32_t>, mlir::Value> reads;
  for (uint32_t index : scan.states)
    for (uint32_t read = 0; read < model.states[index].reads.size(); ++read)
      reads[{index, read}] = argument(model.states[index].type, model.states[index].span);
  for (ValueId id = 0; id < model.values.size(); ++id)
    if (model.value(id).kind == ValueKind::StateRead)
      if (auto read = reads.find({model.value(id).index, model.value(id).read}); read != reads.end())
        step.define(id, read->second);
  for (ValueId id : operands.toMake)
    step.emit(id);
  SmallVector<mlir::Value> states, outputs;
  for (uint32_t index : scan.states)
    states.push_back(step.get(model.states[index].update));
  for (ValueId id : scan.outputs)
    outputs.push_back(step.get(id));
  recur::YieldOp::create(builder, types.place(model.span), states, outputs);
}

// ---- Results ----

void Importer::makeResults(func::FuncOp function) {
  SmallVector<mlir::Value> results;
  SmallVector<DictionaryAttr> attributes;
  auto add = [&](mlir::Value value, StringRef name, StringRef kind) {
    results.push_back(value);
    NamedAttrList list;
    list.set(recur::kNameAttr, text(name));
    list.set(recur::kKindAttr, text(kind));
    attributes.push_back(list.getDictionary(builder.getContext()));
  };
  for (const TypedOutput &output : model.outputs)
    add(scanOutputs[output.scan].at(output.value), output.name, "output");
  for (size_t i = 0; i < model.states.size(); ++i)
    for (unsigned axis = 0; axis < model.axes.size(); ++axis)
      add(finals[i][axis], model.states[i].name + (model.axes.size() > 1 ? "." + model.axes[axis] : ""), "final");
  func::ReturnOp::create(builder, types.place(model.span), results);
  function.setFunctionType(builder.getFunctionType(function.getArgumentTypes(), mlir::ValueRange(results).getTypes()));
  function.setAllResultAttrs(attributes);
}

OwningOpRef<ModuleOp> Importer::run() {
  for (const TypedEquation &equation : model.equations)
    if (!equation.name.empty() && !equation.hidden)
      names.try_emplace(equation.value, equation.name);
  finals.resize(model.states.size());
  OwningOpRef<ModuleOp> module = ModuleOp::create(builder, types.place(model.span));
  builder.setInsertionPointToEnd(module->getBody());
  func::FuncOp function = makeFunction();
  makeResults(function);
  return module;
}

} // namespace

OwningOpRef<ModuleOp> importModel(const TypedModel &model, const SourceManager &sources, MLIRContext &context) {
  context.loadDialect<recur::RecurDialect, func::FuncDialect, arith::ArithDialect>();
  OwningOpRef<ModuleOp> module = Importer(model, sources, context).run();
  // A failure here is a defect of the importer, and the verifier's message says which.
  if (failed(verify(*module)))
    return nullptr;
  return module;
}

} // namespace rondo::frontend
