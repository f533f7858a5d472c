// Kernels to the LLVM dialect, in one conversion.
// RUN: rondo-opt --lower-to-llvm %s | FileCheck %s

// CHECK-NOT: unrealized_conversion_cast

// What LLVM has an intrinsic for, scalar or vector.
// CHECK-LABEL: llvm.func @intrinsics(
// CHECK: llvm.intr.fma({{.*}}) : (vector<8xf32>, vector<8xf32>, vector<8xf32>) -> vector<8xf32>
// CHECK: llvm.intr.sqrt({{.*}}) : (f64) -> f64
func.func @intrinsics(%v: vector<8xf32>, %x: f64) -> (vector<8xf32>, f64) {
  %a = math.fma %v, %v, %v : vector<8xf32>
  %b = math.sqrt %x : f64
  return %a, %b : vector<8xf32>, f64
}

// What it has none for is called, one lane after another.
// CHECK-LABEL: llvm.func @library(
// CHECK-COUNT-2: llvm.call @erff(
// CHECK-NOT: llvm.call
func.func @library(%v: vector<2xf32>) -> vector<2xf32> {
  %a = math.erf %v : vector<2xf32>
  return %a : vector<2xf32>
}

// Parts of vectors, and sums that may be added up in any order.
// CHECK-LABEL: llvm.func @vectors(
// CHECK: llvm.shufflevector {{.*}} [4, 5, 6, 7]
// CHECK: llvm.intr.vector.reduce.fadd"({{.*}}) <{fastmathFlags = #llvm.fastmath<reassoc>}>
func.func @vectors(%v: vector<8xf32>) -> f32 {
  %a = vector.extract_strided_slice %v {offsets = [4], sizes = [4], strides = [1]} : vector<8xf32> to vector<4xf32>
  %b = vector.reduction <add>, %a : vector<4xf32> into f32
  return %b : f32
}

// Memory that is already described in LLVM's terms, and sizes rounded up.
// CHECK-LABEL: llvm.func @memory(
// CHECK-SAME: !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>
// CHECK-NOT: ceildiv
// CHECK: llvm.load {{.*}} : !llvm.ptr -> f32
func.func @memory(%d: !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>, %n: index) -> f32 {
  %c4 = arith.constant 4 : index
  %m = builtin.unrealized_conversion_cast %d : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)> to memref<?xf32>
  %i = arith.ceildivui %n, %c4 : index
  %x = memref.load %m[%i] : memref<?xf32>
  return %x : f32
}
