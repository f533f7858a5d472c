// The function of a kernel on the device, and its arguments: for each operand a pointer and five strides, then the sizes of the call and
// the workspace. The runtime (runtime/cuda) passes them in this order.
#pragma once
#include "compiler/Target/CPU/Place.h"
#include "compiler/Target/ModelTensors.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace rondo::cuda {

/// Address spaces of NVPTX.
enum class Space { Generic = 0, Shared = 3 };

/// A tensor operand inside the kernel: its memref of reals, and its strides and base for the current block.
struct Operand {
  mlir::Value memref;
  mlir::Value strides[5];           // reals per batch row, time, time1, head, lag
  mlir::Value base;                 // of the block's row and head
  llvm::SmallVector<int64_t> shape; // of its elements, or of the part that a block works on
  llvm::SmallVector<int64_t> whole; // of its elements, where a block works on a part
  int64_t blockStride = 0;          // reals from one part to the next
  mlir::Type element;
  bool isComplex = false, perBatch = false, perTime = false, perGroup = false, perHead = false;
};

/// Makes the function `symbol` at the end of `module`, with a place for its body, and opens operands by the program's tensors.
class KernelArguments {
public:
  /// `written` of the operands are results; the others are only read, and lie apart from those.
  KernelArguments(mlir::OpBuilder &b, mlir::Location loc, mlir::ModuleOp module, llvm::StringRef symbol,
                  const Program &program, llvm::ArrayRef<int> tensors, llvm::ArrayRef<int> written);

  /// Operand `number` of the list that the constructor was given. `inside` is what a step sees of it: the operand, or a part of it;
  /// null for what no step sees.
  Operand open(int number, mlir::Type inside) const;
  /// `bytes` of shared memory that the launch provides, as reals of type `real`.
  mlir::Value shared(mlir::Type real);
  mlir::Value sharedPointer();
  /// This block's part of the workspace, `reals` long.
  mlir::Value scratch(mlir::Type real, int64_t reals, mlir::Value block);
  mlir::Value size(int which) const; // 0 batch, 1 time, 2 time1, 3 heads, 4 heads per group
  mlir::func::FuncOp function() const { return kernel; }

private:
  mlir::Value memrefAt(mlir::Value pointer, mlir::Type element, Space space = Space::Generic) const;

  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::ModuleOp module;
  const Program &program;
  llvm::SmallVector<int> tensors;
  mutable mlir::func::FuncOp kernel; // an op handle, whose accessors are not const
};

/// A kernel's function, and a scan's tensors as its operands.
struct ScanOperands {
  std::optional<KernelArguments> arguments;
  llvm::SmallVector<Operand> inputs, params, inits, outputs, finals, histories, resets, offsets;

  /// What a step sees of the tensors; empty lists where it sees nothing in particular.
  struct Parts {
    llvm::SmallVector<mlir::Value> inputs, params, inits, outputs, finals;
  };
  /// Makes the function `symbol`, and opens `tensors`. Adds to `launch` the operands, and whether heads have tasks of their own.
  void open(mlir::OpBuilder &b, mlir::Location loc, mlir::ModuleOp module, llvm::StringRef symbol,
            const Program &program, const ScanTensors &tensors, Launch &launch, const Parts &parts);
};

/// Lets the assembler give a thread as many registers as there are, where `blocks` are to fit a multiprocessor. Without, it puts loads where their values are used, to save some for
/// blocks beside this one, and a kernel that has few waits for each load by itself.
void takeRegisters(mlir::func::FuncOp kernel, int64_t blocks);
mlir::Value threadNumber(mlir::OpBuilder &b, mlir::Location loc);
mlir::Value blockNumber(mlir::OpBuilder &b, mlir::Location loc);
void barrier(mlir::OpBuilder &b, mlir::Location loc);

} // namespace rondo::cuda
