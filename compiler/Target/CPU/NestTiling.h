// How a nest is cut for vector registers: the dimension that vectors run along, how many rows and vectors are worked on at once,
// and which loop stands inside which. Arithmetic on the plan; creates no IR. A product of matrices, `[t, k] @ [k, v]`, gets a tile
// of a few rows t by a few vectors along v whose sums stay in registers while k runs.
#pragma once
#include "compiler/Target/CPU/StepNests.h"

namespace rondo::cpu {

/// Lanes that the plan reckons with, which is made before the machine is known.
inline constexpr int64_t kPlannedLanes = 4;

struct NestTiling {
  int vectorDim = -1; // -1: none
  int64_t lanes = 1;
  /// How many elements, or vectors, of each dimension are worked on at once; the batch tile is the last entry.
  llvm::SmallVector<int64_t> unroll;
  /// Where vectors run along a sum: the dimension along which finished sums are neighbours, so that `groupLanes` of them are added up
  /// together and become one vector. -1: none.
  int groupDim = -1;
  int64_t groupLanes = 0;
  /// Dimensions that are not summed over, the batch tile included, from the outermost loop to the innermost.
  llvm::SmallVector<int> parallel;
};

/// What a nest is cut for.
struct TilingTarget {
  int64_t lanes = 8;      // of the widest vector of the type of computation
  int64_t registers = 16; // vector registers
  int64_t rows = 1;       // of the batch tile, as far as the nest runs over it
  int64_t rowsAtOnce =
      8; // at most: where their number is known at run time only, every size of a tile is a loop of its own
  int64_t groupLanes = 4; // vectors that are added up together, each to one number
};

/// `extent` elements as tiles of at most `most`, as even as can be: how many of which size. At most two sizes, the larger first.
llvm::SmallVector<std::pair<int64_t, int64_t>, 2> evenTiles(int64_t extent, int64_t most);

/// The dimension along which neighbouring accesses are contiguous or repeated, never gathered; -1 where there is none.
int vectorDimension(const StepNests &plan, const Nest &nest, int64_t widest);

NestTiling chooseTiling(const StepNests &plan, const Nest &nest, const TilingTarget &target);

} // namespace rondo::cpu
