// A recurrence that multiplies its state by matrices, as a kernel that keeps those on chip for the whole sequence: as operands of matrix
// instructions in registers, and in shared memory what does not fit. What is planned is CellPlan.h's.
//
// Where one block, or a cluster, has all units of a task (a head, eight rows of the batch), vectors are exchanged through shared memory. Else the
// blocks of a task exchange them through L2, and all blocks of the grid are resident: a word of the exchange buffer is all ones until
// its owner writes two elements there (no rounded number looks like that), so that a reader waits for data and for nothing else. A buffer
// is made empty again two steps after it was filled, when everyone is known to have read it, and serves again two steps later.
#pragma once
#include "compiler/Target/CUDA/CellPlan.h"
#include "compiler/Target/CUDA/KernelArguments.h"
#include "compiler/Target/CUDA/KernelBuilder.h"
#include "compiler/Target/CUDA/TileLanes.h"
#include "llvm/ADT/DenseMap.h"

namespace rondo::cuda {

class CellKernel : ScanOperands, KernelBuilder {
public:
  CellKernel(recur::ScanInterface scan, const Program &program, ScanTensors tensors, CellPlan plan);
  Launch emit(mlir::ModuleOp module, llvm::StringRef symbol);

private:
  using Values = llvm::SmallVector<mlir::Value>;
  /// What is known of one element of every vector.
  using Scope = llvm::DenseMap<mlir::Value, cpu::Element>;
  struct Slot {
    mlir::Value unit, valid; // valid: null where always true
    mlir::Value element;     // i32, within the block
  };

  // CellKernel.cpp: operands, tasks, steps.
  void openOperands(mlir::ModuleOp module, llvm::StringRef symbol);
  void openThread();
  void emitTasks();
  void emitTask(mlir::Value task, mlir::Value first);
  void openElements(mlir::Value tile);
  void emitSequence(mlir::Value first);
  void publishFirst(mlir::Value first, mlir::ValueRange states, mlir::ValueRange raw);
  Values emitStep(mlir::Value time, mlir::Value number, mlir::ValueRange states, mlir::ValueRange raw,
                  mlir::ValueRange later);
  Values finishStep(mlir::Value time, mlir::Value number, const Values &sums, mlir::ValueRange states,
                    mlir::ValueRange raw, mlir::ValueRange later);
  void copyInitial();
  Values loadInputs(mlir::Value number);
  // CellInputs.cpp: inputs on their way through shared memory.
  mlir::Value inputAddress(size_t input, int64_t slot, mlir::Value number);
  mlir::Value ringOffset(size_t input, int64_t slot, mlir::Value number);
  void copyInputs(mlir::Value number);
  Values readInputs(mlir::Value number);
  Values loadStates();
  void storeStates(mlir::ValueRange states);
  cpu::Element loadAt(const Operand &operand, int64_t slot, mlir::Value time);
  mlir::Value addressOf(const Operand &operand, int64_t slot, mlir::Value time);
  void storeAt(const Operand &operand, int64_t slot, mlir::Value time, cpu::Element element);
  Values owners(mlir::TypeRange types, llvm::function_ref<Values()> body, llvm::function_ref<void()> others = {});
  Scope scopeOf(int64_t slot, mlir::ValueRange states, mlir::ValueRange raw, mlir::ValueRange sums);
  cpu::Element evaluate(mlir::Value value, Scope &scope);

  // CellProducts.cpp: weights, vectors, products.
  void loadWeights();
  struct Weights {
    mlir::Value memref, base, rowStride, columnStride;
    mlir::Value tile; // i32, in the block's units of the product
  };
  Weights weightsOf(const CellJob &job, mlir::Value tile);
  Values loadFragment(const CellJob &job, mlir::Value number);
  void stageFragments(const CellJob &job, int64_t from, int64_t to, int64_t offset);
  Values loadStaged(int64_t offset);
  /// The value of each slot, published as step `number`'s.
  void publish(const CellJob &job, mlir::Value number, llvm::ArrayRef<mlir::Value> values);
  void publishInCluster(const CellJob &job, mlir::Value number, const Slot &slot, mlir::Value value,
                        mlir::Value writes);
  mlir::Value offsetOf(const Slot &slot, mlir::Value inBlock);
  void openBarriers();
  mlir::Value barrierAt(size_t phase, mlir::Value number);
  void expectPublished(size_t phase, mlir::Value barrier);
  /// What was published and emptied comes before what will be published.
  void orderPublications();
  /// Waits until what a phase multiplies has been published through shared memory.
  void awaitPublished(size_t phase, mlir::Value number);
  void storeWord(const CellJob &job, mlir::Value number, mlir::Value offset, mlir::Value word);
  void emptyBuffers(llvm::ArrayRef<CellJob> jobs, mlir::Value number);
  /// 32 elements of each row of a vector: a lane's 16 bytes.
  struct Group {
    mlir::Value base;
    int64_t offset;
  };
  llvm::SmallVector<Group> groupsOf(const CellJob &job, mlir::Value number);
  Values loadShared(llvm::ArrayRef<Group> groups);
  Values loadWords(llvm::ArrayRef<Group> groups);
  void awaitGroups(size_t count, llvm::ArrayRef<Group> groups, llvm::MutableArrayRef<mlir::Value> words);
  void multiplyAll(CellPhase &phase, mlir::Value number);
  void multiply(const CellJob &job, int64_t group, llvm::ArrayRef<mlir::Value> words,
                llvm::MutableArrayRef<Accumulator> sums);
  void storePartial(const CellJob &job, llvm::ArrayRef<Accumulator> sums, mlir::Value number);
  /// The sums of each product and slot, product by product.
  Values readSums(const CellJob &job, mlir::Value number);
  mlir::Value partialBase(const CellJob &job, mlir::Value number);
  mlir::Value bufferAt(const CellJob &job, mlir::Value number);

  recur::ScanInterface scan;
  const Program &program;
  ScanTensors tensors;
  CellPlan plan;
  recur::Step step;

  Lanes l;
  cpu::ElementOps ops;
  Launch launch;
  mlir::Value steps, batch, heads, headsPerGroup;
  mlir::Value thread, warp, lane, blockInTask; // i32
  Values others;                               // i32: shared memory of the cluster's blocks that a lane writes to
  mlir::Value exchange;                        // i64: the task's buffers in global memory
  mlir::Value row, rowValid;                   // of the thread's elements
  llvm::SmallVector<Slot> slots;
  llvm::DenseMap<const CellJob *, llvm::SmallVector<Values>> weights;
};

/// The kernel of a scan that fits, or nothing.
std::optional<Launch> emitCellKernel(recur::ScanInterface scan, const Program &program, const ScanTensors &tensors,
                                     mlir::ModuleOp module, llvm::StringRef symbol, llvm::StringRef arch);

} // namespace rondo::cuda
