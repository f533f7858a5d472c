// How structured matrices act; see SemaMatrix.h.
#include "frontend/SemaMatrix.h"
#include <algorithm>

namespace rondo::frontend {

MatrixId MatrixBuilder::add(Node node, std::initializer_list<MatrixId> parts) {
  for (MatrixId part : parts) {
    node.size = std::min(node.size + nodes[part].size, maxSize + 1);
    node.depth = std::max(node.depth, nodes[part].depth + 1);
  }
  nodes.push_back(std::move(node));
  return MatrixId(nodes.size() - 1);
}

MatrixId MatrixBuilder::identity() { return add({Kind::Identity, {}}, {}); }

MatrixId MatrixBuilder::diagonal(ValueId vector) {
  const DimExpr &size = values.shape(vector)[0];
  return add({Kind::Diagonal, {size, size}, MapFn::Add, vector}, {});
}

MatrixId MatrixBuilder::outer(ValueId u, ValueId w) {
  return add({Kind::Outer, {values.shape(u)[0], values.shape(w)[0]}, MapFn::Add, u, w}, {});
}

MatrixId MatrixBuilder::dense(ValueId matrix) {
  return add({Kind::Dense, {values.shape(matrix)[0], values.shape(matrix)[1]}, MapFn::Add, matrix}, {});
}

std::optional<MatrixShape> MatrixBuilder::sumShape(const MatrixShape &x, const MatrixShape &y) const {
  if (x.isOpen() || y.isOpen()) {
    const MatrixShape &known = x.isOpen() ? y : x;
    return known.rows == known.columns ? std::optional(known) : std::nullopt;
  }
  return x.rows == y.rows && x.columns == y.columns ? std::optional(x) : std::nullopt;
}

MatrixId MatrixBuilder::sum(MapFn addOrSub, MatrixId x, MatrixId y) {
  return add({Kind::Sum, *sumShape(nodes[x].shape, nodes[y].shape), addOrSub, 0, 0, x, y}, {x, y});
}

MatrixId MatrixBuilder::scale(MapFn mulOrDiv, ValueId scalar, MatrixId x) {
  return add({Kind::Scale, nodes[x].shape, mulOrDiv, scalar, 0, x}, {x});
}

MatrixId MatrixBuilder::negate(MatrixId x) { return add({Kind::Negate, nodes[x].shape, MapFn::Neg, 0, 0, x}, {x}); }

MatrixId MatrixBuilder::product(MatrixId x, MatrixId y) {
  MatrixShape shape = nodes[x].shape.isOpen() ? nodes[y].shape : nodes[x].shape;
  if (!nodes[y].shape.isOpen())
    shape.columns = nodes[y].shape.columns;
  return add({Kind::Product, shape, MapFn::Mul, 0, 0, x, y}, {x, y});
}

MatrixId MatrixBuilder::transpose(MatrixId x) {
  Node node = nodes[x];
  switch (node.kind) {
  case Kind::Identity:
  case Kind::Diagonal:
    return x;
  case Kind::Outer:
    return outer(node.b, node.a);
  case Kind::Dense:
    return dense(values.transpose(node.a));
  case Kind::Sum:
    node.x = transpose(node.x);
    node.y = transpose(node.y);
    break;
  case Kind::Scale:
  case Kind::Negate:
    node.x = transpose(node.x);
    break;
  case Kind::Product: {
    MatrixId left = transpose(node.y);
    node.y = transpose(node.x);
    node.x = left;
    break;
  }
  }
  std::swap(node.shape.rows, node.shape.columns);
  return add(node, {});
}

ValueId MatrixBuilder::actLeft(MatrixId id, ValueId d) {
  const Node node = nodes[id];
  switch (node.kind) {
  case Kind::Identity:
    return d;
  case Kind::Diagonal:
    return values.scaleAxis(node.a, d, 0);
  case Kind::Outer:
    return values.outer(node.a, values.product(node.b, d));
  case Kind::Dense:
    return values.product(node.a, d);
  case Kind::Sum: {
    ValueId left = actLeft(node.x, d), right = actLeft(node.y, d);
    return values.map(node.fn, {left, right});
  }
  case Kind::Scale: {
    ValueId inner = actLeft(node.x, d);
    return node.fn == MapFn::Div ? values.map(MapFn::Div, {inner, node.a}) : values.map(MapFn::Mul, {node.a, inner});
  }
  case Kind::Negate:
    return values.map(MapFn::Neg, {actLeft(node.x, d)});
  case Kind::Product:
    break;
  }
  return actLeft(node.x, actLeft(node.y, d));
}

ValueId MatrixBuilder::actRight(ValueId d, MatrixId id) {
  const Node node = nodes[id];
  switch (node.kind) {
  case Kind::Identity:
    return d;
  case Kind::Diagonal:
    return values.scaleAxis(node.a, d, int64_t(values.shape(d).size()) - 1);
  case Kind::Outer:
    return values.outer(values.product(d, node.a), node.b);
  case Kind::Dense:
    return values.product(d, node.a);
  case Kind::Sum: {
    ValueId left = actRight(d, node.x), right = actRight(d, node.y);
    return values.map(node.fn, {left, right});
  }
  case Kind::Scale: {
    ValueId inner = actRight(d, node.x);
    return node.fn == MapFn::Div ? values.map(MapFn::Div, {inner, node.a}) : values.map(MapFn::Mul, {node.a, inner});
  }
  case Kind::Negate:
    return values.map(MapFn::Neg, {actRight(d, node.x)});
  case Kind::Product:
    break;
  }
  return actRight(actRight(d, node.x), node.y);
}

ValueId MatrixBuilder::materialise(MatrixId id, const std::optional<DimExpr> &size) {
  const Node node = nodes[id];
  // Parts that are made of `I` alone take the shape of the whole, which is square then.
  std::optional<DimExpr> inner = node.shape.isOpen() ? size : node.shape.rows;
  switch (node.kind) {
  case Kind::Identity:
    return values.identity(*size);
  case Kind::Diagonal:
    return values.scaleAxis(node.a, values.identity(values.shape(node.a)[0]), 0);
  case Kind::Outer:
    return values.outer(node.a, node.b);
  case Kind::Dense:
    return node.a;
  case Kind::Sum: {
    ValueId left = materialise(node.x, inner), right = materialise(node.y, inner);
    return values.map(node.fn, {left, right});
  }
  case Kind::Scale: {
    ValueId whole = materialise(node.x, inner);
    return node.fn == MapFn::Div ? values.map(MapFn::Div, {whole, node.a}) : values.map(MapFn::Mul, {node.a, whole});
  }
  case Kind::Negate:
    return values.map(MapFn::Neg, {materialise(node.x, inner)});
  case Kind::Product:
    break;
  }
  // An open right factor has the size of the left one's columns.
  const MatrixShape &left = nodes[node.x].shape;
  ValueId right = materialise(node.y, left.isOpen() ? inner : left.columns);
  return actLeft(node.x, right);
}

} // namespace rondo::frontend
