// Models and the items in their bodies.
#include "frontend/ParserState.h"
#include <fmt/format.h>
#include <limits>
#include <numbers>

namespace rondo::frontend {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// model = "model" name [ "<" name { "," name } ">" ] [ "over" axes ] body ;
bool Parser::parseModel(File &result) {
  const Token &first = take();
  Model model;
  if (!expectName("a name for the model", model.name, model.nameSpan) || !parseDimParams(model) || !parseAxes(model))
    return false;
  axes = model.axes;
  bool complete = parseBody(model.body, fmt::format("model '{}'", model.name));
  model.span = spanFrom(first);
  result.models.push_back(std::move(model));
  return complete;
}

bool Parser::parseDimParams(Model &model) {
  const Token open = peek();
  if (!takeIf(TokenKind::Less))
    return true;
  do {
    DimParam dim;
    if (!expectName("a name for a dimension", dim.name, dim.span))
      return false;
    model.dims.push_back(std::move(dim));
  } while (takeIf(TokenKind::Comma));
  return expectClosing(TokenKind::Greater, "the dimensions", open);
}

/// axes = name | "(" name { "," name } ")" ;
bool Parser::parseAxes(Model &model) {
  if (!isWord("over")) {
    model.axes = {"t"};
    return true;
  }
  take();
  const Token open = peek();
  bool several = takeIf(TokenKind::LeftParen);
  std::vector<Span> spans;
  if (several)
    return parseNames("a name for an axis", model.axes, spans) &&
           expectClosing(TokenKind::RightParen, "the axes", open);
  return expectName("a name for the axis", model.axes.emplace_back(), spans.emplace_back());
}

/// body = "{" { item | ";" } "}" ;
bool Parser::parseBody(ModelBody &body, std::string_view owner) {
  const Token open = peek();
  if (!expect(TokenKind::LeftBrace, fmt::format("to open the body of {}", owner)))
    return false;
  while (!isBodyEnd()) {
    size_t first = at;
    if (!takeIf(TokenKind::Semicolon) && !parseItem(body))
      skipStatement(first);
  }
  return expectClosing(TokenKind::RightBrace, owner, open);
}

/// item = decl | state | output | layer | heads | equation ;
bool Parser::parseItem(ModelBody &body) {
  switch (peek().kind) {
  case TokenKind::Input:
    return parseDecl(body, DeclKind::Input);
  case TokenKind::Param:
    return parseDecl(body, DeclKind::Param);
  case TokenKind::Init:
    return parseDecl(body, DeclKind::Init);
  case TokenKind::State:
    return parseState(body);
  case TokenKind::Output:
    return parseOutputs(body);
  case TokenKind::Layer:
    return parseLayer(body);
  case TokenKind::Heads:
    return parseHeads(body);
  case TokenKind::Name:
    if (TokenKind next = peek(1).kind; next == TokenKind::LeftBracket || next == TokenKind::Assign)
      return parseEquation(body);
    break;
  default:
    break;
  }
  // Not expected(): the token is at fault here, not the line before it.
  Diagnostic &diagnostic =
      error("expected-item", peek().span,
            fmt::format("expected a declaration or an equation, got '{}'", textOf(peek()).substr(0, 32)));
  if (is(TokenKind::Name) && peek(1).kind == TokenKind::LeftParen)
    diagnostic.note("time indices stand in square brackets: write y[t] = …");
  else
    diagnostic.note("declarations begin with input, param, init, state, output, layer or heads; equations with name[t] "
                    "= or name =");
  return false;
}

/// decl = ( "input" | "param" | "init" ) name { "," name } ":" type [ interval ] [ sharing ] ;
bool Parser::parseDecl(ModelBody &body, DeclKind kind) {
  const Token &first = take();
  Decl decl;
  decl.kind = kind;
  if (!parseNames("a name to declare", decl.names, decl.nameSpans) ||
      !expect(TokenKind::Colon, "and a type, such as ': [K]'") || !parseType(decl.type) ||
      !parseInterval(decl.interval) || !parseSharing(decl.sharing))
    return false;
  decl.span = spanFrom(first);
  body.decls.push_back(std::move(decl));
  return endStatement();
}

bool Parser::parseNames(std::string_view what, std::vector<std::string> &names, std::vector<Span> &spans) {
  do {
    std::string name;
    Span span;
    if (!expectName(what, name, span))
      return false;
    names.push_back(std::move(name));
    spans.push_back(span);
  } while (takeIf(TokenKind::Comma));
  return true;
}

/// type = [ "complex" ] "[" [ expr { "," expr } ] "]" ;
bool Parser::parseType(TypeExpr &type) {
  const Token &first = peek();
  if (isWord("complex")) {
    type.isComplex = true;
    take();
  }
  const Token open = peek();
  if (!is(TokenKind::LeftBracket) || peek().lineStart) {
    expected("expected-type", "a type such as '[K]'")
        .note("a type is the list of its dimensions: [] for a scalar, [K], [K, V], complex [N]");
    return false;
  }
  take();
  if (!takeIf(TokenKind::RightBracket)) {
    do {
      ExprPtr dim = parseSum();
      if (!dim)
        return false;
      type.dims.push_back(std::move(dim));
    } while (takeIf(TokenKind::Comma));
    if (!expectClosing(TokenKind::RightBracket, "the dimensions of the type", open))
      return false;
  }
  type.span = spanFrom(first);
  return true;
}

/// interval = ( "<=" | "<" | ">=" | ">" ) bound | range ;
bool Parser::parseInterval(std::optional<Interval> &interval) {
  const Token &first = peek();
  bool upper = is(TokenKind::LessEqual) || is(TokenKind::Less);
  bool lower = is(TokenKind::GreaterEqual) || is(TokenKind::Greater);
  bool range = isWord("in") && !first.lineStart;
  if (!upper && !lower && !range)
    return true;
  Interval read{{}, -infinity, infinity};
  bool open = is(TokenKind::Less) || is(TokenKind::Greater);
  take();
  if (range ? !parseRange(read) : !parseBound(upper ? read.hi : read.lo))
    return false;
  if (upper)
    read.hiOpen = open;
  else if (lower)
    read.loOpen = open;
  // Infinite ends are never reached, so whether they are open says nothing.
  read.loOpen &= read.lo != -infinity;
  read.hiOpen &= read.hi != infinity;
  read.span = spanFrom(first);
  bool empty = read.lo > read.hi || (read.lo == read.hi && (read.loOpen || read.hiOpen)) || read.lo == infinity ||
               read.hi == -infinity;
  if (empty)
    diagnostics
        .error("empty-interval", read.span,
               fmt::format("expected an interval that holds numbers, got '{}'", sources.text(read.span)))
        .note("write the smaller bound first: in [0, 1]");
  interval = read;
  return true;
}

/// range = "in" ( "[" | "(" ) bound "," bound ( "]" | ")" ) ;
bool Parser::parseRange(Interval &interval) {
  const Token open = peek();
  if (!is(TokenKind::LeftBracket) && !is(TokenKind::LeftParen)) {
    expected("expected-interval", "an interval after 'in'").note("write in [0, 1], or in (0, 1) to leave out the ends");
    return false;
  }
  take();
  if (!parseBound(interval.lo) || !expect(TokenKind::Comma, "between the bounds of the interval") ||
      !parseBound(interval.hi))
    return false;
  interval.loOpen = open.kind == TokenKind::LeftParen;
  interval.hiOpen = is(TokenKind::RightParen);
  return takeIf(TokenKind::RightParen) || expectClosing(TokenKind::RightBracket, "the interval", open);
}

/// bound = [ "-" ] ( number | "inf" | "pi" ) ;
bool Parser::parseBound(double &bound) {
  bool negative = takeIf(TokenKind::Minus);
  if (is(TokenKind::Number))
    bound = peek().number;
  else if (isWord("inf"))
    bound = infinity;
  else if (isWord("pi"))
    bound = std::numbers::pi;
  else {
    expected("expected-interval", "a number as the bound")
        .note("bounds are numbers, 'pi' or 'inf', with or without '-'");
    return false;
  }
  take();
  if (negative)
    bound = -bound;
  return true;
}

/// sharing = "per" ( "head" | "group" ) ;
bool Parser::parseSharing(Sharing &sharing) {
  if (!isWord("per") || peek().lineStart)
    return true;
  take();
  if (isWord("head"))
    sharing = Sharing::PerHead;
  else if (isWord("group"))
    sharing = Sharing::PerGroup;
  else {
    expected("expected-token", "'head' or 'group' after 'per'").note("without 'per …' a value is shared by all heads");
    return false;
  }
  take();
  return true;
}

/// state = "state" name { "," name } ":" type "=" expr ;
bool Parser::parseState(ModelBody &body) {
  const Token &first = take();
  std::vector<std::string> names;
  std::vector<Span> spans;
  TypeExpr type;
  if (!parseNames("a name for the state", names, spans) || !expect(TokenKind::Colon, "and a type, such as ': [K]'") ||
      !parseType(type))
    return false;
  if (!takeIf(TokenKind::Assign)) {
    expected("missing-initial", fmt::format("'=' and the initial value of state '{}'", names.front()))
        .note("write = 0, = -inf, an array, or the name of an 'init'");
    return false;
  }
  ExprPtr initial = parseExpr();
  if (!initial)
    return false;
  type.span.file = file;
  for (size_t i = 0; i < names.size(); ++i) {
    StateDecl state{spanFrom(first), names[i], spans[i], {type.span, type.isComplex, {}}, initial->clone()};
    for (const ExprPtr &dim : type.dims)
      state.type.dims.push_back(dim->clone());
    body.states.push_back(std::move(state));
  }
  return endStatement();
}

/// output = "output" name { "," name } ;
bool Parser::parseOutputs(ModelBody &body) {
  take();
  std::vector<std::string> names;
  std::vector<Span> spans;
  bool complete = parseNames("the name of an output", names, spans);
  for (size_t i = 0; i < names.size(); ++i)
    body.outputs.push_back({spans[i], names[i]});
  return complete && endStatement();
}

/// layer = "layer" name "=" name [ "<" dimArgument { "," dimArgument } ">" ] "(" [ argument { "," argument } ] ")" ;
bool Parser::parseLayer(ModelBody &body) {
  const Token &first = take();
  Layer layer;
  if (!expectName("a name for the layer", layer.name, layer.nameSpan) ||
      !expect(TokenKind::Assign, "and a model after the name of the layer") ||
      !expectName("the name of a model", layer.model, layer.modelSpan))
    return false;
  Token open = peek();
  if (takeIf(TokenKind::Less) && !parseLayerDims(layer, open))
    return false;
  open = peek();
  if (!expect(TokenKind::LeftParen, "before the inputs of the layer") ||
      !parseArguments(layer.arguments, open, "the inputs of the layer"))
    return false;
  layer.span = spanFrom(first);
  body.layers.push_back(std::move(layer));
  return endStatement();
}

/// dimArgument = [ name "=" ] sum ;
bool Parser::parseLayerDims(Layer &layer, const Token &open) {
  do {
    Argument dim;
    if (is(TokenKind::Name) && peek(1).kind == TokenKind::Assign) {
      dim.name = textOf(take());
      take();
    }
    if (!(dim.value = parseSum()))
      return false;
    layer.dims.push_back(std::move(dim));
  } while (takeIf(TokenKind::Comma));
  return expectClosing(TokenKind::Greater, "the dimensions of the layer", open);
}

/// heads = "heads" sum body ;
bool Parser::parseHeads(ModelBody &body) {
  Nested nested(*this);
  if (nested.tooDeep()) {
    tooDeep();
    return false;
  }
  const Token &first = take();
  Heads heads;
  if (!(heads.count = parseSum()))
    return false;
  heads.body = std::make_unique<ModelBody>();
  bool complete = parseBody(*heads.body, "the heads scope");
  heads.span = spanFrom(first);
  body.heads.push_back(std::move(heads));
  return complete;
}

/// equation = name [ times ] "=" expr ;
bool Parser::parseEquation(ModelBody &body) {
  const Token &first = take();
  Equation equation;
  equation.name = textOf(first);
  equation.nameSpan = first.span;
  if (is(TokenKind::LeftBracket)) {
    std::vector<Subscript> subscripts;
    Span open = peek().span;
    if (!parseSubscripts(subscripts))
      return false;
    if (!namesAxes(subscripts)) {
      diagnostics
          .error("expected-time-index", Span::cover(open, previousSpan()),
                 fmt::format("expected the time index '[{}]' on the left of an equation, got '{}'",
                             fmt::join(axes, ", "), sources.text(Span::cover(open, previousSpan()))))
          .note("an equation defines a whole value; build a vector with concat, or from an array");
      return false;
    }
    for (Subscript &subscript : subscripts)
      equation.times.push_back(asTimeIndex(std::move(subscript)));
  }
  if (!expect(TokenKind::Assign, "after the left side of the equation") || !(equation.value = parseExpr()))
    return false;
  equation.span = spanFrom(first);
  body.equations.push_back(std::move(equation));
  return endStatement();
}

} // namespace rondo::frontend
