// The ops inside a chunk: verifiers and builders. The constraints are numbered in the ops' documents (ChunkOps.td).
#include "dialects/Chunk/Chunk.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::chunk;

#define GET_OP_CLASSES
#include "dialects/Chunk/ChunkOps.cpp.inc"

RankedTensorType rondo::chunk::withAxis(Type type, StringRef axis, int64_t size) {
  auto step = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape{size};
  llvm::append_range(shape, step.getShape());
  MLIRContext *context = type.getContext();
  auto dims = recur::DimsAttr::get(context, {StringAttr::get(context, axis)}, recur::dimsOf(step).getNames());
  return RankedTensorType::get(shape, step.getElementType(), dims);
}

/// True for exactly the implicit axes `axes` and `named` named ones.
static bool hasAxes(Value value, ArrayRef<StringRef> axes, std::optional<unsigned> named = std::nullopt) {
  recur::DimsAttr dims = recur::dimsOf(value.getType());
  bool same = llvm::equal(dims.getAxes(), axes, [](StringAttr a, StringRef b) { return a.getValue() == b; });
  return same && (!named || dims.getNames().size() == *named);
}

/// `type` with its first implicit axis called `axis`.
static RankedTensorType renamed(RankedTensorType type, StringRef axis) {
  recur::DimsAttr dims = recur::dimsOf(type);
  SmallVector<StringAttr> axes(dims.getAxes());
  axes.front() = StringAttr::get(type.getContext(), axis);
  return RankedTensorType::get(type.getShape(), type.getElementType(),
                               recur::DimsAttr::get(type.getContext(), axes, dims.getNames()));
}

/// `type`, whose first axis is `time`, without it.
static RankedTensorType withoutTime(RankedTensorType type) {
  return RankedTensorType::get(
      type.getShape().drop_front(), type.getElementType(),
      recur::DimsAttr::get(type.getContext(), ArrayRef<StringAttr>(), recur::dimsOf(type).getNames()));
}

LogicalResult ProductsOp::verify() {
  auto type = cast<RankedTensorType>(getOperand().getType());
  if (!hasAxes(getOperand(), {"time"}))
    return emitOpError() << "the operand's first axis must be 'time' (C1)";
  Type expected = getSpan() == Span::All ? withoutTime(type) : type;
  if (getResult().getType() != expected)
    return emitOpError() << "expected the result " << expected << ", got " << getResult().getType() << " (C2)";
  return success();
}

/// <time, source> of the chunk that `steps` covers.
static LogicalResult verifySquare(Operation *op, Value square, Value steps, StringRef constraint) {
  auto type = cast<RankedTensorType>(square.getType()), like = cast<RankedTensorType>(steps.getType());
  int64_t size = like.getShape().front();
  if (hasAxes(square, {"time", "source"}, 0) && type.getShape() == ArrayRef<int64_t>{size, size} &&
      type.getElementType() == like.getElementType())
    return success();
  return op->emitOpError() << "expected numbers over <time, source> of " << size << " steps, got " << type << " ("
                           << constraint << ")";
}

/// Queries, keys, and a decay that may be null or one number per step.
static LogicalResult verifyPairs(Operation *op, Value queries, Value keys, Value decay) {
  if (!hasAxes(queries, {"time"}, 1) || queries.getType() != keys.getType())
    return op->emitOpError() << "queries and keys must have one type over time and one named axis (C1)";
  auto type = cast<RankedTensorType>(keys.getType());
  if (!decay)
    return success();
  auto of = cast<RankedTensorType>(decay.getType());
  bool scalar = hasAxes(decay, {"time"}, 0) && of.getShape() == type.getShape().take_front() &&
                of.getElementType() == type.getElementType();
  if (!scalar && of != type)
    return op->emitOpError() << "the decay must have the keys' type, or be one number per step (C2)";
  return success();
}

LogicalResult ScoresOp::verify() {
  if (failed(verifyPairs(*this, getQueries(), getKeys(), getDecay())))
    return failure();
  return verifySquare(*this, getResult(), getKeys(), "C3");
}

LogicalResult DecayGradientOp::verify() {
  if (failed(verifyPairs(*this, getQueries(), getKeys(), getDecay())))
    return failure();
  return verifySquare(*this, getScores(), getKeys(), "C3");
}

void ScoresOp::build(OpBuilder &builder, OperationState &state, Value queries, Value keys, Value decay, bool before) {
  auto type = cast<RankedTensorType>(keys.getType());
  int64_t size = type.getShape().front();
  MLIRContext *context = builder.getContext();
  auto dims = recur::DimsAttr::get(context, {StringAttr::get(context, "time"), StringAttr::get(context, "source")},
                                   ArrayRef<StringAttr>());
  build(builder, state, RankedTensorType::get({size, size}, type.getElementType(), dims), queries, keys, decay,
        before ? builder.getUnitAttr() : UnitAttr());
}

LogicalResult ApplyOp::verify() {
  if (!hasAxes(getValues(), {"time"}, 1))
    return emitOpError() << "values must have the axes time and one named axis (C2)";
  return verifySquare(*this, getScores(), getValues(), "C1");
}

LogicalResult SolveOp::verify() {
  if (!hasAxes(getRight(), {"time"}) || recur::dimsOf(getRight().getType()).getNames().size() > 1)
    return emitOpError() << "the right side must have the axis time and at most one named axis (C2)";
  if (Value decay = getDecay();
      decay ? decay.getType() != getRight().getType() || !hasAxes(decay, {"time"}, 1) : getBefore())
    return emitOpError() << "a decay must have the type of a right side with a named axis (C3)";
  return verifySquare(*this, getMatrix(), getRight(), "C1");
}

void SolveOp::build(OpBuilder &builder, OperationState &state, Value matrix, Value right, Value decay, bool before,
                    bool transposed) {
  build(builder, state, right.getType(), matrix, right, decay, before ? builder.getUnitAttr() : UnitAttr(),
        transposed ? builder.getUnitAttr() : UnitAttr());
}

LogicalResult AsSourceOp::verify() {
  if (!hasAxes(getOperand(), {"time"}) ||
      getResult().getType() != renamed(cast<RankedTensorType>(getOperand().getType()), "source"))
    return emitOpError() << "the operand's axis 'time' must become 'source', and nothing else change (C1)";
  return success();
}

void AsSourceOp::build(OpBuilder &builder, OperationState &state, Value operand) {
  build(builder, state, renamed(cast<RankedTensorType>(operand.getType()), "source"), operand);
}

LogicalResult AsTimeOp::verify() {
  if (!hasAxes(getOperand(), {"source"}) ||
      getResult().getType() != renamed(cast<RankedTensorType>(getOperand().getType()), "time"))
    return emitOpError() << "the operand's axis 'source' must become 'time', and nothing else change (C1)";
  return success();
}

void AsTimeOp::build(OpBuilder &builder, OperationState &state, Value operand) {
  build(builder, state, renamed(cast<RankedTensorType>(operand.getType()), "time"), operand);
}

LogicalResult SumsOp::verify() {
  if (!hasAxes(getOperand(), {"time"}))
    return emitOpError() << "the operand's first axis must be 'time' (C1)";
  return success();
}

LogicalResult RowOp::verify() {
  auto type = cast<RankedTensorType>(getOperand().getType());
  if (!hasAxes(getOperand(), {"time"}) || int64_t(getNumber()) < 0 || int64_t(getNumber()) >= type.getDimSize(0))
    return emitOpError() << getNumber() << " is no step of " << type << " (C1)";
  if (getResult().getType() != withoutTime(type))
    return emitOpError() << "expected the result " << withoutTime(type) << ", got " << getResult().getType() << " (C2)";
  return success();
}

void RowOp::build(OpBuilder &builder, OperationState &state, int64_t number, Value operand) {
  build(builder, state, withoutTime(cast<RankedTensorType>(operand.getType())), number, operand);
}

LogicalResult RowsOp::verify() {
  auto isLike = [&](Value row) { return row.getType() == getOperands_().front().getType(); };
  bool same = !getOperands_().empty() && hasAxes(getOperands_().front(), {}) && llvm::all_of(getOperands_(), isLike);
  if (!same)
    return emitOpError() << "the operands must have one type without implicit axes (C1)";
  Type expected = withAxis(getOperands_().front().getType(), "time", getOperands_().size());
  if (getResult().getType() != expected)
    return emitOpError() << "expected the result " << expected << ", got " << getResult().getType() << " (C2)";
  return success();
}

void RowsOp::build(OpBuilder &builder, OperationState &state, ValueRange rows) {
  build(builder, state, withAxis(rows.front().getType(), "time", rows.size()), rows);
}

void RowsOp::print(OpAsmPrinter &printer) {
  printer << '(' << getOperands_() << ')';
  printer.printOptionalAttrDict((*this)->getAttrs());
  printer << " : " << getOperands_().front().getType() << " -> " << getResult().getType();
}

ParseResult RowsOp::parse(OpAsmParser &parser, OperationState &state) {
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  Type each, result;
  if (parser.parseOperandList(operands, OpAsmParser::Delimiter::Paren))
    return failure();
  if (operands.empty())
    return parser.emitError(parser.getNameLoc(), "a chunk has at least one row");
  if (parser.parseOptionalAttrDict(state.attributes) || parser.parseColonType(each) || parser.parseArrow() ||
      parser.parseType(result) || parser.resolveOperands(operands, each, state.operands))
    return failure();
  state.addTypes(result);
  return success();
}
