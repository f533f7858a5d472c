// A model ready to run. Needs no compiler.
#pragma once
#include "rondo/Program.h"
#include "rondo/Result.h"
#include <string>
#include <utility>
#include <vector>

namespace rondo {

/// Tensors by the spec's names.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
using NamedBuffers = std::vector<std::pair<std::string, Buffer>>;

/// How to run. Sizes are needed only where no tensor of the call has the axis (a model without inputs); where one has
/// it, they must agree.
struct RunOptions {
  int threads = 0;             // 0: as many as the machine has (or OMP_NUM_THREADS says)
  bool checkIntervals = false; // fail where an element of an input leaves the interval that the spec declares for it
  int64_t batch = -1;          // -1: from the tensors, else 1
  int64_t time = -1;           // -1: from the tensors, else an error
  int64_t time1 = -1;          // likewise, the second axis
  int64_t heads = -1;          // -1: from the tensors, else 1
  /// For a kernel on a GPU, a CUstream of the caller's: then the call is queued there and returns at once, and every tensor must lie on
  /// that GPU. Null: the call takes a stream of its own and returns when the results are there. (The default stream: CU_STREAM_LEGACY.)
  void *stream = nullptr;
};

/// A compiled model. Copies share the code. `run` may be called from several threads at once on different memory: a
/// Kernel holds no state between calls.
class Kernel {
public:
  Kernel() = default;
  explicit Kernel(std::shared_ptr<const Program> program) : program_(std::move(program)) {}

  const Program &program() const { return *program_; }

  /// Computes `outputs` from `inputs`. `inputs` holds every input and parameter; initial states may be left out and are
  /// zero then (or the constant that the spec gives). `outputs` names any of the outputs and final states ("S" for
  /// state S, "S.final" where an output is called S). Batch, time, head and lag axes may have any strides; feature axes are row-major and contiguous. Memory
  /// of outputs must not overlap that of inputs, except that a final state may be the very memory (same strides) of its
  /// own initial state; overlap of contiguous tensors is reported, that of interleaved views is the caller's to avoid.
  /// A data layout without the head axis means one head: then no tensor of the call has it, outputs included.
  /// A kernel compiled with CompileOptions::resets takes `resets`, bool [B, T], unless it is left out: no step begins anew
  /// then. One compiled with CompileOptions::packed needs `offsets`, [N+1] from 0 to T, rising: inputs and outputs have
  /// B = 1, and each of the N sequences has its own initial and final states, [N, ...].
  /// Errors name the tensor, what was expected and what came; every mistake of a call is its own diagnostic.
  Result<void> run(const NamedTensors &inputs, const NamedTensors &outputs, const RunOptions &options = {}) const;

  /// As above, with freshly allocated outputs and final states, in the order of the program.
  Result<NamedBuffers> run(const NamedTensors &inputs, const RunOptions &options = {}) const;

private:
  std::shared_ptr<const Program> program_;
};

} // namespace rondo
