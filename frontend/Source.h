// Source texts and places in them. A place is a byte range in one file, small enough to sit in every token and node;
// line and column are worked out only when a diagnostic is shown.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rondo::frontend {

/// A half-open byte range [begin, end) of file `file` in a SourceManager.
struct Span {
  uint32_t file = 0;
  uint32_t begin = 0;
  uint32_t end = 0;
  /// The smallest span that covers both; both lie in one file.
  static Span cover(Span a, Span b);
};

/// A 1-based line and column. Columns count bytes.
struct LineColumn {
  uint32_t line = 1;
  uint32_t column = 1;
};

/// Owns the texts of one compilation, the main file and what it imports.
class SourceManager {
public:
  /// Adds a text and returns its file number. `name` is what diagnostics print.
  uint32_t add(std::string name, std::string text);
  std::string_view text(uint32_t file) const;
  std::string_view text(Span span) const;
  const std::string &name(uint32_t file) const;
  LineColumn position(uint32_t file, uint32_t offset) const;
  /// The whole source line that holds `offset`, without its line break.
  std::string_view line(uint32_t file, uint32_t offset) const;
  size_t size() const { return files.size(); }

private:
  struct File {
    std::string name;
    std::string text;
    std::vector<uint32_t> lineStarts;
  };
  std::vector<File> files;
};

} // namespace rondo::frontend
