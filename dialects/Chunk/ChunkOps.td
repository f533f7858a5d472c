// The chunk dialect, as a specification: how a recurrence is computed many steps at once, with nothing about a machine. The
// constraints' numbers stand in the verifiers' messages; test/dialects/chunk/invalid*.mlir breaks each one once.
#ifndef RONDO_CHUNK_OPS
#define RONDO_CHUNK_OPS
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/Recur/RecurInterfaces.td"

def Chunk_Dialect : Dialect {
  let name = "chunk";
  let cppNamespace = "::rondo::chunk";
  let summary = "Recurrences computed chunk by chunk: plans, and products, scores and solves along a chunk";
  let dependentDialects = ["::rondo::recur::RecurDialect"];
  let useDefaultAttributePrinterParser = 1;
}

def Chunk_Form : I32EnumAttr<"Form", "how the steps of a recurrence are combined", [
    I32EnumAttrCase<"Step", 0, "step">, I32EnumAttrCase<"Scan", 1, "scan">, I32EnumAttrCase<"Chunk", 2, "chunk">,
    I32EnumAttrCase<"Attention", 3, "attention">]> {
  let cppNamespace = "::rondo::chunk";
}

def Chunk_Schedule : I32EnumAttr<"Schedule", "in which order chunks are computed", [
    I32EnumAttrCase<"Carry", 0, "carry">, I32EnumAttrCase<"Segment", 1, "segment">]> {
  let cppNamespace = "::rondo::chunk";
}

def Chunk_PlanAttr : AttrDef<Chunk_Dialect, "Plan"> {
  let mnemonic = "plan";
  let summary = "how one scan is computed";
  let description = [{
    `#chunk.plan<form = chunk, schedule = carry, chunk = 16>`.

    - form: `step`, one step after another; `scan`, by an associative operator (which is by steps, in segments); `chunk`, `chunk` steps
      at once; `attention`, the whole sequence as one chunk: of `chunk` steps, so that a shorter one goes by steps and a longer one takes several.
    - schedule: `carry`, one pass over the chunks that hands on the state; `segment`, what segments make of any state first, then a pass
      inside each (`chunk.segment_scan`).
    - chunk: steps per chunk, at least 1; 1 where the form has no chunks.
    - interval: for the gradient of a scan by chunks, chunks from one kept state to the next, at least 1; 16 where it is not written.
      With 1 the states before all chunks are kept and none is computed again; with more, memory is traded for that.
    - value_tile, warps, stages, ahead, warpgroups: of a kernel on a GPU's matrix instructions: columns of the value axis per block, warps
      per block, chunks in shared memory, whether the scores of the next chunk are computed beside this chunk's columns, and whether products
      are of four warps at once (wgmma). What is 0 or false, which is not printed, is left to the target. Steps have none of them.
    - segments: into how many segments a sequence is cut (by the schedule `segment`: behind a first, shorter one); 0, which is not
      printed, leaves it to the call.
  }];
  let parameters = (ins "Form":$form, "Schedule":$schedule, "int64_t":$chunk,
                    DefaultValuedParameter<"int64_t", "16">:$interval, DefaultValuedParameter<"int64_t", "0">:$value_tile, DefaultValuedParameter<"int64_t", "0">:$warps,
                    DefaultValuedParameter<"int64_t", "0">:$stages, DefaultValuedParameter<"bool", "false">:$ahead,
                    DefaultValuedParameter<"bool", "false">:$warpgroups,
                    DefaultValuedParameter<"int64_t", "0">:$segments);
  let builders = [AttrBuilder<(ins "Form":$form, "Schedule":$schedule, "int64_t":$chunk, CArg<"int64_t", "16">:$interval), [{
    return $_get($_ctxt, form, schedule, chunk, interval, 0, 0, 0, false, false, 0);
  }]>];
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

class Chunk_Op<string mnemonic, list<Trait> traits = []> : Op<Chunk_Dialect, mnemonic, traits>;

def Chunk_Array : Type<CPred<"::rondo::recur::isArray($_self)">, "tensor with a #recur.dims encoding",
                       "::mlir::RankedTensorType">;

def Chunk_ScanOp : Chunk_Op<"scan", [AttrSizedOperandSegments, IsolatedFromAbove, RecursivelySpeculatable,
                                     RecursiveMemoryEffects, Recur_ScanInterface]> {
  let summary = "a recurrence whose steps are taken by chunks, and one by one where a chunk does not fit";
  let description = [{
    Semantics. Operands and results are those of a `recur.scan` over one axis. The region `step` is one step; the region `chunk`
    must compute what `size` successive steps compute, in exact arithmetic:

    ```
    for each batch entry, head (and packed sequence):
      S = init of S; t = 0
      while t < T:
        if resets[t]: S = init of S
        if T - t >= size and not any(resets[t+1 .. t+size-1]):
          S, outputs[t .. t+size-1] = chunk(inputs[t .. t+size-1], params, S);  t += size
        else:
          S, outputs[t] = step(inputs[t], params, S);                           t += 1
      final of S = S
    ```
    Time runs backwards where the axis is `reverse`: entry 0 of a chunk is the first step that is taken.

    Inside `chunk`, inputs and outputs have the axis `time` of that size before their named axes; parameters and states look as
    in `step`. Values may have the axes `time` and `source`, both of that size.

    Constraints (and C1 to C18 of `recur.scan`, for the region `step`).
    - C1: one axis; each state is read one step back, once.
    - C2: the plan's chunk is the size of the region `chunk`, at least 2.
    - C3: the region `chunk` has the arguments of `step`, inputs with the axis `time` before their named axes.
    - C4: it ends in `recur.yield` with the states and outputs of `step`, outputs with the axis `time`.

    Numerics. As the regions'.

    Made by `form-chunks`, lowered by `lower-scan` (CPU).

    Example: a running sum, two steps at once.
    ```mlir
    func.func @running_sum(%x: tensor<?x?xf32, #recur.dims<batch, time>>, %s0: tensor<?xf32, #recur.dims<batch>>)
        -> (tensor<?x?xf32, #recur.dims<batch, time>>, tensor<?xf32, #recur.dims<batch>>) {
      %y, %final = chunk.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>]
          inputs(%x : tensor<?x?xf32, #recur.dims<batch, time>>) inits(%s0 : tensor<?xf32, #recur.dims<batch>>)
          plan <form = chunk, schedule = carry, chunk = 2> step {
      ^bb0(%xt: tensor<f32, #recur.dims<>>, %s: tensor<f32, #recur.dims<>>):
        %new = recur.map add(%s, %xt) : (tensor<f32, #recur.dims<>>, tensor<f32, #recur.dims<>>) -> tensor<f32, #recur.dims<>>
        recur.yield states(%new : tensor<f32, #recur.dims<>>) outputs(%new : tensor<f32, #recur.dims<>>)
      } chunk {
      ^bb0(%xs: tensor<2xf32, #recur.dims<time>>, %s: tensor<f32, #recur.dims<>>):
        %one = arith.constant dense<1.0> : tensor<2xf32, #recur.dims<time>>
        %ones = arith.constant dense<1.0> : tensor<2x2xf32, #recur.dims<time, source>>
        %row = arith.constant dense<[[1.0, 0.0], [1.0, 1.0]]> : tensor<2x2xf32, #recur.dims<time, source>>
        %x = chunk.as_source(%xs) : tensor<2xf32, #recur.dims<time>> -> tensor<2xf32, #recur.dims<source>>
        %sums = recur.contract "ts,s->t"(%row, %x)
          : (tensor<2x2xf32, #recur.dims<time, source>>, tensor<2xf32, #recur.dims<source>>) -> tensor<2xf32, #recur.dims<time>>
        %y = recur.map add(%sums, %s) : (tensor<2xf32, #recur.dims<time>>, tensor<f32, #recur.dims<>>) -> tensor<2xf32, #recur.dims<time>>
        %total = recur.reduce sum [0] (%xs) : (tensor<2xf32, #recur.dims<time>>) -> tensor<f32, #recur.dims<>>
        %new = recur.map add(%s, %total) : (tensor<f32, #recur.dims<>>, tensor<f32, #recur.dims<>>) -> tensor<f32, #recur.dims<>>
        recur.yield states(%new : tensor<f32, #recur.dims<>>) outputs(%y : tensor<2xf32, #recur.dims<time>>)
      } : tensor<?x?xf32, #recur.dims<batch, time>>, tensor<?xf32, #recur.dims<batch>>
      return %y, %final : tensor<?x?xf32, #recur.dims<batch, time>>, tensor<?xf32, #recur.dims<batch>>
    }
    ```
  }];
  let arguments = (ins
    Variadic<Chunk_Array>:$inputs, Variadic<Chunk_Array>:$params, Variadic<Chunk_Array>:$inits,
    Optional<AnyRankedTensor>:$resets, Optional<AnyRankedTensor>:$offsets,
    ArrayAttr:$axes, ArrayAttr:$states, Chunk_PlanAttr:$plan);
  let results = (outs Variadic<Chunk_Array>:$results);
  let regions = (region SizedRegion<1>:$step, SizedRegion<1>:$chunk);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    // Said again: the base class of every op has a member of this name.
    ::rondo::recur::StateAttr state(unsigned index) {
      return ::llvm::cast<::rondo::recur::StateAttr>(getStates()[index]);
    }
    /// Steps per chunk.
    int64_t size() { return getPlan().getChunk(); }
  }];
}

def Chunk_Span : I32EnumAttr<"Span", "which steps of a chunk a running product covers", [
    I32EnumAttrCase<"Through", 0, "through">, I32EnumAttrCase<"Before", 1, "before">,
    I32EnumAttrCase<"After", 2, "after">, I32EnumAttrCase<"All", 3, "all">]> {
  let cppNamespace = "::rondo::chunk";
  let genSpecializedAttr = 0;
}
def Chunk_SpanAttr : EnumAttr<Chunk_Dialect, Chunk_Span, "span">;

def Chunk_ProductsOp : Chunk_Op<"products", [Pure]> {
  let summary = "running products along a chunk";
  let description = [{
    Semantics, elementwise in the named axes:
    ```
    through: y[t] = product of a[r] over r <= t          after: y[t] = product of a[r] over r > t
    before:  y[t] = product of a[r] over r < t           all:   y    = product of a[r] over every r
    ```
    An empty product is 1.

    Constraints.
    - C1: the operand's first axis is `time`.
    - C2: the result is as the operand; for `all` without the axis `time`.

    Numerics. Products one by one, in the order of time (`after`: against it): at most size - 1 roundings, and 0 stays 0. No
    logarithm is taken, so that no sum of logarithms can cancel.

    Made by `form-chunks`, lowered by `lower-scan` (CPU).

    Example.
    ```mlir
    func.func @decays(%a: tensor<16x4xf32, #recur.dims<time | "4">>) -> tensor<4xf32, #recur.dims<| "4">> {
      %y = chunk.products all(%a) : tensor<16x4xf32, #recur.dims<time | "4">> -> tensor<4xf32, #recur.dims<| "4">>
      return %y : tensor<4xf32, #recur.dims<| "4">>
    }
    ```
  }];
  let arguments = (ins Chunk_SpanAttr:$span, Chunk_Array:$operand);
  let results = (outs Chunk_Array:$result);
  let assemblyFormat = "`` $span `(` $operand `)` attr-dict `:` type($operand) `->` type($result)";
  let hasVerifier = 1;
}

def Chunk_ScoresOp : Chunk_Op<"scores", [Pure, AllTypesMatch<["queries", "keys"]>]> {
  let summary = "decayed inner products of every step's query with every earlier step's key";
  let description = [{
    Semantics. q and k are <time | K>, the decay a is <time |> (a scalar per step) or <time | K>, absent: 1.
    ```
    A[t, s] = sum over K of q[t, K] k[s, K] product of a[r, K] over s < r <= t      for s <= t, else 0
    A[t, s] = sum over K of q[t, K] k[s, K] product of a[r, K] over s < r <  t      for s <  t, else 0     // `before`
    ```
    Constraints.
    - C1: queries and keys have one type, <time | one named axis>.
    - C2: the decay has their type, or is <time>.
    - C3: the result is <time, source>.

    Numerics. The decays between two steps are multiplied, never divided nor taken as differences of logarithms: exact at 0, and
    finite wherever the products are.

    Made by `form-chunks`, lowered by `lower-scan` (CPU).

    Example.
    ```mlir
    func.func @scores(%q: tensor<16x4xf32, #recur.dims<time | "4">>, %k: tensor<16x4xf32, #recur.dims<time | "4">>,
                      %a: tensor<16xf32, #recur.dims<time>>) -> tensor<16x16xf32, #recur.dims<time, source>> {
      %A = chunk.scores(%q, %k) decay(%a : tensor<16xf32, #recur.dims<time>>) before
        : tensor<16x4xf32, #recur.dims<time | "4">> -> tensor<16x16xf32, #recur.dims<time, source>>
      return %A : tensor<16x16xf32, #recur.dims<time, source>>
    }
    ```
  }];
  let arguments = (ins Chunk_Array:$queries, Chunk_Array:$keys, Optional<Chunk_Array>:$decay, UnitAttr:$before);
  let results = (outs Chunk_Array:$result);
  let assemblyFormat = [{
    `(` $queries `,` $keys `)` (`decay` `(` $decay^ `:` type($decay) `)`)? (`before` $before^)? attr-dict
    `:` type($queries) `->` type($result)
  }];
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$queries, "::mlir::Value":$keys, "::mlir::Value":$decay, "bool":$before)>];
}

def Chunk_ApplyOp : Chunk_Op<"apply", [Pure, AllTypesMatch<["values", "decay", "result"]>]> {
  let summary = "scores times values that decay on the way";
  let description = [{
    Semantics. A is <time, source>, values and decay are <time | V>.
    ```
    y[t, V] = sum over s of A[t, s] v[s, V] product of b[r, V] over s < r <= t      // over s <= t
    y[t, V] = sum over s of A[t, s] v[s, V] product of b[r, V] over s < r <  t      // over s <  t, `before`
    y[s, V] = sum over t of A[t, s] v[t, V] product of b[r, V] over s < r <= t      // over t >= s, `transposed`
    y[s, V] = sum over t of A[t, s] v[t, V] product of b[r, V] over s < r <  t      // over t >  s, `before transposed`
    ```
    Without a decay along the value axis this is a `recur.contract`.

    Constraints.
    - C1: scores are <time, source>.
    - C2: values, decay and result have one type, <time | one named axis>.

    Numerics. As `chunk.scores`.

    Made by `form-chunks` and, `transposed`, by `differentiate`; lowered by `lower-scan` (CPU).

    Example.
    ```mlir
    func.func @apply(%A: tensor<16x16xf32, #recur.dims<time, source>>, %v: tensor<16x8xf32, #recur.dims<time | "8">>,
                     %b: tensor<16x8xf32, #recur.dims<time | "8">>) -> tensor<16x8xf32, #recur.dims<time | "8">> {
      %y = chunk.apply(%A, %v, %b) : tensor<16x16xf32, #recur.dims<time, source>>, tensor<16x8xf32, #recur.dims<time | "8">>
      return %y : tensor<16x8xf32, #recur.dims<time | "8">>
    }
    ```
  }];
  let arguments = (ins Chunk_Array:$scores, Chunk_Array:$values, Chunk_Array:$decay, UnitAttr:$before,
                       UnitAttr:$transposed);
  let results = (outs Chunk_Array:$result);
  let assemblyFormat = [{
    `(` $scores `,` $values `,` $decay `)` (`before` $before^)? (`transposed` $transposed^)? attr-dict
    `:` type($scores) `,` type($values)
  }];
  let hasVerifier = 1;
}

def Chunk_SolveOp : Chunk_Op<"solve", [Pure, AllTypesMatch<["right", "result"]>]> {
  let summary = "forward substitution along a chunk: what every step has, given what it takes from earlier ones";
  let description = [{
    Semantics. M is <time, source>; of it only the entries with s < t are read. The right side and the result are <time> or
    <time | V>.
    ```
    for t in 0 .. size-1: p[t] = r[t] + sum over s < t of M[t, s] p[s]
    for s in size-1 .. 0: p[s] = r[s] + sum over t > s of M[t, s] p[t]                     // `transposed`
    ```
    With a decay b, which has the type of the right side, every p decays on the way from one step to the other: the product of M[t, s] and p is
    multiplied by the product of b[r] over s < r <= t; with `before`, over s < r < t.

    Constraints.
    - C1: the matrix is <time, source>.
    - C2: the right side's first axis is `time`, with one named axis or none; the result has its type.
    - C3: a decay has the type of the right side, which has a named axis then; `before` needs a decay.

    Numerics. Substitution, which is backward stable; no inverse is formed. Decays as in `chunk.apply`.

    Made by `form-chunks` and, `transposed`, by `differentiate`; lowered by `lower-scan` (CPU).

    Example.
    ```mlir
    func.func @solve(%M: tensor<16x16xf32, #recur.dims<time, source>>, %r: tensor<16x8xf32, #recur.dims<time | "8">>)
        -> tensor<16x8xf32, #recur.dims<time | "8">> {
      %p = chunk.solve(%M, %r) : tensor<16x16xf32, #recur.dims<time, source>>, tensor<16x8xf32, #recur.dims<time | "8">>
      return %p : tensor<16x8xf32, #recur.dims<time | "8">>
    }
    ```
  }];
  let arguments = (ins Chunk_Array:$matrix, Chunk_Array:$right, Optional<Chunk_Array>:$decay, UnitAttr:$before,
                       UnitAttr:$transposed);
  let results = (outs Chunk_Array:$result);
  let assemblyFormat = [{
    `(` $matrix `,` $right `)` (`decay` `(` $decay^ `:` type($decay) `)`)? (`before` $before^)? (`transposed` $transposed^)?
    attr-dict `:` type($matrix) `,` type($right)
  }];
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$matrix, "::mlir::Value":$right, "::mlir::Value":$decay, "bool":$before,
                                 "bool":$transposed)>];
}

def Chunk_AsSourceOp : Chunk_Op<"as_source", [Pure]> {
  let summary = "the same values, with the steps seen as those that are read";
  let description = [{
    Semantics. `result[s, ...] = x[s, ...]`: the axis `time` is called `source`, so that a contraction can sum over it beside
    another `time`.

    Constraints.
    - C1: the operand's first axis is `time`, and the result has `source` in its place.

    Numerics. Exact.

    Made by `form-chunks`. On the CPU it costs nothing: both sides share the memory.

    Example: see `chunk.scan`.
  }];
  let arguments = (ins Chunk_Array:$operand);
  let results = (outs Chunk_Array:$result);
  let assemblyFormat = "`(` $operand `)` attr-dict `:` type($operand) `->` type($result)";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$operand)>];
}

def Chunk_RowOp : Chunk_Op<"row", [Pure]> {
  let summary = "what one step of a chunk has";
  let description = [{
    Semantics. `result[...] = x[number, ...]`.

    Constraints.
    - C1: the operand's first axis is `time`, and `number` is one of its steps.
    - C2: the result has the operand's other axes.

    Numerics. Exact.

    Made by `form-chunks` for chunks whose steps are worked on each by itself. On the CPU it costs nothing: the row is read where it lies.

    Example.
    ```mlir
    func.func @second(%x: tensor<4x8xf32, #recur.dims<time | "8">>) -> tensor<8xf32, #recur.dims<| "8">> {
      %y = chunk.row 1 of %x : tensor<4x8xf32, #recur.dims<time | "8">> -> tensor<8xf32, #recur.dims<| "8">>
      return %y : tensor<8xf32, #recur.dims<| "8">>
    }
    ```
  }];
  let arguments = (ins I64Attr:$number, Chunk_Array:$operand);
  let results = (outs Chunk_Array:$result);
  let assemblyFormat = "$number `of` $operand attr-dict `:` type($operand) `->` type($result)";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "int64_t":$number, "::mlir::Value":$operand)>];
}

def Chunk_RowsOp : Chunk_Op<"rows", [Pure]> {
  let summary = "the steps of a chunk, from what each of them has";
  let description = [{
    Semantics. `result[i, ...] = operands[i][...]`.

    Constraints.
    - C1: the operands have one type, and no implicit axes.
    - C2: the result has the axis `time` with as many steps as there are operands, and then the operands' axes.

    Numerics. Exact.

    Made by `form-chunks` for a chunk's outputs. On the CPU what is only an output costs nothing: its rows are written where they belong.

    Example.
    ```mlir
    func.func @both(%x: tensor<8xf32, #recur.dims<| "8">>, %y: tensor<8xf32, #recur.dims<| "8">>)
        -> tensor<2x8xf32, #recur.dims<time | "8">> {
      %z = chunk.rows(%x, %y) : tensor<8xf32, #recur.dims<| "8">> -> tensor<2x8xf32, #recur.dims<time | "8">>
      return %z : tensor<2x8xf32, #recur.dims<time | "8">>
    }
    ```
  }];
  let arguments = (ins Variadic<Chunk_Array>:$operands_);
  let results = (outs Chunk_Array:$result);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::ValueRange":$rows)>];
}
#endif
