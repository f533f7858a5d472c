// Recurrences that are not linear in their states, with what they multiply the states by apart from the rest. The constraints' numbers go
// on from RaisedOps.td; test/dialects/recur/invalid-cell.mlir breaks each one once.
#ifndef RONDO_CELL_OPS
#define RONDO_CELL_OPS
include "dialects/Recur/RaisedOps.td"

def Recur_ProductAttr : Recur_Attr<"Product", "product"> {
  let summary = "a product of a parameter with what a cell makes of its states";
  let description = [{
    `#recur.product<0, "ab,b->a">`: of parameter 0 of the scan; the letters are those of `recur.contract`, of the parameter first.
  }];
  let parameters = (ins "int64_t":$param, "::mlir::StringAttr":$spec);
  let assemblyFormat = "`<` $param `,` $spec `>`";
}

def Recur_CellOp : Recur_Op<"cell", [Pure, Terminator, AttrSizedOperandSegments]> {
  let summary = "ends the region of a cell_scan: the factors of its products, the new states, the outputs";
  let description = [{
    Semantics. Hands them to the surrounding `recur.cell_scan`, whose document says what each list means.

    Constraints are the surrounding op's. Made and taken away with it, by `raise-cells` and `lower-raised`.

    Numerics. Exact.

    Example: see `recur.cell_scan`.
  }];
  let arguments = (ins Variadic<Recur_Array>:$factors, Variadic<Recur_Array>:$states, Variadic<Recur_Array>:$outputs);
  let assemblyFormat = [{
    (`factors` `(` $factors^ `:` type($factors) `)`)? (`states` `(` $states^ `:` type($states) `)`)?
    (`outputs` `(` $outputs^ `:` type($outputs) `)`)? attr-dict
  }];
  let hasVerifier = 1;
}

def Recur_CellScanOp : Recur_Op<"cell_scan", [AttrSizedOperandSegments, IsolatedFromAbove, RecursivelySpeculatable,
                                              RecursiveMemoryEffects, Recur_ScanInterface]> {
  let summary = "a cell: states that are multiplied by parameters at every step, and a rest that is not linear in them";
  let description = [{
    Semantics. Operands and results are those of a `recur.scan`. Its region is the step without its recurrent products, which are its last
    arguments, and whose factors it hands out:

    ```
    for each batch entry, head, step:
      for each product p, in their order:
        y[p] = contraction of param[p] with factor[p](inputs, params, states, y[0 .. p-1])      // as recur.contract
      states, outputs = region(inputs, params, states, y)
    ```
    So a target sees which matrices every step reads as a whole, and which product waits for which: an LSTM's four products wait for
    the old state alone, a GRU whose reset gate comes before its matrix has one that waits for another.

    Constraints (and C1 to C11, C16 to C18 of `recur.scan`).
    - C31: `products` is a list of #recur.product, each of a parameter that there is.
    - C32: the region begins with the arguments of a step, and has one more argument per product.
    - C33: it ends in `recur.cell` with one factor per product, and states and outputs as a step's.
    - C34: parameter, factor and argument of a product are operands and result of a `recur.contract` (C1 to C6 there).
    - C35: a factor depends on earlier products alone.

    Numerics. As the `recur.scan` that it stands for.

    Made by `raise-cells`; `lower-raised` turns it back into `recur.scan`.

    Example: a recurrent network of tanh units.
    ```mlir
    !h = tensor<4xf32, #recur.dims<| "4">>
    !w = tensor<4x4xf32, #recur.dims<| "4", "4">>
    !x = tensor<?x?x4xf32, #recur.dims<batch, time | "4">>
    !b = tensor<?x4xf32, #recur.dims<batch | "4">>
    func.func @network(%x: !x, %W: !w, %h0: !b) -> (!x, !b) {
      %y, %hT = recur.cell_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>]
          inputs(%x : !x) params(%W : !w) inits(%h0 : !b) products [#recur.product<0, "ab,b->a">] {
      ^bb0(%xt: !h, %w: !w, %h: !h, %wh: !h):
        %0 = recur.map add(%wh, %xt) : (!h, !h) -> !h
        %1 = recur.map tanh(%0) : (!h) -> !h
        recur.cell factors(%h : !h) states(%1 : !h) outputs(%1 : !h)
      } : !x, !b
      return %y, %hT : !x, !b
    }
    ```
  }];
  let arguments = (ins
    Variadic<Recur_Array>:$inputs, Variadic<Recur_Array>:$params, Variadic<Recur_Array>:$inits,
    Optional<AnyRankedTensor>:$resets, Optional<AnyRankedTensor>:$offsets,
    ArrayAttr:$axes, ArrayAttr:$states, ArrayAttr:$products);
  let results = (outs Variadic<Recur_Array>:$results);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    // Said again: the base class of every op has a member of this name.
    StateAttr state(unsigned index) { return ::llvm::cast<StateAttr>(getStates()[index]); }
    ProductAttr product(unsigned index) { return ::llvm::cast<ProductAttr>(getProducts()[index]); }
    CellOp cell();
    /// What the region gets of the products.
    ::llvm::MutableArrayRef<::mlir::BlockArgument> productArgs();
    /// What it sees of a product's parameter.
    ::mlir::BlockArgument paramArg(unsigned product);
  }];
}
#endif
