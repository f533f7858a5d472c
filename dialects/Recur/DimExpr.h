// Symbolic sizes. A size is a polynomial with integer coefficients over dimension names, kept in one canonical form, so
// that two sizes are the same dimension exactly when their forms are equal: `H*K` and `K*H` unify, `[K]` and `[V]`
// never do, even when both are 64. Plain C++, because the frontend checks shapes without MLIR.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rondo {

/// Arithmetic that leaves int64 coefficients, maxTerms terms or degree maxDegree gives the *invalid* size, which every
/// operation hands on and which has no value; whoever reads sizes from a user asks isValid() and reports.
class DimExpr {
public:
  static constexpr size_t maxTerms = 256;
  static constexpr size_t maxDegree = 32;

  DimExpr() = default; // zero
  static DimExpr constant(int64_t value);
  static DimExpr symbol(std::string name);
  /// The size that does not exist; see the class comment. Prints as "?", which parse() refuses.
  static DimExpr invalid();
  bool isValid() const;
  /// Reads what str() writes, e.g. "2*H*K+1". Empty when the text is no size.
  static std::optional<DimExpr> parse(std::string_view text);

  DimExpr operator+(const DimExpr &other) const;
  DimExpr operator-(const DimExpr &other) const;
  DimExpr operator*(const DimExpr &other) const;
  bool operator==(const DimExpr &other) const = default;
  auto operator<=>(const DimExpr &other) const = default;

  std::optional<int64_t> asConstant() const;
  /// The name, when the size is one bare symbol.
  std::optional<std::string> asSymbol() const;
  /// Quotient when the division is exact (as polynomials), e.g. H*K / H = K. Empty for a zero divisor.
  std::optional<DimExpr> exactDivide(const DimExpr &divisor) const;
  /// Every symbol replaced through `value`; symbols it leaves empty stay.
  DimExpr substitute(const std::function<std::optional<DimExpr>(const std::string &)> &value) const;
  /// The number, once every symbol has one. Empty also when the number does not fit int64.
  std::optional<int64_t> evaluate(const std::map<std::string, int64_t> &sizes) const;
  /// The names, sorted, each once.
  std::vector<std::string> symbols() const;
  /// Canonical text: monomials by falling degree, e.g. "2*H*K+1"; "0" for zero.
  std::string str() const;

private:
  using Monomial = std::vector<std::string>; // sorted factors; empty for the constant term
  using Term = std::pair<Monomial, int64_t>;

  /// Falling degree, then by name: an admissible order, which both the text and the division need.
  static bool before(const Monomial &a, const Monomial &b);
  static Monomial product(const Monomial &a, const Monomial &b);
  static std::optional<Monomial> quotient(const Monomial &a, const Monomial &b);
  /// Adds factor * monomial. False when the sum leaves the representable sizes.
  bool addTerm(const Monomial &monomial, int64_t factor);
  Term leadingTerm() const;

  std::map<Monomial, int64_t> terms; // no zero coefficients
};

} // namespace rondo
