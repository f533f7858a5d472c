// The typed model: what Sema makes of a syntax tree and what the importer reads. Names are resolved, fns and layers are inlined,
// every value has a shape and an element kind, equations are ordered and dealt out to scans. Plain data, no MLIR.
#pragma once
#include "dialects/Recur/DimExpr.h"
#include "frontend/Ast.h"
#include <complex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rondo::frontend {

enum class Elem { Real, Complex, Truth };
using Shape = std::vector<DimExpr>;

/// Element kind and feature shape; implicit axes (batch, time, head) are not part of it.
struct ValueType {
  Elem elem = Elem::Real;
  Shape shape;
  bool operator==(const ValueType &other) const = default;
};

/// `[K, V]`, `[]`; `complex [N]`, `truth []`.
std::string str(const Shape &shape);
std::string str(const ValueType &type);

/// Elementwise functions, with the spelling of recur.map's `fn`.
enum class MapFn {
  Neg,
  Exp,
  Expm1,
  Log,
  Log1p,
  Sqrt,
  Tanh,
  Sin,
  Cos,
  Erf,
  Abs,
  Sign,
  Floor,
  Real,
  Imag,
  Conj,
  Not,
  Add,
  Sub,
  Mul,
  Div,
  Max,
  Min,
  Pow,
  Complex,
  Lt,
  Le,
  Eq,
  Ne,
  And,
  Or,
  Select
};
std::string_view spelling(MapFn fn);

enum class ReduceKind { Sum, Max, Min, Prod };
std::string_view spelling(ReduceKind kind);

using ValueId = uint32_t;

enum class ValueKind {
  Constant,  // data: one number that is the scalar, or every element of type.shape (all literal sizes), row-major
  Input,     // index: a tensor of kind Input, at the current step
  Param,     // index: a tensor of kind Param
  StateRead, // index: a state, read: which of its reads
  Split,     // operands[0], a value of the outer scope [H*K, ...], as per-head [K, ...]
  Merge,     // operands[0], a per-head value [K, ...], as a value of the outer scope [H*K, ...]
  Map,       // fn(operands): each operand has the result's shape or is a scalar
  Contract,  // spec: Einstein letters, "kv,k->v"
  Reduce,    // reduction over axes
  Broadcast, // repeated along axes (positions in the result)
  Slice,     // type.shape[axes[0]] elements from `offset` along axes[0]; `drop` removes that axis
  Concat,    // operands along axes[0]
  Cast,      // real to complex
  Identity,  // the identity matrix
};

/// One node of the value graph. Operands have smaller ids; equal nodes are one node.
struct Value {
  ValueKind kind = ValueKind::Constant;
  ValueType type;
  Span span;                // the expression; the call in the user's text for what a library fn computes
  bool timeVarying = false; // reads an input, a state, or a value with a time index
  bool perHead = false;     // differs from head to head of an explicit heads scope
  std::vector<ValueId> operands;
  MapFn fn = MapFn::Neg;
  ReduceKind reduction = ReduceKind::Sum;
  std::string spec;
  std::vector<int64_t> axes;
  DimExpr offset;
  bool drop = false;
  std::vector<std::complex<double>> data;
  uint32_t index = 0;
  uint32_t read = 0;
};

enum class TensorKind { Input, Param, Init };

/// A declared tensor. An init made for a state without an `init` declaration has the state's name and its constant.
struct TensorDecl {
  std::string name;
  TensorKind kind = TensorKind::Input;
  ValueType type;
  Span span;
  std::optional<Interval> interval;
  Sharing sharing = Sharing::None;
  bool perHead = false;                           // declared in a heads scope (params: and `per head`)
  bool recurrent = false;                         // params: multiplies a state on the way to a state
  std::vector<std::complex<double>> defaultValue; // inits: one number, or every feature element
};

/// One earlier step that a state is read at: the distance along each axis, positive also in reverse.
using Read = std::vector<DimExpr>;

struct State {
  std::string name;
  ValueType type;
  Span span;
  bool perHead = false;
  bool hidden = false;        // made for a lagged input: "x.lag" (earlier steps), "x.lead" (later ones)
  std::vector<Read> reads;    // at least one
  std::vector<int> direction; // per axis: -1 read at earlier, +1 at later steps, 0 neither
  uint32_t init = 0;          // index into TypedModel::tensors
  ValueId update = 0;         // its value at the current step
  uint32_t scan = 0;          // index into TypedModel::scans
  /// Largest distance along the one axis of a one-axis model; empty when a distance is symbolic.
  std::optional<int64_t> depth() const;
};

/// A named value. Split and merge operands are nameless equations (hidden).
struct TypedEquation {
  std::string name;
  Span span; // the name on the left
  ValueId value = 0;
  bool timeVarying = false;
  bool perHead = false;
  bool hidden = false;
};

struct TypedOutput {
  std::string name;
  Span span;
  ValueId value = 0;
  uint32_t scan = 0;
};

/// One pass over time. Scans are in topological order. `inputs` are values that earlier scans give out, or splits and merges;
/// `outputs` are what later scans and the model's outputs need from this one. Inputs and params of the model are found by walking
/// the values.
struct Scan {
  bool perHead = false;
  std::vector<bool> reverse;    // per axis
  std::vector<uint32_t> states; // in the model's state order
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs; // no duplicates
};

struct TypedModel {
  std::string name;
  Span span;
  std::vector<std::string> dims;
  std::vector<std::string> axes;
  std::optional<DimExpr> heads;    // the count of an explicit heads scope; empty: the head axis is the caller's
  std::vector<TensorDecl> tensors; // inputs, params in order of declaration, then inits in state order
  std::vector<Value> values;
  std::vector<TypedEquation> equations;
  std::vector<State> states; // declared ones in order, then hidden ones
  std::vector<Scan> scans;
  std::vector<TypedOutput> outputs;

  const Value &value(ValueId id) const { return values[id]; }
};

} // namespace rondo::frontend
