// RUN: rondo-opt --split-input-file --differentiate --canonicalize --cse %s | FileCheck %s

!x = tensor<?x?xf64, #recur.dims<batch, time>>
!r = tensor<?x?xi1, #recur.dims<batch, time>>
!h = tensor<?x2xf64, #recur.dims<batch, lag>>
!a = tensor<f64, #recur.dims<>>

// Under resets a state that is read two steps back is two registers, whose initial values are the slices of its own, and whose
// cotangents become slices again.
// CHECK-LABEL: func.func @lag(
// CHECK: recur.scan over [#recur.axis<"t", reverse>] states [#recur.state<"d_h", {{\[\[}}1]]>, #recur.state<"d_h'", {{\[\[}}1]]>, #recur.state<"resets", {{\[\[}}1]]>, #recur.state<"resets'", {{\[\[}}1]]>]
// CHECK: recur.sum_to flip_lag(%{{.*}}) : (tensor<?xf64, {{.*}}>) -> tensor<?x2xf64,
func.func @lag(%x: !x {recur.name = "x", recur.kind = "input"}, %r: !r {recur.name = "resets", recur.kind = "resets"},
               %h0: !h {recur.name = "h", recur.kind = "init"}) -> (!x {recur.name = "y", recur.kind = "output"}) {
  %y, %h = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[2]]>] inputs(%x : !x) inits(%h0 : !h) resets(%r : !r) {
  ^bb0(%xt: !a, %s: !a):
    %n = recur.map add(%s, %xt) : (!a, !a) -> !a
    recur.yield states(%n : !a) outputs(%n : !a)
  } : !x, !h
  return %y : !x
}

// -----

!x = tensor<?x?x?xf64, #recur.dims<batch, time, time1>>
!f = tensor<?x?xf64, #recur.dims<batch, time1>>
!g = tensor<?x?xf64, #recur.dims<batch, time>>
!h = tensor<?xf64, #recur.dims<batch>>
!a = tensor<f64, #recur.dims<>>

// A read along two axes is one along the first axis of a state that holds what was read along the second.
// CHECK-LABEL: func.func @diagonal(
// CHECK: recur.scan over [#recur.axis<"r", reverse>, #recur.axis<"c", reverse>] states [#recur.state<"d_h", {{\[\[}}0, 1]]>, #recur.state<"d_h'", {{\[\[}}1, 0]]>]
func.func @diagonal(%x: !x {recur.name = "x", recur.kind = "input"}, %h0: !h {recur.name = "h", recur.kind = "init"})
    -> (!x {recur.name = "y", recur.kind = "output"}) {
  %y, %f, %g = recur.scan over [#recur.axis<"r">, #recur.axis<"c">] states [#recur.state<"h", [[1, 1]]>] inputs(%x : !x)
      inits(%h0 : !h) {
  ^bb0(%xt: !a, %s: !a):
    %n = recur.map add(%s, %xt) : (!a, !a) -> !a
    recur.yield states(%n : !a) outputs(%n : !a)
  } : !x, !f, !g
  return %y : !x
}
