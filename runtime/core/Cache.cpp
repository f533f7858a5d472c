// The cache of compiled code. See rondo/Cache.h.
#include "rondo/Cache.h"
#include "runtime/core/AtomicFile.h"
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rondo {
namespace {

namespace fs = std::filesystem;

constexpr const char *kSuffix = ".artifact";
constexpr uint64_t kLimit = uint64_t(512) << 20;
/// A hit is noted by the file's time, at most this often: a note is a write.
constexpr int64_t kNoteSeconds = 60;
/// Files of writers that were killed; a living one is done long before.
constexpr int64_t kLeftOverSeconds = 600;

std::string variable(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

struct Found {
  std::string path;
  uint64_t bytes;
  int64_t used;
};

/// The files of a folder that end in `suffix`, the longest unused first. A folder that is not there has none.
std::vector<Found> filesIn(const std::string &folder, std::string_view suffix) {
  std::vector<Found> files;
  std::error_code code;
  for (fs::directory_iterator at(folder, code), end; !code && at != end; at.increment(code)) {
    const std::string path = at->path().string();
    struct stat status{};
    const bool ends =
        path.size() >= suffix.size() && path.compare(path.size() - suffix.size(), suffix.size(), suffix) == 0;
    if (ends && ::stat(path.c_str(), &status) == 0)
      files.push_back({path, uint64_t(status.st_size), int64_t(status.st_mtime)});
  }
  std::sort(files.begin(), files.end(), [](const Found &a, const Found &b) { return a.used < b.used; });
  return files;
}

bool isUnchanged(const FileSeen &file) {
  const Result<std::string> text = core::readWholeFile(file.path);
  return text ? contentHash(*text) == file.hash : file.hash.empty();
}

void noteUse(const std::string &path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0 && std::time(nullptr) - status.st_mtime >= kNoteSeconds)
    ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
}

} // namespace

Cache Cache::standard() {
  uint64_t limit = kLimit;
  if (const std::string text = variable("RONDO_CACHE_LIMIT"); !text.empty())
    limit = uint64_t(std::max<long long>(0, std::strtoll(text.c_str(), nullptr, 10))) << 20;
  if (const char *folder = std::getenv("RONDO_CACHE_DIR"))
    return Cache(folder, limit);
  if (const std::string folder = variable("XDG_CACHE_HOME"); !folder.empty() && folder.front() == '/')
    return Cache(folder + "/rondo", limit);
  const std::string home = variable("HOME");
  return Cache(home.empty() || home.front() != '/' ? "" : home + "/.cache/rondo", limit);
}

std::string Cache::pathOf(const std::string &key) const {
  return fmt::format("{}/{}{}", codeFolder(), contentHash(key), kSuffix);
}

std::optional<Artifact> Cache::find(const std::string &key) const {
  if (folder_.empty())
    return std::nullopt;
  const std::string path = pathOf(key);
  const Result<std::string> bytes = core::readWholeFile(path);
  if (!bytes)
    return std::nullopt;
  Result<Artifact> artifact = Artifact::fromBytes(*bytes);
  if (!artifact) {
    ::unlink(path.c_str());
    return std::nullopt;
  }
  if (artifact->key != key || artifact->variants.empty() ||
      !std::all_of(artifact->files.begin(), artifact->files.end(), isUnchanged))
    return std::nullopt;
  noteUse(path);
  return std::move(*artifact);
}

Result<void> Cache::store(const Artifact &artifact) const {
  if (folder_.empty())
    return Error("the cache is off");
  std::error_code code;
  if (fs::create_directories(codeFolder(), code); code)
    return Error(fmt::format("cannot make the folder '{}': {}", codeFolder(), code.message()));
  // What the code computes with is nobody else's business, and what others write is not to be executed.
  fs::permissions(folder_, fs::perms::owner_all, code);
  const std::string bytes = artifact.toBytes();
  core::AtomicFile file;
  Result<void> done = file.open(pathOf(artifact.key));
  done = done ? file.write(bytes.data(), bytes.size()) : done;
  done = done ? file.commit(core::AtomicFile::Lasting::No) : done;
  if (done && size().bytes > limit_)
    (void)prune(limit_ - limit_ / 8); // some room, so that not every store has to
  return done;
}

std::vector<Cache::Entry> Cache::list() const {
  std::vector<Entry> entries;
  for (const Found &file : filesIn(codeFolder(), kSuffix)) {
    Entry entry{fs::path(file.path).filename().string(), file.bytes, file.used, "", "", "", ""};
    if (const Result<Artifact> artifact = Artifact::read(file.path); artifact && !artifact->variants.empty()) {
      const Variant &variant = artifact->variants.front();
      entry.model = variant.program.model;
      entry.target = variant.target;
      entry.plan = variant.plan;
      entry.compiler = artifact->compiler;
    }
    entries.push_back(std::move(entry));
  }
  std::reverse(entries.begin(), entries.end());
  return entries;
}

Cache::Size Cache::size() const {
  Size size;
  for (const Found &file : filesIn(codeFolder(), kSuffix))
    size = {size.entries + 1, size.bytes + file.bytes};
  return size;
}

Result<Cache::Size> Cache::prune(uint64_t bytes) const {
  Size removed;
  uint64_t left = size().bytes;
  for (const Found &file : filesIn(codeFolder(), kSuffix)) {
    if (left <= bytes)
      break;
    left -= file.bytes;
    // One that another process has just removed is gone, too.
    if (::unlink(file.path.c_str()) == 0)
      removed = {removed.entries + 1, removed.bytes + file.bytes};
    else if (errno != ENOENT)
      return Error(fmt::format("cannot remove '{}': {}", file.path, std::strerror(errno)));
  }
  for (const Found &file : filesIn(codeFolder(), ".tmp"))
    if (std::time(nullptr) - file.used > kLeftOverSeconds)
      ::unlink(file.path.c_str());
  return removed;
}

} // namespace rondo
