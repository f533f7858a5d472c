// RUN: split-file %s %t
// RUN: rondo-opt --lower-scan %t/decay.mlir | FileCheck %t/decay.mlir
// RUN: rondo-opt --lower-scan=vector-bits=128 %t/decay.mlir | FileCheck --check-prefix=NARROW %t/decay.mlir
// RUN: rondo-opt --lower-scan %t/tile.mlir | FileCheck %t/tile.mlir
// RUN: rondo-opt --lower-scan %t/block.mlir | FileCheck %t/block.mlir
// RUN: rondo-opt --lower-scan %t/lag.mlir | FileCheck %t/lag.mlir
// RUN: rondo-opt --lower-scan %t/grid.mlir | FileCheck %t/grid.mlir
// RUN: rondo-opt --lower-scan %t/heads.mlir | FileCheck %t/heads.mlir
// RUN: rondo-opt --lower-scan %t/stored.mlir | FileCheck %t/stored.mlir
// RUN: rondo-opt --lower-scan %t/resets.mlir | FileCheck %t/resets.mlir
// RUN: rondo-opt --lower-scan %t/packed.mlir | FileCheck %t/packed.mlir
// RUN: rondo-opt --lower-scan %t/chunks.mlir | FileCheck %t/chunks.mlir

//--- decay.mlir
// A state that each element updates for itself lies in the tensor of its final value: no scratch. The initial value is copied
// there unless the caller gave the same memory for both. Vectors are as wide as the target's registers; what is left of ten
// elements is done one by one.
// CHECK: launches = [{batch_tile = 1 : i64, cluster = 0 : i64, cooperative = false, most_steps = 0 : i64, operands = array<i64: 0, 1, 2, 3>, packed = false, per_batch = true, per_head = false, row_team = {scratch_bytes = 0 : i64, symbol = ""}, scratch_bytes = 0 : i64
// CHECK-LABEL: func.func @decay_0(%{{.*}}: !llvm.ptr, %{{.*}}: i64, %{{.*}}: i64, %{{.*}}: !llvm.ptr)
// CHECK-NOT: recur.
// CHECK: %[[DIFFER:.*]] = arith.cmpi ne
// CHECK: scf.if %[[DIFFER]]
// CHECK: arith.addf {{.*}} : vector<8xf32>
// CHECK: arith.addf {{.*}} : f32
// NARROW: arith.addf {{.*}} : vector<4xf32>
// NARROW-NOT: vector<8xf32>
!x = tensor<?x?x10xf32, #recur.dims<batch, time | "10">>
!h = tensor<?x10xf32, #recur.dims<batch | "10">>
!t = tensor<10xf32, #recur.dims<| "10">>
func.func @decay(%x: !x {recur.name = "x", recur.kind = "input"}, %h0: !h {recur.name = "h", recur.kind = "init"})
    -> (!x {recur.name = "y", recur.kind = "output"}, !h {recur.name = "h", recur.kind = "final"}) {
  %y, %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h) {
  ^bb0(%xt: !t, %h: !t):
    %k = recur.contract "a,a->a"(%xt, %h) : (!t, !t) -> !t
    %n = recur.map add(%k, %xt) : (!t, !t) -> !t
    recur.yield states(%n : !t) outputs(%n : !t)
  } : !x, !h
  return %y, %hT : !x, !h
}

//--- tile.mlir
// Rows of the batch share the loads of a recurrent matrix: a task has eight rows; those that do not fill a tile go one by one.
// The state has two slices in scratch, because every element of the new one reads all of the old.
// CHECK: launches = [{batch_tile = 8 : i64
// CHECK-LABEL: func.func @rnn_0(
// CHECK: scf.if
// CHECK: } else {
// CHECK: scf.for
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>
!w = tensor<4x4xf32, #recur.dims<| "4", "4">>
!t = tensor<4xf32, #recur.dims<| "4">>
func.func @rnn(%x: !x {recur.name = "x", recur.kind = "input"}, %w: !w {recur.name = "W", recur.kind = "param"},
               %h0: !h {recur.name = "h", recur.kind = "init"})
    -> (!x {recur.name = "y", recur.kind = "output"}, !h {recur.name = "h", recur.kind = "final"}) {
  %y, %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%w : !w)
      inits(%h0 : !h) {
  ^bb0(%xt: !t, %W: !w, %h: !t):
    %u = recur.contract "ab,b->a"(%W, %h) : (!w, !t) -> !t
    %n = recur.map add(%u, %xt) : (!t, !t) -> !t
    recur.yield states(%n : !t) outputs(%n : !t)
  } : !x, !h
  return %y, %hT : !x, !h
}

//--- block.mlir
// Without a state the steps are independent: they share the loads of a parameter, and a task has a block of them.
// CHECK: time_block = 64
// CHECK-LABEL: func.func @project_0(
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!w = tensor<4x4xf32, #recur.dims<| "4", "4">>
!t = tensor<4xf32, #recur.dims<| "4">>
func.func @project(%x: !x {recur.name = "x", recur.kind = "input"}, %w: !w {recur.name = "W", recur.kind = "param"})
    -> (!x {recur.name = "y", recur.kind = "output"}) {
  %y = recur.scan over [#recur.axis<"t">] inputs(%x : !x) params(%w : !w) {
  ^bb0(%xt: !t, %W: !w):
    %u = recur.contract "ab,b->a"(%W, %xt) : (!w, !t) -> !t
    recur.yield outputs(%u : !t)
  } : !x
  return %y : !x
}

//--- lag.mlir
// A state that is read two steps back is a ring of three slices in scratch, and a reverse axis is read from its end.
// CHECK: scratch_bytes = 192
// CHECK-LABEL: func.func @lag_0(
// CHECK: %[[LAST:.*]] = arith.subi
// CHECK: arith.subi %[[LAST]],
// CHECK: arith.remui
!x = tensor<?x?x16xf32, #recur.dims<batch, time | "16">>
!h = tensor<?x2x16xf32, #recur.dims<batch, lag | "16">>
!t = tensor<16xf32, #recur.dims<| "16">>
func.func @lag(%x: !x {recur.name = "x", recur.kind = "input"}, %h0: !h {recur.name = "h", recur.kind = "init"})
    -> (!h {recur.name = "h", recur.kind = "final"}) {
  %hT = recur.scan over [#recur.axis<"t", reverse>] states [#recur.state<"h", [[2]]>] inputs(%x : !x) inits(%h0 : !h) {
  ^bb0(%xt: !t, %h: !t):
    %n = recur.map add(%h, %xt) : (!t, !t) -> !t
    recur.yield states(%n : !t)
  } : !h
  return %hT : !h
}

//--- grid.mlir
// Over two axes the state of every step is kept, in a temporary tensor over both.
// CHECK: axes = [{axis = 0 : i64, name = "batch"{{[^]]*}}}, {axis = 1 : i64, name = "time"{{[^]]*}}}, {axis = 2 : i64, name = "time1"{{[^]]*}}}]{{.*}} kind = 7
// CHECK-LABEL: func.func @grid_0(
!x = tensor<?x?x?xf32, #recur.dims<batch, time, time1>>
!h = tensor<?xf32, #recur.dims<batch>>
!r = tensor<?x?xf32, #recur.dims<batch, time1>>
!c = tensor<?x?xf32, #recur.dims<batch, time>>
!t = tensor<f32, #recur.dims<>>
func.func @grid(%x: !x {recur.name = "x", recur.kind = "input"}, %h0: !h {recur.name = "h", recur.kind = "init"})
    -> (!r {recur.name = "h", recur.kind = "final"}, !c {recur.name = "h", recur.kind = "final"}) {
  %hr, %hc = recur.scan over [#recur.axis<"r">, #recur.axis<"c">] states [#recur.state<"h", [[1, 0], [0, 1]]>]
      inputs(%x : !x) inits(%h0 : !h) {
  ^bb0(%xt: !t, %up: !t, %left: !t):
    %s = recur.map add(%up, %left) : (!t, !t) -> !t
    %n = recur.map add(%s, %xt) : (!t, !t) -> !t
    recur.yield states(%n : !t)
  } : !r, !c
  return %hr, %hc : !r, !c
}

//--- heads.mlir
// A reshape moves nothing: its two sides are one memory (tensor 2 is tensor 1, tensor 3 is tensor 0). Heads are tasks of
// their own.
// CHECK: alias = array<i64: -1, -1, 1, 0>
// CHECK-SAME: per_head = true
// CHECK-LABEL: func.func @heads_0(
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x?x2x2xf32, #recur.dims<batch, time, head | "2">>
!t = tensor<2xf32, #recur.dims<| "2">>
func.func @heads(%x: !x {recur.name = "x", recur.kind = "input"}) -> (!x {recur.name = "y", recur.kind = "output"}) {
  %h = recur.reshape(%x) : (!x) -> !h
  %a = recur.scan over [#recur.axis<"t">] inputs(%h : !h) {
  ^bb0(%xt: !t):
    %n = recur.map neg(%xt) : (!t) -> !t
    recur.yield outputs(%n : !t)
  } : !h
  %y = recur.reshape(%a) : (!h) -> !x
  return %y : !x
}

//--- stored.mlir
// Loads widen to the type of computation, stores round to the one in memory. bf16 is widened by its bits.
// CHECK-LABEL: func.func @stored_0(
// CHECK: vector.load {{.*}} : memref<?xbf16>, vector<8xbf16>
// CHECK: math.absf {{.*}} : vector<8xf32>
// CHECK: arith.truncf {{.*}} : vector<8xf32> to vector<8xf16>
// CHECK: vector.store {{.*}} : memref<?xf16>, vector<8xf16>
!x = tensor<?x?x8xbf16, #recur.dims<batch, time | "8">>
!y = tensor<?x?x8xf16, #recur.dims<batch, time | "8">>
!t = tensor<8xf32, #recur.dims<| "8">>
func.func @stored(%x: !x {recur.name = "x", recur.kind = "input"}) -> (!y {recur.name = "y", recur.kind = "output"}) {
  %y = recur.scan over [#recur.axis<"t">] inputs(%x : !x) {
  ^bb0(%xt: !t):
    %n = recur.map abs(%xt) : (!t) -> !t
    recur.yield outputs(%n : !t)
  } : !y
  return %y : !y
}

//--- resets.mlir
// Each step looks at one mark per row of the tile, and copies the initial value of the rows that begin anew.
// CHECK: launches = [{batch_tile = 8 : i64, cluster = 0 : i64, cooperative = false, most_steps = 0 : i64, operands = array<i64: 0, 1, 2, 4, 5, 3>
// CHECK-LABEL: func.func @resets_0(
// CHECK: scf.for %{{.*}} = %{{.*}} to %c8{{.*}} step
// CHECK: %[[MARK:.*]] = memref.load {{.*}} : memref<?xi8>
// CHECK: %[[ANEW:.*]] = arith.cmpi ne, %[[MARK]],
// CHECK: scf.if %[[ANEW]]
!x = tensor<?x?x10xf32, #recur.dims<batch, time | "10">>
!h = tensor<?x10xf32, #recur.dims<batch | "10">>
!w = tensor<10x10xf32, #recur.dims<| "10", "10">>
!r = tensor<?x?xi1, #recur.dims<batch, time>>
!t = tensor<10xf32, #recur.dims<| "10">>
func.func @resets(%x: !x, %w: !w {recur.kind = "param"}, %h0: !h {recur.kind = "init"}, %r: !r {recur.kind = "resets"}) -> (!x, !h {recur.kind = "final"}) {
  %y, %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%w : !w) inits(%h0 : !h)
      resets(%r : !r) {
  ^bb0(%xt: !t, %W: !w, %h: !t):
    %k = recur.contract "ab,b->a"(%W, %h) : (!w, !t) -> !t
    %n = recur.map add(%k, %xt) : (!t, !t) -> !t
    recur.yield states(%n : !t) outputs(%n : !t)
  } : !x, !h
  return %y, %hT : !x, !h
}

//--- packed.mlir
// A task is a sequence, also where rows of a batch would share a tile: it loads where it begins and ends. What has no time counts
// sequences (axis 5) in place of batch entries.
// CHECK: launches = [{batch_tile = 1 : i64, {{.*}}, packed = true,
// CHECK: axes = [{axis = 5 : i64, name = "batch"{{[^]]*}}]{{.*}} kind = 2
// CHECK: axes = [{axis = 7 : i64, name = "N+1", size = -1 : i64, steps = 1 : i64}]{{.*}} kind = 4 : i64{{.*}} type = "i64"
// CHECK-LABEL: func.func @packed_0(
// CHECK: %[[BEGIN:.*]] = memref.load {{.*}} : memref<?xi64>
// CHECK: %[[FROM:.*]] = arith.index_cast %[[BEGIN]]
// CHECK: %[[END:.*]] = memref.load {{.*}} : memref<?xi64>
// CHECK: %[[TO:.*]] = arith.index_cast %[[END]]
// CHECK: %[[STEPS:.*]] = arith.subi %[[TO]], %[[FROM]]
// CHECK: scf.for {{.*}} to %[[STEPS]] step
!x = tensor<?x?x10xf32, #recur.dims<batch, time | "10">>
!h = tensor<?x10xf32, #recur.dims<batch | "10">>
!w = tensor<10x10xf32, #recur.dims<| "10", "10">>
!t = tensor<10xf32, #recur.dims<| "10">>
func.func @packed(%x: !x, %w: !w {recur.kind = "param"}, %h0: !h {recur.kind = "init"}, %o: tensor<?xi64> {recur.kind = "offsets"}) -> (!x, !h {recur.kind = "final"}) {
  %y, %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%w : !w) inits(%h0 : !h)
      offsets(%o : tensor<?xi64>) {
  ^bb0(%xt: !t, %W: !w, %h: !t):
    %k = recur.contract "ab,b->a"(%W, %h) : (!w, !t) -> !t
    %n = recur.map add(%k, %xt) : (!t, !t) -> !t
    recur.yield states(%n : !t) outputs(%n : !t)
  } : !x, !h
  return %y, %hT : !x, !h
}

//--- chunks.mlir
// Four steps at once wherever four are left and no reset is among the last three of them; else one.
// CHECK-LABEL: func.func @chunks_0(
// CHECK: scf.while (%{{.*}} = %{{.*}}, %{{.*}} = %{{.*}})
// CHECK: %[[ENOUGH:.*]] = arith.cmpi sge, %{{.*}}, %c4
// CHECK: %[[FITS:.*]] = scf.if %[[ENOUGH]] -> (i1)
// CHECK: scf.for {{.*}} -> (i8)
// CHECK: arith.ori
// CHECK: scf.if %[[FITS]] -> (index)
// CHECK: scf.yield %c4
// CHECK: } else {
// CHECK: scf.yield %c1
!x = tensor<?x?x10xf32, #recur.dims<batch, time | "10">>
!h = tensor<?x10xf32, #recur.dims<batch | "10">>
!r = tensor<?x?xi1, #recur.dims<batch, time>>
!t = tensor<10xf32, #recur.dims<| "10">>
!c = tensor<4x10xf32, #recur.dims<time | "10">>
func.func @chunks(%x: !x, %h0: !h {recur.kind = "init"}, %r: !r {recur.kind = "resets"}) -> (!h {recur.kind = "final"}) {
  %hT = chunk.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h) resets(%r : !r)
      plan <form = chunk, schedule = carry, chunk = 4> step {
  ^bb0(%xt: !t, %h: !t):
    %n = recur.map add(%h, %xt) : (!t, !t) -> !t
    recur.yield states(%n : !t)
  } chunk {
  ^bb0(%xs: !c, %h: !t):
    %total = recur.reduce sum [0] (%xs) : (!c) -> !t
    %n = recur.map add(%h, %total) : (!t, !t) -> !t
    recur.yield states(%n : !t)
  } : !h
  return %hT : !h
}
