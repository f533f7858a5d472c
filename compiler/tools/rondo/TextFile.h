// Whole text files, read and written.
#pragma once
#include "rondo/Result.h"
#include <string>

namespace rondo::tool {

Result<std::string> readText(const std::string &path);
/// Whole or not at all: beside the file, then renamed over it.
Result<void> writeText(const std::string &path, const std::string &text);
bool fileExists(const std::string &path);

} // namespace rondo::tool
