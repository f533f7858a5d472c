// RUN: split-file %s %t
// RUN: rondo-opt --bind-sizes=dims=K=4,V=3,H=2,p=3 %t/good.mlir | FileCheck %s
// RUN: not rondo-opt --bind-sizes=dims=K=4 %t/missing.mlir 2>&1 | FileCheck --check-prefix=MISSING %s
// RUN: not rondo-opt --bind-sizes=dims=K=0 %t/missing.mlir 2>&1 | FileCheck --check-prefix=ZERO %s
// RUN: not rondo-opt --bind-sizes=dims=K=x %t/missing.mlir 2>&1 | FileCheck --check-prefix=NUMBER %s
// RUN: not rondo-opt --bind-sizes=dims=K=9223372036854775807 %t/large.mlir 2>&1 | FileCheck --check-prefix=LARGE %s
// RUN: not rondo-opt --bind-sizes=dims=K=2,V=2 %t/outside.mlir 2>&1 | FileCheck --check-prefix=OUTSIDE %s
// RUN: not rondo-opt --bind-sizes=dims=p=0 %t/lag.mlir 2>&1 | FileCheck --check-prefix=LAG %s

//--- good.mlir
// Named dimensions get sizes, also in expressions and inside steps; implicit axes stay unknown.
// CHECK-LABEL: func.func @dims(
// CHECK-SAME: tensor<?x?x8xf64, #{{[a-zA-Z_0-9]+}}>
// CHECK: ^bb0(%{{.*}}: tensor<8xf64
func.func @dims(%x: tensor<?x?x?xf64, #recur.dims<batch, time | "2*K">>)
    -> tensor<?x?x?xf64, #recur.dims<batch, time | "2*K">> {
  %y = recur.scan over [#recur.axis<"t">] inputs(%x : tensor<?x?x?xf64, #recur.dims<batch, time | "2*K">>) {
  ^bb0(%xt: tensor<?xf64, #recur.dims<| "2*K">>):
    recur.yield outputs(%xt : tensor<?xf64, #recur.dims<| "2*K">>)
  } : tensor<?x?x?xf64, #recur.dims<batch, time | "2*K">>
  return %y : tensor<?x?x?xf64, #recur.dims<batch, time | "2*K">>
}

// The number of heads of a heads scope is a dimension like any other.
// CHECK-LABEL: func.func @heads(
// CHECK-SAME: tensor<?x?x8xf64
// CHECK: recur.reshape{{.*}} -> tensor<?x?x2x4xf64
func.func @heads(%x: tensor<?x?x?xf64, #recur.dims<batch, time | "H*K">>)
    -> tensor<?x?x?x?xf64, #recur.dims<batch, time, head | K>> attributes {recur.head_count = "H"} {
  %y = recur.reshape(%x) : (tensor<?x?x?xf64, #recur.dims<batch, time | "H*K">>)
    -> tensor<?x?x?x?xf64, #recur.dims<batch, time, head | K>>
  return %y : tensor<?x?x?x?xf64, #recur.dims<batch, time, head | K>>
}

// Offsets of slices become numbers.
// CHECK-LABEL: func.func @slice(
// CHECK: recur.slice 0 at "4"(%{{.*}}) : (tensor<8xf64, {{.*}}>) -> tensor<4xf64
func.func @slice(%x: tensor<?xf64, #recur.dims<| "2*K">>) -> tensor<?xf64, #recur.dims<| K>> {
  %y = recur.slice 0 at "K" (%x) : (tensor<?xf64, #recur.dims<| "2*K">>) -> tensor<?xf64, #recur.dims<| K>>
  return %y : tensor<?xf64, #recur.dims<| K>>
}

// A symbolic lag becomes a distance, the kept slices get their number, and the list of lags goes.
// CHECK-LABEL: func.func @lag(
// CHECK-SAME: %{{.*}}: tensor<?x3xf64, #batch_lag>
// CHECK-NOT: recur.lags
// CHECK: #recur.state<"s", {{\[\[}}1], [3]]>
func.func @lag(%x: tensor<?x?xf64, #recur.dims<batch, time>>, %s0: tensor<?x?xf64, #recur.dims<batch, lag>>)
    -> tensor<?x?xf64, #recur.dims<batch, lag>> attributes {recur.lags = ["p"]} {
  %s = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1], [-1]]>]
      inputs(%x : tensor<?x?xf64, #recur.dims<batch, time>>) inits(%s0 : tensor<?x?xf64, #recur.dims<batch, lag>>) {
  ^bb0(%xt: tensor<f64, #recur.dims<>>, %s1: tensor<f64, #recur.dims<>>, %sp: tensor<f64, #recur.dims<>>):
    %n = recur.map add(%s1, %sp) : (tensor<f64, #recur.dims<>>, tensor<f64, #recur.dims<>>) -> tensor<f64, #recur.dims<>>
    recur.yield states(%n : tensor<f64, #recur.dims<>>)
  } : tensor<?x?xf64, #recur.dims<batch, lag>>
  return %s : tensor<?x?xf64, #recur.dims<batch, lag>>
}

// What has its size already is left alone.
// CHECK-LABEL: func.func @literal(
// CHECK-SAME: tensor<?x?x3xf64
func.func @literal(%x: tensor<?x?x3xf64, #recur.dims<batch, time | "3">>) {
  return
}

//--- missing.mlir
// MISSING: error: no size given for dimension 'V'
// ZERO: error: dimension 'K' has size 0; sizes are positive
// NUMBER: error: expected NAME=NUMBER for a size, got 'K=x'
func.func @missing(%x: tensor<?x?x?x?xf64, #recur.dims<batch, time | K, V>>) {
  return
}

//--- large.mlir
// LARGE: error: size '4*K' is too large
func.func @large(%x: tensor<?x?x?xf64, #recur.dims<batch, time | "4*K">>) {
  return
}

//--- outside.mlir
// Which of two sizes is larger shows only here.
// OUTSIDE: error: elements 2 to 3 lie outside an axis of size 2
func.func @outside(%x: tensor<?xf64, #recur.dims<| V>>) -> tensor<f64, #recur.dims<>> {
  %y = recur.slice 0 at "K" drop(%x) : (tensor<?xf64, #recur.dims<| V>>) -> tensor<f64, #recur.dims<>>
  return %y : tensor<f64, #recur.dims<>>
}

//--- lag.mlir
// LAG: error: state 's' is read 0 steps back; lags are positive
func.func @lag(%x: tensor<?x?xf64, #recur.dims<batch, time>>, %s0: tensor<?x?xf64, #recur.dims<batch, lag>>)
    -> tensor<?x?xf64, #recur.dims<batch, lag>> attributes {recur.lags = ["p"]} {
  %s = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[-1]]>]
      inputs(%x : tensor<?x?xf64, #recur.dims<batch, time>>) inits(%s0 : tensor<?x?xf64, #recur.dims<batch, lag>>) {
  ^bb0(%xt: tensor<f64, #recur.dims<>>, %sp: tensor<f64, #recur.dims<>>):
    recur.yield states(%sp : tensor<f64, #recur.dims<>>)
  } : tensor<?x?xf64, #recur.dims<batch, lag>>
  return %s : tensor<?x?xf64, #recur.dims<batch, lag>>
}
