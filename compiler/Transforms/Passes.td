#ifndef RONDO_TRANSFORMS_PASSES
#define RONDO_TRANSFORMS_PASSES
include "mlir/Pass/PassBase.td"

def AddBoundaries : Pass<"add-boundaries", "::mlir::ModuleOp"> {
  let summary = "resets and packed sequences, for any model over one axis";
  let description = [{
    With `resets`, the model gets an argument `resets`, truth values over <batch, time>; with `packed`, an argument `offsets`, a list
    of i64. Every scan with states takes them as its operands of these names (`recur.scan` has their meaning); scans without states
    have nothing to begin anew, and take the offsets only where a parameter differs from sequence to sequence.

    Requires: the recur dialect as the importer makes it. Ensures: the same model where no reset is true and one sequence is given.
    Fails where a scan has more than one axis, where it has such operands already, and where a tensor of the model has the name.
    Cost: one walk.

    ```mlir
    // rondo-opt --add-boundaries="resets packed"
    func.func @sum(%x: tensor<?x?xf64, #recur.dims<batch, time>> {recur.name = "x", recur.kind = "input"},
                   %s0: tensor<?xf64, #recur.dims<batch>> {recur.name = "s", recur.kind = "init"})
        -> (tensor<?xf64, #recur.dims<batch>> {recur.name = "s", recur.kind = "final"}) {
      %final = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>]
          inputs(%x : tensor<?x?xf64, #recur.dims<batch, time>>) inits(%s0 : tensor<?xf64, #recur.dims<batch>>) {
      ^bb0(%xt: tensor<f64, #recur.dims<>>, %s: tensor<f64, #recur.dims<>>):
        %new = recur.map add(%s, %xt)
          : (tensor<f64, #recur.dims<>>, tensor<f64, #recur.dims<>>) -> tensor<f64, #recur.dims<>>
        recur.yield states(%new : tensor<f64, #recur.dims<>>)
      } : tensor<?xf64, #recur.dims<batch>>
      return %final : tensor<?xf64, #recur.dims<batch>>
    }
    ```
  }];
  let options = [Option<"resets", "resets", "bool", "false", "take resets">,
                 Option<"packed", "packed", "bool", "false", "take the offsets of packed sequences">];
}

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

    With `apart-from-reads`, a result that another scan reads becomes a value of its own too, so that the scan can read it as it was
    computed where the caller has it in a narrower type.

    Requires: the recur dialect. Ensures: no two results of a function are one value, or one value reshaped.
    Where a result is an argument, or a final state that is another result already, it is copied (`recur.sum_to`). Cost: one more store of the value per step.

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
  let options = [Option<"apartFromReads", "apart-from-reads", "bool", "false", "also results that another scan reads">];
}

def SetPrecision : Pass<"set-precision", "::mlir::ModuleOp"> {
  let summary = "choose the element types of storage and of computation";
  let description = [{
    The importer writes every value as f64. This pass gives each argument and result the element type that it has in memory, and
    the steps the type that they compute in: f64 where the default type is f64, else f32. Initial and final states, and what one
    scan hands to the next, always have the type of computation. Complex
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

def RaiseScans : Pass<"raise-scans", "::mlir::ModuleOp"> {
  let summary = "recur.scan becomes the tightest op whose structure its equations have";
  let description = [{
    The updates of the states are differentiated symbolically, and the outputs are traced back to what they read of the states. From
    the terms alone, whatever the spelling of the equations, a scan becomes `recur.linear_scan` (elementwise, plus-times or
    max-plus or log-plus), `recur.expand_scan` (decayed states that take in outer products and are read by contractions), or
    `recur.delta_scan` (the same with outer products in the transition).

    `(A B) S`, where A and B are made of vectors and identities, becomes `A (B S)` first: multiplied out it would be a sum whose terms cancel.

    Requires: the recur dialect; sizes may be unknown. Ensures: nothing about what is computed but the order of operations.
    Declines, with a remark that names the term: scans without states or over several axes, states that are read further back
    than one step, nonlinear updates, outputs that read a whole matrix state.
    Cost: one walk per scan.

    ```mlir
    // rondo-opt --raise-scans
    func.func @average(%x: tensor<?x?x4xf64, #recur.dims<batch, time | "4">>, %h0: tensor<?x4xf64, #recur.dims<batch | "4">>)
        -> (tensor<?x?x4xf64, #recur.dims<batch, time | "4">>, tensor<?x4xf64, #recur.dims<batch | "4">>) {
      %y, %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>]
          inputs(%x : tensor<?x?x4xf64, #recur.dims<batch, time | "4">>) inits(%h0 : tensor<?x4xf64, #recur.dims<batch | "4">>) {
      ^bb0(%xt: tensor<4xf64, #recur.dims<| "4">>, %h: tensor<4xf64, #recur.dims<| "4">>):
        %d = recur.map sub(%xt, %h) : (tensor<4xf64, #recur.dims<| "4">>, tensor<4xf64, #recur.dims<| "4">>) -> tensor<4xf64, #recur.dims<| "4">>
        %c = arith.constant dense<0.1> : tensor<f64, #recur.dims<>>
        %e = recur.map mul(%d, %c) : (tensor<4xf64, #recur.dims<| "4">>, tensor<f64, #recur.dims<>>) -> tensor<4xf64, #recur.dims<| "4">>
        %n = recur.map add(%h, %e) : (tensor<4xf64, #recur.dims<| "4">>, tensor<4xf64, #recur.dims<| "4">>) -> tensor<4xf64, #recur.dims<| "4">>
        recur.yield states(%n : tensor<4xf64, #recur.dims<| "4">>) outputs(%n : tensor<4xf64, #recur.dims<| "4">>)
      } : tensor<?x?x4xf64, #recur.dims<batch, time | "4">>, tensor<?x4xf64, #recur.dims<batch | "4">>
      return %y, %hT : tensor<?x?x4xf64, #recur.dims<batch, time | "4">>, tensor<?x4xf64, #recur.dims<batch | "4">>
    }
    ```
  }];
}

def RaiseCells : Pass<"raise-cells", "::mlir::ModuleOp"> {
  let summary = "scans that multiply their states by parameters become cell_scan";
  let description = [{
    Contractions of the step of a parameter (of two axes or more) with a value that waits for a state, over an axis that both have, become
    products of a `recur.cell_scan`; the rest of the step becomes its region.

    Requires: the recur dialect; `raise-scans` before, which takes what is linear, and `hoist-parallel`, so that products which wait for no state
    are gone. Ensures: nothing about what is computed. Declines: scans without such a product, and, in what is left of the step,
    contractions of more than two values. Cost: one walk per scan.

    ```mlir
    // rondo-opt --raise-cells
    func.func @network(%x: tensor<?x?x4xf32, #recur.dims<batch, time | "4">>, %W: tensor<4x4xf32, #recur.dims<| "4", "4">>,
                       %h0: tensor<?x4xf32, #recur.dims<batch | "4">>) -> tensor<?x4xf32, #recur.dims<batch | "4">> {
      %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>]
          inputs(%x : tensor<?x?x4xf32, #recur.dims<batch, time | "4">>) params(%W : tensor<4x4xf32, #recur.dims<| "4", "4">>)
          inits(%h0 : tensor<?x4xf32, #recur.dims<batch | "4">>) {
      ^bb0(%xt: tensor<4xf32, #recur.dims<| "4">>, %w: tensor<4x4xf32, #recur.dims<| "4", "4">>, %h: tensor<4xf32, #recur.dims<| "4">>):
        %p = recur.contract "ab,b->a"(%w, %h) : (tensor<4x4xf32, #recur.dims<| "4", "4">>, tensor<4xf32, #recur.dims<| "4">>) -> tensor<4xf32, #recur.dims<| "4">>
        %s = recur.map add(%p, %xt) : (tensor<4xf32, #recur.dims<| "4">>, tensor<4xf32, #recur.dims<| "4">>) -> tensor<4xf32, #recur.dims<| "4">>
        %n = recur.map tanh(%s) : (tensor<4xf32, #recur.dims<| "4">>) -> tensor<4xf32, #recur.dims<| "4">>
        recur.yield states(%n : tensor<4xf32, #recur.dims<| "4">>)
      } : tensor<?x4xf32, #recur.dims<batch | "4">>
      return %hT : tensor<?x4xf32, #recur.dims<batch | "4">>
    }
    ```
  }];
}

def LowerRaised : Pass<"lower-raised", "::mlir::ModuleOp"> {
  let summary = "raised scans become recur.scan again";
  let description = [{
    Writes the step that a raised scan stands for. A vector that both an outer product and a transition write along is multiplied
    once.

    Requires: nothing. Ensures: no `recur.linear_scan`, `recur.expand_scan`, `recur.delta_scan` or `recur.cell_scan` is left. Cost: one walk.

    ```mlir
    // rondo-opt --lower-raised
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
}

def ChoosePlans : Pass<"choose-plans", "::mlir::ModuleOp"> {
  let summary = "every raised scan gets a plan";
  let description = [{
    Writes the attribute `chunk.plan` on every raised scan: form, schedule and size of a chunk. What is asked for by `form` and
    `chunk` is taken where a scan has it. `schedule` says `carry` or `segment` (with `segments` segments, unless `plan` says how many); the form `scan` is a
    linear_scan by segments. `plan` asks for any parameters of the attribute, of all scans or (`S: <...>`) of the one with
    that state; a plan that a scan cannot follow is refused, with the constraint that it breaks and the nearest that it can. Left to itself, the pass takes the chunk form
    only where every decay is known to lie in [-1, 1]: from declared intervals of inputs and from the functions that make the decay. Without
    `measured`, chunks are taken for states of 256 elements and more, and have 16 steps, or 32 where states are plain sums that nothing reads.
    With it, and no gradient to come, the cost model that was measured on a CPU (PlanSpace) chooses between steps and sizes of chunks.

    Where a `gradient` follows, the plan says how often a state is kept for it: with `interval` every so many chunks; else as often as
    keeps these states below a sixteenth of the scan's inputs, outputs and their cotangents, but not more seldom than every 256th.

    Requires: static step types. Ensures: each raised scan has a plan that it can follow. Fails where no scan has the form that was
    asked for, and says why the last one does not. Remarks where only an unknown range keeps a scan from chunks.
    Cost: one walk.

    ```mlir
    // rondo-opt --choose-plans
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
  let options = [Option<"form", "form", "std::string", "\"auto\"", "auto, step, scan, chunk or attention">,
                 Option<"schedule", "schedule", "std::string", "\"auto\"", "auto, carry or segment">,
                 Option<"segments", "segments", "int64_t", "0", "segments of the schedule 'segment'">,
                 Option<"chunk", "chunk", "int64_t", "0", "steps per chunk; 0 leaves them to the pass">,
                 Option<"plan", "plan", "std::string", "\"\"", "parts of plans, by semicolon: '<chunk = 32>', 'S: <form = step>'">,
                 Option<"gradient", "gradient", "bool", "false", "the gradient of the scans will be made">,
                 Option<"measured", "measured", "bool", "false", "choose by the cost model that was measured on a CPU">,
                 Option<"interval", "interval", "int64_t", "0", "chunks between kept states; 0 leaves them to the pass">];
  let dependentDialects = ["::rondo::chunk::ChunkDialect"];
}

def FormChunks : Pass<"form-chunks", "::mlir::ModuleOp"> {
  let summary = "expansions of states take many steps at once";
  let description = [{
    A `recur.expand_scan` or `recur.delta_scan` whose plan says so becomes a `chunk.scan`; any raised scan whose schedule is `segment`
    becomes a `chunk.segment_scan`, with the recurrence of its segments' maps beside it. Within a chunk, what a step reads of earlier steps of the
    chunk is a triangular matrix of scores; what it reads of the state before the chunk, and the state behind it, are products with
    decayed queries and keys. What a transition reads is found by forward substitution (the UT form of the WY representation). Decays are multiplied along the chunk, in the order of time: the result is exact at 0, and needs no
    bound on the decays to be finite where the steps are, except that a product of up to `chunk` decays must not overflow.
    Chunks of at most `rows` steps, of states that decay key by key, are spelled out instead, each step and each score by itself (`chunk.row`, `chunk.rows`).

    Requires: static step types. Ensures: nothing about raised scans that decline. Declines, with a remark: segments of states that a transition changes in one
    move beside a decay along the values, or an elementwise one; chunks of several transitions of one state (a product of them is a sum whose terms
    cancel), decays along both axes at once that are no product, two decays along the value axis, one before and one beside a transition.
    Cost per step and state of K x V: 2 K V + chunk (K + V) / 2 multiplications, where steps alone need 3 K V and move the state
    twice.

    ```mlir
    // rondo-opt --choose-plans="form=chunk chunk=16" --form-chunks
    func.func @retention(%q: tensor<?x?x4xf32, #recur.dims<batch, time | "4">>, %v: tensor<?x?x8xf32, #recur.dims<batch, time | "8">>,
                         %S0: tensor<?x4x8xf32, #recur.dims<batch | "4", "8">>)
        -> (tensor<?x?x8xf32, #recur.dims<batch, time | "8">>, tensor<?x4x8xf32, #recur.dims<batch | "4", "8">>) {
      %o, %S = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
          inputs(%q, %v : tensor<?x?x4xf32, #recur.dims<batch, time | "4">>, tensor<?x?x8xf32, #recur.dims<batch, time | "8">>)
          inits(%S0 : tensor<?x4x8xf32, #recur.dims<batch | "4", "8">>)
          key_axes [0] decays [#recur.decay<0, []>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
      ^bb0(%qt: tensor<4xf32, #recur.dims<| "4">>, %vt: tensor<8xf32, #recur.dims<| "8">>):
        %a = arith.constant dense<0.9> : tensor<f32, #recur.dims<>>
        recur.coefficients decays(%a : tensor<f32, #recur.dims<>>) keys(%qt : tensor<4xf32, #recur.dims<| "4">>)
          values(%vt : tensor<8xf32, #recur.dims<| "8">>) queries(%qt : tensor<4xf32, #recur.dims<| "4">>)
      } readout {
      ^bb0(%qt: tensor<4xf32, #recur.dims<| "4">>, %vt: tensor<8xf32, #recur.dims<| "8">>, %y: tensor<8xf32, #recur.dims<| "8">>):
        recur.yield outputs(%y : tensor<8xf32, #recur.dims<| "8">>)
      } : tensor<?x?x8xf32, #recur.dims<batch, time | "8">>, tensor<?x4x8xf32, #recur.dims<batch | "4", "8">>
      return %o, %S : tensor<?x?x8xf32, #recur.dims<batch, time | "8">>, tensor<?x4x8xf32, #recur.dims<batch | "4", "8">>
    }
    ```
  }];
  let options = [Option<"rows", "rows", "int64_t", "0",
                        "chunks of at most so many steps are spelled out row by row, where states decay key by key">];
  let dependentDialects = ["::rondo::chunk::ChunkDialect"];
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
