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

    A `recur.scan` gives recur.scans (with `again`, where these would store a matrix state for every step, a `chunk.gradient_scan` with chunks of
    one step), a `chunk.scan` a `chunk.gradient_scan`, or, where `steps` is asked for, recur.scans of its steps.

    An `expand_scan` whose tensors are stored in 16 bits gives one recur.scan per gradient of a query, key or value, each of which reads one matrix
    state along one axis (compiler/Differentiate/ExpansionAdjoint.h); every other raised scan goes back as its steps, with a remark.

    Requires: `bind-sizes`, and one function. Ensures: these ops, recur.sum_to and recur.reshape only, and chunk.gradient_scan where there was a chunk.scan or with `again`. Fails, with an error at its place, at operations that have no derivative.
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
                 Option<"steps", "steps", "bool", "false", "chunk.scans go back step by step too">,
                 Option<"again", "again", "bool", "false", "matrix states that single steps need on the way back are computed again, interval by interval">,
                 Option<"interval", "interval", "int64_t", "0", "of these, steps from one state that is kept to the next; 0: the pass's choice">];
  let dependentDialects = ["::rondo::recur::RecurDialect", "::rondo::chunk::ChunkDialect", "::mlir::arith::ArithDialect"];
}

def Linearize : Pass<"linearize", "::mlir::ModuleOp"> {
  let summary = "a model with its derivative along a direction: forward mode, recur to recur";
  let description = [{
    The function takes what it took and the tangents of its arguments, `t_x` for an argument `x` (of an initial state: absent means
    zero), and gives what it gave and the tangents of its results, `t_y` for a result `y`. Each scan carries the tangents of its states
    beside them; where it is linear in its states, their tangents are states of a scan of the same family.

    Requires: `bind-sizes`, and one function whose scans are `recur.scan`. Ensures: these ops, recur.sum_to and recur.reshape only. Fails, with an
    error at its place, at operations that have no derivative. Cost: the operations of a step grow about threefold.

    ```mlir
    // rondo-opt --linearize
    func.func @decay(%x: tensor<?x?x8xf64, #recur.dims<batch, time | "8">> {recur.name = "x", recur.kind = "input"},
                     %h0: tensor<?x8xf64, #recur.dims<batch | "8">> {recur.name = "h", recur.kind = "init"})
        -> (tensor<?x?x8xf64, #recur.dims<batch, time | "8">> {recur.name = "y", recur.kind = "output"},
            tensor<?x8xf64, #recur.dims<batch | "8">> {recur.name = "h", recur.kind = "final"}) {
      %y, %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>]
          inputs(%x : tensor<?x?x8xf64, #recur.dims<batch, time | "8">>) inits(%h0 : tensor<?x8xf64, #recur.dims<batch | "8">>) {
      ^bb0(%xt: tensor<8xf64, #recur.dims<| "8">>, %h: tensor<8xf64, #recur.dims<| "8">>):
        %n = recur.map mul(%xt, %h) : (tensor<8xf64, #recur.dims<| "8">>, tensor<8xf64, #recur.dims<| "8">>) -> tensor<8xf64, #recur.dims<| "8">>
        recur.yield states(%n : tensor<8xf64, #recur.dims<| "8">>) outputs(%n : tensor<8xf64, #recur.dims<| "8">>)
      } : tensor<?x?x8xf64, #recur.dims<batch, time | "8">>, tensor<?x8xf64, #recur.dims<batch | "8">>
      return %y, %hT : tensor<?x?x8xf64, #recur.dims<batch, time | "8">>, tensor<?x8xf64, #recur.dims<batch | "8">>
    }
    ```
  }];
  let options = [ListOption<"wrt", "wrt", "std::string", "names of the arguments that move; none: all">];
  let dependentDialects = ["::rondo::recur::RecurDialect", "::mlir::arith::ArithDialect"];
}
#endif
