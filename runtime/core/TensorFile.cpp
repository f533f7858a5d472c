// Tensor files by path: which format, what may be written, and the path in every error.
#include "rondo/TensorFile.h"
#include "runtime/core/FileFormats.h"
#include "runtime/core/Strided.h"
#include <algorithm>
#include <bit>
#include <fmt/format.h>
#include <new>
#include <nlohmann/json.hpp>
#include <set>

static_assert(std::endian::native == std::endian::little,
              "both formats are little-endian, and elements are copied as they are");

namespace rondo {
namespace core {

Error fileError(std::string_view tensor, uint64_t byte, std::string_view what) {
  Error error(tensor.empty() ? fmt::format("byte {}: {}", byte, what)
                             : fmt::format("tensor '{}', byte {}: {}", tensor, byte, what));
  error.diagnostics.front().slug = "tensor-file";
  return error;
}

std::optional<size_t> checkedBytes(DType type, const std::vector<int64_t> &shape) {
  if (std::any_of(shape.begin(), shape.end(), [](int64_t size) { return size < 0; }))
    return std::nullopt;
  const int64_t count = Tensor{nullptr, type, shape, {}}.elements();
  if (count > PTRDIFF_MAX / int64_t(sizeOf(type)))
    return std::nullopt;
  return size_t(count) * sizeOf(type);
}

Result<void> checkBools(std::string_view name, uint64_t byte, const Buffer &buffer) {
  const uint8_t *values = buffer.as<uint8_t>();
  for (size_t i = 0; buffer.type() == DType::Bool && i < buffer.bytes(); ++i)
    if (values[i] > 1)
      return fileError(name, byte + i, fmt::format("a bool is {}, neither 0 nor 1", values[i]));
  return {};
}

Result<void> writeElements(AtomicFile &file, const Tensor &tensor) {
  const size_t bytes = checkedBytes(tensor.type, tensor.shape).value_or(0); // checkWritable has seen the shape
  if (tensor.contiguous())
    return file.write(tensor.data, bytes);
  const Buffer copy(tensor.type, tensor.shape);
  if (!copy.data())
    return Error(fmt::format("out of memory for a contiguous copy of {} bytes", bytes));
  copyElements(tensor, copy.view());
  return file.write(copy.data(), bytes);
}

} // namespace core

namespace {

using namespace core;

bool endsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

Error at(const std::string &path, Error error) {
  for (Diagnostic &diagnostic : error.diagnostics)
    if (diagnostic.place.file.empty())
      diagnostic.place.file = path;
  return error;
}

bool isUtf8(const std::string &text) {
  try {
    (void)nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::exception &) {
    return false;
  }
}

/// What is wrong with a name or a tensor that shall be written; empty where nothing is.
std::string objectionTo(const std::string &name, const Tensor &tensor) {
  if (name.empty() || name == "__metadata__" || name.find('\0') != std::string::npos || name.size() > 60000)
    return "this is not a name that a file can hold";
  if (!isUtf8(name))
    return "the name is not UTF-8";
  if (tensor.shape.size() > mostAxes)
    return fmt::format("{} axes are more than {}", tensor.shape.size(), mostAxes);
  if (!checkedBytes(tensor.type, tensor.shape))
    return fmt::format("[{}] is not a shape that memory can hold", fmt::join(tensor.shape, ", "));
  if (!tensor.strides.empty() && tensor.strides.size() != tensor.shape.size())
    return fmt::format("{} strides for {} axes", tensor.strides.size(), tensor.shape.size());
  if (!tensor.data && tensor.elements() > 0)
    return "data is null";
  return "";
}

Result<void> checkWritable(const NamedTensors &tensors) {
  std::set<std::string_view> names;
  for (const auto &[name, tensor] : tensors) {
    std::string objection = objectionTo(name, tensor);
    if (objection.empty() && !names.insert(name).second)
      objection = "there is another one of this name";
    if (!objection.empty())
      return Error(fmt::format("tensor '{}': {}", name, objection));
  }
  return {};
}

Result<void> write(const std::string &path, const NamedTensors &tensors) {
  const bool npz = endsWith(path, ".npz");
  if (!npz && !endsWith(path, ".safetensors"))
    return Error("expected a name that ends in .safetensors or .npz");
  if (Result<void> checked = checkWritable(tensors); !checked)
    return checked;
  AtomicFile file;
  if (Result<void> opened = file.open(path); !opened)
    return opened;
  if (Result<void> written = npz ? writeNpz(file, tensors) : writeSafetensors(file, tensors); !written)
    return written;
  return file.commit();
}

Result<NamedBuffers> read(const std::string &path) {
  const Result<std::string> content = readWholeFile(path);
  if (!content)
    return content.error();
  const std::span<const std::byte> bytes = std::as_bytes(std::span(content->data(), content->size()));
  const std::string_view start = std::string_view(*content).substr(0, 6);
  if (start.substr(0, 4) == "PK\x03\x04" || start.substr(0, 4) == "PK\x05\x06")
    return readNpz(bytes);
  if (start == "\x93NUMPY")
    return Error("this is a .npy file, one array without a name; save it with numpy.savez under the tensor's name");
  return readSafetensors(bytes);
}

} // namespace

Result<NamedBuffers> readTensors(const std::string &path) try {
  Result<NamedBuffers> tensors = read(path);
  if (!tensors)
    return at(path, tensors.error());
  return tensors;
} catch (const std::bad_alloc &) {
  return at(path, Error("out of memory"));
}

Result<void> writeTensors(const std::string &path, const NamedTensors &tensors) try {
  if (Result<void> written = write(path, tensors); !written)
    return at(path, written.error());
  return {};
} catch (const std::bad_alloc &) {
  return at(path, Error("out of memory"));
}

} // namespace rondo
