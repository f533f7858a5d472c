// Each numbered constraint of chunk.row and chunk.rows, broken once.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

!k = tensor<4xf32, #recur.dims<| "4">>

// chunk.row, C1: the operand has steps.
func.func @f(%x: !k) {
  // expected-error @+1 {{0 is no step of 'tensor<4xf32, #recur.dims<| "4">>' (C1)}}
  %0 = chunk.row 0 of %x : !k -> !k
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C1: the number is one of them.
func.func @f(%x: !tk) {
  // expected-error @+1 {{3 is no step of 'tensor<3x4xf32, #recur.dims<time | "4">>' (C1)}}
  %0 = chunk.row 3 of %x : !tk -> !k
  return
}

// -----

!v = tensor<8xf32, #recur.dims<| "8">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C2: the other axes stay.
func.func @f(%x: !tk) {
  // expected-error @+1 {{expected the result 'tensor<4xf32, #recur.dims<| "4">>', got 'tensor<8xf32, #recur.dims<| "8">>' (C2)}}
  %0 = chunk.row 1 of %x : !tk -> !v
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// chunk.rows, C1: rows have no steps themselves.
func.func @f(%x: !tk) {
  // expected-error @+1 {{the operands must have one type without implicit axes (C1)}}
  %0 = chunk.rows(%x) : !tk -> !tk
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!tk = tensor<3x4xf32, #recur.dims<time | "4">>

// C2: there are as many steps as rows.
func.func @f(%x: !k) {
  // expected-error @+1 {{expected the result 'tensor<2x4xf32, #recur.dims<time | "4">>', got 'tensor<3x4xf32, #recur.dims<time | "4">>' (C2)}}
  %0 = chunk.rows(%x, %x) : !k -> !tk
  return
}

// -----

!tk = tensor<3x4xf32, #recur.dims<time | "4">>

func.func @f() {
  // expected-error @+1 {{a chunk has at least one row}}
  %0 = chunk.rows() : !tk -> !tk
  return
}
