// RUN: rondo-opt --expand-math --cse %s | FileCheck %s
// What the expansions compute is measured by test/compiler/ExpandMathTest.cpp.

// The five functions become arithmetic, for vectors of f32 ...
// CHECK-LABEL: func.func @vectors(
// CHECK-NOT: math.{{exp|expm1|log|log1p|tanh}} {{.*}}
// CHECK: math.fma {{.*}} : vector<8xf32>
// CHECK-NOT: math.{{exp|expm1|log|log1p|tanh}} {{.*}}
// CHECK: return
func.func @vectors(%x: vector<8xf32>) -> vector<8xf32> {
  %0 = math.exp %x : vector<8xf32>
  %1 = math.expm1 %0 : vector<8xf32>
  %2 = math.log %1 : vector<8xf32>
  %3 = math.log1p %2 : vector<8xf32>
  %4 = math.tanh %3 : vector<8xf32>
  return %4 : vector<8xf32>
}

// ... and for single numbers of f64.
// CHECK-LABEL: func.func @scalars(
// CHECK-NOT: math.exp
// CHECK: arith.bitcast %{{.*}} : f64 to i64
// CHECK: return
func.func @scalars(%x: f64) -> f64 {
  %0 = math.exp %x : f64
  return %0 : f64
}

// Other functions, and other types, are left alone.
// CHECK-LABEL: func.func @others(
// CHECK: math.sin %{{.*}} : f32
// CHECK: math.powf %{{.*}} : vector<4xf64>
// CHECK: math.exp %{{.*}} : f16
func.func @others(%x: f32, %v: vector<4xf64>, %h: f16) -> (f32, vector<4xf64>, f16) {
  %0 = math.sin %x : f32
  %1 = math.powf %v, %v : vector<4xf64>
  %2 = math.exp %h : f16
  return %0, %1, %2 : f32, vector<4xf64>, f16
}
