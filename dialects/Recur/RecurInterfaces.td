// What ops that run a recurrence over time have in common, so that targets and the analysis take any of them.
#ifndef RONDO_RECUR_INTERFACES
#define RONDO_RECUR_INTERFACES
include "mlir/IR/OpBase.td"

def Recur_ScanInterface : OpInterface<"ScanInterface"> {
  let cppNamespace = "::rondo::recur";
  let description = [{
    An op that is a recurrence: operands as in `recur.scan`, results that are outputs and then final states. `recur.scan` is the
    plain one, the ops that are raised from it say more about the step, `chunk.scan` has a second region for many steps at once.
  }];
  let methods = [
    InterfaceMethod<"values that change from step to step", "::mlir::OperandRange", "getInputs">,
    InterfaceMethod<"values that every step shares", "::mlir::OperandRange", "getParams">,
    InterfaceMethod<"one initial value per state", "::mlir::OperandRange", "getInits">,
    InterfaceMethod<"where sequences begin again, or null", "::mlir::Value", "getResets">,
    InterfaceMethod<"where packed sequences begin, or null", "::mlir::Value", "getOffsets">,
    InterfaceMethod<"the scanned axes, each a #recur.axis", "::mlir::ArrayAttr", "getAxes">,
    InterfaceMethod<"the states, each a #recur.state", "::mlir::ArrayAttr", "getStates">,
  ];
  let extraSharedClassDeclaration = [{
    StateAttr state(unsigned index) { return ::llvm::cast<StateAttr>($_op.getStates()[index]); }
    AxisAttr axis(unsigned index) { return ::llvm::cast<AxisAttr>($_op.getAxes()[index]); }
    unsigned numAxes() { return $_op.getAxes().size(); }
    unsigned numStates() { return $_op.getStates().size(); }
    /// Outputs come first among the results, then the final states: one per state for one axis, else one per state and axis.
    unsigned numOutputs() { return $_op->getNumResults() - numStates() * numAxes(); }
    ::mlir::ResultRange outputs() { return $_op->getResults().take_front(numOutputs()); }
    ::mlir::ResultRange finals() { return $_op->getResults().drop_front(numOutputs()); }
  }];
}

// An op that is no plain recurrence, but whose regions are steps, or many of them, and end in `recur.yield`.
def Recur_HoldsSteps : NativeOpTrait<"HoldsSteps"> {
  let cppNamespace = "::rondo::recur";
}
#endif
