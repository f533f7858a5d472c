// What recur.delta_scan demands besides the constraints of recur.expand_scan (RaisedOps.td), broken once.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C29: there is a transition.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{needs transitions, and for each a value in 'writes' and in 'reads' (C29)}}
  %0:2 = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [] outers [0] transitions [] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C29: with a vector to write along.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{needs transitions, and for each a value in 'writes' and in 'reads' (C29)}}
  %0:2 = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [] outers [0] transitions [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients keys(%kt : !k) values(%vt : !v) reads(%kt : !k) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C29: and one to read.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{needs transitions, and for each a value in 'writes' and in 'reads' (C29)}}
  %0:2 = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [] outers [0] transitions [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients keys(%kt : !k) values(%vt : !v) writes(%kt : !k) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C29: of a state that there is.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{both vectors of a transition have the state's key axis (C29)}}
  %0:2 = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [] outers [0] transitions [1] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients keys(%kt : !k) values(%vt : !v) writes(%kt : !k) reads(%kt : !k) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_v = tensor<?x?xf64, #recur.dims<batch | V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C29: that has a key axis.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_v) {
  // expected-error @+1 {{both vectors of a transition have the state's key axis (C29)}}
  %0:2 = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_v)
      key_axes [-1] decays [] outers [] transitions [0] readouts [] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients writes(%kt : !k) reads(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v):
    recur.yield outputs(%vt : !v)
  } : !bt_v, !b_v
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C29: which is the writes'.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{both vectors of a transition have the state's key axis (C29)}}
  %0:2 = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [] outers [0] transitions [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients keys(%kt : !k) values(%vt : !v) writes(%vt : !v) reads(%kt : !k) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C29: and the reads'.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{both vectors of a transition have the state's key axis (C29)}}
  %0:2 = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [] outers [0] transitions [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients keys(%kt : !k) values(%vt : !v) writes(%kt : !k) reads(%vt : !v) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C30: one number per entry.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{'recur.moves' has a number from 0 on for each decay, outer product and transition (C30)}}
  %0:2 = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [] outers [0] transitions [0] readouts [#recur.readout<0, 0>]
      attributes {recur.moves = array<i64: 1>} coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients keys(%kt : !k) values(%vt : !v) writes(%kt : !k) reads(%kt : !k) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C36: a decay before the transitions is along the values.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a decay before transitions has the value axis of a state that has transitions (C36)}}
  %0:2 = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>, #recur.state<"R", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0, %S0 : !b_kv, !b_kv)
      key_axes [0, 0] decays [#recur.decay<0, [0], before>] outers [] transitions [0] readouts [] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) writes(%kt : !k) reads(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v):
    recur.yield
  } : !b_kv, !b_kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C36: and there are transitions.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a decay before transitions has the value axis of a state that has transitions (C36)}}
  %0:2 = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>, #recur.state<"R", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0, %S0 : !b_kv, !b_kv)
      key_axes [0, 0] decays [#recur.decay<1, [1], before>] outers [] transitions [0] readouts [] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%vt : !v) writes(%kt : !k) reads(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v):
    recur.yield
  } : !b_kv, !b_kv
  return
}
