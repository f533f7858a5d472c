// One scan to one kernel that takes a step after another: a block for each independent task (a row of the batch or a packed sequence, a
// head, a part of an axis along which the recurrence falls apart), its threads over the elements of a step. Works for every scan; what
// runs on tensor cores is ChunkHook.h's.
#pragma once
#include "compiler/Target/CUDA/KernelArguments.h"
#include "compiler/Target/CUDA/KernelBuilder.h"
#include "compiler/Target/CUDA/KernelPlan.h"
#include "compiler/Target/CUDA/ThreadNest.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace rondo::cuda {

/// A step whose states are the same after each one, whatever there was before, and which has no outputs: one is as good as many.
bool forgets(recur::Step step);

/// A kernel for calls of one step.
struct TokenShape {
  int64_t threads = 0; // 0: calls have any number of steps
  int64_t beside = 1;  // blocks that should fit a multiprocessor
  bool early = false;  // it begins before the launches before it have ended (Launch::early)
};

class StepKernel : ScanOperands, KernelBuilder {
public:
  /// Where the scan's regions work on one of `parts` parts of an axis (ValueTiles.h), a task is one part.
  StepKernel(recur::ScanInterface scan, const Program &program, ScanTensors tensors, int64_t parts,
             const TokenShape &token = {});
  /// What a thread keeps in registers over the step, in words of 4 bytes.
  int64_t registerWords() const { return plan.words(); }
  /// Emits the kernel at the end of `module`.
  Launch emit(mlir::ModuleOp module, llvm::StringRef symbol);

private:
  /// A step's number along an axis, and its index in memory.
  using Loop = std::pair<mlir::Value, mlir::Value>;

  void openOperands(mlir::ModuleOp module, llvm::StringRef symbol);
  void emitTask();
  void awaitLaunches();
  void openTask(mlir::Value row, mlir::Value head, mlir::Value part);
  mlir::Value openSequence(mlir::Value sequence);
  void emitSteps(size_t axis, llvm::SmallVectorImpl<Loop> &at);
  void emitStagedSteps(mlir::Value begin, mlir::Value end);
  void eachStaged(llvm::function_ref<void(unsigned, mlir::Value, mlir::Value, mlir::Value)> visit);
  llvm::SmallVector<mlir::Value> loadStage(mlir::Value from, mlir::Value end);
  llvm::SmallVector<mlir::Value> loadFirstStage(mlir::Value begin, mlir::Value end);
  void storeStage(mlir::ValueRange loaded);
  void emitAtStage(mlir::Value count);
  void placeStaged(mlir::Value inStage);
  // StageCopies.cpp
  void planCopies();
  void copyStage(mlir::Value from, mlir::Value end);
  void copyPiece(mlir::Value source, mlir::Value target, mlir::Type element, mlir::Type i32);
  mlir::Value slotOf(mlir::Value from);
  void emitCopiedSteps(mlir::Value end);
  void placeCopied(mlir::Value inStage);
  void emitStep(llvm::ArrayRef<Loop> at, mlir::Value inStage);
  void emitNests(llvm::ArrayRef<cpu::Nest> nests, llvm::ArrayRef<NestMapping> mappings,
                 llvm::ArrayRef<cpu::Place> outputPlaces);
  Loop loopAt(mlir::Value number, size_t axis, mlir::Value extent);

  void beginStates();
  void emitResets(Loop at);
  void setInitial(unsigned state, mlir::Value step);
  void endStates(mlir::Value moves);
  void endHistory(unsigned state, unsigned axis);
  void placeStates(llvm::ArrayRef<Loop> at);
  cpu::Place ringSlot(unsigned state, mlir::Value slot);
  cpu::Place historyAt(unsigned state, mlir::Value first, mlir::Value second);
  mlir::RankedTensorType stateType(unsigned state);
  /// Reals of all register arrays that a loop over steps carries, and back.
  llvm::SmallVector<mlir::Value> carried();
  void setCarried(mlir::ValueRange values);
  /// Visits a thread's elements of a register array: its key, the index along each axis, and whether it exists (null: always).
  void eachRegister(
      const Owner &owner, llvm::ArrayRef<int64_t> shape,
      llvm::function_ref<void(std::vector<int64_t>, llvm::ArrayRef<mlir::Value>, mlir::Value, mlir::Value)> visit);
  using Registers = std::vector<std::tuple<std::vector<int64_t>, mlir::Value, mlir::Value>>;
  void alignStates();
  int64_t registersBeside(unsigned state, const cpu::Place &place);
  Registers registersAt(unsigned state, const cpu::Place &place);
  llvm::SmallVector<llvm::SmallVector<size_t>> inRuns(unsigned state, const cpu::Place &place,
                                                      const Registers &registers);
  mlir::scf::IfOp ifAligned(const cpu::Place &place, mlir::TypeRange types,
                            llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value)> inRuns,
                            llvm::function_ref<llvm::SmallVector<mlir::Value>()> otherwise);
  mlir::Value pointerTo(mlir::Value memory, mlir::Value at);
  void loadRegisters(unsigned state, const cpu::Place &from);
  void storeRegisters(unsigned state, const cpu::Place &to);
  int64_t copiedBeside(const KernelPlan::InputCopy &copy);
  void alignInputs();
  void loadInputs();

  cpu::Place place(const Operand &operand, mlir::Value base) const;
  cpu::Place atTime(const Operand &operand, llvm::ArrayRef<Loop> at);
  cpu::Place inMemory(const Storage &storage, llvm::ArrayRef<int64_t> shape, mlir::Type element, bool perRow);
  cpu::Place placeOf(mlir::Value value);
  cpu::Place constantPlace(mlir::arith::ConstantOp constant);
  /// Copies one array, its elements shared out to the threads.
  void copy(const cpu::Place &to, const cpu::Place &from);
  void inLoop(mlir::Value from, mlir::Value to, mlir::Value step, llvm::function_ref<void(mlir::Value)> body);

  bool isReverse(unsigned axis) { return scan.axis(axis).getReverse(); }

  recur::ScanInterface scan;
  const Program &program;
  ScanTensors tensors;
  int64_t parts;
  recur::Step step;
  TokenShape token;
  bool oneStep;
  bool independent; // no states, one axis: a task is some of the steps
  mlir::Type real;
  KernelPlan plan;

  mlir::ModuleOp module;
  Launch launch;
  mlir::Value extents[2], heads, headsPerGroup, shared, scratch, thread, steps, rowsLeft;
  mlir::Value stageStep;                  // within the stage
  llvm::SmallVector<int64_t> copyOffsets; // of inputs in a slot of copied stages; empty: they come through registers
  int64_t copyBytes = 0, copyBase = 0;    // of a slot; where slots begin in shared memory
  mlir::Value sharedPointer, copiedSlot;
  llvm::SmallVector<mlir::Value> inFlight; // the next stage's inputs, where a loop carries them
  llvm::SmallVector<RegisterArray> stateRegisters, bufferRegisters, inputRegisters;
  llvm::SmallVector<cpu::Place> newState;         // where the step's new states go
  llvm::DenseMap<mlir::Value, cpu::Place> places; // of step arguments, in the current step
};

/// The type of computation of a step: f64 where any value is, else f32.
mlir::Type computationType(recur::Step step);

} // namespace rondo::cuda
