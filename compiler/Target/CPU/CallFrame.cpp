// See CallFrame.h.
#include "compiler/Target/CPU/CallFrame.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

Type rondo::cpu::partType(DType type, MLIRContext *context) {
  switch (type) {
  case DType::F64:
  case DType::C128:
    return Float64Type::get(context);
  case DType::BF16:
    return BFloat16Type::get(context);
  case DType::F16:
    return Float16Type::get(context);
  case DType::Bool: // what one scan hands to the next, and resets
    return IntegerType::get(context, 8);
  case DType::I64: // offsets
    return IntegerType::get(context, 64);
  default:
    return Float32Type::get(context);
  }
}

/// All fields of a KernelCall, and the entries of its lists, are eight bytes wide.
Value CallFrame::number(Value record, int field) {
  Type i64 = b.getI64Type();
  Value at = LLVM::GEPOp::create(b, loc, record.getType(), i64, record, ArrayRef<LLVM::GEPArg>{field});
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), LLVM::LoadOp::create(b, loc, i64, at));
}

Value CallFrame::field(Value record, int field) {
  Value at = LLVM::GEPOp::create(b, loc, record.getType(), record.getType(), record, ArrayRef<LLVM::GEPArg>{field});
  return LLVM::LoadOp::create(b, loc, record.getType(), at);
}

Value CallFrame::pointer(int operand) { return field(field(call, 0), operand); }

Value CallFrame::memrefAt(Value pointer, Type element) {
  Type i64 = b.getI64Type();
  auto array = LLVM::LLVMArrayType::get(i64, 1);
  auto type =
      LLVM::LLVMStructType::getLiteral(b.getContext(), {pointer.getType(), pointer.getType(), i64, array, array});
  Value descriptor = LLVM::PoisonOp::create(b, loc, type);
  auto insert = [&](Value value, ArrayRef<int64_t> position) {
    descriptor = LLVM::InsertValueOp::create(b, loc, descriptor, value, position);
  };
  insert(pointer, {0});
  insert(pointer, {1});
  insert(LLVM::ConstantOp::create(b, loc, i64, 0), {2});
  insert(LLVM::ConstantOp::create(b, loc, i64, INT64_MAX), {3, 0});
  insert(LLVM::ConstantOp::create(b, loc, i64, 1), {4, 0});
  auto memref = MemRefType::get({ShapedType::kDynamic}, element);
  return UnrealizedConversionCastOp::create(b, loc, memref, descriptor).getResult(0);
}
