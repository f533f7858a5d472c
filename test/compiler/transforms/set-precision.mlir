// RUN: split-file %s %t
// RUN: rondo-opt --set-precision="type=bf16 types=W=f32" %t/model.mlir | FileCheck --check-prefixes=CHECK,BF16 %s
// RUN: rondo-opt --set-precision="type=f64" %t/model.mlir | FileCheck --check-prefixes=CHECK,F64 %s
// RUN: rondo-opt --set-precision="type=f32" %t/complex.mlir | FileCheck --check-prefix=COMPLEX %s
// RUN: rondo-opt --set-precision="type=f16" %t/reshape.mlir | FileCheck --check-prefix=RESHAPE %s
// RUN: not rondo-opt --set-precision="type=i8" %t/model.mlir 2>&1 | FileCheck --check-prefix=NOTYPE %s
// RUN: not rondo-opt --set-precision="types=x" %t/model.mlir 2>&1 | FileCheck --check-prefix=NOPAIR %s
// RUN: not rondo-opt --set-precision="types=z=f32" %t/model.mlir 2>&1 | FileCheck --check-prefix=NONAME %s
// NOTYPE: error: 'i8' is no floating-point type; expected f64, f32, bf16 or f16
// NOPAIR: error: expected NAME=TYPE with f64, f32, bf16 or f16, got 'x'
// NONAME: error: the model has no input, parameter or output 'z' to give a type

//--- model.mlir
// Inputs, parameters and outputs are stored as asked; states, steps and constants have the type of computation, to which
// constants are rounded.
// CHECK-LABEL: func.func @model(
// BF16-SAME: tensor<?x?xbf16, #{{[a-z_]+}}> {recur.kind = "input", recur.name = "x"
// BF16-SAME: tensor<f32, #{{[a-z_]+}}> {recur.kind = "{{[a-z]+}}", recur.name = "W"
// BF16-SAME: tensor<?xf32, #{{[a-z_]+}}> {recur.kind = "{{[a-z]+}}", recur.name = "s"
// BF16-SAME: -> (tensor<?x?xbf16, #{{[a-z_]+}}> {recur.kind = "{{[a-z]+}}", recur.name = "y"
// BF16-SAME: tensor<?xf32, #{{[a-z_]+}}> {recur.kind = "{{[a-z]+}}", recur.name = "s"
// BF16: ^bb0(%{{.*}}: tensor<f32, {{.*}}, %{{.*}}: tensor<f32, {{.*}}, %{{.*}}: tensor<f32,
// BF16: arith.constant dense<1.000000e-01> : tensor<f32
// F64-NOT: f32
func.func @model(%x: tensor<?x?xf64, #recur.dims<batch, time>> {recur.name = "x", recur.kind = "input"},
                 %W: tensor<f64, #recur.dims<>> {recur.name = "W", recur.kind = "param"},
                 %s0: tensor<?xf64, #recur.dims<batch>> {recur.name = "s", recur.kind = "init"})
    -> (tensor<?x?xf64, #recur.dims<batch, time>> {recur.name = "y", recur.kind = "output"},
        tensor<?xf64, #recur.dims<batch>> {recur.name = "s", recur.kind = "final"}) {
  %y, %s = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>]
      inputs(%x : tensor<?x?xf64, #recur.dims<batch, time>>) params(%W : tensor<f64, #recur.dims<>>)
      inits(%s0 : tensor<?xf64, #recur.dims<batch>>) {
  ^bb0(%xt: tensor<f64, #recur.dims<>>, %w: tensor<f64, #recur.dims<>>, %st: tensor<f64, #recur.dims<>>):
    %c = arith.constant dense<0.1> : tensor<f64, #recur.dims<>>
    %0 = recur.map mul(%st, %c) : (tensor<f64, #recur.dims<>>, tensor<f64, #recur.dims<>>) -> tensor<f64, #recur.dims<>>
    %n = recur.map add(%0, %xt) : (tensor<f64, #recur.dims<>>, tensor<f64, #recur.dims<>>) -> tensor<f64, #recur.dims<>>
    recur.yield states(%n : tensor<f64, #recur.dims<>>) outputs(%n : tensor<f64, #recur.dims<>>)
  } : tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?xf64, #recur.dims<batch>>
  return %y, %s : tensor<?x?xf64, #recur.dims<batch, time>>, tensor<?xf64, #recur.dims<batch>>
}

//--- complex.mlir
// Complex numbers are stored as they are computed; truth values stay.
// COMPLEX-LABEL: func.func @complex(
// COMPLEX-SAME: tensor<?x?xcomplex<f32>
// COMPLEX: recur.map eq(%{{.*}}) : {{.*}} -> tensor<i1
func.func @complex(%x: tensor<?x?xcomplex<f64>, #recur.dims<batch, time>> {recur.name = "x", recur.kind = "input"})
    -> (tensor<?x?xcomplex<f64>, #recur.dims<batch, time>> {recur.name = "y", recur.kind = "output"}) {
  %y = recur.scan over [#recur.axis<"t">] inputs(%x : tensor<?x?xcomplex<f64>, #recur.dims<batch, time>>) {
  ^bb0(%xt: tensor<complex<f64>, #recur.dims<>>):
    %c = arith.constant dense<(1.0, 0.5)> : tensor<complex<f64>, #recur.dims<>>
    %t = recur.map eq(%xt, %c) : (tensor<complex<f64>, #recur.dims<>>, tensor<complex<f64>, #recur.dims<>>) -> tensor<i1, #recur.dims<>>
    %n = recur.map select(%t, %xt, %c) : (tensor<i1, #recur.dims<>>, tensor<complex<f64>, #recur.dims<>>, tensor<complex<f64>, #recur.dims<>>) -> tensor<complex<f64>, #recur.dims<>>
    recur.yield outputs(%n : tensor<complex<f64>, #recur.dims<>>)
  } : tensor<?x?xcomplex<f64>, #recur.dims<batch, time>>
  return %y : tensor<?x?xcomplex<f64>, #recur.dims<batch, time>>
}

//--- reshape.mlir
// A reshape moves no elements, so both sides have the type that is stored: of the argument that it reads, of the result that it
// gives. Between two scans the type is that of computation.
// RESHAPE-LABEL: func.func @reshape(
// RESHAPE: recur.reshape(%{{.*}}) : (tensor<?x?x4xf16, {{.*}}>) -> tensor<?x?x2x2xf16
// RESHAPE: } : tensor<?x?x2x2xf32
// RESHAPE: } : tensor<?x?x2x2xf16
// RESHAPE: recur.reshape(%{{.*}}) : (tensor<?x?x2x2xf16, {{.*}}>) -> tensor<?x?x4xf16
!x = tensor<?x?x4xf64, #recur.dims<batch, time | "4">>
!h = tensor<?x?x2x2xf64, #recur.dims<batch, time, head | "2">>
!ht = tensor<2xf64, #recur.dims<| "2">>
func.func @reshape(%x: !x {recur.name = "x", recur.kind = "input"}) -> (!x {recur.name = "y", recur.kind = "output"}) {
  %h = recur.reshape(%x) : (!x) -> !h
  %a = recur.scan over [#recur.axis<"t">] inputs(%h : !h) {
  ^bb0(%t: !ht):
    recur.yield outputs(%t : !ht)
  } : !h
  %b = recur.scan over [#recur.axis<"t">] inputs(%a : !h) {
  ^bb0(%t: !ht):
    recur.yield outputs(%t : !ht)
  } : !h
  %y = recur.reshape(%b) : (!h) -> !x
  return %y : !x
}
