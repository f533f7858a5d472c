// RUN: split-file %s %t
// RUN: rondo-opt --separate-results %t/good.mlir | FileCheck %s
// RUN: rondo-opt --separate-results %t/argument.mlir 2>&1 | FileCheck --check-prefix=ARGUMENT %s

//--- good.mlir
!x = tensor<?x?x4xf64, #recur.dims<batch, time | "4">>
!h = tensor<?x?x2x2xf64, #recur.dims<batch, time, head | "2">>
!s = tensor<?x4xf64, #recur.dims<batch | "4">>
!xt = tensor<4xf64, #recur.dims<| "4">>

// One value under two names: the scan yields it twice. Its final state is untouched.
// CHECK-LABEL: func.func @twice(
// CHECK: %[[S:.*]]:3 = recur.scan
// CHECK: recur.yield states(%[[N:.*]] : {{.*}}) outputs(%[[N]], %[[N]] :
// CHECK: return %[[S]]#0, %[[S]]#1, %[[S]]#2
func.func @twice(%x: !x, %s0: !s) -> (!x, !x, !s) {
  %y, %s = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !x) inits(%s0 : !s) {
  ^bb0(%xt: !xt, %st: !xt):
    %n = recur.map add(%xt, %st) : (!xt, !xt) -> !xt
    recur.yield states(%n : !xt) outputs(%n : !xt)
  } : !x, !s
  return %y, %y, %s : !x, !x, !s
}

// One value in two shapes, and one reshape under two names.
// CHECK-LABEL: func.func @reshaped(
// CHECK: %[[S:.*]]:3 = recur.scan
// CHECK-DAG: %[[A:.*]] = recur.reshape(%[[S]]#1)
// CHECK-DAG: %[[B:.*]] = recur.reshape(%[[S]]#2)
// CHECK: return %[[S]]#0, %[[A]], %[[B]]
func.func @reshaped(%x: !x) -> (!x, !h, !h) {
  %y = recur.scan over [#recur.axis<"t">] inputs(%x : !x) {
  ^bb0(%xt: !xt):
    recur.yield outputs(%xt : !xt)
  } : !x
  %h = recur.reshape(%y) : (!x) -> !h
  return %y, %h, %h : !x, !h, !h
}

// Results that differ are left alone.
// CHECK-LABEL: func.func @different(
// CHECK: %[[S:.*]]:2 = recur.scan
// CHECK: return %[[S]]#1, %[[S]]#0
func.func @different(%x: !x) -> (!x, !x) {
  %y:2 = recur.scan over [#recur.axis<"t">] inputs(%x : !x) {
  ^bb0(%xt: !xt):
    recur.yield outputs(%xt, %xt : !xt, !xt)
  } : !x, !x
  return %y#1, %y#0 : !x, !x
}

//--- argument.mlir
// An argument is copied.
// ARGUMENT: %[[COPY:.*]] = recur.sum_to(%{{.*}})
// ARGUMENT: return %[[COPY]]
func.func @argument(%x: tensor<?x?xf64, #recur.dims<batch, time>>) -> tensor<?x?xf64, #recur.dims<batch, time>> {
  return %x : tensor<?x?xf64, #recur.dims<batch, time>>
}
