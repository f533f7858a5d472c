// RUN: rondo-opt --expand-trig --split-input-file %s | FileCheck %s

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

// A negative base with an odd, an even, or no whole exponent.
// CHECK-LABEL: func.func @power
// CHECK: math.log
// CHECK: math.exp
// CHECK-COUNT-2: math.floor
// CHECK-NOT: math.powf
func.func @power(%x: f64, %y: f64) -> f64 {
  %z = math.powf %x, %y : f64
  return %z : f64
}

// -----

// CHECK-LABEL: func.func @angle
// CHECK: math.copysign
// CHECK-NOT: math.atan2
func.func @angle(%x: f32, %y: f32) -> f32 {
  %z = math.atan2 %x, %y : f32
  return %z : f32
}
