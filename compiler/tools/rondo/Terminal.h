// What goes to the terminal: diagnostics, colour, progress. Colour and progress appear only on terminals; NO_COLOR and TERM=dumb are
// respected.
#pragma once
#include "rondo/Result.h"
#include <string>
#include <string_view>
#include <vector>

namespace rondo::tool {

enum class Colour { Plain, Bold, Red, Green, Yellow, Cyan, Dim };

bool colourOnStdout();
bool colourOnStderr();

/// `text` in a colour, where stdout shows colours.
std::string paint(Colour colour, std::string_view text);

/// Prints every diagnostic to stderr. Returns 1, the exit status of a user's error.
int fail(const Error &error);
int fail(const std::string &message);

/// Prints warnings and remarks to stderr.
void warn(const std::vector<Diagnostic> &diagnostics);

/// The same error with "'path': " before every message that has no place of its own.
Error inFile(const std::string &path, Error error);

/// The same error with a note at its end.
Error withNote(Error error, const std::string &note);

/// One line on stderr that is rewritten as work goes on and gone at the end.
class Progress {
public:
  Progress();
  ~Progress();
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;
  void show(const std::string &text);
  /// Removes the line, so that something else can be printed.
  void clear();

private:
  bool active;
  bool shown = false;
};

} // namespace rondo::tool
