// RUN: rondo-opt --raise-scans %s 2>%t | FileCheck %s
// RUN: FileCheck --check-prefix=REMARK %s < %t
// RUN: rondo-opt --raise-scans %s 2>/dev/null | rondo-opt --verify-roundtrip

!s = tensor<f64, #recur.dims<>>
!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!kk = tensor<?x?xf64, #recur.dims<| K, K>>
!kv = tensor<?x?xf64, #recur.dims<| K, V>>
!vk = tensor<?x?xf64, #recur.dims<| V, K>>
!b = tensor<?xf64, #recur.dims<batch>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bl_k = tensor<?x?x?xf64, #recur.dims<batch, lag | K>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!b_vk = tensor<?x?x?xf64, #recur.dims<batch | V, K>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>
!bt_kk = tensor<?x?x?x?xf64, #recur.dims<batch, time | K, K>>
!bt_kv = tensor<?x?x?x?xf64, #recur.dims<batch, time | K, V>>
!r = tensor<?x?xi1, #recur.dims<batch, time>>

// h + z (x - h): the decay is 1 - z, what enters is z x. All operands come along, and the axis' direction.
// CHECK-LABEL: func.func @elementwise(
// CHECK-NOT: recur.scan
// CHECK: recur.linear_scan over [#recur.axis<"t", reverse>]
// CHECK: inputs(%arg0
// CHECK: params(%arg1
// CHECK: inits(%arg2
// CHECK: resets(%arg3
// CHECK: offsets(%arg4 : tensor<?xi64>) semiring plus_times coefficients {
// CHECK: ^bb0(%[[X:.*]]: {{.*}}, %[[Z:.*]]: {{.*}}):
// CHECK-DAG: %[[NEG:.*]] = recur.map neg(%[[Z]])
// CHECK-DAG: %[[ONE:.*]] = arith.constant dense<1.000000e+00>
// CHECK: recur.coefficients decays(
// CHECK: } readout {
// CHECK: ^bb0(%{{.*}}: {{.*}}, %{{.*}}: {{.*}}, %[[NEW:.*]]: {{.*}}, %[[OLD:.*]]: {{.*}}):
// CHECK: %[[Y:.*]] = recur.map sub(%[[NEW]], %[[OLD]])
// CHECK: recur.yield outputs(%[[Y]] : tensor<?xf64, #K>)
func.func @elementwise(%x: !bt_k, %z: !k, %h0: !b_k, %r: !r, %o: tensor<?xi64>) -> (!bt_k, !b_k) {
  %y, %hT = recur.scan over [#recur.axis<"t", reverse>] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) params(%z : !k)
      inits(%h0 : !b_k) resets(%r : !r) offsets(%o : tensor<?xi64>) {
  ^bb0(%xt: !k, %zt: !k, %h: !k):
    %d = recur.map sub(%xt, %h) : (!k, !k) -> !k
    %e = recur.map mul(%zt, %d) : (!k, !k) -> !k
    %n = recur.map add(%h, %e) : (!k, !k) -> !k
    %o = recur.map sub(%n, %h) : (!k, !k) -> !k
    recur.yield states(%n : !k) outputs(%o : !k)
  } : !bt_k, !b_k
  return %y, %hT : !bt_k, !b_k
}

// max(h + a, x) - b: both sides are shifted by -b.
// CHECK-LABEL: func.func @maximum(
// CHECK: semiring max_plus coefficients {
// CHECK: ^bb0(%[[X:.*]]: {{.*}}, %[[A:.*]]: {{.*}}, %[[B:.*]]: {{.*}}):
// CHECK-DAG: %[[LEFT:.*]] = recur.map sub(%{{.*}}, %[[B]])
// CHECK-DAG: %[[RIGHT:.*]] = recur.map sub(%[[X]], %[[B]])
// CHECK: recur.coefficients decays(%[[LEFT]] : tensor<?xf64, #K>) values(%[[RIGHT]] : tensor<?xf64, #K>)
func.func @maximum(%x: !bt_k, %a: !bt_k, %b: !bt_k, %h0: !b_k) -> !b_k {
  %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x, %a, %b : !bt_k, !bt_k, !bt_k)
      inits(%h0 : !b_k) {
  ^bb0(%xt: !k, %at: !k, %bt: !k, %h: !k):
    %s = recur.map add(%h, %at) : (!k, !k) -> !k
    %m = recur.map max(%s, %xt) : (!k, !k) -> !k
    %n = recur.map sub(%m, %bt) : (!k, !k) -> !k
    recur.yield states(%n : !k)
  } : !b_k
  return %hT : !b_k
}

// A matrix with a decay along its first axis, read after the update along one axis and before it along the other. What the
// output does with the readouts stays behind.
// CHECK-LABEL: func.func @expand(
// CHECK: recur.expand_scan
// CHECK-SAME: states [#recur.state<"S", {{\[\[}}1]]>]
// CHECK: key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>, #recur.readout<0, 1, before>] coefficients {
// CHECK: ^bb0(%[[K:.*]]: tensor<?xf64, #K>, %[[V:.*]]: tensor<?xf64, #V>, %[[A:.*]]: tensor<?xf64, #K>):
// CHECK: recur.coefficients decays(%[[A]] : {{.*}}) keys(%[[K]] : {{.*}}) values(%[[V]] : {{.*}}) queries(%[[K]], %[[V]] : {{.*}})
// CHECK: } readout {
// CHECK: ^bb0(%{{.*}}, %{{.*}}, %{{.*}}, %[[O:.*]]: tensor<?xf64, #V>, %[[P:.*]]: tensor<?xf64, #K>):
// CHECK: %[[T:.*]] = recur.map tanh(%[[O]])
// CHECK: recur.yield outputs(%[[T]], %[[P]] : tensor<?xf64, #V>, tensor<?xf64, #K>)
func.func @expand(%k: !bt_k, %v: !bt_v, %a: !bt_k, %S0: !b_kv) -> (!bt_v, !bt_k, !b_kv) {
  %o, %p, %ST = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v, %a : !bt_k, !bt_v, !bt_k) inits(%S0 : !b_kv) {
  ^bb0(%kt: !k, %vt: !v, %at: !k, %S: !kv):
    %d = recur.contract "k,kv->kv"(%at, %S) : (!k, !kv) -> !kv
    %w = recur.contract "k,v->kv"(%kt, %vt) : (!k, !v) -> !kv
    %n = recur.map add(%d, %w) : (!kv, !kv) -> !kv
    %r = recur.contract "k,kv->v"(%kt, %n) : (!k, !kv) -> !v
    %t = recur.map tanh(%r) : (!v) -> !v
    %q = recur.contract "kv,v->k"(%S, %vt) : (!kv, !v) -> !k
    recur.yield states(%n : !kv) outputs(%t, %q : !v, !k)
  } : !bt_v, !bt_k, !b_kv
  return %o, %p, %ST : !bt_v, !bt_k, !b_kv
}

// S - b k (kᵀS) + b k vᵀ, the state transposed: the transition contracts the second axis, which is the key axis therefore.
// CHECK-LABEL: func.func @delta(
// CHECK: recur.delta_scan
// CHECK: key_axes [1] decays [] outers [0] transitions [0] readouts [#recur.readout<0, 1>] coefficients {
// CHECK: keys(%[[KEY:[a-z0-9]*]] : tensor<?xf64, #K>) values(%{{.*}} : tensor<?xf64, #V>) writes(%[[KEY]] : tensor<?xf64, #K>)
func.func @delta(%k: !bt_k, %v: !bt_v, %b: !bt, %S0: !b_vk) -> (!bt_v, !b_vk) {
  %o, %ST = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v, %b : !bt_k, !bt_v, !bt)
      inits(%S0 : !b_vk) {
  ^bb0(%kt: !k, %vt: !v, %bt: !s, %S: !vk):
    %read = recur.contract "vk,k->v"(%S, %kt) : (!vk, !k) -> !v
    %error = recur.map sub(%vt, %read) : (!v, !v) -> !v
    %key = recur.map mul(%bt, %kt) : (!s, !k) -> !k
    %w = recur.contract "v,k->vk"(%error, %key) : (!v, !k) -> !vk
    %n = recur.map add(%S, %w) : (!vk, !vk) -> !vk
    %y = recur.contract "vk,k->v"(%n, %kt) : (!vk, !k) -> !v
    recur.yield states(%n : !vk) outputs(%y : !v)
  } : !bt_v, !b_vk
  return %o, %ST : !bt_v, !b_vk
}

// A gate of its own recurrence goes first, and hands its value to the matrix state step by step; packed sequences are theirs both.
// CHECK-LABEL: func.func @two_strata(
// CHECK: %[[G:.*]]:2 = recur.linear_scan {{.*}} states [#recur.state<"m", {{\[\[}}1]]>]
// CHECK: inputs(%arg2
// CHECK: offsets(%arg5 : tensor<?xi64>) semiring max_plus
// CHECK: %[[S:.*]]:2 = recur.expand_scan {{.*}} states [#recur.state<"S", {{\[\[}}1]]>]
// CHECK: inputs({{.*}}%[[G]]#0
// CHECK: offsets(%arg5 : tensor<?xi64>) key_axes [0] decays [#recur.decay<0, []>] outers [0] readouts [#recur.readout<0, 0>]
// CHECK: return %[[S]]#0, %[[G]]#1, %[[S]]#1
func.func @two_strata(%k: !bt_k, %v: !bt_v, %g: !bt, %S0: !b_kv, %m0: !b, %offsets: tensor<?xi64>) -> (!bt_v, !b, !b_kv) {
  %o, %ST, %mT = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>, #recur.state<"m", [[1]]>]
      inputs(%k, %v, %g : !bt_k, !bt_v, !bt) inits(%S0, %m0 : !b_kv, !b) offsets(%offsets : tensor<?xi64>) {
  ^bb0(%kt: !k, %vt: !v, %gt: !s, %S: !kv, %m: !s):
    %mn = recur.map max(%m, %gt) : (!s, !s) -> !s
    %d = recur.map sub(%m, %mn) : (!s, !s) -> !s
    %a = recur.map exp(%d) : (!s) -> !s
    %e = recur.map mul(%a, %S) : (!s, !kv) -> !kv
    %w = recur.contract "k,v->kv"(%kt, %vt) : (!k, !v) -> !kv
    %n = recur.map add(%e, %w) : (!kv, !kv) -> !kv
    %r = recur.contract "k,kv->v"(%kt, %n) : (!k, !kv) -> !v
    recur.yield states(%n, %mn : !kv, !s) outputs(%r : !v)
  } : !bt_v, !b_kv, !b
  return %o, %mT, %ST : !bt_v, !b, !b_kv
}

// What the matrix state takes of an earlier stratum is an output already: it is stored once.
// CHECK-LABEL: func.func @output_handed_on(
// CHECK: %[[H:.*]]:2 = recur.scan {{.*}} states [#recur.state<"h", {{\[\[}}1]]>]
// CHECK: recur.yield states(%[[NEW:.*]] : {{.*}}) outputs(%[[NEW]] : tensor<?xf64, #K>)
// CHECK: %[[S:.*]] = recur.expand_scan {{.*}} states [#recur.state<"S", {{\[\[}}1]]>]
// CHECK: inputs(%arg1, %[[H]]#0 :
// CHECK: return %[[H]]#0, %[[H]]#1, %[[S]]
func.func @output_handed_on(%x: !bt_k, %v: !bt_v, %h0: !b_k, %S0: !b_kv) -> (!bt_k, !b_k, !b_kv) {
  %y, %h, %ST = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>, #recur.state<"S", [[1]]>]
      inputs(%x, %v : !bt_k, !bt_v) inits(%h0, %S0 : !b_k, !b_kv) {
  ^bb0(%xt: !k, %vt: !v, %ht: !k, %S: !kv):
    %p = recur.map add(%xt, %ht) : (!k, !k) -> !k
    %hn = recur.map tanh(%p) : (!k) -> !k
    %w = recur.contract "k,v->kv"(%hn, %vt) : (!k, !v) -> !kv
    %n = recur.map add(%S, %w) : (!kv, !kv) -> !kv
    recur.yield states(%hn, %n : !k, !kv) outputs(%hn : !k)
  } : !bt_k, !b_k, !b_kv
  return %y, %h, %ST : !bt_k, !b_k, !b_kv
}

// What decays by nothing, and what takes in nothing: the coefficients are constants, of sizes that are not known yet.
// CHECK-LABEL: func.func @constants(
// CHECK: recur.linear_scan {{.*}} states [#recur.state<"m", {{\[\[}}1]]>]
// CHECK: semiring max_plus coefficients {
// CHECK: %[[ZERO:.*]] = arith.constant dense<0.000000e+00> : tensor<f64, #scalar>
// CHECK: %[[ZEROS:.*]] = recur.broadcast [0](%[[ZERO]])
// CHECK: recur.coefficients decays(%[[ZEROS]] : {{.*}}) values(%{{.*}} : {{.*}})
// CHECK: recur.linear_scan {{.*}} states [#recur.state<"h", {{\[\[}}1]]>]
// CHECK: semiring plus_times coefficients {
// CHECK: ^bb0(%[[X:.*]]: tensor<?xf64, #K>):
// CHECK: %[[ZERO:.*]] = arith.constant dense<0.000000e+00> : tensor<f64, #scalar>
// CHECK: %[[ZEROS:.*]] = recur.broadcast [0](%[[ZERO]])
// CHECK: recur.coefficients decays(%[[X]] : {{.*}}) values(%[[ZEROS]] : {{.*}})
func.func @constants(%x: !bt_k, %h0: !b_k) -> (!b_k, !b_k) {
  %mT = recur.scan over [#recur.axis<"t">] states [#recur.state<"m", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k) {
  ^bb0(%xt: !k, %m: !k):
    %n = recur.map max(%m, %xt) : (!k, !k) -> !k
    recur.yield states(%n : !k)
  } : !b_k
  %y, %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k) {
  ^bb0(%xt: !k, %h: !k):
    %n = recur.map mul(%h, %xt) : (!k, !k) -> !k
    recur.yield states(%n : !k) outputs(%n : !k)
  } : !bt_k, !b_k
  return %mT, %hT : !b_k, !b_k
}

// Resets alone say how many steps there are; each scan of a split has them.
// CHECK-LABEL: func.func @no_inputs(
// CHECK: recur.scan {{.*}} states [#recur.state<"g"
// CHECK: resets(%arg0
// CHECK: recur.expand_scan {{.*}} states [#recur.state<"S"
// CHECK: resets(%arg0
// CHECK: outers [0]
func.func @no_inputs(%r: !r, %v: !v, %g0: !b_k, %S0: !b_kv) -> (!b_k, !b_kv) {
  %gT, %ST = recur.scan over [#recur.axis<"t">] states [#recur.state<"g", [[1]]>, #recur.state<"S", [[1]]>] params(%v : !v)
      inits(%g0, %S0 : !b_k, !b_kv) resets(%r : !r) {
  ^bb0(%vt: !v, %g: !k, %S: !kv):
    %t = recur.map tanh(%g) : (!k) -> !k
    %w = recur.contract "k,v->kv"(%t, %vt) : (!k, !v) -> !kv
    %n = recur.map add(%S, %w) : (!kv, !kv) -> !kv
    recur.yield states(%t, %n : !k, !kv)
  } : !b_k, !b_kv
  return %gT, %ST : !b_k, !b_kv
}

// A transition that is a full matrix is no sum of outer products, and mixes the elements of a vector.
// CHECK-LABEL: func.func @dense(
// CHECK: recur.scan
// REMARK: remark: raise-scans declines: the transition of state 'h' is no sum of a diagonal and outer products
func.func @dense(%A: !bt_kk, %h0: !b_k) -> !b_k {
  %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%A : !bt_kk) inits(%h0 : !b_k) {
  ^bb0(%At: !kk, %h: !k):
    %n = recur.contract "ab,b->a"(%At, %h) : (!kk, !k) -> !k
    recur.yield states(%n : !k)
  } : !b_k
  return %hT : !b_k
}

// A decay of the values that all has which reads the state comes before the transition.
// CHECK-LABEL: func.func @values_first(
// CHECK: recur.delta_scan
// CHECK: key_axes [0] decays [#recur.decay<0, [1], before>] outers [] transitions [0] readouts [] coefficients {
func.func @values_first(%k: !bt_k, %v: !bt_v, %S0: !b_kv) -> !b_kv {
  %ST = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv) {
  ^bb0(%kt: !k, %vt: !v, %S: !kv):
    %r = recur.contract "kv,k->v"(%S, %kt) : (!kv, !k) -> !v
    %w = recur.contract "k,v->kv"(%kt, %r) : (!k, !v) -> !kv
    %n = recur.map sub(%S, %w) : (!kv, !kv) -> !kv
    %d = recur.contract "kv,v->kv"(%n, %vt) : (!kv, !v) -> !kv
    recur.yield states(%d : !kv)
  } : !b_kv
  return %ST : !b_kv
}

// Beside it, where the transition has none; and what it shares with the rest comes first.
// CHECK-LABEL: func.func @values_beside(
// CHECK: decays [#recur.decay<0, [1]>] outers [] transitions [0]
// CHECK: decays [#recur.decay<0, [1], before>, #recur.decay<0, [1]>] outers [] transitions [0]
func.func @values_beside(%k: !bt_k, %v: !bt_v, %u: !bt_v, %S0: !b_kv) -> (!b_kv, !b_kv) {
  %ST = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv) {
  ^bb0(%kt: !k, %vt: !v, %S: !kv):
    %r = recur.contract "kv,k->v"(%S, %kt) : (!kv, !k) -> !v
    %w = recur.contract "k,v->kv"(%kt, %r) : (!k, !v) -> !kv
    %d = recur.contract "kv,v->kv"(%S, %vt) : (!kv, !v) -> !kv
    %n = recur.map sub(%d, %w) : (!kv, !kv) -> !kv
    recur.yield states(%n : !kv)
  } : !b_kv
  %RT = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v, %u : !bt_k, !bt_v, !bt_v) inits(%S0 : !b_kv) {
  ^bb0(%kt: !k, %vt: !v, %ut: !v, %S: !kv):
    %d = recur.contract "kv,v->kv"(%S, %vt) : (!kv, !v) -> !kv
    %r = recur.contract "kv,k->v"(%d, %kt) : (!kv, !k) -> !v
    %w = recur.contract "k,v->kv"(%kt, %r) : (!k, !v) -> !kv
    %e = recur.contract "kv,v->kv"(%d, %ut) : (!kv, !v) -> !kv
    %n = recur.map sub(%e, %w) : (!kv, !kv) -> !kv
    recur.yield states(%n : !kv)
  } : !b_kv
  return %ST, %RT : !b_kv, !b_kv
}

// A product of two matrices first: the state is multiplied by one after the other, a move each.
// CHECK-LABEL: func.func @product_of_matrices(
// CHECK: recur.delta_scan
// CHECK: key_axes [0] decays [] outers [] transitions [0, 0] readouts [] attributes {recur.moves = array<i64: 0, 1>} coefficients {
func.func @product_of_matrices(%k: !bt_k, %j: !bt_k, %S0: !b_kv) -> !b_kv {
  %ST = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %j : !bt_k, !bt_k) inits(%S0 : !b_kv) {
  ^bb0(%kt: !k, %jt: !k, %S: !kv):
    %i = recur.identity : !kk
    %kk = recur.contract "a,b->ab"(%kt, %kt) : (!k, !k) -> !kk
    %jj = recur.contract "a,b->ab"(%jt, %jt) : (!k, !k) -> !kk
    %A = recur.map sub(%i, %kk) : (!kk, !kk) -> !kk
    %B = recur.map sub(%i, %jj) : (!kk, !kk) -> !kk
    %M = recur.contract "ab,bc->ac"(%A, %B) : (!kk, !kk) -> !kk
    %n = recur.contract "ab,bc->ac"(%M, %S) : (!kk, !kv) -> !kv
    recur.yield states(%n : !kv)
  } : !b_kv
  return %ST : !b_kv
}

// A transition with values of its own is blamed.
// CHECK-LABEL: func.func @values_of_transition(
// CHECK: recur.scan
// REMARK: remark: raise-scans declines: a transition of state 'S' varies along its values, and not as all that it keeps does
// REMARK: [[@LINE+5]]:10: note: because of this
func.func @values_of_transition(%k: !bt_k, %v: !bt_v, %S0: !b_kv) -> !b_kv {
  %ST = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv) {
  ^bb0(%kt: !k, %vt: !v, %S: !kv):
    %r = recur.contract "kv,k->v"(%S, %kt) : (!kv, !k) -> !v
    %t = recur.map tanh(%vt) : (!v) -> !v
    %e = recur.map mul(%r, %t) : (!v, !v) -> !v
    %w = recur.contract "k,v->kv"(%kt, %e) : (!k, !v) -> !kv
    %n = recur.map sub(%S, %w) : (!kv, !kv) -> !kv
    recur.yield states(%n : !kv)
  } : !b_kv
  return %ST : !b_kv
}

// A nonlinear update: the remark names the state, and the note the operation.
// CHECK-LABEL: func.func @cell(
// CHECK: recur.scan
// REMARK: remark: raise-scans declines: state 'h' is not linear in the states
// REMARK: [[@LINE+5]]:10: note: because of this
func.func @cell(%x: !bt_k, %h0: !b_k) -> !b_k {
  %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k) {
  ^bb0(%xt: !k, %h: !k):
    %p = recur.map add(%xt, %h) : (!k, !k) -> !k
    %n = recur.map tanh(%p) : (!k) -> !k
    recur.yield states(%n : !k)
  } : !b_k
  return %hT : !b_k
}

// An output that is the whole of a matrix keeps the expansion from being one; elementwise it still is.
// CHECK-LABEL: func.func @whole_matrix(
// CHECK: recur.linear_scan
// CHECK: semiring plus_times
func.func @whole_matrix(%k: !bt_k, %v: !bt_v, %S0: !b_kv) -> (!bt_kv, !b_kv) {
  %o, %ST = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v : !bt_k, !bt_v)
      inits(%S0 : !b_kv) {
  ^bb0(%kt: !k, %vt: !v, %S: !kv):
    %w = recur.contract "k,v->kv"(%kt, %vt) : (!k, !v) -> !kv
    %n = recur.map add(%S, %w) : (!kv, !kv) -> !kv
    recur.yield states(%n : !kv) outputs(%n : !kv)
  } : !bt_kv, !b_kv
  return %o, %ST : !bt_kv, !b_kv
}

// Of a delta rule nothing is left then.
// CHECK-LABEL: func.func @whole_delta(
// CHECK: recur.scan
// REMARK: remark: raise-scans declines: an output reads the whole of a state
func.func @whole_delta(%k: !bt_k, %S0: !b_kv) -> (!bt_kv, !b_kv) {
  %o, %ST = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k : !bt_k) inits(%S0 : !b_kv) {
  ^bb0(%kt: !k, %S: !kv):
    %r = recur.contract "kv,k->v"(%S, %kt) : (!kv, !k) -> !v
    %w = recur.contract "k,v->kv"(%kt, %r) : (!k, !v) -> !kv
    %n = recur.map sub(%S, %w) : (!kv, !kv) -> !kv
    recur.yield states(%n : !kv) outputs(%n : !kv)
  } : !bt_kv, !b_kv
  return %o, %ST : !bt_kv, !b_kv
}

// A state that keeps nothing of its old value is no linear one: times zero, an infinite value would be no number.
// CHECK-LABEL: func.func @delay(
// CHECK: recur.scan
// REMARK: remark: raise-scans declines: state 'h' keeps nothing of its old value
func.func @delay(%x: !bt_k, %h0: !b_k) -> (!bt_k, !b_k) {
  %y, %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k) {
  ^bb0(%xt: !k, %h: !k):
    recur.yield states(%xt : !k) outputs(%h : !k)
  } : !bt_k, !b_k
  return %y, %hT : !bt_k, !b_k
}

// What a matrix state takes from it is handed on.
// CHECK-LABEL: func.func @delayed_key(
// CHECK: %[[H:.*]]:2 = recur.scan {{.*}} states [#recur.state<"h"
// CHECK: recur.expand_scan {{.*}} states [#recur.state<"S"
// CHECK: inputs({{.*}}%[[H]]#0
func.func @delayed_key(%k: !bt_k, %v: !bt_v, %h0: !b_k, %S0: !b_kv) -> (!b_k, !b_kv) {
  %hT, %ST = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>, #recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%h0, %S0 : !b_k, !b_kv) {
  ^bb0(%kt: !k, %vt: !v, %h: !k, %S: !kv):
    %w = recur.contract "k,v->kv"(%h, %vt) : (!k, !v) -> !kv
    %n = recur.map add(%S, %w) : (!kv, !kv) -> !kv
    recur.yield states(%kt, %n : !k, !kv)
  } : !b_k, !b_kv
  return %hT, %ST : !b_k, !b_kv
}

// Further back than one step.
// CHECK-LABEL: func.func @lag(
// CHECK: recur.scan
// REMARK: remark: raise-scans declines: state 'h' is not read one step back alone
func.func @lag(%x: !bt_k, %h0: !bl_k) -> !bl_k {
  %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[2]]>] inputs(%x : !bt_k) inits(%h0 : !bl_k) {
  ^bb0(%xt: !k, %h: !k):
    %n = recur.map add(%xt, %h) : (!k, !k) -> !k
    recur.yield states(%n : !k)
  } : !bl_k
  return %hT : !bl_k
}

// Over two axes.
// CHECK-LABEL: func.func @grid(
// CHECK: recur.scan
// REMARK: remark: raise-scans declines: it scans 2 axes
func.func @grid(%x: tensor<?x?x?xf64, #recur.dims<batch, time, time1>>, %h0: !b) -> !b {
  %r, %c = recur.scan over [#recur.axis<"r">, #recur.axis<"c">] states [#recur.state<"h", [[1, 0]]>]
      inputs(%x : tensor<?x?x?xf64, #recur.dims<batch, time, time1>>) inits(%h0 : !b) {
  ^bb0(%xt: !s, %h: !s):
    %n = recur.map add(%xt, %h) : (!s, !s) -> !s
    recur.yield states(%n : !s)
  } : tensor<?x?xf64, #recur.dims<batch, time1>>, !bt
  return %h0 : !b
}

// Without a state.
// CHECK-LABEL: func.func @stateless(
// CHECK: recur.scan
// REMARK: remark: raise-scans declines: it has no state
func.func @stateless(%x: !bt_k) -> !bt_k {
  %y = recur.scan over [#recur.axis<"t">] inputs(%x : !bt_k) {
  ^bb0(%xt: !k):
    recur.yield outputs(%xt : !k)
  } : !bt_k
  return %y : !bt_k
}

// A raised scan stays as it is.
// CHECK-LABEL: func.func @raised(
// CHECK: recur.linear_scan
// CHECK-NOT: recur.map
// CHECK: return
// REMARK-NOT: remark
func.func @raised(%x: !bt_k, %h0: !b_k) -> !b_k {
  %hT = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring max_plus coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %h: !k, %h1: !k):
    recur.yield
  } : !b_k
  return %hT : !b_k
}
