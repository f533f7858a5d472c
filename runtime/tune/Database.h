// SQLite with our errors: a connection and prepared statements that end by themselves.
#pragma once
#include "rondo/Result.h"
#include <memory>
#include <sqlite3.h>
#include <string>

namespace rondo::tune {

struct CloseConnection {
  void operator()(sqlite3 *connection) const { sqlite3_close_v2(connection); }
};
using Connection = std::unique_ptr<sqlite3, CloseConnection>;

Error databaseError(sqlite3 *connection, const char *action);

/// One statement, its parameters bound in order, its rows read in order.
class Statement {
public:
  Statement(sqlite3 *connection, const char *text) : connection(connection) {
    status = sqlite3_prepare_v2(connection, text, -1, &statement, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement); }
  Statement(const Statement &) = delete;
  Statement &operator=(const Statement &) = delete;

  Statement &bind(const std::string &text) {
    if (status == SQLITE_OK)
      status = sqlite3_bind_text(statement, ++bound, text.data(), int(text.size()), SQLITE_TRANSIENT);
    return *this;
  }
  Statement &bind(double number) {
    if (status == SQLITE_OK)
      status = sqlite3_bind_double(statement, ++bound, number);
    return *this;
  }
  Statement &bind(int64_t number) {
    if (status == SQLITE_OK)
      status = sqlite3_bind_int64(statement, ++bound, number);
    return *this;
  }

  /// Goes to the next row; false at the end, or where something failed.
  bool next() {
    if (status == SQLITE_OK || status == SQLITE_ROW)
      status = sqlite3_step(statement);
    column = 0;
    return status == SQLITE_ROW;
  }
  std::string text() {
    const unsigned char *value = sqlite3_column_text(statement, column);
    const int bytes = sqlite3_column_bytes(statement, column++);
    return value ? std::string(reinterpret_cast<const char *>(value), size_t(bytes)) : "";
  }
  double number() { return sqlite3_column_double(statement, column++); }
  int64_t whole() { return sqlite3_column_int64(statement, column++); }

  /// Runs a statement without rows, or says what failed in one that has been read.
  Result<void> finish(const char *action) {
    while (next()) {
    }
    return status == SQLITE_DONE ? Result<void>() : databaseError(connection, action);
  }

private:
  sqlite3 *connection;
  sqlite3_stmt *statement = nullptr;
  int status = SQLITE_OK, bound = 0, column = 0;
};

} // namespace rondo::tune
