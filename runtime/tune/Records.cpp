// Tuning records in SQLite. See rondo/Records.h. Write-ahead logging lets readers go on while one process writes; whatever is cut off by a
// kill is rolled back by the next one that opens the file.
#include "rondo/Records.h"
#include "runtime/tune/Database.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fmt/format.h>

namespace rondo {

using tune::Connection;
using tune::Statement;

struct Records::Database {
  Connection connection;
};

namespace {

constexpr int kVersion = 1, kBusyMilliseconds = 10000;
constexpr const char *kSchema = R"(
  CREATE TABLE IF NOT EXISTS records(
    spec TEXT NOT NULL, bucket TEXT NOT NULL, types TEXT NOT NULL, device TEXT NOT NULL, driver TEXT NOT NULL,
    compiler TEXT NOT NULL, model TEXT NOT NULL, plan TEXT NOT NULL, seconds REAL NOT NULL, runner_up TEXT NOT NULL,
    runner_up_seconds REAL NOT NULL, default_seconds REAL NOT NULL, measured INTEGER NOT NULL,
    PRIMARY KEY(spec, bucket, types, device, driver, compiler)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS partial(
    spec TEXT NOT NULL, bucket TEXT NOT NULL, types TEXT NOT NULL, device TEXT NOT NULL, driver TEXT NOT NULL,
    compiler TEXT NOT NULL, plan TEXT NOT NULL, seconds REAL NOT NULL, runs INTEGER NOT NULL,
    PRIMARY KEY(spec, bucket, types, device, driver, compiler, plan)) WITHOUT ROWID;)";
constexpr const char *kColumns = "spec, bucket, types, device, driver, compiler, model, plan, seconds, runner_up, "
                                 "runner_up_seconds, default_seconds, measured";
constexpr const char *kOfKey = "spec = ? AND bucket = ? AND types = ? AND device = ? AND driver = ? AND compiler = ?";

Statement &bindKey(Statement &statement, const RecordKey &key) {
  return statement.bind(key.spec).bind(key.bucket).bind(key.types).bind(key.device).bind(key.driver).bind(key.compiler);
}

Record readRecord(Statement &row) {
  Record record;
  for (std::string *text : {&record.key.spec, &record.key.bucket, &record.key.types, &record.key.device,
                            &record.key.driver, &record.key.compiler, &record.model, &record.plan})
    *text = row.text();
  record.seconds = row.number();
  record.runnerUp = row.text();
  record.runnerUpSeconds = row.number();
  record.defaultSeconds = row.number();
  record.measured = row.whole();
  return record;
}

Result<Connection> connect(const std::string &path, int flags) {
  sqlite3 *raw = nullptr;
  const int status = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, nullptr);
  Connection connection(raw);
  if (status != SQLITE_OK)
    return tune::databaseError(raw, fmt::format("open the records '{}'", path).c_str());
  sqlite3_busy_timeout(raw, kBusyMilliseconds);
  return connection;
}

/// Whether this is a sound file of ours.
bool isSound(sqlite3 *connection) {
  Statement check(connection, "PRAGMA quick_check");
  return check.next() && check.text() == "ok";
}

Result<void> prepareToWrite(sqlite3 *connection) {
  if (!isSound(connection))
    return Error("damaged");
  for (const char *text : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL"})
    if (Result<void> done = Statement(connection, text).finish("prepare the records"); !done)
      return done;
  Statement version(connection, "PRAGMA user_version");
  const int64_t has = version.next() ? version.whole() : 0;
  if (has != 0 && has != kVersion)
    return Error(fmt::format("the records have format {}, this version of rondo writes {}", has, kVersion));
  const std::string all = fmt::format("BEGIN IMMEDIATE; {} PRAGMA user_version = {}; COMMIT;", kSchema, kVersion);
  if (has == 0 && sqlite3_exec(connection, all.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return tune::databaseError(connection, "make the records' tables");
  return {};
}

/// A file that nobody can read goes aside, with its log.
void setAside(const std::string &path) {
  std::error_code code;
  std::filesystem::rename(path, path + ".damaged", code);
  for (const char *suffix : {"-wal", "-shm"})
    std::filesystem::remove(path + suffix, code);
}

} // namespace

Error tune::databaseError(sqlite3 *connection, const char *action) {
  Error error(fmt::format("cannot {}: {}", action, connection ? sqlite3_errmsg(connection) : "out of memory"));
  error.diagnostics.front().slug = "records";
  return error;
}

std::string bucketOf(CallSizes sizes) {
  const auto nearest = [](int64_t size) {
    return int64_t(1) << std::clamp(int(std::lround(std::log2(double(std::max<int64_t>(1, size))))), 0, 62);
  };
  return fmt::format("rows {}, time {}", nearest(sizes.rows), nearest(sizes.time));
}

std::optional<CallSizes> sizesOfBucket(const std::string &bucket) {
  const std::string rows = "rows ", time = ", time ";
  const size_t middle = bucket.find(time);
  if (bucket.compare(0, rows.size(), rows) != 0 || middle == std::string::npos)
    return std::nullopt;
  const CallSizes sizes{std::strtoll(bucket.c_str() + rows.size(), nullptr, 10),
                        std::strtoll(bucket.c_str() + middle + time.size(), nullptr, 10)};
  return bucketOf(sizes) == bucket ? std::optional(sizes) : std::nullopt;
}

std::string Records::standardPath() {
  if (const char *path = std::getenv("RONDO_RECORDS"))
    return path;
  if (const char *folder = std::getenv("XDG_DATA_HOME"); folder && *folder == '/')
    return std::string(folder) + "/rondo/records.sqlite";
  const char *home = std::getenv("HOME");
  return home && *home == '/' ? std::string(home) + "/.local/share/rondo/records.sqlite" : "";
}

Records::Records(std::unique_ptr<Database> database) : database(std::move(database)) {}
Records::Records(Records &&) noexcept = default;
Records &Records::operator=(Records &&) noexcept = default;
Records::~Records() = default;

Result<Records> Records::open(const std::string &path, Access access) {
  if (path.empty())
    return Error("there is no file for records");
  std::error_code code;
  if (access == Access::Read) {
    Result<Connection> connection = connect(path, SQLITE_OPEN_READONLY);
    // In a folder that cannot be written a log cannot be joined; the file alone can be read.
    if (connection && !Statement((*connection).get(), "SELECT count(*) FROM sqlite_master").next())
      connection = connect("file:" + path + "?immutable=1", SQLITE_OPEN_READONLY);
    if (!connection)
      return connection.error();
    return Records(std::make_unique<Database>(Database{std::move(*connection)}));
  }
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), code);
  for (int attempt = 0; attempt < 2; ++attempt) {
    Result<Connection> connection = connect(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (!connection)
      return connection.error();
    Result<void> prepared = prepareToWrite(connection->get());
    if (prepared)
      return Records(std::make_unique<Database>(Database{std::move(*connection)}));
    const int status = sqlite3_errcode(connection->get());
    connection->reset();
    if (attempt == 1 || (status != SQLITE_CORRUPT && status != SQLITE_NOTADB &&
                         prepared.error().message() != Error("damaged").message()))
      return prepared.error();
    setAside(path);
  }
  return Error("the records cannot be opened");
}

std::optional<Record> Records::find(const RecordKey &key) const {
  Statement query(database->connection.get(), fmt::format("SELECT {} FROM records WHERE {}", kColumns, kOfKey).c_str());
  return bindKey(query, key).next() ? std::optional(readRecord(query)) : std::nullopt;
}

Result<std::vector<Record>> Records::list() const {
  Statement query(database->connection.get(),
                  fmt::format("SELECT {} FROM records ORDER BY model, device, bucket", kColumns).c_str());
  std::vector<Record> records;
  while (query.next())
    records.push_back(readRecord(query));
  if (Result<void> done = query.finish("read the records"); !done)
    return done.error();
  return records;
}

Result<void> Records::put(const Record &record) {
  sqlite3 *connection = database->connection.get();
  if (Result<void> begun = Statement(connection, "BEGIN IMMEDIATE").finish("write a record"); !begun)
    return begun;
  Statement insert(
      connection,
      fmt::format("INSERT OR REPLACE INTO records({}) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)", kColumns).c_str());
  bindKey(insert, record.key)
      .bind(record.model)
      .bind(record.plan)
      .bind(record.seconds)
      .bind(record.runnerUp)
      .bind(record.runnerUpSeconds)
      .bind(record.defaultSeconds)
      .bind(record.measured);
  Result<void> done = insert.finish("write a record");
  if (done) {
    Statement forget(connection, fmt::format("DELETE FROM partial WHERE {}", kOfKey).c_str());
    done = bindKey(forget, record.key).finish("forget a search");
  }
  Result<void> ended = Statement(connection, done ? "COMMIT" : "ROLLBACK").finish("write a record");
  return done ? ended : done;
}

Result<int64_t> Records::prune(const std::string &compiler, int64_t days) {
  sqlite3 *connection = database->connection.get();
  Statement remove(connection, "DELETE FROM records WHERE (?1 <> '' AND compiler <> ?1) OR measured < ?2");
  const int64_t oldest = days > 0 ? int64_t(std::time(nullptr)) - days * 86400 : 0;
  if (Result<void> done = remove.bind(compiler).bind(oldest).finish("remove records"); !done)
    return done.error();
  const int64_t removed = sqlite3_changes64(connection);
  Statement partial(connection, "DELETE FROM partial");
  if (Result<void> done = partial.finish("remove searches"); !done)
    return done.error();
  return removed;
}

std::vector<PartialTime> Records::partial(const RecordKey &key) const {
  Statement query(database->connection.get(),
                  fmt::format("SELECT plan, seconds, runs FROM partial WHERE {}", kOfKey).c_str());
  bindKey(query, key);
  std::vector<PartialTime> times;
  while (query.next()) {
    PartialTime time;
    time.plan = query.text();
    time.seconds = query.number();
    time.runs = int(query.whole());
    times.push_back(std::move(time));
  }
  return times;
}

Result<void> Records::putPartial(const RecordKey &key, const PartialTime &time) {
  Statement insert(database->connection.get(), "INSERT OR REPLACE INTO partial(spec, bucket, types, device, driver, "
                                               "compiler, plan, seconds, runs) VALUES(?,?,?,?,?,?,?,?,?)");
  return bindKey(insert, key).bind(time.plan).bind(time.seconds).bind(int64_t(time.runs)).finish("write a time");
}

} // namespace rondo
