// Text to tokens. Takes any bytes: what no token can start with is reported and skipped. Line breaks are no tokens;
// each token knows whether it is the first of its line, and the parser decides where that ends a statement.
#pragma once
#include "frontend/Diagnostic.h"
#include "frontend/Source.h"

namespace rondo::frontend {

enum class TokenKind : uint8_t {
  End,
  Name,
  Number,
  String,
  // Reserved words, in the order of reservedWords().
  Model,
  Fn,
  Import,
  Input,
  Output,
  Param,
  Init,
  State,
  Layer,
  Heads,
  Return,
  // Punctuation.
  LeftParen,
  RightParen,
  LeftBracket,
  RightBracket,
  LeftBrace,
  RightBrace,
  Comma,
  Colon,
  Semicolon,
  Dot,
  Assign,
  Plus,
  Minus,
  Star,
  Slash,
  At,
  Caret,
  Less,
  LessEqual,
  Greater,
  GreaterEqual,
  Equal,
  NotEqual,
};

struct Token {
  TokenKind kind = TokenKind::End;
  bool lineStart = false;    // first token of its line
  bool afterUnknown = false; // bytes that were reported as unexpected stand before it
  uint32_t column = 1;       // 1-based, in bytes
  double number = 0;         // Number only
  Span span;

  bool isReserved() const { return kind >= TokenKind::Model && kind <= TokenKind::Return; }
};

/// All tokens of file `file`; the last one is End, placed at the end of the text. Reports bad characters, numbers and
/// strings; a bad number or string still yields a token, so that one mistake stays one error.
std::vector<Token> lex(const SourceManager &sources, uint32_t file, Diagnostics &diagnostics);

/// How a token kind is written in a message: "')'", "a name", "end of file".
std::string describe(TokenKind kind);

} // namespace rondo::frontend
