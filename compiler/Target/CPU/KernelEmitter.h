// One scan to one kernel: the loop over tasks (a tile of the batch, one head), the loops over the scanned axes, and what surrounds a
// step: where operands lie, how states begin, move on and end. The step itself is StepNests' and NestEmitter's.
//
// A kernel is `func.func @name(%call: !llvm.ptr, %begin: i64, %end: i64, %scratch: !llvm.ptr)`, rondo::KernelFunction in C++. It
// allocates nothing: what it needs beside its operands lies in the scratch area, whose size is known when it is compiled.
#pragma once
#include "compiler/Target/CPU/NestEmitter.h"
#include "compiler/Target/CPU/StepNests.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "rondo/Program.h"

namespace rondo::cpu {

/// The program's tensors that a scan's operands and results are.
struct ScanTensors {
  llvm::SmallVector<int> inputs, params, inits, outputs, finals;
  llvm::SmallVector<int> histories; // per state, only for several axes
};

class KernelEmitter {
public:
  /// `tensors` of `program` give operand types. `vectorBits` is the width of the target's vectors.
  KernelEmitter(recur::ScanOp scan, const Program &program, ScanTensors tensors, int64_t vectorBits);
  /// Emits the kernel at the end of `module`.
  Launch emit(mlir::ModuleOp module, llvm::StringRef symbol);

private:
  /// A tensor operand inside the kernel: its memref of reals, and its strides and base for the current task.
  struct Operand {
    mlir::Value pointer, memref;
    mlir::Value strides[5]; // reals per batch row, time, time1, head, lag
    mlir::Value base;       // of the task's first row and head
    llvm::SmallVector<int64_t> shape;
    mlir::Type element;
    bool isComplex = false, perBatch = false, perTime = false, perGroup = false, perHead = false;
  };
  using Loop = std::pair<mlir::Value, mlir::Value>; // step number along an axis, index in memory

  void emitTasks(mlir::func::FuncOp kernel);
  void emitTask(int64_t rows, mlir::Value firstRow, mlir::Value head);
  void emitTimeBlock(mlir::Value block, mlir::Value row, mlir::Value head);
  void openTask(int64_t rows, mlir::Value firstRow, mlir::Value head);
  void emitSteps(size_t axis, llvm::SmallVectorImpl<Loop> &at);
  void emitStep(llvm::ArrayRef<Loop> at);
  void emitNests(llvm::ArrayRef<Nest> nests, llvm::ArrayRef<Place> outputPlaces);
  void layOutScratch();
  void beginStates();
  void endStates();
  void endHistory(unsigned state, unsigned axis);
  void placeStates(llvm::ArrayRef<Loop> at);

  Operand openOperand(mlir::Value call, int operand, int tensor);
  Place place(const Operand &operand, mlir::Value base) const;
  Place atTime(const Operand &operand, llvm::ArrayRef<Loop> at);
  Place ringSlot(unsigned state, mlir::Value slot);
  Place historyAt(unsigned state, mlir::Value first, mlir::Value second);
  Place scratchPlace(int64_t offset, llvm::ArrayRef<int64_t> shape, mlir::Type element, bool perSequence);
  Place placeOf(mlir::Value value);
  Place constantPlace(mlir::arith::ConstantOp constant);
  /// Copies all rows of one array of `element`s.
  void copy(Place to, Place from);

  mlir::Value index(int64_t value);
  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value callField(mlir::Value call, int field, bool pointer);
  mlir::Value memrefAt(mlir::Value pointer, mlir::Type element);
  bool isReverse(unsigned axis) { return scan.axis(axis).getReverse(); }

  recur::ScanOp scan;
  const Program &program;
  ScanTensors tensors;
  int64_t vectorBits;
  StepNests plan;
  mlir::Type real;

  mlir::OpBuilder b;
  mlir::Location loc;
  mlir::ModuleOp module;
  Launch launch;
  llvm::SmallVector<Operand> inputs, params, inits, outputs, finals, histories;
  mlir::Value batch, extents[2], heads, headsPerGroup, scratch;
  int64_t rows = 1;                          // of a tile: rows of the batch, or steps when rowsAreSteps
  bool rowsAreSteps = false;                 // the scan has no states, so that a tile may hold steps of one sequence
  llvm::SmallVector<Place> bufferPlaces;     // of the plan's scratch buffers
  llvm::SmallVector<int64_t> ringOffset;     // in reals from the start of scratch
  llvm::SmallVector<Place> newState;         // where the step's new states go
  llvm::DenseMap<mlir::Value, Place> places; // of step arguments, in the current step
};

} // namespace rondo::cpu
