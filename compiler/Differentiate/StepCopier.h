// Values of a step's block copied into a new scan, with what they depend on. Arguments become operands as they are met, so that a new scan
// has those alone that it needs.
#pragma once
#include "compiler/Transforms/NewScan.h"
#include "mlir/IR/IRMapping.h"

namespace rondo {

class StepCopier {
public:
  explicit StepCopier(NewScan &into) : into(into) {}
  virtual ~StepCopier() = default;
  mlir::Value get(mlir::Value value) {
    if (mlir::Value known = map.lookupOrNull(value))
      return known;
    if (auto argument = mlir::dyn_cast<mlir::BlockArgument>(value)) {
      mlir::Value here = open(argument);
      map.map(value, here);
      return here;
    }
    mlir::Operation *op = value.getDefiningOp();
    for (mlir::Value operand : op->getOperands())
      get(operand);
    into.body.clone(*op, map);
    return map.lookup(value);
  }
  void set(mlir::Value value, mlir::Value here) { map.map(value, here); }

protected:
  virtual mlir::Value open(mlir::BlockArgument argument) = 0;
  NewScan &into;

private:
  mlir::IRMapping map;
};

} // namespace rondo
