// Which values of a step are stored, and which are computed in one sweep. See StepNests.h.
#include "compiler/Target/CPU/StepNests.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/DenseSet.h"
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
             recur::IdentityOp>(op) &&
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

/// Above this cost a value that would be recomputed is stored instead.
constexpr int kStoreCost = 4;
/// Above this cost a value that several statements use is stored.
constexpr int kShareCost = 8;

} // namespace

Value rondo::cpu::withoutReshapes(Value value) {
  while (auto reshape = value.getDefiningOp<recur::ReshapeOp>())
    value = reshape.getOperand();
  return value;
}

SmallVector<int64_t> rondo::cpu::reductionExtents(Operation *op) {
  SmallVector<int64_t> extents;
  if (auto reduce = dyn_cast<recur::ReduceOp>(op)) {
    for (int64_t dim : reduce.getDims())
      extents.push_back(shapeOf(reduce.getOperand())[dim]);
  } else if (auto contract = dyn_cast<recur::ContractOp>(op)) {
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
  if (shapeOf(op->getOperand(number)).empty())
    return {};
  return Indices(at);
}

StepNests::StepNests(recur::ScanOp scan) : scan(scan) {
  classify();
  chooseStored();
  recur::YieldOp yield = scan.yield();
  auto destinationsOf = [&](Value value, auto &&visit) {
    for (auto [i, state] : llvm::enumerate(yield.getStates()))
      if (state == value)
        visit(Destination{Destination::State, static_cast<int>(i)});
    for (auto [i, output] : llvm::enumerate(yield.getOutputs()))
      if (output == value)
        visit(Destination{Destination::Output, static_cast<int>(i)});
  };
  for (Operation &op : *scan.step())
    for (Value result : op.getResults()) {
      if (!stored.contains(result) || isa<arith::ConstantOp>(op))
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
  for (Value value : yield->getOperands())
    if ((isa<BlockArgument>(value) || isa<arith::ConstantOp>(value.getDefiningOp())) && copied.insert(value).second)
      destinationsOf(value, [&](Destination d) { addStatement(value, d, true); });
  chooseStateStorage();
}

void StepNests::classify() {
  for (BlockArgument argument : scan.step()->getArguments())
    timeVarying[argument] = perSequence[argument] = true;
  for (auto [argument, operand] : llvm::zip(scan.paramArgs(), scan.getParams())) {
    timeVarying[argument] = false;
    perSequence[argument] = recur::dimsOf(operand.getType()).axisPosition("batch") >= 0;
  }
  for (Operation &op : *scan.step())
    for (Value result : op.getResults()) {
      timeVarying[result] = llvm::any_of(op.getOperands(), [&](Value v) { return timeVarying[v]; });
      perSequence[result] = llvm::any_of(op.getOperands(), [&](Value v) { return perSequence[v]; });
      auto contract = dyn_cast<recur::ContractOp>(op);
      if (contract && isReductionOp(&op) && perSequence[result])
        sharesParams |=
            llvm::any_of(op.getOperands(), [&](Value v) { return !perSequence[v] && shapeOf(v).size() >= 2; });
    }
}

bool StepNests::isStored(Value value) const { return isa<BlockArgument>(value) || stored.contains(value); }

/// Decides by walking each statement's expression: a costly value inside a larger iteration space, or shared by statements, or
/// constant over time inside a step, gets memory. New statements are walked in turn, so the walk repeats until nothing changes.
void StepNests::chooseStored() {
  for (Operation &op : *scan.step())
    for (Value result : op.getResults())
      if (!isEvaluatedInPlace(&op))
        stored.insert(result);
  for (Operation &op : *scan.step())
    if (isa<recur::ReshapeOp>(op) && op.getOperand(0).getDefiningOp())
      stored.insert(op.getOperand(0));
  for (Value value : scan.yield()->getOperands())
    if (Operation *op = value.getDefiningOp(); op && !isa<arith::ConstantOp>(op))
      stored.insert(value);

  DenseMap<Value, int> treeCost;
  for (Operation &op : *scan.step())
    for (Value result : op.getResults()) {
      treeCost[result] = cost(&op);
      for (Value operand : op.getOperands())
        treeCost[result] += isStored(operand) ? 0 : treeCost[operand];
    }
  for (bool changed = true; changed;) {
    changed = false;
    DenseMap<Value, int> users;
    auto visit = [&](auto &&self, Value value, ArrayRef<Index> at, ArrayRef<Index> reduced, size_t space, bool varies,
                     bool isRoot, DenseSet<Value> &seen) -> void {
      Operation *op = value.getDefiningOp();
      if (!op || (!isRoot && stored.contains(value)) || isa<arith::ConstantOp>(op))
        return;
      if (!isRoot) {
        llvm::SmallDenseSet<int> dims;
        for (const Index &index : at)
          if (index.dim >= 0)
            dims.insert(index.dim);
        bool repeated = !dims.empty() && dims.size() < space && treeCost[value] >= kStoreCost;
        bool invariant = varies && !timeVarying[value] && treeCost[value] > 0;
        bool shared = seen.insert(value).second && ++users[value] > 1 && treeCost[value] >= kShareCost;
        bool truth = cast<RankedTensorType>(value.getType()).getElementType().isInteger(1);
        if ((repeated || invariant || shared) && !truth) {
          stored.insert(value);
          changed = true;
          return;
        }
      }
      if (isa<recur::ConcatOp, recur::ReshapeOp>(op))
        return;
      for (unsigned i = 0; i < op->getNumOperands(); ++i)
        self(self, op->getOperand(i), operandIndices(op, i, at, reduced), {}, space, varies, false, seen);
    };
    for (Operation &op : *scan.step())
      for (Value result : op.getResults()) {
        bool piece = llvm::any_of(result.getUsers(), [](Operation *user) { return isa<recur::ConcatOp>(user); });
        if (!stored.contains(result) && !piece)
          continue;
        Indices at, reduced;
        for (size_t i = 0; i < shapeOf(result).size(); ++i)
          at.push_back({static_cast<int>(i), 0});
        if (isReductionOp(&op))
          for (size_t i = 0; i < reductionExtents(&op).size(); ++i)
            reduced.push_back({static_cast<int>(at.size() + i), 0});
        DenseSet<Value> seen;
        visit(visit, result, at, reduced, at.size() + reduced.size(), timeVarying[result], true, seen);
      }
  }
}

int StepNests::newBuffer(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  buffers.push_back({SmallVector<int64_t>(type.getShape()), type.getElementType(), perSequence[value]});
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
  Statement statement;
  statement.value = value;
  statement.destinations.push_back(destination);
  Operation *op = value.getDefiningOp();
  statement.isReduction = op && isReductionOp(op) && !isPiece;
  SmallVector<int64_t> extents(shapeOf(value));
  for (size_t i = 0; i < extents.size(); ++i)
    statement.axes.push_back(i);
  if (statement.isReduction)
    for (int64_t extent : reductionExtents(op)) {
      statement.reduced.push_back(extents.size());
      extents.push_back(extent);
    }
  place(std::move(statement), extents);
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
  for (auto [i, statement] : llvm::enumerate(nest.statements)) {
    Indices at, reduced;
    for (int dim : statement.axes)
      at.push_back({dim, 0});
    for (int dim : statement.reduced)
      reduced.push_back({dim, 0});
    collectReads(statement.value, at, reduced, !readsItself(statement), i, result);
  }
  return result;
}

bool StepNests::mayUpdateInPlace(unsigned state) const {
  Value update = scan.yield().getStates()[state];
  auto isUpdate = [&](const Destination &d) {
    return d.kind == Destination::State && d.number == static_cast<int>(state);
  };
  size_t at = 0;
  const Statement *writer = nullptr;
  for (auto [n, nest] : llvm::enumerate(nests))
    for (const Statement &statement : nest.statements)
      if (llvm::any_of(statement.destinations, isUpdate)) {
        at = n;
        writer = &statement;
      }
  if (!writer || writer->value != update || writer->isReduction)
    return false;
  Indices same;
  for (int dim : writer->axes)
    same.push_back({dim, 0});
  for (BlockArgument old : scan.stateArgs(state))
    for (auto [n, nest] : llvm::enumerate(nests)) {
      if (n < at)
        continue;
      // The elementwise statements of a nest read before one writes. Sums come after, and use what the update has read.
      bool early = false, late = false;
      for (const Read &read : reads(nest)) {
        if (read.value != old)
          continue;
        if (n > at || read.at != same)
          return false;
        late |= nest.statements[read.statement].isReduction;
        early |= &nest.statements[read.statement] == writer;
      }
      if (late && !early)
        return false;
    }
  return true;
}

void StepNests::chooseStateStorage() {
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    StateStorage storage = StateStorage::Ring;
    if (scan.numAxes() > 1)
      storage = StateStorage::History;
    else if (scan.state(s).depth() <= 1 && mayUpdateInPlace(s))
      storage = StateStorage::InPlace;
    states.push_back(storage);
  }
  // A stored value that is also a state's new slice is read from there; one that no other nest reads needs no memory at all.
  DenseSet<Value> readElsewhere;
  for (auto *list : {&prologue, &nests})
    for (const Nest &nest : *list)
      for (const Read &read : reads(nest)) {
        Value value = read.value;
        bool here = llvm::any_of(
            nest.statements, [&](const Statement &s) { return s.value == value && !s.isReduction && !readsItself(s); });
        if (!here || value.getDefiningOp<recur::ConcatOp>() || withoutReshapes(value) != value)
          readElsewhere.insert(withoutReshapes(value));
      }
  for (auto *list : {&prologue, &nests})
    for (Nest &nest : *list)
      for (Statement &statement : nest.statements) {
        auto own = bufferOf.find(statement.value);
        if (own == bufferOf.end() || readElsewhere.contains(statement.value))
          continue;
        llvm::erase_if(statement.destinations,
                       [&](const Destination &d) { return d.kind == Destination::Scratch && d.number == own->second; });
        buffers[own->second].needed = false;
      }
}
