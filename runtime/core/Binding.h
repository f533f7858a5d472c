// The tensors of a call, matched to the program's signature: names, types, shapes, sizes. After it nothing can be wrong
// with what the caller gave; memory that the caller did not give is Memory.h's.
#pragma once
#include "rondo/Kernel.h"
#include "rondo/Program.h"
#include "rondo/Result.h"
#include <cstdint>
#include <string>
#include <vector>

namespace rondo::core {

/// Mistakes of a call, each its own diagnostic.
class Problems {
public:
  Diagnostic &add(std::string slug, std::string message);
  bool none() const { return diagnostics.empty(); }
  Error take() { return Error(std::move(diagnostics)); }

private:
  std::vector<Diagnostic> diagnostics;
};

/// Sizes that a call decides, -1 while unknown, and who decided them ("q", or "RunOptions").
struct Sizes {
  int64_t size[6] = {-1, -1, -1, -1, -1, -1}; // indexed by Axis: Batch, Time, Time1, Head, Group, Sequence
  std::string from[6];
  /// Whether the tensors of this call have the head axes that the model leaves to the caller.
  bool headAxis = true;

  int64_t of(Axis axis) const { return size[size_t(axis)]; }
};

/// The program's tensors in a call, with every axis of their spec present (an absent head axis is inserted with size 1,
/// stride 0) and strides filled in.
struct Binding {
  Sizes sizes;
  std::vector<Tensor> tensors;
  std::vector<bool> given; // whether the caller gave tensor i

  /// Shape of a tensor that the caller did not give, every axis present.
  std::vector<int64_t> fullShape(const TensorSpec &spec) const;
};

bool isInput(TensorKind kind);  // Input, Param, Init, Resets or Offsets
bool isOutput(TensorKind kind); // Output or Final

/// The program's tensor of this kind, or -1: for the kinds of which a program has one at most.
int findKind(const Program &program, TensorKind kind);

/// Whether the call may leave this axis away.
bool isImplicit(const Program &program, const AxisSpec &axis);

/// "[B=2, T, H, K=64]": what is known of the axes, without those that this call has not.
std::string describe(const Program &program, const TensorSpec &spec, const Sizes &sizes);

/// Matches and checks. Errors: see runtime/README.md, "What run checks".
Result<Binding> bind(const Program &program, const NamedTensors &inputs, const NamedTensors &outputs,
                     const RunOptions &options);

/// The final state that belongs to the initial state `init` (an index into Program::tensors), or -1.
int finalOf(const Program &program, int init);

/// Fails where outputs overlap inputs or each other; see Kernel::run.
void checkOverlap(const Program &program, const Binding &binding, Problems &problems);

/// Fails where the offsets of packed sequences do not rise from 0 to the number of steps, or there is another batch than 1.
void checkOffsets(const Program &program, const Binding &binding, Problems &problems);

/// Fails where an element of a given input is outside of its declared interval; NaN is outside of every interval.
void checkIntervals(const Program &program, const Binding &binding, Problems &problems);

} // namespace rondo::core
