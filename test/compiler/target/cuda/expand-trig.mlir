// RUN: rondo-opt --expand-trig --split-input-file --verify-diagnostics %s | FileCheck %s

// One reduction for f32, in f64; no call is left.
// CHECK-LABEL: func.func @single
// CHECK: arith.extf %{{.*}} : f32 to f64
// CHECK: math.roundeven
// CHECK-NOT: math.sin
// CHECK-NOT: math.cos
func.func @single(%x: f32) -> (f32, f32) {
  %s = math.sin %x : f32
  %c = math.cos %x : f32
  return %s, %c : f32, f32
}

// -----

// CHECK-LABEL: func.func @error_function
// CHECK: math.exp
// CHECK-NOT: math.erf
func.func @error_function(%x: f64) -> f64 {
  %y = math.erf %x : f64
  return %y : f64
}

// -----

func.func @power(%x: f64) -> f64 {
  // expected-error @below {{'pow' has no CUDA code yet}}
  %y = math.powf %x, %x : f64
  return %y : f64
}
