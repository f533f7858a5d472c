// Whole text files. See TextFile.h.
#include "compiler/tools/rondo/TextFile.h"
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace rondo::tool {

Result<void> writeText(const std::string &path, const std::string &text) {
  const std::string beside = fmt::format("{}.{}.tmp", path, getpid());
  std::FILE *file = std::fopen(beside.c_str(), "wb");
  if (!file)
    return Error(fmt::format("cannot write '{}': {}", path, std::strerror(errno)));
  bool fine = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  fine &= std::fflush(file) == 0 && fsync(fileno(file)) == 0;
  int code = errno;
  fine &= std::fclose(file) == 0;
  if (fine && std::rename(beside.c_str(), path.c_str()) == 0)
    return {};
  code = fine ? errno : code;
  std::remove(beside.c_str());
  return Error(fmt::format("cannot write '{}': {}", path, std::strerror(code)));
}

Result<std::string> readText(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf()))
    return Error(fmt::format("cannot read '{}'", path));
  return text.str();
}

bool fileExists(const std::string &path) {
  std::error_code code;
  return std::filesystem::exists(path, code);
}

} // namespace rondo::tool
