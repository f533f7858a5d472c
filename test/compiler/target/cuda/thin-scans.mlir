// RUN: rondo-opt --thin-scans %s | FileCheck %s
!n = tensor<?x?xf32, #recur.dims<batch, time>>
!x = tensor<?x?x64xf32, #recur.dims<batch, time | K>>
!h = tensor<?x64xf32, #recur.dims<batch | K>>
!S = tensor<?x64x64xf32, #recur.dims<batch | K, V>>
!s = tensor<f32, #recur.dims<>>
!k = tensor<64xf32, #recur.dims<| K>>
!kv = tensor<64x64xf32, #recur.dims<| K, V>>

// A sum over parameters: rows first, then their sum, each the state of a scan that forgets; the recurrence adds a number.
// CHECK-LABEL: func.func @ends(
// CHECK: %[[ROWS:.*]] = recur.scan {{.*}} states [#recur.state<"fixed", {{\[\[1\]\]}}>]
// CHECK: recur.contract "ab,ab->a"
// CHECK: %[[SUM:.*]] = recur.scan {{.*}} states [#recur.state<"fixed", {{\[\[1\]\]}}>]
// CHECK-NEXT: inputs(
// CHECK-NEXT: params(%[[ROWS]] :
// CHECK: recur.reduce sum
// CHECK: recur.scan {{.*}} states [#recur.state<"d", {{\[\[1\]\]}}>]
// CHECK-NEXT: inputs(
// CHECK-NEXT: params(%[[SUM]] :
// CHECK-NOT: recur.contract
// CHECK: return
func.func @ends(%x: !n, %S: !S, %dS: !S, %d0: tensor<?xf32, #recur.dims<batch>>) -> !n {
  %y, %d = recur.scan over [#recur.axis<"t", reverse>] states [#recur.state<"d", [[1]]>] inputs(%x : !n) params(%S, %dS : !S, !S)
      inits(%d0 : tensor<?xf32, #recur.dims<batch>>) {
  ^bb0(%xt: !s, %a: !kv, %b: !kv, %old: !s):
    %new = recur.map add(%old, %xt) : (!s, !s) -> !s
    %end = recur.contract "ab,ab->"(%a, %b) : (!kv, !kv) -> !s
    %all = recur.map add(%new, %end) : (!s, !s) -> !s
    recur.yield states(%new : !s) outputs(%all : !s)
  } : !n, tensor<?xf32, #recur.dims<batch>>
  return %y : !n
}

// A readout: the recurrence sums over 8 neighbours each, what is elementwise stays, and the rest is a scan without states.
// CHECK-LABEL: func.func @readout(
// CHECK: %[[H:.*]]:3 = recur.scan {{.*}} states [#recur.state<"h", {{\[\[1\]\]}}>]
// CHECK: recur.reshape({{.*}} -> tensor<8x8xf32
// CHECK: recur.yield states({{.*}}) outputs({{.*}}, {{.*}} : tensor<64xf32{{.*}}, tensor<8xf32
// CHECK: recur.scan over [#recur.axis<"t">]{{$}}
// CHECK-NEXT: inputs(%[[H]]#1
// CHECK: recur.reduce sum
// CHECK: recur.map abs
// CHECK: return {{.*}}%[[H]]#0
func.func @readout(%x: !x, %h0: !h) -> (!n, !x) {
  %y, %z, %h = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h) {
  ^bb0(%xt: !k, %old: !k):
    %new = recur.map add(%old, %xt) : (!k, !k) -> !k
    %sum = recur.contract "a,a->"(%new, %xt) : (!k, !k) -> !s
    %abs = recur.map abs(%sum) : (!s) -> !s
    %both = recur.map mul(%old, %xt) : (!k, !k) -> !k
    recur.yield states(%new : !k) outputs(%abs, %both : !s, !k)
  } : !n, !x, !h
  return %y, %z : !n, !x
}

// A state that is no linear recurrence keeps its readout.
// CHECK-LABEL: func.func @cell(
// CHECK: recur.scan {{.*}} states
// CHECK-NOT: recur.scan
// CHECK: return
func.func @cell(%x: !x, %h0: !h) -> !n {
  %y, %h = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h) {
  ^bb0(%xt: !k, %old: !k):
    %add = recur.map add(%old, %xt) : (!k, !k) -> !k
    %new = recur.map tanh(%add) : (!k) -> !k
    %sum = recur.contract "a,a->"(%new, %xt) : (!k, !k) -> !s
    recur.yield states(%new : !k) outputs(%sum : !s)
  } : !n, !h
  return %y : !n
}
