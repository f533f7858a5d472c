// RUN: rondo-opt --choose-plans %s 2>%t | FileCheck --check-prefixes=CHECK,AUTO %s
// RUN: FileCheck --check-prefix=REMARK %s < %t
// RUN: rondo-opt --choose-plans="form=step chunk=4" %s | FileCheck --check-prefixes=CHECK,STEP %s
// RUN: rondo-opt --choose-plans="chunk=64" %s | FileCheck --check-prefixes=CHECK,SIZE %s
// RUN: rondo-opt --choose-plans="form=chunk chunk=3" %s | FileCheck --check-prefixes=CHECK,ASKED %s
// RUN: rondo-opt --choose-plans="gradient" %s 2>/dev/null | FileCheck --check-prefix=KEPT %s
// RUN: rondo-opt --choose-plans="gradient interval=3" %s 2>/dev/null | FileCheck --check-prefix=EVERY %s

!s = tensor<f32, #recur.dims<>>
!k = tensor<16xf32, #recur.dims<| "16">>
!kk = tensor<16x16xf32, #recur.dims<| "16", "16">>
!b_k = tensor<?x16xf32, #recur.dims<batch | "16">>
!b_kk = tensor<?x16x16xf32, #recur.dims<batch | "16", "16">>
!bt = tensor<?x?xf32, #recur.dims<batch, time>>
!bt_k = tensor<?x?x16xf32, #recur.dims<batch, time | "16">>

// A matrix state of 256 elements and a decay that is declared to lie in [0, 1].
// CHECK-LABEL: func.func @bounded(
// AUTO: chunk.plan<form = chunk, schedule = carry, chunk = 16>
// STEP: chunk.plan<form = step, schedule = carry, chunk = 1>
// SIZE: chunk.plan<form = chunk, schedule = carry, chunk = 64>
// ASKED: chunk.plan<form = chunk, schedule = carry, chunk = 3>
// With a gradient to come: 1 KiB of states every so many chunks of 16 steps, which have 136 bytes of inputs and cotangents each.
// KEPT: chunk.plan<form = chunk, schedule = carry, chunk = 16, interval = 8>
// EVERY: chunk.plan<form = chunk, schedule = carry, chunk = 16, interval = 3>
// REMARK-NOT: remark
func.func @bounded(%k: !bt_k, %a: !bt {recur.range = #recur.interval<0.0, 1.0>}, %S0: !b_kk) -> !b_kk {
  %ST = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %a : !bt_k, !bt)
      inits(%S0 : !b_kk) key_axes [0] decays [#recur.decay<0, []>] outers [0] readouts [] coefficients {
  ^bb0(%kt: !k, %at: !s):
    recur.coefficients decays(%at : !s) keys(%kt : !k) values(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %at: !s):
    recur.yield
  } : !b_kk
  return %ST : !b_kk
}

// A decay of which nothing is known: steps, and a remark that says what would help.
// CHECK-LABEL: func.func @unbounded(
// AUTO: chunk.plan<form = step, schedule = carry, chunk = 1>
// STEP: chunk.plan<form = step, schedule = carry, chunk = 1>
// SIZE: chunk.plan<form = step, schedule = carry, chunk = 1>
// ASKED: chunk.plan<form = chunk, schedule = carry, chunk = 3>
// REMARK: [[@LINE+2]]:9: remark: choose-plans keeps to steps: a decay is not known to lie in [-1, 1]; declare its inputs' intervals
func.func @unbounded(%k: !bt_k, %a: !bt, %S0: !b_kk) -> !b_kk {
  %ST = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %a : !bt_k, !bt)
      inits(%S0 : !b_kk) key_axes [0] decays [#recur.decay<0, []>] outers [0] readouts [] coefficients {
  ^bb0(%kt: !k, %at: !s):
    recur.coefficients decays(%at : !s) keys(%kt : !k) values(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %at: !s):
    recur.yield
  } : !b_kk
  return %ST : !b_kk
}

// The same decay through a function that bounds it; a transition does not matter.
// CHECK-LABEL: func.func @gate(
// AUTO: chunk.plan<form = chunk, schedule = carry, chunk = 16>
// STEP: chunk.plan<form = step, schedule = carry, chunk = 1>
// SIZE: chunk.plan<form = chunk, schedule = carry, chunk = 64>
// ASKED: chunk.plan<form = chunk, schedule = carry, chunk = 3>
func.func @gate(%k: !bt_k, %a: !bt, %S0: !b_kk) -> !b_kk {
  %ST = recur.delta_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%k, %a : !bt_k, !bt)
      inits(%S0 : !b_kk) key_axes [0] decays [#recur.decay<0, []>] outers [] transitions [0] readouts [] coefficients {
  ^bb0(%kt: !k, %at: !s):
    %d = recur.map tanh(%at) : (!s) -> !s
    recur.coefficients decays(%d : !s) writes(%kt : !k) reads(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %at: !s):
    recur.yield
  } : !b_kk
  return %ST : !b_kk
}

// A vector is small: steps, without a remark.
// CHECK-LABEL: func.func @small(
// AUTO: chunk.plan<form = step, schedule = carry, chunk = 1>
// STEP: chunk.plan<form = step, schedule = carry, chunk = 1>
// SIZE: chunk.plan<form = step, schedule = carry, chunk = 1>
// ASKED: chunk.plan<form = chunk, schedule = carry, chunk = 3>
func.func @small(%k: !bt_k, %a: !bt {recur.range = #recur.interval<0.0, 1.0>}, %n0: !b_k) -> !b_k {
  %nT = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"n", [[1]]>] inputs(%k, %a : !bt_k, !bt)
      inits(%n0 : !b_k) key_axes [0] decays [#recur.decay<0, []>] outers [0] readouts [] coefficients {
  ^bb0(%kt: !k, %at: !s):
    recur.coefficients decays(%at : !s) keys(%kt : !k) values(%at : !s)
  } readout {
  ^bb0(%kt: !k, %at: !s):
    recur.yield
  } : !b_k
  return %nT : !b_k
}

// What takes in no outer products takes steps, whatever is asked for.
// CHECK-LABEL: func.func @linear(
// CHECK: chunk.plan<form = step, schedule = carry, chunk = 1>
func.func @linear(%k: !bt_k, %n0: !b_k) -> !b_k {
  %nT = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"n", [[1]]>] inputs(%k : !bt_k) inits(%n0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%kt: !k):
    recur.coefficients decays(%kt : !k) values(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %new: !k, %old: !k):
    recur.yield
  } : !b_k
  return %nT : !b_k
}

// Several states: the largest decides, and all their decays must be bounded.
// CHECK-LABEL: func.func @two_states(
// AUTO: chunk.plan<form = chunk, schedule = carry, chunk = 16>
// STEP: chunk.plan<form = step, schedule = carry, chunk = 1>
// SIZE: chunk.plan<form = chunk, schedule = carry, chunk = 64>
// ASKED: chunk.plan<form = chunk, schedule = carry, chunk = 3>
func.func @two_states(%k: !bt_k, %a: !bt {recur.range = #recur.interval<-1.0, 1.0>}, %n0: !b_k, %S0: !b_kk) -> (!b_k, !b_kk) {
  %nT, %ST = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"n", [[1]]>, #recur.state<"S", [[1]]>]
      inputs(%k, %a : !bt_k, !bt) inits(%n0, %S0 : !b_k, !b_kk) key_axes [0, 0]
      decays [#recur.decay<0, []>, #recur.decay<1, []>] outers [] readouts [] coefficients {
  ^bb0(%kt: !k, %at: !s):
    recur.coefficients decays(%at, %at : !s, !s)
  } readout {
  ^bb0(%kt: !k, %at: !s):
    recur.yield
  } : !b_k, !b_kk
  return %nT, %ST : !b_k, !b_kk
}

// Scans that are not raised have no plan.
// CHECK-LABEL: func.func @plain(
// CHECK-NOT: chunk.plan
// CHECK: return
// REMARK-NOT: remark
func.func @plain(%k: !bt_k, %n0: !b_k) -> !b_k {
  %nT = recur.scan over [#recur.axis<"t">] states [#recur.state<"n", [[1]]>] inputs(%k : !bt_k) inits(%n0 : !b_k) {
  ^bb0(%kt: !k, %n: !k):
    recur.yield states(%kt : !k)
  } : !b_k
  return %nT : !b_k
}
