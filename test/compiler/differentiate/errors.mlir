// RUN: rondo-opt --differentiate %s | FileCheck --check-prefix=STEPS %s
// RUN: not rondo-opt --split-input-file --linearize %s 2>&1 | FileCheck %s
// RUN: not rondo-opt --differentiate="wrt=z" %s 2>&1 | FileCheck --check-prefix=NAME %s
// RUN: not rondo-opt --linearize="wrt=z" %s 2>&1 | FileCheck --check-prefix=NAME %s

// CHECK: error: no derivative is known of 'recur.linear_scan'
// STEPS: recur.scan over [#recur.axis<"t", reverse>]
// NAME: error: the model has no input, parameter or initial state 'z'

!x = tensor<?x?xf64, #recur.dims<batch, time>>
!h = tensor<?xf64, #recur.dims<batch>>
!a = tensor<f64, #recur.dims<>>

// Raised scans go back step by step; their tangents are taken before they are raised.
func.func @raised(%x: !x {recur.name = "x", recur.kind = "input"}, %h0: !h {recur.name = "h", recur.kind = "init"})
    -> (!x {recur.name = "y", recur.kind = "output"}) {
  %y, %h = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      semiring plus_times coefficients {
  ^bb0(%xt: !a):
    recur.coefficients decays(%xt : !a) values(%xt : !a)
  } readout {
  ^bb0(%xt: !a, %new: !a, %old: !a):
    recur.yield outputs(%new : !a)
  } : !x, !h
  return %y : !x
}
