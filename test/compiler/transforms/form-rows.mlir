// Short chunks whose steps are worked on each by itself. What they compute is held to the steps by test/compiler/ChunkFormTest.cpp.
// RUN: rondo-opt --form-chunks=rows=4 --canonicalize --cse %s | FileCheck %s
// RUN: rondo-opt --form-chunks=rows=1 %s | FileCheck --check-prefix=ALONG %s

!s = tensor<f32, #recur.dims<>>
!k = tensor<4xf32, #recur.dims<| "4">>
!v = tensor<8xf32, #recur.dims<| "8">>
!b_kv = tensor<?x4x8xf32, #recur.dims<batch | "4", "8">>
!bt = tensor<?x?xf32, #recur.dims<batch, time>>
!bt_k = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!bt_v = tensor<?x?x8xf32, #recur.dims<batch, time | "8">>

// Two steps: what they have between them first, then what each reads of the state, then what it adds up to, and one new state.
// ALONG-LABEL: func.func @key_decay(
// ALONG: chunk.scores
// CHECK-LABEL: func.func @key_decay(
// CHECK:      } chunk {
// CHECK-NEXT: ^bb0(%[[TK:.*]]: tensor<2x4xf32, {{.*}}>, %[[TV:.*]]: tensor<2x8xf32, {{.*}}>, %[[TA:.*]]: tensor<2x4xf32, {{.*}}>, %[[S:.*]]: tensor<4x8xf32, {{.*}}>):
// CHECK-DAG:    %[[K0:.*]] = chunk.row 0 of %[[TK]]
// CHECK-DAG:    %[[K1:.*]] = chunk.row 1 of %[[TK]]
// CHECK-DAG:    %[[V0:.*]] = chunk.row 0 of %[[TV]]
// CHECK-DAG:    %[[V1:.*]] = chunk.row 1 of %[[TV]]
// CHECK-DAG:    %[[A0:.*]] = chunk.row 0 of %[[TA]]
// CHECK-DAG:    %[[A1:.*]] = chunk.row 1 of %[[TA]]
// CHECK:        %[[Q0:.*]] = recur.map mul(%[[K0]], %[[A0]])
// CHECK-NEXT:   %[[S00:.*]] = recur.contract "a,a->"(%[[K0]], %[[K0]])
// CHECK-NEXT:   %[[GONE:.*]] = recur.map mul(%[[A0]], %[[A1]])
// CHECK-NEXT:   %[[LATE:.*]] = recur.map mul(%[[K0]], %[[A1]])
// CHECK-NEXT:   %[[Q1:.*]] = recur.map mul(%[[K1]], %[[GONE]])
// CHECK-NEXT:   %[[S10:.*]] = recur.contract "a,a->"(%[[K1]], %[[LATE]])
// CHECK-NEXT:   %[[S11:.*]] = recur.contract "a,a->"(%[[K1]], %[[K1]])
// CHECK-NEXT:   %[[O0:.*]] = recur.contract "ab,a->b"(%[[S]], %[[Q0]])
// CHECK-NEXT:   %[[O1:.*]] = recur.contract "ab,a->b"(%[[S]], %[[Q1]])
// CHECK-NEXT:   %[[P00:.*]] = recur.map mul(%[[V0]], %[[S00]])
// CHECK-NEXT:   %[[R0:.*]] = recur.map add(%[[O0]], %[[P00]])
// CHECK:        %[[P11:.*]] = recur.map mul(%[[V1]], %[[S11]])
// CHECK-NEXT:   %[[R1:.*]] = recur.map add(%{{.*}}, %[[P11]])
// CHECK-NEXT:   %[[KEPT:.*]] = recur.contract "ab,a->ab"(%[[S]], %[[GONE]])
// CHECK-NEXT:   %[[E0:.*]] = recur.contract "a,b->ab"(%[[LATE]], %[[V0]])
// CHECK-NEXT:   %[[SUM:.*]] = recur.map add(%[[KEPT]], %[[E0]])
// CHECK-NEXT:   %[[E1:.*]] = recur.contract "a,b->ab"(%[[K1]], %[[V1]])
// CHECK-NEXT:   %[[NEW:.*]] = recur.map add(%[[SUM]], %[[E1]])
// CHECK-NEXT:   %[[T0:.*]] = recur.map tanh(%[[R0]])
// CHECK-NEXT:   %[[T1:.*]] = recur.map tanh(%[[R1]])
// CHECK-NEXT:   %[[OUT:.*]] = chunk.rows(%[[T0]], %[[T1]])
// CHECK-NEXT:   recur.yield states(%[[NEW]] : {{.*}}) outputs(%[[OUT]] : {{.*}})
func.func @key_decay(%k: !bt_k, %v: !bt_v, %a: !bt_k, %S0: !b_kv) -> (!bt_v, !b_kv) {
  %o, %ST = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v, %a : !bt_k, !bt_v, !bt_k) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, [0]>] outers [0] readouts [#recur.readout<0, 0>]
      attributes {chunk.plan = #chunk.plan<form = chunk, schedule = carry, chunk = 2>} coefficients {
  ^bb0(%kt: !k, %vt: !v, %at: !k):
    recur.coefficients decays(%at : !k) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %at: !k, %y: !v):
    %t = recur.map tanh(%y) : (!v) -> !v
    recur.yield outputs(%t : !v)
  } : !bt_v, !b_kv
  return %o, %ST : !bt_v, !b_kv
}

// One decay for all keys: the scores are a product of matrices, and stay one.
// CHECK-LABEL: func.func @scalar_decay(
// CHECK: chunk.scores
// CHECK-NOT: chunk.row
func.func @scalar_decay(%k: !bt_k, %v: !bt_v, %a: !bt, %S0: !b_kv) -> (!bt_v, !b_kv) {
  %o, %ST = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
      inputs(%k, %v, %a : !bt_k, !bt_v, !bt) inits(%S0 : !b_kv)
      key_axes [0] decays [#recur.decay<0, []>] outers [0] readouts [#recur.readout<0, 0>]
      attributes {chunk.plan = #chunk.plan<form = chunk, schedule = carry, chunk = 2>} coefficients {
  ^bb0(%kt: !k, %vt: !v, %at: !s):
    recur.coefficients decays(%at : !s) keys(%kt : !k) values(%vt : !v) queries(%kt : !k)
  } readout {
  ^bb0(%kt: !k, %vt: !v, %at: !s, %y: !v):
    recur.yield outputs(%y : !v)
  } : !bt_v, !b_kv
  return %o, %ST : !bt_v, !b_kv
}
