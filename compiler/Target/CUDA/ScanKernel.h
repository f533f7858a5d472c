// The kernel of an elementwise recurrence whose time is shared out (ScanPlan.h). A block has a tile: some steps of some channels. Each thread
// finds out what its run of steps makes of any state; runs are put together within a warp, a block, and from tile to tile; then each thread
// takes its steps from the state that they begin with. Inputs are read once.
//
// From tile to tile, through the workspace, in one launch: a tile publishes its parts, and every `group` tiles one publishes the state behind
// it. A tile adds up, from the last such state on, the parts of the tiles between, first to last: the state that it begins with is one and the
// same number whoever computes it, and whenever.
#pragma once
#include "compiler/Target/CPU/ElementOps.h"
#include "compiler/Target/CUDA/KernelArguments.h"
#include "compiler/Target/CUDA/KernelBuilder.h"
#include "compiler/Target/CUDA/ScanPlan.h"
#include "compiler/Target/CUDA/TileLanes.h"
#include <functional>
#include <map>

namespace rondo::cuda {

class ScanKernel : ScanOperands, KernelBuilder {
public:
  ScanKernel(chunk::SegmentScanOp scan, const Program &program, ScanTensors tensors, ScanPlan plan);
  /// Emits two kernels at the end of `module`: one that empties the workspace, and the scan.
  std::vector<Launch> emit(mlir::ModuleOp module, llvm::StringRef symbol);

private:
  using Values = llvm::SmallVector<mlir::Value>;
  /// Values of a region that are known, and where its arguments come from.
  struct Scope {
    std::function<cpu::Element(mlir::BlockArgument, llvm::ArrayRef<cpu::Index>)> argument;
    std::map<std::vector<int64_t>, cpu::Element> known;
  };
  cpu::Element evaluate(Scope &scope, mlir::Value value, llvm::ArrayRef<cpu::Index> at);
  cpu::Element addUp(Scope &scope, mlir::Operation *op, llvm::ArrayRef<cpu::Index> at);

  Launch emitClear(mlir::ModuleOp module, llvm::StringRef symbol);
  void openKernel(mlir::ModuleOp module, llvm::StringRef symbol);
  void alignRows();
  void openTile();
  void openOperands(mlir::Value row, mlir::Value head);
  void loadRun();
  mlir::Value loadAt(const Operand &operand, size_t position, const ScanElement &element, mlir::Value inRun);
  void storeAt(const Operand &operand, size_t position, const ScanElement &element, mlir::Value inRun,
               const Values &values, int64_t sum = 1);
  mlir::Value addressAt(const Operand &operand, const ScanElement &element, mlir::Value inRun, int64_t sum = 1);
  mlir::Value addNeighbours(const Values &values, int64_t count);
  mlir::Value isFirstOf(int64_t count);
  void openRun(mlir::Value begin);
  mlir::Value clamped(int64_t stepInRun);
  mlir::Value anew(mlir::Value value);
  void forget();
  cpu::Element given(mlir::BlockArgument argument, llvm::ArrayRef<cpu::Index> at, int64_t stepInRun);
  Values partsOfRun();
  Values scanWarp(Values &parts);
  void foldTiles();
  Values statesBefore(const Values &before);
  void takeSteps(Values states);
  // ScanExchange.cpp
  mlir::Value exchangeAt(mlir::Value tileNumber, bool state);
  void publish(const Values &values, mlir::Value address);
  Values poll(mlir::Value address, int64_t words);
  Values initialStates();
  Values groupState(mlir::Value groupBegin);

  /// Number of the value in a list of all elements of a thread's states, or of their parts.
  int64_t stateNumber(size_t element, int64_t which) const { return element * plan.vector + which; }
  int64_t partNumber(size_t element, int64_t kind, int64_t which) const {
    return (2 * element + kind) * plan.vector + which;
  }
  int64_t stateWords() const { return plan.states.size() * plan.vector; }
  int64_t partWords() const { return 2 * stateWords(); }
  /// What lies in shared memory: parts of each warp, of the tile, of tiles before it; the state that the tile begins with. And
  /// what a tile has of the workspace.
  static constexpr int64_t partsOffset = 0;
  static int64_t padded(int64_t words);
  int64_t totalOffset() const;
  int64_t earlierOffset() const;
  int64_t statesOffset() const;
  int64_t sharedBytes() const;
  int64_t tileBytes() const;
  /// The element of a state, or of a part, that an argument of a region is asked for.
  size_t elementOf(unsigned state, llvm::ArrayRef<cpu::Index> at) const;
  Values begins();
  /// The state behind a run with these parts; and the parts of two runs, one behind the other.
  Values join(const Values &parts, const Values &states);
  Values compose(const Values &first, const Values &second);
  Values choose(mlir::Value condition, const Values &yes, const Values &no);
  Values loadShared(int64_t count, mlir::Value offset);
  void storeShared(const Values &values, mlir::Value offset);

  mlir::Value less(mlir::Value x, mlir::Value y);
  mlir::Value pointer(size_t position, mlir::Type element, mlir::Value at);

  chunk::SegmentScanOp scan;
  recur::Step step;
  const Program &program;
  ScanTensors tensors;
  ScanPlan plan;
  Lanes l;
  cpu::ElementOps ops;
  Launch launch;
  mlir::Value thread, lane, team, warp; // i32; lane: among those of a team
  mlir::Value steps, tile, channel;     // index
  mlir::Value first, runTime, count;    // index: the run's first step, its place in time; i32: steps of it
  mlir::Value anyChannel;               // whether the thread has channels; null: always
  mlir::Value number, between; // index: of the tile among all, and of tiles of a sequence, from one to the next
  mlir::Value workspace;       // i64
  std::map<std::pair<int64_t, size_t>, mlir::Value>
      loaded; // by step (-1: parameters) and number in plan.arguments, as in memory
};

/// The ways of a scan in segments of time, beside the one by `steps`; both are ways of `choice`.
std::vector<Launch> emitScanWays(chunk::SegmentScanOp scan, const Program &program, const ScanTensors &tensors,
                                 const ScanPlan &plan, mlir::ModuleOp module, llvm::StringRef symbol, int64_t choice,
                                 Launch steps, bool demanded);

} // namespace rondo::cuda
