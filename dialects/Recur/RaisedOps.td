// The ops that analysis raises a recur.scan to: the recurrence's structure as operands, and around it two regions without states.
// Each of them says what recur.scan says, and `lower-raised` writes that recur.scan. Constraints C1 to C11 and C16 to C18 are recur.scan's;
// the numbers above 20 are their own (C31 to C35 are cell_scan's) (test/dialects/recur/invalid-raised*.mlir breaks each one once).
#ifndef RONDO_RAISED_OPS
#define RONDO_RAISED_OPS
include "dialects/Recur/ModelOps.td"

def Recur_CoefficientsOp : Recur_Op<"coefficients", [Pure, Terminator, AttrSizedOperandSegments]> {
  let summary = "ends the first region of a raised scan: what the recurrence is made of at this step";
  let description = [{
    Semantics. Hands factors of the recurrence to the surrounding scan, whose document says what each list means.

    Constraints are the surrounding op's. Made and taken away with it, by `raise-scans` and `lower-raised`.

    Numerics. Exact.

    Example: see `recur.expand_scan`.
  }];
  let arguments = (ins Variadic<Recur_Array>:$decays, Variadic<Recur_Array>:$keys, Variadic<Recur_Array>:$values,
                       Variadic<Recur_Array>:$writes, Variadic<Recur_Array>:$reads, Variadic<Recur_Array>:$queries);
  let assemblyFormat = [{
    (`decays` `(` $decays^ `:` type($decays) `)`)? (`keys` `(` $keys^ `:` type($keys) `)`)?
    (`values` `(` $values^ `:` type($values) `)`)? (`writes` `(` $writes^ `:` type($writes) `)`)?
    (`reads` `(` $reads^ `:` type($reads) `)`)? (`queries` `(` $queries^ `:` type($queries) `)`)? attr-dict
  }];
  let hasVerifier = 1;
}

class Recur_RaisedScan<string mnemonic>
    : Recur_Op<mnemonic, [AttrSizedOperandSegments, IsolatedFromAbove, RecursivelySpeculatable, RecursiveMemoryEffects,
                          Recur_ScanInterface]> {
  let results = (outs Variadic<Recur_Array>:$results);
  let regions = (region SizedRegion<1>:$coefficients, SizedRegion<1>:$readout);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

defvar raisedOperands = (ins
  Variadic<Recur_Array>:$inputs, Variadic<Recur_Array>:$params, Variadic<Recur_Array>:$inits,
  Optional<AnyRankedTensor>:$resets, Optional<AnyRankedTensor>:$offsets,
  ArrayAttr:$axes, ArrayAttr:$states);
defvar raisedAccessors = [{
    // Said again: the base class of every op has a member of this name.
    StateAttr state(unsigned index) { return ::llvm::cast<StateAttr>(getStates()[index]); }
    CoefficientsOp coefficients();
    YieldOp yield();
}];

def Recur_LinearScanOp : Recur_RaisedScan<"linear_scan"> {
  let summary = "an elementwise linear recurrence, h = a h₋ + b, over a semiring";
  let description = [{
    Semantics, for each state h with its decay a and its value b, elementwise:

    ```
    a, b = coefficients(inputs, params)
    h[t] = a * h[t-1] + b                     // plus_times, real or complex
    h[t] = max(a + h[t-1], b)                 // max_plus
    h[t] = log(exp(a + h[t-1]) + exp(b))      // log_plus
    outputs = readout(inputs, params, h[t] and h[t-1] of each state)
    ```
    Operands, results, resets and packed sequences: as for `recur.scan` over one axis.

    Constraints (and C1 to C11, C16 to C18 of `recur.scan`).
    - C21: one axis; each state is read one step back, once.
    - C22: both regions begin with one argument per input and per parameter, as a step's.
    - C23: the first region ends in `recur.coefficients` with one decay and one value per state, of the state's axes and kind,
      and nothing else.
    - C24: the second takes two more arguments per state, the new and the old one, and ends in `recur.yield` without states.
    - C25: states of max_plus and log_plus are real.

    Numerics. plus_times and max_plus as the operations of `recur.map`. log_plus is max + log1p(exp(-|difference|)), exact where
    one side is -inf.

    Made by `raise-scans`; `lower-raised` turns it back into `recur.scan`.

    Example: an exponential moving average.
    ```mlir
    func.func @average(%x: tensor<?x?x4xf64, #recur.dims<batch, time | "4">>, %h0: tensor<?x4xf64, #recur.dims<batch | "4">>)
        -> (tensor<?x?x4xf64, #recur.dims<batch, time | "4">>, tensor<?x4xf64, #recur.dims<batch | "4">>) {
      %y, %h = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>]
          inputs(%x : tensor<?x?x4xf64, #recur.dims<batch, time | "4">>) inits(%h0 : tensor<?x4xf64, #recur.dims<batch | "4">>)
          semiring plus_times coefficients {
      ^bb0(%xt: tensor<4xf64, #recur.dims<| "4">>):
        %a = arith.constant dense<0.9> : tensor<4xf64, #recur.dims<| "4">>
        recur.coefficients decays(%a : tensor<4xf64, #recur.dims<| "4">>) values(%xt : tensor<4xf64, #recur.dims<| "4">>)
      } readout {
      ^bb0(%xt: tensor<4xf64, #recur.dims<| "4">>, %new: tensor<4xf64, #recur.dims<| "4">>, %old: tensor<4xf64, #recur.dims<| "4">>):
        recur.yield outputs(%new : tensor<4xf64, #recur.dims<| "4">>)
      } : tensor<?x?x4xf64, #recur.dims<batch, time | "4">>, tensor<?x4xf64, #recur.dims<batch | "4">>
      return %y, %h : tensor<?x?x4xf64, #recur.dims<batch, time | "4">>, tensor<?x4xf64, #recur.dims<batch | "4">>
    }
    ```
  }];
  let arguments = !con(raisedOperands, (ins Recur_SemiringAttr:$semiring));
  let extraClassDeclaration = raisedAccessors;
}

def Recur_ExpandScanOp : Recur_RaisedScan<"expand_scan"> {
  let summary = "state expansion: decayed states that take in outer products and are read by contractions";
  let description = [{
    Semantics. A state has a key axis and a value axis; a state with one axis has only one of them, and the factor along the other
    is a scalar. At each step, for each state S:

    ```
    decays, keys, values, queries = coefficients(inputs, params)
    S[t] = (product of its decays, each repeated along the axes that it lacks) * S[t-1]  +  sum of its  key ⊗ value
    y_r  = sum over the contracted axis of  query_r * S[t]          // S[t-1] where the readout is `before`
    outputs = readout(inputs, params, y_0, y_1, ...)
    ```
    `decays` says for each decay its state and the state's axes that it has; `outers` for each pair (key, value) its state;
    `readouts` for each query its state and the contracted axis. `key_axes` tells which axis of each state is its key axis, or
    -1 for a state with a value axis alone.

    Constraints (and C1 to C11, C16 to C18 of `recur.scan`).
    - C21: one axis; each state is read one step back, once.
    - C22: both regions begin with one argument per input and per parameter, as a step's.
    - C26: states have one or two axes; `key_axes` has one entry per state: 0 or 1, or -1 for one axis.
    - C27: the first region ends in `recur.coefficients` with one value per entry of `decays`, `outers` and `readouts`, with the
      axes that the entry says, and the state's kind; no decay is `before`.
    - C28: the second takes one more argument per readout: the state without the contracted axis; and ends in `recur.yield`
      without states.

    Numerics. As the `recur.map` and `recur.contract` that it stands for; the order of sums over time is the form's.

    Made by `raise-scans`. `form-chunks` derives its chunk form; `lower-raised` turns it back into `recur.scan`.

    Example: linear attention with a scalar decay.
    ```mlir
    func.func @retention(%q: tensor<?x?x4xf64, #recur.dims<batch, time | "4">>, %v: tensor<?x?x8xf64, #recur.dims<batch, time | "8">>,
                         %S0: tensor<?x4x8xf64, #recur.dims<batch | "4", "8">>)
        -> (tensor<?x?x8xf64, #recur.dims<batch, time | "8">>, tensor<?x4x8xf64, #recur.dims<batch | "4", "8">>) {
      %o, %S = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
          inputs(%q, %v : tensor<?x?x4xf64, #recur.dims<batch, time | "4">>, tensor<?x?x8xf64, #recur.dims<batch, time | "8">>)
          inits(%S0 : tensor<?x4x8xf64, #recur.dims<batch | "4", "8">>)
          key_axes [0] decays [#recur.decay<0, []>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
      ^bb0(%qt: tensor<4xf64, #recur.dims<| "4">>, %vt: tensor<8xf64, #recur.dims<| "8">>):
        %a = arith.constant dense<0.9> : tensor<f64, #recur.dims<>>
        recur.coefficients decays(%a : tensor<f64, #recur.dims<>>) keys(%qt : tensor<4xf64, #recur.dims<| "4">>)
          values(%vt : tensor<8xf64, #recur.dims<| "8">>) queries(%qt : tensor<4xf64, #recur.dims<| "4">>)
      } readout {
      ^bb0(%qt: tensor<4xf64, #recur.dims<| "4">>, %vt: tensor<8xf64, #recur.dims<| "8">>, %y: tensor<8xf64, #recur.dims<| "8">>):
        recur.yield outputs(%y : tensor<8xf64, #recur.dims<| "8">>)
      } : tensor<?x?x8xf64, #recur.dims<batch, time | "8">>, tensor<?x4x8xf64, #recur.dims<batch | "4", "8">>
      return %o, %S : tensor<?x?x8xf64, #recur.dims<batch, time | "8">>, tensor<?x4x8xf64, #recur.dims<batch | "4", "8">>
    }
    ```
  }];
  let arguments = !con(raisedOperands, (ins DenseI64ArrayAttr:$key_axes, ArrayAttr:$decays, DenseI64ArrayAttr:$outers,
                                      ArrayAttr:$readouts));
  let extraClassDeclaration = raisedAccessors # [{
    DecayAttr decay(unsigned index) { return ::llvm::cast<DecayAttr>(getDecays()[index]); }
    ReadoutAttr readout(unsigned index) { return ::llvm::cast<ReadoutAttr>(getReadouts()[index]); }
  }];
}

def Recur_DeltaScanOp : Recur_RaisedScan<"delta_scan"> {
  let summary = "state expansion whose transition is a diagonal plus outer products";
  let description = [{
    Semantics. As `recur.expand_scan`, and each entry of `transitions` adds an outer product to its state's transition:

    ```
    decays, keys, values, writes, reads, queries = coefficients(inputs, params)
    S[t] = decays * S[t-1]  +  sum of  write ⊗ (sum over the key axis of read * S[t-1])  +  sum of  key ⊗ value
    ```
    The delta rule S + b k ⊗ (v - kᵀS) has write = -b k, read = k, and key = b k, value = v.

    A decay that is `before` comes before the transitions: what they read is S[t-1] with these decays. So (I - b k kᵀ) S diag(c) has
    the decay c along its value axis, `before`, and the transition of (I - b k kᵀ) S.

    Where a transition is a product of several, a state makes several moves a step, one after another, each of which is as above with
    the state before the move for S[t-1]. The attribute `recur.moves` then says in which move each entry of `decays`, of `outers` and
    of `transitions` (in this order) takes part; readouts see the state before the first move or behind the last one.

    Constraints (and those of `recur.expand_scan`).
    - C29: there is a transition, and each one's state has a key axis; one value in `writes` and in `reads` per transition, of the
      state's key axis and kind.
    - C30: `recur.moves`, where it is there, is a list of integers from 0 on, one per decay, outer product and transition.
    - C36: a decay that is `before` has the value axis alone, of a state with two axes and a transition. (Along the key axis, or as a
      scalar, it is a factor of the vector that is read.)

    Numerics. As `recur.expand_scan`.

    Made by `raise-scans`. `form-chunks` derives its chunk form (WY representation); `lower-raised` turns it back into
    `recur.scan`.

    Example: the delta rule on a state with one axis.
    ```mlir
    func.func @project(%k: tensor<?x?x4xf64, #recur.dims<batch, time | "4">>, %h0: tensor<?x4xf64, #recur.dims<batch | "4">>)
        -> (tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?x4xf64, #recur.dims<batch | "4">>) {
      %o, %h = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>]
          inputs(%k : tensor<?x?x4xf64, #recur.dims<batch, time | "4">>) inits(%h0 : tensor<?x4xf64, #recur.dims<batch | "4">>)
          key_axes [0] decays [] outers [] transitions [0] readouts [#recur.readout<0, 0, before>] coefficients {
      ^bb0(%kt: tensor<4xf64, #recur.dims<| "4">>):
        %w = recur.map neg(%kt) : (tensor<4xf64, #recur.dims<| "4">>) -> tensor<4xf64, #recur.dims<| "4">>
        recur.coefficients writes(%w : tensor<4xf64, #recur.dims<| "4">>) reads(%kt : tensor<4xf64, #recur.dims<| "4">>)
          queries(%kt : tensor<4xf64, #recur.dims<| "4">>)
      } readout {
      ^bb0(%kt: tensor<4xf64, #recur.dims<| "4">>, %y: tensor<f64, #recur.dims<>>):
        recur.yield outputs(%y : tensor<f64, #recur.dims<>>)
      } : tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?x4xf64, #recur.dims<batch | "4">>
      return %o, %h : tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?x4xf64, #recur.dims<batch | "4">>
    }
    ```
  }];
  let arguments = !con(raisedOperands, (ins DenseI64ArrayAttr:$key_axes, ArrayAttr:$decays, DenseI64ArrayAttr:$outers,
                                      DenseI64ArrayAttr:$transitions, ArrayAttr:$readouts));
  let extraClassDeclaration = raisedAccessors # [{
    DecayAttr decay(unsigned index) { return ::llvm::cast<DecayAttr>(getDecays()[index]); }
    ReadoutAttr readout(unsigned index) { return ::llvm::cast<ReadoutAttr>(getReadouts()[index]); }
  }];
}
#endif
