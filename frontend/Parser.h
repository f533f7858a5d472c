// Text to syntax tree. Syntax only: names, shapes and types are Sema's. After an error the parser goes on at the next
// equation or declaration, so that one run reports several mistakes.
#pragma once
#include "frontend/Ast.h"
#include "frontend/Diagnostic.h"

namespace rondo::frontend {
/// Parses file `file` of `sources`. The tree holds every item that could be read, also when errors were reported.
File parse(const SourceManager &sources, uint32_t file, Diagnostics &diagnostics);
} // namespace rondo::frontend
