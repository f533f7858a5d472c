// The safetensors format: eight bytes of length, a JSON header, the elements. Reading follows the reference
// implementation's rules: a header of at most 100 MB, no name twice, elements without holes or overlaps up to the end
// of the file.
#include "runtime/core/FileFormats.h"
#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

namespace rondo {
namespace {

using namespace core;
using nlohmann::json;

constexpr uint64_t largestHeader = 100'000'000;
constexpr std::string_view c128Key = "rondo.c128.";

const std::pair<std::string_view, DType> typeNames[] = {
    {"F64", DType::F64}, {"F32", DType::F32}, {"BF16", DType::BF16}, {"F16", DType::F16},
    {"C64", DType::C64}, {"I64", DType::I64}, {"I32", DType::I32},   {"BOOL", DType::Bool}};

struct Entry {
  std::string name, type;
  std::vector<uint64_t> shape, offsets;
  std::set<std::string> fields; // those seen
};

/// The header as events, so that memory stays in proportion to the file and a name that comes twice is noticed.
class HeaderReader final : public nlohmann::json_sax<json> {
public:
  std::vector<Entry> entries;
  std::set<std::string> c128;
  std::string problem; // empty while all is well
  uint64_t problemByte = 0;

  bool key(string_t &name) override {
    if (depth == 1) {
      if (!names.insert(name).second)
        return fail(fmt::format("the name '{}' comes twice", name));
      inMetadata = name == "__metadata__";
      if (!inMetadata)
        entries.push_back({name, {}, {}, {}, {}});
      return true;
    }
    field = name;
    if (inMetadata) {
      if (std::string_view(name).substr(0, c128Key.size()) == c128Key)
        c128.insert(name.substr(c128Key.size()));
      return true;
    }
    if (field != "dtype" && field != "shape" && field != "data_offsets")
      return fail(fmt::format("unknown field '{}' of tensor '{}'", field, entries.back().name));
    return entries.back().fields.insert(field).second ||
           fail(fmt::format("'{}' comes twice in tensor '{}'", field, entries.back().name));
  }
  bool string(string_t &text) override {
    if (depth == 2 && inMetadata)
      return true;
    if (depth != 2 || field != "dtype" || inArray)
      return unexpected("a string");
    entries.back().type = text;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (!inArray)
      return unexpected("a number");
    std::vector<uint64_t> &list = field == "shape" ? entries.back().shape : entries.back().offsets;
    list.push_back(value);
    return list.size() <= mostAxes || unexpected("so many numbers");
  }
  bool start_object(size_t) override {
    if (depth == 2 || inArray)
      return unexpected("an object");
    ++depth;
    return true;
  }
  bool end_object() override {
    --depth;
    return true;
  }
  bool start_array(size_t) override {
    if (depth != 2 || inMetadata || field == "dtype" || inArray)
      return unexpected("a list");
    return inArray = true;
  }
  bool end_array() override {
    inArray = false;
    return true;
  }
  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a truth value"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t &) override { return unexpected("a fraction"); }
  bool binary(binary_t &) override { return unexpected("bytes"); }
  bool parse_error(size_t position, const std::string &, const nlohmann::detail::exception &) override {
    problemByte = 8 + position;
    return fail("the header is not JSON");
  }

private:
  bool fail(std::string what) {
    problem = std::move(what);
    return false;
  }
  bool unexpected(const char *what) {
    const bool inTensor = depth >= 1 && !inMetadata && !entries.empty();
    return fail(fmt::format("the header has {} where none belongs{}", what,
                            inTensor ? " in tensor '" + entries.back().name + "'" : ""));
  }

  std::set<std::string> names;
  std::string field;
  int depth = 0;
  bool inMetadata = false, inArray = false;
};

/// A header entry, checked, with its bytes.
struct Extent {
  DType type = DType::F32;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;
};

Result<Extent> check(const Entry &entry, bool c128, uint64_t dataStart, uint64_t dataSize) {
  const auto bad = [&](std::string_view what) { return fileError(entry.name, dataStart, what); };
  if (entry.fields.size() != 3 || entry.offsets.size() != 2)
    return bad("expected the fields dtype, shape and data_offsets (two numbers)");
  Extent extent{DType::F32, {}, entry.offsets[0], entry.offsets[1]};
  const auto *row =
      std::find_if(std::begin(typeNames), std::end(typeNames), [&](const auto &r) { return r.first == entry.type; });
  if (row == std::end(typeNames))
    return bad(fmt::format("elements of type {} are not supported; F64 F32 BF16 F16 C64 I64 I32 BOOL are", entry.type));
  extent.type = row->second;
  for (uint64_t size : entry.shape) {
    if (size > uint64_t(INT64_MAX))
      return bad("a size of the shape is too large");
    extent.shape.push_back(int64_t(size));
  }
  if (c128) {
    if (extent.type != DType::F64 || extent.shape.empty() || extent.shape.back() != 2)
      return bad("marked as c128, but not F64 with a last axis of 2");
    extent.type = DType::C128;
    extent.shape.pop_back();
  }
  if (extent.begin > extent.end || extent.end > dataSize)
    return bad(fmt::format("data_offsets [{}, {}] are not inside of the file's {} bytes of elements", extent.begin,
                           extent.end, dataSize));
  const std::optional<size_t> bytes = checkedBytes(extent.type, extent.shape);
  if (!bytes || *bytes != extent.end - extent.begin)
    return fileError(entry.name, dataStart + extent.begin,
                     fmt::format("[{}] of type {} does not take the {} bytes that data_offsets give",
                                 fmt::join(entry.shape, ", "), entry.type, extent.end - extent.begin));
  return extent;
}

/// Every byte of the elements belongs to exactly one tensor.
Result<void> checkCover(const std::vector<Entry> &entries, const std::vector<Extent> &extents, uint64_t dataStart,
                        uint64_t dataSize) {
  std::vector<size_t> order(extents.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(extents[a].begin, extents[a].end) < std::pair(extents[b].begin, extents[b].end);
  });
  uint64_t next = 0;
  for (size_t i : order) {
    if (extents[i].begin != next)
      return fileError(entries[i].name, dataStart + extents[i].begin,
                       extents[i].begin < next ? "overlaps another tensor" : "there is a hole before it");
    next = extents[i].end;
  }
  if (next != dataSize)
    return fileError("", dataStart + next, fmt::format("{} bytes belong to no tensor", dataSize - next));
  return {};
}

Result<Buffer> load(const Entry &entry, const Extent &extent, std::span<const std::byte> bytes, uint64_t dataStart) {
  Buffer buffer(extent.type, extent.shape);
  if (!buffer.data())
    return fileError(entry.name, dataStart + extent.begin, "out of memory");
  if (extent.end > extent.begin)
    std::memcpy(buffer.data(), bytes.data() + dataStart + extent.begin, extent.end - extent.begin);
  if (Result<void> fine = checkBools(entry.name, dataStart + extent.begin, buffer); !fine)
    return fine.error();
  return buffer;
}

std::string_view fileType(DType type) {
  if (type == DType::C128)
    type = DType::F64;
  return std::find_if(std::begin(typeNames), std::end(typeNames), [&](const auto &row) { return row.second == type; })
      ->first;
}

/// Order of the elements in the file: wide types first, so that all of them are aligned to their size in a mapped file.
std::vector<size_t> dataOrder(const NamedTensors &tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const size_t sizeA = sizeOf(tensors[a].second.type), sizeB = sizeOf(tensors[b].second.type);
    return sizeA != sizeB ? sizeA > sizeB : a < b;
  });
  return order;
}

std::string headerOf(const NamedTensors &tensors, const std::vector<size_t> &order) {
  std::vector<uint64_t> begins(tensors.size());
  uint64_t next = 0;
  for (size_t i : order) {
    begins[i] = next;
    next += *checkedBytes(tensors[i].second.type, tensors[i].second.shape);
  }
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  for (const auto &[name, tensor] : tensors)
    if (tensor.type == DType::C128)
      header["__metadata__"][std::string(c128Key) + name] = "1";
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto &[name, tensor] = tensors[i];
    std::vector<int64_t> shape = tensor.shape;
    if (tensor.type == DType::C128)
      shape.push_back(2);
    header[name] = {{"dtype", fileType(tensor.type)},
                    {"shape", shape},
                    {"data_offsets", {begins[i], begins[i] + *checkedBytes(tensor.type, tensor.shape)}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

} // namespace

Result<NamedBuffers> readSafetensors(std::span<const std::byte> bytes) {
  if (bytes.size() < 8)
    return fileError("", 0, "expected a safetensors or .npz file");
  uint64_t headerSize;
  std::memcpy(&headerSize, bytes.data(), 8);
  if (headerSize > largestHeader || headerSize > bytes.size() - 8 || headerSize < 2 || bytes[8] != std::byte('{'))
    return fileError("", 0, "expected a safetensors or .npz file; this is neither, or cut off");
  HeaderReader header;
  const char *text = reinterpret_cast<const char *>(bytes.data()) + 8;
  if (!json::sax_parse(text, text + headerSize, &header) || !header.problem.empty())
    return fileError("", header.problemByte ? header.problemByte : 8,
                     header.problem.empty() ? "the header is not JSON" : header.problem);
  const uint64_t dataStart = 8 + headerSize, dataSize = bytes.size() - dataStart;
  std::vector<Extent> extents;
  for (const Entry &entry : header.entries) {
    Result<Extent> extent = check(entry, header.c128.count(entry.name) > 0, dataStart, dataSize);
    if (!extent)
      return extent.error();
    extents.push_back(std::move(*extent));
  }
  if (Result<void> covered = checkCover(header.entries, extents, dataStart, dataSize); !covered)
    return covered.error();
  NamedBuffers tensors;
  for (size_t i = 0; i < extents.size(); ++i) {
    Result<Buffer> buffer = load(header.entries[i], extents[i], bytes, dataStart);
    if (!buffer)
      return buffer.error();
    tensors.emplace_back(header.entries[i].name, std::move(*buffer));
  }
  return tensors;
}

Result<void> core::writeSafetensors(AtomicFile &file, const NamedTensors &tensors) {
  const std::vector<size_t> order = dataOrder(tensors);
  const std::string header = headerOf(tensors, order);
  const uint64_t size = header.size();
  if (size > largestHeader)
    return Error(fmt::format("a header of {} bytes is more than safetensors allows", size));
  if (Result<void> written = file.write(&size, 8); !written)
    return written;
  if (Result<void> written = file.write(header.data(), header.size()); !written)
    return written;
  for (size_t i : order)
    if (Result<void> written = writeElements(file, tensors[i].second); !written)
      return written;
  return {};
}

} // namespace rondo
