// See ChunkValues.h.
#include "compiler/Transforms/ChunkValues.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rondo;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

bool ChunkValues::varies(Value value) { return recur::dimsOf(value.getType()).axisPosition("time") >= 0; }

Value ChunkValues::get(Value ofStep) {
  Value here = known.lookup(ofStep);
  return varies(here) ? here : repeated(here, chunk::withAxis(here.getType(), "time", size));
}

Value ChunkValues::repeated(Value value, RankedTensorType type) {
  RankedTensorType from = typeOf(value);
  if (from.getRank() == type.getRank())
    return value;
  SmallVector<int64_t> added;
  int64_t first = 0;
  if (varies(value))
    first = 1;
  else if (recur::dimsOf(type).axisPosition("time") >= 0)
    added.push_back(0);
  int64_t named = recur::dimsOf(from).getNames().size();
  if (named == 0)
    for (int64_t axis = std::max<int64_t>(first, added.size()); axis < type.getRank(); ++axis)
      added.push_back(axis);
  return recur::BroadcastOp::create(b, loc, type, value, added);
}

Value ChunkValues::map(recur::Fn fn, ArrayRef<Value> operands) {
  return recur::MapOp::create(b, loc, operands.front().getType(), fn, operands);
}

Value ChunkValues::contract(StringRef spec, ArrayRef<Value> operands, RankedTensorType type) {
  return recur::ContractOp::create(b, loc, type, spec, operands);
}

Value ChunkValues::scaled(Value x, Value factor) {
  if (typeOf(factor).getRank() == typeOf(x).getRank() || typeOf(factor).getRank() == 0)
    return map(recur::Fn::Mul, {x, factor});
  return contract("tk,t->tk", {x, factor}, typeOf(x));
}

void ChunkValues::copy(Block &block) {
  for (Operation &op : block.without_terminator())
    copy(op);
}

void ChunkValues::copy(Operation &op) {
  SmallVector<Value> operands;
  for (Value operand : op.getOperands())
    operands.push_back(known.lookup(operand));
  if (llvm::none_of(operands, varies)) {
    b.clone(op, known);
    return;
  }
  RankedTensorType type = chunk::withAxis(op.getResult(0).getType(), "time", size);
  auto shifted = [](ArrayRef<int64_t> dims) {
    SmallVector<int64_t> more;
    for (int64_t dim : dims)
      more.push_back(dim + 1);
    return more;
  };
  Value result =
      llvm::TypeSwitch<Operation *, Value>(&op)
          .Case([&](recur::MapOp map) {
            for (Value &operand : operands)
              if (varies(operand) || typeOf(operand).getRank() > 0)
                operand = repeated(operand, RankedTensorType::get(type.getShape(), typeOf(operand).getElementType(),
                                                                  type.getEncoding()));
            return recur::MapOp::create(b, loc, type, map.getFn(), operands);
          })
          .Case([&](recur::ContractOp contract) {
            auto letters = *recur::parseContractSpec(contract.getSpec());
            char time = 'a';
            while (contract.getSpec().contains(time))
              ++time;
            std::string spec;
            for (auto [text, operand] : llvm::zip(letters.operands, operands))
              spec += (spec.empty() ? "" : ",") + (varies(operand) ? std::string(1, time) : "") + text;
            return recur::ContractOp::create(b, loc, type, spec + "->" + time + letters.result, operands);
          })
          .Case([&](recur::ReduceOp reduce) {
            return recur::ReduceOp::create(b, loc, type, reduce.getKind(), operands[0], shifted(reduce.getDims()));
          })
          .Case([&](recur::BroadcastOp broadcast) {
            return recur::BroadcastOp::create(b, loc, type, operands[0], shifted(broadcast.getDims()));
          })
          .Case([&](recur::SliceOp slice) {
            return recur::SliceOp::create(b, loc, type, operands[0], slice.getDim() + 1, slice.getOffset(),
                                          slice.getDrop());
          })
          .Case([&](recur::ConcatOp concat) {
            for (Value &operand : operands)
              operand = varies(operand) ? operand : repeated(operand, chunk::withAxis(operand.getType(), "time", size));
            return recur::ConcatOp::create(b, loc, type, concat.getDim() + 1, operands);
          })
          .Case([&](recur::ReshapeOp) { return recur::ReshapeOp::create(b, loc, type, operands[0]); })
          .Case([&](recur::CastOp) { return recur::CastOp::create(b, loc, type, operands[0]); });
  known.map(op.getResult(0), result);
}
