// See ScanReductions.h.
#include "compiler/Target/CUDA/ScanReductions.h"
#include "compiler/Transforms/NewScan.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

namespace {

/// The numbers of a step that are sums of rows, and what they are computed from; each region of the scan computes them by itself.
class Reductions {
public:
  explicit Reductions(recur::LinearScanOp scan) : scan(scan) {
    for (Region *region : {&scan.getCoefficients(), &scan.getReadout()})
      for (Operation &op : region->front())
        if (auto reduce = dyn_cast<recur::ReduceOp>(op); reduce && isNumber(reduce) && isGiven(reduce))
          found.push_back(reduce);
  }

  bool empty() const { return found.empty(); }

  /// The scan without states; and, for each sum in `found`, which of its outputs it is.
  recur::ScanOp make(OpBuilder &b) {
    NewScan parallel(scan.getLoc(), scan.getAxes(), Value(), Value());
    SmallVector<Value> arguments(scan.getInputs().size() + scan.getParams().size());
    for (bool params : {false, true}) // a new scan counts its inputs first
      for (unsigned i = 0; i < arguments.size(); ++i)
        if ((i >= scan.getInputs().size()) == params && used.contains(i))
          arguments[i] = params ? parallel.param(scan->getOperand(i)) : parallel.input(scan->getOperand(i));
    SmallVector<Value> outputs;
    for (recur::ReduceOp reduce : found)
      outputs.push_back(copy(reduce, arguments, parallel.body));
    return parallel.finish(b, {}, outputs);
  }

  recur::LinearScanOp scan;
  SmallVector<recur::ReduceOp> found;

private:
  static bool isNumber(Value value) { return cast<RankedTensorType>(value.getType()).getRank() == 0; }

  /// Whether all that a value is computed from is given to every step, and elementwise; notes the arguments.
  bool isGiven(Value value) {
    llvm::SetVector<Value> all;
    all.insert(value);
    llvm::SmallDenseSet<unsigned> arguments;
    for (size_t i = 0; i < all.size(); ++i) {
      if (auto argument = dyn_cast<BlockArgument>(all[i])) {
        if (argument.getArgNumber() >= scan.getInputs().size() + scan.getParams().size())
          return false;
        arguments.insert(argument.getArgNumber());
        continue;
      }
      Operation *op = all[i].getDefiningOp();
      if (!isa<recur::MapOp, recur::ReduceOp, recur::BroadcastOp, recur::CastOp, arith::ConstantOp>(op))
        return false;
      all.insert(op->operand_begin(), op->operand_end());
    }
    bool varies = llvm::any_of(arguments, [&](unsigned number) { return number < scan.getInputs().size(); });
    if (varies)
      used.insert(arguments.begin(), arguments.end());
    return varies;
  }

  Value copy(Value value, ArrayRef<Value> arguments, OpBuilder &body) {
    if (auto argument = dyn_cast<BlockArgument>(value))
      return arguments[argument.getArgNumber()];
    Operation *op = value.getDefiningOp();
    IRMapping map;
    for (Value operand : op->getOperands())
      map.map(operand, copy(operand, arguments, body));
    return body.clone(*op, map)->getResult(0);
  }

  llvm::SmallDenseSet<unsigned> used;
};

/// Removes what nothing uses any more; one input stays.
void eraseDead(recur::LinearScanOp scan) {
  Block &coefficients = scan.getCoefficients().front(), &readout = scan.getReadout().front();
  SmallVector<Operation *> ops;
  for (Block *block : {&coefficients, &readout})
    for (Operation &op : block->without_terminator())
      ops.push_back(&op);
  for (Operation *op : llvm::reverse(ops))
    if (op->use_empty())
      op->erase();
  for (unsigned i = scan.getInputs().size(); i-- > 0;)
    if (scan.getInputs().size() > 1 && coefficients.getArgument(i).use_empty() && readout.getArgument(i).use_empty()) {
      coefficients.eraseArgument(i);
      readout.eraseArgument(i);
      scan.getInputsMutable().erase(i);
    }
}

} // namespace

recur::LinearScanOp rondo::cuda::withoutReductions(recur::LinearScanOp scan) {
  Reductions reductions(scan);
  if (reductions.empty())
    return {};
  OpBuilder b(scan);
  recur::ScanOp sums = reductions.make(b);
  IRMapping map;
  auto rest = cast<recur::LinearScanOp>(b.clone(*scan, map));
  rest.getInputsMutable().append(sums.getResults());
  for (auto [i, reduce] : llvm::enumerate(reductions.found)) {
    unsigned at = scan.getInputs().size() + i;
    Value here = map.lookup(reduce.getResult());
    for (Region *region : {&rest.getCoefficients(), &rest.getReadout()}) {
      BlockArgument argument = region->front().insertArgument(at, reduce.getType(), reduce.getLoc());
      if (here.getParentRegion() == region)
        here.replaceAllUsesWith(argument);
    }
  }
  eraseDead(rest);
  return rest;
}
