// Each numbered constraint of recur.cell_scan (CellOps.td), broken once.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

!k = tensor<4xf32, #recur.dims<| "4">>
!w = tensor<4x4xf32, #recur.dims<| "4", "4">>
!v = tensor<8x4xf32, #recur.dims<| "8", "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// recur.cell_scan, C31: a parameter that there is.
func.func @f(%x: !x, %W: !w, %h0: !h) {
  // expected-error @+1 {{a product must be a #recur.product of one of 1 parameters, got #recur.product<1, "ab,b->a"> (C31)}}
  %0:2 = recur.cell_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%W : !w) inits(%h0 : !h)
      products [#recur.product<1, "ab,b->a">] {
  ^bb0(%xt: !k, %w: !w, %h: !k, %p: !k):
    recur.cell factors(%h : !k) states(%p : !k) outputs(%xt : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!w = tensor<4x4xf32, #recur.dims<| "4", "4">>
!v = tensor<8x4xf32, #recur.dims<| "8", "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// recur.cell_scan, C32: one more argument per product.
func.func @f(%x: !x, %W: !w, %h0: !h) {
  // expected-error @+1 {{the step needs 4 arguments (inputs, parameters, reads of states, products), got 3 (C32)}}
  %0:2 = recur.cell_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%W : !w) inits(%h0 : !h)
      products [#recur.product<0, "ab,b->a">] {
  ^bb0(%xt: !k, %w: !w, %h: !k):
    recur.cell factors(%h : !k) states(%h : !k) outputs(%xt : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!w = tensor<4x4xf32, #recur.dims<| "4", "4">>
!v = tensor<8x4xf32, #recur.dims<| "8", "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// recur.cell_scan, C33: a factor per product.
func.func @f(%x: !x, %W: !w, %h0: !h) {
  // expected-error @+1 {{the region must end in a 'recur.cell' with 1 factors (C33)}}
  %0:2 = recur.cell_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%W : !w) inits(%h0 : !h)
      products [#recur.product<0, "ab,b->a">] {
  ^bb0(%xt: !k, %w: !w, %h: !k, %p: !k):
    recur.cell states(%p : !k) outputs(%xt : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!w = tensor<4x4xf32, #recur.dims<| "4", "4">>
!v = tensor<8x4xf32, #recur.dims<| "8", "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// recur.cell_scan, C33: a new value per state.
func.func @f(%x: !x, %W: !w, %h0: !h) {
  // expected-error @+1 {{the region must end in a 'recur.cell' with 1 states (C33)}}
  %0:2 = recur.cell_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%W : !w) inits(%h0 : !h)
      products [#recur.product<0, "ab,b->a">] {
  ^bb0(%xt: !k, %w: !w, %h: !k, %p: !k):
    recur.cell factors(%h : !k) outputs(%xt : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!w = tensor<4x4xf32, #recur.dims<| "4", "4">>
!v = tensor<8x4xf32, #recur.dims<| "8", "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// recur.cell_scan, C33: new values are as the states.
func.func @f(%x: !x, %W: !w, %h0: !h) {
  %0:2 = recur.cell_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%W : !w) inits(%h0 : !h)
      products [#recur.product<0, "ab,b->a">] {
  ^bb0(%xt: !k, %w: !w, %h: !k, %p: !k):
    // expected-error @+1 {{the new value of state 'h' must be one of}}
    recur.cell factors(%h : !k) states(%w : !w) outputs(%xt : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!w = tensor<4x4xf32, #recur.dims<| "4", "4">>
!v = tensor<8x4xf32, #recur.dims<| "8", "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// recur.cell_scan, C34: a contraction of the parameter with the factor.
func.func @f(%x: !x, %W: !v, %h0: !h) {
  // expected-error @+2 {{letter 'a' stands for '8' and for '4' (C4)}}
  // expected-error @+1 {{product 0 is no contraction (C34)}}
  %0:2 = recur.cell_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%W : !v) inits(%h0 : !h)
      products [#recur.product<0, "ab,b->a">] {
  ^bb0(%xt: !k, %w: !v, %h: !k, %p: !k):
    recur.cell factors(%h : !k) states(%p : !k) outputs(%xt : !k)
  } : !x, !h
  return
}

// -----

!k = tensor<4xf32, #recur.dims<| "4">>
!w = tensor<4x4xf32, #recur.dims<| "4", "4">>
!v = tensor<8x4xf32, #recur.dims<| "8", "4">>
!x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
!h = tensor<?x4xf32, #recur.dims<batch | "4">>

// recur.cell_scan, C35: no factor waits for its own product.
func.func @f(%x: !x, %W: !w, %h0: !h) {
  // expected-error @+1 {{the factor of product 0 waits for itself or for a later product (C35)}}
  %0:2 = recur.cell_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !x) params(%W : !w) inits(%h0 : !h)
      products [#recur.product<0, "ab,b->a">] {
  ^bb0(%xt: !k, %w: !w, %h: !k, %p: !k):
    recur.cell factors(%p : !k) states(%p : !k) outputs(%xt : !k)
  } : !x, !h
  return
}
