// The parser's inside, shared by the files that hold its productions: Parser.cpp (tokens, recovery, files, functions),
// ParserModel.cpp (models and their items), ParserExpr.cpp (expressions). A production that fails has reported why and
// returns null or false; the failure travels up to the statement, which skips to the next one.
#pragma once
#include "frontend/Lexer.h"
#include "frontend/Parser.h"
#include <algorithm>

namespace rondo::frontend {

class Parser {
public:
  Parser(const SourceManager &sources, uint32_t file, Diagnostics &diagnostics);
  File parseFile();

private:
  /// How deep brackets, unary operators and heads scopes may nest; each level costs some frames of the parser's stack.
  static constexpr uint32_t maxNesting = 128;
  class Nested;

  // Tokens.
  const Token &peek(size_t ahead = 0) const { return tokens[std::min(at + ahead, tokens.size() - 1)]; }
  bool is(TokenKind kind) const { return peek().kind == kind; }
  bool isWord(std::string_view word) const { return is(TokenKind::Name) && textOf(peek()) == word; }
  bool isBodyEnd() const;
  const Token &take();
  bool takeIf(TokenKind kind);
  std::string_view textOf(const Token &token) const { return sources.text(token.span); }
  Span previousSpan() const;
  Span spanFrom(const Token &first) const { return Span::cover(first.span, previousSpan()); }

  // Errors and recovery.
  Span errorSpan() const;
  std::string found() const;
  Diagnostic &error(const char *slug, Span span, std::string message);
  Diagnostic &expected(const char *slug, std::string_view what);
  bool expect(TokenKind kind, std::string_view purpose);
  bool expectClosing(TokenKind kind, std::string_view purpose, const Token &open);
  bool expectName(std::string_view what, std::string &name, Span &span);
  bool endStatement();
  bool isBinaryOperator() const;
  void skipStatement(size_t first);
  void skipToTopLevel(size_t first);
  void skipBlock();
  ExprPtr tooDeep();

  // Files and functions (Parser.cpp).
  bool parseTopLevelItem(File &file);
  bool parseImport(File &file);
  bool parseFn(File &file);
  bool parseFnParams(Fn &fn);
  bool parseFnParam(Fn &fn);
  bool parseFnBlock(Fn &fn);
  bool parseLet(Fn &fn);

  // Models (ParserModel.cpp).
  bool parseModel(File &file);
  bool parseDimParams(Model &model);
  bool parseAxes(Model &model);
  bool parseBody(ModelBody &body, std::string_view owner);
  bool parseItem(ModelBody &body);
  bool parseDecl(ModelBody &body, DeclKind kind);
  bool parseState(ModelBody &body);
  bool parseOutputs(ModelBody &body);
  bool parseLayer(ModelBody &body);
  bool parseLayerDims(Layer &layer, const Token &open);
  bool parseHeads(ModelBody &body);
  bool parseEquation(ModelBody &body);
  bool parseNames(std::string_view what, std::vector<std::string> &names, std::vector<Span> &spans);
  bool parseType(TypeExpr &type);
  bool parseInterval(std::optional<Interval> &interval);
  bool parseRange(Interval &interval);
  bool parseBound(double &bound);
  bool parseSharing(Sharing &sharing);

  // Expressions (ParserExpr.cpp).
  ExprPtr parseExpr();
  ExprPtr parseSum();
  ExprPtr parseProduct();
  ExprPtr parseUnary();
  ExprPtr parsePower();
  ExprPtr parsePostfix();
  ExprPtr parsePrimary();
  ExprPtr parseNumber();
  ExprPtr parseNameOrCall();
  ExprPtr parseParenthesis();
  ExprPtr parseArray();
  bool parseArguments(std::vector<Argument> &arguments, const Token &open, std::string_view purpose);
  bool parseArgument(std::vector<Argument> &arguments);
  bool parseSubscripts(std::vector<Subscript> &subscripts);
  bool parseSubscript(std::vector<Subscript> &subscripts);
  ExprPtr parseBrackets(ExprPtr base);
  bool namesAxes(const std::vector<Subscript> &subscripts) const;
  bool namesAxis(const Expr &expr) const;
  TimeIndex asTimeIndex(Subscript subscript);
  ExprPtr makeExpr(ExprKind kind, Span span) const;
  ExprPtr makeBinary(ExprPtr left, std::string op, ExprPtr right);
  ExprPtr finish(ExprPtr expr);

  const SourceManager &sources;
  uint32_t file;
  Diagnostics &diagnostics;
  std::vector<Token> tokens;
  size_t at = 0;
  uint32_t nesting = 0;
  Diagnostic silent;             // takes the notes of errors that only follow from an unexpected character
  std::vector<std::string> axes; // of the model being parsed; empty in functions, whose values have no time
};

/// Counts one level of nesting for the lifetime of a production.
class Parser::Nested {
public:
  explicit Nested(Parser &parser) : parser(parser) { ++parser.nesting; }
  ~Nested() { --parser.nesting; }
  Nested(const Nested &) = delete;
  Nested &operator=(const Nested &) = delete;
  bool tooDeep() const { return parser.nesting > maxNesting; }

private:
  Parser &parser;
};

} // namespace rondo::frontend
