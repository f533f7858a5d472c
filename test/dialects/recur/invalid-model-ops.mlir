// Each numbered constraint of the ops between scans, broken once.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

// sum_to C1: the named axes stay.
func.func @f(%x: tensor<?x4xf64, #recur.dims<batch | "4">>) {
  // expected-error-re @+1 {{has not the named axes and kind of {{.*}} (C1)}}
  %0 = recur.sum_to(%x) : (tensor<?x4xf64, #recur.dims<batch | "4">>) -> tensor<5xf64, #recur.dims<| "5">>
  return
}

// -----

// sum_to C1: real or complex.
func.func @f() {
  // expected-error @+1 {{truth values have no sum (C1)}}
  %0 = recur.sum_to() : () -> tensor<5xi1, #recur.dims<| "5">>
  return
}

// -----

// sum_to C2: slices fit.
func.func @f(%x: tensor<?x3x4xf64, #recur.dims<batch, lag | "4">>) {
  // expected-error-re @+1 {{slices of {{.*}} do not fit {{.*}} (C2)}}
  %0 = recur.sum_to(%x) : (tensor<?x3x4xf64, #recur.dims<batch, lag | "4">>) -> tensor<4xf64, #recur.dims<| "4">>
  return
}
