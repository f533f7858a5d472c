// See NewScan.h.
#include "compiler/Transforms/NewScan.h"

using namespace mlir;
using namespace rondo;

RankedTensorType rondo::stepTypeOf(Type type) {
  auto array = cast<RankedTensorType>(type);
  recur::DimsAttr dims = recur::dimsOf(array);
  return RankedTensorType::get(array.getShape().take_back(dims.getNames().size()), array.getElementType(),
                               recur::DimsAttr::get(array.getContext(), {}, dims.getNames()));
}

NewScan::NewScan(Location loc, ArrayAttr axes, Value resets, Value offsets)
    : body(loc.getContext()), loc(loc), axes(axes), resets(resets), offsets(offsets), block(std::make_unique<Block>()) {
  body.setInsertionPointToEnd(block.get());
}

/// What a step computes with: wider than 16 bits, whatever the operand is stored as.
static Type computedTypeOf(Type type) {
  RankedTensorType step = stepTypeOf(type);
  bool narrow = step.getElementType().isBF16() || step.getElementType().isF16();
  return narrow ? Type(step.clone(Float32Type::get(type.getContext()))) : step;
}

Value NewScan::input(Value operand) {
  inputs.push_back(operand);
  return block->insertArgument(inputs.size() - 1, computedTypeOf(operand.getType()), operand.getLoc());
}

Value NewScan::param(Value operand) {
  params.push_back(operand);
  return block->insertArgument(inputs.size() + params.size() - 1, computedTypeOf(operand.getType()), operand.getLoc());
}

SmallVector<Value> NewScan::state(recur::StateAttr state, Value init) {
  inits.push_back(init);
  states.push_back(state);
  SmallVector<Value> arguments;
  for (size_t i = 0; i < state.getReads().size(); ++i)
    arguments.push_back(block->addArgument(stepTypeOf(init.getType()), init.getLoc()));
  return arguments;
}

/// Of an output (no finalAxis), or of a final state that keeps `depth` slices.
Type NewScan::resultType(recur::ScanInterface scan, Value step, std::optional<unsigned> finalAxis, int64_t depth) {
  auto type = cast<RankedTensorType>(step.getType());
  SmallVector<int64_t> shape;
  SmallVector<StringAttr> names;
  for (const std::string &axis : recur::resultAxes(scan, finalAxis, depth > 1)) {
    int64_t size = axis == "lag" ? depth : ShapedType::kDynamic;
    for (Value operand : scan->getOperands())
      if (auto array = dyn_cast<RankedTensorType>(operand.getType()); axis == "head" && recur::isArray(array))
        if (int64_t at = recur::dimsOf(array).axisPosition(axis); at >= 0)
          size = array.getDimSize(at);
    shape.push_back(size);
    names.push_back(StringAttr::get(scan.getContext(), axis));
  }
  llvm::append_range(shape, type.getShape());
  return RankedTensorType::get(shape, type.getElementType(),
                               recur::DimsAttr::get(scan.getContext(), names, recur::dimsOf(type).getNames()));
}

recur::ScanOp NewScan::finish(OpBuilder &b, ArrayRef<Value> newStates, ArrayRef<Value> outputs) {
  recur::YieldOp::create(body, loc, newStates, outputs);
  auto make = [&](TypeRange types) {
    return recur::ScanOp::create(b, loc, types, inputs, params, inits, resets, offsets, axes, b.getArrayAttr(states));
  };
  recur::ScanOp bare = make({}); // which axes results have is a question to the op
  SmallVector<Type> types;
  for (Value output : outputs)
    types.push_back(resultType(bare, output, std::nullopt, 1));
  for (auto [number, value] : llvm::enumerate(newStates))
    for (unsigned axis = 0; axis < axes.size(); ++axis)
      types.push_back(resultType(bare, value, axis, cast<recur::StateAttr>(states[number]).depth(axis)));
  bare.erase();
  recur::ScanOp scan = make(types);
  scan.getBody().push_back(block.release());
  return scan;
}
