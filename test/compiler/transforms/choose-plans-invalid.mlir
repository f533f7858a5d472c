// Plans that no scan can follow.
// RUN: not rondo-opt --choose-plans="form=tree" %s 2>&1 | FileCheck --check-prefix=NAME %s
// RUN: not rondo-opt --choose-plans="chunk=1" %s 2>&1 | FileCheck --check-prefix=ONE %s
// RUN: not rondo-opt --choose-plans="chunk=-4" %s 2>&1 | FileCheck --check-prefix=NEGATIVE %s
// RUN: not rondo-opt --choose-plans="gradient interval=-1" %s 2>&1 | FileCheck --check-prefix=INTERVAL %s
// RUN: not rondo-opt --choose-plans="form=chunk" %s 2>&1 | FileCheck --check-prefix=FORM %s
// RUN: not rondo-opt --choose-plans="form=attention" %s 2>&1 | FileCheck --check-prefix=ATTENTION %s
// RUN: not rondo-opt --choose-plans="schedule=pieces" %s 2>&1 | FileCheck --check-prefix=SCHEDULE %s
// RUN: not rondo-opt --choose-plans="schedule=segment gradient" %s 2>&1 | FileCheck --check-prefix=BACK %s
// RUN: rondo-opt --choose-plans="form=scan segments=5" %s | FileCheck --check-prefix=SCAN %s
// RUN: rondo-opt --choose-plans="form=step" %s | FileCheck %s

// NAME: error: 'tree' is no form: auto, step, scan, chunk or attention
// ATTENTION: error: the model has no form 'attention': its states take in no outer products
// SCHEDULE: error: 'pieces' is no schedule: auto, carry or segment
// BACK: error: the model has no schedule 'segment': the gradient goes back over the whole of time
// SCAN: chunk.plan<form = scan, schedule = segment, chunk = 1, segments = 5>
// ONE: error: a chunk has at least 2 steps, got 1
// NEGATIVE: error: a chunk has at least 2 steps, got -4
// INTERVAL: error: an interval has at least 1 chunk, got -1
// FORM: error: the model has no form 'chunk': its states take in no outer products

!k = tensor<4xf32, #recur.dims<| "4">>
!b_k = tensor<?x4xf32, #recur.dims<batch | "4">>
!bt_k = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>

// CHECK: chunk.plan<form = step, schedule = carry, chunk = 1>
func.func @linear(%x: !bt_k, %h0: !b_k) -> !b_k {
  %hT = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %new: !k, %old: !k):
    recur.yield
  } : !b_k
  return %hT : !b_k
}
