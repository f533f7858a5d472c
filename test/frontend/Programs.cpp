#include "test/frontend/Programs.h"
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace rondo::frontend::test {

static std::string read(const std::filesystem::path &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

static void addReadmeExamples(std::vector<Program> &programs) {
  const std::string page = read(std::string(RONDO_SOURCE_DIR) + "/frontend/README.md"), fence = "```rondo\n";
  for (size_t at = page.find(fence); at != std::string::npos; at = page.find(fence, at)) {
    size_t begin = at + fence.size();
    at = page.find("```", begin);
    programs.push_back({"README.md at byte " + std::to_string(begin), page.substr(begin, at - begin)});
  }
}

std::vector<Program> allPrograms() {
  std::vector<Program> programs;
  for (const char *folder : {"/test/frontend/programs", "/frontend/library"})
    for (const auto &entry : std::filesystem::directory_iterator(std::string(RONDO_SOURCE_DIR) + folder)) {
      if (entry.path().extension() != ".rondo")
        continue;
      programs.push_back({entry.path().filename().string(), read(entry.path())});
    }
  addReadmeExamples(programs);
  std::sort(programs.begin(), programs.end(), [](const Program &a, const Program &b) { return a.name < b.name; });
  return programs;
}

} // namespace rondo::frontend::test
