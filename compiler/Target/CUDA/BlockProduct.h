// A block's part of a product of matrices: 128 rows by 128 columns on eight warps, summed over 64 at a time. Operands lie in shared memory as
// they lie in global memory: with the summed axis inside their rows, or as the rows themselves. What is multiplied is the kernel's matter.
#pragma once
#include "compiler/Target/CUDA/TileLanes.h"

namespace rondo::cuda {

/// How an operand's memory rows lie: each a row (or column) of the result's, the summed axis inside, or each one index of the summed axis.
enum class Order { SummedInside, SummedOutside };

class BlockProduct {
public:
  static constexpr int64_t side = 128, depth = 64, threads = 256, warps = 8;
  static constexpr int64_t sideBytes = side * depth * 2; // one operand of a stage
  static constexpr int64_t numSums = 64;                 // registers of the sums

  /// Asks the assembler for registers that leave room for two blocks beside each other: one multiplies while the other waits.
  static void placeTwo(mlir::OpBuilder &b, mlir::Operation *kernel);

  BlockProduct(Lanes &lanes, mlir::Value thread) : l(lanes), b(l.b), loc(l.loc), thread(thread) {}

  /// Rows of an operand in global memory, from the first of a stage on.
  struct Rows {
    mlir::Value pointer, stride; // i64; bytes from a row to the next
    mlir::Value count;           // i32: rows that exist, at least one
    mlir::Value aligned;         // i1: rows and the first column begin at multiples of 16 bytes
    mlir::Value firstColumn;     // i32
    int64_t columns = 0;         // of a whole row
  };
  /// A stage's operand to `to` in shared memory, in the background where it is aligned; zeros where nothing exists.
  void copy(Order order, const Rows &rows, mlir::Value to);
  /// The same from numbers: `make(row, column)` gives an f32 for any row and column of the stage's.
  void fill(Order order, llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> make, mlir::Value to);

  /// The sums after a stage whose operands begin at `left` and `right`.
  llvm::SmallVector<mlir::Value> multiply(Order leftOrder, mlir::Value left, Order rightOrder, mlir::Value right,
                                          mlir::ValueRange sums);
  llvm::SmallVector<mlir::Value> zeros() { return llvm::SmallVector<mlir::Value>(numSums, l.f32(0)); }
  /// Calls `body` with the row, the first of two columns (i32, in the block) and the two sums, for all that the thread has.
  void forEachPair(mlir::ValueRange sums,
                   llvm::function_ref<void(mlir::Value, mlir::Value, mlir::Value, mlir::Value)> body);
  /// Two neighbours to `address` (i64) in global memory; the second where `both` (i1) holds.
  void storePair(mlir::Value address, mlir::Value low, mlir::Value high, mlir::Value both);

private:
  static int64_t columnsOf(Order order) { return order == Order::SummedInside ? depth : side; }
  void copyPiece(const Rows &rows, mlir::Value row, mlir::Value column, mlir::Value to);

  Lanes &l;
  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::Value thread;
};

} // namespace rondo::cuda
