// Each numbered constraint of the ops that reverse mode adds (GradientOps.td), broken once.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.as_time, C1: the operand is over source.
func.func @f(%x: !tk) {
  // expected-error @+1 {{the operand's axis 'source' must become 'time', and nothing else change (C1)}}
  %0 = chunk.as_time(%x) : !tk -> !tk
  return
}

// -----

!ts = tensor<3x3xf32, #recur.dims<source, head>>
!tt = tensor<3x3xf32, #recur.dims<time, head>>

// C1: and over nothing else.
func.func @f(%x: !ts) {
  // expected-error @+1 {{the operand's axis 'source' must become 'time', and nothing else change (C1)}}
  %0 = chunk.as_time(%x) : !ts -> !tt
  return
}

// -----

!sk = tensor<3x4xf32, #recur.dims<source | "4">>
!t2 = tensor<2x4xf32, #recur.dims<time | "4">>

// C1: nothing else changes.
func.func @f(%x: !sk) {
  // expected-error @+1 {{the operand's axis 'source' must become 'time', and nothing else change (C1)}}
  %0 = chunk.as_time(%x) : !sk -> !t2
  return
}

// -----

!sk = tensor<3x4xf32, #recur.dims<source | "4">>

// chunk.sums, C1: over time.
func.func @f(%x: !sk) {
  // expected-error @+1 {{the operand's first axis must be 'time' (C1)}}
  %0 = chunk.sums(%x, %x) : !sk
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!t = tensor<3xf32, #recur.dims<time>>

// C1: the decay is as the operand.
func.func @f(%x: !tk, %a: !t) {
  // expected-error @+1 {{failed to verify that all of {operand, decay, result} have same type}}
  %0 = "chunk.sums"(%x, %a) : (!tk, !t) -> !tk
  return
}

// -----

!t = tensor<3xf32, #recur.dims<time>>
!ts = tensor<3x3xf32, #recur.dims<time, source>>

// chunk.decay_gradient, C1: queries and keys have a named axis.
func.func @f(%G: !ts, %q: !t) {
  // expected-error @+1 {{queries and keys must have one type over time and one named axis (C1)}}
  %0 = chunk.decay_gradient(%G, %q, %q, %q) : !ts, !t, !t
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!tv = tensor<3x8xf32, #recur.dims<time | "8">>
!ts = tensor<3x3xf32, #recur.dims<time, source>>

// C2: the decay is one number per step, or as the keys.
func.func @f(%G: !ts, %q: !tk, %a: !tv) {
  // expected-error @+1 {{the decay must have the keys' type, or be one number per step (C2)}}
  %0 = chunk.decay_gradient(%G, %q, %q, %a) : !ts, !tk, !tv
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!ts = tensor<3x3xf32, #recur.dims<time, source>>
!t = tensor<3xf32, #recur.dims<time>>

// C2: the result is as the decay.
func.func @f(%G: !ts, %q: !tk, %a: !t) {
  // expected-error @+1 {{failed to verify that all of {decay, result} have same type}}
  %0 = "chunk.decay_gradient"(%G, %q, %q, %a) : (!ts, !tk, !tk, !t) -> !tk
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C3: G is steps by steps.
func.func @f(%q: !tk) {
  // expected-error @+1 {{expected numbers over <time, source> of 3 steps, got 'tensor<3x4xf32, #recur.dims<time | "4">>' (C3)}}
  %0 = chunk.decay_gradient(%q, %q, %q, %q) : !tk, !tk, !tk
  return
}
