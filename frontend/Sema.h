// Syntax tree to typed model: names and scopes, shapes by dimension name, element kinds, time. Every error that a user can make
// after parsing is reported here, with its place, its cause and its cure; frontend/errors.md has one entry per slug.
#pragma once
#include "frontend/Diagnostic.h"
#include "frontend/Typed.h"
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace rondo::frontend {

struct SemaOptions {
  /// Which model of the file; empty: the last one.
  std::string model;
  /// Finds an imported file: (path as written, name of the importing file) to (name, text); empty when there is none. Absent: every
  /// import is an error.
  std::function<std::optional<std::pair<std::string, std::string>>(const std::string &path, const std::string &from)>
      loadImport;
};

/// Checks file `file`, whose tree is `ast`. Imported files and the standard library are added to `sources`. Null when an error was
/// reported. Evaluation is bounded: nesting, inlined calls, literal sizes and values have limits whose excess is a user error.
std::unique_ptr<TypedModel> analyze(SourceManager &sources, uint32_t file, const File &ast, const SemaOptions &options,
                                    Diagnostics &diagnostics);

} // namespace rondo::frontend
