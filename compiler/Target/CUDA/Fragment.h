// Matrix instructions as data: which lane holds which element of an operand in which register. Everything that distributes a tile to
// the lanes of a warp asks these tables and nothing else, so that another instruction is another table.
#pragma once
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <optional>

namespace rondo::cuda {

enum class Operand { A, B, C };

/// An element of an operand: A is m x k, B is k x n, C is m x n.
struct Place {
  int64_t row, column;
  bool operator==(const Place &) const = default;
};

/// The 8 x 8 elements at (row, column) of an operand, two per lane. Lane l has, along the first axis, number l / 4, and along the
/// second numbers 2 (l % 4) and 2 (l % 4) + 1; `transposed` exchanges the axes. A core of 16-bit elements is one register of each lane
/// and what one matrix of `ldmatrix` holds; a core of f32 is two registers.
struct Core {
  int64_t row, column;
  bool transposed = false;
  bool operator==(const Core &) const = default;
};

struct MatrixInstruction {
  llvm::StringRef name;
  int64_t m, n, k;
  llvm::SmallVector<Core> a, b, c; // in the order of registers

  llvm::ArrayRef<Core> cores(Operand operand) const;
  int64_t rows(Operand operand) const { return operand == Operand::B ? k : m; }
  int64_t columns(Operand operand) const { return operand == Operand::A ? k : n; }
  /// Where element `which` (0 or 1) of core `core` lies for a lane.
  Place place(Operand operand, int64_t core, int64_t which, int64_t lane) const;
};

/// mma.sync.aligned.m16n8k16.row.col.f32.{bf16,f16}.{bf16,f16}.f32, sm_80 and up (PTX ISA 9.7.14.5.8).
const MatrixInstruction &mmaM16N8K16();

/// A core of an operand is core `core` of accumulator `accumulator`, where accumulators lie beside each other.
struct Chained {
  int64_t accumulator, core;
};
/// How accumulators that lie beside each other along n make an A operand of the same rows, without any exchange between lanes: one
/// entry per core of A. Empty where they do not. (Then a state that is accumulated can be read as it is.)
std::optional<llvm::SmallVector<Chained>> accumulatorsAsA(const MatrixInstruction &instruction);
/// The same for the transpose of accumulators as a B operand; `accumulator` counts along n.
std::optional<llvm::SmallVector<Chained>> accumulatorsAsB(const MatrixInstruction &instruction);

} // namespace rondo::cuda
