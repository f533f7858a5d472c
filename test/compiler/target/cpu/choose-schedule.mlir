// Segments of time, where threads can share out nothing else.
// RUN: rondo-opt --choose-plans --choose-schedule="threads=2" %s | FileCheck %s
// RUN: rondo-opt --choose-plans --choose-schedule="threads=6" %s | FileCheck --check-prefix=SIX %s
// RUN: rondo-opt --choose-plans --choose-schedule="threads=1" %s | FileCheck --check-prefix=ONE %s
// RUN: rondo-opt --choose-plans --choose-schedule="threads=2 form=step" %s | FileCheck --check-prefix=ONE %s
// RUN: rondo-opt --choose-plans --choose-schedule="threads=2 plan='<schedule = carry>'" %s | FileCheck --check-prefix=ONE %s
// What is asked for one scan holds for that scan alone.
// RUN: rondo-opt --choose-plans --choose-schedule="threads=2 plan='h: <form = step>'" %s | FileCheck --check-prefix=ONE %s
// RUN: rondo-opt --choose-plans --choose-schedule="threads=2 plan='other: <form = step>'" %s | FileCheck %s

// ONE-NOT: segment

// Too narrow for blocks.
// CHECK-LABEL: func.func @narrow(
// CHECK: chunk.plan = #chunk.plan<form = scan, schedule = segment, chunk = 1>, chunk.schedule_because = "no axis of the values can be shared out"
func.func @narrow(%x: tensor<?x?x4xf32, #recur.dims<batch, time | "4">>, %h0: tensor<?x4xf32, #recur.dims<batch | "4">>) -> tensor<?x4xf32, #recur.dims<batch | "4">> {
  %h = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : tensor<?x?x4xf32, #recur.dims<batch, time | "4">>) inits(%h0 : tensor<?x4xf32, #recur.dims<batch | "4">>)
      semiring plus_times coefficients {
  ^bb0(%xt: tensor<4xf32, #recur.dims<| "4">>):
    %a = arith.constant dense<0.9> : tensor<4xf32, #recur.dims<| "4">>
    recur.coefficients decays(%a : tensor<4xf32, #recur.dims<| "4">>) values(%xt : tensor<4xf32, #recur.dims<| "4">>)
  } readout {
  ^bb0(%xt: tensor<4xf32, #recur.dims<| "4">>, %new: tensor<4xf32, #recur.dims<| "4">>, %old: tensor<4xf32, #recur.dims<| "4">>):
    recur.yield
  } : tensor<?x4xf32, #recur.dims<batch | "4">>
  return %h : tensor<?x4xf32, #recur.dims<batch | "4">>
}

// Each thread can have a block; six could not.
// CHECK-LABEL: func.func @wide(
// CHECK: chunk.plan = #chunk.plan<form = step, schedule = carry, chunk = 1>}
// SIX-LABEL: func.func @wide(
// SIX: chunk.schedule_because = "an axis of the values makes 4 blocks, for 6 threads"
func.func @wide(%x: tensor<?x?x64xf32, #recur.dims<batch, time | "64">>, %h0: tensor<?x64xf32, #recur.dims<batch | "64">>) -> tensor<?x64xf32, #recur.dims<batch | "64">> {
  %h = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : tensor<?x?x64xf32, #recur.dims<batch, time | "64">>) inits(%h0 : tensor<?x64xf32, #recur.dims<batch | "64">>)
      semiring plus_times coefficients {
  ^bb0(%xt: tensor<64xf32, #recur.dims<| "64">>):
    %a = arith.constant dense<0.9> : tensor<64xf32, #recur.dims<| "64">>
    recur.coefficients decays(%a : tensor<64xf32, #recur.dims<| "64">>) values(%xt : tensor<64xf32, #recur.dims<| "64">>)
  } readout {
  ^bb0(%xt: tensor<64xf32, #recur.dims<| "64">>, %new: tensor<64xf32, #recur.dims<| "64">>, %old: tensor<64xf32, #recur.dims<| "64">>):
    recur.yield
  } : tensor<?x64xf32, #recur.dims<batch | "64">>
  return %h : tensor<?x64xf32, #recur.dims<batch | "64">>
}

// A decay above 1 could overflow over a segment, where the steps do not.
// CHECK-LABEL: func.func @unknown(
// CHECK: chunk.plan = #chunk.plan<form = step, schedule = carry, chunk = 1>}
func.func @unknown(%x: tensor<?x?x4xf32, #recur.dims<batch, time | "4">>, %h0: tensor<?x4xf32, #recur.dims<batch | "4">>) -> tensor<?x4xf32, #recur.dims<batch | "4">> {
  %h = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : tensor<?x?x4xf32, #recur.dims<batch, time | "4">>) inits(%h0 : tensor<?x4xf32, #recur.dims<batch | "4">>)
      semiring plus_times coefficients {
  ^bb0(%xt: tensor<4xf32, #recur.dims<| "4">>):
    recur.coefficients decays(%xt : tensor<4xf32, #recur.dims<| "4">>) values(%xt : tensor<4xf32, #recur.dims<| "4">>)
  } readout {
  ^bb0(%xt: tensor<4xf32, #recur.dims<| "4">>, %new: tensor<4xf32, #recur.dims<| "4">>, %old: tensor<4xf32, #recur.dims<| "4">>):
    recur.yield
  } : tensor<?x4xf32, #recur.dims<batch | "4">>
  return %h : tensor<?x4xf32, #recur.dims<batch | "4">>
}
