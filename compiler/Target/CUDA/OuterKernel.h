// Sums of outer products over all time and the batch, as a product of matrices on matrix instructions whose summed axis is time: a block has 128
// by 128 elements of a state, and goes through the steps of all rows, 64 at a time. Where that leaves few blocks, those of a cluster
// have a part of the steps each, and add up in the order of their numbers. States of one axis are summed by blocks of their own.
#pragma once
#include "compiler/Target/CPU/ElementOps.h"
#include "compiler/Target/CUDA/BlockProduct.h"
#include "compiler/Target/CUDA/KernelArguments.h"
#include "compiler/Target/CUDA/KernelBuilder.h"
#include "compiler/Target/CUDA/OuterPlan.h"
#include "llvm/ADT/DenseMap.h"

namespace rondo::cuda {

class OuterKernel : ScanOperands, KernelBuilder {
public:
  OuterKernel(recur::ScanInterface scan, const Program &program, ScanTensors tensors, OuterPlan plan, bool clusters);
  Launch emit(mlir::ModuleOp module, llvm::StringRef symbol);

private:
  /// States whose code is the same but for where their operands and results lie.
  struct Group {
    llvm::SmallVector<const OuterState *> states;
    int64_t blocks() const { return rowBlocks() * columnBlocks() * static_cast<int64_t>(states.size()); }
    int64_t rowBlocks() const { return (states.front()->rows + BlockProduct::side - 1) / BlockProduct::side; }
    int64_t columnBlocks() const { return (states.front()->columns + BlockProduct::side - 1) / BlockProduct::side; }
  };
  /// An input as rows in memory, at the first step of the first row of the batch: i64, bytes.
  struct Side {
    mlir::Value value; // of the step, where it is not an input of 16 bits
    mlir::Value pointer, batchStride, timeStride, headStride, aligned;
    mlir::Value headsEach; // index: heads that share a row
    int64_t columns = 0;
  };
  /// A place in time: rows of the batch and heads, and the first step.
  struct Place {
    mlir::Value row, head, first; // index
    mlir::Value left;             // i32: steps from there on, up to as many as are taken at once
  };
  using Scope = llvm::DenseMap<mlir::Value, cpu::Element>;

  void groupStates();
  bool isPlain(mlir::Value value) const;
  void openBlock();
  void emitBlocks();
  void emitGroup(const Group &group, mlir::Value number);
  Side sideOf(llvm::ArrayRef<mlir::Value> values, mlir::Value which, int64_t columns);
  void stage(const Side &side, const Place &place, mlir::Value firstColumn, mlir::Value to);
  llvm::SmallVector<mlir::Value> addTerm(const Side &left, const Side &right, mlir::Value firstRow,
                                         mlir::Value firstColumn, mlir::ValueRange sums);
  void finish(const Group &group, mlir::Value which, mlir::Value firstRow, mlir::Value firstColumn,
              mlir::ValueRange sums);
  mlir::Value addressOf(const Group &group, mlir::Value which);
  void storePair(const Group &group, mlir::Value to, mlir::Value row, mlir::Value column, mlir::Value low,
                 mlir::Value high);
  void emitVector(unsigned state, mlir::Value number);
  mlir::Value sumVector(unsigned state, mlir::Value column, mlir::Value line);
  /// What is added to a vector's element in a step.
  mlir::Value addend(unsigned state, const Place &place, mlir::Value row, mlir::Value column);
  mlir::Value evaluate(mlir::Value value, Scope &scope, const Place &place, mlir::Value row, mlir::Value column);
  /// Stages of a row of the batch, heads that are summed over, this block's first stage, and one past its last (i32).
  struct Share {
    mlir::Value ofRow, heads, begin, end;
  };
  Share shareOf(int64_t steps);
  Place placeOf(const Share &share, mlir::Value number, int64_t steps);
  mlir::Value clusterLoad(mlir::Type type, mlir::Value offset, int64_t rank);
  void clusterBarrier();

  recur::ScanInterface scan;
  const Program &program;
  ScanTensors tensors;
  OuterPlan plan;
  bool clusters;
  recur::Step step;
  Lanes l;
  cpu::ElementOps ops;
  Launch launch;
  llvm::SmallVector<Group> groups;
  int64_t parts = 1;                      // of the steps: blocks of a cluster
  mlir::Value thread, part;               // i32
  mlir::Value batch, steps, heads, group; // index; heads: those that are summed over
  mlir::Value ownHead;                    // index: where states are per head
};

/// Gives each scan of `model` with a plan the totals of its final values as results, in place of these; `plans` gets the plans.
void fuseTotals(mlir::func::FuncOp model, llvm::DenseMap<mlir::Operation *, OuterPlan> &plans);

} // namespace rondo::cuda
