// What lower-scan declines, each with the error that says what is missing.
// RUN: split-file %s %t
// RUN: not rondo-opt --lower-scan %t/axes.mlir 2>&1 | FileCheck %t/axes.mlir
// RUN: not rondo-opt --lower-scan %t/models.mlir 2>&1 | FileCheck %t/models.mlir
// RUN: not rondo-opt --lower-scan %t/argument.mlir 2>&1 | FileCheck %t/argument.mlir
// RUN: not rondo-opt --lower-scan %t/twice.mlir 2>&1 | FileCheck %t/twice.mlir
// RUN: not rondo-opt --lower-scan %t/rows.mlir 2>&1 | FileCheck %t/rows.mlir

//--- axes.mlir
// CHECK: error: a scan over 3 axes has no CPU kernel; one or two axes do
!x = tensor<?x?x?x?xf32, #recur.dims<batch, time, time1, time2>>
!t = tensor<f32, #recur.dims<>>
func.func @axes(%x: !x) -> !x {
  %y = recur.scan over [#recur.axis<"a">, #recur.axis<"b">, #recur.axis<"c">] inputs(%x : !x) {
  ^bb0(%xt: !t):
    recur.yield outputs(%xt : !t)
  } : !x
  return %y : !x
}

//--- models.mlir
// CHECK: error: expected one model, got 2
func.func @one() {
  return
}
func.func @two() {
  return
}

//--- argument.mlir
// CHECK: error: result 0 is an argument; no kernel writes it
!x = tensor<?x?xf32, #recur.dims<batch, time>>
func.func @argument(%x: !x) -> !x {
  return %x : !x
}

//--- twice.mlir
// CHECK: error: result 1 is an earlier result; 'separate-results' makes it a value of its own
!x = tensor<?x?xf32, #recur.dims<batch, time>>
!t = tensor<f32, #recur.dims<>>
func.func @twice(%x: !x) -> (!x, !x) {
  %y = recur.scan over [#recur.axis<"t">] inputs(%x : !x) {
  ^bb0(%xt: !t):
    recur.yield outputs(%xt : !t)
  } : !x
  return %y, %y : !x, !x
}

//--- rows.mlir
// CHECK: error: rows are read that are no output
!x = tensor<?x?xf32, #recur.dims<batch, time>>
!t = tensor<f32, #recur.dims<>>
!c = tensor<2xf32, #recur.dims<time>>
func.func @rows(%x: !x, %h0: tensor<?xf32, #recur.dims<batch>>) -> (!x, tensor<?xf32, #recur.dims<batch>>) {
  %y, %h = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x)
      inits(%h0 : tensor<?xf32, #recur.dims<batch>>) plan <form = chunk, schedule = carry, chunk = 2> step {
  ^bb0(%xt: !t, %ht: !t):
    recur.yield states(%ht : !t) outputs(%xt : !t)
  } chunk {
  ^bb0(%xc: !c, %ht: !t):
    %a = chunk.row 0 of %xc : !c -> !t
    %r = chunk.rows(%a, %a) : !t -> !c
    %z = recur.map neg(%r) : (!c) -> !c
    recur.yield states(%ht : !t) outputs(%z : !c)
  } : !x, tensor<?xf32, #recur.dims<batch>>
  return %y, %h : !x, tensor<?xf32, #recur.dims<batch>>
}
