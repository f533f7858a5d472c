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

// A recurrence of one number gives that, and a scan without states the rows made of it; what has the number's shape stays.
// CHECK-LABEL: func.func @number(
// CHECK: %[[D:.*]]:3 = recur.scan {{.*}} states [#recur.state<"d", {{\[\[1\]\]}}>]
// CHECK: recur.yield states({{.*}}) outputs({{.*}}, {{.*}} : tensor<f32{{.*}}, tensor<f32
// CHECK: %[[ROWS:.*]] = recur.scan over [#recur.axis<"t">]{{$}}
// CHECK-NEXT: inputs(%[[D]]#1
// CHECK: recur.broadcast
// CHECK: return %[[D]]#0, %[[ROWS]]
func.func @number(%x: !n, %g: !x, %d0: tensor<?xf32, #recur.dims<batch>>) -> (!n, !x) {
  %y, %z, %d = recur.scan over [#recur.axis<"t">] states [#recur.state<"d", [[1]]>] inputs(%x, %g : !n, !x)
      inits(%d0 : tensor<?xf32, #recur.dims<batch>>) {
  ^bb0(%xt: !s, %gt: !k, %old: !s):
    %new = recur.map mul(%old, %xt) : (!s, !s) -> !s
    %both = recur.map add(%new, %xt) : (!s, !s) -> !s
    %spread = recur.broadcast [0](%new) : (!s) -> !k
    %rows = recur.map mul(%gt, %spread) : (!k, !k) -> !k
    recur.yield states(%new : !s) outputs(%both, %rows : !s, !k)
  } : !n, !x, tensor<?xf32, #recur.dims<batch>>
  return %y, %z : !n, !x
}

// A sum over more than 32 elements of an input does not keep the readout there: choose-tiles takes it off what is raised.
// CHECK-LABEL: func.func @normed(
// CHECK: %[[H:.*]]:2 = recur.scan {{.*}} states [#recur.state<"h", {{\[\[1\]\]}}>]
// CHECK: recur.yield states({{.*}}) outputs({{.*}} : tensor<8xf32
// CHECK: recur.scan over [#recur.axis<"t">]{{$}}
// CHECK-NEXT: inputs(%[[H]]#0
// CHECK: return
func.func @normed(%x: !x, %h0: !h) -> !n {
  %y, %h = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h) {
  ^bb0(%xt: !k, %old: !k):
    %square = recur.map mul(%xt, %xt) : (!k, !k) -> !k
    %norm = recur.reduce sum [0](%square) : (!k) -> !s
    %row = recur.map div(%xt, %norm) : (!k, !s) -> !k
    %new = recur.map add(%old, %row) : (!k, !k) -> !k
    %sum = recur.contract "a,a->"(%new, %xt) : (!k, !k) -> !s
    recur.yield states(%new : !k) outputs(%sum : !s)
  } : !n, !h
  return %y : !n
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
