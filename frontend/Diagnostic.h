// Errors as data. Every user error carries a slug, which names its entry in frontend/errors.md, a place, and notes for
// the cause and the cure.
#pragma once
#include "frontend/Source.h"
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace rondo::frontend {

enum class Severity { Error, Warning };

/// `span` is meaningful only when `hasSpan`; a note without a place carries general advice.
struct Note {
  std::string message;
  Span span;
  bool hasSpan = false;
};

struct Diagnostic {
  Severity severity = Severity::Error;
  std::string slug;
  std::string message;
  Span span;
  std::vector<Note> notes;

  /// Chainable: adds a note at a place, or a general one.
  Diagnostic &note(std::string message, Span at);
  Diagnostic &note(std::string message);
};

/// Collects diagnostics; one mistake is reported once per place and slug.
class Diagnostics {
public:
  Diagnostic &error(std::string slug, Span span, std::string message);
  Diagnostic &warning(std::string slug, Span span, std::string message);
  bool hasErrors() const { return errors > 0; }
  size_t errorCount() const { return errors; }
  const std::vector<Diagnostic> &all() const { return list; }

private:
  Diagnostic &add(Severity severity, std::string slug, Span span, std::string message);
  std::vector<Diagnostic> list;
  std::set<std::tuple<uint32_t, uint32_t, std::string>> seen; // file, begin, slug
  Diagnostic dropped;                                         // takes the notes of what was reported before
  size_t errors = 0;
};

/// `file:line:col: error: message [slug]`, the source line, a caret line, then the notes. `colour` adds ANSI codes.
std::string render(const Diagnostic &diagnostic, const SourceManager &sources, bool colour);

} // namespace rondo::frontend
