// A compiled model as the runtime sees it: the tensors it takes and gives, and the launches that compute them. It carries no
// compiler type, so that a program can be run where there is no compiler.
#pragma once
#include "rondo/Result.h"
#include "rondo/Tensor.h"
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rondo {

/// What an axis of a tensor counts. Named axes have a size fixed when the model is compiled; the others are taken from the tensors
/// of a call. Sequence takes Batch's place on tensors without time where a program takes packed sequences.
enum class Axis : uint8_t { Batch, Time, Time1, Head, Group, Sequence, Lag, Named };

struct AxisSpec {
  Axis axis = Axis::Named;
  int64_t size = -1; // Named, Lag (and Head where the model fixes it): the size; -1 where a call decides
  std::string name;  // "batch", "time", "head", "K", "2*H"
  int64_t steps = 1; // Time or Batch of a temporary: so many steps or rows share an entry, the last ones perhaps fewer
};

/// Resets are bool over [B, T]: where one is true, the states are their initial values again before that step; a call may leave them
/// out. Offsets [0, n1, n1 + n2, ..., T] (i64, or i32) cut the time axis of one batch entry into packed sequences.
enum class TensorKind : uint8_t { Input, Param, Init, Resets, Offsets, Output, Final, Temporary };

/// One tensor of a program's signature.
struct TensorSpec {
  std::string name;
  TensorKind kind = TensorKind::Input;
  DType type = DType::F32;
  std::vector<AxisSpec> axes;
  double lo, hi; // the declared interval; infinite where there is none
  bool hasInterval = false;
  bool loOpen = false, hiOpen = false;
  bool recurrent = false; // Param: multiplies a state, so that its spectral radius matters
  /// Init: what stands in when the caller gives none. One number fills the tensor; more are its feature elements, row-major (of a
  /// complex tensor either their real parts, or twice as many numbers: real, imaginary, real, …).
  std::vector<double> defaultValue = {0.0};
};

/// Arguments of a kernel. Operand i has base pointer `pointers[i]` and strides in elements `strides[i*5 ...]` for batch (or sequence),
/// time, time1, head (or group), lag; feature axes are row-major and contiguous inside. `batch` counts packed sequences where the
/// launch takes such.
struct KernelCall {
  void *const *pointers;
  const int64_t *strides;
  int64_t batch, time, time1, heads, headsPerGroup;
  /// For threads that work on one task together: returns once all of them have called it with `meeting`.
  void (*meet)(void *meeting) = nullptr;
  void *meeting = nullptr;
  /// For kernels over segments: how many there are behind the first one, steps of the first one and of each other, and memory for what
  /// they hand on.
  int64_t segments = 0, firstSteps = 0, segmentSteps = 0;
  void *workspace = nullptr;
};

/// Runs tasks [begin, end) of one launch. `scratch` holds scratchBytes bytes, 64-byte aligned, private to the calling thread.
using KernelFunction = void (*)(const KernelCall *call, int64_t begin, int64_t end, void *scratch);

/// What a launch on a GPU is expected to take. A block moves `steps` steps of the time axis at a time (or, of a launch over segments that
/// is not per segment, one segment); a move takes `alone` where a block has a multiprocessor for itself, and n * shared where n blocks
/// have it and that is more.
struct LaunchCost {
  int64_t steps = 0;            // 0: nothing is known
  double alone = 0, shared = 0; // nanoseconds
  double fixed = 0;             // of the launch
};

/// A function whose threads do all tasks together: they share out the elements of every step, and meet in between (KernelCall::meet). Each
/// thread calls function(call, thread, threads, scratch), with one scratch for all: scratchBytes, and Launch::scratchBytes for each thread.
struct TeamKernel {
  std::string symbol;                       // empty: there is none
  std::function<KernelFunction()> function; // finds it, and may compile it first; null where that fails
  size_t scratchBytes = 0;
};

/// The same recurrence in segments of time, for calls with few tasks: threads take (row, head, segment) by turns, and meet between finding out
/// what each segment makes of its first state and computing it. Each thread calls function(call, thread, threads, scratch), with
/// scratchBytes of its own; KernelCall::workspace has segmentBytes for each row, head and segment behind the first.
struct SegmentKernel : TeamKernel {
  size_t segmentBytes = 0;
  int64_t count = 0;    // segments behind the first; 0: as many as pay for this call
  int64_t multiple = 1; // of which the steps of a segment behind the first are
  /// What finding out a segment's map costs beside computing it; and, in nanoseconds, what joining two segments costs, and one step.
  double again = 0, join = 0, step = 0;
};

/// One kernel and what it works on. Tasks are independent; their number is
/// (perBatch ? ceil(batch / batchTile) : 1) * (perHead ? heads : 1) * (timeBlock ? ceil(time / timeBlock) : 1).
struct Launch {
  std::string symbol;
  KernelFunction function = nullptr;
  std::vector<int> operands; // indices into Program::tensors
  int64_t batchTile = 1;
  bool perBatch = true; // false: one task for the whole batch, also where that is empty
  bool perHead = false;
  bool packed = false; // tasks are packed sequences instead of rows of the batch
  /// Where there is a second function: it computes the same in `splits` times as many tasks, each a block of an axis of the values.
  /// Meant for calls with fewer tasks than threads, since every block repeats what does not have the axis.
  int64_t splits = 1;
  std::string splitSymbol;
  std::function<KernelFunction()> splitFunction; // finds it, and may compile it first; null where that fails
  /// Where a recurrence multiplies by parameters. `team` begins by laying these out anew, and is meant for calls that use them often:
  /// with several rows and steps. `rowTeam` takes them as they are, row by row.
  TeamKernel team, rowTeam;
  SegmentKernel segments;
  /// Steps of one task where the steps are independent of each other (a scan without states); 0 where a task takes all of them.
  /// Such a kernel may be called with batch and time as one axis, where the operands' strides allow it.
  int64_t timeBlock = 0;
  size_t scratchBytes = 0; // of each thread of the host, or of each block of a GPU
  /// On a GPU a task is a block, `splits` times as many where that is above 1. 0 on the host.
  int64_t threads = 0;
  size_t sharedBytes = 0; // dynamic shared memory of a block
  /// On a GPU, blocks wait for each other: `splits` of them share a task, all blocks of the grid are resident, and where that is too few for
  /// the tasks, they take several in turn. All bits of the workspace are set before the launch.
  bool cooperative = false;
  int64_t cluster = 0; // on a GPU: blocks of a cluster, a divisor of `splits`; 0: none
  /// On a GPU: launches in a row with the same number above 0 are several ways to compute one thing, of which a call takes one, with all
  /// launches of that `way`: the cheapest by `cost` of those that are possible (runtime/cuda/Ways.h).
  int64_t choice = 0, way = 0;
  int64_t mostSteps = 0; // of a call that this way is possible for; 0: any number
  /// On a GPU: the launch may begin while those before it in its stream are still running; its kernel waits for them before it touches memory.
  bool early = false;
  /// Positions in `operands` of tensors whose rows (of feature elements) must begin at multiples of 16 bytes.
  std::vector<int> aligned;
  LaunchCost cost;
  /// Above 0: the launch works on segments of the time axis. Its kernel has two more arguments, the steps of a segment (a multiple of
  /// cost.steps of the way's launches) and the number of segments; the workspace is one for all launches of the way, so many bytes for
  /// each batch entry, segment and head.
  size_t segmentBytes = 0;
  bool perSegment = false; // a task is one segment; else all of them
  size_t image = 0;        // where its kernel is: 0 in DeviceImage::code, n in the nth of `more`
};

/// Kernels for another device than the host, by the launches' symbols. Their arguments: for each operand of the launch a pointer and five
/// strides in elements (as in KernelCall); then batch, time, time1, heads, heads per group; then the workspace, scratchBytes per block;
/// then, of a launch over segments, the steps of one and their number.
struct DeviceImage {
  std::string device;       // "cuda"
  std::string architecture; // "sm_90a"
  std::string code;         // PTX, or a cubin
  /// More of it, each with kernels that not every call needs (Launch::image - 1); loaded when one of them is first launched.
  std::vector<std::string> more = {};
};

namespace core {
class DeviceCode; // runtime/core/DeviceCode.h
}

/// Whether a tensor is what the one half of a training step hands to the other (CompileOptions::half).
inline bool isKept(const TensorSpec &spec) { return spec.name.rfind("kept.", 0) == 0; }

/// The signature and the launches, in order. `code` keeps the machine code alive.
struct Program {
  std::string model;
  /// Inputs, params, inits, resets, offsets, outputs, finals in the model's order, then temporaries.
  std::vector<TensorSpec> tensors;
  std::vector<Launch> launches;
  /// Temporaries that are another tensor under a different shape: alias[i] is the tensor whose memory tensor i shares, or -1.
  std::vector<int> alias;
  bool hasHeads = false;       // the model leaves the head axis to the caller
  bool checkIntervals = false; // every run behaves as with RunOptions::checkIntervals
  /// Set instead of launches where no machine code runs (the reference interpreter). It is given one tensor per entry of
  /// `tensors`, checked, with every axis present, row-major and contiguous; no output overlaps an input.
  std::function<Result<void>(const std::vector<Tensor> &)> host;
  std::shared_ptr<void> code;
  /// Set where the launches are for another device, and what runs them there once it is loaded (rondo/Cuda.h).
  std::shared_ptr<const DeviceImage> image;
  std::shared_ptr<core::DeviceCode> device;
};

} // namespace rondo
