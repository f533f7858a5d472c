// Finding the examples.
#include "compiler/tools/rondo/Examples.h"
#include <algorithm>
#include <filesystem>
#include <fstream>

namespace rondo::tool {
namespace {

namespace fs = std::filesystem;

std::string titleOf(const fs::path &path) {
  std::ifstream in(path);
  std::string line;
  while (std::getline(in, line)) {
    const size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos)
      continue;
    if (line.compare(begin, 2, "//") != 0)
      return "";
    const size_t text = line.find_first_not_of(" \t", begin + 2);
    return text == std::string::npos ? "" : line.substr(text, line.find_last_not_of(" \t\r") + 1 - text);
  }
  return "";
}

bool holdsSpecs(const fs::path &folder) {
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code))
    if (it->path().extension() == ".rondo")
      return true;
  return false;
}

} // namespace

std::string examplesFolder() {
  std::error_code code;
  std::vector<fs::path> candidates;
  const fs::path binary = fs::read_symlink("/proc/self/exe", code);
  if (!code) {
    candidates.push_back(binary.parent_path() / "../share/rondo/examples");
    for (fs::path above = binary.parent_path(); above != above.root_path(); above = above.parent_path())
      if (fs::exists(above / "examples/gla.rondo", code))
        candidates.push_back(above / "examples");
  }
  candidates.push_back(fs::path(RONDO_SOURCE_DIR) / "examples");
  for (const fs::path &candidate : candidates)
    if (holdsSpecs(candidate))
      return fs::weakly_canonical(candidate, code).string();
  return "";
}

std::vector<Example> examplesIn(const std::string &folder) {
  std::vector<Example> examples;
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code))
    if (it->path().extension() == ".rondo" && it->is_regular_file(code))
      examples.push_back({it->path().stem().string(), titleOf(it->path()), it->path().string()});
  std::sort(examples.begin(), examples.end(), [](const Example &a, const Example &b) { return a.path < b.path; });
  return examples;
}

std::string resolveSpec(const std::string &spec) {
  std::error_code code;
  if (fs::exists(spec, code) && !fs::is_directory(spec, code))
    return spec;
  if (spec.find('/') == std::string::npos || spec.rfind("examples/", 0) == 0) {
    const std::string name = fs::path(spec).stem().string();
    for (const Example &example : examplesIn(examplesFolder()))
      if (example.name == name)
        return example.path;
  }
  return spec;
}

} // namespace rondo::tool
