// Texts, and byte offsets turned into lines and columns by binary search in a table of line starts.
#include "frontend/Source.h"
#include <algorithm>

namespace rondo::frontend {

Span Span::cover(Span a, Span b) { return {a.file, std::min(a.begin, b.begin), std::max(a.end, b.end)}; }

uint32_t SourceManager::add(std::string name, std::string text) {
  File file{std::move(name), std::move(text), {0}};
  // A lone carriage return is no line break: editors count lines by '\n' or "\r\n".
  for (size_t i = 0; i < file.text.size(); ++i)
    if (file.text[i] == '\n')
      file.lineStarts.push_back(uint32_t(i + 1));
  files.push_back(std::move(file));
  return uint32_t(files.size() - 1);
}

std::string_view SourceManager::text(uint32_t file) const {
  return file < files.size() ? std::string_view(files[file].text) : std::string_view();
}

std::string_view SourceManager::text(Span span) const {
  std::string_view all = text(span.file);
  size_t begin = std::min<size_t>(span.begin, all.size());
  size_t end = std::clamp<size_t>(span.end, begin, all.size());
  return all.substr(begin, end - begin);
}

const std::string &SourceManager::name(uint32_t file) const {
  static const std::string unknown = "<unknown>";
  return file < files.size() ? files[file].name : unknown;
}

LineColumn SourceManager::position(uint32_t file, uint32_t offset) const {
  if (file >= files.size())
    return {};
  const auto &starts = files[file].lineStarts;
  auto after = std::upper_bound(starts.begin(), starts.end(), offset);
  return {uint32_t(after - starts.begin()), offset - *(after - 1) + 1};
}

std::string_view SourceManager::line(uint32_t file, uint32_t offset) const {
  if (file >= files.size())
    return {};
  std::string_view all = files[file].text;
  LineColumn at = position(file, offset);
  size_t begin = files[file].lineStarts[at.line - 1];
  size_t end = std::min(all.find('\n', begin), all.size());
  if (end > begin && all[end - 1] == '\r')
    --end;
  return all.substr(begin, end - begin);
}

} // namespace rondo::frontend
