// See Ways.h.
#include "runtime/cuda/Ways.h"
#include <algorithm>
#include <bit>
#include <climits>
#include <cmath>
#include <fmt/format.h>
#include <optional>

namespace rondo::cuda {
namespace {

constexpr int64_t rowAlignment = 16;
constexpr size_t stridesEach = 5; // of each pointer of a KernelCall
/// Where one kernel gives most multiprocessors work, launches over segments are taken if they are expected to be faster by more than the
/// model errs: with 128 blocks on an H100 it expected them to be 5 to 8 % faster where they took 11 to 26 % longer.
constexpr double segmentsMargin = 1.1;
/// More segments than this gain nothing on any GPU: there are heads and parts of the value axis besides.
constexpr int64_t mostSegments = 512;

int64_t ceilDiv(int64_t a, int64_t b) { return a / b + (a % b != 0); }

/// Whether every row of feature elements begins at a multiple of 16 bytes.
bool isAligned(const TensorSpec &spec, const Tensor &tensor) {
  if (std::bit_cast<uintptr_t>(tensor.data) % rowAlignment)
    return false;
  for (size_t a = 0; a < tensor.shape.size(); ++a)
    if (spec.axes[a].axis != Axis::Named && tensor.shape[a] > 1 &&
        tensor.stride(a) * int64_t(sizeOf(tensor.type)) % rowAlignment)
      return false;
  return true;
}

Result<int64_t> countBlocks(const Launch &launch, const KernelCall &call, int64_t segments, int64_t resident) {
  Result<int64_t> tasks = core::countTasks(launch, call);
  if (!tasks)
    return tasks;
  if (launch.cooperative)
    tasks = std::min(*tasks, resident / launch.splits);
  int64_t blocks = 0;
  if (__builtin_mul_overflow(*tasks, std::max<int64_t>(1, launch.splits), &blocks) ||
      __builtin_mul_overflow(blocks, launch.perSegment ? segments : 1, &blocks) || blocks > INT_MAX)
    return Error(fmt::format("kernel '{}' has too many blocks: batch {}, time {}, {} heads, {} parts", launch.symbol,
                             call.batch, call.time, call.heads, launch.splits));
  return blocks;
}

/// The launches of one way, for one call.
class Way {
public:
  Way(const Program &program, const std::vector<Tensor> &tensors, const core::Sizes &sizes, const Room &room)
      : program(program), tensors(tensors), sizes(sizes), room(room) {}

  void add(size_t number) { numbers.push_back(number); }

  bool isPossible() const {
    for (size_t number : numbers) {
      const Launch &launch = program.launches[number];
      if (launch.mostSteps && sizes.of(Axis::Time) > launch.mostSteps)
        return false;
      for (int position : launch.aligned) {
        const size_t which = size_t(launch.operands[size_t(position)]);
        if (!isAligned(program.tensors[which], tensors[which]))
          return false;
      }
    }
    return true;
  }

  /// Decides how it is done.
  Result<void> plan() {
    for (size_t number : numbers) {
      QueuedLaunch one;
      one.number = number;
      one.operands = core::collect(program, program.launches[number], tensors);
      launches.push_back(std::move(one));
      launches.back().call = core::sizesOf(program, program.launches[number], launches.back().operands, sizes);
    }
    const int64_t unit = segmentUnit();
    if (!unit)
      return cut(0, 0);
    const int64_t time = launches.front().call.time, chunks = std::max<int64_t>(1, ceilDiv(time, unit));
    int64_t best = 1;
    double lowest = INFINITY;
    for (int64_t segments = 1; segments <= std::min(chunks, mostSegments); ++segments) {
      const int64_t each = ceilDiv(chunks, segments);
      if (ceilDiv(chunks, each) != segments) // as many as fewer segments give
        continue;
      if (Result<void> fits = cut(segments, each * unit); !fits)
        return fits;
      if (const double cost = nanoseconds(); cost < lowest) {
        lowest = cost;
        best = segments;
      }
    }
    return cut(best, ceilDiv(chunks, best) * unit);
  }

  /// Whether segments of the time axis have launches of their own.
  bool isCut() const { return segmentUnit() != 0; }

  int64_t blocks() const {
    int64_t most = 0;
    for (const QueuedLaunch &each : launches)
      most = std::max(most, each.blocks);
    return most;
  }

  double nanoseconds() const {
    double sum = 0;
    for (const QueuedLaunch &each : launches) {
      const LaunchCost &cost = program.launches[each.number].cost;
      sum += cost.fixed;
      if (!cost.steps)
        continue;
      const int64_t time = program.launches[each.number].perSegment ? each.segmentSteps : each.call.time;
      const int64_t moves =
          each.segments && !program.launches[each.number].perSegment ? each.segments : ceilDiv(time, cost.steps);
      sum += double(moves) *
             std::max(cost.alone, double(ceilDiv(each.blocks, std::max(1, room.processors))) * cost.shared);
    }
    return sum;
  }

  std::vector<QueuedLaunch> launches;

private:
  /// What the steps of a segment are a multiple of; 0 where nothing is cut.
  int64_t segmentUnit() const {
    int64_t unit = 0;
    for (size_t number : numbers)
      if (program.launches[number].perSegment)
        unit = std::max(unit, program.launches[number].cost.steps);
    return unit;
  }

  Result<void> cut(int64_t segments, int64_t steps) {
    for (QueuedLaunch &each : launches) {
      const Launch &launch = program.launches[each.number];
      const Result<int64_t> blocks = countBlocks(launch, each.call, std::max<int64_t>(1, segments),
                                                 launch.cooperative ? room.resident[each.number] : 0);
      if (!blocks)
        return blocks.error();
      each.blocks = *blocks;
      each.segments = segments;
      each.segmentSteps = steps;
      each.scratchBytes = segments ? size_t(each.call.batch * segments * each.call.heads) * launch.segmentBytes
                                   : size_t(*blocks) * launch.scratchBytes;
    }
    return {};
  }

  const Program &program;
  const std::vector<Tensor> &tensors;
  const core::Sizes &sizes;
  const Room &room;
  std::vector<size_t> numbers;
};

} // namespace

Result<std::vector<QueuedLaunch>> chooseLaunches(const Program &program, const std::vector<Tensor> &tensors,
                                                 const core::Sizes &sizes, const Room &room) {
  std::vector<QueuedLaunch> taken;
  const auto append = [&](std::vector<QueuedLaunch> &launches) {
    for (QueuedLaunch &each : launches)
      if (each.blocks > 0)
        taken.push_back(std::move(each));
  };
  for (size_t i = 0; i < program.launches.size();) {
    const Launch &first = program.launches[i];
    std::optional<Way> best;
    double lowest = INFINITY;
    int64_t wholeBlocks = 0; // of the ways before without segments
    do {
      Way way(program, tensors, sizes, room);
      const int64_t number = program.launches[i].way;
      do
        way.add(i++);
      while (first.choice && i < program.launches.size() && program.launches[i].choice == first.choice &&
             program.launches[i].way == number);
      if (!way.isPossible())
        continue;
      if (const Result<void> planned = way.plan(); !planned)
        return planned.error();
      const bool wantsMargin = way.isCut() && 2 * wholeBlocks > room.processors;
      if (!way.isCut())
        wholeBlocks = std::max(wholeBlocks, way.blocks());
      if (const double cost = way.nanoseconds() * (wantsMargin ? segmentsMargin : 1); !best || cost < lowest) {
        lowest = cost;
        best.emplace(std::move(way));
      }
    } while (first.choice && i < program.launches.size() && program.launches[i].choice == first.choice);
    if (!best)
      return Error(
          fmt::format("kernel '{}' of model '{}' wants rows that begin at multiples of {} bytes, and has no other way",
                      first.symbol, program.model, rowAlignment));
    append(best->launches);
  }
  return taken;
}

std::vector<void *> argumentsOf(const Launch &launch, QueuedLaunch &queued, void *workspace) {
  std::vector<void *> arguments;
  for (size_t i = 0; i < queued.operands.pointers.size(); ++i) {
    arguments.push_back(static_cast<void *>(&queued.operands.pointers[i]));
    for (size_t a = 0; a < stridesEach; ++a)
      arguments.push_back(&queued.operands.strides[i * stridesEach + a]);
  }
  KernelCall &call = queued.call;
  for (int64_t *size : {&call.batch, &call.time, &call.time1, &call.heads, &call.headsPerGroup})
    arguments.push_back(size);
  arguments.push_back(workspace);
  if (launch.segmentBytes) {
    arguments.push_back(&queued.segmentSteps);
    arguments.push_back(&queued.segments);
  }
  return arguments;
}

size_t countParts(const Program &program) {
  size_t parts = 0;
  for (size_t i = 0; i < program.launches.size(); ++i)
    parts += !program.launches[i].choice || i == 0 || program.launches[i].choice != program.launches[i - 1].choice;
  return parts;
}

} // namespace rondo::cuda
