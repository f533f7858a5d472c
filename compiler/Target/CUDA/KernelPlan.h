// How a step is shared out to the threads of a block, as data: which thread computes which element of a nest, which values stay in
// registers, what lies in shared memory, and where threads must wait for each other. Creates no IR.
//
// What is computed in one sweep is the CPU's plan (StepNests): a nest over [K, V] with a sum over K is the same nest here, whose [V] goes
// to threads and whose K is walked by each of them, or by a few neighbouring lanes in turns.
#pragma once
#include "compiler/Target/CPU/StepNests.h"

namespace rondo::cuda {

/// Who computes an element of a nest. Thread t has position t / lanes in the space of `threadDims` (row-major, the last fastest) and, where
/// that space is larger than the block, every further one `threads / lanes` on; KernelPlan::together positions may lie beside each other in
/// a warp instead. The lanes of one position take the iterations of `splitDim` in turns, or a run each (KernelPlan::runOf); each thread walks
/// `serialDims` and the sums' dimensions whole.
struct NestMapping {
  llvm::SmallVector<int> threadDims, serialDims;
  int64_t positions = 1; // the size of the space of threadDims
  int64_t lanes = 1;
  int splitDim = -1;
  bool unrolled = false; // registers have no run-time index
  bool atStage = false;  // waits for no state: computed for all staged steps at once
  bool barrierBefore = false;
  bool barrierBetween = false; // what is computed of an element, and its stores
};

/// Which thread holds an element: the axes that threads share out, in order, and the axis that lanes share out. Equal owners hold the same
/// elements.
struct Owner {
  bool valid = false;
  llvm::SmallVector<int> threadAxes;
  int64_t lanes = 1;
  int splitAxis = -1;
  int64_t beside = 1; // neighbours that a thread has (KernelPlan::neighbours)
  /// Every thread has every element.
  bool everywhere() const { return valid && threadAxes.empty() && splitAxis < 0; }
  bool operator==(const Owner &other) const {
    if (everywhere() && other.everywhere())
      return true;
    return valid && other.valid && threadAxes == other.threadAxes && lanes == other.lanes &&
           splitAxis == other.splitAxis;
  }
};

/// Where an array of a step lies.
struct Storage {
  enum Kind { None, Register, Shared, Scratch, Tensor } kind = None;
  int64_t offset = 0;  // in reals: Shared, Scratch
  Owner owner;         // Register
  int64_t perStep = 0; // Shared: reals from one staged step to the next, where each has its own
};

class KernelPlan {
public:
  /// `realBytes` of the type of computation. `rows` steps of a scan without states are worked on at once. `stages`: inputs of several steps
  /// may come at once. `tokenThreads` above 0: calls have one step, whose sums take so many threads where they can.
  KernelPlan(recur::Step step, int64_t realBytes, int64_t rows, bool stages, int64_t tokenThreads);
  /// What a thread keeps in registers, in words of 4 bytes.
  int64_t words() const { return registerWords; }
  /// Whether threads share anything in memory.
  bool sharesMemory() const {
    return sharedReals || scratchReals ||
           llvm::any_of(states, [](const Storage &s) { return s.kind != Storage::Register; });
  }

  cpu::StepNests nests;
  std::vector<NestMapping> prologue, body; // parallel to nests.prologue and nests.nests
  llvm::SmallVector<Storage> states, buffers;
  /// Of calls with one step: elements of inputs that a thread loads before the first nest, and which elements those are.
  struct InputCopy {
    unsigned input;
    Owner owner;
  };
  std::vector<InputCopy> copies;
  int64_t threads = 32;
  bool barrierAtStep = false; // before the first nest of a step, for what the step before left
  /// Inputs of `stagedSteps` steps (0: they are read where they are) are copied to shared memory at once; offset of each input there.
  int64_t stagedSteps = 0;
  llvm::SmallVector<int64_t> staged;
  int64_t sharedReals = 0, scratchReals = 0;
  int64_t rows = 1;

  Owner ownerOf(const cpu::Nest &nest, const NestMapping &mapping, mlir::Value value,
                llvm::ArrayRef<cpu::Index> at) const;
  /// The number of the copy that a nest reads of an input; -1 where it reads memory.
  int copyFor(const cpu::Nest &nest, const NestMapping &mapping, unsigned input) const;
  /// Elements of a value that one thread holds.
  int64_t elementsPerThread(llvm::ArrayRef<int64_t> shape, const Owner &owner) const;
  /// Whether the nest stores new values of a state over those that it reads, in memory.
  bool updatesInMemory(const cpu::Nest &nest, unsigned state) const;
  /// Whether a value is the old one of such a state.
  bool isOverwritten(mlir::Value value, const cpu::Nest &nest) const;
  int64_t slots(int64_t positions, int64_t lanes) const;
  /// Where the positions of a nest that is written out are a multiple of the threads', a thread has so many neighbours: its slots.
  int64_t neighbours(int64_t positions, int64_t lanes) const;
  /// Positions whose lanes take turns in a warp: its threads t, t + together, ... are lanes of one position, and threads beside each other
  /// read what lies beside each other in memory. 1: lanes lie beside each other.
  int64_t together(int64_t lanes) const;
  /// Iterations of a split dimension that a lane has in a row; 0 where lanes take turns.
  int64_t runOf(int64_t extent, int64_t lanes) const;

private:
  struct Access {
    const cpu::Nest *nest;
    NestMapping *mapping;
    mlir::Value value;
    cpu::Indices at;
    bool write, whole; // whole: not a part of a concatenation
  };
  void map(const cpu::Nest &nest, NestMapping &mapping) const;
  int64_t chooseLanes(const cpu::Nest &nest, int64_t positions, int64_t extent, int splitDim) const;
  bool walksMatrix(const cpu::Nest &nest) const;
  int64_t tileOf(const cpu::Nest &nest, int64_t positions) const;
  void chooseThreads();
  std::vector<Access> accesses(llvm::function_ref<bool(mlir::Value)> reads,
                               llvm::function_ref<bool(const cpu::Destination &)> writes);
  void alignWith(const Access &model, std::vector<Access> &all) const;
  bool mayUnroll(const std::vector<Access> &all) const;
  bool tryRegisters(Storage &storage, std::vector<Access> all, mlir::RankedTensorType type, int64_t most);
  void chooseRegisters();
  void chooseCopies();
  Owner readerOf(const cpu::Nest &nest, const NestMapping &mapping, unsigned input) const;
  void keepCopiesInMemory();
  void layOut();
  void stageInputs();
  void chooseAtStage();
  void placeBarriers();

  recur::Step step;
  mutable recur::ScanInterface scan;
  int64_t realBytes, registerWords = 0, tokenThreads;
};

} // namespace rondo::cuda
