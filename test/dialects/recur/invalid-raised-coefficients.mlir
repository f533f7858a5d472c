// C27 of recur.expand_scan (RaisedOps.td): what its coefficients must be, each part broken once.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C27: a value per decay.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{'recur.coefficients' must have one value per entry of the lists (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [] outers [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
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

// C27: a key per outer product.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{'recur.coefficients' must have one value per entry of the lists (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0, 0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt, %vt : !v, !v) queries(%kt : !k)
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

// C27: and a value.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{'recur.coefficients' must have one value per entry of the lists (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0, 0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt, %kt : !k, !k) values(%vt : !v) queries(%kt : !k)
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

// C27: a query per readout.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{'recur.coefficients' must have one value per entry of the lists (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
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

// C27: no transitions.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{has no transitions (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) writes(%kt : !k) queries(%kt : !k)
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

// C27: decays are a list of #recur.decay.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a decay must have the axes that 'decays' says (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.readout<0, 0>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
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

// C27: of a state that there is.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a decay must have the axes that 'decays' says (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<1, [0]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
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

// C27: with axes that the state has.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a decay must have the axes that 'decays' says (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [2]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
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

// C27: and the decay has them.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a decay must have the axes that 'decays' says (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [1]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!kk = tensor<?x?xf64, #recur.dims<| K, K>>
!b_kk = tensor<?x?x?xf64, #recur.dims<batch | K, K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C27: a decay's axes rise.
func.func @f(%k: !bt_k, %A: !kk, %S0: !b_kk) {
  // expected-error @+1 {{a decay must have the axes that 'decays' says (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k : !bt_k) params(%A : !kk) inits(%S0 : !b_kk)
      key_axes [0] decays [#recur.decay<0, [1, 0]>] outers [] readouts [] coefficients {
  ^bb0(%kt: !k, %At: !kk):
    recur.coefficients decays(%At : !kk)
  } readout {
  ^bb0(%kt: !k, %At: !kk):
    recur.yield outputs(%kt : !k)
  } : !bt_k, !b_kk
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!kk = tensor<?x?xf64, #recur.dims<| K, K>>
!b_kk = tensor<?x?x?xf64, #recur.dims<batch | K, K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C27: each is one of them.
func.func @f(%k: !bt_k, %A: !kk, %S0: !b_kk) {
  // expected-error @+1 {{a decay must have the axes that 'decays' says (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k : !bt_k) params(%A : !kk) inits(%S0 : !b_kk)
      key_axes [0] decays [#recur.decay<0, [0, 0]>] outers [] readouts [] coefficients {
  ^bb0(%kt: !k, %At: !kk):
    recur.coefficients decays(%At : !kk)
  } readout {
  ^bb0(%kt: !k, %At: !kk):
    recur.yield outputs(%kt : !k)
  } : !bt_k, !b_kk
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C27: outer products enter a state that there is.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a key has the key axis and a value the value axis of their state (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [1] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
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

// C27: a key has the key axis.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a key has the key axis and a value the value axis of their state (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%vt : !v) values(%vt : !v) queries(%kt : !k)
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

// C27: a value has the other one.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a key has the key axis and a value the value axis of their state (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%kt : !k) queries(%kt : !k)
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

// C27: readouts are a list of #recur.readout.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a query must have the axis that 'readouts' says (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.decay<0, []>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
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

// C27: of a state that there is.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a query must have the axis that 'readouts' says (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<-1, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
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

// C27: along an axis that the state has.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a query must have the axis that 'readouts' says (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 2>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
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

// C27: which the query has.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a query must have the axis that 'readouts' says (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 1>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!kc = tensor<?xcomplex<f64>, #recur.dims<| K>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C27: and the state's kind.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a query must have the axis that 'readouts' says (C27)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    %q = recur.cast(%kt) : (!k) -> !kc
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%q : !kc)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return
}
