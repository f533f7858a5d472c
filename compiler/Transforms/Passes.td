#ifndef RONDO_TRANSFORMS_PASSES
#define RONDO_TRANSFORMS_PASSES
include "mlir/Pass/PassBase.td"

def BindSizes : Pass<"bind-sizes", "::mlir::ModuleOp"> {
  let summary = "give every named dimension its size";
  let description = [{
    Replaces the unknown sizes of named dimensions in every type by numbers, the symbolic offsets of `recur.slice` by constants, and
    symbolic lags of states by distances. The implicit axes (batch, time, head, group) stay unknown, except that a `heads` scope's
    count is a dimension like any other.

    Requires: the recur dialect as the importer makes it. Ensures: every type inside a step region is static.
    Fails, naming the dimension, when a size is missing, not positive, or makes a size expression not positive.
    Cost: one walk.

    `?` becomes 4 here:
    ```mlir
    // rondo-opt --bind-sizes=dims=K=4
    func.func @copy(%x: tensor<?x?x?xf64, #recur.dims<batch, time | K>> {recur.name = "x", recur.kind = "input"})
        -> (tensor<?x?x?xf64, #recur.dims<batch, time | K>> {recur.name = "y", recur.kind = "output"}) {
      %y = recur.scan over [#recur.axis<"t">] inputs(%x : tensor<?x?x?xf64, #recur.dims<batch, time | K>>) {
      ^bb0(%xt: tensor<?xf64, #recur.dims<| K>>):
        recur.yield outputs(%xt : tensor<?xf64, #recur.dims<| K>>)
      } : tensor<?x?x?xf64, #recur.dims<batch, time | K>>
      return %y : tensor<?x?x?xf64, #recur.dims<batch, time | K>>
    }
    ```
  }];
  let options = [ListOption<"dims", "dims", "std::string", "sizes, each as NAME=NUMBER">];
}

def SeparateResults : Pass<"separate-results", "::mlir::ModuleOp"> {
  let summary = "every result of a model is a value of its own";
  let description = [{
    A model may give one value under two names: `output a, b` where b is a, or where both are merges of one value and the copies
    were folded. A caller gives each result its own memory and may choose its own element type, so the scan that makes the value
    yields it once more.

    Requires: the recur dialect. Ensures: no two results of a function are one value, or one value reshaped.
    Fails, with the result's number, where a result is an argument or a final state that is another result already; the importer
    makes neither. Cost: one more store of the value per step.

    ```mlir
    // rondo-opt --separate-results
    func.func @twice(%x: tensor<?x?xf64, #recur.dims<batch, time>> {recur.name = "x", recur.kind = "input"})
        -> (tensor<?x?xf64, #recur.dims<batch, time>> {recur.name = "a", recur.kind = "output"},
            tensor<?x?xf64, #recur.dims<batch, time>> {recur.name = "b", recur.kind = "output"}) {
      %y = recur.scan over [#recur.axis<"t">] inputs(%x : tensor<?x?xf64, #recur.dims<batch, time>>) {
      ^bb0(%xt: tensor<f64, #recur.dims<>>):
        recur.yield outputs(%xt : tensor<f64, #recur.dims<>>)
      } : tensor<?x?xf64, #recur.dims<batch, time>>
      return %y, %y : tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?x?xf64, #recur.dims<batch, time>>
    }
    ```
  }];
}

def SetPrecision : Pass<"set-precision", "::mlir::ModuleOp"> {
  let summary = "choose the element types of storage and of computation";
  let description = [{
    The importer writes every value as f64. This pass gives each argument and result the element type that it has in memory, and
    the steps the type that they compute in: f64 where the default type is f64, else f32. Initial and final states, and what one
    scan hands to the next, always have the type of computation; a scan that reads an output of another reads it as stored. Complex
    tensors are stored in the type of computation.

    Requires: the recur dialect, with results that are values of their own (`separate-results`). Ensures: operands of scans may be narrower than their step arguments; loads widen, stores round
    to nearest even. Fails, naming the tensor, for a type that is no floating-point type and for a name that the model lacks.
    Cost: one walk.

    Here x is stored as bf16, y as f32, and the step computes in f32:
    ```mlir
    // rondo-opt --set-precision="type=f32 types=x=bf16"
    func.func @copy(%x: tensor<?x?x4xf64, #recur.dims<batch, time | K>> {recur.name = "x", recur.kind = "input"})
        -> (tensor<?x?x4xf64, #recur.dims<batch, time | K>> {recur.name = "y", recur.kind = "output"}) {
      %y = recur.scan over [#recur.axis<"t">] inputs(%x : tensor<?x?x4xf64, #recur.dims<batch, time | K>>) {
      ^bb0(%xt: tensor<4xf64, #recur.dims<| K>>):
        recur.yield outputs(%xt : tensor<4xf64, #recur.dims<| K>>)
      } : tensor<?x?x4xf64, #recur.dims<batch, time | K>>
      return %y : tensor<?x?x4xf64, #recur.dims<batch, time | K>>
    }
    ```
  }];
  let options = [Option<"type", "type", "std::string", "\"f32\"", "default element type: f64, f32, bf16 or f16">,
                 ListOption<"types", "types", "std::string", "element types by name, each as NAME=TYPE">];
}

def HoistParallel : Pass<"hoist-parallel", "::mlir::ModuleOp"> {
  let summary = "products of inputs with parameters leave the recurrence";
  let description = [{
    A scan that multiplies its inputs by matrices of parameters is split in two: a scan without states, whose steps are independent,
    that computes these products and what is made of them elementwise, and the recurrence, which reads them. The first can take
    many steps at once, so that a matrix is read once per block of steps.

    Requires: static step types (`bind-sizes`, `set-precision`). Ensures: no step with states sums over a shared matrix and a value
    that waits for no state. Declines, with a remark: scans over more than one axis. Values of two and more axes (outer products)
    are never stored for every step.
    Cost: the hoisted values are stored once for every step, in the type of computation.

    ```mlir
    // rondo-opt --hoist-parallel
    func.func @rnn(%x: tensor<?x?x4xf32, #recur.dims<batch, time | "4">> {recur.name = "x", recur.kind = "input"},
                   %W: tensor<8x4xf32, #recur.dims<| "8", "4">> {recur.name = "W", recur.kind = "param"},
                   %h0: tensor<?x8xf32, #recur.dims<batch | "8">> {recur.name = "h", recur.kind = "init"})
        -> (tensor<?x?x8xf32, #recur.dims<batch, time | "8">> {recur.name = "y", recur.kind = "output"},
            tensor<?x8xf32, #recur.dims<batch | "8">> {recur.name = "h", recur.kind = "final"}) {
      %y, %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>]
          inputs(%x : tensor<?x?x4xf32, #recur.dims<batch, time | "4">>) params(%W : tensor<8x4xf32, #recur.dims<| "8", "4">>)
          inits(%h0 : tensor<?x8xf32, #recur.dims<batch | "8">>) {
      ^bb0(%xt: tensor<4xf32, #recur.dims<| "4">>, %w: tensor<8x4xf32, #recur.dims<| "8", "4">>, %h: tensor<8xf32, #recur.dims<| "8">>):
        %p = recur.contract "ab,b->a"(%w, %xt) : (tensor<8x4xf32, #recur.dims<| "8", "4">>, tensor<4xf32, #recur.dims<| "4">>) -> tensor<8xf32, #recur.dims<| "8">>
        %n = recur.map add(%p, %h) : (tensor<8xf32, #recur.dims<| "8">>, tensor<8xf32, #recur.dims<| "8">>) -> tensor<8xf32, #recur.dims<| "8">>
        recur.yield states(%n : tensor<8xf32, #recur.dims<| "8">>) outputs(%n : tensor<8xf32, #recur.dims<| "8">>)
      } : tensor<?x?x8xf32, #recur.dims<batch, time | "8">>, tensor<?x8xf32, #recur.dims<batch | "8">>
      return %y, %hT : tensor<?x?x8xf32, #recur.dims<batch, time | "8">>, tensor<?x8xf32, #recur.dims<batch | "8">>
    }
    ```
  }];
}

def ExpandMath : Pass<"expand-math"> {
  let summary = "elementary functions as polynomials, for scalars and vectors of f32 and f64";
  let description = [{
    Rewrites math.exp, math.expm1, math.log, math.log1p and math.tanh into arithmetic, so that a vector of them costs a few
    instructions and no call. Other functions are left to the target's library.

    Requires: arith, math and vector ops on f32 or f64. Ensures: none of the five is left on these types.
    Numerics, the largest error over the whole range as measured by `test/compiler/ExpandMathTest.cpp`, in units in the last place:
    see the table in compiler/Transforms/README.md. Infinities, zeros, their signs, and NaN behave as in C; no flag is raised.
    Cost: 20 to 40 instructions a call.

    ```mlir
    // rondo-opt --expand-math
    func.func @f(%x: vector<8xf32>) -> vector<8xf32> {
      %y = math.exp %x : vector<8xf32>
      return %y : vector<8xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::vector::VectorDialect"];
}
#endif
