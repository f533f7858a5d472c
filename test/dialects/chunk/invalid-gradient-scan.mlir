// Each numbered constraint of chunk.gradient_scan (GradientOps.td) on its operands, broken once.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C1: one axis.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{scans one #recur.axis (C1)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"r">, #recur.axis<"c">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
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
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C1: that is an axis.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{scans one #recur.axis (C1)}}
  %0:2 = chunk.gradient_scan over ["t"] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
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
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C1: states are states.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{states and adjoints must be #recur.state with distinct names (C1)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states ["h"] adjoints [#recur.state<"d", [[1]]>]
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
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C1: adjoints have names of their own.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{states and adjoints must be #recur.state with distinct names (C1)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"h", [[1]]>]
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
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C1: all of them are read one step back.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{state 'd' must be read one step back, and nowhere else (C1)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[2]]>]
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
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C2: a chunk of one step is a step.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{of chunks of one step nothing has the axis 'time', got 'tensor<3x4xf32, #recur.dims<time | "4">>' (C2)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
      plan <form = chunk, schedule = carry, chunk = 1, interval = 1> step {
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
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C3: something says how many steps there are.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{without an input or a cotangent the number of steps is unknown (C3)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
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
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C3: inputs have steps.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{an input or cotangent needs the axis 'time' and no other but batch, head and group, got 'tensor<?x4xf32, #recur.dims<batch | "4">>' (C3)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%h0 : !h) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
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
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!rc = tensor<?x?x?x4xf32, #recur.dims<batch, time, time1 | "4">>

// C3: cotangents have one axis of steps.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h, %rc: !rc) {
  // expected-error @+1 {{an input or cotangent needs the axis 'time' and no other but batch, head and group, got 'tensor<?x?x?x4xf32, #recur.dims<batch, time, time1 | "4">>' (C3)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%rc : !rc) params(%p : !k) inits(%h0 : !h) finals(%d0 : !h)
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
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C4: parameters have no steps.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{a parameter has no axes but batch, head and group, got 'tensor<?x?x4xf32, #recur.dims<batch, time | "4">>' (C4)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%x : !x) inits(%h0 : !h) finals(%d0 : !h)
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
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C4: a state begins somewhere.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{1 states and 1 adjoints need as many initial values, got 0 and 1 (C4)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) finals(%d0 : !h)
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
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C4: so does an adjoint.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{1 states and 1 adjoints need as many initial values, got 1 and 0 (C4)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h)
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
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C4: without steps.
func.func @f(%x: !x, %dy: !x, %p: !k, %h0: !h, %d0: !h) {
  // expected-error @+1 {{an initial value has no axes but batch and head, got 'tensor<?x?x4xf32, #recur.dims<batch, time | "4">>' (C4)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h) finals(%dy : !x)
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
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!r = tensor<?xi1, #recur.dims<time>>

// C9: resets have the batch's axis.
func.func @f(%x: !x, %dy: !x, %h0: !h, %d0: !h, %r: !r) {
  // expected-error @+1 {{resets must be truth values over <batch, time>, got 'tensor<?xi1, #recur.dims<time>>' (C9)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) inits(%h0 : !h) finals(%d0 : !h) resets(%r : !r)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!o = tensor<?xi32>

// C9: offsets are i64.
func.func @f(%x: !x, %dy: !x, %h0: !h, %d0: !h, %o: !o) {
  // expected-error @+1 {{offsets must be a list of i64, got 'tensor<?xi32>' (C9)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) inits(%h0 : !h) finals(%d0 : !h) offsets(%o : !o)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!n = tensor<?x2xf32, #recur.dims<batch | "2">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!r = tensor<?x?xi1, #recur.dims<batch, time>>

// C9: a reset sends a state's adjoint to the initial value, which has its shape.
func.func @f(%x: !x, %dy: !x, %h0: !n, %d0: !h, %r: !r) {
  // expected-error @+1 {{with resets every state needs an adjoint of its shape, at its place in the list (C9)}}
  %0:2 = chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] adjoints [#recur.state<"d", [[1]]>]
      inputs(%x : !x) cotangents(%dy : !x) inits(%h0 : !n) finals(%d0 : !h) resets(%r : !r)
      plan <form = chunk, schedule = carry, chunk = 3, interval = 1> step {
  ^bb0(%i: !k, %h: !k):
    recur.yield states(%i : !k)
  } chunk {
  ^bb0(%i: !tk, %h: !k):
    recur.yield states(%h : !k)
  } back_step {
  ^bb0(%i: !k, %g: !k, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !k)
  } back_chunk {
  ^bb0(%i: !tk, %g: !tk, %h: !k, %d: !k):
    recur.yield states(%d : !k) outputs(%g : !tk)
  } : !x, !h
  return
}
