// Scans as kernels for NVIDIA GPUs.
// RUN: rondo-opt --lower-scan-cuda --split-input-file %s | FileCheck %s

// An elementwise state: a thread for each of 64 channels. The inputs of 32 steps are copied to shared memory at once, as they lie in memory and
// three stages ahead; the state is a register that the loops over steps carry, and no barrier is in a step.
// CHECK: rondo.program = {{.*}}shared_bytes = 40960 : i64{{.*}}threads = 64 : i64
// CHECK-LABEL: func.func @elementwise_0
// CHECK-SAME: llvm.noalias, llvm.readonly
// CHECK: nvvm.read.ptx.sreg.tid.x
// CHECK: nvvm.read.ptx.sreg.ctaid.x
// CHECK: nvvm.cp.async.shared.global
// CHECK-COUNT-3: nvvm.cp.async.commit.group
// CHECK: scf.for
// CHECK: nvvm.cp.async.wait.group 2
// CHECK: nvvm.barrier0
// CHECK: nvvm.cp.async.shared.global
// CHECK: scf.for {{.*}} iter_args(%[[STATE:.*]] = %{{.*}}) -> (f32)
// CHECK-NOT: nvvm.barrier0
// CHECK: arith.addf %{{.*}}, %[[STATE]]
// CHECK: scf.yield
!x = tensor<?x?x64xf32, #recur.dims<batch, time | "D">>
!h = tensor<?x64xf32, #recur.dims<batch | "D">>
!d = tensor<64xf32, #recur.dims<| "D">>
func.func @elementwise(%x: !x {recur.name = "x", recur.kind = "input"}, %h0: !h {recur.name = "h", recur.kind = "init"})
    -> (!x {recur.name = "y", recur.kind = "output"}, !h {recur.name = "h", recur.kind = "final"}) {
  %y, %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h) {
  ^bb0(%xt: !d, %h: !d):
    %n = recur.map add(%xt, %h) : (!d, !d) -> !d
    recur.yield states(%n : !d) outputs(%n : !d)
  } : !x, !h
  return %y, %hT : !x, !h
}

// -----

// A matrix state: the value axis goes to threads, four columns to each; eight lanes share out the key axis, so that 32 elements of the
// state are in a thread's registers, and each readout is added up by three shuffles.
// CHECK: rondo.program = {{.*}}threads = 128 : i64
// CHECK-LABEL: func.func @matrix_0
// CHECK: %{{.*}}:32 = scf.for
// CHECK-NOT: nvvm.barrier0
// CHECK-COUNT-12: nvvm.shfl.sync
// CHECK-NOT: nvvm.shfl.sync
// A call of one token has a kernel without a loop over steps, and 32 columns a block.
// CHECK-LABEL: func.func @matrix_0_token
// CHECK-NOT: iter_args
// CHECK: nvvm.shfl.sync
!q = tensor<?x?x64xf32, #recur.dims<batch, time | "K">>
!v = tensor<?x?x64xf32, #recur.dims<batch, time | "V">>
!S = tensor<?x64x64xf32, #recur.dims<batch | "K", "V">>
!k = tensor<64xf32, #recur.dims<| "K">>
!vt = tensor<64xf32, #recur.dims<| "V">>
!s = tensor<64x64xf32, #recur.dims<| "K", "V">>
func.func @matrix(%q: !q {recur.name = "q", recur.kind = "input"}, %v: !v {recur.name = "v", recur.kind = "input"},
                  %S0: !S {recur.name = "S", recur.kind = "init"})
    -> (!v {recur.name = "o", recur.kind = "output"}, !S {recur.name = "S", recur.kind = "final"}) {
  %o, %ST = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>] inputs(%q, %v : !q, !v) inits(%S0 : !S) {
  ^bb0(%qt: !k, %w: !vt, %S: !s):
    %kv = recur.contract "k,v->kv"(%qt, %w) : (!k, !vt) -> !s
    %n = recur.map add(%S, %kv) : (!s, !s) -> !s
    %r = recur.contract "k,kv->v"(%qt, %n) : (!k, !s) -> !vt
    recur.yield states(%n : !s) outputs(%r : !vt)
  } : !v, !S
  return %o, %ST : !v, !S
}

// -----

// A full recurrent product: every thread needs every element of the state, which lies in shared memory, with barriers between its update
// and its next use. Neighbouring threads read neighbouring elements of a row of U.
// CHECK-LABEL: func.func @cell_0
// CHECK: nvvm.shfl.sync
// CHECK: nvvm.barrier0
// CHECK: math.tanh
!x = tensor<?x?x40xf32, #recur.dims<batch, time | "H">>
!h = tensor<?x40xf32, #recur.dims<batch | "H">>
!u = tensor<40x40xf32, #recur.dims<| "H", "H">>
!d = tensor<40xf32, #recur.dims<| "H">>
func.func @cell(%x: !x {recur.name = "x", recur.kind = "input"}, %U: !u {recur.name = "U", recur.kind = "param"},
                %h0: !h {recur.name = "h", recur.kind = "init"})
    -> (!x {recur.name = "y", recur.kind = "output"}, !h {recur.name = "h", recur.kind = "final"}) {
  %y, %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>]
      inputs(%x : !x) params(%U : !u) inits(%h0 : !h) {
  ^bb0(%xt: !d, %Ut: !u, %h: !d):
    %p = recur.contract "ij,j->i"(%Ut, %h) : (!u, !d) -> !d
    %a = recur.map add(%xt, %p) : (!d, !d) -> !d
    %n = recur.map tanh(%a) : (!d) -> !d
    recur.yield states(%n : !d) outputs(%n : !d)
  } : !x, !h
  return %y, %hT : !x, !h
}
