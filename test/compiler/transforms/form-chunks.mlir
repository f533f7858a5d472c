// RUN: rondo-opt --form-chunks %s 2>%t | FileCheck %s
// RUN: FileCheck --check-prefix=REMARK %s < %t
// RUN: rondo-opt --form-chunks %s 2>/dev/null | rondo-opt --verify-roundtrip

!s = tensor<f32, #recur.dims<>>
!k = tensor<4xf32, #recur.dims<| "4">>
!v = tensor<8xf32, #recur.dims<| "8">>
!kv = tensor<4x8xf32, #recur.dims<| "4", "8">>
!b_k = tensor<?x4xf32, #recur.dims<batch | "4">>
!b_kv = tensor<?x4x8xf32, #recur.dims<batch | "4", "8">>
!b_kvc = tensor<?x4x8xcomplex<f32>, #recur.dims<batch | "4", "8">>
!bt = tensor<?x?xf32, #recur.dims<batch, time>>
!bt_k = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!bt_v = tensor<?x?x8xf32, #recur.dims<batch, time | "8">>
!r = tensor<?x?xi1, #recur.dims<batch, time>>

// A decay along the key axis. All operands come along; the step is there beside the chunk.
// CHECK-LABEL: func.func @key_decay(
// CHECK:      chunk.scan over [#recur.axis<"t", reverse>] states [#recur.state<"S", {{\[\[}}1]]>]
// CHECK-NEXT:   inputs(%arg0, %arg1, %arg2
// CHECK-NEXT:   inits(%arg3
// CHECK-NEXT:   resets(%arg4
// CHECK-NEXT:   offsets(%arg5 : tensor<?xi64>)
// CHECK-NEXT:   plan <form = chunk, schedule = carry, chunk = 3> step {
// CHECK-NEXT: ^bb0(%[[K:.*]]: tensor<4xf32, {{.*}}>, %[[V:.*]]: tensor<8xf32, {{.*}}>, %[[A:.*]]: tensor<4xf32, {{.*}}>, %[[S:.*]]: tensor<4x8xf32, {{.*}}>):
// CHECK:        recur.contract "ab,a->ab"(%[[S]], %[[A]])
// CHECK:      } chunk {
// CHECK-NEXT: ^bb0(%[[K:.*]]: tensor<3x4xf32, {{.*}}>, %[[V:.*]]: tensor<3x8xf32, {{.*}}>, %[[A:.*]]: tensor<3x4xf32, {{.*}}>, %[[S:.*]]: tensor<4x8xf32, {{.*}}>):
// What the query reads of the state before the chunk, and of the chunk's own steps.
// CHECK:        %[[THROUGH:.*]] = chunk.products through(%[[A]])
// CHECK-NEXT:   %[[Q:.*]] = recur.map mul(%[[K]], %[[THROUGH]])
// CHECK-NEXT:   %[[CARRIED:.*]] = recur.contract "ta,ab->tb"(%[[Q]], %[[S]])
// CHECK-NEXT:   %[[SCORES:.*]] = chunk.scores(%[[K]], %[[K]]) decay(%[[A]] : {{.*}}) :
// CHECK-NEXT:   %[[SOURCE:.*]] = chunk.as_source(%[[V]])
// CHECK-NEXT:   %[[INNER:.*]] = recur.contract "ts,sv->tv"(%[[SCORES]], %[[SOURCE]])
// CHECK-NEXT:   %[[READ:.*]] = recur.map add(%[[CARRIED]], %[[INNER]])
// The state behind the chunk.
// CHECK-NEXT:   %[[ALL:.*]] = chunk.products all(%[[A]])
// CHECK-NEXT:   %[[KEPT:.*]] = recur.contract "ab,a->ab"(%[[S]], %[[ALL]])
// CHECK-NEXT:   %[[AFTER:.*]] = chunk.products after(%[[A]])
// CHECK-NEXT:   %[[KEYS:.*]] = recur.map mul(%[[K]], %[[AFTER]])
// CHECK-NEXT:   %[[WRITTEN:.*]] = recur.contract "ta,tb->ab"(%[[KEYS]], %[[V]])
// CHECK-NEXT:   %[[NEW:.*]] = recur.map add(%[[KEPT]], %[[WRITTEN]])
// The readout, of all steps at once.
// CHECK-NEXT:   %[[O:.*]] = recur.map tanh(%[[READ]])
// CHECK-NEXT:   recur.yield states(%[[NEW]] : {{.*}}) outputs(%[[O]] : {{.*}})
// CHECK-NEXT: } : tensor<?x?x8xf32, {{.*}}>, tensor<?x4x8xf32, {{.*}}>
func.func @key_decay(%k: !bt_k, %v: !bt_v, %a: !bt_k, %S0: !b_kv, %r: !r, %offsets: tensor<?xi64>) -> (!bt_v, !b_kv) {
  %o, %ST = recur.expand_scan over [#recur.axis<"t", reverse>] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v, %a : !bt_k, !bt_v, !bt_k) inits(%S0 : !b_kv) resets(%r : !r) offsets(%offsets : tensor<?xi64>)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>]
      attributes {chunk.plan = #chunk.plan<form = chunk, schedule = carry, chunk = 3>} coefficients {
  ^bb0(%kt: !k, %vt: !v, %at: !k):
    recur.coefficients decays(%at : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %at: !k, %y: !v):
    %t = recur.map tanh(%y) : (!v) -> !v
    recur.yield outputs(%t : !v)
  } : !bt_v, !b_kv
  return %o, %ST : !bt_v, !b_kv
}

// A number that decays, and a readout before the update: products of the steps before, scores below the diagonal.
// CHECK-LABEL: func.func @scalar_decay_before(
// CHECK: } chunk {
// CHECK: ^bb0(%[[K:.*]]: tensor<3x4xf32, {{.*}}>, %[[V:.*]]: tensor<3x8xf32, {{.*}}>, %[[A:.*]]: tensor<3xf32, {{.*}}>, %[[S:.*]]: tensor<4x8xf32
// CHECK: %[[P:.*]] = chunk.products before(%[[A]]) : tensor<3xf32
// CHECK: %[[Q:.*]] = recur.contract "tk,t->tk"(%[[K]], %[[P]])
// CHECK: recur.contract "ta,ab->tb"(%[[Q]], %[[S]])
// CHECK: chunk.scores(%[[K]], %[[K]]) decay(%[[A]] : tensor<3xf32, {{.*}}>) before
// CHECK: %[[ALL:.*]] = chunk.products all(%[[A]]) : tensor<3xf32, {{.*}}> -> tensor<f32
// CHECK: recur.map mul(%[[S]], %[[ALL]])
func.func @scalar_decay_before(%k: !bt_k, %v: !bt_v, %a: !bt, %S0: !b_kv) -> (!bt_v, !b_kv) {
  %o, %ST = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v, %a : !bt_k, !bt_v, !bt) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, []>] outers [0] readouts [#recur.readout<0, 0, before>]
      attributes {chunk.plan = #chunk.plan<form = chunk, schedule = carry, chunk = 3>} coefficients {
  ^bb0(%kt: !k, %vt: !v, %at: !s):
    recur.coefficients decays(%at : !s) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %at: !s, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return %o, %ST : !bt_v, !b_kv
}

// A decay along the value axis that every step shares: it is repeated, and the values decay on the way.
// CHECK-LABEL: func.func @value_decay(
// CHECK: } chunk {
// CHECK: ^bb0(%[[K:.*]]: tensor<3x4xf32, {{.*}}>, %[[V:.*]]: tensor<3x8xf32, {{.*}}>, %[[B:.*]]: tensor<8xf32, {{.*}}>, %[[S:.*]]: tensor<4x8xf32
// CHECK: %[[BS:.*]] = recur.broadcast [0](%[[B]]) : (tensor<8xf32, {{.*}}>) -> tensor<3x8xf32, {{.*}}>
// CHECK: %[[CARRIED:.*]] = recur.contract "ta,ab->tb"(%[[K]], %[[S]])
// CHECK: %[[P:.*]] = chunk.products through(%[[BS]])
// CHECK: recur.map mul(%[[CARRIED]], %[[P]])
// CHECK: %[[SCORES:.*]] = chunk.scores(%[[K]], %[[K]]) :
// CHECK: chunk.apply(%[[SCORES]], %[[V]], %[[BS]]) :
// CHECK: %[[ALL:.*]] = chunk.products all(%[[BS]])
// CHECK: recur.contract "ab,b->ab"(%[[S]], %[[ALL]])
// CHECK: %[[AFTER:.*]] = chunk.products after(%[[BS]])
// CHECK: %[[VS:.*]] = recur.map mul(%[[V]], %[[AFTER]])
// CHECK: recur.contract "ta,tb->ab"(%[[K]], %[[VS]])
func.func @value_decay(%k: !bt_k, %v: !bt_v, %b: !v, %S0: !b_kv) -> (!bt_v, !b_kv) {
  %o, %ST = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) params(%b : !v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [1]>] outers [0] readouts [#recur.readout<0, 0>]
      attributes {chunk.plan = #chunk.plan<form = chunk, schedule = carry, chunk = 3>} coefficients {
  ^bb0(%kt: !k, %vt: !v, %bt: !v):
    recur.coefficients decays(%bt : !v) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %bt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return %o, %ST : !bt_v, !b_kv
}

// Nothing decays: no products at all.
// CHECK-LABEL: func.func @no_decay(
// CHECK: } chunk {
// CHECK-NOT: chunk.products
// CHECK: chunk.scores(%{{.*}}, %{{.*}}) :
// CHECK-NOT: chunk.products
// CHECK: return
func.func @no_decay(%k: !bt_k, %v: !bt_v, %S0: !b_kv) -> (!bt_v, !b_kv) {
  %o, %ST = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v : !bt_k, !bt_v)
      inits(%S0 : !b_kv) key_axes [0] decays [] outers [0] readouts [#recur.readout<0, 0>]
      attributes {chunk.plan = #chunk.plan<form = chunk, schedule = carry, chunk = 3>} coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return %o, %ST : !bt_v, !b_kv
}

// A transition along the key: what it takes at every step is found by substitution, and joins the values of that key.
// CHECK-LABEL: func.func @delta(
// CHECK: } chunk {
// CHECK: ^bb0(%[[K:.*]]: tensor<3x4xf32, {{.*}}>, %[[V:.*]]: tensor<3x8xf32, {{.*}}>, %[[S:.*]]: tensor<4x8xf32
// CHECK: %[[W:.*]] = recur.map neg(%[[K]])
// CHECK: %[[R:.*]] = recur.contract "ta,ab->tb"(%[[W]], %[[S]])
// CHECK: %[[RS:.*]] = chunk.scores(%[[W]], %[[K]]) before
// CHECK: %[[VS:.*]] = chunk.as_source(%[[V]])
// CHECK: %[[RV:.*]] = recur.contract "ts,sv->tv"(%[[RS]], %[[VS]])
// CHECK: %[[RIGHT:.*]] = recur.map add(%[[R]], %[[RV]])
// CHECK: %[[M:.*]] = chunk.scores(%[[W]], %[[K]]) before
// CHECK: %[[TAKEN:.*]] = chunk.solve(%[[M]], %[[RIGHT]])
// CHECK: %[[VALUES:.*]] = recur.map add(%[[V]], %[[TAKEN]])
// CHECK: chunk.as_source(%[[VALUES]])
// CHECK: recur.contract "ta,tb->ab"(%[[K]], %[[VALUES]])
func.func @delta(%k: !bt_k, %v: !bt_v, %S0: !b_kv) -> (!bt_v, !b_kv) {
  %o, %ST = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v : !bt_k, !bt_v)
      inits(%S0 : !b_kv) key_axes [0] decays [] outers [0] transitions [0] readouts [#recur.readout<0, 0>]
      attributes {chunk.plan = #chunk.plan<form = chunk, schedule = carry, chunk = 3>} coefficients {
  ^bb0(%kt: !k, %vt: !v):
    %w = recur.map neg(%kt) : (!k) -> !k
    recur.coefficients keys(%kt : !k) values(%vt : !v) writes(%kt : !k) reads(%w : !k) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return %o, %ST : !bt_v, !b_kv
}

// A normaliser: a state with one axis, whose readout is a number per step. A constant of the readout is not repeated.
// CHECK-LABEL: func.func @vector(
// CHECK: } chunk {
// CHECK: ^bb0(%[[K:.*]]: tensor<3x4xf32, {{.*}}>, %[[G:.*]]: tensor<3xf32, {{.*}}>, %[[N:.*]]: tensor<4xf32
// CHECK: %[[CARRIED:.*]] = recur.contract "ta,a->t"(%[[K]], %[[N]])
// CHECK: %[[SCORES:.*]] = chunk.scores(%[[K]], %[[K]]) :
// CHECK: %[[SOURCE:.*]] = chunk.as_source(%[[G]]) : tensor<3xf32, {{.*}}> -> tensor<3xf32
// CHECK: %[[INNER:.*]] = recur.contract "ts,s->t"(%[[SCORES]], %[[SOURCE]])
// CHECK: %[[READ:.*]] = recur.map add(%[[CARRIED]], %[[INNER]])
// CHECK: recur.contract "ta,t->a"(%[[K]], %[[G]])
// CHECK: %[[ONE:.*]] = arith.constant dense<1.000000e+00> : tensor<f32, {{.*}}>
// CHECK: recur.map max(%[[READ]], %[[ONE]]) : (tensor<3xf32, {{.*}}>, tensor<f32, {{.*}}>) -> tensor<3xf32
func.func @vector(%k: !bt_k, %g: !bt, %n0: !b_k) -> (!bt, !b_k) {
  %o, %nT = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"n", [[1]]>] inputs(%k, %g : !bt_k, !bt)
      inits(%n0 : !b_k) key_axes [0] decays [] outers [0] readouts [#recur.readout<0, 0>]
      attributes {chunk.plan = #chunk.plan<form = chunk, schedule = carry, chunk = 3>} coefficients {
  ^bb0(%kt: !k, %gt: !s):
    recur.coefficients keys(%kt : !k) values(%gt : !s) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %gt: !s, %y: !s):
    %one = arith.constant dense<1.0> : !s
    %m = recur.map max(%y, %one) : (!s, !s) -> !s
    recur.yield outputs(%m : !s)
  } : !bt, !b_k
  return %o, %nT : !bt, !b_k
}

// Without a plan, or with one of steps, a scan stays as it is; so does what takes in no outer products.
// CHECK-LABEL: func.func @others(
// CHECK-NOT: chunk.scan
// CHECK: return
// REMARK-NOT: remark
func.func @others(%k: !bt_k, %n0: !b_k) {
  %0 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"n", [[1]]>] inputs(%k : !bt_k) inits(%n0 : !b_k)
      key_axes [0] decays [] outers [] readouts [] coefficients {
  ^bb0(%kt: !k):
    recur.coefficients
  } readout {
  ^bb0(%kt: !k):
    recur.yield
  } : !b_k
  %1 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"n", [[1]]>] inputs(%k : !bt_k) inits(%n0 : !b_k)
      key_axes [0] decays [] outers [] readouts []
      attributes {chunk.plan = #chunk.plan<form = step, schedule = carry, chunk = 1>} coefficients {
  ^bb0(%kt: !k):
    recur.coefficients
  } readout {
  ^bb0(%kt: !k):
    recur.yield
  } : !b_k
  %2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"n", [[1]]>] inputs(%k : !bt_k) inits(%n0 : !b_k)
      semiring plus_times attributes {chunk.plan = #chunk.plan<form = chunk, schedule = carry, chunk = 3>} coefficients {
  ^bb0(%kt: !k):
    recur.coefficients decays(%kt : !k) values(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %new: !k, %old: !k):
    recur.yield
  } : !b_k
  return
}

// Decays of every element by itself, two transitions, and a transition across the decay: as they were, with a remark.
// CHECK-LABEL: func.func @refused(
// CHECK-NOT: chunk.scan
// CHECK: return
func.func @refused(%k: !bt_k, %v: !bt_v, %A: !kv, %S0: !b_kv) {
  // REMARK: [[@LINE+1]]:8: remark: form-chunks declines: the decay of state 'S' varies elementwise
  %1 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k : !bt_k) params(%A : !kv) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0, 1]>] outers [] readouts []
      attributes {chunk.plan = #chunk.plan<form = chunk, schedule = carry, chunk = 3>} coefficients {
  ^bb0(%kt: !k, %At: !kv):
    recur.coefficients decays(%At : !kv)
  } readout {
  ^bb0(%kt: !k, %At: !kv):
    recur.yield
  } : !b_kv
  // REMARK: [[@LINE+1]]:8: remark: form-chunks declines: the transition of state 'S' adds 2 outer products
  %2 = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k : !bt_k) inits(%S0 : !b_kv)
      key_axes [0] decays [] outers [] transitions [0, 0] readouts []
      attributes {chunk.plan = #chunk.plan<form = chunk, schedule = carry, chunk = 3>} coefficients {
  ^bb0(%kt: !k):
    recur.coefficients writes(%kt, %kt : !k, !k) reads(%kt, %kt : !k, !k)
  } readout {
  ^bb0(%kt: !k):
    recur.yield
  } : !b_kv
  // REMARK: [[@LINE+1]]:8: remark: form-chunks declines: state 'S' has two decays along its values, one before and one beside its transition
  %3 = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [1]>, #recur.decay<0, [1], before>] outers [] transitions [0] readouts []
      attributes {chunk.plan = #chunk.plan<form = chunk, schedule = carry, chunk = 3>} coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%vt, %vt : !v, !v) writes(%kt : !k) reads(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v):
    recur.yield
  } : !b_kv
  return
}

// A decay along the values beside a transition along the keys: on its way to a later step, what is solved for decays by the steps between.
// CHECK-LABEL: func.func @decay_beside_transition(
// CHECK: } chunk {
// CHECK-NEXT: ^bb0(%[[K:.*]]: tensor<3x4xf32, {{.*}}>, %[[V:.*]]: tensor<3x8xf32, {{.*}}>, %[[S:.*]]: tensor<4x8xf32, {{.*}}>):
// CHECK-NEXT: %[[CARRIED:.*]] = recur.contract "ta,ab->tb"(%[[K]], %[[S]])
// CHECK-NEXT: %[[BEFORE:.*]] = chunk.products before(%[[V]])
// CHECK-NEXT: %[[RIGHT:.*]] = recur.map mul(%[[CARRIED]], %[[BEFORE]])
// CHECK-NEXT: %[[M:.*]] = chunk.scores(%[[K]], %[[K]]) before
// CHECK-NEXT: %[[P:.*]] = chunk.solve(%[[M]], %[[RIGHT]]) decay(%[[V]] : {{.*}}) before :
func.func @decay_beside_transition(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  %0 = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [1]>] outers [] transitions [0] readouts []
      attributes {chunk.plan = #chunk.plan<form = chunk, schedule = carry, chunk = 3>} coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%vt : !v) writes(%kt : !k) reads(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v):
    recur.yield
  } : !b_kv
  return
}

// Where it comes first, what is read has the step's own decay, too. A readout before the step is of the state as it was.
// CHECK-LABEL: func.func @decay_before_transition(
// CHECK: } chunk {
// CHECK-NEXT: ^bb0(%[[K:.*]]: tensor<3x4xf32, {{.*}}>, %[[V:.*]]: tensor<3x8xf32, {{.*}}>, %[[S:.*]]: tensor<4x8xf32, {{.*}}>):
// CHECK-NEXT: %[[CARRIED:.*]] = recur.contract "ta,ab->tb"(%[[K]], %[[S]])
// CHECK-NEXT: %[[THROUGH:.*]] = chunk.products through(%[[V]])
// CHECK-NEXT: %[[RIGHT:.*]] = recur.map mul(%[[CARRIED]], %[[THROUGH]])
// CHECK-NEXT: %[[M:.*]] = chunk.scores(%[[K]], %[[K]]) before
// CHECK-NEXT: %[[P:.*]] = chunk.solve(%[[M]], %[[RIGHT]]) decay(%[[V]] : {{[^)]*}}) :
// CHECK: chunk.products before(%[[V]])
// CHECK: %[[SCORES:.*]] = chunk.scores(%[[K]], %[[K]]) before
// CHECK-NEXT: chunk.apply(%[[SCORES]], %[[P]], %[[V]]) before
func.func @decay_before_transition(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  %0:2 = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [1], before>] outers [] transitions [0] readouts [#recur.readout<0, 0, before>]
      attributes {chunk.plan = #chunk.plan<form = chunk, schedule = carry, chunk = 3>} coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%vt : !v) writes(%kt : !k) reads(%kt : !k) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return
}

// A complex state takes chunks as a real one does.
// CHECK-LABEL: func.func @complex_state(
// CHECK: chunk.scan
func.func @complex_state(%k: !bt_k, %C0: !b_kvc) {
  %0 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"C", [[1]]>] inputs(%k : !bt_k) inits(%C0 : !b_kvc)
      key_axes [0] decays [] outers [] readouts [] attributes {chunk.plan = #chunk.plan<form = chunk, schedule = carry, chunk = 3>} coefficients {
  ^bb0(%kt: !k):
    recur.coefficients
  } readout {
  ^bb0(%kt: !k):
    recur.yield
  } : !b_kvc
  return
}
