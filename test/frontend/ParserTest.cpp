// Trees from text; errors, their places, and going on behind them.
#include "frontend/Parser.h"
#include "frontend/AstPrinter.h"
#include "test/frontend/Programs.h"
#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace rondo::frontend;

namespace {
struct Parsed {
  SourceManager sources;
  Diagnostics diagnostics;
  File file;

  explicit Parsed(std::string text) { file = parse(sources, sources.add("t.rondo", std::move(text)), diagnostics); }
  /// `line:col slug` of every diagnostic.
  std::vector<std::string> errors() const {
    std::vector<std::string> result;
    for (const Diagnostic &d : diagnostics.all()) {
      LineColumn at = sources.position(d.span.file, d.span.begin);
      result.push_back(fmt::format("{}:{} {}", at.line, at.column, d.slug));
    }
    return result;
  }
};

using Errors = std::vector<std::string>;

/// The value of an equation of a model with dimensions and the axis t.
const Expr &valueOf(const Parsed &parsed) { return *parsed.file.models.at(0).body.equations.at(0).value; }
Parsed parseValue(const std::string &text) { return Parsed("model m {\ny[t] = " + text + "\n}"); }

/// Fully bracketed form, to see how operators group.
std::string grouped(const Expr &e) {
  if (e.kind == ExprKind::Binary)
    return "(" + grouped(*e.args[0]) + e.name + grouped(*e.args[1]) + ")";
  if (e.kind == ExprKind::Unary)
    return "(-" + grouped(*e.args[0]) + ")";
  return print(e);
}

std::string groupingOf(const std::string &text) {
  Parsed parsed = parseValue(text);
  INFO(text);
  REQUIRE(parsed.errors().empty());
  return grouped(valueOf(parsed));
}
} // namespace

TEST_CASE("every program parses without a word", "[parser]") {
  auto programs = rondo::frontend::test::allPrograms();
  CHECK(programs.size() >= 15);
  for (const auto &program : programs) {
    INFO(program.name);
    Parsed parsed(program.text);
    CHECK(parsed.errors() == Errors{});
    CHECK(parsed.file.models.size() + parsed.file.fns.size() > 0);
  }
}

TEST_CASE("operators group as in mathematics", "[parser]") {
  CHECK(groupingOf("a + b * c - d") == "((a+(b*c))-d)");
  CHECK(groupingOf("a / b @ c * d") == "(((a/b)@c)*d)");
  CHECK(groupingOf("-a^2") == "(-(a^2))");
  CHECK(groupingOf("-a @ b") == "((-a)@b)");
  CHECK(groupingOf("2^-a^b") == "(2^(-(a^b)))");
  CHECK(groupingOf("a - -b") == "(a-(-b))");
  CHECK(groupingOf("a + 1 < b * 2") == "((a+1)<(b*2))");
  CHECK(groupingOf("(a + b) @ S[t-1][0]^2") == "((a+b)@(S[t-1][0]^2))");
}

TEST_CASE("brackets behind a bare name are times when every entry names an axis", "[parser]") {
  auto kindOf = [](const char *text) { return valueOf(parseValue(text)).kind; };
  CHECK(kindOf("x[t]") == ExprKind::At);
  CHECK(kindOf("x[t-2*p]") == ExprKind::At);
  CHECK(kindOf("f.o[t+1]") == ExprKind::At);
  CHECK(kindOf("x[0]") == ExprKind::Subscript);
  CHECK(kindOf("x[t, 0]") == ExprKind::Subscript);
  CHECK(kindOf("x[t:]") == ExprKind::Subscript);
  CHECK(kindOf("x[t][t]") == ExprKind::Subscript);
  CHECK(kindOf("f(x)[t]") == ExprKind::Subscript);
  CHECK(kindOf("x[r]") == ExprKind::Subscript);
}

TEST_CASE("time distances are taken relative to the first sign", "[parser]") {
  Parsed parsed = parseValue("x[t-p-1+2]");
  const TimeIndex &time = valueOf(parsed).times.at(0);
  CHECK(time.axis == "t");
  CHECK(time.sign == -1);
  CHECK(print(*time.distance) == "p + 1 - 2");
}

TEST_CASE("axes are the model's, and functions have none", "[parser]") {
  Parsed parsed("model m over (r, c) { h[r, c] = h[r-1, c] + x[t] }\nfn f(x) = x[t]");
  CHECK(parsed.errors().empty());
  const Expr &sum = valueOf(parsed);
  CHECK(sum.args[0]->times.size() == 2);
  CHECK(sum.args[1]->kind == ExprKind::Subscript);
  CHECK(parsed.file.fns.at(0).result->kind == ExprKind::Subscript);
}

TEST_CASE("statements end at lines, semicolons and reserved words", "[parser]") {
  Parsed parsed("model m { input x: [] output y; y[t] = x[t]\n  + 1\n  - 2; z[t] =\n 3 *\n 4\n w = f(1,\n2\n) }");
  CHECK(parsed.errors() == Errors{});
  REQUIRE(parsed.file.models[0].body.equations.size() == 3);
  CHECK(print(*parsed.file.models[0].body.equations[0].value) == "x[t] + 1 - 2");
  CHECK(print(*parsed.file.models[0].body.equations[1].value) == "3 * 4");
}

TEST_CASE("contextual words name values too", "[parser]") {
  CHECK(
      Parsed("model m { input in, over, per, head, group, complex: [] in [0, 1] per head\n per[t] = in[t] + over[t] }")
          .errors() == Errors{});
}

TEST_CASE("intervals keep bounds and openness", "[parser]") {
  Parsed parsed("model m {\ninput a: [] in (0, 1]\ninput b: [] < -2\ninput c: [] >= -inf\n}");
  REQUIRE(parsed.errors().empty());
  const auto &decls = parsed.file.models[0].body.decls;
  CHECK(decls[0].interval->loOpen);
  CHECK_FALSE(decls[0].interval->hiOpen);
  CHECK(decls[1].interval->hi == -2);
  CHECK(decls[1].interval->hiOpen);
  CHECK(decls[1].interval->lo == -std::numeric_limits<double>::infinity());
  CHECK(decls[2].interval->hi == std::numeric_limits<double>::infinity());
}

TEST_CASE("several mistakes in one run, each once", "[parser]") {
  Parsed parsed("model m<K> {\n"
                "  input x K\n"             // ':' missing
                "  input y: [K] < = 0\n"    // no bound
                "  state h: [K]\n"          // no initial value
                "  a[t] = dot(x[t], y[t]\n" // ')' missing
                "  b[t] = 2 * / x[t]\n"     // no operand
                "  c[t] = x[t]\n"
                "  d[0] = x[t]\n" // not a time
                "  output c\n"
                "}\n"
                "fn f(x = x\n" // ')' missing
                "model n { input x: []; output x }\n");
  CHECK(parsed.errors() == Errors{"2:11 expected-token", "3:18 expected-interval", "4:15 missing-initial",
                                  "5:24 unclosed-bracket", "6:14 expected-expression", "8:4 expected-time-index",
                                  "11:11 unclosed-bracket"});
  REQUIRE(parsed.file.models.size() == 2);
  CHECK(parsed.file.models[0].body.equations.size() == 1);
  CHECK(parsed.file.models[0].body.outputs.size() == 1);
}

TEST_CASE("an error within continuation lines skips all of them", "[parser]") {
  Parsed parsed("model m {\n  y[t] = f(a,\n    b c,\n    d = 3,\n    e)\n  z[t] = 1\n}");
  CHECK(parsed.errors() == Errors{"3:7 unclosed-bracket"});
  CHECK(parsed.file.models[0].body.equations.size() == 1);
}

TEST_CASE("a missing brace is found at the next model", "[parser]") {
  Parsed parsed("model a {\n  output x\n\nmodel b { output y }");
  CHECK(parsed.errors() == Errors{"2:11 unclosed-bracket"});
  CHECK(parsed.file.models.size() == 2);
}

TEST_CASE("an error in front of a block skips the block", "[parser]") {
  Parsed parsed("model a {\n  heads + {\n    y[t] = 1\n  }\n  z[t] = 1\n}\nmodel b { output y }");
  CHECK(parsed.errors() == Errors{"2:9 expected-expression"});
  CHECK(parsed.file.models.size() == 2);
  CHECK(parsed.file.models[0].body.equations.size() == 1);
}

TEST_CASE("an unexpected character is one error", "[parser]") {
  CHECK(Parsed("model m {\n  σ[t] = 1\n  y[t] = λ\n  z[t] = 1\n}").errors() ==
        Errors{"2:3 invalid-character", "3:10 invalid-character"});
}

TEST_CASE("depth is bounded with an error", "[parser]") {
  auto repeat = [](const std::string &text, int times) {
    std::string result;
    for (int i = 0; i < times; ++i)
      result += text;
    return result;
  };
  CHECK(parseValue(repeat("(", 100) + "x" + repeat(")", 100)).errors().empty());
  CHECK(parseValue("x" + repeat(" + x", 500)).errors().empty());
  for (const std::string &text :
       {repeat("(", 100000), repeat("[", 100000), repeat("-", 100000) + "x", repeat("f(", 100000), repeat("x[", 100000),
        "x" + repeat("^x", 100000), "x" + repeat(" + x", 100000), "x" + repeat("[0]", 100000),
        "x[t" + repeat("-1", 100000) + "]"}) {
    Parsed parsed = parseValue(text);
    REQUIRE(parsed.errors().size() == 1);
    CHECK(parsed.diagnostics.all()[0].slug == "too-deep");
  }
  Parsed scopes("model m {\n" + repeat("heads 2 {", 100000) + repeat("}", 100000) + "}");
  REQUIRE(scopes.errors().size() == 1);
  CHECK(scopes.diagnostics.all()[0].slug == "too-deep");
}

TEST_CASE("a diagnostic shows the line, a caret and its notes", "[parser]") {
  Parsed parsed("model m {\n\ty[t] = f(x[t]\n}");
  REQUIRE(parsed.diagnostics.all().size() == 1);
  CHECK(render(parsed.diagnostics.all()[0], parsed.sources, false) ==
        "t.rondo:2:15: error: expected ')' to close the call, got end of line [unclosed-bracket]\n"
        "   y[t] = f(x[t]\n"
        "                ^\n"
        "t.rondo:2:10: note: '(' was opened here\n"
        "   y[t] = f(x[t]\n"
        "           ^\n"
        "note: add the missing ')', or the ',' or operator that belongs in between\n");
}

TEST_CASE("one mistake is reported once per place and slug", "[parser]") {
  Diagnostics diagnostics;
  diagnostics.error("a", {0, 1, 2}, "first").note("kept");
  diagnostics.error("a", {0, 1, 5}, "again").note("dropped");
  diagnostics.error("b", {0, 1, 2}, "other");
  CHECK(diagnostics.errorCount() == 2);
  CHECK(diagnostics.all()[0].notes.size() == 1);
}
