// Each numbered constraint of recur.expand_scan (RaisedOps.td) but C27, broken once.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C17 of recur.scan: outputs have the features of what is yielded.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{output 0 must have the axes <batch, time> and the features of 'tensor<?xf64, #recur.dims<| V>>', got 'tensor<?x?x?xf64, #recur.dims<batch, time | K>>' (C17)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_k, !b_kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C22: of all of them.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{argument 1 of a region must be one element of operand 1 (C22)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k):
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
!b_kvw = tensor<?x?x?x?xf64, #recur.dims<batch | K, V, W>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C26: a state has two axes at most.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kvw) {
  // expected-error @+1 {{a state has one or two axes, and its key axis is one of them (C26)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kvw)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
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
!b = tensor<?xf64, #recur.dims<batch>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C26: and one at least.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b) {
  // expected-error @+1 {{a state has one or two axes, and its key axis is one of them (C26)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
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

// C26: one key axis per state.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{needs a key axis per state (C26)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
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

// C26: that the state has.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a state has one or two axes, and its key axis is one of them (C26)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [2] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
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

// C26: a matrix has one.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{a state has one or two axes, and its key axis is one of them (C26)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [-1] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
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

// C28: an argument per readout.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{the second region takes one argument per readout (C28)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v):
    recur.yield outputs(%vt : !v)
  } : !bt_v, !b_kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C28: the state without the contracted axis.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{readout 0 must be its state without the contracted axis (C28)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !k):
    recur.yield outputs(%vt : !v)
  } : !bt_v, !b_kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C28: the second region ends in a yield without states.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{the second region must end in 'recur.yield' without states (C24, C28)}}
  %0:2 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%kt : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %y: !v):
    recur.coefficients
  } : !bt_v, !b_kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_kv = tensor<?x?x?xf64, #recur.dims<batch | K, V>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>

// C27: no decay comes before transitions that there are none of.
func.func @f(%k: !bt_k, %v: !bt_v, %S0: !b_kv) {
  // expected-error @+1 {{has no transitions that a decay could come before (C27)}}
  %0 = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v : !bt_k, !bt_v) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [1], before>] outers [] readouts [] coefficients {
  ^bb0(%kt: !k, %vt: !v):
    recur.coefficients decays(%vt : !v)
  } readout {
  ^bb0(%kt: !k, %vt: !v):
    recur.yield
  } : !b_kv
  return
}
