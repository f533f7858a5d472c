// One scan to one kernel: the loop over tasks (a tile of the batch or a packed sequence, one head), the loops over the scanned axes,
// and what surrounds a step or a chunk of steps: where operands lie, how states begin, move on and end. The step itself is StepNests'
// and NestEmitter's.
//
// A kernel is `func.func @name(%call: !llvm.ptr, %begin: i64, %end: i64, %scratch: !llvm.ptr)`, rondo::KernelFunction in C++. It
// allocates nothing: what it needs beside its operands lies in the scratch area, whose size is known when it is compiled.
#pragma once
#include "compiler/Target/CPU/CallFrame.h"
#include "compiler/Target/CPU/NestEmitter.h"
#include "compiler/Target/CPU/StepNests.h"
#include "compiler/Target/ModelTensors.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "rondo/Program.h"

namespace rondo::cpu {

/// Whether the threads of a kernel do each task together (KernelTeam.cpp): not at all, several rows at once with parameters laid out anew
/// for their tiles, or row by row.
enum class Team { None, WithPanels, ByRows };

class KernelEmitter {
  friend class GradientKernel; // which is two of them
  friend class SegmentEmitter; // which is three

public:
  /// `tensors` of `program` give operand types. `vectorBits` is the width of the target's vectors. Where the scan's regions work on
  /// one of `blocks` blocks of an axis (ValueTiles.h), a task is one block.
  KernelEmitter(recur::ScanInterface scan, const Program &program, ScanTensors tensors, int64_t vectorBits,
                int64_t blocks = 1, Team kind = Team::None);
  /// Emits the kernel at the end of `module`.
  Launch emit(mlir::ModuleOp module, llvm::StringRef symbol);
  /// Lets a task work on so many rows, one after another, with states that go on from each to the next: for states that are sums, whose sums over
  /// rows are all that is wanted (RowSums.h). Final states have a row per task then. False where that cannot be.
  bool addRows(int64_t rows);
  /// Elements of parameters that a team's kernel lays out for its tiles.
  int64_t panelElements() const;

private:
  /// A tensor operand inside the kernel: its memref of reals, and its strides and base for the current task.
  struct Operand {
    mlir::Value pointer, memref;
    mlir::Value strides[5];           // reals per batch row, time, time1, head, lag
    mlir::Value base;                 // of the task's first row and head
    llvm::SmallVector<int64_t> shape; // of its elements, or of the block that a task works on
    llvm::SmallVector<int64_t> whole; // of its elements, where a task works on a block
    int64_t blockStride = 0;          // reals from one block to the next
    mlir::Type element;
    bool isComplex = false, perBatch = false, perTime = false, perGroup = false, perHead = false;
  };
  /// A step's number along an axis, and its index in memory. In a kernel with chunks the number counts how often states have moved on.
  using Loop = std::pair<mlir::Value, mlir::Value>;
  /// A region of the scan that moves the states on: by one step, or by a chunk of them.
  struct Body {
    Body(recur::Step step, int64_t size, bool packs) : step(step), plan(step, packs), size(size) {}
    recur::Step step;
    StepNests plan;
    int64_t size;                          // steps; 1 where inputs and outputs have no axis for them
    llvm::SmallVector<Place> bufferPlaces; // of the plan's scratch buffers
    llvm::SmallVector<Place> packed;       // of inputs that are copied there first; no memref for the others
  };

  /// A parameter that is laid out for the tiles of a nest, and where in scratch.
  struct Panel {
    const Nest *nest;
    mlir::Value param;
    Indices at;
    int64_t elements, offset;
  };

  bool isTeam() const { return kind != Team::None; }
  void planBodies();
  void findPanels();
  void emitTeam(mlir::func::FuncOp kernel);
  void emitTeamTask(mlir::Value tile, mlir::Value head);
  void layOutPanels();
  void meet();
  void callMeet();
  void onOneThread(llvm::function_ref<void()> emit);
  bool mustMeet(const Body &body, llvm::ArrayRef<const Nest *> since, const Nest &next) const;
  mlir::Value rowsAsValue() { return rowCount ? rowCount : index(rows); }
  NestEnvironment environmentOf(Body &body, const Nest &nest, llvm::ArrayRef<Place> outputPlaces);
  void openOperands(mlir::func::FuncOp kernel);
  void forEachTask(mlir::func::FuncOp kernel, llvm::function_ref<void(mlir::Value tile, mlir::Value head)> emit);
  void forEachTask(mlir::Value begin, mlir::Value end,
                   llvm::function_ref<void(mlir::Value tile, mlir::Value head)> emit);
  void emitTask(mlir::Value tile, mlir::Value head);
  void emitTile(mlir::Value tile, mlir::Value head);
  void emitTask(int64_t rows, mlir::Value firstRow, mlir::Value head);
  void emitAddedRows(mlir::Value tile, mlir::Value firstRow, mlir::Value head);
  void emitTimeBlock(mlir::Value block, mlir::Value row, mlir::Value head);
  void openTask(int64_t rows, mlir::Value firstRow, mlir::Value head);
  void placeOperand(Operand &operand, mlir::Value begin, mlir::Value row, mlir::Value head);
  mlir::Value openSequence(mlir::Value sequence);
  /// Both give how often the states have moved on in the end, where one axis is scanned.
  mlir::Value emitSteps(size_t axis, llvm::SmallVectorImpl<Loop> &at);
  mlir::Value emitChunks();
  mlir::Value chunkFits(mlir::Value step, mlir::Value where);
  void emitBody(Body &body, llvm::ArrayRef<Loop> at);
  bool isLong(const Body &body);
  void prefetchNext(const Body &body, llvm::ArrayRef<Loop> at);
  mlir::Value timeStride(const Operand &operand);
  bool isPacked(const Body &body, mlir::BlockArgument input);
  void emitPrologues();
  void emitNests(Body &body, llvm::ArrayRef<Nest> nests, llvm::ArrayRef<Place> outputPlaces);
  void layOutScratch();
  void beginStates();
  void placeInPlaceStates();
  bool isReadWhereItBegins(unsigned state);
  Place whereItBegins(unsigned state, mlir::Value number);
  mlir::Value takesChunks();
  int64_t paddedPitch(unsigned state);
  int64_t slotReals(unsigned state);
  void emitResets(Loop at);
  void setInitial(unsigned state, const Operand &init, mlir::Value step, mlir::Value row = {});
  void endStates(mlir::Value moves);
  void endHistory(unsigned state, unsigned axis);
  void placeStates(const Body &body, llvm::ArrayRef<Loop> at);

  Operand openOperand(CallFrame &frame, int operand, int tensor, mlir::Type inside);
  Place place(const Operand &operand, mlir::Value base) const;
  Place atTime(const Operand &operand, llvm::ArrayRef<Loop> at, int64_t size = 1);
  Place ringSlot(unsigned state, mlir::Value slot);
  Place historyAt(unsigned state, mlir::Value first, mlir::Value second);
  Place scratchPlace(int64_t offset, llvm::ArrayRef<int64_t> shape, mlir::Type element, bool perSequence);
  Place placeOf(const Body &body, mlir::Value value);
  Place constantPlace(mlir::arith::ConstantOp constant);
  /// What an array gets: another's elements, the sum with another's, zeros.
  enum class Fill { Copy, Add, Zero };
  /// Fills one array for all rows of the tile, or for one.
  void copy(const Place &to, const Place &from, mlir::Value row = {}, Fill fill = Fill::Copy);
  void copyRun(const Place &to, const Place &from, int64_t count, Fill fill);

  mlir::Value index(int64_t value);
  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  bool isReverse(unsigned axis) { return scan.axis(axis).getReverse(); }

  recur::ScanInterface scan;
  const Program &program;
  ScanTensors tensors;
  int64_t vectorBits, blocks;
  Team kind;
  std::vector<Body> bodies;                // the step, and the chunk where the scan has one
  llvm::SmallVector<StateStorage> storage; // of the states, which all bodies share
  mlir::Type real;

  mlir::OpBuilder b;
  mlir::Location loc;
  mlir::ModuleOp module;
  Launch launch;
  llvm::SmallVector<Operand> inputs, params, inits, outputs, finals, histories, resets, offsets;
  llvm::SmallVector<Operand>
      resetInits; // where states begin at a reset; empty: at `inits`, as in the task's first step
  mlir::Value batch, extents[2], heads, headsPerGroup, scratch;
  mlir::Value block;                    // of the current task
  mlir::Value steps;                    // of the current task along the first axis
  mlir::Value windowBegin, windowSteps; // of a task that has a part of time alone
  int64_t addedRows = 1;                // rows of the batch whose states one task adds up
  int64_t rows = 1;                     // of a tile: rows of the batch, or steps when rowsAreSteps
  mlir::Value rowCount;                 // of a team's tile, which has `rows` at most
  mlir::Value member, members;          // the thread's number in its team, and the team's size
  mlir::Value meetFunction, meeting;    // KernelCall::meet
  mlir::Value scratchBegin;             // of the thread's own part, where a team's tasks are not shared out
  std::vector<Panel> panels;
  bool rowsAreSteps = false;                // the scan has no states, so that a tile may hold steps of one sequence
  unsigned givenInputs = 0;                 // the last ones of a step, which are no tensors: `places` has them
  bool againstTime = false;                 // chunks are taken from the last one on, each as a whole
  int64_t scratchStart = 0, scratchEnd = 0; // in reals, of what this emitter lays out
  llvm::SmallVector<int64_t> ringOffset;    // in reals from the start of scratch
  llvm::SmallVector<Place> inPlace;         // of the current task: states that are updated in place
  mlir::Value beginsWithStep; // a task's first move is a step that reads large states where they begin; null: none is
  std::vector<std::pair<Place, Place>>
      moved;                         // where the next move finds and leaves states, if not where they are stored
  llvm::SmallVector<Place> newState; // where the step's new states go
  llvm::DenseMap<mlir::Value, Place> places; // of step arguments, in the current step
};

} // namespace rondo::cpu
