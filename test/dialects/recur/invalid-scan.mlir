// Each numbered constraint of recur.scan and recur.yield, broken once.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

!s = tensor<f64, #recur.dims<>>
!brc = tensor<?x?x?xf64, #recur.dims<batch, time, time1>>

// C1: axes have distinct names.
func.func @f(%x: !brc) {
  // expected-error @+1 {{axes must be #recur.axis with distinct names (C1)}}
  %0 = recur.scan over [#recur.axis<"t">, #recur.axis<"t">] inputs(%x : !brc) {
  ^bb0(%xt: !s):
    recur.yield outputs(%xt : !s)
  } : !brc
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C1: there is an axis.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error @+1 {{at least one axis is needed (C1)}}
  %0:2 = recur.scan over [] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) inits(%s0 : !b) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C2: states have distinct names.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error @+1 {{states must be #recur.state with distinct names (C2)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>, #recur.state<"s", [[1]]>] inputs(%x : !bt) inits(%s0 : !b) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C3: one distance per axis.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error @+1 {{state 's' is read at 2 distances for 1 axes (C3)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1, 0]]>] inputs(%x : !bt) inits(%s0 : !b) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C3: the distances are not all 0.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error @+1 {{state 's' is read at its own step (C3)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[0]]>] inputs(%x : !bt) inits(%s0 : !b) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C4: something says how many steps there are.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error @+1 {{without an input or resets the number of steps is unknown (C4)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inits(%s0 : !b) {
  ^bb0(%s: !s):
    recur.yield states(%s : !s) outputs(%s : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C5: an input has the scanned axis.
func.func @f(%x: !b, %s0: !b) {
  // expected-error @+1 {{input 0 needs the scanned axes 'time' and no other, got #recur.dims<batch> (C5)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !b) inits(%s0 : !b) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>
!brc = tensor<?x?x?xf64, #recur.dims<batch, time, time1>>

// C5: and no other.
func.func @f(%x: !brc, %s0: !b) {
  // expected-error @+1 {{input 0 needs the scanned axes 'time' and no other, got #recur.dims<batch, time, time1> (C5)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !brc) inits(%s0 : !b) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C5: nor a lag axis.
func.func @f(%x: tensor<?x?x?xf64, #recur.dims<batch, lag, time>>, %s0: !b) {
  // expected-error @+1 {{input 0 has a lag axis (C5)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : tensor<?x?x?xf64, #recur.dims<batch, lag, time>>) inits(%s0 : !b) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C6: parameters do not vary over time.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error @+1 {{parameter 0 has the axis 'time' (C6)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) params(%x : !bt) inits(%s0 : !b) {
  ^bb0(%xt: !s, %p: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C7: one initial value per state.
func.func @f(%x: !bt) {
  // expected-error @+1 {{1 states need as many initial values, got 0 (C7)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C8: initial values do not vary over time.
func.func @f(%x: !bt) {
  // expected-error @+1 {{the initial value of state 's' has the axis 'time' (C8)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) inits(%x : !bt) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!bl = tensor<?x?xf64, #recur.dims<batch, lag>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>
!brc = tensor<?x?x?xf64, #recur.dims<batch, time, time1>>

// C8: over several axes they have no lag.
func.func @f(%x: !brc, %s0: !bl) {
  // expected-error @+1 {{the initial value of state 's' has the axis 'lag' (C8)}}
  %0:3 = recur.scan over [#recur.axis<"r">, #recur.axis<"c">] states [#recur.state<"s", [[1, 0]]>] inputs(%x : !brc) inits(%s0 : !bl) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !brc, !bt, !bt
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C9: looking back two steps needs two slices.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error @+1 {{the initial value of state 's' needs a lag axis with one slice per step that is looked back (C9)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[2]]>] inputs(%x : !bt) inits(%s0 : !b) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C9: so does looking back by an unknown number.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error @+1 {{the initial value of state 's' needs a lag axis with one slice per step that is looked back (C9)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[-1]]>] inputs(%x : !bt) inits(%s0 : !b) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C9: as many slices as steps.
func.func @f(%x: !bt, %s0: tensor<?x3xf64, #recur.dims<batch, lag>>) {
  // expected-error @+1 {{the initial value of state 's' needs a lag axis with one slice per step that is looked back (C9)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[2]]>] inputs(%x : !bt) inits(%s0 : tensor<?x3xf64, #recur.dims<batch, lag>>) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, tensor<?x3xf64, #recur.dims<batch, lag>>
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C10: resets are truth values over batch and time.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error-re @+1 {{resets must be truth values over <batch, time> of a scan over one axis, got {{.*}} (C10)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) inits(%s0 : !b) resets(%x : !bt) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C11: offsets are a list of i64.
func.func @f(%x: !bt, %s0: !b, %o: tensor<?xi32>) {
  // expected-error-re @+1 {{offsets must be a list of i64 for a scan over one axis, got {{.*}} (C11)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) inits(%s0 : !b) offsets(%o : tensor<?xi32>) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C12: one argument per input, parameter and read.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error @+1 {{the step needs 2 arguments (inputs, parameters, reads of states), got 1 (C12)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) inits(%s0 : !b) {
  ^bb0(%xt: !s):
    recur.yield states(%xt : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!k = tensor<?xf64, #recur.dims<| K>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C13: an argument is one element of its operand.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error-re @+1 {{step argument 0 must be one element of input 0, {{.*}} (C13)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) inits(%s0 : !b) {
  ^bb0(%xt: !k, %s: !s):
    recur.yield states(%s : !s) outputs(%s : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C13: of the same kind.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error-re @+1 {{step argument 1 must be one element of state 's', {{.*}} (C13)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) inits(%s0 : !b) {
  ^bb0(%xt: !s, %s: tensor<complex<f64>, #recur.dims<>>):
    recur.yield states(%xt : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C14: one new value per state.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error @+1 {{the step must end in a 'recur.yield' of 1 states (C14)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) inits(%s0 : !b) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!k = tensor<?xf64, #recur.dims<| K>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C15: a new value has the features of the initial one.
func.func @f(%x: !bt, %s0: !b, %p: !k) {
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) params(%p : !k) inits(%s0 : !b) {
  ^bb0(%xt: !s, %pt: !k, %s: !s):
    // expected-error-re @+1 {{the new value of state 's' must be one of {{.*}} (C15)}}
    recur.yield states(%pt : !k) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C16: outputs, then final states.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error @+1 {{expected 2 results (outputs, then final states), got 1 (C16)}}
  %0 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) inits(%s0 : !b) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C17: an output has the data's implicit axes.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error-re @+1 {{output 0 must have the axes <batch, time> and the features of {{.*}} (C17)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) inits(%s0 : !b) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !b, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C17: it has a head axis as soon as an operand has.
func.func @f(%x: !bt, %s0: !b, %p: tensor<?xf64, #recur.dims<head>>) {
  // expected-error-re @+1 {{output 0 must have the axes <batch, time, head> and the features of {{.*}} (C17)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) params(%p : tensor<?xf64, #recur.dims<head>>) inits(%s0 : !b) {
  ^bb0(%xt: !s, %pt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C18: a final state does not vary over time.
func.func @f(%x: !bt, %s0: !b) {
  // expected-error-re @+1 {{the final state 's' must have the axes <batch> and the features of {{.*}} (C18)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) inits(%s0 : !b) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !bt
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!b = tensor<?xf64, #recur.dims<batch>>
!bl = tensor<?x?xf64, #recur.dims<batch, lag>>
!bt = tensor<?x?xf64, #recur.dims<batch, time>>

// C18: it keeps as many slices as its initial value.
func.func @f(%x: !bt, %s0: !bl) {
  // expected-error-re @+1 {{the final state 's' must have the axes <batch, lag> and the features of {{.*}} (C18)}}
  %0:2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[2]]>] inputs(%x : !bt) inits(%s0 : !bl) {
  ^bb0(%xt: !s, %s: !s):
    recur.yield states(%s : !s) outputs(%xt : !s)
  } : !bt, !b
  return
}

// -----

!s = tensor<f64, #recur.dims<>>

// A yield lies in a scan.
func.func @f(%x: !s) {
  // expected-error @+1 {{belongs in a region of a scan}}
  recur.yield outputs(%x : !s)
}
