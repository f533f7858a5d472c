// RUN: split-file %s %t
// RUN: rondo-opt --add-boundaries="resets packed" %t/models.mlir | FileCheck --check-prefixes=BOTH %t/models.mlir
// RUN: rondo-opt --add-boundaries="resets" %t/models.mlir | FileCheck --check-prefix=RESETS %t/models.mlir
// RUN: rondo-opt --add-boundaries %t/models.mlir | FileCheck --check-prefix=NONE %t/models.mlir
// RUN: not rondo-opt --add-boundaries=resets %t/axes.mlir 2>&1 | FileCheck %t/axes.mlir
// RUN: not rondo-opt --add-boundaries=packed %t/name.mlir 2>&1 | FileCheck %t/name.mlir
// RUN: not rondo-opt --add-boundaries=resets %t/twice.mlir 2>&1 | FileCheck %t/twice.mlir

//--- models.mlir
!x = tensor<?x?xf64, #recur.dims<batch, time>>
!h = tensor<?xf64, #recur.dims<batch>>
!s = tensor<f64, #recur.dims<>>

// A scan with a state takes both; one without takes the offsets where a parameter differs from sequence to sequence.
// BOTH-LABEL: func.func @scans(
// BOTH-SAME: %[[R:[^ ]*]]: tensor<?x?xi1, #batch_time> {recur.kind = "resets", recur.name = "resets"}
// BOTH-SAME: %[[N:[^ ]*]]: tensor<?xi64> {recur.kind = "offsets", recur.name = "offsets"}
// BOTH: recur.scan {{.*}} states
// BOTH: resets(%[[R]] :
// BOTH-NEXT: offsets(%[[N]] :
// BOTH: recur.scan
// BOTH-NOT: offsets
// BOTH: recur.scan
// BOTH-NOT: resets
// BOTH: offsets(%[[N]] :
// BOTH: return
// RESETS-LABEL: func.func @scans(
// RESETS-NOT: offsets
// RESETS: recur.scan {{.*}} states
// RESETS: resets(
// RESETS-NOT: resets(
// RESETS: return
// NONE-NOT: resets
// NONE-NOT: offsets
func.func @scans(%x: !x, %p: !h, %h0: !h) -> (!h, !x, !x) {
  %h = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h) {
  ^bb0(%xt: !s, %ht: !s):
    recur.yield states(%xt : !s)
  } : !h
  %y = recur.scan over [#recur.axis<"t">] inputs(%x : !x) {
  ^bb0(%xt: !s):
    recur.yield outputs(%xt : !s)
  } : !x
  %z = recur.scan over [#recur.axis<"t">] inputs(%x : !x) params(%p : !h) {
  ^bb0(%xt: !s, %pt: !s):
    %zt = recur.map mul(%xt, %pt) : (!s, !s) -> !s
    recur.yield outputs(%zt : !s)
  } : !x
  return %h, %y, %z : !h, !x, !x
}

//--- axes.mlir
!x = tensor<?x?x?xf64, #recur.dims<batch, time, time1>>
!s = tensor<f64, #recur.dims<>>
func.func @axes(%x: !x) -> !x {
  // CHECK: :[[@LINE+1]]:8: error: resets and packed sequences are for models over one axis; this one has 2
  %y = recur.scan over [#recur.axis<"a">, #recur.axis<"b">] inputs(%x : !x) {
  ^bb0(%xt: !s):
    recur.yield outputs(%xt : !s)
  } : !x
  return %y : !x
}

//--- name.mlir
// CHECK: error: the model has a tensor 'offsets' of its own, so that it cannot be compiled to take offsets
func.func @name(%x: tensor<?x?xf64, #recur.dims<batch, time>> {recur.name = "offsets", recur.kind = "input"}) {
  return
}

//--- twice.mlir
!x = tensor<?x?xf64, #recur.dims<batch, time>>
!h = tensor<?xf64, #recur.dims<batch>>
!r = tensor<?x?xi1, #recur.dims<batch, time>>
!s = tensor<f64, #recur.dims<>>
func.func @twice(%x: !x, %h0: !h, %r: !r) -> !h {
  // CHECK: error: the scan has resets already
  %h = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h)
      resets(%r : !r) {
  ^bb0(%xt: !s, %ht: !s):
    recur.yield states(%xt : !s)
  } : !h
  return %h : !h
}
