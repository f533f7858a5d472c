// The ops, as a specification: what each computes, what it demands (C1, C2, ... in the order in which the verifier asks; the
// numbers stand in its messages, and test/dialects/recur/invalid-*.mlir breaks each one once), how it rounds, who makes it and
// who takes it away. The examples are run by
// test/dialects/recur/op-examples.test.
#ifndef RONDO_RECUR_OPS
#define RONDO_RECUR_OPS
include "dialects/Recur/RecurAttrs.td"
include "dialects/Recur/RecurInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/IR/OpAsmInterface.td"

class Recur_Op<string mnemonic, list<Trait> traits = []> : Op<Recur_Dialect, mnemonic, traits>;

// A tensor whose encoding is a #recur.dims, of real, complex or truth values.
def Recur_Array : Type<CPred<"::rondo::recur::isArray($_self)">, "tensor with a #recur.dims encoding",
                       "::mlir::RankedTensorType">;

def Recur_ScanOp : Recur_Op<"scan", [AttrSizedOperandSegments, IsolatedFromAbove, RecursivelySpeculatable,
                                     RecursiveMemoryEffects, SingleBlock, Recur_ScanInterface,
                                     DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "a recurrence over one or more axes; its region is one step";
  let description = [{
    Semantics. The region computes one step from the inputs at that step, from the parameters, and from states at earlier
    steps. Over one axis (T steps, a state S that is looked back at by at most p steps):

    ```
    for each batch entry b, head h:                         // independent of each other
      S[-p .. -1] = init of S                               // oldest first; p = 1: the initial value
      for s in 0 .. T-1:                                    // t = s, or T-1-s where the axis is `reverse`
        if resets[b, t]: S[s-p .. s-1] = init of S          // the past is forgotten before the step
        new, out = step(inputs[b, t, h], params[b, h], S[s-d] for each read d of each state)
        S[s], outputs[b, t, h] = new, out
      final of S = S[T-p .. T-1]
    ```
    T = 0 gives empty outputs and the initial values as final states. An operand without the `batch` or the `head` axis has
    one value for all; one with a `group` axis of size G gives head h the value of group h / (H / G), where H is the size of
    the operands' head axis (without one, H = G).

    Over several axes a step reads states at any earlier position on the grid. A position beyond an edge has the initial value
    (one slice; resets, offsets and lag axes of initial values do not exist here). Each state has one final value per axis:
    the last p slices along it, over the whole of the other axes.

    Packed sequences: `offsets` = [0, n1, n1+n2, ..., T] cuts the time axis of inputs with batch size 1 into sequences, each of
    which is a scan of its own. The batch axis of initial values, of parameters and of final states counts the sequences.

    Shapes. Step values have no implicit axes: they are one element of their operands.

    | value | implicit axes, in this order |
    |---|---|
    | input | [batch], time, time1, ... (one per axis), [head or group] |
    | parameter | [batch], [head or group] |
    | initial value | [batch], [lag], [head] |
    | output | batch if an operand has it, time, time1, ..., head if an operand has head or group |
    | final state along axis a | as an output without the time of a; with `lag` behind batch where p slices are kept |

    Results are the outputs in the yield's order, then the final states: state by state, and for each state axis by axis.
    Operand and step value may differ in width: loads widen and stores round.

    Constraints.
    - C1: `axes` holds one #recur.axis or more, with distinct names.
    - C2: `states` holds #recur.state with distinct names.
    - C3: each read has one distance per axis, not all 0. A negative distance -1-i stands for entry i of the function's
      `recur.lags` until `bind-sizes` replaces it.
    - C4: there is an input, or resets: something says how many steps there are.
    - C5: each input has exactly the scanned time axes, and no lag axis.
    - C6: parameters have no implicit axes but batch, and head or group.
    - C7: one initial value per state.
    - C8: initial values have no implicit axes but batch, lag and head; over several axes no lag.
    - C9: over one axis an initial value has a lag axis if its state is looked back at by more than one step, or by a number
      of steps that is not bound yet; the axis' size, where it is known, is the largest distance.
    - C10: resets are i1 over <batch, time>, for one axis only.
    - C11: offsets are a tensor of rank 1 of i64, for one axis only.
    - C12: the step has one argument per input, per parameter and per read of a state, in this order.
    - C13: each of them has its operand's named axes and kind of element (real, complex, truth), and no implicit axes.
    - C14: the step ends in `recur.yield` with one value per state.
    - C15: yielded states have the named axes and kind of their initial value; nothing yielded has implicit axes.
    - C16: one result per yielded output, and one per state and axis.
    - C17: outputs have the implicit axes of the table, and the named axes and kind of what is yielded.
    - C18: so do the final states.

    Numerics. The scan itself only copies, widens and rounds; a state between two steps has the width that the step yields.

    Made by the importer; resets and offsets by `add-boundaries`. `bind-sizes` replaces `?` and negative distances, `set-precision` chooses widths, `lower-scan` (CPU)
    turns it into loops.

    Example: a sum over time.
    ```mlir
    func.func @running_sum(%x: tensor<?x?xf64, #recur.dims<batch, time>>, %s0: tensor<?xf64, #recur.dims<batch>>)
        -> (tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?xf64, #recur.dims<batch>>) {
      %y, %final = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>]
          inputs(%x : tensor<?x?xf64, #recur.dims<batch, time>>) inits(%s0 : tensor<?xf64, #recur.dims<batch>>) {
      ^bb0(%xt: tensor<f64, #recur.dims<>>, %s: tensor<f64, #recur.dims<>>):
        %new = recur.map add(%s, %xt)
          : (tensor<f64, #recur.dims<>>, tensor<f64, #recur.dims<>>) -> tensor<f64, #recur.dims<>>
        recur.yield states(%new : tensor<f64, #recur.dims<>>) outputs(%new : tensor<f64, #recur.dims<>>)
      } : tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?xf64, #recur.dims<batch>>
      return %y, %final : tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?xf64, #recur.dims<batch>>
    }
    ```
  }];
  let arguments = (ins
    Variadic<Recur_Array>:$inputs, Variadic<Recur_Array>:$params, Variadic<Recur_Array>:$inits,
    Optional<AnyRankedTensor>:$resets, Optional<AnyRankedTensor>:$offsets,
    ArrayAttr:$axes, ArrayAttr:$states);
  let results = (outs Variadic<Recur_Array>:$results);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    // Said again: the base class of every op has a member of this name.
    StateAttr state(unsigned index) { return ::llvm::cast<StateAttr>(getStates()[index]); }
    ::mlir::Block *step() { return &getBody().front(); }
    /// Step arguments: inputs, then params, then for each state one argument per read.
    ::llvm::ArrayRef<::mlir::BlockArgument> inputArgs();
    ::llvm::ArrayRef<::mlir::BlockArgument> paramArgs();
    ::llvm::ArrayRef<::mlir::BlockArgument> stateArgs(unsigned state);
    YieldOp yield();
  }];
}

def Recur_YieldOp : Recur_Op<"yield", [Pure, Terminator, AttrSizedOperandSegments]> {
  let summary = "ends a step: the new states, and the outputs at this step";
  let description = [{
    Semantics. Hands the states' values at this step and the outputs to the surrounding `recur.scan`, which stores them.

    Shapes and constraints are the scan's C14 and C15. Lies only in a region of a scan.

    Numerics. Stores round to the width of the scan's results.

    Made by the importer, taken away with its scan by `lower-scan`.

    Example: a step without a state.
    ```mlir
    func.func @copy(%x: tensor<?x?x?xf64, #recur.dims<batch, time | K>>)
        -> tensor<?x?x?xf64, #recur.dims<batch, time | K>> {
      %y = recur.scan over [#recur.axis<"t">] inputs(%x : tensor<?x?x?xf64, #recur.dims<batch, time | K>>) {
      ^bb0(%xt: tensor<?xf64, #recur.dims<| K>>):
        recur.yield outputs(%xt : tensor<?xf64, #recur.dims<| K>>)
      } : tensor<?x?x?xf64, #recur.dims<batch, time | K>>
      return %y : tensor<?x?x?xf64, #recur.dims<batch, time | K>>
    }
    ```
  }];
  let arguments = (ins Variadic<Recur_Array>:$states, Variadic<Recur_Array>:$outputs);
  let assemblyFormat = [{
    (`states` `(` $states^ `:` type($states) `)`)? (`outputs` `(` $outputs^ `:` type($outputs) `)`)? attr-dict
  }];
  let hasVerifier = 1;
}

def Recur_MapOp : Recur_Op<"map", [Pure]> {
  let summary = "an elementwise function";
  let description = [{
    Semantics.
    ```
    for each index i of the result: result[i] = fn(x[i], y[i], ...)        // a scalar operand: x[] for every i
    ```
    | functions | operands | result |
    |---|---|---|
    | neg exp log sqrt tanh sin cos; conj | one, real or complex | the same type |
    | expm1 log1p erf sign floor | one, real | the same type |
    | abs real imag | one, real or complex | real (`imag` of a real value is 0) |
    | add sub mul div pow | two, real or complex | the same type |
    | max min | two, real | the same type; no number if either operand is none |
    | complex | two, real: the real and the imaginary part | complex |
    | lt le | two, real | i1; false if either operand is no number |
    | eq ne | two, real or complex | i1 |
    | not; and or | one; two i1 | i1 |
    | select | i1, then two of any one type: where true, where false | that type |

    `sign` of a zero is 0. `log`, `sqrt` and `pow` of complex values are the principal branches, cut along the negative reals.

    Constraints.
    - C1: as many operands as the function takes.
    - C2: each operand has the result's axes or none, and at least one has the result's.
    - C3: the operands (of `select`: the second and third; the condition is i1) have one element type, which the function takes.
    - C4: the result's element type is the one of the table.

    Numerics. Rounded to the element type; add, sub, mul, div and sqrt correctly, the others within the bound that each
    target states. Folds keep every value but the sign of a zero, so that `x * 0` stays.

    Made by the importer, lowered by `lower-scan`.

    Example.
    ```mlir
    func.func @gate(%x: tensor<?xf64, #recur.dims<| K>>) -> tensor<?xf64, #recur.dims<| K>> {
      %one = arith.constant dense<1.0> : tensor<f64, #recur.dims<>>
      %0 = recur.map neg(%x) : (tensor<?xf64, #recur.dims<| K>>) -> tensor<?xf64, #recur.dims<| K>>
      %1 = recur.map exp(%0) : (tensor<?xf64, #recur.dims<| K>>) -> tensor<?xf64, #recur.dims<| K>>
      %2 = recur.map add(%1, %one)
        : (tensor<?xf64, #recur.dims<| K>>, tensor<f64, #recur.dims<>>) -> tensor<?xf64, #recur.dims<| K>>
      %3 = recur.map div(%one, %2)
        : (tensor<f64, #recur.dims<>>, tensor<?xf64, #recur.dims<| K>>) -> tensor<?xf64, #recur.dims<| K>>
      return %3 : tensor<?xf64, #recur.dims<| K>>
    }
    ```
  }];
  let arguments = (ins Recur_FnAttr:$fn, Variadic<Recur_Array>:$operands_);
  let results = (outs Recur_Array:$result);
  let assemblyFormat = "`` $fn `(` $operands_ `)` attr-dict `:` functional-type($operands_, $result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Recur_ContractOp : Recur_Op<"contract", [Pure]> {
  let summary = "a sum of products, indexed as in Einstein's convention";
  let description = [{
    Semantics, for "kv,k->v":
    ```
    for each v: result[v] = sum over k of x[k, v] * y[k]
    ```
    One term of letters per operand, one letter per axis (implicit axes included), an empty term for a scalar. Letters that the
    result lacks are summed over. A letter twice in one term takes the diagonal. One operand: a transpose ("ab->ba"), a
    diagonal, a sum.

    Constraints.
    - C1: the text is terms of letters joined by `,`, then `->`, then the result's letters.
    - C2: as many terms as operands.
    - C3: as many letters as axes, in each term.
    - C4: a letter stands for one axis: the same name, and sizes that agree.
    - C5: each of the result's letters occurs in an operand, and once in the result.
    - C6: operands and result have one element type, real or complex.

    Numerics. Products and sums in the element type or wider, never narrower than f32. The order of the sum is the target's;
    the error is at most that of n roundings for n terms.

    Made by the importer out of `@`, `outer`, `diag`, `transpose` and `dot`, lowered by `lower-scan`.

    Example: S + outer(k, v) read by a query.
    ```mlir
    func.func @readout(%S: tensor<?x?xf64, #recur.dims<| K, V>>, %q: tensor<?xf64, #recur.dims<| K>>)
        -> tensor<?xf64, #recur.dims<| V>> {
      %o = recur.contract "kv,k->v"(%S, %q)
        : (tensor<?x?xf64, #recur.dims<| K, V>>, tensor<?xf64, #recur.dims<| K>>) -> tensor<?xf64, #recur.dims<| V>>
      return %o : tensor<?xf64, #recur.dims<| V>>
    }
    ```
  }];
  let arguments = (ins StrAttr:$spec, Variadic<Recur_Array>:$operands_);
  let results = (outs Recur_Array:$result);
  let assemblyFormat = "$spec `(` $operands_ `)` attr-dict `:` functional-type($operands_, $result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Recur_ReduceOp : Recur_Op<"reduce", [Pure]> {
  let summary = "combines the elements along some axes";
  let description = [{
    Semantics, for `sum [1]` of an array with two axes:
    ```
    for each i: result[i] = sum over j of x[i, j]
    ```
    `dims` are positions in the operand, implicit axes counted. Over no elements: sum 0, prod 1, max -inf, min inf.

    Constraints.
    - C1: the positions rise and are the operand's.
    - C2: the result has the operand's other axes, in order.
    - C3: operand and result have one element type: real or complex, for max and min real.

    Numerics. As `recur.contract`; max and min are exact, and no number where an element is none.

    Made by the importer, lowered by `lower-scan`.

    Example.
    ```mlir
    func.func @largest(%x: tensor<?x?xf64, #recur.dims<| K, V>>) -> tensor<?xf64, #recur.dims<| K>> {
      %m = recur.reduce max [1] (%x) : (tensor<?x?xf64, #recur.dims<| K, V>>) -> tensor<?xf64, #recur.dims<| K>>
      return %m : tensor<?xf64, #recur.dims<| K>>
    }
    ```
  }];
  let arguments = (ins Recur_ReductionAttr:$kind, Recur_Array:$operand, DenseI64ArrayAttr:$dims);
  let results = (outs Recur_Array:$result);
  let assemblyFormat = "`` $kind $dims `(` $operand `)` attr-dict `:` functional-type($operand, $result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Recur_BroadcastOp : Recur_Op<"broadcast", [Pure]> {
  let summary = "repeats an array along new axes";
  let description = [{
    Semantics, for `[1]` of an array with one axis:
    ```
    for each i, j: result[i, j] = x[i]
    ```
    `dims` are the positions of the new axes in the result, implicit axes counted.

    Constraints.
    - C1: the positions rise and are the result's.
    - C2: the result without them has the operand's axes, in order.
    - C3: one element type.

    Numerics. Exact.

    Made by the importer (constant arrays such as `zeros(K, V)`, and one side of a product that is materialised), lowered by
    `lower-scan`.

    Example.
    ```mlir
    func.func @columns(%x: tensor<?xf64, #recur.dims<| K>>) -> tensor<?x?xf64, #recur.dims<| K, V>> {
      %y = recur.broadcast [1] (%x) : (tensor<?xf64, #recur.dims<| K>>) -> tensor<?x?xf64, #recur.dims<| K, V>>
      return %y : tensor<?x?xf64, #recur.dims<| K, V>>
    }
    ```
  }];
  let arguments = (ins Recur_Array:$operand, DenseI64ArrayAttr:$dims);
  let results = (outs Recur_Array:$result);
  let assemblyFormat = "$dims `(` $operand `)` attr-dict `:` functional-type($operand, $result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Recur_SliceOp : Recur_Op<"slice", [Pure]> {
  let summary = "consecutive elements along one axis";
  let description = [{
    Semantics, for axis 1 of an array with two axes:
    ```
    for each i, j: result[i, j] = x[i, offset + j]          // as many j as the result's name of the axis says
    for each i:    result[i]    = x[i, offset]              // with `drop`: one element, and the axis goes
    ```
    The offset is a size expression over the spec's dimensions ("0", "H", "2*H").

    Constraints.
    - C1: `dim` is the position of a named axis of the operand.
    - C2: the offset is a size expression.
    - C3: the result has the operand's axes, with another name at `dim`, or without it where `drop` is given.
    - C4: the elements lie inside the axis, wherever the sizes alone decide that.
    - C5: one element type.

    Numerics. Exact.

    Made by the importer out of subscripts and split gates, lowered by `lower-scan`; `bind-sizes` checks what C4 left open.

    Example.
    ```mlir
    func.func @gates(%x: tensor<?xf64, #recur.dims<| "4*H">>)
        -> (tensor<?xf64, #recur.dims<| H>>, tensor<f64, #recur.dims<>>) {
      %f = recur.slice 0 at "H" (%x) : (tensor<?xf64, #recur.dims<| "4*H">>) -> tensor<?xf64, #recur.dims<| H>>
      %first = recur.slice 0 at "0" drop (%x) : (tensor<?xf64, #recur.dims<| "4*H">>) -> tensor<f64, #recur.dims<>>
      return %f, %first : tensor<?xf64, #recur.dims<| H>>, tensor<f64, #recur.dims<>>
    }
    ```
  }];
  let arguments = (ins Recur_Array:$operand, I64Attr:$dim, StrAttr:$offset, UnitAttr:$drop);
  let results = (outs Recur_Array:$result);
  let assemblyFormat = "$dim `at` $offset (`drop` $drop^)? `(` $operand `)` attr-dict `:` functional-type($operand, $result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Recur_ConcatOp : Recur_Op<"concat", [Pure]> {
  let summary = "arrays one after another along one axis";
  let description = [{
    Semantics, for axis 0 and two operands with one axis, the first of size n:
    ```
    for each i: result[i] = i < n ? x[i] : y[i - n]
    ```
    Constraints.
    - C1: `dim` is the position of a named axis of the result.
    - C2: at least one operand.
    - C3: operands and result agree in every axis but `dim`.
    - C4: the result's size at `dim` is the sum of the operands'.
    - C5: one element type.

    Numerics. Exact.

    Made by the importer, lowered by `lower-scan`.

    Example.
    ```mlir
    func.func @join(%x: tensor<?xf64, #recur.dims<| D>>, %h: tensor<?xf64, #recur.dims<| H>>)
        -> tensor<?xf64, #recur.dims<| "D+H">> {
      %y = recur.concat 0 (%x, %h)
        : (tensor<?xf64, #recur.dims<| D>>, tensor<?xf64, #recur.dims<| H>>) -> tensor<?xf64, #recur.dims<| "D+H">>
      return %y : tensor<?xf64, #recur.dims<| "D+H">>
    }
    ```
  }];
  let arguments = (ins I64Attr:$dim, Variadic<Recur_Array>:$operands_);
  let results = (outs Recur_Array:$result);
  let assemblyFormat = "$dim `(` $operands_ `)` attr-dict `:` functional-type($operands_, $result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Recur_ReshapeOp : Recur_Op<"reshape", [Pure]> {
  let summary = "the same elements in row-major order under another shape";
  let description = [{
    Semantics.
    ```
    result read row by row = x read row by row
    ```
    `split(x, H)` and `merge(x)` of the language are reshapes between [batch, time | H*K] and [batch, time, head | K].

    Constraints.
    - C1: the implicit axes besides the head axis stay. In a chunk, where every size is a number, they may have other sizes: steps
      become a named axis, and a named axis more steps.
    - C2: operand and result have equally many elements, as far as the names decide that: if the head axis comes or goes, the
      function's `recur.head_count` says how many heads there are.
    - C3: one element type.

    Numerics. Exact.

    Made by the importer. On the CPU it costs nothing: both sides share the memory.

    Example.
    ```mlir
    func.func @split(%x: tensor<?x?x?xf64, #recur.dims<batch, time | "H*K">>)
        -> tensor<?x?x?x?xf64, #recur.dims<batch, time, head | K>> attributes {recur.head_count = "H"} {
      %y = recur.reshape(%x) : (tensor<?x?x?xf64, #recur.dims<batch, time | "H*K">>)
        -> tensor<?x?x?x?xf64, #recur.dims<batch, time, head | K>>
      return %y : tensor<?x?x?x?xf64, #recur.dims<batch, time, head | K>>
    }
    ```
  }];
  let arguments = (ins Recur_Array:$operand);
  let results = (outs Recur_Array:$result);
  let assemblyFormat = "`(` $operand `)` attr-dict `:` functional-type($operand, $result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Recur_CastOp : Recur_Op<"cast", [Pure]> {
  let summary = "another element type: wider, narrower, or real to complex";
  let description = [{
    Semantics.
    ```
    for each index i: result[i] = x[i], rounded to the result's element type; real to complex: imaginary part 0
    ```
    Constraints.
    - C1: the shape stays.
    - C2: from real or complex to real or complex, but not from complex to real (that is `recur.map real`).

    Numerics. Narrowing rounds to nearest, ties to even; widening is exact, and folds into a cast behind it.

    Made by the importer (real to complex) and by `set-precision` (widths), lowered by `lower-scan`.

    Example.
    ```mlir
    func.func @promote(%x: tensor<?xf64, #recur.dims<| N>>) -> tensor<?xcomplex<f64>, #recur.dims<| N>> {
      %z = recur.cast(%x) : (tensor<?xf64, #recur.dims<| N>>) -> tensor<?xcomplex<f64>, #recur.dims<| N>>
      return %z : tensor<?xcomplex<f64>, #recur.dims<| N>>
    }
    ```
  }];
  let arguments = (ins Recur_Array:$operand);
  let results = (outs Recur_Array:$result);
  let assemblyFormat = "`(` $operand `)` attr-dict `:` functional-type($operand, $result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Recur_IdentityOp : Recur_Op<"identity", [Pure]> {
  let summary = "the identity matrix";
  let description = [{
    Semantics.
    ```
    for each i, j: result[i, j] = i == j ? 1 : 0
    ```
    Constraints.
    - C1: the result has two axes, both named alike.
    - C2: its elements are real or complex.

    Numerics. Exact.

    Made by the importer where the identity is used as a plain value (in a product it is applied, not made); lowered by
    `lower-scan`.

    Example.
    ```mlir
    func.func @eye() -> tensor<?x?xf64, #recur.dims<| K, K>> {
      %I = recur.identity : tensor<?x?xf64, #recur.dims<| K, K>>
      return %I : tensor<?x?xf64, #recur.dims<| K, K>>
    }
    ```
  }];
  let results = (outs Recur_Array:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasVerifier = 1;
}
#endif
