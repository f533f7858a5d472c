// Builds the value graph: equal nodes become one, scalar constants fold, reals meet complex numbers through casts. Callers have
// checked the shapes; nothing here can be a user's error except growth past maxValues, which the caller asks for.
#pragma once
#include "frontend/Typed.h"
#include <unordered_map>

namespace rondo::frontend {

class ValueBuilder {
public:
  static constexpr size_t maxValues = 200000;

  explicit ValueBuilder(TypedModel &model) : model(model) {}

  /// The place and the scope of the values that are built next. Values of different scopes never become one node.
  void place(Span at) { here = at; }
  Span place() const { return here; }
  void scope(bool perHead) { inHeads = perHead; }
  bool scope() const { return inHeads; }
  bool overflowed() const { return model.values.size() > maxValues; }

  ValueId constant(double number);
  ValueId constant(std::complex<double> number, Elem elem);
  ValueId array(Shape shape, std::vector<std::complex<double>> data, Elem elem);
  ValueId tensor(uint32_t index);
  ValueId stateRead(uint32_t state, uint32_t read);
  ValueId split(ValueId operand, Shape shape);
  ValueId merge(ValueId operand, Shape shape);
  /// Operands of equal shapes, or scalars; reals become complex where another operand is.
  ValueId map(MapFn fn, std::vector<ValueId> operands);
  ValueId contract(std::string spec, std::vector<ValueId> operands, Shape shape);
  ValueId reduce(ReduceKind kind, ValueId operand, std::vector<int64_t> axes);
  /// Repeats along new axes, at positions `axes` of `shape`.
  ValueId broadcast(ValueId operand, Shape shape, std::vector<int64_t> axes);
  ValueId slice(ValueId operand, int64_t axis, DimExpr offset, DimExpr size, bool drop);
  ValueId concat(std::vector<ValueId> operands, int64_t axis);
  ValueId identity(const DimExpr &size);
  ValueId toComplex(ValueId operand);
  ValueId transpose(ValueId operand);
  /// A size as a number: a constant, or the sum of that many ones.
  ValueId number(const DimExpr &size);
  /// Sum over the last axis of `a` and the first of `b`.
  ValueId product(ValueId a, ValueId b);
  /// result[i..., j...] = a[i...] * b[j...].
  ValueId outer(ValueId a, ValueId b);
  /// Scales the slices of `operand` along `axis` by the elements of `vector`.
  ValueId scaleAxis(ValueId vector, ValueId operand, int64_t axis);
  /// `operand` with one scalar repeated to `shape`; any other operand unchanged.
  ValueId fill(ValueId operand, const Shape &shape);

  const Value &get(ValueId id) const { return model.values[id]; }
  const Shape &shape(ValueId id) const { return get(id).type.shape; }
  bool isScalar(ValueId id) const { return shape(id).empty(); }
  std::optional<double> realConstant(ValueId id) const;

private:
  ValueId add(Value value);
  std::optional<ValueId> fold(MapFn fn, const std::vector<ValueId> &operands);
  std::vector<ValueId> promote(MapFn fn, std::vector<ValueId> operands);

  TypedModel &model;
  std::unordered_map<std::string, ValueId> known;
  Span here;
  bool inHeads = false;
};

} // namespace rondo::frontend
