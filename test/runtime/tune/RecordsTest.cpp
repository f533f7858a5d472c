// Tuning records: written, found, shared by processes, and what happens to files that are damaged or cannot be written.
#include "rondo/Records.h"
#include <catch2/catch.hpp>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

using namespace rondo;
namespace fs = std::filesystem;

namespace {

/// A file in a folder of its own, gone at the end.
struct File {
  std::string folder = RONDO_BINARY_DIR "/test/records-test." + std::to_string(::getpid());
  std::string path = folder + "/some/records.sqlite";
  File() { fs::remove_all(folder); }
  ~File() { fs::remove_all(folder); }
};

Record record(const std::string &spec, double seconds) {
  Record made;
  made.key = {spec, "rows 16, time 4096", "f32", "cpu test", "", "0.1.0"};
  made.model = "gla";
  made.plan = "S: <form = chunk, schedule = carry, chunk = 32>";
  made.seconds = seconds;
  made.runnerUp = "S: <form = step, schedule = carry, chunk = 1>";
  made.runnerUpSeconds = 2 * seconds;
  made.defaultSeconds = 1.1 * seconds;
  made.measured = ::time(nullptr);
  return made;
}

Records openToWrite(const File &file) {
  auto records = Records::open(file.path, Records::Access::Write);
  if (!records)
    FAIL(records.error().message());
  return std::move(*records);
}

} // namespace

TEST_CASE("a record is found by its whole key") {
  const File file;
  CHECK_FALSE(Records::open(file.path, Records::Access::Read));
  {
    Records records = openToWrite(file);
    REQUIRE(records.put(record("one", 1e-3)));
    REQUIRE(records.put(record("one", 2e-3))); // replaces
    REQUIRE(records.put(record("two", 3e-3)));
  }
  auto records = Records::open(file.path, Records::Access::Read);
  REQUIRE(records);
  const auto found = records->find(record("one", 0).key);
  REQUIRE(found);
  CHECK(found->seconds == 2e-3);
  CHECK(found->plan == record("one", 0).plan);
  CHECK(found->runnerUp == record("one", 0).runnerUp);
  CHECK(records->list()->size() == 2);
  for (std::string RecordKey::*part : {&RecordKey::spec, &RecordKey::bucket, &RecordKey::types, &RecordKey::device,
                                       &RecordKey::driver, &RecordKey::compiler}) {
    RecordKey other = record("one", 0).key;
    other.*part += "x";
    CHECK_FALSE(records->find(other));
  }
}

TEST_CASE("a search that was stopped is remembered until it has a record") {
  const File file;
  Records records = openToWrite(file);
  const RecordKey key = record("one", 0).key;
  REQUIRE(records.putPartial(key, {"a", 1e-3, 3}));
  REQUIRE(records.putPartial(key, {"b", 2e-3, 3}));
  REQUIRE(records.putPartial(key, {"a", 1.5e-3, 9}));
  const auto partial = records.partial(key);
  REQUIRE(partial.size() == 2);
  CHECK(partial[0].seconds == 1.5e-3);
  CHECK(partial[0].runs == 9);
  REQUIRE(records.put(record("one", 1e-3)));
  CHECK(records.partial(key).empty());
}

TEST_CASE("a damaged file is no record, and is set aside by the next one that writes") {
  const File file;
  fs::create_directories(fs::path(file.path).parent_path());
  std::ofstream(file.path) << std::string(8192, 'x');
  if (auto records = Records::open(file.path, Records::Access::Read))
    CHECK_FALSE(records->find(record("one", 0).key));
  Records records = openToWrite(file);
  REQUIRE(records.put(record("one", 1e-3)));
  CHECK(records.find(record("one", 0).key));
  CHECK(fs::exists(file.path + ".damaged"));
}

TEST_CASE("pages that are damaged are noticed") {
  const File file;
  {
    Records records = openToWrite(file);
    for (int i = 0; i < 200; ++i)
      REQUIRE(records.put(record("spec" + std::to_string(i), 1e-3)));
  }
  std::fstream damage(file.path, std::ios::in | std::ios::out | std::ios::binary);
  const auto size = fs::file_size(file.path);
  for (uintmax_t at = 4096; at + 200 < size; at += 1000) {
    damage.seekp(std::streamoff(at));
    damage << std::string(150, '\x5a');
  }
  damage.close();
  if (auto records = Records::open(file.path, Records::Access::Read))
    (void)records->find(record("spec7", 0).key); // whatever it says, it says it without harm
  Records records = openToWrite(file);
  REQUIRE(records.put(record("one", 1e-3)));
  CHECK(records.list()->size() == 1);
}

TEST_CASE("a file of another format is not touched") {
  const File file;
  {
    openToWrite(file);
  }
  REQUIRE(std::system(("sqlite3 " + file.path + " 'PRAGMA user_version = 99' 2>/dev/null || true").c_str()) == 0);
  const auto records = Records::open(file.path, Records::Access::Write);
  if (!records) // where the program sqlite3 is installed
    CHECK(records.error().message().find("format 99") != std::string::npos);
  CHECK_FALSE(fs::exists(file.path + ".damaged"));
}

TEST_CASE("where no file can be there is an error, not harm") {
  const File file;
  fs::create_directories(file.folder);
  std::ofstream(file.folder + "/some") << "a file where a folder should be";
  CHECK_FALSE(Records::open(file.path, Records::Access::Write));
  CHECK_FALSE(Records::open(file.path, Records::Access::Read));
  CHECK_FALSE(Records::open("", Records::Access::Write));
}

TEST_CASE("processes write and read at once") {
  const File file;
  {
    openToWrite(file);
  }
  std::vector<pid_t> children;
  for (int child = 0; child < 4; ++child)
    if (const pid_t pid = ::fork(); pid == 0) {
      int faults = 0;
      auto records = Records::open(file.path, Records::Access::Write);
      faults += !records;
      for (int i = 0; i < 25 && faults == 0; ++i) {
        const std::string spec = std::to_string(child) + "." + std::to_string(i);
        faults += !records->put(record(spec, 1e-3));
        faults += !records->find(record(spec, 0).key);
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
  CHECK(openToWrite(file).list()->size() == 100);
}

TEST_CASE("old records and those of other compilers are pruned") {
  const File file;
  Records records = openToWrite(file);
  Record old = record("old", 1e-3), other = record("other", 1e-3);
  old.measured -= 100 * 86400;
  other.key.compiler = "0.0.9";
  for (const Record &one : {old, other, record("new", 1e-3)})
    REQUIRE(records.put(one));
  CHECK(*records.prune("", 365) == 0);
  CHECK(*records.prune("", 90) == 1);
  CHECK(*records.prune("0.1.0", 0) == 1);
  CHECK(records.list()->at(0).key.spec == "new");
}

TEST_CASE("records as JSON and back") {
  const std::vector<Record> records = {record("one", 1e-3), record("two", 0.1)};
  const auto read = recordsFromJson(recordsToJson(records));
  REQUIRE(read);
  REQUIRE(read->size() == 2);
  CHECK(recordsToJson(*read) == recordsToJson(records));
  CHECK((*read)[1].seconds == 0.1);
  for (const char *text : {"", "{}", "[]", R"({"rondo_records": 2, "records": []})",
                           R"({"rondo_records": 1, "records": [{"model": "gla"}]})"})
    CHECK_FALSE(recordsFromJson(text));
}

TEST_CASE("buckets") {
  CHECK(bucketOf({16, 4096}) == "rows 16, time 4096");
  CHECK(bucketOf({15, 4000}) == "rows 16, time 4096");
  CHECK(bucketOf({17, 5000}) == "rows 16, time 4096");
  CHECK(bucketOf({0, 1}) == "rows 1, time 1");
  CHECK(bucketOf({24, 6000}) != bucketOf({16, 4096}));
  CHECK(sizesOfBucket("rows 16, time 4096")->time == 4096);
  for (const char *text : {"", "rows 16", "rows 15, time 4096", "rows 16, time 4096 and more", "rows x, time y"})
    CHECK_FALSE(sizesOfBucket(text));
}

TEST_CASE("the record of the nearest bucket, where it is near") {
  std::vector<Record> records = {record("one", 1e-3), record("one", 2e-3), record("two", 3e-3)};
  records[1].key.bucket = "rows 16, time 512";
  records[2].key.bucket = "rows 16, time 1024";
  RecordKey key = record("one", 0).key;
  const auto secondsAt = [&](const char *bucket) {
    key.bucket = bucket;
    const std::optional<Record> found = nearestRecord(records, key);
    return found ? found->seconds : 0;
  };
  CHECK(secondsAt("rows 16, time 4096") == 1e-3);
  CHECK(secondsAt("rows 32, time 2048") == 1e-3); // two doublings; from the other it is three
  CHECK(secondsAt("rows 16, time 1024") == 2e-3); // the third is of another spec
  CHECK(secondsAt("rows 16, time 64") == 0);      // three doublings
  CHECK(secondsAt("rows 64, time 8192") == 0);
  CHECK(secondsAt("no bucket") == 0);
  key.device = "cpu other";
  CHECK(secondsAt("rows 16, time 4096") == 0);
}

TEST_CASE("records are asked for in order: this user's, shipped ones, near ones") {
  const File file;
  const std::string shipped = file.folder + "/shipped";
  fs::create_directories(shipped);
  ::setenv("RONDO_RECORDS", file.path.c_str(), 1);
  ::setenv("RONDO_SHIPPED_RECORDS", shipped.c_str(), 1);
  const auto at = [](double seconds, const char *bucket) {
    Record made = record("one", seconds);
    made.key.bucket = bucket;
    return made;
  };
  const auto find = [&](const char *bucket) {
    const std::optional<Record> found = findRecord(at(0, bucket).key);
    return found ? found->seconds : 0;
  };
  CHECK(find("rows 16, time 4096") == 0);
  std::ofstream(shipped + "/a.json") << recordsToJson({at(1, "rows 16, time 4096"), at(2, "rows 16, time 1024")});
  std::ofstream(shipped + "/b.json") << "no records";
  CHECK(find("rows 16, time 4096") == 1);
  CHECK(find("rows 16, time 8192") == 1);
  REQUIRE(openToWrite(file).put(at(3, "rows 16, time 4096")));
  CHECK(find("rows 16, time 4096") == 3); // this user's before the shipped one
  CHECK(find("rows 16, time 1024") == 2); // a shipped one for the bucket before this user's near one
  CHECK(find("rows 16, time 2048") == 3); // of two near ones this user's
  ::setenv("RONDO_RECORDS", "", 1);
  CHECK(find("rows 16, time 4096") == 0); // no records at all
  ::unsetenv("RONDO_RECORDS");
  ::unsetenv("RONDO_SHIPPED_RECORDS");
}
