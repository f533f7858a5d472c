// RUN: rondo-opt --raise-cells %s | FileCheck %s
// RUN: rondo-opt --raise-cells --lower-raised %s | FileCheck --check-prefix=BACK %s
// RUN: rondo-opt --raise-cells %s | rondo-opt --verify-roundtrip

!k = tensor<4xf32, #recur.dims<| "4">>
!w = tensor<4x4xf32, #recur.dims<| "4", "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// A gated unit whose second product waits for its first: factors in order, the parameter first in each contraction. What no state reaches
// (the product with x) stays in the region. Resets and the direction come along.
// CHECK-LABEL: func.func @gated(
// CHECK:      recur.cell_scan over [#recur.axis<"t", reverse>] states [#recur.state<"h", {{\[\[}}1]]>]
// CHECK-NEXT:   inputs(%arg0
// CHECK-NEXT:   params(%arg1, %arg2
// CHECK-NEXT:   inits(%arg3
// CHECK-NEXT:   resets(%arg4
// CHECK-SAME:   products [#recur.product<1, "ab,b->a">, #recur.product<0, "ab,a->b">] {
// CHECK-NEXT: ^bb0(%[[X:.*]]: {{.*}}, %[[U:.*]]: {{.*}}, %[[W:.*]]: {{.*}}, %[[H:.*]]: {{.*}}, %[[P:.*]]: {{.*}}, %[[Q:.*]]: tensor<4xf32, {{.*}}>):
// CHECK-NEXT:   %[[UX:.*]] = recur.contract "ab,b->a"(%[[U]], %[[X]])
// CHECK-NEXT:   %[[R:.*]] = recur.map tanh(%[[P]])
// CHECK-NEXT:   %[[RH:.*]] = recur.map mul(%[[R]], %[[H]])
// CHECK-NEXT:   %[[N:.*]] = recur.map add(%[[Q]], %[[UX]])
// CHECK-NEXT:   recur.cell factors(%[[H]], %[[RH]] : {{.*}}) states(%[[N]] : {{.*}}) outputs(%[[R]] : {{.*}})

// Back, every product stands where it is first read.
// BACK-LABEL: func.func @gated(
// BACK:      recur.scan over [#recur.axis<"t", reverse>]
// BACK:      ^bb0(%[[X:.*]]: {{.*}}, %[[U:.*]]: {{.*}}, %[[W:.*]]: {{.*}}, %[[H:.*]]: {{.*}}):
// BACK-NEXT:   %[[UX:.*]] = recur.contract "ab,b->a"(%[[U]], %[[X]])
// BACK-NEXT:   %[[P:.*]] = recur.contract "ab,b->a"(%[[W]], %[[H]])
// BACK-NEXT:   %[[R:.*]] = recur.map tanh(%[[P]])
// BACK-NEXT:   %[[RH:.*]] = recur.map mul(%[[R]], %[[H]])
// BACK-NEXT:   %[[Q:.*]] = recur.contract "ab,a->b"(%[[U]], %[[RH]])
// BACK-NEXT:   %[[N:.*]] = recur.map add(%[[Q]], %[[UX]])
// BACK-NEXT:   recur.yield states(%[[N]] : {{.*}}) outputs(%[[R]] : {{.*}})
func.func @gated(%x: !x, %U: !w, %W: !w, %h0: !h, %r: tensor<?x?xi1, #recur.dims<batch, time>>) -> (!x, !h) {
  %0:2 = recur.scan over [#recur.axis<"t", reverse>] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%U, %W : !w, !w) inits(%h0 : !h)
      resets(%r : tensor<?x?xi1, #recur.dims<batch, time>>) {
  ^bb0(%xt: !k, %u: !w, %w: !w, %h: !k):
    %ux = recur.contract "ab,b->a"(%u, %xt) : (!w, !k) -> !k
    %p = recur.contract "ab,b->a"(%w, %h) : (!w, !k) -> !k
    %g = recur.map tanh(%p) : (!k) -> !k
    %rh = recur.map mul(%g, %h) : (!k, !k) -> !k
    %q = recur.contract "a,ab->b"(%rh, %u) : (!k, !w) -> !k
    %n = recur.map add(%q, %ux) : (!k, !k) -> !k
    recur.yield states(%n : !k) outputs(%g : !k)
  } : !x, !h
  return %0#0, %0#1 : !x, !h
}

// Nothing is multiplied by a parameter: a scaling sums over no axis, and x waits for no state.
// CHECK-LABEL: func.func @elementwise(
// CHECK-NOT:  cell_scan
func.func @elementwise(%x: !x, %W: !w, %u: !k, %h0: !h) -> !h {
  %0 = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%W, %u : !w, !k) inits(%h0 : !h) {
  ^bb0(%xt: !k, %w: !w, %ut: !k, %h: !k):
    %p = recur.contract "ab,b->a"(%w, %xt) : (!w, !k) -> !k
    %q = recur.contract "a,a->a"(%ut, %h) : (!k, !k) -> !k
    %n = recur.map add(%p, %q) : (!k, !k) -> !k
    recur.yield states(%n : !k)
  } : !h
  return %0 : !h
}

// A product of a product.
// CHECK-LABEL: func.func @twice(
// CHECK:      products [#recur.product<0, "ab,b->a">, #recur.product<0, "ab,b->a">] {
// CHECK-NEXT: ^bb0(%{{.*}}: {{.*}}, %{{.*}}: {{.*}}, %[[H:.*]]: {{.*}}, %[[P:.*]]: {{.*}}, %[[Q:.*]]: {{.*}}):
// CHECK-NEXT:   recur.cell factors(%[[H]], %[[P]] : {{.*}}) states(%[[Q]]
// BACK-LABEL: func.func @twice(
// BACK:      ^bb0(%{{.*}}: {{.*}}, %[[W:.*]]: {{.*}}, %[[H:.*]]: {{.*}}):
// BACK-NEXT:   %[[P:.*]] = recur.contract "ab,b->a"(%[[W]], %[[H]])
// BACK-NEXT:   %[[Q:.*]] = recur.contract "ab,b->a"(%[[W]], %[[P]])
// BACK-NEXT:   recur.yield states(%[[Q]]
func.func @twice(%x: !x, %W: !w, %h0: !h) -> !h {
  %0 = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%W : !w) inits(%h0 : !h) {
  ^bb0(%xt: !k, %w: !w, %h: !k):
    %p = recur.contract "ab,b->a"(%w, %h) : (!w, !k) -> !k
    %q = recur.contract "ab,b->a"(%w, %p) : (!w, !k) -> !k
    recur.yield states(%q : !k)
  } : !h
  return %0 : !h
}

// A transposed parameter is the parameter with other letters; its diagonal is no product.
// CHECK-LABEL: func.func @transposed(
// CHECK:      products [#recur.product<0, "ba,b->a">, #recur.product<0, "ab,b->a">] {
// CHECK-NEXT: ^bb0(%{{.*}}: {{.*}}, %[[W:.*]]: {{.*}}, %[[H:.*]]: {{.*}}, %[[P:.*]]: {{.*}}, %[[Q:.*]]: {{.*}}):
// CHECK-NEXT:   %[[D:.*]] = recur.contract "aa->a"(%[[W]])
// CHECK-NEXT:   %[[E:.*]] = recur.contract "a,a->a"(%[[D]], %[[H]])
// CHECK-NEXT:   %[[N:.*]] = recur.map add(%[[Q]], %[[E]])
// CHECK-NEXT:   recur.cell factors(%[[H]], %[[P]] : {{.*}}) states(%[[N]]
func.func @transposed(%x: !x, %W: !w, %h0: !h) -> !h {
  %0 = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%W : !w) inits(%h0 : !h) {
  ^bb0(%xt: !k, %w: !w, %h: !k):
    %t = recur.contract "ab->ba"(%w) : (!w) -> !w
    %p = recur.contract "ab,b->a"(%t, %h) : (!w, !k) -> !k
    %u = recur.contract "ab->ba"(%t) : (!w) -> !w
    %q = recur.contract "ab,b->a"(%u, %p) : (!w, !k) -> !k
    %d = recur.contract "aa->a"(%w) : (!w) -> !k
    %e = recur.contract "a,a->a"(%d, %h) : (!k, !k) -> !k
    %n = recur.map add(%q, %e) : (!k, !k) -> !k
    recur.yield states(%n : !k)
  } : !h
  return %0 : !h
}
