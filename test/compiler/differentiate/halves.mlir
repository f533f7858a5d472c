// A gradient with its model's results: recurrences of the same states become one, and each half takes its operations.
// RUN: rondo-opt --split-input-file --pass-pipeline="builtin.module(func.func(merge-recurrences,cse))" %s | FileCheck --check-prefix=MERGED %s
// RUN: rondo-opt --split-input-file --pass-pipeline="builtin.module(func.func(take-half{half=there}))" %s | FileCheck --check-prefix=THERE %s
// RUN: rondo-opt --split-input-file --pass-pipeline="builtin.module(func.func(take-half{half=back}))" %s | FileCheck --check-prefix=BACK %s
// RUN: not rondo-opt --split-input-file --pass-pipeline="builtin.module(func.func(take-half{half=both}))" %s 2>&1 | FileCheck --check-prefix=NEITHER %s
// NEITHER: error: take-half: expected 'there' or 'back', got 'both'

!x = tensor<?x?xf64, #recur.dims<batch, time>>
!h = tensor<?xf64, #recur.dims<batch>>
!a = tensor<f64, #recur.dims<>>

// The second scan has an input more, which its states do not need, and other names for what they do.
// MERGED-LABEL: @same
// MERGED: %[[BOTH:.*]]:3 = recur.scan {{.*}}states [#recur.state<"h", {{\[\[}}1]]>]
// MERGED-NEXT: inputs(%arg0, %arg1 :
// MERGED: %[[NEW:.*]] = recur.map mul
// MERGED: %[[OUT:.*]] = recur.map add
// MERGED-NOT: recur.map mul
// MERGED: recur.yield states(%[[NEW]] : {{.*}}) outputs(%[[NEW]], %[[OUT]] :
// MERGED: recur.scan over [#recur.axis<"t", reverse>]
// MERGED: inputs(%arg3, %[[BOTH]]#1 :
// MERGED: return %[[BOTH]]#0, %[[BOTH]]#2,
// THERE-LABEL: @same(
// THERE-NOT: d_y
// THERE-SAME: {recur.kind = "output", recur.name = "y"}, {{.*}}{recur.kind = "final", recur.name = "h"}, {{.*}}{recur.kind = "output", recur.name = "kept.1"})
// THERE-NOT: reverse
// THERE: return
// BACK-LABEL: @same(
// BACK-SAME: %arg4: tensor<{{.*}}> {recur.kept, recur.kind = "input", recur.name = "kept.1"}) -> (tensor<{{.*}}> {recur.cotangent = "x", recur.kind = "output", recur.name = "d_x"})
// BACK-NOT: recur.axis<"t">]
// BACK: recur.scan over [#recur.axis<"t", reverse>]
// BACK-NEXT: inputs(%arg3, %arg4 :
func.func @same(%x: !x {recur.name = "x", recur.kind = "input"}, %z: !x {recur.name = "z", recur.kind = "input"},
                %h0: !h {recur.name = "h", recur.kind = "init"},
                %dy: !x {recur.name = "d_y", recur.kind = "input", recur.cotangent = "y"})
    -> (!x {recur.name = "y", recur.kind = "output"}, !h {recur.name = "h", recur.kind = "final"},
        !x {recur.name = "d_x", recur.kind = "output", recur.cotangent = "x"}) {
  %y, %h = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h) {
  ^bb0(%xt: !a, %old: !a):
    %new = recur.map mul(%xt, %old) : (!a, !a) -> !a
    recur.yield states(%new : !a) outputs(%new : !a)
  } : !x, !h
  %w, %h2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%z, %x : !x, !x) inits(%h0 : !h) {
  ^bb0(%zt: !a, %xt: !a, %old: !a):
    %sum = recur.map add(%zt, %old) : (!a, !a) -> !a
    %new = recur.map mul(%xt, %old) : (!a, !a) -> !a
    recur.yield states(%new : !a) outputs(%sum : !a)
  } : !x, !h
  %dx = recur.scan over [#recur.axis<"t", reverse>] inputs(%dy, %w : !x, !x) {
  ^bb0(%d: !a, %wt: !a):
    %p = recur.map mul(%d, %wt) : (!a, !a) -> !a
    recur.yield outputs(%p : !a)
  } : !x
  return %y, %h, %dx : !x, !h, !x
}

// -----

!x = tensor<?x?xf64, #recur.dims<batch, time>>
!h = tensor<?xf64, #recur.dims<batch>>
!a = tensor<f64, #recur.dims<>>

// Other initial values, other operations, and a cotangent in it: three that stay.
// MERGED-LABEL: @different
// MERGED-COUNT-4: recur.scan
// What both ways need and no scan makes is made in both; a final state is no input of the way back, but a parameter.
// THERE-LABEL: @different
// THERE-SAME: {recur.kind = "final", recur.name = "kept.1"}, {{.*}}{recur.kind = "final", recur.name = "kept.2"})
// BACK-LABEL: @different
// BACK-SAME: {recur.kept, recur.kind = "param", recur.name = "kept.1"}, {{.*}}{recur.kept, recur.kind = "param", recur.name = "kept.2"})
// BACK: recur.sum_to
func.func @different(%x: !x {recur.name = "x", recur.kind = "input"}, %h0: !h {recur.name = "h", recur.kind = "init"},
                     %dy: !x {recur.name = "d_y", recur.kind = "input", recur.cotangent = "y"})
    -> (!x {recur.name = "y", recur.kind = "output"}, !h {recur.name = "d_h", recur.kind = "final", recur.cotangent = "h"}) {
  %zero = recur.sum_to() : () -> !h
  %y, %h = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%zero : !h) {
  ^bb0(%xt: !a, %old: !a):
    %new = recur.map mul(%xt, %old) : (!a, !a) -> !a
    recur.yield states(%new : !a) outputs(%new : !a)
  } : !x, !h
  %h1 = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%h0 : !h) {
  ^bb0(%xt: !a, %old: !a):
    %new = recur.map mul(%xt, %old) : (!a, !a) -> !a
    recur.yield states(%new : !a)
  } : !h
  %h2 = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) inits(%zero : !h) {
  ^bb0(%xt: !a, %old: !a):
    %new = recur.map add(%xt, %old) : (!a, !a) -> !a
    recur.yield states(%new : !a)
  } : !h
  %h3 = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x, %dy : !x, !x) params(%h1 : !h) inits(%zero : !h) {
  ^bb0(%xt: !a, %d: !a, %p: !a, %old: !a):
    %new = recur.map mul(%xt, %old) : (!a, !a) -> !a
    %more = recur.map add(%new, %p) : (!a, !a) -> !a
    recur.yield states(%more : !a)
  } : !h
  %d = recur.sum_to(%h2, %h3) : (!h, !h) -> !h
  return %y, %d : !x, !h
}
