// How far results are from the reference: per tensor, batch entry and head.
#pragma once
#include "compiler/tools/rondo/CallShape.h"
#include "rondo/Kernel.h"
#include <string>
#include <vector>

namespace rondo::tool {

/// One batch entry and head of one tensor. A difference is counted beyond the one rounding that storing in f16 or bf16 needs:
/// max(0, |x - ref| - u |ref|), so that the bound on the computation itself applies to every element type.
struct BlockDifference {
  double error = 0;   // ||x - ref||_2
  double norm = 0;    // ||ref||_2
  double largest = 0; // max |x - ref|
  int64_t count = 0;
};

struct TensorDifference {
  std::string name;
  Blocks blocks;
  std::vector<BlockDifference> parts;
  double rms = 0; // of the whole reference tensor

  /// What errors of a block are relative to: its own norm, and where the reference has (next to) nothing in it, below 1e-30, that of
  /// an average block. Zero when the whole tensor is zero.
  double scale(size_t block) const;
  /// ||x - ref||_2 / scale; 0 / 0 is 0.
  double relative(size_t block) const;
  /// max |x - ref| / RMS of the reference's block; 0 / 0 is 0.
  double relativeMax(size_t block) const;
};

/// Compares what `program` computed with what the reference did, both in the program's order and in any element types. NaN where the
/// reference has none is an infinite error, so is a wrong shape; infinities that agree are no error.
std::vector<TensorDifference> compare(const Program &program, const NamedBuffers &results,
                                      const NamedBuffers &reference);

} // namespace rondo::tool
