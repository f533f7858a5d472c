// The printer's law: what it writes parses, and prints the same again.
#include "frontend/AstPrinter.h"
#include "frontend/Parser.h"
#include "test/frontend/Programs.h"
#include <catch2/catch.hpp>
#include <random>

using namespace rondo::frontend;

static std::string printed(const std::string &text) {
  SourceManager sources;
  Diagnostics diagnostics;
  File file = parse(sources, sources.add("t.rondo", text), diagnostics);
  INFO(text);
  REQUIRE(diagnostics.all().empty());
  return print(file);
}

static std::string printedValue(const std::string &text) {
  std::string all = printed("model m {\n  y[t] = " + text + "\n}");
  size_t begin = all.find("= ") + 2;
  return all.substr(begin, all.find('\n', begin) - begin);
}

TEST_CASE("printing every program is stable", "[printer]") {
  for (const auto &program : rondo::frontend::test::allPrograms()) {
    INFO(program.name);
    std::string once = printed(program.text);
    CHECK(printed(once) == once);
  }
}

TEST_CASE("a program that is written as the printer writes stays as it is", "[printer]") {
  const std::string text = R"(import "gates.rondo"

fn gated(x: [N], g, eps = 1e-6) {
  y = x * sigmoid(g)
  return rms_norm(y, eps = eps)
}

model m<D, H> over (r, c) {
  input a, b: complex [H * D] in (0, 1] per group
  param w: [H, D] <= 0 per head
  init s0: [D]
  state s: [D] = s0
  layer f = gated_cell<D = D, 2 * H>(x = a[r, c], w = w)
  heads H {
    k[r, c] = split(a[r, c], H)
    output k
  }
  s[r, c] = diag(f.o[r, c]) @ s[r-1, c] + b[r, c][0:D]
  output s
}
)";
  CHECK(printed(text) == text);
}

TEST_CASE("parentheses stand only where they are needed", "[printer]") {
  CHECK(printedValue("((a) + (b * c)) - ((d))") == "a + b * c - d");
  CHECK(printedValue("a - (b - c) / (d * e)") == "a - (b - c) / (d * e)");
  CHECK(printedValue("(-a)^2 + -(a^2) - (a^b)^c + a^(b^c)") == "(-a)^2 + -a^2 - (a^b)^c + a^b^c");
  CHECK(printedValue("(a < b) - (x[t-(1)])[0]") == "(a < b) - x[t-1][0]");
  CHECK(printedValue("(a + b)[0] * (f(x))[1:]") == "(a + b)[0] * f(x)[1:]");
  CHECK(printedValue("-(a * b) @ (c @ d)") == "-(a * b) @ (c @ d)");
  CHECK(printedValue("1.50e-3") == "1.50e-3");
}

TEST_CASE("numbers that no text spelled print as values that read back", "[printer]") {
  Expr expr{};
  expr.kind = ExprKind::Number;
  for (auto [value, text] : {std::pair{0.1, "0.1"}, {1e300, "1e+300"}, {-2.0, "-2"}, {1.0 / 0.0, "inf"}}) {
    expr.number = value;
    CHECK(print(expr) == text);
  }
}

namespace {
/// Random expressions as text with redundant parentheses.
class Random {
public:
  explicit Random(unsigned seed) : random(seed) {}
  std::string expr(int depth) {
    static const char *operators[] = {" + ", " - ", "*", " / ", " @ ", "^"};
    static const char *atoms[] = {"x[t]", "S[t-1]", "a", "2", "1e-3", "f.o[t+p]", "inf", "x[t-p-1]"};
    if (depth == 0)
      return atoms[random() % std::size(atoms)];
    switch (random() % 8) {
    case 0:
      return "-" + expr(depth - 1);
    case 1:
      return "f(" + expr(depth - 1) + ", k = " + expr(depth - 1) + ")";
    case 2:
      return "[" + expr(depth - 1) + ", " + expr(depth - 1) + "]";
    case 3:
      return "(" + expr(depth - 1) + ")[1:" + expr(0) + "]";
    case 4:
      return "(" + expr(depth - 1) + " <= " + expr(depth - 1) + ")";
    default:
      return "(" + expr(depth - 1) + ")" + operators[random() % std::size(operators)] + "(" + expr(depth - 1) + ")";
    }
  }

private:
  std::mt19937 random;
};
} // namespace

TEST_CASE("printing random expressions keeps their trees", "[printer]") {
  for (unsigned seed = 0; seed < 500; ++seed) {
    std::string text = Random(seed).expr(4);
    INFO("seed " << seed << ": " << text);
    std::string once = printedValue(text);
    CHECK(printedValue(once) == once);
    CHECK(once.size() <= text.size() + 64);
  }
}
