// Each numbered constraint of chunk.segment_scan (SegmentOps.td), broken once.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!rc = tensor<?x?x?x4xf32, #recur.dims<batch, time, time1 | "4">>

// chunk.segment_scan, C1: one axis.
func.func @f(%x: !rc, %h0: !h) {
  // expected-error @+1 {{scans one axis, got 2 (C1)}}
  %0:2 = chunk.segment_scan over [#recur.axis<"r">, #recur.axis<"c">] states [#recur.state<"h", [[1, 0]]>] inputs(%x : !rc) inits(%h0 : !h)
      plan <form = scan, schedule = segment, chunk = 1> parts [#recur.state<"h", [[1]]>] begins [dense<0.0> : !k] step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  } ends_step {
  ^bb0(%xt: !k, %e: !k):
    recur.yield states(%xt : !k)
  } ends_chunk {
  } join {
  ^bb0(%e: !k, %h: !k):
    recur.yield states(%e : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// chunk.segment_scan, C7: resets need the parts that say where states end.
func.func @f(%x: !x, %h0: !h, %r: tensor<?x?xi1, #recur.dims<batch, time>>) {
  // expected-error @+1 {{needs a part in 'ends' for each state where there are resets, and nowhere else (C7)}}
  %0:2 = chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h) resets(%r : tensor<?x?xi1, #recur.dims<batch, time>>)
      plan <form = scan, schedule = segment, chunk = 1> parts [#recur.state<"h", [[1]]>] begins [dense<0.0> : !k] step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  } ends_step {
  ^bb0(%xt: !k, %e: !k):
    recur.yield states(%xt : !k)
  } ends_chunk {
  } join {
  ^bb0(%e: !k, %h: !k):
    recur.yield states(%e : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// chunk.segment_scan, C1: parts are read one step back.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{states and parts must be #recur.state, read one step back, and nowhere else (C1)}}
  %0:2 = chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = scan, schedule = segment, chunk = 1> parts [#recur.state<"h", [[2]]>] begins [dense<0.0> : !k] step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  } ends_step {
  ^bb0(%xt: !k, %e: !k):
    recur.yield states(%xt : !k)
  } ends_chunk {
  } join {
  ^bb0(%e: !k, %h: !k):
    recur.yield states(%e : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// chunk.segment_scan, C2: no chunk without chunks.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{'chunk' must be empty for chunks of 1 (C2)}}
  %0:2 = chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = scan, schedule = segment, chunk = 1> parts [#recur.state<"h", [[1]]>] begins [dense<0.0> : !k] step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !k, %h: !k):
    recur.yield states(%h : !k) outputs(%xs : !k)
  } ends_step {
  ^bb0(%xt: !k, %e: !k):
    recur.yield states(%xt : !k)
  } ends_chunk {
  } join {
  ^bb0(%e: !k, %h: !k):
    recur.yield states(%e : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// chunk.segment_scan, C2: a chunk where there are chunks.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{'chunk' must be there for chunks of 3 (C2)}}
  %0:2 = chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = chunk, schedule = segment, chunk = 3> parts [#recur.state<"h", [[1]]>] begins [dense<0.0> : !k] step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  } ends_step {
  ^bb0(%xt: !k, %e: !k):
    recur.yield states(%xt : !k)
  } ends_chunk {
  } join {
  ^bb0(%e: !k, %h: !k):
    recur.yield states(%e : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// chunk.segment_scan, C3: the chunk takes the step's arguments.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{'chunk' must take ('tensor<3x4xf32, #recur.dims<time | "4">>', 'tensor<4xf32, #recur.dims<| "4">>'), got}}
  %0:2 = chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = chunk, schedule = segment, chunk = 3> parts [#recur.state<"h", [[1]]>] begins [dense<0.0> : !k] step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  ^bb0(%xs: !k, %h: !k):
    recur.yield states(%h : !k) outputs(%xs : !k)
  } ends_step {
  ^bb0(%xt: !k, %e: !k):
    recur.yield states(%xt : !k)
  } ends_chunk {
  ^bb0(%xs: !k, %e: !k):
    recur.yield states(%e : !k)
  } join {
  ^bb0(%e: !k, %h: !k):
    recur.yield states(%e : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// chunk.segment_scan, C4: one begin per part.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{1 parts need as many begins, got 0 (C4)}}
  %0:2 = chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = scan, schedule = segment, chunk = 1> parts [#recur.state<"h", [[1]]>] begins [] step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  } ends_step {
  ^bb0(%xt: !k, %e: !k):
    recur.yield states(%xt : !k)
  } ends_chunk {
  } join {
  ^bb0(%e: !k, %h: !k):
    recur.yield states(%e : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// chunk.segment_scan, C4: a begin is an array.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{a begin must be an array without implicit axes, got 0.000000e+00 : f32 (C4)}}
  %0:2 = chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = scan, schedule = segment, chunk = 1> parts [#recur.state<"h", [[1]]>] begins [0.0 : f32] step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  } ends_step {
  ^bb0(%xt: !k, %e: !k):
    recur.yield states(%xt : !k)
  } ends_chunk {
  } join {
  ^bb0(%e: !k, %h: !k):
    recur.yield states(%e : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// chunk.segment_scan, C5: the ends take the parts.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{'ends_step' must take}}
  %0:2 = chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = scan, schedule = segment, chunk = 1> parts [#recur.state<"h", [[1]]>] begins [dense<0.0> : !k] step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  } ends_step {
  ^bb0(%xt: !k):
    recur.yield states(%xt : !k)
  } ends_chunk {
  } join {
  ^bb0(%e: !k, %h: !k):
    recur.yield states(%e : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// chunk.segment_scan, C5: the ends yield the parts, and no outputs.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{'ends_step' must end in a 'recur.yield' of states}}
  %0:2 = chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = scan, schedule = segment, chunk = 1> parts [#recur.state<"h", [[1]]>] begins [dense<0.0> : !k] step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  } ends_step {
  ^bb0(%xt: !k, %e: !k):
    recur.yield states(%xt : !k) outputs(%e : !k)
  } ends_chunk {
  } join {
  ^bb0(%e: !k, %h: !k):
    recur.yield states(%e : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// chunk.segment_scan, C6: the join takes parts and states.
func.func @f(%x: !x, %h0: !h) {
  // expected-error @+1 {{'join' must take}}
  %0:2 = chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = scan, schedule = segment, chunk = 1> parts [#recur.state<"h", [[1]]>] begins [dense<0.0> : !k] step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  } ends_step {
  ^bb0(%xt: !k, %e: !k):
    recur.yield states(%xt : !k)
  } ends_chunk {
  } join {
  ^bb0(%e: !k):
    recur.yield states(%e : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!j = tensor<3xf32, #recur.dims<| "3">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// C7: and nobody else does.
func.func @f(%x: !x, %h0: !h, %r: tensor<?x?xi1, #recur.dims<batch, time>>) {
  // expected-error @+1 {{needs a part in 'ends' for each state where there are resets, and nowhere else (C7)}}
  %0:2 = chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      plan <form = scan, schedule = segment, chunk = 1> parts [#recur.state<"h", [[1]]>, #recur.state<"g", [[1]]>]
      begins [dense<0.0> : !k, dense<0.0> : !j] ends [0] step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  } ends_step {
  ^bb0(%xt: !k, %e: !k, %g: !j):
    recur.yield states(%xt, %g : !k, !j)
  } ends_chunk {
  } join {
  ^bb0(%e: !k, %g: !j, %h: !k):
    recur.yield states(%e : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!j = tensor<3xf32, #recur.dims<| "3">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// C7: one for each state.
func.func @f(%x: !x, %h0: !h, %r: tensor<?x?xi1, #recur.dims<batch, time>>) {
  // expected-error @+1 {{needs a part in 'ends' for each state where there are resets, and nowhere else (C7)}}
  %0:2 = chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h) resets(%r : tensor<?x?xi1, #recur.dims<batch, time>>)
      plan <form = scan, schedule = segment, chunk = 1> parts [#recur.state<"h", [[1]]>, #recur.state<"g", [[1]]>]
      begins [dense<0.0> : !k, dense<0.0> : !j] ends [0, 0] step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  } ends_step {
  ^bb0(%xt: !k, %e: !k, %g: !j):
    recur.yield states(%xt, %g : !k, !j)
  } ends_chunk {
  } join {
  ^bb0(%e: !k, %g: !j, %h: !k):
    recur.yield states(%e : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!j = tensor<3xf32, #recur.dims<| "3">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// C7: of its type.
func.func @f(%x: !x, %h0: !h, %r: tensor<?x?xi1, #recur.dims<batch, time>>) {
  // expected-error @+1 {{the part that 'ends' names must have the type of state 'h' (C7)}}
  %0:2 = chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h) resets(%r : tensor<?x?xi1, #recur.dims<batch, time>>)
      plan <form = scan, schedule = segment, chunk = 1> parts [#recur.state<"h", [[1]]>, #recur.state<"g", [[1]]>]
      begins [dense<0.0> : !k, dense<0.0> : !j] ends [1] step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  } ends_step {
  ^bb0(%xt: !k, %e: !k, %g: !j):
    recur.yield states(%xt, %g : !k, !j)
  } ends_chunk {
  } join {
  ^bb0(%e: !k, %g: !j, %h: !k):
    recur.yield states(%e : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!j = tensor<3xf32, #recur.dims<| "3">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// C7: which is there.
func.func @f(%x: !x, %h0: !h, %r: tensor<?x?xi1, #recur.dims<batch, time>>) {
  // expected-error @+1 {{the part that 'ends' names must have the type of state 'h' (C7)}}
  %0:2 = chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h) resets(%r : tensor<?x?xi1, #recur.dims<batch, time>>)
      plan <form = scan, schedule = segment, chunk = 1> parts [#recur.state<"h", [[1]]>, #recur.state<"g", [[1]]>]
      begins [dense<0.0> : !k, dense<0.0> : !j] ends [2] step {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } chunk {
  } ends_step {
  ^bb0(%xt: !k, %e: !k, %g: !j):
    recur.yield states(%xt, %g : !k, !j)
  } ends_chunk {
  } join {
  ^bb0(%e: !k, %g: !j, %h: !k):
    recur.yield states(%e : !k)
  } : !x, !h
  return
}
