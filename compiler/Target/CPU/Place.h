// Arrays in memory as kernels see them, and how an element comes from there and gets back.
#pragma once
#include "compiler/Target/CPU/ElementOps.h"
#include "llvm/ADT/SmallVector.h"

namespace rondo::cpu {

/// Memory of one array: a flat memref of real numbers (complex elements are two neighbours), where its first element lies, and
/// the step from one row of the batch tile to the next (null where all rows share it). Axes are row-major, but for the first one
/// where `rowStride` is given: then its elements lie that far apart, as the steps of a chunk do. `base` and the strides count real
/// numbers.
struct Place {
  mlir::Value memref;
  mlir::Value base;
  mlir::Value batchStride;
  llvm::SmallVector<int64_t> shape;
  mlir::Type element; // real type in memory
  bool isComplex = false;
  bool isTruth = false;       // numbers that stand for truth values: zero is false
  mlir::Value rowStride = {}; // null: row-major
  /// Where the array is a block of a larger one, the shape of that; empty otherwise.
  llvm::SmallVector<int64_t> whole = {};

  /// Reals from one element to the next along each axis, without regard to `rowStride`.
  llvm::SmallVector<int64_t> strides() const;
};

/// The element at flat index `from`, in the type of computation; with `lanes` above 0, that many neighbours as vectors.
Element loadElement(mlir::OpBuilder &b, mlir::Location loc, ElementOps &ops, const Place &place, mlir::Value from,
                    int64_t lanes);
/// The reverse; a single element is repeated where lanes are asked for.
void storeElement(mlir::OpBuilder &b, mlir::Location loc, ElementOps &ops, const Place &place, mlir::Value to,
                  Element element, int64_t lanes);

} // namespace rondo::cpu
