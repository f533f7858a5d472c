// Errors as text.
#include "rondo/Result.h"
#include <fmt/format.h>

namespace rondo {
namespace {

std::string_view nameOf(Diagnostic::Severity severity) {
  switch (severity) {
  case Diagnostic::Severity::Error:
    return "error";
  case Diagnostic::Severity::Warning:
    return "warning";
  case Diagnostic::Severity::Remark:
    return "remark";
  }
  return "error";
}

std::string placed(const SourcePlace &place, std::string_view severity, const std::string &message) {
  if (place.file.empty())
    return fmt::format("{}: {}", severity, message);
  if (place.line == 0)
    return fmt::format("{}: {}: {}", place.file, severity, message);
  return fmt::format("{}:{}:{}: {}: {}", place.file, place.line, place.column, severity, message);
}

std::string textOf(const Diagnostic &diagnostic) {
  if (!diagnostic.rendered.empty()) {
    std::string text = diagnostic.rendered;
    while (!text.empty() && text.back() == '\n')
      text.pop_back();
    return text;
  }
  std::string text = placed(diagnostic.place, nameOf(diagnostic.severity), diagnostic.message);
  for (const DiagnosticNote &note : diagnostic.notes)
    text += '\n' + placed(note.place, "note", note.message);
  return text;
}

} // namespace

Error::Error(std::string message) {
  diagnostics.emplace_back();
  diagnostics.back().message = std::move(message);
}

std::string Error::message() const {
  std::string text;
  for (const Diagnostic &diagnostic : diagnostics) {
    if (!text.empty())
      text += '\n';
    text += textOf(diagnostic);
  }
  return text.empty() ? "error: unknown error" : text;
}

} // namespace rondo
