// What every target needs before it emits a kernel: each value of a model's function as a tensor of the program, and which of them a
// scan's operands and results are.
#pragma once
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "rondo/Program.h"
#include "llvm/ADT/DenseMap.h"

namespace rondo {

/// The program's tensors that a scan's operands and results are.
struct ScanTensors {
  llvm::SmallVector<int> inputs, params, inits, outputs, finals;
  llvm::SmallVector<int> histories;       // per state, only for several axes
  llvm::SmallVector<int> resets, offsets; // at most one of each
};

/// Gives every value of a model's function a tensor of the program.
class ModelTensors {
public:
  explicit ModelTensors(mlir::func::FuncOp model);
  int numberOf(mlir::Value value);
  /// A tensor for the operands and results of `scan`, histories of two-axis scans included.
  ScanTensors of(recur::ScanInterface scan);
  /// Without a time axis it has an entry per packed sequence, where there are such, or per row of the batch.
  int addTemporary(mlir::Type type, bool perSequence = true);

  Program program;

private:
  void shareMemory(recur::ReshapeOp reshape);

  bool packed;
  llvm::DenseMap<mlir::Value, int> numbers;
};

/// Results are memory that the caller gives, so no two may be one value, and none may be an argument.
mlir::LogicalResult checkResults(mlir::func::FuncOp model);

/// Kernels exist for one and two scanned axes.
mlir::LogicalResult checkAxes(recur::ScanInterface scan, llvm::StringRef target);

} // namespace rondo
