// An elementwise recurrence whose time is shared out, as data: which numbers of the state are one thread's, which steps, and what of the
// inputs they read. Creates no IR. The recurrence comes as a chunk.segment_scan, whose regions say what a run of steps makes of any state.
#pragma once
#include "compiler/Target/CPU/StepNests.h"
#include "dialects/Chunk/Chunk.h"
#include <optional>
#include <string>

namespace rondo::cuda {

/// What a thread reads of an argument, or writes to a result, at each step: the element at `inner` along each axis, where the axis
/// `channelAxis` (-1: none) stands for the thread's channels.
struct ScanElement {
  unsigned number = 0; // of the argument, the state, or the output
  int channelAxis = -1;
  llvm::SmallVector<int64_t> inner;
  bool operator<(const ScanElement &other) const {
    return std::tie(number, channelAxis, inner) < std::tie(other.number, other.channelAxis, other.inner);
  }
  /// With channel `which` of the thread's.
  cpu::Indices at(int64_t which) const;
};

/// An output: the element of `value` for each of the thread's channels; or the sum of that over `sum` neighbouring channels, for each so many.
struct ScanOutput : ScanElement {
  mlir::Value value;
  int64_t sum = 1;
};

/// The summands of a value that has a sum of each `x` neighbouring elements of a vector, and x; nothing for other values.
std::optional<std::pair<mlir::Value, int64_t>> neighbourSum(mlir::Value value);

/// A tile is `teams()` runs of `run` steps, of `channelsPerBlock()` channels. A team is `lanes` threads, each with `vector` channels that
/// lie beside each other.
struct ScanPlan {
  int64_t channels = 1;
  std::vector<ScanElement> states, arguments; // arguments: inputs and parameters
  std::vector<ScanOutput> outputs;
  int64_t vector = 1, lanes = 1, run = 1, threads = 256;
  int64_t group = 2; // tiles that look at each other's parts, instead of waiting for one after another

  int64_t teams() const { return threads / lanes; }
  int64_t steps() const { return teams() * run; }
  int64_t channelsPerBlock() const { return lanes * vector; }
  int64_t blocks() const { return (channels + channelsPerBlock() - 1) / channelsPerBlock(); }
};

/// A discardable attribute of a scan that has kernels in tiles: IntegerAttr, the steps of one.
inline constexpr const char *kScanTilesAttr = "chunk.scan_tiles";

/// The plan, or why there is none.
struct ScanPlanOrReason {
  ScanPlan plan;
  std::string reason;
};
ScanPlanOrReason planScan(chunk::SegmentScanOp scan);
/// Of a scan that is not cut into segments yet.
ScanPlanOrReason planScan(recur::LinearScanOp scan);

} // namespace rondo::cuda
