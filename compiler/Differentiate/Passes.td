#ifndef RONDO_DIFFERENTIATE_PASSES
#define RONDO_DIFFERENTIATE_PASSES
include "mlir/Pass/PassBase.td"

def Differentiate : Pass<"differentiate", "::mlir::ModuleOp"> {
  let summary = "a model becomes its gradient: reverse mode, recur to recur";
  let description = [{
    The function takes what it took and the cotangents of its results, `d_y` for a result `y` (of a final state: absent means
    zero), and gives the cotangents of its arguments, `d_x` for an argument `x`. Applied again, which makes gradients of gradients, the prefix is
    `d2_`, and so on. Each scan is run against time once more, by a scan of the same family, and a scan that has chunks already by the
    same chunks; see compiler/Differentiate/README.md for the rules and the conventions.

    A `recur.scan` gives recur.scans, a `chunk.scan` a `chunk.gradient_scan`, or, with resets or offsets or where `steps` is asked for, recur.scans of its steps.

    An `expand_scan` whose tensors are stored in 16 bits gives one recur.scan per gradient of a query, key or value, each of which reads one matrix
    state along one axis (compiler/Differentiate/ExpansionAdjoint.h); every other raised scan goes back as its steps, with a remark.

    Requires: `bind-sizes`, and one function. Ensures: these ops, recur.sum_to and recur.reshape only, and chunk.gradient_scan where there was a chunk.scan. Fails, with an error at its place, where a scan has
    resets, or chunks and packed sequences, where a state is read along two axes at once, and at operations that have no derivative.
    Cost: the operations of a step grow about threefold.

    ```mlir
    // rondo-opt --differentiate
    func.func @decay(%x: tensor<?x?x8xf64, #recur.dims<batch, time | "8">> {recur.name = "x", recur.kind = "input"},
                     %h0: tensor<?x8xf64, #recur.dims<batch | "8">> {recur.name = "h", recur.kind = "init"})
        -> (tensor<?x?x8xf64, #recur.dims<batch, time | "8">> {recur.name = "y", recur.kind = "output"},
            tensor<?x8xf64, #recur.dims<batch | "8">> {recur.name = "h", recur.kind = "final"}) {
      %y, %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>]
          inputs(%x : tensor<?x?x8xf64, #recur.dims<batch, time | "8">>) inits(%h0 : tensor<?x8xf64, #recur.dims<batch | "8">>) {
      ^bb0(%xt: tensor<8xf64, #recur.dims<| "8">>, %h: tensor<8xf64, #recur.dims<| "8">>):
        %n = recur.map add(%xt, %h) : (tensor<8xf64, #recur.dims<| "8">>, tensor<8xf64, #recur.dims<| "8">>) -> tensor<8xf64, #recur.dims<| "8">>
        recur.yield states(%n : tensor<8xf64, #recur.dims<| "8">>) outputs(%n : tensor<8xf64, #recur.dims<| "8">>)
      } : tensor<?x?x8xf64, #recur.dims<batch, time | "8">>, tensor<?x8xf64, #recur.dims<batch | "8">>
      return %y, %hT : tensor<?x?x8xf64, #recur.dims<batch, time | "8">>, tensor<?x8xf64, #recur.dims<batch | "8">>
    }
    ```
  }];
  let options = [ListOption<"wrt", "wrt", "std::string", "names of the arguments whose gradients are wanted; none: all">,
                 Option<"steps", "steps", "bool", "false", "chunk.scans go back step by step too">];
  let dependentDialects = ["::rondo::recur::RecurDialect", "::mlir::arith::ArithDialect"];
}
#endif
