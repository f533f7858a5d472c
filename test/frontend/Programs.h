// The programs that the language must accept, one per model, shared by the parser's and the printer's tests.
#pragma once
#include <string>
#include <vector>

namespace rondo::frontend::test {
struct Program {
  std::string name;
  std::string text;
};

/// Every *.rondo file of test/frontend/programs and of frontend/library, and the examples of frontend/README.md.
std::vector<Program> allPrograms();
} // namespace rondo::frontend::test
