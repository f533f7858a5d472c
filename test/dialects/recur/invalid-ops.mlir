// Each numbered constraint of each op of the step, broken once.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

!k = tensor<?xf64, #recur.dims<| K>>

// map C1: as many operands as the function takes.
func.func @f(%x: !k) {
  // expected-error @+1 {{'add' takes 2 operands, got 1 (C1)}}
  %0 = recur.map add(%x) : (!k) -> !k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>

// map C2: an operand has the result's axes or none.
func.func @f(%x: !k, %y: !v) {
  // expected-error-re @+1 {{is neither a scalar nor of the result's shape {{.*}} (C2)}}
  %0 = recur.map add(%x, %y) : (!k, !v) -> !k
  return
}

// -----

// map C2: sizes of axes with the same name must agree, too.
func.func @f(%x: tensor<3xf64, #recur.dims<| K>>, %y: tensor<4xf64, #recur.dims<| K>>) {
  // expected-error-re @+1 {{is neither a scalar nor of the result's shape {{.*}} (C2)}}
  %0 = recur.map add(%x, %y) : (tensor<3xf64, #recur.dims<| K>>, tensor<4xf64, #recur.dims<| K>>) -> tensor<3xf64, #recur.dims<| K>>
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!k = tensor<?xf64, #recur.dims<| K>>

// map C2: one operand has the result's axes.
func.func @f(%x: !s) {
  // expected-error-re @+1 {{no operand has the result's shape {{.*}} (C2)}}
  %0 = recur.map add(%x, %x) : (!s, !s) -> !k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!k32 = tensor<?xf32, #recur.dims<| K>>

// map C3: one element type.
func.func @f(%x: !k, %y: !k32) {
  // expected-error @+1 {{operands differ in element type (C3)}}
  %0 = recur.map add(%x, %y) : (!k, !k32) -> !k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>

// map C3: a condition is a truth value.
func.func @f(%x: !k) {
  // expected-error @+1 {{the condition of 'select' must be a truth value (C3)}}
  %0 = recur.map select(%x, %x, %x) : (!k, !k, !k) -> !k
  return
}

// -----

!kc = tensor<?xcomplex<f64>, #recur.dims<| K>>

// map C3: complex values have no order.
func.func @f(%x: !kc) {
  // expected-error @+1 {{'max' takes no elements of type 'complex<f64>' (C3)}}
  %0 = recur.map max(%x, %x) : (!kc, !kc) -> !kc
  return
}

// -----

!ki = tensor<?xi1, #recur.dims<| K>>

// map C3: truth values are not added.
func.func @f(%x: !ki) {
  // expected-error @+1 {{'add' takes no elements of type 'i1' (C3)}}
  %0 = recur.map add(%x, %x) : (!ki, !ki) -> !ki
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>

// map C4: a comparison gives truth values.
func.func @f(%x: !k) {
  // expected-error @+1 {{'lt' of 'f64' gives 'i1', not 'f64' (C4)}}
  %0 = recur.map lt(%x, %x) : (!k, !k) -> !k
  return
}

// -----

!kc = tensor<?xcomplex<f64>, #recur.dims<| K>>

// map C4: the absolute value of a complex number is real.
func.func @f(%x: !kc) {
  // expected-error @+1 {{'abs' of 'complex<f64>' gives 'f64', not 'complex<f64>' (C4)}}
  %0 = recur.map abs(%x) : (!kc) -> !kc
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!k = tensor<?xf64, #recur.dims<| K>>

// contract C1: a specification has an arrow.
func.func @f(%x: !k) {
  // expected-error @+1 {{malformed specification 'k,k' (C1)}}
  %0 = recur.contract "k,k"(%x, %x) : (!k, !k) -> !s
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!k = tensor<?xf64, #recur.dims<| K>>

// contract C1: and nothing but letters.
func.func @f(%x: !k) {
  // expected-error @+1 {{malformed specification 'k,1->' (C1)}}
  %0 = recur.contract "k,1->"(%x, %x) : (!k, !k) -> !s
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!k = tensor<?xf64, #recur.dims<| K>>

// contract C2: as many terms as operands.
func.func @f(%x: !k) {
  // expected-error @+1 {{'k,k->' has 2 terms for 1 operands (C2)}}
  %0 = recur.contract "k,k->"(%x) : (!k) -> !s
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!kv = tensor<?x?xf64, #recur.dims<| K, V>>

// contract C3: as many letters as axes.
func.func @f(%x: !kv) {
  // expected-error-re @+1 {{term 'k' has 1 letters for {{.*}} (C3)}}
  %0 = recur.contract "k->k"(%x) : (!kv) -> !k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!kv = tensor<?x?xf64, #recur.dims<| K, V>>

// contract C4: a letter stands for one dimension: K and V never mix.
func.func @f(%x: !kv, %y: !k) {
  // expected-error @+1 {{letter 'v' stands for 'V' and for 'K' (C4)}}
  %0 = recur.contract "kv,v->k"(%x, %y) : (!kv, !k) -> !k
  return
}

// -----

!s = tensor<f64, #recur.dims<>>

// contract C4: nor do two sizes under one name.
func.func @f(%x: tensor<3xf64, #recur.dims<| K>>, %y: tensor<4xf64, #recur.dims<| K>>) {
  // expected-error @+1 {{letter 'k' stands for 'K' and for 'K' (C4)}}
  %0 = recur.contract "k,k->"(%x, %y) : (tensor<3xf64, #recur.dims<| K>>, tensor<4xf64, #recur.dims<| K>>) -> !s
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!kv = tensor<?x?xf64, #recur.dims<| K, V>>

// contract C5: the result's letters come from the operands.
func.func @f(%x: !k) {
  // expected-error @+1 {{letter 'v' of the result is in no operand (C5)}}
  %0 = recur.contract "k->kv"(%x) : (!k) -> !kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!kk = tensor<?x?xf64, #recur.dims<| K, K>>

// contract C5: and stand there once.
func.func @f(%x: !k) {
  // expected-error @+1 {{'kk' repeats a letter in the result (C5)}}
  %0 = recur.contract "k->kk"(%x) : (!k) -> !kk
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!kc = tensor<?xcomplex<f64>, #recur.dims<| K>>

// contract C6: one element type.
func.func @f(%x: !k, %y: !kc) {
  // expected-error @+1 {{operands and result must have one real or complex element type (C6)}}
  %0 = recur.contract "k,k->k"(%x, %y) : (!k, !kc) -> !kc
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!k = tensor<?xf64, #recur.dims<| K>>

// reduce C1: positions are the operand's.
func.func @f(%x: !k) {
  // expected-error @+1 {{positions must rise and lie below 1 (C1)}}
  %0 = recur.reduce sum [1] (%x) : (!k) -> !s
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!kv = tensor<?x?xf64, #recur.dims<| K, V>>

// reduce C2: the other axes stay.
func.func @f(%x: !kv) {
  // expected-error-re @+1 {{the result must have the operand's other axes, got {{.*}} (C2)}}
  %0 = recur.reduce sum [0] (%x) : (!kv) -> !k
  return
}

// -----

!kc = tensor<?xcomplex<f64>, #recur.dims<| K>>

// reduce C3: complex values have no order.
func.func @f(%x: !kc) {
  // expected-error @+1 {{'max' of 'complex<f64>' to 'complex<f64>' (C3)}}
  %0 = recur.reduce max [0] (%x) : (!kc) -> tensor<complex<f64>, #recur.dims<>>
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!kv = tensor<?x?xf64, #recur.dims<| K, V>>

// broadcast C1: positions rise.
func.func @f(%x: !s) {
  // expected-error @+1 {{positions must rise and lie below 2 (C1)}}
  %0 = recur.broadcast [1, 0] (%x) : (!s) -> !kv
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!kv = tensor<?x?xf64, #recur.dims<| K, V>>

// broadcast C2: the other axes are the operand's.
func.func @f(%x: !k) {
  // expected-error-re @+1 {{the result's other axes must be the operand's {{.*}} (C2)}}
  %0 = recur.broadcast [0] (%x) : (!k) -> !kv
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!k32 = tensor<?xf32, #recur.dims<| K>>

// broadcast C3: one element type.
func.func @f(%x: !s) {
  // expected-error @+1 {{operand and result differ in element type (C3)}}
  %0 = recur.broadcast [0] (%x) : (!s) -> !k32
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>

// slice C1: a named axis of the operand.
func.func @f(%x: tensor<?x?xf64, #recur.dims<batch | K>>) {
  // expected-error-re @+1 {{'0' is no position of a named axis of {{.*}} (C1)}}
  %0 = recur.slice 0 at "0" drop (%x) : (tensor<?x?xf64, #recur.dims<batch | K>>) -> !k
  return
}

// -----

!s = tensor<f64, #recur.dims<>>
!k = tensor<?xf64, #recur.dims<| K>>

// slice C2: the offset is a size.
func.func @f(%x: !k) {
  // expected-error @+1 {{offset 'K*' is no size (C2)}}
  %0 = recur.slice 0 at "K*" drop (%x) : (!k) -> !s
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!kv = tensor<?x?xf64, #recur.dims<| K, V>>

// slice C3: the other axes stay.
func.func @f(%x: !kv) {
  // expected-error-re @+1 {{the result must have the operand's other axes, got {{.*}} (C3)}}
  %0 = recur.slice 0 at "0" drop (%x) : (!kv) -> !k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>

// slice C4: the elements lie inside.
func.func @f(%x: tensor<?xf64, #recur.dims<| "2*K">>) {
  // expected-error @+1 {{K elements at K+1 are not inside '2*K' (C4)}}
  %0 = recur.slice 0 at "K+1" (%x) : (tensor<?xf64, #recur.dims<| "2*K">>) -> !k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!k32 = tensor<?xf32, #recur.dims<| K>>

// slice C5: one element type.
func.func @f(%x: !k) {
  // expected-error @+1 {{operand and result differ in element type (C5)}}
  %0 = recur.slice 0 at "0" (%x) : (!k) -> !k32
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>

// concat C1: a named axis of the result.
func.func @f(%x: !k) {
  // expected-error-re @+1 {{'1' is no position of a named axis of {{.*}} (C1)}}
  %0 = recur.concat 1 (%x) : (!k) -> !k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>

// concat C2: something to put together.
func.func @f() {
  // expected-error @+1 {{at least one operand is needed (C2)}}
  %0 = recur.concat 0 () : () -> !k
  return
}

// -----

!kv = tensor<?x?xf64, #recur.dims<| K, V>>
!kk = tensor<?x?xf64, #recur.dims<| K, K>>

// concat C3: the other axes agree.
func.func @f(%x: !kv, %y: !kk) {
  // expected-error @+1 {{differ in more than axis 0 (C3)}}
  %0 = recur.concat 0 (%x, %y) : (!kv, !kk) -> tensor<?x?xf64, #recur.dims<| "2*K", V>>
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>

// concat C4: the sizes add up.
func.func @f(%x: !k, %y: !v) {
  // expected-error @+1 {{the operands have K+V elements, the result 'K' (C4)}}
  %0 = recur.concat 0 (%x, %y) : (!k, !v) -> !k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!k32 = tensor<?xf32, #recur.dims<| K>>

// concat C5: one element type.
func.func @f(%x: !k) {
  // expected-error @+1 {{operands and result differ in element type (C5)}}
  %0 = recur.concat 0 (%x) : (!k) -> !k32
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>

// reshape C1: implicit axes stay.
func.func @f(%x: tensor<?x?xf64, #recur.dims<batch | K>>) {
  // expected-error-re @+1 {{implicit axes besides the head axis must stay: {{.*}} (C1)}}
  %0 = recur.reshape(%x) : (tensor<?x?xf64, #recur.dims<batch | K>>) -> !k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!kv = tensor<?x?xf64, #recur.dims<| K, V>>

// reshape C2: equally many elements.
func.func @f(%x: !kv) {
  // expected-error @+1 {{from K*V to K elements (C2)}}
  %0 = recur.reshape(%x) : (!kv) -> !k
  return
}

// -----

// reshape C2: the head axis counts as the model says.
func.func @f(%x: tensor<?xf64, #recur.dims<| "2*K">>) attributes {recur.head_count = "H"} {
  // expected-error @+1 {{from 2*K to H*K elements (C2)}}
  %0 = recur.reshape(%x) : (tensor<?xf64, #recur.dims<| "2*K">>) -> tensor<?x?xf64, #recur.dims<head | K>>
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!k32 = tensor<?xf32, #recur.dims<| K>>

// reshape C3: one element type.
func.func @f(%x: !k) {
  // expected-error @+1 {{operand and result differ in element type (C3)}}
  %0 = recur.reshape(%x) : (!k) -> !k32
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!v = tensor<?xf64, #recur.dims<| V>>

// cast C1: the shape stays.
func.func @f(%x: !k) {
  // expected-error-re @+1 {{a cast keeps the shape: {{.*}} (C1)}}
  %0 = recur.cast(%x) : (!k) -> !v
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!kc = tensor<?xcomplex<f64>, #recur.dims<| K>>

// cast C2: complex to real is not a cast.
func.func @f(%x: !kc) {
  // expected-error @+1 {{no cast from 'complex<f64>' to 'f64' (C2)}}
  %0 = recur.cast(%x) : (!kc) -> !k
  return
}

// -----

!k = tensor<?xf64, #recur.dims<| K>>
!ki = tensor<?xi1, #recur.dims<| K>>

// cast C2: nor are truth values.
func.func @f(%x: !ki) {
  // expected-error @+1 {{no cast from 'i1' to 'f64' (C2)}}
  %0 = recur.cast(%x) : (!ki) -> !k
  return
}

// -----

!kv = tensor<?x?xf64, #recur.dims<| K, V>>

// identity C1: twice the same axis.
func.func @f() {
  // expected-error-re @+1 {{an identity has twice the same named axis, got {{.*}} (C1)}}
  %0 = recur.identity : !kv
  return
}

// -----

// identity C2: real or complex.
func.func @f() {
  // expected-error @+1 {{an identity's elements are real or complex (C2)}}
  %0 = recur.identity : tensor<?x?xi1, #recur.dims<| K, K>>
  return
}
