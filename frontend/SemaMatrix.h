// Structured matrices: I, diag(v), outer(u, w), and sums, scalings and products of them. Beside `@` they act on the other operand
// and are never stored; anywhere else they become an ordinary value.
#pragma once
#include "frontend/SemaValues.h"

namespace rondo::frontend {

using MatrixId = uint32_t;

/// Rows and columns; both empty for what is made of `I` alone, which takes any square shape.
struct MatrixShape {
  std::optional<DimExpr> rows, columns;
  bool isOpen() const { return !rows; }
};

class MatrixBuilder {
public:
  /// Bounds on one matrix's tree, so that acting on a value terminates soon and nests little.
  static constexpr uint32_t maxSize = 4096, maxDepth = 128;

  explicit MatrixBuilder(ValueBuilder &values) : values(values) {}

  MatrixId identity();
  MatrixId diagonal(ValueId vector);
  MatrixId outer(ValueId u, ValueId w);
  MatrixId dense(ValueId matrix);
  /// X + Y or X - Y. Callers have checked `sumShape`.
  MatrixId sum(MapFn addOrSub, MatrixId x, MatrixId y);
  /// s * X (Mul) or X / s (Div), s a scalar.
  MatrixId scale(MapFn mulOrDiv, ValueId scalar, MatrixId x);
  MatrixId negate(MatrixId x);
  MatrixId product(MatrixId x, MatrixId y);
  MatrixId transpose(MatrixId x);

  /// The common shape of two summands; empty when they differ.
  std::optional<MatrixShape> sumShape(const MatrixShape &x, const MatrixShape &y) const;
  const MatrixShape &shape(MatrixId id) const { return nodes[id].shape; }
  /// True when the tree has grown past the bounds.
  bool tooLarge(MatrixId id) const { return nodes[id].size > maxSize || nodes[id].depth > maxDepth; }

  /// X @ d, where d's first axis has X's columns.
  ValueId actLeft(MatrixId x, ValueId d);
  /// d @ X, where d's last axis has X's rows.
  ValueId actRight(ValueId d, MatrixId x);
  /// X as an array. An open matrix needs `size`, its rows and columns.
  ValueId materialise(MatrixId x, const std::optional<DimExpr> &size);

private:
  enum class Kind { Identity, Diagonal, Outer, Dense, Sum, Scale, Negate, Product };
  struct Node {
    Kind kind;
    MatrixShape shape;
    MapFn fn = MapFn::Add;
    ValueId a = 0, b = 0; // values: the diagonal, the outer product's vectors, the array, the factor
    MatrixId x = 0, y = 0;
    uint32_t size = 1, depth = 1;
  };
  MatrixId add(Node node, std::initializer_list<MatrixId> parts);

  ValueBuilder &values;
  std::vector<Node> nodes;
};

} // namespace rondo::frontend
