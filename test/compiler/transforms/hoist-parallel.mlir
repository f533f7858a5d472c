// RUN: rondo-opt --hoist-parallel %s 2>%t | FileCheck %s
// RUN: FileCheck --check-prefix=REMARK %s < %t
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!w = tensor<4x4xf32, #recur.dims<| "4", "4">>
!t = tensor<4xf32, #recur.dims<| "4">>
!b = tensor<4xi1, #recur.dims<| "4">>
!s = tensor<f32, #recur.dims<>>

// W x leaves, and the gate that is made of it; U h waits for the state.
// CHECK-LABEL: func.func @gate(
// CHECK: %[[GATE:.*]] = recur.scan over [#recur.axis<"t">]{{$}}
// CHECK: recur.contract
// CHECK: recur.map tanh
// CHECK: recur.scan {{.*}} states
// CHECK: inputs(%[[GATE]] :
// CHECK-NOT: recur.map tanh
// CHECK: return
func.func @gate(%x: !x, %w: !w, %u: !w, %h0: !h) -> !h {
  %h = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%w, %u : !w, !w)
      inits(%h0 : !h) {
  ^bb0(%xt: !t, %W: !w, %U: !w, %ht: !t):
    %p = recur.contract "ab,b->a"(%W, %xt) : (!w, !t) -> !t
    %g = recur.map tanh(%p) : (!t) -> !t
    %r = recur.contract "ab,b->a"(%U, %ht) : (!w, !t) -> !t
    %n = recur.map mul(%g, %r) : (!t, !t) -> !t
    recur.yield states(%n : !t)
  } : !h
  return %h : !h
}

// An output that leaves is the parallel scan's, in the type that is wanted; one that the step still needs is stored wide for it.
// CHECK-LABEL: func.func @output(
// CHECK: %[[P:.*]]:2 = recur.scan over [#recur.axis<"t">]{{$}}
// CHECK: } : tensor<?x?x4xbf16, {{.*}}>, tensor<?x?x4xf32,
// CHECK: %[[H:.*]]:2 = recur.scan {{.*}} states
// CHECK: inputs(%[[P]]#1 :
// CHECK: recur.yield states(%{{.*}}) outputs(%{{.*}} :
// CHECK: return %[[H]]#1, %[[P]]#0, %[[H]]#0
!n = tensor<?x?x4xbf16, #recur.dims<batch, time | "4">>
func.func @output(%x: !x, %w: !w, %u: !w, %h0: !h) -> (!h, !n, !n) {
  %y, %z, %h = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%w, %u : !w, !w)
      inits(%h0 : !h) {
  ^bb0(%xt: !t, %W: !w, %U: !w, %ht: !t):
    %p = recur.contract "ab,b->a"(%W, %xt) : (!w, !t) -> !t
    %q = recur.contract "ab,b->a"(%U, %xt) : (!w, !t) -> !t
    %n = recur.map mul(%q, %ht) : (!t, !t) -> !t
    recur.yield states(%n : !t) outputs(%p, %q : !t, !t)
  } : !n, !n, !h
  return %h, %y, %z : !h, !n, !n
}

// A comparison stays where it is used: the projection is stored, and not the truth value.
// CHECK-LABEL: func.func @truth(
// CHECK: %[[P:.*]] = recur.scan over [#recur.axis<"t">]{{$}}
// CHECK-NOT: recur.map lt
// CHECK: } : tensor<?x?x4xf32
// CHECK: recur.scan {{.*}} states
// CHECK: recur.map lt
func.func @truth(%x: !x, %w: !w, %h0: !h) -> !h {
  %h = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%w : !w)
      inits(%h0 : !h) {
  ^bb0(%xt: !t, %W: !w, %ht: !t):
    %zero = arith.constant dense<0.0> : !s
    %p = recur.contract "ab,b->a"(%W, %xt) : (!w, !t) -> !t
    %b = recur.map lt(%zero, %p) : (!s, !t) -> !b
    %n = recur.map select(%b, %ht, %xt) : (!b, !t, !t) -> !t
    recur.yield states(%n : !t)
  } : !h
  return %h : !h
}

// Without a shared matrix nothing is gained, and a scan without states is parallel already.
// CHECK-LABEL: func.func @alone(
// CHECK-COUNT-2: recur.scan
// CHECK-NOT: recur.scan
// CHECK: return
func.func @alone(%x: !x, %w: !w, %h0: !h) -> (!h, !x) {
  %h = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h) {
  ^bb0(%xt: !t, %ht: !t):
    %g = recur.map tanh(%xt) : (!t) -> !t
    %n = recur.map mul(%g, %ht) : (!t, !t) -> !t
    recur.yield states(%n : !t)
  } : !h
  %y = recur.scan over [#recur.axis<"t">] inputs(%x : !x) params(%w : !w) {
  ^bb0(%xt: !t, %W: !w):
    %p = recur.contract "ab,b->a"(%W, %xt) : (!w, !t) -> !t
    recur.yield outputs(%p : !t)
  } : !x
  return %h, %y : !h, !x
}

// Over two axes it declines, with a remark.
// CHECK-LABEL: func.func @grid(
// CHECK-COUNT-1: recur.scan
// REMARK: remark: hoist-parallel declines: the scan has more than one axis
!g = tensor<?x?x?x4xf32, #recur.dims<batch, time, time1 | "4">>
func.func @grid(%x: !g, %w: !w, %h0: !h) -> !g {
  %y, %r, %c = recur.scan over [#recur.axis<"r">, #recur.axis<"c">] states [#recur.state<"h", [[1, 0]]>]
      inputs(%x : !g) params(%w : !w) inits(%h0 : !h) {
  ^bb0(%xt: !t, %W: !w, %ht: !t):
    %p = recur.contract "ab,b->a"(%W, %xt) : (!w, !t) -> !t
    %n = recur.map add(%p, %ht) : (!t, !t) -> !t
    recur.yield states(%n : !t) outputs(%n : !t)
  } : !g, tensor<?x?x4xf32, #recur.dims<batch, time1 | "4">>, tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
  return %y : !g
}
