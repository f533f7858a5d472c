// RUN: rondo-opt --split-input-file --differentiate --canonicalize --cse %s | FileCheck %s

!q = tensor<?x?x4xf64, #recur.dims<batch, time | "4">>
!v = tensor<?x?x8xf64, #recur.dims<batch, time | "8">>
!g = tensor<?x?xf64, #recur.dims<batch, time>>
!S = tensor<?x4x8xf64, #recur.dims<batch | "4", "8">>
!k = tensor<4xf64, #recur.dims<| "4">>
!w = tensor<8xf64, #recur.dims<| "8">>
!s = tensor<4x8xf64, #recur.dims<| "4", "8">>
!a = tensor<f64, #recur.dims<>>

// The query's gradient S dy is computed forwards; the state itself is handed over, because the decay's gradient needs it and dS.
// CHECK-LABEL: func.func @decayed(
// CHECK-SAME: {recur.cotangent = "o", recur.kind = "input", recur.name = "d_o"}
// CHECK-SAME: {recur.cotangent = "S", recur.kind = "init", recur.name = "d_S"}
// CHECK-SAME: recur.name = "d_q"
// CHECK: %[[F:.*]]:3 = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", {{\[\[}}1]]>]
// CHECK: recur.yield states(%{{.*}}) outputs(%{{.*}}, %S :
// CHECK: %[[R:.*]]:4 = recur.scan over [#recur.axis<"t", reverse>] states [#recur.state<"d_S", {{\[\[}}1]]>]
// CHECK: inputs({{.*}}, %[[F]]#1 :
// CHECK: recur.yield states(%{{.*}}) outputs(%{{.*}}, %{{.*}}, %{{.*}} :
// CHECK: return %[[F]]#0, %[[R]]#
func.func @decayed(%q: !q {recur.name = "q", recur.kind = "input"}, %k: !q {recur.name = "k", recur.kind = "input"},
                   %v: !v {recur.name = "v", recur.kind = "input"}, %g: !g {recur.name = "g", recur.kind = "input"},
                   %S0: !S {recur.name = "S", recur.kind = "init"})
    -> (!v {recur.name = "o", recur.kind = "output"}, !S {recur.name = "S", recur.kind = "final"}) {
  %o, %S = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%q, %k, %v, %g : !q, !q, !v, !g) inits(%S0 : !S) {
  ^bb0(%qt: !k, %kt: !k, %vt: !w, %gt: !a, %s: !s):
    %d = recur.map mul(%gt, %s) : (!a, !s) -> !s
    %u = recur.contract "a,b->ab"(%kt, %vt) : (!k, !w) -> !s
    %n = recur.map add(%d, %u) : (!s, !s) -> !s
    %y = recur.contract "a,ab->b"(%qt, %n) : (!k, !s) -> !w
    recur.yield states(%n : !s) outputs(%y : !w)
  } : !v, !S
  return %o, %S : !v, !S
}

// -----

!x = tensor<?x?x4xf64, #recur.dims<batch, time | "4">>
!p = tensor<4xf64, #recur.dims<| "4">>
!h = tensor<?x4xf64, #recur.dims<batch | "4">>

// A parameter's gradient is summed over time in a state, and over the batch behind the scan; initial and final states pass the cotangent on.
// CHECK-LABEL: func.func @shared(
// CHECK: recur.scan over [#recur.axis<"t", reverse>] states [#recur.state<"d_h", {{\[\[}}1]]>, #recur.state<"sum0", {{\[\[}}1]]>]
// CHECK: %[[SUM:.*]] = recur.sum_to(%{{.*}}) : (tensor<?x4xf64, #{{.*}}>) -> tensor<4xf64,
// CHECK: return %{{.*}}, %[[SUM]], %{{.*}} :
func.func @shared(%x: !x {recur.name = "x", recur.kind = "input"}, %a: !p {recur.name = "a", recur.kind = "param"},
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

// -----

!x = tensor<?x?x4xf64, #recur.dims<batch, time | "4">>
!p = tensor<4xf64, #recur.dims<| "4">>
!u = tensor<4x4xf64, #recur.dims<| "4", "4">>
!h = tensor<?x4xf64, #recur.dims<batch | "4">>

// A product with a recurrent matrix is not computed a third time: what was made of it alone, tanh(U h + x), is handed over.
// CHECK-LABEL: func.func @cell(
// CHECK: %[[F:.*]]:3 = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", {{\[\[}}1]]>]
// CHECK: recur.contract "ab,b->a"
// CHECK: %[[NEW:.*]] = recur.map tanh
// CHECK: recur.yield states(%[[NEW]] : {{.*}}) outputs(%[[NEW]], %h :
// CHECK: recur.scan over [#recur.axis<"t", reverse>]
// CHECK: inputs({{.*}}%[[F]]#0
// CHECK-NOT: recur.contract "ab,b->a"
// CHECK-NOT: recur.map tanh
// CHECK: return
func.func @cell(%x: !x {recur.name = "x", recur.kind = "input"}, %U: !u {recur.name = "U", recur.kind = "param"},
                %h0: !h {recur.name = "h", recur.kind = "init"})
    -> (!x {recur.name = "y", recur.kind = "output"}, !h {recur.name = "h", recur.kind = "final"}) {
  %y, %h = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%U : !u) inits(%h0 : !h) {
  ^bb0(%xt: !p, %W: !u, %s: !p):
    %r = recur.contract "ab,b->a"(%W, %s) : (!u, !p) -> !p
    %a = recur.map add(%xt, %r) : (!p, !p) -> !p
    %n = recur.map tanh(%a) : (!p) -> !p
    recur.yield states(%n : !p) outputs(%n : !p)
  } : !x, !h
  return %y, %h : !x, !h
}
