// Tokens and their places; any bytes at all.
#include "frontend/Lexer.h"
#include <catch2/catch.hpp>
#include <random>

using namespace rondo::frontend;

namespace {
struct Lexed {
  SourceManager sources;
  Diagnostics diagnostics;
  std::vector<Token> tokens;

  explicit Lexed(std::string text) { tokens = lex(sources, sources.add("t.rondo", std::move(text)), diagnostics); }
  std::vector<TokenKind> kinds() const {
    std::vector<TokenKind> result;
    for (const Token &token : tokens)
      result.push_back(token.kind);
    return result;
  }
  std::string firstSlug() const { return diagnostics.all().empty() ? "" : diagnostics.all().front().slug; }
};
} // namespace

TEST_CASE("words, numbers and punctuation", "[lexer]") {
  using K = TokenKind;
  CHECK(Lexed("S[t] = a*S[t-1] @ x^2").kinds() == std::vector{K::Name, K::LeftBracket, K::Name, K::RightBracket,
                                                              K::Assign, K::Name, K::Star, K::Name, K::LeftBracket,
                                                              K::Name, K::Minus, K::Number, K::RightBracket, K::At,
                                                              K::Name, K::Caret, K::Number, K::End});
  CHECK(Lexed("< <= > >= == != = !=").kinds() == std::vector{K::Less, K::LessEqual, K::Greater, K::GreaterEqual,
                                                             K::Equal, K::NotEqual, K::Assign, K::NotEqual, K::End});
  CHECK(Lexed("model models fn heads head return_").kinds() ==
        std::vector{K::Model, K::Name, K::Fn, K::Heads, K::Name, K::Name, K::End});
  CHECK(Lexed("import \"a b.rondo\" // \"comment\nx").kinds() == std::vector{K::Import, K::String, K::Name, K::End});
}

TEST_CASE("numbers have their values", "[lexer]") {
  Lexed lexed("0 1.5 1e-6 2E+3 007 4.9e-324");
  CHECK(lexed.diagnostics.all().empty());
  std::vector<double> values;
  for (const Token &token : lexed.tokens)
    values.push_back(token.number);
  CHECK(values == std::vector<double>{0, 1.5, 1e-6, 2e3, 7, 4.9e-324, 0});
}

TEST_CASE("places: columns count bytes, a token knows whether it begins its line", "[lexer]") {
  Lexed lexed("a b\r\n\tc // x\n\n  d");
  REQUIRE(lexed.tokens.size() == 5);
  CHECK(lexed.tokens[0].lineStart);
  CHECK_FALSE(lexed.tokens[1].lineStart);
  CHECK(lexed.tokens[2].lineStart);
  CHECK(lexed.tokens[2].column == 2);
  CHECK(lexed.sources.position(0, lexed.tokens[3].span.begin).line == 4);
  CHECK(lexed.sources.position(0, lexed.tokens[3].span.begin).column == 3);
  CHECK(lexed.sources.line(0, lexed.tokens[1].span.begin) == "a b");
  CHECK(lexed.sources.position(0, lexed.tokens[4].span.begin).column == 4);
}

TEST_CASE("bad characters are one error per run, and are skipped", "[lexer]") {
  Lexed greek("y = σλ(x)");
  REQUIRE(greek.diagnostics.all().size() == 1);
  CHECK(greek.diagnostics.all()[0].message == "unexpected 'σλ'");
  CHECK(greek.tokens[2].kind == TokenKind::LeftParen);
  CHECK(greek.tokens[2].afterUnknown);
  CHECK(Lexed(std::string("a\0b", 3)).diagnostics.all()[0].message == "unexpected byte 0x00");
  CHECK(Lexed("\xff\xfe").diagnostics.all()[0].message == "unexpected bytes 0xff 0xfe");
  CHECK(Lexed("\xc2\x9b"
              "31m")
            .diagnostics.all()[0]
            .message == "unexpected bytes 0xc2 0x9b");
  CHECK(Lexed("a ! b").diagnostics.all()[0].message == "unexpected '!'");
}

TEST_CASE("bad numbers and strings are reported and still are tokens", "[lexer]") {
  for (const char *text : {".5", "1.", "1e", "1e+", "2x", "1.5.2x", "0x10"}) {
    INFO(text);
    CHECK(Lexed(text).firstSlug() == "malformed-number");
  }
  CHECK(Lexed("1e999").firstSlug() == "number-range");
  CHECK(Lexed("1e-999").firstSlug() == "number-range");
  CHECK(Lexed("\"abc").firstSlug() == "unterminated-string");
  CHECK(Lexed("\"a\nb\"").diagnostics.all().size() == 2);
  CHECK(Lexed(".5").kinds() == std::vector{TokenKind::Number, TokenKind::End});
}

TEST_CASE("any bytes are lexed; tokens tile the text in order", "[lexer]") {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    std::string text(random() % 64, '\0');
    for (char &c : text)
      c = char(random());
    Lexed lexed(text);
    uint32_t at = 0;
    for (const Token &token : lexed.tokens) {
      CHECK(token.span.begin >= at);
      CHECK(token.span.end >= token.span.begin);
      at = token.span.end;
    }
    CHECK(lexed.tokens.back().kind == TokenKind::End);
    CHECK(at == text.size());
  }
}
