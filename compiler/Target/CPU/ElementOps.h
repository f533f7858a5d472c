// Arithmetic on elements: real or complex, one or a vector of them. Complex numbers are pairs of reals here, so that a vector of
// them is two vectors and every function below becomes real vector arithmetic.
#pragma once
#include "dialects/Recur/Recur.h"
#include "mlir/IR/Builders.h"
#include <complex>

namespace rondo::cpu {

/// A real (im is null), complex or truth value; each part a scalar or a vector.
struct Element {
  mlir::Value re, im;
  bool isComplex() const { return static_cast<bool>(im); }
};

/// Lanes of a vector value; 0 for a scalar.
int64_t lanesOf(mlir::Value x);

/// Emits arithmetic at the builder's insertion point. A scalar meeting a vector is broadcast.
class ElementOps {
public:
  /// `nativeBF16`: the target has instructions for bf16; without, its roundings are spelled in integers.
  ElementOps(mlir::OpBuilder &b, mlir::Location loc, mlir::Type real, bool nativeBF16 = false)
      : b(b), loc(loc), real(real), nativeBF16(nativeBF16) {}

  Element constant(std::complex<double> value, bool isComplex);
  /// The element that all entries of `splat` are.
  Element constant(mlir::DenseElementsAttr splat);
  Element apply(recur::Fn fn, llvm::ArrayRef<Element> operands);
  /// An element of an operation's result, from elements of its operands at their places; for operations that are evaluated in
  /// place, but recur.identity.
  Element compute(mlir::Operation *op, llvm::ArrayRef<Element> operands);
  Element add(Element x, Element y);
  Element mul(Element x, Element y);
  /// x * y + z, fused where the parts are real.
  Element multiplyAdd(Element x, Element y, Element z);
  /// The neutral element of a reduction.
  Element identity(recur::Reduction kind, bool isComplex);
  Element combine(recur::Reduction kind, Element x, Element y);
  /// All lanes combined into one.
  Element horizontal(recur::Reduction kind, Element x);
  /// The sum of each vector's lanes. Several vectors are added up together, which takes fewer operations than one by one.
  llvm::SmallVector<mlir::Value> horizontalSums(llvm::ArrayRef<mlir::Value> vectors);
  /// How many vectors are added up together, and the vector of their sums; none has fewer lanes.
  int64_t sumsAtOnce() const;
  mlir::Value sumsTogether(llvm::ArrayRef<mlir::Value> vectors);
  /// A value of `lanes` equal lanes; a vector stays.
  mlir::Value splat(mlir::Value x, int64_t lanes);
  Element splat(Element x, int64_t lanes);
  Element toComplex(Element x);

  /// From an element type in memory to the type of computation, and back (rounded to nearest even).
  mlir::Value widen(mlir::Value x);
  mlir::Value narrow(mlir::Value x, mlir::Type element);
  /// Truth values lie in memory as numbers; any but zero is true. `narrow` writes 1 and 0.
  mlir::Value toTruth(mlir::Value x);

private:
  mlir::Value number(double value);
  mlir::Value addf(mlir::Value x, mlir::Value y);
  mlir::Value subf(mlir::Value x, mlir::Value y);
  mlir::Value mulf(mlir::Value x, mlir::Value y);
  mlir::Value divf(mlir::Value x, mlir::Value y);
  void align(mlir::Value &x, mlir::Value &y);
  mlir::Value compare(mlir::arith::CmpFPredicate predicate, mlir::Value x, mlir::Value y);
  mlir::Value choose(mlir::Value condition, mlir::Value x, mlir::Value y);
  mlir::Value realUnary(recur::Fn fn, mlir::Value x);
  mlir::Value realBinary(recur::Fn fn, mlir::Value x, mlir::Value y);
  mlir::Value angle(Element x);
  mlir::Value addPairs(mlir::Value x, mlir::Value y);
  Element complexUnary(recur::Fn fn, Element x);
  Element complexBinary(recur::Fn fn, Element x, Element y);
  Element divide(Element x, Element y);

  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::Type real;
  bool nativeBF16;
};

} // namespace rondo::cpu
