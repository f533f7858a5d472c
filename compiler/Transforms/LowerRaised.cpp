// lower-raised: raised scans become recur.scan again, for the form that takes one step after another.
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/RaisedStep.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"

namespace rondo {
#define GEN_PASS_DEF_LOWERRAISED
#include "compiler/Transforms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

/// The step of a cell: its region, with each product where it is first read.
void buildCellStep(recur::CellScanOp cell, Block *step) {
  OpBuilder b = OpBuilder::atBlockEnd(step);
  IRMapping map;
  size_t products = cell.getProducts().size();
  for (BlockArgument argument : cell.getBody().getArguments().drop_back(products))
    map.map(argument, step->addArgument(argument.getType(), argument.getLoc()));
  recur::CellOp end = cell.cell();
  std::function<void(ValueRange)> make = [&](ValueRange read) {
    for (auto [p, argument] : llvm::enumerate(cell.productArgs())) {
      if (!llvm::is_contained(read, argument) || map.contains(argument))
        continue;
      Value factor = end.getFactors()[p];
      make(factor); // which may be a product itself
      map.map(argument, recur::ContractOp::create(b, argument.getLoc(), argument.getType(), cell.product(p).getSpec(),
                                                  ValueRange{map.lookup(cell.paramArg(p)), map.lookup(factor)})
                            .getResult());
    }
  };
  for (Operation &op : cell.getBody().front().without_terminator()) {
    make(op.getOperands());
    b.clone(op, map);
  }
  auto here = [&](ValueRange values) {
    make(values);
    SmallVector<Value> mapped;
    for (Value value : values)
      mapped.push_back(map.lookup(value));
    return mapped;
  };
  SmallVector<Value> states = here(end.getStates()), outputs = here(end.getOutputs());
  recur::YieldOp::create(b, cell.getLoc(), states, outputs);
}

struct LowerRaised : rondo::impl::LowerRaisedBase<LowerRaised> {
  using LowerRaisedBase::LowerRaisedBase;
  void runOnOperation() override {
    SmallVector<recur::ScanInterface> scans;
    getOperation().walk([&](recur::ScanInterface scan) {
      if (isa<recur::LinearScanOp, recur::ExpandScanOp, recur::DeltaScanOp, recur::CellScanOp>(*scan))
        scans.push_back(scan);
    });
    for (recur::ScanInterface raised : scans) {
      OpBuilder b(raised);
      auto scan = recur::ScanOp::create(b, raised.getLoc(), raised->getResultTypes(), raised.getInputs(),
                                        raised.getParams(), raised.getInits(), raised.getResets(), raised.getOffsets(),
                                        raised.getAxes(), raised.getStates());
      if (auto cell = dyn_cast<recur::CellScanOp>(*raised))
        buildCellStep(cell, &scan.getBody().emplaceBlock());
      else
        buildStep(raised, &scan.getBody().emplaceBlock());
      raised->replaceAllUsesWith(scan);
      raised->erase();
    }
  }
};

} // namespace
