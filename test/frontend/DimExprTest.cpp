// Symbolic sizes: one canonical form per polynomial, exact division, checked arithmetic.
#include "dialects/Recur/DimExpr.h"
#include <catch2/catch.hpp>
#include <random>

using rondo::DimExpr;

static DimExpr dim(std::string_view text) {
  auto result = DimExpr::parse(text);
  INFO(text);
  REQUIRE(result);
  return *result;
}

TEST_CASE("equal sizes have one form", "[dim]") {
  CHECK(dim("H*K") == dim("K*H"));
  CHECK(dim("2*K+K") == dim("3*K"));
  CHECK(dim("K-K") == DimExpr());
  CHECK(dim("K") != dim("V"));
  CHECK((dim("K+1") * dim("K-1")) == dim("K*K-1"));
}

TEST_CASE("text is canonical and reads back", "[dim]") {
  CHECK(dim("1 + K*2*H").str() == "2*H*K+1");
  CHECK(DimExpr().str() == "0");
  CHECK(dim("-K+1").str() == "-K+1");
  CHECK(dim("B+A*A+C*D-3").str() == "A*A+C*D+B-3");
  CHECK(dim("f.K*2").str() == "2*f.K");
  CHECK(DimExpr::constant(INT64_MIN).str() == "-9223372036854775808");
}

TEST_CASE("what is no size is refused", "[dim]") {
  for (const char *text : {"", "K+", "*K", "2**K", "K V", "(K)", "?", "9999999999999999999", "K^2"})
    CHECK_FALSE(DimExpr::parse(text));
  CHECK_FALSE(DimExpr::parse(std::string_view("K\0V", 3)));
}

TEST_CASE("constants and symbols are recognised", "[dim]") {
  CHECK(dim("7").asConstant() == 7);
  CHECK(dim("K-K").asConstant() == 0);
  CHECK_FALSE(dim("K").asConstant());
  CHECK(dim("K").asSymbol() == "K");
  CHECK_FALSE(dim("2*K").asSymbol());
  CHECK_FALSE(dim("H*K").asSymbol());
  CHECK(dim("H*K+K+1").symbols() == std::vector<std::string>{"H", "K"});
}

TEST_CASE("division is exact or empty", "[dim]") {
  CHECK(dim("H*K").exactDivide(dim("H")) == dim("K"));
  CHECK(dim("2*H*K+4*H").exactDivide(dim("2*H")) == dim("K+2"));
  CHECK(dim("A*A-B*B").exactDivide(dim("A+B")) == dim("A-B"));
  CHECK(dim("0").exactDivide(dim("H")) == DimExpr());
  CHECK_FALSE(dim("H*K+1").exactDivide(dim("H")));
  CHECK_FALSE(dim("3*K").exactDivide(dim("2")));
  CHECK_FALSE(dim("K").exactDivide(DimExpr()));
}

TEST_CASE("a product of random sizes divides by its factors", "[dim]") {
  std::mt19937 random(7);
  auto draw = [&random] {
    DimExpr sum;
    for (int terms = 1 + int(random() % 3); terms > 0; --terms) {
      DimExpr term = DimExpr::constant(int64_t(random() % 9) - 4);
      for (int factors = int(random() % 3); factors > 0; --factors)
        term = term * DimExpr::symbol(std::string(1, char('A' + random() % 3)));
      sum = sum + term;
    }
    return sum;
  };
  for (int round = 0; round < 300; ++round) {
    DimExpr a = draw(), b = draw(), product = a * b;
    INFO(a.str() << " times " << b.str());
    CHECK(DimExpr::parse(product.str()) == product);
    if (b != DimExpr())
      CHECK(product.exactDivide(b) == a);
  }
}

TEST_CASE("sizes are substituted and evaluated", "[dim]") {
  auto value = [](const std::string &name) -> std::optional<DimExpr> {
    if (name == "K")
      return dim("2*D");
    return std::nullopt;
  };
  CHECK(dim("H*K+1").substitute(value) == dim("2*D*H+1"));
  CHECK(dim("H*K+1").evaluate({{"H", 4}, {"K", 8}}) == 33);
  CHECK_FALSE(dim("H*K+1").evaluate({{"H", 4}}));
}

TEST_CASE("arithmetic that does not fit gives the invalid size, which stays invalid", "[dim]") {
  DimExpr big = DimExpr::constant(INT64_MAX);
  CHECK_FALSE((big + DimExpr::constant(1)).isValid());
  CHECK_FALSE((big * DimExpr::constant(2)).isValid());
  CHECK_FALSE((DimExpr() - DimExpr::constant(INT64_MIN)).isValid());
  CHECK_FALSE((DimExpr::invalid() - DimExpr::invalid()).isValid());
  CHECK_FALSE(DimExpr::invalid().asSymbol());
  CHECK_FALSE(dim("K*K").evaluate({{"K", INT64_MAX}}));
  DimExpr power = DimExpr::constant(1);
  for (int i = 0; i < 40; ++i)
    power = power * dim("A+B+C+D");
  CHECK_FALSE(power.isValid());
}
