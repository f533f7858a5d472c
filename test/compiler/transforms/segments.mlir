// RUN: rondo-opt --form-chunks %s 2>%t | FileCheck %s
// RUN: FileCheck --check-prefix=REMARK %s < %t
// RUN: rondo-opt --form-chunks %s 2>/dev/null | rondo-opt --verify-roundtrip

!s = tensor<f32, #recur.dims<>>
!k = tensor<4xf32, #recur.dims<| "4">>
!v = tensor<8xf32, #recur.dims<| "8">>
!b_k = tensor<?x4xf32, #recur.dims<batch | "4">>
!b_kv = tensor<?x4x8xf32, #recur.dims<batch | "4", "8">>
!bt = tensor<?x?xf32, #recur.dims<batch, time>>
!bt_k = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!bt_v = tensor<?x?x8xf32, #recur.dims<batch, time | "8">>
!r = tensor<?x?xi1, #recur.dims<batch, time>>

// A scalar decay and one along each axis: the map of a segment is two vectors, of which the first counts the scalar.
// CHECK-LABEL: func.func @decays(
// CHECK:      chunk.segment_scan over [#recur.axis<"t">] states [#recur.state<"S", {{\[\[}}1]]>]
// CHECK:      parts [#recur.state<"S", {{\[\[}}1]]>, #recur.state<"S_decay0", {{\[\[}}1]]>, #recur.state<"S_decay1", {{\[\[}}1]]>]
// CHECK-SAME: begins [dense<0.000000e+00> : tensor<4x8xf32, {{.*}}>, dense<1.000000e+00> : tensor<4xf32, {{.*}}>, dense<1.000000e+00> : tensor<8xf32, {{.*}}>]
// CHECK:      ends_step {
// CHECK-NEXT: ^bb0(%[[K:.*]]: {{.*}}, %[[V:.*]]: {{.*}}, %[[A:.*]]: {{.*}}, %[[S:.*]]: tensor<4x8xf32, {{.*}}>, %[[P:.*]]: tensor<4xf32, {{.*}}>, %[[Q:.*]]: tensor<8xf32, {{.*}}>):
// CHECK:        %[[PA:.*]] = recur.map mul(%[[P]], %[[A]])
// CHECK:        %[[PK:.*]] = recur.map mul(%[[PA]], %[[K]])
// CHECK:        %[[QV:.*]] = recur.map mul(%[[Q]], %[[V]])
// CHECK:        recur.yield states(%{{.*}}, %[[PK]], %[[QV]] : {{.*}})
// CHECK:      } ends_chunk {
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<3x4xf32
// CHECK:      } join {
// CHECK-NEXT: ^bb0(%[[E:.*]]: {{.*}}, %[[P:.*]]: {{.*}}, %[[Q:.*]]: {{.*}}, %[[S:.*]]: tensor<4x8xf32, {{.*}}>):
// CHECK-NEXT:   %[[SP:.*]] = recur.contract "ab,a->ab"(%[[S]], %[[P]])
// CHECK-NEXT:   %[[SPQ:.*]] = recur.contract "ab,b->ab"(%[[SP]], %[[Q]])
// CHECK-NEXT:   %[[N:.*]] = recur.map add(%[[SPQ]], %[[E]])
// CHECK-NEXT:   recur.yield states(%[[N]]
func.func @decays(%k: !bt_k, %v: !bt_v, %a: !bt, %S0: !b_kv) -> (!bt_v, !b_kv) {
  %o, %ST = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v, %a : !bt_k, !bt_v, !bt) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, []>, #recur.decay<0, [0]>, #recur.decay<0, [1]>] outers [0] readouts [#recur.readout<0, 0>]
      attributes {chunk.plan = #chunk.plan<form = chunk, schedule = segment, chunk = 3>} coefficients {
  ^bb0(%kt: !k, %vt: !v, %at: !s):
    recur.coefficients decays(%at, %kt, %vt : !s, !k, !v) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %at: !s, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return %o, %ST : !bt_v, !b_kv
}

// A transition mixes keys: a matrix over the key axis, whose columns begin as unit vectors and take nothing in.
// CHECK-LABEL: func.func @transition(
// CHECK:      parts [#recur.state<"S", {{\[\[}}1]]>, #recur.state<"S_transition", {{\[\[}}1]]>]
// CHECK-SAME: tensor<4x4xf32
// CHECK:      ends_step {
// CHECK:        recur.contract "ab,a->b"(%{{.*}}, %{{.*}}) : (tensor<4x4xf32
// CHECK:      join {
// CHECK:        recur.contract "kc,cv->kv"
func.func @transition(%k: !bt_k, %v: !bt_v, %S0: !b_kv) -> !b_kv {
  %ST = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [] outers [0] transitions [0] readouts []
      attributes {chunk.plan = #chunk.plan<form = step, schedule = segment, chunk = 1>} coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients keys(%kt : !k) values(%vt : !v) writes(%kt : !k) reads(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v):
    recur.yield
  } : !b_kv
  return %ST : !b_kv
}

// Max-plus: a segment adds the sum of its decays, from -inf.
// CHECK-LABEL: func.func @maximum(
// CHECK:      plan <form = scan, schedule = segment, chunk = 1>
// CHECK-SAME: begins [dense<0xFF800000> : tensor<4xf32, {{.*}}>, dense<0.000000e+00> : tensor<4xf32, {{.*}}>]
// CHECK:      chunk {
// CHECK-NEXT: } ends_step {
// CHECK:      join {
// CHECK-NEXT: ^bb0(%[[E:.*]]: {{.*}}, %[[D:.*]]: {{.*}}, %[[H:.*]]: {{.*}}):
// CHECK-NEXT:   %[[SUM:.*]] = recur.map add(%[[D]], %[[H]])
// CHECK-NEXT:   %[[N:.*]] = recur.map max(%[[SUM]], %[[E]])
func.func @maximum(%x: !bt_k, %h0: !b_k) -> !b_k {
  %h = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring max_plus attributes {chunk.plan = #chunk.plan<form = scan, schedule = segment, chunk = 1>} coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield
  } : !b_k
  return %h : !b_k
}

// Behind a reset, the parts that `ends` names are the states themselves.
// CHECK-LABEL: func.func @resets(
// CHECK:      chunk.segment_scan
// CHECK:      resets(%arg2
// CHECK:      parts [#recur.state<"h", {{\[\[}}1]]>, #recur.state<"h_decay", {{\[\[}}1]]>] begins [{{.*}}] ends [0] step {
func.func @resets(%x: !bt_k, %h0: !b_k, %r: !r) -> !b_k {
  %h = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k) resets(%r : !r)
      semiring plus_times attributes {chunk.plan = #chunk.plan<form = scan, schedule = segment, chunk = 1>} coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield
  } : !b_k
  return %h : !b_k
}

// What cannot be cut stays.
// Beside a transition, a decay along the values gives each column a matrix of its own.
// CHECK-LABEL: func.func @columns(
// CHECK-NOT:  segment_scan
// CHECK:      recur.delta_scan
func.func @columns(%k: !bt_k, %v: !bt_v, %S0: !b_kv) -> !b_kv {
  // REMARK: [[@LINE+1]]:9: remark: form-chunks declines: a transition mixes the keys of state 'S' beside a decay along its values
  %ST = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [1]>] outers [0] transitions [0] readouts []
      attributes {chunk.plan = #chunk.plan<form = step, schedule = segment, chunk = 1>} coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%vt : !v) keys(%kt : !k) values(%vt : !v) writes(%kt : !k) reads(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v):
    recur.yield
  } : !b_kv
  return %ST : !b_kv
}

// Before the transition it is the same for all keys, and commutes with the matrix.
// CHECK-LABEL: func.func @columns_first(
// CHECK:      parts [#recur.state<"S", {{\[\[}}1]]>, #recur.state<"S_transition", {{\[\[}}1]]>, #recur.state<"S_decay1", {{\[\[}}1]]>]
// CHECK:      ends_step {
// CHECK-NEXT: ^bb0(%[[K:.*]]: {{.*}}, %[[V:.*]]: {{.*}}, %[[E:.*]]: tensor<4x8xf32, {{.*}}>, %[[M:.*]]: tensor<4x4xf32, {{.*}}>, %[[D:.*]]: tensor<8xf32, {{.*}}>):
// CHECK-NEXT:   %[[R:.*]] = recur.contract "ab,a->b"(%[[E]], %[[K]])
// CHECK-NEXT:   %[[RV:.*]] = recur.map mul(%[[R]], %[[V]])
func.func @columns_first(%k: !bt_k, %v: !bt_v, %S0: !b_kv) -> !b_kv {
  %ST = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [1], before>] outers [0] transitions [0] readouts []
      attributes {chunk.plan = #chunk.plan<form = step, schedule = segment, chunk = 1>} coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%vt : !v) keys(%kt : !k) values(%vt : !v) writes(%kt : !k) reads(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v):
    recur.yield
  } : !b_kv
  return %ST : !b_kv
}

// The same decay in a move before the transition's is one of its own: a matrix and a vector.
// CHECK-LABEL: func.func @moves(
// CHECK:      parts [#recur.state<"S", {{\[\[}}1]]>, #recur.state<"S_transition", {{\[\[}}1]]>, #recur.state<"S_decay1", {{\[\[}}1]]>]
func.func @moves(%k: !bt_k, %v: !bt_v, %S0: !b_kv) -> !b_kv {
  %ST = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [1]>] outers [0] transitions [0] readouts []
      attributes {chunk.plan = #chunk.plan<form = step, schedule = segment, chunk = 1>, recur.moves = array<i64: 0, 1, 1>} coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%vt : !v) keys(%kt : !k) values(%vt : !v) writes(%kt : !k) reads(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v):
    recur.yield
  } : !b_kv
  return %ST : !b_kv
}
