// Ops that stand between the scans of a model's function. The constraints' numbers stand in the verifier's messages;
// test/dialects/recur/invalid-model-ops.mlir breaks each one once.
#ifndef RONDO_MODEL_OPS
#define RONDO_MODEL_OPS
include "dialects/Recur/RecurOps.td"

def Recur_SumToOp : Recur_Op<"sum_to", [Pure]> {
  let summary = "the sum of arrays, over the implicit axes that the result lacks";
  let description = [{
    Semantics. The adjoint of what a scan does with an operand that lacks an axis: one value for all there, one sum over all here.
    ```
    result[i] = sum over operands x, and over the axes that x has and the result lacks, of x[i, those axes]
    ```
    An operand that lacks an axis of the result has one value for all of it. Between `head` and `group`, head h belongs to group
    h / (H / G). Without operands the result is 0.

    With `flip_lag` the slices along the axis `lag` (one slice where it is missing) stand in the opposite order: with n the larger of
    the slices of the result and of an operand, result slice i is slice n-1-i of the operand, or 0 where it has not so many. The
    adjoint is the same op from the result to the operand.

    Constraints.
    - C1: operands have the result's named axes, and its kind of element, real or complex.
    - C2: without `flip_lag`, operands have an axis `lag` exactly where the result has it, of one size.

    Numerics. Sums in f32, or in the operands' type where that is wider, in a fixed order; loads widen and the store rounds.

    Made by `differentiate`, and by `separate-results` as a copy; lowered by `lower-scan`.

    Example: the gradient of a weight that every batch entry shares.
    ```mlir
    func.func @shared(%each: tensor<?x4xf64, #recur.dims<batch | "4">>) -> tensor<4xf64, #recur.dims<| "4">> {
      %sum = recur.sum_to(%each) : (tensor<?x4xf64, #recur.dims<batch | "4">>) -> tensor<4xf64, #recur.dims<| "4">>
      return %sum : tensor<4xf64, #recur.dims<| "4">>
    }
    ```
  }];
  let arguments = (ins Variadic<Recur_Array>:$operands_, UnitAttr:$flip_lag);
  let results = (outs Recur_Array:$result);
  let assemblyFormat = "(`flip_lag` $flip_lag^)? `(` $operands_ `)` attr-dict `:` functional-type($operands_, $result)";
  let hasVerifier = 1;
}
#endif
