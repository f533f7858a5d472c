// Collecting diagnostics, and showing them as text with the source line and a caret.
#include "frontend/Diagnostic.h"
#include <fmt/format.h>

namespace rondo::frontend {

Diagnostic &Diagnostic::note(std::string message, Span at) {
  notes.push_back({std::move(message), at, true});
  return *this;
}

Diagnostic &Diagnostic::note(std::string message) {
  notes.push_back({std::move(message), {}, false});
  return *this;
}

Diagnostic &Diagnostics::error(std::string slug, Span span, std::string message) {
  return add(Severity::Error, std::move(slug), span, std::move(message));
}

Diagnostic &Diagnostics::warning(std::string slug, Span span, std::string message) {
  return add(Severity::Warning, std::move(slug), span, std::move(message));
}

Diagnostic &Diagnostics::add(Severity severity, std::string slug, Span span, std::string message) {
  if (!seen.emplace(span.file, span.begin, slug).second) {
    dropped = {};
    return dropped;
  }
  if (severity == Severity::Error)
    ++errors;
  list.push_back({severity, std::move(slug), std::move(message), span, {}});
  return list.back();
}

namespace {

struct Palette {
  const char *bold = "", *error = "", *warning = "", *note = "", *off = "";
};

Palette palette(bool colour) {
  return colour ? Palette{"\033[1m", "\033[1;31m", "\033[1;35m", "\033[1;36m", "\033[0m"} : Palette{};
}

/// The source line with tabs and control bytes as single blanks, so that the caret stands where it should and a hostile
/// text cannot steer the terminal.
std::string plainLine(std::string_view line) {
  std::string result(line);
  for (char &c : result)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      c = ' ';
  return result;
}

/// Characters rather than bytes in `text`: UTF-8 continuation bytes take no room on the screen.
size_t displayWidth(std::string_view text) {
  size_t width = 0;
  for (char c : text)
    width += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return width;
}

/// `file:line:col: `, then the line and the caret below it.
void appendPlaced(std::string &out, const SourceManager &sources, Span span, std::string_view head,
                  std::string_view tail, const Palette &ink) {
  LineColumn at = sources.position(span.file, span.begin);
  out +=
      fmt::format("{}{}:{}:{}:{} {}{}\n", ink.bold, sources.name(span.file), at.line, at.column, ink.off, head, tail);
  std::string_view line = sources.line(span.file, span.begin);
  size_t begin = std::min<size_t>(at.column - 1, line.size());
  size_t end = std::min<size_t>(begin + (span.end > span.begin ? span.end - span.begin : 0), line.size());
  size_t width = std::max<size_t>(displayWidth(line.substr(begin, end - begin)), 1);
  out += fmt::format("  {}\n  {}{}^{}{}\n", plainLine(line), std::string(displayWidth(line.substr(0, begin)), ' '),
                     ink.note, std::string(width - 1, '~'), ink.off);
}

} // namespace

std::string render(const Diagnostic &diagnostic, const SourceManager &sources, bool colour) {
  Palette ink = palette(colour);
  bool isError = diagnostic.severity == Severity::Error;
  std::string head = fmt::format("{}{}:{} ", isError ? ink.error : ink.warning, isError ? "error" : "warning", ink.off);
  std::string out;
  appendPlaced(out, sources, diagnostic.span, head, fmt::format("{} [{}]", diagnostic.message, diagnostic.slug), ink);
  for (const Note &note : diagnostic.notes) {
    std::string noteHead = fmt::format("{}note:{} ", ink.note, ink.off);
    if (note.hasSpan)
      appendPlaced(out, sources, note.span, noteHead, note.message, ink);
    else
      out += noteHead + note.message + "\n";
  }
  return out;
}

} // namespace rondo::frontend
