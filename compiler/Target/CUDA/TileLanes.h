// What one lane of a kernel does, as operations: integer and float arithmetic, shared memory by byte offsets, and the matrix,
// copy and shuffle instructions. It knows nothing of tiles.
#pragma once
#include "mlir/IR/Builders.h"
#include <array>

namespace rondo::cuda {

/// The registers of one accumulator of a lane.
using Accumulator = std::array<mlir::Value, 4>;

class Lanes {
public:
  /// `element` is what matrix operands are made of: bf16 or f16.
  Lanes(mlir::OpBuilder &b, mlir::Location loc, mlir::Type element);

  mlir::Value i32(int64_t value);
  mlir::Value f32(double value);
  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value add(mlir::Value x, int64_t y) { return y ? add(x, i32(y)) : x; }
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, int64_t y) { return y == 1 ? x : mul(x, i32(y)); }
  mlir::Value div(mlir::Value x, mlir::Value y); // unsigned
  mlir::Value div(mlir::Value x, int64_t y) { return y == 1 ? x : div(x, i32(y)); }
  mlir::Value rem(mlir::Value x, int64_t y);
  mlir::Value bitAnd(mlir::Value x, int64_t y);
  mlir::Value bitXor(mlir::Value x, mlir::Value y);
  mlir::Value bitXor(mlir::Value x, int64_t y) { return y ? bitXor(x, i32(y)) : x; }
  mlir::Value shl(mlir::Value x, int64_t bits);
  mlir::Value shr(mlir::Value x, int64_t bits);
  mlir::Value shr(mlir::Value x, mlir::Value bits);
  mlir::Value less(mlir::Value x, mlir::Value y);  // signed
  mlir::Value least(mlir::Value x, mlir::Value y); // signed
  mlir::Value equal(mlir::Value x, mlir::Value y);
  mlir::Value both(mlir::Value x, mlir::Value y);
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y);
  /// x, of which the compiler does not know that it is: what is made of it stays where it is, and takes no register for a whole loop.
  mlir::Value same(mlir::Value x);
  mlir::Value addf(mlir::Value x, mlir::Value y);
  mlir::Value mulf(mlir::Value x, mlir::Value y);
  mlir::Value fma(mlir::Value x, mlir::Value y, mlir::Value z);

  /// Sets where shared memory begins; offsets count bytes from there.
  void setShared(mlir::Value base) { sharedBase = base; }
  mlir::Value loadShared(mlir::Type type, mlir::Value offset, int64_t constant = 0);
  void storeShared(mlir::Value value, mlir::Value offset, int64_t constant = 0);
  /// Global memory: `pointer` + `bytes` (i64).
  mlir::Value at(mlir::Value pointer, mlir::Value bytes);
  mlir::Value load(mlir::Type type, mlir::Value pointer);
  void store(mlir::Value value, mlir::Value pointer);
  mlir::Value wide(mlir::Value x); // i32 to i64, signed

  /// 16 bytes from global to shared memory, in the background; `bytes` of them are read, the others are zeros.
  void copyAsync(mlir::Value offset, mlir::Value pointer, mlir::Value bytes);
  void commitCopies();
  void waitCopies(int64_t pending);
  void barrier();
  void syncWarp();
  /// From the lane whose number differs in the bits of `by`.
  mlir::Value exchange(mlir::Value x, int64_t by);
  mlir::Value shuffleUp(mlir::Value x, int64_t by, int64_t width);
  mlir::Value shuffleDown(mlir::Value x, int64_t by, int64_t width);
  mlir::Value shuffleFrom(mlir::Value x, int64_t lane, int64_t width);

  /// An element of a short vector, and vectors of two and of four.
  mlir::Value part(mlir::Value vector, int64_t which);
  mlir::Value pair(mlir::Value first, mlir::Value second);
  mlir::Value four(mlir::ValueRange numbers);
  /// Two f32 as one register of matrix elements, rounded to nearest even; and back.
  mlir::Value pack(mlir::Value low, mlir::Value high);
  std::array<mlir::Value, 2> unpack(mlir::Value pair);
  /// What `packed` leaves of two f32, packed.
  mlir::Value packRest(mlir::Value low, mlir::Value high, mlir::Value packed);
  /// Four cores from shared memory, each lane giving the address of one row.
  llvm::SmallVector<mlir::Value> loadCores(mlir::Value offset, int64_t constant, bool transposed);
  /// Four cores to shared memory, transposed (sm_90).
  void storeCores(mlir::Value offset, int64_t constant, mlir::ValueRange cores);
  /// The transpose of a core (sm_75).
  mlir::Value transposeCore(mlir::Value core);
  Accumulator multiply(llvm::ArrayRef<mlir::Value> a, llvm::ArrayRef<mlir::Value> b, const Accumulator &c);
  Accumulator zeros();

  /// A descriptor of an operand in shared memory, for wgmma: where it begins, and `layout`, everything above the lower 32 bits and the
  /// leading offset. `offset` and `constant` are multiples of 16.
  mlir::Value describe(mlir::Value offset, int64_t constant, int64_t layout);
  /// c + Σ a[k] b[k], of four warps: 64 rows, 16 of each, by 8 columns for each accumulator, 16 steps each k; `bs` are descriptors.
  /// `transposed`: columns of b lie beside each other. Without `c` the sum begins as zeros. (sm_90a)
  /// The sums are there behind finishGroups, which all of them go through.
  llvm::SmallVector<Accumulator> startGroup(llvm::ArrayRef<llvm::SmallVector<mlir::Value>> as, mlir::ValueRange bs,
                                            bool transposed, size_t accumulators, llvm::ArrayRef<Accumulator> c);
  void finishGroups(llvm::MutableArrayRef<Accumulator> sums);
  /// What this thread has written to shared memory so far is read by wgmma behind the next barrier.
  void fenceForGroups();

  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::Type element;

private:
  mlir::Value sharedAt(mlir::Value offset, int64_t constant);
  mlir::Value shuffle(mlir::Value x, int64_t by, int64_t mask, int kind);

  mlir::Value sharedBase;
};

} // namespace rondo::cuda
