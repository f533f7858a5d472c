// Values or diagnostics: nothing in the public API throws.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace rondo {

/// A place in a source text; line and column are 1-based, 0 where there is no place.
struct SourcePlace {
  std::string file;
  uint32_t line = 0;
  uint32_t column = 0;
};

struct DiagnosticNote {
  std::string message;
  SourcePlace place;
};

/// One error or warning. `slug` names its entry in frontend/errors.md; `rendered` is the text a terminal shows, with the source
/// line and the caret.
struct Diagnostic {
  enum class Severity { Error, Warning, Remark };
  Severity severity = Severity::Error;
  std::string slug;
  std::string message;
  SourcePlace place;
  std::vector<DiagnosticNote> notes;
  std::string rendered;
};

/// What went wrong, never empty.
struct Error {
  std::vector<Diagnostic> diagnostics;
  Error() = default;
  explicit Error(std::string message);
  explicit Error(std::vector<Diagnostic> diagnostics) : diagnostics(std::move(diagnostics)) {}
  /// All diagnostics as text, one after another.
  std::string message() const;
};

/// Either a T or an Error.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : value_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : value_(std::in_place_index<1>, std::move(error)) {}
  explicit operator bool() const { return value_.index() == 0; }
  T &operator*() { return std::get<0>(value_); }
  const T &operator*() const { return std::get<0>(value_); }
  T *operator->() { return &std::get<0>(value_); }
  const T *operator->() const { return &std::get<0>(value_); }
  const Error &error() const { return std::get<1>(value_); }

private:
  std::variant<T, Error> value_;
};

template <> class [[nodiscard]] Result<void> {
public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  explicit operator bool() const { return !error_.has_value(); }
  const Error &error() const { return *error_; }

private:
  std::optional<Error> error_;
};

} // namespace rondo
