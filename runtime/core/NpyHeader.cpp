// The header of a .npy array: a Python dictionary of three entries, of which we parse what NumPy writes and nothing
// more.
#include "runtime/core/NpyHeader.h"
#include "runtime/core/FileFormats.h"
#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace rondo::core {
namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr size_t largestHeader = 1 << 16;

struct TypeRow {
  std::string_view descr;
  DType type;
};
// The first row of a type is the one that is written.
constexpr TypeRow typeRows[] = {{"<f8", DType::F64},  {"<f4", DType::F32},      {"<V2", DType::BF16},
                                {"<f2", DType::F16},  {"<c16", DType::C128},    {"<c8", DType::C64},
                                {"<i8", DType::I64},  {"<i4", DType::I32},      {"|b1", DType::Bool},
                                {"|V2", DType::BF16}, {"bfloat16", DType::BF16}};

/// Reads tokens of a Python literal. Each function leaves the place as it was where it does not find what it looks for.
class Literal {
public:
  explicit Literal(std::string_view text) : rest(text) {}

  bool take(char wanted) {
    skipSpace();
    if (rest.empty() || rest.front() != wanted)
      return false;
    rest.remove_prefix(1);
    return true;
  }
  bool takeWord(std::string_view word) {
    skipSpace();
    if (rest.substr(0, word.size()) != word)
      return false;
    rest.remove_prefix(word.size());
    return true;
  }
  bool takeString(std::string_view &text) {
    skipSpace();
    if (rest.empty() || (rest.front() != '\'' && rest.front() != '"'))
      return false;
    const size_t end = rest.find(rest.front(), 1);
    if (end == std::string_view::npos)
      return false;
    text = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    return text.find('\\') == std::string_view::npos;
  }
  bool takeSize(int64_t &size) {
    skipSpace();
    const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
    if (code != std::errc() || size < 0)
      return false;
    rest.remove_prefix(size_t(end - rest.data()));
    take('L'); // Python 2 wrote long integers so
    return true;
  }
  bool atEnd() {
    skipSpace();
    return rest.empty();
  }

private:
  void skipSpace() {
    while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\n'))
      rest.remove_prefix(1);
  }
  std::string_view rest;
};

bool takeShape(Literal &literal, std::vector<int64_t> &shape) {
  if (!literal.take('('))
    return false;
  shape.clear();
  bool comma = true;
  while (!literal.take(')')) {
    int64_t size = 0;
    if (!comma || !literal.takeSize(size) || shape.size() == mostAxes)
      return false;
    shape.push_back(size);
    comma = literal.take(',');
  }
  return shape.size() != 1 || comma; // (3) is not a tuple
}

Result<DType> typeOf(std::string_view descr) {
  for (const TypeRow &row : typeRows)
    if (row.descr == descr)
      return row.type;
  if (!descr.empty() && descr.front() == '>')
    return Error(fmt::format("elements of type '{}' are big-endian; only little-endian arrays are read", descr));
  return Error(
      fmt::format("elements of type '{}' are not supported; <f8 <f4 <f2 <V2 (bf16) <c16 <c8 <i8 <i4 |b1 are", descr));
}

} // namespace

Result<void> parseNpyPreamble(std::string_view bytes, size_t &start, size_t &length) {
  if (bytes.size() < npyPreamble || bytes.substr(0, magic.size()) != magic)
    return Error("expected a .npy array");
  const auto byte = [&](size_t i) { return size_t(uint8_t(bytes[i])); };
  const size_t major = byte(6);
  if (major < 1 || major > 3 || byte(7) != 0)
    return Error(fmt::format("version {}.{} of the .npy format is not known", major, byte(7)));
  start = major == 1 ? 10 : 12;
  length = byte(8) | byte(9) << 8;
  if (major > 1)
    length |= byte(10) << 16 | byte(11) << 24;
  if (length > largestHeader)
    return Error(fmt::format("a .npy header of {} bytes is longer than {}", length, largestHeader));
  return {};
}

Result<NpyHeader> parseNpyHeader(std::string_view text) {
  const Error malformed(
      "the .npy header is not {'descr': …, 'fortran_order': …, 'shape': …} with a simple element type");
  Literal literal(text);
  NpyHeader header;
  std::string_view key, descr;
  bool seen[3] = {};
  bool comma = literal.take('{');
  while (!literal.take('}')) {
    if (!comma || !literal.takeString(key) || !literal.take(':'))
      return malformed;
    const int which = key == "descr" ? 0 : key == "fortran_order" ? 1 : key == "shape" ? 2 : -1;
    if (which < 0 || std::exchange(seen[which], true))
      return malformed;
    bool fine = false;
    if (which == 0)
      fine = literal.takeString(descr);
    else if (which == 1)
      fine = (header.fortranOrder = literal.takeWord("True")) || literal.takeWord("False");
    else
      fine = takeShape(literal, header.shape);
    if (!fine)
      return malformed;
    comma = literal.take(',');
  }
  if (!literal.atEnd() || !(seen[0] && seen[1] && seen[2]))
    return malformed;
  Result<DType> type = typeOf(descr);
  if (!type)
    return type.error();
  header.type = *type;
  return header;
}

std::string formatNpyHeader(DType type, const std::vector<int64_t> &shape) {
  const auto *row =
      std::find_if(std::begin(typeRows), std::end(typeRows), [&](const TypeRow &r) { return r.type == type; });
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", row->descr,
                                 fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  const size_t total = (10 + text.size() + 1 + 63) / 64 * 64;
  text.resize(total - 11, ' ');
  const size_t length = total - 10;
  std::string bytes(magic);
  bytes += {'\x01', '\x00', char(length & 255), char(length >> 8)};
  return bytes + text + '\n';
}

} // namespace rondo::core
