// The cache of compiled code: what it keeps and drops, and that nothing that happens to it does harm.
#include "rondo/Cache.h"
#include "test/runtime/TwiceArtifact.h"
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace rondo;
using namespace rondo::test;
namespace fs = std::filesystem;

namespace {

/// A folder of its own, gone at the end.
struct Folder {
  std::string path = RONDO_BINARY_DIR "/test/cache-test." + std::to_string(::getpid());
  Folder() { fs::remove_all(path); }
  ~Folder() { fs::remove_all(path); }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    if (fs::exists(path + "/code"))
      for (const auto &entry : fs::directory_iterator(path + "/code"))
        found.push_back(entry.path());
    return found;
  }
};

constexpr uint64_t plenty = uint64_t(1) << 30;

void setAge(const fs::path &path, int64_t seconds) {
  const timespec times[2] = {{::time(nullptr) - seconds, 0}, {::time(nullptr) - seconds, 0}};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

void spoil(const fs::path &path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(100);
  file.put('!');
}

} // namespace

TEST_CASE("what is stored is found by its key, and runs") {
  const Folder folder;
  const Cache cache(folder.path, plenty);
  CHECK_FALSE(cache.find("one"));
  REQUIRE(cache.store(twiceArtifact("one")));
  const auto found = cache.find("one");
  REQUIRE(found);
  CHECK(doubles(*found->loadOnHost({1, 1})));
  CHECK_FALSE(cache.find("two"));
  CHECK(cache.list().at(0).model == "twice");
  CHECK(cache.size().entries == 1);
}

TEST_CASE("a damaged entry is a miss, and is removed") {
  const Folder folder;
  const Cache cache(folder.path, plenty);
  REQUIRE(cache.store(twiceArtifact("one")));
  spoil(folder.files().at(0));
  CHECK(cache.list().at(0).compiler.empty());
  CHECK_FALSE(cache.find("one"));
  CHECK(folder.files().empty());
  REQUIRE(cache.store(twiceArtifact("one")));
  CHECK(cache.find("one"));
}

TEST_CASE("an entry whose imported file has changed is a miss") {
  const Folder folder;
  const Cache cache(folder.path, plenty);
  fs::create_directories(folder.path);
  const std::string imported = folder.path + "/gates.rondo";
  std::ofstream(imported) << "one";
  Artifact artifact = twiceArtifact("one");
  artifact.files = {{imported, contentHash("one")}, {folder.path + "/absent.rondo", ""}};
  REQUIRE(cache.store(artifact));
  CHECK(cache.find("one"));
  std::ofstream(imported) << "two";
  CHECK_FALSE(cache.find("one"));
  std::ofstream(imported) << "one";
  CHECK(cache.find("one"));
  std::ofstream(folder.path + "/absent.rondo") << "";
  CHECK_FALSE(cache.find("one"));
}

TEST_CASE("what was used longest ago goes first") {
  const Folder folder;
  const uint64_t each = twiceArtifact("0").toBytes().size();
  const Cache cache(folder.path, 4 * each);
  for (const char *key : {"0", "1", "2", "3"})
    REQUIRE(cache.store(twiceArtifact(key)));
  for (const fs::path &path : folder.files())
    setAge(path, 1000);
  CHECK(cache.find("1")); // which notes the use
  CHECK(cache.find("2"));
  REQUIRE(cache.store(twiceArtifact("4")));
  CHECK(cache.find("4"));
  CHECK(cache.find("1"));
  CHECK(cache.find("2"));
  CHECK_FALSE(cache.find("0"));
  CHECK_FALSE(cache.find("3"));
  CHECK(cache.size().bytes <= 4 * each);
}

TEST_CASE("clearing removes the entries, and what killed processes left") {
  const Folder folder;
  const Cache cache(folder.path, plenty);
  REQUIRE(cache.store(twiceArtifact("one")));
  std::ofstream(folder.path + "/code/old.1.0.tmp") << "half";
  setAge(folder.path + "/code/old.1.0.tmp", 3600);
  std::ofstream(folder.path + "/code/new.2.0.tmp") << "half";
  CHECK(cache.clear()->entries == 1);
  CHECK(folder.files() == std::vector<fs::path>{folder.path + "/code/new.2.0.tmp"});
}

TEST_CASE("a cache that cannot be written is no cache, and no error of a run") {
  const Folder folder;
  std::ofstream(folder.path) << "a file where the folder should be";
  const Cache cache(folder.path, plenty);
  CHECK_FALSE(cache.store(twiceArtifact("one")));
  CHECK_FALSE(cache.find("one"));
  CHECK(cache.list().empty());
  CHECK(cache.clear()->entries == 0);
  CHECK_FALSE(Cache("", plenty));
  CHECK_FALSE(Cache("", plenty).find("one"));
  CHECK_FALSE(Cache("", plenty).store(twiceArtifact("one")));
}

TEST_CASE("processes that write, read and clear at once see whole entries") {
  const Folder folder;
  const uint64_t each = twiceArtifact("0").toBytes().size();
  const Cache cache(folder.path, 3 * each);
  std::vector<pid_t> children;
  for (int child = 0; child < 4; ++child)
    if (const pid_t pid = ::fork(); pid == 0) {
      int faults = 0;
      for (int i = 0; i < 60; ++i) {
        const std::string key = std::to_string((i + child) % 5);
        if (!cache.store(twiceArtifact(key)))
          ++faults;
        if (const auto found = cache.find(std::to_string(i % 5)))
          faults += found->key != std::to_string(i % 5) || !doubles(*found->loadOnHost({1, 1}));
        if (i % 20 == child)
          faults += !cache.clear();
      }
      ::_exit(faults == 0 ? 0 : 1);
    } else {
      children.push_back(pid);
    }
  for (const pid_t pid : children) {
    int status = -1;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    CHECK(status == 0);
  }
  for (const Cache::Entry &entry : cache.list())
    CHECK(entry.compiler == "test");
}

TEST_CASE("where the cache is") {
  const auto with = [](const char *directory, const char *xdg) {
    directory ? ::setenv("RONDO_CACHE_DIR", directory, 1) : ::unsetenv("RONDO_CACHE_DIR");
    xdg ? ::setenv("XDG_CACHE_HOME", xdg, 1) : ::unsetenv("XDG_CACHE_HOME");
    return Cache::standard().folder();
  };
  const char *before = std::getenv("RONDO_CACHE_DIR");
  const std::string kept = before ? before : "";
  CHECK(with("/some/where", "/xdg") == "/some/where");
  CHECK(with(nullptr, "/xdg") == "/xdg/rondo");
  CHECK(with(nullptr, "relative") == with(nullptr, nullptr)); // as the XDG specification says
  CHECK(with("", "/xdg").empty());
  ::setenv("RONDO_CACHE_LIMIT", "3", 1);
  CHECK(Cache::standard().limit() == 3u << 20);
  ::unsetenv("RONDO_CACHE_LIMIT");
  ::unsetenv("XDG_CACHE_HOME");
  before ? ::setenv("RONDO_CACHE_DIR", kept.c_str(), 1) : ::unsetenv("RONDO_CACHE_DIR");
}
