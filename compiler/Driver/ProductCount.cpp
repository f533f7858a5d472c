// See ProductCount.h.
#include "compiler/Driver/ProductCount.h"
#include "dialects/Chunk/Chunk.h"
#include "dialects/Recur/Recur.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rondo;

static double sizeOf(Value value, int64_t axis) {
  return double(cast<RankedTensorType>(value.getType()).getDimSize(axis));
}

/// Of real numbers for each of the element type.
static double realsOf(Value value) {
  return isa<ComplexType>(cast<RankedTensorType>(value.getType()).getElementType()) ? 4 : 1;
}

static double elements(Value value) {
  double count = 1;
  for (int64_t size : cast<RankedTensorType>(value.getType()).getShape())
    count *= double(size);
  return count;
}

/// Every combination of letters once per factor but the first.
static double ofContraction(recur::ContractOp op) {
  unsigned factors = op.getOperands_().size();
  if (factors < 2)
    return 0;
  recur::ContractSpec spec = *recur::parseContractSpec(op.getSpec());
  std::map<char, double> sizes;
  for (auto [operand, letters] : llvm::zip(op.getOperands_(), spec.operands))
    for (auto [axis, letter] : llvm::enumerate(letters))
      sizes[letter] = sizeOf(operand, axis);
  double count = factors - 1;
  for (auto [letter, size] : sizes)
    count *= size;
  return count * realsOf(op.getResult());
}

static double ofRegion(Region &region) {
  double count = 0;
  for (Operation &op : region.front())
    count += llvm::TypeSwitch<Operation *, double>(&op)
                 .Case([](recur::ContractOp op) { return ofContraction(op); })
                 // Half of the pairs of steps.
                 .Case([](chunk::ScoresOp op) {
                   return elements(op.getQueries()) * sizeOf(op.getQueries(), 0) / 2 * realsOf(op);
                 })
                 .Case([](chunk::ApplyOp op) {
                   return elements(op.getValues()) * sizeOf(op.getValues(), 0) / 2 * realsOf(op);
                 })
                 .Case([](chunk::SolveOp op) {
                   return elements(op.getRight()) * sizeOf(op.getRight(), 0) / 2 * realsOf(op);
                 })
                 .Case([](chunk::DecayGradientOp op) {
                   return elements(op.getKeys()) * sizeOf(op.getKeys(), 0) * realsOf(op);
                 })
                 .Default([](Operation *) { return 0.0; });
  return count;
}

static bool hasHeads(Operation *scan) {
  return llvm::any_of(scan->getOperands(), [](Value operand) {
    auto array = dyn_cast<RankedTensorType>(operand.getType());
    return array && recur::isArray(array) &&
           (recur::dimsOf(array).axisPosition("head") >= 0 || recur::dimsOf(array).axisPosition("group") >= 0);
  });
}

driver::ProductCount driver::countProducts(ModuleOp module) {
  ProductCount count;
  module.walk([&](Operation *op) {
    double perStep = 0;
    if (auto scan = dyn_cast<recur::ScanOp>(op))
      perStep = ofRegion(scan.getBody());
    else if (auto scan = dyn_cast<chunk::ScanOp>(op))
      perStep = ofRegion(scan.getChunk()) / double(scan.size());
    else if (auto scan = dyn_cast<chunk::SegmentScanOp>(op))
      perStep = ofRegion(scan.size() > 1 ? scan.getChunk() : scan.getStep()) / double(scan.size());
    else if (auto scan = dyn_cast<chunk::GradientScanOp>(op)) {
      double again = double(scan.interval() - 1) / double(scan.interval());
      perStep = (ofRegion(scan.getChunk()) * (1 + again) + ofRegion(scan.getBackChunk())) / double(scan.size());
    } else
      return;
    (hasHeads(op) ? count.perHead : count.once) += perStep;
  });
  return count;
}
