// One pass over the bytes. Every branch consumes at least one byte, so that any input ends.
#include "frontend/Lexer.h"
#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <iterator>

namespace rondo::frontend {

namespace {

constexpr std::string_view reservedWords[] = {"model", "fn",    "import", "input", "output", "param",
                                              "init",  "state", "layer",  "heads", "return"};

struct Punctuation {
  std::string_view text;
  TokenKind kind;
};

// Longer ones first: the first match wins.
constexpr Punctuation punctuation[] = {
    {"<=", TokenKind::LessEqual},  {">=", TokenKind::GreaterEqual},
    {"==", TokenKind::Equal},      {"!=", TokenKind::NotEqual},
    {"(", TokenKind::LeftParen},   {")", TokenKind::RightParen},
    {"[", TokenKind::LeftBracket}, {"]", TokenKind::RightBracket},
    {"{", TokenKind::LeftBrace},   {"}", TokenKind::RightBrace},
    {",", TokenKind::Comma},       {":", TokenKind::Colon},
    {";", TokenKind::Semicolon},   {".", TokenKind::Dot},
    {"=", TokenKind::Assign},      {"+", TokenKind::Plus},
    {"-", TokenKind::Minus},       {"*", TokenKind::Star},
    {"/", TokenKind::Slash},       {"@", TokenKind::At},
    {"^", TokenKind::Caret},       {"<", TokenKind::Less},
    {">", TokenKind::Greater},
};

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isNameChar(char c) { return isNameStart(c) || isDigit(c); }
bool isBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v'; }
bool isControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

class Lexer {
public:
  Lexer(std::string_view text, uint32_t file, Diagnostics &diagnostics)
      : text(text), file(file), diagnostics(diagnostics) {}

  std::vector<Token> run() {
    for (skipBlanks(); at < text.size(); skipBlanks())
      if (char c = text[at]; isNameStart(c))
        lexName();
      else if (isDigit(c) || (c == '.' && isDigit(peek(1))))
        lexNumber();
      else if (c == '"')
        lexString();
      else if (!lexPunctuation())
        skipUnknown();
    add(TokenKind::End, at);
    return std::move(tokens);
  }

private:
  char peek(size_t ahead) const { return at + ahead < text.size() ? text[at + ahead] : '\0'; }
  Span spanFrom(size_t begin) const { return {file, uint32_t(begin), uint32_t(at)}; }
  std::string_view textFrom(size_t begin) const { return text.substr(begin, at - begin); }

  Token &add(TokenKind kind, size_t begin) {
    tokens.push_back({kind, freshLine, unknown, uint32_t(begin - lineBegin + 1), 0, spanFrom(begin)});
    freshLine = unknown = false;
    return tokens.back();
  }

  /// Blanks, line breaks and `//` comments.
  void skipBlanks() {
    while (at < text.size()) {
      if (text[at] == '/' && peek(1) == '/')
        at = std::min(text.find('\n', at), text.size());
      else if (!isBlank(text[at]))
        return;
      else if (text[at++] == '\n') {
        freshLine = true;
        lineBegin = at;
      }
    }
  }

  /// name = ( letter | "_" ) { letter | digit | "_" } ;
  void lexName() {
    size_t begin = at;
    while (isNameChar(peek(0)) && at < text.size())
      ++at;
    auto word = std::find(std::begin(reservedWords), std::end(reservedWords), textFrom(begin));
    bool reserved = word != std::end(reservedWords);
    add(reserved ? TokenKind(int(TokenKind::Model) + (word - std::begin(reservedWords))) : TokenKind::Name, begin);
  }

  void skipDigits() {
    while (isDigit(peek(0)))
      ++at;
  }

  /// number = digits [ "." digits ] [ ( "e" | "E" ) [ "+" | "-" ] digits ] ;
  void lexNumber() {
    size_t begin = at;
    bool wellFormed = isDigit(text[at]);
    skipDigits();
    if (peek(0) == '.') {
      ++at;
      wellFormed &= isDigit(peek(0));
      skipDigits();
    }
    if (peek(0) == 'e' || peek(0) == 'E') {
      ++at;
      if (peek(0) == '+' || peek(0) == '-')
        ++at;
      wellFormed &= isDigit(peek(0));
      skipDigits();
    }
    while (isNameChar(peek(0))) {
      ++at;
      wellFormed = false;
    }
    Token &token = add(TokenKind::Number, begin);
    token.number = wellFormed ? numberValue(begin) : 0;
    if (!wellFormed)
      diagnostics.error("malformed-number", token.span, fmt::format("malformed number '{}'", textFrom(begin)))
          .note("numbers are written 1, 1.5 or 1e-6; a name cannot begin with a digit");
  }

  double numberValue(size_t begin) {
    double value = 0;
    auto [end, error] = std::from_chars(text.data() + begin, text.data() + at, value);
    if (error == std::errc())
      return value;
    diagnostics
        .error("number-range", spanFrom(begin), fmt::format("number '{}' is outside the range of f64", textFrom(begin)))
        .note("write 'inf' for infinity and 0 for what is smaller than 5e-324");
    return 0;
  }

  /// string = '"' { any byte but '"' and control bytes } '"' ;
  void lexString() {
    size_t begin = at++;
    while (at < text.size() && text[at] != '"' && !isControl(text[at]))
      ++at;
    bool closed = peek(0) == '"' && at < text.size();
    at += closed;
    Token &token = add(TokenKind::String, begin);
    if (!closed)
      diagnostics.error("unterminated-string", token.span, "expected '\"' to close the string")
          .note("a string ends on the line that it begins on and holds no control characters");
  }

  bool lexPunctuation() {
    for (const Punctuation &p : punctuation)
      if (text.substr(at, p.text.size()) == p.text) {
        size_t begin = at;
        at += p.text.size();
        add(p.kind, begin);
        return true;
      }
    return false;
  }

  /// A run of bytes that start no token is one mistake.
  void skipUnknown() {
    size_t begin = at;
    while (at < text.size() && startsNothing(text[at]))
      ++at;
    unknown = true;
    diagnostics.error("invalid-character", spanFrom(begin), fmt::format("unexpected {}", shown(textFrom(begin))))
        .note("names are made of ASCII letters, digits and '_'; comments begin with '//'");
  }

  static bool startsNothing(char c) {
    if (isBlank(c) || isNameChar(c) || c == '"')
      return false;
    return std::none_of(std::begin(punctuation), std::end(punctuation),
                        [c](const Punctuation &p) { return p.text.size() == 1 && p.text[0] == c; });
  }

  /// Quotes printable text; other bytes are shown as hexadecimal.
  static std::string shown(std::string_view bytes) {
    constexpr size_t most = 16;
    bool plain = isPrintableUtf8(bytes) && bytes.size() <= most;
    if (plain)
      return fmt::format("'{}'", bytes);
    std::string result = bytes.size() == 1 ? "byte" : "bytes";
    for (char c : bytes.substr(0, most))
      result += fmt::format(" 0x{:02x}", static_cast<unsigned char>(c));
    return result + (bytes.size() > most ? " …" : "");
  }

  static bool isPrintableUtf8(std::string_view bytes) {
    for (size_t i = 0; i < bytes.size();) {
      auto lead = static_cast<unsigned char>(bytes[i++]);
      int more = lead < 0x80                   ? 0
                 : lead >= 0xc2 && lead < 0xe0 ? 1
                 : lead >= 0xe0 && lead < 0xf0 ? 2
                 : lead >= 0xf0 && lead < 0xf5 ? 3
                                               : -1;
      if (more < 0 || isControl(char(lead)) ||
          (lead == 0xc2 && i < bytes.size() && static_cast<unsigned char>(bytes[i]) < 0xa0))
        return false;
      for (; more > 0; --more, ++i)
        if (i >= bytes.size() || (static_cast<unsigned char>(bytes[i]) & 0xc0) != 0x80)
          return false;
    }
    return true;
  }

  std::string_view text;
  uint32_t file;
  Diagnostics &diagnostics;
  std::vector<Token> tokens;
  size_t at = 0;
  size_t lineBegin = 0;
  bool freshLine = true;
  bool unknown = false;
};

} // namespace

std::vector<Token> lex(const SourceManager &sources, uint32_t file, Diagnostics &diagnostics) {
  return Lexer(sources.text(file), file, diagnostics).run();
}

std::string describe(TokenKind kind) {
  switch (kind) {
  case TokenKind::End:
    return "end of file";
  case TokenKind::Name:
    return "a name";
  case TokenKind::Number:
    return "a number";
  case TokenKind::String:
    return "a string";
  default:
    break;
  }
  for (const Punctuation &p : punctuation)
    if (p.kind == kind)
      return fmt::format("'{}'", p.text);
  return fmt::format("'{}'", reservedWords[int(kind) - int(TokenKind::Model)]);
}

} // namespace rondo::frontend
