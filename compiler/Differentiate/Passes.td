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
                 Option<"interval", "interval", "int64_t", "0", "of these, steps from one state that is kept to the next; 0: the pass's choice">,
                 Option<"results", "results", "bool", "false", "the function gives the model's results, too, before the cotangents">];
  let dependentDialects = ["::rondo::recur::RecurDialect", "::rondo::chunk::ChunkDialect", "::mlir::arith::ArithDialect"];
}

def MergeRecurrences : Pass<"merge-recurrences", "::mlir::func::FuncOp"> {
  let summary = "recurrences of the same states become one";
  let description = [{
    A gradient computes its model's states again, by a scan of its own with outputs of its own. Where the function gives the model's results, too
    (`differentiate` with `results`), that scan and the model's have the same states: the same initial values, updated by the same operations of
    the same operands. Of two such scans that no cotangent has a part in, one is left, with the outputs of both. Raised scans are compared by their
    steps, and are merged as steps.

    Requires: a function that `differentiate` made. Ensures: the same values. Cost: each pair of scans is compared once.

    ```mlir
    // rondo-opt --merge-recurrences
    func.func @sums(%x: tensor<?x?xf64, #recur.dims<batch, time>>, %s0: tensor<?xf64, #recur.dims<batch>>)
        -> (tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?x?xf64, #recur.dims<batch, time>>) {
      %y, %s = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>]
          inputs(%x : tensor<?x?xf64, #recur.dims<batch, time>>) inits(%s0 : tensor<?xf64, #recur.dims<batch>>) {
      ^bb0(%xt: tensor<f64, #recur.dims<>>, %st: tensor<f64, #recur.dims<>>):
        %n = recur.map add(%st, %xt) : (tensor<f64, #recur.dims<>>, tensor<f64, #recur.dims<>>) -> tensor<f64, #recur.dims<>>
        recur.yield states(%n : tensor<f64, #recur.dims<>>) outputs(%n : tensor<f64, #recur.dims<>>)
      } : tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?xf64, #recur.dims<batch>>
      %z, %t = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>]
          inputs(%x : tensor<?x?xf64, #recur.dims<batch, time>>) inits(%s0 : tensor<?xf64, #recur.dims<batch>>) {
      ^bb0(%xt: tensor<f64, #recur.dims<>>, %st: tensor<f64, #recur.dims<>>):
        %n = recur.map add(%st, %xt) : (tensor<f64, #recur.dims<>>, tensor<f64, #recur.dims<>>) -> tensor<f64, #recur.dims<>>
        recur.yield states(%n : tensor<f64, #recur.dims<>>) outputs(%st : tensor<f64, #recur.dims<>>)
      } : tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?xf64, #recur.dims<batch>>
      return %y, %z : tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?x?xf64, #recur.dims<batch, time>>
    }
    ```
  }];
  let dependentDialects = ["::rondo::recur::RecurDialect"];
}

def TakeHalf : Pass<"take-half", "::mlir::func::FuncOp"> {
  let summary = "of a gradient that gives its model's results, the way there or the way back";
  let description = [{
    What no cotangent has a part in is the way there. With `half=there` the function is the model again, which also gives what scans of the way
    back read of scans of the way there, as results `kept.1`, `kept.2` and so on; with `half=back` it is the gradient, which takes these as arguments. Run one after the
    other they compute what the gradient computes, and nothing twice. Values that no scan computes are no results: they are made where they are needed.

    Requires: a function that `differentiate` made with `results`. Ensures: both halves of the same function have the same `kept.N`. Cost: one walk.

    ```mlir
    // rondo-opt --take-half=half=back
    func.func @square(%x: tensor<?x?xf64, #recur.dims<batch, time>> {recur.name = "x", recur.kind = "input"},
                      %dy: tensor<?x?xf64, #recur.dims<batch, time>> {recur.name = "d_y", recur.kind = "input", recur.cotangent = "y"})
        -> (tensor<?x?xf64, #recur.dims<batch, time>> {recur.name = "y", recur.kind = "output"},
            tensor<?x?xf64, #recur.dims<batch, time>> {recur.name = "d_x", recur.kind = "output", recur.cotangent = "x"}) {
      %y, %twice = recur.scan over [#recur.axis<"t">] inputs(%x : tensor<?x?xf64, #recur.dims<batch, time>>) {
      ^bb0(%xt: tensor<f64, #recur.dims<>>):
        %square = recur.map mul(%xt, %xt) : (tensor<f64, #recur.dims<>>, tensor<f64, #recur.dims<>>) -> tensor<f64, #recur.dims<>>
        %sum = recur.map add(%xt, %xt) : (tensor<f64, #recur.dims<>>, tensor<f64, #recur.dims<>>) -> tensor<f64, #recur.dims<>>
        recur.yield outputs(%square, %sum : tensor<f64, #recur.dims<>>, tensor<f64, #recur.dims<>>)
      } : tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?x?xf64, #recur.dims<batch, time>>
      %dx = recur.scan over [#recur.axis<"t">] inputs(%twice, %dy : tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?x?xf64, #recur.dims<batch, time>>) {
      ^bb0(%a: tensor<f64, #recur.dims<>>, %d: tensor<f64, #recur.dims<>>):
        %p = recur.map mul(%a, %d) : (tensor<f64, #recur.dims<>>, tensor<f64, #recur.dims<>>) -> tensor<f64, #recur.dims<>>
        recur.yield outputs(%p : tensor<f64, #recur.dims<>>)
      } : tensor<?x?xf64, #recur.dims<batch, time>>
      return %y, %dx : tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?x?xf64, #recur.dims<batch, time>>
    }
    ```
  }];
  let options = [Option<"half", "half", "std::string", "", "there or back">];
  let dependentDialects = ["::rondo::recur::RecurDialect"];
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
