// What a kernel finds behind its first argument, a rondo::KernelCall.
#pragma once
#include "mlir/IR/Builders.h"
#include "rondo/Tensor.h"

namespace rondo::cpu {

/// The element of memory that a tensor of `type` consists of: real parts and imaginary parts of complex tensors, bytes of truth values.
mlir::Type partType(DType type, mlir::MLIRContext *context);

class CallFrame {
public:
  CallFrame(mlir::OpBuilder &b, mlir::Location loc, mlir::Value call) : b(b), loc(loc), call(call) {}

  mlir::Value batch() { return number(call, 2); }
  /// Steps along a scanned axis.
  mlir::Value steps(int axis) { return number(call, 3 + axis); }
  mlir::Value heads() { return number(call, 5); }
  mlir::Value headsPerGroup() { return number(call, 6); }
  /// KernelCall::meet, and what it takes.
  mlir::Value meetFunction() { return field(call, 7); }
  mlir::Value meeting() { return field(call, 8); }
  /// KernelCall::segments, firstSteps, segmentSteps, workspace.
  mlir::Value segments() { return number(call, 9); }
  mlir::Value firstSteps() { return number(call, 10); }
  mlir::Value segmentSteps() { return number(call, 11); }
  mlir::Value workspace() { return field(call, 12); }
  /// The address of an operand.
  mlir::Value pointer(int operand);
  /// The stride of an operand along an axis (KernelCall), in elements.
  mlir::Value stride(int operand, int axis) { return number(field(call, 1), operand * 5 + axis); }
  /// A flat memref of unknown length at a raw pointer.
  mlir::Value memrefAt(mlir::Value pointer, mlir::Type element);

private:
  mlir::Value number(mlir::Value record, int field);
  mlir::Value field(mlir::Value record, int field);

  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::Value call;
};

} // namespace rondo::cpu
