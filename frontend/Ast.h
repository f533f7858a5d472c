// The syntax tree, as the parser leaves it: names unresolved, shapes unchecked. One node type per syntactic category,
// with a kind; the printer (AstPrinter.h) writes it back as text that parses to the same tree.
#pragma once
#include "frontend/Source.h"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rondo::frontend {

/// The highest expression tree that the parser builds.
constexpr uint32_t maxExprHeight = 512;

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

/// One time index between brackets: `t`, `t-1`, `t-p`, `t+1`, `r-1`. The distance is an expression over numbers and
/// dimensions.
struct TimeIndex {
  Span span;
  std::string axis; // the spelled axis name, e.g. "t"
  int sign = 0;     // -1 for `t-d`, +1 for `t+d`, 0 for `t`
  ExprPtr distance; // null when sign == 0
};

/// One subscript on a feature axis: `x[0]` (index) or `x[a:b]` (slice; either end may be absent). Bounds are dimension
/// expressions.
struct Subscript {
  Span span;
  bool isSlice = false;
  ExprPtr begin; // the index, or the slice's first element
  ExprPtr end;   // slices only; one past the last element
};

struct Argument {
  std::string name; // empty for a positional argument
  ExprPtr value;
};

enum class ExprKind {
  Number,    // number
  Name,      // name; `inf`, `I`, `pi` are names too. `layer.value` is a Name with a dot in it
  At,        // args[0][times...]: a value at a time, e.g. `S[t-1]`
  Subscript, // args[0][subscripts...]: elements along feature axes, e.g. `s[t][0]`
  Unary,     // name is "-"
  Binary,    // name is one of + - * / @ ^ < <= > >= == !=
  Call,      // name(arguments...)
  Array,     // [args...]: a vector, or a matrix when the elements are arrays
};

/// An expression. Which fields are meaningful is listed beside ExprKind.
struct Expr {
  ExprKind kind;
  Span span;
  std::string name;
  double number = 0;
  std::string spelling; // Number only: as written, so that printing loses nothing
  std::vector<ExprPtr> args;
  std::vector<TimeIndex> times;
  std::vector<Subscript> subscripts;
  std::vector<Argument> arguments;
  /// Height of the tree. The parser bounds it (maxExprHeight), so that recursion over what it returns is safe.
  uint32_t height = 1;

  ExprPtr clone() const;
};

/// `in [lo, hi]`, `in (lo, hi)`, `<= hi`, `>= lo`, `< hi`, `> lo`. An absent bound is infinite.
struct Interval {
  Span span;
  double lo, hi;
  bool loOpen = false, hiOpen = false;
};

/// `complex [N, D]`: the element kind and one dimension expression per axis.
struct TypeExpr {
  Span span;
  bool isComplex = false;
  std::vector<ExprPtr> dims;
};

enum class Sharing { None, PerHead, PerGroup };
enum class DeclKind { Input, Param, Init };

/// `input q, k: [K] <= 0 per group`. One node for all the names of one line.
struct Decl {
  DeclKind kind;
  Span span;
  std::vector<std::string> names;
  std::vector<Span> nameSpans;
  TypeExpr type;
  std::optional<Interval> interval;
  Sharing sharing = Sharing::None;
};

/// `state S: [K, V] = initial`.
struct StateDecl {
  Span span;
  std::string name;
  Span nameSpan;
  TypeExpr type;
  ExprPtr initial; // never null; `= 0` when omitted is an error that the parser reports
};

/// `name[t] = value`, or `name = value` for a value that does not change over time.
struct Equation {
  Span span;
  std::string name;
  Span nameSpan;
  std::vector<TimeIndex> times; // empty for a time-invariant equation
  ExprPtr value;
};

/// `output o, h`.
struct Output {
  Span span;
  std::string name;
};

/// `layer f = gla<K = K, V = 2*V>(q = q[t], k = k[t])`; values of the layer are read as `f.o[t]`.
struct Layer {
  Span span;
  std::string name;
  Span nameSpan;
  std::string model;
  Span modelSpan;
  std::vector<Argument> dims;      // named or positional dimension arguments
  std::vector<Argument> arguments; // inputs (time-mapped expressions), params and inits (names), by name
};

struct ModelBody;
/// `heads H { ... }`: a scope whose values have a head axis of H.
struct Heads {
  Span span;
  ExprPtr count;
  std::unique_ptr<ModelBody> body;
};

/// The items of a model or of a heads scope, kept by kind, each list in source order.
struct ModelBody {
  std::vector<Decl> decls;
  std::vector<StateDecl> states;
  std::vector<Equation> equations;
  std::vector<Output> outputs;
  std::vector<Layer> layers;
  std::vector<Heads> heads;
};

struct DimParam {
  std::string name;
  Span span;
};

/// `model gla<K, V> over (r, c) { ... }`.
struct Model {
  Span span;
  std::string name;
  Span nameSpan;
  std::vector<DimParam> dims;
  std::vector<std::string> axes; // {"t"} unless `over` names others
  ModelBody body;
};

struct FnParam {
  std::string name;
  Span span;
  std::optional<TypeExpr> type; // absent: any shape
  ExprPtr defaultValue;         // null: required
};

struct Let {
  Span span;
  std::string name;
  ExprPtr value;
};

/// `fn silu(x) = x * sigmoid(x)`, or with a block: `fn softmax(x) { e = exp(x - max(x))  return e / sum(e) }`.
struct Fn {
  Span span;
  std::string name;
  Span nameSpan;
  std::vector<FnParam> params;
  std::vector<Let> lets;
  ExprPtr result;
};

struct Import {
  Span span;
  std::string path;
};

/// One source file.
struct File {
  uint32_t id = 0;
  std::vector<Import> imports;
  std::vector<Fn> fns;
  std::vector<Model> models;
};

} // namespace rondo::frontend
