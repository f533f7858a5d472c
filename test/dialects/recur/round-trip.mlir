// Every op, attribute and clause prints, parses back to the same, and keeps its generic form.
// RUN: rondo-opt --verify-roundtrip %s | FileCheck %s

!s = tensor<f64, #recur.dims<>>
!i1 = tensor<i1, #recur.dims<>>
!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!kv = tensor<?x?xf64, #recur.dims<| K, V>>
!kc = tensor<?xcomplex<f64>, #recur.dims<| K>>
!b = tensor<?xf64, #recur.dims<batch>>
!bl = tensor<?x?xf64, #recur.dims<batch, lag>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// The short name of a type's dims says what they are.
// CHECK-DAG: #scalar = #recur.dims<>
// CHECK-DAG: #K = #recur.dims<| K>
// CHECK-DAG: #batch_time_head_K = #recur.dims<batch, time, head | K>
// CHECK-DAG: #n4xH = #recur.dims<| "4*H">
// CHECK-DAG: #n3_ = #recur.dims<| "3">
// CHECK-DAG: #batch_time1_ = #recur.dims<batch, time1>

// CHECK-LABEL: func.func @attributes
// CHECK-SAME: recur.range = #recur.interval<0.000000e+00, 1.000000e+00>
// CHECK-SAME: recur.range = #recur.interval<-inf, open 0.000000e+00>
// CHECK-SAME: recur.default = dense<0.000000e+00> : tensor<f64>
// CHECK-SAME: recur.axes = ["t"], recur.dims = ["K"], recur.head_count = "H", recur.lags = ["p"]
func.func @attributes(
    %x: tensor<?x?x?x?xf64, #recur.dims<batch, time, head | K>> {recur.kind = "input", recur.name = "x", recur.range = #recur.interval<0.0, 1.0>},
    %p: tensor<?xf64, #recur.dims<| K>> {recur.kind = "param", recur.recurrent, recur.range = #recur.interval<-inf, open 0.0>},
    %h: tensor<?x?xf64, #recur.dims<batch | K>> {recur.kind = "init", recur.default = dense<0.0> : tensor<f64>})
    attributes {recur.dims = ["K"], recur.axes = ["t"], recur.lags = ["p"], recur.head_count = "H"} {
  return
}

// A state argument is called after its state and the distance that it is read at.
// CHECK-LABEL: func.func @one_axis
// CHECK:      recur.scan over [#recur.axis<"t", reverse>] states [#recur.state<"S", {{\[\[}}1], [3]]>, #recur.state<"m", {{\[\[}}-1]]>]
// CHECK-NEXT:   inputs(%{{.*}} : tensor<?x?xf64, #batch_time>)
// CHECK-NEXT:   params(%{{.*}} : tensor<f64, #scalar>)
// CHECK-NEXT:   inits(%{{.*}}, %{{.*}} : tensor<?x?xf64, #batch_lag>, tensor<?x?xf64, #batch_lag>)
// CHECK-NEXT:   resets(%{{.*}} : tensor<?x?xi1, #batch_time>)
// CHECK-NEXT:   offsets(%{{.*}} : tensor<?xi64>) {
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<f64, #scalar>, %{{.*}}: tensor<f64, #scalar>, %S: tensor<f64, #scalar>, %S_3: tensor<f64, #scalar>, %m_lag0: tensor<f64, #scalar>):
// CHECK-NEXT:   recur.yield states(%S, %S_3 : tensor<f64, #scalar>, tensor<f64, #scalar>) outputs(%m_lag0 : tensor<f64, #scalar>)
// CHECK-NEXT: } : tensor<?x?xf64, #batch_time>, tensor<?x?xf64, #batch_lag>, tensor<?x?xf64, #batch_lag>
func.func @one_axis(%x: !bt, %p: !s, %S0: !bl, %m0: !bl, %r: tensor<?x?xi1, #recur.dims<batch, time>>, %o: tensor<?xi64>)
    attributes {recur.lags = ["p"]} {
  %0:3 = recur.scan over [#recur.axis<"t", reverse>] states [#recur.state<"S", [[1], [3]]>, #recur.state<"m", [[-1]]>]
      inputs(%x : !bt) params(%p : !s) inits(%S0, %m0 : !bl, !bl)
      resets(%r : tensor<?x?xi1, #recur.dims<batch, time>>) offsets(%o : tensor<?xi64>) {
  ^bb0(%xt: !s, %pt: !s, %S1: !s, %S3: !s, %m: !s):
    recur.yield states(%S1, %S3 : !s, !s) outputs(%m : !s)
  } : !bt, !bl, !bl
  return
}

// Two axes: final states are a row and a column; the one that keeps two slices has a lag axis.
// CHECK-LABEL: func.func @two_axes
// CHECK: ^bb0(%{{.*}}: tensor<f64, #scalar>, %h_2_0: tensor<f64, #scalar>, %h_0_1: tensor<f64, #scalar>):
// CHECK: } : tensor<?x?x?xf64, #batch_lag_time1_>, tensor<?x?xf64, #batch_time>
func.func @two_axes(%x: tensor<?x?x?xf64, #recur.dims<batch, time, time1>>, %h0: !b) -> tensor<?x?xf64, #recur.dims<batch, time1>> {
  %0:2 = recur.scan over [#recur.axis<"r">, #recur.axis<"c">] states [#recur.state<"h", [[2, 0], [0, 1]]>]
      inputs(%x : tensor<?x?x?xf64, #recur.dims<batch, time, time1>>) inits(%h0 : !b) {
  ^bb0(%xt: !s, %up: !s, %left: !s):
    recur.yield states(%xt : !s)
  } : tensor<?x?x?xf64, #recur.dims<batch, lag, time1>>, tensor<?x?xf64, #recur.dims<batch, time>>
  %1 = recur.reduce sum [1] (%0#0) : (tensor<?x?x?xf64, #recur.dims<batch, lag, time1>>) -> tensor<?x?xf64, #recur.dims<batch, time1>>
  return %1 : tensor<?x?xf64, #recur.dims<batch, time1>>
}

// The step computes wider than the data are stored.
// CHECK-LABEL: func.func @mixed_precision
// CHECK: } : tensor<?x?xf16, #batch_time>
func.func @mixed_precision(%x: tensor<?x?xbf16, #recur.dims<batch, time>>) {
  %0 = recur.scan over [#recur.axis<"t">] inputs(%x : tensor<?x?xbf16, #recur.dims<batch, time>>) {
  ^bb0(%xt: tensor<f32, #recur.dims<>>):
    recur.yield outputs(%xt : tensor<f32, #recur.dims<>>)
  } : tensor<?x?xf16, #recur.dims<batch, time>>
  return
}

// CHECK-LABEL: func.func @step_ops
func.func @step_ops(%k: !k, %v: !v, %A: !kv, %c: !i1, %gates: tensor<?xf64, #recur.dims<| "4*H">>) {
  // CHECK: recur.map add(%{{.*}}, %{{.*}}) : (tensor<?xf64, #K>, tensor<?xf64, #K>) -> tensor<?xf64, #K>
  %0 = recur.map add(%k, %k) : (!k, !k) -> !k
  // CHECK: recur.map select(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<i1, #scalar>,
  %1 = recur.map select(%c, %k, %k) : (!i1, !k, !k) -> !k
  // CHECK: recur.map complex(
  %2 = recur.map complex(%k, %k) : (!k, !k) -> !kc
  // CHECK: recur.contract "kv,v->k"(%{{.*}}, %{{.*}}) :
  %3 = recur.contract "kv,v->k"(%A, %v) : (!kv, !v) -> !k
  // CHECK: recur.reduce max [0, 1](%{{.*}}) :
  %4 = recur.reduce max [0, 1] (%A) : (!kv) -> !s
  // CHECK: recur.broadcast [1](%{{.*}}) :
  %5 = recur.broadcast [1] (%k) : (!k) -> !kv
  // CHECK: recur.slice 0 at "2*H"(%{{.*}}) :
  %6 = recur.slice 0 at "2*H" (%gates) : (tensor<?xf64, #recur.dims<| "4*H">>) -> tensor<?xf64, #recur.dims<| H>>
  // CHECK: recur.slice 1 at "3" drop(%{{.*}}) :
  %7 = recur.slice 1 at "3" drop (%A) : (!kv) -> !k
  // CHECK: recur.concat 0(%{{.*}}, %{{.*}}) :
  %8 = recur.concat 0 (%k, %v) : (!k, !v) -> tensor<?xf64, #recur.dims<| "K+V">>
  // CHECK: recur.reshape(%{{.*}}) :
  %9 = recur.reshape(%A) : (!kv) -> tensor<?xf64, #recur.dims<| "K*V">>
  // CHECK: recur.cast(%{{.*}}) :
  %10 = recur.cast(%k) : (!k) -> !kc
  // CHECK: recur.identity : tensor<3x3xf64, #n3_3_>
  %11 = recur.identity : tensor<3x3xf64, #recur.dims<| "3", "3">>
  // CHECK: arith.constant dense<[1.000000e+00, 2.000000e+00, 3.000000e+00]> : tensor<3xf64, #n3_>
  %12 = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf64, #recur.dims<| "3">>
  return
}
