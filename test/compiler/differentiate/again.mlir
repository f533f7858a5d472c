// RUN: rondo-opt --split-input-file --differentiate="again=true" --canonicalize --cse %s | FileCheck %s
// RUN: rondo-opt --split-input-file --differentiate="again=true interval=8" %s | FileCheck --check-prefix=ASKED %s

!q = tensor<?x?x4xf64, #recur.dims<batch, time | "4">>
!v = tensor<?x?x8xf64, #recur.dims<batch, time | "8">>
!g = tensor<?x?xf64, #recur.dims<batch, time>>
!S = tensor<?x4x8xf64, #recur.dims<batch | "4", "8">>
!k = tensor<4xf64, #recur.dims<| "4">>
!w = tensor<8xf64, #recur.dims<| "8">>
!s = tensor<4x8xf64, #recur.dims<| "4", "8">>
!a = tensor<f64, #recur.dims<>>

// The decay's gradient needs the matrix at every step: it is computed again from one that is kept, and not stored for every step. A state's 256
// bytes every 16 steps are less than a sixteenth of the tensors' 25 numbers a step, there and back.
// CHECK-LABEL: func.func @decayed(
// CHECK-NOT: recur.scan
// CHECK: chunk.gradient_scan over [#recur.axis<"t">] states [#recur.state<"S", {{\[\[}}1]]>] adjoints [#recur.state<"d_S", {{\[\[}}1]]>]
// CHECK: plan <form = chunk, schedule = carry, chunk = 1> step {
// CHECK-NOT: recur.scan
// CHECK: return
// ASKED-LABEL: func.func @decayed(
// ASKED: plan <form = chunk, schedule = carry, chunk = 1, interval = 8> step {
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
!k = tensor<4xf64, #recur.dims<| "4">>
!m = tensor<4x4xf64, #recur.dims<| "4", "4">>
!S = tensor<?x4x4xf64, #recur.dims<batch | "4", "4">>

// Without a decay no gradient meets the matrix and its cotangent: two scans with nothing but vectors between them.
// CHECK-LABEL: func.func @undecayed(
// CHECK-NOT: chunk.gradient_scan
// CHECK: return
func.func @undecayed(%q: !x {recur.name = "q", recur.kind = "input"}, %k: !x {recur.name = "k", recur.kind = "input"},
                     %S0: !S {recur.name = "S", recur.kind = "init"})
    -> (!x {recur.name = "o", recur.kind = "output"}) {
  %o, %S = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%q, %k : !x, !x) inits(%S0 : !S) {
  ^bb0(%qt: !k, %kt: !k, %s: !m):
    %u = recur.contract "a,b->ab"(%kt, %kt) : (!k, !k) -> !m
    %n = recur.map add(%s, %u) : (!m, !m) -> !m
    %y = recur.contract "a,ab->b"(%qt, %n) : (!k, !m) -> !k
    recur.yield states(%n : !m) outputs(%y : !k)
  } : !x, !S
  return %o : !x
}

// -----

!x = tensor<?x?x4xf64, #recur.dims<batch, time | "4">>
!k = tensor<4xf64, #recur.dims<| "4">>
!m = tensor<4x4xf64, #recur.dims<| "4", "4">>
!S = tensor<?x4x4xf64, #recur.dims<batch | "4", "4">>

// A recurrent matrix's products gain more from scans of their own than the stored states cost.
// CHECK-LABEL: func.func @recurrent(
// CHECK-NOT: chunk.gradient_scan
// CHECK: return
func.func @recurrent(%x: !x {recur.name = "x", recur.kind = "input"}, %U: !m {recur.name = "U", recur.kind = "param"},
                     %S0: !S {recur.name = "S", recur.kind = "init"})
    -> (!x {recur.name = "o", recur.kind = "output"}) {
  %o, %S = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%x : !x) params(%U : !m) inits(%S0 : !S) {
  ^bb0(%xt: !k, %W: !m, %s: !m):
    %r = recur.contract "ab,a->b"(%s, %xt) : (!m, !k) -> !k
    %p = recur.contract "ab,b->a"(%W, %r) : (!m, !k) -> !k
    %t = recur.map tanh(%p) : (!k) -> !k
    %u = recur.contract "a,b->ab"(%t, %xt) : (!k, !k) -> !m
    %e = recur.map mul(%s, %s) : (!m, !m) -> !m
    %n = recur.map add(%e, %u) : (!m, !m) -> !m
    recur.yield states(%n : !m) outputs(%t : !k)
  } : !x, !S
  return %o : !x
}

// -----

!x = tensor<?x?x4xf64, #recur.dims<batch, time | "4">>
!g = tensor<?x?xf64, #recur.dims<batch, time>>
!S = tensor<?x4x4xf64, #recur.dims<batch | "4", "4">>
!k = tensor<4xf64, #recur.dims<| "4">>
!m = tensor<4x4xf64, #recur.dims<| "4", "4">>
!a = tensor<f64, #recur.dims<>>

// A gradient's scan has states of such names: its own adjoints get others.
// CHECK-LABEL: func.func @named(
// CHECK: chunk.gradient_scan {{.*}} states [#recur.state<"S", {{.*}}>, #recur.state<"d_S", {{.*}}>] adjoints [#recur.state<"d_S'", {{.*}}>, #recur.state<"d_d_S", {{.*}}>]
func.func @named(%q: !x {recur.name = "q", recur.kind = "input"}, %k: !x {recur.name = "k", recur.kind = "input"},
                 %g: !g {recur.name = "g", recur.kind = "input"}, %S0: !S {recur.name = "S", recur.kind = "init"})
    -> (!x {recur.name = "o", recur.kind = "output"}) {
  %o, %S, %D = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>, #recur.state<"d_S", [[1]]>]
      inputs(%q, %k, %g : !x, !x, !g) inits(%S0, %S0 : !S, !S) {
  ^bb0(%qt: !k, %kt: !k, %gt: !a, %s: !m, %d: !m):
    %u = recur.contract "a,b->ab"(%kt, %kt) : (!k, !k) -> !m
    %f = recur.map mul(%gt, %s) : (!a, !m) -> !m
    %n = recur.map add(%f, %u) : (!m, !m) -> !m
    %h = recur.map mul(%gt, %d) : (!a, !m) -> !m
    %l = recur.map add(%h, %n) : (!m, !m) -> !m
    %y = recur.contract "a,ab->b"(%qt, %l) : (!k, !m) -> !k
    recur.yield states(%n, %l : !m, !m) outputs(%y : !k)
  } : !x, !S, !S
  return %o : !x
}
