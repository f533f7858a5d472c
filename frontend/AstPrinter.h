// Writes a syntax tree back as text. The text parses to an equal tree, and printing that tree gives the same text.
#pragma once
#include "frontend/Ast.h"
#include <string>

namespace rondo::frontend {
std::string print(const File &file);
std::string print(const Expr &expr);
} // namespace rondo::frontend
