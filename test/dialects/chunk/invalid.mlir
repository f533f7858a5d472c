// Plans, and each numbered constraint of the ops inside a chunk (ChunkOps.td), broken once.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

// A plan's chunk has a step.
// expected-error @+1 {{a chunk has at least 1 step, got 0}}
func.func private @f() attributes {a = #chunk.plan<form = chunk, schedule = carry, chunk = 0>}

// -----

// The form of steps has no chunks.
// expected-error @+1 {{the form 'step' has no chunks, got chunk = 2}}
func.func private @f() attributes {a = #chunk.plan<form = step, schedule = carry, chunk = 2>}

// -----

// Warps are a count.
// expected-error @+1 {{value_tile, warps, stages and segments are counts, got -4}}
func.func private @f() attributes {a = #chunk.plan<form = chunk, schedule = carry, chunk = 32, warps = -4>}

// -----

// Steps have no tiles.
// expected-error @+1 {{value_tile, warps, stages, ahead and warpgroups belong to chunks}}
func.func private @f() attributes {a = #chunk.plan<form = step, schedule = carry, chunk = 1, value_tile = 64>}

// -----

// From one kept state to the next there is a chunk.
// expected-error @+1 {{an interval has at least 1 chunk, got 0}}
func.func private @f() attributes {a = #chunk.plan<form = chunk, schedule = carry, chunk = 2, interval = 0>}

// -----

// A form is out of a list.
// expected-error @+2 {{expected one of [step, scan, chunk, attention] for how the steps of a recurrence are combined, got: tree}}
// expected-error @+1 {{failed to parse Chunk_PlanAttr parameter 'form'}}
func.func private @f() attributes {a = #chunk.plan<form = tree, schedule = carry, chunk = 2>}

// -----

// So is a schedule.
// expected-error @+2 {{expected one of [carry, segment] for in which order chunks are computed, got: tree}}
// expected-error @+1 {{failed to parse Chunk_PlanAttr parameter 'schedule'}}
func.func private @f() attributes {a = #chunk.plan<form = chunk, schedule = tree, chunk = 2>}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>

// chunk.products, C1: the first axis is time.
func.func @f(%a: !k) {
  // expected-error @+1 {{the operand's first axis must be 'time' (C1)}}
  %0 = chunk.products through(%a) : !k -> !k
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!sk = tensor<3x4xf32, #recur.dims<source | "4">>

// And not source.
func.func @f(%a: !sk) {
  // expected-error @+1 {{the operand's first axis must be 'time' (C1)}}
  %0 = chunk.products all(%a) : !sk -> !k
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C2: the result is as the operand.
func.func @f(%a: !tk) {
  // expected-error @+1 {{expected the result 'tensor<3x4xf32, #recur.dims<time | "4">>', got 'tensor<4xf32, #recur.dims<| "4">>' (C2)}}
  %0 = chunk.products before(%a) : !tk -> !k
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C2: for all steps, without time.
func.func @f(%a: !tk) {
  // expected-error @+1 {{expected the result 'tensor<4xf32, #recur.dims<| "4">>', got 'tensor<3x4xf32, #recur.dims<time | "4">>' (C2)}}
  %0 = chunk.products all(%a) : !tk -> !tk
  return
}

// -----

!t = tensor<3xf32, #recur.dims<time>>
!ts = tensor<3x3xf32, #recur.dims<time, source>>

// chunk.scores, C1: one named axis.
func.func @f(%q: !t) {
  // expected-error @+1 {{queries and keys must have one type over time and one named axis (C1)}}
  %0 = chunk.scores(%q, %q) : !t -> !ts
  return
}

// -----

!tkv = tensor<3x4x8xf32, #recur.dims<time | "4", "8">>
!ts = tensor<3x3xf32, #recur.dims<time, source>>

// C1: no more.
func.func @f(%q: !tkv) {
  // expected-error @+1 {{queries and keys must have one type over time and one named axis (C1)}}
  %0 = chunk.scores(%q, %q) : !tkv -> !ts
  return
}

// -----

!sk = tensor<3x4xf32, #recur.dims<source | "4">>
!ts = tensor<3x3xf32, #recur.dims<time, source>>

// C1: over time.
func.func @f(%q: !sk) {
  // expected-error @+1 {{queries and keys must have one type over time and one named axis (C1)}}
  %0 = chunk.scores(%q, %q) : !sk -> !ts
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!tv = tensor<3x8xf32, #recur.dims<time | "8">>
!ts = tensor<3x3xf32, #recur.dims<time, source>>

// C2: the decay is one number per step, or as the keys.
func.func @f(%q: !tk, %a: !tv) {
  // expected-error @+1 {{the decay must have the keys' type, or be one number per step (C2)}}
  %0 = chunk.scores(%q, %q) decay(%a : !tv) : !tk -> !ts
  return
}

// -----

!t2 = tensor<2xf32, #recur.dims<time>>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!ts = tensor<3x3xf32, #recur.dims<time, source>>

// C2: of as many steps.
func.func @f(%q: !tk, %a: !t2) {
  // expected-error @+1 {{the decay must have the keys' type, or be one number per step (C2)}}
  %0 = chunk.scores(%q, %q) decay(%a : !t2) : !tk -> !ts
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!ts2 = tensor<2x2xf32, #recur.dims<time, source>>

// C3: the result is steps by steps.
func.func @f(%q: !tk) {
  // expected-error @+1 {{expected numbers over <time, source> of 3 steps, got 'tensor<2x2xf32, #recur.dims<time, source>>' (C3)}}
  %0 = chunk.scores(%q, %q) : !tk -> !ts2
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C3: over time and source.
func.func @f(%q: !tk) {
  // expected-error @+1 {{expected numbers over <time, source> of 3 steps, got 'tensor<3x4xf32, #recur.dims<time | "4">>' (C3)}}
  %0 = chunk.scores(%q, %q) : !tk -> !tk
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!ts64 = tensor<3x3xf64, #recur.dims<time, source>>

// C3: in the keys' numbers.
func.func @f(%q: !tk) {
  // expected-error @+1 {{expected numbers over <time, source> of 3 steps, got 'tensor<3x3xf64, #recur.dims<time, source>>' (C3)}}
  %0 = chunk.scores(%q, %q) : !tk -> !ts64
  return
}

// -----

!tv = tensor<3x8xf32, #recur.dims<time | "8">>
!ts2 = tensor<2x2xf32, #recur.dims<time, source>>

// chunk.apply, C1: scores are steps by steps.
func.func @f(%A: !ts2, %v: !tv) {
  // expected-error @+1 {{expected numbers over <time, source> of 3 steps, got 'tensor<2x2xf32, #recur.dims<time, source>>' (C1)}}
  %0 = chunk.apply(%A, %v, %v) : !ts2, !tv
  return
}

// -----

!t = tensor<3xf32, #recur.dims<time>>
!ts = tensor<3x3xf32, #recur.dims<time, source>>

// C2: values have one named axis.
func.func @f(%A: !ts, %v: !t) {
  // expected-error @+1 {{values must have the axes time and one named axis (C2)}}
  %0 = chunk.apply(%A, %v, %v) : !ts, !t
  return
}

// -----

!sk = tensor<3x4xf32, #recur.dims<source | "4">>
!ts = tensor<3x3xf32, #recur.dims<time, source>>

// C2: and time.
func.func @f(%A: !ts, %v: !sk) {
  // expected-error @+1 {{values must have the axes time and one named axis (C2)}}
  %0 = chunk.apply(%A, %v, %v) before : !ts, !sk
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!tv = tensor<3x8xf32, #recur.dims<time | "8">>
!ts = tensor<3x3xf32, #recur.dims<time, source>>

// C2: the decay is as the values.
func.func @f(%A: !ts, %v: !tv, %b: !tk) {
  // expected-error @+1 {{failed to verify that all of {values, decay, result} have same type}}
  %0 = "chunk.apply"(%A, %v, %b) : (!ts, !tv, !tk) -> !tv
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!tv = tensor<3x8xf32, #recur.dims<time | "8">>

// chunk.solve, C1: the matrix is steps by steps.
func.func @f(%M: !tk, %r: !tv) {
  // expected-error @+1 {{expected numbers over <time, source> of 3 steps, got 'tensor<3x4xf32, #recur.dims<time | "4">>' (C1)}}
  %0 = chunk.solve(%M, %r) : !tk, !tv
  return
}

// -----

!ts = tensor<3x3xf32, #recur.dims<time, source>>
!ss = tensor<3xf32, #recur.dims<source>>

// C2: the right side is over time.
func.func @f(%M: !ts, %r: !ss) {
  // expected-error @+1 {{the right side must have the axis time and at most one named axis (C2)}}
  %0 = chunk.solve(%M, %r) : !ts, !ss
  return
}

// -----

!tkv = tensor<3x4x8xf32, #recur.dims<time | "4", "8">>
!ts = tensor<3x3xf32, #recur.dims<time, source>>

// C2: with one named axis at most.
func.func @f(%M: !ts, %r: !tkv) {
  // expected-error @+1 {{the right side must have the axis time and at most one named axis (C2)}}
  %0 = chunk.solve(%M, %r) : !ts, !tkv
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!tv = tensor<3x8xf32, #recur.dims<time | "8">>
!ts = tensor<3x3xf32, #recur.dims<time, source>>

// C2: the result is as the right side.
func.func @f(%M: !ts, %r: !tv) {
  // expected-error @+1 {{failed to verify that all of {right, result} have same type}}
  %0 = "chunk.solve"(%M, %r) <{operandSegmentSizes = array<i32: 1, 1, 0>}> : (!ts, !tv) -> !tk
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!tv = tensor<3x8xf32, #recur.dims<time | "8">>
!ts = tensor<3x3xf32, #recur.dims<time, source>>

// C3: a decay is as the right side.
func.func @f(%M: !ts, %r: !tv, %b: !tk) {
  // expected-error @+1 {{a decay must have the type of a right side with a named axis (C3)}}
  %0 = chunk.solve(%M, %r) decay(%b : !tk) : !ts, !tv
  return
}

// -----

!t = tensor<3xf32, #recur.dims<time>>
!ts = tensor<3x3xf32, #recur.dims<time, source>>

// C3: and the right side has a named axis.
func.func @f(%M: !ts, %r: !t, %b: !t) {
  // expected-error @+1 {{a decay must have the type of a right side with a named axis (C3)}}
  %0 = chunk.solve(%M, %r) decay(%b : !t) : !ts, !t
  return
}

// -----

!tv = tensor<3x8xf32, #recur.dims<time | "8">>
!ts = tensor<3x3xf32, #recur.dims<time, source>>

// C3: `before` is of a decay.
func.func @f(%M: !ts, %r: !tv) {
  // expected-error @+1 {{a decay must have the type of a right side with a named axis (C3)}}
  %0 = chunk.solve(%M, %r) before : !ts, !tv
  return
}

// -----

!sk = tensor<3x4xf32, #recur.dims<source | "4">>

// chunk.as_source, C1: the operand is over time.
func.func @f(%x: !sk) {
  // expected-error @+1 {{the operand's axis 'time' must become 'source', and nothing else change (C1)}}
  %0 = chunk.as_source(%x) : !sk -> !sk
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C1: the result over source.
func.func @f(%x: !tk) {
  // expected-error @+1 {{the operand's axis 'time' must become 'source', and nothing else change (C1)}}
  %0 = chunk.as_source(%x) : !tk -> !tk
  return
}

// -----

!sk = tensor<3x4xf32, #recur.dims<source | "4">>
!tv = tensor<3x8xf32, #recur.dims<time | "8">>

// C1: nothing else changes.
func.func @f(%x: !tv) {
  // expected-error @+1 {{the operand's axis 'time' must become 'source', and nothing else change (C1)}}
  %0 = chunk.as_source(%x) : !tv -> !sk
  return
}
