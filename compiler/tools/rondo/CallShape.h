// The sizes that a call decides (batch, time, heads, groups) and the shapes of a program's tensors under them.
#pragma once
#include "rondo/Program.h"
#include <cstdint>
#include <string>
#include <vector>

namespace rondo::tool {

/// Sizes of the axes that no spec fixes. `time1` is the second axis of a scan over two; `sequences` are packed ones.
struct CallShape {
  int64_t batch = 1, time = 1, time1 = 1, heads = 1, groups = 1, sequences = 4;
};

bool isGiven(TensorKind kind);    // Input, Param, Init, Resets or Offsets
bool isComputed(TensorKind kind); // Output or Final

/// Outputs and final states, in the order in which Kernel::run gives them.
std::vector<const TensorSpec *> computedTensors(const Program &program);

/// Whether a tensor of this kind is among them.
bool hasKind(const std::vector<TensorSpec> &tensors, TensorKind kind);

/// Whether some tensor has this axis with a size that the call decides.
bool asksFor(const std::vector<TensorSpec> &tensors, Axis axis);

/// `shape` as these tensors can have it. The number of groups divides that of the heads (or of those that the model fixes): it is their
/// largest proper divisor, so that the mapping from heads to groups is exercised wherever it can be. Packed sequences are one batch
/// entry.
CallShape fitted(const std::vector<TensorSpec> &tensors, CallShape shape);

/// The shape of a tensor, every axis present.
std::vector<int64_t> shapeOf(const TensorSpec &spec, const CallShape &shape);

/// "B=3 T=17 H=1", with the axes that the tensors have.
std::string describe(const std::vector<TensorSpec> &tensors, const CallShape &shape);

/// "[B, T, H, K=64]".
std::string describe(const TensorSpec &spec);

/// How the elements of a tensor fall into blocks, one per batch entry (or packed sequence, in what has no time) and head:
/// verification measures errors block by block, so that a large head cannot hide a wrong small one. A tensor without these axes is one block.
struct Blocks {
  int64_t batch = 1, heads = 1;
  int64_t batchStride = 0, headStride = 0; // in elements of the row-major tensor
  int64_t count() const { return batch * heads; }
  int64_t of(int64_t element) const {
    const int64_t b = batch > 1 ? element / batchStride % batch : 0;
    const int64_t h = heads > 1 ? element / headStride % heads : 0;
    return b * heads + h;
  }
};

/// `shape` is the tensor's own shape; the head axis may be absent from it.
Blocks blocksOf(const TensorSpec &spec, const std::vector<int64_t> &shape);

} // namespace rondo::tool
