// A file that appears whole or not at all.
#pragma once
#include "rondo/Result.h"
#include <cstddef>
#include <cstdint>
#include <string>

namespace rondo::core {

/// Written under another name in the same folder; commit() syncs it and renames it over the wanted path, everything
/// else leaves the path as it was. A file that was there keeps its permissions and, where allowed, its owner; a
/// symbolic link stays one.
class AtomicFile {
public:
  AtomicFile() = default;
  AtomicFile(const AtomicFile &) = delete;
  AtomicFile &operator=(const AtomicFile &) = delete;
  ~AtomicFile();

  /// Errors name the path and the system's reason: a folder that is missing or cannot be written, a file without write
  /// permission.
  Result<void> open(const std::string &path);
  Result<void> write(const void *data, size_t bytes);
  /// Where the next write goes, in bytes from the beginning.
  Result<void> seek(uint64_t position);
  uint64_t position() const { return position_; }
  /// Without Lasting::Yes a crash of the machine may leave an empty file behind; a crash of the process never does.
  enum class Lasting { No, Yes };
  Result<void> commit(Lasting lasting = Lasting::Yes);

private:
  Error failure(const char *action) const;

  std::string path, temporary;
  int descriptor = -1;
  uint64_t position_ = 0;
};

/// All bytes of a file, or of anything that can be read like one.
Result<std::string> readWholeFile(const std::string &path);

} // namespace rondo::core
