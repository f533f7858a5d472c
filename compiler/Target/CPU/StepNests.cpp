// Which values of a step are stored, and which are computed in one sweep. See StepNests.h.
#include "compiler/Target/CPU/StepNests.h"
#include "compiler/Target/CPU/NestTiling.h"
#include "dialects/Chunk/Chunk.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

namespace {

ArrayRef<int64_t> shapeOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }

bool isReductionOp(Operation *op) {
  if (auto reduce = dyn_cast<recur::ReduceOp>(op))
    return !reduce.getDims().empty();
  return isa<recur::ContractOp>(op) && !reductionExtents(op).empty();
}

/// Operations whose elements are computed where they are needed.
bool isEvaluatedInPlace(Operation *op) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return cast<DenseElementsAttr>(constant.getValue()).isSplat();
  return isa<recur::MapOp, recur::ContractOp, recur::ReduceOp, recur::BroadcastOp, recur::SliceOp, recur::CastOp,
             recur::IdentityOp, chunk::AsSourceOp, chunk::AsTimeOp, chunk::RowOp>(op) &&
         !isReductionOp(op);
}

/// Rough cost of one element, in additions.
int cost(recur::Fn fn) {
  using recur::Fn;
  switch (fn) {
  case Fn::Exp:
  case Fn::Log:
    return 12;
  case Fn::Expm1:
  case Fn::Log1p:
  case Fn::Tanh:
    return 20;
  case Fn::Sin:
  case Fn::Cos:
  case Fn::Erf:
  case Fn::Pow:
    return 40;
  case Fn::Div:
  case Fn::Sqrt:
    return 6;
  case Fn::Real:
  case Fn::Imag:
  case Fn::Conj:
  case Fn::Complex:
    return 0;
  default:
    return 1;
  }
}

int cost(Operation *op) {
  if (auto map = dyn_cast<recur::MapOp>(op))
    return cost(map.getFn());
  if (auto contract = dyn_cast<recur::ContractOp>(op))
    return contract.getOperands_().size() - 1;
  return 0;
}

/// What a step hands on; of outputs that are made of rows, the rows.
SmallVector<Value> yieldedValues(recur::Step step) {
  SmallVector<Value> values;
  for (Value value : step.yield()->getOperands())
    if (auto rows = value.getDefiningOp<chunk::RowsOp>())
      llvm::append_range(values, rows.getOperands_());
    else
      values.push_back(value);
  return values;
}

/// Above this cost a value that would be recomputed is stored instead.
constexpr int kStoreCost = 4;
/// Above this cost a value that several statements use is stored.
constexpr int kShareCost = 8;

} // namespace

bool rondo::cpu::isChunkOp(Operation *op) {
  return isa_and_present<chunk::ProductsOp, chunk::SumsOp, chunk::ScoresOp, chunk::ApplyOp, chunk::SolveOp,
                         chunk::DecayGradientOp>(op);
}

Value rondo::cpu::withoutReshapes(Value value) {
  while (auto reshape = value.getDefiningOp<recur::ReshapeOp>())
    value = reshape.getOperand();
  return value;
}

SmallVector<int64_t> rondo::cpu::reductionExtents(Operation *op) {
  SmallVector<int64_t> extents;
  if (auto reduce = dyn_cast_or_null<recur::ReduceOp>(op)) {
    for (int64_t dim : reduce.getDims())
      extents.push_back(shapeOf(reduce.getOperand())[dim]);
  } else if (auto contract = dyn_cast_or_null<recur::ContractOp>(op)) {
    auto spec = *recur::parseContractSpec(contract.getSpec());
    std::string seen = spec.result;
    for (auto [letters, operand] : llvm::zip(spec.operands, contract.getOperands_()))
      for (auto [i, letter] : llvm::enumerate(letters))
        if (seen.find(letter) == std::string::npos) {
          seen += letter;
          extents.push_back(shapeOf(operand)[i]);
        }
  }
  return extents;
}

static Indices contractIndices(recur::ContractOp contract, unsigned number, ArrayRef<Index> at,
                               ArrayRef<Index> reduced) {
  auto spec = *recur::parseContractSpec(contract.getSpec());
  std::string letters = spec.result;
  for (const std::string &operand : spec.operands)
    for (char letter : operand)
      if (letters.find(letter) == std::string::npos)
        letters += letter;
  Indices all(at);
  all.append(reduced.begin(), reduced.end());
  Indices indices;
  for (char letter : spec.operands[number])
    indices.push_back(all[letters.find(letter)]);
  return indices;
}

Indices rondo::cpu::operandIndices(Operation *op, unsigned number, ArrayRef<Index> at, ArrayRef<Index> reduced) {
  if (auto contract = dyn_cast<recur::ContractOp>(op))
    return contractIndices(contract, number, at, reduced);
  if (auto reduce = dyn_cast<recur::ReduceOp>(op)) {
    Indices indices;
    size_t kept = 0, gone = 0;
    for (int64_t i = 0, rank = shapeOf(reduce.getOperand()).size(); i < rank; ++i)
      indices.push_back(llvm::is_contained(reduce.getDims(), i) ? reduced[gone++] : at[kept++]);
    return indices;
  }
  if (auto broadcast = dyn_cast<recur::BroadcastOp>(op)) {
    Indices indices;
    for (auto [i, index] : llvm::enumerate(at))
      if (!llvm::is_contained(broadcast.getDims(), static_cast<int64_t>(i)))
        indices.push_back(index);
    return indices;
  }
  if (auto slice = dyn_cast<recur::SliceOp>(op)) {
    int64_t offset = 0;
    slice.getOffset().getAsInteger(10, offset);
    Indices indices(at);
    if (slice.getDrop())
      indices.insert(indices.begin() + slice.getDim(), Index{-1, offset});
    else
      indices[slice.getDim()].offset += offset;
    return indices;
  }
  if (auto row = dyn_cast<chunk::RowOp>(op)) {
    Indices indices(at);
    indices.insert(indices.begin(), Index{-1, static_cast<int64_t>(row.getNumber())});
    return indices;
  }
  if (shapeOf(op->getOperand(number)).empty())
    return {};
  return Indices(at);
}

StepNests::StepNests(recur::Step step, bool packs, bool repeats)
    : step(step), scan(step.getScan()), packs(packs), repeats(repeats) {
  classify();
  chooseStored();
  recur::YieldOp yield = step.yield();
  auto destinationsOf = [&](Value value, auto &&visit) {
    for (auto [i, state] : llvm::enumerate(yield.getStates()))
      if (state == value)
        visit(Destination{Destination::State, static_cast<int>(i)});
    for (auto [i, output] : llvm::enumerate(yield.getOutputs())) {
      if (output == value)
        visit(Destination{Destination::Output, static_cast<int>(i)});
      if (auto rows = output.getDefiningOp<chunk::RowsOp>())
        for (auto [number, row] : llvm::enumerate(rows.getOperands_()))
          if (row == value)
            visit(Destination{Destination::Output, static_cast<int>(i), -1, 0, static_cast<int64_t>(number)});
    }
  };
  for (Operation &op : *step.getBlock())
    for (Value result : op.getResults()) {
      if (!stored.contains(result) || isa<arith::ConstantOp, chunk::RowsOp>(op)) // rows go where they belong one by one
        continue;
      if (auto reshape = dyn_cast<recur::ReshapeOp>(op)) {
        destinationsOf(result, [&](Destination d) { addStatement(result, d, true); });
        continue;
      }
      bufferOf[result] = newBuffer(result);
      if (auto concat = dyn_cast<recur::ConcatOp>(op)) {
        int64_t offset = 0;
        for (Value piece : concat.getOperands_()) {
          addStatement(piece, {Destination::Scratch, bufferOf[result], static_cast<int>(concat.getDim()), offset},
                       true);
          offset += shapeOf(piece)[concat.getDim()];
        }
        destinationsOf(result, [&](Destination d) { addStatement(result, d, true); });
        continue;
      }
      addStatement(result, {Destination::Scratch, bufferOf[result]}, false);
      destinationsOf(result, [&](Destination d) { addStatement(result, d, false); });
    }
  // What is handed on unchanged is copied last, after everything that reads the old state.
  DenseSet<Value> copied;
  for (Value value : yieldedValues(step))
    if ((isa<BlockArgument>(value) || isa<arith::ConstantOp>(value.getDefiningOp())) && copied.insert(value).second)
      destinationsOf(value, [&](Destination d) { addStatement(value, d, true); });
  chooseStateStorage();
  dropUnreadMemory();
}

void StepNests::classify() {
  for (BlockArgument argument : step.getBlock()->getArguments())
    timeVarying[argument] = perSequence[argument] = true;
  for (auto [argument, operand] : llvm::zip(step.paramArgs(), scan.getParams())) {
    timeVarying[argument] = false;
    perSequence[argument] = recur::dimsOf(operand.getType()).axisPosition("batch") >= 0;
    // As a factor of a product. What else reads it, such as exp(A) in the sweep of a sum, would have its vectors turned around for nothing.
    auto type = cast<RankedTensorType>(argument.getType());
    bool isFactor = llvm::any_of(argument.getUsers(),
                                 [](Operation *user) { return isa<recur::ContractOp>(user) && isReductionOp(user); });
    if (isFactor && type.getRank() == 2 && isa<FloatType>(type.getElementType()) &&
        recur::dimsOf(operand.getType()).getAxes().empty())
      packable.insert(argument);
  }
  for (Operation &op : *step.getBlock())
    for (Value result : op.getResults()) {
      if (isReductionOp(&op))
        termsOf[result] = {result};
      timeVarying[result] = llvm::any_of(op.getOperands(), [&](Value v) { return timeVarying[v]; });
      perSequence[result] = llvm::any_of(op.getOperands(), [&](Value v) { return perSequence[v]; });
      auto contract = dyn_cast<recur::ContractOp>(op);
      if (contract && isReductionOp(&op) && perSequence[result])
        sharesParams |=
            llvm::any_of(op.getOperands(), [&](Value v) { return !perSequence[v] && shapeOf(v).size() >= 2; });
    }
}

bool StepNests::isStored(Value value) const { return isa<BlockArgument>(value) || stored.contains(value); }

void StepNests::chooseStored() {
  for (Operation &op : *step.getBlock())
    for (Value result : op.getResults())
      if (!isEvaluatedInPlace(&op))
        stored.insert(result);
  for (Operation &op : *step.getBlock())
    if (isa<recur::ReshapeOp>(op) && op.getOperand(0).getDefiningOp())
      stored.insert(op.getOperand(0));
  for (Operation &op : *step.getBlock())
    if (isChunkOp(&op))
      for (Value operand : op.getOperands())
        if (Operation *maker = operand.getDefiningOp(); maker && !isa<arith::ConstantOp>(maker))
          stored.insert(operand);
  for (Value value : yieldedValues(step))
    if (Operation *op = value.getDefiningOp(); op && !isa<arith::ConstantOp>(op))
      stored.insert(value);
  joinSums();
  reckonCosts();
  storeWhatIsDear();
  reckonCosts();
}

/// What an element of each value costs where it is computed, from what has memory by now. A number that elements share is computed before
/// their loops.
void StepNests::reckonCosts() {
  for (Operation &op : *step.getBlock())
    for (Value result : op.getResults()) {
      int total = cost(&op);
      for (Value operand : op.getOperands())
        if (!shapeOf(operand).empty() || shapeOf(result).empty())
          total += costOf(operand);
      computeCost[result] = total;
    }
}

/// A sum of two matrix products is one statement: the second product goes on with the running sums of the first.
void StepNests::joinSums() {
  for (auto map : step.getBlock()->getOps<recur::MapOp>()) {
    if (map.getFn() != recur::Fn::Add)
      continue;
    SmallVector<Value, 1> terms;
    bool all = llvm::all_of(map->getOperands(), [&](Value operand) {
      auto found = termsOf.find(operand);
      if (found == termsOf.end() || !operand.hasOneUse())
        return false;
      llvm::append_range(terms, found->second);
      return true;
    });
    if (!all || !mayJoin(map.getResult(), terms))
      continue;
    for (Value operand : map->getOperands()) {
      termsOf.erase(operand);
      stored.erase(operand);
    }
    stored.insert(map.getResult());
    termsOf[map.getResult()] = std::move(terms);
  }
}

/// Matrices only: a vector of sums may share a sweep with what it reads. Vectors must run along the same axis of the result in
/// every product.
bool StepNests::mayJoin(Value sum, ArrayRef<Value> terms) const {
  if (shapeOf(sum).size() < 2)
    return false;
  std::optional<int> along;
  for (Value term : terms) {
    auto reduce = term.getDefiningOp<recur::ReduceOp>();
    if (term.getType() != sum.getType() || (reduce && reduce.getKind() != recur::Reduction::Sum) ||
        timeVarying.lookup(term) != timeVarying.lookup(sum) || perSequence.lookup(term) != perSequence.lookup(sum))
      return false;
    SmallVector<int64_t> extents;
    Nest alone;
    alone.statements.push_back(newStatement(term, false, extents));
    for (auto [d, extent] : llvm::enumerate(extents))
      alone.dims.push_back({extent, d >= shapeOf(sum).size()});
    int vectors = vectorDimension(*this, alone, kPlannedLanes);
    if (vectors < 0 || alone.dims[vectors].reduction || (along && *along != vectors))
      return false;
    along = vectors;
  }
  return true;
}

/// Decides by walking each statement's expression: a costly value inside a larger iteration space, or shared by statements, or
/// constant over time inside a step, gets memory. New statements are walked in turn, so the walk repeats until nothing changes.
void StepNests::storeWhatIsDear() {
  // Rows of a chunk have sweeps over their vectors anyway, so that what is computed there once is cheaper than any operation in the sweep over
  // a state.
  bool hasRows = !step.getBlock()->getOps<chunk::RowOp>().empty();
  int storeCost = hasRows ? 1 : kStoreCost;
  for (bool changed = true; changed;) {
    changed = false;
    DenseMap<Value, int> users;
    auto visit = [&](auto &&self, Value value, ArrayRef<Index> at, ArrayRef<Index> reduced, size_t space, bool varies,
                     bool isRoot, DenseSet<Value> &seen) -> void {
      Operation *op = value.getDefiningOp();
      if (!op || (!isRoot && stored.contains(value)) || isa<arith::ConstantOp>(op))
        return;
      int cost = computeCost[value];
      if (!isRoot) {
        llvm::SmallDenseSet<int> dims;
        for (const Index &index : at)
          if (index.dim >= 0)
            dims.insert(index.dim);
        // A factor of a matrix product is asked for once per tile of the product.
        bool factor = dims.size() >= 2 && cost > 0;
        bool repeated = !dims.empty() && dims.size() < space && (factor || cost >= storeCost);
        bool invariant = varies && !timeVarying[value] && cost > 0;
        bool shared = seen.insert(value).second && ++users[value] > 1 && cost >= kShareCost;
        bool truth = cast<RankedTensorType>(value.getType()).getElementType().isInteger(1);
        if (((!repeats && (repeated || shared)) || invariant) && !truth) {
          stored.insert(value);
          changed = true;
          return;
        }
      }
      if (isa<recur::ConcatOp, recur::ReshapeOp>(op) || isChunkOp(op))
        return;
      for (unsigned i = 0; i < op->getNumOperands(); ++i)
        self(self, op->getOperand(i), operandIndices(op, i, at, reduced), {}, space, varies, false, seen);
    };
    for (Operation &op : *step.getBlock())
      for (Value result : op.getResults()) {
        bool piece = llvm::any_of(result.getUsers(), [](Operation *user) { return isa<recur::ConcatOp>(user); });
        if (!stored.contains(result) && !piece)
          continue;
        SmallVector<int64_t> extents;
        Statement statement = newStatement(result, false, extents);
        DenseSet<Value> seen;
        if (!statement.isReduction())
          visit(visit, result, statement.at(), {}, extents.size(), timeVarying[result], true, seen);
        for (const Term &term : statement.terms)
          visit(visit, term.value, statement.at(), indices(term.reduced), statement.axes.size() + term.reduced.size(),
                timeVarying[result], true, seen);
      }
  }
}

int StepNests::newBuffer(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape(type.getShape());
  if (value.getDefiningOp<chunk::DecayGradientOp>())
    shape[0] *= 2; // its partial results are as large as it is
  buffers.push_back({shape, type.getElementType(), perSequence[value]});
  return buffers.size() - 1;
}

/// Adds a destination to the value's statement, or a statement. A piece (of a concatenation, or a copy) is evaluated on its own.
void StepNests::addStatement(Value value, Destination destination, bool isPiece) {
  auto &list = timeVarying[value] || destination.kind != Destination::Scratch ? nests : prologue;
  if (!isPiece)
    for (Nest &nest : list)
      for (Statement &statement : nest.statements)
        if (statement.value == value && llvm::none_of(statement.destinations, [](auto &d) { return d.axis >= 0; })) {
          statement.destinations.push_back(destination);
          return;
        }
  SmallVector<int64_t> extents;
  Statement statement = newStatement(value, isPiece, extents);
  statement.destinations.push_back(destination);
  if (value.getDefiningOp() && isChunkOp(value.getDefiningOp()) && !readsItself(statement)) {
    Nest alone;
    alone.perSequence = perSequence[value] || statement.destinations.front().kind != Destination::Scratch;
    alone.chunkOp = value.getDefiningOp();
    for (int64_t extent : extents)
      alone.dims.push_back({extent, false});
    alone.statements.push_back(std::move(statement));
    list.push_back(std::move(alone));
    return;
  }
  place(std::move(statement), extents);
}

/// A statement in an iteration space of its own: the value's axes, then the reduction dimensions. A piece is elementwise.
Statement StepNests::newStatement(Value value, bool isPiece, SmallVectorImpl<int64_t> &extents) const {
  Statement statement;
  statement.value = value;
  extents.assign(shapeOf(value).begin(), shapeOf(value).end());
  for (size_t i = 0; i < extents.size(); ++i)
    statement.axes.push_back(i);
  auto terms = termsOf.find(value);
  if (isPiece || terms == termsOf.end())
    return statement;
  for (Value of : terms->second) {
    Term &term = statement.terms.emplace_back();
    term.value = of;
    for (int64_t extent : reductionExtents(of.getDefiningOp())) {
      term.reduced.push_back(extents.size());
      extents.push_back(extent);
    }
  }
  return statement;
}

void StepNests::collectReads(Value value, ArrayRef<Index> at, ArrayRef<Index> reduced, bool isRoot, int statement,
                             SmallVectorImpl<Read> &reads) const {
  Operation *op = value.getDefiningOp();
  if (!isRoot && isStored(value)) {
    reads.push_back({value, Indices(at), statement});
    return;
  }
  if (!op) {
    reads.push_back({value, Indices(at), statement});
    return;
  }
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    collectReads(op->getOperand(i), operandIndices(op, i, at, reduced), {}, false, statement, reads);
}

bool StepNests::readsItself(const Statement &statement) const {
  Operation *op = statement.value.getDefiningOp();
  return !op || isa<recur::ReshapeOp, recur::ConcatOp, arith::ConstantOp>(op) ||
         (isStored(statement.value) && llvm::any_of(statement.destinations, [](auto &d) { return d.axis >= 0; }));
}

SmallVector<Read> StepNests::reads(const Nest &nest) const {
  SmallVector<Read> result;
  for (Value operand : nest.chunkOp ? ValueRange(nest.chunkOp->getOperands()) : ValueRange())
    if (isStored(operand)) // at no element in particular
      result.push_back({operand, Indices(shapeOf(operand).size(), Index{-1, 0}), 0});
  for (auto [i, statement] : llvm::enumerate(nest.statements)) {
    if (nest.chunkOp)
      continue;
    if (!statement.isReduction())
      collectReads(statement.value, statement.at(), {}, !readsItself(statement), i, result);
    for (const Term &term : statement.terms)
      collectReads(term.value, statement.at(), indices(term.reduced), true, i, result);
  }
  return result;
}
