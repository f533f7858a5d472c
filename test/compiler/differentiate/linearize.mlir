// RUN: rondo-opt --linearize --canonicalize --cse %s | FileCheck %s
// RUN: rondo-opt --linearize="wrt=x" --canonicalize --cse %s | FileCheck --check-prefix=ONE %s

!x = tensor<?x?x4xf64, #recur.dims<batch, time | "4">>
!p = tensor<4xf64, #recur.dims<| "4">>
!h = tensor<?x4xf64, #recur.dims<batch | "4">>

// The tangent of the state is a state with the same decay; what is added to it is a h's, and x's.
// CHECK-LABEL: func.func @decay(
// CHECK-SAME: {recur.cotangent = "x", recur.kind = "input", recur.name = "t_x"}
// CHECK-SAME: {recur.cotangent = "a", recur.kind = "param", recur.name = "t_a"}
// CHECK-SAME: {recur.cotangent = "h", recur.kind = "init", recur.name = "t_h"}
// CHECK: recur.scan over [#recur.axis<"t">] states [#recur.state<"h", {{\[\[}}1]]>, #recur.state<"t_h", {{\[\[}}1]]>]
// CHECK-COUNT-3: recur.map mul
// CHECK-NOT: recur.map mul
// CHECK: return

// Where only x moves, a h's tangent has no part of a's.
// ONE-LABEL: func.func @decay(
// ONE-SAME: recur.name = "t_x"
// ONE-NOT: recur.name = "t_a"
// ONE-COUNT-2: recur.map mul
// ONE-NOT: recur.map mul
// ONE: return
func.func @decay(%x: !x {recur.name = "x", recur.kind = "input"}, %a: !p {recur.name = "a", recur.kind = "param"},
                 %h0: !h {recur.name = "h", recur.kind = "init"})
    -> (!x {recur.name = "y", recur.kind = "output"}, !h {recur.name = "h", recur.kind = "final"}) {
  %y, %h = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%a : !p) inits(%h0 : !h) {
  ^bb0(%xt: !p, %at: !p, %s: !p):
    %d = recur.map mul(%at, %s) : (!p, !p) -> !p
    %n = recur.map add(%d, %xt) : (!p, !p) -> !p
    recur.yield states(%n : !p) outputs(%n : !p)
  } : !x, !h
  return %y, %h : !x, !h
}
