// Tokens, error recovery, and the productions of files and functions. The grammar in frontend/README.md is the union of
// the productions that stand above the parse functions.
//
// Where a statement ends: at ';', '}', a reserved word, or a line break at which the expression may end and the next
// line does not begin with a binary operator. No statement begins with an operator, so this reads as it looks.
#include "frontend/Parser.h"
#include "frontend/ParserState.h"
#include <fmt/format.h>

namespace rondo::frontend {

File parse(const SourceManager &sources, uint32_t file, Diagnostics &diagnostics) {
  return Parser(sources, file, diagnostics).parseFile();
}

Parser::Parser(const SourceManager &sources, uint32_t file, Diagnostics &diagnostics)
    : sources(sources), file(file), diagnostics(diagnostics), tokens(lex(sources, file, diagnostics)) {}

// ---- Tokens ----

const Token &Parser::take() {
  const Token &token = peek();
  if (at + 1 < tokens.size())
    ++at;
  return token;
}

bool Parser::takeIf(TokenKind kind) {
  if (!is(kind))
    return false;
  take();
  return true;
}

Span Parser::previousSpan() const { return at > 0 ? tokens[at - 1].span : peek().span; }

/// A body ends at its '}', and also where that was forgotten: at the end of the file or before the next model or
/// function.
bool Parser::isBodyEnd() const {
  TokenKind kind = peek().kind;
  return kind == TokenKind::RightBrace || kind == TokenKind::End || kind == TokenKind::Model || kind == TokenKind::Fn ||
         kind == TokenKind::Import;
}

// ---- Errors and recovery ----

/// Where something is missing. When the next token is on a later line, the place is behind the previous token: the
/// mistake is in the line that the reader was writing.
Span Parser::errorSpan() const {
  const Token &next = peek();
  if (at == 0 || !(next.lineStart || next.kind == TokenKind::End))
    return next.span;
  uint32_t end = previousSpan().end;
  return {file, end, end};
}

std::string Parser::found() const {
  const Token &next = peek();
  if (next.kind == TokenKind::End)
    return "end of file";
  if (next.lineStart && at > 0)
    return "end of line";
  constexpr size_t most = 32;
  std::string_view text = textOf(next);
  return text.size() <= most ? fmt::format("'{}'", text) : fmt::format("'{}…'", text.substr(0, most));
}

/// An unexpected character was reported by the lexer; that the tokens around it do not fit together is no second
/// mistake.
Diagnostic &Parser::error(const char *slug, Span span, std::string message) {
  if (!peek().afterUnknown)
    return diagnostics.error(slug, span, std::move(message));
  silent = {};
  return silent;
}

Diagnostic &Parser::expected(const char *slug, std::string_view what) {
  return error(slug, errorSpan(), fmt::format("expected {}, got {}", what, found()));
}

bool Parser::expect(TokenKind kind, std::string_view purpose) {
  if (takeIf(kind))
    return true;
  expected("expected-token", fmt::format("{} {}", describe(kind), purpose));
  return false;
}

bool Parser::expectClosing(TokenKind kind, std::string_view purpose, const Token &open) {
  if (takeIf(kind))
    return true;
  expected("unclosed-bracket", fmt::format("{} to close {}", describe(kind), purpose))
      .note(fmt::format("'{}' was opened here", textOf(open)), open.span)
      .note(fmt::format("add the missing {}, or the ',' or operator that belongs in between", describe(kind)));
  return false;
}

bool Parser::expectName(std::string_view what, std::string &name, Span &span) {
  if (is(TokenKind::Name) && !(peek().lineStart && at > 0)) {
    span = peek().span;
    name = textOf(take());
    return true;
  }
  // A name on the next line would swallow the statement that begins there, except behind a comma or an opening bracket.
  bool afterSeparator =
      at > 0 && (tokens[at - 1].kind == TokenKind::Comma || tokens[at - 1].kind == TokenKind::LeftParen ||
                 tokens[at - 1].kind == TokenKind::Less);
  if (is(TokenKind::Name) && afterSeparator) {
    span = peek().span;
    name = textOf(take());
    return true;
  }
  Diagnostic &diagnostic = expected("expected-name", what);
  if (peek().isReserved() && !peek().lineStart)
    diagnostic.note(fmt::format("'{}' is a reserved word; choose another name", textOf(peek())));
  else
    diagnostic.note("a name is a letter or '_', then letters, digits and '_'");
  return false;
}

bool Parser::isBinaryOperator() const { return peek().kind >= TokenKind::Plus && peek().kind <= TokenKind::NotEqual; }

bool Parser::endStatement() {
  if (takeIf(TokenKind::Semicolon))
    return true;
  const Token &next = peek();
  if (next.kind == TokenKind::RightBrace || next.kind == TokenKind::End || next.isReserved())
    return true;
  if (next.lineStart && !isBinaryOperator())
    return true;
  Diagnostic &diagnostic = expected("expected-end-of-statement", "the end of the statement");
  if (next.kind == TokenKind::Assign)
    diagnostic.note("a line that ends in an operator or '=' goes on in the next line; finish it, or compare with '=='");
  else
    diagnostic.note("write one statement per line, or put ';' between two");
  return false;
}

/// Skips to the next statement of a body: past a ';', to a '}', or to a line whose first token is a reserved word or
/// stands no further right than the failed statement did (continuation lines are indented). A block that is met is
/// skipped whole.
void Parser::skipStatement(size_t first) {
  uint32_t column = tokens[first].column;
  if (at == first && !isBodyEnd() && !is(TokenKind::LeftBrace))
    take();
  while (!isBodyEnd()) {
    const Token &next = peek();
    if (next.kind == TokenKind::LeftBrace) {
      skipBlock();
      continue;
    }
    if (next.lineStart && at > first && (next.isReserved() || next.column <= column))
      return;
    if (take().kind == TokenKind::Semicolon)
      return;
  }
}

void Parser::skipBlock() {
  size_t open = 0;
  do {
    if (is(TokenKind::LeftBrace))
      ++open;
    else if (is(TokenKind::RightBrace))
      --open;
    else if (is(TokenKind::End))
      return;
    take();
  } while (open > 0);
}

void Parser::skipToTopLevel(size_t first) {
  if (at == first)
    take();
  while (!is(TokenKind::End) && !is(TokenKind::Model) && !is(TokenKind::Fn) && !is(TokenKind::Import))
    take();
}

ExprPtr Parser::tooDeep() {
  diagnostics.error("too-deep", peek().span, "expected less nesting, got a deeper tree than the compiler accepts")
      .note(fmt::format("brackets and scopes nest at most {} deep, operators at most {}; give a part a name of its own",
                        maxNesting, maxExprHeight));
  return nullptr;
}

// ---- Files and functions ----

/// file = { import | fn | model | ";" } ;
File Parser::parseFile() {
  File result;
  result.id = file;
  while (!is(TokenKind::End)) {
    size_t first = at;
    if (!takeIf(TokenKind::Semicolon) && !parseTopLevelItem(result))
      skipToTopLevel(first);
  }
  return result;
}

bool Parser::parseTopLevelItem(File &result) {
  switch (peek().kind) {
  case TokenKind::Import:
    return parseImport(result);
  case TokenKind::Fn:
    return parseFn(result);
  case TokenKind::Model:
    return parseModel(result);
  default:
    // Not expected(): the token is at fault here, not the line before it.
    error("expected-declaration", peek().span,
          fmt::format("expected 'model', 'fn' or 'import', got '{}'", textOf(peek()).substr(0, 32)))
        .note("equations and declarations stand inside 'model name { … }'");
    return false;
  }
}

/// import = "import" string ;
bool Parser::parseImport(File &result) {
  const Token &first = take();
  if (!is(TokenKind::String)) {
    expected("expected-token", "a quoted file name after 'import'").note("write import \"gates.rondo\"");
    return false;
  }
  std::string_view quoted = textOf(take());
  bool closed = quoted.size() >= 2 && quoted.back() == '"';
  result.imports.push_back({spanFrom(first), std::string(quoted.substr(1, quoted.size() - (closed ? 2 : 1)))});
  return endStatement();
}

/// fn = "fn" name "(" [ fnParam { "," fnParam } ] ")" ( "=" expr | fnBlock ) ;
bool Parser::parseFn(File &result) {
  axes.clear();
  const Token &first = take();
  Fn fn;
  if (!expectName("a name for the function", fn.name, fn.nameSpan) || !parseFnParams(fn))
    return false;
  if (is(TokenKind::LeftBrace)) {
    if (!parseFnBlock(fn))
      return false;
  } else {
    if (!expect(TokenKind::Assign, "or '{' before the body of the function"))
      return false;
    if (!(fn.result = parseExpr()) || !endStatement())
      return false;
  }
  fn.span = spanFrom(first);
  if (fn.result)
    result.fns.push_back(std::move(fn));
  return true;
}

bool Parser::parseFnParams(Fn &fn) {
  const Token open = peek();
  if (!expect(TokenKind::LeftParen, "before the parameters of the function"))
    return false;
  if (takeIf(TokenKind::RightParen))
    return true;
  do {
    if (!parseFnParam(fn))
      return false;
  } while (takeIf(TokenKind::Comma));
  return expectClosing(TokenKind::RightParen, "the parameters of the function", open);
}

/// fnParam = name [ ":" type ] [ "=" expr ] ;
bool Parser::parseFnParam(Fn &fn) {
  FnParam param;
  if (!expectName("a name for the parameter", param.name, param.span))
    return false;
  if (takeIf(TokenKind::Colon) && !parseType(param.type.emplace()))
    return false;
  if (takeIf(TokenKind::Assign) && !(param.defaultValue = parseExpr()))
    return false;
  fn.params.push_back(std::move(param));
  return true;
}

/// fnBlock = "{" { let | ";" } "return" expr [ ";" ] "}" ;
bool Parser::parseFnBlock(Fn &fn) {
  const Token open = take();
  while (!isBodyEnd() && !is(TokenKind::Return)) {
    size_t first = at;
    if (!takeIf(TokenKind::Semicolon) && !parseLet(fn))
      skipStatement(first);
  }
  size_t first = at;
  if (!takeIf(TokenKind::Return))
    expected("missing-return", fmt::format("'return' and a value at the end of function '{}'", fn.name))
        .note("a function with a block gives its value by 'return', its last statement");
  else if (!(fn.result = parseExpr()) || !endStatement())
    skipStatement(first);
  takeIf(TokenKind::Semicolon);
  return expectClosing(TokenKind::RightBrace, fmt::format("function '{}'", fn.name), open);
}

/// let = name "=" expr ;
bool Parser::parseLet(Fn &fn) {
  Let let;
  const Token &first = peek();
  if (!is(TokenKind::Name)) {
    error("expected-let", first.span,
          fmt::format("expected 'name = value' or 'return', got '{}'", textOf(first).substr(0, 32)))
        .note("the block of a function holds equations without time, then 'return'");
    return false;
  }
  let.name = textOf(take());
  let.span = first.span;
  if (is(TokenKind::LeftBracket)) {
    diagnostics.error("time-in-function", peek().span, fmt::format("expected '=' after '{}', got '['", let.name))
        .note("the values of a function have no time: pass x[t], and write plain names in the body");
    return false;
  }
  if (!expect(TokenKind::Assign, "after the name of the value") || !(let.value = parseExpr()) || !endStatement())
    return false;
  fn.lets.push_back(std::move(let));
  return true;
}

} // namespace rondo::frontend
