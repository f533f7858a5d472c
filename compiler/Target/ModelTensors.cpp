// Values of a model's function as tensors of a program. See ModelTensors.h.
#include "compiler/Target/ModelTensors.h"
#include "compiler/Target/Signature.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace rondo;

static Value memoryOf(Value value) {
  while (auto reshape = value.getDefiningOp<recur::ReshapeOp>())
    value = reshape.getOperand();
  return value;
}

ModelTensors::ModelTensors(func::FuncOp model) : program(describeModel(model)), packed(takesPacked(model)) {
  Operation *ret = model.getBody().front().getTerminator();
  for (BlockArgument argument : model.getArguments())
    numbers[argument] = argument.getArgNumber();
  for (auto [i, value] : llvm::enumerate(ret->getOperands()))
    if (!numbers.count(value))
      numbers[value] = model.getNumArguments() + i;
  SmallVector<recur::ReshapeOp> reshapes(model.getOps<recur::ReshapeOp>());
  for (recur::ReshapeOp reshape : llvm::reverse(reshapes))
    shareMemory(reshape);
  for (Operation &op : model.getBody().front())
    for (Value result : op.getResults())
      numberOf(result);
}

int ModelTensors::numberOf(Value value) {
  auto found = numbers.find(value);
  if (found != numbers.end())
    return found->second;
  // Where sequences are packed, a scan that does not know of them (what left a recurrence) has one value per row of the batch.
  auto scan = value.getDefiningOp<recur::ScanInterface>();
  return numbers[value] = addTemporary(value.getType(), !scan || scan.getOffsets());
}

int ModelTensors::addTemporary(Type type, bool perSequence) {
  program.tensors.push_back(describeTensor(type, {}, TensorKind::Temporary, packed && perSequence));
  program.alias.push_back(-1);
  return program.tensors.size() - 1;
}

/// A reshape's operand and result are one memory. Which of the two names it: the one that the caller gives.
void ModelTensors::shareMemory(recur::ReshapeOp reshape) {
  Value operand = reshape.getOperand(), result = reshape.getResult();
  bool resultIsGiven = numbers.count(result) && !numbers.count(operand);
  int owner = numberOf(resultIsGiven ? result : operand);
  int other = resultIsGiven ? (numbers[operand] = addTemporary(operand.getType())) : numberOf(result);
  program.alias[other] = owner;
}

/// Storage of every step of a state of a two-axis scan: like an output, in the type of computation.
static Type historyType(recur::ScanInterface scan, unsigned state) {
  auto step =
      cast<RankedTensorType>(recur::Step(scan, &scan->getRegion(0).front()).yield().getStates()[state].getType());
  auto final = cast<RankedTensorType>(scan.finals()[2 * state].getType());
  MLIRContext *context = scan.getContext();
  SmallVector<StringAttr> axes;
  SmallVector<int64_t> shape;
  for (auto [i, axis] : llvm::enumerate(recur::dimsOf(final).getAxes())) {
    if (axis == "time1") {
      axes.push_back(StringAttr::get(context, "time"));
      shape.push_back(ShapedType::kDynamic);
    }
    axes.push_back(axis);
    shape.push_back(final.getDimSize(i));
  }
  llvm::append_range(shape, step.getShape());
  auto dims = recur::DimsAttr::get(context, axes, recur::dimsOf(step).getNames());
  return RankedTensorType::get(shape, step.getElementType(), dims);
}

ScanTensors ModelTensors::of(recur::ScanInterface scan) {
  ScanTensors tensors;
  auto number = [&](ValueRange values, SmallVectorImpl<int> &into) {
    for (Value value : values)
      into.push_back(numberOf(value));
  };
  number(scan.getInputs(), tensors.inputs);
  number(scan.getParams(), tensors.params);
  number(scan.getInits(), tensors.inits);
  number(scan.outputs(), tensors.outputs);
  number(scan.finals(), tensors.finals);
  if (Value resets = scan.getResets())
    number(resets, tensors.resets);
  if (Value offsets = scan.getOffsets())
    number(offsets, tensors.offsets);
  if (scan.numAxes() == 2)
    for (unsigned s = 0; s < scan.numStates(); ++s)
      tensors.histories.push_back(addTemporary(historyType(scan, s)));
  return tensors;
}

LogicalResult rondo::checkResults(func::FuncOp model) {
  llvm::DenseSet<Value> written;
  for (auto [i, value] : llvm::enumerate(model.getBody().front().getTerminator()->getOperands())) {
    Value memory = memoryOf(value);
    if (isa<BlockArgument>(memory))
      return model.emitError("result ") << i << " is an argument; no kernel writes it";
    if (!written.insert(memory).second)
      return model.emitError("result ") << i << " is an earlier result; 'separate-results' makes it a value of its own";
  }
  return success();
}

LogicalResult rondo::checkAxes(recur::ScanInterface scan, StringRef target) {
  if (scan.numAxes() > 2)
    return scan.emitError("a scan over ")
           << scan.numAxes() << " axes has no " << target << " kernel; one or two axes do";
  return success();
}
