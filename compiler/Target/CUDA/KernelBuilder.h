// What the kernels that are built out of scf, arith and memref have in common: a builder, index arithmetic, branches.
#pragma once
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace rondo::cuda {

class KernelBuilder {
protected:
  explicit KernelBuilder(mlir::Location loc) : b(loc.getContext()), loc(loc) {}

  mlir::Value index(int64_t value) { return mlir::arith::ConstantIndexOp::create(b, loc, value); }
  /// Of indices and integers, which do not overflow.
  mlir::Value add(mlir::Value x, mlir::Value y) {
    return mlir::arith::AddIOp::create(b, loc, x, y, mlir::arith::IntegerOverflowFlags::nsw);
  }
  mlir::Value mul(mlir::Value x, mlir::Value y) {
    return mlir::arith::MulIOp::create(b, loc, x, y, mlir::arith::IntegerOverflowFlags::nsw);
  }
  mlir::Value sub(mlir::Value x, mlir::Value y) {
    return mlir::arith::SubIOp::create(b, loc, x, y, mlir::arith::IntegerOverflowFlags::nsw);
  }
  mlir::Value toIndex(mlir::Value i32) { return mlir::arith::IndexCastUIOp::create(b, loc, b.getIndexType(), i32); }
  mlir::Value toI64(mlir::Value index) { return mlir::arith::IndexCastOp::create(b, loc, b.getI64Type(), index); }
  void ifTrue(mlir::Value condition, llvm::function_ref<void()> body) {
    auto choice = mlir::scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
    mlir::OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(choice.thenBlock());
    body();
  }

  mlir::OpBuilder b;
  mlir::Location loc;
};

} // namespace rondo::cuda
