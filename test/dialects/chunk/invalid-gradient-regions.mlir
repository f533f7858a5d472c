// Each numbered constraint of chunk.gradient_scan (GradientOps.td) on its regions and results, broken once.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C5: on the way there, an argument per input, parameter and state.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{'step' needs 3 arguments, got 2 (C5)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %q: !k, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C5: on the way back, cotangents and adjoints as well.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{'back_chunk' needs 5 arguments, got 4 (C5)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %q: !k, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %q: !k, %g: !tk, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C5: a step takes one element.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{argument 1 of 'back_step' must be one element of 'tensor<?x?x4xf32, #recur.dims<batch, time | "4">>', got 'tensor<3x4xf32, #recur.dims<time | "4">>' (C5)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %q: !k, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !tk, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%h : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C5: a chunk takes a chunk.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{argument 0 of 'chunk' must be a chunk of 'tensor<?x?x4xf32, #recur.dims<batch, time | "4">>', got 'tensor<4xf32, #recur.dims<| "4">>' (C5)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!t2 = tensor<2x4xf32, #recur.dims<time | "4">>

// C5: of the size of the plan.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{argument 0 of 'chunk' must be a chunk of 'tensor<?x?x4xf32, #recur.dims<batch, time | "4">>', got 'tensor<2x4xf32, #recur.dims<time | "4">>' (C5)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !t2, %q: !k, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C6: the way there gives the states.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{'step' must end in a 'recur.yield' of 1 states and no outputs (C6)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield
  } chunk {
  ^bb0(%i: !tk, %q: !k, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C6: and no outputs.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{'chunk' must end in a 'recur.yield' of 1 states and no outputs (C6)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %q: !k, %h: !k):
    recur.yield states(%h : !k) outputs(%i : !tk)
  } back_step {
  ^bb0(%i: !k, %g: !k, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C6: of the states' type.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %q: !k, %h: !k):
    // expected-error @+1 {{expected one of 'tensor<?x4xf32, #recur.dims<batch | "4">>', got 'tensor<3x4xf32, #recur.dims<time | "4">>' (C6)}}
    recur.yield states(%i : !tk)
  } back_step {
  ^bb0(%i: !k, %g: !k, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C7: the way back gives the adjoints.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{'back_step' must end in a 'recur.yield' of 1 adjoints (C7)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %q: !k, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %q: !k, %h: !k, %d: !k):
    recur.yield outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C7: outputs of a step have no steps.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %q: !k, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %q: !k, %h: !k, %d: !k):
    %c = arith.constant dense<0.0> : !tk
    // expected-error @+1 {{expected an output of 1 steps, got 'tensor<3x4xf32, #recur.dims<time | "4">>' (C7)}}
    recur.yield states(%d : !k) outputs(%c : !tk)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C7: outputs of a chunk have.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %q: !k, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %q: !k, %h: !k, %d: !k):
    // expected-error @+1 {{expected an output of 3 steps, got 'tensor<4xf32, #recur.dims<| "4">>' (C7)}}
    recur.yield states(%d : !k) outputs(%q : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C7: both give the same outputs.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{'back_step' and 'back_chunk' must yield the same outputs (C7)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %q: !k, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!t2 = tensor<3x2xf32, #recur.dims<time | "2">>

// C7: of one type.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %q: !k, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %q: !k, %h: !k, %d: !k):
    %c = arith.constant dense<0.0> : !t2
    // expected-error @+1 {{expected the output 'tensor<3x4xf32, #recur.dims<time | "4">>', got 'tensor<3x2xf32, #recur.dims<time | "2">>' (C7)}}
    recur.yield states(%d : !k) outputs(%c : !t2)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C8: a result per output and adjoint.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{expected 2 results (outputs, then adjoints), got 1 (C8)}}
  %0 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %q: !k, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !x
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C8: outputs have steps.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{a result must have the axes <batch, time> and the features of 'tensor<4xf32, #recur.dims<| "4">>', got 'tensor<?x4xf32, #recur.dims<batch | "4">>' (C8)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %q: !k, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !h, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C8: adjoints have none.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{a result must have the axes <batch> and the features of 'tensor<4xf32, #recur.dims<| "4">>', got 'tensor<?x?x4xf32, #recur.dims<batch, time | "4">>' (C8)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %q: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %q: !k, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %q: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !x, !x
  return
}
