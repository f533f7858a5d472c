// Loads and stores of elements. See Place.h.
#include "compiler/Target/CPU/Place.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

SmallVector<int64_t> Place::strides() const {
  SmallVector<int64_t> result(shape.size());
  int64_t step = isComplex ? 2 : 1;
  ArrayRef<int64_t> sizes = whole.empty() ? shape : whole;
  for (size_t i = shape.size(); i-- > 0; step *= sizes[i])
    result[i] = step;
  return result;
}

static Value nextIndex(OpBuilder &b, Location loc, Value index) {
  return arith::AddIOp::create(b, loc, index, arith::ConstantIndexOp::create(b, loc, 1));
}

Element rondo::cpu::loadElement(OpBuilder &b, Location loc, ElementOps &ops, const Place &place, Value from,
                                int64_t lanes) {
  auto vector = [&](int64_t count) -> Value {
    return vector::LoadOp::create(b, loc, VectorType::get({count}, place.element), place.memref, from);
  };
  auto one = [&](Value at) -> Value { return memref::LoadOp::create(b, loc, place.memref, at); };
  if (place.isTruth)
    return {ops.toTruth(lanes ? vector(lanes) : one(from)), {}};
  if (!lanes)
    return {ops.widen(one(from)), place.isComplex ? ops.widen(one(nextIndex(b, loc, from))) : Value()};
  if (!place.isComplex)
    return {ops.widen(vector(lanes)), {}};
  auto split = vector::DeinterleaveOp::create(b, loc, ops.widen(vector(2 * lanes)));
  return {split.getRes1(), split.getRes2()};
}

void rondo::cpu::storeElement(OpBuilder &b, Location loc, ElementOps &ops, const Place &place, Value to,
                              Element element, int64_t lanes) {
  if (place.isComplex)
    element = ops.toComplex(element);
  element = ops.splat(element, lanes);
  if (lanes) {
    Value stored =
        place.isComplex ? vector::InterleaveOp::create(b, loc, element.re, element.im).getResult() : element.re;
    vector::StoreOp::create(b, loc, ops.narrow(stored, place.element), place.memref, to);
    return;
  }
  memref::StoreOp::create(b, loc, ops.narrow(element.re, place.element), place.memref, to);
  if (place.isComplex)
    memref::StoreOp::create(b, loc, ops.narrow(element.im, place.element), place.memref, nextIndex(b, loc, to));
}
