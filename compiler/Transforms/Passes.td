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

    ```mlir
    // rondo-opt --bind-sizes=dims=K=4
    func.func @f(%x: tensor<?x?x?xf64, #recur.dims<batch, time | K>> {recur.name = "x", recur.kind = "input"})
    // becomes
    func.func @f(%x: tensor<?x?x4xf64, #recur.dims<batch, time | K>> {recur.name = "x", recur.kind = "input"})
    ```
  }];
  let options = [ListOption<"dims", "dims", "std::string", "sizes, each as NAME=NUMBER">];
}

def SetPrecision : Pass<"set-precision", "::mlir::ModuleOp"> {
  let summary = "choose the element types of storage and of computation";
  let description = [{
    The importer writes every value as f64. This pass gives each argument and result the element type that it has in memory, and
    the steps the type that they compute in: f64 where the default type is f64, else f32. Initial and final states, and what one
    scan hands to the next, always have the type of computation; a scan that reads an output of another reads it as stored. Complex tensors are stored in the type of computation.

    Requires: the recur dialect. Ensures: operands of scans may be narrower than their step arguments; loads widen, stores round
    to nearest even. Fails, naming the tensor, for a type that is no floating-point type and for a name that the model lacks.
    Cost: one walk.

    ```mlir
    // rondo-opt --set-precision="type=f32 types=x=bf16"
    func.func @f(%x: tensor<?x?x4xf64, #recur.dims<batch, time | K>> {recur.name = "x", recur.kind = "input"})
    // becomes
    func.func @f(%x: tensor<?x?x4xbf16, #recur.dims<batch, time | K>> {recur.name = "x", recur.kind = "input"})
    ```
  }];
  let options = [Option<"type", "type", "std::string", "\"f32\"", "default element type: f64, f32, bf16 or f16">,
                 ListOption<"types", "types", "std::string", "element types by name, each as NAME=TYPE">];
}

def ExpandMath : Pass<"expand-math"> {
  let summary = "elementary functions as polynomials, for scalars and vectors of f32 and f64";
  let description = [{
    Rewrites math.exp, math.expm1, math.log, math.log1p and math.tanh into arithmetic, so that a vector of them costs a few
    instructions and no call. Other functions are left to the target's library.

    Requires: arith, math and vector ops on f32 or f64. Ensures: none of the five is left on these types.
    Numerics, the largest error over the whole range as measured by `test/compiler/ExpandMathTest.cpp`, in units in the last place:
    see the table in compiler/Transforms/README.md. Infinities, zeros and NaN behave as in C; subnormal results are exact to
    one unit. Cost: 10 to 40 instructions a call.

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
