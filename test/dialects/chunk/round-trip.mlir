// Every op, clause and kind of plan of the chunk dialect prints, parses back to the same, and keeps its generic form.
// RUN: rondo-opt --verify-roundtrip %s | FileCheck %s

!s = tensor<f32, #recur.dims<>>
!k = tensor<4xf32, #recur.dims<| "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!t = tensor<3xf32, #recur.dims<time>>
!src = tensor<3xf32, #recur.dims<source>>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>
!tkv = tensor<3x4x8xf32, #recur.dims<time | "4", "8">>
!kv = tensor<4x8xf32, #recur.dims<| "4", "8">>
!tv = tensor<3x8xf32, #recur.dims<time | "8">>
!sv = tensor<3x8xf32, #recur.dims<source | "8">>
!ts = tensor<3x3xf32, #recur.dims<time, source>>
!tc = tensor<3xcomplex<f32>, #recur.dims<time>>
!c = tensor<complex<f32>, #recur.dims<>>

// CHECK-DAG: #time_source = #recur.dims<time, source>
// CHECK-DAG: #source = #recur.dims<source>
// CHECK-DAG: #time_8_ = #recur.dims<time | "8">

// CHECK-LABEL: func.func private @plans
// CHECK-SAME: a = #chunk.plan<form = step, schedule = carry, chunk = 1>
// CHECK-SAME: b = #chunk.plan<form = scan, schedule = segment, chunk = 1>
// CHECK-SAME: c = #chunk.plan<form = chunk, schedule = carry, chunk = 16>
// CHECK-SAME: d = #chunk.plan<form = attention, schedule = carry, chunk = 1>
func.func private @plans() attributes {
  a = #chunk.plan<form = step, schedule = carry, chunk = 1>,
  b = #chunk.plan<form = scan, schedule = segment, chunk = 1>,
  c = #chunk.plan<form = chunk, schedule = carry, chunk = 16>,
  d = #chunk.plan<form = attention, schedule = carry, chunk = 1>}

// All operands, two regions; outputs and inputs have the axis time in the chunk alone.
// CHECK-LABEL: func.func @all_clauses
// CHECK:      chunk.scan over [#recur.axis<"t", reverse>] states [#recur.state<"h", {{\[\[}}1]]>]
// CHECK-NEXT:   inputs(%{{.*}} : tensor<?x?x4xf32, #batch_time_4_>)
// CHECK-NEXT:   params(%{{.*}} : tensor<4xf32, #n4_>)
// CHECK-NEXT:   inits(%{{.*}} : tensor<?x4xf32, #batch_4_>)
// CHECK-NEXT:   resets(%{{.*}} : tensor<?x?xi1, #batch_time>)
// CHECK-NEXT:   offsets(%{{.*}} : tensor<?xi64>)
// CHECK-NEXT:   plan <form = chunk, schedule = carry, chunk = 3> step {
// CHECK-NEXT: ^bb0(%[[X:.*]]: tensor<4xf32, #n4_>, %[[P:.*]]: tensor<4xf32, #n4_>, %{{.*}}: tensor<4xf32, #n4_>):
// CHECK-NEXT:   recur.yield states(%[[X]] : tensor<4xf32, #n4_>) outputs(%[[P]] : tensor<4xf32, #n4_>)
// CHECK-NEXT: } chunk {
// CHECK-NEXT: ^bb0(%[[X:.*]]: tensor<3x4xf32, #time_4_>, %[[P:.*]]: tensor<4xf32, #n4_>, %{{.*}}: tensor<4xf32, #n4_>):
// CHECK-NEXT:   recur.yield states(%[[P]] : tensor<4xf32, #n4_>) outputs(%[[X]] : tensor<3x4xf32, #time_4_>)
// CHECK-NEXT: } : tensor<?x?x4xf32, #batch_time_4_>, tensor<?x4xf32, #batch_4_>
func.func @all_clauses(%x: !x, %p: !k, %h0: !h, %r: tensor<?x?xi1, #recur.dims<batch, time>>, %o: tensor<?xi64>) -> (!x, !h) {
  %y, %hT = chunk.scan over [#recur.axis<"t", reverse>] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%p : !k)
      inits(%h0 : !h) resets(%r : tensor<?x?xi1, #recur.dims<batch, time>>) offsets(%o : tensor<?xi64>)
      plan <form = chunk, schedule = carry, chunk = 3> step {
  ^bb0(%xt: !k, %pt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%pt : !k)
  } chunk {
  ^bb0(%xt: !tk, %pt: !k, %h: !k):
    recur.yield states(%pt : !k) outputs(%xt : !tk)
  } : !x, !h
  return %y, %hT : !x, !h
}

// Neither states nor results.
// CHECK-LABEL: func.func @nothing
// CHECK: chunk.scan over [#recur.axis<"t">]{{$}}
// CHECK: plan <form = attention, schedule = segment, chunk = 3> step {
func.func @nothing(%x: !x) {
  chunk.scan over [#recur.axis<"t">] inputs(%x : !x) plan <form = attention, schedule = segment, chunk = 3> step {
  ^bb0(%xt: !k):
    recur.yield
  } chunk {
  ^bb0(%xt: !tk):
    recur.yield
  }
  return
}

// CHECK-LABEL: func.func @chunk_ops
func.func @chunk_ops(%a: !t, %q: !tk, %k: !tk, %m: !tkv, %v: !tv, %z: !tc) {
  // CHECK: chunk.products through(%{{.*}}) : tensor<3xf32, #time> -> tensor<3xf32, #time>
  %0 = chunk.products through(%a) : !t -> !t
  // CHECK: chunk.products before(%{{.*}}) : tensor<3x4xf32, #time_4_> -> tensor<3x4xf32, #time_4_>
  %1 = chunk.products before(%q) : !tk -> !tk
  // CHECK: chunk.products after(%{{.*}}) : tensor<3x4x8xf32, #time_4_8_> -> tensor<3x4x8xf32, #time_4_8_>
  %2 = chunk.products after(%m) : !tkv -> !tkv
  // CHECK: chunk.products all(%{{.*}}) : tensor<3x4x8xf32, #time_4_8_> -> tensor<4x8xf32, #n4_8_>
  %3 = chunk.products all(%m) : !tkv -> !kv
  // CHECK: chunk.products all(%{{.*}}) : tensor<3xcomplex<f32>, #time> -> tensor<complex<f32>, #scalar>
  %4 = chunk.products all(%z) : !tc -> !c
  // CHECK: %[[A:.*]] = chunk.scores(%{{.*}}, %{{.*}}) : tensor<3x4xf32, #time_4_> -> tensor<3x3xf32, #time_source>
  %A = chunk.scores(%q, %k) : !tk -> !ts
  // CHECK: chunk.scores(%{{.*}}, %{{.*}}) before : tensor<3x4xf32, #time_4_> ->
  %5 = chunk.scores(%q, %k) before : !tk -> !ts
  // CHECK: chunk.scores(%{{.*}}, %{{.*}}) decay(%{{.*}} : tensor<3xf32, #time>) : tensor<3x4xf32, #time_4_> ->
  %6 = chunk.scores(%q, %k) decay(%a : !t) : !tk -> !ts
  // CHECK: chunk.scores(%{{.*}}, %{{.*}}) decay(%{{.*}} : tensor<3x4xf32, #time_4_>) before : tensor<3x4xf32, #time_4_> ->
  %7 = chunk.scores(%q, %k) decay(%q : !tk) before : !tk -> !ts
  // CHECK: chunk.apply(%[[A]], %[[V:.*]], %[[V]]) : tensor<3x3xf32, #time_source>, tensor<3x8xf32, #time_8_>
  %8 = chunk.apply(%A, %v, %v) : !ts, !tv
  // CHECK: chunk.apply(%[[A]], %[[V]], %[[V]]) before : tensor<3x3xf32, #time_source>, tensor<3x8xf32, #time_8_>
  %9 = chunk.apply(%A, %v, %v) before : !ts, !tv
  // CHECK: chunk.solve(%[[A]], %[[V]]) : tensor<3x3xf32, #time_source>, tensor<3x8xf32, #time_8_>
  %10 = chunk.solve(%A, %v) : !ts, !tv
  // CHECK: chunk.solve(%[[A]], %{{.*}}) : tensor<3x3xf32, #time_source>, tensor<3xf32, #time>
  %11 = chunk.solve(%A, %a) : !ts, !t
  // CHECK: chunk.as_source(%[[V]]) : tensor<3x8xf32, #time_8_> -> tensor<3x8xf32, #source_8_>
  %12 = chunk.as_source(%v) : !tv -> !sv
  // CHECK: chunk.as_source(%{{.*}}) : tensor<3xf32, #time> -> tensor<3xf32, #source>
  %13 = chunk.as_source(%a) : !t -> !src
  // CHECK: chunk.apply(%[[A]], %[[V]], %[[V]]) transposed : tensor<3x3xf32, #time_source>, tensor<3x8xf32, #time_8_>
  %14 = chunk.apply(%A, %v, %v) transposed : !ts, !tv
  // CHECK: chunk.apply(%[[A]], %[[V]], %[[V]]) before transposed :
  %15 = chunk.apply(%A, %v, %v) before transposed : !ts, !tv
  // CHECK: chunk.solve(%[[A]], %[[V]]) transposed : tensor<3x3xf32, #time_source>, tensor<3x8xf32, #time_8_>
  %16 = chunk.solve(%A, %v) transposed : !ts, !tv
  // CHECK: chunk.solve(%[[A]], %[[V]]) decay(%[[V]] : tensor<3x8xf32, #time_8_>) : tensor<3x3xf32, #time_source>, tensor<3x8xf32, #time_8_>
  %24 = chunk.solve(%A, %v) decay(%v : !tv) : !ts, !tv
  // CHECK: chunk.solve(%[[A]], %[[V]]) decay(%[[V]] : tensor<3x8xf32, #time_8_>) before transposed :
  %25 = chunk.solve(%A, %v) decay(%v : !tv) before transposed : !ts, !tv
  // CHECK: chunk.as_time(%{{.*}}) : tensor<3x8xf32, #source_8_> -> tensor<3x8xf32, #time_8_>
  %17 = chunk.as_time(%12) : !sv -> !tv
  // CHECK: chunk.sums(%[[V]], %[[V]]) : tensor<3x8xf32, #time_8_>
  %18 = chunk.sums(%v, %v) : !tv
  // CHECK: chunk.sums(%{{.*}}, %{{.*}}) before : tensor<3xf32, #time>
  %19 = chunk.sums(%a, %a) before : !t
  // CHECK: chunk.sums(%{{.*}}, %{{.*}}) before transposed : tensor<3x4x8xf32, #time_4_8_>
  %20 = chunk.sums(%m, %m) before transposed : !tkv
  // CHECK: chunk.decay_gradient(%[[A]], %[[V]], %[[V]], %{{.*}}) : tensor<3x3xf32, #time_source>, tensor<3x8xf32, #time_8_>, tensor<3xf32, #time>
  %21 = chunk.decay_gradient(%A, %v, %v, %a) : !ts, !tv, !t
  // CHECK: chunk.decay_gradient(%[[A]], %[[V]], %[[V]], %[[V]]) before : {{.*}}, tensor<3x8xf32, #time_8_>, tensor<3x8xf32, #time_8_>
  %22 = chunk.decay_gradient(%A, %v, %v, %v) before : !ts, !tv, !tv
  // CHECK: %[[ROW:.*]] = chunk.row 2 of %[[V]] : tensor<3x8xf32, #time_8_> -> tensor<8xf32, #n8_>
  %23 = chunk.row 2 of %v : !tv -> tensor<8xf32, #recur.dims<| "8">>
  // CHECK: chunk.row 0 of %{{.*}} : tensor<3xf32, #time> -> tensor<f32, #{{.*}}>
  %26 = chunk.row 0 of %a : !t -> tensor<f32, #recur.dims<>>
  // CHECK: chunk.rows(%[[ROW]], %[[ROW]], %[[ROW]]) : tensor<8xf32, #n8_> -> tensor<3x8xf32, #time_8_>
  %27 = chunk.rows(%23, %23, %23) : tensor<8xf32, #recur.dims<| "8">> -> !tv
  return
}

// All clauses and regions; inputs and cotangents have the axis time in the chunks alone.
// CHECK-LABEL: func.func @gradient_scan
// CHECK:      chunk.gradient_scan over [#recur.axis<"t", reverse>] states [#recur.state<"h", {{\[\[}}1]]>] adjoints [#recur.state<"d_h", {{\[\[}}1]]>]
// CHECK-NEXT:   inputs(%{{.*}} : tensor<?x?x4xf32, #batch_time_4_>)
// CHECK-NEXT:   cotangents(%{{.*}} : tensor<?x?x4xf32, #batch_time_4_>)
// CHECK-NEXT:   params(%{{.*}} : tensor<4xf32, #n4_>)
// CHECK-NEXT:   inits(%{{.*}} : tensor<?x4xf32, #batch_4_>)
// CHECK-NEXT:   finals(%{{.*}} : tensor<?x4xf32, #batch_4_>)
// CHECK-NEXT:   plan <form = chunk, schedule = carry, chunk = 3, interval = 2> step {
// CHECK:      } chunk {
// CHECK:      } back_step {
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<4xf32, #n4_>, %[[DY:.*]]: tensor<4xf32, #n4_>, %[[P:.*]]: tensor<4xf32, #n4_>, %{{.*}}: tensor<4xf32, #n4_>, %[[DH:.*]]: tensor<4xf32, #n4_>):
// CHECK-NEXT:   recur.yield states(%[[DH]] : tensor<4xf32, #n4_>) outputs(%[[DY]] : tensor<4xf32, #n4_>)
// CHECK-NEXT: } back_chunk {
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<3x4xf32, #time_4_>, %[[DY:.*]]: tensor<3x4xf32, #time_4_>, %[[P:.*]]: tensor<4xf32, #n4_>, %{{.*}}: tensor<4xf32, #n4_>, %[[DH:.*]]: tensor<4xf32, #n4_>):
// CHECK-NEXT:   recur.yield states(%[[DH]] : tensor<4xf32, #n4_>) outputs(%[[DY]] : tensor<3x4xf32, #time_4_>)
// CHECK-NEXT: } : tensor<?x?x4xf32, #batch_time_4_>, tensor<?x4xf32, #batch_4_>
func.func @gradient_scan(%x: !x, %dy: !x, %p: !k, %h0: !h, %dhT: !h) -> (!x, !h) {
  %dx, %dh0 = chunk.gradient_scan over [#recur.axis<"t", reverse>] states [#recur.state<"h", [[1]]>]
      adjoints [#recur.state<"d_h", [[1]]>] inputs(%x : !x) cotangents(%dy : !x) params(%p : !k) inits(%h0 : !h)
      finals(%dhT : !h) plan <form = chunk, schedule = carry, chunk = 3, interval = 2> step {
  ^bb0(%xt: !k, %pt: !k, %h: !k):
    recur.yield states(%xt : !k)
  } chunk {
  ^bb0(%xt: !tk, %pt: !k, %h: !k):
    recur.yield states(%pt : !k)
  } back_step {
  ^bb0(%xt: !k, %dyt: !k, %pt: !k, %h: !k, %dh: !k):
    recur.yield states(%dh : !k) outputs(%dyt : !k)
  } back_chunk {
  ^bb0(%xt: !tk, %dyt: !tk, %pt: !k, %h: !k, %dh: !k):
    recur.yield states(%dh : !k) outputs(%dyt : !tk)
  } : !x, !h
  return %dx, %dh0 : !x, !h
}
