// A recurrence whose time is cut into segments that are computed side by side. test/dialects/chunk/invalid-segments.mlir breaks each
// constraint once.
#ifndef RONDO_SEGMENT_OPS
#define RONDO_SEGMENT_OPS
include "dialects/Chunk/GradientOps.td"

def Chunk_SegmentScanOp : Chunk_Op<"segment_scan", [AttrSizedOperandSegments, IsolatedFromAbove, RecursivelySpeculatable,
                                                    RecursiveMemoryEffects, Recur_ScanInterface]> {
  let summary = "a recurrence in segments: what each makes of any state first, then the segments themselves";
  let description = [{
    Semantics. Operands, results, `step` and `chunk` are those of a `chunk.scan` (where the plan's chunk is 1, there are steps alone, and the
    regions `chunk` and `ends_chunk` are empty). A segment takes its first state to its last one by a map that can be composed: `parts` are
    the numbers that describe it. `ends_step` and `ends_chunk` move the parts over the segment, from `begins`; `join` applies them to a
    state:

    ```
    for each batch entry, head (and packed sequence):
      cut the steps 0 .. T-1 into segments 0 .. P
      S[0] = inits;  S[1] = segment 0, as chunk.scan, from S[0]
      for each p in 1 .. P-1:    E[p] = begins;  E[p] = segment p, as chunk.scan, with ends_step and ends_chunk, from E[p]
      for p in 1 .. P-1:         S[p+1] = join(E[p], S[p])
      for each p in 1 .. P:      finals, outputs of segment p = segment p, as chunk.scan, from S[p]
    ```
    Nothing passes a reset. Where a segment has one, the parts that `ends` names, one for each state, are what its steps from the last reset on
    leave behind, beginning with inits instead of `begins`, and S[p+1] is these parts:

    ```
      r = last step of segment p with resets[r]
      E[p] = begins, but E[p][ends[s]] = init of state s;  E[p] = steps r .. of segment p, as chunk.scan, with ends_step and ends_chunk, from E[p]
      S[p+1][s] = E[p][ends[s]]
    ```
    Into how many segments, and where they begin, is the target's choice, unless the plan says their number P. In exact arithmetic the results
    are those of one segment, which is what the reference interpreter takes.

    Constraints.
    - C1: one axis; each state is read one step back, once.
    - C2: `chunk` and `ends_chunk` are empty where the plan's chunk is 1, and nowhere else.
    - C3: `chunk` has the arguments and yields of `step`, inputs and outputs with the axis `time`.
    - C4: there are as many `begins` as `parts`, each an array without implicit axes.
    - C5: `ends_step` has one argument per input and parameter, as `step`, and one per part, of the type of its begin; it ends in a
      `recur.yield` of the parts, and of no outputs. `ends_chunk` is the same for inputs with the axis `time`.
    - C6: `join` has one argument per part and one per state, and ends in a `recur.yield` of the states, and of no outputs.
    - C7: `ends` is there where resets are; it names for each state a part of the state's type.

    Numerics. As the regions'. The parts of a decay are products of decays, with no logarithm and no division: exact at 0.

    Made by `form-chunks`, lowered by `lower-scan` (CPU).

    Example: an exponential moving average.
    ```mlir
    !h = tensor<4xf32, #recur.dims<| "4">>
    !x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
    !b = tensor<?x4xf32, #recur.dims<batch | "4">>
    func.func @average(%x: !x, %h0: !b) -> (!x, !b) {
      %y, %h1 = chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !b)
          plan <form = scan, schedule = segment, chunk = 1>
          parts [#recur.state<"h", [[1]]>, #recur.state<"h_decay", [[1]]>] begins [dense<0.0> : !h, dense<1.0> : !h] step {
      ^bb0(%xt: !h, %h: !h):
        %a = arith.constant dense<0.9> : !h
        %0 = recur.map mul(%a, %h) : (!h, !h) -> !h
        %1 = recur.map add(%0, %xt) : (!h, !h) -> !h
        recur.yield states(%1 : !h) outputs(%1 : !h)
      } chunk {
      } ends_step {
      ^bb0(%xt: !h, %h: !h, %d: !h):
        %a = arith.constant dense<0.9> : !h
        %0 = recur.map mul(%a, %h) : (!h, !h) -> !h
        %1 = recur.map add(%0, %xt) : (!h, !h) -> !h
        %2 = recur.map mul(%a, %d) : (!h, !h) -> !h
        recur.yield states(%1, %2 : !h, !h)
      } ends_chunk {
      } join {
      ^bb0(%e: !h, %d: !h, %h: !h):
        %0 = recur.map mul(%d, %h) : (!h, !h) -> !h
        %1 = recur.map add(%0, %e) : (!h, !h) -> !h
        recur.yield states(%1 : !h)
      } : !x, !b
      return %y, %h1 : !x, !b
    }
    ```
  }];
  let arguments = (ins
    Variadic<Chunk_Array>:$inputs, Variadic<Chunk_Array>:$params, Variadic<Chunk_Array>:$inits,
    Optional<AnyRankedTensor>:$resets, Optional<AnyRankedTensor>:$offsets,
    ArrayAttr:$axes, ArrayAttr:$states, Chunk_PlanAttr:$plan, ArrayAttr:$parts, ArrayAttr:$begins,
    OptionalAttr<DenseI64ArrayAttr>:$ends);
  let results = (outs Variadic<Chunk_Array>:$results);
  let regions = (region SizedRegion<1>:$step, AnyRegion:$chunk, SizedRegion<1>:$ends_step, AnyRegion:$ends_chunk,
                        SizedRegion<1>:$join);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    // Said again: the base class of every op has a member of this name.
    ::rondo::recur::StateAttr state(unsigned index) {
      return ::llvm::cast<::rondo::recur::StateAttr>(getStates()[index]);
    }
    /// Steps per chunk; 1 where there are steps alone.
    int64_t size() { return getPlan().getChunk(); }
  }];
}
#endif
