// thin-scans: see Passes.td. A recurrence whose time could be shared out goes by single steps as soon as something beside it does not fit
// there; so that leaves it.
#include "compiler/Target/CPU/StepNests.h"
#include "compiler/Target/CUDA/Passes.h"
#include "compiler/Target/CUDA/ScanPlan.h"
#include "compiler/Target/CUDA/ScanReductions.h"
#include "compiler/Transforms/NewScan.h"
#include "compiler/Transforms/RaiseScans.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace rondo::cuda {
#define GEN_PASS_DEF_THINSCANS
#include "compiler/Target/CUDA/Passes.h.inc"
} // namespace rondo::cuda

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

namespace {

/// Terms of a sum of parameters from which on a scan of its own computes it.
constexpr int64_t kManyTerms = 32;
/// Channels that are summed up beside the recurrence, at most, and how many such sums make a row that kernels for rows take.
constexpr int64_t kMostNeighbours = 16, kRow = 8;

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

bool isPlain(recur::ScanOp scan) {
  if (scan.numStates() == 0 || scan.numAxes() != 1 || scan.getResets() || scan.getOffsets() || scan.getInputs().empty())
    return false;
  for (unsigned s = 0; s < scan.numStates(); ++s)
    if (scan.state(s).getReads().size() != 1 || scan.state(s).getReads()[0].asArrayRef() != ArrayRef<int64_t>{1})
      return false;
  return true;
}

/// Values of a step copied into a new scan, which has those operands alone that they need.
class Copier {
public:
  Copier(recur::ScanOp from, NewScan &into) : from(from), into(into) {}
  void set(Value value, Value here) { map.map(value, here); }
  Value get(Value value) {
    if (Value known = map.lookupOrNull(value))
      return known;
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      unsigned number = argument.getArgNumber(), inputs = from.getInputs().size();
      Value here =
          number < inputs ? into.input(from.getInputs()[number]) : into.param(from.getParams()[number - inputs]);
      map.map(value, here);
      return here;
    }
    for (Value operand : value.getDefiningOp()->getOperands())
      get(operand);
    into.body.clone(*value.getDefiningOp(), map);
    return map.lookup(value);
  }

private:
  recur::ScanOp from;
  NewScan &into;
  IRMapping map;
};

void eraseDead(recur::ScanOp scan) {
  SmallVector<Operation *> ops;
  for (Operation &op : scan.step()->without_terminator())
    ops.push_back(&op);
  for (Operation *op : llvm::reverse(ops))
    if (op->use_empty())
      op->erase();
  unsigned first = scan.getInputs().size();
  for (unsigned i = scan.getParams().size(); i-- > 0;)
    if (scan.step()->getArgument(first + i).use_empty()) {
      scan.step()->eraseArgument(first + i);
      scan.getParamsMutable().erase(i);
    }
}

//===--- sums of parameters -----------------------------------------------------------------------------------------===//

/// What is the same at each step, and takes long to compute, becomes a parameter: the final state of a scan that forgets.
class ParameterSums {
public:
  explicit ParameterSums(recur::ScanOp scan) : scan(scan), b(scan) {
    fixed.insert(scan.paramArgs().begin(), scan.paramArgs().end());
  }

  void leave() {
    bool any = false;
    for (Operation &op : scan.step()->without_terminator()) {
      if (!op.getNumOperands() || !llvm::all_of(op.getOperands(), [&](Value v) { return isFixed(v); }))
        continue;
      fixed.insert(op.getResult(0));
      if (llvm::product_of(cpu::reductionExtents(&op)) <= kManyTerms || typeOf(op.getResult(0)).getRank() > 1)
        continue;
      any = true;
      op.getResult(0).replaceAllUsesWith(parameter(sumOf(op)));
    }
    if (any)
      eraseDead(scan);
  }

private:
  bool isFixed(Value value) { return fixed.contains(value) || value.getDefiningOp<arith::ConstantOp>(); }

  /// One argument more of the step.
  Value parameter(Value tensor) {
    unsigned at = scan.getInputs().size() + scan.getParams().size();
    scan.getParamsMutable().append(tensor);
    return scan.step()->insertArgument(at, stepTypeOf(tensor.getType()), scan.getLoc());
  }

  /// A matrix is summed up along one axis first, so that there is enough to do side by side.
  Value sumOf(Operation &op) {
    auto contract = dyn_cast<recur::ContractOp>(op);
    auto spec = contract ? recur::parseContractSpec(contract.getSpec()) : std::nullopt;
    if (!spec || !spec->result.empty())
      return finalOf([&](NewScan &made) { return Copier(scan, made).get(op.getResult(0)); });
    for (auto [letters, operand] : llvm::zip(spec->operands, op.getOperands())) {
      if (letters.size() < 2)
        continue;
      RankedTensorType type = typeOf(operand);
      auto row =
          RankedTensorType::get(type.getShape().take_front(1), type.getElementType(),
                                recur::DimsAttr::get(b.getContext(), {}, recur::dimsOf(type).getNames().take_front(1)));
      std::string text = contract.getSpec().str() + letters.front();
      Value rows = finalOf([&](NewScan &made) -> Value {
        Copier from(scan, made);
        SmallVector<Value> operands;
        for (Value each : op.getOperands())
          operands.push_back(from.get(each));
        return recur::ContractOp::create(made.body, op.getLoc(), row, text, operands);
      });
      return finalOf([&](NewScan &made) -> Value {
        return recur::ReduceOp::create(made.body, op.getLoc(), op.getResult(0).getType(), recur::Reduction::Sum,
                                       made.param(rows), ArrayRef<int64_t>{0});
      });
    }
    return finalOf([&](NewScan &made) { return Copier(scan, made).get(op.getResult(0)); });
  }

  /// The final state of a scan whose state is `value` after each step.
  Value finalOf(function_ref<Value(NewScan &)> value) {
    NewScan made(scan.getLoc(), scan.getAxes(), Value(), Value());
    made.input(*llvm::min_element(scan.getInputs(), [](Value x, Value y) {
      return typeOf(x).getRank() < typeOf(y).getRank();
    })); // something must say how many steps there are
    Value next = value(made);
    Value begin = recur::SumToOp::create(b, scan.getLoc(), next.getType(), ValueRange(), false);
    made.state(
        recur::StateAttr::get(b.getContext(), b.getStringAttr("fixed"), DenseI64ArrayAttr::get(b.getContext(), {1})),
        begin);
    return made.finish(b, next, {})->getResult(0);
  }

  recur::ScanOp scan;
  OpBuilder b;
  DenseSet<Value> fixed;
};

//===--- readouts ---------------------------------------------------------------------------------------------------===//

/// Takes a scan apart whose states are vectors, or numbers: the recurrence gives what is elementwise in the channels and sums over them, and a
/// scan without states makes the outputs of that.
class Readouts {
public:
  explicit Readouts(recur::ScanOp scan) : scan(scan) {
    for (unsigned s = 0; s < scan.numStates(); ++s)
      dependent.insert(scan.stateArgs(s).front());
    for (Operation &op : scan.step()->without_terminator())
      if (llvm::any_of(op.getOperands(), [&](Value v) { return dependent.contains(v); }))
        dependent.insert(op.getResult(0));
  }

  /// True where the scan is gone.
  bool leave() {
    auto first = typeOf(scan.yield().getStates().front());
    if (first.getRank() > 1)
      return false;
    shape = first.getShape();
    channels = first.getNumElements();
    for (Value next : scan.yield().getStates())
      if (typeOf(next).getShape() != shape || !isElementwise(next))
        return false;
    for (auto [o, output] : llvm::enumerate(scan.yield().getOutputs())) {
      auto sum = neighbourSum(output);
      bool fits = dependent.contains(output) && (isElementwise(output) || (sum && isElementwise(sum->first)));
      if (fits)
        kept.push_back(o);
      else if (!collect(output))
        return false;
    }
    return !frontier.empty() && build();
  }

private:
  /// One element for each channel, of the state's elements of that channel.
  bool isElementwise(Value value) {
    if (!dependent.contains(value))
      return true;
    if (typeOf(value).getShape() != shape || typeOf(value).getElementType().isInteger(1))
      return false;
    Operation *op = value.getDefiningOp();
    if (!op)
      return true;
    auto [known, isNew] = elementwise.try_emplace(value, true);
    if (isNew) {
      bool fits = isa<recur::MapOp, recur::ContractOp, recur::CastOp>(op) && cpu::reductionExtents(op).empty() &&
                  llvm::all_of(op->getOperands(), [&](Value v) { return isElementwise(v); });
      elementwise[value] = fits;
      return fits;
    }
    return known->second;
  }

  /// A number that sums up products of vectors, elementwise.
  bool isSum(Value value) {
    Operation *op = value.getDefiningOp();
    if (!op || typeOf(value).getRank() != 0 || !typeOf(value).getElementType().isF32() || neighbours() < 2)
      return false;
    if (auto reduce = dyn_cast<recur::ReduceOp>(op); reduce && reduce.getKind() != recur::Reduction::Sum)
      return false;
    return isa<recur::ReduceOp, recur::ContractOp>(op) &&
           llvm::all_of(op->getOperands(), [&](Value v) { return typeOf(v).getShape() == shape && isElementwise(v); });
  }

  /// How many channels a sum beside the recurrence is of.
  int64_t neighbours() const {
    for (int64_t count = kMostNeighbours; count > 1; count /= 2)
      if (channels % (count * kRow) == 0)
        return count;
    int64_t count = kMostNeighbours;
    while (channels % count)
      count /= 2;
    return count;
  }

  /// What the recurrence has to give for `value`. False where it cannot.
  bool collect(Value value) {
    if (!dependent.contains(value) || frontier.contains(value))
      return true;
    if (isSum(value) || (isElementwise(value) && typeOf(value).getElementType().isF32())) {
      frontier.insert(value);
      return true;
    }
    Operation *op = value.getDefiningOp();
    return op && llvm::all_of(op->getOperands(), [&](Value v) { return collect(v); });
  }

  Value partialSums(NewScan &made, Copier &from, Value sum) {
    Operation *op = sum.getDefiningOp();
    MLIRContext *context = scan.getContext();
    Value product;
    for (Value operand : op->getOperands()) {
      Value factor = from.get(operand);
      product = product ? recur::MapOp::create(made.body, op->getLoc(), factor.getType(), recur::Fn::Mul,
                                               ValueRange{product, factor})
                              .getResult()
                        : factor;
    }
    auto typed = [&](ArrayRef<int64_t> shape) {
      auto names =
          llvm::map_to_vector(shape, [&](int64_t size) { return StringAttr::get(context, std::to_string(size)); });
      return RankedTensorType::get(shape, typeOf(sum).getElementType(),
                                   recur::DimsAttr::get(context, ArrayRef<StringAttr>(), names));
    };
    int64_t count = neighbours(), sums = channels / count;
    Value apart = recur::ReshapeOp::create(made.body, op->getLoc(), typed({sums, count}), product);
    return recur::ReduceOp::create(made.body, op->getLoc(), typed({sums}), recur::Reduction::Sum, apart,
                                   ArrayRef<int64_t>{1});
  }

  /// The recurrence: states, outputs that stay, and the frontier.
  recur::ScanOp buildRecurrence(OpBuilder &b) {
    NewScan made(scan.getLoc(), scan.getAxes(), Value(), Value());
    Copier from(scan, made);
    for (unsigned s = 0; s < scan.numStates(); ++s)
      from.set(scan.stateArgs(s).front(), made.state(scan.state(s), scan.getInits()[s]).front());
    SmallVector<Value> states, outputs;
    for (Value next : scan.yield().getStates())
      states.push_back(from.get(next));
    for (unsigned number : kept)
      outputs.push_back(from.get(scan.yield().getOutputs()[number]));
    for (Value value : frontier)
      outputs.push_back(isSum(value) ? partialSums(made, from, value) : from.get(value));
    if (!made.hasInputs())
      made.input(scan.getInputs().front());
    return made.finish(b, states, outputs);
  }

  recur::ScanOp buildRest(OpBuilder &b, ValueRange given) {
    NewScan made(scan.getLoc(), scan.getAxes(), Value(), Value());
    Copier from(scan, made);
    for (auto [value, tensor] : llvm::zip(frontier, given)) {
      Value here = made.input(tensor);
      from.set(value, isSum(value) ? recur::ReduceOp::create(made.body, scan.getLoc(), value.getType(),
                                                             recur::Reduction::Sum, here, ArrayRef<int64_t>{0})
                                         .getResult()
                                   : here);
    }
    SmallVector<Value> outputs;
    for (auto [o, output] : llvm::enumerate(scan.yield().getOutputs()))
      if (!llvm::is_contained(kept, o))
        outputs.push_back(from.get(output));
    return made.finish(b, {}, outputs);
  }

  bool build() {
    OpBuilder b(scan);
    recur::ScanOp recurrence = buildRecurrence(b);
    recur::ScanOp rest = buildRest(b, recurrence.outputs().drop_front(kept.size()));
    SmallVector<std::pair<Value, Value>> results;
    unsigned next = 0;
    for (auto [o, output] : llvm::enumerate(scan.outputs())) {
      auto at = llvm::find(kept, o);
      results.push_back(
          {output, at == kept.end() ? Value(rest.outputs()[next++]) : Value(recurrence.outputs()[at - kept.begin()])});
    }
    for (unsigned s = 0; s < scan.numStates(); ++s)
      results.push_back({scan->getResult(scan.numOutputs() + s), recurrence->getResult(recurrence.numOutputs() + s)});
    bool alike = llvm::all_of(results, [](auto pair) {
      return typeOf(pair.first).getShape() == typeOf(pair.second).getShape() &&
             typeOf(pair.first).getEncoding() == typeOf(pair.second).getEncoding();
    });
    for (auto [result, made] : results)
      if (alike)
        made.setType(result.getType());
    if (!alike || !goesInTiles(recurrence)) {
      rest.erase();
      recurrence.erase();
      return false;
    }
    for (auto [result, made] : results)
      result.replaceAllUsesWith(made);
    scan.erase();
    return true;
  }

  /// Whether the recurrence has kernels in tiles of time, as it would be raised; `choose-tiles` takes sums over rows of inputs off it.
  static bool goesInTiles(recur::ScanOp recurrence) {
    OpBuilder b(recurrence);
    auto trial = cast<recur::ScanOp>(b.clone(*recurrence));
    analysis::StateDependence dependence(trial);
    bool raised = false;
    Operation *before = trial->getPrevNode();
    for (recur::Semiring semiring : {recur::Semiring::MaxPlus, recur::Semiring::LogPlus, recur::Semiring::PlusTimes})
      raised = raised || raiseLinear(trial, dependence, semiring).why.empty();
    if (!raised) {
      trial.erase();
      return false;
    }
    Operation *linear = before ? before->getNextNode() : &recurrence->getBlock()->front();
    auto scan = cast<recur::LinearScanOp>(linear);
    bool tiles = planScan(scan).reason.empty();
    if (recur::LinearScanOp rest = tiles ? recur::LinearScanOp() : withoutReductions(scan)) {
      tiles = planScan(rest).reason.empty();
      Operation *sums = rest.getInputs().back().getDefiningOp();
      rest->erase();
      sums->erase();
    }
    linear->erase();
    return tiles;
  }

  recur::ScanOp scan;
  ArrayRef<int64_t> shape; // of a state
  int64_t channels = 0;
  DenseSet<Value> dependent;
  DenseMap<Value, bool> elementwise;
  SmallVector<unsigned> kept;
  llvm::SetVector<Value> frontier;
};

struct ThinScans : rondo::cuda::impl::ThinScansBase<ThinScans> {
  using ThinScansBase::ThinScansBase;
  void runOnOperation() override {
    SmallVector<recur::ScanOp> scans;
    getOperation().walk([&](recur::ScanOp scan) {
      if (isPlain(scan))
        scans.push_back(scan);
    });
    for (recur::ScanOp scan : scans) {
      ParameterSums(scan).leave();
      Readouts(scan).leave();
    }
  }
};

} // namespace
