// The ops that analysis raises a scan to print, parse back to the same, and keep their generic form.
// RUN: rondo-opt --verify-roundtrip %s | FileCheck %s

!s = tensor<f64, #recur.dims<>>
!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!kc = tensor<?xcomplex<f64>, #recur.dims<| K>>
!kv = tensor<?x?xf64, #recur.dims<| K, V>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!b_kc = tensor<?x?xcomplex<f64>, #recur.dims<batch | K>>
!b_v = tensor<?x?xf64, #recur.dims<batch | V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_kc = tensor<?x?x?xcomplex<f64>, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>
!r = tensor<?x?xi1, #recur.dims<batch, time>>

// Every clause of operands, two states, and an attribute that is not the op's.
// CHECK-LABEL: func.func @linear
// CHECK:      recur.linear_scan over [#recur.axis<"t", reverse>] states [#recur.state<"h", {{\[\[}}1]]>, #recur.state<"g", {{\[\[}}1]]>]
// CHECK-NEXT:   inputs(%{{.*}} : tensor<?x?x?xf64, #batch_time_K>)
// CHECK-NEXT:   params(%{{.*}} : tensor<?xf64, #K>)
// CHECK-NEXT:   inits(%{{.*}}, %{{.*}} : tensor<?x?xf64, #batch_K>, tensor<?x?xf64, #batch_K>)
// CHECK-NEXT:   resets(%{{.*}} : tensor<?x?xi1, #batch_time>)
// CHECK-NEXT:   offsets(%{{.*}} : tensor<?xi64>) semiring plus_times
// CHECK-SAME:   attributes {chunk.plan = #chunk.plan<form = step, schedule = carry, chunk = 1>} coefficients {
// CHECK-NEXT: ^bb0(%[[X:.*]]: tensor<?xf64, #K>, %[[P:.*]]: tensor<?xf64, #K>):
// CHECK-NEXT:   recur.coefficients decays(%[[P]], %[[P]] : tensor<?xf64, #K>, tensor<?xf64, #K>) values(%[[X]], %[[P]] : tensor<?xf64, #K>, tensor<?xf64, #K>)
// CHECK-NEXT: } readout {
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<?xf64, #K>, %{{.*}}: tensor<?xf64, #K>, %[[H:.*]]: tensor<?xf64, #K>, %{{.*}}: tensor<?xf64, #K>, %{{.*}}: tensor<?xf64, #K>, %[[G:.*]]: tensor<?xf64, #K>):
// CHECK-NEXT:   recur.yield outputs(%[[H]], %[[G]] : tensor<?xf64, #K>, tensor<?xf64, #K>)
// CHECK-NEXT: } : tensor<?x?x?xf64, #batch_time_K>, tensor<?x?x?xf64, #batch_time_K>, tensor<?x?xf64, #batch_K>, tensor<?x?xf64, #batch_K>
func.func @linear(%x: !bt_k, %p: !k, %h0: !b_k, %g0: !b_k, %r: !r, %o: tensor<?xi64>) {
  %0:4 = recur.linear_scan over [#recur.axis<"t", reverse>] states [#recur.state<"h", [[1]]>, #recur.state<"g", [[1]]>]
      inputs(%x : !bt_k) params(%p : !k) inits(%h0, %g0 : !b_k, !b_k) resets(%r : !r) offsets(%o : tensor<?xi64>)
      semiring plus_times attributes {chunk.plan = #chunk.plan<form = step, schedule = carry, chunk = 1>} coefficients {
  ^bb0(%xt: !k, %pt: !k):
    recur.coefficients decays(%pt, %pt : !k, !k) values(%xt, %pt : !k, !k)
  } readout {
  ^bb0(%xt: !k, %pt: !k, %h: !k, %h1: !k, %g: !k, %g1: !k):
    recur.yield outputs(%h, %g1 : !k, !k)
  } : !bt_k, !bt_k, !b_k, !b_k
  return
}

// CHECK-LABEL: func.func @semirings
func.func @semirings(%x: !bt_k, %c: !bt_kc, %h0: !b_k, %c0: !b_kc) {
  // CHECK: semiring max_plus coefficients
  %0 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring max_plus coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %h: !k, %h1: !k):
    recur.yield
  } : !b_k
  // CHECK: semiring log_plus coefficients
  %1 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring log_plus coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %h: !k, %h1: !k):
    recur.yield
  } : !b_k
  // Complex, where the semiring has complex numbers.
  // CHECK: semiring plus_times coefficients
  // CHECK-NEXT: ^bb0(%{{.*}}: tensor<?xcomplex<f64>, #K>):
  %2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%c : !bt_kc) inits(%c0 : !b_kc)
      semiring plus_times coefficients {
  ^bb0(%xt: !kc):
    recur.coefficients decays(%xt : !kc) values(%xt : !kc)
  } readout {
  ^bb0(%xt: !kc, %h: !kc, %h1: !kc):
    recur.yield
  } : !b_kc
  return
}

// Without states there is nothing to say.
// CHECK-LABEL: func.func @nothing
// CHECK:      recur.expand_scan over [#recur.axis<"t">]{{$}}
// CHECK-NEXT:   inputs(%{{.*}} : tensor<?x?xf64, #batch_time>) key_axes [] decays [] outers [] readouts [] coefficients {
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<f64, #scalar>):
// CHECK-NEXT:   recur.coefficients{{$}}
func.func @nothing(%x: !bt) -> !bt {
  %0 = recur.expand_scan over [#recur.axis<"t">] inputs(%x : !bt) key_axes [] decays [] outers [] readouts [] coefficients {
  ^bb0(%xt: !s):
    recur.coefficients
  } readout {
  ^bb0(%xt: !s):
    recur.yield outputs(%xt : !s)
  } : !bt
  return %0 : !bt
}

// A matrix whose key is its second axis, a state of values alone and one of keys alone; decays along none, one and both axes.
// CHECK-LABEL: func.func @expand
// CHECK: key_axes [1, -1, 0]
// CHECK-SAME: decays [#recur.decay<0, []>, #recur.decay<0, [0]>, #recur.decay<0, [0, 1]>, #recur.decay<1, [0]>, #recur.decay<2, []>]
// CHECK-SAME: outers [0, 0, 1, 2]
// CHECK-SAME: readouts [#recur.readout<0, 1>, #recur.readout<0, 0, before>, #recur.readout<1, 0>] coefficients {
// CHECK: recur.coefficients decays(
// CHECK-SAME: keys(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<?xf64, #V>, tensor<?xf64, #V>, tensor<f64, #scalar>, tensor<?xf64, #V>)
// CHECK-SAME: values(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<?xf64, #K>, tensor<?xf64, #K>, tensor<?xf64, #K>, tensor<f64, #scalar>)
// CHECK-SAME: queries(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?xf64, #V>, tensor<?xf64, #K>, tensor<?xf64, #K>)
// CHECK: ^bb0({{.*}}, %[[A:.*]]: tensor<?xf64, #K>, %[[B:.*]]: tensor<?xf64, #V>, %[[C:.*]]: tensor<f64, #scalar>):
func.func @expand(%k: !bt_k, %v: !bt_v, %g: !bt, %D: !kv, %S0: !b_kv, %n0: !b_k, %m0: !b_v) {
  %0:6 = recur.expand_scan over [#recur.axis<"t">]
      states [#recur.state<"S", [[1]]>, #recur.state<"n", [[1]]>, #recur.state<"m", [[1]]>]
      inputs(%k, %v, %g : !bt_k, !bt_v, !bt) params(%D : !kv) inits(%S0, %n0, %m0 : !b_kv, !b_k, !b_v)
      key_axes [1, -1, 0]
      decays [#recur.decay<0, []>, #recur.decay<0, [0]>, #recur.decay<0, [0, 1]>, #recur.decay<1, [0]>, #recur.decay<2, []>]
      outers [0, 0, 1, 2] readouts [#recur.readout<0, 1>, #recur.readout<0, 0, before>, #recur.readout<1, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v, %gt: !s, %d: !kv):
    recur.coefficients decays(%gt, %kt, %d, %kt, %gt : !s, !k, !kv, !k, !s) keys(%vt, %vt, %gt, %vt : !v, !v, !s, !v)
      values(%kt, %kt, %kt, %gt : !k, !k, !k, !s) queries(%vt, %kt, %kt : !v, !k, !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %gt: !s, %d: !kv, %a: !k, %b: !v, %c: !s):
    recur.yield outputs(%a, %b, %c : !k, !v, !s)
  } : !bt_k, !bt_v, !bt, !b_kv, !b_k, !b_v
  return
}

// Two transitions of one state, in the generic form too.
// CHECK-LABEL: func.func @delta
// CHECK: recur.delta_scan
// CHECK: key_axes [0] decays [#recur.decay<0, [1], before>] outers [0] transitions [0, 0] readouts [#recur.readout<0, 0>] coefficients {
// CHECK: writes(%{{.*}}, %{{.*}} : tensor<?xf64, #K>, tensor<?xf64, #K>) reads(%{{.*}}, %{{.*}} : tensor<?xf64, #K>, tensor<?xf64, #K>) queries
func.func @delta(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  %0:2 = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [1], before>] outers [0] transitions [0, 0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%vt : !v) keys(%kt : !k) values(%vt : !v) writes(%kt, %kt : !k, !k) reads(%kt, %kt : !k, !k) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return
}
