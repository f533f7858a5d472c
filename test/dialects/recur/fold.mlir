// What the folds do, and what they leave alone.
// RUN: rondo-opt --canonicalize --split-input-file %s | FileCheck %s

!s = tensor<f64, #recur.dims<>>
!k = tensor<?xf64, #recur.dims<| K>>
!kc = tensor<?xcomplex<f64>, #recur.dims<| K>>

// One and zero are neutral.
// CHECK-LABEL: func.func @neutral
// CHECK-SAME: (%[[X:.*]]: tensor
// CHECK-NEXT: return %[[X]]
func.func @neutral(%x: !k) -> !k {
  %one = arith.constant dense<1.0> : !s
  %zero = arith.constant dense<0.0> : !s
  %0 = recur.map mul(%one, %x) : (!s, !k) -> !k
  %1 = recur.map add(%0, %zero) : (!k, !s) -> !k
  %2 = recur.map sub(%1, %zero) : (!k, !s) -> !k
  %3 = recur.map div(%2, %one) : (!k, !s) -> !k
  %4 = recur.map pow(%3, %one) : (!k, !s) -> !k
  return %4 : !k
}

// -----

!s = tensor<f64, #recur.dims<>>
!k = tensor<?xf64, #recur.dims<| K>>

// Zero times x may be no number, zero minus x is not x.
// CHECK-LABEL: func.func @not_neutral
// CHECK: recur.map mul
// CHECK: recur.map sub
func.func @not_neutral(%x: !k) -> !k {
  %zero = arith.constant dense<0.0> : !s
  %0 = recur.map mul(%x, %zero) : (!k, !s) -> !k
  %1 = recur.map sub(%zero, %0) : (!s, !k) -> !k
  return %1 : !k
}

// -----

!s = tensor<f64, #recur.dims<>>
!k = tensor<?xf64, #recur.dims<| K>>

// A scalar does not stand for the array that it is multiplied by.
// CHECK-LABEL: func.func @shape_stays
// CHECK: %[[ONES:.*]] = recur.broadcast
// CHECK: recur.map mul(%{{.*}}, %[[ONES]])
func.func @shape_stays(%x: !s) -> !k {
  %one = arith.constant dense<1.0> : !s
  %ones = recur.broadcast [0] (%one) : (!s) -> !k
  %0 = recur.map mul(%x, %ones) : (!s, !k) -> !k
  return %0 : !k
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!kc = tensor<?xcomplex<f64>, #recur.dims<| K>>

// CHECK-LABEL: func.func @undone
// CHECK-SAME: (%[[X:.*]]: tensor<?xf64, #K>, %[[Y:.*]]: tensor<?xf64, #K>, %[[Z:.*]]: tensor<?xcomplex<f64>, #K>)
// CHECK-NEXT: return %[[X]], %[[X]], %[[Y]], %[[Z]]
func.func @undone(%x: !k, %y: !k, %z: !kc) -> (!k, !k, !k, !kc) {
  %0 = recur.map neg(%x) : (!k) -> !k
  %1 = recur.map neg(%0) : (!k) -> !k
  %2 = recur.map complex(%x, %y) : (!k, !k) -> !kc
  %3 = recur.map real(%2) : (!kc) -> !k
  %4 = recur.map imag(%2) : (!kc) -> !k
  %5 = recur.map conj(%z) : (!kc) -> !kc
  %6 = recur.map conj(%5) : (!kc) -> !kc
  return %1, %3, %4, %6 : !k, !k, !k, !kc
}

// -----

!s = tensor<f64, #recur.dims<>>
!three = tensor<3xf64, #recur.dims<| "3">>

// Constants of known shape are computed: 2 * [1, 2, 3] + 1, and select on the way.
// CHECK-LABEL: func.func @constants
// CHECK-NEXT: %[[C:.*]] = arith.constant dense<[3.000000e+00, 5.000000e+00, 7.000000e+00]>
// CHECK-NEXT: return %[[C]]
func.func @constants() -> !three {
  %v = arith.constant dense<[1.0, 2.0, 3.0]> : !three
  %two = arith.constant dense<2.0> : !s
  %one = arith.constant dense<1.0> : !s
  %0 = recur.map mul(%v, %two) : (!three, !s) -> !three
  %ones = recur.broadcast [0] (%one) : (!s) -> !three
  %1 = recur.map add(%0, %ones) : (!three, !three) -> !three
  %c = recur.map lt(%one, %two) : (!s, !s) -> tensor<i1, #recur.dims<>>
  %2 = recur.map select(%c, %1, %v) : (tensor<i1, #recur.dims<>>, !three, !three) -> !three
  return %2 : !three
}

// -----

!f32 = tensor<?xf32, #recur.dims<| K>>
!f64 = tensor<?xf64, #recur.dims<| K>>
!f16 = tensor<?xf16, #recur.dims<| K>>

// Widening and back is nothing; rounding to f16 and back is not.
// CHECK-LABEL: func.func @casts
// CHECK-SAME: (%[[X:.*]]: tensor
// CHECK-NEXT: %[[H:.*]] = recur.cast(%[[X]]) : {{.*}} -> tensor<?xf16
// CHECK-NEXT: %[[Y:.*]] = recur.cast(%[[H]]) : {{.*}} -> tensor<?xf32
// CHECK-NEXT: return %[[X]], %[[Y]]
func.func @casts(%x: !f32) -> (!f32, !f32) {
  %0 = recur.cast(%x) : (!f32) -> !f64
  %1 = recur.cast(%0) : (!f64) -> !f32
  %2 = recur.cast(%x) : (!f32) -> !f16
  %3 = recur.cast(%2) : (!f16) -> !f32
  return %1, %3 : !f32, !f32
}

// -----

!pair = tensor<2x1xf32, #recur.dims<| "2", "1">>
!flat = tensor<2xf32, #recur.dims<| "2">>

// A constant of another shape is a constant.
// CHECK-LABEL: func.func @reshaped_constant
// CHECK-NEXT: %[[C:.*]] = arith.constant dense<{{\[}}1.000000e+00, 2.000000e+00]> : tensor<2xf32
// CHECK-NEXT: return %[[C]]
func.func @reshaped_constant() -> !flat {
  %0 = arith.constant dense<[[1.0], [2.0]]> : !pair
  %1 = recur.reshape(%0) : (!pair) -> !flat
  return %1 : !flat
}

// -----

!kv = tensor<?x?xf64, #recur.dims<| K, V>>
!flat = tensor<?xf64, #recur.dims<| "K*V">>

// Ops that change nothing.
// CHECK-LABEL: func.func @copies
// CHECK-SAME: (%[[X:.*]]: tensor
// CHECK-NEXT: return %[[X]]
func.func @copies(%x: !kv) -> !kv {
  %0 = recur.contract "ab->ab"(%x) : (!kv) -> !kv
  %1 = recur.slice 1 at "0" (%0) : (!kv) -> !kv
  %2 = recur.concat 0 (%1) : (!kv) -> !kv
  %3 = recur.reshape(%2) : (!kv) -> !flat
  %4 = recur.reshape(%3) : (!flat) -> !kv
  %5 = recur.reduce sum [] (%4) : (!kv) -> !kv
  %6 = recur.broadcast [] (%5) : (!kv) -> !kv
  return %6 : !kv
}
