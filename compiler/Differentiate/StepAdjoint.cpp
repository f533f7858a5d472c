// See StepAdjoint.h. Derivatives of elementwise functions are in MapAdjoint.cpp.
#include "compiler/Differentiate/StepAdjoint.h"
#include "compiler/Transforms/StepValues.h"
#include "dialects/Recur/DimExpr.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rondo;
using rondo::recur::Fn;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }
static bool isComplex(Value value) { return isa<ComplexType>(typeOf(value).getElementType()); }

StepAdjoint::StepAdjoint(Block *block, ArrayRef<Value> from)
    : b(block->getArgument(0).getContext()), loc(b.getUnknownLoc()), active(from.begin(), from.end()) {
  b.setInsertionPointToEnd(block);
  for (Operation &op : *block) {
    ops.push_back(&op);
    bool truth = op.getNumResults() && recur::elementKind(op.getResult(0).getType()) == recur::ElementKind::Truth;
    if (!truth && llvm::any_of(op.getOperands(), [&](Value operand) { return isActive(operand); }))
      active.insert(op.getResult(0));
  }
}

void StepAdjoint::add(Value value, Value cotangent) {
  if (isActive(value))
    sums[value].whole.push_back(cotangent);
}

LogicalResult StepAdjoint::run() {
  for (Operation *op : llvm::reverse(ops)) {
    loc = op->getLoc();
    if (op->getNumResults() != 1 || !isActive(op->getResult(0)))
      continue;
    if (Value g = of(op->getResult(0)); g && failed(visit(*op, g)))
      return failure();
  }
  return success();
}

Value StepAdjoint::of(Value value) {
  if (Value known = totals.lookup(value))
    return known;
  auto found = sums.find(value);
  if (found == sums.end())
    return {};
  Sum sum = std::move(found->second);
  sums.erase(found);
  // Slices that do not overlap are parts of one array; each further set of them is one more.
  llvm::sort(sum.pieces,
             [](const Piece &x, const Piece &y) { return std::pair(x.axis, x.offset) < std::pair(y.axis, y.offset); });
  while (!sum.pieces.empty())
    sum.whole.push_back(assembled(value.getType(), sum.pieces));
  Value total = sum.whole.front();
  for (Value more : ArrayRef<Value>(sum.whole).drop_front())
    total = map(Fn::Add, {total, more});
  return totals[value] = total;
}

/// One array out of as many pieces along one axis as fit one after another, zeros between them; takes them from the list.
Value StepAdjoint::assembled(Type type, SmallVectorImpl<Piece> &pieces) {
  auto whole = cast<RankedTensorType>(type);
  recur::DimsAttr dims = recur::dimsOf(whole);
  int64_t axis = pieces.front().axis, at = 0, named = axis - dims.getAxes().size();
  auto sizeOf = [&](StringAttr name) { return *DimExpr::parse(std::string_view(name.getValue())); };
  auto partType = [&](int64_t size, const DimExpr &name) {
    SmallVector<int64_t> shape(whole.getShape());
    SmallVector<StringAttr> names(dims.getNames());
    shape[axis] = size;
    names[named] = b.getStringAttr(name.str());
    return RankedTensorType::get(shape, whole.getElementType(),
                                 recur::DimsAttr::get(b.getContext(), dims.getAxes(), names));
  };
  SmallVector<Value> parts;   // null: zeros
  SmallVector<int64_t> zeros; // how many, per part
  SmallVector<Piece> rest;
  DimExpr unnamed = sizeOf(dims.getNames()[named]); // what no part's name stands for yet
  auto fill = [&](int64_t upTo) {
    if (upTo > at) {
      parts.push_back(nullptr);
      zeros.push_back(upTo - at);
    }
    at = upTo;
  };
  for (const Piece &piece : pieces) {
    if (piece.axis != axis || piece.offset < at) {
      rest.push_back(piece);
      continue;
    }
    fill(piece.offset);
    parts.push_back(piece.drop ? broadcast(piece.value, partType(1, DimExpr::constant(1)), {axis}) : piece.value);
    zeros.push_back(0);
    unnamed = unnamed - sizeOf(recur::dimsOf(parts.back().getType()).getNames()[named]);
    at += piece.size;
  }
  fill(whole.getDimSize(axis));
  pieces.assign(rest.begin(), rest.end());
  // Runs of zeros are named by their number, but for the last one, which has the rest of the axis' name.
  auto last = llvm::find_if(llvm::reverse(zeros), [](int64_t count) { return count > 0; });
  for (auto [part, count] : llvm::zip(parts, zeros)) {
    if (count == 0)
      continue;
    bool isLast = &count == &*last;
    if (!isLast)
      unnamed = unnamed - DimExpr::constant(count);
    part = constantOf(b, loc, partType(count, isLast ? unnamed : DimExpr::constant(count)), 0);
  }
  return parts.size() == 1 ? parts.front() : recur::ConcatOp::create(b, loc, whole, axis, parts).getResult();
}

Value StepAdjoint::map(Fn fn, ArrayRef<Value> operands) {
  Value like = operands.back();
  for (Value operand : operands)
    if (typeOf(operand).getRank() > typeOf(like).getRank())
      like = operand;
  Type element = typeOf(operands.back()).getElementType();
  if (llvm::is_contained({Fn::Lt, Fn::Le, Fn::Eq, Fn::Ne}, fn))
    element = b.getI1Type();
  else if (fn == Fn::Complex)
    element = ComplexType::get(element);
  else if (auto complex = dyn_cast<ComplexType>(element);
           complex && llvm::is_contained({Fn::Abs, Fn::Real, Fn::Imag}, fn))
    element = complex.getElementType();
  return recur::MapOp::create(b, loc, typeOf(like).clone(element), fn, operands);
}

Value StepAdjoint::number(Value like, double value) {
  return constantOf(
      b, loc, RankedTensorType::get({}, typeOf(like).getElementType(), recur::DimsAttr::get(b.getContext(), {}, {})),
      value);
}

Value StepAdjoint::conjugate(Value value) { return isComplex(value) ? map(Fn::Conj, {value}) : value; }

/// With branches that may be scalars.
Value StepAdjoint::select(Value condition, Value yes, Value no) { return map(Fn::Select, {condition, yes, no}); }

Value StepAdjoint::asComplex(Value real) {
  return recur::CastOp::create(b, loc, typeOf(real).clone(ComplexType::get(typeOf(real).getElementType())), real);
}

Value StepAdjoint::broadcast(Value value, RankedTensorType type, ArrayRef<int64_t> dims) {
  return dims.empty() ? value : recur::BroadcastOp::create(b, loc, type, value, dims).getResult();
}

Value StepAdjoint::sum(Value value, ArrayRef<int64_t> dims) {
  if (dims.empty())
    return value;
  SmallVector<int64_t> kept;
  for (int64_t axis = 0; axis < typeOf(value).getRank(); ++axis)
    if (!llvm::is_contained(dims, axis))
      kept.push_back(axis);
  return recur::ReduceOp::create(b, loc, axesOf(typeOf(value), kept), recur::Reduction::Sum, value, dims);
}

void StepAdjoint::addElementwise(Value operand, Value g) {
  if (typeOf(operand).getRank() == 0)
    g = sum(g, llvm::to_vector(llvm::seq<int64_t>(0, typeOf(g).getRank())));
  add(operand, g);
}

LogicalResult StepAdjoint::visit(Operation &op, Value g) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case([&](recur::MapOp map) { return visitMap(map, g), success(); })
      .Case([&](recur::ContractOp contract) { return visitContract(contract, g); })
      .Case([&](recur::ReduceOp reduce) { return visitReduce(reduce, g), success(); })
      .Case([&](recur::BroadcastOp broadcast) {
        return add(broadcast.getOperand(), sum(g, broadcast.getDims())), success();
      })
      .Case([&](recur::SliceOp slice) { return visitSlice(slice, g), success(); })
      .Case([&](recur::ConcatOp concat) { return visitConcat(concat, g), success(); })
      .Case([&](recur::ReshapeOp reshape) {
        return add(reshape.getOperand(), recur::ReshapeOp::create(b, loc, reshape.getOperand().getType(), g)),
               success();
      })
      .Case([&](recur::CastOp cast) { return visitCast(cast, g), success(); })
      .Case<chunk::ProductsOp, chunk::SumsOp, chunk::ScoresOp, chunk::ApplyOp, chunk::SolveOp, chunk::AsSourceOp,
            chunk::AsTimeOp>([&](auto of) { return visitChunk(of, g), success(); })
      .Default([](Operation *op) { return op->emitError("no derivative is known of '") << op->getName() << "'"; });
}

void StepAdjoint::visitSlice(recur::SliceOp op, Value g) {
  int64_t offset = 0, axis = op.getDim();
  op.getOffset().getAsInteger(10, offset);
  int64_t size = op.getDrop() ? 1 : typeOf(g).getDimSize(axis);
  sums[op.getOperand()].pieces.push_back({g, axis, offset, size, op.getDrop()});
}

void StepAdjoint::visitConcat(recur::ConcatOp op, Value g) {
  int64_t offset = 0;
  for (Value operand : op.getOperands_()) {
    int64_t size = typeOf(operand).getDimSize(op.getDim());
    if (isActive(operand))
      add(operand, recur::SliceOp::create(b, loc, operand.getType(), g, op.getDim(), std::to_string(offset), false));
    offset += size;
  }
}

void StepAdjoint::visitCast(recur::CastOp op, Value g) {
  if (isComplex(g) && !isComplex(op.getOperand()))
    g = map(Fn::Real, {g});
  if (g.getType() != op.getOperand().getType())
    g = recur::CastOp::create(b, loc, op.getOperand().getType(), g);
  add(op.getOperand(), g);
}

/// max and min: equal to the largest (smallest) elements, which share what they get. A product: of the others, exact where elements
/// are 0.
void StepAdjoint::visitReduce(recur::ReduceOp op, Value g) {
  Value x = op.getOperand();
  RankedTensorType type = typeOf(x);
  auto spread = [&](Value value) { return broadcast(value, type.clone(typeOf(value).getElementType()), op.getDims()); };
  if (op.getKind() == recur::Reduction::Sum)
    return add(x, spread(g));
  Value zero = number(x, 0), one = number(x, 1);
  if (op.getKind() == recur::Reduction::Prod) {
    Value isZero = map(Fn::Eq, {x, zero});
    Value zeros = spread(sum(select(isZero, one, zero), op.getDims()));
    Value others = spread(
        recur::ReduceOp::create(b, loc, op.getType(), recur::Reduction::Prod, select(isZero, one, x), op.getDims()));
    Value atZero = select(map(Fn::Eq, {zeros, one}), others, zero);
    Value elsewhere = select(map(Fn::Eq, {zeros, zero}), map(Fn::Div, {others, select(isZero, one, x)}), zero);
    return add(x, mul(spread(g), conjugate(select(isZero, atZero, elsewhere))));
  }
  Value mask = select(map(Fn::Eq, {x, spread(op.getResult())}), one, zero);
  add(x, mul(mask, spread(map(Fn::Div, {g, sum(mask, op.getDims())}))));
}

/// The cotangent of one factor is the contraction of g with the others.
LogicalResult StepAdjoint::visitContract(recur::ContractOp op, Value g) {
  recur::ContractSpec spec = *recur::parseContractSpec(op.getSpec());
  for (auto [number, operand] : llvm::enumerate(op.getOperands_())) {
    if (!isActive(operand))
      continue;
    std::string text, elsewhere = spec.result, letters;
    SmallVector<Value> factors;
    for (auto [other, value] : llvm::enumerate(op.getOperands_()))
      if (other != number) {
        text += spec.operands[other] + ",";
        elsewhere += spec.operands[other];
        factors.push_back(conjugate(value));
      }
    factors.push_back(g);
    text += spec.result + "->";
    SmallVector<int64_t> positions,
        repeated; // of letters that something else has; of those that are summed over here alone
    StringRef own = spec.operands[number];
    for (auto [axis, letter] : llvm::enumerate(own)) {
      if (own.take_front(axis).contains(letter))
        continue; // on a diagonal
      bool has = elsewhere.find(letter) != std::string::npos;
      (has ? positions : repeated).push_back(axis);
      if (has)
        text += letter;
      letters += letter;
    }
    Value part = recur::ContractOp::create(b, loc, axesOf(typeOf(operand), positions), text, factors);
    SmallVector<int64_t> all(positions), added;
    llvm::append_range(all, repeated);
    llvm::sort(all);
    for (auto [at, axis] : llvm::enumerate(all))
      if (llvm::is_contained(repeated, axis))
        added.push_back(at);
    part = broadcast(part, axesOf(typeOf(operand), all), added);
    add(operand, onDiagonals(part, own, typeOf(operand)));
  }
  return success();
}

/// From one axis per letter to one per occurrence, zero off the diagonals.
Value StepAdjoint::onDiagonals(Value value, StringRef letters, RankedTensorType type) {
  std::string from, to;
  SmallVector<Value> factors{value};
  std::string identities;
  char fresh = 'a';
  for (auto [axis, letter] : llvm::enumerate(letters)) {
    if (!StringRef(from).contains(letter)) {
      from += letter;
      to += letter;
      continue;
    }
    while (letters.contains(fresh) || StringRef(to).contains(fresh))
      ++fresh;
    int64_t first = letters.find(letter);
    factors.push_back(recur::IdentityOp::create(b, loc, axesOf(type, {first, static_cast<int64_t>(axis)})));
    identities += std::string(",") + letter + fresh;
    to += fresh;
  }
  return factors.size() == 1
             ? value
             : recur::ContractOp::create(b, loc, type, from + identities + "->" + to, factors).getResult();
}
