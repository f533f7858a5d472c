// Expressions, lowest precedence first. Trees are bounded in height and the parser in nesting, so that neither this
// file nor anything that walks its trees can run out of stack.
#include "frontend/ParserState.h"
#include <algorithm>
#include <fmt/format.h>

namespace rondo::frontend {

// ---- Nodes ----

ExprPtr Parser::makeExpr(ExprKind kind, Span span) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->span = span;
  return expr;
}

/// Sets the height of a complete node. Null, with an error, when it is over the bound.
ExprPtr Parser::finish(ExprPtr expr) {
  uint32_t below = 0;
  auto include = [&below](const ExprPtr &child) { below = std::max(below, child ? child->height : 0); };
  for (const ExprPtr &arg : expr->args)
    include(arg);
  for (const TimeIndex &time : expr->times)
    include(time.distance);
  for (const Subscript &subscript : expr->subscripts) {
    include(subscript.begin);
    include(subscript.end);
  }
  for (const Argument &argument : expr->arguments)
    include(argument.value);
  expr->height = below + 1;
  return expr->height <= maxExprHeight ? std::move(expr) : tooDeep();
}

ExprPtr Parser::makeBinary(ExprPtr left, std::string op, ExprPtr right) {
  ExprPtr expr = makeExpr(ExprKind::Binary, Span::cover(left->span, right->span));
  expr->name = std::move(op);
  expr->args.push_back(std::move(left));
  expr->args.push_back(std::move(right));
  return finish(std::move(expr));
}

// ---- Operators ----

/// expr = sum [ ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) sum ] ;
ExprPtr Parser::parseExpr() {
  auto isComparison = [this] { return peek().kind >= TokenKind::Less && peek().kind <= TokenKind::NotEqual; };
  ExprPtr left = parseSum();
  if (!left || !isComparison())
    return left;
  std::string op(textOf(take()));
  ExprPtr right = parseSum();
  if (!right)
    return nullptr;
  if (isComparison()) {
    diagnostics
        .error("chained-comparison", peek().span,
               fmt::format("expected one comparison, got a second '{}'", textOf(peek())))
        .note("write and(a < b, b < c)");
    return nullptr;
  }
  return makeBinary(std::move(left), std::move(op), std::move(right));
}

/// sum = product { ( "+" | "-" ) product } ;
ExprPtr Parser::parseSum() {
  ExprPtr left = parseProduct();
  while (left && (is(TokenKind::Plus) || is(TokenKind::Minus))) {
    std::string op(textOf(take()));
    ExprPtr right = parseProduct();
    left = right ? makeBinary(std::move(left), std::move(op), std::move(right)) : nullptr;
  }
  return left;
}

/// product = unary { ( "*" | "/" | "@" ) unary } ;
ExprPtr Parser::parseProduct() {
  ExprPtr left = parseUnary();
  while (left && (is(TokenKind::Star) || is(TokenKind::Slash) || is(TokenKind::At))) {
    std::string op(textOf(take()));
    ExprPtr right = parseUnary();
    left = right ? makeBinary(std::move(left), std::move(op), std::move(right)) : nullptr;
  }
  return left;
}

/// unary = "-" unary | power ;
ExprPtr Parser::parseUnary() {
  Nested nested(*this);
  if (nested.tooDeep())
    return tooDeep();
  if (!is(TokenKind::Minus))
    return parsePower();
  Span begin = take().span;
  ExprPtr operand = parseUnary();
  if (!operand)
    return nullptr;
  ExprPtr expr = makeExpr(ExprKind::Unary, Span::cover(begin, operand->span));
  expr->name = "-";
  expr->args.push_back(std::move(operand));
  return finish(std::move(expr));
}

/// power = postfix [ "^" unary ] ;
ExprPtr Parser::parsePower() {
  ExprPtr base = parsePostfix();
  if (!base || !takeIf(TokenKind::Caret))
    return base;
  ExprPtr exponent = parseUnary();
  return exponent ? makeBinary(std::move(base), "^", std::move(exponent)) : nullptr;
}

/// postfix = primary { brackets } ; with the "[" on the line of what it belongs to, or inside brackets.
ExprPtr Parser::parsePostfix() {
  ExprPtr expr = parsePrimary();
  while (expr && is(TokenKind::LeftBracket) && !peek().lineStart)
    expr = parseBrackets(std::move(expr));
  return expr;
}

// ---- Brackets behind a value ----

/// brackets = times | subscripts ;
///
/// times = "[" time { "," time } "]" ;
/// time = name { ( "+" | "-" ) product } ;
///
/// It is times when the brackets are the first ones behind a bare name and every entry begins with an axis of the model.
ExprPtr Parser::parseBrackets(ExprPtr base) {
  std::vector<Subscript> subscripts;
  if (!parseSubscripts(subscripts))
    return nullptr;
  bool isTime = base->kind == ExprKind::Name && namesAxes(subscripts);
  ExprPtr expr = makeExpr(isTime ? ExprKind::At : ExprKind::Subscript, Span::cover(base->span, previousSpan()));
  expr->args.push_back(std::move(base));
  if (!isTime)
    expr->subscripts = std::move(subscripts);
  else
    for (Subscript &subscript : subscripts)
      expr->times.push_back(asTimeIndex(std::move(subscript)));
  return finish(std::move(expr));
}

/// subscripts = "[" subscript { "," subscript } "]" ;
bool Parser::parseSubscripts(std::vector<Subscript> &subscripts) {
  const Token open = take();
  do {
    if (!parseSubscript(subscripts))
      return false;
  } while (takeIf(TokenKind::Comma));
  return expectClosing(TokenKind::RightBracket, "the index", open);
}

/// subscript = expr | [ expr ] ":" [ expr ] ;
bool Parser::parseSubscript(std::vector<Subscript> &subscripts) {
  const Token &first = peek();
  Subscript subscript;
  if (!is(TokenKind::Colon) && !(subscript.begin = parseExpr()))
    return false;
  if (takeIf(TokenKind::Colon)) {
    subscript.isSlice = true;
    bool open = is(TokenKind::Comma) || is(TokenKind::RightBracket);
    if (!open && !(subscript.end = parseExpr()))
      return false;
  }
  subscript.span = spanFrom(first);
  subscripts.push_back(std::move(subscript));
  return true;
}

bool Parser::namesAxes(const std::vector<Subscript> &subscripts) const {
  return std::all_of(subscripts.begin(), subscripts.end(),
                     [this](const Subscript &s) { return !s.isSlice && namesAxis(*s.begin); });
}

/// An axis of the model, alone or as the first term of a sum.
bool Parser::namesAxis(const Expr &expr) const {
  const Expr *first = &expr;
  while (first->kind == ExprKind::Binary && (first->name == "+" || first->name == "-"))
    first = first->args[0].get();
  return first->kind == ExprKind::Name && std::find(axes.begin(), axes.end(), first->name) != axes.end();
}

/// `t - p - 1` is the distance p + 1 into the past: the first sign gives the direction, the others are taken relative
/// to it.
TimeIndex Parser::asTimeIndex(Subscript subscript) {
  std::vector<std::pair<std::string, ExprPtr>> terms; // last first
  ExprPtr first = std::move(subscript.begin);
  while (first->kind == ExprKind::Binary) {
    terms.emplace_back(first->name, std::move(first->args[1]));
    first = std::move(first->args[0]);
  }
  TimeIndex time;
  time.span = subscript.span;
  time.axis = first->name;
  if (terms.empty())
    return time;
  std::string direction = terms.back().first;
  time.sign = direction == "-" ? -1 : 1;
  for (; !terms.empty(); terms.pop_back()) {
    auto &[sign, term] = terms.back();
    // The height cannot exceed the original sum's, which was accepted, so this never fails.
    time.distance = time.distance ? makeBinary(std::move(time.distance), sign == direction ? "+" : "-", std::move(term))
                                  : std::move(term);
  }
  return time;
}

// ---- Primaries ----

/// primary = number | nameOrCall | "(" expr ")" | array ;
ExprPtr Parser::parsePrimary() {
  // The value itself was the unexpected character: without this, the next line's first name would be taken for it.
  if (peek().afterUnknown)
    return nullptr;
  switch (peek().kind) {
  case TokenKind::Number:
    return parseNumber();
  case TokenKind::Name:
    return parseNameOrCall();
  case TokenKind::LeftParen:
    return parseParenthesis();
  case TokenKind::LeftBracket:
    return parseArray();
  default:
    break;
  }
  Diagnostic &diagnostic = expected("expected-expression", "an expression");
  if (peek().isReserved() && !peek().lineStart)
    diagnostic.note(fmt::format("'{}' is a reserved word and cannot name a value", textOf(peek())));
  else
    diagnostic.note("an expression is a number, a name, a call f(x), an array [a, b] or '(' expression ')'");
  return nullptr;
}

ExprPtr Parser::parseNumber() {
  const Token &token = take();
  ExprPtr expr = makeExpr(ExprKind::Number, token.span);
  expr->number = token.number;
  expr->spelling = textOf(token);
  return expr;
}

/// nameOrCall = name { "." name } [ "(" [ argument { "," argument } ] ")" ] ; with the "(" on the line of the name
ExprPtr Parser::parseNameOrCall() {
  const Token &first = take();
  std::string name(textOf(first));
  while (takeIf(TokenKind::Dot)) {
    std::string part;
    Span span;
    if (!expectName("the name of a value of the layer after '.'", part, span))
      return nullptr;
    name += "." + part;
  }
  bool isCall = is(TokenKind::LeftParen) && !peek().lineStart;
  ExprPtr expr = makeExpr(isCall ? ExprKind::Call : ExprKind::Name, spanFrom(first));
  expr->name = std::move(name);
  if (!isCall)
    return expr;
  const Token open = take();
  if (!parseArguments(expr->arguments, open, "the call"))
    return nullptr;
  expr->span = spanFrom(first);
  return finish(std::move(expr));
}

/// The rest of a list of arguments, behind its "(".
bool Parser::parseArguments(std::vector<Argument> &arguments, const Token &open, std::string_view purpose) {
  if (takeIf(TokenKind::RightParen))
    return true;
  do {
    if (!parseArgument(arguments))
      return false;
  } while (takeIf(TokenKind::Comma));
  return expectClosing(TokenKind::RightParen, purpose, open);
}

/// argument = [ name "=" ] expr ;
bool Parser::parseArgument(std::vector<Argument> &arguments) {
  Argument argument;
  if (is(TokenKind::Name) && peek(1).kind == TokenKind::Assign) {
    argument.name = textOf(take());
    take();
  }
  argument.value = parseExpr();
  if (!argument.value)
    return false;
  arguments.push_back(std::move(argument));
  return true;
}

ExprPtr Parser::parseParenthesis() {
  const Token open = take();
  ExprPtr expr = parseExpr();
  if (!expr || !expectClosing(TokenKind::RightParen, "the parenthesis", open))
    return nullptr;
  expr->span = Span::cover(open.span, previousSpan());
  return expr;
}

/// array = "[" expr { "," expr } "]" ;
ExprPtr Parser::parseArray() {
  const Token open = take();
  ExprPtr expr = makeExpr(ExprKind::Array, open.span);
  do {
    ExprPtr element = parseExpr();
    if (!element)
      return nullptr;
    expr->args.push_back(std::move(element));
  } while (takeIf(TokenKind::Comma));
  if (!expectClosing(TokenKind::RightBracket, "the array", open))
    return nullptr;
  expr->span = Span::cover(open.span, previousSpan());
  return finish(std::move(expr));
}

} // namespace rondo::frontend
