// Compiled code on disk, by what it was compiled from: an application's second start loads what its first one compiled. Needs no compiler.
// Whatever is wrong with the cache (no room, no permission, damaged entries) costs an entry, never a run.
#pragma once
#include "rondo/Artifact.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rondo {

/// A folder of artifacts. Any number of processes and threads may use one at once: entries appear whole, and a reader keeps what it has
/// read when another process removes the file.
class Cache {
public:
  /// RONDO_CACHE_DIR, else $XDG_CACHE_HOME/rondo, else ~/.cache/rondo. Set but empty, RONDO_CACHE_DIR turns the cache off, and so does a
  /// user without a home; the folder is empty then. RONDO_CACHE_LIMIT is the limit in MiB, 512 without it.
  static Cache standard();
  Cache(std::string folder, uint64_t limitBytes) : folder_(std::move(folder)), limit_(limitBytes) {}

  const std::string &folder() const { return folder_; }
  uint64_t limit() const { return limit_; }
  explicit operator bool() const { return !folder_.empty(); }

  /// What was stored under a key, if it is sound and the files that it was compiled from are what they were. A damaged entry is removed.
  std::optional<Artifact> find(const std::string &key) const;
  /// Stores under artifact.key, and then removes what was used longest ago until the limit holds.
  Result<void> store(const Artifact &artifact) const;

  struct Entry {
    std::string name; // of the file
    uint64_t bytes = 0;
    int64_t used = 0;                          // seconds since 1970
    std::string model, target, plan, compiler; // empty where the entry is damaged
  };
  /// The latest used first.
  std::vector<Entry> list() const;
  /// Entries and their bytes without looking into them.
  struct Size {
    size_t entries = 0;
    uint64_t bytes = 0;
  };
  Size size() const;
  /// Removes what was used longest ago until at most so many bytes are left, and what killed processes left behind.
  Result<Size> prune(uint64_t bytes) const;
  Result<Size> clear() const { return prune(0); }

private:
  std::string codeFolder() const { return folder_ + "/code"; }
  std::string pathOf(const std::string &key) const;
  std::string folder_;
  uint64_t limit_ = 0;
};

} // namespace rondo
