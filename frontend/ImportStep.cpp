// The ops of a step: one per value of the typed model.
#include "frontend/ImportBuilder.h"

using namespace mlir;

namespace rondo::frontend {

DenseElementsAttr denseElements(RankedTensorType type, ArrayRef<std::complex<double>> data) {
  Type element = type.getElementType();
  if (isa<ComplexType>(element))
    return DenseElementsAttr::get(type, data);
  if (element.isInteger(1)) {
    SmallVector<bool> bits;
    for (const std::complex<double> &number : data)
      bits.push_back(number.real() != 0);
    return DenseElementsAttr::get(type, ArrayRef<bool>(bits));
  }
  SmallVector<double> numbers;
  for (const std::complex<double> &number : data)
    numbers.push_back(number.real());
  return DenseElementsAttr::get(type, ArrayRef<double>(numbers));
}

void ImportStep::emit(ValueId id) {
  const Value &value = model.value(id);
  auto name = names.find(id);
  Location place = name == names.end() ? types.place(value.span) : types.place(value.span, name->second);
  made[id] = create(value, place);
}

mlir::Value ImportStep::constant(const Value &value, Location place) {
  RankedTensorType type = types.step(value.type);
  return arith::ConstantOp::create(builder, place, type, denseElements(type, value.data));
}

mlir::Value ImportStep::create(const Value &value, Location place) {
  RankedTensorType type = types.step(value.type);
  SmallVector<mlir::Value> operands;
  for (ValueId operand : value.operands)
    operands.push_back(get(operand));
  switch (value.kind) {
  case ValueKind::Constant:
    return constant(value, place);
  case ValueKind::Map:
    return recur::MapOp::create(builder, place, type, *recur::symbolizeFn(spelling(value.fn)), operands);
  case ValueKind::Contract:
    return recur::ContractOp::create(builder, place, type, builder.getStringAttr(value.spec), operands);
  case ValueKind::Reduce:
    return recur::ReduceOp::create(builder, place, type, *recur::symbolizeReduction(spelling(value.reduction)),
                                   operands[0], builder.getDenseI64ArrayAttr(value.axes));
  case ValueKind::Broadcast:
    return recur::BroadcastOp::create(builder, place, type, operands[0], builder.getDenseI64ArrayAttr(value.axes));
  case ValueKind::Slice:
    return recur::SliceOp::create(builder, place, type, operands[0], builder.getI64IntegerAttr(value.axes[0]),
                                  builder.getStringAttr(value.offset.str()),
                                  value.drop ? builder.getUnitAttr() : UnitAttr());
  case ValueKind::Concat:
    return recur::ConcatOp::create(builder, place, type, builder.getI64IntegerAttr(value.axes[0]), operands);
  case ValueKind::Cast:
    return recur::CastOp::create(builder, place, type, operands[0]);
  case ValueKind::Identity:
    return recur::IdentityOp::create(builder, place, type);
  case ValueKind::Input:
  case ValueKind::Param:
  case ValueKind::StateRead:
  case ValueKind::Split:
  case ValueKind::Merge:
    break;
  }
  llvm_unreachable("the step's arguments are defined, not made");
}

} // namespace rondo::frontend
