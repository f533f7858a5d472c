// One nest to the code of a thread: the elements that are the thread's, each computed once at the outermost loop that it depends on.
// What an element is made of is the CPU's (operandIndices, ElementOps); here is only who computes it, and when.
#pragma once
#include "compiler/Target/CPU/ElementOps.h"
#include "compiler/Target/CPU/Place.h"
#include "compiler/Target/CUDA/KernelPlan.h"
#include "mlir/IR/Builders.h"
#include <functional>
#include <map>
#include <vector>

namespace rondo::cuda {

/// Elements of one array in a thread's registers, by slot and position along each axis (0 along those that threads share out).
using RegisterArray = std::map<std::vector<int64_t>, cpu::Element>;

/// What a nest asks of the kernel that it is part of.
struct ThreadEnvironment {
  std::function<cpu::Place(mlir::Value)> placeOf; // arrays in memory
  std::function<cpu::Place(const cpu::Destination &)> destination;
  std::function<RegisterArray *(mlir::Value)> registersOf; // null for what lies in memory
  std::function<RegisterArray *(const cpu::Destination &)> registersFor;
  mlir::Value thread;   // number of the thread in its block
  mlir::Value rowsLeft; // with several rows: rows to be stored
  mlir::Type real;
};

/// The position of a thread, and its lane there; the lane is null where there is one alone.
std::pair<mlir::Value, mlir::Value> positionAndLane(mlir::OpBuilder &b, mlir::Location loc, const KernelPlan &plan,
                                                    mlir::Value thread, int64_t lanes);
mlir::Value shuffleXor(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, int64_t distance);

class ThreadNest {
public:
  ThreadNest(mlir::OpBuilder &b, mlir::Location loc, const KernelPlan &plan, const cpu::Nest &nest,
             const NestMapping &mapping, const ThreadEnvironment &environment);
  void emit();

private:
  /// Where an iteration stands along a dimension: at `offset`, or `iv` + `offset`. `unit` is its position in registers.
  struct DimState {
    mlir::Value iv;
    int64_t offset = 0, unit = 0;
    int level = 0;
  };
  struct Level {
    mlir::Block *block;
    mlir::Operation *end; // code goes before it; null: to the block's end
    mlir::Operation *firstLoop = nullptr;
  };
  struct Known {
    cpu::Element element;
    int level;
    uint32_t dims;
  };
  using Key = std::vector<int64_t>;

  void emitSlots();
  void emitSlot(mlir::Value number, int64_t constant);
  void emitSerial(size_t position);
  void emitSums(size_t term, size_t position);
  /// Walks dimension `dim`, in a loop or written out; lanes take turns where the dimension is split.
  void walk(int dim, llvm::SmallVectorImpl<mlir::Value> *carried, llvm::function_ref<void()> body);
  void walkUnrolled(int dim, llvm::function_ref<void()> body);
  void emitElementwise(bool afterSums);
  void startSums();
  void accumulate(size_t term);
  void finishSums();
  void storeTo(const cpu::Statement &statement, const cpu::Destination &to, cpu::Element element);
  mlir::Value guardFor(const cpu::Statement &statement);

  cpu::Element evaluate(mlir::Value value, llvm::ArrayRef<cpu::Index> at, bool isRoot = false);
  cpu::Element load(mlir::Value value, llvm::ArrayRef<cpu::Index> at, int level);
  void loadParameters(mlir::Value value, llvm::ArrayRef<cpu::Index> at);
  cpu::Element evaluateOp(mlir::Operation *op, llvm::ArrayRef<cpu::Index> at, int level);
  cpu::Element identityElement(llvm::ArrayRef<cpu::Index> at);
  cpu::Element addTerm(const cpu::Statement &statement, const cpu::Term &term, cpu::Element sum);
  mlir::Value address(const cpu::Place &place, llvm::ArrayRef<cpu::Index> at);
  mlir::Value position(const cpu::Index &resolved);
  Key registerKey(llvm::ArrayRef<cpu::Index> at) const;
  Key keyOf(mlir::Value value, llvm::ArrayRef<cpu::Index> resolved) const;
  cpu::Indices resolve(llvm::ArrayRef<cpu::Index> at, bool perSequence) const;
  int levelOf(llvm::ArrayRef<cpu::Index> at) const;
  uint32_t dimsOf(llvm::ArrayRef<cpu::Index> at) const;
  bool isComputedHere(mlir::Value value) const;
  bool isThreadDim(int dim) const { return llvm::is_contained(mapping.threadDims, dim); }
  void forget(llvm::function_ref<bool(const Known &)> which);
  void moveTo(int level);
  int innermost() const { return static_cast<int>(levels.size()) - 1; }
  mlir::Value index(int64_t value);

  mlir::OpBuilder &b;
  mlir::Location loc;
  const KernelPlan &plan;
  const cpu::StepNests &nests;
  const cpu::Nest &nest;
  const NestMapping &mapping;
  const ThreadEnvironment &env;
  cpu::ElementOps ops;
  int64_t rows;
  llvm::SmallVector<llvm::SmallVector<int>> sumLoops;
  llvm::SmallVector<DimState> dims; // the row last
  llvm::SmallVector<Level> levels;
  std::map<Key, Known> memo;
  mlir::Value position0, lane, inRange, splitValid; // splitValid, inRange: null where always true
  mlir::Value runBegin;                             // of the lane's iterations, where it has them in a row
  int64_t slot = 0;
  int slotLevel = 0;                   // where inRange is known
  llvm::SmallVector<mlir::Value> sums; // statement by statement, row by row; two values each
};

} // namespace rondo::cuda
