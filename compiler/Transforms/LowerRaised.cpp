// lower-raised: raised scans become recur.scan again, for the form that takes one step after another.
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/RaisedStep.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace rondo {
#define GEN_PASS_DEF_LOWERRAISED
#include "compiler/Transforms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

struct LowerRaised : rondo::impl::LowerRaisedBase<LowerRaised> {
  using LowerRaisedBase::LowerRaisedBase;
  void runOnOperation() override {
    SmallVector<recur::ScanInterface> scans;
    getOperation().walk([&](recur::ScanInterface scan) {
      if (isa<recur::LinearScanOp, recur::ExpandScanOp, recur::DeltaScanOp>(*scan))
        scans.push_back(scan);
    });
    for (recur::ScanInterface raised : scans) {
      OpBuilder b(raised);
      auto scan = recur::ScanOp::create(b, raised.getLoc(), raised->getResultTypes(), raised.getInputs(),
                                        raised.getParams(), raised.getInits(), raised.getResets(), raised.getOffsets(),
                                        raised.getAxes(), raised.getStates());
      buildStep(raised, &scan.getBody().emplaceBlock());
      raised->replaceAllUsesWith(scan);
      raised->erase();
    }
  }
};

} // namespace
