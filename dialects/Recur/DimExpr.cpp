// Polynomial arithmetic for symbolic sizes. Small by construction (a handful of terms), so plain maps of sorted factor
// lists; all integer arithmetic is checked, because the numbers come from users.
#include "dialects/Recur/DimExpr.h"
#include <algorithm>
#include <charconv>
#include <set>

namespace rondo {

namespace {

bool isNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isNameChar(char c) { return isNameStart(c) || isDigit(c) || c == '.'; }

/// Reader of the canonical text: sum = ["-"] product {("+"|"-") product}; product = factor {"*" factor};
/// factor = integer | name.
class Reader {
public:
  explicit Reader(std::string_view text) : text(text) {}

  std::optional<DimExpr> sum() {
    bool negative = take('-');
    auto result = product();
    if (!result)
      return std::nullopt;
    if (negative)
      *result = DimExpr() - *result;
    while (peek() == '+' || peek() == '-') {
      bool minus = text[at++] == '-';
      auto next = product();
      if (!next)
        return std::nullopt;
      *result = minus ? *result - *next : *result + *next;
    }
    if (peek() != '\0' || at != text.size() || !result->isValid())
      return std::nullopt;
    return result;
  }

private:
  char peek() {
    while (at < text.size() && text[at] == ' ')
      ++at;
    return at < text.size() ? text[at] : '\0';
  }

  bool take(char c) {
    if (peek() != c)
      return false;
    ++at;
    return true;
  }

  std::optional<DimExpr> product() {
    auto result = factor();
    while (result && take('*')) {
      auto next = factor();
      if (!next)
        return std::nullopt;
      *result = *result * *next;
    }
    return result;
  }

  std::optional<DimExpr> factor() {
    char c = peek();
    size_t begin = at;
    if (isDigit(c)) {
      int64_t value = 0;
      auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
      if (error != std::errc())
        return std::nullopt;
      at = size_t(end - text.data());
      return DimExpr::constant(value);
    }
    if (!isNameStart(c))
      return std::nullopt;
    while (at < text.size() && isNameChar(text[at]))
      ++at;
    return DimExpr::symbol(std::string(text.substr(begin, at - begin)));
  }

  std::string_view text;
  size_t at = 0;
};

} // namespace

DimExpr DimExpr::constant(int64_t value) {
  DimExpr result;
  if (value != 0)
    result.terms[{}] = value;
  return result;
}

DimExpr DimExpr::symbol(std::string name) {
  DimExpr result;
  result.terms[{std::move(name)}] = 1;
  return result;
}

DimExpr DimExpr::invalid() { return symbol("?"); }

bool DimExpr::isValid() const { return !(terms.size() == 1 && terms.begin()->first == Monomial{"?"}); }

std::optional<DimExpr> DimExpr::parse(std::string_view text) { return Reader(text).sum(); }

bool DimExpr::before(const Monomial &a, const Monomial &b) {
  return a.size() != b.size() ? a.size() > b.size() : a < b;
}

DimExpr::Monomial DimExpr::product(const Monomial &a, const Monomial &b) {
  Monomial result;
  std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result));
  return result;
}

std::optional<DimExpr::Monomial> DimExpr::quotient(const Monomial &a, const Monomial &b) {
  if (!std::includes(a.begin(), a.end(), b.begin(), b.end()))
    return std::nullopt;
  Monomial result;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result));
  return result;
}

bool DimExpr::addTerm(const Monomial &monomial, int64_t factor) {
  int64_t &coefficient = terms[monomial];
  if (__builtin_add_overflow(coefficient, factor, &coefficient))
    return false;
  if (coefficient == 0)
    terms.erase(monomial);
  return terms.size() <= maxTerms && monomial.size() <= maxDegree;
}

DimExpr::Term DimExpr::leadingTerm() const {
  return *std::min_element(terms.begin(), terms.end(),
                           [](const auto &a, const auto &b) { return before(a.first, b.first); });
}

DimExpr DimExpr::operator+(const DimExpr &other) const {
  if (!isValid() || !other.isValid())
    return invalid();
  DimExpr result = *this;
  for (const auto &[monomial, factor] : other.terms)
    if (!result.addTerm(monomial, factor))
      return invalid();
  return result;
}

DimExpr DimExpr::operator-(const DimExpr &other) const { return *this + other * constant(-1); }

DimExpr DimExpr::operator*(const DimExpr &other) const {
  if (!isValid() || !other.isValid())
    return invalid();
  DimExpr result;
  for (const auto &[monomial, factor] : terms)
    for (const auto &[otherMonomial, otherFactor] : other.terms) {
      int64_t coefficient;
      if (__builtin_mul_overflow(factor, otherFactor, &coefficient) ||
          !result.addTerm(product(monomial, otherMonomial), coefficient))
        return invalid();
    }
  return result;
}

std::optional<int64_t> DimExpr::asConstant() const {
  if (terms.empty())
    return 0;
  if (terms.size() != 1 || !terms.begin()->first.empty())
    return std::nullopt;
  return terms.begin()->second;
}

std::optional<std::string> DimExpr::asSymbol() const {
  if (!isValid() || terms.size() != 1 || terms.begin()->first.size() != 1 || terms.begin()->second != 1)
    return std::nullopt;
  return terms.begin()->first.front();
}

std::optional<DimExpr> DimExpr::exactDivide(const DimExpr &divisor) const {
  if (!isValid() || !divisor.isValid() || divisor.terms.empty())
    return std::nullopt;
  auto [leadMonomial, leadFactor] = divisor.leadingTerm();
  DimExpr remainder = *this, result;
  // The leading monomial falls in an admissible order with every round; the bound only guards against long runs.
  for (size_t round = 0; !remainder.terms.empty(); ++round) {
    auto [monomial, factor] = remainder.leadingTerm();
    auto rest = quotient(monomial, leadMonomial);
    bool overflows = factor == INT64_MIN && leadFactor == -1;
    if (round > maxTerms || !rest || overflows || factor % leadFactor != 0)
      return std::nullopt;
    DimExpr step;
    step.terms[*rest] = factor / leadFactor;
    result = result + step;
    remainder = remainder - step * divisor;
    if (!remainder.isValid() || !result.isValid())
      return std::nullopt;
  }
  return result;
}

DimExpr DimExpr::substitute(const std::function<std::optional<DimExpr>(const std::string &)> &value) const {
  if (!isValid())
    return invalid();
  DimExpr result;
  for (const auto &[monomial, factor] : terms) {
    DimExpr term = constant(factor);
    for (const auto &name : monomial)
      term = term * value(name).value_or(symbol(name));
    result = result + term;
  }
  return result;
}

std::optional<int64_t> DimExpr::evaluate(const std::map<std::string, int64_t> &sizes) const {
  int64_t result = 0;
  for (const auto &[monomial, factor] : terms) {
    int64_t term = factor;
    for (const auto &name : monomial) {
      auto size = sizes.find(name);
      if (size == sizes.end() || __builtin_mul_overflow(term, size->second, &term))
        return std::nullopt;
    }
    if (__builtin_add_overflow(result, term, &result))
      return std::nullopt;
  }
  return result;
}

std::vector<std::string> DimExpr::symbols() const {
  std::set<std::string> names;
  for (const auto &[monomial, factor] : terms)
    names.insert(monomial.begin(), monomial.end());
  return {names.begin(), names.end()};
}

std::string DimExpr::str() const {
  if (terms.empty())
    return "0";
  std::vector<Term> ordered(terms.begin(), terms.end());
  std::sort(ordered.begin(), ordered.end(), [](const Term &a, const Term &b) { return before(a.first, b.first); });
  std::string result;
  for (const auto &[monomial, factor] : ordered) {
    if (factor < 0)
      result += '-';
    else if (!result.empty())
      result += '+';
    // The magnitude as unsigned: the smallest int64 has no positive counterpart.
    uint64_t magnitude = factor < 0 ? uint64_t(0) - uint64_t(factor) : uint64_t(factor);
    bool writeNumber = magnitude != 1 || monomial.empty();
    if (writeNumber)
      result += std::to_string(magnitude);
    for (size_t i = 0; i < monomial.size(); ++i)
      result += (i > 0 || writeNumber ? "*" : "") + monomial[i];
  }
  return result;
}

} // namespace rondo
