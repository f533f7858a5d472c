// Each numbered constraint of recur.linear_scan (RaisedOps.td), broken once, and some of those that all raised scans share.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

!k = tensor<?xf64, #recur.dims<| K>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C7 of recur.scan: one initial value per state.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{1 states need as many initial values, got 0 (C7)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C16 of recur.scan: as many results as outputs and states.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{expected 2 results (outputs, then final states), got 1 (C16)}}
  %0 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!b = tensor<?xf64, #recur.dims<batch>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C18 of recur.scan: final states are as the initial values.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{the final state 'h' must have the axes <batch>}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
!brc_k = tensor<?x?x?x?xf64, #recur.dims<batch, time, time1 | K>>

// C21: one axis.
func.func @f(%x: !brc_k, %h0: !b_k) {
  // expected-error @+1 {{scans one axis, got 2 (C21)}}
  %0:2 = recur.linear_scan over [#recur.axis<"r">, #recur.axis<"c">] states [#recur.state<"h", [[1, 0]]>] inputs(%x : !brc_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bl_k = tensor<?x?x?xf64, #recur.dims<batch, lag | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C21: a state is read one step back.
func.func @f(%x: !bt_k, %h0: !bl_k) {
  // expected-error @+1 {{state 'h' must be read one step back, and nowhere else (C21)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[2]]>] inputs(%x : !bt_k) inits(%h0 : !bl_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bl_k = tensor<?x?x?xf64, #recur.dims<batch, lag | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C21: once.
func.func @f(%x: !bt_k, %h0: !bl_k) {
  // expected-error @+1 {{state 'h' must be read one step back, and nowhere else (C21)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1], [2]]>] inputs(%x : !bt_k) inits(%h0 : !bl_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C22: the first region's arguments are elements of the inputs and parameters.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{argument 0 of a region must be one element of operand 0 (C22)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !v):
    recur.coefficients decays(%xt : !v) values(%xt : !v)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C22: and of nothing else.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{the first region takes inputs and parameters alone (C22)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k, %more: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!s = tensor<f64, #recur.dims<>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C22: so do the second region's.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{argument 0 of a region must be one element of operand 0 (C22)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !s, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C23: the first region ends in its coefficients.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{the first region must end in 'recur.coefficients' (C23, C27)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.yield
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C23: a decay per state.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{needs one decay and one value per state, and nothing else (C23)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C23: a value per state.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{needs one decay and one value per state, and nothing else (C23)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt, %xt : !k, !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C23: and nothing else.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{needs one decay and one value per state, and nothing else (C23)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k) queries(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!s = tensor<f64, #recur.dims<>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C23: of the state's axes.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{decay and value of state 0 must have the state's axes (C23)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    %a = arith.constant dense<0.5> : !s
    recur.coefficients decays(%a : !s) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!kc = tensor<?xcomplex<f64>, #recur.dims<| K>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C23: and kind.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{decay and value of state 0 must have the state's axes (C23)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    %a = recur.cast(%xt) : (!k) -> !kc
    recur.coefficients decays(%xt : !k) values(%a : !kc)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!k4 = tensor<4xf64, #recur.dims<| K>>
!k5 = tensor<5xf64, #recur.dims<| K>>
!bt_k4 = tensor<?x?x4xf64, #recur.dims<batch, time | K>>
!b_k4 = tensor<?x4xf64, #recur.dims<batch | K>>

// C23: sizes that are known agree.
func.func @f(%x: !bt_k4, %h0: !b_k4) {
  // expected-error @+1 {{decay and value of state 0 must have the state's axes (C23)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k4) inits(%h0 : !b_k4)
      semiring plus_times coefficients {
  ^bb0(%xt: !k4):
    %a = arith.constant dense<0.5> : !k5
    recur.coefficients decays(%a : !k5) values(%xt : !k4)
  } readout {
  ^bb0(%xt: !k4, %new: !k4, %old: !k4):
    recur.yield outputs(%new : !k4)
  } : !bt_k4, !b_k4
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C24: the second region takes the old state, too.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{the second region takes the new and the old value of each state (C24)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!s = tensor<f64, #recur.dims<>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C24: of the state's axes.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{the second region takes the new and the old value of state 0 (C24)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !s):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C24: it ends in a yield.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{the second region must end in 'recur.yield' without states (C24, C28)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.coefficients
  } : !bt_k, !b_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// C24: without states.
func.func @f(%x: !bt_k, %h0: !b_k) {
  // expected-error @+1 {{the second region must end in 'recur.yield' without states (C24, C28)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield states(%new : !k) outputs(%new : !k)
  } : !bt_k, !b_k
  return
}

// -----

!kc = tensor<?xcomplex<f64>, #recur.dims<| K>>
!b_kc = tensor<?x?xcomplex<f64>, #recur.dims<batch | K>>
!bt_kc = tensor<?x?x?xcomplex<f64>, #recur.dims<batch, time | K>>

// C25: states of max_plus are real.
func.func @f(%x: !bt_kc, %h0: !b_kc) {
  // expected-error @+1 {{state 0 must be real in this semiring (C25)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_kc) inits(%h0 : !b_kc)
      semiring max_plus coefficients {
  ^bb0(%xt: !kc):
    recur.coefficients decays(%xt : !kc) values(%xt : !kc)
  } readout {
  ^bb0(%xt: !kc, %new: !kc, %old: !kc):
    recur.yield outputs(%new : !kc)
  } : !bt_kc, !b_kc
  return
}

// -----

!kc = tensor<?xcomplex<f64>, #recur.dims<| K>>
!b_kc = tensor<?x?xcomplex<f64>, #recur.dims<batch | K>>
!bt_kc = tensor<?x?x?xcomplex<f64>, #recur.dims<batch, time | K>>

// C25: states of log_plus are real.
func.func @f(%x: !bt_kc, %h0: !b_kc) {
  // expected-error @+1 {{state 0 must be real in this semiring (C25)}}
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_kc) inits(%h0 : !b_kc)
      semiring log_plus coefficients {
  ^bb0(%xt: !kc):
    recur.coefficients decays(%xt : !kc) values(%xt : !kc)
  } readout {
  ^bb0(%xt: !kc, %new: !kc, %old: !kc):
    recur.yield outputs(%new : !kc)
  } : !bt_kc, !b_kc
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// Coefficients belong to a raised scan.
func.func @f(%x: !bt_k) {
  %0 = recur.scan over [#recur.axis<"t">] inputs(%x : !bt_k) {
  ^bb0(%xt: !k):
    // expected-error @+1 {{belongs in a raised scan}}
    recur.coefficients decays(%xt : !k)
  } : !bt_k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!b_k = tensor<?x?xf64, #recur.dims<batch | K>>
!bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>

// A semiring is out of a list.
func.func @f(%x: !bt_k, %h0: !b_k) {
  %0:2 = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      // expected-error @+1 {{'min_plus' is no semiring}}
      semiring min_plus coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield outputs(%new : !k)
  } : !bt_k, !b_k
  return
}
