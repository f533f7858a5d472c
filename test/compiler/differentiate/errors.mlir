// RUN: rondo-opt --split-input-file --verify-diagnostics --differentiate %s

!x = tensor<?x?xf64, #recur.dims<batch, time>>
!r = tensor<?x?xi1, #recur.dims<batch, time>>
!h = tensor<?x2xf64, #recur.dims<batch, lag>>
!a = tensor<f64, #recur.dims<>>

func.func @lag(%x: !x {recur.name = "x", recur.kind = "input"}, %r: !r {recur.name = "resets", recur.kind = "resets"},
               %h0: !h {recur.name = "h", recur.kind = "init"}) -> (!x {recur.name = "y", recur.kind = "output"}) {
  // expected-error @+1 {{no gradient is known of a state that is read more than one step back, with resets}}
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

func.func @diagonal(%x: !x {recur.name = "x", recur.kind = "input"}, %h0: !h {recur.name = "h", recur.kind = "init"})
    -> (!x {recur.name = "y", recur.kind = "output"}) {
  // expected-error @+1 {{no gradient is known of a state that is read along two axes at once}}
  %y, %f, %g = recur.scan over [#recur.axis<"r">, #recur.axis<"c">] states [#recur.state<"h", [[1, 1]]>] inputs(%x : !x)
      inits(%h0 : !h) {
  ^bb0(%xt: !a, %s: !a):
    %n = recur.map add(%s, %xt) : (!a, !a) -> !a
    recur.yield states(%n : !a) outputs(%n : !a)
  } : !x, !f, !g
  return %y : !x
}
