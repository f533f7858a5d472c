// What reverse mode adds to the chunk dialect: the operations that are missing from ChunkOps.td for the set to be closed under
// differentiation, and a scan that goes forward for its states and back for their cotangents. test/dialects/chunk/invalid-gradient.mlir
// breaks each constraint once.
#ifndef RONDO_GRADIENT_OPS
#define RONDO_GRADIENT_OPS
include "dialects/Chunk/ChunkOps.td"

def Chunk_AsTimeOp : Chunk_Op<"as_time", [Pure]> {
  let summary = "the same values, with the steps that were read seen as steps again";
  let description = [{
    Semantics. `result[t, ...] = x[t, ...]`: the axis `source` is called `time`. The adjoint and the inverse of `chunk.as_source`.

    Constraints.
    - C1: the operand's first axis is `source`, it has no other implicit axis, and the result has `time` in its place.

    Numerics. Exact.

    Made by `differentiate`.

    Example: what every step takes in, sent back to the step that it came from.
    ```mlir
    func.func @back(%A: tensor<16x16xf32, #recur.dims<time, source>>, %g: tensor<16x4xf32, #recur.dims<time | "4">>)
        -> tensor<16x4xf32, #recur.dims<time | "4">> {
      %0 = recur.contract "ts,tk->sk"(%A, %g) : (tensor<16x16xf32, #recur.dims<time, source>>,
        tensor<16x4xf32, #recur.dims<time | "4">>) -> tensor<16x4xf32, #recur.dims<source | "4">>
      %1 = chunk.as_time(%0) : tensor<16x4xf32, #recur.dims<source | "4">> -> tensor<16x4xf32, #recur.dims<time | "4">>
      return %1 : tensor<16x4xf32, #recur.dims<time | "4">>
    }
    ```
  }];
  let arguments = (ins Chunk_Array:$operand);
  let results = (outs Chunk_Array:$result);
  let assemblyFormat = "`(` $operand `)` attr-dict `:` type($operand) `->` type($result)";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$operand)>];
}

def Chunk_SumsOp : Chunk_Op<"sums", [Pure, AllTypesMatch<["operand", "decay", "result"]>]> {
  let summary = "running sums along a chunk, which decay on the way";
  let description = [{
    Semantics, elementwise in the named axes:
    ```
    y[t] = sum over s <= t of x[s] product of a[r] over s < r <= t
    y[t] = sum over s <  t of x[s] product of a[r] over s < r <  t             // `before`
    y[s] = sum over t >= s of x[t] product of a[r] over s < r <= t             // `transposed`
    y[s] = sum over t >  s of x[t] product of a[r] over s < r <  t             // `before transposed`
    ```
    The adjoints of `chunk.products`, and its own, are products of such sums.

    Constraints.
    - C1: the operand's first axis is `time`; decay and result have its type.

    Numerics. One product and one sum per step, in the order of time (`transposed`: against it).

    Made by `differentiate`, lowered by `lower-scan` (CPU).

    Example.
    ```mlir
    func.func @sums(%x: tensor<16x4xf32, #recur.dims<time | "4">>, %a: tensor<16x4xf32, #recur.dims<time | "4">>)
        -> tensor<16x4xf32, #recur.dims<time | "4">> {
      %y = chunk.sums(%x, %a) before transposed : tensor<16x4xf32, #recur.dims<time | "4">>
      return %y : tensor<16x4xf32, #recur.dims<time | "4">>
    }
    ```
  }];
  let arguments = (ins Chunk_Array:$operand, Chunk_Array:$decay, UnitAttr:$before, UnitAttr:$transposed);
  let results = (outs Chunk_Array:$result);
  let assemblyFormat = [{
    `(` $operand `,` $decay `)` (`before` $before^)? (`transposed` $transposed^)? attr-dict `:` type($operand)
  }];
  let hasVerifier = 1;
}

def Chunk_DecayGradientOp : Chunk_Op<"decay_gradient", [Pure, AllTypesMatch<["queries", "keys"]>,
                                                        AllTypesMatch<["decay", "result"]>]> {
  let summary = "what every step's decay changes in decayed inner products";
  let description = [{
    Semantics. The derivative of the sum over t, s of `G[t, s] chunk.scores(q, k, a)[t, s]` by `a`, elementwise in K:
    ```
    x[r, K] = sum over s < r <= t of G[t, s] q[t, K] k[s, K] product of a[p, K] over s < p <= t, p != r
    x[r, K] = sum over s < r <  t of G[t, s] q[t, K] k[s, K] product of a[p, K] over s < p <  t, p != r        // `before`
    ```
    A decay <time> is one for all K: the result is summed over K. Of G only what is summed is read.

    Constraints.
    - C1: queries and keys have one type, <time | one named axis>.
    - C2: the decay has their type, or is <time>; the result has the decay's type.
    - C3: G is <time, source>.

    Numerics. No division by a decay: what enters before r and what is read behind it are summed on their own, each with the products
    of its decays, and meet at r. Exact at decays of 0. The work is that of size * size products of vectors along K.

    Made by `differentiate`, lowered by `lower-scan` (CPU).

    Example.
    ```mlir
    func.func @decays(%G: tensor<16x16xf32, #recur.dims<time, source>>, %q: tensor<16x4xf32, #recur.dims<time | "4">>,
                      %k: tensor<16x4xf32, #recur.dims<time | "4">>, %a: tensor<16xf32, #recur.dims<time>>)
        -> tensor<16xf32, #recur.dims<time>> {
      %x = chunk.decay_gradient(%G, %q, %k, %a) before : tensor<16x16xf32, #recur.dims<time, source>>,
        tensor<16x4xf32, #recur.dims<time | "4">>, tensor<16xf32, #recur.dims<time>>
      return %x : tensor<16xf32, #recur.dims<time>>
    }
    ```
  }];
  let arguments = (ins Chunk_Array:$scores, Chunk_Array:$queries, Chunk_Array:$keys, Chunk_Array:$decay, UnitAttr:$before);
  let results = (outs Chunk_Array:$result);
  let assemblyFormat = [{
    `(` $scores `,` $queries `,` $keys `,` $decay `)` (`before` $before^)? attr-dict
    `:` type($scores) `,` type($queries) `,` type($decay)
  }];
  let hasVerifier = 1;
}

def Chunk_GradientScanOp : Chunk_Op<"gradient_scan", [AttrSizedOperandSegments, IsolatedFromAbove, RecursivelySpeculatable,
                                                      RecursiveMemoryEffects, Recur_HoldsSteps]> {
  let summary = "a recurrence forward for its states, then against time for their cotangents, by the same chunks and steps";
  let description = [{
    Semantics. `step` and `chunk` give the states behind one step, and behind `size` steps; `back_step` and `back_chunk` give what
    goes back over the same steps, from the states at their beginning (which are given) and the adjoints at their end.

    ```
    for each batch entry, head (and packed sequence):
      S = inits; t = 0; D = 0
      while t < T:                                        // the moves of chunk.scan
        if resets[t]: S = inits
        n = T - t >= size and not any(resets[t+1 .. t+size-1]) ? size : 1
        note the move (t, n, S)
        S = (n == 1 ? step : chunk)(inputs[t .. t+n-1], params, S);  t += n
      C = finals
      for each move (t, n, S), the last one first:
        C, outputs[t .. t+n-1] = (n == 1 ? back_step : back_chunk)(inputs[t .. t+n-1], cotangents[t .. t+n-1], params, S, C)
        if resets[t]: of the adjoints of states: D += C; C = 0
      results = outputs, C + D
    ```
    An adjoint is a state's where it stands at the state's place in the list; those behind are sums, which resets leave alone.

    Where the axis is `reverse`, time runs backwards on the way there and forwards on the way back: entry 0 of a chunk is the step that
    the way there takes first, in every region.

    Of the states at the beginning of the moves, every one whose number the plan's interval divides is to be kept in memory; those between are to be computed again on
    the way back. That changes what is stored and how often a region is run, and no result.

    The adjoints are the cotangents of states, and sums over time: whatever the way back carries.

    Shapes. Results are the outputs in the order of the yields, with the axes batch (if an operand has it), time and head (if an operand
    has head or group), then one value per adjoint, without time. Inside the regions, values look as in `chunk.scan`.

    Constraints.
    - C1: one #recur.axis; states and adjoints are #recur.state, each read one step back, once.
    - C2: where the plan has chunks of one step, their regions are like those of steps, without the axis `time`.
    - C3: there is an input or a cotangent. Each has the axis time and, of others, batch, head and group alone.
    - C4: parameters have no implicit axes but batch, head and group; there is one initial value per state and one per adjoint, with
      none but batch and head.
    - C5: `step` and `chunk` have an argument per input, parameter and state, in this order; `back_step` and `back_chunk` per input,
      cotangent, parameter, state and adjoint. Each is one element of its operand; in chunks, inputs and cotangents have the axis
      `time` of the plan's size before their named axes.
    - C6: `step` and `chunk` end in a `recur.yield` of the states, and of no outputs.
    - C7: `back_step` and `back_chunk` end in one of the adjoints, and of the same outputs, of the chunk with the axis `time`.
    - C8: results have the axes of above, and the features of what is yielded.
    - C9: resets are i1 over <batch, time>, offsets a tensor of rank 1 of i64; with resets there is an adjoint of every state's shape.

    Numerics. As the regions'. Loads widen and stores round.

    Made by `differentiate` out of `chunk.scan`, and, with chunks of one step, out of a `recur.scan` whose way back needs a matrix state at every step.

    Example: the gradient of y[t] = s[t]^2, s the running sum of x.
    ```mlir
    !s = tensor<f32, #recur.dims<>>
    !t = tensor<2xf32, #recur.dims<time>>
    !x = tensor<?x?xf32, #recur.dims<batch, time>>
    !b = tensor<?xf32, #recur.dims<batch>>
    func.func @squares(%x: !x, %s0: !b, %dy: !x, %ds1: !b) -> (!x, !b) {
      %dx, %ds0 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] adjoints [#recur.state<"d_s", [[1]]>]
          inputs(%x : !x) cotangents(%dy : !x) inits(%s0 : !b) finals(%ds1 : !b)
          plan <form = chunk, schedule = carry, chunk = 2, interval = 4> step {
      ^bb0(%xt: !s, %s: !s):
        %new = recur.map add(%s, %xt) : (!s, !s) -> !s
        recur.yield states(%new : !s)
      } chunk {
      ^bb0(%xs: !t, %s: !s):
        %sum = recur.reduce sum [0] (%xs) : (!t) -> !s
        %new = recur.map add(%s, %sum) : (!s, !s) -> !s
        recur.yield states(%new : !s)
      } back_step {
      ^bb0(%xt: !s, %dyt: !s, %s: !s, %ds: !s):
        %new = recur.map add(%s, %xt) : (!s, !s) -> !s
        %twice = recur.map add(%new, %new) : (!s, !s) -> !s
        %g = recur.map mul(%twice, %dyt) : (!s, !s) -> !s
        %d = recur.map add(%ds, %g) : (!s, !s) -> !s
        recur.yield states(%d : !s) outputs(%d : !s)
      } back_chunk {
      ^bb0(%xs: !t, %dys: !t, %s: !s, %ds: !s):
        %ones = arith.constant dense<1.0> : !t
        %sums = chunk.sums(%xs, %ones) : !t
        %new = recur.map add(%sums, %s) : (!t, !s) -> !t
        %twice = recur.map add(%new, %new) : (!t, !t) -> !t
        %g = recur.map mul(%twice, %dys) : (!t, !t) -> !t
        %later = chunk.sums(%g, %ones) transposed : !t
        %each = recur.map add(%later, %ds) : (!t, !s) -> !t
        %all = recur.reduce sum [0] (%g) : (!t) -> !s
        %d = recur.map add(%ds, %all) : (!s, !s) -> !s
        recur.yield states(%d : !s) outputs(%each : !t)
      } : !x, !b
      return %dx, %ds0 : !x, !b
    }
    ```
  }];
  let arguments = (ins
    Variadic<Chunk_Array>:$inputs, Variadic<Chunk_Array>:$cotangents, Variadic<Chunk_Array>:$params,
    Variadic<Chunk_Array>:$inits, Variadic<Chunk_Array>:$finals,
    Optional<AnyRankedTensor>:$resets, Optional<AnyRankedTensor>:$offsets,
    ArrayAttr:$axes, ArrayAttr:$states, ArrayAttr:$adjoints, Chunk_PlanAttr:$plan);
  let results = (outs Variadic<Chunk_Array>:$results);
  let regions = (region SizedRegion<1>:$step, SizedRegion<1>:$chunk, SizedRegion<1>:$back_step, SizedRegion<1>:$back_chunk);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    /// Steps per chunk.
    int64_t size() { return getPlan().getChunk(); }
    /// Chunks from one kept state to the next.
    int64_t interval() { return getPlan().getInterval(); }
    ::rondo::recur::AxisAttr axis() { return ::llvm::cast<::rondo::recur::AxisAttr>(getAxes()[0]); }
    unsigned numOutputs() { return getNumResults() - getAdjoints().size(); }
    /// The results that have a value per step, and the adjoints at the beginning of time.
    ::mlir::ResultRange outputs() { return getResults().take_front(numOutputs()); }
    ::mlir::ResultRange adjointResults() { return getResults().drop_front(numOutputs()); }
    /// What each argument of one of the regions is an element of, or a chunk: operands, in the arguments' order.
    ::llvm::SmallVector<::mlir::Value> operandsOf(::mlir::Region &region);
    /// The implicit axes of results, given the operands: of an output (`perStep`), or of an adjoint.
    static ::llvm::SmallVector<::llvm::StringRef> resultAxes(::mlir::ValueRange operands, bool perStep);
  }];
}
#endif
