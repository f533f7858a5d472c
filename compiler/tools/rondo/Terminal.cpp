// Terminal output.
#include "compiler/tools/rondo/Terminal.h"
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <unistd.h>

namespace rondo::tool {
namespace {

bool isTerminal(int descriptor) {
  const char *term = std::getenv("TERM");
  return isatty(descriptor) && term && std::string_view(term) != "dumb";
}

bool wantsColour(int descriptor) {
  const char *noColour = std::getenv("NO_COLOR");
  return isTerminal(descriptor) && !(noColour && *noColour);
}

const char *codeOf(Colour colour) {
  switch (colour) {
  case Colour::Bold:
    return "\033[1m";
  case Colour::Red:
    return "\033[1;31m";
  case Colour::Green:
    return "\033[32m";
  case Colour::Yellow:
    return "\033[1;33m";
  case Colour::Cyan:
    return "\033[36m";
  case Colour::Dim:
    return "\033[2m";
  case Colour::Plain:
    break;
  }
  return "";
}

std::string painted(bool colours, Colour colour, std::string_view text) {
  if (!colours || colour == Colour::Plain)
    return std::string(text);
  return fmt::format("{}{}\033[0m", codeOf(colour), text);
}

void print(const Diagnostic &diagnostic) {
  if (!diagnostic.rendered.empty()) {
    const bool ends = diagnostic.rendered.back() == '\n';
    fmt::print(stderr, "{}{}", diagnostic.rendered, ends ? "" : "\n");
    return;
  }
  constexpr const char *names[] = {"error", "warning", "remark"};
  constexpr Colour colours[] = {Colour::Red, Colour::Yellow, Colour::Cyan};
  const auto kind = size_t(diagnostic.severity);
  const SourcePlace &at = diagnostic.place;
  const std::string place = at.line ? fmt::format("{}:{}:{}: ", at.file, at.line, at.column) : "";
  fmt::print(stderr, "{}{}: {}\n", place, painted(colourOnStderr(), colours[kind], names[kind]), diagnostic.message);
  for (const DiagnosticNote &note : diagnostic.notes)
    fmt::print(stderr, "  {}: {}\n", painted(colourOnStderr(), Colour::Cyan, "note"), note.message);
}

} // namespace

bool colourOnStdout() {
  static const bool answer = wantsColour(STDOUT_FILENO);
  return answer;
}

bool colourOnStderr() {
  static const bool answer = wantsColour(STDERR_FILENO);
  return answer;
}

std::string paint(Colour colour, std::string_view text) { return painted(colourOnStdout(), colour, text); }

int fail(const Error &error) {
  std::fflush(stdout);
  for (const Diagnostic &diagnostic : error.diagnostics)
    print(diagnostic);
  return 1;
}

int fail(const std::string &message) { return fail(Error(message)); }

void warn(const std::vector<Diagnostic> &diagnostics) {
  std::fflush(stdout);
  for (const Diagnostic &diagnostic : diagnostics)
    print(diagnostic);
}

Error inFile(const std::string &path, Error error) {
  for (Diagnostic &diagnostic : error.diagnostics)
    if (diagnostic.place.line == 0 && diagnostic.message.find(path) == std::string::npos) {
      diagnostic.message = fmt::format("'{}': {}", path, diagnostic.message);
      diagnostic.rendered.clear();
    }
  return error;
}

Error withNote(Error error, const std::string &note) {
  if (error.diagnostics.empty())
    return error;
  Diagnostic &last = error.diagnostics.back();
  if (!last.rendered.empty())
    last.rendered += fmt::format("{}  note: {}\n", last.rendered.back() == '\n' ? "" : "\n", note);
  last.notes.push_back({note, {}});
  return error;
}

Progress::Progress() : active(isTerminal(STDERR_FILENO)) {}
Progress::~Progress() { clear(); }

void Progress::show(const std::string &text) {
  if (!active)
    return;
  std::fflush(stdout);
  fmt::print(stderr, "\r\033[K{}", text);
  std::fflush(stderr);
  shown = true;
}

void Progress::clear() {
  if (!shown)
    return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  shown = false;
}

} // namespace rondo::tool
