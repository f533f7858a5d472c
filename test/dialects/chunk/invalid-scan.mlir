// Each numbered constraint of chunk.scan (ChunkOps.td), broken once.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!rc = tensor<?x?x?x4xf32, #recur.dims<batch, time, time1 | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.scan, C1: one axis.
func.func @f(%x: !rc, %h0: !h) {
  // expected-error @+1 {{scans one axis, got 2 (C1)}}
  %0:2 = chunk.scan over [#recur.axis<"r">, #recur.axis<"c">] states [#recur.state<"h", [[1, 0]]>] inputs(%x : !rc) inits(%h0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3> step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !tk, %h: !k):
    recur.yield states(%h : !k) outputs(%xs : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!hl = tensor<?x?x4xf32, #recur.dims<batch, lag | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.scan, C1: a state is read one step back.
func.func @f(%x: !x, %h0: !hl) {
  // expected-error @+1 {{state 'h' must be read one step back, and nowhere else (C1)}}
  %0:2 = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", [[2]]>] inputs(%x : !x) inits(%h0 : !hl)
      plan <form = chunk, schedule = carry, chunk = 3> step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !tk, %h: !k):
    recur.yield states(%h : !k) outputs(%xs : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.scan, C1: once.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{state 'h' must be read one step back, and nowhere else (C1)}}
  %0:2 = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", []>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3> step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !tk, %h: !k):
    recur.yield states(%h : !k) outputs(%xs : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.scan, C2: a chunk has more than a step.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{a chunk must have at least 2 steps, got 1 (C2)}}
  %0:2 = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = chunk, schedule = carry, chunk = 1> step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !tk, %h: !k):
    recur.yield states(%h : !k) outputs(%xs : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.scan, C3: the chunk has the step's arguments.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{the chunk must have the arguments of the step (C3)}}
  %0:2 = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3> step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !tk):
    %c = arith.constant dense<0.0> : !k
    recur.yield states(%c : !k) outputs(%xs : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk2 = tensor<2x4xf32, #recur.dims<time | "4">>

// chunk.scan, C3: as many steps of an input as the plan says.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{chunk argument 0 must be 'tensor<3x4xf32, #recur.dims<time | "4">>', got 'tensor<2x4xf32, #recur.dims<time | "4">>' (C3)}}
  %0:2 = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3> step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !tk2, %h: !k):
    recur.yield states(%h : !k) outputs(%xs : !tk2)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.scan, C3: states look as in the step.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{chunk argument 1 must be 'tensor<4xf32, #recur.dims<| "4">>', got 'tensor<3x4xf32, #recur.dims<time | "4">>' (C3)}}
  %0:2 = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3> step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !tk, %h: !tk):
    recur.yield states(%h : !tk) outputs(%xs : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.scan, C4: the chunk yields the states.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{the chunk must end in a 'recur.yield' of the step's states and outputs (C4)}}
  %0:2 = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3> step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !tk, %h: !k):
    recur.yield outputs(%xs : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.scan, C4: in the step's type.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{the chunk must end in a 'recur.yield' of the step's states and outputs (C4)}}
  %0:2 = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3> step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !tk, %h: !k):
    recur.yield states(%xs : !tk) outputs(%xs : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.scan, C4: and the outputs.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{the chunk must end in a 'recur.yield' of the step's states and outputs (C4)}}
  %0:2 = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3> step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !tk, %h: !k):
    recur.yield states(%h : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.scan, C4: outputs have the axis of steps.
func.func @f(%x: !x, %h0: !h) {
  %0:2 = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3> step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !tk, %h: !k):
    // expected-error @+1 {{expected the output 'tensor<3x4xf32, #recur.dims<time | "4">>', got 'tensor<4xf32, #recur.dims<| "4">>' (C4)}}
    recur.yield states(%h : !k) outputs(%h : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.scan, C7 of recur.scan: one initial value per state.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{1 states need as many initial values, got 0 (C7)}}
  %0:2 = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x)
      plan <form = chunk, schedule = carry, chunk = 3> step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !tk, %h: !k):
    recur.yield states(%h : !k) outputs(%xs : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.scan, C12 of recur.scan, of the step.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{the step needs 2 arguments (inputs, parameters, reads of states), got 1 (C12)}}
  %0:2 = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3> step {
  ^bb0(%xt: !k):
    recur.yield states(%xt : !k) outputs(%xt : !k)
  } chunk {
  ^bb0(%xs: !tk, %h: !k):
    recur.yield states(%h : !k) outputs(%xs : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.scan, C14 of recur.scan, of the step.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{the step must end in a 'recur.yield' of 1 states (C14)}}
  %0:2 = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3> step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !tk, %h: !k):
    recur.yield states(%h : !k) outputs(%xs : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.scan, C18 of recur.scan.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{the final state 'h' must have the axes <batch>}}
  %0:2 = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3> step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !tk, %h: !k):
    recur.yield states(%h : !k) outputs(%xs : !tk)
  } : !x, !x
  return
}
