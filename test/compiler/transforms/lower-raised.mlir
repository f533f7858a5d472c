// RUN: rondo-opt --lower-raised %s | FileCheck %s

!s = tensor<f64, #recur.dims<>>
!k = tensor<4xf64, #recur.dims<| "4">>
!v = tensor<8xf64, #recur.dims<| "8">>
!kv = tensor<4x8xf64, #recur.dims<| "4", "8">>
!b_k = tensor<?x4xf64, #recur.dims<batch | "4">>
!b_v = tensor<?x8xf64, #recur.dims<batch | "8">>
!b_kv = tensor<?x4x8xf64, #recur.dims<batch | "4", "8">>
!b_vk = tensor<?x8x4xf64, #recur.dims<batch | "8", "4">>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>
!bt_k = tensor<?x?x4xf64, #recur.dims<batch, time | "4">>
!bt_v = tensor<?x?x8xf64, #recur.dims<batch, time | "8">>
!r = tensor<?x?xi1, #recur.dims<batch, time>>

// All operands come along; a * h₋ + b, then the readout of the new and the old state.
// CHECK-LABEL: func.func @plus_times(
// CHECK:      recur.scan over [#recur.axis<"t", reverse>] states [#recur.state<"h", {{\[\[}}1]]>]
// CHECK-NEXT:   inputs(%arg0
// CHECK-NEXT:   params(%arg1
// CHECK-NEXT:   inits(%arg2
// CHECK-NEXT:   resets(%arg3
// CHECK-NEXT:   offsets(%arg4 : tensor<?xi64>) {
// CHECK-NEXT: ^bb0(%[[X:.*]]: {{.*}}, %[[A:.*]]: {{.*}}, %h: {{.*}}):
// CHECK:        %[[DECAYED:.*]] = recur.map mul(%[[A]], %h)
// CHECK-NEXT:   %[[NEW:.*]] = recur.map add(%[[DECAYED]], %[[X]])
// CHECK-NEXT:   %[[Y:.*]] = recur.map sub(%[[NEW]], %h)
// CHECK-NEXT:   recur.yield states(%[[NEW]] : {{.*}}) outputs(%[[Y]] : {{.*}})
func.func @plus_times(%x: !bt_k, %a: !k, %h0: !b_k, %r: !r, %o: tensor<?xi64>) -> (!bt_k, !b_k) {
  %y, %hT = recur.linear_scan over [#recur.axis<"t", reverse>] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k)
      params(%a : !k) inits(%h0 : !b_k) resets(%r : !r) offsets(%o : tensor<?xi64>) semiring plus_times coefficients {
  ^bb0(%xt: !k, %at: !k):
    recur.coefficients decays(%at : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %at: !k, %new: !k, %old: !k):
    %d = recur.map sub(%new, %old) : (!k, !k) -> !k
    recur.yield outputs(%d : !k)
  } : !bt_k, !b_k
  return %y, %hT : !bt_k, !b_k
}

// CHECK-LABEL: func.func @max_plus(
// CHECK: %[[SHIFTED:.*]] = recur.map add(%[[X:.*]], %h)
// CHECK-NEXT: %[[NEW:.*]] = recur.map max(%[[SHIFTED]], %[[X]])
// CHECK-NEXT: recur.yield states(%[[NEW]] : {{.*}})
func.func @max_plus(%x: !bt_k, %h0: !b_k) -> !b_k {
  %hT = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring max_plus coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield
  } : !b_k
  return %hT : !b_k
}

// max + log1p(exp(-|x - y|)); where the difference is no number, the maximum.
// CHECK-LABEL: func.func @log_plus(
// CHECK: %[[SHIFTED:.*]] = recur.map add(%[[X:.*]], %h)
// CHECK: %[[MAX:.*]] = recur.map max(%[[SHIFTED]], %[[X]])
// CHECK: %[[D:.*]] = recur.map sub(%[[SHIFTED]], %[[X]])
// CHECK: %[[ABS:.*]] = recur.map abs(%[[D]])
// CHECK: %[[NEG:.*]] = recur.map neg(%[[ABS]])
// CHECK: %[[EXP:.*]] = recur.map exp(%[[NEG]])
// CHECK: %[[LOG:.*]] = recur.map log1p(%[[EXP]])
// CHECK: %[[SUM:.*]] = recur.map add(%[[MAX]], %[[LOG]])
// CHECK: %[[FINITE:.*]] = recur.map eq(%[[ABS]], %[[ABS]])
// CHECK: %[[NEW:.*]] = recur.map select(%[[FINITE]], %[[SUM]], %[[MAX]])
// CHECK: recur.yield states(%[[NEW]] : {{.*}})
func.func @log_plus(%x: !bt_k, %h0: !b_k) -> !b_k {
  %hT = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring log_plus coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield
  } : !b_k
  return %hT : !b_k
}

// A matrix with decays of every kind, and with readouts after and before the update; a state with one axis.
// CHECK-LABEL: func.func @expand(
// CHECK: ^bb0(%[[K:.*]]: tensor<4xf64, {{.*}}>, %[[V:.*]]: tensor<8xf64, {{.*}}>, %[[G:.*]]: tensor<f64, {{.*}}>, %S: {{.*}}, %n: {{.*}}):
// CHECK: %[[D0:.*]] = recur.map mul(%S, %[[G]])
// CHECK: %[[D1:.*]] = recur.contract "ab,a->ab"(%[[D0]], %[[K]])
// CHECK: %[[D2:.*]] = recur.contract "ab,b->ab"(%[[D1]], %[[V]])
// CHECK: %[[OUTER:.*]] = recur.contract "a,b->ab"(%[[K]], %[[V]])
// CHECK: %[[S:.*]] = recur.map add(%[[D2]], %[[OUTER]])
// CHECK: %[[WRITE:.*]] = recur.map mul(%[[K]], %[[G]])
// CHECK: %[[N:.*]] = recur.map add(%n, %[[WRITE]])
// CHECK: %[[AFTER:.*]] = recur.contract "ab,a->b"(%[[S]], %[[K]])
// CHECK: %[[BEFORE:.*]] = recur.contract "ab,b->a"(%S, %[[V]])
// CHECK: %[[DOT:.*]] = recur.contract "a,a->"(%[[N]], %[[K]])
// CHECK: recur.yield states(%[[S]], %[[N]] : {{.*}}) outputs(%[[AFTER]], %[[BEFORE]], %[[DOT]] : {{.*}})
func.func @expand(%k: !bt_k, %v: !bt_v, %g: !bt, %S0: !b_kv, %n0: !b_k) -> (!b_kv, !b_k) {
  %0:5 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>, #recur.state<"n", [[1]]>]
      inputs(%k, %v, %g : !bt_k, !bt_v, !bt) inits(%S0, %n0 : !b_kv, !b_k) key_axes [0, 0]
      decays [#recur.decay<0, []>, #recur.decay<0, [0]>, #recur.decay<0, [1]>] outers [0, 1]
      readouts [#recur.readout<0, 0>, #recur.readout<0, 1, before>, #recur.readout<1, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v, %gt: !s):
    recur.coefficients decays(%gt, %kt, %vt : !s, !k, !v) keys(%kt, %kt : !k, !k) values(%vt, %gt : !v, !s)
      queries(%kt, %vt, %kt : !k, !v, !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %gt: !s, %a: !v, %b: !k, %c: !s):
    recur.yield outputs(%a, %b, %c : !v, !k, !s)
  } : !bt_v, !bt_k, !bt, !b_kv, !b_k
  return %0#3, %0#4 : !b_kv, !b_k
}

// A decay of every element by itself, and a state with a value axis alone.
// CHECK-LABEL: func.func @full_decay(
// CHECK: %[[D:.*]] = recur.map mul(%S, %[[A:.*]])
// CHECK: recur.map add(%[[D]],
// CHECK: %[[W:.*]] = recur.map mul(%[[V:.*]], %[[G:.*]])
// CHECK: recur.map add(%m, %[[W]])
func.func @full_decay(%v: !bt_v, %g: !bt, %A: !kv, %k: !k, %S0: !b_kv, %m0: !b_v) -> (!b_kv, !b_v) {
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>, #recur.state<"m", [[1]]>]
      inputs(%v, %g : !bt_v, !bt) params(%A, %k : !kv, !k) inits(%S0, %m0 : !b_kv, !b_v) key_axes [0, -1]
      decays [#recur.decay<0, [0, 1]>] outers [0, 1] readouts [] coefficients {
  ^bb0(%vt: !v, %gt: !s, %At: !kv, %kt: !k):
    recur.coefficients decays(%At : !kv) keys(%kt, %gt : !k, !s) values(%vt, %vt : !v, !v)
  } readout {
  ^bb0(%vt: !v, %gt: !s, %At: !kv, %kt: !k):
    recur.yield
  } : !b_kv, !b_v
  return %0#0, %0#1 : !b_kv, !b_v
}

// What is written along one vector is summed first, so that there is one outer product.
// CHECK-LABEL: func.func @delta(
// CHECK: ^bb0(%[[K:.*]]: tensor<4xf64, {{.*}}>, %[[V:.*]]: tensor<8xf64, {{.*}}>, %S: {{.*}}):
// CHECK: %[[R:.*]] = recur.map neg(%[[K]])
// CHECK: %[[READ:.*]] = recur.contract "ab,b->a"(%S, %[[R]])
// CHECK: %[[ALONG:.*]] = recur.map add(%[[V]], %[[READ]])
// CHECK: recur.contract "b,a->ab"(%[[K]], %[[ALONG]])
// CHECK-NOT: recur.contract
// CHECK: recur.yield
func.func @delta(%k: !bt_k, %v: !bt_v, %S0: !b_vk) -> !b_vk {
  %ST = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v : !bt_k, !bt_v)
      inits(%S0 : !b_vk) key_axes [1] decays [] outers [0] transitions [0] readouts [] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    %r = recur.map neg(%kt) : (!k) -> !k
    recur.coefficients keys(%kt : !k) values(%vt : !v) writes(%kt : !k) reads(%r : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v):
    recur.yield
  } : !b_vk
  return %ST : !b_vk
}

// A decay before the transition is in what the transition read.
// CHECK-LABEL: func.func @delta_behind_decay(
// CHECK: ^bb0(%[[K:.*]]: tensor<4xf64, {{.*}}>, %[[V:.*]]: tensor<8xf64, {{.*}}>, %[[S:.*]]: tensor<8x4xf64, {{.*}}>):
// CHECK-NEXT: %[[READ:.*]] = recur.contract "ab,b->a"(%[[S]], %[[K]])
// CHECK-NEXT: %[[DECAYED:.*]] = recur.map mul(%[[READ]], %[[V]])
// CHECK-NEXT: %[[KEPT:.*]] = recur.contract "ab,a->ab"(%[[S]], %[[V]])
// CHECK-NEXT: %[[WRITTEN:.*]] = recur.contract "b,a->ab"(%[[K]], %[[DECAYED]])
// CHECK-NEXT: recur.map add(%[[KEPT]], %[[WRITTEN]])
func.func @delta_behind_decay(%k: !bt_k, %v: !bt_v, %S0: !b_vk) -> !b_vk {
  %ST = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v : !bt_k, !bt_v)
      inits(%S0 : !b_vk) key_axes [1] decays [#recur.decay<0, [0], before>] outers [] transitions [0] readouts [] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%vt : !v) writes(%kt : !k) reads(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v):
    recur.yield
  } : !b_vk
  return %ST : !b_vk
}

// Other scans stay as they are.
// CHECK-LABEL: func.func @plain(
// CHECK: recur.scan {{.*}} states [#recur.state<"h", {{\[\[}}1], [2]]>]
// CHECK: %[[N:.*]] = recur.map add(%h, %h_2)
// CHECK-NEXT: recur.yield states(%[[N]] : {{.*}})
func.func @plain(%x: !bt_k, %h0: tensor<?x?x4xf64, #recur.dims<batch, lag | "4">>) -> tensor<?x?x4xf64, #recur.dims<batch, lag | "4">> {
  %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1], [2]]>] inputs(%x : !bt_k)
      inits(%h0 : tensor<?x?x4xf64, #recur.dims<batch, lag | "4">>) {
  ^bb0(%xt: !k, %h1: !k, %h2: !k):
    %n = recur.map add(%h1, %h2) : (!k, !k) -> !k
    recur.yield states(%n : !k)
  } : tensor<?x?x4xf64, #recur.dims<batch, lag | "4">>
  return %hT : tensor<?x?x4xf64, #recur.dims<batch, lag | "4">>
}
