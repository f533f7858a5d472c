// Which scans multiply their state by a matrix that a grid can keep on chip, and who keeps what. Data; creates no IR.
//
// The step is cut into *phases*. A phase multiplies vectors that are known (states, or what the phases before gave) by parameters; all
// else is elementwise, so that who owns a unit computes it from the unit's own values. Between phases whole vectors are exchanged.
#pragma once
#include "dialects/Recur/Recur.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>

namespace rondo::cuda {

/// `result` = parameter `param` (transposed: its first axis is summed over) times the job's vector.
struct CellProduct {
  mlir::Value result;
  unsigned param;
  bool transposed;
};

/// The products that take one vector, and how a block's warps share out their rows (tiles of 16 units of one product) and the axis that
/// is summed over (groups of 32).
struct CellJob {
  mlir::Value vector;
  llvm::SmallVector<CellProduct> products;
  size_t phase = 0;
  int64_t tiles = 0;               // of 16 rows, in a block
  int64_t tileParts = 1, cuts = 1; // warps = tileParts * cuts
  int64_t warpTiles = 0, warpGroups = 0;
  int64_t keptFragments = 0;  // of a warp's, in registers; the rest lie in shared memory
  int64_t partialOffset = 0;  // bytes in shared memory: sums of each cut, CellPlan::sumBuffers() times
  int64_t weightOffset = 0;   // bytes in shared memory
  int64_t exchangeOffset = 0; // bytes in the workspace, or in shared memory
  int64_t fragments() const { return warpTiles * warpGroups * 2; }
};

struct CellPhase {
  llvm::SmallVector<CellJob> jobs;
  /// The step adds all products up: they share their sums, and the first one's result stands for all.
  bool summed = false;
};

struct CellPlan {
  static constexpr int64_t rows = 8;        // of the batch, in a task: a matrix instruction's columns
  static constexpr int64_t buffers = 4;     // of an exchanged vector
  static constexpr int64_t groupWidth = 32; // of the axis that is summed over: 16 bytes for each lane
  mlir::Type element;                       // bf16 or f16
  int64_t units = 0, paddedUnits = 0;       // length of every vector
  int64_t blockUnits = 0, blocks = 0;       // units of a block, blocks of a task
  bool cluster = false;                     // the blocks of a task reach each other's shared memory (sm_90)
  int64_t warps = 0;
  int64_t inputs = 0; // of 16 or 32 bits
  int64_t ring = 0; // steps whose inputs are in shared memory or on their way there; 0: the next one's go to registers
  int64_t ringOffset = 0; // bytes in shared memory
  llvm::SmallVector<CellPhase> phases;
  int64_t sharedBytes = 0, exchangeBytes = 0;
  int64_t keptFragments = 0; // of a warp's weights, in registers: four a fragment
  int64_t barrierOffset = 0; // bytes in shared memory: of a cluster, two for each phase, by turns

  int64_t threads() const { return warps * 32; }
  int64_t elements() const { return blockUnits * rows; }
  int64_t slots() const { return (elements() + threads() - 1) / threads(); }
  /// In a grid: threads that own nothing empty buffers.
  bool sparesThreads() const { return !local() && 2 * elements() <= threads(); }
  /// Threads that own units.
  int64_t owners() const { return std::min(threads(), elements()); }
  /// Bytes of a step's inputs.
  int64_t stepBytes() const { return inputs * slots() * owners() * 4; }
  /// Bytes that a phase exchanges.
  int64_t phaseBytes(const CellPhase &phase) const { return static_cast<int64_t>(phase.jobs.size()) * vectorBytes(); }
  /// Vectors are exchanged through shared memory.
  bool local() const { return blocks == 1 || cluster; }
  /// A multiprocessor holds blocks of two clusters. Parts of a GPU have no whole number of clusters' blocks, and tasks that do not fit beside
  /// the others take as long as all of those again.
  bool sharesMultiprocessor() const { return cluster && keptFragments <= 8 && sharedBytes <= 112 * 1024; }
  /// Sums of one step are written while the step before's are read, but where one block has all units and waits for all of its threads.
  int64_t sumBuffers() const { return blocks == 1 ? 1 : 2; }
  int64_t groups() const { return paddedUnits / groupWidth; }
  int64_t vectorBytes() const { return paddedUnits * rows * 2; }
};

/// The plan of a scan that fits, for a GPU of `arch`.
std::optional<CellPlan> planCell(recur::ScanInterface scan, llvm::StringRef arch);

} // namespace rondo::cuda
