// Records that come with rondo, and the order in which records are asked. See rondo/Records.h.
#include "rondo/Records.h"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace rondo {
namespace {

namespace fs = std::filesystem;

/// A record of calls that are so many doublings away says little.
constexpr double kFar = 2;

/// How many doublings lie between two buckets, in rows and in time together.
double apart(const std::string &a, const std::string &b) {
  const std::optional<CallSizes> from = sizesOfBucket(a), to = sizesOfBucket(b);
  if (!from || !to)
    return kFar + 1;
  return std::abs(std::log2(double(from->rows) / double(to->rows))) +
         std::abs(std::log2(double(from->time) / double(to->time)));
}

bool isForSame(const RecordKey &a, const RecordKey &b) {
  return a.spec == b.spec && a.types == b.types && a.device == b.device && a.driver == b.driver &&
         a.compiler == b.compiler;
}

} // namespace

std::optional<Record> nearestRecord(const std::vector<Record> &records, const RecordKey &key) {
  const Record *nearest = nullptr;
  double least = kFar;
  for (const Record &record : records)
    if (const double distance = apart(record.key.bucket, key.bucket);
        isForSame(record.key, key) && distance <= least && (!nearest || distance < least)) {
      nearest = &record;
      least = distance;
    }
  return nearest ? std::optional(*nearest) : std::nullopt;
}

std::string shippedRecordsFolder() {
  if (const char *folder = std::getenv("RONDO_SHIPPED_RECORDS"))
    return folder;
  std::error_code code;
  std::vector<fs::path> candidates;
  if (const fs::path program = fs::read_symlink("/proc/self/exe", code); !code)
    candidates.push_back(program.parent_path() / "../share/rondo/records");
  candidates.emplace_back(RONDO_INSTALLED_RECORDS);
  candidates.emplace_back(RONDO_SOURCE_RECORDS);
  for (const fs::path &candidate : candidates)
    if (fs::is_directory(candidate, code))
      return candidate.string();
  return "";
}

std::vector<Record> shippedRecords(const std::string &folder) {
  std::vector<Record> all;
  std::vector<fs::path> files;
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code))
    if (it->path().extension() == ".json")
      files.push_back(it->path());
  std::sort(files.begin(), files.end());
  for (const fs::path &file : files) {
    std::ostringstream text;
    text << std::ifstream(file, std::ios::binary).rdbuf();
    if (Result<std::vector<Record>> records = recordsFromJson(text.str()))
      all.insert(all.end(), records->begin(), records->end());
  }
  return all;
}

std::optional<Record> findRecord(const RecordKey &key) {
  const std::string own = Records::standardPath();
  if (const char *path = std::getenv("RONDO_RECORDS"); path && !*path)
    return std::nullopt;
  std::vector<Record> known;
  if (const Result<Records> records = Records::open(own, Records::Access::Read)) {
    if (std::optional<Record> exact = records->find(key))
      return exact;
    if (Result<std::vector<Record>> all = records->list())
      known = std::move(*all);
  }
  const std::vector<Record> shipped = shippedRecords(shippedRecordsFolder());
  for (const Record &record : shipped)
    if (isForSame(record.key, key) && record.key.bucket == key.bucket)
      return record;
  std::optional<Record> nearest = nearestRecord(known, key);
  return nearest ? nearest : nearestRecord(shipped, key);
}

} // namespace rondo
