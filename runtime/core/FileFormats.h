// What the two tensor-file formats share, and their writers. The readers are in rondo/TensorFile.h.
#pragma once
#include "rondo/TensorFile.h"
#include "runtime/core/AtomicFile.h"
#include <optional>
#include <string_view>

namespace rondo::core {

/// More axes than this are nobody's tensor (NumPy's own limit).
constexpr size_t mostAxes = 64;

/// "tensor 'q', byte 123: what"; without a tensor where the name is empty.
Error fileError(std::string_view tensor, uint64_t byte, std::string_view what);

/// Bytes of a tensor; nothing where a size is negative or the product is more than memory can hold.
std::optional<size_t> checkedBytes(DType type, const std::vector<int64_t> &shape);

/// A bool that is neither 0 nor 1 would be undefined behaviour in whatever uses it.
Result<void> checkBools(std::string_view name, uint64_t byte, const Buffer &buffer);

/// Writes all elements, row-major, whatever the strides.
Result<void> writeElements(AtomicFile &file, const Tensor &tensor);

/// Both expect names and tensors that writeTensors has checked.
Result<void> writeSafetensors(AtomicFile &file, const NamedTensors &tensors);
Result<void> writeNpz(AtomicFile &file, const NamedTensors &tensors);

} // namespace rondo::core
