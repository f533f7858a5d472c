// Named tensors in files: safetensors and NumPy's .npz. What the command line reads and writes; embedding programs may
// too.
//
//   element   safetensors                        .npz
//   f64 f32   F64 F32                            <f8 <f4
//   f16 bf16  F16 BF16                           <f2 <V2
//   c64       C64 (safetensors 0.6 and newer)    <c8
//   c128      F64 with a last axis of 2          <c16
//   i64 i32   I64 I32                            <i8 <i4
//   bool      BOOL                               |b1
//
// NumPy has no bfloat16; <V2 is what ml_dtypes writes for it, and what we take it for.
// safetensors has no C128: such a tensor is written as pairs (real, imaginary) of F64, and the file's __metadata__
// holds "rondo.c128.NAME": "1", by which reading turns it back.
#pragma once
#include "rondo/Kernel.h"
#include "rondo/Result.h"
#include <cstddef>
#include <span>
#include <string>

namespace rondo {

/// Reads every tensor of a file, in the file's order. Which format it is, its first bytes say. Errors name the file,
/// the tensor and the byte; a file that is not exactly one of the formats is refused, so that nothing is read past its
/// end or beyond its size.
Result<NamedBuffers> readTensors(const std::string &path);

/// Writes a file by its extension, .safetensors or .npz. It appears whole or not at all: it is written beside `path`,
/// synced, and renamed over it; a file that was there keeps its permissions, and its content when writing fails. Views
/// may have any strides.
Result<void> writeTensors(const std::string &path, const NamedTensors &tensors);

/// The readers on bytes in memory.
Result<NamedBuffers> readSafetensors(std::span<const std::byte> bytes);
Result<NamedBuffers> readNpz(std::span<const std::byte> bytes);

} // namespace rondo
