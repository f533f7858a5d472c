// An elementwise recurrence of planes, as data: states over channels and, for each channel, a few places (a selective scan's D and N). Its
// steps may sum over places, and its outputs over channels. Which elements are one thread's, and what a step reads; creates no IR.
#pragma once
#include "compiler/Target/CPU/StepNests.h"
#include <string>

namespace rondo::cuda {

/// What an axis of a value stands for.
enum PlaneAxis : int { kNoAxis = -1, kChannel = 0, kPlace = 1 };

/// A thread has `channelsEach` neighbouring channels at `placesEach` neighbouring places. The `lanes()` threads of a group have all places
/// of its channels.
struct PlaneSizes {
  int64_t channels = 1, places = 1;
  int64_t channelsEach = 1, placesEach = 4, threads = 128;
  int64_t stage = 16; // steps whose inputs come at once
  int64_t kept = 8;   // steps from one kept state to the next: a stage of the way back

  int64_t lanes() const { return places / placesEach; }
  int64_t groups() const { return threads / lanes(); }
  int64_t channelsPerBlock() const { return groups() * channelsEach; }
  int64_t parts() const { return channels / channelsPerBlock(); }
};

/// A scan whose step a thread can take for its own elements, or the reason why there is none.
class PlaneFacts {
public:
  /// `channels`, `places`: those that another scan has, or -1. `gradient`: the sizes are those of a way back.
  explicit PlaneFacts(recur::ScanInterface scan);

  recur::ScanInterface scan;
  recur::Step step;
  std::string reason; // empty where it can
  int64_t channels = -1, places = -1;
  /// Axes of every value that a step needs.
  llvm::DenseMap<mlir::Value, llvm::SmallVector<int, 2>> axes;
  /// Outputs that are sums over channels: a block has a part of each.
  llvm::SmallVector<unsigned> channelSums;
  bool isChannelSum(unsigned output) const { return llvm::is_contained(channelSums, output); }
  /// Whether a value depends on parameters and constants alone.
  bool isInvariant(mlir::Value value);
  /// Whether a value depends on a state.
  bool readsState(mlir::Value value);
  /// How a segment of time makes a new state of an old one. Affine: a factor times it plus an addend, and these depend on no state. Sum: it
  /// plus what depends on others.
  enum class Map { Affine, Sum, Other };
  Map mapOf(unsigned state);
  bool hasMaps(bool sums);

private:
  void refuse(std::string why) {
    if (reason.empty())
      reason = std::move(why);
  }
  void findSizes();
  void findOutputs();
  void reach(mlir::Value value, llvm::ArrayRef<int> at);
  void reachOperands(mlir::Operation *op, llvm::ArrayRef<int> at, llvm::ArrayRef<int> reduced);
  int axisOf(int64_t extent) const { return extent == channels ? kChannel : extent == places ? kPlace : kNoAxis; }

  bool isAffineIn(mlir::Value value, mlir::Value state);
  bool reads(mlir::Value value, mlir::Value state);

  llvm::DenseMap<mlir::Value, bool> invariant, reading;
};

/// Sizes for one scan; or, `back`, for a scan and the way back over it. Nothing where they do not divide.
std::optional<PlaneSizes> planeSizes(int64_t channels, int64_t places, bool back);

} // namespace rondo::cuda
