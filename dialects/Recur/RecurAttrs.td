#ifndef RONDO_RECUR_ATTRS
#define RONDO_RECUR_ATTRS
include "dialects/Recur/RecurDialect.td"
include "mlir/IR/TensorEncoding.td"

class Recur_Attr<string name, string attrMnemonic, list<Trait> traits = []> : AttrDef<Recur_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

def Recur_DimsAttr : Recur_Attr<"Dims", "dims", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "names of a tensor's axes: implicit parallel axes, then the spec's own dimensions";
  let description = [{
    The encoding of every tensor type in this dialect: one entry per axis. Before the bar stand the implicit axes, in
    storage order, out of `batch`, `time` (`time1`, `time2`, ... for the further axes of a multi-axis scan), `head` and
    `group`, and `lag` for the slices of a state that is read from further back than one step. After the bar stand the
    spec's dimensions as canonical size expressions ("K", "2*H", "3").

    `tensor<?x?x?x64xf32, #recur.dims<batch, time, head | K>>`, `tensor<f64, #recur.dims<>>`
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::StringAttr">:$axes, ArrayRefParameter<"::mlir::StringAttr">:$names);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Number of axes: implicit and named ones together.
    int64_t rank() const { return getAxes().size() + getNames().size(); }
    /// Position of the implicit axis, or -1.
    int64_t axisPosition(::llvm::StringRef axis) const;
  }];
}

def Recur_IntervalAttr : Recur_Attr<"Interval", "interval"> {
  let summary = "a range of real numbers that a value is promised to lie in";
  let description = [{
    `#recur.interval<0.0, 1.0>` includes both ends, `#recur.interval<open 0.0, inf>` only the upper one. (The usual
    brackets cannot be written: the parser of attributes wants them in pairs.)
  }];
  let parameters = (ins APFloatParameter<"">:$low, APFloatParameter<"">:$high, "bool":$loOpen, "bool":$hiOpen);
  let builders = [AttrBuilder<(ins "double":$lo, "double":$hi, "bool":$loOpen, "bool":$hiOpen), [{
    return $_get($_ctxt, ::llvm::APFloat(lo), ::llvm::APFloat(hi), loOpen, hiOpen);
  }]>];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    double getLo() const { return getLow().convertToDouble(); }
    double getHi() const { return getHigh().convertToDouble(); }
  }];
}

def Recur_AxisAttr : Recur_Attr<"Axis", "axis"> {
  let summary = "one scanned axis and its direction";
  let description = [{`#recur.axis<"t">`, `#recur.axis<"t", reverse>`.}];
  let parameters = (ins "::mlir::StringAttr":$name, "bool":$reverse);
  let hasCustomAssemblyFormat = 1;
}

def Recur_StateAttr : Recur_Attr<"State", "state"> {
  let summary = "a state's name and the earlier steps that the step region reads it at";
  let description = [{
    `#recur.state<"S", [[1]]>`: S is read one step back. `#recur.state<"h", [[1, 0], [0, 1]]>`: read one step back along the
    first, and one along the second axis. Distances count steps already taken, so they are positive in reverse scans too.
    The depth of a one-axis state is its largest distance: that many slices are kept, oldest first.
  }];
  let parameters = (ins "::mlir::StringAttr":$name, ArrayRefParameter<"::mlir::DenseI64ArrayAttr">:$reads);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    /// Some distance is negative: -1-i stands for entry i of the function's `recur.lags`.
    bool isSymbolic() const;
    /// Largest distance along `axis`, at least 1: how many slices are kept. Every distance must be bound.
    int64_t depth(int64_t axis = 0) const;
  }];
}

def Recur_Fn : I32EnumAttr<"Fn", "an elementwise function", [
    I32EnumAttrCase<"Neg", 0, "neg">, I32EnumAttrCase<"Exp", 1, "exp">, I32EnumAttrCase<"Expm1", 2, "expm1">,
    I32EnumAttrCase<"Log", 3, "log">, I32EnumAttrCase<"Log1p", 4, "log1p">, I32EnumAttrCase<"Sqrt", 5, "sqrt">,
    I32EnumAttrCase<"Tanh", 6, "tanh">, I32EnumAttrCase<"Sin", 7, "sin">, I32EnumAttrCase<"Cos", 8, "cos">,
    I32EnumAttrCase<"Erf", 9, "erf">, I32EnumAttrCase<"Abs", 10, "abs">, I32EnumAttrCase<"Sign", 11, "sign">,
    I32EnumAttrCase<"Floor", 12, "floor">, I32EnumAttrCase<"Real", 13, "real">, I32EnumAttrCase<"Imag", 14, "imag">,
    I32EnumAttrCase<"Conj", 15, "conj">, I32EnumAttrCase<"Not", 16, "not">,
    I32EnumAttrCase<"Add", 32, "add">, I32EnumAttrCase<"Sub", 33, "sub">, I32EnumAttrCase<"Mul", 34, "mul">,
    I32EnumAttrCase<"Div", 35, "div">, I32EnumAttrCase<"Max", 36, "max">, I32EnumAttrCase<"Min", 37, "min">,
    I32EnumAttrCase<"Pow", 38, "pow">, I32EnumAttrCase<"Complex", 39, "complex">, I32EnumAttrCase<"Lt", 40, "lt">,
    I32EnumAttrCase<"Le", 41, "le">, I32EnumAttrCase<"Eq", 42, "eq">, I32EnumAttrCase<"Ne", 43, "ne">,
    I32EnumAttrCase<"And", 44, "and">, I32EnumAttrCase<"Or", 45, "or">,
    I32EnumAttrCase<"Select", 64, "select">]> {
  let cppNamespace = "::rondo::recur";
  let genSpecializedAttr = 0;
}
def Recur_FnAttr : EnumAttr<Recur_Dialect, Recur_Fn, "fn">;

def Recur_Reduction : I32EnumAttr<"Reduction", "how a reduction combines elements", [
    I32EnumAttrCase<"Sum", 0, "sum">, I32EnumAttrCase<"Max", 1, "max">, I32EnumAttrCase<"Min", 2, "min">,
    I32EnumAttrCase<"Prod", 3, "prod">]> {
  let cppNamespace = "::rondo::recur";
  let genSpecializedAttr = 0;
}
def Recur_ReductionAttr : EnumAttr<Recur_Dialect, Recur_Reduction, "reduction">;

def Recur_DecayAttr : Recur_Attr<"Decay", "decay"> {
  let summary = "the state that a decay multiplies, and the state's axes that the decay has";
  let description = [{
    `#recur.decay<0, [0]>`: of state 0, one number per element of its axis 0. `#recur.decay<0, []>`: a scalar.
    `#recur.decay<0, [1], before>`: the transitions of `recur.delta_scan` read the state with this decay.
  }];
  let parameters = (ins "int64_t":$state, ArrayRefParameter<"int64_t">:$axes, DefaultValuedParameter<"bool", "false">:$before);
  let hasCustomAssemblyFormat = 1;
}

def Recur_ReadoutAttr : Recur_Attr<"Readout", "readout"> {
  let summary = "the state that a query reads, and the state's axis that the two are summed over";
  let description = [{
    `#recur.readout<0, 1>`: state 0 after the step's update, summed over its axis 1. `#recur.readout<0, 1, before>`: as the step
    found it.
  }];
  let parameters = (ins "int64_t":$state, "int64_t":$axis, DefaultValuedParameter<"bool", "false">:$before);
  let hasCustomAssemblyFormat = 1;
}

def Recur_Semiring : I32EnumAttr<"Semiring", "the two operations of a linear recurrence", [
    I32EnumAttrCase<"PlusTimes", 0, "plus_times">, I32EnumAttrCase<"MaxPlus", 1, "max_plus">,
    I32EnumAttrCase<"LogPlus", 2, "log_plus">]> {
  let cppNamespace = "::rondo::recur";
  let genSpecializedAttr = 0;
}
def Recur_SemiringAttr : EnumAttr<Recur_Dialect, Recur_Semiring, "semiring">;
#endif
