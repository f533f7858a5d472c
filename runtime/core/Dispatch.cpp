// Running one launch: its operands as pointers and strides, its tasks over threads.
#include "runtime/core/Dispatch.h"
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <memory>
#include <omp.h>
#include <thread>

namespace rondo::core {
namespace {

constexpr size_t scratchAlignment = 64;

struct FreeScratch {
  void operator()(void *p) const { std::free(p); }
};

int strideSlot(Axis axis) {
  switch (axis) {
  case Axis::Batch:
  case Axis::Sequence:
    return 0;
  case Axis::Time:
    return 1;
  case Axis::Time1:
    return 2;
  case Axis::Head:
  case Axis::Group:
    return 3;
  case Axis::Lag:
    return 4;
  case Axis::Named:
    return -1;
  }
  return -1;
}

/// How many of a thread's tasks are taken, on a cache line of its own.
struct alignas(64) Taken {
  std::atomic<int64_t> count = 0;
};

/// Every thread has a contiguous range: neighbouring tasks stay in one cache, and so does what a task left there in the call before. With many
/// tasks a thread takes them in chunks, and one that is through helps the others, which evens out what other programs take from them.
void runTasks(KernelFunction function, const KernelCall &call, int64_t tasks, int threads, char *scratch,
              size_t scratchStride) {
  if (threads <= 1) {
    function(&call, 0, tasks, scratch);
    return;
  }
  const bool inChunks = tasks >= 8 * int64_t(threads);
  const int64_t chunk = inChunks ? tasks / (8 * int64_t(threads)) : tasks;
  const auto taken = std::make_unique<Taken[]>(size_t(threads));
#pragma omp parallel num_threads(threads)
  {
    // The team may be smaller than was asked for.
    const int64_t thread = omp_get_thread_num(), team = omp_get_num_threads();
    void *mine = scratch ? scratch + size_t(thread) * scratchStride : nullptr;
    for (int64_t i = 0; i < (inChunks ? team : 1); ++i) {
      const int64_t owner = (thread + i) % team;
      const int64_t first = tasks * owner / team, last = tasks * (owner + 1) / team;
      for (int64_t begin;
           (begin = first + taken[size_t(owner)].count.fetch_add(chunk, std::memory_order_relaxed)) < last;)
        function(&call, begin, std::min(last, begin + chunk), mine);
    }
  }
}

/// Where the threads of a team meet. A thread's number of arrivals tells which meeting it is at.
struct Meeting {
  std::atomic<int64_t> arrived = 0;
  int64_t members = 1;
};

/// So often a thread looks for the others before it lets other programs run.
constexpr int kPatience = 4096;

void meet(void *at) {
  Meeting &meeting = *static_cast<Meeting *>(at);
  const int64_t mine = meeting.arrived.fetch_add(1, std::memory_order_acq_rel);
  const int64_t all = (mine / meeting.members + 1) * meeting.members;
  for (int looks = 0; meeting.arrived.load(std::memory_order_acquire) < all; ++looks) {
    if (looks < kPatience)
      __builtin_ia32_pause();
    else
      std::this_thread::yield();
  }
}

/// With `stride` bytes of scratch for each thread, or one for all where that is 0.
void runTogether(KernelFunction function, KernelCall call, int threads, void *scratch, size_t stride = 0) {
  Meeting meeting;
  call.meet = meet;
  call.meeting = &meeting;
#pragma omp parallel num_threads(threads)
  {
    // The team may be smaller than was asked for.
#pragma omp single
    meeting.members = omp_get_num_threads();
    function(&call, omp_get_thread_num(), omp_get_num_threads(),
             scratch ? static_cast<char *>(scratch) + size_t(omp_get_thread_num()) * stride : nullptr);
  }
}

/// Rows that use a parameter at once, and rows times steps, that make up for laying it out anew.
constexpr int64_t kSeveralRows = 4, kManyUses = 64;

/// A call with tasks enough for several rounds of all threads has less to wait for without a team.
const TeamKernel *teamFor(const Launch &launch, const KernelCall &call, int64_t tasks, int threads) {
  const bool stepsAreTasks = launch.timeBlock > 0;
  if (!stepsAreTasks && threads > 1 && tasks > 4 * int64_t(threads))
    return nullptr;
  if (launch.team.function && (stepsAreTasks || call.batch >= kSeveralRows) && call.batch * call.time >= kManyUses)
    return &launch.team;
  return launch.rowTeam.function && tasks < threads && call.time > 1 ? &launch.rowTeam : nullptr;
}

/// Nanoseconds that threads take to wake up and to meet.
constexpr double kMeetings = 8000;

/// Segments behind the first one for which a call is expected to be fastest; 0 where it is without segments. `tasks` share out the call
/// without them, each a part of `splits` of the work of a row and head, of which there are `sequences`.
int64_t segmentsFor(const Launch &launch, const KernelCall &call, int64_t sequences, int64_t tasks, int64_t splits,
                    int threads) {
  const SegmentKernel &kernel = launch.segments;
  if (!kernel.function || sequences == 0 || call.time < 2)
    return 0;
  if (kernel.count > 0)
    return kernel.count;
  if (tasks >= threads)
    return 0;
  const auto roundsOf = [&](int64_t count) {
    const int64_t rounds = (count + threads - 1) / threads;
    return double(rounds);
  };
  // Packed sequences share the steps of the call.
  const double steps = double(call.time) / double(launch.packed ? call.batch : 1), whole = steps * kernel.step;
  double best = whole * roundsOf(tasks) / double(splits);
  int64_t segments = 0;
  for (int64_t count = 2; count <= 2 * int64_t(threads); ++count) {
    const double cost = whole * roundsOf(sequences * count) * (1 + kernel.again) / (double(count) + kernel.again) +
                        kernel.join * double(count - 1) * roundsOf(sequences) + kMeetings;
    if (cost < best) {
      best = cost;
      segments = count;
    }
  }
  return segments;
}

/// Cuts time: `segments` of equal length, and a first one that takes as long as finding out what one of the others does.
void cutTime(KernelCall &call, const SegmentKernel &kernel, int64_t segments) {
  const double length = double(call.time) / (double(segments) + kernel.again);
  int64_t multiples = std::llround(length / double(kernel.multiple));
  while (multiples * kernel.multiple * segments > call.time)
    --multiples;
  call.segments = segments;
  call.segmentSteps = multiples * kernel.multiple;
  call.firstSteps = call.time - segments * call.segmentSteps;
}

using Scratch = std::unique_ptr<void, FreeScratch>;

Result<Scratch> makeScratch(size_t bytes) {
  Scratch scratch(bytes ? std::aligned_alloc(scratchAlignment, bytes) : nullptr);
  if (bytes && !scratch)
    return Error(fmt::format("out of memory: {} bytes of scratch", bytes));
  return scratch;
}

size_t aligned(size_t bytes) { return (bytes + scratchAlignment - 1) / scratchAlignment * scratchAlignment; }

Result<void> runSegments(const SegmentKernel &kernel, KernelFunction function, KernelCall call, int64_t sequences,
                         int64_t segments, int threads) {
  cutTime(call, kernel, segments);
  const int wanted = int(std::min<int64_t>(threads, sequences * segments));
  const size_t stride = aligned(kernel.scratchBytes);
  const size_t workspace = aligned(kernel.segmentBytes) * size_t(sequences) * size_t(segments);
  Result<Scratch> memory = makeScratch(workspace + stride * size_t(wanted));
  if (!memory)
    return memory.error();
  call.workspace = memory->get();
  runTogether(function, call, wanted, static_cast<char *>(memory->get()) + workspace, stride);
  return {};
}

} // namespace

Operands collect(const Program &program, const Launch &launch, const std::vector<Tensor> &tensors) {
  Operands operands;
  bool hasHeads = false;
  operands.strides.assign(launch.operands.size() * 5, 0);
  for (size_t i = 0; i < launch.operands.size(); ++i) {
    const size_t which = size_t(launch.operands[i]);
    const Tensor &tensor = tensors[which];
    operands.pointers.push_back(tensor.data);
    for (size_t a = 0; a < tensor.shape.size(); ++a) {
      const Axis axis = program.tensors[which].axes[a].axis;
      if (axis == Axis::Head) {
        operands.heads = tensor.shape[a];
        hasHeads = true;
      }
      if (axis == Axis::Group)
        operands.groups = tensor.shape[a];
      if (const int slot = strideSlot(axis); slot >= 0)
        operands.strides[i * 5 + size_t(slot)] = tensor.stride(a);
    }
  }
  if (!hasHeads)
    operands.heads = operands.groups;
  return operands;
}

/// True when batch and time of every operand are one axis in memory: row b, step t lies where step b * time + t would.
static bool batchContinuesTime(const Program &program, const Launch &launch, const Operands &operands, int64_t time) {
  for (size_t i = 0; i < launch.operands.size(); ++i) {
    bool hasBatch = false, hasTime = false;
    for (const AxisSpec &axis : program.tensors[size_t(launch.operands[i])].axes) {
      hasBatch |= axis.axis == Axis::Batch;
      hasTime |= axis.axis == Axis::Time;
    }
    if (hasBatch != hasTime || (hasBatch && operands.strides[i * 5] != time * operands.strides[i * 5 + 1]))
      return false;
  }
  return true;
}

KernelCall sizesOf(const Program &program, const Launch &launch, const Operands &operands, const Sizes &sizes) {
  KernelCall call{operands.pointers.data(),
                  operands.strides.data(),
                  sizes.of(launch.packed ? Axis::Sequence : Axis::Batch),
                  sizes.of(Axis::Time),
                  sizes.of(Axis::Time1),
                  operands.heads,
                  operands.groups > 0 ? std::max<int64_t>(1, operands.heads / operands.groups) : 1};
  if (launch.timeBlock > 0 && batchContinuesTime(program, launch, operands, call.time)) {
    call.time *= call.batch;
    call.batch = 1;
  }
  return call;
}

Result<int64_t> countTasks(const Launch &launch, const KernelCall &call) {
  const int64_t tile = std::max<int64_t>(1, launch.batchTile);
  const int64_t tiles = launch.perBatch ? call.batch / tile + (call.batch % tile != 0) : 1;
  int64_t tasks = 0;
  if (__builtin_mul_overflow(tiles, launch.perHead ? call.heads : 1, &tasks) ||
      (launch.timeBlock > 0 &&
       __builtin_mul_overflow(tasks, call.time / launch.timeBlock + (call.time % launch.timeBlock != 0), &tasks)))
    return Error(
        fmt::format("kernel '{}' has too many tasks: batch {}, {} heads", launch.symbol, call.batch, call.heads));
  return tasks;
}

Result<void> dispatch(const Program &program, const Launch &launch, const Binding &binding, int threads) {
  const Operands operands = collect(program, launch, binding.tensors);
  const KernelCall call = sizesOf(program, launch, operands, binding.sizes);
  if (!launch.function)
    return Error(fmt::format("internal error: kernel '{}' of model '{}' has no code", launch.symbol, program.model));
  const Result<int64_t> counted = countTasks(launch, call);
  if (!counted)
    return counted.error();
  int64_t tasks = *counted;
  if (tasks == 0)
    return {};
  const int most = threads > 0 ? threads : omp_get_max_threads();
  const TeamKernel *team = teamFor(launch, call, tasks, most);
  if (const KernelFunction together = team ? team->function() : nullptr) {
    Result<Scratch> scratch = makeScratch(aligned(team->scratchBytes) + aligned(launch.scratchBytes) * size_t(most));
    if (!scratch)
      return scratch.error();
    runTogether(together, call, most, scratch->get());
    return {};
  }
  const int64_t sequences = (launch.perBatch ? call.batch : 1) * (launch.perHead ? call.heads : 1);
  const bool splits = launch.splitFunction && tasks < most;
  const int64_t parts = splits ? launch.splits : 1;
  if (const int64_t segments = segmentsFor(launch, call, sequences, tasks * parts, parts, most))
    if (const KernelFunction function = launch.segments.function())
      return runSegments(launch.segments, function, call, sequences, segments, most);
  const KernelFunction split = splits ? launch.splitFunction() : nullptr;
  if (split)
    tasks *= launch.splits;
  const int wanted = int(std::min<int64_t>(tasks, most));
  const size_t scratchStride = aligned(launch.scratchBytes);
  Result<Scratch> scratch = makeScratch(scratchStride * size_t(wanted));
  if (!scratch)
    return scratch.error();
  runTasks(split ? split : launch.function, call, tasks, wanted, static_cast<char *>(scratch->get()), scratchStride);
  return {};
}

} // namespace rondo::core
