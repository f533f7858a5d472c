// What tuning found: the fastest plan by model, sizes and device, in an SQLite file. Needs no compiler. Whatever is wrong with the file
// (no permission, damage, a process killed while it wrote) costs a record, never a run.
#pragma once
#include "rondo/Artifact.h"
#include "rondo/Result.h"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rondo {

/// What a record is about. Equal keys are equal text by text.
struct RecordKey {
  std::string spec;     // contentHash of the spec, the sizes of its dimensions and all that changes what is computed
  std::string bucket;   // bucketOf the sizes of the call
  std::string types;    // "f32,g=bf16"
  std::string device;   // "cpu znver3, 2 threads", "cuda NVIDIA H100"
  std::string driver;   // of the device; empty on a CPU
  std::string compiler; // the version of rondo
};

struct Record {
  RecordKey key;
  std::string model; // for people
  std::string plan;
  double seconds = 0; // median
  std::string runnerUp;
  double runnerUpSeconds = 0;
  double defaultSeconds = 0; // of the compiler's own choice
  int64_t measured = 0;      // seconds since 1970
};

/// A plan's time while a search is under way, so that one that was stopped can go on.
struct PartialTime {
  std::string plan;
  double seconds = 0; // median
  int runs = 0;
};

/// "rows 16, time 4096": sizes within a factor of sqrt(2) of each other share a bucket.
std::string bucketOf(CallSizes sizes);
/// The sizes that a bucket is named after; nothing for other texts.
std::optional<CallSizes> sizesOfBucket(const std::string &bucket);

class Records {
public:
  /// RONDO_RECORDS, else $XDG_DATA_HOME/rondo/records.sqlite, else ~/.local/share/rondo/records.sqlite. Empty where RONDO_RECORDS is set but
  /// empty, and for a user without a home.
  static std::string standardPath();

  enum class Access { Read, Write };
  /// Reading, a file that is not there is an error. Writing, it is made, and a damaged one is set aside as FILE.damaged.
  static Result<Records> open(const std::string &path, Access access);
  Records(Records &&) noexcept;
  Records &operator=(Records &&) noexcept;
  ~Records();

  /// Nothing where there is no record, and where the file is damaged.
  std::optional<Record> find(const RecordKey &key) const;
  Result<std::vector<Record>> list() const;
  /// Adds or replaces a record, and forgets the search that led to it.
  Result<void> put(const Record &record);
  /// Removes records of other compilers than `compiler` (where it is not empty) and those that are older than so many days. Says how many.
  Result<int64_t> prune(const std::string &compiler, int64_t days);

  std::vector<PartialTime> partial(const RecordKey &key) const;
  Result<void> putPartial(const RecordKey &key, const PartialTime &time);

private:
  struct Database;
  explicit Records(std::unique_ptr<Database> database);
  std::unique_ptr<Database> database;
};

/// The record for a call, the first of these that there is: this user's for the call's bucket; one that came with rondo for it; this user's for
/// the nearest bucket; one that came with rondo for that. A bucket is near within two doublings of rows and time together. Nothing where there
/// is none of these, and where RONDO_RECORDS is set but empty. What is wrong with a file is no record.
std::optional<Record> findRecord(const RecordKey &key);
/// The record of the nearest bucket that is near, of those for the same spec, types, device, driver and compiler.
std::optional<Record> nearestRecord(const std::vector<Record> &records, const RecordKey &key);
/// Where the records lie that came with rondo: RONDO_SHIPPED_RECORDS, ../share/rondo/records beside the program, the same below the prefix that
/// rondo was installed to, records/ in its source tree. Empty where none is there.
std::string shippedRecordsFolder();
/// The records of a folder's JSON files.
std::vector<Record> shippedRecords(const std::string &folder);

/// Records as JSON that people can read and edit, and back.
std::string recordsToJson(const std::vector<Record> &records);
Result<std::vector<Record>> recordsFromJson(const std::string &text);

} // namespace rondo
